//! What operators change and mend, and that nobody else does.

use crate::sockets::{Server, read_to_close};
use crate::world::*;
use qqq_core::FeedMode;
use qqq_core::delivery::{Failure, FailureKind, Outcome};
use qqq_store::Batch;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

/// Asks over a connection of this machine. `headers` end with a line break each.
async fn ask(server: &Server, line: &str, headers: &str) -> (u16, Value) {
    let mut stream = server.connect().await;
    let request = format!("{line} HTTP/1.1\r\nhost: localhost\r\n{headers}connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = read_to_close(&mut stream).await;
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

fn symbols(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["symbol"].as_str().unwrap()).collect()
}

async fn world() -> World {
    let mut world = World::new().await;
    world.config.local_operator = true;
    world
}

#[tokio::test]
async fn an_operator_changes_the_list_and_readers_see_it_at_once() {
    let world = world().await;
    let start = at("2045-01-31T19:58:00Z");
    // Known before it is tracked.
    world.commit_bars(&[bar("AAPL", start, "230.1", 100), bar("AMD", start, "115.5", 200)]).await;
    let following = Following::start(world.api().await);
    let server = Server::start(following.api.clone()).await;
    let (status, before) = ask(&server, "GET /v1/watchlist", "").await;
    assert_eq!((status, &before["version"], &before["editable"]), (200, &json!(0), &json!(true)));
    let (status, body) = ask(&server, "GET /v1/symbols/AMD", "").await;
    assert_eq!((status, &body["code"]), (404, &json!("unknown_ticker")));

    let (status, after) = ask(&server, "PUT /v1/watchlist/amd", "").await;
    assert_eq!(status, 201, "{after}");
    assert_eq!(
        after["items"].as_array().unwrap().last().unwrap(),
        &json!({ "symbol": "AMD", "name": "Advanced Micro Devices", "added": true })
    );
    assert_eq!(ask(&server, "PUT /v1/watchlist/AMD", "").await.0, 200, "as it was");
    // All answers at once, with what is stored; those of before are as they were.
    let (status, amd) = ask(&server, "GET /v1/symbols/AMD", "").await;
    assert_eq!((status, &amd["bar"]["close"]), (200, &json!(115.5)));
    assert_eq!(ask(&server, "GET /v1/symbols/AAPL", "").await.1["bar"]["close"], 230.1);
    assert_eq!(symbols(&ask(&server, "GET /v1/symbols", "").await.1).len(), 11);
    // Bars that come from now on are heard of.
    let sequence = world.commit_bars(&[bar("AMD", start.plus_minutes(1), "116", 300)]).await;
    following.has_seen(sequence).await;
    assert_eq!(ask(&server, "GET /v1/symbols/AMD", "").await.1["bar"]["close"], 116);

    assert_eq!(ask(&server, "DELETE /v1/watchlist/FB", "").await.0, 204, "by its former name");
    let (_, list) = ask(&server, "GET /v1/watchlist", "").await;
    assert_eq!(list["removed"], json!([{ "symbol": "META", "name": "Meta Platforms" }]));
    assert!(!symbols(&list).contains(&"META"));
    let (status, body) = ask(&server, "DELETE /v1/watchlist/META", "").await;
    assert_eq!((status, &body["code"]), (404, &json!("unknown_ticker")));
    assert_eq!(ask(&server, "GET /META/price", "").await.0, 404);

    // A server that starts later has the same list.
    let later = get(&world.router().await, "/v1/watchlist").await.json();
    assert_eq!(symbols(&later), symbols(&list));
    assert_eq!((&later["version"], &later["editable"]), (&json!(2), &json!(false)), "over no connection");
}

#[tokio::test]
async fn what_makes_no_list_is_refused_by_name() {
    let world = world().await;
    let server = Server::start(world.api().await).await;
    for symbol in ["a%20b!", "TOOLONGASYMBOL", "%3Cb%3E"] {
        let (status, body) = ask(&server, &format!("PUT /v1/watchlist/{symbol}"), "").await;
        assert_eq!((status, &body["errors"][0]["field"]), (422, &json!("symbol")), "{body}");
    }
    let (_, list) = ask(&server, "GET /v1/watchlist", "").await;
    for symbol in &symbols(&list)[1..] {
        assert_eq!(ask(&server, &format!("DELETE /v1/watchlist/{symbol}"), "").await.0, 204);
    }
    let (status, body) = ask(&server, "DELETE /v1/watchlist/AAPL", "").await;
    assert_eq!(status, 422);
    assert!(body["detail"].as_str().unwrap().contains("at least one symbol"), "{body}");
    assert_eq!(symbols(&ask(&server, "GET /v1/watchlist", "").await.1), ["AAPL"]);
}

#[tokio::test]
async fn nobody_else_changes_or_sees_anything() {
    let mut world = world().await;
    let id = "f781bcc6-15b4-57da-b522-3b1126688157";
    let lines = [
        "PUT /v1/watchlist/AMD".to_owned(),
        "DELETE /v1/watchlist/AAPL".to_owned(),
        "GET /v1/deliveries".to_owned(),
        format!("POST /v1/deliveries/{id}/replay"),
    ];
    for is_local in [false, true] {
        world.config.local_operator = is_local;
        let server = Server::start(world.api().await).await;
        // Behind a proxy, from another page, by a name that was pointed here: nobody of this machine.
        let strangers = ["x-forwarded-for: 127.0.0.1\r\n", "origin: http://evil.example\r\n"];
        for headers in strangers.into_iter().chain((!is_local).then_some("")) {
            for line in &lines {
                let (status, body) = ask(&server, line, headers).await;
                assert_eq!((status, &body["code"]), (403, &json!("no_operator")), "{line} {headers}");
            }
            assert_eq!(ask(&server, "GET /v1/watchlist", headers).await.1["editable"], false);
        }
    }
    assert_eq!(world.store.watchlist_version().await.unwrap(), 0);
}

#[tokio::test]
async fn names_that_a_feed_told_are_shown_and_searched_by_whoever_follows_the_store() {
    let world = World::new().await;
    let keep = async |names: &[(&str, &str)], at: &str| {
        let names = names.iter().map(|&(symbol, name)| (symbol.parse().unwrap(), name.to_owned()));
        world.store.keep_symbol_names(&names.collect(), at.parse().unwrap()).await.unwrap();
    };
    keep(&[("AAPL", "Apple Inc."), ("ZZZZ", "Sleep Well Co")], "2045-01-31T19:00:00Z").await;
    let following = Following::start(world.api().await);
    let router = following.api.router();
    let name = async |uri: &str| get(&router, uri).await.json()["name"].clone();
    let found = async |text: &str| {
        get(&router, &format!("/v1/watchlist/search?query={text}")).await.json()["items"].clone()
    };
    assert_eq!(name("/v1/symbols/AAPL").await, "Apple Inc.");
    assert_eq!(name("/v1/symbols/NVDA").await, "NVIDIA", "as it is called without one");
    let ranked = get(&router, "/v1/rankings?metric=price").await.json();
    let places = ranked["items"].as_array().unwrap();
    assert!(places.iter().any(|place| place["name"] == "Apple Inc."), "{ranked}");
    assert_eq!(
        found("well").await,
        json!([
            { "symbol": "WFC", "name": "Wells Fargo", "tracked": false },
            { "symbol": "ZZZZ", "name": "Sleep Well Co", "tracked": false },
            { "symbol": "HON", "name": "Honeywell", "tracked": false },
        ]),
        "words that begin with it first, of those well-known companies"
    );
    // Told anew by another process.
    keep(&[("AAPL", "Apple Corporation"), ("ZZZY", "Dream Well Co")], "2045-02-01T19:00:00Z").await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while name("/v1/symbols/AAPL").await != "Apple Corporation" {
        assert!(std::time::Instant::now() < deadline, "it was not seen");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(found("sleep").await, json!([]));
    assert_eq!(found("dream").await[0]["symbol"], "ZZZY");
    let list = get(&router, "/v1/watchlist").await.json();
    assert!(list["items"].as_array().unwrap().iter().any(|item| item["name"] == "Apple Corporation"));
}

#[tokio::test]
async fn symbols_are_found_by_name_and_ticker() {
    let world = World::new().await;
    let router = world.router().await;
    let found = async |text: &str| {
        let body = get(&router, &format!("/v1/watchlist/search?query={text}")).await.json();
        symbols(&body).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(found("nvda").await, ["NVDA"]);
    assert_eq!(found("micro").await[..3], ["AMD", "MCHP", "MSFT"].map(str::to_owned));
    assert_eq!(found("am").await[0], "AMAT", "tickers that begin with it come first");
    assert!(found("zzzz").await.is_empty());
    assert!(found("a").await.len() <= 10);
    let tracked = get(&router, "/v1/watchlist/search?query=apple").await.json();
    assert_eq!(tracked["items"][0], json!({ "symbol": "AAPL", "name": "Apple", "tracked": true }));
    for query in ["", "?query=", "?query=%20", "?query=x&y=z"] {
        assert_eq!(get(&router, &format!("/v1/watchlist/search{query}")).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn what_was_not_delivered_is_listed_without_secrets_and_sent_again() {
    let mut world = world().await;
    world.config.confirm = false;
    let server = Server::start(world.api().await).await;
    let router = world.router().await;
    let hook = "https://hooks.example.com/services/T0/SECRET";
    for receiver in [
        json!({ "channel": "email", "email": "ada@example.com" }),
        json!({ "channel": "webhook", "url": hook }),
    ] {
        let mut wish = receiver;
        wish["symbol"] = json!("NVDA");
        wish["metric"] = json!("volume");
        assert_eq!(post_json(&router, "/v1/subscriptions", &wish.to_string()).await.status, 201);
    }
    world.commit(Batch { feed: Some(feed(FeedMode::Live)), ..Batch::default() }).await;
    let raised = alert("NVDA", qqq_core::Metric::Volume, at("2045-01-31T20:01:00Z"));
    world.commit(Batch { alerts: vec![qqq_store::AlertChange::Raised(raised)], ..Batch::default() }).await;
    let owed = world.claim().await;
    assert!(owed.len() >= 2, "{}", owed.len());
    let refusal = Failure::new(FailureKind::Refused(Some(550)), "550 no such user");
    for delivery in &owed {
        let failed = Outcome::Failed(refusal.clone());
        assert!(
            world.store.settle(delivery.id, delivery.lease, &failed, NOW.parse().unwrap()).await.unwrap()
        );
    }
    let (status, list) = ask(&server, "GET /v1/deliveries", "").await;
    assert_eq!(status, 200);
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), owed.len());
    let to: Vec<_> = items.iter().map(|item| item["to"].as_str().unwrap()).collect();
    assert!(to.contains(&"ada@example.com") && to.contains(&"hooks.example.com"), "{to:?}");
    assert!(!list.to_string().contains("SECRET"), "{list}");
    let first = ask(&server, "GET /v1/deliveries?limit=1", "").await.1;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = ask(&server, &format!("GET /v1/deliveries?limit=1&cursor={cursor}"), "").await.1;
    assert_eq!([&first["items"][0], &second["items"][0]], [&items[0], &items[1]]);

    let id = items[0]["id"].as_str().unwrap();
    assert_eq!(
        ask(&server, &format!("POST /v1/deliveries/{id}/replay"), "content-length: 0\r\n").await.0,
        204
    );
    let (status, body) =
        ask(&server, &format!("POST /v1/deliveries/{id}/replay"), "content-length: 0\r\n").await;
    assert_eq!((status, &body["code"]), (409, &json!("not_replayed")), "{body}");
    assert_eq!(world.claim().await.len(), 1, "it is owed again");
    let unknown = "f781bcc6-15b4-57da-b522-3b1126688157";
    assert_eq!(
        ask(&server, &format!("POST /v1/deliveries/{unknown}/replay"), "content-length: 0\r\n").await.0,
        404
    );
}
