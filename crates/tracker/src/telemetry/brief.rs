//! Lines for whoever looks at the terminal: alerts, warnings, and what the program says of itself.

use jiff::Timestamp;
use qqq_core::market::calendar::new_york;
use std::fmt::{self, Write as _};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

/// The field that events about an alert have.
const ALERT: &str = "alert.id";

/// Whether an event is told at all: warnings, alerts, and what the program itself says.
pub(super) fn is_told(event: &Metadata<'_>) -> bool {
    event.is_span()
        || *event.level() <= Level::WARN
        || event.fields().field(ALERT).is_some()
        || event.target().starts_with(env!("CARGO_CRATE_NAME"))
}

/// One line for an event: `alert    NVDA volume 4.8x, Fri 13:57 New York`.
pub(super) struct Brief;

impl<S, N> FormatEvent<S, N> for Brief
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        let (word, colour) = match *event.metadata().level() {
            Level::ERROR => ("error", "31"),
            Level::WARN => ("warning", "33"),
            _ if said.alert => ("alert", "1"),
            _ => ("", "0"),
        };
        match writer.has_ansi_escapes() {
            true => write!(writer, "\x1b[{colour}m{word:<9}\x1b[0m")?,
            false => write!(writer, "{word:<9}")?,
        }
        writeln!(writer, "{}", if said.alert { said.of_alert() } else { said.of_anything() })
    }
}

/// What an event says.
#[derive(Default)]
struct Said {
    alert: bool,
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Visit for Said {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.fields.push((field.name(), format!("{value:.1}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            ALERT => self.alert = true,
            name => self.fields.push((name, format!("{value:?}"))),
        }
    }
}

impl Said {
    fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(field, _)| *field == name).map_or("", |(_, value)| value)
    }

    /// `NVDA volume 4.8x, Fri 13:57 New York`; of another rule than the tracker's own, with it.
    fn of_alert(&self) -> String {
        let mut text = format!("{} {}", self.field("symbol"), self.field("metric"));
        let _ = match (self.field("ratio"), self.field("rule")) {
            ("", "" | "spike") => Ok(()),
            ("", rule) => write!(text, " by {rule}"),
            (ratio, "" | "spike") => write!(text, " {ratio}x"),
            (ratio, rule) => write!(text, " {ratio}x by {rule}"),
        };
        if let Ok(start) = self.field("start").parse::<Timestamp>() {
            let _ = write!(text, ", {} New York", start.to_zoned_datetime(new_york()).strftime("%a %H:%M"));
        }
        match self.message.strip_prefix("alert ") {
            Some("raised") | None => text,
            Some(news) => format!("{text}: {news}"),
        }
    }

    /// `the clock was set (seconds 3600)`.
    fn of_anything(&self) -> String {
        let fields: Vec<String> = self.fields.iter().map(|(name, value)| format!("{name} {value}")).collect();
        match fields.is_empty() {
            true => self.message.clone(),
            false => format!("{} ({})", self.message, fields.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};
    use tracing::subscriber::with_default;
    use tracing_subscriber::filter::filter_fn;
    use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn alerts_and_warnings_are_told_in_a_line_and_nothing_else() {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .event_format(Brief)
            .with_filter(filter_fn(is_told));
        with_default(tracing_subscriber::registry().with(layer), || {
            let _span = tracing::info_span!("request", id = 7).entered();
            tracing::info!(target: "qqq_engine::detect", bars = 1, "windows rebuilt from the store");
            let start = "2025-01-31T18:57:00Z";
            macro_rules! alert {
                ($message:literal, $($fields:tt)*) => {
                    tracing::info!(
                        target: "qqq_engine::detect",
                        { alert.id = "88b520cc", symbol = "MSFT", start, $($fields)* },
                        $message
                    )
                };
            }
            alert!("alert raised", metric = "volume", rule = "spike", ratio = Some(4.7525));
            alert!("alert raised", metric = "price", rule = "v1 move percent=3", ratio = None::<f64>);
            alert!("alert retracted: its bar was corrected", metric = "volume");
            tracing::warn!(target: "qqq_feed", provider = "alpaca", "no answer in time");
            tracing::info!("stopping; once more to stop at once");
            tracing::debug!(target: "qqq_http", "answered");
        });
        let told = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let told: Vec<&str> = told.lines().map(str::trim_end).collect();
        assert_eq!(
            told,
            [
                "alert    MSFT volume 4.8x, Fri 13:57 New York",
                "alert    MSFT price by v1 move percent=3, Fri 13:57 New York",
                "alert    MSFT volume, Fri 13:57 New York: retracted: its bar was corrected",
                "warning  no answer in time (provider alpaca)",
                "         stopping; once more to stop at once",
            ]
        );
    }
}
