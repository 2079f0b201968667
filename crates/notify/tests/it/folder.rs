//! Mails as files.

use crate::fixture::{alert_delivery, config, confirmation, key, mail};
use qqq_core::delivery::{Failure, Lease, SignInMail};
use qqq_core::subscription::SubscriptionStatus;
use qqq_core::subscription::session::SignInId;
use qqq_notify::{Deliver, DeliveryError, MailConfig, MailFault};
use qqq_testkit::Mail as Written;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

fn into(folder: &Path) -> MailConfig {
    MailConfig { folder: folder.to_owned(), smtp_url: Some(" ".to_owned()), ..config() }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_mail_becomes_one_private_file_named_after_what_is_owed() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("data/mail");
    let mail = mail(into(&folder));
    let delivery = alert_delivery();

    mail.deliver(&delivery).await.unwrap();

    let name = format!("20250127T185802Z-alert-NVDA-{}.eml", delivery.id);
    assert_eq!(names(&folder), std::slice::from_ref(&name));
    let file = folder.join(name);
    assert_eq!(std::fs::read(&file).unwrap(), mail.render(&delivery).unwrap());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_second_attempt_replaces_the_file_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let mail = mail(into(folder.path()));
    let mut delivery = alert_delivery();

    mail.deliver(&delivery).await.unwrap();
    delivery.attempt = 2;
    delivery.lease = Lease(2);
    mail.deliver(&delivery).await.unwrap();
    mail.deliver(&confirmation(SubscriptionStatus::Pending)).await.unwrap();

    let names = names(folder.path());
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names[1].contains("-confirmation-NVDA-"), "{names:?}");
}

#[tokio::test]
async fn a_link_to_sign_in_is_a_mail_of_no_list_whose_every_attempt_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let mail = mail(into(folder.path()));
    let id = SignInId::from_random([5; 16]);
    let mut link = SignInMail {
        id,
        to: "Ada@example.com".parse().unwrap(),
        attempt: 1,
        created_at: "2025-01-27T18:58:02Z".parse().unwrap(),
        expires_at: "2025-01-27T19:13:02Z".parse().unwrap(),
        lease: Lease(1),
    };
    mail.deliver_sign_in(&link).await.unwrap();
    (link.attempt, link.lease) = (2, Lease(2));
    mail.deliver_sign_in(&link).await.unwrap();

    let name = format!("20250127T185802Z-sign_in-{}.eml", link.delivery_id());
    assert_eq!(names(folder.path()), std::slice::from_ref(&name));
    let written = Written::new(&std::fs::read(folder.path().join(name)).unwrap());
    assert_eq!(
        (written.to(), written.subject()),
        ("Ada@example.com".to_owned(), "Sign in to QQQ Tracker".to_owned())
    );
    assert!(written.message_id().contains(&link.delivery_id().to_string()));
    assert_eq!(written.header("Auto-Submitted").as_deref(), Some("auto-generated"));
    for absent in ["List-Id", "List-Unsubscribe"] {
        assert_eq!(written.header(absent), None);
    }
    let token = key().sign_in_token(id);
    let address = written.link("/v1/session/link?token=").unwrap();
    assert!(address.ends_with(&format!("token={}", token.expose())), "{address}");
    assert!(written.raw.contains("<html") && !written.raw.contains(&id.to_string()));
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_tried_again_and_named() {
    let home = tempfile::tempdir().unwrap();
    let taken = home.path().join("taken");
    std::fs::write(&taken, "a file").unwrap();
    let mail = mail(into(&taken));

    let Err(DeliveryError::Retry(Failure { reason: why, .. })) = mail.deliver(&alert_delivery()).await else {
        panic!("delivered")
    };
    let trouble = mail.check().await.unwrap_err();
    assert_eq!(trouble.fault, MailFault::Folder);
    assert!(why.contains("taken") && trouble.what == why, "{why}, {trouble}");
}

#[tokio::test]
async fn the_check_of_a_folder_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mail = mail(into(folder.path()));
    assert!(mail.check().await.unwrap().contains("written as files"));
    assert!(names(folder.path()).is_empty());
    assert!(mail.describe().contains("files in"), "{}", mail.describe());
}

#[tokio::test]
async fn a_draft_that_a_killed_process_left_is_removed_after_an_hour() {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemTime::try_from("2025-01-27T18:58:03Z".parse::<jiff::Timestamp>().unwrap()).unwrap();
    let put = |name: &str, age: Duration| {
        let file = std::fs::File::create(folder.path().join(name)).unwrap();
        file.set_modified(now - age).unwrap();
    };
    let (hour, year) = (Duration::from_secs(3600), Duration::from_secs(365 * 86_400));
    let id = alert_delivery().id;
    put(&format!(".{id}-7.tmp"), hour);
    put(&format!(".{id}-8.tmp"), year);
    let kept = [
        (format!(".{id}-9.tmp"), hour - Duration::from_secs(1)),
        (format!("20250127T185802Z-alert-NVDA-{id}.eml"), year),
        (format!("{id}-7.tmp"), year),
        (".notes.tmp".to_owned(), year),
        (".notes-7.tmp".to_owned(), year),
    ];
    for (name, age) in &kept {
        put(name, *age);
    }
    std::fs::create_dir(folder.path().join(format!(".{id}-10.tmp"))).unwrap();

    mail(into(folder.path()));

    let left = names(folder.path());
    for (name, _) in &kept {
        assert!(left.contains(name), "{name} is gone: {left:?}");
    }
    assert_eq!(left.len(), kept.len() + 1, "a folder is no draft: {left:?}");
}

#[tokio::test]
async fn an_attempt_cut_short_between_writing_and_renaming_leaves_no_address_behind() {
    let folder = tempfile::tempdir().unwrap();
    let delivery = alert_delivery();
    // A folder where the mail should stand: the draft is written and cannot be renamed.
    let name = format!("20250127T185802Z-alert-NVDA-{}.eml", delivery.id);
    std::fs::create_dir(folder.path().join(&name)).unwrap();
    let result = mail(into(folder.path())).deliver(&delivery).await;
    assert!(matches!(result, Err(DeliveryError::Retry(_))), "{result:?}");
    assert_eq!(names(folder.path()), [name]);
}

#[tokio::test]
async fn a_folder_that_does_not_exist_yet_is_no_hindrance() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("data/mail");
    let mail = mail(into(&folder));
    assert!(!folder.exists(), "made by the first mail, not by looking");
    mail.deliver(&alert_delivery()).await.unwrap();
    assert_eq!(names(&folder).len(), 1);
}
