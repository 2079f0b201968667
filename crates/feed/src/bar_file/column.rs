//! The columns of a file of bars: found by name, in any order, whatever else there is.

use std::fmt;
use std::str::FromStr;

/// The columns that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Symbol,
    Start,
    Open,
    High,
    Low,
    Close,
    Volume,
    Vwap,
    Trades,
    Feed,
    /// The splits that the prices were brought over after the bar's own day.
    Splits,
}

impl Column {
    pub(super) const COUNT: usize = 11;

    /// In the order they are written.
    pub(super) const ALL: [Self; Self::COUNT] = [
        Self::Symbol,
        Self::Start,
        Self::Open,
        Self::High,
        Self::Low,
        Self::Close,
        Self::Volume,
        Self::Vwap,
        Self::Trades,
        Self::Feed,
        Self::Splits,
    ];

    pub(super) const PRICES: [Self; 5] = [Self::Open, Self::High, Self::Low, Self::Close, Self::Vwap];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Symbol => "symbol",
            Self::Start => "start",
            Self::Open => "open",
            Self::High => "high",
            Self::Low => "low",
            Self::Close => "close",
            Self::Volume => "volume",
            Self::Vwap => "vwap",
            Self::Trades => "trades",
            Self::Feed => "feed",
            Self::Splits => "splits",
        }
    }

    pub(super) const fn is_required(self) -> bool {
        !matches!(self, Self::Vwap | Self::Trades | Self::Feed | Self::Splits)
    }

    /// What other programs call it, in the letters that [`letters`] leaves.
    const fn other_names(self) -> &'static [&'static str] {
        match self {
            Self::Symbol => &["ticker", "sym", "tic", "tickersymbol", "stocksymbol"],
            Self::Start => &[
                "timeutc",
                "windowstart",
                "timestamp",
                "timestamputc",
                "datetime",
                "datetimeutc",
                "starttime",
                "startutc",
                "tsevent",
                "ts",
                "t",
                "time",
                "date",
                "dateutc",
            ],
            Self::Open => &["o", "openprice", "opening"],
            Self::High => &["h", "highprice"],
            Self::Low => &["l", "lowprice"],
            Self::Close => &["c", "closeprice", "last", "closelast"],
            Self::Volume => &["v", "vol", "totalvolume"],
            Self::Vwap => &["vw", "wap"],
            Self::Trades => {
                &["n", "transactions", "tradecount", "tradescount", "numberoftrades", "numtrades", "barcount"]
            }
            Self::Feed | Self::Splits => &[],
        }
    }
}

/// The letters and digits of a name, in lower case: `Trade Count` and `<trade_count>` are one.
fn letters(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// A column, or the time of day that belongs to a column of dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Column(Column),
    TimeOfDay,
}

/// What a file calls its columns where that is not known: `start=window_start,trades=n`.
///
/// `time=...` names a column of the time of day, where `start` is one of dates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnNames(Vec<(Part, String)>);

impl FromStr for ColumnNames {
    type Err = InvalidColumnNames;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut names: Vec<(Part, String)> = Vec::new();
        for one in text.split(',').filter(|one| !one.trim().is_empty()) {
            let (ours, theirs) =
                one.split_once('=').ok_or_else(|| InvalidColumnNames(one.trim().to_owned()))?;
            let (ours, theirs) = (ours.trim(), theirs.trim());
            let part = match Column::ALL.into_iter().find(|column| column.name().eq_ignore_ascii_case(ours)) {
                Some(column) => Part::Column(column),
                None if ours.eq_ignore_ascii_case("time") => Part::TimeOfDay,
                None => return Err(InvalidColumnNames(ours.to_owned())),
            };
            if theirs.is_empty() || names.iter().any(|(known, _)| *known == part) {
                return Err(InvalidColumnNames(one.trim().to_owned()));
            }
            names.push((part, theirs.to_owned()));
        }
        Ok(Self(names))
    }
}

impl fmt::Display for ColumnNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (part, name)) in self.0.iter().enumerate() {
            let ours = match part {
                Part::Column(column) => column.name(),
                Part::TimeOfDay => "time",
            };
            write!(f, "{}{ours}={name}", if index > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

/// A text that does not say which columns are which.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no column: it must look like start=window_start,trades=n, each of symbol, start, time, \
     open, high, low, close, volume, vwap, trades, feed and splits at most once"
)]
pub struct InvalidColumnNames(pub String);

/// Where in a row the columns stand.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Columns {
    at: [Option<usize>; Column::COUNT],
    /// The time of day of a start that is a date.
    pub(super) time_of_day: Option<usize>,
    /// Whether the name of the start says that it is UTC.
    pub(super) is_utc: bool,
}

impl Columns {
    /// Finds the columns among the names a file gives, `None` for a name that is no text. What was `given` is
    /// believed before all, then our own name, then the one of the others that is there.
    pub(super) fn find(names: &[Option<&str>], given: &ColumnNames) -> Result<Self, ColumnsError> {
        let mut columns = Self::default();
        let known: Vec<String> = names.iter().map(|name| name.map(letters).unwrap_or_default()).collect();
        let place = |name: &str| {
            let exact = names.iter().position(|known| known.is_some_and(|known| known == name));
            exact.or_else(|| known.iter().position(|known| !known.is_empty() && *known == letters(name)))
        };
        let mut is_taken = vec![false; names.len()];
        for (part, name) in &given.0 {
            let at = place(name).ok_or_else(|| ColumnsError::Absent(name.clone()))?;
            is_taken[at] = true;
            match part {
                Part::Column(column) => columns.at[*column as usize] = Some(at),
                Part::TimeOfDay => columns.time_of_day = Some(at),
            }
        }
        let mut missing = Vec::new();
        for column in Column::ALL.into_iter().filter(|&column| given.of(column).is_none()) {
            let called = |wanted: &[&str]| -> Vec<usize> {
                let at = |index: &usize| !is_taken[*index] && wanted.contains(&known[*index].as_str());
                (0..known.len()).filter(at).collect()
            };
            let mut found = called(&[column.name()]);
            if found.is_empty() {
                found = called(column.other_names());
            }
            let name = |index: usize| names[index].unwrap_or_default().to_owned();
            match found.as_slice() {
                [] if column.is_required() => missing.push(column.name()),
                [] => {}
                [one] => columns.at[column as usize] = Some(*one),
                // A day and its time, in columns of their own.
                [one, two] if column == Column::Start && columns.time_of_day.is_none() => {
                    let (date, time) = if known[*one] == "date" { (one, two) } else { (two, one) };
                    if known[*date] != "date" || known[*time] != "time" {
                        return Err(ColumnsError::Twice(column.name(), name(*one), name(*two)));
                    }
                    columns.at[column as usize] = Some(*date);
                    columns.time_of_day = Some(*time);
                }
                [one, two, ..] => return Err(ColumnsError::Twice(column.name(), name(*one), name(*two))),
            }
        }
        if !missing.is_empty() {
            let found = columns.at.iter().flatten().count();
            return Err(ColumnsError::Missing { missing, found });
        }
        columns.is_utc = columns.at(Column::Start).is_some_and(|at| known[at].ends_with("utc"));
        Ok(columns)
    }

    pub(super) fn at(&self, column: Column) -> Option<usize> {
        self.at[column as usize]
    }
}

impl ColumnNames {
    fn of(&self, column: Column) -> Option<&str> {
        self.0.iter().find(|(part, _)| *part == Part::Column(column)).map(|(_, name)| name.as_str())
    }
}

/// Why names are not those of a file of bars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ColumnsError {
    /// A name that was given is not there.
    Absent(String),
    /// Two names for one column.
    Twice(&'static str, String, String),
    /// Required columns are not there; others are.
    Missing { missing: Vec<&'static str>, found: usize },
}

impl ColumnsError {
    /// How many columns were found: which way to read a header is the right one.
    pub(super) fn found(&self) -> usize {
        match self {
            Self::Missing { found, .. } => *found,
            Self::Absent(_) => 1,
            Self::Twice(..) => Column::COUNT,
        }
    }
}

impl fmt::Display for ColumnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(name) => write!(f, "does not name the column {name} (--columns)"),
            Self::Twice(column, one, two) if one.eq_ignore_ascii_case(two) => {
                write!(f, "names the column {column} twice, as {one}")
            }
            Self::Twice(column, one, two) => {
                write!(
                    f,
                    "names the column {column} twice, as {one} and {two}: --columns {column}={one} says which"
                )
            }
            Self::Missing { missing, .. } => match missing.as_slice() {
                [one] => write!(f, "does not name the column {one}"),
                some => write!(f, "does not name the columns {}", some.join(", ")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(header: &str, given: &str) -> Result<Columns, ColumnsError> {
        let names: Vec<Option<&str>> = header.split(',').map(Some).collect();
        Columns::find(&names, &given.parse().unwrap())
    }

    #[test]
    fn names_of_other_programs_are_known_in_any_case() {
        for header in [
            "symbol,start,open,high,low,close,volume",
            "Symbol,Time UTC,Open,High,Low,Close,Volume",
            "ticker,window_start,open,high,low,close,volume",
            "<TICKER>,<DATETIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>",
            "sym,Timestamp,o,h,l,c,v",
            "Ticker,Date,Open,High,Low,Close/Last,Volume",
            "symbol,t,o,h,l,c,v",
        ] {
            let columns = find(header, "").unwrap_or_else(|error| panic!("{header}: {error}"));
            let at: Vec<_> = Column::ALL[..7].iter().map(|&column| columns.at(column)).collect();
            assert_eq!(at, (0..7).map(Some).collect::<Vec<_>>(), "{header}");
            assert_eq!(columns.is_utc, header.contains("UTC"));
        }
        let columns = find("ticker,volume,open,close,high,low,window_start,transactions", "").unwrap();
        assert_eq!((columns.at(Column::Start), columns.at(Column::Trades)), (Some(6), Some(7)));
        // Prices with dividends taken off are not what was paid.
        let columns = find("Ticker,Date,Open,High,Low,Close,Adj Close,Volume", "").unwrap();
        assert_eq!((columns.at(Column::Close), columns.at(Column::Volume)), (Some(5), Some(7)));
    }

    #[test]
    fn a_day_and_its_time_may_stand_in_two_columns() {
        let columns = find("ticker,date,time,o,h,l,c,v", "").unwrap();
        assert_eq!((columns.at(Column::Start), columns.time_of_day), (Some(1), Some(2)));
        let columns = find("ticker,<TIME>,<DATE>,o,h,l,c,v", "").unwrap();
        assert_eq!((columns.at(Column::Start), columns.time_of_day), (Some(2), Some(1)));
        let columns = find("ticker,day,clock,o,h,l,c,v", "start=day,time=clock").unwrap();
        assert_eq!((columns.at(Column::Start), columns.time_of_day), (Some(1), Some(2)));
        // A whole time beside them is meant.
        let columns = find("ticker,start,date,time,o,h,l,c,v", "").unwrap();
        assert_eq!((columns.at(Column::Start), columns.time_of_day), (Some(1), None));
    }

    #[test]
    fn what_is_given_goes_before_what_is_known() {
        let columns = find("symbol,bar_end,start,o,h,l,c,v,Count", "start = BAR_END, trades=count").unwrap();
        assert_eq!((columns.at(Column::Start), columns.at(Column::Trades)), (Some(1), Some(8)));
        let error = find("symbol,start,o,h,l,c,v", "trades=count").unwrap_err();
        assert_eq!(error.to_string(), "does not name the column count (--columns)");
        for text in ["start", "x=y", "start=", "start=a,start=b"] {
            assert!(text.parse::<ColumnNames>().is_err(), "{text}");
        }
        let names: ColumnNames = "start=a,time=b".parse().unwrap();
        assert_eq!(names.to_string().parse(), Ok(names));
    }

    #[test]
    fn two_names_for_one_column_are_not_guessed_between() {
        for (header, twice) in [
            ("symbol,start,START,o,h,l,c,v", "start twice, as start"),
            ("symbol,time_utc,timestamp,o,h,l,c,v", "start twice, as time_utc and timestamp"),
            (
                "symbol,timestamp,date,o,h,l,c,v",
                "start twice, as timestamp and date: --columns start=timestamp",
            ),
            ("T,t,date,time,o,h,l,c,v", "start twice"),
        ] {
            let error = find(header, "").unwrap_err().to_string();
            assert!(error.contains(twice), "{header}: {error}");
        }
        assert!(find("symbol,ticker,start,o,h,l,c,v", "").is_ok(), "our own name is meant");
    }

    #[test]
    fn what_is_missing_is_said() {
        let error = find("symbol,start,open,high,low,close", "").unwrap_err();
        assert_eq!(error.to_string(), "does not name the column volume");
        assert_eq!(error.found(), 6);
        assert_eq!(find("a,b", "").unwrap_err().to_string().split(' ').count(), 12);
    }
}
