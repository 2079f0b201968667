//! The embedded store: one SQLite file in WAL mode, every commit synced to the disk before it is
//! acknowledged.
//!
//! One connection writes, and every write transaction begins `IMMEDIATE`: a transaction that reads first and
//! writes later can then never fail half-way because another process wrote in between. A few read-only
//! connections read beside it. Several processes may open the same file; they wait for each other.

mod activation;
mod admin;
mod alerts;
mod apply;
mod bars;
mod blocks;
mod bulk;
mod cadence;
mod cancel;
mod checksum;
mod checksums;
mod claim;
mod closing;
mod commit;
mod composite;
mod confirmations;
mod connections;
mod ending;
mod enqueue;
mod failure;
mod files;
mod housekeeping;
mod limits;
mod look;
mod lookup;
mod names;
mod open;
mod open_bars;
mod outbox;
mod read_bars;
mod retract;
mod room;
mod rows;
mod schema;
mod sessions;
mod sign_up;
mod sql;
mod store;
mod subscriptions;
#[cfg(test)]
mod tests;
mod watching;
mod watchlist;
mod write_bars;

pub(crate) use store::Sqlite;
