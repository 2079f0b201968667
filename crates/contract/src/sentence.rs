//! Alerts in words, the same words in mails and on pages: a sentence with its numbers, then the figures
//! alone. What is told depends on the alert and its own rule, on nothing else.
//!
//! Values are exact; averages and ratios are rounded to what a reader can use. The numbers behind them are on
//! the alert.

use crate::metric::{counted, words};
use qqq_core::alert::Unit;
use qqq_core::decimal::{divide_half_even, plain};
use qqq_core::market::calendar::new_york;
use qqq_core::rule::{Condition, Direction, Hours, MILLION, Origin, Side, Trigger};
use qqq_core::subscription::Scope;
use qqq_core::{Alert, Evidence, Metric, Price, Rule, Second};
use std::fmt::Display;

/// The alert in a few words, for subjects and titles: `NVDA volume 18.7x its last hour`.
pub fn headline(alert: &Alert) -> String {
    let Alert { symbol, metric, value, .. } = alert;
    let plain = || format!("{symbol} {metric} {}", amount(*metric, *value));
    match alert.rule.rule().condition {
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
/// the last hour, 516,000. The price was $118.42 (-3.49 % on the day).`
pub fn sentence(alert: &Alert) -> String {
    let what =
        format!("{} {}", words(alert.metric).did, quantity(alert.metric, amount(alert.metric, alert.value)));
    let compared = compared(alert).map_or_else(String::new, |compared| format!(", {compared}"));
    let price = price_then(alert).map_or_else(String::new, |price| format!(" The price was {price}."));
    format!("{} {what} at {} New York time{compared}.{price}", alert.symbol, clock(alert.start))
}

/// What a share cost at the minute of an alert that is about something else, and the change of the day:
/// `$118.42 (-3.49 % on the day)`. `None` where the alert is about the price, or does not know it.
pub fn price_then(alert: &Alert) -> Option<String> {
    let close = alert.close.filter(|_| alert.metric != Metric::Price)?;
    let price = amount(Metric::Price, close.nanos());
    Some(match alert.day_change() {
        Some((0, _)) => format!("{price} (unchanged on the day)"),
        Some((_, percent)) => format!("{price} ({percent:+.2} % on the day)"),
        None => price,
    })
}

/// What the value was compared with, and how it came off.
fn compared(alert: &Alert) -> Option<String> {
    let baseline = average(alert);
    Some(match (alert.rule.rule().condition, alert.evidence) {
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
            "{} times the median of that {} in {sessions} earlier sessions, {baseline}",
            ratio(alert)?,
            slot(alert.start)
        ),
        _ => return None,
    })
}

/// What a subscription is about: `NVDA volume`, `every symbol's volume`.
pub fn about(scope: Scope, metric: Metric) -> String {
    match scope {
        Scope::Symbol(symbol) => format!("{symbol} {metric}"),
        Scope::Watchlist => format!("every symbol's {metric}"),
    }
}

/// What a rule tells of: `when the volume of NVDA is at least 3 times its average of the last hour, at most
/// once an hour`. Of the watchlist: `when the volume of any symbol is ..., at most once an hour each`.
pub fn promise(rule: &Rule, scope: Scope, metric: Metric) -> String {
    match scope {
        Scope::Symbol(symbol) => promised(rule, &symbol, metric),
        Scope::Watchlist => format!("{} each", promised(rule, &"any symbol", metric)),
    }
}

/// The same of several symbols that were named before: `when the volume of one of them is ..., at most once
/// an hour each`.
pub fn promise_of_several(rule: &Rule, metric: Metric) -> String {
    format!("{} each", promised(rule, &"one of them", metric))
}

fn promised(rule: &Rule, of: &dyn Display, metric: Metric) -> String {
    let pace = match rule.cooldown_seconds {
        0 => "every time".to_owned(),
        60 => "at most once a minute".to_owned(),
        3_600 => "at most once an hour".to_owned(),
        86_400 => "at most once a day".to_owned(),
        seconds => format!("at most once in {}", duration(seconds)),
    };
    format!("when {}, {pace}", requirement(rule, of, metric))
}

/// What a rule asks of a bar of `of`: `the volume of NVDA is at least 3 times its average of the last hour`.
pub fn requirement(rule: &Rule, of: impl Display, metric: Metric) -> String {
    let value = format!("the {} of {of}", words(metric).noun);
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
            format!("{of} {moves} {} % or more {since}", millionths(percent))
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
    let exact = plain(level, Price::PLACES);
    match metric.unit() {
        Unit::Dollars => dollars(&exact),
        Unit::Shares | Unit::Trades => quantity(metric, group(&exact)),
    }
}

/// An amount with what it counts: `9,637,512 shares`, `1 trade`; dollars as they are.
pub fn quantity(metric: Metric, amount: String) -> String {
    match counted(metric.unit()) {
        None => amount,
        Some((one, _)) if amount == "1" => format!("1 {one}"),
        Some((_, many)) => format!("{amount} {many}"),
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

/// The start of a bar as New York's clocks show it: `13:57`, and `13:57:05` of one that begins within a
/// minute.
pub fn clock(start: Second) -> String {
    shown(start, clock_format(start))
}

/// What a bar covers, as it follows "that": `minute`, and `time` of one that begins within a minute.
pub fn slot(start: Second) -> &'static str {
    if is_within_a_minute(start) { "time" } else { "minute" }
}

/// One of several bars: `minute`, and `bar` of one that begins within a minute.
pub fn bar(start: Second) -> &'static str {
    if is_within_a_minute(start) { "bar" } else { "minute" }
}

/// Several bars: `minutes`, and `bars` where they begin within minutes, as this one does.
pub fn slots(start: Second) -> &'static str {
    if is_within_a_minute(start) { "bars" } else { "minutes" }
}

/// Bars of a minute begin with it. Of shorter ones some do, and are told of as those of a minute are: nothing
/// on an alert says how long its bar is.
fn is_within_a_minute(start: Second) -> bool {
    start.unix().rem_euclid(60) != 0
}

fn clock_format(start: Second) -> &'static str {
    if is_within_a_minute(start) { "%H:%M:%S" } else { "%H:%M" }
}

fn shown(start: Second, format: &str) -> String {
    start.start().to_zoned_datetime(new_york()).strftime(format).to_string()
}

/// A value of a metric, exact and grouped: `9,637,512`, `$1,118.58`. Dollars that changed hands are whole:
/// what is behind them is nobody's price.
pub fn amount(metric: Metric, value: impl Into<i128>) -> String {
    let value = value.into();
    match metric.unit() {
        Unit::Dollars if metric.is_amount() => {
            let whole = divide_half_even(value, Price::DOLLAR.into()).to_string();
            format!("${}", group(&whole))
        }
        Unit::Dollars => dollars(&metric.show(value).to_string()),
        Unit::Shares | Unit::Trades => group(&metric.show(value).to_string()),
    }
}

/// What an alert's value was held against, to three significant digits, prices to the cent: `516,000`,
/// `$37.06`; a level or an earlier price as it is. `none` of an empty window.
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

/// To three significant digits, prices to the cent.
fn figure(metric: Metric, value: f64) -> String {
    match metric.unit() {
        Unit::Dollars if metric.is_amount() => format!("${}", group(&rounded(value, None))),
        Unit::Dollars => dollars(&rounded(value, Some(2))),
        Unit::Shares | Unit::Trades => group(&rounded(value, None)),
    }
}

/// What an alert's value was held against, for a table of evidence: `515,888`, `$37.05625`. `none` of an
/// empty window.
pub fn precise_average(alert: &Alert) -> String {
    let Some(average) = alert.baseline() else { return "none".to_owned() };
    match alert.metric.unit() {
        Unit::Dollars if alert.metric.is_amount() => format!("${}", group(&format!("{average:.0}"))),
        Unit::Dollars => dollars(format!("{average:.6}").trim_end_matches('0').trim_end_matches('.')),
        Unit::Shares | Unit::Trades if average.abs() < 100.0 => format!("{average:.2}"),
        Unit::Shares | Unit::Trades => group(&format!("{average:.0}")),
    }
}

/// How many times its baseline the alert's value was, to what matters: `18.7`, `1,204`. `None` where the
/// baseline is not above zero.
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

/// The start of a bar as New York's clocks and calendars show it: `Monday, January 27, 2025, 13:57 EST`, with
/// seconds where [`clock`] has them.
pub fn new_york_time(start: Second) -> String {
    shown(start, &format!("%A, %B %-d, %Y, {} %Z", clock_format(start)))
}

/// The same, short: `Mon, Jan 27, 13:57 EST`.
pub fn short_new_york_time(start: Second) -> String {
    shown(start, &format!("%a, %b %-d, {} %Z", clock_format(start)))
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
mod tests;
