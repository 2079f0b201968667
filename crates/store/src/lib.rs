//! Where bars, statistics, alerts, subscriptions and owed deliveries live: the only meeting point of the
//! worker (left of it) and the server (right of it).
//!
//! [`open`] picks the backend by the URL's scheme. Every backend passes the same conformance list
//! (`conformance`, a feature). Methods say the business act; whatever one method does is one transaction.

mod batch;
mod block;
mod change;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod open;
mod places;
mod query;
mod record;
mod sequence;
mod session;
mod sign_up;
mod sqlite;
mod traits;

pub use batch::{BarRecord, Batch, Closed, ClosedExtent, Committed, Imported, SessionBars, SplitRecord};
pub use change::{Amended, SubscriptionChange};
pub use error::StoreError;
pub use open::{look_at_watchlist, open};
pub use places::{ChangeCursor, Changes, Key, Row, Stamped};
pub use qqq_core::alert::AlertChange;
pub use qqq_core::delivery::{Budget, DeliveryState};
pub use qqq_core::subscription::signup::{Full, SignUpLimits};
pub use query::{AlertQuery, Audience, DeliveryQuery, ReceiverAlertQuery, Selection, SubscriptionQuery};
pub use record::{
    DeliveryRecord, OutboxSummary, Replayed, StoredEdits, SymbolNames, Watched, WatchlistEdits,
};
pub use sequence::Sequence;
pub use session::{SignInRequest, SignInsTakenIn};
pub use sign_up::{Choice, Confirmable, Confirmed, SignUp, SignedUp, TakenIn};
pub use traits::{
    AdminStore, AlertStore, BarStore, Housekeeping, NameStore, OutboxStore, SessionStore, Store,
    SubscriptionStore, WatchlistStore, WorkerLock,
};
