//! A WebSocket server that says what a test wants.

use futures_util::{SinkExt, StreamExt};
use qqq_feed::StreamEvent;
use serde_json::Value;
use std::future::Future;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};
use url::Url;

/// No test waits longer for what must come.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// One accepted connection, seen from the server.
pub(crate) struct Peer {
    pub(crate) socket: WebSocketStream<TcpStream>,
}

impl Peer {
    pub(crate) async fn say(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.expect("a client that listens");
    }

    pub(crate) async fn say_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.expect("a client that listens");
    }

    /// The next thing the client says.
    pub(crate) async fn hear(&mut self) -> Value {
        loop {
            let message = timeout(DEADLINE, self.socket.next()).await.expect("in time").expect("a message");
            if let Message::Text(text) = message.expect("a message") {
                return serde_json::from_str(&text).expect("JSON");
            }
        }
    }

    /// Keeps the connection open, answering pings, until the client is gone.
    pub(crate) async fn stay(mut self) {
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}

/// Serves connection after connection by `talk`, which gets the number of the connection.
pub(crate) async fn serve<F: Future<Output = ()> + Send>(
    talk: impl Fn(usize, Peer) -> F + Send + Sync + 'static,
) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address")).parse().expect("a URL");
    tokio::spawn(async move {
        for number in 0.. {
            let Ok((stream, _)) = listener.accept().await else { return };
            if let Ok(socket) = accept_async(stream).await {
                talk(number, Peer { socket }).await;
            }
        }
    });
    url
}

pub(crate) async fn next(events: &mut mpsc::Receiver<StreamEvent>) -> StreamEvent {
    timeout(DEADLINE, events.recv()).await.expect("in time").expect("an event")
}
