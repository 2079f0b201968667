//! What every backend must do, as a list of rules. Each takes a fresh, empty store; a backend's tests name only
//! how to make one:
//!
//! ```text
//! qqq_store::store_conformance!(fresh); // async fn fresh() -> (Arc<dyn Store>, impl Sized)
//! ```
//!
//! A new rule is a function here and a line in [`store_conformance!`](crate::store_conformance).

#![allow(clippy::unwrap_used, clippy::panic, reason = "rules are tests")]
#![allow(missing_docs, reason = "a rule's name is its sentence")]

use crate::*;
use jiff::SignedDuration;
use qqq_core::alert::{AlertState, Folded, Occurrence};
use qqq_core::channel::{Webhook, WebhookFormat};
use qqq_core::delivery::Failure;
use qqq_core::delivery::places::{HostLimits, PlaceLimits, Places, Room};
use qqq_core::detector::Watch;
use qqq_core::limits::LimitExceeded;
use qqq_core::rule::Evidence;
use qqq_core::subscription::SubscriptionStatus;
use qqq_core::token::TokenKey;
use qqq_core::{FeedMode, Figures, Price, StandIn, SymbolProblem, Visibility, Volume};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// Makes one test of every rule, each with a store of its own. The argument is a function without parameters
/// that answers a future of (store, guard); the guard lives as long as the test.
#[macro_export]
macro_rules! store_conformance {
    ($fresh:path) => {
        $crate::store_conformance! { @each $fresh;
            replaying_a_batch_changes_nothing
            replaying_a_whole_story_changes_nothing
            an_alert_comes_with_a_delivery_for_every_subscription_it_concerns
            an_alert_and_its_retraction_reach_hundreds_once_each
            a_batch_that_cannot_be_written_leaves_no_trace
            raising_an_alert_twice_keeps_the_first
            an_alert_is_known_by_its_minute_whatever_its_id
            counting_changes_only_the_occurrences_of_a_stored_alert
            alerts_come_back_with_any_rule_and_evidence
            an_alert_concerns_only_subscriptions_of_its_own_rule
            a_claim_hands_out_everything_a_channel_needs
            a_claim_takes_the_oldest_first_and_no_more_than_asked
            a_delivery_under_way_is_not_handed_out_again
            after_its_lease_a_delivery_is_claimed_anew_and_the_old_holder_settles_nothing
            a_lapsed_lease_that_nobody_took_over_still_settles
            renewing_keeps_others_away_and_only_the_holder_can
            what_is_settled_stays_settled
            a_delivery_that_was_refused_for_now_is_due_again_and_then_sent
            a_retry_past_its_expiry_is_expired
            what_was_not_claimed_in_time_is_expired
            releasing_leases_makes_deliveries_due_at_once
            one_dead_receiver_does_not_block_the_others
            channels_have_places_of_their_own_and_one_host_has_few
            hosts_without_a_place_are_passed_over
            quiet_hours_bring_alerts_together_when_they_end
            a_single_alert_of_quiet_hours_comes_as_itself
            who_ends_the_quiet_hours_early_is_told_at_once
            the_budget_brings_alerts_together_when_there_is_room
            a_digest_that_was_refused_for_now_tells_only_what_still_stands
            a_retraction_follows_a_digest_that_may_have_arrived
            a_digest_of_which_nothing_is_left_is_cancelled
            a_digest_outlives_its_first_subscription
            a_digest_has_its_limit_and_the_rest_comes_next
            what_was_tried_is_put_off_alone
            unsubscribing_cancels_what_is_owed
            a_claim_hands_out_nothing_of_an_ended_subscription
            a_delivery_under_way_when_its_subscription_ends_may_still_settle
            a_retraction_cancels_what_was_never_attempted
            what_was_not_tried_gives_its_attempt_back
            what_was_not_tried_expires_in_time
            a_retraction_does_not_follow_what_was_not_tried
            a_retraction_does_not_follow_a_digest_that_was_not_tried
            what_was_not_tried_keeps_the_reason_of_its_failure
            failures_of_every_kind_come_back
            a_retraction_follows_what_was_sent
            a_retraction_follows_what_was_under_way_once_it_is_sent
            a_retraction_does_not_follow_what_failed
            a_retraction_follows_an_attempt_with_an_unknown_end
            a_retraction_follows_an_attempt_before_one_that_failed
            a_retraction_follows_what_ended_after_more_than_one_attempt
            a_retraction_follows_what_expired_after_an_attempt
            a_retraction_ends_the_retries_of_what_it_retracts
            a_retracted_alert_is_never_raised_again
            a_sign_up_owes_a_confirmation_and_confirming_activates
            confirming_again_changes_nothing
            a_confirmation_link_works_for_a_day
            an_ended_subscription_cannot_be_confirmed
            an_unknown_token_opens_nothing
            each_token_opens_its_own_purpose
            a_sign_up_for_the_same_wish_keeps_the_first_subscription
            signing_up_after_unsubscribing_makes_a_new_subscription
            one_address_is_written_to_once_in_ten_minutes
            one_address_is_written_to_three_times_a_day_and_again_the_next
            one_mailbox_is_throttled_under_all_its_spellings
            a_domain_uses_up_its_share_and_no_more
            all_addresses_together_have_a_limit_and_all_have_their_turn
            too_many_that_wait_are_refused_and_nothing_of_them_is_kept
            what_is_pending_of_a_recipient_is_confirmed_together
            what_a_message_was_about_is_shown_however_much_else_is_asked_for
            what_was_confirmed_meanwhile_is_not_asked_again
            each_subscription_by_webhook_is_told_its_own_secret
            what_waits_is_not_forgotten_and_ends_with_its_recipient
            three_refusals_in_a_row_suppress_an_address_for_a_month
            only_refusals_in_a_row_suppress_an_address
            a_receiver_that_is_gone_ends_its_subscription_only
            a_retraction_does_not_follow_to_a_receiver_that_is_gone
            a_webhook_is_subscribed_and_confirmed_like_an_address
            a_webhook_is_tried_for_a_day
            without_confirmation_a_subscription_is_active_at_once
            an_active_webhook_is_owed_the_message_that_tells_its_secret
            one_of_a_recipients_subscriptions_ends_or_all_of_them
            a_changed_rule_is_told_of_instead
            a_rule_that_is_subscribed_already_is_a_conflict
            quiet_hours_are_set_and_ended
            a_pause_cancels_what_is_owed_and_nothing_of_it_is_told_later
            a_pause_leaves_the_confirmation_and_what_is_under_way
            a_secret_is_rotated_generation_by_generation
            what_has_ended_cannot_be_changed
            what_own_rules_watch_is_told_with_its_version
            what_a_receiver_has_active_is_limited
            own_rules_in_force_are_limited_and_shared
            a_rule_of_the_houses_is_counted_for_nobody
            a_sign_up_tells_of_no_receivers_limits
            sign_ups_at_the_same_time_do_not_pass_a_limit
            confirmations_at_the_same_time_do_not_pass_a_limit
            subscriptions_are_listed_in_pages
            an_operator_disables_one_or_all_of_a_recipient
            erasing_a_recipient_leaves_nothing_of_it
            deliveries_are_listed_newest_first_with_their_reasons
            what_failed_or_expired_is_owed_again_and_nothing_else
            nothing_is_owed_again_to_what_has_ended
            on_a_live_feed_a_subscription_begins_with_the_next_minute
            on_a_simulated_feed_a_subscription_begins_with_the_feeds_clock
            whoever_comes_before_the_first_word_of_a_tape_begins_with_its_clock
            whoever_comes_before_the_first_word_of_a_live_feed_begins_by_the_wall_clock
            a_bar_is_replaced_by_its_revision
            bars_are_read_by_symbol_and_range
            history_is_the_same_bars
            recent_bars_end_at_each_symbols_newest
            imports_tell_new_revised_and_unchanged
            statistics_come_back_bit_for_bit
            splits_rescale_older_bars_once
            what_waits_to_be_confirmed_comes_back_and_is_seen_by_no_reader
            bars_from_before_all_windows_are_part_of_the_commit
            pruning_deletes_the_oldest_bars_in_pieces
            changes_are_complete_and_in_order
            changes_come_in_whole_commits
            rows_are_read_on_from_any_place_in_the_order_of_their_commits
            a_reader_that_is_far_behind_is_told_so
            the_feeds_state_comes_back_and_is_no_reason_to_render
            alerts_are_paged_newest_first_without_gaps_or_repeats
            alerts_are_filtered
            alerts_of_own_rules_are_listed_only_for_who_asks_for_them
            rows_hold_alerts_of_own_rules_for_their_subscribers_alone
            a_rule_of_the_houses_makes_its_alerts_public
            alerts_of_own_rules_are_pruned_in_pieces_with_what_told_of_them
            what_is_folded_of_an_alert_comes_back
            what_nobody_confirmed_is_forgotten
            what_has_ended_is_forgotten_after_a_month
            settled_deliveries_are_forgotten_after_ninety_days
            forgetting_does_not_widen_the_throttle
            notes_come_back
            only_one_worker_holds_the_lock
            a_store_describes_and_checks_itself
        }
    };
    (@each $fresh:path; $($rule:ident)+) => {
        $(
            #[tokio::test]
            async fn $rule() {
                let (store, _guard) = $fresh().await;
                $crate::conformance::$rule(store).await;
            }
        )+
    };
}

/// A store under test.
pub type Shared = Arc<dyn Store>;

/// 2025-01-31T00:59:00Z, 19:59 of the day before in New York: inside the extended hours.
pub const MINUTE: Minute = Minute::from_index(28_971_419);

/// The wall clock `seconds` after the end of [`MINUTE`].
pub fn at(seconds: i64) -> Timestamp {
    MINUTE.end().checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

/// A valid symbol.
pub fn symbol(text: &str) -> Symbol {
    text.parse().unwrap()
}

/// A bar with a close of `cents`, never revised.
pub fn bar(name: &str, start: Minute, cents: i64) -> BarRecord {
    let price = Price::from_nanos(cents * Price::DOLLAR / 100).unwrap();
    let bar = Bar {
        symbol: symbol(name),
        start,
        open: price,
        high: price,
        low: price,
        close: price,
        volume: Volume::from_shares(cents * 10).unwrap(),
        vwap: (cents % 2 == 0).then_some(price),
        trades: (cents % 3 == 0).then_some(7),
        feed: "test".parse().unwrap(),
    };
    BarRecord { bar, revision: 0 }
}

/// An alert on the volume of a bar.
pub fn alert(name: &str, start: Minute) -> Alert {
    Alert {
        id: AlertId::derive("spike", symbol(name), Metric::Volume, start),
        rule: RuleName::House,
        symbol: symbol(name),
        metric: Metric::Volume,
        start,
        value: 151_234,
        evidence: Evidence::Average { sum: 1_262_070, bars: 60 },
        feed: "test".parse().unwrap(),
        revision: 2,
        state: AlertState::Raised,
        raised_at: start.end(),
        visibility: Visibility::Public,
        occurrences: vec![Occurrence { start, value: 151_234 }],
        folded: Folded::default(),
    }
}

/// The alert, retracted.
pub fn retracted(alert: &Alert) -> Alert {
    Alert { state: AlertState::Retracted, occurrences: Vec::new(), ..alert.clone() }
}

/// The rows without their stamps.
pub fn rows_of<T>(stamped: Vec<Stamped<T>>) -> Vec<T> {
    stamped.into_iter().map(|one| one.row).collect()
}

/// A step that changes alerts only.
pub fn alerts_of(changes: impl IntoIterator<Item = AlertChange>) -> Batch {
    Batch { alerts: changes.into_iter().collect(), ..Batch::default() }
}

/// A step that brings bars only.
pub fn bars_of(bars: impl IntoIterator<Item = BarRecord>) -> Batch {
    Batch { bars: bars.into_iter().collect(), ..Batch::default() }
}

/// The sign-up with number `n`, for alerts of the house rule on a volume, by mail, or by webhook where the receiver is
/// a URL.
pub fn sign_up(n: u16, receiver: &str, name: &str) -> SignUp {
    let mut bytes = [7; 16];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    let id = SubscriptionId::from_random(bytes);
    let channel = match receiver.parse() {
        Ok(url) => Channel::Webhook(Webhook { url, format: WebhookFormat::Ntfy }),
        Err(_) => Channel::Email(receiver.parse().unwrap()),
    };
    SignUp {
        id,
        channel,
        symbol: symbol(name),
        metric: Metric::Volume,
        rule: RuleName::House,
        quiet: None,
        nonce: bytes,
        hashes: TokenKey::new([1; 32]).hashes(id, &bytes),
        confirm: true,
    }
}

/// Limits that limit nothing.
pub const UNLIMITED: SignUpLimits = SignUpLimits {
    address_gap_seconds: 0,
    address_per_day: u32::MAX,
    domain_per_hour: u32::MAX,
    provider_per_hour: u32::MAX,
    total_per_hour: u32::MAX,
};

/// A budget that nobody uses up.
pub const PLENTY: Budget = Budget { messages: u32::MAX, per_seconds: 3600 };

/// A feed's state.
pub fn feed_status(mode: FeedMode, clock: Timestamp) -> FeedStatus {
    FeedStatus {
        provider: "test".to_owned(),
        label: "test".parse().unwrap(),
        mode,
        coverage: "all of it".to_owned(),
        stands_in_for: None,
        clock,
        answered_at: Some(clock),
        problem: None,
        asked_until: None,
        symbol_problems: Vec::new(),
    }
}

/// Signs up and has it taken in. Whether a message that asks to confirm came to be owed.
pub async fn ask(store: &Shared, sign_up: &SignUp, limits: SignUpLimits, now: Timestamp) -> bool {
    assert_eq!(store.subscribe(sign_up, limits, now).await.unwrap(), SignedUp::Taken);
    store.take_in(limits, now).await.unwrap().confirmations > 0
}

/// Confirms all there is, which is one.
async fn confirmed(store: &Shared, sign_up: &SignUp, now: Timestamp) -> Subscription {
    let confirmed = store.confirm(&sign_up.hashes.confirm, &Choice::Everything, now).await.unwrap();
    let Confirmed::Settled { mut activated, declined, refused } = confirmed else { panic!("{confirmed:?}") };
    assert_eq!((activated.len(), declined.len(), refused.len()), (1, 0, 0));
    activated.remove(0)
}

/// Subscribes and is active from `now` on, without a mail being owed.
async fn subscribed(store: &Shared, n: u16, name: &str, now: Timestamp) -> SignUp {
    let sign_up = SignUp { confirm: false, ..sign_up(n, &format!("s{n}@example.com"), name) };
    assert!(!ask(store, &sign_up, UNLIMITED, now).await);
    sign_up
}

/// Where the subscription of a sign-up stands; `None` where none was made.
async fn status(store: &Shared, sign_up: &SignUp) -> Option<SubscriptionStatus> {
    let found = store.subscription_of(Purpose::Manage, &sign_up.hashes.manage).await.unwrap();
    found.map(|found| found.status)
}

/// A store with one alert, raised at [`at`]`(0)` and owed to one subscription.
async fn one_owed(store: &Shared) -> (Alert, SignUp) {
    let sign_up = subscribed(store, 1, "TSLA", at(-3600)).await;
    let alert = alert("TSLA", MINUTE);
    let committed = store.commit(&alerts_of([AlertChange::Raised(alert.clone())]), at(0)).await.unwrap();
    assert_eq!(committed.deliveries, 1);
    (alert, sign_up)
}

async fn claim_all(store: &Shared, now: Timestamp) -> Vec<Delivery> {
    store.claim(now, now + SignedDuration::from_secs(30), Rooms::for_anybody(100), PLENTY).await.unwrap()
}

async fn claim_one(store: &Shared, now: Timestamp) -> Delivery {
    let mut claimed = claim_all(store, now).await;
    assert_eq!(claimed.len(), 1, "{claimed:?}");
    claimed.remove(0)
}

async fn settle(store: &Shared, delivery: &Delivery, outcome: Outcome, now: Timestamp) -> bool {
    store.settle(delivery.id, delivery.lease, &outcome, now).await.unwrap()
}

async fn retract(store: &Shared, alert: &Alert, now: Timestamp) -> u64 {
    let batch = alerts_of([AlertChange::Retracted(retracted(alert))]);
    let owed = store.commit(&batch, now).await.unwrap().deliveries;
    assert_eq!(store.commit(&batch, now).await.unwrap().deliveries, 0, "retracted twice");
    assert_eq!(store.alert(alert.id).await.unwrap().unwrap().state, AlertState::Retracted);
    owed
}

/// How many are (pending, sent, failed, expired, cancelled).
async fn outbox(store: &Shared) -> (u64, u64, u64, u64, u64) {
    let summary = store.outbox().await.unwrap();
    assert_eq!(summary.oldest_pending.is_some(), summary.pending > 0);
    (summary.pending, summary.sent, summary.failed, summary.expired, summary.cancelled)
}

type Everything = (Changes, OutboxSummary, Vec<SplitRecord>, Option<FeedStatus>, Vec<Bar>);

async fn everything(store: &Shared) -> Everything {
    (
        store.changes(Sequence(0), usize::MAX).await.unwrap(),
        store.outbox().await.unwrap(),
        store.splits().await.unwrap(),
        store.feed_status().await.unwrap(),
        store.quarantined().await.unwrap(),
    )
}

fn statistics_of(name: &str, start: Minute, stdev: f64) -> Statistics {
    let figures = Figures {
        stdev: Some(stdev),
        relative_stdev: None,
        trailing_average: Some(stdev / 3.0),
        ratio: Some(3.0 * stdev),
        window_bars: 60,
    };
    Statistics {
        symbol: symbol(name),
        start,
        feed: "test".parse().unwrap(),
        price: figures,
        volume: Figures { stdev: None, window_bars: u16::MAX, ..figures },
    }
}

fn split_of(name: &str, new: u32, old: u32) -> SplitRecord {
    let split = Split::new(symbol(name), "2025-01-31".parse().unwrap(), new, old).unwrap();
    SplitRecord { split, from: MINUTE }
}

fn full_batch() -> Batch {
    let spike = alert("TSLA", MINUTE);
    let mut counted = spike.clone();
    counted.occurrences.push(Occurrence { start: MINUTE.plus(1), value: 160_000 });
    let gone = alert("AAPL", MINUTE);
    Batch {
        splits: vec![split_of("NVDA", 10, 1)],
        bars: vec![
            bar("TSLA", MINUTE, 1000),
            bar("TSLA", MINUTE.plus(1), 1001),
            bar("NVDA", MINUTE.plus(-1), 1002),
            bar("AAPL", MINUTE, 1003),
        ],
        history: vec![bar("AAPL", MINUTE.plus(-9_000), 999).bar],
        quarantined: Some(vec![bar("TSLA", MINUTE.plus(2), 900_000).bar]),
        statistics: vec![statistics_of("TSLA", MINUTE, 0.1), statistics_of("AAPL", MINUTE, 0.7)],
        alerts: vec![
            AlertChange::Raised(spike),
            AlertChange::Raised(gone.clone()),
            AlertChange::Counted(counted),
            AlertChange::Retracted(retracted(&gone)),
        ],
        feed: Some(feed_status(FeedMode::Live, at(1))),
    }
}

pub async fn replaying_a_batch_changes_nothing(store: Shared) {
    subscribed(&store, 1, "TSLA", at(-3600)).await;
    subscribed(&store, 2, "AAPL", at(-3600)).await;
    store.commit(&bars_of([bar("NVDA", MINUTE.plus(-2), 5000)]), at(-1)).await.unwrap();
    let first = store.commit(&full_batch(), at(0)).await.unwrap();
    assert_eq!(first.sequence, Sequence(2));
    let before = everything(&store).await;
    for later in [0, 1, 1000] {
        let again = store.commit(&full_batch(), at(later)).await.unwrap();
        assert_eq!(again, Committed { sequence: first.sequence, deliveries: 0 });
        assert_eq!(everything(&store).await, before);
    }
    assert_eq!(
        store.changes(first.sequence, 100).await.unwrap(),
        Changes { sequence: first.sequence, ..Changes::default() }
    );
    assert_eq!(outbox(&store).await, (1, 0, 0, 0, 1));
}

pub async fn replaying_a_whole_story_changes_nothing(store: Shared) {
    let (spike, _) = one_owed(&store).await;
    let told = claim_one(&store, at(1)).await;
    settle(&store, &told, Outcome::Sent, at(2)).await;
    let mut counted = spike.clone();
    counted.occurrences.push(Occurrence { start: MINUTE.plus(1), value: 160_000 });
    let mut more = counted.clone();
    more.occurrences.push(Occurrence { start: MINUTE.plus(2), value: 170_000 });
    let story = alerts_of([
        AlertChange::Raised(spike.clone()),
        AlertChange::Counted(counted),
        AlertChange::Counted(more.clone()),
        AlertChange::Retracted(Alert { state: AlertState::Retracted, ..more }),
    ]);
    let first = store.commit(&story, at(3)).await.unwrap();
    assert_eq!(first.deliveries, 1);
    let before = everything(&store).await;
    assert_eq!(
        store.commit(&story, at(4)).await.unwrap(),
        Committed { sequence: first.sequence, deliveries: 0 }
    );
    assert_eq!(everything(&store).await, before);
}

pub async fn an_alert_comes_with_a_delivery_for_every_subscription_it_concerns(store: Shared) {
    let now = at(-3600);
    let concerned = [subscribed(&store, 1, "TSLA", now).await, subscribed(&store, 2, "TSLA", now).await];
    // Another symbol, another metric, not confirmed, too late, ended.
    subscribed(&store, 3, "AAPL", now).await;
    let other_metric =
        SignUp { metric: Metric::Price, confirm: false, ..sign_up(4, "s4@example.com", "TSLA") };
    ask(&store, &other_metric, UNLIMITED, now).await;
    ask(&store, &sign_up(5, "s5@example.com", "TSLA"), UNLIMITED, now).await;
    subscribed(&store, 6, "TSLA", MINUTE.start() + SignedDuration::from_secs(1)).await;
    let ended = subscribed(&store, 7, "TSLA", now).await;
    store.unsubscribe(&ended.hashes.unsubscribe, false, now).await.unwrap().unwrap();
    // Active from the very minute of the bar.
    let just = subscribed(&store, 8, "TSLA", MINUTE.start()).await;

    let raised = alert("TSLA", MINUTE);
    let committed = store.commit(&alerts_of([AlertChange::Raised(raised.clone())]), at(0)).await.unwrap();
    assert_eq!(committed.deliveries, 3);
    let told: BTreeSet<SubscriptionId> = claim_all(&store, at(0))
        .await
        .into_iter()
        .filter(|delivery| delivery.kind == DeliveryKind::Alert)
        .map(|delivery| {
            assert_eq!(delivery.alert.unwrap(), raised);
            assert_eq!(
                delivery.id,
                DeliveryId::of_alert(DeliveryKind::Alert, raised.id, delivery.subscription.id)
            );
            delivery.subscription.id
        })
        .collect();
    let expected: BTreeSet<_> = concerned.iter().chain([&just]).map(|one| one.id).collect();
    assert_eq!(told, expected);
}

pub async fn an_alert_and_its_retraction_reach_hundreds_once_each(store: Shared) {
    for n in 0..150 {
        subscribed(&store, n, "TSLA", at(-3600)).await;
    }
    let raised = alert("TSLA", MINUTE);
    let batch = alerts_of([AlertChange::Raised(raised.clone())]);
    for expected in [150, 0] {
        assert_eq!(store.commit(&batch, at(0)).await.unwrap().deliveries, expected);
    }
    let claim = async |seconds: i64| {
        store.claim(at(seconds), at(seconds + 30), Rooms::for_anybody(1000), PLENTY).await.unwrap()
    };
    let told = claim(1).await;
    let receivers = |deliveries: &[Delivery]| {
        deliveries.iter().map(|one| one.subscription.id).collect::<BTreeSet<SubscriptionId>>()
    };
    assert_eq!((told.len(), receivers(&told).len()), (150, 150));
    // All but ten were told; nobody knows of the last ten.
    for delivery in &told[..140] {
        settle(&store, delivery, Outcome::Sent, at(2)).await;
    }
    assert_eq!(retract(&store, &raised, at(3)).await, 140);
    let follow_ups = claim(4).await;
    assert_eq!(receivers(&follow_ups), receivers(&told[..140]));
    let late = claim(40).await;
    let late: Vec<Delivery> = late.into_iter().filter(|one| one.attempt == 1).collect();
    assert_eq!(receivers(&late), receivers(&told[140..]));
    assert!(follow_ups.iter().chain(&late).all(|one| one.kind == DeliveryKind::Retraction));
}

pub async fn a_batch_that_cannot_be_written_leaves_no_trace(store: Shared) {
    let (_, sign_up) = one_owed(&store).await;
    let before = everything(&store).await;
    // A known id for another minute: nothing this program makes, so the store refuses.
    let mut batch = full_batch();
    let twin = Alert { id: alert("TSLA", MINUTE).id, ..alert("TSLA", MINUTE.plus(8)) };
    batch.alerts = vec![AlertChange::Raised(alert("TSLA", MINUTE.plus(9))), AlertChange::Raised(twin)];
    let error = store.commit(&batch, at(1)).await.unwrap_err();
    assert!(!error.is_transient(), "{error}");
    assert_eq!(everything(&store).await, before);
    assert_eq!(store.alert(alert("TSLA", MINUTE.plus(9)).id).await.unwrap(), None);
    assert_eq!(claim_one(&store, at(2)).await.subscription.id, sign_up.id);
    // And it goes on working.
    assert_eq!(store.commit(&full_batch(), at(1)).await.unwrap().sequence, Sequence(before.0.sequence.0 + 1));
}

pub async fn raising_an_alert_twice_keeps_the_first(store: Shared) {
    let (first, _) = one_owed(&store).await;
    let second = Alert { value: 1, revision: 9, occurrences: Vec::new(), ..first.clone() };
    let before = store.sequence().await.unwrap();
    let committed = store.commit(&alerts_of([AlertChange::Raised(second)]), at(5)).await.unwrap();
    assert_eq!(committed, Committed { sequence: before, deliveries: 0 });
    assert_eq!(store.alert(first.id).await.unwrap(), Some(first));
}

pub async fn an_alert_is_known_by_its_minute_whatever_its_id(store: Shared) {
    let (first, _) = one_owed(&store).await;
    let sent = claim_one(&store, at(1)).await;
    assert!(settle(&store, &sent, Outcome::Sent, at(2)).await);
    // As after a symbol got another spelling: the same minute derives another id.
    let renamed =
        Alert { id: AlertId::derive("spike", symbol("X"), Metric::Volume, MINUTE), ..first.clone() };
    let more = vec![Occurrence { start: MINUTE, value: 1 }, Occurrence { start: MINUTE.plus(1), value: 2 }];
    let counted = Alert { occurrences: more.clone(), ..renamed.clone() };
    let again = alerts_of([AlertChange::Raised(renamed.clone()), AlertChange::Counted(counted)]);
    assert_eq!(store.commit(&again, at(5)).await.unwrap().deliveries, 0, "told twice");
    let stored = Alert { occurrences: more, ..first.clone() };
    assert_eq!(store.alert(first.id).await.unwrap(), Some(stored.clone()));
    assert_eq!(store.alert(renamed.id).await.unwrap(), None);
    let query = AlertQuery { limit: 9, ..AlertQuery::default() };
    assert_eq!(store.alerts(query).await.unwrap(), [stored]);

    let batch = alerts_of([AlertChange::Retracted(retracted(&renamed))]);
    assert_eq!(store.commit(&batch, at(6)).await.unwrap().deliveries, 1);
    assert_eq!(store.commit(&batch, at(7)).await.unwrap().deliveries, 0, "retracted twice");
    let follow_up = claim_one(&store, at(8)).await;
    assert_eq!((follow_up.kind, follow_up.subscription.id), (DeliveryKind::Retraction, sent.subscription.id));
    assert_eq!(follow_up.alert.map(|alert| (alert.id, alert.state)), Some((first.id, AlertState::Retracted)));
    // Retracted for good, by either id.
    for alert in [first, renamed] {
        assert_eq!(
            store.commit(&alerts_of([AlertChange::Raised(alert)]), at(9)).await.unwrap().deliveries,
            0
        );
    }
}

pub async fn counting_changes_only_the_occurrences_of_a_stored_alert(store: Shared) {
    let (first, _) = one_owed(&store).await;
    let occurrences = vec![
        Occurrence { start: MINUTE, value: 151_234 },
        Occurrence { start: MINUTE.plus(3), value: i64::MAX },
        Occurrence { start: Minute::MIN, value: i64::MIN },
    ];
    let counted = Alert { value: 1, revision: 9, occurrences: occurrences.clone(), ..first.clone() };
    let unknown = alert("AAPL", MINUTE);
    let batch = alerts_of([AlertChange::Counted(counted), AlertChange::Counted(unknown.clone())]);
    let committed = store.commit(&batch, at(5)).await.unwrap();
    assert_eq!(committed, Committed { sequence: Sequence(2), deliveries: 0 });
    assert_eq!(store.alert(first.id).await.unwrap(), Some(Alert { occurrences, ..first }));
    assert_eq!(store.alert(unknown.id).await.unwrap(), None);
}

pub async fn alerts_come_back_with_any_rule_and_evidence(store: Shared) {
    let cases: [(&str, Metric, Evidence); 6] = [
        ("spike", Metric::Volume, Evidence::Average { sum: i64::MAX, bars: u16::MAX }),
        ("spike ratio=4 window=30m", Metric::Price, Evidence::Average { sum: 0, bars: 0 }),
        ("zscore z=4", Metric::Price, Evidence::Deviation { sum: i64::MIN, squares: u128::MAX, bars: 30 }),
        ("move percent=2", Metric::Price, Evidence::Origin { value: 1, start: MINUTE.plus(-60) }),
        ("cross above=200", Metric::Price, Evidence::Crossing { level: 200_000_000_000, before: -1 }),
        ("time_of_day ratio=4", Metric::Volume, Evidence::Median { twice: 3, sessions: 20 }),
    ];
    let alerts = cases.map(|(rule, metric, evidence)| {
        let rule: RuleName = rule.parse().unwrap();
        let id = AlertId::derive(rule, symbol("TSLA"), metric, MINUTE);
        Alert { id, rule, metric, evidence, ..alert("TSLA", MINUTE) }
    });
    let batch = alerts_of(alerts.iter().cloned().map(AlertChange::Raised));
    let first = store.commit(&batch, at(0)).await.unwrap();
    for alert in &alerts {
        assert_eq!(store.alert(alert.id).await.unwrap().as_ref(), Some(alert));
    }
    assert_eq!(store.changes(Sequence(0), 100).await.unwrap().alerts.len(), alerts.len());
    assert_eq!(store.commit(&batch, at(1)).await.unwrap(), Committed { deliveries: 0, ..first });
}

pub async fn an_alert_concerns_only_subscriptions_of_its_own_rule(store: Shared) {
    let house = subscribed(&store, 1, "TSLA", at(-3600)).await;
    let own = SignUp { rule: own_rule(), confirm: false, ..sign_up(2, "s1@example.com", "TSLA") };
    ask(&store, &own, UNLIMITED, at(-3600)).await;
    let other = SignUp {
        rule: "zscore z=5".parse().unwrap(),
        confirm: false,
        ..sign_up(3, "s1@example.com", "TSLA")
    };
    ask(&store, &other, UNLIMITED, at(-3600)).await;
    // The same settings written differently are the same wish.
    let again = SignUp {
        rule: "v1 zscore window=30m z=4.0".parse().unwrap(),
        confirm: false,
        ..sign_up(4, "s1@example.com", "TSLA")
    };
    ask(&store, &again, UNLIMITED, at(-3600)).await;
    assert_eq!(status(&store, &again).await, None);

    for (rule, to) in [(RuleName::House, &house), (own_rule(), &own)] {
        let id = AlertId::derive(rule, symbol("TSLA"), Metric::Volume, MINUTE);
        let raised = Alert { id, rule, ..alert("TSLA", MINUTE) };
        let committed = store.commit(&alerts_of([AlertChange::Raised(raised.clone())]), at(0)).await.unwrap();
        assert_eq!(committed.deliveries, 1);
        let delivery = claim_one(&store, at(1)).await;
        assert_eq!((delivery.subscription.id, delivery.subscription.rule), (to.id, rule));
        assert_eq!(delivery.alert, Some(raised));
    }
}

pub async fn a_claim_hands_out_everything_a_channel_needs(store: Shared) {
    let (alert, sign_up) = one_owed(&store).await;
    let delivery = claim_one(&store, at(7)).await;
    assert_eq!(delivery.id, DeliveryId::of_alert(DeliveryKind::Alert, alert.id, sign_up.id));
    assert_eq!((delivery.kind, delivery.attempt), (DeliveryKind::Alert, 1));
    assert_eq!(delivery.created_at, at(0));
    assert_eq!(delivery.expires_at, at(DeliveryKind::Alert.lifetime_seconds()));
    assert_eq!(delivery.alert, Some(alert));
    let subscription = &delivery.subscription;
    assert_eq!(subscription.id, sign_up.id);
    assert_eq!(subscription.channel, sign_up.channel);
    assert_eq!((subscription.symbol, subscription.metric), (sign_up.symbol, sign_up.metric));
    assert_eq!((subscription.rule, &subscription.quiet), (sign_up.rule, &sign_up.quiet));
    assert_eq!((subscription.paused_until, subscription.secret_rotated_at), (None, None));
    assert_eq!(subscription.secret_generation, 0);
    assert_eq!(subscription.status, SubscriptionStatus::Active);
    assert_eq!(subscription.nonce, sign_up.nonce);
    assert_eq!(subscription.created_at, at(-3600));
}

pub async fn a_claim_takes_the_oldest_first_and_no_more_than_asked(store: Shared) {
    subscribed(&store, 1, "TSLA", at(-3600)).await;
    for n in [2, 0, 1, 3] {
        let batch = alerts_of([AlertChange::Raised(alert("TSLA", MINUTE.plus(n)))]);
        store.commit(&batch, at(i64::from(n) * 60)).await.unwrap();
    }
    let mut order = Vec::new();
    for (limit, expected) in [(0, 0), (2, 2), (100, 2), (100, 0)] {
        let claimed = store.claim(at(600), at(630), Rooms::for_anybody(limit), PLENTY).await.unwrap();
        assert_eq!(claimed.len(), expected);
        order.extend(claimed.into_iter().map(|delivery| delivery.created_at));
    }
    assert!(order.is_sorted() && order.len() == 4, "{order:?}");
    // What comes to be owed later than now is not due yet.
    let later = alerts_of([AlertChange::Raised(alert("TSLA", MINUTE.plus(20)))]);
    store.commit(&later, at(700)).await.unwrap();
    assert!(store.claim(at(629), at(640), Rooms::for_anybody(10), PLENTY).await.unwrap().is_empty());
}

pub async fn a_delivery_under_way_is_not_handed_out_again(store: Shared) {
    one_owed(&store).await;
    let delivery = claim_one(&store, at(1)).await;
    assert!(claim_all(&store, at(1)).await.is_empty());
    assert!(claim_all(&store, at(30)).await.is_empty());
    assert!(settle(&store, &delivery, Outcome::Sent, at(30)).await);
    assert!(claim_all(&store, at(1000)).await.is_empty());
    assert_eq!(outbox(&store).await, (0, 1, 0, 0, 0));
}

pub async fn after_its_lease_a_delivery_is_claimed_anew_and_the_old_holder_settles_nothing(store: Shared) {
    one_owed(&store).await;
    let old = claim_one(&store, at(1)).await;
    let new = claim_one(&store, at(31)).await;
    assert_eq!((new.id, new.attempt), (old.id, 2));
    assert_ne!(new.lease, old.lease);
    for outcome in [
        Outcome::Sent,
        Outcome::Failed(Failure::other("no")),
        Outcome::RetryAt(at(40), Failure::other("later")),
    ] {
        assert!(!settle(&store, &old, outcome, at(32)).await);
        assert!(!store.renew(old.id, old.lease, at(90)).await.unwrap());
    }
    assert_eq!(outbox(&store).await, (1, 0, 0, 0, 0));
    assert!(settle(&store, &new, Outcome::Sent, at(33)).await);
    assert_eq!(outbox(&store).await, (0, 1, 0, 0, 0));
}

pub async fn a_lapsed_lease_that_nobody_took_over_still_settles(store: Shared) {
    one_owed(&store).await;
    let delivery = claim_one(&store, at(1)).await;
    assert!(settle(&store, &delivery, Outcome::Sent, at(300)).await);
    assert!(claim_all(&store, at(301)).await.is_empty());
}

pub async fn renewing_keeps_others_away_and_only_the_holder_can(store: Shared) {
    one_owed(&store).await;
    let delivery = claim_one(&store, at(1)).await;
    assert!(!store.renew(delivery.id, Lease(delivery.lease.0 + 1), at(90)).await.unwrap());
    assert!(store.renew(delivery.id, delivery.lease, at(90)).await.unwrap());
    assert!(claim_all(&store, at(31)).await.is_empty());
    assert!(claim_all(&store, at(89)).await.is_empty());
    assert_eq!(claim_one(&store, at(90)).await.attempt, 2);
    assert!(!store.renew(delivery.id, delivery.lease, at(200)).await.unwrap());
}

pub async fn what_is_settled_stays_settled(store: Shared) {
    one_owed(&store).await;
    let delivery = claim_one(&store, at(1)).await;
    assert!(settle(&store, &delivery, Outcome::Failed(Failure::other("550 no such user")), at(2)).await);
    for outcome in [
        Outcome::Sent,
        Outcome::Failed(Failure::other("no")),
        Outcome::RetryAt(at(40), Failure::other("later")),
    ] {
        assert!(!settle(&store, &delivery, outcome, at(3)).await);
    }
    assert!(!store.renew(delivery.id, delivery.lease, at(90)).await.unwrap());
    assert_eq!(store.release_leases().await.unwrap(), 0);
    assert!(claim_all(&store, at(100)).await.is_empty());
    assert_eq!(outbox(&store).await, (0, 0, 1, 0, 0));
}

pub async fn a_delivery_that_was_refused_for_now_is_due_again_and_then_sent(store: Shared) {
    one_owed(&store).await;
    let first = claim_one(&store, at(1)).await;
    assert!(settle(&store, &first, Outcome::RetryAt(at(60), Failure::other("451 busy")), at(2)).await);
    // The lease is used up with it.
    assert!(!settle(&store, &first, Outcome::Sent, at(3)).await);
    assert!(!store.renew(first.id, first.lease, at(90)).await.unwrap());
    assert!(claim_all(&store, at(59)).await.is_empty());
    let second = claim_one(&store, at(60)).await;
    assert_eq!((second.id, second.attempt), (first.id, 2));
    assert_eq!((second.created_at, second.expires_at), (first.created_at, first.expires_at));
    assert!(settle(&store, &second, Outcome::Sent, at(61)).await);
    assert_eq!(outbox(&store).await, (0, 1, 0, 0, 0));
}

pub async fn a_retry_past_its_expiry_is_expired(store: Shared) {
    one_owed(&store).await;
    let delivery = claim_one(&store, at(1)).await;
    let retry = Outcome::RetryAt(delivery.expires_at, Failure::other("451 busy"));
    assert!(settle(&store, &delivery, retry, at(2)).await);
    assert_eq!(outbox(&store).await, (0, 0, 0, 1, 0));
    assert!(claim_all(&store, at(20_000)).await.is_empty());
}

pub async fn what_was_not_claimed_in_time_is_expired(store: Shared) {
    let lifetime = DeliveryKind::Alert.lifetime_seconds();
    one_owed(&store).await;
    assert_eq!(claim_one(&store, at(lifetime - 40)).await.attempt, 1);
    // The lease ran out and nobody knows how the attempt ended.
    assert!(claim_all(&store, at(lifetime)).await.is_empty());
    assert_eq!(outbox(&store).await, (0, 0, 0, 1, 0));
}

pub async fn releasing_leases_makes_deliveries_due_at_once(store: Shared) {
    one_owed(&store).await;
    let lost = claim_one(&store, at(1)).await;
    assert_eq!(store.release_leases().await.unwrap(), 1);
    assert_eq!(store.release_leases().await.unwrap(), 0);
    assert!(!settle(&store, &lost, Outcome::Sent, at(2)).await, "its holder is gone");
    let again = claim_one(&store, at(2)).await;
    assert_eq!((again.id, again.attempt), (lost.id, 2));
}

pub async fn one_dead_receiver_does_not_block_the_others(store: Shared) {
    let dead = SignUp { confirm: false, ..sign_up(1, "dead@example.com", "TSLA") };
    ask(&store, &dead, UNLIMITED, at(-3600)).await;
    subscribed(&store, 2, "AAPL", at(-3600)).await;
    subscribed(&store, 3, "AAPL", at(-3600)).await;
    let queue = (0..10_000).map(|n| AlertChange::Raised(alert("TSLA", MINUTE.plus(n))));
    assert_eq!(store.commit(&alerts_of(queue), at(0)).await.unwrap().deliveries, 10_000);
    store.commit(&alerts_of([AlertChange::Raised(alert("AAPL", MINUTE))]), at(1)).await.unwrap();
    let claimed = store.claim(at(2), at(32), Rooms::for_anybody(16), PLENTY).await.unwrap();
    let of_dead = claimed.iter().filter(|one| one.subscription.id == dead.id).count();
    assert_eq!((of_dead, claimed.len()), (4, 6));
    assert!(store.claim(at(3), at(33), Rooms::for_anybody(16), PLENTY).await.unwrap().is_empty());
    // One that ends makes room for one; and those that never end, when their leases run out.
    let one = claimed.iter().find(|one| one.subscription.id == dead.id).unwrap();
    assert!(settle(&store, one, Outcome::RetryAt(at(10), Failure::other("timed out")), at(4)).await);
    assert_eq!(store.claim(at(5), at(35), Rooms::for_anybody(16), PLENTY).await.unwrap().len(), 1);
    store.commit(&alerts_of([AlertChange::Raised(alert("AAPL", MINUTE.plus(1)))]), at(6)).await.unwrap();
    assert_eq!(store.claim(at(7), at(37), Rooms::for_anybody(16), PLENTY).await.unwrap().len(), 2);
    assert_eq!(store.claim(at(40), at(70), Rooms::for_anybody(16), PLENTY).await.unwrap().len(), 8);
}

/// Two places at a host for each of two kinds of hosts, of four places in all.
const FEW: PlaceLimits = PlaceLimits {
    places: 4,
    kept_for_quick: 1,
    slow_together: 1,
    of_host: HostLimits { quick: 2, new: 2, slow: 1 },
    slow_from: Some(Duration::from_secs(2)),
};

/// Signs each up, and owes them an alert, one after the other.
async fn owed_in_order(store: &Shared, receivers: &[String]) {
    for (n, receiver) in (1_i32..).zip(receivers) {
        let asked = SignUp { confirm: false, ..sign_up(n as u16, receiver, "TSLA") };
        assert_eq!(store.subscribe(&asked, UNLIMITED, at(-3600)).await.unwrap(), SignedUp::Taken);
    }
    let alert = AlertChange::Raised(alert("TSLA", MINUTE));
    let committed = store.commit(&alerts_of([alert]), at(0)).await.unwrap();
    assert_eq!(committed.deliveries, receivers.len() as u64);
}

/// Whom a claim hands deliveries out to, by host.
async fn hosts_claimed(store: &Shared, rooms: Rooms, now: i64) -> Vec<String> {
    let claimed = store.claim(at(now), at(now + 30), rooms, PLENTY).await.unwrap();
    let mut hosts: Vec<String> = claimed.iter().map(|one| one.subscription.channel.host()).collect();
    hosts.sort();
    hosts
}

pub async fn channels_have_places_of_their_own_and_one_host_has_few(store: Shared) {
    let paths = (0..80).map(|n| format!("https://slow.example/{n}"));
    let others =
        ["https://slow.example:8443/1", "http://slow.example/1", "ada@example.com", "bob@Example.com"];
    let receivers: Vec<String> = paths.chain(others.map(str::to_owned)).collect();
    owed_in_order(&store, &receivers).await;
    let room = Places::new(PlaceLimits { places: 80, ..FEW }).room(Duration::ZERO);
    let rooms = Rooms { mail: room.clone(), webhooks: room };
    let expected = [
        "example.com",
        "example.com",
        "http://slow.example",
        "https://slow.example",
        "https://slow.example",
        "https://slow.example:8443",
    ];
    assert_eq!(hosts_claimed(&store, rooms, 1).await, expected);
    // No mail has a place where there is none for mails, whatever there is for webhooks; nor the other way round.
    let rooms = Rooms { mail: Room::for_anybody(0), webhooks: Room::for_anybody(3) };
    assert_eq!(hosts_claimed(&store, rooms, 2).await, ["https://slow.example"; 3]);
    // What had no place was not handed out: its attempts are yet to come.
    let rest = store.claim(at(3), at(33), Rooms::for_anybody(1000), PLENTY).await.unwrap();
    assert!(rest.len() == 75 && rest.iter().all(|delivery| delivery.attempt == 1), "{}", rest.len());
}

pub async fn hosts_without_a_place_are_passed_over(store: Shared) {
    let hosts = ["slow", "full", "quick", "new"].map(|host| format!("https://{host}.example"));
    let receivers: Vec<String> =
        (0..3).flat_map(|n| hosts.iter().map(move |host| format!("{host}/{n}"))).collect();
    owed_in_order(&store, &receivers).await;
    let [slow, full, quick, new] = &hosts;
    let second = Duration::from_secs(1);
    let mut places = Places::new(PlaceLimits { places: 8, kept_for_quick: 2, slow_together: 2, ..FEW });
    for (host, lasts) in [(slow, 19 * second), (quick, second)] {
        places.begin(host, Duration::ZERO);
        places.end(host, Duration::ZERO, lasts, true);
    }
    for host in [full, full, slow] {
        places.begin(host, 20 * second);
    }
    let rooms = |places: &Places| Rooms { mail: Room::for_anybody(9), webhooks: places.room(20 * second) };
    assert_eq!(hosts_claimed(&store, rooms(&places), 1).await, [new, new, quick, quick].map(String::as_str));
    // All that is left for hosts that are not known to be quick is taken.
    for host in [new, new, "https://other.example"] {
        places.begin(host, 20 * second);
    }
    assert_eq!(hosts_claimed(&store, rooms(&places), 2).await, [quick.as_str()]);
    assert_eq!(hosts_claimed(&store, rooms(&places), 3).await, [""; 0]);
}

/// Subscribes to TSLA and AAPL in hours of quiet that hold at [`MINUTE`] and end at the answered time.
async fn quiet(store: &Shared) -> (Vec<SignUp>, Timestamp) {
    let end = Timestamp::from_second(at(7200).as_second().div_euclid(3600) * 3600).unwrap();
    let clock = |at: Timestamp| at.to_string()[11..16].to_owned();
    let begin = clock(end - SignedDuration::from_hours(4));
    let hours: QuietHours = format!("{begin}-{} UTC", clock(end)).parse().unwrap();
    let mut asked = Vec::new();
    for (n, name) in [(1, "TSLA"), (2, "AAPL")] {
        let one =
            SignUp { confirm: false, quiet: Some(hours.clone()), ..sign_up(n, "ada@example.com", name) };
        ask(store, &one, UNLIMITED, at(-3600)).await;
        asked.push(one);
    }
    (asked, end)
}

async fn raise(store: &Shared, name: &str, n: i32, now: Timestamp) -> Alert {
    let raised = alert(name, MINUTE.plus(n));
    store.commit(&alerts_of([AlertChange::Raised(raised.clone())]), now).await.unwrap();
    raised
}

/// `end` and so many seconds.
fn after(end: Timestamp, seconds: i64) -> Timestamp {
    end + SignedDuration::from_secs(seconds)
}

pub async fn quiet_hours_bring_alerts_together_when_they_end(store: Shared) {
    let (asked, end) = quiet(&store).await;
    let mut expected = Vec::new();
    for (n, name) in [(3, "TSLA"), (1, "AAPL"), (2, "TSLA")] {
        expected.push(raise(&store, name, n, at(i64::from(n))).await);
        assert!(claim_all(&store, at(i64::from(n))).await.is_empty());
    }
    let gone = raise(&store, "TSLA", 5, at(5)).await;
    assert!(claim_all(&store, after(end, -1)).await.is_empty());
    retract(&store, &gone, after(end, -1)).await;
    expected.sort_by_key(|one| one.start);
    let digest = claim_one(&store, end).await;
    assert_eq!((digest.kind, digest.alert.as_ref(), digest.attempt), (DeliveryKind::Digest, None, 1));
    assert_eq!(digest.digest, expected, "oldest first");
    assert_eq!(
        (digest.created_at, digest.expires_at),
        (end, after(end, DeliveryKind::Digest.lifetime_seconds()))
    );
    assert!(asked.iter().any(|one| one.id == digest.subscription.id));
    let summary = store.outbox().await.unwrap();
    assert_eq!((summary.pending, summary.bundled, summary.cancelled), (1, 3, 1));
    assert!(settle(&store, &digest, Outcome::Sent, after(end, 1)).await);
    assert!(claim_all(&store, after(end, 2)).await.is_empty());
    // Its members say where they went, and are not owed again.
    let query = DeliveryQuery { state: DeliveryState::Bundled, address: None, after: None, limit: 9 };
    let members = store.deliveries(&query).await.unwrap();
    assert!(members.len() == 3 && members.iter().all(|one| one.digest == Some(digest.id)));
    let replayed = store.replay(members[0].id, after(end, 3)).await.unwrap();
    assert_eq!(replayed, Replayed::Refused(DeliveryState::Bundled));
    // They are forgotten with it.
    forget(&store, 100 * DAY, 2).await;
    assert_eq!(store.outbox().await.unwrap(), OutboxSummary::default());
}

pub async fn a_single_alert_of_quiet_hours_comes_as_itself(store: Shared) {
    let (_, end) = quiet(&store).await;
    let raised = raise(&store, "TSLA", 0, at(0)).await;
    assert!(claim_all(&store, at(1)).await.is_empty());
    let told = claim_one(&store, end).await;
    assert_eq!((told.kind, told.alert.as_ref()), (DeliveryKind::Alert, Some(&raised)));
    assert!(told.digest.is_empty());
    assert_eq!(told.expires_at, after(end, DeliveryKind::Alert.lifetime_seconds()));
    // What is taken back at night is told in the morning.
    assert!(settle(&store, &told, Outcome::Sent, end).await);
    let next_night = after(end, 22 * 3600);
    assert_eq!(retract(&store, &raised, next_night).await, 1);
    assert!(claim_all(&store, next_night).await.is_empty());
    assert_eq!(claim_one(&store, after(end, DAY)).await.kind, DeliveryKind::Retraction);
}

pub async fn who_ends_the_quiet_hours_early_is_told_at_once(store: Shared) {
    let (asked, end) = quiet(&store).await;
    let raised = raise(&store, "TSLA", 0, at(0)).await;
    raise(&store, "AAPL", 0, at(0)).await;
    assert!(claim_all(&store, at(1)).await.is_empty());
    let change = SubscriptionChange { quiet: Some(None), ..Default::default() };
    amend(&store, &asked[0], change, at(2)).await;
    assert_eq!(claim_one(&store, at(3)).await.alert, Some(raised));
    assert_eq!(claim_all(&store, end).await.len(), 2, "the other, and the first, never heard of");
}

pub async fn the_budget_brings_alerts_together_when_there_is_room(store: Shared) {
    let two_an_hour = Budget { messages: 2, per_seconds: 3600 };
    subscribed(&store, 1, "TSLA", at(-3600)).await;
    subscribed(&store, 2, "AAPL", at(-3600)).await;
    let claim = async |seconds: i64| {
        store.claim(at(seconds), at(seconds + 30), Rooms::for_anybody(16), two_an_hour).await.unwrap()
    };
    for n in 0..5 {
        raise(&store, "TSLA", n, at(i64::from(n) - 9)).await;
    }
    // Two are under way; the others wait, even where one of the two comes to nothing.
    let first = claim(0).await;
    assert_eq!(first.len(), 2);
    assert!(settle(&store, &first[0], Outcome::Sent, at(10)).await);
    assert!(settle(&store, &first[1], Outcome::Sent, at(20)).await);
    raise(&store, "TSLA", 5, at(30)).await;
    raise(&store, "AAPL", 6, at(30)).await;
    let other = claim(30).await;
    assert_eq!(other.len(), 1, "another recipient");
    assert!(other[0].alert.as_ref().unwrap().symbol == symbol("AAPL"));
    assert!(settle(&store, &other[0], Outcome::Sent, at(31)).await);
    assert!(claim(3599).await.is_empty());
    let mut told = Vec::new();
    for seconds in [3610, 3620] {
        for delivery in claim(seconds).await {
            told.extend(delivery.digest.iter().chain(&delivery.alert).map(|one| one.start));
            assert!(settle(&store, &delivery, Outcome::Sent, at(seconds)).await);
        }
    }
    told.sort();
    assert_eq!(told, [2, 3, 4, 5].map(|n| MINUTE.plus(n)));
    assert_eq!(store.outbox().await.unwrap().pending, 0);
}

/// A digest of three alerts, handed out at the end of the quiet hours.
async fn one_digest(store: &Shared) -> (Delivery, Vec<Alert>, Vec<SignUp>, Timestamp) {
    let (asked, end) = quiet(store).await;
    let mut alerts = Vec::new();
    for (n, name) in [(0, "TSLA"), (1, "AAPL"), (2, "TSLA")] {
        alerts.push(raise(store, name, n, at(i64::from(n))).await);
    }
    assert!(claim_all(store, at(9)).await.is_empty());
    (claim_one(store, end).await, alerts, asked, end)
}

pub async fn a_digest_that_was_refused_for_now_tells_only_what_still_stands(store: Shared) {
    let (digest, alerts, _, end) = one_digest(&store).await;
    assert!(
        settle(&store, &digest, Outcome::RetryAt(after(end, 60), Failure::other("451")), after(end, 1)).await
    );
    assert_eq!(retract(&store, &alerts[0], after(end, 2)).await, 1, "it may have arrived");
    let again = claim_all(&store, after(end, 60)).await;
    let [follow_up, again] = &again[..] else { panic!("{again:?}") };
    assert_eq!(follow_up.kind, DeliveryKind::Retraction);
    assert_eq!((again.id, again.attempt, &again.digest[..]), (digest.id, 2, &alerts[1..]));
    assert!(settle(&store, again, Outcome::Sent, after(end, 61)).await);
    assert!(!settle(&store, &digest, Outcome::Sent, after(end, 61)).await);
}

pub async fn a_retraction_follows_a_digest_that_may_have_arrived(store: Shared) {
    let (digest, alerts, _, end) = one_digest(&store).await;
    assert_eq!(retract(&store, &alerts[0], after(end, 1)).await, 0, "it is under way");
    assert!(settle(&store, &digest, Outcome::Sent, after(end, 2)).await);
    assert_eq!(retract(&store, &alerts[1], after(end, 3)).await, 1);
    let follow_ups: BTreeSet<AlertId> =
        claim_all(&store, after(end, 4)).await.iter().map(|one| one.alert.as_ref().unwrap().id).collect();
    assert_eq!(follow_ups, [alerts[0].id, alerts[1].id].into());
    // Who refused it for good at the first attempt knows nothing.
    let next = after(end, 22 * 3600);
    let refused = [raise(&store, "TSLA", 2000, next).await, raise(&store, "TSLA", 2001, next).await];
    assert!(claim_all(&store, next).await.is_empty());
    let digest =
        claim_all(&store, after(end, DAY)).await.into_iter().find(|one| !one.digest.is_empty()).unwrap();
    assert!(settle(&store, &digest, Outcome::Failed(Failure::other("550")), after(end, DAY)).await);
    assert_eq!(retract(&store, &refused[0], after(end, DAY + 1)).await, 0);
}

pub async fn a_digest_of_which_nothing_is_left_is_cancelled(store: Shared) {
    let (digest, alerts, _, end) = one_digest(&store).await;
    assert!(
        settle(&store, &digest, Outcome::RetryAt(after(end, 60), Failure::other("451")), after(end, 1)).await
    );
    for alert in &alerts {
        assert_eq!(retract(&store, alert, after(end, 2)).await, 1);
    }
    assert!(claim_all(&store, after(end, 60)).await.iter().all(|one| one.kind == DeliveryKind::Retraction));
    let query = DeliveryQuery { state: DeliveryState::Cancelled, address: None, after: None, limit: 9 };
    let cancelled = store.deliveries(&query).await.unwrap();
    assert_eq!(cancelled.iter().map(|one| one.id).collect::<Vec<_>>(), [digest.id]);
    assert!(cancelled[0].reason.is_some());
}

pub async fn a_digest_outlives_its_first_subscription(store: Shared) {
    let (digest, alerts, asked, end) = one_digest(&store).await;
    let (first, other): (Vec<&SignUp>, Vec<&SignUp>) =
        asked.iter().partition(|one| one.id == digest.subscription.id);
    assert!(
        settle(&store, &digest, Outcome::RetryAt(after(end, 60), Failure::other("451")), after(end, 1)).await
    );
    store.unsubscribe(&first[0].hashes.unsubscribe, false, after(end, 2)).await.unwrap();
    let again = claim_one(&store, after(end, 60)).await;
    assert_eq!((again.id, again.subscription.id), (digest.id, other[0].id));
    let expected: Vec<Alert> = alerts.into_iter().filter(|one| one.symbol == other[0].symbol).collect();
    assert_eq!(again.digest, expected);
    // Gone: all that it tells of.
    assert!(settle(&store, &again, Outcome::Gone(Failure::other("410")), after(end, 61)).await);
    assert_eq!(status(&store, other[0]).await, Some(SubscriptionStatus::Disabled));
    assert_eq!(status(&store, first[0]).await, Some(SubscriptionStatus::Unsubscribed));
}

pub async fn a_digest_has_its_limit_and_the_rest_comes_next(store: Shared) {
    let (_, end) = quiet(&store).await;
    let many = (0..450).map(|n| AlertChange::Raised(alert("TSLA", MINUTE.plus(n))));
    store.commit(&alerts_of(many), at(0)).await.unwrap();
    assert!(claim_all(&store, at(1)).await.is_empty());
    let digests = claim_all(&store, end).await;
    assert_eq!(digests.iter().map(|one| one.digest.len()).collect::<Vec<_>>(), [200, 200, 50]);
    let told: BTreeSet<AlertId> = digests.iter().flat_map(|one| &one.digest).map(|one| one.id).collect();
    assert_eq!(told.len(), 450);
}

pub async fn what_was_tried_is_put_off_alone(store: Shared) {
    let (_, end) = quiet(&store).await;
    let begin = after(end, 20 * 3600);
    // Tried before the quiet hours, and again only after them: under its own id, for its receiver may know it.
    let tried = raise(&store, "TSLA", 1300, after(begin, -60)).await;
    let first = claim_one(&store, after(begin, -60)).await;
    assert!(
        settle(&store, &first, Outcome::RetryAt(after(begin, 60), Failure::other("451")), after(begin, -30))
            .await
    );
    raise(&store, "TSLA", 1301, begin).await;
    raise(&store, "AAPL", 1301, begin).await;
    assert!(claim_all(&store, after(begin, 60)).await.is_empty());
    let morning = claim_all(&store, after(end, DAY)).await;
    assert_eq!(morning.len(), 2, "{morning:?}");
    let again = morning.iter().find(|one| one.kind == DeliveryKind::Alert).unwrap();
    assert_eq!((again.id, again.attempt), (first.id, 2));
    assert_eq!(again.alert.as_ref(), Some(&tried));
    assert_eq!(morning.iter().map(|one| one.digest.len()).sum::<usize>(), 2);
}

pub async fn unsubscribing_cancels_what_is_owed(store: Shared) {
    let (_, sign_up) = one_owed(&store).await;
    let ended = store.unsubscribe(&sign_up.hashes.unsubscribe, false, at(1)).await.unwrap().unwrap();
    assert_eq!((ended.id, ended.status), (sign_up.id, SubscriptionStatus::Unsubscribed));
    assert_eq!(outbox(&store).await, (0, 0, 0, 0, 1));
    assert!(claim_all(&store, at(2)).await.is_empty());
    let again = store.unsubscribe(&sign_up.hashes.unsubscribe, false, at(9)).await.unwrap().unwrap();
    assert_eq!(again, ended);
    assert_eq!(status(&store, &sign_up).await, Some(SubscriptionStatus::Unsubscribed));
    // Nor does a new alert come to be owed.
    let batch = alerts_of([AlertChange::Raised(alert("TSLA", MINUTE.plus(1)))]);
    assert_eq!(store.commit(&batch, at(60)).await.unwrap().deliveries, 0);
}

pub async fn a_claim_hands_out_nothing_of_an_ended_subscription(store: Shared) {
    let (_, sign_up) = one_owed(&store).await;
    // Under way while it ends, so unsubscribing leaves it; then it comes back.
    let delivery = claim_one(&store, at(1)).await;
    store.unsubscribe(&sign_up.hashes.unsubscribe, false, at(2)).await.unwrap().unwrap();
    assert_eq!(outbox(&store).await, (1, 0, 0, 0, 0));
    assert!(settle(&store, &delivery, Outcome::RetryAt(at(5), Failure::other("451")), at(3)).await);
    assert!(claim_all(&store, at(6)).await.is_empty());
    assert_eq!(outbox(&store).await, (0, 0, 0, 0, 1));
}

pub async fn a_delivery_under_way_when_its_subscription_ends_may_still_settle(store: Shared) {
    let (_, sign_up) = one_owed(&store).await;
    let delivery = claim_one(&store, at(1)).await;
    store.unsubscribe(&sign_up.hashes.unsubscribe, false, at(2)).await.unwrap().unwrap();
    assert!(settle(&store, &delivery, Outcome::Sent, at(3)).await);
    assert_eq!(outbox(&store).await, (0, 1, 0, 0, 0));
}

pub async fn a_retraction_cancels_what_was_never_attempted(store: Shared) {
    let (alert, _) = one_owed(&store).await;
    assert_eq!(retract(&store, &alert, at(1)).await, 0);
    assert!(claim_all(&store, at(2)).await.is_empty());
    assert_eq!(outbox(&store).await, (0, 0, 0, 0, 1));
}

/// Claims what is due and says that nobody was asked.
async fn left_alone(store: &Shared, until: i64, now: i64) -> Delivery {
    let delivery = claim_one(store, at(now)).await;
    let outcome = Outcome::NotTried(at(until), "it is left alone".to_owned());
    assert!(settle(store, &delivery, outcome.clone(), at(now)).await);
    assert!(!settle(store, &delivery, outcome, at(now)).await, "once");
    delivery
}

pub async fn what_was_not_tried_gives_its_attempt_back(store: Shared) {
    let (_, _) = one_owed(&store).await;
    let first = left_alone(&store, 30, 1).await;
    for n in 1..5 {
        assert!(claim_all(&store, at(30 * n - 1)).await.is_empty());
        let again = left_alone(&store, 30 * (n + 1), 30 * n).await;
        assert_eq!((again.id, again.attempt), (first.id, 1));
    }
    let tried = claim_one(&store, at(150)).await;
    assert_eq!((tried.id, tried.attempt), (first.id, 1));
    assert!(!settle(&store, &first, Outcome::Sent, at(151)).await, "an earlier claim");
    assert!(settle(&store, &tried, Outcome::RetryAt(at(160), Failure::other("451")), at(151)).await);
    let again = left_alone(&store, 170, 160).await;
    assert_eq!(again.attempt, 2);
    assert_eq!(claim_one(&store, at(170)).await.attempt, 2);
}

pub async fn what_was_not_tried_expires_in_time(store: Shared) {
    let (_, _) = one_owed(&store).await;
    left_alone(&store, DeliveryKind::Alert.lifetime_seconds(), 1).await;
    assert_eq!(outbox(&store).await, (0, 0, 0, 1, 0));
}

pub async fn a_retraction_does_not_follow_what_was_not_tried(store: Shared) {
    // Retracted while it waits again, and while it is under way.
    let (first, _) = one_owed(&store).await;
    left_alone(&store, 30, 1).await;
    assert_eq!(retract(&store, &first, at(2)).await, 0);
    let second = raise(&store, "TSLA", 1, at(3)).await;
    let under_way = claim_one(&store, at(3)).await;
    assert_eq!(retract(&store, &second, at(4)).await, 0);
    let not_tried = Outcome::NotTried(at(30), "it is left alone".to_owned());
    assert!(settle(&store, &under_way, not_tried.clone(), at(5)).await);
    assert!(claim_all(&store, at(100)).await.is_empty());
    assert_eq!(outbox(&store).await, (0, 0, 0, 0, 2));
    // What was tried before may have been told.
    let third = raise(&store, "TSLA", 2, at(200)).await;
    let tried = claim_one(&store, at(200)).await;
    assert!(settle(&store, &tried, Outcome::RetryAt(at(210), Failure::other("timed out")), at(201)).await);
    let under_way = claim_one(&store, at(210)).await;
    assert_eq!(retract(&store, &third, at(211)).await, 0);
    assert!(settle(&store, &under_way, not_tried, at(212)).await);
    followed_up(&store, &third, 213).await;
}

pub async fn a_retraction_does_not_follow_a_digest_that_was_not_tried(store: Shared) {
    let (digest, alerts, _, end) = one_digest(&store).await;
    let not_tried = Outcome::NotTried(after(end, 60), "it is left alone".to_owned());
    assert!(settle(&store, &digest, not_tried.clone(), after(end, 1)).await);
    assert_eq!(retract(&store, &alerts[0], after(end, 2)).await, 0);
    let again = claim_one(&store, after(end, 60)).await;
    assert_eq!((again.id, again.attempt, again.digest.len()), (digest.id, 1, alerts.len() - 1));
    assert_eq!(retract(&store, &alerts[1], after(end, 61)).await, 0);
    assert!(settle(&store, &again, not_tried, after(end, 62)).await);
    for alert in &alerts[2..] {
        assert_eq!(retract(&store, alert, after(end, 63)).await, 0);
    }
    assert!(claim_all(&store, after(end, 1000)).await.is_empty());
}

pub async fn what_was_not_tried_keeps_the_reason_of_its_failure(store: Shared) {
    let (_, _) = one_owed(&store).await;
    left_alone(&store, 30, 1).await;
    let query = DeliveryQuery { state: DeliveryState::Pending, address: None, after: None, limit: 9 };
    let stands = async || {
        let one = store.deliveries(&query).await.unwrap().remove(0);
        (one.attempts, one.reason.unwrap(), one.failure)
    };
    assert_eq!(stands().await, (0, "it is left alone".to_owned(), None));
    let tried = claim_one(&store, at(30)).await;
    let refused = Failure::new(FailureKind::Refused(Some(503)), "it answered 503");
    assert!(settle(&store, &tried, Outcome::RetryAt(at(40), refused.clone()), at(31)).await);
    left_alone(&store, 50, 40).await;
    assert_eq!(stands().await, (1, refused.reason.clone(), Some(refused.kind)));
    left_alone(&store, DAY, 50).await;
    let query = DeliveryQuery { state: DeliveryState::Expired, address: None, after: None, limit: 9 };
    let expired = store.deliveries(&query).await.unwrap().remove(0);
    assert_eq!((expired.reason, expired.failure), (Some(refused.reason), Some(refused.kind)));
}

pub async fn failures_of_every_kind_come_back(store: Shared) {
    use FailureKind::*;
    subscribed(&store, 1, "TSLA", at(-3600)).await;
    let kinds =
        [Refused(Some(550)), Refused(None), GreetingRefused, Unreachable, TimedOut, BrokeOff, Blocked, Other];
    for (n, kind) in (0..).zip(kinds) {
        raise(&store, "TSLA", n, at(i64::from(n))).await;
        let claimed = claim_one(&store, at(i64::from(n))).await;
        // Not three refusals in a row.
        let outcome = Outcome::RetryAt(claimed.expires_at, Failure::new(kind, "said"));
        assert!(settle(&store, &claimed, outcome, at(i64::from(n))).await);
    }
    let query = DeliveryQuery { state: DeliveryState::Expired, address: None, after: None, limit: 9 };
    let listed = store.deliveries(&query).await.unwrap();
    let listed: Vec<_> = listed.into_iter().rev().map(|one| one.failure.unwrap()).collect();
    assert_eq!(listed, kinds);
}

pub async fn a_retraction_follows_what_was_sent(store: Shared) {
    let (alert, sign_up) = one_owed(&store).await;
    let told = claim_one(&store, at(1)).await;
    assert!(settle(&store, &told, Outcome::Sent, at(2)).await);
    assert_eq!(retract(&store, &alert, at(3)).await, 1);
    let follow_up = claim_one(&store, at(4)).await;
    assert_eq!(follow_up.kind, DeliveryKind::Retraction);
    assert_eq!(follow_up.id, DeliveryId::of_alert(DeliveryKind::Retraction, alert.id, sign_up.id));
    assert_eq!((follow_up.created_at, follow_up.attempt), (at(3), 1));
    assert_eq!(follow_up.expires_at, at(3 + DeliveryKind::Retraction.lifetime_seconds()));
    let shown = follow_up.alert.clone().unwrap();
    assert_eq!((shown.id, shown.state), (alert.id, AlertState::Retracted));
    assert!(settle(&store, &follow_up, Outcome::Sent, at(5)).await);
    assert!(claim_all(&store, at(1000)).await.is_empty());
    assert_eq!(outbox(&store).await, (0, 2, 0, 0, 0));
}

pub async fn a_retraction_follows_what_was_under_way_once_it_is_sent(store: Shared) {
    let (alert, _) = one_owed(&store).await;
    let told = claim_one(&store, at(1)).await;
    assert_eq!(retract(&store, &alert, at(2)).await, 0);
    assert!(claim_all(&store, at(2)).await.is_empty());
    assert!(settle(&store, &told, Outcome::Sent, at(3)).await);
    assert_eq!(claim_one(&store, at(3)).await.kind, DeliveryKind::Retraction);
    assert!(!settle(&store, &told, Outcome::Sent, at(4)).await);
    assert_eq!(outbox(&store).await, (1, 1, 0, 0, 0));
}

pub async fn a_retraction_does_not_follow_what_failed(store: Shared) {
    let (alert, _) = one_owed(&store).await;
    let told = claim_one(&store, at(1)).await;
    assert!(settle(&store, &told, Outcome::Failed(Failure::other("550")), at(2)).await);
    assert_eq!(retract(&store, &alert, at(3)).await, 0);
    assert!(claim_all(&store, at(4)).await.is_empty());
    assert_eq!(outbox(&store).await, (0, 0, 1, 0, 0));
}

pub async fn a_retraction_follows_an_attempt_with_an_unknown_end(store: Shared) {
    // Two ways: the lease has run out when the retraction comes, or it runs out afterwards.
    for (minutes, retracted_at) in [(0, 40), (10, 5)] {
        subscribed(&store, 1 + minutes as u16, "TSLA", at(-3600)).await;
        let raised = alert("TSLA", MINUTE.plus(minutes));
        store.commit(&alerts_of([AlertChange::Raised(raised.clone())]), at(0)).await.unwrap();
        let lost = claim_all(&store, at(1)).await;
        assert!(!lost.is_empty());
        retract(&store, &raised, at(retracted_at)).await;
        let claimed = claim_all(&store, at(41)).await;
        assert_eq!(claimed.len(), lost.len());
        for follow_up in &claimed {
            assert_eq!(follow_up.kind, DeliveryKind::Retraction);
            assert_eq!(follow_up.alert.as_ref().unwrap().id, raised.id);
            assert!(settle(&store, follow_up, Outcome::Sent, at(42)).await);
        }
        for delivery in &lost {
            assert!(!settle(&store, delivery, Outcome::Sent, at(42)).await);
        }
        assert!(claim_all(&store, at(100)).await.is_empty());
    }
    assert_eq!(outbox(&store).await, (0, 3, 0, 0, 3));
}

/// Claims what is owed for the second time, the first attempt having ended in a way that leaves open whether the
/// receiver was told.
async fn second_attempt(store: &Shared, answered: bool) -> Delivery {
    let first = claim_one(store, at(1)).await;
    if answered {
        let timed_out = Outcome::RetryAt(at(31), Failure::other("timed out"));
        assert!(settle(store, &first, timed_out, at(2)).await);
    }
    let second = claim_one(store, at(31)).await;
    assert_eq!((second.id, second.attempt), (first.id, 2));
    second
}

/// Exactly one follow-up is there, and nothing else.
async fn followed_up(store: &Shared, alert: &Alert, seconds: i64) {
    let follow_up = claim_one(store, at(seconds)).await;
    assert_eq!((follow_up.kind, follow_up.attempt), (DeliveryKind::Retraction, 1));
    assert_eq!(follow_up.alert.as_ref().unwrap().id, alert.id);
    assert!(settle(store, &follow_up, Outcome::Sent, at(seconds)).await);
    assert!(claim_all(store, at(seconds + 20_000)).await.is_empty());
}

pub async fn a_retraction_follows_an_attempt_before_one_that_failed(store: Shared) {
    for (n, answered) in [(0, true), (1, false)] {
        subscribed(&store, n, "TSLA", at(-3600)).await;
        let raised = alert("TSLA", MINUTE.plus(i32::from(n)));
        let ended = sign_up(0, "s0@example.com", "TSLA");
        if n == 1 {
            store.unsubscribe(&ended.hashes.unsubscribe, false, at(0)).await.unwrap().unwrap();
        }
        store.commit(&alerts_of([AlertChange::Raised(raised.clone())]), at(0)).await.unwrap();
        let second = second_attempt(&store, answered).await;
        assert_eq!(retract(&store, &raised, at(32)).await, 0, "it is under way");
        assert!(settle(&store, &second, Outcome::Failed(Failure::other("550")), at(33)).await);
        followed_up(&store, &raised, 34).await;
    }
    assert_eq!(outbox(&store).await, (0, 2, 2, 0, 0));
}

pub async fn a_retraction_follows_what_ended_after_more_than_one_attempt(store: Shared) {
    let (raised, _) = one_owed(&store).await;
    let second = second_attempt(&store, true).await;
    assert!(settle(&store, &second, Outcome::Failed(Failure::other("550")), at(32)).await);
    assert_eq!(retract(&store, &raised, at(33)).await, 1);
    followed_up(&store, &raised, 34).await;
    assert_eq!(outbox(&store).await, (0, 1, 1, 0, 0));
}

pub async fn a_retraction_follows_what_expired_after_an_attempt(store: Shared) {
    let lifetime = DeliveryKind::Alert.lifetime_seconds();
    subscribed(&store, 1, "TSLA", at(-3600)).await;
    let [answered, lost, never, late] = [0, 1, 2, 3].map(|n| alert("TSLA", MINUTE.plus(n)));
    // One attempt each, but for the one that nobody claims.
    for raised in [&answered, &lost, &late] {
        store.commit(&alerts_of([AlertChange::Raised((*raised).clone())]), at(0)).await.unwrap();
        let first = claim_one(&store, at(lifetime - 40)).await;
        if raised.id == answered.id {
            let retry = Outcome::RetryAt(first.expires_at, Failure::other("timed out"));
            assert!(settle(&store, &first, retry, at(lifetime - 39)).await);
        }
    }
    store.commit(&alerts_of([AlertChange::Raised(never.clone())]), at(0)).await.unwrap();
    // Retracted while the attempt may still be under way, and its end is never heard of.
    assert_eq!(retract(&store, &late, at(lifetime - 20)).await, 0);
    followed_up(&store, &late, lifetime).await;
    assert_eq!(outbox(&store).await, (0, 1, 0, 3, 1));
    for (raised, expected) in [(&answered, 1), (&lost, 1), (&never, 0)] {
        assert_eq!(retract(&store, raised, at(lifetime + 1)).await, expected);
        if expected == 1 {
            followed_up(&store, raised, lifetime + 2).await;
        }
    }
    assert_eq!(outbox(&store).await, (0, 3, 0, 3, 1));
}

pub async fn a_retraction_ends_the_retries_of_what_it_retracts(store: Shared) {
    let (first, _) = one_owed(&store).await;
    let second = alert("TSLA", MINUTE.plus(1));
    store.commit(&alerts_of([AlertChange::Raised(second.clone())]), at(0)).await.unwrap();
    let refused = |at| Outcome::RetryAt(at, Failure::other("timed out"));
    let claimed = claim_all(&store, at(1)).await;
    assert_eq!(claimed.len(), 2);
    // One waits for its retry when the retraction comes, the other is under way.
    let (waiting, under_way): (Vec<_>, Vec<_>) =
        claimed.into_iter().partition(|delivery| delivery.alert.as_ref().unwrap().id == first.id);
    assert!(settle(&store, &waiting[0], refused(at(60)), at(2)).await);
    assert_eq!(retract(&store, &first, at(3)).await, 1);
    assert_eq!(retract(&store, &second, at(3)).await, 0);
    assert!(settle(&store, &under_way[0], refused(at(60)), at(4)).await);
    let follow_ups = claim_all(&store, at(100)).await;
    assert_eq!(follow_ups.len(), 2);
    assert!(follow_ups.iter().all(|delivery| delivery.kind == DeliveryKind::Retraction));
    assert_eq!(outbox(&store).await, (2, 0, 0, 0, 2));
}

pub async fn a_retracted_alert_is_never_raised_again(store: Shared) {
    let (first, _) = one_owed(&store).await;
    retract(&store, &first, at(1)).await;
    let again = alerts_of([AlertChange::Raised(first.clone())]);
    assert_eq!(store.commit(&again, at(2)).await.unwrap().deliveries, 0);
    assert_eq!(store.alert(first.id).await.unwrap().unwrap().state, AlertState::Retracted);
    // Not even where the store never saw it raised.
    let unseen = alert("TSLA", MINUTE.plus(5));
    retract(&store, &unseen, at(3)).await;
    let raised = alerts_of([AlertChange::Raised(unseen.clone())]);
    assert_eq!(store.commit(&raised, at(4)).await.unwrap().deliveries, 0);
    assert!(claim_all(&store, at(5)).await.is_empty());
}

pub async fn a_sign_up_owes_a_confirmation_and_confirming_activates(store: Shared) {
    let sign_up = sign_up(1, "Ada@Example.com", "TSLA");
    assert!(ask(&store, &sign_up, SignUpLimits::default(), at(0)).await);
    assert_eq!(status(&store, &sign_up).await, Some(SubscriptionStatus::Pending));
    let mail = claim_one(&store, at(1)).await;
    assert_eq!(mail.kind, DeliveryKind::Confirmation);
    assert_eq!(mail.id, DeliveryId::of_confirmation(sign_up.id, 1));
    assert_eq!(mail.alert, None);
    assert_eq!(mail.expires_at, at(DeliveryKind::Confirmation.lifetime_seconds()));
    assert_eq!(mail.subscription.channel, sign_up.channel);
    assert_eq!(mail.subscription.status, SubscriptionStatus::Pending);
    assert_eq!(mail.subscription.active_from, None);
    let active = confirmed(&store, &sign_up, at(60)).await;
    assert_eq!(active.status, SubscriptionStatus::Active);
    assert_eq!(active.active_from, Minute::starting(at(60)));
    let found = store.subscription_of(Purpose::Manage, &sign_up.hashes.manage).await.unwrap();
    assert_eq!(found, Some(active));
    assert_eq!(status(&store, &sign_up).await, Some(SubscriptionStatus::Active));
}

pub async fn confirming_again_changes_nothing(store: Shared) {
    let sign_up = sign_up(1, "ada@example.com", "TSLA");
    ask(&store, &sign_up, UNLIMITED, at(0)).await;
    let first = confirmed(&store, &sign_up, at(60)).await;
    for later in [61, 3600, 200_000] {
        assert_eq!(
            store.confirm(&sign_up.hashes.confirm, &Choice::Everything, at(later)).await.unwrap(),
            Confirmed::AlreadyActive(first.clone())
        );
    }
}

pub async fn a_confirmation_link_works_for_a_day(store: Shared) {
    let day = 24 * 60 * 60;
    let sign_up = sign_up(1, "ada@example.com", "TSLA");
    ask(&store, &sign_up, UNLIMITED, at(0)).await;
    let Confirmed::Expired(found) =
        store.confirm(&sign_up.hashes.confirm, &Choice::Everything, at(day + 1)).await.unwrap()
    else {
        panic!("not expired");
    };
    assert_eq!((found.id, found.status), (sign_up.id, SubscriptionStatus::Pending));
    // Asking again gives it another day.
    assert!(ask(&store, &sign_up, UNLIMITED, at(day + 2)).await);
    assert_eq!(confirmed(&store, &sign_up, at(2 * day + 1)).await.id, sign_up.id);
}

pub async fn an_ended_subscription_cannot_be_confirmed(store: Shared) {
    let sign_up = sign_up(1, "ada@example.com", "TSLA");
    ask(&store, &sign_up, UNLIMITED, at(0)).await;
    store.unsubscribe(&sign_up.hashes.unsubscribe, false, at(1)).await.unwrap().unwrap();
    assert_eq!(outbox(&store).await, (0, 0, 0, 0, 1));
    let confirmed = store.confirm(&sign_up.hashes.confirm, &Choice::Everything, at(2)).await.unwrap();
    assert!(matches!(confirmed, Confirmed::Ended(_)), "{confirmed:?}");
    assert_eq!(status(&store, &sign_up).await, Some(SubscriptionStatus::Unsubscribed));
}

pub async fn an_unknown_token_opens_nothing(store: Shared) {
    let known = sign_up(1, "ada@example.com", "TSLA");
    ask(&store, &known, UNLIMITED, at(0)).await;
    let stranger = sign_up(2, "eve@example.com", "TSLA").hashes;
    assert_eq!(
        store.confirm(&stranger.confirm, &Choice::Everything, at(1)).await.unwrap(),
        Confirmed::Unknown
    );
    assert_eq!(store.unsubscribe(&stranger.unsubscribe, false, at(1)).await.unwrap(), None);
    assert_eq!(store.subscription_of(Purpose::Manage, &stranger.manage).await.unwrap(), None);
}

pub async fn each_token_opens_its_own_purpose(store: Shared) {
    let SignUp { id, hashes, .. } = {
        let sign_up = sign_up(1, "ada@example.com", "TSLA");
        ask(&store, &sign_up, UNLIMITED, at(0)).await;
        sign_up
    };
    let tokens = [
        (Purpose::Confirm, hashes.confirm),
        (Purpose::Unsubscribe, hashes.unsubscribe),
        (Purpose::Manage, hashes.manage),
    ];
    for (purpose, _) in tokens {
        for (of, token) in tokens {
            let found = store.subscription_of(purpose, &token).await.unwrap();
            assert_eq!(found.map(|found| found.id), (purpose == of).then_some(id), "{purpose:?} by {of:?}");
        }
    }
    assert_eq!(
        store.confirm(&hashes.unsubscribe, &Choice::Everything, at(1)).await.unwrap(),
        Confirmed::Unknown
    );
    assert_eq!(store.unsubscribe(&hashes.manage, false, at(1)).await.unwrap(), None);
    let found = store.subscription_of(Purpose::Manage, &hashes.manage).await.unwrap().unwrap();
    assert_eq!(found.status, SubscriptionStatus::Pending);
}

pub async fn a_sign_up_for_the_same_wish_keeps_the_first_subscription(store: Shared) {
    let first = sign_up(1, "Ada@example.com", "TSLA");
    let second = sign_up(2, "ada@EXAMPLE.com", "TSLA");
    assert!(ask(&store, &first, UNLIMITED, at(0)).await);
    // Pending: another mail, of the first subscription.
    assert!(ask(&store, &second, UNLIMITED, at(1)).await);
    assert_eq!(status(&store, &first).await, Some(SubscriptionStatus::Pending));
    assert_eq!(status(&store, &second).await, None);
    assert_eq!(
        store.confirm(&second.hashes.confirm, &Choice::Everything, at(2)).await.unwrap(),
        Confirmed::Unknown
    );
    let mails: BTreeSet<DeliveryId> = claim_all(&store, at(2)).await.iter().map(|mail| mail.id).collect();
    let expected = [1, 2].map(|n| DeliveryId::of_confirmation(first.id, n));
    assert_eq!(mails, BTreeSet::from(expected));
    // Active: no mail.
    store.confirm(&first.hashes.confirm, &Choice::Everything, at(3)).await.unwrap();
    assert!(!ask(&store, &second, UNLIMITED, at(4)).await);
    assert_eq!(status(&store, &first).await, Some(SubscriptionStatus::Active));
    assert_eq!(status(&store, &second).await, None);
    // Another metric is another wish.
    let other = SignUp { metric: Metric::Price, ..second };
    assert!(ask(&store, &other, UNLIMITED, at(5)).await);
    let kept = store.subscription_of(Purpose::Manage, &other.hashes.manage).await.unwrap().unwrap();
    assert_eq!((kept.metric, kept.status), (Metric::Price, SubscriptionStatus::Pending));
    assert_eq!(status(&store, &first).await, Some(SubscriptionStatus::Active));
}

pub async fn signing_up_after_unsubscribing_makes_a_new_subscription(store: Shared) {
    let first = sign_up(1, "ada@example.com", "TSLA");
    ask(&store, &first, UNLIMITED, at(0)).await;
    store.unsubscribe(&first.hashes.unsubscribe, false, at(1)).await.unwrap().unwrap();
    let second = sign_up(2, "ada@example.com", "TSLA");
    assert!(ask(&store, &second, UNLIMITED, at(2)).await);
    assert_eq!(confirmed(&store, &second, at(3)).await.id, second.id);
    assert_eq!(status(&store, &first).await, Some(SubscriptionStatus::Unsubscribed));
    assert_eq!(status(&store, &second).await, Some(SubscriptionStatus::Active));
}

/// Takes in at `seconds`, and answers whom the messages go to that came to be owed, by the number of their sign-up.
async fn turns(store: &Shared, limits: SignUpLimits, seconds: i64) -> Vec<u16> {
    store.take_in(limits, at(seconds)).await.unwrap();
    let owed = claim_all(store, at(seconds)).await;
    let mut numbers: Vec<u16> = owed
        .iter()
        .map(|one| u16::from_be_bytes([one.subscription.nonce[0], one.subscription.nonce[1]]))
        .collect();
    for one in &owed {
        assert_eq!(one.kind, DeliveryKind::Confirmation);
        settle(store, one, Outcome::Sent, at(seconds)).await;
    }
    numbers.sort_unstable();
    numbers
}

pub async fn one_address_is_written_to_once_in_ten_minutes(store: Shared) {
    let limits = SignUpLimits::default();
    let ask = async |n: u16, email: &str, name: &str, seconds: i64| {
        store.subscribe(&sign_up(n, email, name), limits, at(seconds)).await.unwrap();
        turns(&store, limits, seconds).await
    };
    assert_eq!(ask(1, "ada@example.com", "TSLA", 0).await, [1]);
    assert!(ask(2, "ada@example.com", "TSLA", 1).await.is_empty(), "the same wish");
    assert!(ask(3, "ADA@example.com", "AAPL", 598).await.is_empty(), "the same address, another wish");
    assert_eq!(ask(4, "bob@example.com", "AAPL", 599).await, [4], "another address");
    // What was held back comes when it may, once, about the newest.
    assert_eq!(turns(&store, limits, 600).await, [3]);
    assert!(turns(&store, limits, 1200).await.is_empty());
}

pub async fn one_address_is_written_to_three_times_a_day_and_again_the_next(store: Shared) {
    let limits = SignUpLimits::default();
    for (n, seconds) in [(1, 0), (2, 600), (3, 1200)] {
        assert!(ask(&store, &sign_up(n, "ada@example.com", &format!("S{n}")), limits, at(seconds)).await);
    }
    // Whatever became of the three.
    assert_eq!(turns(&store, limits, 1201).await, [1, 2, 3]);
    assert!(!ask(&store, &sign_up(4, "ada@example.com", "S4"), limits, at(1800)).await);
    assert!(!ask(&store, &sign_up(5, "ada@example.com", "S5"), limits, at(DAY - 1)).await);
    // What waited so long can still be confirmed for a day.
    assert_eq!(turns(&store, limits, DAY).await, [5]);
    let link =
        store.confirmable(&sign_up(5, "x@example.com", "S5").hashes.confirm, at(2 * DAY - 1)).await.unwrap();
    let asked: Vec<Symbol> = link.unwrap().asked.iter().map(|one| one.symbol).collect();
    assert_eq!(asked, ["S5", "S4", "S3", "S2", "S1"].map(symbol), "all of it, the newest first");
}

pub async fn one_mailbox_is_throttled_under_all_its_spellings(store: Shared) {
    let limits = SignUpLimits::default();
    let asked: Vec<SignUp> = (1..)
        .zip(["ada.love@gmail.com", "adalove@gmail.com", "a.dalove+x@googlemail.com", "ADALOVE@gmail.com"])
        .map(|(n, email)| sign_up(n, email, "TSLA"))
        .collect();
    for one in &asked {
        assert_eq!(store.subscribe(one, limits, at(0)).await.unwrap(), SignedUp::Taken);
    }
    let mut sent = Vec::new();
    for seconds in [0, 1, 600, 1200, 1800, DAY - 1, DAY] {
        sent.push(turns(&store, limits, seconds).await.len());
    }
    // Two of the four are one address: three messages.
    assert_eq!(sent, [1, 0, 1, 1, 0, 0, 0]);
    // Each spelling is a recipient of its own all the same.
    for one in &asked[..3] {
        assert_eq!(confirmed(&store, one, at(DAY - 1)).await.id, one.id);
    }
}

pub async fn a_domain_uses_up_its_share_and_no_more(store: Shared) {
    let limits = SignUpLimits { domain_per_hour: 4, total_per_hour: 20, ..SignUpLimits::default() };
    for n in 0..10 {
        let one = sign_up(n, &format!("s{n}@a{n}.example.com"), "TSLA");
        assert_eq!(store.subscribe(&one, limits, at(0)).await.unwrap(), SignedUp::Taken);
    }
    assert_eq!(turns(&store, limits, 0).await.len(), 2, "half of an hour's at once");
    for n in 10..15 {
        assert!(ask(&store, &sign_up(n, &format!("s{n}@d{n}.example"), "TSLA"), limits, at(1)).await);
    }
    assert_eq!(turns(&store, limits, 2).await.len(), 5);
    let mut rest = 0;
    for minute in 1..=5 * 60 {
        rest += turns(&store, limits, 60 * minute).await.len();
    }
    assert_eq!(rest, 8, "nobody is forgotten");
}

pub async fn all_addresses_together_have_a_limit_and_all_have_their_turn(store: Shared) {
    let limits = SignUpLimits { total_per_hour: 10, ..SignUpLimits::default() };
    for n in 0..30 {
        let one = sign_up(n, &format!("s{n}@d{n}.example"), "TSLA");
        assert_eq!(store.subscribe(&one, limits, at(0)).await.unwrap(), SignedUp::Taken);
    }
    let mut sent: Vec<(i64, u16)> = Vec::new();
    for minute in 0..=6 * 60 {
        let numbers = turns(&store, limits, 60 * minute).await;
        sent.extend(numbers.into_iter().map(|n| (minute, n)));
        if minute == 30 {
            // Who comes late does not wait for all the others.
            let late = sign_up(99, "late@late.example", "TSLA");
            store.subscribe(&late, limits, at(60 * minute)).await.unwrap();
        }
    }
    let numbers: BTreeSet<u16> = sent.iter().map(|(_, n)| *n).collect();
    assert_eq!((sent.len(), numbers.len()), (31, 31));
    assert!(sent.iter().all(|(minute, _)| {
        sent.iter().filter(|(other, _)| (*minute..minute + 60).contains(other)).count() <= 10
    }));
    let late = sent.iter().find(|(_, n)| *n == 99).unwrap().0;
    assert!(late <= 30 + 2 * 12, "{sent:?}");
}

pub async fn too_many_that_wait_are_refused_and_nothing_of_them_is_kept(store: Shared) {
    // A hundred hours' messages may wait.
    let limits = SignUpLimits { domain_per_hour: 1, total_per_hour: 2, ..SignUpLimits::default() };
    let asked = |n: u16, domain: &str| sign_up(n, &format!("s{n}@{domain}"), "TSLA");
    let second = |n: u16| at(i64::from(n));
    for n in 0..100 {
        let taken = store.subscribe(&asked(n, "example.com"), limits, second(n)).await.unwrap();
        assert_eq!(taken, SignedUp::Taken);
    }
    let refused = asked(100, "example.com");
    let SignedUp::Full(full) = store.subscribe(&refused, limits, second(100)).await.unwrap() else {
        panic!("taken");
    };
    assert!(full.retry_after.is_positive());
    // Others have places, evenly. Taken in or not, they wait.
    store.take_in(limits, second(100)).await.unwrap();
    assert_eq!(status(&store, &refused).await, None);
    let mut taken = 0;
    for n in 101..300 {
        let other = asked(n, &format!("d{n}.example"));
        let answer = store.subscribe(&other, limits, second(n)).await.unwrap();
        taken += u16::from(answer == SignedUp::Taken);
        store.take_in(limits, second(n)).await.unwrap();
    }
    assert!((100..110).contains(&taken), "{taken}");
    // Who need not be told anything needs no place.
    let open = SignUp { confirm: false, ..asked(500, "example.com") };
    assert_eq!(store.subscribe(&open, limits, at(300)).await.unwrap(), SignedUp::Taken);
}

pub async fn what_is_pending_of_a_recipient_is_confirmed_together(store: Shared) {
    let limits = SignUpLimits::default();
    let first = sign_up(1, "ada@example.com", "TSLA");
    assert!(ask(&store, &first, limits, at(0)).await);
    let later: Vec<SignUp> =
        (2..).zip(["AAPL", "MSFT", "NVDA"]).map(|(n, name)| sign_up(n, "Ada@example.com", name)).collect();
    for one in &later {
        assert!(!ask(&store, one, limits, at(60)).await);
    }
    ask(&store, &sign_up(9, "ada+x@example.com", "AMZN"), limits, at(60)).await;
    let shown = async |seconds: i64| {
        let link = store.confirmable(&first.hashes.confirm, at(seconds)).await.unwrap().unwrap();
        assert_eq!(link.of.id, first.id);
        link.asked.iter().map(|one| one.id).collect::<BTreeSet<_>>()
    };
    let all = [first.id, later[0].id, later[1].id, later[2].id];
    assert_eq!(shown(61).await, BTreeSet::from(all));
    // One is ticked, one not, one was not shown: it came after the page.
    let choice = Choice::Ticked {
        ticked: vec![later[0].id, sign_up(9, "x@example.com", "AMZN").id],
        shown: vec![first.id, later[0].id, later[1].id],
    };
    let settled = store.confirm(&first.hashes.confirm, &choice, at(62)).await.unwrap();
    let Confirmed::Settled { activated, declined, .. } = settled else { panic!("{settled:?}") };
    assert_eq!(activated.iter().map(|one| one.id).collect::<Vec<_>>(), [later[0].id]);
    let declined: BTreeSet<_> = declined.iter().map(|one| one.id).collect();
    assert_eq!(declined, BTreeSet::from([first.id, later[1].id]));
    for (one, expected) in [
        (&first, SubscriptionStatus::Unsubscribed),
        (&later[0], SubscriptionStatus::Active),
        (&later[1], SubscriptionStatus::Unsubscribed),
        (&later[2], SubscriptionStatus::Pending),
    ] {
        assert_eq!(status(&store, one).await, Some(expected));
    }
    // The link goes on to show what is pending, for its day, though what it was made for has ended.
    assert_eq!(shown(63).await, BTreeSet::from([later[2].id]));
    assert_eq!(confirmed(&store, &first, at(64)).await.id, later[2].id);
    let nothing = store.confirm(&first.hashes.confirm, &Choice::Everything, at(65)).await.unwrap();
    assert!(matches!(nothing, Confirmed::Ended(ref of) if of.id == first.id), "{nothing:?}");
    assert!(shown(DAY).await.is_empty());
}

pub async fn what_a_message_was_about_is_shown_however_much_else_is_asked_for(store: Shared) {
    let first = sign_up(0, "ada@example.com", "TSLA");
    store.subscribe(&first, UNLIMITED, at(0)).await.unwrap();
    for n in 1..=250 {
        store.subscribe(&sign_up(n, "ada@example.com", &format!("S{n}")), UNLIMITED, at(1)).await.unwrap();
    }
    while store.take_in(UNLIMITED, at(2)).await.unwrap().more {}
    let link = store.confirmable(&first.hashes.confirm, at(3)).await.unwrap().unwrap();
    assert_eq!(link.asked.len(), 200);
    assert!(link.asked.iter().any(|one| one.id == first.id));
}

pub async fn what_was_confirmed_meanwhile_is_not_asked_again(store: Shared) {
    let limits = SignUpLimits::default();
    let asked = |n: u16| sign_up(n, "ada@example.com", &format!("S{n}"));
    assert!(ask(&store, &asked(1), limits, at(0)).await);
    assert_eq!(turns(&store, limits, 0).await, [1]);
    assert!(!ask(&store, &asked(2), limits, at(1)).await);
    let confirmed = store.confirm(&asked(1).hashes.confirm, &Choice::Everything, at(2)).await.unwrap();
    assert!(matches!(confirmed, Confirmed::Settled { ref activated, .. } if activated.len() == 2));
    // Asked for after that: the link shows it, and its own comes in its turn, which is the only one.
    assert!(!ask(&store, &asked(3), limits, at(550)).await);
    let link = store.confirmable(&asked(1).hashes.confirm, at(551)).await.unwrap().unwrap();
    assert_eq!(link.asked.iter().map(|one| one.id).collect::<Vec<_>>(), [asked(3).id]);
    assert_eq!(turns(&store, limits, 600).await, [3]);
    assert!(turns(&store, limits, 1300).await.is_empty());
}

pub async fn each_subscription_by_webhook_is_told_its_own_secret(store: Shared) {
    let limits = SignUpLimits::default();
    let asked: Vec<SignUp> = (1..)
        .zip(["TSLA", "AAPL", "MSFT"])
        .map(|(n, name)| sign_up(n, "https://example.com/hook", name))
        .collect();
    for one in &asked {
        store.subscribe(one, limits, at(0)).await.unwrap();
    }
    let first = turns(&store, limits, 0).await;
    assert_eq!(first.len(), 1);
    // Confirmed together; who was not told is told at once.
    let token = &asked[usize::from(first[0]) - 1].hashes.confirm;
    let confirmed = store.confirm(token, &Choice::Everything, at(60)).await.unwrap();
    assert!(matches!(confirmed, Confirmed::Settled { ref activated, .. } if activated.len() == 3));
    let told = turns(&store, limits, 60).await;
    assert_eq!(told.len(), 2);
    assert_eq!(BTreeSet::from_iter(first.into_iter().chain(told)), BTreeSet::from([1, 2, 3]));
    assert!(turns(&store, limits, 10 * DAY).await.is_empty());
}

pub async fn what_waits_is_not_forgotten_and_ends_with_its_recipient(store: Shared) {
    let limits = SignUpLimits { total_per_hour: 2, ..SignUpLimits::default() };
    for n in 0..4 {
        ask(&store, &sign_up(n, &format!("s{n}@d{n}.example"), "TSLA"), limits, at(0)).await;
    }
    let waiting = async || {
        let mut waiting = Vec::new();
        for n in 0..4 {
            if status(&store, &sign_up(n, "x@example.com", "TSLA")).await.is_some() {
                waiting.push(n);
            }
        }
        waiting
    };
    // Three days later, as after an outage of the worker: who was asked has lapsed, who was not has not.
    forget(&store, 3 * DAY, 100).await;
    assert_eq!(waiting().await.len(), 3);
    let Some(&n) = waiting().await.first() else { panic!("nobody waits") };
    store.erase(&format!("s{n}@d{n}.example")).await.unwrap();
    assert_eq!(waiting().await.len(), 2);
    // Noted down and not taken in: it is erased, and ends, like the rest.
    let late = sign_up(9, "late@late.example", "TSLA");
    store.subscribe(&late, limits, at(3 * DAY)).await.unwrap();
    store.erase("late@late.example").await.unwrap();
    assert_eq!(turns(&store, limits, 3 * DAY).await.len(), 1);
    assert_eq!(status(&store, &late).await, None);
}

/// Has an alert of the `n`-th minute end for one receiver, if it comes to be owed to it at all.
async fn answered(store: &Shared, n: i32, outcome: Outcome, now: Timestamp) -> bool {
    let raised = alerts_of([AlertChange::Raised(alert("TSLA", MINUTE.plus(n)))]);
    if store.commit(&raised, now).await.unwrap().deliveries == 0 {
        return false;
    }
    let delivery = claim_one(store, now).await;
    assert!(settle(store, &delivery, outcome, now).await);
    true
}

pub async fn three_refusals_in_a_row_suppress_an_address_for_a_month(store: Shared) {
    let refused = || Outcome::Failed(Failure::other("550 no such user"));
    // Of all its subscriptions together, whatever was sent: the third is a confirmation.
    let limits = SignUpLimits::default();
    let asked = SignUp { confirm: false, ..sign_up(1, "Ada@example.com", "TSLA") };
    ask(&store, &asked, limits, at(-3600)).await;
    assert!(answered(&store, 0, refused(), at(0)).await);
    assert!(answered(&store, 1, refused(), at(60)).await);
    assert!(ask(&store, &sign_up(2, "ada@EXAMPLE.com", "AAPL"), limits, at(70)).await);
    store.commit(&alerts_of([AlertChange::Raised(alert("TSLA", MINUTE.plus(2)))]), at(80)).await.unwrap();
    let mails = claim_all(&store, at(80)).await;
    let [waiting, mail] = &mails[..] else { panic!("{mails:?}") };
    let (waiting, mail) =
        if mail.kind == DeliveryKind::Confirmation { (waiting, mail) } else { (mail, waiting) };
    assert!(settle(&store, waiting, Outcome::RetryAt(at(90), Failure::other("451")), at(81)).await);
    assert!(settle(&store, mail, refused(), at(82)).await);

    // What is owed already is cancelled, and nothing more comes to be owed.
    assert!(claim_all(&store, at(100)).await.is_empty());
    assert_eq!(outbox(&store).await, (0, 0, 3, 0, 1));
    for seconds in [120, 29 * DAY, 30 * DAY + 81] {
        assert!(!answered(&store, 3 + seconds as i32 / 60, Outcome::Sent, at(seconds)).await);
        let asked = sign_up(3, "ada@example.com", "MSFT");
        assert!(!ask(&store, &asked, limits, at(seconds)).await);
    }
    // A month later it is written to again; one more refusal is enough, one success is a new beginning.
    let month = 30 * DAY + 82;
    assert!(answered(&store, 100_000, refused(), at(month)).await);
    assert!(!answered(&store, 100_001, Outcome::Sent, at(month + 60)).await);
    assert!(answered(&store, 100_002, Outcome::Sent, at(2 * month)).await);
    assert!(answered(&store, 100_003, refused(), at(2 * month + 60)).await);
    assert!(answered(&store, 100_004, Outcome::Sent, at(2 * month + 120)).await);
}

pub async fn only_refusals_in_a_row_suppress_an_address(store: Shared) {
    subscribed(&store, 1, "TSLA", at(-3600)).await;
    let refused = || Outcome::Failed(Failure::other("550"));
    let outcomes = [refused(), refused(), Outcome::Sent, refused(), refused(), Outcome::Sent, refused()];
    for (n, outcome) in (0..).zip(outcomes) {
        assert!(answered(&store, n, outcome, at(60 * i64::from(n))).await, "number {n}");
    }
    // What expired says nothing of the address, neither for it nor against it.
    let expired = Outcome::RetryAt(Timestamp::MAX, Failure::other("451"));
    for n in 7..12 {
        assert!(answered(&store, n, expired.clone(), at(60 * i64::from(n))).await, "number {n}");
    }
    assert!(answered(&store, 12, refused(), at(720)).await);
    // Others are not concerned.
    subscribed(&store, 2, "AAPL", at(-3600)).await;
    assert!(answered(&store, 13, refused(), at(780)).await);
    assert!(!answered(&store, 14, refused(), at(840)).await, "the third in a row");
    let other = alerts_of([AlertChange::Raised(alert("AAPL", MINUTE.plus(15)))]);
    assert_eq!(store.commit(&other, at(900)).await.unwrap().deliveries, 1);
}

pub async fn a_receiver_that_is_gone_ends_its_subscription_only(store: Shared) {
    let hook = "https://example.com/hook?key=ada";
    let gone = SignUp { confirm: false, ..sign_up(1, hook, "TSLA") };
    let stays = SignUp { confirm: false, ..sign_up(2, hook, "AAPL") };
    for asked in [&gone, &stays] {
        ask(&store, asked, UNLIMITED, at(-3600)).await;
    }
    for message in claim_all(&store, at(-3600)).await {
        settle(&store, &message, Outcome::Sent, at(-3600)).await;
    }
    for n in [0, 1] {
        let batch = ["TSLA", "AAPL"].map(|name| AlertChange::Raised(alert(name, MINUTE.plus(n))));
        store.commit(&alerts_of(batch), at(0)).await.unwrap();
    }
    let of_gone: Vec<Delivery> = claim_all(&store, at(1))
        .await
        .into_iter()
        .filter(|one| one.kind == DeliveryKind::Alert && one.subscription.id == gone.id)
        .collect();
    let [first, second] = &of_gone[..] else { panic!("{of_gone:?}") };
    assert!(settle(&store, first, Outcome::Gone(Failure::other("410")), at(2)).await);
    assert_eq!(status(&store, &gone).await, Some(SubscriptionStatus::Disabled));
    assert_eq!(status(&store, &stays).await, Some(SubscriptionStatus::Active));
    // What was under way ends by itself; nothing more is owed or handed out.
    assert!(settle(&store, second, Outcome::RetryAt(at(5), Failure::other("503")), at(3)).await);
    let next = ["TSLA", "AAPL"].map(|name| AlertChange::Raised(alert(name, MINUTE.plus(2))));
    assert_eq!(store.commit(&alerts_of(next), at(4)).await.unwrap().deliveries, 1);
    assert!(claim_all(&store, at(100)).await.iter().all(|one| one.subscription.id == stays.id));
    assert_eq!(store.outbox().await.unwrap().failed, 1);
    // It has ended like any other: not confirmed, not unsubscribed, but signed up for anew and forgotten in time.
    let ended = store.unsubscribe(&gone.hashes.unsubscribe, false, at(5)).await.unwrap().unwrap();
    assert_eq!(ended.status, SubscriptionStatus::Disabled);
    let confirmed = store.confirm(&gone.hashes.confirm, &Choice::Everything, at(5)).await.unwrap();
    assert!(matches!(confirmed, Confirmed::Ended(_)), "{confirmed:?}");
    let anew = SignUp { confirm: false, ..sign_up(3, hook, "TSLA") };
    ask(&store, &anew, UNLIMITED, at(6)).await;
    assert_eq!(status(&store, &anew).await, Some(SubscriptionStatus::Active));
    forget(&store, 30 * DAY + 3, 100).await;
    assert_eq!(status(&store, &gone).await, None);
    assert_eq!(status(&store, &anew).await, Some(SubscriptionStatus::Active));
}

pub async fn a_retraction_does_not_follow_to_a_receiver_that_is_gone(store: Shared) {
    let (raised, _) = one_owed(&store).await;
    let first = claim_one(&store, at(1)).await;
    assert!(settle(&store, &first, Outcome::RetryAt(at(10), Failure::other("503")), at(2)).await);
    let second = claim_one(&store, at(10)).await;
    assert_eq!(retract(&store, &raised, at(11)).await, 0);
    assert!(settle(&store, &second, Outcome::Gone(Failure::other("410")), at(12)).await);
    assert!(claim_all(&store, at(100)).await.is_empty());
    assert_eq!(outbox(&store).await, (0, 0, 1, 0, 0));
}

pub async fn a_webhook_is_subscribed_and_confirmed_like_an_address(store: Shared) {
    let limits = SignUpLimits::default();
    let asked = SignUp {
        rule: own_rule(),
        quiet: Some("22:00-07:00 Europe/Berlin".parse().unwrap()),
        ..sign_up(1, "https://Example.com/hook?key=1", "TSLA")
    };
    assert!(ask(&store, &asked, limits, at(0)).await);
    let message = claim_one(&store, at(1)).await;
    assert_eq!(
        (message.kind, message.id),
        (DeliveryKind::Confirmation, DeliveryId::of_confirmation(asked.id, 1))
    );
    assert_eq!(message.subscription.channel, asked.channel);
    assert_eq!((message.subscription.rule, &message.subscription.quiet), (asked.rule, &asked.quiet));
    // Throttled by the URL without its query; known by the whole of it, in whatever words.
    assert!(!ask(&store, &sign_up(2, "https://example.com/hook?key=2", "TSLA"), limits, at(2)).await);
    assert!(ask(&store, &sign_up(3, "https://example.com/other", "TSLA"), limits, at(2)).await);
    let Channel::Webhook(webhook) = asked.channel.clone() else { panic!("no webhook") };
    let same = SignUp {
        channel: Channel::Webhook(Webhook { format: WebhookFormat::Slack, ..webhook }),
        id: sign_up(4, "x@example.com", "TSLA").id,
        hashes: sign_up(4, "x@example.com", "TSLA").hashes,
        ..asked.clone()
    };
    ask(&store, &same, limits, at(3)).await;
    assert_eq!(status(&store, &same).await, None, "the same wish");
    assert_eq!(confirmed(&store, &asked, at(3)).await.channel, asked.channel);
}

pub async fn a_webhook_is_tried_for_a_day(store: Shared) {
    let asked = SignUp { confirm: false, ..sign_up(1, "https://example.com/hook", "TSLA") };
    ask(&store, &asked, UNLIMITED, at(-3600)).await;
    store.commit(&alerts_of([AlertChange::Raised(alert("TSLA", MINUTE))]), at(0)).await.unwrap();
    let told = claim_all(&store, at(22 * 3600)).await.into_iter().find(|one| one.alert.is_some()).unwrap();
    assert_eq!(told.expires_at, at(DAY));
    assert!(settle(&store, &told, Outcome::RetryAt(at(DAY), Failure::other("503")), at(23 * 3600)).await);
    assert_eq!(store.outbox().await.unwrap().expired, 1);
}

pub async fn without_confirmation_a_subscription_is_active_at_once(store: Shared) {
    let pending = sign_up(1, "ada@example.com", "TSLA");
    assert!(ask(&store, &pending, UNLIMITED, at(0)).await);
    let open = SignUp { confirm: false, ..sign_up(2, "bob@example.com", "TSLA") };
    assert!(!ask(&store, &open, UNLIMITED, at(0)).await);
    let found = store.subscription_of(Purpose::Manage, &open.hashes.manage).await.unwrap().unwrap();
    assert_eq!((found.status, found.active_from), (SubscriptionStatus::Active, Some(MINUTE.plus(1))));
    assert!(!ask(&store, &open, UNLIMITED, at(1)).await);
    assert_eq!(status(&store, &pending).await, Some(SubscriptionStatus::Pending));
    assert_eq!(status(&store, &open).await, Some(SubscriptionStatus::Active));
    // One that waited for its confirmation waits no longer.
    let open = SignUp { confirm: false, ..sign_up(3, "ada@example.com", "TSLA") };
    assert!(!ask(&store, &open, UNLIMITED, at(2)).await);
    assert_eq!(status(&store, &pending).await, Some(SubscriptionStatus::Active));
    assert_eq!(status(&store, &open).await, None);
}

pub async fn an_active_webhook_is_owed_the_message_that_tells_its_secret(store: Shared) {
    let limits = SignUpLimits::default();
    let hook = SignUp { confirm: false, ..sign_up(1, "https://example.com/hook", "TSLA") };
    assert!(ask(&store, &hook, limits, at(0)).await);
    assert_eq!(status(&store, &hook).await, Some(SubscriptionStatus::Active));
    let message = claim_one(&store, at(1)).await;
    assert_eq!((message.kind, message.subscription.id), (DeliveryKind::Confirmation, hook.id));
    assert_eq!(message.subscription.status, SubscriptionStatus::Active);
    assert!(settle(&store, &message, Outcome::Sent, at(2)).await);
    // Another wish at once: throttled like any other, and told in its turn.
    let other = SignUp { confirm: false, ..sign_up(2, "https://example.com/hook", "AAPL") };
    assert!(!ask(&store, &other, limits, at(3)).await);
    assert_eq!(status(&store, &other).await, Some(SubscriptionStatus::Active));
    assert_eq!(turns(&store, limits, 600).await, [2]);
    // Active: it knows.
    assert!(!ask(&store, &hook, limits, at(3000)).await);
}

pub async fn one_of_a_recipients_subscriptions_ends_or_all_of_them(store: Shared) {
    let asked = [
        ("Ada@example.com", "TSLA"),
        ("ada@example.com", "AAPL"),
        ("ada@example.com", "MSFT"),
        ("ada+x@example.com", "TSLA"),
        ("https://example.com/hook", "TSLA"),
    ];
    let asked: Vec<SignUp> = (1..)
        .zip(asked)
        .map(|(n, (receiver, name))| SignUp { confirm: n == 3, ..sign_up(n, receiver, name) })
        .collect();
    for one in &asked {
        ask(&store, one, UNLIMITED, at(-3600)).await;
    }
    let raised = ["TSLA", "AAPL"].map(|name| AlertChange::Raised(alert(name, MINUTE)));
    assert_eq!(store.commit(&alerts_of(raised), at(0)).await.unwrap().deliveries, 4);
    let statuses = async || {
        let mut live = Vec::new();
        for one in &asked {
            live.push(!status(&store, one).await.unwrap().has_ended());
        }
        live
    };
    let token = &asked[0].hashes.unsubscribe;
    store.unsubscribe(token, false, at(1)).await.unwrap().unwrap();
    assert_eq!(statuses().await, [false, true, true, true, true]);
    // Its link still ends the others.
    let ended = store.unsubscribe(token, true, at(2)).await.unwrap().unwrap();
    assert_eq!((ended.id, ended.status), (asked[0].id, SubscriptionStatus::Unsubscribed));
    assert_eq!(statuses().await, [false, false, false, true, true]);
    assert_eq!(outbox(&store).await, (3, 0, 0, 0, 3), "two alerts and a confirmation are cancelled");
    assert!(claim_all(&store, at(3)).await.iter().all(|one| !one.subscription.status.has_ended()));
}

/// Changes the subscription of a sign-up.
async fn amend(store: &Shared, sign_up: &SignUp, change: SubscriptionChange, now: Timestamp) -> Subscription {
    let amended = store.amend(&sign_up.hashes.manage, &change, now).await.unwrap();
    let Amended::Changed(changed) = amended else { panic!("{amended:?}") };
    let kept = store.subscription_of(Purpose::Manage, &sign_up.hashes.manage).await.unwrap();
    assert_eq!(kept.as_ref(), Some(&changed));
    assert_eq!(
        store.amend(&sign_up.hashes.manage, &SubscriptionChange::default(), now).await.unwrap(),
        Amended::Changed(changed.clone())
    );
    changed
}

pub async fn a_changed_rule_is_told_of_instead(store: Shared) {
    let asked = subscribed(&store, 1, "TSLA", at(-3600)).await;
    let raised = alerts_of([AlertChange::Raised(alert("TSLA", MINUTE))]);
    store.commit(&raised, at(0)).await.unwrap();
    let changed =
        amend(&store, &asked, SubscriptionChange { rule: Some(own_rule()), ..Default::default() }, at(1))
            .await;
    assert_eq!((changed.id, changed.rule), (asked.id, own_rule()));
    // What the new rule has raised before, for others, is none of its business.
    assert_eq!(changed.active_from, Some(MINUTE.plus(2)));
    for (rule, expected) in [(RuleName::House, 0), (own_rule(), 1)] {
        let start = MINUTE.plus(2);
        let id = AlertId::derive(rule, symbol("TSLA"), Metric::Volume, start);
        let batch = alerts_of([AlertChange::Raised(Alert { id, rule, ..alert("TSLA", start) })]);
        assert_eq!(store.commit(&batch, at(60)).await.unwrap().deliveries, expected, "{rule}");
    }
    // What was owed before still is.
    assert_eq!(claim_all(&store, at(61)).await.len(), 2);
}

pub async fn a_rule_that_is_subscribed_already_is_a_conflict(store: Shared) {
    let one = subscribed(&store, 1, "TSLA", at(0)).await;
    let other = SignUp { rule: own_rule(), ..sign_up(2, "S1@example.com", "TSLA") };
    ask(&store, &other, UNLIMITED, at(0)).await;
    let wanted = SubscriptionChange { rule: Some(own_rule()), rotate_secret: true, ..Default::default() };
    let before = store.subscription_of(Purpose::Manage, &one.hashes.manage).await.unwrap();
    assert_eq!(store.amend(&one.hashes.manage, &wanted, at(1)).await.unwrap(), Amended::Conflict);
    assert_eq!(store.subscription_of(Purpose::Manage, &one.hashes.manage).await.unwrap(), before);
    // Its own rule is none, nor is that of one that has ended.
    let own = SubscriptionChange { rule: Some(RuleName::House), ..Default::default() };
    amend(&store, &one, own, at(2)).await;
    store.unsubscribe(&other.hashes.unsubscribe, false, at(3)).await.unwrap();
    assert_eq!(amend(&store, &one, wanted, at(4)).await.rule, own_rule());
}

pub async fn quiet_hours_are_set_and_ended(store: Shared) {
    let asked = subscribed(&store, 1, "TSLA", at(0)).await;
    let quiet: QuietHours = "22:00-07:00 Europe/Berlin".parse().unwrap();
    for wanted in [Some(quiet.clone()), None, Some(quiet)] {
        let change = SubscriptionChange { quiet: Some(wanted.clone()), ..Default::default() };
        assert_eq!(amend(&store, &asked, change, at(1)).await.quiet, wanted);
    }
    let other = SubscriptionChange { rotate_secret: true, ..Default::default() };
    assert!(amend(&store, &asked, other, at(2)).await.quiet.is_some(), "it stays");
}

/// A change that pauses until then, or resumes.
fn pause(until: Option<Timestamp>) -> SubscriptionChange {
    SubscriptionChange { paused_until: Some(until), ..Default::default() }
}

pub async fn a_pause_cancels_what_is_owed_and_nothing_of_it_is_told_later(store: Shared) {
    let (told, asked) = one_owed(&store).await;
    let sent = claim_one(&store, at(1)).await;
    settle(&store, &sent, Outcome::Sent, at(2)).await;
    let raise = async |n: i32, seconds: i64| {
        let batch = alerts_of([AlertChange::Raised(alert("TSLA", MINUTE.plus(n)))]);
        store.commit(&batch, at(seconds)).await.unwrap().deliveries
    };
    assert_eq!(raise(1, 60).await, 1);
    assert_eq!(amend(&store, &asked, pause(Some(at(600))), at(70)).await.paused_until, Some(at(600)));
    assert_eq!(outbox(&store).await, (0, 1, 0, 0, 1));
    assert_eq!(raise(2, 120).await, 0);
    assert_eq!(raise(3, 599).await, 0);
    assert_eq!(retract(&store, &told, at(599)).await, 0, "nor a retraction");
    // It ends by itself at its time; without one, when it is told to.
    assert_eq!(raise(4, 600).await, 1);
    assert_eq!(
        amend(&store, &asked, pause(Some(Timestamp::MAX)), at(610)).await.paused_until,
        Some(Timestamp::MAX)
    );
    assert_eq!(raise(5, 900_000).await, 0);
    assert_eq!(amend(&store, &asked, pause(None), at(900_001)).await.paused_until, None);
    assert!(claim_all(&store, at(900_002)).await.is_empty());
    assert_eq!(raise(6, 900_003).await, 1);
    // A pause that is over before it begins is none.
    amend(&store, &asked, pause(Some(at(900_004))), at(900_004)).await;
    assert_eq!(claim_all(&store, at(900_005)).await.len(), 1);
}

pub async fn a_pause_leaves_the_confirmation_and_what_is_under_way(store: Shared) {
    let asked = sign_up(7, "ada@example.com", "TSLA");
    ask(&store, &asked, UNLIMITED, at(0)).await;
    amend(&store, &asked, pause(Some(at(600))), at(1)).await;
    assert_eq!(claim_one(&store, at(2)).await.kind, DeliveryKind::Confirmation);

    let (_, owed) = one_owed(&store).await;
    let accepted = claim_one(&store, at(3)).await;
    amend(&store, &owed, pause(Some(at(600))), at(4)).await;
    assert!(settle(&store, &accepted, Outcome::Sent, at(5)).await);
    amend(&store, &owed, pause(None), at(6)).await;
    store.commit(&alerts_of([AlertChange::Raised(alert("TSLA", MINUTE.plus(1)))]), at(7)).await.unwrap();
    let refused = claim_one(&store, at(8)).await;
    amend(&store, &owed, pause(Some(at(600))), at(9)).await;
    assert!(settle(&store, &refused, Outcome::RetryAt(at(20), Failure::other("451")), at(10)).await);
    assert!(claim_all(&store, at(21)).await.is_empty(), "it is not tried again");
    assert_eq!(store.outbox().await.unwrap().cancelled, 1);
}

pub async fn a_secret_is_rotated_generation_by_generation(store: Shared) {
    let asked = SignUp { confirm: false, ..sign_up(1, "https://example.com/hook", "TSLA") };
    ask(&store, &asked, UNLIMITED, at(0)).await;
    for n in 1..4 {
        let change = SubscriptionChange { rotate_secret: true, ..Default::default() };
        let changed = amend(&store, &asked, change, at(i64::from(n))).await;
        assert_eq!((changed.secret_generation, changed.secret_rotated_at), (n, Some(at(i64::from(n)))));
    }
}

pub async fn what_has_ended_cannot_be_changed(store: Shared) {
    let asked = subscribed(&store, 1, "TSLA", at(0)).await;
    let ended = store.unsubscribe(&asked.hashes.unsubscribe, false, at(1)).await.unwrap().unwrap();
    let change = SubscriptionChange { rule: Some(own_rule()), rotate_secret: true, ..Default::default() };
    assert_eq!(store.amend(&asked.hashes.manage, &change, at(2)).await.unwrap(), Amended::Ended(ended));
    // The other tokens change nothing, nor does a stranger's.
    for token in
        [asked.hashes.unsubscribe, asked.hashes.confirm, sign_up(2, "eve@example.com", "TSLA").hashes.manage]
    {
        assert_eq!(store.amend(&token, &change, at(3)).await.unwrap(), Amended::Unknown);
    }
}

pub async fn what_own_rules_watch_is_told_with_its_version(store: Shared) {
    let own = |n: u16, name: &str, rule: &str| SignUp {
        rule: rule.parse().unwrap(),
        ..sign_up(n, &format!("s{n}@example.com"), name)
    };
    let rule = |text: &str| text.parse::<Rule>().unwrap();
    let mut version = store.watch_version().await.unwrap();
    assert_eq!(store.watched().await.unwrap(), Watched { version, watches: Vec::new() });
    let (z, cross) = ("zscore z=4", "cross above=200");
    let asked = [own(1, "TSLA", z), own(2, "TSLA", z), own(3, "TSLA", cross), own(4, "AAPL", z)];
    let mut expected: Vec<(Symbol, Metric, Rule)> = Vec::new();
    // Answers whether the version has changed, and checks what is watched.
    let mut look = async |watches: &[(&str, &str)]| {
        expected = watches.iter().map(|(name, text)| (symbol(name), Metric::Volume, rule(text))).collect();
        let watched = store.watched().await.unwrap();
        assert_eq!(watched.version, store.watch_version().await.unwrap());
        assert_eq!(watched.watches.len(), expected.len(), "{watched:?}");
        assert!(expected.iter().all(|one| watched.watches.contains(one)), "{watched:?}");
        assert!(watched.version >= version);
        std::mem::replace(&mut version, watched.version) != watched.version
    };
    for one in &asked {
        ask(&store, one, UNLIMITED, at(0)).await;
    }
    subscribed(&store, 5, "TSLA", at(0)).await;
    assert!(!look(&[]).await, "nobody has confirmed, and the house rule is no own one");
    store.confirm(&asked[0].hashes.confirm, &Choice::Everything, at(1)).await.unwrap();
    assert!(look(&[("TSLA", z)]).await);
    for one in &asked[1..] {
        store.confirm(&one.hashes.confirm, &Choice::Everything, at(1)).await.unwrap();
    }
    assert!(look(&[("TSLA", z), ("TSLA", cross), ("AAPL", z)]).await);
    // What does not concern it.
    amend(&store, &asked[0], pause(Some(at(99))), at(2)).await;
    store.commit(&full_batch(), at(2)).await.unwrap();
    assert!(!look(&[("TSLA", z), ("TSLA", cross), ("AAPL", z)]).await);
    store.unsubscribe(&asked[3].hashes.unsubscribe, false, at(3)).await.unwrap();
    assert!(look(&[("TSLA", z), ("TSLA", cross)]).await);
    let house = SubscriptionChange { rule: Some(RuleName::House), ..Default::default() };
    amend(&store, &asked[2], house, at(4)).await;
    assert!(look(&[("TSLA", z)]).await);
    let back = SubscriptionChange { rule: Some(cross.parse().unwrap()), ..Default::default() };
    amend(&store, &asked[2], back, at(5)).await;
    assert!(look(&[("TSLA", z), ("TSLA", cross)]).await);
    store.disable(&Selection::One(asked[2].id), at(6)).await.unwrap();
    assert!(look(&[("TSLA", z)]).await);
    store.erase("s1@example.com").await.unwrap();
    store.erase("s2@example.com").await.unwrap();
    assert!(look(&[]).await);
    let active = SignUp { confirm: false, ..own(9, "TSLA", cross) };
    ask(&store, &active, UNLIMITED, at(7)).await;
    assert!(look(&[("TSLA", cross)]).await);
}

/// An own rule of a number.
fn own(n: u16) -> RuleName {
    format!("spike ratio={}", n + 2).parse().unwrap()
}

/// A sign-up that is active at once, by an own rule.
fn at_once(n: u16, receiver: &str, name: &str, rule: RuleName) -> SignUp {
    SignUp { confirm: false, rule, ..sign_up(n, receiver, name) }
}

fn beyond<T: fmt::Debug>(result: Result<T, StoreError>) -> LimitExceeded {
    match result {
        Err(StoreError::BeyondLimit(limit)) => limit,
        other => panic!("not beyond a limit: {other:?}"),
    }
}

async fn active(store: &Shared) -> usize {
    let all = store.subscriptions(&SubscriptionQuery { limit: 999, ..Default::default() }).await.unwrap();
    all.iter().filter(|one| one.status == SubscriptionStatus::Active).count()
}

/// Confirms all that waits for a sign-up's receiver: how many became active, and why others did not.
async fn confirm_all(store: &Shared, sign_up: &SignUp) -> (usize, Vec<LimitExceeded>) {
    let confirmed = store.confirm(&sign_up.hashes.confirm, &Choice::Everything, at(60)).await.unwrap();
    let Confirmed::Settled { activated, refused, .. } = confirmed else { panic!("{confirmed:?}") };
    (activated.len(), refused.into_iter().map(|(_, limit)| limit).collect())
}

const ADA: &str = "ada@example.com";

pub async fn what_a_receiver_has_active_is_limited(store: Shared) {
    store.hold_to(SubscriptionLimits { per_receiver: 3, rules_per_receiver: 2, ..Default::default() });
    let subscribe = async |sign_up: &SignUp| store.subscribe(sign_up, UNLIMITED, at(0)).await;
    let first = at_once(1, ADA, "TSLA", own(1));
    subscribe(&first).await.unwrap();
    subscribe(&at_once(2, "Ada@Example.com", "AAPL", own(2))).await.unwrap();
    let third = at_once(3, ADA, "NVDA", own(3));
    assert_eq!(beyond(subscribe(&third).await), LimitExceeded::RulesPerReceiver(2));
    assert_eq!(status(&store, &third).await, None, "a trace of what was refused");
    // A rule it has, on another symbol; then nothing more, whatever the rule.
    subscribe(&at_once(4, ADA, "NVDA", own(1))).await.unwrap();
    let house = SignUp { confirm: false, ..sign_up(5, ADA, "MSFT") };
    assert_eq!(beyond(subscribe(&house).await), LimitExceeded::PerReceiver(3));
    subscribe(&at_once(6, "bob@example.com", "MSFT", own(3))).await.unwrap();

    // Who confirms is held to the same, for each, and can once there is room.
    let asked = [sign_up(7, ADA, "GOOG"), sign_up(8, ADA, "META")];
    for one in &asked {
        ask(&store, one, UNLIMITED, at(0)).await;
    }
    let full = LimitExceeded::PerReceiver(3);
    assert_eq!(confirm_all(&store, &asked[0]).await, (0, vec![full; 2]));
    store.unsubscribe(&first.hashes.unsubscribe, false, at(2)).await.unwrap();
    assert_eq!(confirm_all(&store, &asked[0]).await, (1, vec![full]));
    let mut statuses = [status(&store, &asked[0]).await, status(&store, &asked[1]).await];
    statuses.sort_by_key(|one| one.map(SubscriptionStatus::as_str));
    assert_eq!(statuses, [Some(SubscriptionStatus::Active), Some(SubscriptionStatus::Pending)]);

    // And who changes a rule, of which there come to be no more subscriptions.
    let change = |rule| SubscriptionChange { rule: Some(rule), ..Default::default() };
    let second = at_once(2, ADA, "AAPL", own(2));
    amend(&store, &second, change(own(9)), at(3)).await;
    store.hold_to(SubscriptionLimits { per_receiver: 1, rules_per_receiver: 1, ..Default::default() });
    let amended = store.amend(&second.hashes.manage, &change(own(10)), at(3)).await;
    assert_eq!(beyond(amended), LimitExceeded::RulesPerReceiver(1));
    amend(&store, &second, change(own(1)), at(3)).await;
}

pub async fn own_rules_in_force_are_limited_and_shared(store: Shared) {
    store.hold_to(SubscriptionLimits { rules: 2, ..Default::default() });
    let subscribe = async |sign_up: &SignUp| store.subscribe(sign_up, UNLIMITED, at(0)).await;
    subscribe(&at_once(1, "s1@example.com", "TSLA", own(1))).await.unwrap();
    let last = at_once(2, "s2@example.com", "TSLA", own(2));
    subscribe(&last).await.unwrap();
    for (sign_up, is_beyond) in [
        (at_once(3, "s3@example.com", "TSLA", own(3)), true),
        // Another symbol or metric is judged, too.
        (at_once(4, "s4@example.com", "AAPL", own(1)), true),
        (SignUp { metric: Metric::Price, ..at_once(5, "s5@example.com", "TSLA", own(1)) }, true),
        // What is judged already costs nothing, and what the house has judged neither.
        (at_once(6, "s6@example.com", "TSLA", own(1)), false),
        (SignUp { confirm: false, ..sign_up(7, "s7@example.com", "TSLA") }, false),
        // Who has to confirm learns it at once.
        (SignUp { confirm: true, ..at_once(8, "s8@example.com", "TSLA", own(3)) }, true),
        (SignUp { confirm: true, ..at_once(9, "s9@example.com", "TSLA", own(2)) }, false),
    ] {
        let answer = subscribe(&sign_up).await;
        if is_beyond {
            assert_eq!(beyond(answer), LimitExceeded::Rules(2), "{sign_up:?}");
        } else {
            answer.unwrap();
        }
    }
    // A rule may take the place of the one it replaces.
    let change = SubscriptionChange { rule: Some(own(5)), ..Default::default() };
    amend(&store, &last, change, at(1)).await;
    store.unsubscribe(&last.hashes.unsubscribe, false, at(2)).await.unwrap();
    subscribe(&at_once(10, "s10@example.com", "AAPL", own(7))).await.unwrap();
    assert_eq!(store.watched().await.unwrap().watches.len(), 2);
}

pub async fn a_rule_of_the_houses_is_counted_for_nobody(store: Shared) {
    let RuleName::Own(rule) = own(1) else { panic!("not an own rule") };
    let house = vec![Watch { rule, metric: Metric::Volume }];
    let limits = SubscriptionLimits { rules_per_receiver: 1, house, ..Default::default() };
    store.hold_to(limits.clone());
    let subscribe = async |sign_up: &SignUp| store.subscribe(sign_up, UNLIMITED, at(0)).await;
    for (n, name) in (0..).zip(["TSLA", "AAPL", "NVDA"]) {
        subscribe(&at_once(n, ADA, name, own(1))).await.unwrap();
    }
    subscribe(&at_once(7, ADA, "TSLA", own(2))).await.unwrap();
    let more = subscribe(&at_once(8, ADA, "TSLA", own(3))).await;
    assert_eq!(beyond(more), LimitExceeded::RulesPerReceiver(1));
    store.hold_to(SubscriptionLimits { rules: 1, ..limits });
    let more = subscribe(&at_once(9, "bob@example.com", "TSLA", own(3))).await;
    assert_eq!(beyond(more), LimitExceeded::Rules(1));
    subscribe(&at_once(10, "bob@example.com", "MSFT", own(1))).await.unwrap();
}

pub async fn a_sign_up_tells_of_no_receivers_limits(store: Shared) {
    store.hold_to(SubscriptionLimits { per_receiver: 1, rules_per_receiver: 1, ..Default::default() });
    store.subscribe(&at_once(1, ADA, "TSLA", own(1)), UNLIMITED, at(0)).await.unwrap();
    for (n, receiver) in [(2, ADA), (3, "stranger@example.com")] {
        let asked = SignUp { rule: own(2), ..sign_up(n, receiver, "NVDA") };
        assert!(ask(&store, &asked, UNLIMITED, at(1)).await, "{receiver}");
    }
}

pub async fn sign_ups_at_the_same_time_do_not_pass_a_limit(store: Shared) {
    store.hold_to(SubscriptionLimits { rules: 5, ..Default::default() });
    // Different receivers, different rules.
    let mut asking = Vec::new();
    for n in 0..20 {
        let store = Arc::clone(&store);
        asking.push(tokio::spawn(async move {
            let one = at_once(n, &format!("s{n}@example.com"), "TSLA", own(n));
            store.subscribe(&one, UNLIMITED, at(0)).await
        }));
    }
    let mut refused = 0;
    for asked in asking {
        match asked.await.unwrap() {
            Ok(_) => {}
            other => {
                assert_eq!(beyond(other), LimitExceeded::Rules(5));
                refused += 1;
            }
        }
    }
    assert_eq!((refused, active(&store).await), (15, 5));
}

pub async fn confirmations_at_the_same_time_do_not_pass_a_limit(store: Shared) {
    store.hold_to(SubscriptionLimits { per_receiver: 3, rules: 7, ..Default::default() });
    // Four receivers of five pending each, all by rules of their own.
    let asked: Vec<SignUp> = (0..20)
        .map(|n| SignUp { rule: own(n), ..sign_up(n, &format!("s{}@example.com", n % 4), "TSLA") })
        .collect();
    for one in &asked {
        ask(&store, one, UNLIMITED, at(1)).await;
    }
    let mut confirming = Vec::new();
    for one in asked {
        let store = Arc::clone(&store);
        let choice = Choice::Ticked { ticked: vec![one.id], shown: vec![one.id] };
        confirming
            .push(tokio::spawn(async move { store.confirm(&one.hashes.confirm, &choice, at(2)).await }));
    }
    for one in confirming {
        let confirmed = one.await.unwrap().unwrap();
        let Confirmed::Settled { activated, refused, .. } = confirmed else { panic!("{confirmed:?}") };
        assert_eq!(activated.len() + refused.len(), 1);
    }
    assert_eq!(active(&store).await, 7);
    let all = store.subscriptions(&SubscriptionQuery { limit: 99, ..Default::default() }).await.unwrap();
    for receiver in 0..4 {
        let key = format!("s{receiver}@example.com");
        let of_receiver =
            all.iter().filter(|one| one.channel.key() == key && one.status == SubscriptionStatus::Active);
        assert!(of_receiver.count() <= 3);
    }
}

pub async fn subscriptions_are_listed_in_pages(store: Shared) {
    let mut asked = Vec::new();
    for n in 0..12 {
        let receiver = ["ada@example.com", "https://example.com/hook", "bob@example.com"][usize::from(n) % 3];
        let one = sign_up(n, receiver, &format!("S{n}"));
        ask(&store, &one, UNLIMITED, at(0)).await;
        asked.push(one);
    }
    store.unsubscribe(&asked[0].hashes.unsubscribe, false, at(1)).await.unwrap();
    for address in [None, Some("ada@example.com"), Some("https://example.com/hook"), Some("eve@example.com")]
    {
        let mut expected: Vec<SubscriptionId> = asked
            .iter()
            .filter(|one| address.is_none_or(|address| one.channel.key() == address))
            .map(|one| one.id)
            .collect();
        expected.sort();
        for limit in [1, 3, 100] {
            let mut query = SubscriptionQuery { address: address.map(str::to_owned), after: None, limit };
            let mut seen = Vec::new();
            loop {
                let page = store.subscriptions(&query).await.unwrap();
                assert!(page.len() <= limit);
                let Some(last) = page.last() else { break };
                query.after = Some(last.id);
                seen.extend(page.into_iter().map(|one| one.id));
            }
            assert_eq!(seen, expected, "{address:?} in pages of {limit}");
        }
    }
}

pub async fn an_operator_disables_one_or_all_of_a_recipient(store: Shared) {
    let asked: Vec<SignUp> = (0..4)
        .map(|n| {
            let email = if n < 3 { "Ada@example.com" } else { "bob@example.com" };
            SignUp { confirm: false, ..sign_up(n, email, ["TSLA", "AAPL", "MSFT"][usize::from(n) % 3]) }
        })
        .collect();
    for one in &asked {
        ask(&store, one, UNLIMITED, at(-3600)).await;
    }
    let raised = ["TSLA", "AAPL", "MSFT"].map(|name| AlertChange::Raised(alert(name, MINUTE)));
    assert_eq!(store.commit(&alerts_of(raised), at(0)).await.unwrap().deliveries, 4);
    let stranger = Selection::One(sign_up(9, "eve@example.com", "TSLA").id);
    assert_eq!(store.disable(&stranger, at(1)).await.unwrap(), 0);
    for expected in [1, 0] {
        assert_eq!(store.disable(&Selection::One(asked[0].id), at(1)).await.unwrap(), expected);
    }
    for expected in [2, 0] {
        let all = Selection::Of("ada@example.com".to_owned());
        assert_eq!(store.disable(&all, at(2)).await.unwrap(), expected);
    }
    for one in &asked[..3] {
        assert_eq!(status(&store, one).await, Some(SubscriptionStatus::Disabled));
    }
    assert_eq!(claim_one(&store, at(3)).await.subscription.id, asked[3].id);
    assert_eq!(store.outbox().await.unwrap().cancelled, 3);
}

pub async fn erasing_a_recipient_leaves_nothing_of_it(store: Shared) {
    let ada = SignUp { confirm: false, ..sign_up(1, "Ada@example.com", "TSLA") };
    ask(&store, &ada, UNLIMITED, at(-3600)).await;
    let other = subscribed(&store, 2, "AAPL", at(-3600)).await;
    for n in 0..3 {
        assert!(answered(&store, n, Outcome::Failed(Failure::other("550")), at(60 * i64::from(n))).await);
    }
    assert!(!answered(&store, 3, Outcome::Sent, at(180)).await, "suppressed");
    let waiting = alerts_of([AlertChange::Raised(alert("AAPL", MINUTE))]);
    store.commit(&waiting, at(181)).await.unwrap();
    assert_eq!(store.erase("ada@example.com").await.unwrap(), 1);
    assert_eq!(store.erase("ada@example.com").await.unwrap(), 0);
    assert_eq!(status(&store, &ada).await, None);
    assert_eq!(outbox(&store).await, (1, 0, 0, 0, 0), "that of the other");
    assert_eq!(status(&store, &other).await, Some(SubscriptionStatus::Active));
    // Whoever was erased is a stranger, not somebody who is left alone.
    let again = sign_up(3, "ada@example.com", "TSLA");
    assert!(ask(&store, &again, SignUpLimits::default(), at(200)).await);
    // What is under way is settled by nobody.
    let mail = claim_all(&store, at(201)).await.into_iter().find(|one| one.alert.is_none()).unwrap();
    store.erase("ada@example.com").await.unwrap();
    assert!(!settle(&store, &mail, Outcome::Sent, at(202)).await);
}

pub async fn deliveries_are_listed_newest_first_with_their_reasons(store: Shared) {
    let ada = SignUp { confirm: false, ..sign_up(1, "Ada@example.com", "TSLA") };
    ask(&store, &ada, UNLIMITED, at(-3600)).await;
    let bob = SignUp { confirm: false, ..sign_up(2, "https://example.com/hook", "AAPL") };
    ask(&store, &bob, UNLIMITED, at(-3600)).await;
    let message = claim_one(&store, at(-3599)).await;
    settle(&store, &message, Outcome::Failed(Failure::other("404 for the webhook")), at(-3598)).await;
    for n in 0..6 {
        // Two at a time, so that some are of the same moment.
        let batch = ["TSLA", "AAPL"].map(|name| AlertChange::Raised(alert(name, MINUTE.plus(n))));
        store.commit(&alerts_of(batch), at(i64::from(n / 2))).await.unwrap();
    }
    let mut claimed = claim_all(&store, at(10)).await;
    while let Some(delivery) = claimed.pop() {
        let outcome = match delivery.subscription.id == ada.id {
            true => Outcome::Sent,
            false => Outcome::RetryAt(Timestamp::MAX, Failure::other("503 for the webhook")),
        };
        settle(&store, &delivery, outcome, at(11)).await;
        claimed.extend(claim_all(&store, at(11)).await);
    }
    let ada_key = Some("ada@example.com".to_owned());
    for (state, address, expected) in [
        (DeliveryState::Sent, None, 6),
        (DeliveryState::Sent, ada_key.clone(), 6),
        (DeliveryState::Expired, None, 6),
        (DeliveryState::Expired, ada_key, 0),
        (DeliveryState::Failed, Some("https://example.com/hook".to_owned()), 1),
        (DeliveryState::Pending, None, 0),
    ] {
        for limit in [1, 4, 100] {
            let mut query = DeliveryQuery { state, address: address.clone(), after: None, limit };
            let mut seen: Vec<DeliveryRecord> = Vec::new();
            loop {
                let page = store.deliveries(&query).await.unwrap();
                assert!(page.len() <= limit);
                let Some(last) = page.last() else { break };
                query.after = Some((last.created_at, last.id));
                seen.extend(page);
            }
            assert_eq!(seen.len(), expected, "{query:?}");
            assert!(seen.is_sorted_by_key(|one| std::cmp::Reverse((one.created_at, one.id))));
            for one in &seen {
                assert_eq!((one.state, one.attempts), (state, 1));
                assert_eq!(one.reason.is_some(), state != DeliveryState::Sent, "{one:?}");
                assert!(one.settled_at.is_some());
                let alerts = one.kind != DeliveryKind::Confirmation;
                assert_eq!(one.alert.is_some(), alerts);
            }
        }
    }
}

pub async fn what_failed_or_expired_is_owed_again_and_nothing_else(store: Shared) {
    subscribed(&store, 1, "TSLA", at(-3600)).await;
    let outcomes = [
        Outcome::Failed(Failure::other("550")),
        Outcome::RetryAt(Timestamp::MAX, Failure::other("451")),
        Outcome::Sent,
        Outcome::RetryAt(at(90_000), Failure::other("451")),
    ];
    let mut ids = Vec::new();
    for (n, outcome) in (0..).zip(outcomes) {
        let raised = alert("TSLA", MINUTE.plus(n));
        store.commit(&alerts_of([AlertChange::Raised(raised.clone())]), at(0)).await.unwrap();
        let delivery = claim_one(&store, at(1)).await;
        // The last one waits for its retraction to cancel it.
        let outcome = if n == 3 { Outcome::RetryAt(at(60), Failure::other("451")) } else { outcome };
        settle(&store, &delivery, outcome, at(2)).await;
        if n == 3 {
            assert_eq!(
                store.replay(delivery.id, at(3)).await.unwrap(),
                Replayed::Refused(DeliveryState::Pending)
            );
            retract(&store, &raised, at(3)).await;
            let follow_up = claim_one(&store, at(4)).await;
            settle(&store, &follow_up, Outcome::Sent, at(4)).await;
        }
        ids.push(delivery.id);
    }
    let refused = Replayed::Refused;
    assert_eq!(store.replay(ids[2], at(5)).await.unwrap(), refused(DeliveryState::Sent));
    assert_eq!(store.replay(ids[3], at(5)).await.unwrap(), refused(DeliveryState::Cancelled));
    let unknown = DeliveryId::of_digest(ids[0]);
    assert_eq!(store.replay(unknown, at(5)).await.unwrap(), Replayed::Unknown);
    assert_eq!(outbox(&store).await, (0, 2, 1, 1, 1));
    // Long past its first expiry, and once for each wish.
    let now = at(50_000);
    for id in &ids[..2] {
        assert_eq!(store.replay(*id, now).await.unwrap(), Replayed::Owed);
        assert_eq!(store.replay(*id, now).await.unwrap(), refused(DeliveryState::Pending));
    }
    assert_eq!(outbox(&store).await, (2, 2, 0, 0, 1));
    let again = claim_all(&store, now).await;
    assert_eq!(again.iter().map(|one| one.id).collect::<BTreeSet<_>>(), ids[..2].iter().copied().collect());
    for delivery in &again {
        assert_eq!(delivery.attempt, 2);
        assert_eq!(
            delivery.expires_at,
            now + SignedDuration::from_secs(DeliveryKind::Alert.lifetime_seconds())
        );
        assert!(settle(&store, delivery, Outcome::Sent, now).await);
    }
    assert_eq!(outbox(&store).await, (0, 4, 0, 0, 1));
}

pub async fn nothing_is_owed_again_to_what_has_ended(store: Shared) {
    let (_, ended) = one_owed(&store).await;
    let delivery = claim_one(&store, at(1)).await;
    settle(&store, &delivery, Outcome::Failed(Failure::other("550")), at(2)).await;
    store.unsubscribe(&ended.hashes.unsubscribe, false, at(3)).await.unwrap();
    assert_eq!(store.replay(delivery.id, at(4)).await.unwrap(), Replayed::Ended);
    let gone = SignUp { confirm: false, ..sign_up(2, "https://example.com/hook", "TSLA") };
    ask(&store, &gone, UNLIMITED, at(5)).await;
    let delivery = claim_one(&store, at(6)).await;
    settle(&store, &delivery, Outcome::Gone(Failure::other("410")), at(7)).await;
    assert_eq!(store.replay(delivery.id, at(8)).await.unwrap(), Replayed::Ended);
    assert_eq!(outbox(&store).await, (0, 0, 2, 0, 0));
}

async fn begins(store: &Shared, n: u16, now: Timestamp) -> Minute {
    let sign_up = subscribed(store, n, "TSLA", now).await;
    let found = store.subscription_of(Purpose::Manage, &sign_up.hashes.manage).await.unwrap().unwrap();
    found.active_from.unwrap()
}

pub async fn on_a_live_feed_a_subscription_begins_with_the_next_minute(store: Shared) {
    let next = MINUTE.plus(1);
    assert_eq!(begins(&store, 1, next.start()).await, next, "before any feed");
    assert_eq!(begins(&store, 2, next.start() + SignedDuration::from_micros(1)).await, next.plus(1));
    let batch = Batch { feed: Some(feed_status(FeedMode::Live, at(-9999))), ..Batch::default() };
    store.commit(&batch, at(0)).await.unwrap();
    assert_eq!(begins(&store, 3, next.start()).await, next);
    assert_eq!(begins(&store, 4, next.end() - SignedDuration::from_micros(1)).await, next.plus(1));
}

pub async fn on_a_simulated_feed_a_subscription_begins_with_the_feeds_clock(store: Shared) {
    for (n, mode) in [(1, FeedMode::Simulated), (2, FeedMode::Replayed)] {
        // The end of its newest bar.
        let clock = MINUTE.plus(i32::from(n) * 1000).end();
        let batch = Batch { feed: Some(feed_status(mode, clock)), ..Batch::default() };
        store.commit(&batch, at(0)).await.unwrap();
        assert_eq!(begins(&store, n, at(0)).await.start(), clock);
    }
}

pub async fn whoever_comes_before_the_first_word_of_a_tape_begins_with_its_clock(store: Shared) {
    let sign_up = subscribed(&store, 1, "TSLA", at(0)).await;
    // Years before the wall clock, then years after it: only the first word counts.
    for clock in [MINUTE.plus(-1_000_000).end(), MINUTE.plus(1_000_000).end()] {
        let batch = Batch { feed: Some(feed_status(FeedMode::Replayed, clock)), ..Batch::default() };
        store.commit(&batch, at(1)).await.unwrap();
        let found = store.subscription_of(Purpose::Manage, &sign_up.hashes.manage).await.unwrap().unwrap();
        assert_eq!(found.active_from, Some(MINUTE.plus(-999_999)));
    }
}

pub async fn whoever_comes_before_the_first_word_of_a_live_feed_begins_by_the_wall_clock(store: Shared) {
    let sign_up = subscribed(&store, 1, "TSLA", MINUTE.start()).await;
    let batch = Batch { feed: Some(feed_status(FeedMode::Live, at(-9999))), ..Batch::default() };
    store.commit(&batch, at(1)).await.unwrap();
    let found = store.subscription_of(Purpose::Manage, &sign_up.hashes.manage).await.unwrap().unwrap();
    assert_eq!(found.active_from, Some(MINUTE));
}

pub async fn a_bar_is_replaced_by_its_revision(store: Shared) {
    let first = bar("TSLA", MINUTE, 100);
    assert_eq!(store.commit(&bars_of([first]), at(0)).await.unwrap().sequence, Sequence(1));
    let mut second = bar("TSLA", MINUTE, 101);
    second.revision = 1;
    assert_eq!(store.commit(&bars_of([second]), at(1)).await.unwrap().sequence, Sequence(2));
    assert_eq!(store.commit(&bars_of([second]), at(2)).await.unwrap().sequence, Sequence(2));
    let range = Minute::MIN..Minute::MAX;
    assert_eq!(store.bars(symbol("TSLA"), range.clone(), 10).await.unwrap(), [second]);
    // Each field by itself is a difference.
    let mut record = second;
    for change in [
        (|bar: &mut Bar| bar.open = "1.02".parse().unwrap()) as fn(&mut Bar),
        |bar| bar.high = "1.03".parse().unwrap(),
        |bar| bar.low = "0.9".parse().unwrap(),
        |bar| bar.close = "0.95".parse().unwrap(),
        |bar| bar.volume = Volume::MAX,
        |bar| bar.vwap = Some(Price::MAX),
        |bar| bar.vwap = None,
        |bar| bar.trades = Some(u32::MAX),
        |bar| bar.trades = None,
        |bar| bar.feed = "sip".parse().unwrap(),
    ] {
        let before = store.sequence().await.unwrap();
        change(&mut record.bar);
        store.commit(&bars_of([record]), at(3)).await.unwrap();
        assert_eq!(store.bars(symbol("TSLA"), range.clone(), 10).await.unwrap(), [record]);
        assert_eq!(store.sequence().await.unwrap(), Sequence(before.0 + 1), "{record:?}");
    }
}

pub async fn bars_are_read_by_symbol_and_range(store: Shared) {
    // More than one statement takes at a time, in no order.
    let all: Vec<BarRecord> = (0..300)
        .map(|n| {
            bar(if n % 3 == 0 { "AAPL" } else { "TSLA" }, MINUTE.plus((n * 7) % 300), 100 + i64::from(n))
        })
        .collect();
    store.commit(&bars_of(all.iter().copied()), at(0)).await.unwrap();
    for (from, to, limit) in
        [(0, 300, 1000), (10, 20, 1000), (0, 300, 7), (299, 300, 1), (50, 50, 5), (60, 50, 5)]
    {
        let range = MINUTE.plus(from)..MINUTE.plus(to);
        let mut expected: Vec<BarRecord> = all
            .iter()
            .copied()
            .filter(|record| record.bar.symbol == symbol("TSLA") && range.contains(&record.bar.start))
            .collect();
        expected.sort_by_key(|record| record.bar.start);
        expected.truncate(limit);
        assert_eq!(store.bars(symbol("TSLA"), range, limit).await.unwrap(), expected);
    }
}

pub async fn history_is_the_same_bars(store: Shared) {
    // More than one piece of it, with gaps, two feeds, and what is not known of every bar.
    let mut all: Vec<BarRecord> = (0..10_000)
        .map(|n| {
            bar(if n % 7 == 0 { "AAPL" } else { "TSLA" }, MINUTE.plus(n + n / 390 * 1050), 100 + i64::from(n))
        })
        .collect();
    for record in all.iter_mut().skip(5000) {
        record.bar.feed = "sip".parse().unwrap();
        record.revision = 3;
    }
    let edge =
        BarRecord { bar: Bar { volume: Volume::MAX, vwap: Some(Price::MAX), ..all[1].bar }, revision: 0 };
    all[1] = edge;
    store.commit(&bars_of(all), at(0)).await.unwrap();
    let every = Minute::MIN..Minute::MAX;
    for (of, range, limit) in [
        ("TSLA", every.clone(), usize::MAX),
        ("AAPL", every.clone(), usize::MAX),
        ("GOOG", every.clone(), usize::MAX),
        ("TSLA", every.clone(), 0),
        ("TSLA", every.clone(), 1),
        ("TSLA", every.clone(), 4096),
        ("TSLA", every, 4097),
        ("TSLA", MINUTE.plus(100)..MINUTE.plus(5000), 3000),
        ("TSLA", MINUTE.plus(100)..MINUTE.plus(101), 9),
        ("TSLA", MINUTE.plus(101)..MINUTE.plus(100), 9),
    ] {
        let expected: Vec<Bar> = store
            .bars(symbol(of), range.clone(), limit)
            .await
            .unwrap()
            .into_iter()
            .map(|record| record.bar)
            .collect();
        let read = store.history(symbol(of), range.clone(), limit).await.unwrap();
        assert!(read == expected, "{of} {range:?} {limit}: {} and {}", read.len(), expected.len());
    }
}

pub async fn recent_bars_end_at_each_symbols_newest(store: Shared) {
    let mut all = Vec::new();
    for n in 0..50 {
        all.push(bar("TSLA", MINUTE.plus(n), 100));
        all.push(bar("AAPL", MINUTE.plus(3 * n - 500), 200));
        all.push(bar("MSFT", MINUTE.plus(n), 300));
    }
    store.commit(&bars_of(all.clone()), at(0)).await.unwrap();
    let symbols = [symbol("TSLA"), symbol("AAPL"), symbol("GOOG")];
    for minutes in [0, 1, 2, 10, 1440] {
        let mut expected: Vec<BarRecord> = Vec::new();
        for (name, newest) in [("TSLA", 49), ("AAPL", 3 * 49 - 500)] {
            expected.extend(all.iter().filter(|record| {
                let age = MINUTE.plus(newest).since(record.bar.start);
                record.bar.symbol == symbol(name) && age < minutes
            }));
        }
        expected.sort_by_key(|record| (record.bar.start, record.bar.symbol));
        assert_eq!(store.recent_bars(&symbols, minutes).await.unwrap(), expected, "{minutes} minutes");
    }
    assert!(store.recent_bars(&[], 1440).await.unwrap().is_empty());
}

pub async fn imports_tell_new_revised_and_unchanged(store: Shared) {
    let bars: Vec<Bar> = (0..200).map(|n| bar("TSLA", MINUTE.plus(n), 100).bar).collect();
    assert_eq!(store.import(&bars).await.unwrap(), Imported { new: 200, revised: 0, unchanged: 0 });
    let before = store.sequence().await.unwrap();
    assert_eq!(store.import(&bars).await.unwrap(), Imported { new: 0, revised: 0, unchanged: 200 });
    assert_eq!(store.sequence().await.unwrap(), before);
    let mixed: Vec<Bar> =
        (150..260).map(|n| bar("TSLA", MINUTE.plus(n), if n % 2 == 0 { 100 } else { 101 }).bar).collect();
    assert_eq!(store.import(&mixed).await.unwrap(), Imported { new: 60, revised: 25, unchanged: 25 });
    assert_eq!(store.sequence().await.unwrap(), Sequence(before.0 + 1));
    let changed = store.changes(before, usize::MAX).await.unwrap().bars;
    assert_eq!(changed.len(), 85);
    for record in rows_of(changed) {
        let known = record.bar.start < MINUTE.plus(200);
        assert_eq!(record.revision, u32::from(known), "{record:?}");
    }
    // Twice in one call: the later one counts.
    let twice = [bar("AAPL", MINUTE, 1).bar, bar("AAPL", MINUTE, 2).bar];
    assert_eq!(store.import(&twice).await.unwrap(), Imported { new: 1, revised: 1, unchanged: 0 });
    let kept = store.bars(symbol("AAPL"), MINUTE..MINUTE.plus(1), 9).await.unwrap();
    assert_eq!(kept, [BarRecord { bar: twice[1], revision: 1 }]);
}

pub async fn statistics_come_back_bit_for_bit(store: Shared) {
    // Whole and odd numbers, the edges of doubles, and neighbours of each other.
    let mut values = vec![
        0.0,
        1.0,
        2.0,
        0.1,
        1.0 / 3.0,
        9_007_199_254_740_993.0,
        1e15,
        1e16,
        4_611_686_018_427_387_904.0,
        9_223_372_036_854_775_807.0,
        1e300,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        f64::EPSILON,
        -1.5,
    ];
    values.extend((0..200).map(|n| f64::from_bits(0.637_f64.to_bits() + n * 977)));
    let mut sent = BTreeMap::new();
    for (n, pair) in values.windows(2).enumerate() {
        let figures = |a: f64, b: f64| Figures {
            stdev: Some(a),
            relative_stdev: (n % 2 == 0).then_some(b),
            trailing_average: Some(b),
            ratio: None,
            window_bars: n as u16,
        };
        let one = Statistics {
            price: figures(pair[0], pair[1]),
            volume: figures(pair[1], pair[0]),
            ..statistics_of(&format!("S{n}"), MINUTE.plus(n as i32), 1.0)
        };
        sent.insert(one.symbol, one);
    }
    let batch = Batch { statistics: sent.values().copied().collect(), ..Batch::default() };
    store.commit(&batch, at(0)).await.unwrap();
    let read = store.statistics().await.unwrap();
    assert_eq!(read.len(), sent.len());
    let bits = |one: &Statistics| {
        [one.price, one.volume].map(|figures| {
            [figures.stdev, figures.relative_stdev, figures.trailing_average, figures.ratio]
                .map(|value| value.map(f64::to_bits))
        })
    };
    for one in &read {
        assert_eq!(one, &sent[&one.symbol]);
        assert_eq!(bits(one), bits(&sent[&one.symbol]));
    }
    // The smallest difference is one.
    let mut next = *read.first().unwrap();
    next.price.stdev = next.price.stdev.map(f64::next_up);
    let batch = Batch { statistics: vec![next], ..Batch::default() };
    let committed = store.commit(&batch, at(1)).await.unwrap();
    let changed = store.changes(Sequence(committed.sequence.0 - 1), 9).await.unwrap();
    assert_eq!(rows_of(changed.statistics), [next]);
}

pub async fn splits_rescale_older_bars_once(store: Shared) {
    let old: Vec<BarRecord> = (-5..5).map(|n| bar("NVDA", MINUTE.plus(n), 120_888)).collect();
    let other = bar("TSLA", MINUTE.plus(-1), 500);
    store.commit(&bars_of(old.iter().copied().chain([other])), at(0)).await.unwrap();
    let record = split_of("NVDA", 10, 1);
    let fresh = bar("NVDA", MINUTE.plus(-6), 12_089);
    // Bars of the same batch are in the new units already.
    let batch = Batch { splits: vec![record, record], bars: vec![fresh], ..Batch::default() };
    let committed = store.commit(&batch, at(1)).await.unwrap();
    let mut expected = vec![fresh];
    expected.extend(old.iter().map(|before| match before.bar.start < record.from {
        true => BarRecord { bar: record.split.bar(&before.bar), ..*before },
        false => *before,
    }));
    let all = Minute::MIN..Minute::MAX;
    assert_eq!(store.bars(symbol("NVDA"), all.clone(), 99).await.unwrap(), expected);
    assert_eq!(store.bars(symbol("TSLA"), all.clone(), 99).await.unwrap(), [other]);
    assert_eq!(store.splits().await.unwrap(), [record]);
    let changed = store.changes(Sequence(committed.sequence.0 - 1), 99).await.unwrap().bars;
    assert_eq!(rows_of(changed), expected[..6]);
    // Known: nothing happens, even were its terms told differently now.
    let again = Batch { splits: vec![record, split_of("NVDA", 5, 1)], ..Batch::default() };
    assert_eq!(store.commit(&again, at(2)).await.unwrap().sequence, committed.sequence);
    assert_eq!(store.bars(symbol("NVDA"), all, 99).await.unwrap(), expected);
    assert_eq!(store.splits().await.unwrap(), [record]);
}

pub async fn what_waits_to_be_confirmed_comes_back_and_is_seen_by_no_reader(store: Shared) {
    let waiting = |names: &[&str]| {
        let bars = names.iter().map(|name| bar(name, MINUTE, 600_000).bar).collect();
        Batch { quarantined: Some(bars), ..Batch::default() }
    };
    let names = async || {
        let waiting = store.quarantined().await.unwrap();
        waiting.iter().map(|bar| bar.symbol.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(store.commit(&waiting(&["TSLA", "AAPL"]), at(0)).await.unwrap().sequence, Sequence(0));
    assert_eq!(store.quarantined().await.unwrap()[1], bar("TSLA", MINUTE, 600_000).bar);
    assert_eq!(names().await, ["AAPL", "TSLA"]);
    // A step that says nothing of them leaves them.
    store.commit(&bars_of([bar("TSLA", MINUTE.plus(1), 100)]), at(60)).await.unwrap();
    assert_eq!(names().await, ["AAPL", "TSLA"]);
    assert_eq!(store.changes(Sequence(0), 99).await.unwrap().bars.len(), 1);
    store.commit(&waiting(&["NVDA"]), at(60)).await.unwrap();
    assert_eq!(names().await, ["NVDA"]);
    store.commit(&waiting(&[]), at(60)).await.unwrap();
    assert!(names().await.is_empty());
}

pub async fn bars_from_before_all_windows_are_part_of_the_commit(store: Shared) {
    let old = |cents| vec![bar("TSLA", MINUTE.plus(-9_000), cents).bar];
    let batch = |cents| Batch { history: old(cents), ..bars_of([bar("TSLA", MINUTE, 100)]) };
    let first = store.commit(&batch(500), at(0)).await.unwrap().sequence;
    assert_eq!(store.commit(&batch(500), at(1)).await.unwrap().sequence, first, "a bar known already");
    let second = store.commit(&batch(501), at(2)).await.unwrap().sequence;
    let changed = rows_of(store.changes(first, 99).await.unwrap().bars);
    assert_eq!((second, changed), (Sequence(first.0 + 1), vec![BarRecord { bar: old(501)[0], revision: 1 }]));
}

pub async fn pruning_deletes_the_oldest_bars_in_pieces(store: Shared) {
    let bars = (0..10).flat_map(|n| [bar("TSLA", MINUTE.plus(n), 100), bar("AAPL", MINUTE.plus(n), 100)]);
    store.commit(&bars_of(bars), at(0)).await.unwrap();
    let before = MINUTE.plus(6);
    assert_eq!(store.prune_bars(before, 5).await.unwrap(), 5);
    let oldest = store.bars(symbol("TSLA"), Minute::MIN..Minute::MAX, 1).await.unwrap()[0].bar.start;
    assert!(oldest <= MINUTE.plus(3) && oldest >= MINUTE.plus(2), "{oldest}");
    assert_eq!(store.prune_bars(before, 100).await.unwrap(), 7);
    assert_eq!(store.prune_bars(before, 100).await.unwrap(), 0);
    for name in ["TSLA", "AAPL"] {
        let left = store.bars(symbol(name), Minute::MIN..Minute::MAX, 99).await.unwrap();
        assert_eq!(
            left.iter().map(|record| record.bar.start).collect::<Vec<_>>(),
            [6, 7, 8, 9].map(|n| MINUTE.plus(n))
        );
    }
}

pub async fn changes_are_complete_and_in_order(store: Shared) {
    assert_eq!(store.changes(Sequence(0), 10).await.unwrap(), Changes::default());
    subscribed(&store, 1, "TSLA", at(-3600)).await;
    assert_eq!(store.sequence().await.unwrap(), Sequence(0), "subscriptions are not what readers see");
    store.commit(&full_batch(), at(0)).await.unwrap();
    let all = store.changes(Sequence(0), 100).await.unwrap();
    assert_eq!(all.sequence, Sequence(1));
    let Batch { bars: mut expected, history, .. } = full_batch();
    expected.extend(history.into_iter().map(|bar| BarRecord { bar, revision: 0 }));
    expected.sort_by_key(|record| (record.bar.start, record.bar.symbol));
    assert_eq!(rows_of(all.bars), expected);
    assert_eq!(all.statistics.len(), 2);
    assert_eq!(all.alerts.len(), 2);

    // A later change moves a row to its commit; the reader that saw the first sees only that.
    let mut counted = alert("TSLA", MINUTE);
    counted.occurrences.push(Occurrence { start: MINUTE.plus(9), value: 1 });
    let older = alert("MSFT", MINUTE.plus(-50));
    let second = Batch {
        bars: vec![bar("TSLA", MINUTE.plus(2), 1002)],
        alerts: vec![AlertChange::Counted(counted.clone())],
        ..Batch::default()
    };
    store.commit(&second, at(60)).await.unwrap();
    store.commit(&alerts_of([AlertChange::Raised(older.clone())]), at(61)).await.unwrap();
    let changes = store.changes(all.sequence, 100).await.unwrap();
    assert_eq!(changes.sequence, Sequence(3));
    assert_eq!(rows_of(changes.bars), second.bars);
    assert!(changes.statistics.is_empty());
    let stamps: Vec<_> = changes.alerts.iter().map(|one| one.sequence).collect();
    assert_eq!(stamps, [Sequence(2), Sequence(3)]);
    assert_eq!(rows_of(changes.alerts), [counted, older], "oldest change first");
    let nothing = store.changes(Sequence(3), 100).await.unwrap();
    assert_eq!(nothing, Changes { sequence: Sequence(3), ..Changes::default() });
}

pub async fn changes_come_in_whole_commits(store: Shared) {
    // Commits of 1 to 40 bars each.
    let mut start = 0;
    let mut of_commit = vec![Vec::new()];
    for n in [3, 1, 40, 2, 2, 2, 7, 1, 1] {
        let bars: Vec<BarRecord> = (start..start + n).map(|n| bar("TSLA", MINUTE.plus(n), 100)).collect();
        start += n;
        store.commit(&bars_of(bars.iter().copied()), at(0)).await.unwrap();
        of_commit.push(bars);
    }
    for limit in [0, 1, 2, 4, 5, 10, 1000] {
        let mut seen = Vec::new();
        let mut reads = 0;
        let mut after = Sequence(0);
        while after < store.sequence().await.unwrap() {
            let changes = store.changes(after, limit).await.unwrap();
            assert!(changes.sequence > after, "no progress");
            let commits = &of_commit[after.0 as usize + 1..=changes.sequence.0 as usize];
            let bars = rows_of(changes.bars);
            assert_eq!(bars, commits.concat(), "limit {limit}");
            assert!(bars.len() <= limit || commits.len() == 1, "limit {limit}: {}", bars.len());
            seen.extend(bars);
            after = changes.sequence;
            reads += 1;
        }
        assert_eq!(seen, of_commit.concat());
        assert!(limit < 1000 || reads == 1);
    }
}

/// The model: a map of rows, each with the commit that last changed it.
pub async fn rows_are_read_on_from_any_place_in_the_order_of_their_commits(store: Shared) {
    let mut state = 1_u64;
    let mut random = |below: i64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as i64) % below
    };
    let names = ["AAPL", "BRK.B", "BTC-USD", "TSLA"];
    let mut model: BTreeMap<Key, Stamped<Row>> = BTreeMap::new();
    for step in 1..=60 {
        let mut rows: BTreeMap<Key, Row> = BTreeMap::new();
        for _ in 0..=random(8) {
            let (name, start) = (names[random(4) as usize], MINUTE.plus(random(25) as i32));
            let row = match random(6) {
                0..=3 => Row::Bar(bar(name, start, 1 + random(3))),
                4 => Row::Statistics(statistics_of(name, start, random(9) as f64)),
                _ => {
                    let occurrences = vec![Occurrence { start, value: step }];
                    Row::Alert(Alert { occurrences, ..alert(name, start) })
                }
            };
            rows.insert(Stamped { sequence: Sequence(0), row: row.clone() }.place().key, row);
        }
        let mut batch = Batch::default();
        for (key, row) in &rows {
            match row {
                Row::Bar(record) => batch.bars.push(*record),
                Row::Statistics(statistics) => batch.statistics.push(*statistics),
                Row::Alert(alert) if model.contains_key(key) => {
                    batch.alerts.push(AlertChange::Counted(alert.clone()));
                }
                Row::Alert(alert) => batch.alerts.push(AlertChange::Raised(alert.clone())),
            }
        }
        let sequence = store.commit(&batch, at(step)).await.unwrap().sequence;
        for (key, row) in rows {
            if model.get(&key).is_none_or(|known| known.row != row) {
                model.insert(key, Stamped { sequence, row });
            }
        }
    }
    let newest = store.sequence().await.unwrap();
    let mut expected: Vec<_> = model.into_values().collect();
    expected.sort_by_key(Stamped::place);
    let begin = Place::end_of(Sequence(0));
    let all = store.rows_after(begin, newest, usize::MAX, Audience::Everybody).await.unwrap();
    assert_eq!(all, expected);
    assert_eq!(store.changes(Sequence(0), usize::MAX).await.unwrap().into_rows(), expected);
    // From every place there is, and from those where a row has moved away.
    let gone = |sequence| {
        [Key::Bar(symbol("B"), MINUTE), Key::Statistics(symbol("B")), Key::End]
            .map(|key| Place { sequence: Sequence(sequence), key })
    };
    let places = expected.iter().map(Stamped::place).chain((0..=newest.0 + 1).flat_map(gone));
    for after in places.chain([Place::end_of(Sequence(i64::MAX))]) {
        let upto = Sequence(random(newest.0 + 2));
        let limit = 1 + random(11) as usize;
        let rest = expected.iter().filter(|row| row.place() > after && row.sequence <= upto);
        let rest: Vec<_> = rest.take(limit).cloned().collect();
        let read = store.rows_after(after, upto, limit, Audience::Everybody).await.unwrap();
        assert_eq!(read, rest, "{after:?} {upto:?} {limit}");
    }
}

pub async fn a_reader_that_is_far_behind_is_told_so(store: Shared) {
    assert!(!store.holds_more_bars(Sequence(0), 0).await.unwrap());
    for n in 0..5 {
        let bars = [bar("TSLA", MINUTE.plus(n), 100), bar("AAPL", MINUTE.plus(n), 100)];
        store.commit(&bars_of(bars), at(0)).await.unwrap();
    }
    for after in 0..=5 {
        let bars = usize::try_from(10 - 2 * after).unwrap();
        for count in 0..12 {
            let more = store.holds_more_bars(Sequence(after), count).await.unwrap();
            assert_eq!(more, bars > count, "{after} {count}");
        }
    }
}

pub async fn the_feeds_state_comes_back_and_is_no_reason_to_render(store: Shared) {
    assert_eq!(store.feed_status().await.unwrap(), None);
    let mut status = feed_status(FeedMode::Replayed, at(0));
    status.answered_at = None;
    status.problem = Some("429 from the provider; next try at 21:05".to_owned());
    status.asked_until = Some(Minute::containing(at(0)));
    let reason = Some("alpaca answered 503".to_owned());
    status.stands_in_for = Some(StandIn { provider: "alpaca".to_owned(), reason });
    let problem = |name: &str, problem: &str, next_attempt| SymbolProblem {
        symbol: name.parse().unwrap(),
        problem: problem.to_owned(),
        since: at(0),
        next_attempt,
    };
    status.symbol_problems =
        vec![problem("BRK.B", "test answered 400", Some(at(3600))), problem("ZZZZ", "", None)];
    for (n, status) in [status, feed_status(FeedMode::Live, at(9))].into_iter().enumerate() {
        let batch = Batch { feed: Some(status.clone()), ..Batch::default() };
        let committed = store.commit(&batch, at(n as i64)).await.unwrap();
        assert_eq!(committed.sequence, Sequence(0));
        assert_eq!(store.feed_status().await.unwrap(), Some(status));
    }
    // A step that says nothing of the feed leaves what was said.
    store.commit(&bars_of([bar("TSLA", MINUTE, 100)]), at(3)).await.unwrap();
    assert_eq!(store.feed_status().await.unwrap(), Some(feed_status(FeedMode::Live, at(9))));
}

/// A rule of a subscriber's own.
pub fn own_rule() -> RuleName {
    "zscore z=4 window=30m".parse().unwrap()
}

/// Many alerts, some of the same minute, newest first.
async fn many_alerts(store: &Shared) -> Vec<Alert> {
    let mut all = Vec::new();
    for n in 0..40 {
        for (m, name) in ["TSLA", "AAPL", "MSFT"].into_iter().enumerate() {
            let mut one = alert(name, MINUTE.plus(n / 2 * 3));
            if (n + m as i32) % 2 == 0 {
                one.metric = Metric::Price;
            }
            if n % 4 > 1 {
                one.rule = own_rule();
                one.evidence = Evidence::Deviation { sum: 1_262_070, squares: 1 << 90, bars: 30 };
            }
            one.id = AlertId::derive(one.rule, one.symbol, one.metric, one.start);
            all.push(one);
        }
    }
    all.sort_by_key(|one| std::cmp::Reverse((one.start, one.id)));
    all.dedup();
    let batch = alerts_of(all.iter().cloned().map(AlertChange::Raised));
    store.commit(&batch, at(0)).await.unwrap();
    all
}

pub async fn alerts_are_paged_newest_first_without_gaps_or_repeats(store: Shared) {
    let all = many_alerts(&store).await;
    for limit in [1, 2, 7, 100, 1000] {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = store.alerts(AlertQuery { after, limit, ..AlertQuery::default() }).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = Some((last.start, last.id));
            seen.extend(page);
            assert!(seen.len() <= all.len(), "pages of {limit} repeat themselves");
        }
        assert_eq!(seen, all, "pages of {limit}");
    }
    assert!(store.alerts(AlertQuery::default()).await.unwrap().is_empty(), "a limit of 0");
}

pub async fn alerts_are_filtered(store: Shared) {
    let all = many_alerts(&store).await;
    let unknown: RuleName = "zscore z=5".parse().unwrap();
    let rules = [None, Some(RuleName::House), Some(own_rule()), Some(unknown)];
    let symbols = [None, Some(symbol("TSLA")), Some(symbol("GOOG"))];
    let metrics = [None, Some(Metric::Price), Some(Metric::Volume)];
    let sinces = [None, Some(MINUTE.plus(30)), Some(MINUTE.plus(1000))];
    let every = AlertQuery { limit: 1000, ..AlertQuery::default() };
    let queries = rules
        .into_iter()
        .flat_map(|rule| symbols.map(|symbol| AlertQuery { rule, symbol, ..every }))
        .flat_map(|query| metrics.map(|metric| AlertQuery { metric, ..query }))
        .flat_map(|query| sinces.map(|since| AlertQuery { since, ..query }));
    for query in queries {
        let expected: Vec<Alert> = all
            .iter()
            .filter(|one| query.rule.is_none_or(|rule| one.rule == rule))
            .filter(|one| query.symbol.is_none_or(|symbol| one.symbol == symbol))
            .filter(|one| query.metric.is_none_or(|metric| one.metric == metric))
            .filter(|one| query.since.is_none_or(|since| one.start >= since))
            .cloned()
            .collect();
        assert_eq!(store.alerts(query).await.unwrap(), expected, "{query:?}");
        if let Some(middle) = expected.get(expected.len() / 2) {
            let query = AlertQuery { after: Some((middle.start, middle.id)), ..query };
            assert_eq!(store.alerts(query).await.unwrap(), expected[expected.len() / 2 + 1..]);
        }
    }
    let one = &all[5];
    assert_eq!(store.alert(one.id).await.unwrap().as_ref(), Some(one));
}

/// An alert by a rule of somebody's own.
fn private(name: &str, start: Minute) -> Alert {
    let id = AlertId::derive(own_rule(), symbol(name), Metric::Volume, start);
    Alert { id, rule: own_rule(), visibility: Visibility::Private, ..alert(name, start) }
}

/// The sign-up with number `n` for what raises [`private`] alerts, active from `now` on.
async fn subscribed_to_own(store: &Shared, n: u16, name: &str, now: Timestamp) -> Subscription {
    let asked = sign_up(n, &format!("s{n}@example.com"), name);
    let asked = SignUp { confirm: false, rule: own_rule(), ..asked };
    store.subscribe(&asked, UNLIMITED, now).await.unwrap();
    store.subscription_of(Purpose::Manage, &asked.hashes.manage).await.unwrap().unwrap()
}

pub async fn alerts_of_own_rules_are_listed_only_for_who_asks_for_them(store: Shared) {
    // A rule may be the house's on one metric and somebody's own on the other.
    let mut all: Vec<Alert> = Vec::new();
    for n in 0..30 {
        let one = alert(["TSLA", "AAPL"][n as usize % 2], MINUTE.plus(n / 3));
        let metric = if n % 5 == 0 { Metric::Price } else { Metric::Volume };
        let rule = if n % 3 == 0 { RuleName::House } else { own_rule() };
        let visibility = match (rule, metric) {
            (RuleName::Own(_), Metric::Volume) => Visibility::Private,
            _ => Visibility::Public,
        };
        let id = AlertId::derive(rule, one.symbol, metric, one.start);
        all.push(Alert { id, rule, metric, visibility, ..one });
    }
    all.sort_by_key(|one| std::cmp::Reverse((one.start, one.id)));
    all.dedup_by_key(|one| one.id);
    assert!(all.iter().any(Alert::is_public) && all.iter().any(|one| !one.is_public()));
    store.commit(&alerts_of(all.iter().cloned().map(AlertChange::Raised)), at(0)).await.unwrap();
    for rule in [None, Some(RuleName::House), Some(own_rule())] {
        for symbol in [None, Some(symbol("TSLA"))] {
            for metric in [None, Some(Metric::Price), Some(Metric::Volume)] {
                for private_too in [false, true] {
                    let query =
                        AlertQuery { rule, symbol, metric, private_too, since: None, after: None, limit: 99 };
                    let expected: Vec<Alert> = all
                        .iter()
                        .filter(|one| rule.is_none_or(|rule| one.rule == rule))
                        .filter(|one| symbol.is_none_or(|symbol| one.symbol == symbol))
                        .filter(|one| metric.is_none_or(|metric| one.metric == metric))
                        .filter(|one| private_too || one.is_public())
                        .cloned()
                        .collect();
                    assert_eq!(store.alerts(query).await.unwrap(), expected, "{query:?}");
                }
            }
        }
    }
}

pub async fn rows_hold_alerts_of_own_rules_for_their_subscribers_alone(store: Shared) {
    let from = at(60);
    let mine = subscribed_to_own(&store, 1, "TSLA", from).await;
    let others = subscribed_to_own(&store, 2, "AAPL", from).await;
    let ended = subscribed_to_own(&store, 3, "TSLA", from).await;
    store.disable(&Selection::One(ended.id), from).await.unwrap();
    let ended = Subscription { status: SubscriptionStatus::Disabled, ..ended };
    let active_from = mine.active_from.unwrap();
    let (house, own) = (alert("TSLA", active_from), private("TSLA", active_from));
    let before = private("TSLA", active_from.plus(-1));
    let raised = [&before, &own, &house].map(|one| AlertChange::Raised(one.clone()));
    let newest = store.commit(&alerts_of(raised), from).await.unwrap().sequence;
    for (audience, expected) in [
        (Audience::Everybody, vec![&house]),
        (Audience::Subscriber(&others), vec![&house]),
        (Audience::Subscriber(&ended), vec![&house]),
        (Audience::Subscriber(&mine), vec![&house, &own]),
    ] {
        let rows = store.rows_after(Place::end_of(Sequence(0)), newest, 99, audience).await.unwrap();
        let mut ids: Vec<Key> = rows.iter().map(|row| row.place().key).collect();
        let mut wanted: Vec<Key> = expected.iter().map(|one| Key::Alert(one.id)).collect();
        ids.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(ids, wanted, "{audience:?}");
    }
    // The worker's tail sees all of them.
    assert_eq!(store.changes(Sequence(0), 99).await.unwrap().alerts.len(), 3);
    // Who was told of one may read it by its id; others may not.
    assert!(store.was_owed(own.id, mine.id).await.unwrap());
    assert!(!store.was_owed(before.id, mine.id).await.unwrap());
    assert!(!store.was_owed(own.id, others.id).await.unwrap());
}

pub async fn a_rule_of_the_houses_makes_its_alerts_public(store: Shared) {
    let all: Vec<Alert> = (0..5).map(|n| private("TSLA", MINUTE.plus(n))).collect();
    let sequence =
        store.commit(&alerts_of(all.iter().cloned().map(AlertChange::Raised)), at(0)).await.unwrap().sequence;
    assert_eq!(store.publish(own_rule(), Metric::Price, 9).await.unwrap(), 0, "another metric");
    assert_eq!(store.publish(own_rule(), Metric::Volume, 3).await.unwrap(), 3);
    assert_eq!(store.publish(own_rule(), Metric::Volume, 3).await.unwrap(), 2);
    assert_eq!(store.publish(own_rule(), Metric::Volume, 3).await.unwrap(), 0);
    let listed = store.alerts(AlertQuery { limit: 9, ..AlertQuery::default() }).await.unwrap();
    assert!(listed.len() == 5 && listed.iter().all(Alert::is_public));
    assert_eq!(store.sequence().await.unwrap(), sequence, "nothing happened to them");
}

pub async fn alerts_of_own_rules_are_pruned_in_pieces_with_what_told_of_them(store: Shared) {
    let mine = subscribed_to_own(&store, 1, "TSLA", at(-600)).await;
    let all: Vec<Alert> = (0..6).map(|n| private("TSLA", MINUTE.plus(n))).collect();
    let house = alert("TSLA", MINUTE);
    let raised = all.iter().chain([&house]).map(|one| AlertChange::Raised(one.clone()));
    assert_eq!(store.commit(&alerts_of(raised), at(0)).await.unwrap().deliveries, 6);
    // All but one are settled.
    for delivery in store.claim(at(1), at(30), Rooms::for_anybody(4), PLENTY).await.unwrap() {
        settle(&store, &delivery, Outcome::Sent, at(2)).await;
    }
    for delivery in store.claim(at(3), at(30), Rooms::for_anybody(1), PLENTY).await.unwrap() {
        settle(&store, &delivery, Outcome::Failed(Failure::other("no")), at(4)).await;
    }
    let old = MINUTE.plus(5);
    let waits = claim_one(&store, at(5)).await.alert.unwrap();
    let first = store.prune_private_alerts(old, 2).await.unwrap();
    assert_eq!(first, 2);
    let mut pruned = first;
    while let more @ 1.. = store.prune_private_alerts(old, 2).await.unwrap() {
        pruned += more;
    }
    let left =
        store.alerts(AlertQuery { private_too: true, limit: 99, ..AlertQuery::default() }).await.unwrap();
    let is_left = |one: &Alert| left.iter().any(|known| known.id == one.id);
    for one in &all {
        assert_eq!(is_left(one), one.start >= old || one.id == waits.id, "{}", one.start);
    }
    assert!(is_left(&house), "the house's stay for good");
    assert_eq!(pruned as usize, all.iter().filter(|one| !is_left(one)).count());
    for one in &all {
        assert_eq!(store.was_owed(one.id, mine.id).await.unwrap(), is_left(one));
    }
    let (pending, sent, failed, _, _) = outbox(&store).await;
    assert_eq!(pending + sent + failed, left.len() as u64 - 1, "the counts are those of what is left");
}

pub async fn what_is_folded_of_an_alert_comes_back(store: Shared) {
    let first = alert("TSLA", MINUTE);
    store.commit(&alerts_of([AlertChange::Raised(first.clone())]), at(0)).await.unwrap();
    let folded = Folded { count: 300, peak: i64::MAX, until: Some(MINUTE.plus(300)) };
    let counted = Alert { folded, ..first };
    store.commit(&alerts_of([AlertChange::Counted(counted.clone())]), at(1)).await.unwrap();
    assert_eq!(store.alert(counted.id).await.unwrap(), Some(counted.clone()));
    assert_eq!((counted.count(), counted.peak()), (301, i64::MAX));
}

const DAY: i64 = 24 * 60 * 60;

/// Forgets in pieces of `limit`, and answers how many rows were deleted.
async fn forget(store: &Shared, seconds: i64, limit: u32) -> u64 {
    let mut total = 0;
    loop {
        let deleted = store.forget(at(seconds), limit).await.unwrap();
        assert!(deleted <= u64::from(limit));
        total += deleted;
        if deleted < u64::from(limit) {
            return total;
        }
    }
}

pub async fn what_nobody_confirmed_is_forgotten(store: Shared) {
    let asked: Vec<SignUp> = (0..5).map(|n| sign_up(n, &format!("s{n}@example.com"), "TSLA")).collect();
    for sign_up in &asked {
        ask(&store, sign_up, UNLIMITED, at(0)).await;
    }
    // One confirms, one asks again later, one mail is sent.
    store.confirm(&asked[0].hashes.confirm, &Choice::Everything, at(1)).await.unwrap();
    ask(&store, &asked[1], UNLIMITED, at(10)).await;
    let mail = store.claim(at(20), at(50), Rooms::for_anybody(1), PLENTY).await.unwrap().remove(0);
    settle(&store, &mail, Outcome::Sent, at(21)).await;
    assert_eq!(store.forget(at(2 * DAY), 0).await.unwrap(), 0);
    assert_eq!(forget(&store, 2 * DAY, 100).await, 0, "its deadline passed a day ago, not more");
    assert_eq!(forget(&store, 2 * DAY + 1, 2).await, 6, "three subscriptions, with a mail each");
    for (n, expected) in [true, true, false, false, false].into_iter().enumerate() {
        assert_eq!(status(&store, &asked[n]).await.is_some(), expected, "number {n}");
    }
    assert_eq!(forget(&store, 2 * DAY + 11, 1).await, 3, "one subscription with two mails");
    assert_eq!(status(&store, &asked[1]).await, None);
    assert_eq!(forget(&store, 9 * DAY, 100).await, 0);
    let summary = store.outbox().await.unwrap();
    assert_eq!(summary.pending + summary.sent, 1, "the mail of the one that confirmed");
    // Whoever was forgotten is a stranger.
    assert_eq!(
        store.confirm(&asked[1].hashes.confirm, &Choice::Everything, at(9 * DAY)).await.unwrap(),
        Confirmed::Unknown
    );
    assert!(ask(&store, &asked[1], SignUpLimits::default(), at(9 * DAY)).await);
}

pub async fn what_has_ended_is_forgotten_after_a_month(store: Shared) {
    let (_, sign_up) = one_owed(&store).await;
    let stays = subscribed(&store, 2, "TSLA", at(0)).await;
    let told = claim_one(&store, at(1)).await;
    settle(&store, &told, Outcome::Sent, at(2)).await;
    store.unsubscribe(&sign_up.hashes.unsubscribe, false, at(3)).await.unwrap().unwrap();
    assert_eq!(forget(&store, 30 * DAY + 3, 100).await, 0);
    assert!(status(&store, &sign_up).await.is_some());
    assert_eq!(forget(&store, 30 * DAY + 4, 1).await, 2);
    assert_eq!(status(&store, &sign_up).await, None);
    assert!(status(&store, &stays).await.is_some());
    assert_eq!(outbox(&store).await, (0, 0, 0, 0, 0));
}

pub async fn settled_deliveries_are_forgotten_after_ninety_days(store: Shared) {
    let (raised, sign_up) = one_owed(&store).await;
    let told = claim_one(&store, at(1)).await;
    settle(&store, &told, Outcome::Sent, at(2)).await;
    let waiting = alerts_of([AlertChange::Raised(alert("TSLA", MINUTE.plus(1)))]);
    store.commit(&waiting, at(2)).await.unwrap();
    assert_eq!(forget(&store, 90 * DAY + 2, 100).await, 0);
    assert_eq!(outbox(&store).await, (1, 1, 0, 0, 0));
    assert_eq!(forget(&store, 90 * DAY + 3, 100).await, 1);
    assert_eq!(outbox(&store).await, (1, 0, 0, 0, 0), "what waits is not forgotten");
    assert!(status(&store, &sign_up).await.is_some());
    // The alert is not told again for that.
    let again = alerts_of([AlertChange::Raised(raised)]);
    assert_eq!(store.commit(&again, at(90 * DAY + 4)).await.unwrap().deliveries, 0);
}

pub async fn forgetting_does_not_widen_the_throttle(store: Shared) {
    let ask_anew = async |n: u16, seconds: i64| {
        let sign_up = sign_up(n, "ada@example.com", &format!("S{n}"));
        ask(&store, &sign_up, SignUpLimits::default(), at(seconds)).await
    };
    let mut mails = Vec::new();
    for n in 0..400 {
        let seconds = i64::from(n) * 900;
        if ask_anew(n, seconds).await {
            mails.push(seconds);
        }
        forget(&store, seconds, 3).await;
    }
    assert!(mails.windows(4).all(|four| four[3] - four[0] >= DAY), "{mails:?}");
    assert_eq!(mails.len(), 15, "three on each of five days");
}

pub async fn notes_come_back(store: Shared) {
    assert_eq!(store.note("key").await.unwrap(), None);
    for text in ["one", "two", "", "ä\n\0'--"] {
        store.set_note("key", text).await.unwrap();
        assert_eq!(store.note("key").await.unwrap().as_deref(), Some(text));
    }
    assert_eq!(store.note("Key").await.unwrap(), None);
}

pub async fn only_one_worker_holds_the_lock(store: Shared) {
    let held = store.lock_worker().await.unwrap();
    let Err(StoreError::WorkerRunning(place)) = store.lock_worker().await else {
        panic!("two workers");
    };
    assert!(!place.is_empty());
    drop(held);
    let _held = store.lock_worker().await.unwrap();
}

pub async fn a_store_describes_and_checks_itself(store: Shared) {
    let line = store.describe();
    assert!(!line.is_empty() && !line.contains('\n'), "{line}");
    store.commit(&full_batch(), at(0)).await.unwrap();
    store.check().await.unwrap();
    store.close().await;
    assert!(store.sequence().await.is_err(), "closed");
    store.close().await;
}

/// A rule that is not in the list is a rule nobody checks.
#[cfg(test)]
#[test]
fn every_rule_is_in_the_list() {
    let text = include_str!("conformance.rs");
    let (list, rules) = text.split_once("(@each $fresh:path;").unwrap();
    let listed: BTreeSet<&str> = list.split_once("@each $fresh;").unwrap().1.split_whitespace().collect();
    let written: Vec<&str> = rules
        .lines()
        .filter_map(|line| line.strip_prefix("pub async fn ")?.split_once("(store: Shared)"))
        .map(|(name, _)| name)
        .collect();
    assert!(written.len() > 50);
    for name in written {
        assert!(listed.contains(name), "{name} is not in the list");
    }
}
