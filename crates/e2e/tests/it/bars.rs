//! Bars as CSV, out of one tracker and into another.

use qqq_e2e::Tracker;
use qqq_testkit::http::Http;
use serde_json::Value;
use std::fs;
use std::time::Duration;

const EVERYTHING: &str = "/v1/symbols/AAPL/bars?from=2000-01-01T00:00:00Z&to=2100-01-01T00:00:00Z&limit=100";

#[test]
fn what_is_told_as_csv_page_by_page_is_imported_elsewhere_and_told_the_same() {
    let mut one = Tracker::new();
    one.spawn(&["worker", "--once"]);
    assert!(one.wait(Duration::from_secs(60)).success());
    one.start("server");
    let csv = csv(&one.http());
    assert!(csv.lines().count() > 200, "{} lines: several pages", csv.lines().count());

    let mut other = Tracker::new();
    let file = other.folder().join("bars.csv");
    fs::write(&file, &csv).expect("a file");
    let file = file.to_str().expect("a text");
    let imported = other.output(&["import", file], Duration::from_secs(60));
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    other.start("server");
    assert_eq!(self::csv(&other.http()), csv);

    let days = other.http().get(&format!("{EVERYTHING}&interval=1d")).json();
    let days = days["items"].as_array().expect("a list");
    let volume: i64 = days.iter().filter_map(|day| day["volume"].as_i64()).sum();
    let column = |line: &str| line.split(',').nth(6).and_then(|volume| volume.parse::<i64>().ok());
    assert_eq!(volume, csv.lines().filter_map(column).sum::<i64>(), "days add up to their minutes");
    assert!(days.iter().all(|day| day["revision"] == Value::Null));
}

/// All pages, by the `Link` header of the one before; the header line once.
fn csv(http: &Http) -> String {
    let (mut all, mut next) = (String::new(), EVERYTHING.to_owned());
    loop {
        let reply = http.request("GET", &next, &[("accept", "text/csv")], b"").expect("an answer");
        assert_eq!(reply.status, 200, "{next}: {}", reply.text());
        let text = reply.text();
        let rows = if all.is_empty() { 0 } else { text.find('\n').map_or(0, |end| end + 1) };
        all.push_str(&text[rows..]);
        let Some(link) = reply.header("link") else { return all };
        let target = link.split('>').next().and_then(|link| link.strip_prefix('<'));
        next = target.expect("a target").to_owned();
    }
}
