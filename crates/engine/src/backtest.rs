//! What a rule would have told, of the bars of a store, by the very code that runs live.

pub use qqq_core::alert::backtest::{BacktestQuery, metrics_of};

use crate::archive::{ArchiveError, History};
use qqq_core::alert::backtest::{Backtest, Report};
use qqq_core::{Bar, Calendar, Metric, Symbol};
use qqq_store::StoreError;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Symbols read and judged at once.
const AT_ONCE: usize = 4;
/// Bars read from the store in one go.
const PAGE: usize = 50_000;
/// Bars judged before others have their turn.
const BREATH: usize = 2_000;

/// Tests a rule on the bars of a store and its archive. Reads some symbols side by side, a page at a time.
pub async fn backtest(
    history: &History,
    calendar: &Arc<Calendar>,
    query: &BacktestQuery,
) -> Result<Report, ArchiveError> {
    let mut report = Report::keeping(query.most);
    let mut running = JoinSet::new();
    let mut symbols = query.symbols.iter();
    loop {
        while running.len() < AT_ONCE
            && let Some(&symbol) = symbols.next()
        {
            let (history, calendar, query) = (history.clone(), Arc::clone(calendar), query.clone());
            running.spawn(async move { of_symbol(&history, &calendar, &query, symbol).await });
        }
        match running.join_next().await {
            None => return Ok(report),
            Some(Ok(found)) => report.merge(found?),
            Some(Err(panic)) => return Err(StoreError::Backend(format!("a backtest failed: {panic}")).into()),
        }
    }
}

async fn of_symbol(
    history: &History,
    calendar: &Calendar,
    query: &BacktestQuery,
    symbol: Symbol,
) -> Result<Report, ArchiveError> {
    let mut test = SymbolBacktest::new(query, symbol, calendar);
    let mut next = query.reach(calendar);
    loop {
        let page = history.bars(symbol, next..query.range.end, PAGE).await?;
        let Some(last) = page.last() else { break };
        next = last.start.plus_seconds(1);
        for bars in page.chunks(BREATH) {
            test.take(bars);
            // Judging takes a while: others may want the thread.
            tokio::task::yield_now().await;
        }
        if page.len() < PAGE {
            break;
        }
    }
    Ok(test.finish())
}

/// A backtest of one symbol, over bars from wherever they come.
pub struct SymbolBacktest {
    of_metrics: Vec<Backtest>,
    most: usize,
}

impl SymbolBacktest {
    /// Tests all metrics of the query.
    pub fn new(query: &BacktestQuery, symbol: Symbol, calendar: &Calendar) -> Self {
        let from = query.range.start;
        let of_metric = |&metric: &Metric| {
            Backtest::new(query.rule, query.house, symbol, metric, calendar, from).keeping(query.most)
        };
        Self { of_metrics: query.metrics.iter().map(of_metric).collect(), most: query.most }
    }

    /// Takes the next bars: of the symbol, oldest first, from the query's [reach](BacktestQuery::reach) to
    /// its end.
    pub fn take(&mut self, bars: &[Bar]) {
        for test in &mut self.of_metrics {
            bars.iter().for_each(|bar| test.take(bar));
        }
    }

    /// What came of it.
    pub fn finish(self) -> Report {
        let mut report = Report::keeping(self.most);
        for test in self.of_metrics {
            let found = test.finish();
            // Bars are those of the symbol, whatever number of metrics was looked at.
            let bars = found.bars;
            report.merge(found);
            report.bars = bars;
        }
        report
    }
}
