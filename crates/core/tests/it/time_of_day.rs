//! The rule that knows the time of day, over years with holidays, half-days and further early closes, in
//! extended hours: against medians of its own making. The reference shares neither calendar nor time zone
//! with the code under test: days come from the list of other packages, minutes are New York wall time, and a
//! phase is where such a time lies.

use jiff::civil::{Date, Weekday, time};
use jiff::tz::TimeZone;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use qqq_core::alert::Visibility;
use qqq_core::alert::backtest::Backtest;
use qqq_core::alert::detector::{Detector, Watch};
use qqq_core::alert::{Alert, AlertChange, Metric};
use qqq_core::market::calendar::{Calendar, Market};
use qqq_core::rule::{AlertRule, Evidence, Rule, RuleName};
use qqq_core::{Bar, Second, SpikeRule};
use qqq_testkit::bars::{cents, flat};
use std::collections::BTreeMap;

/// Minutes of the day around which phases begin and end, on full days and others.
const TIMES: [i16; 11] = [
    hm(4, 0),
    hm(9, 29),
    hm(9, 30),
    hm(11, 59),
    hm(12, 0),
    hm(12, 59),
    hm(13, 0),
    hm(14, 15),
    hm(15, 59),
    hm(16, 0),
    hm(19, 59),
];

const fn hm(hour: i16, minute: i16) -> i16 {
    hour * 60 + minute
}

/// A year as the other packages have it, some of its days closing early besides, and what its minutes traded.
#[derive(Clone, Debug)]
struct Year {
    /// The regular close of every trading day, minutes of the day.
    closes: BTreeMap<Date, i16>,
    /// Those that no rule foretells.
    extra: BTreeMap<Date, i16>,
    /// Volumes by day and minute of the day.
    volumes: BTreeMap<(Date, i16), i64>,
}

impl Year {
    fn new(year: i16, extra: &[(Index, i16)], seed: u64) -> Self {
        let special: BTreeMap<Date, Option<i16>> = include_str!("../../testdata/xnys_1990_2030.csv")
            .lines()
            .skip(1)
            .map(|line| line.split_once(',').unwrap())
            .map(|(day, close)| {
                (day.parse().unwrap(), close.split_once(':').map(|(hour, _)| hm(hour.parse().unwrap(), 0)))
            })
            .collect();
        let first = Date::new(year, 1, 1).unwrap();
        let mut closes: BTreeMap<Date, i16> = first
            .series(jiff::Span::new().days(1))
            .take_while(|day| day.year() == year)
            .filter(|day| !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday))
            .filter_map(|day| Some((day, special.get(&day).copied().unwrap_or(Some(hm(16, 0)))?)))
            .collect();
        let days: Vec<Date> = closes.keys().copied().collect();
        let extra: BTreeMap<Date, i16> = extra.iter().map(|(day, close)| (*day.get(&days), *close)).collect();
        closes.extend(&extra);

        let mut state = seed | 1;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut volumes = BTreeMap::new();
        for (&day, &close) in &closes {
            for at in TIMES {
                // After hours trades a tenth: what enters the wrong median is seen.
                let usual = if (hm(9, 30)..close).contains(&at) { 10_000 } else { 1_000 };
                if random(5) > 0 {
                    volumes.insert(
                        (day, at),
                        (usual + random(usual) * if random(6) == 0 { 5 } else { 1 }) as i64,
                    );
                }
            }
        }
        Self { closes, extra, volumes }
    }

    fn calendar(&self) -> Calendar {
        let early =
            self.extra.iter().map(|(day, close)| format!("{day} {:02}:{:02}", close / 60, close % 60));
        Calendar::new(Market::Xnas, true, [])
            .with_early_closes(early.map(|text| text.parse().unwrap()))
            .unwrap()
    }

    fn bars(&self) -> Vec<Bar> {
        let bar = |(&at, &volume): (&_, &_)| flat("NVDA", minute(at), cents(10_000), volume);
        self.volumes.iter().map(bar).collect()
    }

    /// Where in a day a minute lies: 0 before the regular session, 1 in it, 2 after it.
    fn phase(&self, day: Date, at: i16) -> u8 {
        u8::from(at >= hm(9, 30)) + u8::from(at >= self.closes[&day])
    }

    /// The minutes that reach 1.5 times the median of the same minute and phase, of at least `min` among the
    /// `sessions` trading days before: with twice the median, and of how many it is.
    fn told(&self, sessions: usize, min: usize) -> Vec<(Second, i128, u16)> {
        let mut told = Vec::new();
        for (&(day, at), &volume) in &self.volumes {
            let before = self.closes.range(..day).rev().take(sessions).map(|(&day, _)| day);
            let mut known: Vec<i64> = before
                .filter(|&other| self.phase(other, at) == self.phase(day, at))
                .filter_map(|other| self.volumes.get(&(other, at)).copied())
                .collect();
            known.sort_unstable();
            if known.len() < min {
                continue;
            }
            let twice = known[(known.len() - 1) / 2] + known[known.len() / 2];
            // volume >= 1.5 * twice / 2
            if 4 * volume >= 3 * twice {
                told.push((minute((day, at)), twice.into(), known.len() as u16));
            }
        }
        told
    }
}

fn minute((day, at): (Date, i16)) -> Second {
    let wall = day.to_datetime(time((at / 60) as i8, (at % 60) as i8, 0, 0));
    Second::minute_of(TimeZone::get("America/New_York").unwrap().to_timestamp(wall).unwrap())
}

fn median(alert: &Alert) -> (Second, i128, u16) {
    match alert.evidence {
        Evidence::Median { twice, sessions } => (alert.start, twice, sessions),
        other => panic!("{other:?}"),
    }
}

fn year() -> impl Strategy<Value = Year> {
    let extra = prop::collection::vec(
        (any::<Index>(), select(vec![hm(12, 0), hm(13, 0), hm(14, 0), hm(15, 30)])),
        0..12,
    );
    (1990_i16..=2030, extra, any::<u64>()).prop_map(|(year, extra, seed)| Year::new(year, &extra, seed))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// A minute is compared with minutes of its own phase, in a backtest and live, also where the process was
    /// restarted.
    #[test]
    fn a_minute_is_compared_with_minutes_of_its_own_phase(
        year in year(),
        sessions in 1_usize..=20,
        min in 1_usize..=5,
        restart in any::<Index>(),
    ) {
        let min = min.min(sessions);
        let text = format!("time_of_day ratio=1.5 sessions={sessions} min_sessions={min} cooldown=0s");
        let rule: Rule = text.parse().unwrap();
        let (calendar, bars, expected) = (year.calendar(), year.bars(), year.told(sessions, min));

        let mut backtest = Backtest::new(
            RuleName::Own(rule), SpikeRule::default(), bars[0].symbol, Metric::Volume, &calendar, Second::MIN,
        );
        bars.iter().for_each(|bar| backtest.take(bar));
        let alerts = backtest.finish().alerts;
        prop_assert_eq!(alerts.iter().map(median).collect::<Vec<_>>(), expected);

        // From the middle of the year on, as a backtest warms itself up.
        let from = bars[restart.index(bars.len())].start;
        let warm = Backtest::warm_up(&rule, &calendar, from);
        let mut part = Backtest::new(
            RuleName::Own(rule), SpikeRule::default(), bars[0].symbol, Metric::Volume, &calendar, from,
        );
        bars.iter().filter(|bar| bar.start >= warm).for_each(|bar| part.take(bar));
        let of_part: Vec<&Alert> = alerts.iter().filter(|alert| alert.start >= from).collect();
        let found = part.finish().alerts;
        prop_assert_eq!(found.iter().collect::<Vec<_>>(), of_part);

        // Live, with a restart there.
        let symbols = [bars[0].symbol];
        let fresh = || {
            let mut detector = Detector::new(&symbols, bars[0].feed, &calendar, SpikeRule::default());
            detector.watch(0, Watch { rule, metric: Metric::Volume }, Visibility::Public);
            detector
        };
        let (mut detector, mut live) = (fresh(), Vec::new());
        for (index, bar) in bars.iter().enumerate() {
            if bar.start == from {
                let (known, newest) = (&bars[..index], bars[index.saturating_sub(1)].start);
                detector = fresh();
                let recent = known.iter().filter(|bar| newest.seconds_since(bar.start) < Second::PER_DAY);
                let told = live.iter().map(|alert: &Alert| (0, alert.clone()));
                detector.restore(recent.map(|bar| (0, *bar, 0)), told);
                if let Some(reach) = detector.reach(0) {
                    detector.recall(0, known.iter().filter(|bar| bar.start >= reach));
                }
                detector.recall_closes(0, known);
            }
            let mut changes = Vec::new();
            detector.observe(0, bar, bar.start.minute_end(), &mut changes);
            live.extend(changes.into_iter().filter_map(|change| match change {
                AlertChange::Raised(alert) if alert.rule == AlertRule::Own(rule) => Some(alert),
                _ => None,
            }));
        }
        prop_assert_eq!(live, alerts);
    }
}

/// The Friday after Thanksgiving 2024 closed at 13:00. Its quiet afternoon is not what a Monday's is compared
/// with, and after hours there is nothing to compare it with.
#[test]
fn the_afternoon_of_a_half_day_is_after_hours() {
    let calendar = Calendar::new(Market::Xnas, true, []);
    let rule: Rule = "time_of_day ratio=1.5 sessions=5 min_sessions=1 cooldown=0s".parse().unwrap();
    let volumes =
        [("2024-11-27", 1_000), ("2024-11-29", 10_000), ("2024-12-02", 1_200), ("2024-12-03", 2_000)];
    let days: BTreeMap<(Date, i16), i64> =
        volumes.iter().map(|(day, volume)| ((day.parse().unwrap(), hm(14, 0)), *volume)).collect();
    let year = Year { closes: BTreeMap::new(), extra: BTreeMap::new(), volumes: days };
    let bars = year.bars();
    let mut backtest = Backtest::new(
        RuleName::Own(rule),
        SpikeRule::default(),
        bars[0].symbol,
        Metric::Volume,
        &calendar,
        Second::MIN,
    );
    bars.iter().for_each(|bar| backtest.take(bar));
    let told: Vec<_> = backtest.finish().alerts.iter().map(median).collect();
    // Ten times Wednesday's on Friday: told of before, by a regular minute. On Tuesday, 1.8 times the median
    // of Wednesday and Monday.
    assert_eq!(told, [(bars[3].start, 2_200, 2)]);
}
