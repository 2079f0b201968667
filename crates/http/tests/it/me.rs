//! Signing in, and what is one's own.

use crate::privacy::alerts_until;
use crate::stream::Client;
use crate::world::*;
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use qqq_core::delivery::SignInMail;
use qqq_core::subscription::SubscriptionId;
use qqq_core::subscription::token::Purpose;
use qqq_core::{Alert, AlertId, Clock, Metric, RuleName, Second, SpikeRule, Visibility};
use serde_json::{Value, json};

mod sign_in;

const ADA: &str = "ada@example.com";
const OWN: &str = "move percent=3";

/// A world in which Ada has alerts by a rule of her own.
async fn world() -> World {
    let mut world = World::new().await;
    world.config.confirm = false;
    world.config.operators = vec!["ops@example.com".parse().unwrap()];
    let router = world.router().await;
    subscribe(&router, ADA, "TSLA", OWN).await;
    world
}

async fn subscribe(router: &Router, email: &str, ticker: &str, rule: &str) {
    let body = json!({"email": email, "ticker": ticker, "metric": "price", "rule": rule});
    assert_eq!(post_json(router, "/v1/subscriptions", &body.to_string()).await.status, StatusCode::CREATED);
}

/// The mails with links that are owed now.
async fn links(world: &World) -> Vec<SignInMail> {
    let now = world.clock.now();
    world.store.take_in_sign_ins(world.config.sign_up, &world.config.operators, now).await.unwrap();
    world.store.claim_sign_ins(now, now + jiff::SignedDuration::from_mins(1)).await.unwrap()
}

/// Lets seconds pass.
fn wait(world: &World, seconds: i64) {
    world.clock.set(world.clock.now() + jiff::SignedDuration::from_secs(seconds));
}

/// Where the link of a mail leads.
fn path_of(world: &World, mail: &SignInMail) -> String {
    format!("/v1/session/link?token={}", world.key.sign_in_token(mail.id).expose())
}

async fn asked(router: &Router, email: &str) -> Reply {
    post_json(router, "/v1/session", &json!({"email": email}).to_string()).await
}

/// Signs in by mail, and answers the `Cookie` of whom the mail was for.
async fn signed_in(world: &World, router: &Router, email: &str) -> String {
    assert_eq!(asked(router, email).await.status, StatusCode::ACCEPTED);
    let mail = links(world).await.remove(0);
    let reply = pressed(router, &path_of(world, &mail)).await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.text());
    reply.header("set-cookie").split(';').next().unwrap().to_owned()
}

/// What the button of a link's page answers.
async fn pressed(router: &Router, path: &str) -> Reply {
    with(router, Method::POST, path, &[("sec-fetch-site", "same-origin")], "").await
}

async fn with(router: &Router, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if !body.is_empty() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    send(router, request.body(Body::from(body.to_owned())).unwrap()).await
}

/// A request of a page of ours.
async fn by(router: &Router, cookie: &str, method: Method, path: &str, body: &str) -> Reply {
    with(router, method, path, &[("cookie", cookie), ("sec-fetch-site", "same-origin")], body).await
}

/// An alert by Ada's own rule.
fn own_alert(name: &str, start: Second) -> Alert {
    let rule: RuleName = OWN.parse().unwrap();
    let one = alert(name, Metric::Price, start);
    Alert {
        id: AlertId::derive(rule, one.symbol, Metric::Price, start),
        rule: rule.whole(SpikeRule::default()),
        visibility: Visibility::Private,
        ..one
    }
}

#[tokio::test]
async fn who_is_signed_in_is_told_and_whether_an_operator() {
    let world = world().await;
    let router = world.router().await;
    let nobody = get(&router, "/v1/session").await;
    assert_eq!(nobody.json(), json!({"signed_in": false, "email": null, "operator": false}));
    for (email, operator) in [(ADA, false), ("ops@example.com", true)] {
        let cookie = signed_in(&world, &router, email).await;
        let cookies = format!("theme=dark; {cookie}; x=y");
        let told = get_with(&router, "/v1/session", &[("cookie", &cookies)]).await;
        assert_eq!(told.json(), json!({"signed_in": true, "email": email, "operator": operator}));
        assert_eq!(told.header("cache-control"), "no-store");
        let me = get_with(&router, "/v1/me", &[("cookie", &cookie)]).await;
        assert_eq!(
            me.json(),
            json!({
                "email": email, "operator": operator, "signed_in_at": "2025-01-31T20:00:30Z",
                "signed_in_until": "2025-03-02T20:00:30Z",
            })
        );
    }
}

#[tokio::test]
async fn who_is_signed_in_as_an_operator_operates_by_pages_of_ours_alone() {
    let world = world().await;
    let router = world.router().await;
    let (ops, ada) = (signed_in(&world, &router, "ops@example.com").await, {
        wait(&world, 1);
        signed_in(&world, &router, ADA).await
    });
    for (method, path) in [
        (Method::PUT, "/v1/watchlist/AMD"),
        (Method::DELETE, "/v1/watchlist/AAPL"),
        (Method::GET, "/v1/deliveries"),
        (Method::POST, "/v1/deliveries/f781bcc6-15b4-57da-b522-3b1126688157/replay"),
    ] {
        let reply = by(&router, &ada, method.clone(), path, "").await;
        assert_eq!((reply.status, &reply.json()["code"]), (StatusCode::FORBIDDEN, &json!("no_operator")));
        if method != Method::GET {
            let headers = [("cookie", &*ops), ("sec-fetch-site", "cross-site")];
            let reply = with(&router, method, path, &headers, "").await;
            assert_eq!((reply.status, &reply.json()["code"]), (StatusCode::FORBIDDEN, &json!("cross_site")));
        }
    }
    let list = async |cookie: &str| by(&router, cookie, Method::GET, "/v1/watchlist", "").await.json();
    assert_eq!((&list(&ops).await["editable"], &list(&ada).await["editable"]), (&json!(true), &json!(false)));
    assert_eq!(list(&ops).await["version"], 0);
    assert_eq!(by(&router, &ops, Method::PUT, "/v1/watchlist/AMD", "").await.status, StatusCode::CREATED);
    assert_eq!(by(&router, &ops, Method::GET, "/v1/deliveries", "").await.status, StatusCode::OK);
    assert_eq!(by(&router, &ops, Method::DELETE, "/v1/session", "").await.status, StatusCode::NO_CONTENT);
    let reply = by(&router, &ops, Method::DELETE, "/v1/watchlist/AMD", "").await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN, "signed out");
}

#[tokio::test]
async fn without_a_session_nothing_of_an_account_is_there() {
    let world = world().await;
    let router = world.router().await;
    let cookie = signed_in(&world, &router, ADA).await;
    let ended = by(&router, &cookie, Method::DELETE, "/v1/session", "").await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    assert!(ended.header("set-cookie").starts_with("qqq_session=; Path=/; Max-Age=0;"));
    let guess = format!("qqq_session={}", "A".repeat(43));
    let id = SubscriptionId::from_random([3; 16]);
    let one = format!("/v1/me/subscriptions/{id}");
    for cookie in ["", "qqq_session=x", &guess, &cookie] {
        for (method, path, body) in [
            (Method::GET, "/v1/me", ""),
            (Method::DELETE, "/v1/me", ""),
            (Method::GET, "/v1/me/subscriptions", ""),
            (Method::POST, "/v1/me/subscriptions", r#"{"ticker":"TSLA","metric":"price"}"#),
            (Method::PATCH, &one, "{}"),
            (Method::DELETE, &one, ""),
            (Method::GET, "/v1/me/alerts", ""),
            (Method::GET, "/v1/me/export", ""),
        ] {
            let reply = by(&router, cookie, method.clone(), path, body).await;
            assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{method} {path} {cookie}");
            assert_eq!(reply.json()["code"], "signed_out");
        }
    }
    // Whoever is signed out already is, and no page is told otherwise.
    assert_eq!(by(&router, "", Method::DELETE, "/v1/session", "").await.status, StatusCode::NO_CONTENT);
    assert_eq!(get_with(&router, "/v1/session", &[("cookie", &cookie)]).await.json()["signed_in"], false);
}

#[tokio::test]
async fn pages_of_other_sites_change_nothing() {
    let world = world().await;
    let router = world.router().await;
    let cookie = signed_in(&world, &router, ADA).await;
    let listed = get_with(&router, "/v1/me/subscriptions", &[("cookie", &cookie)]).await.json();
    let one = format!("/v1/me/subscriptions/{}", listed["items"][0]["id"].as_str().unwrap());
    for from in [
        &[][..],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site"), ("origin", "http://127.0.0.1:8080")],
    ] {
        for (method, path, body) in [
            (Method::DELETE, "/v1/me", ""),
            (Method::DELETE, "/v1/session", ""),
            (Method::POST, "/v1/me/subscriptions", r#"{"ticker":"TSLA","metric":"price"}"#),
            (Method::PATCH, &one, "{}"),
            (Method::DELETE, &one, ""),
        ] {
            let mut headers = vec![("cookie", cookie.as_str())];
            headers.extend_from_slice(from);
            let reply = with(&router, method.clone(), path, &headers, body).await;
            assert_eq!(reply.status, StatusCode::FORBIDDEN, "{method} {path} {from:?}");
            assert_eq!(reply.json()["code"], "cross_site");
        }
    }
    let after = get_with(&router, "/v1/me/subscriptions", &[("cookie", &cookie)]).await;
    assert_eq!(after.json(), listed);
    // A browser that says no more than its origin is understood.
    let ours = [("cookie", cookie.as_str()), ("origin", "http://127.0.0.1:8080")];
    assert_eq!(with(&router, Method::DELETE, &one, &ours, "").await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn ones_own_subscriptions_are_added_changed_paused_and_ended() {
    let world = world().await;
    let router = world.router().await;
    subscribe(&router, "bob@example.com", "AAPL", OWN).await;
    let cookie = signed_in(&world, &router, ADA).await;
    let added = by(
        &router,
        &cookie,
        Method::POST,
        "/v1/me/subscriptions",
        r#"{"symbols":["AAPL","FB"],"metric":"volume",
            "quiet_hours":{"from":"22:00","to":"07:00","zone":"UTC"}}"#,
    )
    .await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.text());
    let items = added.json()["items"].as_array().unwrap().clone();
    assert_eq!(items.len(), 2);
    assert!(items.iter().all(|one| one["status"] == "active" && one["email"] == ADA), "{items:?}");
    assert!(world.claim().await.is_empty(), "no mail asks to confirm it");
    let listed = async || {
        let reply = get_with(&router, "/v1/me/subscriptions", &[("cookie", &cookie)]).await;
        let mut items = reply.json()["items"].as_array().unwrap().clone();
        items.sort_by_key(|one| one["ticker"].as_str().unwrap().to_owned());
        items
    };
    let tickers = |items: &[Value]| {
        items.iter().map(|one| one["ticker"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(tickers(&listed().await), ["AAPL", "META", "TSLA"], "and nothing of Bob's");

    let path = format!("/v1/me/subscriptions/{}", listed().await[2]["id"].as_str().unwrap());
    let change = r#"{"rule":"move percent=5","paused_until":"resumed"}"#;
    let changed = by(&router, &cookie, Method::PATCH, &path, change).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.text());
    assert_eq!(changed.json()["paused_until"], "resumed");
    assert_eq!(listed().await[2]["rule"]["percent"], 5.0);
    let resumed = by(&router, &cookie, Method::PATCH, &path, r#"{"paused_until":null}"#).await;
    assert_eq!(resumed.json()["paused_until"], Value::Null);
    let wrong = by(&router, &cookie, Method::PATCH, &path, r#"{"rule":"move percent=0"}"#).await;
    assert_eq!(wrong.json()["errors"][0]["field"], "rule.percent");

    assert_eq!(by(&router, &cookie, Method::DELETE, &path, "").await.status, StatusCode::NO_CONTENT);
    assert_eq!(by(&router, &cookie, Method::DELETE, &path, "").await.status, StatusCode::NO_CONTENT);
    assert_eq!(by(&router, &cookie, Method::PATCH, &path, "{}").await.status, StatusCode::NOT_FOUND);
    assert_eq!(tickers(&listed().await), ["AAPL", "META"]);

    let page = get_with(&router, "/v1/me/subscriptions?limit=1", &[("cookie", &cookie)]).await.json();
    let cursor = page["next_cursor"].as_str().unwrap();
    let next = format!("/v1/me/subscriptions?limit=1&cursor={cursor}");
    let next = get_with(&router, &next, &[("cookie", &cookie)]).await.json();
    assert_eq!((next["items"].as_array().unwrap().len(), &next["next_cursor"]), (1, &Value::Null));
}

#[tokio::test]
async fn other_peoples_subscriptions_are_not_there() {
    let world = world().await;
    let router = world.router().await;
    subscribe(&router, "bob@example.com", "AAPL", OWN).await;
    let cookie = signed_in(&world, &router, ADA).await;
    let all = qqq_store::SubscriptionQuery { limit: 9, ..Default::default() };
    let all = world.store.subscriptions(&all).await.unwrap();
    let bobs = all.iter().find(|one| one.channel.key() == "bob@example.com").unwrap();
    let nobodys = SubscriptionId::from_random([3; 16]);
    let unknown = by(&router, &cookie, Method::DELETE, &format!("/v1/me/subscriptions/{nobodys}"), "").await;
    for id in [bobs.id.to_string(), "x".to_owned()] {
        for (method, body) in [(Method::PATCH, "{}"), (Method::DELETE, "")] {
            let reply = by(&router, &cookie, method, &format!("/v1/me/subscriptions/{id}"), body).await;
            assert_eq!(reply.status, StatusCode::NOT_FOUND);
            assert_eq!(reply.json()["detail"], unknown.json()["detail"]);
        }
    }
}

#[tokio::test]
async fn limits_hold_for_what_is_added_too() {
    let mut world = world().await;
    world.config.confirm = true;
    let limits = qqq_core::subscription::limits::SubscriptionLimits {
        per_receiver: 2,
        rules_per_receiver: 1,
        ..Default::default()
    };
    world.store.hold_to(limits);
    let router = world.router().await;
    let cookie = signed_in(&world, &router, ADA).await;
    for (body, field, setting) in [
        (
            r#"{"ticker":"TSLA","metric":"price","rule":"move percent=7"}"#,
            "rule",
            "subscriptions.max_rules_per_receiver",
        ),
        (r#"{"symbols":["AAPL","NVDA"],"metric":"price"}"#, "symbols", "subscriptions.max_per_receiver"),
    ] {
        let reply = by(&router, &cookie, Method::POST, "/v1/me/subscriptions", body).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", reply.text());
        let error = &reply.json()["errors"][0];
        assert_eq!(error["field"], field);
        assert!(error["detail"].as_str().unwrap().contains(setting), "{error}");
    }
    let listed = get_with(&router, "/v1/me/subscriptions", &[("cookie", &cookie)]).await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "all of a list or nothing");
}

#[tokio::test]
async fn with_a_subscriptions_token_more_is_active_at_once() {
    let mut world = World::new().await;
    let router = world.router().await;
    let body = json!({"email": ADA, "ticker": "TSLA", "metric": "price"}).to_string();
    post_json(&router, "/v1/subscriptions", &body).await;
    let (confirm, _) = world.mailed_tokens().await;
    let all = qqq_store::SubscriptionQuery { limit: 9, ..Default::default() };
    let of = world.store.subscriptions(&all).await.unwrap().remove(0);
    let token = world.key.token(Purpose::Manage, of.id, &of.nonce);
    let bearer = format!("Bearer {}", token.expose());
    let add = async || {
        let body = r#"{"ticker":"AAPL","metric":"price"}"#;
        with(&router, Method::POST, "/v1/me/subscriptions", &[("authorization", &bearer)], body).await
    };
    assert_eq!(add().await.status, StatusCode::UNAUTHORIZED, "nobody confirmed yet");
    post(&router, &format!("/v1/subscriptions/confirm?token={confirm}"), FORM, "").await;
    let added = add().await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.text());
    assert_eq!(added.json()["items"][0]["status"], "active");
    // It opens nothing else of the account.
    let me = get_with(&router, "/v1/me", &[("authorization", &bearer)]).await;
    assert_eq!(me.status, StatusCode::UNAUTHORIZED);
    world.config.confirm = false;
}

#[tokio::test]
async fn alerts_by_ones_own_rules_are_for_who_is_signed_in() {
    let world = world().await;
    let router = world.router().await;
    subscribe(&router, "bob@example.com", "AAPL", OWN).await;
    let start = at("2025-01-31T20:05:00Z");
    let (mine, bobs) = (own_alert("TSLA", start), own_alert("AAPL", start));
    world.commit(raised([mine.clone(), bobs.clone(), alert("TSLA", Metric::Price, start)])).await;
    let router = world.router().await;
    let cookie = signed_in(&world, &router, ADA).await;
    let ids = |reply: Reply| {
        let items = reply.json()["items"].as_array().unwrap().clone();
        items.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for (path, expected) in [
        ("/v1/me/alerts", vec![mine.id.to_string()]),
        ("/v1/me/alerts?own=true&symbol=TSLA", vec![mine.id.to_string()]),
        ("/v1/me/alerts?symbol=AAPL", vec![]),
        ("/v1/me/alerts?since=2025-01-31T20:06:00Z", vec![]),
    ] {
        assert_eq!(ids(get_with(&router, path, &[("cookie", &cookie)]).await), expected, "{path}");
    }
    let wrong = get_with(&router, "/v1/me/alerts?own=maybe", &[("cookie", &cookie)]).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    for (id, headers, status) in [
        (mine.id, &[("cookie", cookie.as_str())][..], StatusCode::OK),
        (mine.id, &[], StatusCode::NOT_FOUND),
        (bobs.id, &[("cookie", cookie.as_str())], StatusCode::NOT_FOUND),
    ] {
        let reply = get_with(&router, &format!("/v1/alerts/{id}"), headers).await;
        assert_eq!(reply.status, status);
        if status == StatusCode::OK {
            assert_eq!(reply.header("cache-control"), "private, no-cache");
            assert!(reply.header("vary").contains("cookie"), "{}", reply.header("vary"));
        }
    }
    let public = get_with(&router, "/v1/alerts", &[("cookie", &cookie)]).await;
    assert!(!public.text().contains(&mine.id.to_string()), "the list is everybody's, whoever asks");
}

#[tokio::test]
async fn a_stream_of_who_is_signed_in_carries_all_of_ones_own_alerts_until_the_session_ends() {
    for ring in [16 << 20, 0] {
        let mut world = world().await;
        world.config.limits.streams.ring = ring;
        let following = Following::start(world.api().await);
        let router = following.api.router();
        subscribe(&router, ADA, "NVDA", "move percent=4").await;
        subscribe(&router, "bob@example.com", "AAPL", OWN).await;
        let cookie = signed_in(&world, &router, ADA).await;
        let open = async |last: Option<&str>, cookie: &str| {
            let mut headers = vec![("cookie", cookie)];
            headers.extend(last.map(|id| ("last-event-id", id)));
            Client::open_as(&router, "/v1/stream", &headers).await
        };
        let mut live = open(None, &cookie).await;
        let start = at("2025-01-31T20:05:00Z");
        let another: RuleName = "move percent=4".parse().unwrap();
        let second = alert("NVDA", Metric::Price, start);
        let second = Alert {
            id: AlertId::derive(another, second.symbol, Metric::Price, start),
            rule: another.whole(SpikeRule::default()),
            visibility: Visibility::Private,
            ..second
        };
        let mine = [own_alert("TSLA", start), second];
        let others = [own_alert("AAPL", start), own_alert("NVDA", start)];
        let house = alert("MSFT", Metric::Price, start.plus_minutes(1));
        world.commit(raised(mine.iter().chain(&others).cloned())).await;
        following.has_seen(world.commit(raised([house.clone()])).await).await;
        let mut expected: Vec<String> = mine.iter().map(|one| one.id.to_string()).collect();
        expected.push(house.id.to_string());
        expected.sort_unstable();
        let last = house.id.to_string();
        assert_eq!(alerts_until(&mut live, &last).await, expected, "live, ring of {ring}");
        let mut resumed = open(Some("0"), &cookie).await;
        assert_eq!(alerts_until(&mut resumed, &last).await, expected, "resumed, ring of {ring}");
        // A cookie goes along with everything: one that means nothing is nobody's.
        let mut nobodys = open(Some("0"), "qqq_session=x").await;
        assert_eq!(alerts_until(&mut nobodys, &last).await, std::slice::from_ref(&last));

        by(&router, &cookie, Method::DELETE, "/v1/session", "").await;
        tokio::time::pause();
        tokio::time::advance(std::time::Duration::from_secs(20)).await;
        tokio::time::resume();
        following.has_seen(world.commit(raised([own_alert("TSLA", start.plus_minutes(2))])).await).await;
        while let Some(block) = live.block().await {
            assert_ne!(block.event, "alert", "{block:?}");
        }
    }
}

#[tokio::test]
async fn all_that_is_kept_is_told_and_erased() {
    let world = world().await;
    let start = at("2025-01-31T20:05:00Z");
    world.commit(raised([own_alert("TSLA", start)])).await;
    let router = world.router().await;
    let cookie = signed_in(&world, &router, ADA).await;
    let reply = get_with(&router, "/v1/me/export", &[("cookie", &cookie)]).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.header("content-disposition"), "attachment; filename=\"qqq-tracker.json\"");
    let told = reply.json();
    assert_eq!(told["email"], ADA);
    for (list, expected) in [("sessions", 1), ("subscriptions", 1), ("deliveries", 1), ("alerts", 1)] {
        assert_eq!(told[list].as_array().unwrap().len(), expected, "{list}");
    }
    assert_eq!(told["deliveries"][0]["kind"], "alert");
    let other = signed_in_again(&world, &router).await;
    let erased = by(&router, &cookie, Method::DELETE, "/v1/me", "").await;
    assert_eq!(erased.status, StatusCode::NO_CONTENT);
    assert!(erased.header("set-cookie").contains("Max-Age=0"));
    for cookie in [&cookie, &other] {
        let reply = get_with(&router, "/v1/me", &[("cookie", cookie)]).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    }
    assert!(world.claim().await.is_empty());
    assert_eq!(asked(&router, ADA).await.status, StatusCode::ACCEPTED);
    assert!(links(&world).await.is_empty(), "a stranger now");
}

/// In another browser, ten minutes later.
async fn signed_in_again(world: &World, router: &Router) -> String {
    wait(world, 600);
    signed_in(world, router, ADA).await
}

#[tokio::test]
async fn the_manage_page_has_a_link_to_all_alerts_sent() {
    let world = world().await;
    let router = world.router().await;
    let all = qqq_store::SubscriptionQuery { limit: 9, ..Default::default() };
    let of = world.store.subscriptions(&all).await.unwrap().remove(0);
    let token = world.key.token(Purpose::Manage, of.id, &of.nonce);
    let path = format!("/v1/subscriptions/manage?token={}", token.expose());
    let page = get(&router, &path).await;
    assert!(page.text().contains("All my alerts") && links(&world).await.is_empty());
    let sent = post(&router, &path, FORM, "action=sign_in").await;
    assert_eq!((sent.status, sent.header("set-cookie")), (StatusCode::OK, ""));
    assert!(sent.text().contains("Look into your mail"), "{}", sent.text());
    assert_eq!(links(&world).await[0].to.expose(), ADA);
}
