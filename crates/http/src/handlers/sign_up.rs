//! What all sign-ups share, however they are sent.

use crate::api::Api;
use crate::handlers::rule_field::rule_of;
use crate::http::body::read_body;
use crate::http::fields::{Fields, must_be_json};
use crate::http::problem::Problem;
use axum::extract::Request;
use qqq_core::subscription::channel::{ChannelKind, Webhook, WebhookFormat};
use qqq_core::subscription::confirmation::MOST_ASKED;
use qqq_core::subscription::limits::LimitExceeded;
use qqq_core::subscription::push::PushReceiver;
use qqq_core::subscription::quiet::QuietHours;
use qqq_core::subscription::webhook_url::WebhookUrl;
use qqq_core::subscription::{EmailAddress, Scope};
use qqq_core::{Channel, Symbol};
use qqq_engine::subscribe::{SignUpError, Standing, Wish};
use qqq_store::StoreError;
use serde_json::Value;
use std::net::IpAddr;

/// Takes a sign-up that is sent as JSON, of the fields `known`: what is wanted, and how it stands.
pub(crate) async fn sign_up_of_json(
    api: &Api,
    request: Request,
    known: &'static [&'static str],
) -> Result<(Wish, Standing), Problem> {
    let client = api.client(&request);
    api.0.posts.check(client)?;
    must_be_json(request.headers())?;
    let body = read_body(&api.0.config.limits, request.into_body()).await?;
    let wish = wish_of(api, Fields::of_json(&body, known)?)?;
    let standing = sign_up(api, client, &wish).await?;
    Ok((wish, standing))
}

/// Takes a sign-up's fields for what they mean, or says of each what is wrong.
pub(crate) fn wish_of(api: &Api, mut fields: Fields) -> Result<Wish, Problem> {
    let fields = &mut fields;
    let channel = channel(api, fields);
    read_wish(api, channel, fields)
}

/// The same where the receiver has shown who it is.
pub(crate) fn own_wish_of(api: &Api, receiver: Channel, mut fields: Fields) -> Result<Wish, Problem> {
    read_wish(api, Some(receiver), &mut fields)
}

fn read_wish(api: &Api, channel: Option<Channel>, fields: &mut Fields) -> Result<Wish, Problem> {
    let metric =
        fields.text("metric").and_then(|text| fields.parsed("metric", api.0.calendar.metrics().named(&text)));
    let scopes = scopes(api, fields);
    let rule = rule_of(fields, "rule", metric, &api.0.calendar);
    let quiet = quiet_hours(fields);
    let read = match (channel, metric, scopes, rule, quiet) {
        (Some(channel), Some(metric), Some(scopes), Some(rule), Some(quiet)) => {
            Some(Wish { channel, metric, scopes, rule, quiet })
        }
        _ => None,
    };
    std::mem::take(fields).finish(read)
}

/// Which symbols are asked for, each once: by `ticker` or `symbol` one, by `symbols` some or the watchlist.
fn scopes(api: &Api, fields: &mut Fields) -> Option<Vec<Scope>> {
    const SEVERAL: &str = "symbols";
    let given: Vec<&str> = ["ticker", "symbol", SEVERAL]
        .into_iter()
        .filter(|name| fields.knows(name) && fields.gives(name))
        .collect();
    match given[..] {
        [] if !fields.knows(SEVERAL) => fields.text("ticker").map(|_| Vec::new()),
        [] => {
            fields.wrong(SEVERAL, "is missing: `symbol` names one, `symbols` a list of them, or \"*\" all");
            None
        }
        [SEVERAL] => match fields.value(SEVERAL)? {
            Value::String(text) if text == Scope::Watchlist.as_str() => Some(vec![Scope::Watchlist]),
            Value::Array(entries) => several(api, fields, SEVERAL, &entries),
            _ => {
                fields.wrong(SEVERAL, "must be a list of symbols, or \"*\" for the watchlist");
                None
            }
        },
        [one] => {
            let text = fields.text(one)?;
            tracked(api, fields, one, &text).map(|symbol| vec![symbol.into()])
        }
        [first, ref others @ ..] => {
            for other in others {
                fields.wrong(other, format!("does not go with `{first}`: give one of them"));
            }
            None
        }
    }
}

/// The entries of a list, or what is wrong with each.
fn several(api: &Api, fields: &mut Fields, name: &str, entries: &[Value]) -> Option<Vec<Scope>> {
    let whole = Scope::Watchlist.as_str();
    match entries {
        [] => {
            fields.wrong(name, "must name one symbol at least, or be \"*\" for the watchlist");
            return None;
        }
        [Value::String(text)] if text == whole => return Some(vec![Scope::Watchlist]),
        entries if entries.len() > MOST_ASKED => {
            let asked = entries.len();
            let detail = format!("names {asked} symbols, of at most {MOST_ASKED}; \"*\" is the watchlist");
            fields.wrong(name, detail);
            return None;
        }
        _ => {}
    }
    let mut scopes: Vec<Scope> = Vec::with_capacity(entries.len());
    let mut is_whole = true;
    for (at, entry) in entries.iter().enumerate() {
        let field = format!("{name}[{at}]");
        let symbol = match entry {
            Value::String(text) if text == whole => {
                fields.wrong(&field, "is the watchlist, and stands alone");
                None
            }
            Value::String(text) => tracked(api, fields, &field, text),
            _ => {
                fields.wrong(&field, "must be a text");
                None
            }
        };
        is_whole &= symbol.is_some();
        scopes.extend(symbol.map(Scope::from).filter(|scope| !scopes.contains(scope)));
    }
    is_whole.then_some(scopes)
}

/// The tracked symbol that a text means.
fn tracked(api: &Api, fields: &mut Fields, field: &str, text: &str) -> Option<Symbol> {
    let found = api.tracked(text);
    if found.is_none() {
        let shown: String = text.chars().take(32).collect();
        fields.wrong(field, format!("`{shown}` is not tracked; /v1/symbols lists what is"));
    }
    found
}

/// Where the messages are to go: by mail where nothing else is said.
fn channel(api: &Api, fields: &mut Fields) -> Option<Channel> {
    let kind = match fields.text_if_given("channel") {
        Some(text) => fields.parsed("channel", text.parse::<ChannelKind>())?,
        None => ChannelKind::Email,
    };
    let others: &[&str] = match kind {
        ChannelKind::Email => &["url", "format", "push"],
        ChannelKind::Webhook => &["email", "push"],
        ChannelKind::Push => &["email", "url", "format"],
    };
    for other in others {
        if fields.value(other).is_some_and(|value| !value.is_null()) {
            fields.wrong(other, format!("does not go with the channel `{kind}`"));
        }
    }
    match kind {
        ChannelKind::Email => {
            let text = fields.text("email")?;
            fields.parsed("email", text.trim().parse::<EmailAddress>()).map(Channel::Email)
        }
        ChannelKind::Webhook => {
            let format = match fields.text_if_given("format") {
                Some(text) => fields.parsed("format", text.parse::<WebhookFormat>())?,
                None => WebhookFormat::Standard,
            };
            let text = fields.text("url")?;
            let url = fields.parsed("url", text.parse::<WebhookUrl>())?;
            fields.parsed("url", (api.0.config.admit)(&url))?;
            if let Some(parameter) = format.lacks(&url) {
                let detail =
                    format!("lacks `{parameter}`: with the format `{format}` it ends in ?{parameter}=...");
                fields.wrong("url", detail);
                return None;
            }
            Some(Channel::Webhook(Webhook { url, format }))
        }
        ChannelKind::Push => push(api, fields).map(Channel::Push),
    }
}

/// The field `push`: a browser's `PushSubscription`, as it says it.
fn push(api: &Api, fields: &mut Fields) -> Option<PushReceiver> {
    const FIELD: &str = "push";
    let Some(Value::Object(members)) = fields.value(FIELD) else {
        fields.wrong(FIELD, "must be what the browser's PushSubscription says: `endpoint` and `keys`");
        return None;
    };
    if let Some(unknown) =
        members.keys().find(|name| !["endpoint", "expirationTime", "keys"].contains(&name.as_str()))
    {
        fields.wrong(&format!("{FIELD}.{unknown}"), "is not known here; the fields are endpoint, keys");
        return None;
    }
    if members.get("expirationTime").is_some_and(|at| !at.is_null() && !at.is_number()) {
        fields.wrong(&format!("{FIELD}.expirationTime"), "must be a number or null");
        return None;
    }
    let keys = members.get("keys").and_then(Value::as_object);
    if let Some(unknown) = keys
        .into_iter()
        .flat_map(|keys| keys.keys())
        .find(|name| !["p256dh", "auth"].contains(&name.as_str()))
    {
        fields.wrong(&format!("{FIELD}.keys.{unknown}"), "is not known here; the keys are p256dh, auth");
        return None;
    }
    let key = |name: &str| members.get("keys").and_then(|keys| keys.get(name)?.as_str()).unwrap_or_default();
    let endpoint = members.get("endpoint").and_then(Value::as_str).unwrap_or_default();
    let receiver = PushReceiver::new(endpoint, key("p256dh"), key("auth"))
        .and_then(|receiver| (api.0.config.push.admit)(&receiver).map(|()| receiver));
    receiver.map_err(|error| fields.wrong(&format!("{FIELD}.{}", error.member), error.problem)).ok()
}

/// Takes a client's sign-up, within the client's limits.
pub(crate) async fn sign_up(api: &Api, client: IpAddr, wish: &Wish) -> Result<Standing, Problem> {
    let inner = &*api.0;
    inner.sign_ups.check(client)?;
    inner.sign_ups_per_hour.check(client)?;
    inner.wide_sign_ups_per_hour.check(client)?;
    let receiver = match &wish.channel {
        Channel::Email(_) => "email",
        Channel::Webhook(_) => "url",
        Channel::Push(_) => "push",
    };
    let asked = wish.scopes.len();
    inner.subscriptions.sign_up(wish.clone()).await.map_err(|error| refused(api, error, asked, receiver))
}

/// Why so many symbols were not taken. `receiver` is the field to be told of what the receiver has already.
pub(crate) fn refused(api: &Api, error: SignUpError, asked: usize, receiver: &str) -> Problem {
    match error {
        SignUpError::Store(StoreError::BeyondLimit(limit)) => {
            let of_receiver = match limit {
                LimitExceeded::PerReceiver(most) if asked > most as usize => "symbols",
                _ => receiver,
            };
            Problem::beyond(limit, of_receiver)
        }
        other => refusal(api, other),
    }
}

/// Why nothing was taken after which a message would go out.
pub(crate) fn refusal(api: &Api, error: SignUpError) -> Problem {
    match error {
        SignUpError::Store(other) => other.into(),
        SignUpError::NoRandomness(_) => {
            tracing::error!(%error, "a sign-up could not be taken");
            Problem::internal()
        }
        SignUpError::Full(full) => {
            api.0.metrics.sign_up_refused();
            tracing::warn!("a sign-up was refused: too many wait for their message already");
            let wait = full.retry_after.unsigned_abs();
            let detail = format!(
                "more sign-ups wait for their confirmation than can be taken: try again in {} s",
                wait.as_secs()
            );
            Problem::unavailable("too_many_waiting", detail, wait)
        }
    }
}

/// The field `quiet_hours`: absent or `null`, none; else `{"from","to","zone"}`.
pub(crate) fn quiet_hours(fields: &mut Fields) -> Option<Option<QuietHours>> {
    const FIELD: &str = "quiet_hours";
    let parts = match fields.value(FIELD) {
        None | Some(Value::Null) => return Some(None),
        Some(Value::Object(parts)) => parts,
        Some(_) => {
            fields.wrong(FIELD, "must be an object of `from`, `to` and `zone`, or null");
            return None;
        }
    };
    if let Some(unknown) = parts.keys().find(|name| !["from", "to", "zone"].contains(&name.as_str())) {
        fields.wrong(&format!("{FIELD}.{unknown}"), "is not known here; the fields are from, to, zone");
        return None;
    }
    let text = |name: &str| parts.get(name).and_then(Value::as_str).unwrap_or_default();
    match QuietHours::new(text("from"), text("to"), text("zone")) {
        Ok(hours) => Some(Some(hours)),
        Err(error) => {
            fields.wrong(&format!("{FIELD}.{}", error.field), error.reason);
            None
        }
    }
}
