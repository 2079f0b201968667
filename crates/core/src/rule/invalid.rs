//! Why something is no rule.

/// Why something is no rule, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct InvalidRule {
    /// The setting that is wrong, or `rule`.
    pub field: String,
    /// What is wrong with it, and what is allowed.
    pub reason: String,
}

impl InvalidRule {
    pub(super) fn new(field: &str, reason: impl Into<String>) -> Self {
        Self { field: field.chars().take(32).collect(), reason: reason.into() }
    }
}
