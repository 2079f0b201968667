//! Splits from a CSV file: `symbol,ex_date,ratio` with ratios such as `10:1`, or `symbol,ex_date,new,old`.

use crate::csv_text::{Fields, Line, Lines};
use crate::{FeedError, FeedErrorKind};
use qqq_core::{Split, Splits, Symbol};
use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// Most splits of one file.
const MOST: usize = 100_000;
/// The header, as error messages quote it.
const HEADER: &str = "symbol,ex_date,ratio or symbol,ex_date,new,old";

/// Where the columns stand.
struct Columns {
    symbol: usize,
    ex_date: usize,
    /// Of the ratio, or of the shares after and before.
    terms: (usize, Option<usize>),
}

impl Columns {
    fn find(fields: &Fields) -> Option<Self> {
        let place = |names: &[&str]| {
            (0..fields.count()).find(|&index| {
                let name = fields.get(index).unwrap_or_default().to_ascii_lowercase();
                names.contains(&name.as_str())
            })
        };
        let ratio = place(&["ratio"]).map(|ratio| (ratio, None));
        let both = || {
            Some((place(&["new", "split_to", "numerator"])?, place(&["old", "split_from", "denominator"])))
        };
        Some(Self {
            symbol: place(&["symbol", "ticker"])?,
            ex_date: place(&["ex_date", "execution_date", "date"])?,
            terms: ratio.or_else(|| both().filter(|(_, old)| old.is_some()))?,
        })
    }

    fn split(&self, fields: &Fields) -> Result<Split, String> {
        let text =
            |index: usize| if index < fields.count() { fields.get(index).unwrap_or_default() } else { "" };
        let symbol: Symbol = text(self.symbol).parse().map_err(|error| format!("{error}"))?;
        let day = text(self.ex_date);
        let ex_date =
            day.parse().map_err(|_| format!("ex_date: `{}` is no day such as 2024-06-10", shown(day)))?;
        let (new, old) = match self.terms {
            (new, Some(old)) => (text(new), text(old)),
            (ratio, None) => {
                let ratio = text(ratio);
                ratio.split_once([':', '/']).unwrap_or((ratio, "1"))
            }
        };
        let number = |text: &str| {
            let text = text.trim();
            text.parse::<u32>()
                .map_err(|_| format!("`{}` is no whole number of shares, as in 10:1", shown(text)))
        };
        Split::new(symbol, ex_date, number(new)?, number(old)?).map_err(|error| error.to_string())
    }
}

/// Reads a file. Its errors name the line. Blocks on the disk.
pub fn open(path: &Path) -> Result<Splits, FeedError> {
    let error =
        |what: fmt::Arguments<'_>| FeedError::new(FeedErrorKind::File, format!("{}: {what}", path.display()));
    let cannot = |cause: std::io::Error| error(format_args!("cannot be read: {cause}"));
    let mut lines = Lines::new(Box::new(BufReader::new(File::open(path).map_err(cannot)?)));
    let mut fields = Fields::new();
    let mut columns: Option<Columns> = None;
    let mut splits = Splits::default();
    for count in 0.. {
        match lines.advance().map_err(cannot)? {
            Line::End => break,
            Line::Blank => continue,
            Line::Text => {}
            Line::TooLong => return Err(error(format_args!("line {} is too long", lines.number()))),
        }
        if count > MOST {
            return Err(error(format_args!("more than {MOST} splits")));
        }
        let wrong = |what: String| error(format_args!("line {}: {what}", lines.number()));
        fields.split(lines.text()).map_err(wrong)?;
        match &columns {
            None => {
                let what = || wrong(format!("the header must be {HEADER}"));
                columns = Some(Columns::find(&fields).ok_or_else(what)?);
            }
            Some(columns) => {
                let split = columns.split(&fields).map_err(wrong)?;
                splits
                    .insert(split)
                    .map_err(|known| wrong(format!("`{split}` stands above as `{known}`")))?;
            }
        }
    }
    match columns {
        Some(_) => Ok(splits),
        None => Err(error(format_args!("the file is empty; the header must be {HEADER}"))),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("splits.csv");
        std::fs::write(&path, content).unwrap();
        let splits = open(&path).map_err(|error| error.message)?;
        Ok(splits.iter().map(|split| format!("{} {split}", split.symbol)).collect())
    }

    #[test]
    fn splits_are_read_in_either_form() {
        for content in [
            "symbol,ex_date,ratio\nNVDA,2024-06-10,10:1\nnvda,2021-07-20,4\nGE,2021-08-02,1/8\n",
            "\u{feff}ticker,execution_date,split_from,split_to\n\n\
             NVDA,2024-06-10,1,10\nNVDA,2021-07-20,1,4\nGE,2021-08-02,8,1\n",
        ] {
            let splits = read(content).unwrap();
            assert_eq!(splits, ["GE 1:8@2021-08-02", "NVDA 4:1@2021-07-20", "NVDA 10:1@2024-06-10"]);
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let header = "symbol,ex_date,ratio\n";
        for (content, said) in [
            (String::new(), "the header must be"),
            ("symbol,ratio\n".to_owned(), "line 1: the header must be"),
            (
                format!("{header}NVDA,2024-06-10,10:1\nNVDA,2024-06-10,5:1\n"),
                "line 3: `5:1@2024-06-10` stands above",
            ),
            (format!("{header}NVDA,10.6.2024,10:1\n"), "line 2: ex_date: `10.6.2024`"),
            (format!("{header}NVDA,2024-06-10,1:1\n"), "line 2: 1:1 is not a split"),
            (format!("{header}NVDA,2024-06-10,1.5\n"), "line 2: `1.5` is no whole number"),
            (format!("{header}NVDA,2024-06-10\n"), "line 2: `` is no whole number"),
            (format!("{header}$,2024-06-10,2:1\n"), "line 2: `$` is not a ticker"),
        ] {
            let error = read(&content).unwrap_err();
            assert!(error.contains(said), "{said}: {error}");
        }
    }
}
