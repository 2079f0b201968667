//! What a receiver of mails sees and does once it has shown who it is: by a link in a mail, a browser is
//! signed in, and then holds a token of its own.

use crate::subscribe::{SignUpError, random};
use jiff::Timestamp;
use qqq_core::subscription::session::{Session, SignInId};
use qqq_core::subscription::signup::SignUpLimits;
use qqq_core::subscription::token::{Token, TokenHash, TokenKey};
use qqq_core::subscription::{EmailAddress, Subscription, SubscriptionId};
use qqq_core::{Alert, Clock};
use qqq_store::{
    DeliveryQuery, DeliveryRecord, DeliveryState, ReceiverAlertQuery, SignInRequest, SignedUp, Store,
    StoreError, SubscriptionQuery,
};
use std::sync::Arc;

/// Entries of each list of an [`Export`], the newest first.
const MOST_EXPORTED: usize = 10_000;

/// Who is signed in.
#[derive(Clone, Debug)]
pub struct Reader {
    /// Since when and until when, and with which address.
    pub session: Session,
    token: TokenHash,
    operator: bool,
}

impl Reader {
    /// What the store knows the receiver by.
    pub fn key(&self) -> String {
        self.session.address.key()
    }

    /// Whether the configuration names its address (`server.operators`).
    pub fn is_operator(&self) -> bool {
        self.operator
    }

    /// Of the token that its browser holds.
    pub fn token(&self) -> TokenHash {
        self.token
    }
}

/// All that is kept of a receiver.
#[derive(Clone, Debug)]
pub struct Export {
    /// When this was, wall clock.
    pub at: Timestamp,
    /// Where it is signed in, the newest first.
    pub sessions: Vec<Session>,
    /// Its subscriptions, in any state.
    pub subscriptions: Vec<Subscription>,
    /// What was sent to it, or is to be.
    pub deliveries: Vec<DeliveryRecord>,
    /// The alerts by its rules, the newest first.
    pub alerts: Vec<Alert>,
}

/// The receivers of a store, for themselves.
pub struct Accounts {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    tokens: TokenKey,
    limits: SignUpLimits,
    operators: Vec<EmailAddress>,
}

impl Accounts {
    /// Of `store`. Tokens of links are derived by `tokens`, and go out within `limits`.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        tokens: TokenKey,
        limits: SignUpLimits,
        operators: Vec<EmailAddress>,
    ) -> Self {
        Self { store, clock, tokens, limits, operators }
    }

    /// Takes a request for a link. Neither the answer nor its time tells whether the address is known: the
    /// worker decides whether a mail goes out.
    pub async fn ask(&self, address: EmailAddress) -> Result<(), SignUpError> {
        let id = SignInId::from_random(random()?);
        let request = SignInRequest { id, token: self.tokens.sign_in_token(id).hash(), address };
        match self.store.ask_to_sign_in(&request, self.limits, self.clock.now()).await? {
            SignedUp::Taken => Ok(()),
            SignedUp::Full(full) => Err(SignUpError::Full(full)),
        }
    }

    /// Whom a link would sign in. Changes nothing.
    pub async fn signs_in_as(&self, link: &Token) -> Result<Option<EmailAddress>, StoreError> {
        self.store.signs_in_as(&link.hash(), self.clock.now()).await
    }

    /// Uses a link up, and answers the token that its browser holds from now on. `None` where the link does
    /// not work any more. Guesses never reach the writer.
    pub async fn sign_in(&self, link: &Token) -> Result<Option<Token>, SignUpError> {
        if self.signs_in_as(link).await?.is_none() {
            return Ok(None);
        }
        let token = Token::from_random(random()?);
        let session = self.store.sign_in(&link.hash(), &token.hash(), self.clock.now()).await?;
        Ok(session.map(|_| token))
    }

    /// Who holds a token, unless its session has ended.
    pub async fn reader(&self, token: TokenHash) -> Result<Option<Reader>, StoreError> {
        let session = self.store.session(&token, self.clock.now()).await?;
        Ok(session.map(|session| {
            let key = session.address.key();
            let operator = self.operators.iter().any(|operator| operator.key() == key);
            Reader { session, token, operator }
        }))
    }

    /// Signs a browser out.
    pub async fn end(&self, reader: &Reader) -> Result<(), StoreError> {
        self.store.end_session(&reader.token).await
    }

    /// The reader's subscriptions by mail that have not ended, by id.
    pub async fn subscriptions(
        &self,
        reader: &Reader,
        after: Option<SubscriptionId>,
        limit: usize,
    ) -> Result<Vec<Subscription>, StoreError> {
        let query = SubscriptionQuery { address: Some(reader.key()), live_only: true, after, limit };
        self.store.subscriptions(&query).await
    }

    /// One of the reader's subscriptions; `None` where there is none of this id, or it is another's.
    pub async fn subscription(
        &self,
        reader: &Reader,
        id: SubscriptionId,
    ) -> Result<Option<Subscription>, StoreError> {
        let key = reader.key();
        Ok(self.store.subscription(id).await?.filter(|one| one.channel.key() == key))
    }

    /// The reader's subscriptions that alerts are told to.
    pub async fn active(&self, reader: &Reader) -> Result<Vec<Subscription>, StoreError> {
        self.store.active_of(&reader.key()).await
    }

    /// The alerts of the reader's active subscriptions.
    pub async fn alerts(&self, reader: &Reader, query: ReceiverAlertQuery) -> Result<Vec<Alert>, StoreError> {
        self.store.alerts_of(&reader.key(), query).await
    }

    /// Whether an alert is for the reader to see: as one of its rules, or one it was told of.
    pub async fn may_read(&self, reader: &Reader, alert: &Alert) -> Result<bool, StoreError> {
        let is_own = alert.is_public() || self.active(reader).await?.iter().any(|one| one.may_read(alert));
        Ok(is_own || self.store.was_owed_to(alert.id, &reader.key()).await?)
    }

    /// All that is kept of the reader; of each the newest ten thousand.
    pub async fn export(&self, reader: &Reader) -> Result<Export, StoreError> {
        let (key, at) = (reader.key(), self.clock.now());
        let everything = SubscriptionQuery {
            address: Some(key.clone()),
            limit: MOST_EXPORTED,
            ..SubscriptionQuery::default()
        };
        let mut deliveries = Vec::new();
        for state in DeliveryState::ALL {
            let query =
                DeliveryQuery { state, address: Some(key.clone()), after: None, limit: MOST_EXPORTED };
            deliveries.extend(self.store.deliveries(&query).await?);
        }
        let alerts = ReceiverAlertQuery { limit: MOST_EXPORTED, ..ReceiverAlertQuery::default() };
        Ok(Export {
            at,
            sessions: self.store.sessions_of(&key, at).await?,
            subscriptions: self.store.subscriptions(&everything).await?,
            deliveries,
            alerts: self.store.alerts_of(&key, alerts).await?,
        })
    }

    /// Deletes all that is known of the reader, and signs it out everywhere.
    pub async fn erase(&self, reader: &Reader) -> Result<(), StoreError> {
        self.store.erase(&reader.key()).await.map(drop)
    }
}
