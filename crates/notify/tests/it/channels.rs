//! Each delivery goes over its own channel.

use crate::fixture::{ADDRESS, alert_delivery, by_webhook, config, mail, webhooks};
use qqq_core::delivery::Delivery;
use qqq_core::subscription::channel::WebhookFormat::Standard;
use qqq_notify::{Channels, Deliver, DeliveryError, MailConfig};
use qqq_testkit::http::Server;

#[tokio::test]
async fn a_delivery_goes_over_the_channel_of_its_subscription() {
    let folder = tempfile::tempdir().unwrap();
    let sink = Server::script([]).await;
    let mails = || std::fs::read_dir(folder.path()).unwrap().count();
    let channels = Channels {
        mail: mail(MailConfig { folder: folder.path().to_owned(), ..config() }),
        webhooks: webhooks(&["127.0.0.0/8"]),
    };
    let hook = by_webhook(&format!("http://{}/", sink.address), Standard, alert_delivery());

    channels.deliver(&hook).await.unwrap();
    assert_eq!((mails(), sink.connections().await), (0, 1));
    channels.deliver(&alert_delivery()).await.unwrap();
    assert_eq!((mails(), sink.connections().await), (1, 1));
}

#[tokio::test]
async fn a_channel_gives_up_what_is_anothers() {
    let hook = by_webhook("https://example.com/canary", Standard, alert_delivery());
    let refused = |result| match result {
        Err(DeliveryError::GiveUp(failure)) => failure.reason,
        other => panic!("not given up: {other:?}"),
    };
    let send = async |channel: &dyn Deliver, delivery: Delivery| channel.deliver(&delivery).await;
    let by_mail = refused(send(&mail(config()), hook).await);
    let by_hook = refused(send(&webhooks(&[]), alert_delivery()).await);
    assert_eq!(by_mail, "the subscription is not one by mail");
    assert_eq!(by_hook, "the subscription is not one by webhook or push");
    assert!(!by_mail.contains("canary") && !by_hook.contains(ADDRESS));
}
