//! The dashboard's shell and files, and that what was built holds together.

use crate::world::*;
use axum::http::StatusCode;
use qqq_http::Dashboard;

const PAGES: [&str; 12] = [
    "/",
    "/s/AAPL",
    "/s/fb",
    "/alerts",
    "/alerts/f781bcc6-15b4-57da-b522-3b1126688157",
    "/rule",
    "/subscribe",
    "/subscribe/",
    "/subscribe?symbol=AAPL",
    "/status",
    "/watchlist",
    "/mailbox",
];

#[tokio::test]
async fn every_page_is_the_shell_and_costs_a_304_once_it_is_known() {
    let world = World::new().await;
    let router = world.router().await;
    let tag = get(&router, "/").await.header("etag").to_owned();
    for path in PAGES {
        let page = get(&router, path).await;
        assert_eq!((page.status, page.text()), (StatusCode::OK, SHELL), "{path}");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{path}");
        assert_eq!((page.header("cache-control"), page.header("etag")), ("no-cache", &*tag), "{path}");
        let known = get_with(&router, path, &[("if-none-match", &tag)]).await;
        assert_eq!((known.status, known.body.len()), (StatusCode::NOT_MODIFIED, 0), "{path}");
    }
}

#[tokio::test]
async fn the_page_of_what_cannot_be_is_the_shell_as_a_404() {
    let world = World::new().await;
    let router = world.router().await;
    let tag = get(&router, "/").await.header("etag").to_owned();
    for path in ["/s/IBM", "/s/%FF", "/s/%3Cscript%3E", "/alerts/none"] {
        for page in [get(&router, path).await, get_with(&router, path, &[("if-none-match", &tag)]).await] {
            assert_eq!((page.status, page.text()), (StatusCode::NOT_FOUND, SHELL), "{path}");
            assert_eq!((page.header("cache-control"), page.header("etag")), ("no-store", ""), "{path}");
        }
    }
}

#[tokio::test]
async fn files_with_a_hash_in_their_name_are_kept_for_good_and_others_asked_about() {
    let world = World::new().await;
    let router = world.router().await;
    for (path, kind, cached) in [
        ("/assets/index-1a2B.js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"),
        ("/assets/index-3c4D.css", "text/css; charset=utf-8", "public, max-age=31536000, immutable"),
        ("/theme.js", "text/javascript; charset=utf-8", "no-cache"),
        ("/favicon.svg", "image/svg+xml", "no-cache"),
    ] {
        let file = get(&router, path).await;
        assert_eq!(file.status, StatusCode::OK, "{path}");
        assert_eq!((file.header("content-type"), file.header("cache-control")), (kind, cached), "{path}");
        let known = get_with(&router, path, &[("if-none-match", file.header("etag"))]).await;
        assert_eq!(known.status, StatusCode::NOT_MODIFIED, "{path}");
    }
    for path in [
        "/assets/none.js",
        "/assets/",
        "/assets/index.html",
        "/assets/../theme.js",
        "/assets/%2e%2e/theme.js",
        "/assets/%FF",
        "/index.html",
        "/.gitignore",
        "/assets/.gitignore",
    ] {
        let none = get(&router, path).await;
        assert_eq!(none.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(none.header("content-type"), "application/problem+json", "{path}");
    }
}

#[tokio::test]
async fn without_a_dashboard_pages_say_how_to_get_one_and_lead_to_what_there_is() {
    let mut world = World::new().await;
    world.config.dashboard = Dashboard::default();
    let router = world.router().await;
    for path in PAGES {
        let page = get(&router, path).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
        assert!(page.header("content-type").starts_with("text/html"), "{path}");
        assert!(page.text().contains("`make build` builds it"), "{path}: {}", page.text());
        let html = page.text().replace("&#x2f;", "/");
        for link in ["/v1/symbols", "/docs", "/subscribe/form"] {
            assert!(html.contains(&format!("<a href=\"{link}\">")), "{path}: {link}");
            assert_eq!(get(&router, link).await.status, StatusCode::OK, "{link}");
        }
    }
    assert_eq!(get(&router, "/assets/index-1a2B.js").await.status, StatusCode::NOT_FOUND);
}

/// The dashboard that is part of this build. Without one the test is passed over, and says so; where `CI` is
/// set, it fails.
#[track_caller]
fn built_in() -> Option<Dashboard> {
    let dashboard = Dashboard::built_in();
    if dashboard.is_there() {
        return Some(dashboard);
    }
    let what = "the dashboard is not built: `make build` does";
    assert!(std::env::var_os("CI").is_none(), "{what}");
    eprintln!("SKIPPED: {what}");
    None
}

#[tokio::test]
async fn the_built_shell_loads_what_is_there_and_nothing_the_policy_forbids() {
    let Some(dashboard) = built_in() else { return };
    let mut world = World::new().await;
    world.config.dashboard = dashboard.clone();
    let router = world.router().await;
    let shell = get(&router, "/").await;
    let html = shell.text();
    for forbidden in [" style=", "<style", " onclick", " onload", "javascript:", "http://", "https://"] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    let scripts = html.split("<script").skip(1).map(|rest| rest.split('>').next().unwrap());
    assert!(scripts.inspect(|tag| assert!(tag.contains(" src=\"/"), "an inline script: {tag}")).count() > 0);
    let loaded = html.split("src=\"").chain(html.split("href=\"")).filter(|rest| rest.starts_with('/'));
    for path in loaded.map(|rest| rest.split('"').next().unwrap()).filter(|path| path.contains('.')) {
        assert_eq!(get(&router, path).await.status, StatusCode::OK, "{path}");
    }
    for path in dashboard.paths().filter(|path| *path != "/index.html") {
        let file = get_with(&router, path, &[("accept-encoding", "br")]).await;
        assert_eq!(file.status, StatusCode::OK, "{path}");
        assert_ne!(file.header("content-type"), "application/octet-stream", "{path}: a kind known here");
    }
}
