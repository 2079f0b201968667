//! What people are shown where there is nothing to show, and what programs are told there.

use crate::faulty::{Fault, Faulty};
use crate::world::*;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use std::sync::Arc;

/// What Chromium asks for when somebody goes to an address.
const BROWSER: (&str, &str) = (
    "accept",
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,\
     application/signed-exchange;v=b3;q=0.7",
);

async fn visit(router: &Router, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    let mut request = Request::builder().method(method).uri(path);
    for &(name, value) in headers {
        request = request.header(name, value);
    }
    send(router, request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_page_that_is_not_there_is_the_dashboards_for_people_and_a_problem_for_programs() {
    let world = World::new().await;
    let router = world.router().await;
    for path in
        ["/nonsense", "/s/", "/s", "/none/such/page", "/foo/bar", "/%FF", "/%zz/", "/assets/none.js", "/IBM"]
    {
        let page = visit(&router, "GET", path, &[BROWSER]).await;
        assert_eq!((page.status, page.text()), (StatusCode::NOT_FOUND, SHELL), "{path}");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{path}");
        assert_eq!((page.header("cache-control"), page.header("etag")), ("no-store", ""), "{path}");
        for accept in ["*/*", "application/json", "application/json, text/plain, */*"] {
            let problem = visit(&router, "GET", path, &[("accept", accept)]).await;
            assert_eq!(problem.status, StatusCode::NOT_FOUND, "{path}");
            assert_eq!(problem.header("content-type"), "application/problem+json", "{path}");
        }
    }
}

#[tokio::test]
async fn what_is_nearly_a_page_leads_there() {
    let world = World::new().await;
    let router = world.router().await;
    for (path, page) in [
        ("/NVDA", "/s/NVDA"),
        ("/nvda", "/s/NVDA"),
        ("/NVDA/", "/s/NVDA"),
        ("/fb", "/s/META"),
        ("/fb?interval=1h", "/s/META?interval=1h"),
        ("/s/NVDA/", "/s/NVDA"),
        ("/S/nvda", "/s/NVDA"),
        ("/s//NVDA", "/s/NVDA"),
        ("/s/IBM/", "/s/IBM"),
        ("/alerts/", "/alerts"),
        ("/alerts//", "/alerts"),
        ("/Alerts", "/alerts"),
        ("/alerts/?symbol=NVDA&metric=price", "/alerts?symbol=NVDA&metric=price"),
        ("/alerts/f781bcc6-15b4-57da-b522-3b1126688157/", "/alerts/f781bcc6-15b4-57da-b522-3b1126688157"),
        ("/rule/", "/rule"),
        ("/status/", "/status"),
        ("/mailbox/", "/mailbox"),
        ("/docs/", "/docs"),
        ("/subscribe/form/", "/subscribe/form"),
        ("/index.html", "/"),
        ("//", "/"),
        ("//alerts", "/alerts"),
    ] {
        for method in ["GET", "HEAD"] {
            let reply = visit(&router, method, path, &[BROWSER]).await;
            assert_eq!(
                (reply.status, reply.header("location")),
                (StatusCode::TEMPORARY_REDIRECT, page),
                "{path}"
            );
            assert_eq!(reply.header("cache-control"), "no-store", "{path}");
        }
        let there = visit(&router, "GET", page, &[BROWSER]).await;
        assert!(there.header("location").is_empty(), "{path}: no further");
        assert_eq!(
            get(&router, path).await.status,
            StatusCode::NOT_FOUND,
            "a program has its own paths: {path}"
        );
    }
}

#[tokio::test]
async fn no_path_leads_to_another_site() {
    let world = World::new().await;
    let router = world.router().await;
    for path in [
        "//evil.example/",
        "//evil.example/NVDA",
        "///evil.example//",
        "/%5Cevil.example/",
        "/%2F%2Fevil.example/",
        "//evil.example/%2e%2e/",
        "/s//evil.example/",
        "/s/%2F%2Fevil.example/",
        "/alerts//evil.example/",
    ] {
        let reply = visit(&router, "GET", path, &[BROWSER]).await;
        let to = reply.header("location");
        assert!(to.is_empty() || to.starts_with("/s/"), "{path} leads to {to}");
    }
}

#[tokio::test]
async fn whatever_goes_wrong_is_a_page_for_people() {
    let world = World::new().await;
    let faulty = Arc::new(Faulty::over(&world));
    let router = world.api_over(faulty.clone()).await.router();
    let seen = async |fault, method: &str, path: &str, headers: &[(&str, &str)], status: u16, words: &str| {
        faulty.set(fault);
        let what = format!("{method} {path}");
        let page = visit(&router, method, path, &[&[BROWSER], headers].concat()).await;
        assert_eq!(page.status.as_u16(), status, "{what}: {}", page.text());
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{what}");
        assert_eq!(page.header("cache-control"), "no-store", "{what}");
        assert_eq!(page.header("vary"), "accept", "{what}");
        assert!(page.text().contains(words), "{what}: {}", page.text());
        assert!(page.text().contains(page.header("x-request-id")), "{what}: {}", page.text());
        for forbidden in ["<script", " style=", "<style", " onclick", "javascript:", "{{"] {
            assert!(!page.text().contains(forbidden), "{what}: {forbidden}");
        }
        let problem = visit(&router, method, path, headers).await;
        assert_eq!(problem.header("content-type"), "application/problem+json", "{what}");
        for name in ["allow", "retry-after", "www-authenticate", "connection"] {
            assert_eq!(page.header(name), problem.header(name), "{what}: {name}");
        }
        page
    };
    let of_store = FROM_THE_STORE;
    seen(Fault::None, "GET", "/v1/symbols/IBM", &[], 404, "<code>IBM</code> is not tracked").await;
    seen(Fault::None, "GET", "/v1/symbols/%3Cscript%3E", &[], 404, "&lt;script&gt;").await;
    seen(Fault::None, "GET", "/NVDA/chart", &[], 400, "<code>chart</code> is not a metric").await;
    seen(Fault::None, "GET", "/v1/symbols?limit=0", &[], 400, "limit").await;
    seen(Fault::None, "GET", "/v1/symbols", &[("accept-encoding", "identity;q=0")], 406, "accept-encoding")
        .await;
    let not_taken = seen(Fault::None, "POST", "/alerts", &[], 405, "does not take").await;
    assert_eq!(not_taken.header("allow"), "GET,HEAD");
    seen(Fault::None, "POST", "/nonsense", &[], 404, "There is no such page").await;
    seen(Fault::None, "POST", "/subscribe", &[], 415, "application/json").await;
    let id = "/v1/subscriptions/00000000-0000-0000-0000-000000000000";
    let closed = seen(Fault::None, "GET", id, &[], 401, "You may not see this").await;
    assert_eq!(closed.header("www-authenticate"), "Bearer");
    let away = seen(Fault::Error, "GET", of_store, &[], 503, "Not available right now").await;
    assert_eq!(away.header("retry-after"), "5");
    assert!(!away.text().contains("secret place"));
    seen(Fault::Panic, "GET", of_store, &[], 500, "Something went wrong here").await;
}

#[tokio::test]
async fn too_many_requests_are_told_with_the_time_to_wait() {
    let mut world = World::new().await;
    world.config.limits.posts =
        qqq_http::Rate { per_minute: std::num::NonZeroU32::MIN, burst: std::num::NonZeroU32::MIN };
    let router = world.router().await;
    visit(&router, "POST", "/subscribe", &[BROWSER]).await;
    let page = visit(&router, "POST", "/subscribe", &[BROWSER]).await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(page.header("content-type").starts_with("text/html"));
    let wait = page.header("retry-after");
    assert!(!wait.is_empty() && page.text().contains(&format!("try again in {wait} s")), "{}", page.text());
}

#[tokio::test]
async fn without_a_dashboard_the_page_is_a_plain_one() {
    let mut world = World::new().await;
    world.config.dashboard = qqq_http::Dashboard::default();
    let router = world.router().await;
    let page = visit(&router, "GET", "/nonsense", &[BROWSER]).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(
        page.text().contains("There is no such page") && page.text().contains("href=\"/\""),
        "{}",
        page.text()
    );
}
