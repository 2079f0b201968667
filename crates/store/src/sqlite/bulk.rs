//! Inserts of many rows at a time. Each statement is a trip to the thread that owns the connection; with ten
//! thousand rows a minute the trips cost more than the rows.

/// Rows in a full statement.
pub(super) const ROWS: usize = 64;

/// The same insert for one row and for [`ROWS`] rows, so that the statement cache holds two and not
/// sixty-four.
pub(super) struct Bulk {
    one: String,
    full: String,
}

impl Bulk {
    /// `head (?, ?, ...), ... tail`, with `columns` values a row.
    pub(super) fn new(head: &str, columns: usize, tail: &str) -> Self {
        let row = format!("({})", vec!["?"; columns].join(", "));
        let statement = |rows: usize| format!("{head} {} {tail}", vec![row.as_str(); rows].join(", "));
        Self { one: statement(1), full: statement(ROWS) }
    }

    /// Splits `items` into pieces, each with the statement that takes it.
    pub(super) fn pieces<'a, T>(
        &'static self,
        items: &'a [T],
    ) -> impl Iterator<Item = (&'static str, &'a [T])> {
        let full = items.chunks_exact(ROWS);
        let rest = full.remainder().chunks(1);
        full.map(|piece| (self.full.as_str(), piece)).chain(rest.map(|piece| (self.one.as_str(), piece)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::LazyLock;

    static PAIRS: LazyLock<Bulk> = LazyLock::new(|| Bulk::new("insert into t values", 2, "returning a"));

    #[test]
    fn every_item_is_in_one_piece_whose_statement_has_room_for_exactly_it() {
        for count in [0, 1, ROWS - 1, ROWS, ROWS + 1, 3 * ROWS + 7] {
            let items: Vec<usize> = (0..count).collect();
            let mut seen = Vec::new();
            for (sql, piece) in PAIRS.pieces(&items) {
                assert_eq!(sql.matches('?').count(), 2 * piece.len());
                assert!(sql.starts_with("insert into t values (?, ?)") && sql.ends_with(") returning a"));
                seen.extend_from_slice(piece);
            }
            assert_eq!(seen, items);
        }
    }
}
