//! One simulated day, minute by minute.

use super::bursts::Burst;
use super::model::{Model, Name, day_number};
use super::shape::{self, Shape};
use super::stream;
use qqq_core::market::calendar::Session;
use qqq_core::{Bar, Phase, Price, Second, Volume};
use std::collections::VecDeque;

/// Minutes of an exchange's regular session, over which the usual day's volume is spread.
const REGULAR_MINUTES: f64 = 390.0;
/// The trailing window of the spike rule, minutes.
const TRAILING: i32 = 60;
/// Even a thin name has so many trades in a usual minute: with too few bars in its trailing hour nothing
/// would ever be judged.
const FEWEST_TRADES: f64 = 2.5;
const NANOS_PER_CENT: f64 = (Price::DOLLAR / 100) as f64;

/// A day in progress. Every minute from the pre-market to the post-market is walked through, whichever of
/// them count, so the prices do not depend on that setting.
#[derive(Debug)]
pub(super) struct Day {
    first: Second,
    /// Minutes walked so far.
    walked: usize,
    outlook: Vec<Outlook>,
    paths: Vec<Path>,
}

/// What is the same for all names in a minute.
#[derive(Clone, Copy, Debug)]
struct Outlook {
    minute: Second,
    /// Minutes since the open: the clock of the bursts.
    since_open: i32,
    regular: bool,
    shape: Shape,
    /// The market's move, in standard deviations.
    market: f64,
}

/// A name on its way through the day.
#[derive(Debug)]
struct Path {
    /// Logarithm of the price over the name's usual level.
    level: f64,
    /// Standard deviation of the return of a minute of shape 1.
    deviation: f64,
    /// What must be added, spread over the day, to end at the day's close: the bridge. Per unit of variance.
    pull: f64,
    /// Shares in a usual minute of this day.
    usual_volume: f64,
    /// Shares of a usual trade.
    trade_size: f64,
    bursts: Vec<Burst>,
    /// The bars of the last hour of the session: (minute, shares).
    hour: VecDeque<(Second, i64)>,
}

impl Day {
    /// Stands before the first minute of a session's day.
    pub(super) fn begin(model: &Model, session: &Session) -> Self {
        let day = day_number(session);
        let factor = model.market(stream::MOVE);
        let outlook: Vec<Outlook> = (session.pre_open.minute()..session.post_close.minute())
            .map(Second::from_minute)
            .map(|minute| {
                let (phase, shape) = if model.never_closes() {
                    (Phase::Regular, shape::always(minute))
                } else {
                    shape::exchange(session, minute)
                };
                Outlook {
                    minute,
                    since_open: minute.minutes_since(session.open),
                    regular: phase == Phase::Regular,
                    shape,
                    market: factor.heavy(minute.minute()),
                }
            })
            .collect();
        let paths = model.names.iter().map(|name| Path::begin(model, name, session, day, &outlook)).collect();
        Self { first: session.pre_open, walked: 0, outlook, paths }
    }

    /// Walks through the minutes up to and including `minute` and answers its bars, names in watchlist order.
    /// None for a minute that is over or no minute of this day.
    pub(super) fn walk_to(&mut self, model: &Model, minute: Second) -> Vec<Bar> {
        let mut bars = Vec::new();
        while let Some(outlook) = self.outlook.get(self.walked).filter(|next| next.minute <= minute) {
            bars.clear();
            bars.extend(
                model
                    .names
                    .iter()
                    .zip(&mut self.paths)
                    .filter_map(|(name, path)| path.walk(model, name, outlook)),
            );
            self.walked += 1;
        }
        if self.first.plus_minutes(self.walked as i32 - 1) == minute { bars } else { Vec::new() }
    }

    /// Whether `minute` is still to come on this day.
    pub(super) fn has_ahead(&self, minute: Second) -> bool {
        self.outlook.get(self.walked).is_some_and(|next| next.minute <= minute)
            && self.outlook.last().is_some_and(|last| minute <= last.minute)
    }
}

impl Path {
    fn begin(model: &Model, name: &Name, session: &Session, day: i32, outlook: &[Outlook]) -> Self {
        let (open, close) = model.open_and_close(name, day);
        let variance: f64 = outlook.iter().map(|at| at.shape.volatility * at.shape.volatility).sum();
        let activity = 0.15 * model.market(stream::ACTIVITY).normal(day)
            + 0.2 * name.noise(stream::ACTIVITY).normal(day);
        let minutes = if model.never_closes() { f64::from(Second::MINUTES_PER_DAY) } else { REGULAR_MINUTES };
        let usual_volume = name.profile.daily_volume / minutes * activity.exp();
        let mut path = Self {
            level: open,
            deviation: model.session_deviation(name) / variance.sqrt(),
            pull: 0.0,
            usual_volume,
            trade_size: name.profile.trade_size().min(usual_volume / FEWEST_TRADES),
            bursts: model.bursts(name, session),
            hour: VecDeque::new(),
        };
        let free: f64 = outlook.iter().map(|at| path.step(name, at).0).sum();
        path.pull = (close - open - free) / variance;
        path
    }

    /// The return of a minute, and its standard deviation.
    fn step(&self, name: &Name, at: &Outlook) -> (f64, f64) {
        let own = name.noise(stream::MOVE).heavy(at.minute.minute());
        // News that moves volume moves the price too, if less.
        let stir = self.burst(at).map_or(1.0, |(burst, age)| burst.factor(age).sqrt().min(2.5));
        let deviation = self.deviation * at.shape.volatility * stir;
        let pull = self.pull * at.shape.volatility * at.shape.volatility;
        (deviation * name.mix(at.market, own) + pull, deviation)
    }

    /// The burst that is on, and its age in minutes.
    fn burst(&self, at: &Outlook) -> Option<(&Burst, i32)> {
        self.bursts
            .iter()
            .map(|burst| (burst, at.since_open - burst.start))
            .find(|(burst, age)| at.regular && (0..burst.minutes).contains(age))
    }

    /// Walks one minute on and answers its bar, if the name trades in it.
    fn walk(&mut self, model: &Model, name: &Name, at: &Outlook) -> Option<Bar> {
        let (step, deviation) = self.step(name, at);
        let from = self.level;
        self.level += step;
        let volume = self.volume(name, at, step / deviation)?;
        if at.regular {
            self.hour.push_back((at.minute, volume));
        }
        self.bar(model, name, at, from, deviation, volume)
    }

    /// The shares traded in a minute; `None` if none were.
    fn volume(&mut self, name: &Name, at: &Outlook, surprise: f64) -> Option<i64> {
        let counter = at.minute.minute();
        while self.hour.front().is_some_and(|(minute, _)| at.minute.minutes_since(*minute) > TRAILING) {
            self.hour.pop_front();
        }
        let usual = self.usual_volume * at.shape.volume;
        let (factor, begins) =
            self.burst(at).map_or((1.0, false), |(burst, age)| (burst.factor(age), age == 0));
        if begins && !self.hour.is_empty() {
            // Measured by what was traded, not by what was to be expected, so it is as large as it says.
            let sum: i64 = self.hour.iter().map(|(_, shares)| shares).sum();
            return Some((factor * sum as f64 / self.hour.len() as f64).ceil() as i64);
        }
        // Trades arrive like drops of rain: the chance of none in a minute is exp(-expected number).
        let expected = usual * factor / self.trade_size;
        if name.noise(stream::PRESENT).uniform(counter) <= (-expected).exp() {
            return None;
        }
        const SPREAD: f64 = 0.3;
        let noise = (SPREAD * name.noise(stream::VOLUME).normal(counter) - SPREAD * SPREAD / 2.0).exp();
        let surprise = 0.8 + 0.27 * surprise.abs().min(4.0);
        Some(((usual * factor * noise * surprise).round() as i64).max(1))
    }

    fn bar(
        &self,
        model: &Model,
        name: &Name,
        at: &Outlook,
        from: f64,
        deviation: f64,
        volume: i64,
    ) -> Option<Bar> {
        let counter = at.minute.minute();
        let dollars = |level: f64| name.profile.price * level.exp();
        let open = dollars(from + 0.15 * deviation * name.noise(stream::OPEN).normal(counter));
        let close = dollars(self.level);
        // The highest point of a Brownian motion between two known ends, by the reflection principle:
        // (a + b + sqrt((b - a)^2 - 2 s^2 ln u)) / 2 with u uniform; the lowest likewise.
        let spread = 0.8 * deviation * close;
        let reach = |stream| {
            let fall = name.noise(stream).uniform(counter).ln();
            ((close - open).powi(2) - 2.0 * spread * spread * fall).sqrt()
        };
        let high = (open + close + reach(stream::HIGH)) / 2.0;
        let low = (open + close - reach(stream::LOW)) / 2.0;
        let [open, high, low, close] = [open, high, low, close].map(cents);
        let inside = name.noise(stream::VWAP).uniform(counter);
        let middle = (open + high + low + close) / 4.0;
        let vwap = middle + 0.5 * (inside - 0.5) * (high - low);
        // Four decimals, as feeds give it; prices in cents stay its bounds through the rounding.
        let vwap = (vwap.clamp(low, high) * 100.0).round() / 100.0;
        let trades =
            volume as f64 / self.trade_size * (0.15 * name.noise(stream::TRADES).normal(counter)).exp();
        let price = |cents: f64| Price::from_nanos((cents * NANOS_PER_CENT).round() as i64).ok();
        Some(Bar {
            symbol: name.symbol,
            start: at.minute,
            open: price(open)?,
            high: price(high)?,
            low: price(low)?,
            close: price(close)?,
            volume: Volume::from_shares(volume).ok()?,
            vwap: Some(price(vwap)?),
            trades: Some((trades.round() as u32).clamp(1, u32::try_from(volume).unwrap_or(u32::MAX))),
            feed: model.feed,
        })
    }
}

/// Whole cents, at least one.
fn cents(dollars: f64) -> f64 {
    (dollars * 100.0).round().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use qqq_core::market::calendar::Market;
    use qqq_core::market::watchlist::DEFAULT_SYMBOLS;
    use qqq_core::{Calendar, Evidence, FeedLabel, Metric, Rule, SpikeRule, Watchlist};

    /// By the bars of the regular session alone, and with those of the pre-market before it.
    #[test]
    fn the_first_minute_of_every_burst_is_a_spike() {
        let watchlist = Watchlist::new(DEFAULT_SYMBOLS.map(|symbol| symbol.parse().unwrap()), []).unwrap();
        let calendar = Calendar::new(Market::Xnas, false, []);
        let feed = FeedLabel::new(FeedLabel::SIMULATED).unwrap();
        let rule = Rule::from(SpikeRule::default());
        let mut judged = 0;
        for (seed, day) in (0..8).flat_map(|seed| [(seed, "2025-01-28"), (seed, "2025-07-03")]) {
            let model = Model::new(seed, &watchlist, Market::Xnas, feed);
            let session = calendar.session_on(day.parse().unwrap()).unwrap();
            let mut walk = Day::begin(&model, &session);
            let bars: Vec<Bar> = (session.pre_open.minute()..session.post_close.minute())
                .flat_map(|index| walk.walk_to(&model, Second::from_minute(index)))
                .collect();
            for name in &model.names {
                for burst in model.bursts(name, &session) {
                    let at = session.open.plus_minutes(burst.start);
                    let volumes = |from: Second, until: Second| -> Vec<i64> {
                        bars.iter()
                            .filter(|bar| bar.symbol == name.symbol && (from..until).contains(&bar.start))
                            .map(|bar| bar.volume.shares())
                            .collect()
                    };
                    let value = volumes(at, at.plus_minutes(1))[0];
                    for from in [at.plus_minutes(-TRAILING), at.plus_minutes(-TRAILING).max(session.open)] {
                        let window = volumes(from, at);
                        let sum = window.iter().copied().map(i128::from).sum();
                        let evidence = Evidence::Average { sum, bars: window.len() as u32 };
                        let fires = rule.condition.holds(Metric::Volume, value.into(), &evidence);
                        assert!(fires, "{} at {at}: {value} after {window:?}", name.symbol);
                        judged += 1;
                    }
                }
            }
        }
        assert!(judged > 1000, "{judged}");
    }
}
