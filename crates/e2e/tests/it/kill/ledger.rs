//! What is owed, held against what a mail server accepted.

use qqq_testkit::smtp::{Accepted, Answer};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

/// Mails a process has under way at once at the most: what a kill can make uncertain. (Of webhooks, it is
/// 64.)
const AT_ONCE: usize = 16;

/// A start no bar comes after.
pub(crate) const NEVER: &str = "9999";

/// An alert, as `/v1/alerts` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Alert {
    pub id: String,
    pub symbol: String,
    pub metric: String,
    pub start: String,
    /// Value, average, bars in the window, revision, state.
    pub evidence: [String; 5],
}

/// Somebody who asked for alerts.
#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    pub email: String,
    pub symbol: String,
    pub metric: String,
    /// Alerts of bars that start later are owed; earlier ones may come. `None`: not known yet.
    pub owed_after: Option<String>,
}

/// Whom, and about what: (recipient, alert).
type Key = (String, String);

/// What is owed, and what else may come.
pub(crate) struct Ledger {
    alerts: Vec<Alert>,
    subscriptions: usize,
    owed: HashSet<Key>,
    allowed: HashSet<Key>,
}

impl Ledger {
    /// Every alert to everybody it concerns.
    pub(crate) fn new(alerts: Vec<Alert>, subscriptions: Vec<Subscription>) -> Self {
        let mut minutes = HashSet::new();
        let mut ids = HashSet::new();
        let (mut owed, mut allowed) = (HashSet::new(), HashSet::new());
        for alert in &alerts {
            assert!(ids.insert(&alert.id), "alert {} is listed twice", alert.id);
            let minute = (&alert.symbol, &alert.metric, &alert.start);
            assert!(minutes.insert(minute), "{minute:?} was raised twice");
            for subscription in &subscriptions {
                if (&subscription.symbol, &subscription.metric) == (&alert.symbol, &alert.metric) {
                    let key = (subscription.email.clone(), alert.id.clone());
                    let since = subscription.owed_after.as_deref().unwrap_or(NEVER);
                    if alert.start.as_str() > since {
                        owed.insert(key);
                    } else {
                        allowed.insert(key);
                    }
                }
            }
        }
        Self { alerts, subscriptions: subscriptions.len(), owed, allowed }
    }

    /// Tells, asked again and again of a list that grows, whether everything owed was accepted.
    pub(crate) fn settled(&self) -> impl FnMut(&[Accepted]) -> bool {
        let mut open = self.owed.clone();
        let mut looked_at = 0;
        move |accepted| {
            for message in &accepted[looked_at..] {
                open.remove(&key(message));
            }
            looked_at = accepted.len();
            open.is_empty()
        }
    }

    /// Panics where something is missing, came uncalled, or came twice without a reason. Connections marked 1
    /// to `killed` were to processes that ended by SIGKILL.
    pub(crate) fn judge(&self, accepted: &[Accepted], killed: u32) -> Verdict {
        let mut copies: BTreeMap<Key, Vec<&Accepted>> = BTreeMap::new();
        let mut named: HashMap<String, Key> = HashMap::new();
        for message in accepted {
            let key = key(message);
            assert!(
                self.owed.contains(&key) || self.allowed.contains(&key),
                "{key:?} was never owed:\n{}",
                message.mail.raw
            );
            assert_eq!(message.mail.to(), message.recipient, "the header names another than the envelope");
            let told = named.entry(message.mail.message_id()).or_insert_with(|| key.clone());
            assert_eq!(*told, key, "two deliveries share a Message-ID");
            copies.entry(key).or_default().push(message);
        }
        let missing: Vec<(&Key, Option<&Alert>)> = self
            .owed
            .iter()
            .filter(|key| !copies.contains_key(*key))
            .map(|key| (key, self.alerts.iter().find(|alert| alert.id == key.1)))
            .collect();
        assert!(
            missing.is_empty(),
            "{} deliveries of {} are lost: {missing:#?}",
            missing.len(),
            self.owed.len()
        );

        let mut verdict = Verdict {
            alerts: self.alerts.len(),
            subscriptions: self.subscriptions,
            owed: self.owed.len(),
            accepted: accepted.len(),
            answers_lost: accepted.iter().filter(|message| message.answer == Answer::Lost).count(),
            ..Verdict::default()
        };
        let mut by_kill: BTreeMap<u32, usize> = BTreeMap::new();
        for (key, copies) in &mut copies {
            copies.sort_by_key(|copy| copy.at);
            verdict.most_copies = verdict.most_copies.max(copies.len());
            for pair in copies.windows(2) {
                let [earlier, later] = pair else { continue };
                assert_eq!(
                    earlier.mail.message_id(),
                    later.mail.message_id(),
                    "{key:?}: a repeat that cannot be told from news"
                );
                if earlier.answer == Answer::Lost {
                    verdict.repeats_after_lost_answers += 1;
                } else if (1..=killed).contains(&earlier.mark) && later.mark > earlier.mark {
                    verdict.repeats_after_kills += 1;
                    *by_kill.entry(earlier.mark).or_default() += 1;
                } else {
                    panic!(
                        "{key:?} was sent again for no reason: in run {} ({:?}), then in run {} ({:?} later)",
                        earlier.mark,
                        earlier.answer,
                        later.mark,
                        later.at - earlier.at
                    );
                }
            }
        }
        verdict.most_by_one_kill = by_kill.values().copied().max().unwrap_or_default();
        assert!(verdict.most_by_one_kill <= AT_ONCE, "{by_kill:?}: more than were under way at once");
        verdict
    }
}

fn key(message: &Accepted) -> Key {
    let alert = message.mail.alert_id();
    let alert = alert.unwrap_or_else(|| panic!("a mail that tells of no alert:\n{}", message.mail.raw));
    (message.recipient.clone(), alert.to_owned())
}

/// The figures of a judgement that found nothing wrong.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    alerts: usize,
    subscriptions: usize,
    owed: usize,
    accepted: usize,
    answers_lost: usize,
    repeats_after_lost_answers: usize,
    repeats_after_kills: usize,
    most_by_one_kill: usize,
    most_copies: usize,
}

impl Verdict {
    /// Messages accepted more than once, whatever the cause.
    pub(crate) fn repeats(&self) -> usize {
        self.repeats_after_lost_answers + self.repeats_after_kills
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in [
            ("subscriptions", self.subscriptions),
            ("alerts", self.alerts),
            ("deliveries owed", self.owed),
            ("lost", 0),
            ("messages accepted", self.accepted),
            ("answers withheld", self.answers_lost),
            ("repeats after such", self.repeats_after_lost_answers),
            ("repeats after kills", self.repeats_after_kills),
            ("  at most by one kill", self.most_by_one_kill),
            ("unexplained repeats", 0),
            ("copies of one at most", self.most_copies),
        ] {
            writeln!(f, "{what:<26}{count}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qqq_testkit::Mail;
    use std::time::{Duration, Instant};

    fn ledger() -> Ledger {
        let alert = |id: &str, start: &str| Alert {
            id: id.to_owned(),
            symbol: "AAPL".to_owned(),
            metric: "volume".to_owned(),
            start: start.to_owned(),
            evidence: Default::default(),
        };
        let subscription = |email: &str, metric: &str, owed_after: &str| Subscription {
            email: email.to_owned(),
            symbol: "AAPL".to_owned(),
            metric: metric.to_owned(),
            owed_after: Some(owed_after.to_owned()),
        };
        Ledger::new(
            vec![alert("one", "2025-01-27T15:01:00Z"), alert("two", "2025-01-27T15:02:00Z")],
            vec![
                subscription("early@x", "volume", ""),
                subscription("late@x", "volume", "2025-01-27T15:01:00Z"),
                subscription("other@x", "price", ""),
            ],
        )
    }

    /// What the sink accepts where nothing goes wrong.
    fn sound() -> Vec<Accepted> {
        [("early@x", "one"), ("early@x", "two"), ("late@x", "two")]
            .map(|(to, alert)| accepted(to, alert, 1))
            .to_vec()
    }

    fn accepted(recipient: &str, alert: &str, mark: u32) -> Accepted {
        let mail = format!(
            "To: {recipient}\nMessage-ID: <{recipient}-{alert}>\nContent-Type: text/plain\n\n\
             http://x/v1/alerts/{alert}\n"
        );
        Accepted {
            recipient: recipient.to_owned(),
            mail: Mail::new(mail.as_bytes()),
            mark,
            at: Instant::now() + Duration::from_secs(mark.into()),
            answer: Answer::Given,
        }
    }

    #[test]
    fn what_is_owed_settles_it_and_explained_repeats_do_no_harm() {
        let (ledger, mut messages) = (ledger(), sound());
        let mut settled = ledger.settled();
        assert!(!settled(&messages[..2]));
        assert!(settled(&messages));
        assert_eq!(ledger.judge(&messages, 0).repeats(), 0);
        // A kill in run 1, an answer lost in run 2, a mail before it was owed.
        messages.extend([
            accepted("early@x", "one", 2),
            accepted("early@x", "one", 2),
            accepted("late@x", "one", 2),
        ]);
        messages[3].answer = Answer::Lost;
        assert_eq!(ledger.judge(&messages, 1).repeats(), 2);
    }

    #[test]
    #[should_panic(expected = "1 deliveries of 3 are lost")]
    fn a_lost_delivery_is_found() {
        ledger().judge(&sound()[1..], 5);
    }

    #[test]
    #[should_panic(expected = "was sent again for no reason")]
    fn a_repeat_within_a_run_is_found() {
        ledger().judge(&[sound(), vec![accepted("late@x", "two", 1)]].concat(), 5);
    }

    #[test]
    #[should_panic(expected = "was sent again for no reason")]
    fn a_repeat_after_an_orderly_end_is_found() {
        ledger().judge(&[sound(), vec![accepted("late@x", "two", 2)]].concat(), 0);
    }

    #[test]
    #[should_panic(expected = "was never owed")]
    fn a_mail_nobody_asked_for_is_found() {
        ledger().judge(&[sound(), vec![accepted("other@x", "one", 1)]].concat(), 5);
    }

    #[test]
    #[should_panic(expected = "share a Message-ID")]
    fn two_deliveries_of_one_name_are_found() {
        let mut messages = sound();
        messages[0].mail.raw = messages[0].mail.raw.replace("early@x-one", "early@x-two");
        ledger().judge(&messages, 5);
    }

    #[test]
    #[should_panic(expected = "cannot be told from news")]
    fn a_repeat_of_another_name_is_found() {
        let mut again = accepted("late@x", "two", 2);
        again.mail.raw = again.mail.raw.replace("late@x-two", "late@x-two-again");
        ledger().judge(&[sound(), vec![again]].concat(), 5);
    }
}
