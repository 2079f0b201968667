//! The store's files while the program runs: what happens to them behind its back, and who else opens them.

use qqq_e2e::Tracker;
use qqq_testkit::wait_for;
use serde_json::json;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;

/// For what takes a moment, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);
const STORE: &str = "data/qqq-tracker.db";

/// Something done to the store's files, with what the log says of it.
type Mishap = (&'static str, fn(&Path), &'static str);

const MISHAPS: [Mishap; 5] = [
    ("server", |folder| fs::remove_file(folder.join(STORE)).unwrap(), "was moved or removed"),
    ("run", |folder| fs::rename(folder.join("data"), folder.join("old")).unwrap(), "was moved or removed"),
    (
        "server",
        |folder| fs::remove_file(folder.join("data/qqq-tracker.db-wal")).unwrap(),
        "was moved or removed",
    ),
    (
        "run",
        |folder| {
            fs::copy(folder.join(STORE), folder.join("copy.db")).unwrap();
            fs::rename(folder.join("copy.db"), folder.join(STORE)).unwrap();
        },
        "was replaced by another file",
    ),
    (
        "server",
        |folder| fs::remove_file(folder.join("data/qqq-tracker.db-shm")).unwrap(),
        "was moved or removed",
    ),
];

#[test]
fn nothing_is_acknowledged_that_goes_into_a_file_without_a_name() {
    for (role, mishap, said) in MISHAPS {
        let mut tracker = Tracker::new();
        tracker.start(role);
        let http = tracker.http();
        let sign_up = |number: usize| {
            let asked =
                json!({"email": format!("reader@host{number}.example"), "metric": "price", "ticker": "AAPL"});
            http.request(
                "POST",
                "/subscribe",
                &[("content-type", "application/json")],
                asked.to_string().as_bytes(),
            )
        };
        assert_eq!(sign_up(0).unwrap().status, 201);
        mishap(tracker.folder());
        let mut number = 1;
        let ended = wait_for("the process to end", PATIENCE, || {
            if let Ok(answer) = sign_up(number) {
                assert_ne!(answer.status, 201, "{said}: acknowledged, and lost");
            }
            number += 1;
            tracker.ended()
        });
        assert_eq!(ended.code(), Some(1), "{said}");
        assert!(tracker.log().contains(said), "{said}: {}", tracker.log());
    }
}

#[test]
fn there_is_one_worker_whatever_name_it_opens_the_store_by() {
    let mut first = Tracker::new();
    first.start("run");
    let folder = first.folder().to_owned();
    symlink("data", folder.join("linked")).unwrap();
    symlink("data/qqq-tracker.db", folder.join("other-name.db")).unwrap();
    fs::create_dir(folder.join("below")).unwrap();
    let refused = |url: String| {
        let mut second = first.beside();
        second.set("store.url", &url);
        let ended = second.output(&["worker", "--once"], PATIENCE);
        assert_eq!(ended.status.code(), Some(1), "{url}: {ended:?}");
        String::from_utf8_lossy(&ended.stderr).into_owned()
    };
    // Somebody who tidies up takes no lock away.
    fs::remove_file(folder.join("data/qqq-tracker.db.worker.lock")).unwrap();
    for name in [
        STORE.to_owned(),
        format!("./below/../{STORE}"),
        format!("{}/{STORE}", folder.display()),
        "linked/qqq-tracker.db".to_owned(),
        "other-name.db".to_owned(),
    ] {
        let said = refused(format!("sqlite://{name}"));
        assert!(said.contains("another worker runs on"), "{name}: {said}");
    }
    // By another name of the very file, the log would be another one: nobody may even look.
    fs::hard_link(folder.join(STORE), folder.join("hard.db")).unwrap();
    for name in ["hard.db", STORE] {
        let said = refused(format!("sqlite://{name}"));
        assert!(said.contains("2 names (hard links)"), "{said}");
    }
    fs::remove_file(folder.join("hard.db")).unwrap();
    // The first has noticed nothing, and ends in order; then there is room for the next.
    assert!(first.ended().is_none());
    assert_eq!(first.terminate(Duration::from_secs(20)).code(), Some(0));
    let next = first.output(&["worker", "--once"], PATIENCE);
    assert_eq!(next.status.code(), Some(0), "{next:?}");
}

/// Nobody works with a damaged store, and whoever tries learns what to do.
#[test]
fn a_damaged_store_is_refused_with_the_remedy() {
    let mut tracker = Tracker::new();
    tracker.start("run");
    tracker.wait_for_bars();
    assert_eq!(tracker.terminate(Duration::from_secs(20)).code(), Some(0));
    let path = tracker.folder().join(STORE);
    let mut bytes = fs::read(&path).unwrap();
    // A page of bars: where their feed stands again and again.
    let bars = |page: &&mut [u8]| page.windows(9).filter(|nine| nine == b"simulated").count();
    bytes.chunks_mut(4096).max_by_key(bars).unwrap()[..1024].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    for role in ["run", "server", "worker"] {
        let ended = tracker.output(&[role], PATIENCE);
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(said.contains("bring back a backup") && said.contains("damaged"), "{said}");
    }
    let checked = tracker.output(&["check"], PATIENCE);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(said.contains("FAILED  store") && said.contains("bring back a backup"), "{said}");
}

#[test]
fn what_the_program_keeps_is_for_its_owner_alone() {
    let mut tracker = Tracker::new();
    tracker.start("run");
    tracker.wait_for_bars();
    let asked = json!({"email": "reader@host.example", "metric": "price", "ticker": "AAPL"});
    assert_eq!(tracker.http().post_json("/subscribe", &asked).status, 201);
    wait_for("a mail", PATIENCE, || (!tracker.mails().is_empty()).then_some(()));
    let data = tracker.folder().join("data");
    for folder in [data.clone(), data.join("mail")] {
        assert_eq!(mode(&folder), 0o700, "{}", folder.display());
        for file in fs::read_dir(folder).unwrap().flatten().filter(|entry| entry.path().is_file()) {
            // A mail that is being written has another name soon.
            if file.path().extension().is_some_and(|kind| kind == "tmp") {
                continue;
            }
            assert_eq!(mode(&file.path()), 0o600, "{}", file.path().display());
        }
    }
    tracker.kill_9();
    // What an earlier version, or somebody, left open is closed; the folder is theirs, and told of.
    let ours = ["qqq-tracker.db", "qqq-tracker.db.worker.lock", "secret.key"];
    for name in ours {
        fs::set_permissions(data.join(name), fs::Permissions::from_mode(0o664)).unwrap();
    }
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    let checked = tracker.output(&["check"], PATIENCE);
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(said.contains("warning") && said.contains("chmod 700 data"), "{said}");
    assert_eq!(mode(&data), 0o755);
    for name in ours {
        assert_eq!(mode(&data.join(name)), 0o600, "{name}");
    }
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
    let checked = tracker.output(&["check"], PATIENCE);
    assert!(!String::from_utf8_lossy(&checked.stdout).contains("warning"), "{checked:?}");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
