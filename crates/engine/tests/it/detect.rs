//! Steps into a real store: however they are batched and whenever the process restarts, the same comes out.

use crate::world::{World, bar, label, minute, symbol};
use qqq_core::alert::detector::Watch;
use qqq_core::market::calendar::Market;
use qqq_core::rule::Rule;
use qqq_core::subscription::SubscriptionId;
use qqq_core::subscription::limits::SubscriptionLimits;
use qqq_core::subscription::token::TokenKey;
use qqq_core::{
    Alert, Bar, Channel, Clock, FeedInfo, FeedMode, FeedStatus, Metric, RuleName, Second, SpikeRule, Split,
    Statistics,
};
use qqq_engine::active_rules::HouseRules;
use qqq_engine::detect::{Answered, Detect, Step, status};
use qqq_store::{AlertQuery, BarRecord, Sequence, SignUp, SignUpLimits};
use std::slice;
use std::sync::Arc;

fn info(split_adjusted: bool) -> FeedInfo {
    FeedInfo {
        provider: "fake",
        label: label(),
        mode: FeedMode::Live,
        coverage: "everything".to_owned(),
        split_adjusted,
        delay_minutes: 0,
    }
}

async fn restore(world: &World, split_adjusted: bool) -> Detect {
    let rule = SpikeRule { min_bars: 5, cooldown_seconds: 600, ..SpikeRule::default() };
    restore_with(world, split_adjusted, rule).await
}

async fn restore_with(world: &World, split_adjusted: bool, rules: impl Into<HouseRules>) -> Detect {
    Detect::restore(
        Arc::clone(&world.store),
        Arc::clone(&world.watchlist),
        Arc::clone(&world.calendar),
        Arc::clone(&world.clock) as Arc<dyn Clock>,
        Arc::clone(&world.metrics),
        rules,
        &info(split_adjusted),
    )
    .await
    .unwrap()
}

fn feed(clock: Second) -> FeedStatus {
    status(&info(false), clock.start(), None, None)
}

fn step(bars: Vec<Bar>) -> Step {
    let clock = bars.iter().map(|bar| bar.start.plus_minutes(1)).max().unwrap();
    Step { splits: Vec::new(), bars, split_adjusted: false, feed: feed(clock), answered: None }
}

const BASE: &str = "2025-01-27T00:00:00Z";

/// A walk with late, repeated and corrected bars and bursts; no two runs differ.
fn stream(bars: usize) -> Vec<Bar> {
    let mut noise = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |below: u64| {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        noise % below
    };
    let mut minute_of = [minute(BASE), minute(BASE)];
    (0..bars)
        .map(|_| {
            let which = next(2) as usize;
            let step = match next(20) {
                0..=3 => -(next(8) as i32),
                4 => 2 + next(80) as i32,
                _ => 1,
            };
            minute_of[which] = minute_of[which].plus_minutes(step);
            let volume = if next(9) == 0 { 2_900 + next(20_000) } else { 900 + next(300) };
            bar(["AAPL", "NVDA"][which], minute_of[which], 10_000 + next(100) as i64, volume as i64)
        })
        .collect()
}

/// All that readers could ever see.
async fn outcome(world: &World) -> (Vec<BarRecord>, Vec<Alert>, Vec<Statistics>) {
    let everything = minute(BASE).plus_minutes(-10_000)..minute(BASE).plus_minutes(1_000_000);
    let mut bars = Vec::new();
    for &name in world.watchlist.symbols() {
        bars.extend(world.store.bars(name, everything.clone(), 1_000_000).await.unwrap());
    }
    let query = AlertQuery { limit: 1_000_000, private_too: true, ..AlertQuery::default() };
    let mut statistics = world.store.statistics().await.unwrap();
    statistics.sort_by_key(|one| one.symbol);
    (bars, world.store.alerts(query).await.unwrap(), statistics)
}

#[tokio::test]
async fn batches_and_restarts_change_nothing() {
    let stream = stream(3_000);
    let mut outcomes = Vec::new();
    // (bars in a step, steps in a commit, commits between restarts)
    for (bars, steps, restarts) in [(1, 1, usize::MAX), (1, 64, usize::MAX), (1, 7, 5), (1, 1, 61)] {
        let world = World::new(Market::Always).await;
        let mut detect = restore(&world, false).await;
        let all: Vec<Step> = stream.chunks(bars).map(|chunk| step(chunk.to_vec())).collect();
        for (index, gathered) in all.chunks(steps).enumerate() {
            if index % restarts == restarts - 1 {
                detect = restore(&world, false).await;
            }
            detect.take(gathered).await.unwrap();
        }
        outcomes.push(outcome(&world).await);
    }
    let (bars, alerts, statistics) = &outcomes[0];
    let size = (bars.len(), alerts.len(), statistics.len());
    assert!(size.0 > 1_000 && size.1 > 30 && size.2 == 2, "a stream too tame to test with: {size:?}");
    for (index, other) in outcomes.iter().enumerate().skip(1) {
        assert_eq!(other.0, *bars, "bars of run {index}");
        assert_eq!(other.1, *alerts, "alerts of run {index}");
        assert_eq!(other.2, *statistics, "statistics of run {index}");
    }
}

#[tokio::test]
async fn an_alert_keeps_the_price_and_the_close_before_the_weekend_over_a_restart() {
    let world = World::new(Market::Xnas).await;
    let friday = (0..3)
        .map(|n| bar("NVDA", minute("2025-01-24T20:57:00Z").plus_minutes(n), 14_200 + i64::from(n), 1_000));
    let mut detect = restore(&world, false).await;
    detect.take(&[step(friday.collect())]).await.unwrap();
    let monday = minute("2025-01-27T14:30:00Z");
    let calm = (0..10).map(|n| bar("NVDA", monday.plus_minutes(n), 12_000, 1_000));
    detect.take(&[step(calm.collect())]).await.unwrap();
    // What lies before the weekend is not among the bars that windows are rebuilt of.
    let mut detect = restore(&world, false).await;
    detect.take(&[step(vec![bar("NVDA", monday.plus_minutes(10), 11_842, 9_000)])]).await.unwrap();
    let (_, alerts, _) = outcome(&world).await;
    let told: Vec<_> = alerts
        .iter()
        .map(|alert| {
            (alert.metric, alert.close.unwrap().to_string(), alert.previous_close.unwrap().to_string())
        })
        .collect();
    assert_eq!(told, [(Metric::Volume, "118.42".to_owned(), "142.02".to_owned())]);
}

/// Rules of their own that every bar of a growing volume meets.
fn sensitive(rules: usize) -> Vec<Rule> {
    let text = |n: usize| format!("spike ratio=1.{:06} window=5m min_bars=1 cooldown=0s", n + 1);
    (0..rules).map(|n| text(n).parse().unwrap()).collect()
}

/// Has some receivers subscribe to each of the rules on the volume of both symbols.
async fn subscribe_to(world: &World, rules: &[Rule], receivers: usize) {
    let most = u32::MAX;
    let unlimited = SubscriptionLimits {
        per_receiver: most,
        rules_per_receiver: most,
        rules: most,
        ..Default::default()
    };
    world.store.hold_to(unlimited);
    let mut bytes = [0_u8; 16];
    let earlier = minute(BASE).start();
    for (n, (rule, name)) in
        rules.iter().flat_map(|rule| ["AAPL", "NVDA"].map(|name| (rule, name))).enumerate()
    {
        for receiver in 0..receivers {
            bytes[..8].copy_from_slice(&((n * receivers + receiver) as u64).to_be_bytes());
            let id = SubscriptionId::from_random(bytes);
            let sign_up = SignUp {
                id,
                channel: Channel::Email(format!("s{receiver}@example.com").parse().unwrap()),
                scope: symbol(name).into(),
                metric: Metric::Volume,
                rule: RuleName::Own(*rule),
                quiet: None,
                nonce: bytes,
                hashes: TokenKey::new([1; 32]).hashes(id, &bytes),
                confirm: false,
            };
            world.store.subscribe(slice::from_ref(&sign_up), SignUpLimits::default(), earlier).await.unwrap();
        }
    }
}

/// Half an hour that a poll after an absence brings at once.
fn half_an_hour() -> Step {
    let volume = |m: i32| 1_000 + 100 * i64::from(m);
    let bars = (1..=30).flat_map(|m| {
        ["AAPL", "NVDA"].map(|name| bar(name, minute(BASE).plus_minutes(m), 10_000, volume(m)))
    });
    step(bars.collect())
}

/// One that alerts of half an hour ago are still news for.
fn patient() -> SpikeRule {
    SpikeRule { max_alert_age_seconds: 60 * 60, ..SpikeRule::default() }
}

#[tokio::test]
async fn what_an_absence_brings_is_committed_in_pieces_with_other_writers_between() {
    let world = World::new(Market::Always).await;
    subscribe_to(&world, &sensitive(50), 1).await;
    let mut detect = restore_with(&world, false, patient()).await;
    let taking = tokio::spawn(async move { detect.take(&[half_an_hour()]).await });
    let mut visits = 0;
    while !taking.is_finished() {
        world.store.set_note("visits", &visits.to_string()).await.unwrap();
        visits += 1;
    }
    taking.await.unwrap().unwrap();

    let (mut after, mut pieces, mut alerts) = (Sequence(0), 0, 0);
    loop {
        let changes = world.store.changes(after, 1).await.unwrap();
        if changes.sequence == after {
            break;
        }
        // A piece ends with the minute in which it is full, and a minute brings an alert of each rule.
        assert!(changes.alerts.len() <= 1_000 + 100, "{} at once", changes.alerts.len());
        (after, pieces, alerts) = (changes.sequence, pieces + 1, alerts + changes.alerts.len());
    }
    assert_eq!(alerts, 29 * 100);
    assert!(pieces >= 3, "{pieces} pieces");
    assert!(visits >= pieces, "{visits} writers had their turn in {pieces} pieces");
}

#[tokio::test]
async fn whatever_a_crash_leaves_of_many_pieces_the_rest_is_found_again() {
    let undisturbed = World::new(Market::Always).await;
    subscribe_to(&undisturbed, &sensitive(40), 2).await;
    restore_with(&undisturbed, false, patient()).await.take(&[half_an_hour()]).await.unwrap();
    let expected = (outcome(&undisturbed).await, undisturbed.store.outbox().await.unwrap().pending);
    assert_eq!((expected.0.1.len(), expected.1), (29 * 80, 2 * 29 * 80));
    for commits in [1, 2] {
        let world = World::new(Market::Always).await;
        subscribe_to(&world, &sensitive(40), 2).await;
        let mut detect = restore_with(&world, false, patient()).await;
        let taking = tokio::spawn(async move { detect.take(&[half_an_hour()]).await });
        while world.store.sequence().await.unwrap() < Sequence(commits) {
            tokio::task::yield_now().await;
        }
        taking.abort();
        assert!(taking.await.unwrap_err().is_cancelled(), "it was over before it was cut off");
        let left = outcome(&world).await.1.len();
        assert!(left > 0 && left < 29 * 80, "{left}");
        restore_with(&world, false, patient()).await.take(&[half_an_hour()]).await.unwrap();
        let found = (outcome(&world).await, world.store.outbox().await.unwrap().pending);
        assert!(found == expected, "cut off after {commits} commits");
    }
}

#[tokio::test]
async fn alerts_by_a_rule_of_the_houses_are_public_those_before_included_and_others_are_not() {
    let world = World::new(Market::Always).await;
    let rules = sensitive(2);
    subscribe_to(&world, &rules, 1).await;
    let volume = |m: i32| 1_000 + 100 * i64::from(m);
    let at_minute = |m: i32| step(vec![bar("AAPL", minute(BASE).plus_minutes(m), 10_000, volume(m))]);
    let mut detect = restore_with(&world, false, patient()).await;
    for m in 1..=3 {
        detect.take(&[at_minute(m)]).await.unwrap();
    }
    let public = async || {
        let query = AlertQuery { limit: 99, ..AlertQuery::default() };
        let alerts = world.store.alerts(query).await.unwrap();
        alerts
            .iter()
            .map(|alert| (alert.rule.name(), alert.start.minutes_since(minute(BASE))))
            .collect::<Vec<_>>()
    };
    assert_eq!(public().await, []);
    assert_eq!(outcome(&world).await.1.len(), 4);
    // The operator makes one of them the house's.
    let also = vec![Watch { rule: rules[0], metric: Metric::Volume }];
    let house = HouseRules { spike: patient(), also };
    let mut detect = restore_with(&world, false, house).await;
    detect.take(&[at_minute(4)]).await.unwrap();
    let own = RuleName::Own(rules[0]);
    assert_eq!(public().await, [(own, 4), (own, 3), (own, 2)]);
    assert_eq!(outcome(&world).await.1.len(), 6);
    // What was public stays so.
    let mut detect = restore_with(&world, false, patient()).await;
    detect.take(&[at_minute(5)]).await.unwrap();
    assert_eq!(public().await, [(own, 4), (own, 3), (own, 2)]);
}

#[tokio::test]
async fn steps_taken_twice_change_nothing() {
    let world = World::new(Market::Always).await;
    let mut detect = restore(&world, false).await;
    let steps: Vec<Step> = stream(500).into_iter().map(|bar| step(vec![bar])).collect();
    // The corrections in the stream come last, so that the second pass finds each minute as it leaves it.
    let mut last: Vec<Bar> = Vec::new();
    for step in &steps {
        last.retain(|bar| (bar.symbol, bar.start) != (step.bars[0].symbol, step.bars[0].start));
        last.push(step.bars[0]);
    }
    let again: Vec<Step> = last.into_iter().map(|bar| step(vec![bar])).collect();
    detect.take(&again).await.unwrap();
    let before = (outcome(&world).await, world.store.sequence().await.unwrap());
    detect.take(&again).await.unwrap();
    restore(&world, false).await.take(&again).await.unwrap();
    assert_eq!((outcome(&world).await, world.store.sequence().await.unwrap()), before);
}

#[tokio::test]
async fn a_split_rescales_history_once_and_raw_bars_that_come_late() {
    let world = World::new(Market::Always).await;
    let mut detect = restore(&world, false).await;
    let ex = world.calendar.midnight("2025-01-28".parse().unwrap());
    let before: Vec<Bar> =
        (-100..0).filter(|&m| m != -50).map(|m| bar("NVDA", ex.plus_minutes(m), 120_000, 1_000)).collect();
    detect.take(&[step(before)]).await.unwrap();

    let split = Split::new(symbol("NVDA"), "2025-01-28".parse().unwrap(), 10, 1).unwrap();
    let splits =
        Step { splits: vec![split], bars: Vec::new(), split_adjusted: false, feed: feed(ex), answered: None };
    let after: Vec<Bar> = (0..100).map(|m| bar("NVDA", ex.plus_minutes(m), 12_000, 10_000)).collect();
    for _ in 0..2 {
        detect.take(&[splits.clone(), step(after.clone())]).await.unwrap();
        detect = restore(&world, false).await;
    }
    // Of the day before, and in its units: the feed tells raw prices.
    detect.take(&[step(vec![bar("NVDA", ex.plus_minutes(-50), 120_000, 1_000)])]).await.unwrap();

    let (bars, alerts, statistics) = outcome(&world).await;
    assert_eq!(bars.len(), 200);
    assert!(
        bars.iter()
            .all(|record| record.bar.close.to_string() == "120" && record.bar.volume.shares() == 10_000)
    );
    assert_eq!(alerts, []);
    assert_eq!(statistics[0].of(Metric::Price).unwrap().stdev, Some(0.0));
    assert_eq!(world.store.splits().await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_absurd_price_waits_for_a_second_bar() {
    let world = World::new(Market::Always).await;
    let mut detect = restore(&world, false).await;
    let at = |m| minute(BASE).plus_minutes(m);
    let calm: Vec<Bar> = (0..70).map(|m| bar("AAPL", at(m), 10_000, 1_000)).collect();
    detect.take(&[step(calm)]).await.unwrap();

    // A phantom: the next bar says so, and it is forgotten.
    detect.take(&[step(vec![bar("AAPL", at(70), 600_000, 1_000)])]).await.unwrap();
    detect.take(&[step(vec![bar("AAPL", at(71), 10_000, 1_000)])]).await.unwrap();
    let (bars, alerts, _) = outcome(&world).await;
    assert_eq!((bars.len(), alerts.len()), (71, 0));

    // No phantom: the next bar confirms it, and both are taken, though another process takes the second.
    detect.take(&[step(vec![bar("AAPL", at(72), 600_000, 1_000)])]).await.unwrap();
    let mut detect = restore(&world, false).await;
    detect.take(&[step(vec![bar("AAPL", at(73), 610_000, 1_000)])]).await.unwrap();
    let (bars, alerts, _) = outcome(&world).await;
    assert_eq!((bars.len(), alerts.len()), (73, 1));
    assert_eq!(alerts[0].start, at(72));
}

#[tokio::test]
async fn an_absurd_volume_waits_for_another_minutes_bar_however_often_it_is_told() {
    let world = World::new(Market::Always).await;
    let mut detect = restore(&world, false).await;
    let at = |m| minute(BASE).plus_minutes(m);
    let calm: Vec<Bar> = (0..70).map(|m| bar("AAPL", at(m), 10_000, 1_000)).collect();
    detect.take(&[step(calm)]).await.unwrap();
    let phantom = bar("AAPL", at(70), 10_000, 1_000_000_000_000);
    for m in 71..76 {
        detect.take(&[step(vec![phantom, bar("AAPL", at(m), 10_000, 1_000)])]).await.unwrap();
    }
    let (bars, alerts, statistics) = outcome(&world).await;
    assert_eq!((bars.len(), alerts.len()), (75, 0));
    assert_eq!(statistics[0].of(Metric::Volume).unwrap().trailing_average, Some(1_000.0));
    // A real spike is told at once.
    detect.take(&[step(vec![bar("AAPL", at(76), 10_000, 1_000_000)])]).await.unwrap();
    assert_eq!(outcome(&world).await.1.len(), 1);
}

/// The step of an answer of both symbols, up to `until`, that came at `clock`.
fn answer(bars: Vec<Bar>, until: Second, clock: Second) -> Step {
    let symbols = vec![symbol("AAPL"), symbol("NVDA")];
    Step {
        splits: Vec::new(),
        bars,
        split_adjusted: false,
        feed: feed(clock),
        answered: Some(Answered { symbols, until }),
    }
}

#[tokio::test]
async fn what_an_outage_hid_is_alerted_when_it_comes_over_restarts_and_other_feeds_and_no_backfill_is() {
    let at = |m| minute(BASE).plus_minutes(m);
    let calm = |minutes: std::ops::Range<i32>| -> Vec<Bar> {
        minutes.map(|m| bar("AAPL", at(m), 10_000, 1_000)).collect()
    };
    let spiking = |minutes: std::ops::Range<i32>, spike: i32| -> Vec<Bar> {
        let mut bars = calm(minutes);
        bars.iter_mut()
            .filter(|bar| bar.start == at(spike))
            .for_each(|one| *one = bar("AAPL", at(spike), 10_000, 9_000));
        bars
    };
    enum Meanwhile {
        Nothing,
        Restart,
        OtherFeed,
    }
    for (meanwhile, silence, spike, alerts, why) in [
        (Meanwhile::Nothing, 40, 75, 1, "refused for forty minutes"),
        (Meanwhile::Nothing, 90, 75, 0, "more than an hour ago"),
        (Meanwhile::Nothing, 90, 120, 1, "of a longer outage, the last hour"),
        (Meanwhile::Restart, 40, 75, 1, "the process was down"),
        (Meanwhile::Restart, 3 * 1440, 70 + 3 * 1440 - 30, 0, "it was down for days: that is a backfill"),
        (Meanwhile::OtherFeed, 40, 75, 1, "another feed could be asked first"),
    ] {
        let world = World::new(Market::Always).await;
        world.clock.set(at(70).start());
        let mut detect = restore(&world, false).await;
        detect.take(&[answer(calm(0..70), at(70), at(70))]).await.unwrap();
        let now = 70 + silence;
        world.clock.set(at(now).start());
        if matches!(meanwhile, Meanwhile::Restart) {
            detect = restore(&world, false).await;
        }
        let from = if matches!(meanwhile, Meanwhile::OtherFeed) { 0 } else { (now - 1440).max(65) };
        let mut brought = answer(spiking(from..now, spike), at(now), at(now));
        if matches!(meanwhile, Meanwhile::OtherFeed) {
            let label = "other".parse().unwrap();
            brought.feed.label = label;
            brought.bars.iter_mut().for_each(|bar| bar.feed = label);
        }
        detect.take(&[brought]).await.unwrap();
        let told = outcome(&world).await.1;
        assert_eq!(told.len(), alerts, "{why}: {told:?}");
    }

    // Neither does a start with nothing, in whatever pieces its day comes.
    let world = World::new(Market::Always).await;
    world.clock.set(at(200).start());
    let mut detect = restore(&world, false).await;
    let first = Step { answered: None, ..answer(calm(0..100), at(100), at(200)) };
    detect.take(&[first, answer(spiking(100..200, 170), at(200), at(200))]).await.unwrap();
    assert_eq!(outcome(&world).await.1, []);
    // And what comes late of a feed that was asked is as old as it is.
    detect.take(&[answer(vec![bar("AAPL", at(180), 10_000, 9_000)], at(201), at(201))]).await.unwrap();
    assert_eq!(outcome(&world).await.1, []);
}

#[tokio::test]
async fn bars_of_another_feed_are_no_history() {
    let world = World::new(Market::Always).await;
    let mut other: Vec<Bar> =
        (0..70).map(|m| bar("AAPL", minute(BASE).plus_minutes(m), 10_000, 10)).collect();
    other.iter_mut().for_each(|bar| bar.feed = "other".parse().unwrap());
    world.store.import(&other).await.unwrap();
    let mut detect = restore(&world, false).await;
    detect.take(&[step(vec![bar("AAPL", minute(BASE).plus_minutes(70), 10_000, 1_000_000)])]).await.unwrap();
    let (_, alerts, statistics) = outcome(&world).await;
    assert_eq!(alerts, []);
    assert_eq!(statistics[0].of(Metric::Volume).unwrap().window_bars, 0);
}

#[tokio::test]
async fn a_split_told_with_other_terms_later_is_not_applied_again() {
    let world = World::new(Market::Always).await;
    let ex = world.calendar.midnight("2025-01-28".parse().unwrap());
    let split = |new| Split::new(symbol("NVDA"), "2025-01-28".parse().unwrap(), new, 1).unwrap();
    let told = |new| Step {
        splits: vec![split(new)],
        bars: Vec::new(),
        split_adjusted: false,
        feed: feed(ex),
        answered: None,
    };
    let mut detect = restore(&world, false).await;
    let before: Vec<Bar> = (-100..0).map(|m| bar("NVDA", ex.plus_minutes(m), 120_000, 1_000)).collect();
    detect.take(&[step(before), told(10)]).await.unwrap();
    detect.take(&[told(20)]).await.unwrap();
    let windows = detect.detector().windows().clone();
    let mut again = restore(&world, false).await;
    again.take(&[told(20)]).await.unwrap();
    assert_eq!(*again.detector().windows(), windows);
    let (bars, _, statistics) = outcome(&world).await;
    assert_eq!(bars[0].bar.close.to_string(), "120");
    assert_eq!(statistics[0].of(Metric::Price).unwrap().trailing_average, Some(120.0));
}

#[tokio::test]
async fn simulated_and_real_bars_are_kept_apart() {
    let world = World::new(Market::Always).await;
    let keep =
        async |simulated| qqq_engine::feed::keep_apart(&*world.store, "sqlite://x.db", simulated).await;
    keep(false).await.unwrap();
    keep(true).await.expect("nothing is in the store: whoever tried before left no trace");
    let bars = vec![bar("AAPL", minute(BASE), 10_000, 10)];
    world.store.import(&bars).await.unwrap();
    keep(true).await.unwrap();
    let error = keep(false).await.unwrap_err().to_string();
    for part in ["sqlite://x.db", "simulated", "real", "store.url"] {
        assert!(error.contains(part), "{error}");
    }
}

/// A feed that sees a hundred times the volume.
fn of_another_feed(bars: Vec<Bar>) -> Step {
    let other = "other".parse().unwrap();
    let bars = bars.into_iter().map(|bar| {
        let volume = qqq_core::Volume::from_shares(bar.volume.shares() * 100).unwrap();
        Bar { volume, feed: other, ..bar }
    });
    let step = step(bars.collect());
    Step { feed: FeedStatus { label: other, provider: "other".to_owned(), ..step.feed }, ..step }
}

#[tokio::test]
async fn a_change_of_the_feed_mixes_no_window_and_raises_no_alert_twice() {
    let world = World::new(Market::Always).await;
    let mut detect = restore(&world, false).await;
    let at = |m| minute(BASE).plus_minutes(m);
    let tape = |minutes: std::ops::Range<i32>| -> Vec<Bar> {
        let volume = |m| if m == 65 || m == 90 { 10_000 } else { 1_000 };
        minutes.map(|m| bar("AAPL", at(m), 10_000, volume(m))).collect()
    };
    for bar in tape(0..70) {
        detect.take(&[step(vec![bar])]).await.unwrap();
    }
    let (_, before, _) = outcome(&world).await;
    assert_eq!(before.len(), 1, "{before:?}");

    // The other feed brings its own history, which was judged already, and goes on.
    let history = of_another_feed(tape(10..72));
    detect.take(&[step(vec![bar("NVDA", at(69), 1, 1)]), history.clone()]).await.unwrap();
    let (bars, alerts, statistics) = outcome(&world).await;
    assert_eq!(alerts, before, "neither raised again, nor counted, nor taken back");
    let figures = statistics.iter().find(|one| one.symbol == symbol("AAPL")).unwrap();
    assert_eq!((figures.feed, figures.start), ("other".parse().unwrap(), at(71)));
    let hour = [59.0 * 100_000.0, 1_000_000.0].iter().sum::<f64>() / 60.0;
    assert_eq!(
        figures.of(Metric::Volume).unwrap().trailing_average,
        Some(hour),
        "only bars of the other feed"
    );
    assert_eq!(figures.of(Metric::Volume).unwrap().window_bars, 60);
    let own = bars.iter().filter(|record| record.bar.feed == label() && record.bar.symbol == symbol("AAPL"));
    assert_eq!(own.count(), 10, "what the other feed does not have stays");

    // What is new is judged by it; a restart changes nothing.
    for bar in tape(72..95) {
        detect.take(&[of_another_feed(vec![bar])]).await.unwrap();
    }
    let (_, alerts, _) = outcome(&world).await;
    assert_eq!(alerts.len(), 2, "{alerts:?}");
    assert_eq!((alerts[0].start, alerts[0].feed), (at(90), "other".parse().unwrap()));
    let mut again = restore(&world, false).await;
    again.take(&[of_another_feed(tape(94..95))]).await.unwrap();
    detect.take(&[of_another_feed(tape(94..95))]).await.unwrap();
    assert_eq!(again.detector().windows(), detect.detector().windows());

    // And back: its own history is told again, part of it without the hour before, and nothing comes of that.
    let raised = outcome(&world).await.1;
    detect.take(&[step(tape(60..97))]).await.unwrap();
    let (_, alerts, statistics) = outcome(&world).await;
    assert_eq!(alerts, raised);
    let figures = statistics.iter().find(|one| one.symbol == symbol("AAPL")).unwrap();
    assert_eq!((figures.feed, figures.of(Metric::Volume).unwrap().window_bars), (label(), 36));
    for bar in tape(97..130).into_iter().chain([bar("AAPL", at(130), 10_000, 50_000)]) {
        detect.take(&[step(vec![bar])]).await.unwrap();
    }
    assert_eq!(outcome(&world).await.1.len(), 3, "alerts go on");
}

#[tokio::test]
async fn the_silence_after_an_alert_outlasts_a_change_of_the_feed() {
    let world = World::new(Market::Always).await;
    let mut detect = restore(&world, false).await;
    let at = |m| minute(BASE).plus_minutes(m);
    let calm: Vec<Bar> = (0..60).map(|m| bar("AAPL", at(m), 10_000, 1_000)).collect();
    detect.take(&[step(calm.clone()), step(vec![bar("AAPL", at(60), 10_000, 9_000)])]).await.unwrap();
    let before = outcome(&world).await.1;
    assert_eq!(before.len(), 1);
    // Ten minutes of silence, by the rule of these tests.
    let later = |m, volume| of_another_feed(vec![bar("AAPL", at(m), 10_000, volume)]);
    detect.take(&[of_another_feed(calm), later(61, 9_000), later(69, 9_000)]).await.unwrap();
    assert_eq!(outcome(&world).await.1, before);
    detect.take(&[later(70, 9_000)]).await.unwrap();
    assert_eq!(outcome(&world).await.1.len(), 2);
}
