//! Query strings: every key known, given once, and well-formed, or a 400 that says which is not.

use crate::http::problem::Problem;
use jiff::civil::Date;
use qqq_core::market::moment::InvalidMoment;
use qqq_core::rule::InvalidRule;
use qqq_core::subscription::SubscriptionId;
use qqq_core::{AlertId, Cadence, Calendar, Interval, Metric, MetricSet, Moment, RuleName, Second};

/// Longest page.
const MOST_ITEMS: usize = 1_000;

/// The parameters of a request.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Splits a query string into the parameters `known`. Any other key, and any key given twice, is refused.
    pub(crate) fn parse(text: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (key, value) in url::form_urlencoded::parse(text.unwrap_or_default().as_bytes()) {
            if !known.contains(&&*key) {
                let shown: String = key.chars().take(32).collect();
                let detail = format!("`{shown}` is not a parameter here; known are: {}", known.join(", "));
                return Err(Problem::bad_request("unknown_parameter", detail));
            }
            if pairs.iter().any(|(given, _)| *given == key) {
                return Err(invalid(&key, "is given twice"));
            }
            pairs.push((key.into_owned(), value.into_owned()));
        }
        Ok(Self(pairs))
    }

    /// A parameter's text.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(given, _)| given == key).map(|(_, value)| value.as_str())
    }

    /// Whether a parameter is given.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// How long bars are to be: as they come, where nothing is said.
    pub(crate) fn interval(&self, cadence: Cadence) -> Result<Interval, Problem> {
        let base = Interval::of(cadence);
        let Some(text) = self.get("interval") else { return Ok(base) };
        let interval: Option<Interval> = text.parse().ok();
        interval.filter(|interval| interval.is_made_of(cadence)).ok_or_else(|| {
            let allowed: Vec<_> = Interval::ALL
                .into_iter()
                .filter(|interval| interval.is_made_of(cadence))
                .map(|interval| format!("`{interval}`"))
                .collect();
            invalid("interval", &format!("must be one of {}", allowed.join(", ")))
        })
    }

    pub(crate) fn metric(&self, tracked: MetricSet) -> Result<Option<Metric>, Problem> {
        self.get("metric")
            .map(|text| {
                tracked.named(text).map_err(|error| Problem::bad_request("unknown_metric", error.to_string()))
            })
            .transpose()
    }

    pub(crate) fn rule(&self, cadence: Cadence) -> Result<Option<RuleName>, Problem> {
        let Some(text) = self.get("rule") else { return Ok(None) };
        RuleName::read(text, cadence)
            .map(Some)
            .map_err(|error: InvalidRule| invalid("rule", &error.to_string()))
    }

    /// How many entries a page may have: 1 to 1000.
    pub(crate) fn limit(&self, default: usize) -> Result<usize, Problem> {
        let Some(text) = self.get("limit") else { return Ok(default) };
        text.parse()
            .ok()
            .filter(|limit| (1..=MOST_ITEMS).contains(limit))
            .ok_or_else(|| invalid("limit", "must be a whole number from 1 to 1000"))
    }

    /// The first bar that starts at a moment or later.
    pub(crate) fn moment(&self, key: &str, calendar: &Calendar) -> Result<Option<Second>, Problem> {
        let Some(text) = self.get(key) else { return Ok(None) };
        let moment: Moment = text
            .parse()
            .map_err(|error: InvalidMoment| invalid(key, &format!("{error} (a `+` is sent as %2B)")))?;
        Ok(Some(moment.start(calendar)))
    }

    /// A New York date, of 1900 to 2199: what bars can be of.
    pub(crate) fn date(&self, key: &str) -> Result<Option<Date>, Problem> {
        let Some(text) = self.get(key) else { return Ok(None) };
        let date = text.parse().ok().filter(|date: &Date| {
            // Of the forms that are dates to the parser, this one alone.
            (1900..2200).contains(&date.year()) && date.to_string() == text
        });
        let date = date.ok_or_else(|| invalid(key, "must be a date such as 2025-01-31, of 1900 to 2199"))?;
        Ok(Some(date))
    }

    /// The text of a cursor; an empty one is where a list begins.
    pub(crate) fn cursor(&self) -> Option<&str> {
        self.get("cursor").filter(|text| !text.is_empty())
    }

    /// Where a page of bars goes on.
    pub(crate) fn bar_cursor(&self) -> Result<Option<Second>, Problem> {
        let Some(text) = self.cursor() else { return Ok(None) };
        second(text).map(Some).ok_or_else(unusable_cursor)
    }

    /// Where a page of alerts goes on.
    pub(crate) fn alert_cursor(&self) -> Result<Option<(Second, AlertId)>, Problem> {
        let Some(text) = self.cursor() else { return Ok(None) };
        let parse = || {
            let (start, id) = text.split_once('.')?;
            Some((second(start)?, id.parse().ok()?))
        };
        parse().map(Some).ok_or_else(unusable_cursor)
    }

    /// Where a page of subscriptions goes on.
    pub(crate) fn subscription_cursor(&self) -> Result<Option<SubscriptionId>, Problem> {
        let Some(text) = self.cursor() else { return Ok(None) };
        text.parse().map(Some).map_err(|_| unusable_cursor())
    }

    /// Whether something is wanted; not, where nothing is said.
    pub(crate) fn flag(&self, key: &str) -> Result<bool, Problem> {
        match self.get(key) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(invalid(key, "must be `true` or `false`")),
        }
    }

    /// Where a page of a list that is numbered goes on.
    pub(crate) fn offset(&self) -> Result<usize, Problem> {
        let Some(text) = self.cursor() else { return Ok(0) };
        text.parse().ok().filter(|&offset| offset <= 1_000_000).ok_or_else(unusable_cursor)
    }
}

/// A cursor's time, held to those there are: seconds since 1970, of ten digits at the most.
fn second(text: &str) -> Option<Second> {
    let digits = text.strip_prefix('-').unwrap_or(text).len();
    (1..=10).contains(&digits).then(|| text.parse().ok().map(Second::from_unix)).flatten()
}

/// The cursor that continues after an alert.
pub(crate) fn cursor_after(start: Second, id: AlertId) -> String {
    format!("{}.{id}", start.unix())
}

pub(crate) fn invalid(parameter: &str, must: &str) -> Problem {
    Problem::bad_request("invalid_parameter", format!("`{parameter}` {must}"))
}

pub(crate) fn unusable_cursor() -> Problem {
    invalid("cursor", "must be the `next_cursor` of an earlier answer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use qqq_core::market::calendar::Market;

    fn since(text: &str) -> Option<String> {
        let query = format!("since={text}");
        let calendar = Calendar::new(Market::Xnas, false, []);
        Query::parse(Some(&query), &["since"])
            .unwrap()
            .moment("since", &calendar)
            .ok()?
            .map(|minute| minute.to_string())
    }

    #[test]
    fn since_takes_in_no_bar_that_started_before() {
        assert_eq!(since("2025-01-31T20:59:00Z").unwrap(), "2025-01-31T20:59:00Z");
        assert_eq!(since("2025-01-31T20:59:00.001Z").unwrap(), "2025-01-31T21:00:00Z");
        assert_eq!(since("2025-01-31T15:59:00-05:00").unwrap(), "2025-01-31T20:59:00Z");
        assert_eq!(since("2025-01-31").unwrap(), "2025-01-31T05:00:00Z");
        for text in ["yesterday", "20:59", "2025-01-31T20:59:00", "1e9"] {
            assert_eq!(since(text), None, "{text}");
        }
    }

    #[test]
    fn a_date_is_taken_in_one_form_only() {
        let date = |text: &str| {
            let query = format!("from={text}");
            Query::parse(Some(&query), &["from"]).unwrap().date("from").ok()?.map(|date| date.to_string())
        };
        assert_eq!(date("2025-01-31").unwrap(), "2025-01-31");
        for text in [
            "",
            "today",
            "2025-01-32",
            "2025-1-31",
            "20250131",
            "2025-01-31T00:00:00",
            "%2B002025-01-31",
            "1899-12-31",
            "2200-01-01",
            "2025-W05-5",
        ] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn parameters_must_be_known_given_once_and_in_range() {
        let known = ["limit", "cursor"];
        assert!(Query::parse(Some("limits=5"), &known).is_err());
        assert!(Query::parse(Some("limit=5&limit=6"), &known).is_err());
        let limit = |text: &str| Query::parse(Some(text), &known).unwrap().limit(50).ok();
        assert_eq!(limit(""), Some(50));
        assert_eq!(limit("limit="), None);
        assert_eq!(limit("limit=1000"), Some(1000));
        for text in
            ["limit=0", "limit=1001", "limit=-1", "limit=1.0", "limit=x", "limit=99999999999999999999"]
        {
            assert_eq!(limit(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_cursor_is_read_back(index in -60_000_000..5_400_000_000_i64, symbol in "[A-Z]{1,5}") {
            let start = Second::from_unix(index);
            let id = AlertId::derive("spike", symbol.parse().unwrap(), Metric::Price, start);
            let text = format!("cursor={}", cursor_after(start, id));
            let query = Query::parse(Some(&text), &["cursor"]).unwrap();
            prop_assert_eq!(query.alert_cursor().unwrap(), Some((start, id)));
        }

        #[test]
        fn no_query_panics(text in "\\PC{0,60}") {
            if let Ok(query) = Query::parse(Some(&format!("cursor={text}")), &["cursor"]) {
                let _ = (query.alert_cursor(), query.offset(), query.bar_cursor());
            }
        }
    }
}
