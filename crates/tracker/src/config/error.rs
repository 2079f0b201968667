//! What is wrong with a configuration.

use std::fmt;

/// A setting that cannot be used. Says which, where it was set, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(pub(super) String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

impl ConfigError {
    /// A value that is not allowed.
    pub fn value(key: &str, reason: impl fmt::Display) -> Self {
        Self(format!("{key}: {reason}"))
    }
}
