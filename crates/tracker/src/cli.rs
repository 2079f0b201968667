//! The command line.

use clap::{Args, Parser, Subcommand};
use qqq_core::FeedLabel;
use std::path::PathBuf;

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
    /// Bars from CSV files into the store
    ///
    /// Columns by name: symbol, start (or time_utc), open, high, low, close, volume, and vwap and trades where known;
    /// gzipped too. Importing again changes nothing.
    Import(ImportArgs),
    /// What works and what doesn't: configuration, calendar, provider, store, mail
    Check,
    /// Prints the description of the HTTP API (OpenAPI 3.1), as a server tells it at /openapi.json
    Openapi,
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
    /// CSV or CSV.gz files, or folders of them
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The feed the bars came from: only bars of the running feed count as its history (iex, sip, yahoo, ...)
    #[arg(long, value_name = "LABEL", default_value = "import", value_parser = real_feed)]
    pub feed: FeedLabel,
    /// Writes every rejected row with its place and reason to this file
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
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
