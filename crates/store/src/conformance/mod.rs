//! What every backend must do, as a list of rules, by aspect. Each takes a fresh, empty store; those of
//! [`concurrency`] take a second handle of it, as another process would hold one. A backend's tests name only
//! how to make them:
//!
//! ```text
//! // async fn fresh() -> (Arc<dyn Store>, G)
//! // async fn another(&G) -> Arc<dyn Store>
//! qqq_store::store_conformance!(fresh, another);
//! ```
//!
//! A new rule is a function in the file of its aspect and a line in
//! [`store_conformance!`](crate::store_conformance). What becomes of deliveries is decided by
//! `qqq_core::delivery`, which is tested there; the rules here hold what storage can break.

#![allow(clippy::unwrap_used, clippy::panic, reason = "rules are tests")]
#![allow(missing_docs, reason = "a rule's name is its sentence")]

mod admin;
mod alerts;
mod bars;
mod closing;
mod commits;
mod concurrency;
mod digests;
mod given;
mod history;
mod housekeeping;
mod limits;
mod names;
mod outbox;
mod retractions;
mod scopes;
mod sessions;
mod sign_ups;
mod subscriptions;
mod throttles;
mod watchlist;

pub use admin::*;
pub use alerts::*;
pub use bars::*;
pub use closing::*;
pub use commits::*;
pub use concurrency::*;
pub use digests::*;
pub use given::*;
pub use history::*;
pub use housekeeping::*;
pub use limits::*;
pub use names::*;
pub use outbox::*;
pub use retractions::*;
pub use scopes::*;
pub use sessions::*;
pub use sign_ups::*;
pub use subscriptions::*;
pub use throttles::*;
pub use watchlist::*;

use crate::*;
use jiff::{SignedDuration, Timestamp};
use qqq_core::alert::detector::Watch;
use qqq_core::alert::{AlertState, Folded, Occurrence};
use qqq_core::delivery::places::{HostLimits, PlaceLimits, Places, Room, Rooms};
use qqq_core::delivery::{
    Delivery, DeliveryId, DeliveryKind, Failure, FailureKind, Lease, Outcome, SignInMail, WaitsFor,
};
use qqq_core::rule::{Evidence, Rule};
use qqq_core::subscription::channel::{Channel, Webhook, WebhookFormat};
use qqq_core::subscription::limits::{LimitExceeded, SubscriptionLimits};
use qqq_core::subscription::push::PushReceiver;
use qqq_core::subscription::quiet::QuietHours;
use qqq_core::subscription::session::{MOST_SESSIONS, SignInId};
use qqq_core::subscription::token::{Purpose, Token, TokenHash, TokenKey};
use qqq_core::subscription::{Scope, Subscription, SubscriptionId, SubscriptionStatus};
use qqq_core::{
    Alert, AlertId, Bar, FeedMode, FeedStatus, Figures, Metric, Price, RuleName, Second, SpikeRule, Split,
    StandIn, Statistics, Symbol, SymbolProblem, Visibility, Volume,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

/// Makes one test of every rule, each with a store of its own. The arguments are a function without
/// parameters that answers a future of (store, guard), and one that answers a future of a second handle of
/// the guard's store; the guard lives as long as the test.
#[macro_export]
macro_rules! store_conformance {
    ($fresh:path, $another:path) => {
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
            a_retracted_alert_is_never_raised_again
            alerts_are_paged_newest_first_without_gaps_or_repeats
            alerts_are_filtered
            alerts_of_own_rules_are_listed_only_for_who_asks_for_them
            rows_hold_alerts_of_own_rules_for_their_subscribers_alone
            a_rule_of_the_houses_makes_its_alerts_public
            alerts_of_own_rules_are_pruned_in_pieces_with_what_told_of_them
            what_is_folded_of_an_alert_comes_back
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
            unsubscribing_cancels_what_is_owed
            a_claim_hands_out_nothing_of_an_ended_subscription
            a_delivery_under_way_when_its_subscription_ends_may_still_settle
            what_was_not_tried_gives_its_attempt_back
            what_was_not_tried_expires_in_time
            what_was_not_tried_keeps_the_reason_of_its_failure
            failures_of_every_kind_come_back
            three_refusals_in_a_row_suppress_an_address_for_a_month
            only_refusals_in_a_row_suppress_an_address
            a_receiver_that_is_gone_ends_its_subscription_only
            a_retraction_does_not_follow_to_a_receiver_that_is_gone
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
            a_retraction_cancels_what_was_never_attempted
            a_retraction_does_not_follow_what_was_not_tried
            a_retraction_does_not_follow_a_digest_that_was_not_tried
            a_retraction_follows_what_was_sent
            a_retraction_follows_what_was_under_way_once_it_is_sent
            a_retraction_does_not_follow_what_failed
            a_retraction_follows_an_attempt_with_an_unknown_end
            a_retraction_follows_an_attempt_before_one_that_failed
            a_retraction_follows_what_ended_after_more_than_one_attempt
            a_retraction_follows_what_expired_after_an_attempt
            a_retraction_ends_the_retries_of_what_it_retracts
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
            a_request_of_ten_symbols_is_one_message_and_is_confirmed_together
            what_joins_a_request_is_shown_by_the_link_of_the_newest_message
            strangers_cannot_push_a_request_off_its_own_page
            requests_are_taken_in_whole_however_many_wait
            a_request_beyond_a_limit_leaves_nothing_of_it
            the_watchlist_is_told_of_every_symbol_and_nobody_twice
            own_rules_on_the_watchlist_are_watched_read_and_limited
            what_a_message_was_about_is_shown_however_much_else_is_asked_for
            what_was_confirmed_meanwhile_is_not_asked_again
            each_subscription_by_webhook_is_told_its_own_secret
            what_waits_is_not_forgotten_and_ends_with_its_recipient
            a_webhook_is_subscribed_and_confirmed_like_an_address
            a_browser_is_asked_once_for_all_and_told_for_a_day
            a_webhook_is_tried_for_a_day
            without_confirmation_a_subscription_is_active_at_once
            an_active_webhook_is_owed_the_message_that_tells_its_secret
            one_of_a_recipients_subscriptions_ends_or_all_of_them
            a_changed_rule_is_told_of_instead
            a_rule_that_is_subscribed_already_is_a_conflict
            quiet_hours_are_set_and_ended
            a_pause_cancels_what_is_owed_and_nothing_of_it_is_told_later
            a_pause_leaves_the_confirmation_and_what_is_under_way
            a_snooze_leaves_what_is_paused_until_it_is_resumed
            a_secret_is_rotated_generation_by_generation
            what_has_ended_cannot_be_changed
            what_own_rules_watch_is_told_with_its_version
            on_a_live_feed_a_subscription_begins_with_the_next_minute
            on_a_simulated_feed_a_subscription_begins_with_the_feeds_clock
            whoever_comes_before_the_first_word_of_a_tape_begins_with_its_clock
            whoever_comes_before_the_first_word_of_a_live_feed_begins_by_the_wall_clock
            what_a_receiver_has_active_is_limited
            own_rules_in_force_are_limited_and_shared
            a_rule_of_the_houses_is_counted_for_nobody
            a_sign_up_tells_of_no_receivers_limits
            sign_ups_at_the_same_time_do_not_pass_a_limit
            confirmations_at_the_same_time_do_not_pass_a_limit
            a_link_signs_one_browser_in
            links_and_sessions_end_in_time_and_are_forgotten
            links_are_for_subscribers_and_operators_alone
            no_link_goes_to_who_is_suppressed
            one_mailbox_gets_three_links_a_day_ten_minutes_apart
            requests_for_links_that_wait_have_a_limit
            requests_of_strangers_keep_nobody_from_a_link
            a_mail_with_a_link_is_claimed_by_lease_and_tried_while_it_works
            a_few_mails_with_links_are_under_way_at_once
            an_address_has_so_many_sessions_and_the_oldest_end
            erasing_a_recipient_signs_it_out
            alerts_of_a_receiver_are_those_of_its_active_subscriptions
            alerts_of_a_receiver_are_filtered_and_paged
            subscriptions_are_listed_in_pages
            an_operator_disables_one_or_all_of_a_recipient
            erasing_a_recipient_leaves_nothing_of_it
            deliveries_are_listed_newest_first_with_their_reasons
            what_failed_or_expired_is_owed_again_and_nothing_else
            nothing_is_owed_again_to_what_has_ended
            a_bar_is_replaced_by_its_revision
            a_store_holds_bars_of_one_cadence
            bars_are_read_by_symbol_and_range
            the_last_bars_of_ranges_are_read_at_once
            history_is_the_same_bars
            recent_bars_end_at_each_symbols_newest
            imports_tell_new_revised_and_unchanged
            statistics_come_back_bit_for_bit
            splits_rescale_older_bars_once
            what_waits_to_be_confirmed_comes_back_and_is_seen_by_no_reader
            bars_from_before_all_windows_are_part_of_the_commit
            pruning_deletes_the_oldest_bars_in_pieces
            closing_changes_nothing_that_readers_see
            a_stretch_is_closed_some_symbols_at_a_time
            closed_bars_are_corrected_and_late_ones_join_them
            sessions_are_imported_as_they_stay
            closed_bars_go_a_stretch_at_a_time
            what_is_closed_of_a_day_is_told_and_every_change_of_it_shows
            changes_are_complete_and_in_order
            changes_come_in_whole_commits
            rows_are_read_on_from_any_place_in_the_order_of_their_commits
            a_reader_that_is_far_behind_is_told_so
            the_feeds_state_comes_back_and_is_no_reason_to_render
            what_nobody_confirmed_is_forgotten
            what_has_ended_is_forgotten_after_a_month
            settled_deliveries_are_forgotten_after_ninety_days
            forgetting_does_not_widen_the_throttle
            notes_come_back
            edits_of_the_watchlist_come_back_in_their_order
            an_edit_of_a_watchlist_that_changed_meanwhile_is_none
            names_of_symbols_come_back_as_they_were_told_last
            a_list_of_all_symbols_is_kept_and_changed_in_one_go
            only_one_worker_holds_the_lock
            a_store_describes_and_checks_itself
        }
        $crate::store_conformance! { @both $fresh, $another;
            a_reader_that_tails_two_writers_misses_nothing
            two_dispatchers_never_hold_the_same_delivery
            what_is_retracted_while_it_is_sent_is_followed_up_or_never_told
            one_wish_asked_for_at_once_is_one_subscription
            of_edits_at_the_same_time_one_is_taken
            one_link_used_by_many_at_once_signs_one_in
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
    (@both $fresh:path, $another:path; $($rule:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $rule() {
                let (store, guard) = $fresh().await;
                let other = $another(&guard).await;
                $crate::conformance::$rule(store, other).await;
            }
        )+
    };
}

/// The files of rules.
#[cfg(test)]
const ASPECTS: [&str; 18] = [
    include_str!("admin.rs"),
    include_str!("alerts.rs"),
    include_str!("bars.rs"),
    include_str!("commits.rs"),
    include_str!("concurrency.rs"),
    include_str!("digests.rs"),
    include_str!("history.rs"),
    include_str!("housekeeping.rs"),
    include_str!("limits.rs"),
    include_str!("names.rs"),
    include_str!("outbox.rs"),
    include_str!("retractions.rs"),
    include_str!("scopes.rs"),
    include_str!("sessions.rs"),
    include_str!("sign_ups.rs"),
    include_str!("subscriptions.rs"),
    include_str!("throttles.rs"),
    include_str!("watchlist.rs"),
];

/// A rule that is not in the list is a rule nobody checks.
#[cfg(test)]
#[test]
fn every_rule_is_in_the_list() {
    let (_, list) = include_str!("mod.rs").split_once("@each $fresh;").unwrap();
    let (list, _) = list.split_once("(@each $fresh:path;").unwrap();
    let listed: BTreeSet<&str> = list.split_whitespace().collect();
    let written: Vec<&str> = ASPECTS
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| line.strip_prefix("pub async fn ")?.split_once("(store: Shared"))
        .map(|(name, _)| name)
        .collect();
    assert!(written.len() > 50);
    for name in written {
        assert!(listed.contains(name), "{name} is not in the list");
    }
}
