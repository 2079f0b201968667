//! What is known of the market, and what changes it.

use crate::api::{Alert, Bar, DayChange, Sparkline, Statistics, Status, Symbol, Unusual};
use crate::events::Event;
use serde::Deserialize;
use std::collections::HashMap;

/// Alerts held.
const MOST_ALERTS: usize = 200;
/// The score from which a symbol is shown as unusual: that of a volume of three times its average.
pub(crate) const UNUSUAL: f64 = 2.585;

/// Everything that is shown.
#[derive(Debug, Default)]
pub(crate) struct Market {
    /// In the order of the watchlist.
    pub(crate) symbols: Vec<Symbol>,
    /// Newest first.
    pub(crate) alerts: Vec<Alert>,
    pub(crate) sparklines: HashMap<String, Vec<f64>>,
    pub(crate) status: Status,
    /// The id of the newest event taken.
    pub(crate) last_event: String,
    /// Whether the stream is heard.
    pub(crate) is_connected: bool,
}

#[derive(Deserialize)]
struct BarEvent {
    symbol: String,
    #[serde(flatten)]
    bar: Bar,
}

#[derive(Deserialize)]
struct StatisticsEvent {
    symbol: String,
    day_change: Option<DayChange>,
    statistics: Statistics,
    unusual: Option<Unusual>,
}

/// What an event changed.
#[derive(Debug, PartialEq)]
pub(crate) enum Change {
    /// Nothing that is shown.
    Nothing,
    /// Something that is.
    Shown,
    /// A bar of a symbol.
    Bar(String, Bar),
}

impl Market {
    pub(crate) fn new(symbols: Vec<Symbol>, alerts: Vec<Alert>, position: String) -> Self {
        let mut market = Self { symbols, last_event: position, ..Self::default() };
        for alert in alerts {
            market.take_alert(alert);
        }
        market
    }

    pub(crate) fn take_sparklines(&mut self, lines: Vec<Sparkline>) {
        self.sparklines = lines
            .into_iter()
            .map(|line| (line.symbol, line.closes.into_iter().flatten().collect()))
            .collect();
    }

    pub(crate) fn symbol(&self, symbol: &str) -> Option<&Symbol> {
        self.symbols.iter().find(|one| one.symbol == symbol)
    }

    /// Takes in an event; one that cannot be read is passed over: a newer server may tell more.
    pub(crate) fn take(&mut self, event: &Event) -> Change {
        let change = match event.name.as_str() {
            "bar" => serde_json::from_str(&event.data).map_or(Change::Nothing, |bar| self.take_bar(bar)),
            "stats" => serde_json::from_str(&event.data)
                .map_or(Change::Nothing, |statistics| self.take_statistics(statistics)),
            "alert" => serde_json::from_str(&event.data).map_or(Change::Nothing, |alert| {
                self.take_alert(alert);
                Change::Shown
            }),
            "status" => serde_json::from_str(&event.data).map_or(Change::Nothing, |status| {
                self.status = status;
                Change::Shown
            }),
            _ => Change::Nothing,
        };
        if !event.id.is_empty() {
            event.id.clone_into(&mut self.last_event);
        }
        change
    }

    fn take_bar(&mut self, BarEvent { symbol, bar }: BarEvent) -> Change {
        let Some(known) = self.symbols.iter_mut().find(|one| one.symbol == symbol) else {
            return Change::Nothing;
        };
        // Times of one form sort as texts.
        if known.bar.as_ref().is_none_or(|newest| newest.start <= bar.start) {
            let line = self.sparklines.entry(symbol.clone()).or_default();
            let is_of_a_new_day =
                known.bar.as_ref().is_some_and(|newest| newest.start.get(..10) != bar.start.get(..10));
            extend(line, &bar, is_of_a_new_day);
            known.bar = Some(bar.clone());
        }
        Change::Bar(symbol, bar)
    }

    fn take_statistics(&mut self, event: StatisticsEvent) -> Change {
        let Some(known) = self.symbols.iter_mut().find(|one| one.symbol == event.symbol) else {
            return Change::Nothing;
        };
        known.statistics = event.statistics;
        if let Some(change) = event.day_change {
            known.day_change = Some(change);
        }
        if let Some(unusual) = event.unusual {
            known.unusual = unusual;
        }
        Change::Shown
    }

    fn take_alert(&mut self, alert: Alert) {
        self.alerts.retain(|known| known.id != alert.id);
        let place =
            self.alerts.partition_point(|known| (&known.start, &known.id) > (&alert.start, &alert.id));
        self.alerts.insert(place, alert);
        self.alerts.truncate(MOST_ALERTS);
    }
}

/// A line has a close for every five minutes: the last one in them.
fn extend(line: &mut Vec<f64>, bar: &Bar, is_of_a_new_day: bool) {
    if is_of_a_new_day {
        line.clear();
    }
    let begins = bar
        .start
        .get(14..16)
        .and_then(|minute| minute.parse::<u8>().ok())
        .is_some_and(|minute| minute % 5 == 0);
    match line.last_mut() {
        Some(last) if !begins => *last = bar.close,
        _ => line.push(bar.close),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, id: &str, data: &str) -> Event {
        Event { name: name.to_owned(), id: id.to_owned(), data: data.to_owned() }
    }

    fn market() -> Market {
        let symbol = r#"{"symbol":"NVDA","name":null,"bar":null,"day_change":null,
            "statistics":{"volume":{"ratio":null}},
            "unusual":{"score":null,"relative_volume":{"ratio":null}}}"#;
        Market::new(vec![serde_json::from_str(symbol).unwrap()], Vec::new(), "7".to_owned())
    }

    const BAR: &str =
        r#"{"symbol":"NVDA","start":"2025-01-31T20:01:00Z","high":2,"low":1,"close":1.5,"volume":9}"#;

    #[test]
    fn events_change_what_is_known_and_what_cannot_be_read_changes_nothing() {
        let mut market = market();
        let Change::Bar(symbol, bar) = market.take(&event("bar", "8.b.1.NVDA", BAR)) else { panic!() };
        assert_eq!((symbol.as_str(), bar.close, &*market.last_event), ("NVDA", 1.5, "8.b.1.NVDA"));
        assert_eq!(market.symbols[0].bar, Some(bar));
        let older = BAR.replace("20:01", "20:00").replace("1.5", "1.1");
        market.take(&event("bar", "9.b.1.NVDA", &older));
        assert_eq!(market.symbols[0].bar.as_ref().unwrap().close, 1.5, "a late bar is not the newest");
        let statistics = r#"{"symbol":"NVDA","day_change":{"percent":-3.5},
            "statistics":{"volume":{"ratio":4}},
            "unusual":{"score":2.9,"relative_volume":{"ratio":1.8}}}"#;
        assert_eq!(market.take(&event("stats", "", statistics)), Change::Shown);
        assert_eq!(market.symbols[0].unusual.score, Some(2.9));
        assert_eq!(market.last_event, "9.b.1.NVDA", "an event without an id is no place to go on from");
        for (name, data) in
            [("bar", "{}"), ("stats", "[]"), ("later", "1"), ("bar", &BAR.replace("NVDA", "X"))]
        {
            assert_eq!(market.take(&event(name, "", data)), Change::Nothing, "{name} {data}");
        }
    }

    #[test]
    fn a_line_has_a_close_for_every_five_minutes_of_one_day() {
        let mut market = market();
        for (start, close) in [
            ("2025-01-30T20:59:00Z", 9.0),
            ("2025-01-31T14:30:00Z", 1.0),
            ("2025-01-31T14:31:00Z", 2.0),
            ("2025-01-31T14:34:00Z", 3.0),
            ("2025-01-31T14:35:00Z", 4.0),
        ] {
            let bar = BAR.replace("2025-01-31T20:01:00Z", start).replace("1.5", &close.to_string());
            market.take(&event("bar", "", &bar));
        }
        assert_eq!(market.sparklines["NVDA"], [3.0, 4.0]);
    }

    #[test]
    fn an_alert_told_again_is_the_same_alert_and_the_newest_stands_first() {
        let mut market = market();
        let alert = |id: &str, start: &str, state: &str| {
            let data = format!(
                r#"{{"id":"{id}","symbol":"NVDA","start":"{start}","state":"{state}","headline":"h"}}"#
            );
            event("alert", "", &data)
        };
        market.take(&alert("a", "2025-01-31T20:00:00Z", "raised"));
        market.take(&alert("b", "2025-01-31T20:05:00Z", "raised"));
        market.take(&alert("a", "2025-01-31T20:00:00Z", "retracted"));
        let told: Vec<_> = market.alerts.iter().map(|one| (&*one.id, &*one.state)).collect();
        assert_eq!(told, [("b", "raised"), ("a", "retracted")]);
    }
}
