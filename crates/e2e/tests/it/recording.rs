//! Recordings: the real week of January 27, 2025, which has no holiday, and CSV files of bars invented for
//! it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Monday 12:00 UTC: the first minute there can be a bar in, as minutes of the week.
const FIRST: u32 = 12 * 60;
/// Minutes of a day with bars: 07:00 to 17:00 New York, so that some lie outside the regular session.
const LENGTH: u32 = 10 * 60;
const MINUTES_PER_DAY: u32 = 24 * 60;

/// The recorded week of real bars of ten symbols. Where it is missing, the test is passed over, and says so;
/// in CI, it fails.
#[track_caller]
pub(crate) fn week() -> Option<PathBuf> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/week_2025-01-27_ten.csv.gz");
    if file.is_file() {
        return Some(file);
    }
    let what = format!("no recorded week at {}", file.display());
    assert!(std::env::var_os("CI").is_none(), "{what}");
    eprintln!("SKIPPED: {what}");
    None
}

/// A bar whose open, high, low and close are one price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) symbol: &'static str,
    /// Minutes since Monday 00:00 UTC.
    pub(crate) minute: u32,
    /// 1e-9 dollars.
    pub(crate) price: u64,
    pub(crate) volume: u64,
}

impl Row {
    /// `2025-01-27T14:30:00Z`
    pub(crate) fn start(&self) -> String {
        start(self.minute)
    }
}

/// The time of a minute of the week.
pub(crate) fn start(minute: u32) -> String {
    let (day, minute) = (minute / MINUTES_PER_DAY, minute % MINUTES_PER_DAY);
    format!("2025-01-{:02}T{:02}:{:02}:00Z", 27 + day, minute / 60, minute % 60)
}

/// Writes the rows as they come.
pub(crate) fn write(path: &Path, rows: &[Row]) {
    let mut text = "symbol,start,open,high,low,close,volume\n".to_owned();
    for row in rows {
        let price = format!("{}.{:09}", row.price / 1_000_000_000, row.price % 1_000_000_000);
        let price = price.trim_end_matches('0').trim_end_matches('.');
        let (start, volume) = (row.start(), row.volume);
        let _ = writeln!(text, "{},{start},{price},{price},{price},{price},{volume}", row.symbol);
    }
    std::fs::write(path, text).expect("the recording can be written");
}

/// The minutes of `days` days that can have a bar.
fn minutes(days: u32) -> impl Iterator<Item = u32> {
    (0..days).flat_map(|day| (0..LENGTH).map(move |minute| day * MINUTES_PER_DAY + FIRST + minute))
}

/// Some days of bars of a quiet symbol that does something unusual every `every` minutes: its volume is ten
/// times the usual.
pub(crate) fn bursts(symbol: &'static str, days: u32, every: u32) -> Vec<Row> {
    let volume = |minute: u32| if minute.is_multiple_of(every) { 10_000 } else { 1_000 };
    let row = |minute| Row { symbol, minute, price: 100_000_000_000, volume: volume(minute) };
    minutes(days).map(row).collect()
}

/// What tempts a program into mistakes: gaps, minutes without volume, values of exactly three times their
/// average and a hair less, prices of nine decimals, symbols with hardly a bar, two that are alike. In order.
pub(crate) fn hostile(seed: u64) -> Vec<Row> {
    const DAYS: u32 = 4;
    const CENT: u64 = 10_000_000;
    let random = &mut fastrand::Rng::with_seed(seed);
    let mut rows = Vec::new();
    let mut row = |symbol, minute, price, volume| rows.push(Row { symbol, minute, price, volume });

    // A usual stock.
    let mut price = 20_000 * CENT;
    for minute in minutes(DAYS) {
        price = (price + random.u64(0..=40) * CENT).max(100 * CENT) - 20 * CENT;
        let burst = if random.f64() < 0.02 { random.u64(3..30) } else { 1 };
        if random.f64() < 0.97 {
            row("AAPL", minute, price, random.u64(500..20_000) * burst);
        }
    }
    // Rarely traded, in prices of nine decimals; nothing for hours.
    for minute in minutes(DAYS) {
        let silent = minute % 331 < 75;
        if !silent && random.f64() < 0.6 {
            row("MSFT", minute, random.u64(90_000_000_000..110_000_000_000), random.u64(0..1_000));
        }
    }
    // Never moves, but for exactly three times and the least bit less. Two of a kind: a tie.
    for minute in minutes(DAYS) {
        let (price, volume) = match minute % 97 {
            0 => (3_000_000_003, 300),
            1..=2 if minute % 2 == 0 => (3_000_000_002, 299),
            _ => (1_000_000_001, 100),
        };
        let known = minute % 97 == 0 || minute % 5 != 3;
        if known {
            row("TSLA", minute, price, volume);
            row("NFLX", minute, price, volume);
        }
    }
    // Trades nothing for hours: an average of zero, which nothing is a multiple of.
    for minute in minutes(DAYS) {
        let volume = if minute % 191 < 100 { 0 } else { random.u64(0..50) };
        row("META", minute, 500 * CENT + random.u64(0..9) * CENT, volume);
    }
    // Jumps, several minutes long: what qualifies within a cool-down is counted.
    for minute in minutes(DAYS) {
        let jump = if minute % 173 < 4 { random.u64(2..7) } else { 1 };
        if random.f64() < 0.8 {
            row("PYPL", minute, (1_000 + random.u64(0..50)) * CENT * jump, random.u64(1..100) * jump * jump);
        }
    }
    // One change, two changes: too few and just enough for a deviation.
    for (symbol, count) in [("ADBE", 2), ("BRK.B", 3)] {
        for minute in minutes(DAYS).skip(900).step_by(7).take(count) {
            row(symbol, minute, random.u64(1..1_000) * CENT, random.u64(1..1_000));
        }
    }
    // Every twenty minutes: the third one after an alert meets the very end of an hour's silence.
    rows.extend(bursts("AMZN", DAYS, 20));
    rows.sort_by_key(|row| row.minute);
    rows
}
