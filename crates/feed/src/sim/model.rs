//! The market that is simulated: its names, and where each stands at the end of any day.

use super::bursts::{self, Burst};
use super::names::Profile;
use super::noise::Noise;
use super::stream;
use qqq_core::market::calendar::{Market, Session};
use qqq_core::{FeedLabel, Second, Symbol, Watchlist};

/// How much of a day's deviation from the usual level is left the next day.
const PERSISTENCE: f64 = 0.985;
/// After so many days nothing visible is left: 0.985^400 = 0.2 %.
const MEMORY_DAYS: i32 = 400;
/// Shares of a day's standard deviation: 0.55^2 + 0.83^2 = 1.
const OVERNIGHT: f64 = 0.55;
const IN_SESSION: f64 = 0.83;
/// Saturdays and Sundays bring so much of a weekday's news.
const WEEKEND: f64 = 0.3;
/// A rule judges nothing before it has seen 30 bars; a little later, for names that miss some.
const EXCHANGE_LEAD: i32 = 35;

/// One simulated name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    pub(super) symbol: Symbol,
    pub(super) profile: Profile,
    noise: Noise,
}

impl Name {
    /// The name's random numbers for one purpose.
    pub(super) fn noise(&self, stream: u64) -> Noise {
        self.noise.fork(stream)
    }

    /// The market's part and the name's own, by their correlation.
    pub(super) fn mix(&self, market: f64, own: f64) -> f64 {
        let together = self.profile.co_movement;
        together * market + (1.0 - together * together).sqrt() * own
    }
}

/// The whole market.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) names: Vec<Name>,
    pub(super) feed: FeedLabel,
    market: Noise,
    never_closes: bool,
}

impl Model {
    pub(super) fn new(seed: u64, watchlist: &Watchlist, market: Market, feed: FeedLabel) -> Self {
        let root = Noise::seeded(seed);
        let name = |symbol: &Symbol| {
            let noise = root.fork(stream::NAME).fork_text(symbol.as_str());
            Name { symbol: *symbol, profile: Profile::of(*symbol, noise.fork(stream::PROFILE)), noise }
        };
        Self {
            names: watchlist.symbols().iter().map(name).collect(),
            feed,
            market: root.fork(stream::MARKET),
            never_closes: market == Market::Always,
        }
    }

    pub(super) fn never_closes(&self) -> bool {
        self.never_closes
    }

    /// What moves all names together, for one purpose.
    pub(super) fn market(&self, stream: u64) -> Noise {
        self.market.fork(stream)
    }

    /// Standard deviation of a name's return between the first and the last minute of a day.
    pub(super) fn session_deviation(&self, name: &Name) -> f64 {
        name.profile.volatility * if self.never_closes { 1.0 } else { IN_SESSION }
    }

    /// Where a name begins and ends a day: logarithms of the price over its usual level.
    ///
    /// The level at the end of a day is the fading sum of the shocks of the last [`MEMORY_DAYS`] days, so it
    /// needs no chain of days from an anchor, never runs away, and is nearly a random walk from day to day.
    pub(super) fn open_and_close(&self, name: &Name, day: i32) -> (f64, f64) {
        let overnight = self.overnight(name, day);
        let before = (1..MEMORY_DAYS).rev().fold(0.0, |level, back| {
            PERSISTENCE * level + self.overnight(name, day - back) + self.in_session(name, day - back)
        });
        (before + overnight, PERSISTENCE * before + overnight + self.in_session(name, day))
    }

    /// The bursts of a name in a session.
    pub(super) fn bursts(&self, name: &Name, session: &Session) -> Vec<Burst> {
        let day = day_number(session);
        let rotation = self.market(stream::BURSTS).below(day, 1 << 16);
        // Without a close the hour before midnight belongs to the trailing hour, so let it pass.
        let lead = if self.never_closes { 60 } else { EXCHANGE_LEAD };
        let length = session.close.minutes_since(session.open);
        bursts::schedule(name.symbol, name.noise(stream::BURSTS), rotation, day, lead, length)
    }

    fn overnight(&self, name: &Name, day: i32) -> f64 {
        if self.never_closes { 0.0 } else { OVERNIGHT * self.shock(name, day, stream::OVERNIGHT) }
    }

    fn in_session(&self, name: &Name, day: i32) -> f64 {
        let share = if self.never_closes { 1.0 } else { IN_SESSION };
        share * self.shock(name, day, stream::SESSION)
    }

    fn shock(&self, name: &Name, day: i32, stream: u64) -> f64 {
        // Day 0, 1970-01-01, was a Thursday.
        let weekend = !self.never_closes && matches!((day + 4).rem_euclid(7), 0 | 6);
        let news = if weekend { WEEKEND } else { 1.0 };
        let shock = name.mix(self.market(stream).heavy(day), name.noise(stream).heavy(day));
        news * name.profile.volatility * shock
    }
}

/// Days from 1970-01-01 to the session's date.
pub(super) fn day_number(session: &Session) -> i32 {
    // New York lies behind UTC, so its midnight and its session begin on the same UTC date as its own.
    session.pre_open.minute().div_euclid(Second::MINUTES_PER_DAY)
}
