//! What a trade's conditions allow it to change in a bar.
//!
//! Alpaca sends the letters of the tapes: CTS for tapes A and B, UTP for tape C. It makes its minute bars by
//! the SIPs' guidance, but for what reports something older than the minute: such trades set no price at all
//! (its article "Stock Minute Bars", its staff's list of conditions that are "excluded from bar prices" and
//! their answers on conditions 9 and P, in its forum). The same is done here, so that bars of seconds add up
//! to its minutes; what it makes of each letter today was not seen at work, which is one of the reasons for
//! which every minute is [compared](super::check). Trades outside the regular session (T) set prices as
//! others do: its FAQ. A letter that is not on the list is counted and changes no price.

use crate::trades::Effect;

/// What a trade with these conditions, on this tape, may change. One without any is regular.
pub fn effect<'a>(conditions: impl IntoIterator<Item = &'a str>, tape: &str) -> Effect {
    Effect::of_all(conditions.into_iter().map(|condition| effect_of_one(condition, tape)))
}

fn effect_of_one(condition: &str, tape: &str) -> Effect {
    match condition {
        "@" | " " | "" => Effect::ALL,     // regular
        "A" => Effect::ALL,                // acquisition
        "B" if tape == "C" => Effect::ALL, // bunched
        "B" => Effect::VOLUME,             // average price, on tapes A and B
        "C" => Effect::VOLUME,             // cash sale
        "D" => Effect::ALL,                // distribution
        "E" => Effect::ALL,                // automatic execution
        "F" => Effect::ALL,                // intermarket sweep order
        "G" => Effect::VOLUME,             // bunched, sold
        "H" => Effect::VOLUME,             // price variation
        "I" => Effect::VOLUME,             // odd lot
        "K" => Effect::ALL,                // rules 127 and 155
        "L" => Effect::ALL,                // sold last
        "M" => Effect::NONE,               // market center official close: a repetition
        "N" => Effect::VOLUME,             // next day
        "O" => Effect::ALL,                // opening prints
        "P" => Effect::VOLUME,             // prior reference price
        "Q" => Effect::NONE,               // market center official open: a repetition
        "R" => Effect::VOLUME,             // seller
        "S" => Effect::ALL,                // split trade
        "T" => Effect::ALL,                // Form T: before the open and after the close
        "U" => Effect::VOLUME,             // extended hours, sold out of sequence
        "V" => Effect::VOLUME,             // contingent
        "W" => Effect::VOLUME,             // average price, on tape C
        "X" => Effect::ALL,                // cross
        "Y" => Effect::ALL,                // yellow flag
        "Z" => Effect::VOLUME,             // sold out of sequence
        "1" => Effect::ALL,                // stopped stock
        "4" => Effect::VOLUME,             // derivatively priced
        "5" => Effect::ALL,                // re-opening prints
        "6" => Effect::ALL,                // closing prints
        "7" => Effect::VOLUME,             // qualified contingent
        "8" => Effect::ALL,                // placeholder for 611 exempt: says nothing of the price
        "9" => Effect::NONE,               // corrected consolidated close: no trade of this time
        _ => Effect::VOLUME,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_allow_what_all_of_them_allow_on_their_tape() {
        for (conditions, tape, allowed) in [
            (&[][..], "C", Effect::ALL),
            (&["@"], "C", Effect::ALL),
            (&[" ", "F"], "A", Effect::ALL),
            (&["@", "T", "I"], "C", Effect::VOLUME),
            (&["@", "T"], "C", Effect::ALL),
            (&[" ", "7", "V"], "B", Effect::VOLUME),
            (&["@", "M"], "C", Effect::NONE),
            (&["B"], "C", Effect::ALL),
            (&["B"], "A", Effect::VOLUME),
            (&["@", "?"], "C", Effect::VOLUME),
            (&["@@"], "C", Effect::VOLUME),
        ] {
            assert_eq!(effect(conditions.iter().copied(), tape), allowed, "{conditions:?} on {tape}");
        }
    }
}
