//! Ends of a process, ordered and violent, and what must hold across them.

use qqq_e2e::Tracker;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn a_second_worker_on_one_store_is_refused_by_name() {
    let mut tracker = Tracker::new();
    tracker.start("run");
    let second = tracker.output(&["worker"], PATIENCE);
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(said.contains("qqq-tracker.db") && said.contains("worker"), "{said}");
    // The first one never noticed.
    assert_eq!(tracker.http().get("/healthz").status, 200);
    assert_eq!(tracker.terminate(PATIENCE).code(), Some(0));
}
