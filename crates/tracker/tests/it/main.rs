//! What holds for the workspace as a whole.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod edges;
