//! The command line.

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use qqq_core::delivery::DeliveryId;
use qqq_core::rule::InvalidRule;
use qqq_core::subscription::push::PushReceiver;
use qqq_core::subscription::webhook_url::WebhookUrl;
use qqq_core::subscription::{EmailAddress, SubscriptionId};
use qqq_core::{FeedLabel, Metric, Moment, RuleName, Splits, Symbol, Watchlist};
use qqq_feed::bar_file::{ColumnNames, FileZone, Format, Labels, ReadOptions, Units};
use qqq_store::{DeliveryState, Selection};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use url::Url;

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
    /// Columns by name: symbol, start, open, high, low, close, volume, and vwap, trades and feed where known;
    /// other programs' names for them are known (ticker, timestamp, window_start, transactions, ...). Files
    /// may be packed (.gz, .zst, .zip). Importing again changes nothing, so an import that was interrupted is
    /// simply repeated.
    ///
    /// A file that cannot be read does not stop the others. Exit code 1 where one failed, or had no row that
    /// could be used.
    Import(ImportArgs),
    /// Bars from the store into a CSV or Parquet file
    ///
    /// Sorted by symbol and start. The file appears under its name when it is whole. A worker may run
    /// meanwhile.
    Export(ExportArgs),
    /// What a rule would have told, of stored bars or of those in files
    ///
    /// By the very code that runs live: the alerts are those that a subscription by this rule would have got.
    /// Every bar is judged at the moment it ended, as the bars are known now. A worker may run meanwhile.
    #[command(after_help = BACKTEST_EXAMPLES)]
    Backtest(BacktestArgs),
    /// The tracked symbols: shown, or taken from a fund's holdings
    #[command(subcommand)]
    Watchlist(WatchlistCommand),
    /// Subscriptions and deliveries, for who runs the tracker: listed, disabled, deleted, tried again
    ///
    /// Shows addresses. Works while a worker runs.
    #[command(subcommand)]
    Admin(AdminCommand),
    /// What works and what doesn't: configuration, calendar, provider, store, mail
    ///
    /// Of mail: every kind of message is made, and the mail server is asked all but to take one.
    Check(CheckArgs),
    /// A running tracker in this terminal: watchlist, alerts, one symbol's chart
    ///
    /// Follows the server's stream. NO_COLOR is respected; `?` shows the keys.
    Top(TopArgs),
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

/// `top`
#[derive(Debug, Args)]
pub struct TopArgs {
    /// Where the tracker runs
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    pub url: Url,
}

/// `check`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Also sends a message of every kind to this address, made up, to see that they arrive
    #[arg(long, value_name = "ADDRESS")]
    pub mail_to: Option<EmailAddress>,
}

/// How files of bars are read, where they do not say it themselves
#[derive(Debug, Args)]
pub struct ReadingArgs {
    /// The zone of times that say none: America/New_York, UTC, -05:00 [default: such times are refused]
    #[arg(long, value_name = "ZONE", allow_hyphen_values = true)]
    pub zone: Option<FileZone>,
    /// What columns are called whose names are not known: start=window_start,trades=n
    #[arg(long, value_name = "COLUMN=NAME,...")]
    pub columns: Option<ColumnNames>,
    /// Prices and volumes are in today's units already, as vendors adjust them for splits [default: in those
    /// of their day]
    #[arg(long)]
    pub split_adjusted: bool,
    /// Splits as CSV: symbol,ex_date,ratio with ratios such as 10:1. An import tells the store of them, a
    /// backtest knows no others
    #[arg(long, value_name = "FILE")]
    pub splits: Option<PathBuf>,
}

impl ReadingArgs {
    /// The same, with the labels of the bars and the splits that are known.
    pub fn options(&self, labels: Labels, splits: Splits) -> ReadOptions {
        ReadOptions {
            labels,
            zone: self.zone.clone(),
            columns: self.columns.clone().unwrap_or_default(),
            units: Units { splits, split_adjusted: self.split_adjusted },
        }
    }
}

/// `import`
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// CSV or Parquet files, packed or not, or folders of them
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How they are read.
    #[command(flatten)]
    pub reading: ReadingArgs,
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
    /// Only bars that start then or later: a time like 2025-01-31T14:30:00Z, or a day of New York like
    /// 2025-01-31
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

const BACKTEST_EXAMPLES: &str = "\
Examples:
  qqq-tracker backtest
  qqq-tracker backtest --rule 'spike ratio=5 window=30m' --symbol NVDA --metric volume --from 2025-01-27
  qqq-tracker backtest --rule 'move percent=3 from=previous_close' --json bars.parquet";

/// What is left out of a rule depends on the configuration, which is read later.
fn text_of_a_rule(text: &str) -> Result<String, InvalidRule> {
    text.parse::<RuleName>().map(|_| text.to_owned())
}

/// `backtest`
#[derive(Debug, Args)]
pub struct BacktestArgs {
    /// CSV or Parquet files, packed or not, or folders of them [default: the store]
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How they are read.
    #[command(flatten)]
    pub reading: ReadingArgs,
    /// The rule: spike, as the configuration has it, or one with settings of its own
    #[arg(long, value_name = "RULE", default_value = RuleName::HOUSE, value_parser = text_of_a_rule)]
    pub rule: String,
    /// Only this symbol (repeatable) [default: the watchlist]
    #[arg(long = "symbol", value_name = "SYMBOL")]
    pub symbols: Vec<Symbol>,
    /// Only price, or only volume [default: all that the rule goes with]
    #[arg(long)]
    pub metric: Option<Metric>,
    /// Only bars that start then or later: a time, or a day of New York [default: the first bar]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: Option<Moment>,
    /// Only bars that start before: a time, or a day of New York, which is then not looked at [default:
    /// behind the last]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub to: Option<Moment>,
    /// As JSON, as POST /v1/backtests answers it
    #[arg(long)]
    pub json: bool,
}

/// `admin`
#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Lists subscriptions in any state, all or those of an address
    Subscriptions {
        /// A mail address, or a webhook's URL
        address: Option<Address>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Ends subscriptions, and takes back what is owed to them
    ///
    /// For good: whoever wants alerts again signs up again.
    Disable {
        /// A mail address, a webhook's URL (all of its subscriptions), or the id of one
        #[arg(value_name = "ADDRESS|ID")]
        which: Which,
    },
    /// Deletes all that is known of an address: its subscriptions, deliveries and suppression
    Delete {
        /// A mail address, or a webhook's URL
        address: Address,
        /// Does not ask
        #[arg(long)]
        yes: bool,
    },
    /// Lists deliveries, newest first, all or those to an address
    Deliveries {
        /// A mail address, or a webhook's URL
        address: Option<Address>,
        /// Only pending, sent, failed, expired, cancelled or bundled ones (repeatable) [default: failed and
        /// expired]
        #[arg(long = "state", value_name = "STATE")]
        states: Vec<DeliveryState>,
        /// At most so many
        #[arg(long, value_name = "N", default_value = "100")]
        #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Tries a delivery again that failed or expired
    ///
    /// No other one: what was sent is never sent again.
    Replay {
        /// As `admin deliveries` lists it
        #[arg(value_name = "DELIVERY", value_parser = delivery_id)]
        id: DeliveryId,
    },
}

/// A recipient: a mail address, a webhook's URL or a browser's endpoint after `push:`, as
/// [`Channel::key`](qqq_core::Channel::key) tells it.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(pub String);

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mail = text.parse().map(|address: EmailAddress| address.key());
        let (prefix, url) = match text.strip_prefix(PushReceiver::PREFIX) {
            Some(url) => (PushReceiver::PREFIX, url),
            None => ("", text),
        };
        mail.or_else(|_| url.parse().map(|url: WebhookUrl| format!("{prefix}{}", url.expose())))
            .map(Self)
            .map_err(|_| "it must be a mail address, or a webhook's URL, or push: and a browser's endpoint")
    }
}

impl fmt::Debug for Address {
    /// Redacted: addresses do not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(…)")
    }
}

/// One subscription, or all of a recipient.
#[derive(Clone, Debug)]
pub enum Which {
    /// One.
    One(SubscriptionId),
    /// All.
    Of(Address),
}

impl FromStr for Which {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let one = text.parse().map(Self::One);
        one.or_else(|_| text.parse().map(Self::Of))
            .map_err(|_| "it must be a mail address, a webhook's URL, or a subscription's id")
    }
}

impl From<Which> for Selection {
    fn from(which: Which) -> Self {
        match which {
            Which::One(id) => Self::One(id),
            Which::Of(address) => Self::Of(address.0),
        }
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
    /// Prints the lines for the configuration. Cash, currencies, futures and lines without ticker or weight
    /// are dropped, and said so. A line is a line: GOOG and GOOGL are two. Equal weights go by symbol.
    Import(WatchlistImportArgs),
    /// Takes back all that operators changed: the configured list is watched again
    Reset,
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

fn delivery_id(text: &str) -> Result<DeliveryId, &'static str> {
    text.parse().map_err(|_| "it must be a delivery's id, as `admin deliveries` lists it")
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
