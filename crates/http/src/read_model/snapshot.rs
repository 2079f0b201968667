//! One moment of the store, immutable: tickers, alerts, feed, and the answers made from them so far.

use crate::http::answer::Answer;
use crate::read_model::ranking::{Figured, rank};
use crate::read_model::ticker::Ticker;
use jiff::Timestamp;
use qqq_core::market::names::Names;
use qqq_core::{Alert, Cadence, FeedStatus, Metric, MetricSet, Phase, Second, Symbol};
use qqq_engine::watchlist::VersionedWatchlist;
use qqq_store::{AlertQuery, Sequence};
use std::sync::{Arc, OnceLock};

/// Newest alerts kept in memory; older ones are read from the store.
pub(crate) const ALERTS_KEPT: usize = 500;

/// A lazily made value per ticker. Costs nothing until somebody asks for one.
type PerTicker = OnceLock<Box<[OnceLock<Answer>]>>;

/// One moment, as readers see it.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// The newest commit contained.
    pub(crate) sequence: Sequence,
    /// Wall clock when it was published.
    pub(crate) published_at: Timestamp,
    pub(crate) cadence: Cadence,
    /// What is tracked of bars.
    pub(crate) metrics: MetricSet,
    /// The time it is, by the feed's clock: where the bar starts that is under way.
    pub(crate) time: Second,
    /// What the market does then.
    pub(crate) phase: Phase,
    pub(crate) feed: Option<FeedStatus>,
    pub(crate) watchlist: Arc<VersionedWatchlist>,
    pub(crate) names: Arc<Names>,
    /// By watchlist id.
    pub(crate) tickers: Vec<Arc<Ticker>>,
    /// Those that everybody may read, newest first.
    pub(crate) alerts: Vec<Arc<Alert>>,
    rankings: [[OnceLock<Vec<u32>>; 2]; Metric::ALL.len()],
    ranking_lists: [OnceLock<String>; Metric::ALL.len()],
    legacy: [PerTicker; Metric::ALL.len()],
    details: PerTicker,
    pub(crate) symbols_page: OnceLock<Answer>,
    pub(crate) ranking_pages: [[OnceLock<Answer>; 2]; Metric::ALL.len()],
    pub(crate) alerts_page: OnceLock<Answer>,
    pub(crate) sessions_page: OnceLock<Answer>,
    pub(crate) sparklines_page: OnceLock<Answer>,
}

impl Snapshot {
    pub(crate) fn new(
        sequence: Sequence,
        published_at: Timestamp,
        (cadence, metrics, time, phase): (Cadence, MetricSet, Second, Phase),
        feed: Option<FeedStatus>,
        (watchlist, names): (Arc<VersionedWatchlist>, Arc<Names>),
        tickers: Vec<Arc<Ticker>>,
        alerts: Vec<Arc<Alert>>,
    ) -> Self {
        Self {
            sequence,
            published_at,
            cadence,
            metrics,
            time,
            phase,
            feed,
            watchlist,
            names,
            tickers,
            alerts,
            rankings: Default::default(),
            ranking_lists: Default::default(),
            legacy: Default::default(),
            details: OnceLock::new(),
            symbols_page: OnceLock::new(),
            ranking_pages: Default::default(),
            alerts_page: OnceLock::new(),
            sessions_page: OnceLock::new(),
            sparklines_page: OnceLock::new(),
        }
    }

    /// The tracked symbol that a text means, and its watchlist id.
    pub(crate) fn tracked(&self, text: &str) -> Option<(usize, Symbol)> {
        let list = &self.watchlist.list;
        let symbol = list.resolve(text.parse().ok()?)?;
        Some((list.id(symbol)?, symbol))
    }

    /// The start of the newest bar of all.
    pub(crate) fn newest_start(&self) -> Option<Second> {
        self.tickers.iter().filter_map(|ticker| ticker.newest()).map(|record| record.bar.start).max()
    }

    /// The end of the newest bar of all.
    pub(crate) fn newest_end(&self) -> Option<Timestamp> {
        self.newest_start().map(|start| self.cadence.end(start))
    }

    /// Seconds from the end of the bar that starts here to [`Snapshot::time`].
    pub(crate) fn age_seconds(&self, start: Second) -> i64 {
        self.time.seconds_since(self.cadence.after(start)).max(0)
    }

    /// The alerts a query asks for, newest first, where those in memory are enough to answer it like the
    /// store would. As many as there are, so more than the query's limit where there is another page.
    pub(crate) fn alerts_of(&self, query: &AlertQuery) -> Option<Vec<&Arc<Alert>>> {
        let AlertQuery { symbol, metric, rule, since, after, limit, private_too: _ } = *query;
        let found: Vec<_> = self
            .alerts
            .iter()
            .skip_while(|alert| after.is_some_and(|after| (alert.start, alert.id) >= after))
            .take_while(|alert| since.is_none_or(|since| alert.start >= since))
            .filter(|alert| symbol.is_none_or(|symbol| alert.symbol == symbol))
            .filter(|alert| metric.is_none_or(|metric| alert.metric == metric))
            .filter(|alert| rule.is_none_or(|rule| alert.rule.name() == rule))
            .collect();
        // Older ones than the oldest held are in the store alone, some of the oldest's minute among them.
        let all_held = self.alerts.len() < ALERTS_KEPT;
        let oldest = self.alerts.last().map(|alert| alert.start);
        let since_held = since.is_some_and(|since| oldest.is_some_and(|oldest| oldest < since));
        (all_held || since_held || found.len() > limit).then_some(found)
    }

    /// Watchlist ids, in the order of a ranking.
    pub(crate) fn ranking(&self, metric: Metric, by: Figured) -> &[u32] {
        self.rankings[metric as usize][by as usize].get_or_init(|| rank(&self.tickers, metric, by))
    }

    /// The tickers in the order of a ranking.
    pub(crate) fn ranked(&self, metric: Metric, by: Figured) -> impl Iterator<Item = &Arc<Ticker>> {
        self.ranking(metric, by).iter().filter_map(|&index| self.tickers.get(index as usize))
    }

    /// The answer of `GET /{ticker}/{metric}`.
    pub(crate) fn legacy(&self, id: usize, metric: Metric) -> Option<&Answer> {
        self.per_ticker(&self.legacy[metric as usize], id, |ticker| {
            let key = if metric == Metric::Price { "prices" } else { metric.as_str() };
            let (list, rankings) = (ticker.list(metric), self.ranking_list(metric));
            Answer::json(format!("{{\"{key}\":{list},\"rankings\":{rankings}}}").into_bytes())
        })
    }

    /// The answer of `GET /v1/symbols/{symbol}`, made by `render` when it is the first of this snapshot.
    pub(crate) fn detail(&self, id: usize, render: impl FnOnce(&Ticker) -> Answer) -> Option<&Answer> {
        self.per_ticker(&self.details, id, render)
    }

    fn per_ticker<'a>(
        &'a self,
        answers: &'a PerTicker,
        id: usize,
        render: impl FnOnce(&Ticker) -> Answer,
    ) -> Option<&'a Answer> {
        let answers = answers.get_or_init(|| self.tickers.iter().map(|_| OnceLock::new()).collect());
        let ticker = self.tickers.get(id)?;
        Some(answers.get(id)?.get_or_init(|| render(ticker)))
    }

    /// `["TSLA","NVDA"]`: the legacy ranking, by `stdev`.
    fn ranking_list(&self, metric: Metric) -> &str {
        self.ranking_lists[metric as usize].get_or_init(|| {
            // A symbol holds nothing that JSON would escape.
            let symbols: Vec<_> =
                self.ranked(metric, Figured::Stdev).map(|ticker| format!("\"{}\"", ticker.symbol)).collect();
            format!("[{}]", symbols.join(","))
        })
    }
}
