//! Dispatch: takes in sign-ups, claims due deliveries by lease, as many as there are places for, sends them,
//! settles them.
//!
//! Nothing is sent while a transaction is open. A wakeup is a hint, the scan is the truth: a lost wakeup
//! costs seconds.

use crate::metrics::Metrics;
use crate::{retry_while_busy, without_room};
use jiff::{SignedDuration, Timestamp};
use qqq_core::delivery::places::{PlaceLimits, Places, Rooms};
use qqq_core::delivery::{Delivery, DeliveryId, Failure, Lease, Outcome, SignInMail, retry_at};
use qqq_core::subscription::EmailAddress;
use qqq_core::{Carrier, Clock};
use qqq_notify::{Deliver, DeliveryError};
use qqq_store::{Budget, SignUpLimits, Store, StoreError};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// How long a claim holds without a sign of life.
const LEASE: SignedDuration = SignedDuration::from_secs(30);
/// How long the claim of a mail with a link to sign in holds: as long as the link works. Leases of a worker
/// that is gone are given up when the next one starts.
const SIGN_IN_LEASE: SignedDuration = SignedDuration::from_mins(15);
/// How often a delivery under way shows a sign of life.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How often the store is scanned without a wakeup.
const SCAN: Duration = Duration::from_secs(1);
/// How long deliveries under way may take to finish once the process is asked to stop.
const DRAIN: Duration = Duration::from_secs(7);

/// Sends what is owed.
#[derive(Clone)]
pub struct Dispatch {
    store: Arc<dyn Store>,
    channel: Arc<dyn Deliver>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    /// How much one recipient is sent.
    budget: Budget,
    /// How much asks to confirm, and how many links to sign in go out.
    sign_up: SignUpLimits,
    /// Who may sign in without a subscription.
    operators: Arc<[EmailAddress]>,
    /// What this process is sending. Locked over each claim, renewal and settling, never over a sending.
    under_way: Arc<Mutex<UnderWay>>,
}

/// What this process is sending, and the places that this takes.
struct UnderWay {
    /// By delivery. A lease that ran out while the process slept, or while the clock was set, is taken again
    /// by the next claim: the attempt under way goes on with the new one, and nothing is sent twice.
    attempts: HashMap<DeliveryId, Attempt>,
    mail: Places,
    webhooks: Places,
    /// What the times of places count from: unlike the wall clock, this one only goes forward.
    start: Instant,
}

/// An attempt under way.
struct Attempt {
    lease: Lease,
    carrier: Carrier,
    host: String,
    begun: Duration,
}

impl UnderWay {
    fn new() -> Self {
        Self {
            attempts: HashMap::new(),
            mail: Places::new(PlaceLimits::MAIL),
            webhooks: Places::new(PlaceLimits::WEBHOOKS),
            start: Instant::now(),
        }
    }

    fn rooms(&self) -> Rooms {
        let now = self.start.elapsed();
        Rooms { mail: self.mail.room(now), webhooks: self.webhooks.room(now) }
    }

    fn places(&mut self, carrier: Carrier) -> &mut Places {
        match carrier {
            Carrier::Mail => &mut self.mail,
            Carrier::Http => &mut self.webhooks,
        }
    }

    /// Takes a place for an attempt. False where one is under way already, which from now on holds the new
    /// lease.
    fn begin(&mut self, delivery: &Delivery) -> bool {
        if let Some(attempt) = self.attempts.get_mut(&delivery.id) {
            attempt.lease = delivery.lease;
            return false;
        }
        let (channel, host) = (&delivery.subscription.channel, delivery.subscription.channel.host());
        let attempt =
            Attempt { lease: delivery.lease, carrier: channel.carrier(), host, begun: self.start.elapsed() };
        self.places(attempt.carrier).begin(&attempt.host, attempt.begun);
        self.attempts.insert(delivery.id, attempt);
        true
    }

    /// Gives the place back, and answers the latest lease. `asked`: whether the receiver was asked at all.
    fn end(&mut self, id: DeliveryId, asked: bool) -> Option<Lease> {
        let Attempt { lease, carrier, host, begun } = self.attempts.remove(&id)?;
        let now = self.start.elapsed();
        self.places(carrier).end(&host, begun, now, asked);
        Some(lease)
    }
}

impl Dispatch {
    /// Sends what `store` owes through `channel`, within `budget`.
    pub fn new(
        store: Arc<dyn Store>,
        channel: Arc<dyn Deliver>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
        budget: Budget,
    ) -> Self {
        let under_way = Arc::new(Mutex::new(UnderWay::new()));
        let (sign_up, operators) = (SignUpLimits::default(), Arc::default());
        Self { store, channel, clock, metrics, budget, sign_up, operators, under_way }
    }

    /// The same, where `operators` may sign in, whether or not they have a subscription.
    #[must_use]
    pub fn with_operators(self, operators: impl IntoIterator<Item = EmailAddress>) -> Self {
        Self { operators: operators.into_iter().collect(), ..self }
    }

    /// Sends until `stop`, then lets what is under way finish, for a while.
    pub async fn run(self, wakeup: Arc<Notify>, stop: CancellationToken) -> anyhow::Result<()> {
        let mut sending = JoinSet::new();
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            taken = self.take_over() => taken?,
        }
        loop {
            tokio::select! {
                taken = self.take_in() => taken?,
                () = async { stop.cancelled().await; without_room(&*self.store).await } => break,
            }
            tokio::select! {
                begun = self.begin(self.clock.now(), &mut sending, &stop) => begun?,
                () = async { stop.cancelled().await; without_room(&*self.store).await } => {}
            }
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = sending.join_next() => ended??,
                () = wakeup.notified() => {}
                () = tokio::time::sleep(SCAN) => {}
            }
        }
        let unfinished = tokio::time::timeout(DRAIN, async {
            while let Some(ended) = sending.join_next().await {
                ended??;
            }
            anyhow::Ok(())
        });
        match unfinished.await {
            Ok(result) => result,
            Err(_) => {
                warn!(
                    deliveries = sending.len(),
                    "stopped before their receivers answered; they will be tried again"
                );
                sending.shutdown().await;
                Ok(())
            }
        }
    }

    /// Sends what is due now, once each, until `stop`. Answers how many attempts ended.
    pub async fn run_once(&self, stop: &CancellationToken) -> anyhow::Result<usize> {
        self.take_over().await?;
        self.take_in().await?;
        // What becomes due by failing is for another round.
        let due = self.clock.now();
        let (mut attempts, mut sending) = (0, JoinSet::new());
        loop {
            self.begin(due, &mut sending, stop).await?;
            match sending.join_next().await {
                Some(ended) => ended??,
                None => return Ok(attempts),
            }
            attempts += 1;
        }
    }

    /// What an earlier worker left unfinished is due again: this process is the only one.
    async fn take_over(&self) -> Result<(), StoreError> {
        let released = retry_while_busy(|| self.store.release_leases()).await?;
        if released > 0 {
            info!(deliveries = released, "deliveries of an earlier run are taken up again");
        }
        Ok(())
    }

    /// Takes in what was asked for, and enqueues the messages that ask to confirm and the mails with links in
    /// their turn.
    async fn take_in(&self) -> Result<(), StoreError> {
        loop {
            let taken = retry_while_busy(|| self.store.take_in(self.sign_up, self.clock.now())).await?;
            self.metrics.taken_in(taken);
            if !taken.more {
                break;
            }
        }
        let limits = self.sign_up.of_links();
        while retry_while_busy(|| self.store.take_in_sign_ins(limits, &self.operators, self.clock.now()))
            .await?
            .more
        {}
        Ok(())
    }

    /// Begins to send what was due at `due`, until nothing of it has a place.
    async fn begin(
        &self,
        due: Timestamp,
        sending: &mut JoinSet<Result<(), StoreError>>,
        stop: &CancellationToken,
    ) -> Result<(), StoreError> {
        let until = later(self.clock.now(), SIGN_IN_LEASE);
        for mail in retry_while_busy(|| self.store.claim_sign_ins(due, until)).await? {
            sending.spawn(self.clone().send_sign_in(mail));
        }
        while !stop.is_cancelled() {
            let claimed = self.claim(due).await?;
            if claimed.is_empty() {
                break;
            }
            for delivery in claimed {
                sending.spawn(self.clone().send(delivery));
            }
        }
        Ok(())
    }

    /// Claims what was due at `due`, has a place, and is not under way here.
    async fn claim(&self, due: Timestamp) -> Result<Vec<Delivery>, StoreError> {
        let mut under_way = self.under_way.lock().await;
        let rooms = under_way.rooms();
        if rooms.mail.free() + rooms.webhooks.free() == 0 {
            return Ok(Vec::new());
        }
        let until = later(self.clock.now(), LEASE);
        let mut claimed =
            retry_while_busy(|| self.store.claim(due, until, rooms.clone(), self.budget)).await?;
        claimed.retain(|delivery| under_way.begin(delivery));
        Ok(claimed)
    }

    /// One attempt, with its lease kept alive, to its settling.
    async fn send(self, delivery: Delivery) -> Result<(), StoreError> {
        let attempt = self.channel.deliver(&delivery);
        tokio::pin!(attempt);
        let mut beat = tokio::time::interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        let result = loop {
            tokio::select! {
                result = &mut attempt => break result,
                _ = beat.tick() => self.renew(delivery.id).await,
            }
        };
        let now = self.clock.now();
        let tried = !matches!(result, Err(DeliveryError::NotTried(..)));
        let carrier = delivery.subscription.channel.carrier();
        let outcome = outcome(carrier, delivery.id, delivery.attempt, result, now);
        let settled = self.settle(delivery.id, &outcome, now, tried).await?;
        self.metrics.delivery(delivery.kind, &outcome);
        let (id, kind, attempt) = (delivery.id, delivery.kind, delivery.attempt);
        match outcome {
            Outcome::Sent => debug!(delivery.id = %id, %kind, attempt, "sent"),
            Outcome::NotTried(at, reason) => {
                debug!(delivery.id = %id, %kind, attempt, next = %at, reason, "put off");
            }
            Outcome::RetryAt(at, Failure { reason, .. }) => {
                warn!(
                    delivery.id = %id, %kind, attempt, next = %at, reason,
                    "not accepted; trying again later"
                );
            }
            Outcome::Failed(Failure { reason, .. }) => {
                warn!(delivery.id = %id, %kind, attempt, reason, "refused for good");
            }
            Outcome::Gone(Failure { reason, .. }) => {
                warn!(
                    delivery.id = %id, %kind, attempt, reason,
                    "the receiver is gone; its subscription ends"
                );
            }
        }
        if !settled {
            info!(delivery.id = %id, "settled by somebody else meanwhile");
        }
        Ok(())
    }

    /// One attempt of a mail with a link to sign in, to its settling.
    async fn send_sign_in(self, mail: SignInMail) -> Result<(), StoreError> {
        let result = self.channel.deliver_sign_in(&mail).await;
        let now = self.clock.now();
        let id = mail.delivery_id();
        let outcome = outcome(Carrier::Mail, id, mail.attempt, result, now);
        retry_while_busy(|| self.store.settle_sign_in(mail.id, mail.lease, &outcome, now)).await?;
        match outcome {
            Outcome::Sent => debug!(delivery.id = %id, kind = "sign_in", "sent"),
            Outcome::NotTried(at, reason) => {
                debug!(delivery.id = %id, kind = "sign_in", next = %at, reason, "put off");
            }
            Outcome::RetryAt(at, Failure { reason, .. }) => {
                let next = at;
                warn!(delivery.id = %id, kind = "sign_in", %next, reason, "not accepted; trying again later");
            }
            Outcome::Failed(Failure { reason, .. }) | Outcome::Gone(Failure { reason, .. }) => {
                warn!(delivery.id = %id, kind = "sign_in", reason, "refused for good");
            }
        }
        Ok(())
    }

    /// A sign of life. A lease that cannot be renewed is no reason to break off: whether the receiver takes
    /// the message is open by now, and the settling tells whether this process still may say so.
    async fn renew(&self, id: DeliveryId) {
        let under_way = self.under_way.lock().await;
        let Some(lease) = under_way.attempts.get(&id).map(|attempt| attempt.lease) else { return };
        match self.store.renew(id, lease, later(self.clock.now(), LEASE)).await {
            Ok(true) => {}
            Ok(false) => warn!(delivery.id = %id, "the lease is somebody else's"),
            Err(error) => warn!(delivery.id = %id, %error, "lease not renewed"),
        }
    }

    async fn settle(
        &self,
        id: DeliveryId,
        outcome: &Outcome,
        now: Timestamp,
        tried: bool,
    ) -> Result<bool, StoreError> {
        let mut under_way = self.under_way.lock().await;
        let Some(lease) = under_way.end(id, tried) else { return Ok(false) };
        retry_while_busy(|| self.store.settle(id, lease, outcome, now)).await
    }
}

/// What becomes of a delivery.
fn outcome(
    carrier: Carrier,
    id: DeliveryId,
    attempt: u32,
    result: Result<(), DeliveryError>,
    now: Timestamp,
) -> Outcome {
    let retry_at = |attempt, now| retry_at(carrier, id, attempt, now);
    // The schedule begins when a wait ends: what waited together does not come back all at once.
    let end = |wait: Duration| later(now, SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX));
    match result {
        Ok(()) => Outcome::Sent,
        Err(DeliveryError::Retry(failure)) => Outcome::RetryAt(retry_at(attempt, now), failure),
        Err(DeliveryError::RetryAfter(failure, wait)) => {
            Outcome::RetryAt(retry_at(attempt, end(wait)), failure)
        }
        // Nobody was asked, so nobody has failed: the attempt is given back, and the schedule stays where it
        // was.
        Err(DeliveryError::NotTried(reason, wait)) => Outcome::NotTried(retry_at(1, end(wait)), reason),
        Err(DeliveryError::GiveUp(failure)) => Outcome::Failed(failure),
        Err(DeliveryError::Gone(failure)) => Outcome::Gone(failure),
    }
}

fn later(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}
