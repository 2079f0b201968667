//! Mails as files.

use crate::fixture::{alert_delivery, config, confirmation, mail};
use qqq_core::delivery::Lease;
use qqq_core::subscription::SubscriptionStatus;
use qqq_notify::{Deliver, DeliveryError, MailConfig};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

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
async fn a_folder_that_cannot_be_written_is_tried_again_and_named() {
    let home = tempfile::tempdir().unwrap();
    let taken = home.path().join("taken");
    std::fs::write(&taken, "a file").unwrap();
    let mail = mail(into(&taken));

    for result in [mail.deliver(&alert_delivery()).await, mail.check().await.map(drop)] {
        let Err(DeliveryError::Retry(why)) = result else { panic!("{result:?}") };
        assert!(why.contains("taken"), "{why}");
    }
}

#[tokio::test]
async fn the_check_of_a_folder_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mail = mail(into(folder.path()));
    assert!(mail.check().await.unwrap().contains("written as files"));
    assert!(names(folder.path()).is_empty());
    assert!(mail.describe().contains("files in"), "{}", mail.describe());
}
