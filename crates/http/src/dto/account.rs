//! Who is signed in, and what is kept of them.

use crate::dto::subscription::{QuietHoursShape, SubscriptionOut};
use crate::dto::words::{SymbolsText, TickerText};
use qqq_contract::AlertOut;
use qqq_contract::rule::RuleIn;
use qqq_contract::words::MetricWord;
use qqq_core::subscription::session::Session;
use qqq_engine::account::{Export, Reader};
use qqq_store::DeliveryRecord;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Who wants to sign in.
#[derive(Deserialize, ToSchema)]
#[schema(as = SessionRequest)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "this says the shape of what is read field by field")]
pub(crate) struct SessionIn {
    /// Where the alerts go.
    #[schema(
        max_length = 254,
        pattern = "^[A-Za-z0-9!#$%&'*+/=?^_`{|}~\\-]{1,64}@[A-Za-z0-9]{1,63}(\\.[A-Za-z0-9]{1,63}){0,2}$",
        example = "ada@example.com"
    )]
    email: String,
}

/// The answer to a request for a link: the same for everybody.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionTaken)]
pub(crate) struct SignInTakenOut {
    /// What happens, for people.
    #[schema(example = "If alerts go to this address, a mail with a link is on its way.")]
    detail: &'static str,
}

impl Default for SignInTakenOut {
    fn default() -> Self {
        Self {
            detail: "if alerts go to this address, a mail with a link to sign in goes to it, usually within \
                     a minute; it works once, within 15 minutes. Within ten minutes of the last such mail, \
                     and after three in a day, no further one is sent",
        }
    }
}

/// Whether a browser is signed in.
#[derive(Serialize, ToSchema)]
#[schema(as = SignedIn)]
pub(crate) struct SessionOut {
    /// Whether it is.
    signed_in: bool,
    /// As whom; `null` where it is not.
    #[schema(required = true, example = "ada@example.com")]
    email: Option<String>,
    /// Whether that is an operator (`server.operators`).
    operator: bool,
}

impl SessionOut {
    pub(crate) fn new(reader: Option<&Reader>) -> Self {
        Self {
            signed_in: reader.is_some(),
            email: reader.map(|reader| reader.session.address.expose().to_owned()),
            operator: reader.is_some_and(Reader::is_operator),
        }
    }
}

/// Who is signed in.
#[derive(Serialize, ToSchema)]
#[schema(as = Me)]
pub(crate) struct MeOut {
    /// Where the alerts go.
    #[schema(example = "ada@example.com")]
    email: String,
    /// Whether it is an operator's (`server.operators`).
    operator: bool,
    /// Since when this browser is signed in, UTC.
    #[schema(format = DateTime)]
    signed_in_at: String,
    /// Until when, at the latest, UTC.
    #[schema(format = DateTime)]
    signed_in_until: String,
}

impl From<&Reader> for MeOut {
    fn from(reader: &Reader) -> Self {
        let Session { address, created_at, expires_at } = &reader.session;
        Self {
            email: address.expose().to_owned(),
            operator: reader.is_operator(),
            signed_in_at: created_at.to_string(),
            signed_in_until: expires_at.to_string(),
        }
    }
}

/// Alerts that one adds for oneself.
#[derive(Deserialize, ToSchema)]
#[schema(as = OwnSubscriptionIn)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "this says the shape of what is read field by field")]
pub(crate) struct OwnSubscriptionIn {
    /// A tracked ticker. One of `ticker`, `symbol` and `symbols` must be given.
    #[schema(value_type = Option<TickerText>, example = "META")]
    ticker: Option<String>,
    /// The same as `ticker`.
    #[schema(value_type = Option<TickerText>)]
    symbol: Option<String>,
    /// Several tracked tickers, or the watchlist.
    #[schema(value_type = Option<SymbolsText>)]
    symbols: Option<Value>,
    /// What to watch.
    #[schema(value_type = MetricWord, example = "volume")]
    metric: String,
    /// By which rule. Default: the server's own, `spike`.
    #[schema(value_type = Option<RuleIn>)]
    rule: Option<Value>,
    /// When alerts wait, to come as one message afterwards.
    quiet_hours: Option<QuietHoursShape>,
}

/// All that is kept of an address.
#[derive(Serialize, ToSchema)]
#[schema(as = Export)]
pub(crate) struct ExportOut {
    /// The address.
    #[schema(example = "ada@example.com")]
    email: String,
    /// When this was told, UTC.
    #[schema(format = DateTime)]
    exported_at: String,
    /// Browsers that are signed in.
    sessions: Vec<ExportedSession>,
    /// Subscriptions in any state.
    subscriptions: Vec<SubscriptionOut>,
    /// Messages.
    deliveries: Vec<ExportedDelivery>,
    /// Alerts by the rules of its active subscriptions.
    alerts: Vec<AlertOut>,
}

impl ExportOut {
    pub(crate) fn new(reader: &Reader, subscriptions: Vec<SubscriptionOut>, export: &Export) -> Self {
        Self {
            email: reader.session.address.expose().to_owned(),
            exported_at: export.at.to_string(),
            sessions: export.sessions.iter().map(ExportedSession::from).collect(),
            subscriptions,
            deliveries: export.deliveries.iter().map(ExportedDelivery::from).collect(),
            alerts: export.alerts.iter().map(AlertOut::from).collect(),
        }
    }
}

/// A browser that is signed in.
#[derive(Serialize, ToSchema)]
pub(crate) struct ExportedSession {
    /// Since when, UTC.
    #[schema(format = DateTime)]
    signed_in_at: String,
    /// Until when, at the latest, UTC.
    #[schema(format = DateTime)]
    signed_in_until: String,
}

impl From<&Session> for ExportedSession {
    fn from(session: &Session) -> Self {
        Self { signed_in_at: session.created_at.to_string(), signed_in_until: session.expires_at.to_string() }
    }
}

/// A message that was sent, or was to be.
#[derive(Serialize, ToSchema)]
pub(crate) struct ExportedDelivery {
    /// Its identity, which stands in the `Message-ID`.
    #[schema(format = "uuid")]
    id: String,
    /// `confirmation`, `alert`, `retraction`, `digest`.
    #[schema(example = "alert")]
    kind: String,
    /// What became of it.
    #[schema(example = "sent")]
    state: String,
    /// To which subscription.
    #[schema(format = "uuid")]
    subscription: String,
    /// Of which alert; `null` where it is of none.
    #[schema(format = "uuid", required = true)]
    alert: Option<String>,
    /// Since when it was owed, UTC.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it ended, UTC; `null` while it has not.
    #[schema(format = DateTime, required = true)]
    settled_at: Option<String>,
    /// How often it was tried.
    attempts: u32,
}

impl From<&DeliveryRecord> for ExportedDelivery {
    fn from(record: &DeliveryRecord) -> Self {
        Self {
            id: record.id.to_string(),
            kind: record.kind.to_string(),
            state: record.state.to_string(),
            subscription: record.subscription.id.to_string(),
            alert: record.alert.map(|alert| alert.to_string()),
            created_at: record.created_at.to_string(),
            settled_at: record.settled_at.map(|at| at.to_string()),
            attempts: record.attempts,
        }
    }
}
