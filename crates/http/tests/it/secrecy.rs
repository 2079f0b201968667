//! What must not be written anywhere.

use crate::faulty::{Fault, Faulty};
use crate::world::*;
use std::io::Write;
use std::sync::{Arc, Mutex};
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn neither_address_nor_token_reaches_log_metrics_or_errors() {
    let log = Log::default();
    // For the whole process: other tests write here too, but only this one has these secrets.
    let everything = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_ansi(false);
    everything.with_writer(log.clone()).init();

    let world = World::new().await;
    let faulty = Arc::new(Faulty::over(&world));
    let router = world.api_over(faulty.clone()).await.router();
    let body = r#"{"email":"canary@example.com","metric":"price","ticker":"AAPL"}"#;
    post_json(&router, "/subscribe", body).await;
    let (confirm, unsubscribe) = world.mailed_tokens().await;
    let mut told = String::new();
    for fault in [Fault::Error, Fault::Busy, Fault::Panic, Fault::None] {
        faulty.set(fault);
        told.push_str(
            post_json(&router, "/subscribe", &body.replace("}", ",\"canary@example.com\":1}")).await.text(),
        );
        for (what, token) in [("confirm", &confirm), ("unsubscribe", &unsubscribe)] {
            let path = format!("/v1/subscriptions/{what}?token={token}");
            told.push_str(get(&router, &path).await.text());
            told.push_str(post(&router, &path, FORM, "").await.text());
        }
        told.push_str(
            get(&router, &format!("/{confirm}/price?token={confirm}")).await.header("x-request-id"),
        );
    }
    told.push_str(get(&router, "/metrics").await.text());
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("answered") && log.contains("a handler panicked"), "nothing was logged");
    assert!(log.contains(r#"route="/v1/subscriptions/confirm""#), "requests are logged by route");
    for secret in [confirm.as_str(), unsubscribe.as_str()] {
        assert!(!log.contains(secret), "a token was logged");
        assert!(!told.contains(secret), "{told}");
    }
    assert!(!log.contains("canary"), "an address was logged");
}
