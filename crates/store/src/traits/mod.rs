//! What a backend does, by aspect.

mod admin;
mod alerts;
mod bars;
mod housekeeping;
mod names;
mod outbox;
mod sessions;
mod subscriptions;
mod watchlist;

pub use admin::AdminStore;
pub use alerts::AlertStore;
pub use bars::BarStore;
pub use housekeeping::{Housekeeping, WorkerLock};
pub use names::NameStore;
pub use outbox::OutboxStore;
pub use sessions::SessionStore;
pub use subscriptions::SubscriptionStore;
pub use watchlist::WatchlistStore;

/// Everything a backend does.
pub trait Store:
    BarStore
    + AlertStore
    + OutboxStore
    + SubscriptionStore
    + SessionStore
    + WatchlistStore
    + NameStore
    + AdminStore
    + Housekeeping
{
}

impl<T> Store for T where
    T: BarStore
        + AlertStore
        + OutboxStore
        + SubscriptionStore
        + SessionStore
        + WatchlistStore
        + NameStore
        + AdminStore
        + Housekeeping
{
}
