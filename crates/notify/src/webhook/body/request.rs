//! A request without its signature.

use crate::DeliveryError;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Serialize;

/// A request without its signature.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl Body {
    /// JSON.
    pub(super) fn json(value: &impl Serialize) -> Result<Self, DeliveryError> {
        let bytes = serde_json::to_vec(value)
            .map_err(|error| DeliveryError::retry(format!("the message cannot be made: {error}")))?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(Self { headers, bytes })
    }
}
