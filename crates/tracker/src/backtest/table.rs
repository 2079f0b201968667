//! A backtest for people: the sentence, the figures, then the alerts.

use indicatif::HumanCount;
use qqq_contract::sentence::sentence;
use qqq_core::alert::backtest::{Day, Report};
use qqq_core::market::calendar::new_york;
use qqq_core::{Second, Symbol};
use qqq_engine::backtest::BacktestQuery;
use std::fmt::Write as _;

/// Days told as the quietest and the loudest, as in the answer of the API.
const EXTREMES: usize = 5;

/// What a rule would have told. Times are New York's.
pub(super) fn told(query: &BacktestQuery, report: &Report) -> String {
    let rule = query.rule.rule(query.house);
    let symbols: Vec<&str> = query.symbols.iter().map(Symbol::as_str).collect();
    let metrics: Vec<&str> = query.metrics.iter().map(|metric| metric.as_str()).collect();
    let mut text = format!("{}\n\n", report.summary());
    let mut line = |name: &str, what: &str| _ = writeln!(text, "{name:<10}{what}");
    line("rule", &rule.to_string());
    line("symbols", &symbols.join(", "));
    line("metrics", &metrics.join(", "));
    line("from", &clock(query.range.start));
    line("to", &clock(query.range.end));
    line("bars", &format!("{} in {} sessions", HumanCount(report.bars), report.days.len()));
    if let Some(per_session) = report.alerts_per_session() {
        let messages = HumanCount(report.messages);
        let qualified = HumanCount(report.qualifying_bars);
        line(
            "messages",
            &format!("{messages} after cool-down, {per_session:.2} a session; {qualified} bars qualified"),
        );
        line("quietest", &days(&report.quietest(EXTREMES)));
        line("loudest", &days(&report.loudest(EXTREMES)));
    }
    if !report.alerts.is_empty() {
        text.push('\n');
    }
    for alert in &report.alerts {
        let silenced = match alert.count().saturating_sub(1) {
            0 => String::new(),
            1 => " 1 more bar qualified during its cool-down.".to_owned(),
            more => format!(" {more} more bars qualified during its cool-down."),
        };
        let sentence = sentence(alert);
        let _ = writeln!(text, "{}  {:<6}{sentence}{silenced}", clock(alert.start), alert.symbol.as_str());
    }
    text
}

/// `2025-01-27 (4), 2025-01-28 (2)`
fn days(days: &[Day]) -> String {
    let days: Vec<String> = days.iter().map(|day| format!("{} ({})", day.date, day.alerts)).collect();
    days.join(", ")
}

/// `2025-01-27 13:57 EST`
fn clock(minute: Second) -> String {
    minute.start().to_zoned_datetime(new_york()).strftime("%Y-%m-%d %H:%M %Z").to_string()
}
