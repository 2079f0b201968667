//! The embedded store.

use qqq_store::Store;
use std::sync::Arc;

async fn fresh() -> (Arc<dyn Store>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/fresh.db", folder.path().display());
    (qqq_store::open(&url).await.unwrap(), folder)
}

mod conformance {
    use super::fresh;

    qqq_store::store_conformance!(fresh);
}
