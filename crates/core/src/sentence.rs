//! Alerts in words, the same words in mails and on pages: a sentence with its numbers, then the figures alone.
//!
//! Values are exact; averages and ratios are rounded to what a reader can use. The numbers behind them are on
//! the alert.

use crate::calendar::new_york;
use crate::{Alert, Metric, Minute};

/// The alert in a few words, for subjects and titles: `NVDA volume 18.7x its last hour`.
///
/// `window` is the length of the rule's trailing window, in minutes.
pub fn headline(alert: &Alert, window: u16) -> String {
    let Alert { symbol, metric, value, .. } = alert;
    match ratio(alert) {
        Some(ratio) => format!("{symbol} {metric} {ratio}x its last {}", span(window)),
        None => format!("{symbol} {metric} {}", amount(*metric, *value)),
    }
}

/// The alert in a sentence: `NVDA traded 9,637,512 shares at 13:57 New York time, 18.7 times its average of
/// the last hour, 516,000.`
///
/// `window` is the length of the rule's trailing window, in minutes.
pub fn sentence(alert: &Alert, window: u16) -> String {
    let value = amount(alert.metric, alert.value);
    let what = match (alert.metric, alert.value) {
        (Metric::Price, _) => format!("was at {value}"),
        (Metric::Volume, 1) => "traded 1 share".to_owned(),
        (Metric::Volume, _) => format!("traded {value} shares"),
    };
    let when = alert.start.start().to_zoned_datetime(new_york()).strftime("%H:%M").to_string();
    let compared = match ratio(alert) {
        Some(ratio) => {
            format!(", {ratio} times its average of the last {}, {}", span(window), average(alert))
        }
        None => String::new(),
    };
    format!("{} {what} at {when} New York time{compared}.", alert.symbol)
}

/// A value of a metric, exact and grouped: `9,637,512`, `$1,118.58`.
pub fn amount(metric: Metric, value: i64) -> String {
    let exact = metric.show(value).to_string();
    match metric {
        Metric::Price => dollars(&exact),
        Metric::Volume => group(&exact),
    }
}

/// The trailing average of an alert to three significant digits, prices to the cent: `516,000`, `$37.06`.
/// `none` of an empty window.
pub fn average(alert: &Alert) -> String {
    let average = alert.average();
    match alert.metric {
        _ if alert.window_bars == 0 => "none".to_owned(),
        Metric::Price => dollars(&rounded(average, Some(2))),
        Metric::Volume => group(&rounded(average, None)),
    }
}

/// The trailing average of an alert for a table of evidence: `515,888`, `$37.05625`. `none` of an empty
/// window.
pub fn precise_average(alert: &Alert) -> String {
    let average = alert.average();
    match alert.metric {
        _ if alert.window_bars == 0 => "none".to_owned(),
        Metric::Price => dollars(format!("{average:.6}").trim_end_matches('0').trim_end_matches('.')),
        Metric::Volume if average.abs() < 100.0 => format!("{average:.2}"),
        Metric::Volume => group(&format!("{average:.0}")),
    }
}

/// How many times its trailing average the alert's value was, to what matters: `18.7`, `1,204`. `None` where
/// the average is not above zero.
pub fn ratio(alert: &Alert) -> Option<String> {
    let ratio = alert.ratio();
    (alert.window_sum > 0 && alert.window_bars > 0).then(|| {
        let decimals = if ratio < 100.0 { 1 } else { 0 };
        group(&format!("{ratio:.decimals$}"))
    })
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

/// A minute as New York's clocks and calendars show it: `Monday, January 27, 2025, 13:57 EST`.
pub fn new_york_time(minute: Minute) -> String {
    minute.start().to_zoned_datetime(new_york()).strftime("%A, %B %-d, %Y, %H:%M %Z").to_string()
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
    use crate::{AlertId, AlertState, Price};
    use proptest::prelude::*;

    fn alert(metric: Metric, value: i64, window_sum: i64, window_bars: u16) -> Alert {
        let symbol = "NVDA".parse().unwrap();
        let start = Minute::containing("2025-01-27T18:57:00Z".parse().unwrap());
        Alert {
            id: AlertId::derive("spike", symbol, metric, start),
            rule: "spike".to_owned(),
            symbol,
            metric,
            start,
            value,
            window_sum,
            window_bars,
            feed: "iex".parse().unwrap(),
            revision: 0,
            state: AlertState::Raised,
            raised_at: start.end(),
            occurrences: Vec::new(),
        }
    }

    #[test]
    fn a_volume_spike_in_words() {
        let alert = alert(Metric::Volume, 9_637_512, 515_888 * 60, 60);
        assert_eq!(headline(&alert, 60), "NVDA volume 18.7x its last hour");
        assert_eq!(
            sentence(&alert, 60),
            "NVDA traded 9,637,512 shares at 13:57 New York time, 18.7 times its average of the last hour, \
             516,000."
        );
    }

    #[test]
    fn a_price_spike_in_words() {
        let alert = alert(Metric::Price, 118_580_000_000, 37_056_250_000 * 40, 40);
        assert_eq!(headline(&alert, 90), "NVDA price 3.2x its last 90 minutes");
        assert_eq!(
            sentence(&alert, 120),
            "NVDA was at $118.58 at 13:57 New York time, 3.2 times its average of the last 2 hours, $37.06."
        );
    }

    #[test]
    fn the_evening_before_in_new_york_is_told_as_such() {
        let midnight = Minute::containing("2025-07-04T00:30:00Z".parse().unwrap());
        assert_eq!(new_york_time(midnight), "Thursday, July 3, 2025, 20:30 EDT");
    }

    #[test]
    fn an_average_of_zero_or_of_nothing_makes_no_ratio() {
        for alert in [alert(Metric::Volume, 1, 0, 60), alert(Metric::Volume, 1, 9, 0)] {
            assert_eq!(headline(&alert, 60), "NVDA volume 1");
            assert_eq!(sentence(&alert, 60), "NVDA traded 1 share at 13:57 New York time.");
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
            prop_assert!(headline(&alert, window).starts_with("NVDA "));
            prop_assert!(sentence(&alert, window).ends_with('.'));
            prop_assert!(!average(&alert).is_empty() && !precise_average(&alert).is_empty());
        }

        #[test]
        fn an_average_is_told_within_half_a_percent(sum in 1_000_i64..9_000_000_000_000, bars in 1_u16..720) {
            let alert = alert(Metric::Volume, 1, sum, bars);
            let told: f64 = average(&alert).replace(',', "").parse().unwrap();
            prop_assert!((told / alert.average() - 1.0).abs() <= 0.005_000_1, "{told}");
        }
    }
}
