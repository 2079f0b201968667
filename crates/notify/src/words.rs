//! Words that every channel says the same way.

use crate::links::Links;
use qqq_contract::sentence;
use qqq_core::subscription::snooze::Snooze;
use qqq_core::subscription::{Scope, Subscription};
use qqq_core::{Alert, Symbol};
use std::slice;

/// Why the alerts of a digest come together.
pub(crate) const WAITED: &str = "What follows had to wait: for the end of the quiet hours, or because many \
                                 alerts came at once. Times are those of New York.";

/// An alert in a few words, after `prefix`.
pub(crate) fn title(prefix: &str, alert: &Alert) -> String {
    format!("{}{prefix}{}", mark(slice::from_ref(alert)), sentence::headline(alert))
}

/// A digest in a few words: `5 alerts that waited: NVDA, TSLA and 2 more`.
pub(crate) fn digest_title(alerts: &[Alert]) -> String {
    if let [alert] = alerts {
        return title("", alert);
    }
    let mut symbols: Vec<Symbol> = Vec::new();
    for alert in alerts {
        if !symbols.contains(&alert.symbol) {
            symbols.push(alert.symbol);
        }
    }
    let names = match symbols.as_slice() {
        [] => String::new(),
        [one] => one.to_string(),
        [one, two] => format!("{one} and {two}"),
        [one, two, three] => format!("{one}, {two} and {three}"),
        [one, two, others @ ..] => format!("{one}, {two} and {} more", others.len()),
    };
    format!("{}{} alerts that waited: {names}", mark(alerts), alerts.len())
}

/// What becomes of alerts in the quiet hours of a subscription that has some.
pub(crate) fn quiet_hours(subscription: &Subscription) -> Option<String> {
    let quiet = subscription.quiet.as_ref()?;
    let (from, to, zone) = (quiet.from(), quiet.to(), quiet.zone());
    Some(format!("From {from} to {to} ({zone}), alerts wait, and come together afterwards."))
}

/// How long a snooze is, after that word.
pub(crate) fn for_how_long(snooze: Snooze) -> &'static str {
    match snooze {
        Snooze::Hour => "1 hour",
        Snooze::Tomorrow => "until tomorrow",
        Snooze::Week => "a week",
    }
}

/// The page that shows what a subscription is about as it is now: what it is called, and where it is.
pub(crate) fn now(scope: Scope, links: &Links) -> (String, String) {
    match scope {
        Scope::Symbol(symbol) => (format!("{symbol} now"), links.symbol(symbol.as_str())),
        Scope::Watchlist => ("All symbols now".to_owned(), links.home()),
    }
}

/// Whether any of it happened on no market.
pub(crate) fn are_simulated(alerts: &[Alert]) -> bool {
    alerts.iter().any(|alert| alert.feed.is_simulated())
}

/// What stands before a title to say so.
fn mark(alerts: &[Alert]) -> &'static str {
    if are_simulated(alerts) { "[simulated] " } else { "" }
}
