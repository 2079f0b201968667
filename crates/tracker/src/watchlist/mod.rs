//! `qqq-tracker watchlist`: the tracked symbols, shown, or taken from the holdings of QQQ.

mod edit;

use crate::cli::{WatchlistCommand, WatchlistImportArgs};
use crate::config::{Config, Origin, Sources, load};
use crate::{store, table};
use anyhow::ensure;
use qqq_core::Symbol;
use qqq_core::market::names::Names;
use qqq_core::market::watchlist::FormerSymbol;
use qqq_engine::watchlist::VersionedWatchlist;
use qqq_feed::invesco::{self, Holding, Holdings};
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

/// The key that holds the list.
const SYMBOLS: &str = "watchlist.symbols";
/// The key that holds former names.
const ALIASES: &str = "watchlist.aliases";
/// Dropped lines told one by one; the count tells of the rest.
const SHOWN: usize = 20;

/// Does what was asked.
pub async fn run(config: &Config, sources: &Sources, command: &WatchlistCommand) -> anyhow::Result<()> {
    match command {
        WatchlistCommand::Show { json } => {
            let ((watched, names, older), from) =
                (store::watchlist_shown(config).await?, Origins::of(config, sources));
            if let Some(older) = older {
                writeln!(std::io::stderr(), "{older}")?;
            }
            let text =
                if *json { as_json(&watched, &names, &from)? } else { as_table(&watched, &names, &from) };
            Ok(std::io::stdout().write_all(text.as_bytes())?)
        }
        WatchlistCommand::Import(args) => import(config, sources, args),
        WatchlistCommand::Reset => reset(config).await,
    }
}

/// Where symbols come from that operators added.
const OPERATORS: &str = "operators";

/// Where the list and the former names on it were set.
struct Origins {
    symbols: Origin,
    aliases: Origin,
    configured: Vec<Symbol>,
}

impl Origins {
    fn of(config: &Config, sources: &Sources) -> Self {
        Self {
            symbols: sources.origin(SYMBOLS),
            aliases: sources.origin(ALIASES),
            configured: config.watchlist.aliases.keys().map(|alias| alias.0).collect(),
        }
    }

    fn of_symbol(&self, symbol: Symbol, watched: &VersionedWatchlist) -> String {
        let is_added = watched.edits.iter().any(|edit| edit.symbol == symbol && edit.tracked);
        if is_added { OPERATORS.to_owned() } else { self.symbols.to_string() }
    }

    /// Renames that are known anyway are built in, whether or not somebody set them again.
    fn of_former(&self, former: &FormerSymbol) -> &Origin {
        let is_set = !former.is_built_in() && self.configured.contains(&former.former);
        if is_set { &self.aliases } else { &Origin::BuiltIn }
    }
}

fn as_table(watched: &VersionedWatchlist, names: &Names, from: &Origins) -> String {
    let watchlist = &watched.list;
    let mut rows = vec![["symbol", "name", "former names", "from"].map(str::to_owned)];
    for &symbol in watchlist.symbols() {
        let former: Vec<String> = watchlist
            .former_symbols(symbol)
            .map(|former| {
                let until = former.until.map(|until| format!(" until {until}")).unwrap_or_default();
                match from.of_former(former) {
                    Origin::BuiltIn => format!("{}{until}", former.former),
                    origin => format!("{}{until} ({origin})", former.former),
                }
            })
            .collect();
        let name = names.of(symbol).unwrap_or_default().to_owned();
        rows.push([symbol.to_string(), name, former.join(", "), from.of_symbol(symbol, watched)]);
    }
    table::aligned(&rows)
}

fn as_json(watched: &VersionedWatchlist, names: &Names, from: &Origins) -> anyhow::Result<String> {
    let watchlist = &watched.list;
    let items: Vec<_> = watchlist
        .symbols()
        .iter()
        .map(|&symbol| {
            let former: Vec<_> = watchlist
                .former_symbols(symbol)
                .map(|former| {
                    json!({
                        "symbol": former.former.as_str(),
                        "until": former.until.map(|until| until.to_string()),
                        "from": from.of_former(former).to_string(),
                    })
                })
                .collect();
            json!({
                "symbol": symbol.as_str(),
                "name": names.of(symbol),
                "former_symbols": former,
                "from": from.of_symbol(symbol, watched),
            })
        })
        .collect();
    Ok(serde_json::to_string_pretty(&json!({ "items": items }))? + "\n")
}

fn import(config: &Config, sources: &Sources, args: &WatchlistImportArgs) -> anyhow::Result<()> {
    let holdings = invesco::open(&args.file)?;
    let largest = &holdings.lines[..args.top.min(holdings.lines.len())];
    tell(&holdings, largest);
    ensure!(
        !largest.is_empty(),
        "{}: none of its {} lines can be tracked",
        args.file.display(),
        holdings.dropped.len()
    );
    let symbols: Vec<Symbol> = largest.iter().map(|line| line.symbol).collect();
    // With the aliases there are, it must be a watchlist.
    config.watchlist_of(symbols.iter().copied())?;
    let mut out = std::io::stdout();
    if !args.write {
        return Ok(out.write_all(edit::lines(&symbols).as_bytes())?);
    }
    let path = sources.file_to_write();
    edit::write(path, &symbols)?;
    writeln!(out, "{} symbols written to {}: a restart takes them up", symbols.len(), path.display())?;
    // The file is not the last word.
    let origin = sources.origin(SYMBOLS);
    if load(sources)?.watchlist != config.watchlist || matches!(origin, Origin::File(_)) {
        return Ok(());
    }
    writeln!(std::io::stderr(), "but {SYMBOLS} is also set by {origin}, which wins")?;
    Ok(())
}

/// A worker and a server that run follow within seconds.
async fn reset(config: &Config) -> anyhow::Result<()> {
    if let Some(store) = store::existing(config).await? {
        let reset = config.watchlists(Arc::clone(&store)).reset().await;
        store.close().await;
        reset?;
    }
    Ok(writeln!(std::io::stdout(), "the configured symbols are watched, and no others")?)
}

/// What was taken and what was left, for whoever looks.
fn tell(holdings: &Holdings, largest: &[Holding]) {
    let mut text = match holdings.as_of {
        Some(day) => format!("holdings of {day}: "),
        None => "holdings: ".to_owned(),
    };
    let _ = writeln!(text, "the largest {} of {}", largest.len(), holdings.lines.len());
    for line in largest {
        let _ = writeln!(text, "  {:<8}{:>14}  {}", line.symbol.as_str(), line.weight.to_string(), line.name);
    }
    if let (Some(last), Some(next)) = (largest.last(), holdings.lines.get(largest.len()))
        && last.weight == next.weight
    {
        let _ = writeln!(text, "  {} weighs as much and comes later by name", next.symbol);
    }
    if !holdings.dropped.is_empty() {
        let _ = writeln!(text, "{} lines dropped:", holdings.dropped.len());
    }
    for dropped in holdings.dropped.iter().take(SHOWN) {
        let _ = writeln!(text, "  {} {}: {}", dropped.place, dropped.what, dropped.reason);
    }
    if holdings.dropped.len() > SHOWN {
        let _ = writeln!(text, "  and {} more", holdings.dropped.len() - SHOWN);
    }
    let _ = std::io::stderr().write_all(text.as_bytes());
}
