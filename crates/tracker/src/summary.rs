//! What a newcomer reads at start: what runs where, and what to do next.

use crate::config::{Config, LogFormat, ProviderName};
use crate::telemetry;
use qqq_core::market::calendar::Market;
use qqq_core::{FeedInfo, FeedMode, Watchlist};
use qqq_notify::Channels;
use qqq_store::Store;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;

/// Prints the summary on standard output.
pub fn print(
    config: &Config,
    store: &dyn Store,
    channels: &Channels,
    watched: &Watchlist,
    feed: Option<&FeedInfo>,
    address: Option<SocketAddr>,
) {
    let is_brief = telemetry::format(&config.log) == LogFormat::Brief;
    let channels = (&*channels.mail.describe(), &*channels.webhooks.describe());
    let mut text = text(config, &store.describe(), channels, watched, feed, address);
    if is_brief {
        text.push_str("Alerts and warnings follow; everything is told with --set log.format=text.\n\n");
    }
    // A closed standard output is no reason not to run.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn text(
    config: &Config,
    store: &str,
    (mail, webhooks): (&str, &str),
    watched: &Watchlist,
    feed: Option<&FeedInfo>,
    address: Option<SocketAddr>,
) -> String {
    let mut text = format!("QQQ Tracker {}\n\n", env!("CARGO_PKG_VERSION"));
    let mut line = |name: &str, what: &str| {
        let _ = writeln!(text, "  {name:<10}{what}");
    };
    match feed {
        Some(feed) => {
            line("market", &format!("{} ({}): {}", feed.provider, feed.mode, feed.coverage));
            let others: Vec<String> = config.feed.fallback.iter().map(ToString::to_string).collect();
            if !others.is_empty() {
                line(
                    "",
                    &format!("where it fails for {}: {}", config.feed.failover_after, others.join(", ")),
                );
            }
        }
        None => line("market", "read from the store; a worker elsewhere writes it"),
    }
    let symbols: Vec<String> = watched.symbols().iter().map(ToString::to_string).collect();
    let more = symbols.len().saturating_sub(12);
    let names = symbols.iter().take(12).map(String::as_str).collect::<Vec<_>>().join(" ");
    line("watching", &if more > 0 { format!("{names} and {more} more") } else { names });
    let hours = match (config.market.calendar.0, config.market.extended_hours) {
        (Market::Always, _) => "every minute counts".to_owned(),
        (market, false) => format!("{}, 09:30 - 16:00 New York", market.as_str()),
        (market, true) => format!("{}, 04:00 - 20:00 New York", market.as_str()),
    };
    line("hours", &hours);
    let rules = &config.rules;
    line(
        "rule",
        &format!(
            "price or volume at least {} times its last {}, then silent for {}",
            rules.ratio, rules.window, rules.cooldown
        ),
    );
    line("store", store);
    line("mail", mail);
    line("webhooks", webhooks);
    let Some(address) = address else {
        return text;
    };
    let url = config.public_url().map_or_else(|_| config.server.public_url.clone(), |url| url.to_string());
    let url = url.trim_end_matches('/');
    line("page", url);
    if !url.ends_with(&address.to_string()) {
        line("", &format!("(listening on {address})"));
    }
    let symbol = symbols.first().map_or("AAPL", String::as_str);
    let _ = write!(
        text,
        "\nTry:\n  curl {url}/{symbol}/price\n  \
         curl -X POST {url}/subscribe -H 'content-type: application/json' \\\n       \
         -d '{{\"email\":\"you@example.com\",\"metric\":\"volume\",\"ticker\":\"{symbol}\"}}'\n"
    );
    if feed.is_some_and(|feed| feed.mode == FeedMode::Simulated) && config.feed.provider == ProviderName::Sim
    {
        text.push_str(
            "\nThese figures are invented. For the real market, with a free key of alpaca.markets:\n  \
             QQQ_TRACKER__FEED__PROVIDER=alpaca QQQ_TRACKER__FEED__ALPACA__KEY_ID=... \\\n  \
             QQQ_TRACKER__FEED__ALPACA__SECRET_KEY=... QQQ_TRACKER__STORE__URL=sqlite://data/market.db \\\n  \
             qqq-tracker run\n",
        );
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newcomer_learns_what_runs_where_and_what_to_do_next() {
        let feed = FeedInfo {
            provider: "sim",
            label: "simulated".parse().unwrap(),
            mode: FeedMode::Simulated,
            coverage: "invented by a simulator".to_owned(),
            split_adjusted: true,
            delay_minutes: 0,
        };
        let config = Config::default();
        let text = text(
            &config,
            "SQLite",
            ("files in data/mail", "to public addresses"),
            &config.watchlist().unwrap(),
            Some(&feed),
            Some(config.server.listen),
        );
        for part in [
            "simulated",
            "AAPL MSFT",
            "3 times its last 1h",
            "data/mail",
            "to public addresses",
            "http://127.0.0.1:8080",
            "curl",
            "alpaca",
        ] {
            assert!(text.contains(part), "no `{part}` in:\n{text}");
        }
    }
}
