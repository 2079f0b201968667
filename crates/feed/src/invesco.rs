//! What the fund QQQ holds, as Invesco publishes it: the CSV download in its two forms, and the JSON behind
//! the fund's page.
//!
//! Columns and members go by name. Kept are stocks, depositary receipts and registry shares; cash,
//! currencies, futures and synthetic lines are dropped, each with its reason, and so is what has no usable
//! ticker or weight. A line is a line: Alphabet's two classes are two holdings. A ticker listed twice counts
//! by its larger line.

use crate::csv_text::{Fields, Line, Lines};
use crate::excerpt::excerpt;
use crate::{FeedError, FeedErrorKind, json};
use jiff::civil::Date;
use qqq_core::Symbol;
use qqq_core::decimal::{self, Excess};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{Cursor, Read as _};
use std::path::Path;

/// Largest file that is read, bytes: a thousand times what the fund's list takes.
const MAX_FILE: u64 = 16 * 1024 * 1024;
/// Decimals of a weight that are kept.
const PLACES: u32 = 9;

/// A fund's list, as of a day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holdings {
    /// The day it says it is of.
    pub as_of: Option<Date>,
    /// What can be tracked: largest first, equal weights by symbol. No symbol twice.
    pub lines: Vec<Holding>,
    /// What was left out, in the file's order.
    pub dropped: Vec<Dropped>,
}

/// A line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// The ticker.
    pub symbol: Symbol,
    /// The company, as the file has it.
    pub name: String,
    /// Share of the fund.
    pub weight: Weight,
}

/// Percent, as an integer of 1e-9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weight(i64);

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        decimal::format(self.0.into(), PLACES, f)?;
        f.write_str(" %")
    }
}

/// A line that is not tracked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// Where it stands: `line 12`, `holdings[3]`.
    pub place: String,
    /// Its ticker or name, the beginning of it.
    pub what: String,
    /// Why it was dropped.
    pub reason: String,
}

/// Reads a file, whichever form it has. Blocks on the disk.
pub fn open(path: &Path) -> Result<Holdings, FeedError> {
    let error =
        |what: fmt::Arguments<'_>| FeedError::new(FeedErrorKind::File, format!("{}: {what}", path.display()));
    let mut content = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut content))
        .map_err(|cause| error(format_args!("cannot be read: {cause}")))?;
    if content.len() as u64 > MAX_FILE {
        return Err(error(format_args!("larger than {MAX_FILE} bytes: this is no list of holdings")));
    }
    parse(&content).map_err(|what| error(format_args!("{what}")))
}

/// Reads the content of a file, or says why it is no list of holdings.
pub fn parse(content: &[u8]) -> Result<Holdings, String> {
    let text = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let found = if text.trim_ascii_start().starts_with(b"{") { of_json(text)? } else { of_csv(content)? };
    Ok(found.ranked())
}

/// A line before anything was decided about it.
struct Raw<'a> {
    place: String,
    ticker: Cow<'a, str>,
    name: Cow<'a, str>,
    weight: Cow<'a, str>,
    /// Why its kind is not tracked.
    refused: Option<String>,
}

#[derive(Default)]
struct Found {
    as_of: Option<Date>,
    lines: Vec<(String, Holding)>,
    dropped: Vec<Dropped>,
}

impl Found {
    fn take(&mut self, raw: Raw<'_>) {
        match holding(&raw) {
            Ok(holding) => self.lines.push((raw.place, holding)),
            Err(reason) => {
                let what = if is_blank(&raw.ticker) { raw.name } else { raw.ticker };
                self.drop_line(raw.place, &what, reason);
            }
        }
    }

    fn drop_line(&mut self, place: String, what: &str, reason: String) {
        self.dropped.push(Dropped { place, what: excerpt(what.trim()), reason });
    }

    /// Largest first; of a ticker listed twice, the larger line.
    fn ranked(mut self) -> Holdings {
        self.lines.sort_by(|(_, one), (_, two)| {
            two.weight.cmp(&one.weight).then_with(|| one.symbol.cmp(&two.symbol))
        });
        let mut lines: Vec<Holding> = Vec::with_capacity(self.lines.len());
        let mut seen = std::collections::HashSet::new();
        for (place, line) in self.lines {
            if seen.insert(line.symbol) {
                lines.push(line);
            } else {
                let reason = "listed twice: the larger line counts".to_owned();
                self.dropped.push(Dropped { place, what: line.symbol.to_string(), reason });
            }
        }
        Holdings { as_of: self.as_of, lines, dropped: self.dropped }
    }
}

fn holding(raw: &Raw<'_>) -> Result<Holding, String> {
    if let Some(reason) = &raw.refused {
        return Err(reason.clone());
    }
    if is_blank(&raw.ticker) {
        return Err("no ticker".to_owned());
    }
    let symbol =
        raw.ticker.parse().map_err(|_| format!("`{}` is not a ticker", excerpt(raw.ticker.trim())))?;
    if is_blank(&raw.weight) {
        return Err("no weight to rank it by".to_owned());
    }
    let digits: String =
        raw.weight.chars().filter(|sign| !matches!(sign, ',' | '%') && !sign.is_whitespace()).collect();
    let weight = decimal::parse(&digits, PLACES, Excess::Round)
        .map_err(|error| format!("its weight `{}` is {error}", excerpt(&raw.weight)))?;
    Ok(Holding { symbol, name: excerpt(raw.name.trim()), weight: Weight(weight) })
}

/// Nothing, or the strokes that stand for it.
fn is_blank(text: &str) -> bool {
    text.trim().trim_matches('-').is_empty()
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(rename = "effectiveDate")]
    effective_date: Option<Cow<'a, str>>,
    #[serde(borrow)]
    holdings: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(default)]
    ticker: Option<Cow<'a, str>>,
    #[serde(default, rename = "issuerName")]
    issuer_name: Option<Cow<'a, str>>,
    #[serde(default, rename = "securityTypeCode")]
    security_type_code: Option<Cow<'a, str>>,
    #[serde(default, borrow, rename = "percentageOfTotalNetAssets")]
    weight: Option<&'a RawValue>,
}

fn of_json(text: &[u8]) -> Result<Found, String> {
    let document: Document<'_> = serde_json::from_slice(text)
        .map_err(|error| format!("not the JSON of a fund's holdings: {}", excerpt(&error.to_string())))?;
    let as_of = document.effective_date.and_then(|text| text.parse().ok());
    let mut found = Found { as_of, ..Found::default() };
    for (index, raw) in document.holdings.into_iter().enumerate() {
        let place = format!("holdings[{index}]");
        let item: Item<'_> = match json::item(raw) {
            Ok(item) => item,
            Err(reason) => {
                found.drop_line(place, raw.get(), reason);
                continue;
            }
        };
        let weight = item.weight.map(RawValue::get).filter(|weight| *weight != "null").unwrap_or_default();
        found.take(Raw {
            place,
            ticker: item.ticker.unwrap_or_default(),
            name: item.issuer_name.unwrap_or_default(),
            weight: weight.trim_matches('"').into(),
            refused: refused_code(item.security_type_code.as_deref().unwrap_or_default()),
        });
    }
    Ok(found)
}

/// Why lines of a type are not tracked.
fn refused_code(code: &str) -> Option<String> {
    let kind = match code {
        "COM" | "ADR" | "DRNY" => return None,
        "CURR" | "CURRCOL" => "a currency",
        "CASH" => "cash",
        "IFUT" => "an index future",
        "SYN" => "synthetic",
        other => return Some(format!("of type `{}`: only COM, ADR and DRNY are tracked", excerpt(other))),
    };
    Some(format!("{kind} ({code})"))
}

/// Where the columns of the CSV form stand.
struct Header {
    width: usize,
    ticker: usize,
    weight: usize,
    name: Option<usize>,
    class: Option<usize>,
    sector: Option<usize>,
    date: Option<usize>,
}

impl Header {
    /// Recognises the header: what stands before it in a file is a preamble.
    fn find(fields: &Fields) -> Option<Self> {
        let at = |name: &str| {
            (0..fields.count())
                .find(|&index| fields.get(index).is_ok_and(|text| text.eq_ignore_ascii_case(name)))
        };
        Some(Self {
            width: fields.count(),
            ticker: at("Holding Ticker")?,
            weight: at("Weight")?,
            name: at("Name"),
            class: at("Class of Shares"),
            sector: at("Sector"),
            date: at("Date"),
        })
    }
}

fn of_csv(content: &[u8]) -> Result<Found, String> {
    let mut lines = Lines::new(Box::new(Cursor::new(content.to_vec())));
    let mut fields = Fields::new();
    let mut header: Option<Header> = None;
    let mut found = Found::default();
    loop {
        match lines.advance().map_err(|error| error.to_string())? {
            Line::End => break,
            Line::Blank => continue,
            Line::TooLong => {
                found.drop_line(format!("line {}", lines.number()), "", "the line is too long".to_owned());
                continue;
            }
            Line::Text => {}
        }
        let split = fields.split(lines.text());
        let Some(header) = &header else {
            header = split.ok().and_then(|()| Header::find(&fields));
            continue;
        };
        let place = format!("line {}", lines.number());
        let text = |index: Option<usize>| index.and_then(|index| fields.get(index).ok()).unwrap_or_default();
        if let Err(reason) = split {
            found.drop_line(place, "", reason);
        } else if fields.count() != header.width {
            let reason = format!("{} fields where the header names {}", fields.count(), header.width);
            found.drop_line(place, text(Some(0)), reason);
        } else {
            found.as_of = found.as_of.or_else(|| us_date(text(header.date)));
            found.take(Raw {
                place,
                ticker: text(Some(header.ticker)).into(),
                name: text(header.name).into(),
                weight: text(Some(header.weight)).into(),
                refused: refused_words(text(header.class), text(header.sector), text(header.name)),
            });
        }
    }
    match header {
        Some(_) => Ok(found),
        None => {
            Err("not a list of holdings: no line names the columns Holding Ticker and Weight, and it is no \
                     JSON object"
                .to_owned())
        }
    }
}

/// Why a line that says what it is in words only is not tracked.
fn refused_words(class: &str, sector: &str, name: &str) -> Option<String> {
    const KINDS: [&str; 8] =
        ["cash", "currency", "money market", "future", "synthetic", "option", "swap", "forward"];
    let says = |text: &str| {
        let text = text.to_ascii_lowercase();
        KINDS.iter().any(|kind| text.contains(kind))
    };
    if says(class) || says(sector) {
        let kind = if says(class) { class } else { sector };
        return Some(format!("of the kind `{}`", excerpt(kind)));
    }
    // Companies have such words inside theirs: FirstCash, Futurefuel.
    let upper = name.to_ascii_uppercase();
    let mut words = upper.split([' ', '/', ',']).filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default();
    let is_future = |word: &str| matches!(word, "FUTURE" | "FUTURES" | "E-MINI" | "EMINI");
    let refused = first == "CASH" || first == "CONTRA" || is_future(first) || words.any(is_future);
    refused.then(|| "cash or a future, by its name".to_owned())
}

/// `09/12/2026`, or as ISO 8601 has it.
fn us_date(text: &str) -> Option<Date> {
    text.parse().or_else(|_| Date::strptime("%m/%d/%Y", text)).ok()
}
