//! Subscriptions, as they are asked for and told.

use crate::dto::words::{
    ChannelWord, SubscriptionStateWord, SubscriptionStatusWord, SymbolsText, TickerText, WebhookFormatWord,
};
use jiff::Timestamp;
use qqq_contract::rule::{RuleIn, RuleOut, RuleShape};
use qqq_contract::sentence;
use qqq_contract::words::MetricWord;
use qqq_core::subscription::channel::{Webhook, WebhookFormat};
use qqq_core::subscription::quiet::QuietHours;
use qqq_core::subscription::token::WebhookSecret;
use qqq_core::subscription::{Scope, Subscription};
use qqq_core::{Channel, Rule};
use qqq_engine::subscribe::{Standing, Wish};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// What pauses until it is resumed.
pub(crate) const UNTIL_RESUMED: &str = "resumed";

/// A sign-up for alerts.
#[derive(ToSchema)]
#[schema(as = SubscriptionIn)]
#[serde(untagged)]
#[expect(
    dead_code,
    reason = "fields are read one by one, so that all that are wrong are told; this says their shape"
)]
pub(crate) enum SubscriptionIn {
    /// By mail.
    Mail(MailIn),
    /// By requests to an address.
    Webhook(WebhookIn),
    /// By notifications of a browser.
    Push(PushIn),
}

/// Alerts by mail.
#[derive(Deserialize, ToSchema)]
#[schema(as = MailSubscriptionIn)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "this says the shape of what is read field by field")]
pub(crate) struct MailIn {
    /// `email`, also where it is left out.
    #[schema(pattern = "^email$", example = "email")]
    channel: Option<String>,
    /// Where the mails go: in ASCII, at most 254 characters.
    #[schema(
        max_length = 254,
        pattern = "^[A-Za-z0-9!#$%&'*+/=?^_`{|}~\\-]{1,64}@[A-Za-z0-9]{1,63}(\\.[A-Za-z0-9]{1,63}){0,2}$",
        example = "ada@example.com"
    )]
    email: String,
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

/// Alerts by requests.
#[derive(Deserialize, ToSchema)]
#[schema(as = WebhookSubscriptionIn)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "this says the shape of what is read field by field")]
pub(crate) struct WebhookIn {
    /// `webhook`.
    #[schema(pattern = "^webhook$", example = "webhook")]
    channel: String,
    /// Where the requests go: `https`, on the public internet unless the operator allows more.
    #[schema(max_length = 2048, example = "https://hooks.example.com/alerts")]
    url: String,
    /// In whose words. Default: `standard`. With `telegram` the `url` has the parameter `chat_id`, with
    /// `pushover` it has `token` and `user`.
    #[schema(value_type = Option<WebhookFormatWord>, example = "standard")]
    format: Option<String>,
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

/// Alerts by notifications of a browser.
#[derive(Deserialize, ToSchema)]
#[schema(as = PushSubscriptionIn)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "this says the shape of what is read field by field")]
pub(crate) struct PushIn {
    /// `push`.
    #[schema(pattern = "^push$", example = "push")]
    channel: String,
    /// What the browser's `PushSubscription` says of itself (`toJSON()`), made with the key of
    /// `GET /v1/push`.
    push: PushShape,
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

/// A browser's `PushSubscription`.
#[derive(Deserialize, ToSchema)]
#[schema(as = PushSubscription)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "this says the shape of what is read field by field")]
struct PushShape {
    /// Where its push service takes what is for it: `https`, on the public internet unless the operator
    /// allows more.
    #[schema(max_length = 2048, example = "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV")]
    endpoint: String,
    /// Browsers say it; it is not looked at: the push service tells when it has lapsed.
    #[serde(rename = "expirationTime")]
    expiration_time: Option<f64>,
    /// What only the browser can read with.
    keys: PushKeysShape,
}

/// The keys of a browser's `PushSubscription`, in URL-safe base64.
#[derive(Deserialize, ToSchema)]
#[schema(as = PushKeys)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "this says the shape of what is read field by field")]
struct PushKeysShape {
    /// Its public key: an uncompressed point of P-256.
    #[schema(
        pattern = "^B[A-P][A-Za-z0-9_-]{85}=?$",
        example = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
    )]
    p256dh: String,
    /// Its secret of 16 bytes.
    #[schema(pattern = "^[A-Za-z0-9_-]{21}[AQgw](==)?$", example = "BTBZMqHH6r4Tts7J_aSIgg")]
    auth: String,
}

/// A stretch of every day by the reader's own clock.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = QuietHours)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuietHoursShape {
    /// When they begin.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", example = "22:00")]
    from: String,
    /// When they end, on the next day where that is not later.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$", example = "07:00")]
    to: String,
    /// The IANA name of the reader's time zone.
    #[schema(example = "Europe/Berlin")]
    zone: String,
}

impl From<&QuietHours> for QuietHoursShape {
    fn from(hours: &QuietHours) -> Self {
        Self { from: hours.from(), to: hours.to(), zone: hours.zone().to_owned() }
    }
}

/// The answer to a sign-up: the same whether the receiver is new, known or suppressed. Id, token and secret
/// travel in the message to the receiver alone.
#[derive(Serialize, ToSchema)]
#[schema(as = SubscriptionTaken)]
pub(crate) struct TakenOut {
    /// The ticker as listed today, where one symbol was asked for; else `null`.
    #[schema(required = true, example = "META")]
    ticker: Option<String>,
    /// What was asked for, as listed today, each once; `*` alone is the watchlist.
    #[schema(example = json!(["META"]))]
    symbols: Vec<String>,
    /// What is watched.
    #[schema(value_type = MetricWord, example = "volume")]
    metric: &'static str,
    /// How alerts are told.
    #[schema(value_type = ChannelWord, example = "email")]
    channel: &'static str,
    /// As it was given; `null` with another channel.
    #[schema(required = true, example = "ada@example.com")]
    email: Option<String>,
    /// As it was understood; `null` with another channel.
    #[schema(required = true, example = json!(null))]
    url: Option<String>,
    /// The rule, with all its settings.
    #[schema(value_type = RuleShape)]
    rule: RuleOut,
    /// `pending` until the link in the message is confirmed; `active` where the server asks for no
    /// confirmation.
    #[schema(value_type = SubscriptionStatusWord, example = "pending")]
    status: &'static str,
}

impl TakenOut {
    /// Tells what was taken, `rule` the wish's rule on this server.
    pub(crate) fn new(wish: &Wish, rule: Rule, standing: Standing) -> Self {
        let (email, url) = receivers(&wish.channel);
        Self {
            ticker: match wish.scopes[..] {
                [Scope::Symbol(symbol)] => Some(symbol.to_string()),
                _ => None,
            },
            symbols: wish.scopes.iter().map(ToString::to_string).collect(),
            metric: wish.metric.as_str(),
            channel: wish.channel.kind().as_str(),
            email,
            url,
            rule: RuleOut(rule),
            status: standing.as_str(),
        }
    }
}

/// A subscription, for who holds its token.
#[derive(Serialize, ToSchema)]
#[schema(as = Subscription)]
pub(crate) struct SubscriptionOut {
    /// Its identity.
    #[schema(format = "uuid")]
    id: String,
    /// The ticker as listed today; `*`: every symbol of the watchlist, also what is added to it later.
    #[schema(example = "META")]
    ticker: String,
    /// What is watched.
    #[schema(value_type = MetricWord)]
    metric: &'static str,
    /// How alerts are told.
    #[schema(value_type = ChannelWord)]
    channel: &'static str,
    /// Where the mails go; `null` with another channel.
    #[schema(required = true)]
    email: Option<String>,
    /// Where the requests go; `null` with another channel. With a `format` that posts into a channel, without
    /// path and query: its readers see the token, and are not to learn how to post there.
    #[schema(required = true)]
    url: Option<String>,
    /// In whose words; `null` with another channel.
    #[schema(value_type = Option<WebhookFormatWord>, required = true)]
    format: Option<&'static str>,
    /// Signs the requests (Standard Webhooks); `null` with another channel or `format`. A secret.
    #[schema(required = true)]
    secret: Option<String>,
    /// The rule, with all its settings.
    #[schema(value_type = RuleShape)]
    rule: RuleOut,
    /// The same as text of the grammar, as alerts name it; `spike` is the server's own.
    #[schema(example = "spike")]
    rule_text: String,
    /// When it tells, in words.
    #[schema(example = "when META's volume is at least 3 times its average of the last hour")]
    told: String,
    /// Where it stands.
    #[schema(value_type = SubscriptionStateWord)]
    status: &'static str,
    /// When it was asked for, UTC.
    #[schema(format = DateTime)]
    created_at: String,
    /// The first minute whose bar is told of, UTC; `null` until it is active.
    #[schema(format = DateTime, required = true)]
    active_from: Option<String>,
    /// When alerts wait; `null`: never.
    #[schema(required = true)]
    quiet_hours: Option<QuietHoursShape>,
    /// Nothing is told of until then, UTC; `resumed`: until it is resumed; `null`: it is not paused.
    #[schema(required = true, example = json!(null))]
    paused_until: Option<String>,
}

impl SubscriptionOut {
    /// Tells a subscription. `rule` is its rule on this server, `secret` what signs its requests.
    pub(crate) fn new(
        subscription: &Subscription,
        rule: Rule,
        secret: Option<WebhookSecret>,
        is_paused: bool,
    ) -> Self {
        let (email, url) = receivers(&subscription.channel);
        let (format, url) = match &subscription.channel {
            Channel::Email(_) | Channel::Push(_) => (None, None),
            Channel::Webhook(Webhook { format: format @ WebhookFormat::Standard, .. }) => (Some(format), url),
            // A channel's readers see its confirmation. The token in it lets them pause what is posted; path
            // and query would let them post there themselves.
            Channel::Webhook(Webhook { format, url }) => {
                (Some(format), Some(url.url().origin().ascii_serialization()))
            }
        };
        let paused = subscription.paused_until.filter(|_| is_paused);
        Self {
            id: subscription.id.to_string(),
            ticker: subscription.scope.to_string(),
            metric: subscription.metric.as_str(),
            channel: subscription.channel.kind().as_str(),
            email,
            url,
            format: format.map(|format| format.as_str()),
            secret: secret.map(|secret| secret.expose()),
            rule: RuleOut(rule),
            rule_text: subscription.rule.to_string(),
            told: sentence::promise(&rule, subscription.scope, subscription.metric),
            status: subscription.status.as_str(),
            created_at: subscription.created_at.to_string(),
            active_from: subscription.active_from.map(|from| from.to_string()),
            quiet_hours: subscription.quiet.as_ref().map(QuietHoursShape::from),
            paused_until: paused.map(|until| {
                if until == Timestamp::MAX { UNTIL_RESUMED.to_owned() } else { until.to_string() }
            }),
        }
    }
}

/// What to change about a subscription; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[schema(as = SubscriptionChange)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "this says the shape of what is read field by field")]
pub(crate) struct ChangeIn {
    /// By which rule from now on.
    #[schema(value_type = Option<RuleIn>)]
    rule: Option<Value>,
    /// When alerts wait; `null`: never.
    quiet_hours: Option<QuietHoursShape>,
    /// Pauses until then (RFC 3339), or until it is `resumed`; `null` resumes it.
    #[schema(example = "2025-02-01T14:30:00Z")]
    paused_until: Option<String>,
}

/// The mail address, or the URL.
fn receivers(channel: &Channel) -> (Option<String>, Option<String>) {
    match channel {
        Channel::Email(address) => (Some(address.expose().to_owned()), None),
        Channel::Webhook(webhook) => (None, Some(webhook.url.expose().to_owned())),
        Channel::Push(_) => (None, None),
    }
}
