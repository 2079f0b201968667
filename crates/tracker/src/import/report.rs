//! What an import says: how many rows became what, and of those that became nothing, why.

use indicatif::HumanCount;
use qqq_core::{Split, Symbol};
use qqq_feed::bar_file::RejectedRow;
use qqq_store::Imported;
use std::collections::HashMap;
use std::fmt::Write as _;

/// Faults that are told apart; a file of nothing else must not fill the memory.
const MOST_KINDS: usize = 20;
/// Symbols not tracked that are named.
const MOST_NAMED: usize = 20;
/// Symbols not tracked that are counted one by one.
const MOST_COUNTED: usize = 10_000;

/// What became of the rows.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) rows: u64,
    pub(super) stored: Imported,
    pub(super) outside: u64,
    /// What the store was told of.
    pub(super) splits: Vec<Split>,
    rejected: u64,
    kinds: Vec<Kind>,
    not_tracked: u64,
    by_symbol: HashMap<Symbol, u64>,
}

/// Rows with one fault.
#[derive(Debug)]
struct Kind {
    name: String,
    count: u64,
    /// The first of them, in full.
    first: String,
}

impl Report {
    pub(super) fn store(&mut self, imported: Imported) {
        self.stored.new += imported.new;
        self.stored.revised += imported.revised;
        self.stored.unchanged += imported.unchanged;
    }

    pub(super) fn reject(&mut self, row: &RejectedRow) {
        self.rejected += 1;
        if let Some(kind) = self.kinds.iter_mut().find(|kind| kind.name == row.kind) {
            kind.count += 1;
        } else if self.kinds.len() < MOST_KINDS {
            let first = format!("{}: {}", row.place, row.reason);
            self.kinds.push(Kind { name: row.kind.clone(), count: 1, first });
        }
    }

    pub(super) fn pass_over(&mut self, symbol: Symbol) {
        self.not_tracked += 1;
        if self.by_symbol.len() < MOST_COUNTED || self.by_symbol.contains_key(&symbol) {
            *self.by_symbol.entry(symbol).or_default() += 1;
        }
    }

    /// For people: a line of counts, then what did not get in.
    pub(super) fn told(&self, stopped: bool) -> String {
        let count = |number| HumanCount(number).to_string();
        let mut text = format!(
            "{} rows read: {} new, {} revised, {} unchanged, {} rejected\n",
            count(self.rows),
            count(self.stored.new),
            count(self.stored.revised),
            count(self.stored.unchanged),
            count(self.rejected),
        );
        let mut line = |line: String| _ = writeln!(text, "{line}");
        for Split { symbol, ex_date, new, old } in &self.splits {
            line(format!(
                "{symbol} was split {new}:{old} on {ex_date}: \
                 the store knows, and what it held from before was rescaled"
            ));
        }
        for kind in &self.kinds {
            line(format!("{} rejected: {}", count(kind.count), kind.name));
            line(format!("  first: {}", kind.first));
        }
        let told: u64 = self.kinds.iter().map(|kind| kind.count).sum();
        if told < self.rejected {
            line(format!(
                "{} rejected for other reasons (--rejects FILE has them all)",
                count(self.rejected - told)
            ));
        }
        if self.outside > 0 {
            let outside = count(self.outside);
            line(format!(
                "{outside} rows lie outside the hours that count (market.extended_hours, market.calendar)"
            ));
        }
        if self.not_tracked > 0 {
            line(format!(
                "{} rows are of symbols not on the watchlist (watchlist.symbols): {}",
                count(self.not_tracked),
                self.symbols()
            ));
        }
        if stopped {
            line("stopped before the end; the same import goes on where it is needed".to_owned());
        }
        text
    }

    /// `IBM 12, T 3`, the most frequent first.
    fn symbols(&self) -> String {
        let mut symbols: Vec<(Symbol, u64)> =
            self.by_symbol.iter().map(|(&symbol, &rows)| (symbol, rows)).collect();
        symbols.sort_by_key(|&(symbol, rows)| (std::cmp::Reverse(rows), symbol));
        let named =
            symbols.iter().take(MOST_NAMED).map(|(symbol, rows)| format!("{symbol} {}", HumanCount(*rows)));
        let mut text = named.collect::<Vec<_>>().join(", ");
        let named: u64 = symbols.iter().take(MOST_NAMED).map(|(_, rows)| rows).sum();
        if named < self.not_tracked {
            let _ = write!(text, ", {} of others", HumanCount(self.not_tracked - named));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(number: usize, kind: &str) -> RejectedRow {
        RejectedRow {
            place: format!("a.csv:line {number}"),
            kind: kind.to_owned(),
            reason: format!("{kind}, and how"),
        }
    }

    #[test]
    fn rejects_are_told_by_kind_with_the_first_of_each() {
        let mut report = Report { rows: 40, ..Report::default() };
        for number in 0..30 {
            report.reject(&rejected(number, if number < 5 { "a" } else { "b" }));
        }
        let told = report.told(false);
        assert_eq!(
            told,
            "40 rows read: 0 new, 0 revised, 0 unchanged, 30 rejected\n\
             5 rejected: a\n  first: a.csv:line 0: a, and how\n\
             25 rejected: b\n  first: a.csv:line 5: b, and how\n"
        );
    }

    #[test]
    fn a_report_stays_short_whatever_was_rejected() {
        let mut report = Report::default();
        for number in 0..1_000 {
            report.reject(&rejected(number, &format!("kind {number}")));
            report.pass_over(format!("S{number}").parse().unwrap());
        }
        report.pass_over("S7".parse().unwrap());
        let told = report.told(true);
        assert_eq!(told.lines().count(), 1 + 2 * MOST_KINDS + 3, "{told}");
        assert!(told.contains("980 rejected for other reasons"), "{told}");
        assert!(
            told.contains("1,001 rows are of symbols not on the watchlist (watchlist.symbols): S7 2, S0 1,"),
            "{told}"
        );
        assert!(told.contains(", 980 of others\n"), "{told}");
    }
}
