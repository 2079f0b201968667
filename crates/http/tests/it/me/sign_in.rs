//! Links by mail, and the sessions that they begin.

use super::{ADA, asked, links, path_of, pressed, signed_in, wait, with, world};
use crate::world::*;
use axum::http::{Method, StatusCode};

#[tokio::test]
async fn asking_for_a_link_answers_everybody_alike() {
    let world = world().await;
    let router = world.router().await;
    let told = asked(&router, ADA).await;
    assert_eq!(told.status, StatusCode::ACCEPTED);
    for other in ["stranger@example.com", "ops@example.com", "ADA@example.com"] {
        let reply = asked(&router, other).await;
        assert_eq!((reply.status, reply.body), (told.status, told.body.clone()), "{other}");
    }
    let mut receivers: Vec<_> = links(&world).await.iter().map(|mail| mail.to.expose().to_owned()).collect();
    receivers.sort();
    assert_eq!(receivers, [ADA, "ops@example.com"]);
    for (body, status) in [
        ("{", StatusCode::BAD_REQUEST),
        ("{}", StatusCode::UNPROCESSABLE_ENTITY),
        (r#"{"email":"nobody"}"#, StatusCode::UNPROCESSABLE_ENTITY),
        (r#"{"email":"a@b.c","x":1}"#, StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        assert_eq!(post_json(&router, "/v1/session", body).await.status, status, "{body}");
    }
    let form = post(&router, "/v1/session", FORM, "email=ada%40example.com").await;
    assert_eq!(form.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn a_network_asks_for_so_many_links() {
    let mut world = World::new().await;
    world.config.limits.sign_ups_per_hour = 3.try_into().unwrap();
    let router = world.router().await;
    for n in 0..3 {
        assert_eq!(asked(&router, &format!("x{n}@example.com")).await.status, StatusCode::ACCEPTED);
    }
    let refused = asked(&router, "y@example.com").await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(!refused.header("retry-after").is_empty());
}

#[tokio::test]
async fn a_links_page_changes_nothing_and_its_button_signs_in_once() {
    let world = world().await;
    let router = world.router().await;
    asked(&router, ADA).await;
    let path = path_of(&world, &links(&world).await[0]);
    for _ in 0..3 {
        let page = get(&router, &path).await;
        assert_eq!((page.status, page.header("set-cookie")), (StatusCode::OK, ""));
        assert!(page.text().contains("Sign in") && page.text().contains(ADA), "{}", page.text());
        assert!(page.text().contains("method=\"post\""));
    }
    for foreign in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("origin", "http://evil.example")],
        // By plain http browsers may say no more, of any page that asks for no referrer.
        &[("origin", "null")],
        &[],
    ] {
        let reply = with(&router, Method::POST, &path, foreign, "").await;
        let answer = (reply.status, reply.header("set-cookie"));
        assert_eq!(answer, (StatusCode::FORBIDDEN, ""), "{foreign:?}");
    }
    let reply = pressed(&router, &path).await;
    assert_eq!((reply.status, reply.header("location")), (StatusCode::SEE_OTHER, "/me"));
    assert_eq!(reply.header("cache-control"), "no-store");
    let cookie = reply.header("set-cookie");
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax");
    assert_eq!(pair.split_once('=').unwrap().0, "qqq_session");
    for again in [get(&router, &path).await, pressed(&router, &path).await] {
        assert_eq!((again.status, again.header("set-cookie")), (StatusCode::NOT_FOUND, ""));
    }
    let unknown = format!("/v1/session/link?token={}", "A".repeat(43));
    assert_eq!(get(&router, &unknown).await.status, StatusCode::NOT_FOUND);
    assert_eq!(pressed(&router, "/v1/session/link").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn by_plain_http_a_links_page_has_its_button_say_its_origin() {
    let world = world().await;
    let router = world.router().await;
    asked(&router, ADA).await;
    let path = path_of(&world, &links(&world).await[0]);
    let page = get(&router, &path).await;
    assert_eq!(page.header("referrer-policy"), "same-origin", "without it a browser's `Origin` is `null`");
    let origin = world.config.public_url.origin().ascii_serialization();
    let reply = with(&router, Method::POST, &path, &[("origin", &origin)], "").await;
    assert_eq!(reply.status, StatusCode::SEE_OTHER, "{}", reply.text());
}

#[tokio::test]
async fn a_link_is_too_old_after_a_quarter_of_an_hour_and_a_session_after_a_month() {
    let world = world().await;
    let router = world.router().await;
    asked(&router, ADA).await;
    let path = path_of(&world, &links(&world).await[0]);
    wait(&world, 15 * 60);
    assert_eq!(pressed(&router, &path).await.status, StatusCode::NOT_FOUND);
    let cookie = signed_in(&world, &router, ADA).await;
    wait(&world, 30 * 24 * 3600 - 1);
    assert_eq!(get_with(&router, "/v1/me", &[("cookie", &cookie)]).await.status, StatusCode::OK);
    wait(&world, 1);
    assert_eq!(get_with(&router, "/v1/me", &[("cookie", &cookie)]).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn by_https_the_cookie_is_secure_and_its_hosts_alone() {
    let mut world = world().await;
    world.config.public_url = "https://qqq.example.org".parse().unwrap();
    let router = world.router().await;
    asked(&router, ADA).await;
    let path = path_of(&world, &links(&world).await[0]);
    let reply = pressed(&router, &path).await;
    let cookie = reply.header("set-cookie");
    assert!(cookie.starts_with("__Host-qqq_session="), "{cookie}");
    assert!(cookie.ends_with("; Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
    let pair = cookie.split(';').next().unwrap();
    assert_eq!(get_with(&router, "/v1/me", &[("cookie", pair)]).await.status, StatusCode::OK);
    let plain = pair.trim_start_matches("__Host-");
    assert_eq!(get_with(&router, "/v1/me", &[("cookie", plain)]).await.status, StatusCode::UNAUTHORIZED);
}
