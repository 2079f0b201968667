//! Ends of a process, ordered and violent, and what must hold across them.
//!
//! The campaign: sign-ups first, with a rule nothing reaches; then runs of a fast simulated market that end
//! by SIGKILL at random moments, start-up included, while the mail server misbehaves; then one more run with
//! a rule nothing reaches, a market at its own pace and a mail server that behaves, until everything owed has
//! arrived. So the alerts are those of the runs that were killed, and no more come while they are counted. A
//! market that nobody interrupts, with the same seed, says which alerts there should be.

mod ledger;

use ledger::{Alert, Ledger, Subscription};
use qqq_e2e::Tracker;
use qqq_testkit::http::Http;
use qqq_testkit::smtp::{Faults, SmtpSink};
use qqq_testkit::{wait_for, wait_until};
use serde_json::json;
use std::ops::Range;
use std::time::{Duration, Instant};

/// For what takes a moment.
const PATIENCE: Duration = Duration::from_secs(10);
/// For what many wait for, on a slow machine.
const PATIENCE_OF_ALL: Duration = Duration::from_secs(60);
/// An attempt that a kill ended counts, so a message that many kills have met may wait as long as a mail ever
/// does between two attempts (30 min, and a fifth of that).
const LONGEST_RETRY: Duration = Duration::from_secs(36 * 60);
/// Moments of the kills, milliseconds after the start; every third falls into the start-up.
const KILL_AFTER_MS: Range<u64> = 30..1500;
const KILL_IN_START_UP_MS: Range<u64> = 5..250;
/// A ratio no bar reaches, and one that many do.
const SILENT: f64 = 1000.0;
const LOUD: f64 = 1.3;
/// One run in so many: a subscriber comes while everything falls; the mail server is not there at all.
const SIGN_UP_EVERY: u32 = 4;
const OUTAGE_EVERY: u32 = 6;
/// Symbols and how often each is subscribed for its volume at the start.
const SYMBOLS: [&str; 10] = ["AAPL", "MSFT", "AMZN", "TSLA", "META", "GOOG", "NFLX", "NVDA", "PYPL", "ADBE"];
const VOLUME_SUBSCRIBERS: usize = 2;

const FAULTY: Faults = Faults {
    hang_up: 0.02,
    busy: 0.02,
    defer_sender: 0.01,
    defer_recipient: 0.01,
    refuse_recipient: 0.0,
    defer_data: 0.01,
    defer_message: 0.02,
    lose_answer: 0.04,
    stall: 0.10,
    longest_stall: Duration::from_millis(600),
};

#[test]
fn kills_at_random_moments_lose_no_alert_and_no_delivery() {
    let kills = number("QQQ_KILLS").unwrap_or(12) as u32;
    let seed = number("QQQ_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("{kills} kills, QQQ_SEED={seed}");
    let mut campaign = Campaign::new(seed);
    campaign.sign_up();
    for n in 1..=kills {
        campaign.run_and_kill(n);
    }
    let summary = campaign.drain();
    println!("{summary}");
}

#[test]
fn sigterm_under_load_ends_soon_and_repeats_nothing() {
    let sink = SmtpSink::start(1);
    sink.set_faults(Faults { stall: 0.5, longest_stall: Duration::from_millis(300), ..Faults::default() });
    let mut tracker = under_load(&sink);
    let mut subscriptions = sign_up_all(&mut tracker);
    for round in 1..=3 {
        market(&mut tracker, LOUD, "3000x");
        sink.mark(round);
        let before = sink.count();
        tracker.start("run");
        assert!(sink.wait_until(PATIENCE, |accepted| accepted.len() > before + 30), "no load");
        let asked = Instant::now();
        let status = tracker.terminate(PATIENCE);
        assert_eq!(status.code(), Some(0), "after {:?}", asked.elapsed());
    }
    market(&mut tracker, SILENT, "1x");
    sink.mark(4);
    tracker.start("run");
    let alerts = alerts(tracker.http());
    let ledger = Ledger::new(alerts, std::mem::take(&mut subscriptions));
    assert!(sink.wait_until(PATIENCE * 3, ledger.settled()), "deliveries are missing");
    let status = tracker.terminate(PATIENCE);
    assert_eq!(status.code(), Some(0));
    let repeats = ledger.judge(&sink.accepted(), 0).repeats();
    assert_eq!(repeats, 0, "the mail server answered every message");
}

#[test]
fn a_second_sigterm_ends_the_process_at_once() {
    let sink = SmtpSink::start(2);
    let mut tracker = under_load(&sink);
    sign_up_all(&mut tracker);
    // Answers that are long in coming hold the first SIGTERM up.
    sink.set_faults(Faults { stall: 1.0, longest_stall: Duration::from_secs(3600), ..Faults::default() });
    market(&mut tracker, LOUD, "3000x");
    tracker.start("run");
    assert!(sink.wait_until(PATIENCE, |accepted| accepted.len() >= 16), "no load");
    tracker.ask_to_stop();
    let stopping = || tracker.stderr().contains("once more to stop at once").then_some(());
    wait_until(Instant::now() + PATIENCE, stopping).expect("it says that it stops");
    assert!(tracker.ended().is_none(), "nothing held the first SIGTERM up");
    let status = tracker.terminate(Duration::from_secs(1));
    assert_eq!(status.code(), Some(1));
}

#[test]
fn sigterm_does_not_wait_for_a_mail_server_that_never_answers() {
    let sink = SmtpSink::start(3);
    let mut tracker = under_load(&sink);
    sign_up_all(&mut tracker);
    sink.set_faults(Faults { stall: 1.0, longest_stall: Duration::from_secs(3600), ..Faults::default() });
    market(&mut tracker, LOUD, "3000x");
    tracker.start("run");
    assert!(sink.wait_until(PATIENCE, |accepted| accepted.len() >= 16), "no load");
    let asked = Instant::now();
    let status = tracker.terminate(PATIENCE * 2);
    let took = asked.elapsed();
    assert_eq!(status.code(), Some(0), "{}", tracker.log());
    assert!(took < Duration::from_secs(10), "it took {took:?}");
    assert!(tracker.stderr().contains("they will be tried again"), "{}", tracker.log());
}

#[test]
fn who_signs_up_before_the_first_bar_is_told_of_what_follows() {
    let sink = SmtpSink::start(4);
    let mut tracker = under_load(&sink);
    tracker.start("server");
    let subscription = Subscription {
        email: "early@example.com".to_owned(),
        symbol: "TSLA".to_owned(),
        metric: "volume".to_owned(),
        owed_after: None,
    };
    assert_eq!(subscribe(tracker.http(), &subscription).unwrap(), 201);
    assert_eq!(tracker.terminate(PATIENCE).code(), Some(0));
    market(&mut tracker, LOUD, "3000x");
    tracker.start("run");
    assert!(sink.wait_until(PATIENCE, |accepted| accepted.len() >= 3), "nothing came");
}

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

/// A tracker, its subscribers, its mail server, and what was seen of them.
struct Campaign {
    seed: u64,
    random: fastrand::Rng,
    sink: SmtpSink,
    tracker: Tracker,
    subscriptions: Vec<Subscription>,
    /// The newest bar before the first run that was killed: there, the loud rule begins.
    from: String,
    kills: u32,
    /// Starts that were seen to get ready, and the longest of them.
    got_ready: u32,
    longest_start: Duration,
    /// Alerts readers were shown at some time.
    shown: Vec<String>,
}

/// What a run saw of itself before it was killed.
#[derive(Default)]
struct Seen {
    ready_after: Option<Duration>,
    newest: Option<String>,
    alerts: Vec<String>,
    signed_up: bool,
}

impl Campaign {
    fn new(seed: u64) -> Self {
        let sink = SmtpSink::start(seed);
        let mut tracker = under_load(&sink);
        tracker.set("feed.sim.seed", seed % 1_000_000);
        Self {
            seed,
            random: fastrand::Rng::with_seed(seed),
            sink,
            tracker,
            subscriptions: Vec::new(),
            from: String::new(),
            kills: 0,
            got_ready: 0,
            longest_start: Duration::ZERO,
            shown: Vec::new(),
        }
    }

    fn sign_up(&mut self) {
        self.subscriptions = sign_up_all(&mut self.tracker);
        // Nothing else went on, so what the next start shows first is what the silent rule judged last.
        self.tracker.start("run");
        self.from = newest_bar(self.tracker.http()).unwrap();
        assert_eq!(self.tracker.terminate(PATIENCE).code(), Some(0));
        market(&mut self.tracker, LOUD, "3000x");
        self.sink.set_faults(FAULTY);
    }

    /// One run, to its violent end.
    fn run_and_kill(&mut self, n: u32) {
        self.sink.mark(n);
        if n % OUTAGE_EVERY == 1 {
            self.sink.go_down();
        } else {
            self.sink.come_up();
        }
        let newcomer = n.is_multiple_of(SIGN_UP_EVERY).then(|| Subscription {
            email: format!("newcomer-{n}@example.com"),
            symbol: self.random.choice(SYMBOLS).unwrap().to_owned(),
            metric: "volume".to_owned(),
            owed_after: None,
        });
        let started = Instant::now();
        let range = if n.is_multiple_of(3) { KILL_IN_START_UP_MS } else { KILL_AFTER_MS };
        let moment = started + Duration::from_millis(self.random.u64(range));
        self.tracker.spawn(&["run"]);
        let http = self.tracker.http();
        let seen = std::thread::scope(|scope| {
            // A request may hang on a server that is not there yet; the kill does not wait for it.
            let watching = scope.spawn(|| watch(http, started, moment, newcomer.as_ref()));
            let none: Option<()> = wait_until(moment, || None);
            debug_assert!(none.is_none());
            assert!(self.tracker.ended().is_none(), "it ended by itself:\n{}", self.tracker.log());
            self.tracker.kill_9();
            watching.join().unwrap()
        });
        self.kills += 1;
        self.got_ready += u32::from(seen.ready_after.is_some());
        self.longest_start = self.longest_start.max(seen.ready_after.unwrap_or_default());
        self.learn(seen.newest);
        self.shown.extend(seen.alerts);
        if let Some(newcomer) = newcomer {
            // Without an answer, nothing is known: mails may come, and need not.
            let owed_after = if seen.signed_up { None } else { Some(ledger::NEVER.to_owned()) };
            self.subscriptions.push(Subscription { owed_after, ..newcomer });
        }
    }

    /// Newcomers of earlier runs are owed what comes after the newest bar a later run began with.
    fn learn(&mut self, newest: Option<String>) {
        let Some(newest) = newest else { return };
        for subscription in
            self.subscriptions.iter_mut().filter(|subscription| subscription.owed_after.is_none())
        {
            subscription.owed_after = Some(newest.clone());
        }
    }

    /// Lets everything owed arrive, and judges.
    fn drain(mut self) -> String {
        self.sink.come_up();
        self.sink.set_faults(Faults::default());
        self.sink.mark(self.kills + 1);
        market(&mut self.tracker, SILENT, "1x");
        let (started, before) = (Instant::now(), self.sink.count());
        self.tracker.start("run");
        self.tracker.wait_until_ready();
        self.longest_start = self.longest_start.max(started.elapsed());
        let http = self.tracker.http();
        let to = newest_bar(http).unwrap();
        self.learn(Some(to.clone()));

        let alerts = alerts(http);
        for limit in [7, 100] {
            assert_eq!(
                alerts_by(http, limit),
                alerts,
                "pages of {limit} show other alerts than pages of 1000"
            );
        }
        for id in &self.shown {
            assert!(alerts.iter().any(|alert| alert.id == *id), "alert {id} was shown once and is gone");
        }
        self.compare_with_an_uninterrupted_market(&alerts, &to);

        let ledger = Ledger::new(alerts, std::mem::take(&mut self.subscriptions));
        let drained = self.sink.wait_until(LONGEST_RETRY + PATIENCE_OF_ALL, ledger.settled());
        let took = started.elapsed();
        if drained {
            assert_eq!(self.tracker.terminate(PATIENCE).code(), Some(0));
        } else {
            let states = ["pending", "failed", "expired", "cancelled", "bundled"];
            let states = states.iter().flat_map(|state| ["--state", state]);
            let listed: Vec<&str> = ["admin", "deliveries"].into_iter().chain(states).collect();
            println!("{}", String::from_utf8_lossy(&self.tracker.output(&listed, PATIENCE).stdout));
        }
        let verdict = ledger.judge(&self.sink.accepted(), self.kills);
        let check = self.tracker.output(&["check"], PATIENCE * 2);
        let said = String::from_utf8_lossy(&check.stdout).into_owned();
        assert!(said.lines().any(|line| line.starts_with("ok") && line.contains("store")), "{said}");
        format!(
            "seed                      {}\n\
             kills                     {}\n\
             starts seen ready         {}\n\
             longest start to ready    {:.2?}\n\
             {verdict}\
             accepted after the kills  {}\n\
             drained after             {took:.1?}\n\
             connections to the sink   {}",
            self.seed,
            self.kills,
            self.got_ready + 1,
            self.longest_start,
            self.sink.count() - before,
            self.sink.connections()
        )
    }

    /// The same market without kills raises the same alerts on the same evidence, no more and no fewer.
    fn compare_with_an_uninterrupted_market(&self, alerts: &[Alert], to: &str) {
        let mut other = Tracker::new();
        market(&mut other, LOUD, "60000x");
        other.set("feed.sim.seed", self.seed % 1_000_000);
        other.start("run");
        let http = other.http();
        let patience = Duration::from_secs(120);
        let reached = || newest_bar(http).filter(|newest| newest.as_str() > to);
        wait_until(Instant::now() + patience, reached).expect("the other market gets there in time");
        let mut expected = self::alerts(http);
        expected.retain(|alert| alert.start.as_str() > self.from.as_str() && alert.start.as_str() <= to);
        assert!(!expected.is_empty(), "there was nothing to be lost");
        let (missing, extra) = (difference(&expected, alerts), difference(alerts, &expected));
        assert!(
            missing.is_empty() && extra.is_empty(),
            "kills changed what was raised: {} missing {missing:#?}, {} extra {extra:#?}",
            missing.len(),
            extra.len()
        );
    }
}

/// Looks at a run from its start to its end.
fn watch(http: Http, started: Instant, end: Instant, newcomer: Option<&Subscription>) -> Seen {
    let mut seen = Seen::default();
    let ready = || http.request("GET", "/readyz", &[], b"").ok().filter(|answer| answer.status == 200);
    if wait_until(end, ready).is_none() {
        return seen;
    }
    seen.ready_after = Some(started.elapsed());
    seen.newest =
        http.request("GET", "/v1/symbols", &[], b"").ok().and_then(|answer| newest_of(&answer.json()));
    if let Some(newcomer) = newcomer {
        seen.signed_up = subscribe(http, newcomer).is_ok_and(|status| status == 201);
    }
    // The last answer before the end counts.
    wait_until(end, || {
        match http.request("GET", "/v1/alerts", &[], b"") {
            Ok(answer) => seen.alerts = alerts_of(&answer.json()).into_iter().map(|alert| alert.id).collect(),
            Err(_) => return Some(()),
        }
        None
    });
    seen
}

/// A tracker whose mails go to `sink` and whose subscribers need not confirm.
fn under_load(sink: &SmtpSink) -> Tracker {
    let mut tracker = Tracker::new();
    tracker.set("email.smtp_url", sink.url());
    tracker.set("subscriptions.confirm", false);
    // Every alert is a mail of its own: digests are counted where they are made.
    tracker.set("subscriptions.messages_per_hour", 1_000_000);
    // Many clients from one machine: each comes through a proxy that says who it is.
    tracker.set("server.trusted_proxies", "127.0.0.1");
    market(&mut tracker, SILENT, "1x");
    tracker
}

/// A simulated market from a fixed minute on, and what counts as unusual in it.
fn market(tracker: &mut Tracker, ratio: f64, speed: &str) {
    tracker.set("feed.sim.start", "2025-01-27T15:00:00Z");
    tracker.set("feed.sim.speed", speed);
    tracker.set("rules.ratio", ratio);
    tracker.set("rules.cooldown", "0s");
}

/// Signs everybody up while nothing happens.
fn sign_up_all(tracker: &mut Tracker) -> Vec<Subscription> {
    let mut subscriptions = Vec::new();
    for symbol in SYMBOLS {
        let mut subscribed = |metric: &str, n: usize| {
            // Of two domains: one alone has not all places.
            let domain = if n.is_multiple_of(2) { "example.com" } else { "example.net" };
            subscriptions.push(Subscription {
                email: format!("{metric}-{n}-of-{}@{domain}", symbol.to_lowercase()),
                symbol: symbol.to_owned(),
                metric: metric.to_owned(),
                owed_after: Some(String::new()),
            });
        };
        (0..VOLUME_SUBSCRIBERS).for_each(|n| subscribed("volume", n));
        subscribed("price", 0);
    }
    // Who wants it all, to one address: deliveries are told apart by alert, not by recipient.
    for symbol in SYMBOLS {
        subscriptions.push(Subscription {
            email: "everything@example.com".to_owned(),
            symbol: symbol.to_owned(),
            metric: "volume".to_owned(),
            owed_after: Some(String::new()),
        });
    }
    tracker.start("run");
    tracker.wait_for_bars();
    for subscription in &subscriptions {
        let status = subscribe(tracker.http(), subscription).unwrap();
        assert_eq!(status, 201, "{subscription:?}");
    }
    // A sign-up is noted down at once and taken in a moment later: from then on alerts are owed.
    wait_for("all sign-ups to be taken in", PATIENCE_OF_ALL, || {
        let listed = tracker.output(&["admin", "subscriptions", "--json"], PATIENCE);
        let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
        let active = listed["items"].as_array()?.iter().filter(|one| one["status"] == "active");
        (active.count() == subscriptions.len()).then_some(())
    });
    assert_eq!(tracker.terminate(PATIENCE).code(), Some(0));
    subscriptions
}

fn subscribe(http: Http, wanted: &Subscription) -> std::io::Result<u16> {
    let Subscription { email, symbol, metric, .. } = wanted;
    let body = json!({ "email": email, "metric": metric, "ticker": symbol }).to_string();
    // Every sign-up from an address of its own: how many one address may make is not the question here.
    let mut digits =
        email.bytes().chain(symbol.bytes()).fold(7_u32, |sum, byte| sum.wrapping_mul(31) + u32::from(byte));
    digits &= 0x00ff_ffff;
    let client = format!("10.{}.{}.{}", digits >> 16, (digits >> 8) & 0xff, digits & 0xff);
    let headers = [("content-type", "application/json"), ("x-forwarded-for", client.as_str())];
    Ok(http.request("POST", "/subscribe", &headers, body.as_bytes())?.status)
}

/// All alerts, newest first.
fn alerts(http: Http) -> Vec<Alert> {
    alerts_by(http, 1000)
}

/// All alerts, in pages of `limit`.
fn alerts_by(http: Http, limit: usize) -> Vec<Alert> {
    let mut alerts = Vec::new();
    let mut path = format!("/v1/alerts?limit={limit}");
    loop {
        let page = http.get(&path).json();
        alerts.extend(alerts_of(&page));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/alerts?limit={limit}&cursor={cursor}"),
            None => return alerts,
        }
    }
}

fn alerts_of(page: &serde_json::Value) -> Vec<Alert> {
    let text = |item: &serde_json::Value, key: &str| item[key].as_str().unwrap().to_owned();
    let items = page["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| Alert {
            id: text(item, "id"),
            symbol: text(item, "symbol"),
            metric: text(item, "metric"),
            start: text(item, "start"),
            evidence: ["value", "average", "window_bars", "revision", "state"]
                .map(|key| item[key].to_string()),
        })
        .collect()
}

/// The start of the newest bar of any symbol.
fn newest_bar(http: Http) -> Option<String> {
    newest_of(&http.get("/v1/symbols").json())
}

fn newest_of(symbols: &serde_json::Value) -> Option<String> {
    let items = symbols["items"].as_array()?;
    items.iter().filter_map(|symbol| symbol["bar"]["start"].as_str()).max().map(str::to_owned)
}

/// What of `these` is not among `those`.
fn difference(these: &[Alert], those: &[Alert]) -> Vec<Alert> {
    let those: std::collections::HashSet<&Alert> = those.iter().collect();
    these.iter().filter(|alert| !those.contains(alert)).cloned().collect()
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}=`{text}` must be a whole number")))
}
