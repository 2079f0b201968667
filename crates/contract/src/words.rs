//! Texts that are one of a few words, as the description of the API tells them.

use qqq_core::{AlertState, Metric, Rule};
pub use utoipa;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

/// Schemas of texts that are one of a few words: for each, its type, its name in the
/// description, and the words.
#[macro_export]
macro_rules! words {
    ($($(#[doc = $doc:literal])* $vis:vis $type:ident = $name:literal, $words:expr;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Debug)]
        $vis struct $type;

        impl $crate::words::utoipa::PartialSchema for $type {
            fn schema() -> $crate::words::utoipa::openapi::RefOr<$crate::words::utoipa::openapi::Schema> {
                $crate::words::one_of(concat!($($doc),*).trim(), $words)
            }
        }

        impl $crate::words::utoipa::ToSchema for $type {
            fn name() -> ::std::borrow::Cow<'static, str> {
                ::std::borrow::Cow::Borrowed($name)
            }
        }
    )*};
}

/// The schema of a text that is one of `words`.
pub fn one_of<const N: usize>(description: &str, words: [&'static str; N]) -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(Type::String).description(Some(description));
    text.enum_values(Some(words)).into()
}

words! {
    /// What is watched of bars: `price` (the close) and `volume` always; where the server tracks them,
    /// `trades`, `notional` (dollars that changed hands), `range` (high less low) and `return` (absolute
    /// change of the close from the bar before).
    pub MetricWord = "Metric", Metric::ALL.map(Metric::as_str);
    /// Whether an alert stands.
    pub AlertStateWord = "AlertState", [AlertState::Raised, AlertState::Retracted].map(AlertState::as_str);
    /// The kind of a rule.
    pub RuleKindWord = "RuleKind", Rule::KINDS;
}
