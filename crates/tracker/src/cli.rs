//! The command line.

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use jiff::Timestamp;
use jiff::civil::Date;
use qqq_core::{FeedLabel, Symbol, Watchlist};
use qqq_feed::bar_file::Format;
use std::path::PathBuf;
use std::str::FromStr;

/// Watches the price and volume of stocks and tells people when something unusual happens.
#[derive(Debug, Parser)]
#[command(name = "qqq-tracker", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// What is common to all commands.
    #[command(flatten)]
    pub settings: Settings,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Where settings come from.
#[derive(Debug, Args)]
pub struct Settings {
    /// Configuration file [default: qqq-tracker.toml, where it exists]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Sets one key: --set rules.ratio=4 (repeatable; wins over file and environment)
    #[arg(long = "set", value_name = "KEY=VALUE", global = true, value_parser = key_value)]
    pub set: Vec<(String, String)>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Everything in one process: ingest, detect, notify, serve
    ///
    /// Without any configuration: a simulated market, SQLite in ./data, mails as files in ./data/mail, and
    /// the dashboard on http://127.0.0.1:8080.
    Run(RunArgs),
    /// Ingest, detect and notify, without HTTP
    Worker(WorkerArgs),
    /// API and dashboard only, over the store that another process writes
    Server(RunArgs),
    /// Bars from CSV or Parquet files into the store
    ///
    /// Columns by name: symbol, start (or time_utc), open, high, low, close, volume, and vwap, trades and feed where
    /// known; CSV gzipped too. Importing again changes nothing, so an import that was interrupted is simply
    /// repeated.
    Import(ImportArgs),
    /// Bars from the store into a CSV or Parquet file
    ///
    /// Sorted by symbol and start. The file appears under its name when it is whole. A worker may run meanwhile.
    Export(ExportArgs),
    /// The tracked symbols: shown, or taken from a fund's holdings
    #[command(subcommand)]
    Watchlist(WatchlistCommand),
    /// What works and what doesn't: configuration, calendar, provider, store, mail
    Check,
    /// Prints the description of the HTTP API (OpenAPI 3.1), as a server tells it at /openapi.json
    Openapi,
    /// A script that completes these commands in a shell
    ///
    /// For bash: qqq-tracker completions bash > ~/.local/share/bash-completion/completions/qqq-tracker
    Completions {
        /// Whose completions
        shell: Shell,
    },
    /// The manual: qqq-tracker man | man -l -
    Man(ManArgs),
}

/// `run`, `server`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Address and port to listen on (server.listen)
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
}

/// `worker`
#[derive(Debug, Args)]
pub struct WorkerArgs {
    /// One poll from stored state, deliver what is due, exit: for cron, Lambda, a CronJob
    #[arg(long)]
    pub once: bool,
}

/// `import`
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// CSV, CSV.gz or Parquet files, or folders of them
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The feed all bars came from: only bars of the running feed count as its history (iex, sip, yahoo, ...)
    /// [default: what the column feed says, else import]
    #[arg(long, value_name = "LABEL", value_parser = real_feed)]
    pub feed: Option<FeedLabel>,
    /// Writes every rejected row with its place and reason to this file
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
}

/// `export`
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The file to write, or - for standard output
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Only this symbol (repeatable) [default: the watchlist]
    #[arg(long = "symbol", value_name = "SYMBOL")]
    pub symbols: Vec<Symbol>,
    /// Only bars that start then or later: a time like 2025-01-31T14:30:00Z, or a day of New York like 2025-01-31
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: Option<Moment>,
    /// Only bars that start before: a time, or a day of New York, which is then not in the file
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub to: Option<Moment>,
    /// csv, csv.gz or parquet [default: by the ending of the file's name]
    #[arg(long)]
    pub format: Option<Format>,
    /// Replaces a file that is there already
    #[arg(long)]
    pub force: bool,
}

/// A time, or the first instant of a New York day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// An instant.
    At(Timestamp),
    /// Midnight.
    Day(Date),
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let at = text.parse().map(Self::At);
        at.or_else(|_| text.parse().map(Self::Day)).map_err(|_: jiff::Error| {
            "it must be a time like 2025-01-31T14:30:00Z or a day like 2025-01-31".to_owned()
        })
    }
}

/// `watchlist`
#[derive(Debug, Subcommand)]
pub enum WatchlistCommand {
    /// Symbols, names, former names, and where each is set
    Show {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// The largest holdings of QQQ as the new watchlist, from Invesco's CSV or JSON
    ///
    /// Prints the lines for the configuration. Cash, currencies, futures and lines without ticker or weight are
    /// dropped, and said so. A line is a line: GOOG and GOOGL are two. Equal weights go by symbol.
    Import(WatchlistImportArgs),
}

/// `watchlist import`
#[derive(Debug, Args)]
pub struct WatchlistImportArgs {
    /// The file as downloaded
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How many symbols
    #[arg(long, value_name = "N", default_value = "10", value_parser = symbol_count)]
    pub top: usize,
    /// Puts them into the configuration file, and leaves everything else in it as it is
    #[arg(long)]
    pub write: bool,
}

/// `man`
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The command whose page is printed: `import`, `watchlist show` [default: qqq-tracker itself]
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    pub command: Vec<String>,
    /// Writes the pages of all commands into this folder
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
}

fn symbol_count(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|count| (1..=Watchlist::MAX).contains(count))
        .ok_or_else(|| format!("it must be 1 to {}", Watchlist::MAX))
}

fn real_feed(text: &str) -> Result<FeedLabel, String> {
    let label = FeedLabel::new(text).map_err(|error| error.to_string())?;
    if label.is_simulated() {
        return Err("imported bars are not simulated ones".to_owned());
    }
    Ok(label)
}

fn key_value(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(key, value)| (key.trim().to_owned(), value.to_owned()))
        .ok_or_else(|| format!("`{text}` must look like rules.ratio=4"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn settings_go_before_or_behind_the_command() {
        let cli =
            Cli::try_parse_from(["qqq-tracker", "run", "--set", "a.b=c=d", "--listen", "[::1]:1"]).unwrap();
        assert_eq!(cli.settings.set, [("a.b".to_owned(), "c=d".to_owned())]);
        assert!(Cli::try_parse_from(["qqq-tracker", "--set", "a.b", "run"]).is_err());
    }
}
