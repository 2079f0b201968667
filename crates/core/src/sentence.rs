//! Alerts in words, the same words in mails and on pages: a sentence with its numbers, then the figures alone.
//!
//! Values are exact; averages and ratios are rounded to what a reader can use. The numbers behind them are on
//! the alert.

use crate::calendar::new_york;
use crate::decimal::plain;
use crate::rule::{Condition, Direction, Evidence, Hours, MILLION, Origin, Side, Trigger};
use crate::{Alert, Metric, Minute, Price, Rule, Symbol};

/// The alert in a few words, for subjects and titles: `NVDA volume 18.7x its last hour`.
///
/// `rule` is the one it was raised by.
pub fn headline(alert: &Alert, rule: &Rule) -> String {
    let Alert { symbol, metric, value, .. } = alert;
    let plain = || format!("{symbol} {metric} {}", amount(*metric, *value));
    match rule.condition {
        Condition::Spike { window, .. } => match ratio(alert) {
            Some(ratio) => format!("{symbol} {metric} {ratio}x its last {}", span(window)),
            None => plain(),
        },
        Condition::ZScore { window, .. } => match deviations(alert) {
            Some((z, side)) => format!("{symbol} {metric} {z} deviations {side} its last {}", span(window)),
            None => plain(),
        },
        Condition::Move { from, .. } => match percent(alert) {
            Some((percent, way)) => format!("{symbol} {way} {percent} % {}", since(from)),
            None => plain(),
        },
        Condition::Cross { side, .. } => {
            let side = if side == Side::Above { "above" } else { "below" };
            format!("{symbol} {metric} {side} {}", average(alert))
        }
        Condition::TimeOfDay { .. } => match ratio(alert) {
            Some(ratio) => format!("{symbol} {metric} {ratio}x its usual {}", clock(alert.start)),
            None => plain(),
        },
    }
}

/// The alert in a sentence: `NVDA traded 9,637,512 shares at 13:57 New York time, 18.7 times its average of
/// the last hour, 516,000.`
///
/// `rule` is the one it was raised by.
pub fn sentence(alert: &Alert, rule: &Rule) -> String {
    let value = amount(alert.metric, alert.value);
    let what = match (alert.metric, alert.value) {
        (Metric::Price, _) => format!("was at {value}"),
        (Metric::Volume, 1) => "traded 1 share".to_owned(),
        (Metric::Volume, _) => format!("traded {value} shares"),
    };
    let compared = compared(alert, rule).map_or_else(String::new, |compared| format!(", {compared}"));
    format!("{} {what} at {} New York time{compared}.", alert.symbol, clock(alert.start))
}

/// What the value was compared with, and how it came off.
fn compared(alert: &Alert, rule: &Rule) -> Option<String> {
    let baseline = average(alert);
    Some(match (rule.condition, alert.evidence) {
        (Condition::Spike { window, .. }, _) => {
            format!("{} times its average of the last {}, {baseline}", ratio(alert)?, span(window))
        }
        (Condition::ZScore { window, .. }, _) => {
            let (z, side) = deviations(alert)?;
            format!("{z} standard deviations {side} its average of the last {}, {baseline}", span(window))
        }
        (Condition::Move { from, .. }, _) => {
            let (percent, way) = percent(alert)?;
            let side = if way == "up" { "above" } else { "below" };
            let than = match from {
                Origin::Minutes(minutes) => format!("its price of {} before", minutes_in_words(minutes)),
                Origin::PreviousClose => "its previous close".to_owned(),
                Origin::Open => "its opening price".to_owned(),
            };
            format!("{percent} % {side} {than}, {baseline}")
        }
        (Condition::Cross { side, .. }, Evidence::Crossing { before, .. }) => {
            let reached = if side == Side::Above { "risen to" } else { "fallen to" };
            format!("having {reached} {baseline} or beyond from {}", amount(alert.metric, before))
        }
        (Condition::TimeOfDay { .. }, Evidence::Median { sessions, .. }) => format!(
            "{} times the median of that minute in {sessions} earlier sessions, {baseline}",
            ratio(alert)?
        ),
        _ => return None,
    })
}

/// What a rule tells of: `when the volume of NVDA is at least 3 times its average of the last hour, at most once an
/// hour`.
pub fn promise(rule: &Rule, symbol: Symbol, metric: Metric) -> String {
    let pace = match rule.cooldown_seconds {
        0 => "every time".to_owned(),
        60 => "at most once a minute".to_owned(),
        3_600 => "at most once an hour".to_owned(),
        86_400 => "at most once a day".to_owned(),
        seconds => format!("at most once in {}", duration(seconds)),
    };
    format!("when {}, {pace}", requirement(rule, symbol, metric))
}

/// What a rule asks of a bar: `the volume of NVDA is at least 3 times its average of the last hour`.
pub fn requirement(rule: &Rule, symbol: Symbol, metric: Metric) -> String {
    let value = format!("the {metric} of {symbol}");
    let what = match rule.condition {
        Condition::Spike { ratio, window, .. } => {
            format!(
                "{value} is at least {} times its average of the last {}",
                millionths(ratio),
                span(window)
            )
        }
        Condition::ZScore { z, window, direction, .. } => {
            let side = match direction {
                Direction::Up => "above",
                Direction::Down => "below",
                Direction::Both => "away from",
            };
            let (z, span) = (millionths(z), span(window));
            format!("{value} is at least {z} standard deviations {side} its average of the last {span}")
        }
        Condition::Move { percent, from, direction } => {
            let moves = match direction {
                Direction::Up => "rises",
                Direction::Down => "falls",
                Direction::Both => "moves",
            };
            let since = match from {
                Origin::Minutes(minutes) => format!("within {}", minutes_in_words(minutes)),
                Origin::PreviousClose => "from its previous close".to_owned(),
                Origin::Open => "from its opening price".to_owned(),
            };
            format!("{symbol} {moves} {} % or more {since}", millionths(percent))
        }
        Condition::Cross { level, side } => {
            let (moves, beyond) = match side {
                Side::Above => ("rises to", "above"),
                Side::Below => ("falls to", "below"),
            };
            format!("{value} {moves} {} or {beyond}", self::level(metric, level))
        }
        Condition::TimeOfDay { ratio, sessions, .. } => {
            let sessions = match sessions {
                1 => "session".to_owned(),
                many => format!("{many} sessions"),
            };
            let ratio = millionths(ratio);
            format!("{value} is at least {ratio} times the median of the same minute of the last {sessions}")
        }
    };
    let hours = match rule.hours {
        Hours::All => "",
        Hours::Regular => " in the regular session",
        Hours::Extended => " before or after the regular session",
    };
    format!("{what}{hours}{}", armed(rule, metric))
}

/// Which of the bars that qualify count, where it is not all of them: ` (again once it was below 2.5 times)`.
fn armed(rule: &Rule, metric: Metric) -> String {
    let Trigger::Edge { rearm } = rule.trigger else { return String::new() };
    let quiet = match rule.condition {
        Condition::Cross { level, .. } if level == rearm => return String::new(),
        _ if rearm == rule.condition.threshold() => return " (the first minute of each run)".to_owned(),
        Condition::Spike { .. } | Condition::TimeOfDay { .. } => format!("below {} times", millionths(rearm)),
        Condition::ZScore { .. } => format!("within {} deviations", millionths(rearm)),
        Condition::Move { .. } => format!("within {} %", millionths(rearm)),
        Condition::Cross { side: Side::Above, .. } => format!("below {}", level(metric, rearm)),
        Condition::Cross { side: Side::Below, .. } => format!("above {}", level(metric, rearm)),
    };
    format!(" (again once it was {quiet})")
}

/// A level of a crossing: `$150.25`, `1,000,000 shares`.
fn level(metric: Metric, level: i64) -> String {
    match metric {
        Metric::Price => dollars(&plain(level, Price::PLACES)),
        Metric::Volume => format!("{} shares", group(&plain(level, Price::PLACES))),
    }
}

/// A factor, a percentage or a number of deviations: `3`, `2.5`.
fn millionths(value: i64) -> String {
    plain(value, MILLION.ilog10())
}

/// `in 15 minutes`, `since the previous close`, `since the open`.
fn since(from: Origin) -> String {
    match from {
        Origin::Minutes(minutes) => format!("in {}", minutes_in_words(minutes)),
        Origin::PreviousClose => "since the previous close".to_owned(),
        Origin::Open => "since the open".to_owned(),
    }
}

fn minutes_in_words(minutes: u16) -> String {
    match span(minutes).as_str() {
        one @ ("minute" | "hour") => format!("1 {one}"),
        many => many.to_owned(),
    }
}

/// How many standard deviations from the mean, and on which side.
pub fn deviations(alert: &Alert) -> Option<(String, &'static str)> {
    let (sum, bars) = alert.evidence.baseline()?;
    let stdev = alert.evidence.stdev().filter(|&stdev| stdev > 0.0)?;
    let z = (alert.value as f64 - sum as f64 / f64::from(bars)) / stdev;
    Some((times(z.abs()), if z < 0.0 { "below" } else { "above" }))
}

/// How many percent from the baseline, and which way: `up` or `down`.
pub fn percent(alert: &Alert) -> Option<(String, &'static str)> {
    let percent = (alert.ratio()? - 1.0) * 100.0;
    let decimals = if percent.abs() < 10.0 { 2 } else { 1 };
    Some((format!("{:.decimals$}", percent.abs()), if percent < 0.0 { "down" } else { "up" }))
}

/// A minute as New York's clocks show it: `13:57`.
pub fn clock(minute: Minute) -> String {
    minute.start().to_zoned_datetime(new_york()).strftime("%H:%M").to_string()
}

/// A value of a metric, exact and grouped: `9,637,512`, `$1,118.58`.
pub fn amount(metric: Metric, value: i64) -> String {
    let exact = metric.show(value).to_string();
    match metric {
        Metric::Price => dollars(&exact),
        Metric::Volume => group(&exact),
    }
}

/// What an alert's value was held against, to three significant digits, prices to the cent: `516,000`, `$37.06`; a
/// level or an earlier price as it is. `none` of an empty window.
pub fn average(alert: &Alert) -> String {
    let exact = match alert.evidence {
        Evidence::Origin { value, .. } | Evidence::Crossing { level: value, .. } => Some(value),
        _ => None,
    };
    match (exact, alert.baseline(), alert.metric) {
        (Some(value), ..) => amount(alert.metric, value),
        (None, None, _) => "none".to_owned(),
        (None, Some(average), metric) => figure(metric, average),
    }
}

/// The sample standard deviation of an alert's window, as [`average`]. `None` where its rule knows of none.
pub fn deviation(alert: &Alert) -> Option<String> {
    let stdev = alert.evidence.stdev()? / alert.metric.units() as f64;
    Some(figure(alert.metric, stdev))
}

/// Dollars or shares to three significant digits, prices to the cent.
fn figure(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Price => dollars(&rounded(value, Some(2))),
        Metric::Volume => group(&rounded(value, None)),
    }
}

/// What an alert's value was held against, for a table of evidence: `515,888`, `$37.05625`. `none` of an empty window.
pub fn precise_average(alert: &Alert) -> String {
    match (alert.baseline(), alert.metric) {
        (None, _) => "none".to_owned(),
        (Some(average), Metric::Price) => {
            dollars(format!("{average:.6}").trim_end_matches('0').trim_end_matches('.'))
        }
        (Some(average), Metric::Volume) if average.abs() < 100.0 => format!("{average:.2}"),
        (Some(average), Metric::Volume) => group(&format!("{average:.0}")),
    }
}

/// How many times its baseline the alert's value was, to what matters: `18.7`, `1,204`. `None` where the baseline is
/// not above zero.
pub fn ratio(alert: &Alert) -> Option<String> {
    alert.ratio().map(times)
}

fn times(number: f64) -> String {
    let decimals = if number < 100.0 { 1 } else { 0 };
    group(&format!("{number:.decimals$}"))
}

/// A number of minutes as it follows "the last": `hour`, `30 minutes`, `2 hours`.
pub fn span(minutes: u16) -> String {
    match minutes {
        1 => "minute".to_owned(),
        60 => "hour".to_owned(),
        hours if hours > 0 && hours % 60 == 0 => format!("{} hours", hours / 60),
        minutes => format!("{minutes} minutes"),
    }
}

/// A time: `60 minutes`, `24 hours`, `7 days`, `90 seconds`.
pub fn duration(seconds: u32) -> String {
    match seconds {
        days if days > 2 * 86_400 && days % 86_400 == 0 => format!("{} days", days / 86_400),
        hours if hours > 2 * 3600 && hours % 3600 == 0 => format!("{} hours", hours / 3600),
        60 => "1 minute".to_owned(),
        minutes if minutes > 0 && minutes % 60 == 0 => format!("{} minutes", minutes / 60),
        1 => "1 second".to_owned(),
        seconds => format!("{seconds} seconds"),
    }
}

/// A minute as New York's clocks and calendars show it: `Monday, January 27, 2025, 13:57 EST`.
pub fn new_york_time(minute: Minute) -> String {
    minute.start().to_zoned_datetime(new_york()).strftime("%A, %B %-d, %Y, %H:%M %Z").to_string()
}

/// The same, short: `Mon, Jan 27, 13:57 EST`.
pub fn short_new_york_time(minute: Minute) -> String {
    minute.start().to_zoned_datetime(new_york()).strftime("%a, %b %-d, %H:%M %Z").to_string()
}

/// Rounds to three significant digits, or to `least_decimals` where these say more.
fn rounded(value: f64, least_decimals: Option<i32>) -> String {
    let magnitude = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    let decimals = (2 - magnitude).max(least_decimals.unwrap_or(i32::MIN));
    match usize::try_from(decimals) {
        Ok(decimals) => format!("{value:.decimals$}"),
        Err(_) => {
            let unit = 10_f64.powi(-decimals);
            format!("{:.0}", (value / unit).round() * unit)
        }
    }
}

/// Puts the sign, the currency and at least two decimals to an exact decimal text.
fn dollars(text: &str) -> String {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    format!("{sign}${}.{fraction:0<2}", group(whole))
}

/// Sets a comma between the thousands of a decimal text.
fn group(text: &str) -> String {
    let digits_end = text.find('.').unwrap_or(text.len());
    let mut grouped = String::with_capacity(text.len() + text.len() / 3);
    for (at, character) in text.char_indices() {
        let follows_digit = at > 0 && text.as_bytes()[at - 1].is_ascii_digit();
        if at < digits_end && follows_digit && (digits_end - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(character);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::Folded;
    use crate::{AlertId, AlertState, Price, RuleName, Visibility};
    use proptest::prelude::*;

    fn alert(metric: Metric, value: i64, sum: i64, bars: u16) -> Alert {
        with(metric, value, Evidence::Average { sum, bars })
    }

    fn spike(window: u16) -> Rule {
        let condition = Condition::Spike { ratio: 3_000_000, window, min_bars: 1 };
        Rule { condition, ..rule("spike") }
    }

    fn rule(text: &str) -> Rule {
        text.parse().unwrap()
    }

    fn with(metric: Metric, value: i64, evidence: Evidence) -> Alert {
        let symbol = "NVDA".parse().unwrap();
        let start = Minute::containing("2025-01-27T18:57:00Z".parse().unwrap());
        Alert {
            id: AlertId::derive("spike", symbol, metric, start),
            rule: RuleName::House,
            symbol,
            metric,
            start,
            value,
            evidence,
            feed: "iex".parse().unwrap(),
            revision: 0,
            state: AlertState::Raised,
            raised_at: start.end(),
            visibility: Visibility::Public,
            occurrences: Vec::new(),
            folded: Folded::default(),
        }
    }

    #[test]
    fn a_volume_spike_in_words() {
        let alert = alert(Metric::Volume, 9_637_512, 515_888 * 60, 60);
        assert_eq!(headline(&alert, &spike(60)), "NVDA volume 18.7x its last hour");
        assert_eq!(
            sentence(&alert, &spike(60)),
            "NVDA traded 9,637,512 shares at 13:57 New York time, 18.7 times its average of the last hour, \
             516,000."
        );
    }

    #[test]
    fn a_price_spike_in_words() {
        let alert = alert(Metric::Price, 118_580_000_000, 37_056_250_000 * 40, 40);
        assert_eq!(headline(&alert, &spike(90)), "NVDA price 3.2x its last 90 minutes");
        assert_eq!(
            sentence(&alert, &spike(120)),
            "NVDA was at $118.58 at 13:57 New York time, 3.2 times its average of the last 2 hours, $37.06."
        );
    }

    #[test]
    fn every_kind_of_rule_has_its_words() {
        let minute = Minute::from_index(28_966_000);
        let cents = |cents: i64| cents * 10_000_000;
        let window = Evidence::Deviation { sum: 9, squares: 35, bars: 3 };
        for (text, metric, value, evidence, few, more) in [
            (
                "zscore z=2 window=30m min_bars=2",
                Metric::Volume,
                8,
                window,
                "NVDA volume 2.5 deviations above its last 30 minutes",
                "NVDA traded 8 shares at 13:57 New York time, 2.5 standard deviations above its average of the last 30 \
                 minutes, 3.00.",
            ),
            (
                "move percent=3 from=15m",
                Metric::Price,
                cents(9_500),
                Evidence::Origin { value: cents(10_000), start: minute },
                "NVDA down 5.00 % in 15 minutes",
                "NVDA was at $95.00 at 13:57 New York time, 5.00 % below its price of 15 minutes before, $100.00.",
            ),
            (
                "move percent=3 from=previous_close",
                Metric::Price,
                cents(11_250),
                Evidence::Origin { value: cents(10_000), start: minute },
                "NVDA up 12.5 % since the previous close",
                "NVDA was at $112.50 at 13:57 New York time, 12.5 % above its previous close, $100.00.",
            ),
            (
                "cross below=150.25",
                Metric::Price,
                cents(15_000),
                Evidence::Crossing { level: cents(15_025), before: cents(15_100) },
                "NVDA price below $150.25",
                "NVDA was at $150.00 at 13:57 New York time, having fallen to $150.25 or beyond from $151.00.",
            ),
            (
                "time_of_day",
                Metric::Volume,
                1_500,
                Evidence::Median { twice: 601, sessions: 18 },
                "NVDA volume 5.0x its usual 13:57",
                "NVDA traded 1,500 shares at 13:57 New York time, 5.0 times the median of that minute in 18 earlier \
                 sessions, 300.",
            ),
        ] {
            let alert = with(metric, value, evidence);
            assert_eq!(headline(&alert, &rule(text)), few);
            assert_eq!(sentence(&alert, &rule(text)), more);
        }
    }

    #[test]
    fn a_rule_is_promised_in_words() {
        for (text, metric, words) in [
            (
                "spike",
                Metric::Volume,
                "the volume of NVDA is at least 3 times its average of the last hour, at most once an hour",
            ),
            (
                "spike ratio=2.5 window=30m session=regular cooldown=0s trigger=edge rearm=2",
                Metric::Price,
                "the price of NVDA is at least 2.5 times its average of the last 30 minutes in the regular session (again once \
                 it was below 2 times), every time",
            ),
            (
                "zscore z=3 cooldown=1d",
                Metric::Volume,
                "the volume of NVDA is at least 3 standard deviations away from its average of the last hour, at most once a \
                 day",
            ),
            (
                "zscore z=3 direction=down window=2h trigger=edge session=extended",
                Metric::Price,
                "the price of NVDA is at least 3 standard deviations below its average of the last 2 hours before or after \
                 the regular session (the first minute of each run), at most once an hour",
            ),
            (
                "move percent=2 from=15m cooldown=30m",
                Metric::Price,
                "NVDA moves 2 % or more within 15 minutes, at most once in 30 minutes",
            ),
            (
                "move percent=0.5 from=previous_close direction=up trigger=edge rearm=0.4 cooldown=1m",
                Metric::Price,
                "NVDA rises 0.5 % or more from its previous close (again once it was within 0.4 %), at most once a minute",
            ),
            (
                "move percent=5 from=open direction=down",
                Metric::Price,
                "NVDA falls 5 % or more from its opening price, at most once an hour",
            ),
            (
                "cross above=150",
                Metric::Price,
                "the price of NVDA rises to $150.00 or above, at most once an hour",
            ),
            (
                "cross below=150.25 rearm=151 cooldown=7d",
                Metric::Price,
                "the price of NVDA falls to $150.25 or below (again once it was above $151.00), at most once in 7 days",
            ),
            (
                "cross above=1000000",
                Metric::Volume,
                "the volume of NVDA rises to 1,000,000 shares or above, at most once an hour",
            ),
            (
                "time_of_day",
                Metric::Volume,
                "the volume of NVDA is at least 3 times the median of the same minute of the last 20 sessions, at most once \
                 an hour",
            ),
        ] {
            let told = promise(&rule(text), "NVDA".parse().unwrap(), metric);
            assert_eq!(told, format!("when {words}"), "{text}");
        }
    }

    #[test]
    fn the_evening_before_in_new_york_is_told_as_such() {
        let midnight = Minute::containing("2025-07-04T00:30:00Z".parse().unwrap());
        assert_eq!(new_york_time(midnight), "Thursday, July 3, 2025, 20:30 EDT");
    }

    #[test]
    fn an_average_of_zero_or_of_nothing_makes_no_ratio() {
        for alert in [alert(Metric::Volume, 1, 0, 60), alert(Metric::Volume, 1, 9, 0)] {
            assert_eq!(headline(&alert, &spike(60)), "NVDA volume 1");
            assert_eq!(sentence(&alert, &spike(60)), "NVDA traded 1 share at 13:57 New York time.");
        }
        for metric in Metric::ALL {
            let empty = alert(metric, 1, 0, 0);
            assert_eq!((average(&empty), precise_average(&empty)), ("none".to_owned(), "none".to_owned()));
        }
    }

    #[test]
    fn numbers_are_rounded_to_what_a_reader_can_use() {
        let volume = |average: i64| average_of(Metric::Volume, average);
        assert_eq!(volume(515_499), "515,000");
        assert_eq!(volume(999_999), "1,000,000");
        assert_eq!(volume(1_234), "1,230");
        assert_eq!(volume(999), "999");
        assert_eq!(average(&alert(Metric::Volume, 9, 10, 3)), "3.33");
        let price = |nanos: i64| average_of(Metric::Price, nanos);
        assert_eq!(price(1_234_567_800_000), "$1,234.57");
        assert_eq!(price(37_056_250_000), "$37.06");
        assert_eq!(price(12_345_678), "$0.0123");
        assert_eq!(amount(Metric::Price, 118_500_000_000), "$118.50");
        assert_eq!(amount(Metric::Price, 1), "$0.000000001");
        assert_eq!(amount(Metric::Price, -1_500 * Price::DOLLAR), "-$1,500.00");
        assert_eq!(precise_average(&alert(Metric::Volume, 9, 515_888 * 60 + 7, 60)), "515,888");
        assert_eq!(precise_average(&alert(Metric::Volume, 9, 10, 3)), "3.33");
        assert_eq!(precise_average(&alert(Metric::Price, 9, 37_056_250_000 * 60, 60)), "$37.05625");
        assert_eq!(precise_average(&alert(Metric::Price, 9, 1_500 * Price::DOLLAR, 1)), "$1,500.00");
        assert_eq!(ratio(&alert(Metric::Volume, 120_400, 100, 1)).unwrap(), "1,204");
    }

    fn average_of(metric: Metric, value: i64) -> String {
        average(&alert(metric, 1, value, 1))
    }

    proptest! {
        #[test]
        fn an_exact_amount_reads_back(value: i64, of_price: bool) {
            let metric = if of_price { Metric::Price } else { Metric::Volume };
            let plain = amount(metric, value).replace([',', '$'], "");
            let places = if of_price { Price::PLACES } else { 0 };
            prop_assert_eq!(crate::decimal::parse(&plain, places, crate::decimal::Excess::Refuse), Ok(value));
        }

        #[test]
        fn commas_stand_between_thousands(value: i64) {
            let text = amount(Metric::Volume, value);
            let groups: Vec<_> = text.trim_start_matches('-').split(',').collect();
            prop_assert!((1..=3).contains(&groups[0].len()));
            prop_assert!(groups[1..].iter().all(|group| group.len() == 3));
        }

        #[test]
        fn any_alert_can_be_told(value: i64, sum: i64, bars: u16, window: u16, of_price: bool) {
            let metric = if of_price { Metric::Price } else { Metric::Volume };
            let alert = alert(metric, value, sum, bars);
            prop_assert!(headline(&alert, &spike(window)).starts_with("NVDA "));
            prop_assert!(sentence(&alert, &spike(window)).ends_with('.'));
            prop_assert!(!average(&alert).is_empty() && !precise_average(&alert).is_empty());
        }

        #[test]
        fn an_average_is_told_within_half_a_percent(sum in 1_000_i64..9_000_000_000_000, bars in 1_u16..720) {
            let alert = alert(Metric::Volume, 1, sum, bars);
            let told: f64 = average(&alert).replace(',', "").parse().unwrap();
            prop_assert!((told / alert.baseline().unwrap() - 1.0).abs() <= 0.005_000_1, "{told}");
        }
    }
}
