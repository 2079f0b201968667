//! Answers as providers really sent them. They are not the project's to publish: the tests look for them
//! beside the project and say so when they are missing.

use crate::given::{minute, symbol, symbols};
use qqq_core::{FeedLabel, Second};
use qqq_feed::trades::Effect;
use qqq_feed::{alpaca, iex, yahoo};
use std::io::Read;
use std::path::Path;

const ALWAYS: std::ops::Range<Second> = Second::MIN..Second::MAX;

fn captured(name: &str) -> Option<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/raw").join(name);
    let Ok(bytes) = std::fs::read(&path) else {
        eprintln!("MISSING: {name} is not beside the project; this test has tested nothing");
        return None;
    };
    if !name.ends_with(".gz") {
        return Some(bytes);
    }
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut plain).expect("gzip");
    Some(plain)
}

fn label(text: &str) -> FeedLabel {
    FeedLabel::new(text).expect("a label")
}

#[test]
fn a_day_of_apple_from_yahoo_is_complete() {
    let Some(body) = captured("yahoo_v8_chart_AAPL_1m_2018-05-29.json") else { return };
    let fetched = yahoo::parse::bars(&body, symbol("AAPL"), ALWAYS, label("yahoo")).expect("an answer");
    assert_eq!((fetched.bars.len(), fetched.rejects.len()), (390, 0));
    assert_eq!(fetched.bars[0].start, minute("2018-05-29T13:30:00Z"));
    assert_eq!(fetched.bars[389].start, minute("2018-05-29T19:59:00Z"));
    assert!(fetched.bars.iter().all(|bar| bar.close.nanos() % 100_000 == 0), "four decimals");
}

#[test]
fn the_made_up_first_and_last_bars_of_amazon_are_dropped() {
    let Some(body) = captured("yahoo_v8_chart_AMZN_1m_range30m_2023-05-02.json") else { return };
    let fetched = yahoo::parse::bars(&body, symbol("AMZN"), ALWAYS, label("yahoo")).expect("an answer");
    assert_eq!((fetched.bars.len(), fetched.rejects.len()), (29, 0), "31 but the first and the last");
    assert_eq!(fetched.bars[0].start, minute("2023-05-02T19:31:00Z"));
    assert_eq!(fetched.bars[0].volume.shares(), 200_320);
    assert_eq!(fetched.bars[0].close.to_string(), "103.6", "103.5999984741211 as a double");
    assert_eq!(fetched.bars[28].start, minute("2023-05-02T19:59:00Z"));
    assert_eq!(fetched.bars[28].volume.shares(), 862_819);
}

#[test]
fn a_day_of_microsoft_from_iex_lacks_only_the_minutes_without_a_price() {
    let Some(records) = captured("iex_cloud_MSFT_chart_2019-03-06.json.gz") else { return };
    let body = [&br#"{"MSFT":{"intraday-prices":"#[..], &records, b"}}"].concat();
    let fetched = iex::parse::batch(&body, &symbols("MSFT"), ALWAYS, label("iex")).expect("an answer");
    assert_eq!((fetched.bars.len(), fetched.rejects.len(), fetched.failed.len()), (385, 0, 0));
    let first = fetched.bars[0];
    assert_eq!(first.start, minute("2019-03-06T14:30:00Z"), "09:30 in New York, in winter");
    assert_eq!((first.open.to_string().as_str(), first.volume.shares()), ("111.885", 11_248));
    assert_eq!(first.vwap.map(|price| price.to_string()).as_deref(), Some("111.891"));
    assert_eq!(fetched.bars[384].start, minute("2019-03-06T20:59:00Z"));
    let absent =
        ["16:35", "17:17", "17:43", "18:01", "18:08"].map(|at| minute(&format!("2019-03-06T{at}:00Z")));
    assert!(fetched.bars.iter().all(|bar| !absent.contains(&bar.start)));
}

#[test]
fn bodies_from_the_tests_of_alpacas_own_clients_parse() {
    let files =
        ["alpaca_v2_stock_bars_bodies_from_go_tests.json", "alpaca_v2_stock_bodies_from_py_tests.json"];
    let mut pages = 0;
    for name in files {
        let Some(body) = captured(name) else { return };
        let bodies: Vec<serde_json::Value> = serde_json::from_slice(&body).expect("a list of bodies");
        for body in bodies {
            // Those of `/v2/stocks/bars`: a list of bars for each symbol.
            let Some(lists) = body["bars"].as_object() else { continue };
            let of_lists = !lists.is_empty() && lists.values().all(serde_json::Value::is_array);
            if !of_lists {
                continue;
            }
            let asked: Vec<_> = lists.keys().map(|name| symbol(name)).collect();
            let bytes = body.to_string();
            let page = alpaca::parse::bars(bytes.as_bytes(), &asked, ALWAYS, label("sip")).expect("a page");
            let listed: usize = lists.values().filter_map(|list| Some(list.as_array()?.len())).sum();
            assert_eq!(page.fetched.bars.len() + page.fetched.rejects.len(), listed, "{name}");
            assert!(page.fetched.rejects.is_empty(), "{name}: {:?}", page.fetched.rejects);
            assert_eq!(page.next_page_token.as_deref(), body["next_page_token"].as_str(), "{name}");
            pages += 1;
        }
    }
    assert!(pages >= 4, "only {pages} pages");
}

/// None of the captured answers holds the trades of a minute and its bar; of each trade it is known what
/// Alpaca makes of its conditions.
#[test]
fn trades_from_the_tests_of_alpacas_own_clients_parse_as_the_stream_tells_them() {
    let Some(body) = captured("alpaca_v2_stock_bodies_from_py_tests.json") else { return };
    let bodies: Vec<serde_json::Value> = serde_json::from_slice(&body).expect("a list of bodies");
    let mut effects = Vec::new();
    for (name, list) in bodies.iter().filter_map(|body| body["trades"].as_object()).flatten() {
        let list = list.as_array().cloned().unwrap_or_else(|| vec![list.clone()]);
        for mut trade in list {
            (trade["T"], trade["S"]) = ("t".into(), name.as_str().into());
            let frame = serde_json::Value::Array(vec![trade]).to_string();
            let told = alpaca::parse::frame(frame.as_bytes(), |_| true, label("sip")).expect("a frame");
            let [alpaca::parse::Message::Tape(alpaca::tape::Tape::Trade(trade))] = told[..] else {
                panic!("a trade, not {told:?}");
            };
            effects.push(trade.effect);
        }
    }
    let regular = effects.iter().filter(|&&effect| effect == Effect::ALL).count();
    let odd_lots = effects.iter().filter(|&&effect| effect == Effect::VOLUME).count();
    assert!(regular >= 3 && odd_lots >= 4 && regular + odd_lots == effects.len(), "{effects:?}");
}
