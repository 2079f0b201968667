//! The alerts of one rule on one metric of one symbol, as far as a bar can still touch them: raised, counted
//! on during the cool-down, retracted.

use crate::alert::{Alert, AlertChange, AlertId, AlertState, Folded, Metric, Occurrence, Visibility};
use crate::rule::{AlertRule, Evidence};
use crate::{FeedLabel, Price, Second, Symbol};
use jiff::{SignedDuration, Timestamp};

/// Occurrences an alert lists. The default cool-down of an hour counts no more; of a longer one, the oldest
/// are folded.
const LISTED: usize = 64;

/// Whose alerts these are, and how they are raised.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AlertPolicy {
    pub(crate) rule: AlertRule,
    pub(crate) visibility: Visibility,
    pub(crate) symbol: Symbol,
    pub(crate) metric: Metric,
    /// Event time, seconds.
    pub(crate) cooldown_seconds: u32,
    /// A bar that ended longer before the feed's clock raises nothing. Seconds.
    pub(crate) max_age_seconds: u32,
}

/// A bar that qualifies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) start: Second,
    pub(crate) value: i128,
    pub(crate) evidence: Evidence,
    pub(crate) close: Option<Price>,
    pub(crate) previous_close: Option<Price>,
    pub(crate) feed: FeedLabel,
    pub(crate) revision: u32,
    /// When the bar was complete.
    pub(crate) ended: Timestamp,
    /// The feed's clock.
    pub(crate) clock: Timestamp,
}

/// Alerts by minute.
#[derive(Clone, Debug, Default)]
pub(crate) struct CooldownState(Vec<Alert>);

impl CooldownState {
    /// Takes over alerts as stored.
    pub(crate) fn restore(&mut self, alerts: impl IntoIterator<Item = Alert>) {
        self.0.extend(alerts);
        self.0.sort_by_key(|alert| alert.start);
        self.0.dedup_by_key(|alert| alert.start);
    }

    /// A bar qualifies: it is counted on the alert whose cool-down it falls into, or raises one. True where
    /// it raised one.
    pub(crate) fn qualify(
        &mut self,
        policy: AlertPolicy,
        candidate: Candidate,
        changes: &mut Vec<AlertChange>,
    ) -> bool {
        let occurrence = Occurrence { start: candidate.start, value: candidate.value };
        if let Some(counted) = self.0.iter_mut().find(|alert| alert.counts(candidate.start)) {
            if counted.feed == candidate.feed && counted.add(occurrence) {
                changes.push(AlertChange::Counted(counted.clone()));
            }
            return false;
        }
        // A minute whose alert was retracted never raises another.
        if self.0.iter().any(|alert| alert.start == candidate.start) {
            return false;
        }
        let cools = |alert: &Alert| {
            let seconds = candidate.start.seconds_since(alert.start).abs();
            alert.state == AlertState::Raised && seconds < i64::from(policy.cooldown_seconds)
        };
        if let Some(open) = self.0.iter_mut().rev().find(|alert| cools(alert)) {
            // An alert of another feed keeps the silence; its values are of another measure.
            if open.feed == candidate.feed && open.add(occurrence) {
                changes.push(AlertChange::Counted(open.clone()));
            }
            return false;
        }
        let max_age = SignedDuration::from_secs(i64::from(policy.max_age_seconds));
        if candidate.clock.duration_since(candidate.ended) > max_age {
            return false;
        }
        let alert = Alert {
            id: AlertId::derive(policy.rule, policy.symbol, policy.metric, candidate.start),
            rule: policy.rule,
            symbol: policy.symbol,
            metric: policy.metric,
            start: candidate.start,
            value: candidate.value,
            evidence: candidate.evidence,
            feed: candidate.feed,
            revision: candidate.revision,
            state: AlertState::Raised,
            raised_at: candidate.clock,
            visibility: policy.visibility,
            occurrences: vec![occurrence],
            folded: Folded::default(),
            close: candidate.close,
            previous_close: candidate.previous_close,
        };
        let place = self.0.partition_point(|other| other.start < candidate.start);
        self.0.insert(place, alert.clone());
        changes.push(AlertChange::Raised(alert));
        true
    }

    /// A bar does not qualify (any more): it is taken off the alert it was counted on, and an alert of its
    /// own is retracted. Answers the other minutes that alert had counted: they stand for themselves again.
    /// What another feed saw is not refuted by this one.
    pub(crate) fn disqualify(
        &mut self,
        start: Second,
        feed: FeedLabel,
        changes: &mut Vec<AlertChange>,
    ) -> Vec<Second> {
        let mut mine = self.0.iter_mut().filter(|alert| alert.feed == feed);
        let Some(alert) = mine.find(|alert| alert.counts(start)) else { return Vec::new() };
        let (own, others): (Vec<_>, Vec<_>) =
            alert.occurrences.drain(..).partition(|occurrence| occurrence.start == start);
        if alert.start != start {
            alert.occurrences = others;
            changes.push(AlertChange::Counted(alert.clone()));
            return Vec::new();
        }
        alert.state = AlertState::Retracted;
        alert.occurrences = own;
        changes.push(AlertChange::Retracted(alert.clone()));
        others.into_iter().map(|occurrence| occurrence.start).collect()
    }

    /// The rule that the alert of a minute was raised by, if it has one.
    pub(crate) fn rule_of(&self, start: Second) -> Option<AlertRule> {
        self.0.iter().find(|alert| alert.start == start).map(|alert| alert.rule)
    }

    /// Drops what no bar can touch any more: what starts before `from`.
    pub(crate) fn forget(&mut self, from: Second) {
        self.0.retain(|alert| alert.start >= from);
    }
}

impl Alert {
    /// Whether the bar of `minute` is counted on this alert.
    fn counts(&self, minute: Second) -> bool {
        self.state == AlertState::Raised
            && self.occurrences.iter().any(|occurrence| occurrence.start == minute)
    }

    /// Counts a bar, or corrects the value it is counted with. False where nothing changed.
    fn add(&mut self, occurrence: Occurrence) -> bool {
        if self.folded.until.is_some_and(|until| occurrence.start <= until) && occurrence.start != self.start
        {
            return false;
        }
        match self.occurrences.binary_search_by_key(&occurrence.start, |known| known.start) {
            Ok(place) if self.occurrences[place] == occurrence => false,
            Ok(place) => {
                self.occurrences[place] = occurrence;
                true
            }
            Err(place) => {
                self.occurrences.insert(place, occurrence);
                self.fold();
                true
            }
        }
    }

    /// Folds the oldest occurrences beyond [`LISTED`]. The alert's own stays: its correction retracts the
    /// alert.
    fn fold(&mut self) {
        while self.occurrences.len() > LISTED {
            let oldest = usize::from(self.occurrences[0].start == self.start);
            let Occurrence { start, value } = self.occurrences.remove(oldest);
            let Folded { count, peak, until } = self.folded;
            let peak = until.map_or(value, |_| peak.max(value));
            self.folded = Folded { count: count + 1, peak, until: until.max(Some(start)) };
        }
    }
}
