//! `qqq-tracker backtest`: what a rule would have told, of stored bars or of those in files, by the very code
//! that runs live and behind `POST /v1/backtests`.
//!
//! ```text
//! files   the bars of files, as a backtest wants them
//! table   what came of it, for people
//! ```

mod files;
mod table;

use crate::cli::BacktestArgs;
use crate::clock::SystemClock;
use crate::config::{Config, ConfigError};
use crate::splits;
use crate::store;
use anyhow::{Context as _, bail};
use files::Found;
use qqq_contract::BacktestOut;
use qqq_core::alert::backtest::{Backtest, Report};
use qqq_core::{Calendar, Clock as _, FeedLabel, Metric, RuleName, Second, SpikeRule, Symbol, Watchlist};
use qqq_engine::archive::History;
use qqq_engine::backtest::{BacktestQuery, SymbolBacktest, backtest, metrics_of};
use qqq_feed::bar_file::Labels;
use qqq_store::Store;
use std::io::Write as _;
use std::ops::Range;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Tests what was asked for and prints what came of it.
pub async fn run(config: &Config, args: &BacktestArgs, stop: CancellationToken) -> anyhow::Result<()> {
    let watched = store::watchlist(config).await?.list;
    let asked = Asked::of(config, &watched, args)?;
    let testing = async {
        if args.files.is_empty() {
            asked.over_the_store(config).await
        } else {
            asked.over_files(config, args).await
        }
    };
    let (query, report) = tokio::select! {
        tested = testing => tested?,
        () = stop.cancelled() => bail!("stopped before the end"),
    };
    let text = if args.json {
        serde_json::to_string(&BacktestOut::new(&query, &report))? + "\n"
    } else {
        table::told(&query, &report)
    };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

/// What is to be tested, and on what.
#[derive(Clone)]
struct Asked {
    rule: RuleName,
    house: SpikeRule,
    metrics: Vec<Metric>,
    /// The symbols, and what they used to be called.
    watchlist: Watchlist,
    calendar: Arc<Calendar>,
    from: Option<Second>,
    to: Option<Second>,
}

impl Asked {
    fn of(config: &Config, watched: &Watchlist, args: &BacktestArgs) -> Result<Self, ConfigError> {
        let calendar = config.calendar()?;
        let rule = RuleName::read(&args.rule, calendar.cadence())
            .map_err(|error| ConfigError::value("--rule", error))?;
        let tracked = calendar.metrics();
        if let RuleName::Own(own) = rule {
            let suits_metric = args.metric.map_or(Ok(()), |metric| own.suits(metric));
            own.suits_market(&calendar)
                .and(suits_metric)
                .map_err(|error| ConfigError::value("--rule", error))?;
        }
        let (from, to) = (args.from.map(|from| from.start(&calendar)), args.to.map(|to| to.start(&calendar)));
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            return Err(ConfigError::value("--from", format!("{from} must be before --to, {to}")));
        }
        Ok(Self {
            rule,
            house: config.rule(),
            metrics: args.metric.map_or_else(|| metrics_of(rule, tracked), |metric| vec![metric]),
            watchlist: if args.symbols.is_empty() {
                watched.clone()
            } else {
                config.watchlist_of(args.symbols.iter().map(|&symbol| watched.meant(symbol)))?
            },
            calendar: Arc::new(calendar),
            from,
            to,
        })
    }

    fn symbols(&self) -> &[Symbol] {
        self.watchlist.symbols()
    }

    /// The bars that matter: those of the range, and those before it that warm the windows up.
    fn within(&self) -> Range<Second> {
        let rule = self.rule.rule(self.house);
        let from = self.from.map_or(Second::MIN, |from| Backtest::warm_up(&rule, &self.calendar, from));
        from..self.to.unwrap_or(Second::MAX)
    }

    /// The query, now that it is known since when there are bars and until when.
    fn query(&self, known: Option<Range<Second>>) -> anyhow::Result<BacktestQuery> {
        let from = self.from.or(known.as_ref().map(|known| known.start));
        let to = self.to.or(known.map(|known| known.end));
        let range = from.zip(to).map(|(from, to)| from..to).filter(|range| !range.is_empty());
        let Some(range) = range else {
            let symbols: Vec<_> = self.symbols().iter().map(Symbol::as_str).collect();
            bail!("there is no bar of {} in that time", symbols.join(", "));
        };
        let Self { rule, house, metrics, .. } = self.clone();
        Ok(BacktestQuery { rule, house, symbols: self.symbols().to_vec(), metrics, range, most: usize::MAX })
    }

    async fn over_the_store(&self, config: &Config) -> anyhow::Result<(BacktestQuery, Report)> {
        let store = store::open(config).await?;
        let history = History::new(Arc::clone(&store))
            .with_archive(config.archive(&self.calendar), config.store.bars_retention.duration());
        let query = self.query(stored(&*store, &history, self.symbols()).await?)?;
        let report = backtest(&history, &self.calendar, &query).await?;
        store.close().await;
        Ok((query, report))
    }

    async fn over_files(
        &self,
        config: &Config,
        args: &BacktestArgs,
    ) -> anyhow::Result<(BacktestQuery, Report)> {
        let (asked, paths) = (self.clone(), args.files.clone());
        let splits = match &args.reading.splits {
            Some(path) => {
                let today = asked.calendar.date_of(Second::minute_of(SystemClock::new().now()));
                splits::of_file(path, &asked.watchlist, today).await?.into_iter().collect()
            }
            None => splits::of_any_store(config).await?,
        };
        let labels = Labels::Any { otherwise: FeedLabel::new(files::UNLABELLED)? };
        let options = args.reading.options(labels, splits);
        let testing = tokio::task::spawn_blocking(move || {
            let found = files::read(&paths, options, &asked.watchlist, &asked.calendar, asked.within())?;
            let query = asked.query(found.range())?;
            let report = of_bars(&query, &found, &asked.calendar);
            anyhow::Ok((query, report))
        });
        testing.await.context("the files could not be tested to their end")?
    }
}

/// From the first bar of any of the symbols, in the store or its archive, to the end of the last stored one.
/// `None` without any.
async fn stored(
    store: &dyn Store,
    history: &History,
    symbols: &[Symbol],
) -> anyhow::Result<Option<Range<Second>>> {
    let mut first = None;
    for &symbol in symbols {
        first = first.into_iter().chain(history.oldest(symbol).await?).min();
    }
    let newest = store.recent_bars(symbols, 1).await?;
    let end = newest.iter().map(|record| record.bar.start.plus_minutes(1)).max();
    Ok(first.zip(end).map(|(first, end)| first..end))
}

fn of_bars(query: &BacktestQuery, found: &Found, calendar: &Calendar) -> Report {
    let mut report = Report::keeping(query.most);
    for bars in found.by_symbol() {
        let Some(first) = bars.first() else { continue };
        let mut test = SymbolBacktest::new(query, first.symbol, calendar);
        test.take(bars);
        report.merge(test.finish());
    }
    report
}
