//! Signing up, over JSON and over the form.

use crate::world::*;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use qqq_core::delivery::DeliveryKind;
use qqq_core::subscription::signup::SignUpLimits;
use qqq_http::Rate;
use serde_json::json;

const ADA: &str = r#"{"email":"ada@example.com","metric":"price","ticker":"AAPL"}"#;

#[tokio::test]
async fn a_sign_up_is_answered_and_owes_one_confirmation_mail() {
    let world = World::new().await;
    let router = world.router().await;
    for path in ["/subscribe", "/subscribe/"] {
        let body = r#"{"email":"Ada@example.com","metric":"volume","ticker":"fb"}"#;
        let reply = post_json(&router, path, body).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
        assert_eq!(
            reply.json(),
            json!({"ticker": "META", "metric": "volume", "email": "Ada@example.com", "status": "pending"})
        );
    }
    let wakeup = world.config.outbox_wakeup.notified();
    let hinted = tokio::time::timeout(std::time::Duration::ZERO, wakeup).await;
    assert!(hinted.is_err(), "what is done at once delays the next request, and tells by that");
    let owed = world.claim().await;
    assert_eq!(owed.len(), 1, "the second came within ten minutes");
    assert_eq!(owed[0].kind, DeliveryKind::Confirmation);
    assert_eq!(owed[0].subscription.scope.as_str(), "META");
}

#[tokio::test]
async fn without_double_opt_in_a_sign_up_is_active() {
    let mut world = World::new().await;
    world.config.confirm = false;
    let reply = post_json(&world.router().await, "/subscribe", ADA).await;
    assert_eq!(reply.json()["status"], "active");
    // An active one is not asked to confirm, even where others are.
    world.config.confirm = true;
    post_json(&world.router().await, "/subscribe", ADA).await;
    assert!(world.claim().await.is_empty());
}

#[tokio::test]
async fn new_known_and_active_addresses_get_the_very_same_answer() {
    let world = World::new().await;
    let router = world.router().await;
    let fresh = post_json(&router, "/subscribe", ADA).await;
    let known = post_json(&router, "/subscribe", ADA).await;
    let (confirm, _) = world.mailed_tokens().await;
    let confirmed = post(&router, &format!("/v1/subscriptions/confirm?token={confirm}"), FORM, "").await;
    assert_eq!(confirmed.status, StatusCode::OK);
    let active = post_json(&router, "/subscribe", ADA).await;
    for reply in [&known, &active] {
        assert_eq!((reply.status, &reply.body), (fresh.status, &fresh.body));
        let names = |reply: &Reply| reply.headers.keys().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(reply), names(&fresh));
    }
}

#[tokio::test]
async fn every_kind_of_wrong_body_has_its_status_and_names_its_field() {
    let mut world = World::new().await;
    let many = Rate { per_minute: 1000.try_into().unwrap(), burst: 1000.try_into().unwrap() };
    world.config.limits.posts = many;
    let router = world.router().await;
    let cases: &[(&str, u16, &[&str])] = &[
        ("", 400, &[]),
        ("nonsense", 400, &[]),
        (r#"{"email":"ada@example.com""#, 400, &[]),
        (r#"{"email":"ada@example.com","metric":"price","ticker":"AAPL"} x"#, 400, &[]),
        ("[]", 422, &["(body)"]),
        ("null", 422, &["(body)"]),
        ("{}", 422, &["email", "metric", "ticker"]),
        (r#"{"email":"ada@example.com","metric":"price"}"#, 422, &["ticker"]),
        (r#"{"email":"ada","metric":"price","ticker":"AAPL"}"#, 422, &["email"]),
        (r#"{"email":"a@b\r\nBcc: x@y.z","metric":"price","ticker":"AAPL"}"#, 422, &["email"]),
        (r#"{"email":1,"metric":"price","ticker":"AAPL"}"#, 422, &["email"]),
        (r#"{"email":null,"metric":"price","ticker":"AAPL"}"#, 422, &["email"]),
        (r#"{"email":["ada@example.com"],"metric":"price","ticker":"AAPL"}"#, 422, &["email"]),
        (r#"{"email":{"$gt":""},"metric":"price","ticker":"AAPL"}"#, 422, &["email"]),
        (r#"{"email":"ada@example.com","metric":"open","ticker":"AAPL"}"#, 422, &["metric"]),
        (r#"{"email":"ada@example.com","metric":"Price","ticker":"AAPL"}"#, 422, &["metric"]),
        (r#"{"email":"ada@example.com","metric":"price","ticker":"IBM"}"#, 422, &["ticker"]),
        (r#"{"email":"ada@example.com","metric":"price","ticker":""}"#, 422, &["ticker"]),
        (r#"{"email":"","metric":"","ticker":""}"#, 422, &["email", "metric", "ticker"]),
        (r#"{"email":"ada@example.com","metric":"price","ticker":"AAPL","ticker":"TSLA"}"#, 422, &["ticker"]),
        (r#"{"email":"ada@example.com","metric":"price","ticker":"AAPL","admin":true}"#, 422, &["admin"]),
        (r#"{"Email":"ada@example.com","metric":"price","ticker":"AAPL"}"#, 422, &["email", "Email"]),
    ];
    for (body, status, fields) in cases {
        let reply = post_json(&router, "/subscribe", body).await;
        assert_eq!(reply.status.as_u16(), *status, "{body}: {}", reply.text());
        assert_eq!(reply.header("content-type"), "application/problem+json");
        let problem = reply.json();
        let named: Vec<_> = problem["errors"]
            .as_array()
            .map(|errors| errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect())
            .unwrap_or_default();
        assert_eq!(named, *fields, "{body}");
        for field in *fields {
            assert!(problem["detail"].as_str().unwrap().contains(field), "{body}");
        }
        assert!(!reply.text().contains("ada@example.com"), "an address in an error");
    }
    assert!(world.claim().await.is_empty(), "somebody is subscribed");
}

#[tokio::test]
async fn other_content_types_are_415_and_long_bodies_413() {
    let world = World::new().await;
    let router = world.router().await;
    for kind in ["text/plain", FORM, "application/jsonp", "", "multipart/form-data; boundary=x"] {
        let reply = post(&router, "/subscribe", kind, ADA).await;
        assert_eq!(reply.status.as_u16(), 415, "{kind}");
    }
    let request = Request::post("/subscribe").body(Body::from(ADA)).unwrap();
    assert_eq!(send(&router, request).await.status.as_u16(), 415);
    let kind = "Application/JSON ; charset=utf-8";
    assert_eq!(post(&router, "/subscribe", kind, ADA).await.status.as_u16(), 201);

    let limit = world.config.limits.body;
    let padded = |length: usize| format!("{ADA}{}", " ".repeat(length - ADA.len()));
    assert_eq!(post_json(&router, "/subscribe", &padded(limit)).await.status.as_u16(), 201);
    let reply = post_json(&router, "/subscribe", &padded(limit + 1)).await;
    assert_eq!((reply.status.as_u16(), reply.header("connection")), (413, "close"));
}

#[tokio::test]
async fn too_many_sign_ups_from_one_network_are_429_with_the_time_to_wait() {
    let world = World::new().await;
    let router = world.router().await;
    for n in 0..10 {
        let body = ADA.replace("ada", &format!("ada{n}"));
        assert_eq!(post_json(&router, "/subscribe", &body).await.status.as_u16(), 201, "{n}");
    }
    let reply = post_json(&router, "/subscribe", ADA).await;
    assert_eq!(reply.status.as_u16(), 429);
    let wait: u64 = reply.header("retry-after").parse().unwrap();
    assert!((1..=12).contains(&wait), "{wait}");
    assert_eq!(reply.header("content-type"), "application/problem+json");
    let form = "email=ada%40example.com&metric=price&ticker=AAPL";
    let reply = post(&router, "/subscribe/form", FORM, form).await;
    assert_eq!(reply.status.as_u16(), 429, "the form counts too");
    assert!(!reply.header("retry-after").is_empty());
    assert_eq!(get(&router, "/AAPL/price").await.status, StatusCode::OK, "reading is free");
}

/// A sign-up of the network behind our proxy at `client`.
async fn sign_up_from(router: &Router, client: &str, name: &str) -> Reply {
    let request = Request::post("/subscribe")
        .header("content-type", "application/json")
        .header("x-forwarded-for", client)
        .body(Body::from(ADA.replace("ada", name)))
        .unwrap();
    send(router, request).await
}

#[tokio::test]
async fn a_network_that_signs_up_without_end_leaves_confirmation_mails_for_the_others() {
    let mut world = World::new().await;
    // In tests every request comes from the unspecified address.
    world.config.trusted_proxies = vec!["0.0.0.0/32".parse().unwrap()];
    let many = Rate { per_minute: 1000.try_into().unwrap(), burst: 1000.try_into().unwrap() };
    (world.config.limits.posts, world.config.limits.sign_ups) = (many, many);
    world.config.sign_up =
        SignUpLimits { total_per_hour: 60, domain_per_hour: 60, ..SignUpLimits::default() };
    let router = world.router().await;

    let mut taken = 0;
    for n in 0..40 {
        let client = format!("2001:db8::{n}");
        let reply = sign_up_from(&router, &client, &format!("flood{n}")).await;
        match reply.status.as_u16() {
            201 => taken += 1,
            429 => {
                let wait: u64 = reply.header("retry-after").parse().unwrap();
                assert!((1..=3 * 60).contains(&wait), "{wait}");
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(taken, 20, "one network's hour");
    let form = "email=flood%40example.com&metric=price&ticker=AAPL";
    let request = Request::post("/subscribe/form").header("content-type", FORM);
    let request = request.header("x-forwarded-for", "2001:db8::1").body(Body::from(form)).unwrap();
    assert_eq!(send(&router, request).await.status.as_u16(), 429, "the form counts too");

    assert_eq!(sign_up_from(&router, "2001:db8:0:1::1", "ada").await.status, StatusCode::CREATED);
    let owed = world.claim().await;
    assert_eq!(owed.len(), 21);
    assert!(owed.iter().any(|delivery| delivery.subscription.channel.key() == "ada@example.com"));
}

#[tokio::test]
async fn the_networks_of_one_customer_do_not_count_as_strangers() {
    let mut world = World::new().await;
    world.config.trusted_proxies = vec!["0.0.0.0/32".parse().unwrap()];
    let router = world.router().await;
    for networks in ["2001:db8:7:", "198.51.100."] {
        let mut taken = 0;
        for n in 1..=80 {
            let client =
                if networks.contains(':') { format!("{networks}{n}::1") } else { format!("{networks}{n}") };
            let reply = sign_up_from(&router, &client, &format!("flood{n}")).await;
            taken += u32::from(reply.status == StatusCode::CREATED);
        }
        assert_eq!(taken, 60, "one wide network's hour: {networks}");
    }
    assert_eq!(sign_up_from(&router, "2001:db8:8::1", "ada").await.status, StatusCode::CREATED);
    assert_eq!(sign_up_from(&router, "198.51.101.1", "ada").await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn when_too_many_wait_a_sign_up_is_503_with_the_time_to_wait() {
    let mut world = World::new().await;
    world.config.trusted_proxies = vec!["0.0.0.0/32".parse().unwrap()];
    // A hundred may wait at one domain.
    world.config.sign_up = SignUpLimits { domain_per_hour: 1, ..SignUpLimits::default() };
    let router = world.router().await;
    for n in 0..100 {
        let reply = sign_up_from(&router, &format!("10.0.{n}.1"), &format!("s{n}")).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{n}");
    }
    let reply = sign_up_from(&router, "10.1.0.1", "ada").await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply.header("content-type"), "application/problem+json");
    assert_eq!(reply.json()["code"], "too_many_waiting");
    let wait: u64 = reply.header("retry-after").parse().unwrap();
    assert!((1..=3600).contains(&wait), "{wait}");
    let form = "email=ada%40example.com&metric=price&ticker=AAPL";
    let reply = post(&router, "/subscribe/form", FORM, form).await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reply.header("retry-after"), wait.to_string());
    // Other domains have their places.
    let other = ADA.replace("example.com", "example.org");
    assert_eq!(post_json(&router, "/subscribe", &other).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn mistakes_do_not_use_up_sign_ups_but_are_counted_too() {
    let world = World::new().await;
    let router = world.router().await;
    let mut refused = 0;
    for _ in 0..70 {
        refused += u32::from(post_json(&router, "/subscribe", "{}").await.status.as_u16() == 429);
    }
    assert!((9..=10).contains(&refused), "{refused}");
    let router = world.router().await;
    for _ in 0..30 {
        assert_eq!(post_json(&router, "/subscribe", "{}").await.status.as_u16(), 422);
    }
    assert_eq!(post_json(&router, "/subscribe", ADA).await.status.as_u16(), 201);
}

#[tokio::test]
async fn the_form_signs_up_and_answers_with_a_page() {
    let world = World::new().await;
    let router = world.router().await;
    let form = "ticker=aapl&metric=volume&email=ada%2Bqqq%40example.com";
    let reply = post(&router, "/subscribe/form", FORM, form).await;
    assert_eq!(reply.status, StatusCode::CREATED);
    assert!(reply.header("content-type").starts_with("text/html"));
    assert!(reply.text().contains("It begins once it is confirmed"));
    // Whether one is sent at all depends on what nobody is to learn here.
    assert!(
        reply.text().contains("If there is something to confirm") && !reply.text().contains("on its way")
    );
    assert_eq!(reply.header("cache-control"), "no-store");
    let owed = world.claim().await;
    assert_eq!(owed[0].subscription.channel.key(), "ada+qqq@example.com");

    let again = post(&router, "/subscribe/form", FORM, form).await;
    assert_eq!(again.body, reply.body, "known addresses get the same page");

    for (form, status, word) in [
        ("ticker=IBM&metric=volume&email=ada%40example.com", 422, "not tracked"),
        ("ticker=AAPL&metric=volume&email=ada", 422, "Email"),
        ("", 422, "is missing"),
        ("ticker=<script>&metric=price&email=ada%40example.com", 422, "&lt;script&gt;"),
    ] {
        let reply = post(&router, "/subscribe/form", FORM, form).await;
        assert_eq!(reply.status.as_u16(), status, "{form}");
        assert!(reply.header("content-type").starts_with("text/html"));
        assert!(reply.text().contains(word), "{form}: {}", reply.text());
        assert!(!reply.text().contains("<script>"), "{form}");
    }
    assert_eq!(post_json(&router, "/subscribe/form", ADA).await.status.as_u16(), 415);
}

#[tokio::test]
async fn a_form_on_somebody_elses_page_is_refused() {
    let world = World::new().await;
    let router = world.router().await;
    for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        let request = Request::post("/subscribe/form")
            .header("content-type", FORM)
            .header(name, value)
            .body(Body::from("ticker=AAPL&metric=price&email=ada%40example.com"))
            .unwrap();
        assert_eq!(send(&router, request).await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(world.claim().await.len(), 0);
}
