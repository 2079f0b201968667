//! What a trade's conditions allow it to change in a bar.
//!
//! Finnhub sends numbers. Their names are in the sheet that its OpenAPI document links to at the tick data's
//! `c` ("a comprehensive list of trade conditions code"), known here from two open-source clients that copied
//! it. That the stream uses the numbers of the sheet for tick data is what its users find, not what it
//! promises. What each condition may change is the consolidated processing of the SIPs (CTS output
//! specification and UTP output specification, "sale condition matrix"), as Polygon's condition glossary and
//! Alpaca's page on minute bars have it, read in copies; several conditions allow what all of them allow (CTS
//! specification). Auction prints and "sold last" set prices, as in Polygon's table, though the tape lets
//! some of them do so only under conditions that one trade does not tell. Elsewhere the stricter of two
//! sources holds, and a number that is not on the list is counted and changes no price.

use crate::trades::Effect;

/// Which conditions a trade was told with. Numbers above 126, and texts that are no number, are not told
/// apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Conditions(u128);

impl Conditions {
    const OTHER: u32 = 127;

    /// The set of these codes.
    pub fn of<'a>(codes: impl IntoIterator<Item = &'a str>) -> Self {
        let bit = |code: &str| 1 << code.parse().unwrap_or(Self::OTHER).min(Self::OTHER);
        Self(codes.into_iter().fold(0, |set, code| set | bit(code)))
    }
}

/// What a trade with these conditions may change. One without any is regular.
pub fn effect<'a>(codes: impl IntoIterator<Item = &'a str>) -> Effect {
    Effect::of_all(codes.into_iter().map(effect_of_one))
}

/// The numbers of Form T (24, 25) are of trades outside the regular session.
fn effect_of_one(code: &str) -> Effect {
    match code {
        "1" => Effect::ALL,                                  // regular
        "2" => Effect::ALL,                                  // acquisition
        "3" => Effect::VOLUME,                               // average price
        "4" => Effect::ALL,                                  // bunched
        "5" => Effect::VOLUME,                               // cash sale
        "6" => Effect::ALL,                                  // distribution
        "7" => Effect::ALL,                                  // automatic execution
        "8" => Effect::ALL,                                  // intermarket sweep order
        "9" => Effect::NOT_LAST,                             // bunched, sold
        "10" => Effect::VOLUME,                              // price variation
        "11" => Effect::VOLUME,                              // CAP election
        "12" => Effect::VOLUME,                              // odd lot
        "13" => Effect::ALL,                                 // rule 127
        "14" => Effect::ALL,                                 // rule 155
        "15" => Effect::ALL,                                 // sold last
        "16" => Effect::NONE,                                // market center official close: a repetition
        "17" => Effect::VOLUME,                              // next day
        "18" => Effect::ALL,                                 // market center opening trade
        "19" => Effect::ALL,                                 // opening prints
        "20" => Effect::NONE,                                // market center official open: a repetition
        "21" => Effect::NOT_LAST,                            // prior reference price
        "22" => Effect::VOLUME,                              // seller
        "23" => Effect::ALL,                                 // split trade
        "24" => Effect::EXTENDED,                            // Form T
        "25" => Effect { extended: true, ..Effect::VOLUME }, // extended hours, sold out of sequence
        "26" => Effect::VOLUME,                              // contingent
        "27" => Effect::VOLUME,                              // stock option
        "28" => Effect::ALL,                                 // cross
        "29" => Effect::ALL,                                 // yellow flag
        "30" => Effect::NOT_LAST,                            // sold out of sequence
        "31" => Effect::VOLUME,                              // stopped stock
        "32" => Effect::NOT_LAST,                            // derivatively priced
        "33" => Effect::ALL,                                 // market center re-opening trade
        "34" => Effect::ALL,                                 // re-opening prints
        "35" => Effect::ALL,                                 // market center closing trade
        "36" => Effect::ALL,                                 // closing prints
        "37" => Effect::VOLUME,                              // qualified contingent
        "39" => Effect::NONE, // corrected consolidated close: no trade of this minute
        "41" => Effect::ALL,  // trade through exempt: says nothing of the price
        _ => Effect::VOLUME,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_conditions_are_equal_in_any_order() {
        assert_eq!(Conditions::of(["1", "12"]), Conditions::of(["12", "1", "1"]));
        assert_ne!(Conditions::of(["1"]), Conditions::of(["8"]), "though both allow everything");
        assert_ne!(Conditions::of([]), Conditions::of(["999"]));
        assert_eq!(Conditions::of(["T"]), Conditions::of(["4294967296"]));
    }

    #[test]
    fn conditions_allow_what_all_of_them_allow() {
        assert_eq!(effect([]), Effect::ALL);
        assert_eq!(effect(["1"]), Effect::ALL);
        assert_eq!(effect(["1", "8"]), Effect::ALL);
        assert_eq!(effect(["1", "12"]), Effect::VOLUME, "an odd lot");
        assert_eq!(effect(["1", "24"]), Effect::EXTENDED);
        assert_eq!(effect(["1", "8", "24", "12"]), Effect { extended: true, ..Effect::VOLUME });
        assert_eq!(effect(["16", "1"]), Effect::NONE);
        assert_eq!(effect(["32"]), Effect::NOT_LAST);
    }

    #[test]
    fn a_number_nobody_explained_moves_no_price() {
        for code in ["0", "38", "40", "42", "-1", "", "T", "1 ", "999999999999"] {
            assert_eq!(effect(["1", code]), Effect::VOLUME, "{code:?}");
        }
    }

    #[test]
    fn what_sets_the_last_price_sets_the_range_and_is_volume() {
        for code in 0..60 {
            let effect = effect([code.to_string().as_str()]);
            assert!(!effect.last || effect.range, "{code}");
            assert!(!effect.range || effect.volume, "{code}");
        }
    }
}
