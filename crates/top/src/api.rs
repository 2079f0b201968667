//! What is asked of a server: its lists once, its bars when somebody looks at a chart.

use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use url::Url;

/// For an answer to begin.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pages of a list that are read at the most.
const MOST_PAGES: usize = 50;

/// Why nothing can be shown.
#[derive(Debug, thiserror::Error)]
pub enum TopError {
    /// Standard output is a file or a pipe.
    #[error("`top` draws on a terminal, and standard output is none; for programs there is {0}v1/symbols")]
    NoTerminal(Url),
    /// Nobody answers there.
    #[error(
        "{url} cannot be reached ({reason}): start a tracker with `qqq-tracker run`, \
         or say where one runs with --url"
    )]
    Unreachable {
        /// Where.
        url: Url,
        /// Why not.
        reason: String,
    },
    /// Somebody answers, but not as a tracker does.
    #[error("{url} does not answer as a tracker does: {reason}")]
    Foreign {
        /// Where.
        url: Url,
        /// What was wrong.
        reason: String,
    },
    /// The terminal refuses.
    #[error("the terminal cannot be used: {0}")]
    Terminal(#[from] std::io::Error),
}

/// A page of a list.
#[derive(Debug, Deserialize)]
struct Page<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

/// One symbol with its newest bar.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Symbol {
    pub(crate) symbol: String,
    pub(crate) name: Option<String>,
    pub(crate) bar: Option<Bar>,
    pub(crate) day_change: Option<DayChange>,
    pub(crate) statistics: Statistics,
    pub(crate) unusual: Unusual,
}

/// Prices in dollars, the volume in shares, the start UTC (RFC 3339).
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Bar {
    pub(crate) start: String,
    pub(crate) high: f64,
    pub(crate) low: f64,
    pub(crate) close: f64,
    pub(crate) volume: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub(crate) struct DayChange {
    pub(crate) percent: f64,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Statistics {
    pub(crate) volume: Figures,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Figures {
    pub(crate) ratio: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Unusual {
    pub(crate) score: Option<f64>,
    pub(crate) relative_volume: Figures,
}

/// An alert of the house's rules.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Alert {
    pub(crate) id: String,
    pub(crate) symbol: String,
    pub(crate) start: String,
    pub(crate) state: String,
    pub(crate) headline: String,
}

/// The closes of the newest bar's session, one for every five minutes.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Sparkline {
    pub(crate) symbol: String,
    pub(crate) closes: Vec<Option<f64>>,
}

/// How things stand.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Status {
    pub(crate) feed: Option<String>,
    pub(crate) mode: Option<String>,
    pub(crate) problem: Option<String>,
    pub(crate) session: String,
    pub(crate) as_of: String,
}

/// The API of one server.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    client: Client,
    url: Url,
}

impl Api {
    pub(crate) fn new(url: Url) -> Result<Self, TopError> {
        let foreign = |error: reqwest::Error| TopError::Foreign { url: url.clone(), reason: reason(&error) };
        let client = Client::builder()
            .connect_timeout(PATIENCE)
            .user_agent(concat!("qqq-tracker-top/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(foreign)?;
        Ok(Self { client, url })
    }

    /// The whole of a list, and the place in the stream that it stands at.
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<(Vec<T>, String), TopError> {
        let (mut items, mut position, mut cursor) = (Vec::new(), None, None::<String>);
        for _ in 0..MOST_PAGES {
            let mut asked = query.to_vec();
            if let Some(cursor) = &cursor {
                asked.push(("cursor", cursor));
            }
            let response = self.get(path, &asked, Some(PATIENCE), None).await?;
            let at = response.headers().get("stream-position").and_then(|value| value.to_str().ok());
            // The first page is the oldest: the stream is read from there.
            position.get_or_insert_with(|| at.unwrap_or_default().to_owned());
            let page: Page<T> = self.read(response).await?;
            items.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        Ok((items, position.unwrap_or_default()))
    }

    /// The first page of a list.
    pub(crate) async fn first<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<T>, TopError> {
        let response = self.get(path, query, Some(PATIENCE), None).await?;
        let page: Page<T> = self.read(response).await?;
        Ok(page.items)
    }

    /// The stream from an event on; it does not end by itself.
    pub(crate) async fn stream(&self, last: &str) -> Result<Response, TopError> {
        tokio::time::timeout(PATIENCE, self.get("v1/stream", &[], None, Some(last)))
            .await
            .map_err(|_| self.unreachable("no answer came".to_owned()))?
    }

    async fn get(
        &self,
        path: &str,
        query: &[(&str, &str)],
        patience: Option<Duration>,
        last_event: Option<&str>,
    ) -> Result<Response, TopError> {
        let url = self
            .url
            .join(path)
            .map_err(|error| TopError::Foreign { url: self.url.clone(), reason: error.to_string() })?;
        let mut request = self.client.get(url).query(query).header("accept", "application/json, */*;q=0.1");
        if let Some(patience) = patience {
            request = request.timeout(patience);
        }
        if let Some(last) = last_event {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.map_err(|error| self.unreachable(reason(&error)))?;
        match response.status() {
            StatusCode::OK => Ok(response),
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Err(self.unreachable(format!("it answers {status}")))
            }
            status => Err(TopError::Foreign {
                url: self.url.clone(),
                reason: format!("{path} is answered by {status}"),
            }),
        }
    }

    async fn read<T: DeserializeOwned>(&self, response: Response) -> Result<T, TopError> {
        let body = response.bytes().await.map_err(|error| self.unreachable(reason(&error)))?;
        serde_json::from_slice(&body)
            .map_err(|error| TopError::Foreign { url: self.url.clone(), reason: error.to_string() })
    }

    fn unreachable(&self, reason: String) -> TopError {
        TopError::Unreachable { url: self.url.clone(), reason }
    }
}

/// The innermost cause: what people can do something about.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
