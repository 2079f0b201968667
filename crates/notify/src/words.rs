//! Words that every channel says the same way.

use qqq_core::subscription::Subscription;
use qqq_core::{Alert, SpikeRule, Symbol, sentence};
use std::slice;

/// Why the alerts of a digest come together.
pub(crate) const WAITED: &str = "What follows had to wait: for the end of the quiet hours, or because many alerts came at \
                                 once. Times are those of New York.";

/// An alert in a few words, after `prefix`.
pub(crate) fn title(prefix: &str, alert: &Alert, house: SpikeRule) -> String {
    format!("{}{prefix}{}", mark(slice::from_ref(alert)), sentence::headline(alert, &alert.rule.rule(house)))
}

/// A digest in a few words: `5 alerts that waited: NVDA, TSLA and 2 more`.
pub(crate) fn digest_title(alerts: &[Alert], house: SpikeRule) -> String {
    if let [alert] = alerts {
        return title("", alert, house);
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

/// Whether any of it happened on no market.
pub(crate) fn are_simulated(alerts: &[Alert]) -> bool {
    alerts.iter().any(|alert| alert.feed.is_simulated())
}

/// What stands before a title to say so.
fn mark(alerts: &[Alert]) -> &'static str {
    if are_simulated(alerts) { "[simulated] " } else { "" }
}
