//! The words and texts of the description that are no plain strings.

use crate::read_model::ranking::Figured;
use qqq_core::delivery::{DeliveryKind, WaitsFor};
use qqq_core::market::calendar::Market;
use qqq_core::subscription::channel::{ChannelKind, WebhookFormat};
use qqq_core::subscription::confirmation::MOST_ASKED;
use qqq_core::subscription::snooze::Snooze;
use qqq_core::{FeedMode, Interval, Phase};
use qqq_store::DeliveryState;
use serde_json::json;
use std::borrow::Cow;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    AnyOfBuilder, ArrayBuilder, KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, Type,
};
use utoipa::{PartialSchema, ToSchema};

qqq_contract::words! {
    /// The figure that symbols are ranked by.
    pub(crate) RankedByWord = "RankedBy", Figured::ALL.map(|by| by.into_str());
    /// How much time a bar covers. Longer ones are aligned to the session's open, not to the hour or the UTC
    /// day.
    pub(crate) IntervalWord = "Interval", Interval::ALL.map(Interval::as_str);
    /// What the market does: `pre` and `post` are the hours around the regular session.
    pub(crate) SessionWord = "Session",
        [Phase::Closed, Phase::Pre, Phase::Regular, Phase::Post].map(Phase::as_str);
    /// Which days and hours count: those of the US exchanges, or every minute.
    pub(crate) CalendarWord = "Calendar", [Market::Xnys, Market::Xnas, Market::Always].map(Market::as_str);
    /// Whose time a feed lives in: the wall clock's, an invented one, that of a recording.
    pub(crate) FeedModeWord = "FeedMode",
        [FeedMode::Live, FeedMode::Simulated, FeedMode::Replayed].map(FeedMode::as_str);
    /// What a message tells.
    pub(crate) DeliveryKindWord = "DeliveryKind", DeliveryKind::ALL.map(DeliveryKind::as_str);
    /// What a message waits for: the end of its receiver's quiet hours, room in the number of messages that
    /// its receiver is sent in an hour, another attempt, its turn, or, under way, its receiver's answer.
    pub(crate) WaitsForWord = "DeliveryWaitsFor", WaitsFor::ALL.map(WaitsFor::as_str);
    /// How a message failed: refused for good, or not accepted while it was worth sending.
    pub(crate) FailureWord = "DeliveryFailureState",
        [DeliveryState::Failed, DeliveryState::Expired].map(DeliveryState::as_str);
    /// `pending` until the receiver has confirmed.
    pub(crate) SubscriptionStatusWord = "SubscriptionStatus", ["pending", "active"];
    /// Where a subscription stands: `unsubscribed` and `disabled` ones have ended for good.
    pub(crate) SubscriptionStateWord = "SubscriptionState", ["pending", "active", "unsubscribed", "disabled"];
    /// How alerts are told.
    pub(crate) ChannelWord = "Channel", ChannelKind::ALL.map(ChannelKind::as_str);
    /// For how long nothing is told: an hour, until nine in the morning, seven days.
    pub(crate) SnoozeWord = "Snooze", Snooze::ALL.map(Snooze::as_str);
    /// In whose words a webhook is told: signed JSON for programs (Standard Webhooks), or those of a service.
    pub(crate) WebhookFormatWord = "WebhookFormat", WebhookFormat::ALL.map(WebhookFormat::as_str);
}

/// A ticker in a path or query.
pub(crate) struct TickerText;

impl PartialSchema for TickerText {
    fn schema() -> RefOr<Schema> {
        text(
            "^[A-Za-z0-9][A-Za-z0-9.\\-/ ]{0,11}$",
            "A ticker, in any case; a share class in any spelling (`BRK.B`, `BRK-B`, `BRK/B`, `BRK B`); \
             former symbols too.",
            "META",
        )
    }
}

impl ToSchema for TickerText {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Ticker")
    }
}

/// The symbols of a sign-up.
pub(crate) struct SymbolsText;

impl PartialSchema for SymbolsText {
    fn schema() -> RefOr<Schema> {
        let ticker =
            text("^(\\*|[A-Za-z0-9][A-Za-z0-9.\\-/ ]{0,11})$", "A tracked ticker; `*` stands alone.", "FB");
        let list = ArrayBuilder::new().items(ticker).min_items(Some(1)).max_items(Some(MOST_ASKED));
        let all = text("^\\*$", "Every symbol of the watchlist, also what is added to it later.", "*");
        OneOfBuilder::new()
            .item(all)
            .item(list)
            .description(Some("Several symbols, or the watchlist."))
            .examples([json!("*"), json!(["AAPL", "MSFT", "FB"])])
            .into()
    }
}

impl ToSchema for SymbolsText {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Symbols")
    }
}

/// A moment in a query or a body.
pub(crate) struct MomentText;

impl PartialSchema for MomentText {
    fn schema() -> RefOr<Schema> {
        let text = |format| {
            ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(format)))
        };
        AnyOfBuilder::new()
            .item(text(KnownFormat::DateTime))
            .item(text(KnownFormat::Date))
            .description(Some("A time, or a day: midnight in New York."))
            .examples(["2025-01-31T14:30:00Z", "2025-01-31"])
            .into()
    }
}

impl ToSchema for MomentText {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Moment")
    }
}

fn text(pattern: &str, description: &str, example: &str) -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
    text.description(Some(description)).examples([example]).into()
}
