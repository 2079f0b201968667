//! Logs on standard error: JSON for machines, text for people, and on a terminal what people there want to
//! know alone, in short.

mod brief;

use crate::config::{ConfigError, LogConfig, LogFormat};
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Starts logging. Called once.
pub fn start(config: &LogConfig) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.filter).map_err(|_| {
        let what =
            format!("`{}` is not a filter: it must look like info, or info,qqq_feed=debug", config.filter);
        ConfigError::value("log.filter", what)
    })?;
    let colours =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        // It would say so on standard error, and where that is full this ends whoever logs.
        .log_internal_errors(false);
    let layer = match format(config) {
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
        LogFormat::Brief => layer.event_format(brief::Brief).with_filter(filter_fn(brief::is_told)).boxed(),
        LogFormat::Text | LogFormat::Auto => layer.compact().boxed(),
    };
    let started = tracing_subscriber::registry().with(filter).with(layer).try_init();
    started.map_err(|error| anyhow::anyhow!("logging cannot be started: {error}"))
}

/// How logs look where standard error leads: on a terminal in short, but for somebody who has asked for more.
pub fn format(config: &LogConfig) -> LogFormat {
    match config.format {
        LogFormat::Auto if !std::io::stderr().is_terminal() => LogFormat::Json,
        LogFormat::Auto if config.filter == LogConfig::default().filter => LogFormat::Brief,
        LogFormat::Auto => LogFormat::Text,
        chosen => chosen,
    }
}
