use super::*;
use proptest::prelude::*;
use qqq_core::alert::Folded;
use qqq_core::decimal::{Excess, parse};
use qqq_core::{AlertId, AlertRule, AlertState, SpikeRule, U256, Visibility};

fn alert(metric: Metric, value: i128, sum: i128, bars: u32) -> Alert {
    with(metric, value, Evidence::Average { sum, bars })
}

fn spike(window: u16) -> Rule {
    let condition = Condition::Spike { ratio: 3_000_000, window, min_bars: 1 };
    Rule { condition, ..rule("spike") }
}

fn by(rule: Rule, alert: &Alert) -> Alert {
    Alert { rule: AlertRule::Own(rule), ..alert.clone() }
}

fn rule(text: &str) -> Rule {
    text.parse().unwrap()
}

fn with(metric: Metric, value: i128, evidence: Evidence) -> Alert {
    let symbol = "NVDA".parse().unwrap();
    let start = Second::minute_of("2025-01-27T18:57:00Z".parse().unwrap());
    Alert {
        id: AlertId::derive("spike", symbol, metric, start),
        rule: AlertRule::House(SpikeRule::default().into()),
        symbol,
        metric,
        start,
        value,
        evidence,
        feed: "iex".parse().unwrap(),
        revision: 0,
        state: AlertState::Raised,
        raised_at: start.minute_end(),
        visibility: Visibility::Public,
        occurrences: Vec::new(),
        folded: Folded::default(),
        close: None,
        previous_close: None,
    }
}

#[test]
fn a_volume_spike_in_words() {
    let alert = alert(Metric::Volume, 9_637_512, 515_888 * 60, 60);
    assert_eq!(headline(&by(spike(60), &alert)), "NVDA volume 18.7x its last hour");
    assert_eq!(
        sentence(&by(spike(60), &alert)),
        "NVDA traded 9,637,512 shares at 13:57 New York time, 18.7 times its average of the last hour, \
         516,000."
    );
}

#[test]
fn an_alert_on_volume_tells_the_price_and_the_change_of_the_day() {
    let volume = alert(Metric::Volume, 9_637_512, 515_888 * 60, 60);
    let told = |close: &str, previous: Option<&str>| {
        let close = close.parse().ok();
        let previous_close = previous.and_then(|text| text.parse().ok());
        sentence(&Alert { close, previous_close, ..volume.clone() })
    };
    let ends = |told: String, end: &str| assert!(told.ends_with(&format!(", 516,000.{end}")), "{told}");
    ends(told("118.42", Some("122.7")), " The price was $118.42 (-3.49 % on the day).");
    ends(told("1118.5", Some("1000")), " The price was $1,118.50 (+11.85 % on the day).");
    ends(told("118.42", Some("118.42")), " The price was $118.42 (unchanged on the day).");
    ends(told("118.42", None), " The price was $118.42.");
    ends(sentence(&volume), "");
    // Of an alert on the price, it is the value.
    let close = "118.42".parse().ok();
    let price = Alert { metric: Metric::Price, close, previous_close: close, ..volume };
    assert!(!sentence(&price).contains("The price was"), "{}", sentence(&price));
}

/// Dollars that changed hands are told whole; what is counted is told with what it counts.
#[test]
fn further_metrics_in_words() {
    let cents = |cents: i128| cents * 10_000_000;
    for (metric, value, sum, few, more) in [
        (
            Metric::Trades,
            9_120,
            1_216 * 60,
            "NVDA trades 7.5x its last hour",
            "NVDA saw 9,120 trades at 13:57 New York time, 7.5 times its average of the last hour, 1,220.",
        ),
        (
            Metric::Notional,
            cents(114_128_731_849) + 1,
            cents(12_345_678_912) * 60,
            "NVDA notional 9.2x its last hour",
            "NVDA turned over $1,141,287,318 at 13:57 New York time, \
             9.2 times its average of the last hour, $123,000,000.",
        ),
        (
            Metric::Range,
            cents(131),
            cents(20) * 60,
            "NVDA range 6.5x its last hour",
            "NVDA ranged over $1.31 at 13:57 New York time, 6.5 times its average of the last hour, $0.200.",
        ),
        (
            Metric::Return,
            cents(64) + 5_000_000,
            cents(5) * 60,
            "NVDA return 12.9x its last hour",
            "NVDA moved by $0.645 at 13:57 New York time, 12.9 times its average of the last hour, $0.0500.",
        ),
    ] {
        let alert = alert(metric, value, sum, 60);
        assert_eq!(headline(&by(spike(60), &alert)), few);
        assert_eq!(sentence(&by(spike(60), &alert)), more);
    }
    let asks = |text: &str, metric| requirement(&rule(text), "NVDA", metric);
    assert_eq!(
        asks("cross above=50000000", Metric::Notional),
        "the notional of NVDA rises to $50,000,000.00 or above"
    );
    assert_eq!(
        asks("cross above=5000", Metric::Trades),
        "the number of trades of NVDA rises to 5,000 trades or above"
    );
}

#[test]
fn a_price_spike_in_words() {
    let alert = alert(Metric::Price, 118_580_000_000, 37_056_250_000 * 40, 40);
    assert_eq!(headline(&by(spike(90), &alert)), "NVDA price 3.2x its last 90 minutes");
    assert_eq!(
        sentence(&by(spike(120), &alert)),
        "NVDA was at $118.58 at 13:57 New York time, 3.2 times its average of the last 2 hours, $37.06."
    );
}

#[test]
fn every_kind_of_rule_has_its_words() {
    let minute = Second::from_minute(28_966_000);
    let cents = |cents: i128| cents * 10_000_000;
    let window = Evidence::Deviation { sum: 9, squares: U256::new(35), bars: 3 };
    for (text, metric, value, evidence, few, more) in [
        (
            "zscore z=2 window=30m min_bars=2",
            Metric::Volume,
            8,
            window,
            "NVDA volume 2.5 deviations above its last 30 minutes",
            "NVDA traded 8 shares at 13:57 New York time, \
             2.5 standard deviations above its average of the last 30 minutes, 3.00.",
        ),
        (
            "move percent=3 from=15m",
            Metric::Price,
            cents(9_500),
            Evidence::Origin { value: cents(10_000), start: minute },
            "NVDA down 5.00 % in 15 minutes",
            "NVDA was at $95.00 at 13:57 New York time, \
             5.00 % below its price of 15 minutes before, $100.00.",
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
            "NVDA traded 1,500 shares at 13:57 New York time, \
             5.0 times the median of that minute in 18 earlier sessions, 300.",
        ),
    ] {
        let alert = with(metric, value, evidence);
        assert_eq!(headline(&by(rule(text), &alert)), few);
        assert_eq!(sentence(&by(rule(text), &alert)), more);
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
            "the price of NVDA is at least 2.5 times its average of the last 30 minutes \
             in the regular session (again once it was below 2 times), every time",
        ),
        (
            "zscore z=3 cooldown=1d",
            Metric::Volume,
            "the volume of NVDA is at least 3 standard deviations away from its average of the last hour, \
             at most once a day",
        ),
        (
            "zscore z=3 direction=down window=2h trigger=edge session=extended",
            Metric::Price,
            "the price of NVDA is at least 3 standard deviations below its average of the last 2 hours \
             before or after the regular session (the first minute of each run), at most once an hour",
        ),
        (
            "move percent=2 from=15m cooldown=30m",
            Metric::Price,
            "NVDA moves 2 % or more within 15 minutes, at most once in 30 minutes",
        ),
        (
            "move percent=0.5 from=previous_close direction=up trigger=edge rearm=0.4 cooldown=1m",
            Metric::Price,
            "NVDA rises 0.5 % or more from its previous close (again once it was within 0.4 %), \
             at most once a minute",
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
            "the price of NVDA falls to $150.25 or below (again once it was above $151.00), \
             at most once in 7 days",
        ),
        (
            "cross above=1000000",
            Metric::Volume,
            "the volume of NVDA rises to 1,000,000 shares or above, at most once an hour",
        ),
        (
            "time_of_day",
            Metric::Volume,
            "the volume of NVDA is at least 3 times the median of the same minute of the last 20 sessions, \
             at most once an hour",
        ),
    ] {
        let told = promise(&rule(text), "NVDA".parse().unwrap(), metric);
        assert_eq!(told, format!("when {words}"), "{text}");
    }
}

#[test]
fn what_is_about_the_watchlist_or_several_symbols_says_so() {
    let volume = |text: &str| promise(&rule(text), Scope::Watchlist, Metric::Volume);
    assert_eq!(
        volume("spike"),
        "when the volume of any symbol is at least 3 times its average of the last hour, \
         at most once an hour each"
    );
    assert_eq!(
        promise(&rule("move percent=2"), Scope::Watchlist, Metric::Price),
        "when any symbol moves 2 % or more within 15 minutes, at most once an hour each"
    );
    assert_eq!(
        promise_of_several(&rule("move percent=2"), Metric::Price),
        "when one of them moves 2 % or more within 15 minutes, at most once an hour each"
    );
    assert_eq!(about("nvda".parse().unwrap(), Metric::Price), "NVDA price");
    assert_eq!(about(Scope::Watchlist, Metric::Volume), "every symbol's volume");
}

#[test]
fn the_evening_before_in_new_york_is_told_as_such() {
    let midnight = Second::minute_of("2025-07-04T00:30:00Z".parse().unwrap());
    assert_eq!(new_york_time(midnight), "Thursday, July 3, 2025, 20:30 EDT");
}

#[test]
fn a_bar_that_begins_within_a_minute_is_told_to_the_second() {
    let start = Second::minute_of("2025-01-27T18:57:00Z".parse().unwrap()).plus_seconds(5);
    assert_eq!((clock(start), slots(start)), ("13:57:05".to_owned(), "bars"));
    assert_eq!(new_york_time(start), "Monday, January 27, 2025, 13:57:05 EST");
    assert_eq!(short_new_york_time(start), "Mon, Jan 27, 13:57:05 EST");
    let spike = Alert { start, ..alert(Metric::Volume, 9_637_512, 515_888 * 60, 60) };
    assert!(sentence(&spike).starts_with("NVDA traded 9,637,512 shares at 13:57:05 New York time, "));
    let median = Evidence::Median { twice: 601, sessions: 18 };
    let usual = by(rule("time_of_day"), &Alert { start, ..with(Metric::Volume, 1_500, median) });
    assert_eq!(headline(&usual), "NVDA volume 5.0x its usual 13:57:05");
    assert!(sentence(&usual).ends_with("times the median of that time in 18 earlier sessions, 300."));
}

#[test]
fn an_average_of_zero_or_of_nothing_makes_no_ratio() {
    for alert in [alert(Metric::Volume, 1, 0, 60), alert(Metric::Volume, 1, 9, 0)] {
        assert_eq!(headline(&by(spike(60), &alert)), "NVDA volume 1");
        assert_eq!(sentence(&by(spike(60), &alert)), "NVDA traded 1 share at 13:57 New York time.");
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
    assert_eq!(amount(Metric::Price, 118_500_000_000_i64), "$118.50");
    assert_eq!(amount(Metric::Price, 1), "$0.000000001");
    assert_eq!(amount(Metric::Price, -1_500 * Price::DOLLAR), "-$1,500.00");
    assert_eq!(precise_average(&alert(Metric::Volume, 9, 515_888 * 60 + 7, 60)), "515,888");
    assert_eq!(precise_average(&alert(Metric::Volume, 9, 10, 3)), "3.33");
    assert_eq!(precise_average(&alert(Metric::Price, 9, 37_056_250_000 * 60, 60)), "$37.05625");
    assert_eq!(precise_average(&alert(Metric::Price, 9, 1_500 * i128::from(Price::DOLLAR), 1)), "$1,500.00");
    assert_eq!(ratio(&alert(Metric::Volume, 120_400, 100, 1)).unwrap(), "1,204");
}

fn average_of(metric: Metric, value: i64) -> String {
    average(&alert(metric, 1, value.into(), 1))
}

proptest! {
    #[test]
    fn an_exact_amount_reads_back(value: i64, of_price: bool) {
        let metric = if of_price { Metric::Price } else { Metric::Volume };
        let plain = amount(metric, value).replace([',', '$'], "");
        let places = if of_price { Price::PLACES } else { 0 };
        prop_assert_eq!(parse(&plain, places, Excess::Refuse), Ok(value));
    }

    #[test]
    fn commas_stand_between_thousands(value: i64) {
        let text = amount(Metric::Volume, value);
        let groups: Vec<_> = text.trim_start_matches('-').split(',').collect();
        prop_assert!((1..=3).contains(&groups[0].len()));
        prop_assert!(groups[1..].iter().all(|group| group.len() == 3));
    }

    #[test]
    fn any_alert_can_be_told(value: i64, sum: i64, bars: u32, window: u16, of_price: bool) {
        let metric = if of_price { Metric::Price } else { Metric::Volume };
        let alert = alert(metric, value.into(), sum.into(), bars);
        prop_assert!(headline(&by(spike(window), &alert)).starts_with("NVDA "));
        prop_assert!(sentence(&by(spike(window), &alert)).ends_with('.'));
        prop_assert!(!average(&alert).is_empty() && !precise_average(&alert).is_empty());
    }

    #[test]
    fn an_average_is_told_within_half_a_percent(sum in 1_000_i64..9_000_000_000_000, bars in 1_u32..720) {
        let alert = alert(Metric::Volume, 1, sum.into(), bars);
        let told: f64 = average(&alert).replace(',', "").parse().unwrap();
        prop_assert!((told / alert.baseline().unwrap() - 1.0).abs() <= 0.005_000_1, "{told}");
    }
}
