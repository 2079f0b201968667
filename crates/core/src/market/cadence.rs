//! How often bars come.

use crate::UnknownWord;
use crate::market::time::Second;
use jiff::Timestamp;
use strum::{Display, EnumString, IntoStaticStr, VariantNames};

/// How much time one bar of a feed covers: `market.interval`. Bars start at its multiples, counted from
/// 1970-01-01T00:00Z, and so at its multiples of every minute and of every day.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Display, EnumString, IntoStaticStr, VariantNames,
)]
#[strum(parse_err_ty = UnknownWord, parse_err_fn = UnknownWord::of::<Cadence>)]
pub enum Cadence {
    /// A second.
    #[strum(serialize = "1s")]
    One,
    /// Five seconds.
    #[strum(serialize = "5s")]
    Five,
    /// Ten seconds.
    #[strum(serialize = "10s")]
    Ten,
    /// Fifteen seconds.
    #[strum(serialize = "15s")]
    Fifteen,
    /// Half a minute.
    #[strum(serialize = "30s")]
    Thirty,
    /// A minute.
    #[default]
    #[strum(serialize = "60s")]
    Sixty,
}

crate::words::words!(Cadence);

impl Cadence {
    /// All of them, shortest first.
    pub const ALL: [Self; 6] = [Self::One, Self::Five, Self::Ten, Self::Fifteen, Self::Thirty, Self::Sixty];

    /// How long a bar is, seconds: a whole part of a minute.
    #[inline]
    pub const fn seconds(self) -> i64 {
        match self {
            Self::One => 1,
            Self::Five => 5,
            Self::Ten => 10,
            Self::Fifteen => 15,
            Self::Thirty => 30,
            Self::Sixty => 60,
        }
    }

    /// How many bars come in so many minutes.
    #[inline]
    pub const fn bars_in(self, minutes: u16) -> u32 {
        minutes as u32 * (60 / self.seconds() as u32)
    }

    /// Whether a bar may start here.
    #[inline]
    pub const fn starts(self, at: Second) -> bool {
        at.unix().rem_euclid(self.seconds()) == 0
    }

    /// When the bar that starts here is complete, UTC.
    pub fn end(self, start: Second) -> Timestamp {
        self.after(start).start()
    }

    /// The start of the bar after the one that starts here.
    #[inline]
    pub const fn after(self, start: Second) -> Second {
        start.plus_seconds(self.seconds())
    }

    /// The second that starts at exactly `at`, if a bar may start there.
    pub fn starting_at(self, at: Timestamp) -> Option<Second> {
        let start = self.bar_of(at);
        (start.start() == at).then_some(start)
    }

    /// The start of the bar that holds `at`.
    pub fn bar_of(self, at: Timestamp) -> Second {
        let length = self.seconds();
        Second::from_unix(at.as_second().div_euclid(length).saturating_mul(length))
    }

    /// The start of the first bar of which nothing has passed at `at`.
    pub fn next_from(self, at: Timestamp) -> Second {
        let bar = self.bar_of(at);
        if bar.start() < at { self.after(bar) } else { bar }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_start_at_multiples_of_every_minute() {
        for cadence in Cadence::ALL {
            assert_eq!(60 % cadence.seconds(), 0, "{cadence}");
            assert_eq!(cadence.to_string(), format!("{}s", cadence.seconds()));
            assert_eq!(cadence.to_string().parse(), Ok(cadence));
            for at in ["2025-01-31T20:59:59.999Z", "1969-12-31T23:59:01Z", "1900-01-01T00:00:00Z"] {
                let at: Timestamp = at.parse().unwrap();
                let start = cadence.bar_of(at);
                let into = at.as_second() - start.unix();
                assert!(cadence.starts(start) && (0..cadence.seconds()).contains(&into), "{cadence} {at}");
                let next = cadence.next_from(at);
                assert_eq!(cadence.starting_at(at), (start.start() == at).then_some(start));
                assert_eq!(
                    next,
                    if start.start() == at { start } else { start.plus_seconds(cadence.seconds()) }
                );
            }
        }
        assert_eq!(Cadence::default().seconds(), 60);
        assert!("2s".parse::<Cadence>().is_err());
    }
}
