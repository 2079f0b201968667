//! Tables on a terminal.

/// Rows in columns that are as wide as their widest cell; the last ends where it ends. What would move the
/// cursor is shown instead.
pub fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let shown: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| plain(cell))).collect();
    let width = |column: usize| shown.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &shown {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn plain(cell: &str) -> String {
    let shown = |character: char| {
        let escaped = character.is_control().then(|| character.escape_debug());
        let plain = escaped.is_none().then_some(character);
        escaped.into_iter().flatten().chain(plain)
    };
    cell.chars().flat_map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        let rows = [row(["id", "name", "x"]), row(["1", "Zoë Ω", ""]), row(["23", "\u{1b}[2J\n", "y"])];
        assert_eq!(aligned(&rows), "id  name         x\n1   Zoë Ω\n23  \\u{1b}[2J\\n  y\n");
    }
}
