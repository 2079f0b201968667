//! A browser that is pushed to: what it subscribes with, and how it reads what comes. Its keys are those of
//! RFC 8291, appendix A.

use crate::python;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Its public key.
pub const PUBLIC: &str =
    "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
/// Its secret.
pub const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";
const PRIVATE: &str = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94";

/// What it says of itself, subscribed at `endpoint`.
pub fn subscription(endpoint: &str) -> Value {
    json!({ "endpoint": endpoint, "expirationTime": null, "keys": { "p256dh": PUBLIC, "auth": AUTH } })
}

/// What it reads of a push, as a peer in Python does: `payload`, and of the signature `header`, `claims` and
/// `key`. Panics where it cannot be read or is signed by another key.
#[track_caller]
pub fn read(body: &[u8], authorization: &str) -> Value {
    let hexadecimal = body.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    let push = json!({
        "private": PRIVATE, "auth": AUTH, "body": hexadecimal, "authorization": authorization,
    });
    let read = python::run_on("read_push.py", &[], &push.to_string());
    serde_json::from_str(&read).expect("it answers JSON")
}
