//! A running tracker in a terminal.

use qqq_e2e::Tracker;
use qqq_e2e::pseudo_terminal::PseudoTerminal;
use qqq_testkit::wait_for;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

fn market() -> Tracker {
    let mut tracker = Tracker::new();
    tracker.set("feed.sim.speed", "600x");
    tracker.start("run");
    tracker.wait_for_bars();
    tracker
}

fn top(tracker: &Tracker, variables: &[(&str, &str)]) -> PseudoTerminal {
    let url = format!("http://{}", tracker.http().address());
    let mut command = tracker.command(&["top", "--url", &url]);
    command.env("TERM", "xterm-256color").env_remove("NO_COLOR").envs(variables.iter().copied());
    PseudoTerminal::start(command, 40, 120)
}

/// Whether any colour was set: SGR 30 to 37, 90 to 97, 38 and those of backgrounds.
fn has_colour(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.split("\u{1b}[").skip(1).any(|sequence| {
        let Some((codes, _)) = sequence.split_once('m') else { return false };
        let is_sgr = codes.chars().all(|c| c.is_ascii_digit() || c == ';');
        is_sgr
            && codes.split(';').filter_map(|code| code.parse::<u8>().ok()).any(|code| {
                (30..=38).contains(&code) || (40..=48).contains(&code) || (90..=107).contains(&code)
            })
    })
}

#[test]
fn the_watchlist_its_alerts_and_a_chart_are_shown_and_keys_move_between_them() {
    let tracker = market();
    let mut top = top(&tracker, &[]);
    // Read in the middle of a picture, the screen has some of two.
    let first = wait_for("a whole picture", PATIENCE, || {
        let text = top.text();
        let names = ["simulated market", "NVDA", "AAPL", "Score", "Alerts", "New York", "? keys"];
        names.iter().all(|name| text.contains(name)).then_some(text)
    });
    assert!(has_colour(&top.bytes()));
    // It is kept current: another minute is shown by itself.
    wait_for("another minute", PATIENCE, || {
        (top.text().lines().next() != first.lines().next()).then_some(())
    });
    // And so is the list.
    let http = tracker.http();
    let added = http.request("PUT", "/v1/watchlist/AMD", &[], b"").expect("an answer");
    assert_eq!(added.status, 201);
    wait_for("the newcomer", PATIENCE, || top.text().contains("AMD").then_some(()));
    top.press("?");
    top.wait_for("narrow the list", PATIENCE);
    top.press("?");
    top.press("/nv\r");
    wait_for("one symbol", PATIENCE, || (!top.text().contains("AAPL ")).then_some(()));
    top.press("\r");
    top.wait_for("1m bars", PATIENCE);
    top.wait_for("NVDA", PATIENCE);
    wait_for("a line of dots", PATIENCE, || {
        top.text().chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c)).then_some(())
    });
    top.press("\u{1b}[C");
    top.wait_for("5m bars", PATIENCE);
    top.press("s");
    top.wait_for("Enter chart", PATIENCE);
    top.press("q");
    assert_eq!(top.ended(PATIENCE).code(), Some(0));
    let bytes = String::from_utf8_lossy(&top.bytes()).into_owned();
    assert!(bytes.contains("\u{1b}[?1049h") && bytes.contains("\u{1b}[?1049l"), "the screen is given back");
}

#[test]
fn nothing_is_coloured_where_nobody_wants_or_can_show_it() {
    let tracker = market();
    for variables in [("NO_COLOR", "1"), ("TERM", "vt100")] {
        let mut top = top(&tracker, &[variables]);
        top.wait_for("NVDA", PATIENCE);
        top.press("\r");
        top.wait_for("1m bars", PATIENCE);
        top.press("q");
        assert_eq!(top.ended(PATIENCE).code(), Some(0));
        assert!(!has_colour(&top.bytes()), "{variables:?}");
    }
}

#[test]
fn a_server_that_goes_away_is_waited_for() {
    let mut tracker = market();
    let mut top = top(&tracker, &[]);
    top.wait_for("simulated market", PATIENCE);
    tracker.kill_9();
    top.wait_for("connection lost", PATIENCE);
    tracker.start("run");
    wait_for("the connection", PATIENCE, || (!top.text().contains("connection lost")).then_some(()));
    top.press("\u{3}");
    assert_eq!(top.ended(PATIENCE).code(), Some(0));
}

#[test]
fn without_a_server_or_a_terminal_it_says_so() {
    let tracker = Tracker::new();
    let mut top = top(&tracker, &[]);
    assert_eq!(top.ended(PATIENCE).code(), Some(1));
    top.wait_for("start a tracker with", PATIENCE);
    let output = tracker.output(&["top"], PATIENCE);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("draws on a terminal") && said.contains("/v1/symbols"), "{said}");
    let output = tracker.output(&["top", "--url", "nowhere"], PATIENCE);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
