//! Values as SQLite takes them.

/// A limit as SQLite takes it.
pub(super) fn bounded(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Texts without quotes and backslashes, as ids, kinds and hosts are, as JSON.
pub(super) fn json_list<T: ToString>(texts: &[T]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| format!("\"{}\"", text.to_string())).collect();
    format!("[{}]", quoted.join(","))
}
