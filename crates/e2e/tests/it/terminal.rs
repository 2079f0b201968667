//! What somebody sees who starts the program by hand.

use qqq_e2e::Tracker;
use qqq_e2e::pseudo_terminal::PseudoTerminal;
use qqq_testkit::wait_for;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// Starts a command on a terminal of its own and reads what it writes there until `enough`.
fn on_a_terminal(command: Command, enough: impl Fn(&str) -> bool) -> String {
    let terminal = PseudoTerminal::start(command, 50, 200);
    wait_for("what a terminal is to show", PATIENCE, || {
        let shown = String::from_utf8_lossy(&terminal.bytes()).replace('\r', "");
        enough(&shown).then_some(shown)
    })
}

#[test]
fn a_terminal_shows_the_summary_and_then_alerts_in_short() {
    let mut tracker = Tracker::new();
    tracker.set("feed.sim.speed", "600x").set("feed.sim.start", "2025-01-29T16:00:00Z");
    for colours in [true, false] {
        let mut command = tracker.command(&["run"]);
        command.env("NO_COLOR", if colours { "" } else { "1" });
        let alert = |shown: &str| {
            let told = |line: &&str| line.contains("alert  ") && line.ends_with(" New York");
            shown.lines().find(told).map(str::to_owned)
        };
        let shown = on_a_terminal(command, |shown| alert(shown).is_some());
        let (summary, _) = shown.split_once("--set log.format=text").expect("how to see more");
        assert!(summary.starts_with("QQQ Tracker ") && summary.contains("  page "), "{shown}");
        for noise in ["windows rebuilt", "answers are ready", "INFO", "\"timestamp\""] {
            assert!(!shown.contains(noise), "{noise}: {shown}");
        }
        let alert = alert(&shown).expect("an alert");
        assert!(alert.contains("x, "), "{alert}");
        assert_eq!(alert.contains('\u{1b}'), colours, "{alert:?}");
    }
}

#[test]
fn who_asks_a_terminal_for_more_gets_it() {
    let tracker = Tracker::new();
    for more in ["log.filter=info,qqq_http=debug", "log.format=text", "log.format=json"] {
        let command = tracker.command(&["run", "--set", more]);
        let shown = on_a_terminal(command, |shown| shown.contains("answers are ready"));
        assert_eq!(shown.contains("{\"timestamp\""), more.ends_with("json"), "{shown}");
    }
}
