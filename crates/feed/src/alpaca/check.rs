//! Compares the bars that are made of trades with the minute bars that Alpaca makes of the same: pure.
//!
//! Alpaca tells its bar right after the minute, and again half a minute later where late trades changed it.
//! So a minute is compared once both had time to settle. What differs is told, and counted by symbol and New
//! York day; nothing is changed by it: which of the two is right is not known, and a minute says nothing of
//! its seconds.

use crate::StreamEvent;
use crate::trades::Aggregator;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use qqq_core::market::calendar::new_york;
use qqq_core::{Bar, Price, Second, Symbol};
use std::collections::{BTreeMap, BTreeSet};

/// How long after a minute its bars are compared. Within the time for which trades are remembered.
pub const SETTLED: SignedDuration = SignedDuration::from_mins(2);

/// The minutes still to be compared, and how those before came off.
#[derive(Debug, Default)]
pub struct Check {
    told: BTreeMap<(Second, Symbol), Bar>,
    next: Option<Second>,
    day: Option<Date>,
    tallies: BTreeMap<Symbol, Tally>,
}

/// How a symbol's minutes of a day came off.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Tally {
    compared: u32,
    differed: u32,
}

impl Check {
    /// Takes a minute bar of Alpaca, or a newer version of one.
    pub fn take(&mut self, bar: Bar) {
        self.told.insert((bar.start, bar.symbol), bar);
    }

    /// Compares what has settled at `complete`, of `symbols`. Answers what became of symbols: that they
    /// differ, in words, or that they do so no more, as a new day began.
    pub fn due(
        &mut self,
        complete: Timestamp,
        trades: &Aggregator,
        symbols: &BTreeSet<Symbol>,
    ) -> Vec<StreamEvent> {
        let settled = complete.checked_sub(SETTLED).unwrap_or(Timestamp::MIN);
        // The first minute that is not over for so long.
        let until = Second::minute_of(settled);
        let mut minute = *self.next.get_or_insert(until);
        let mut events = Vec::new();
        if minute >= until {
            return events;
        }
        self.next = Some(until);
        // After a leap of the clock nothing is remembered of what lies far behind.
        minute = minute.max(until.plus_minutes(-5));
        while minute < until {
            self.begin_day(minute, &mut events);
            // What came before the connection did, or was cut by its loss, is not whole.
            if trades.is_whole(minute) {
                for &symbol in symbols {
                    let theirs = self.told.get(&(minute, symbol)).copied();
                    let ours = trades.bar_over(symbol, minute..minute.plus_minutes(1));
                    events.extend(self.compare(symbol, minute, ours, theirs));
                }
            }
            minute = minute.plus_minutes(1);
        }
        self.told.retain(|(start, _), _| *start >= until);
        events
    }

    fn begin_day(&mut self, minute: Second, events: &mut Vec<StreamEvent>) {
        let day = minute.start().to_zoned_datetime(new_york()).date();
        if self.day.replace(day) != Some(day) {
            let tallies = std::mem::take(&mut self.tallies);
            let differed = tallies.into_iter().filter(|(_, tally)| tally.differed > 0);
            events.extend(differed.map(|(symbol, _)| StreamEvent::SymbolProblem { symbol, problem: None }));
        }
    }

    fn compare(
        &mut self,
        symbol: Symbol,
        minute: Second,
        ours: Option<Result<Bar, String>>,
        theirs: Option<Bar>,
    ) -> Option<StreamEvent> {
        let difference = match (ours, theirs) {
            (None, None) => return None,
            (Some(Ok(ours)), Some(theirs)) => difference(&ours, &theirs),
            (Some(Err(reason)), _) => Some(format!("its trades make no bar ({reason})")),
            (Some(Ok(_)), None) => Some("alpaca has none of it".to_owned()),
            (None, Some(_)) => Some("its trades make none".to_owned()),
        };
        let tally = self.tallies.entry(symbol).or_default();
        tally.compared += 1;
        let difference = difference?;
        tally.differed += 1;
        let Tally { compared, differed } = *tally;
        let minutes = if compared == 1 { "minute" } else { "minutes" };
        let at = minute.start().to_zoned_datetime(new_york()).strftime("%H:%M");
        let problem = format!(
            "the bars made of its trades differ from alpaca's own minute bar in {differed} of {compared} \
             {minutes} today, last at {at} New York time: {difference}"
        );
        Some(StreamEvent::SymbolProblem { symbol, problem: Some(problem) })
    }
}

/// How two bars of a minute differ, `None` where they do not. Alpaca tells averages to six decimals.
fn difference(ours: &Bar, theirs: &Bar) -> Option<String> {
    let mut told: Vec<String> = Vec::new();
    let mut tell = |name: &str, ours: String, theirs: String| {
        if ours != theirs {
            told.push(format!("{name} {ours}, alpaca says {theirs}"));
        }
    };
    for (name, ours, theirs) in [
        ("open", ours.open, theirs.open),
        ("high", ours.high, theirs.high),
        ("low", ours.low, theirs.low),
        ("close", ours.close, theirs.close),
    ] {
        tell(name, ours.to_string(), theirs.to_string());
    }
    tell("volume", ours.volume.to_string(), theirs.volume.to_string());
    if let (Some(ours), Some(theirs)) = (ours.trades, theirs.trades) {
        tell("number of trades", ours.to_string(), theirs.to_string());
    }
    if let (Some(ours), Some(theirs)) = (ours.vwap, theirs.vwap)
        && (ours.nanos() - theirs.nanos()).abs() > MILLIONTH
    {
        tell("average", ours.to_string(), theirs.to_string());
    }
    (!told.is_empty()).then(|| told.join("; "))
}

/// A millionth of a dollar.
const MILLIONTH: i64 = Price::DOLLAR / 1_000_000;
