//! The pages: what they say, and that looking at them changes nothing.

use crate::world::*;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use qqq_core::subscription::SubscriptionStatus;
use qqq_core::token::{Purpose, Token};
use qqq_core::{Evidence, FeedMode, Metric, Minute};
use qqq_store::Batch;

const ADA: &str = r#"{"email":"ada@example.com","metric":"volume","ticker":"NVDA"}"#;

/// What a page says, without its tags.
fn words(html: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for character in html.chars() {
        match character {
            '<' => inside = true,
            '>' => {
                inside = false;
                text.push(' ');
            }
            other if !inside => text.push(other),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where the subscription stands that a confirmation link belongs to.
async fn status(world: &World, confirm: &str) -> SubscriptionStatus {
    let token = Token::parse(confirm).unwrap().hash();
    world.store.subscription_of(Purpose::Confirm, &token).await.unwrap().unwrap().status
}

#[tokio::test]
async fn confirming_takes_a_post_and_may_be_repeated() {
    let world = World::new().await;
    let router = world.router().await;
    post_json(&router, "/subscribe", ADA).await;
    let (confirm, _) = world.mailed_tokens().await;
    let path = format!("/v1/subscriptions/confirm?token={confirm}");
    for _ in 0..100 {
        let page = get(&router, &path).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.text().contains(r#"<form method="post"><button>Yes, mail me</button></form>"#));
        assert_eq!(page.header("cache-control"), "no-store");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
    }
    send(&router, Request::head(&path).body(Body::empty()).unwrap()).await;
    assert_eq!(status(&world, &confirm).await, SubscriptionStatus::Pending, "looking confirms nothing");

    let page = post(&router, &path, FORM, "").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(words(page.text()).contains("You are subscribed"), "{}", page.text());
    assert_eq!(status(&world, &confirm).await, SubscriptionStatus::Active);
    let again = post(&router, &path, FORM, "").await;
    assert_eq!(again.status, StatusCode::OK);
    assert!(words(again.text()).contains("subscribed already"));
    assert!(words(get(&router, &path).await.text()).contains("subscribed already"));
}

#[tokio::test]
async fn the_token_may_travel_in_the_form() {
    let world = World::new().await;
    let router = world.router().await;
    post_json(&router, "/subscribe", ADA).await;
    let (confirm, unsubscribe) = world.mailed_tokens().await;
    let page = post(&router, "/v1/subscriptions/confirm", FORM, format!("token={confirm}")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(status(&world, &confirm).await, SubscriptionStatus::Active);
    let page = post(&router, "/v1/subscriptions/unsubscribe", FORM, format!("token={unsubscribe}")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(status(&world, &confirm).await, SubscriptionStatus::Unsubscribed);
}

#[tokio::test]
async fn one_click_unsubscribes_at_once_in_either_form() {
    let multipart = "multipart/form-data; boundary=b";
    let part =
        "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n";
    for (kind, body) in [(FORM, "List-Unsubscribe=One-Click"), (multipart, part), (FORM, "")] {
        let world = World::new().await;
        let router = world.router().await;
        post_json(&router, "/subscribe", ADA).await;
        let (confirm, unsubscribe) = world.mailed_tokens().await;
        post(&router, &format!("/v1/subscriptions/confirm?token={confirm}"), FORM, "").await;
        let path = format!("/v1/subscriptions/unsubscribe?token={unsubscribe}");
        for _ in 0..100 {
            let page = get(&router, &path).await;
            assert!(page.text().contains("<button>Unsubscribe</button>"));
        }
        assert_eq!(status(&world, &confirm).await, SubscriptionStatus::Active, "looking ends nothing");
        for _ in 0..3 {
            let reply = post(&router, &path, kind, body).await;
            assert_eq!(reply.status, StatusCode::OK, "no redirect");
            assert_eq!(reply.header("set-cookie"), "");
            assert_eq!(status(&world, &confirm).await, SubscriptionStatus::Unsubscribed);
        }
        assert!(words(get(&router, &path).await.text()).contains("You are unsubscribed"));
        let confirm = post(&router, &format!("/v1/subscriptions/confirm?token={confirm}"), FORM, "").await;
        assert_eq!(confirm.status, StatusCode::GONE, "an old confirmation link revives nothing");
    }
}

#[tokio::test]
async fn mail_providers_are_not_slowed_by_the_limits_of_people() {
    let world = World::new().await;
    let router = world.router().await;
    post_json(&router, "/subscribe", ADA).await;
    let (_, unsubscribe) = world.mailed_tokens().await;
    for _ in 0..200 {
        let path = format!("/v1/subscriptions/unsubscribe?token={unsubscribe}");
        let reply = post(&router, &path, FORM, "List-Unsubscribe=One-Click").await;
        assert_eq!(reply.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn unknown_tokens_and_tokens_of_another_purpose_are_a_404_page() {
    let world = World::new().await;
    let router = world.router().await;
    post_json(&router, "/subscribe", ADA).await;
    let (confirm, unsubscribe) = world.mailed_tokens().await;
    let guess = "A".repeat(43);
    for (what, token) in [
        ("confirm", ""),
        ("confirm", "x"),
        ("confirm", guess.as_str()),
        ("confirm", unsubscribe.as_str()),
        ("unsubscribe", confirm.as_str()),
        ("unsubscribe", "%00"),
        ("unsubscribe", guess.as_str()),
    ] {
        let path = format!("/v1/subscriptions/{what}?token={token}");
        for reply in [get(&router, &path).await, post(&router, &path, FORM, "").await] {
            assert_eq!(reply.status, StatusCode::NOT_FOUND, "{what}");
            assert!(reply.header("content-type").starts_with("text/html"), "{what}");
        }
    }
    assert_eq!(get(&router, "/v1/subscriptions/confirm").await.status, StatusCode::NOT_FOUND);
    assert_eq!(status(&world, &confirm).await, SubscriptionStatus::Pending);
}

#[tokio::test]
async fn a_confirmation_link_is_good_for_a_day() {
    let world = World::new().await;
    let router = world.router().await;
    post_json(&router, "/subscribe", ADA).await;
    let (confirm, _) = world.mailed_tokens().await;
    world.clock.set("2025-02-01T20:00:31Z");
    let page = post(&router, &format!("/v1/subscriptions/confirm?token={confirm}"), FORM, "").await;
    assert_eq!(page.status, StatusCode::GONE);
    assert!(words(page.text()).contains("too old"));
    assert_eq!(status(&world, &confirm).await, SubscriptionStatus::Pending);
}

fn quiet_market(mode: FeedMode) -> Batch {
    let start = at("2025-01-31T19:59:00Z");
    let names = qqq_core::watchlist::DEFAULT_SYMBOLS;
    Batch {
        bars: names
            .iter()
            .map(|name| qqq_store::BarRecord { bar: bar(name, start, "1234.5", 1_000), revision: 0 })
            .collect(),
        statistics: names.iter().map(|name| statistics(name, start, 0.5, 1.2)).collect(),
        feed: Some(feed(mode)),
        ..Batch::default()
    }
}

#[tokio::test]
async fn a_quiet_market_is_said_to_be_quiet() {
    let world = World::new().await;
    world.commit(quiet_market(FeedMode::Live)).await;
    let page = get(&world.router().await, "/").await;
    let said = words(page.text());
    assert!(said.contains("Quiet: all 10 inside their usual range"), "{said}");
    assert!(said.contains("AAPL Apple 1,234.50"), "{said}");
    assert!(said.contains("IEX only: about 2.5 % of US volume"), "{said}");
    assert!(said.contains("Market open until 16:00"), "{said}");
    assert!(!said.contains("Simulated") && !said.contains("Stale"), "{said}");
}

#[tokio::test]
async fn what_is_unusual_is_the_first_sentence_and_the_first_row() {
    let world = World::new().await;
    let start = at("2025-01-31T19:57:00Z");
    let mut batch = quiet_market(FeedMode::Live);
    batch.statistics[7] = statistics("NVDA", at("2025-01-31T19:59:00Z"), 0.5, 18.7);
    world.commit(batch).await;
    let mut spike = alert("NVDA", Metric::Volume, start);
    spike.value = 18_700;
    spike.evidence = Evidence::Average { sum: 60_000, bars: 60 };
    world.commit(raised([spike])).await;
    let page = get(&world.router().await, "/").await;
    let said = words(page.text());
    assert!(said.contains("NVDA: volume 18.7 times its last hour, at 14:57"), "{said}");
    assert!(said.contains("NVDA traded 18,700 shares at 14:57 New York time"), "{said}");
    assert!(!said.contains("Quiet"), "{said}");
    let row = |name: &str| page.text().find(&format!("<a href=\"/s/{name}\">{name}</a> <span")).unwrap();
    assert!(row("NVDA") < row("AAPL") && row("AAPL") < row("MSFT"));
    assert!(page.text().contains("<h1 class=\"hot\">"));
}

#[tokio::test]
async fn data_that_are_not_the_market_of_now_say_so() {
    let world = World::new().await;
    let said = words(get(&world.router().await, "/").await.text());
    assert!(said.contains("No data. No feed has reported yet"), "{said}");
    assert!(said.contains("Waiting for the first bars"), "{said}");

    for (mode, words_of_it) in [(FeedMode::Simulated, "Simulated market."), (FeedMode::Replayed, "Replay.")] {
        let world = World::new().await;
        world.commit(quiet_market(mode)).await;
        let router = world.router().await;
        for path in ["/", "/s/AAPL"] {
            let said = words(get(&router, path).await.text());
            assert!(said.contains(words_of_it), "{said}");
        }
    }

    let world = World::new().await;
    world.commit(quiet_market(FeedMode::Live)).await;
    world.clock.set("2025-01-31T20:10:00Z");
    let said = words(get(&world.router().await, "/").await.text());
    assert!(said.contains("Stale. The market is open, and no bar has come for 10 minutes."), "{said}");

    let mut status = feed(FeedMode::Live);
    status.problem = Some("the key was refused <b>".to_owned());
    world.commit(Batch { feed: Some(status), ..Batch::default() }).await;
    let page = get(&world.router().await, "/").await;
    assert!(page.text().contains("the key was refused &lt;b&gt;"), "{}", page.text());
}

#[tokio::test]
async fn after_the_close_the_page_tells_of_the_session() {
    let world = World::new().await;
    world.commit(quiet_market(FeedMode::Live)).await;
    world.clock.set("2025-02-01T15:00:00Z"); // Saturday
    let said = words(get(&world.router().await, "/").await.text());
    assert!(said.contains("The market is closed; its last session raised no alert"), "{said}");
    assert!(said.contains("next session Mon Feb 3, 09:30"), "{said}");
    world.commit(raised([alert("TSLA", Metric::Volume, at("2025-01-31T16:00:00Z"))])).await;
    let said = words(get(&world.router().await, "/").await.text());
    assert!(said.contains("raised one alert: TSLA: volume 7.2 times its last hour, at 11:00"), "{said}");
    assert!(!said.contains("Stale"), "{said}");
}

#[tokio::test]
async fn a_symbols_page_shows_its_figures_and_alerts() {
    let world = World::new().await;
    world.commit(quiet_market(FeedMode::Live)).await;
    let mut spike = alert("META", Metric::Volume, at("2025-01-31T18:00:00Z"));
    for n in 1..=3 {
        spike.occurrences.push(qqq_core::alert::Occurrence { start: spike.start.plus(n), value: 200_000 });
    }
    world.commit(raised([spike, alert("AAPL", Metric::Volume, at("2025-01-31T17:00:00Z"))])).await;
    let router = world.router().await;
    let page = get(&router, "/s/fb").await;
    let said = words(page.text());
    assert!(said.contains("META Meta Platforms (formerly FB)"), "{said}");
    assert!(said.contains("META traded 151,234 shares at 13:00 New York time, 7.2 times"), "{said}");
    assert!(said.contains("3 more minutes qualified since; the peak was 200,000."), "{said}");
    assert!(!said.contains("AAPL traded"), "{said}");
    assert!(page.text().contains(r#"name="ticker" required maxlength="12" size="8""#));
    assert_eq!(get(&router, "/s/IBM").await.status, StatusCode::NOT_FOUND);
    assert!(get(&router, "/s/%3Cscript%3E").await.text().contains("&lt;script&gt;"));
}

/// How many cells each row of a page's table has.
fn cells(html: &str) -> Vec<usize> {
    let rows = html.split("<tr").skip(1);
    rows.map(|row| row.split("</tr>").next().unwrap_or_default())
        .map(|row| row.matches("</th>").count() + row.matches("</td>").count())
        .collect()
}

#[tokio::test]
async fn tables_fit_a_narrow_screen() {
    let world = World::new().await;
    world.commit(quiet_market(FeedMode::Live)).await;
    world.commit(raised([alert("META", Metric::Volume, at("2025-01-31T18:00:00Z"))])).await;
    let router = world.router().await;
    for path in ["/s/META", "/s/PYPL"] {
        let page = get(&router, path).await;
        assert_eq!(cells(page.text()), [3; 7], "{path}: a figure each row, a metric each column");
    }
    let overview = get(&router, "/").await;
    assert_eq!(cells(overview.text()), [6; 11]);
    let (_, rest) = overview.text().split_once("rel=\"stylesheet\" href=\"").unwrap();
    let style = get(&router, rest.split('"').next().unwrap()).await;
    for column in ["price-gauge", "newest-alert"] {
        assert_eq!(overview.text().matches(column).count(), 11, "{column}: head and body alike");
        assert!(style.text().contains(&format!(".{column} {{ display: none; }}")), "{column}");
    }
}

#[tokio::test]
async fn pages_hold_nothing_the_policy_forbids_and_their_style_is_served() {
    let world = World::new().await;
    world.commit(quiet_market(FeedMode::Simulated)).await;
    world.commit(raised([alert("META", Metric::Volume, at("2025-01-31T18:00:00Z"))])).await;
    let router = world.router().await;
    for path in ["/", "/s/META", "/s/PYPL", "/subscribe/form", "/v1/subscriptions/confirm?token=x"] {
        let html = get(&router, path).await.text().to_owned();
        for forbidden in
            ["<script", " style=", "<style", " onclick", " onload", "javascript:", "http://", "https://"]
        {
            assert!(!html.contains(forbidden), "{path}: {forbidden}");
        }
        let (_, rest) = html.split_once("rel=\"stylesheet\" href=\"").unwrap();
        let style = get(&router, rest.split('"').next().unwrap()).await;
        assert_eq!((style.status, style.header("content-type")), (StatusCode::OK, "text/css; charset=utf-8"));
        assert!(style.header("cache-control").contains("immutable"));
    }
}

#[tokio::test]
async fn a_page_with_a_form_does_not_renew_itself() {
    let router = World::new().await.router().await;
    for path in ["/", "/s/META", "/subscribe/form"] {
        let page = get(&router, path).await;
        let renews = page.text().contains("http-equiv=\"refresh\"");
        assert_ne!(renews, page.text().contains("action=\"/subscribe/form\""), "{path}");
    }
    assert!(get(&router, "/").await.text().contains("href=\"/subscribe/form\""));
}

#[tokio::test]
async fn a_long_watchlist_is_shown_in_part() {
    let mut world = World::new().await;
    let names = (0..1_000).map(|n| symbol(&format!("T{n}")));
    world.watchlist = qqq_core::Watchlist::new(names, []).unwrap().into();
    let start = Minute::containing(NOW.parse().unwrap()).plus(-1);
    world
        .commit(Batch {
            bars: (0..1_000)
                .map(|n| qqq_store::BarRecord { bar: bar(&format!("T{n}"), start, "5", 1), revision: 0 })
                .collect(),
            statistics: vec![statistics("T999", start, 1.0, 4.0)],
            feed: Some(feed(FeedMode::Live)),
            ..Batch::default()
        })
        .await;
    let page = get(&world.router().await, "/").await;
    let said = words(page.text());
    assert!(said.contains("And 800 more"), "{}", said.len());
    assert!(said.contains("Above the usual range: T999"));
    assert!(page.text().contains("/s/T999"), "the unusual one is among those shown");
    let values = get(&world.router().await, "/T500/price").await.json();
    assert_eq!(values["rankings"].as_array().unwrap().len(), 1_000);
}
