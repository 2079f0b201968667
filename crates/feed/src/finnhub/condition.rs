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

/// What one trade may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Effect {
    /// First and last price.
    pub last: bool,
    /// Highest and lowest price.
    pub range: bool,
    /// Volume, average price, number of trades.
    pub volume: bool,
    /// Whether it was made outside the regular session (Form T). Such trades set prices only where no regular
    /// one does: before the open and after the close.
    pub extended: bool,
}

impl Effect {
    /// Of a regular trade.
    pub const ALL: Self = Self { last: true, range: true, volume: true, extended: false };
    const NOT_LAST: Self = Self { last: false, ..Self::ALL };
    const VOLUME: Self = Self { range: false, ..Self::NOT_LAST };
    const NONE: Self = Self { volume: false, ..Self::VOLUME };
    const EXTENDED: Self = Self { extended: true, ..Self::ALL };

    /// Of a trade with these conditions. One without any is regular.
    pub fn of<'a>(codes: impl IntoIterator<Item = &'a str>) -> Self {
        codes.into_iter().map(Self::of_one).fold(Self::ALL, |one, other| Self {
            last: one.last && other.last,
            range: one.range && other.range,
            volume: one.volume && other.volume,
            extended: one.extended || other.extended,
        })
    }

    fn of_one(code: &str) -> Self {
        match code {
            "1" => Self::ALL,                                // regular
            "2" => Self::ALL,                                // acquisition
            "3" => Self::VOLUME,                             // average price
            "4" => Self::ALL,                                // bunched
            "5" => Self::VOLUME,                             // cash sale
            "6" => Self::ALL,                                // distribution
            "7" => Self::ALL,                                // automatic execution
            "8" => Self::ALL,                                // intermarket sweep order
            "9" => Self::NOT_LAST,                           // bunched, sold
            "10" => Self::VOLUME,                            // price variation
            "11" => Self::VOLUME,                            // CAP election
            "12" => Self::VOLUME,                            // odd lot
            "13" => Self::ALL,                               // rule 127
            "14" => Self::ALL,                               // rule 155
            "15" => Self::ALL,                               // sold last
            "16" => Self::NONE,                              // market center official close: a repetition
            "17" => Self::VOLUME,                            // next day
            "18" => Self::ALL,                               // market center opening trade
            "19" => Self::ALL,                               // opening prints
            "20" => Self::NONE,                              // market center official open: a repetition
            "21" => Self::NOT_LAST,                          // prior reference price
            "22" => Self::VOLUME,                            // seller
            "23" => Self::ALL,                               // split trade
            "24" => Self::EXTENDED,                          // Form T
            "25" => Self { extended: true, ..Self::VOLUME }, // extended hours, sold out of sequence
            "26" => Self::VOLUME,                            // contingent
            "27" => Self::VOLUME,                            // stock option
            "28" => Self::ALL,                               // cross
            "29" => Self::ALL,                               // yellow flag
            "30" => Self::NOT_LAST,                          // sold out of sequence
            "31" => Self::VOLUME,                            // stopped stock
            "32" => Self::NOT_LAST,                          // derivatively priced
            "33" => Self::ALL,                               // market center re-opening trade
            "34" => Self::ALL,                               // re-opening prints
            "35" => Self::ALL,                               // market center closing trade
            "36" => Self::ALL,                               // closing prints
            "37" => Self::VOLUME,                            // qualified contingent
            "39" => Self::NONE, // corrected consolidated close: no trade of this minute
            "41" => Self::ALL,  // trade through exempt: says nothing of the price
            _ => Self::VOLUME,
        }
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
        assert_eq!(Effect::of([]), Effect::ALL);
        assert_eq!(Effect::of(["1"]), Effect::ALL);
        assert_eq!(Effect::of(["1", "8"]), Effect::ALL);
        assert_eq!(Effect::of(["1", "12"]), Effect::VOLUME, "an odd lot");
        assert_eq!(Effect::of(["1", "24"]), Effect::EXTENDED);
        assert_eq!(Effect::of(["1", "8", "24", "12"]), Effect { extended: true, ..Effect::VOLUME });
        assert_eq!(Effect::of(["16", "1"]), Effect::NONE);
        assert_eq!(Effect::of(["32"]), Effect::NOT_LAST);
    }

    #[test]
    fn a_number_nobody_explained_moves_no_price() {
        for code in ["0", "38", "40", "42", "-1", "", "T", "1 ", "999999999999"] {
            assert_eq!(Effect::of(["1", code]), Effect::VOLUME, "{code:?}");
        }
    }

    #[test]
    fn what_sets_the_last_price_sets_the_range_and_is_volume() {
        for code in 0..60 {
            let effect = Effect::of([code.to_string().as_str()]);
            assert!(!effect.last || effect.range, "{code}");
            assert!(!effect.range || effect.volume, "{code}");
        }
    }
}
