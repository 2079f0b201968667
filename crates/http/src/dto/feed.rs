//! Feeds.

use qqq_core::StandIn;
use serde::Serialize;
use utoipa::ToSchema;

/// The feed that another one stands in for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = StandIn)]
pub(crate) struct StandInOut {
    /// Who failed.
    #[schema(example = "alpaca")]
    provider: String,
    /// What was wrong, as far as anything was said; else `null`.
    #[schema(required = true, example = "alpaca answered 503 Service Unavailable")]
    reason: Option<String>,
}

impl From<&StandIn> for StandInOut {
    fn from(first: &StandIn) -> Self {
        Self { provider: first.provider.clone(), reason: first.reason.clone() }
    }
}
