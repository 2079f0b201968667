//! The pages: what they say, and that looking at them changes nothing.

use crate::world::*;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use qqq_core::subscription::SubscriptionStatus;
use qqq_core::subscription::token::{Purpose, Token};

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
        assert!(page.text().contains("<button>Yes, mail me</button></form>"));
        assert!(!page.text().contains("checkbox"), "there is one thing to confirm");
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

/// The values of a page's inputs of a name.
fn inputs(html: &str, name: &str) -> Vec<String> {
    let begin = format!(r#"name="{name}" value=""#);
    html.split(&begin).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn one_link_shows_all_that_was_asked_and_drops_what_is_unticked() {
    let world = World::new().await;
    let router = world.router().await;
    post_json(&router, "/subscribe", ADA).await;
    let (confirm, _) = world.mailed_tokens().await;
    // Within ten minutes of the first mail: one more wish of Ada's, and one of a stranger.
    for (ticker, metric) in [("AAPL", "price"), ("TSLA", "volume")] {
        let body = format!(r#"{{"email":"Ada@example.com","metric":"{metric}","ticker":"{ticker}"}}"#);
        assert_eq!(post_json(&router, "/subscribe", &body).await.status, StatusCode::CREATED);
    }
    assert!(world.claim().await.is_empty());
    let path = format!("/v1/subscriptions/confirm?token={confirm}");
    let page = get(&router, &path).await;
    for about in ["NVDA volume", "AAPL price", "TSLA volume"] {
        assert!(page.text().contains(about), "{}", page.text());
    }
    let boxes = inputs(page.text(), "ticked");
    assert_eq!(boxes.len(), 3);
    assert_eq!(page.text().matches(" checked").count(), 3, "ticked by default");
    let shown = inputs(page.text(), "shown");
    assert_eq!(shown, [boxes.join(".")]);
    // The stranger's is unticked; what comes after the page was read is not confirmed by it.
    let late = r#"{"email":"ada@example.com","metric":"price","ticker":"MSFT"}"#;
    post_json(&router, "/subscribe", late).await;
    world.claim().await;
    let text = page.text();
    let wanted: Vec<_> = boxes
        .iter()
        .filter(|id| {
            !text.split(id.as_str()).nth(2).unwrap().split("</label>").next().unwrap().contains("TSLA")
        })
        .map(|id| format!("&ticked={id}"))
        .collect();
    assert_eq!(wanted.len(), 2, "{text}");
    let body = format!("shown={}{}", shown[0], wanted.concat());
    let answer = post(&router, &path, FORM, body).await;
    assert_eq!(answer.status, StatusCode::OK);
    let said = words(answer.text());
    assert!(said.contains("You are subscribed") && said.contains("Dropped: TSLA volume"), "{said}");
    assert!(said.contains("AAPL price") && said.contains("NVDA volume") && !said.contains("MSFT"), "{said}");
    // What came later is what the same link shows now.
    let page = get(&router, &path).await;
    assert!(page.text().contains("Alerts for MSFT price?"), "{}", page.text());
    let body = format!("shown={}", inputs(page.text(), "shown")[0]);
    let said = words(post(&router, &path, FORM, body).await.text());
    assert!(said.contains("Nothing was confirmed") && said.contains("Dropped: MSFT price"), "{said}");
    assert!(words(get(&router, &path).await.text()).contains("subscribed already"));
    // A day later the link shows nothing of what is asked then.
    world.clock.set_to("2025-02-01T20:00:31Z");
    post_json(&router, "/subscribe", late).await;
    world.claim().await;
    assert!(words(get(&router, &path).await.text()).contains("subscribed already"));
}

#[tokio::test]
async fn two_hundred_that_wait_fit_into_what_the_page_posts() {
    let mut world = World::new().await;
    world.config.sign_up.address_gap_seconds = 0;
    let router = world.router().await;
    post_json(&router, "/subscribe", ADA).await;
    let (confirm, _) = world.mailed_tokens().await;
    let path = format!("/v1/subscriptions/confirm?token={confirm}");
    let id = &inputs(get(&router, &path).await.text(), "ticked")[0];
    assert_eq!(id.len(), 32);
    let (ids, ticked) = (vec![id.as_str(); 200].join("."), format!("&ticked={id}").repeat(200));
    let page = post(&router, &path, FORM, format!("shown={ids}{ticked}")).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text());
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
    world.clock.set_to("2025-02-01T20:00:31Z");
    let page = post(&router, &format!("/v1/subscriptions/confirm?token={confirm}"), FORM, "").await;
    assert_eq!(page.status, StatusCode::GONE);
    assert!(words(page.text()).contains("too old"));
    assert_eq!(status(&world, &confirm).await, SubscriptionStatus::Pending);
}

#[tokio::test]
async fn what_a_page_repeats_is_text() {
    let world = World::new().await;
    let router = world.router().await;
    let page =
        post(&router, "/subscribe/form", FORM, "email=a%40example.com&metric=price&ticker=%3Cscript%3E")
            .await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.text().contains("&lt;script&gt;") && !page.text().contains("<script"), "{}", page.text());
}

#[tokio::test]
async fn pages_hold_nothing_the_policy_forbids_and_their_style_is_served() {
    let world = World::new().await;
    let router = world.router().await;
    for path in ["/docs", "/subscribe/form", "/v1/subscriptions/confirm?token=x"] {
        let html = get(&router, path).await.text().to_owned();
        for forbidden in ["<script", " style=", "<style", " onclick", " onload", "javascript:"] {
            assert!(!html.contains(forbidden), "{path}: {forbidden}");
        }
        for outside in ["=\"http", "=\"//"] {
            assert!(!html.contains(outside), "{path}: {outside}");
        }
        let (_, rest) = html.split_once("rel=\"stylesheet\" href=\"").unwrap();
        let style = get(&router, rest.split('"').next().unwrap()).await;
        assert_eq!((style.status, style.header("content-type")), (StatusCode::OK, "text/css; charset=utf-8"));
        assert!(style.header("cache-control").contains("immutable"));
    }
}
