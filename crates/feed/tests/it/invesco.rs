//! Lists of a fund's holdings.

use jiff::civil::date;
use proptest::prelude::*;
use qqq_feed::invesco::{self, Holdings};

fn symbols(holdings: &Holdings) -> Vec<&str> {
    holdings.lines.iter().map(|line| line.symbol.as_str()).collect()
}

#[track_caller]
fn dropped(holdings: &Holdings, what: &str, reason: &str) {
    let found = holdings.dropped.iter().find(|line| line.what == what);
    assert!(found.is_some_and(|line| line.reason.contains(reason)), "{what}: {:?}", holdings.dropped);
}

const OLD: &str = "\u{feff}\
    Fund Ticker,Security Identifier,Holding Ticker,Shares/Par Value,MarketValue,Weight,\
        Name,Class of Shares,Sector,Date\r\n\
    QQQ,037833100,\"AAPL    \",\"43,210,987\",\"9,876,543,210.12\",8.500,\
        Apple Inc,Common Stock,Information Technology,09/12/2026\r\n\
    QQQ,67066G104,NVDA    ,\"80,000,000\",\"10,000,000,000.00\",9.1,\
        NVIDIA Corp,Common Stock,Information Technology,09/12/2026\r\n\
    QQQ,02079K107,GOOG,1,1,3.4,Alphabet Inc,Common Stock,Communication Services,09/12/2026\r\n\
    QQQ,02079K305,GOOGL,1,1,3.6,Alphabet Inc,Common Stock,Communication Services,09/12/2026\r\n\
    QQQ,874039100,ASML,1,1,0.68,\
        ASML Holding NV,New York Registered Shares,Information Technology,09/12/2026\r\n\
    QQQ,33767E202,FCFS,1,1,0.01,FirstCash Holdings Inc,Common Stock,Financials,09/12/2026\r\n\
    QQQ,1,BRK/B,1,1,0.02,Berkshire Hathaway Inc,Common Stock,Financials,09/12/2026\r\n\
    QQQ,2,\"  \",1,1,0.1,US Dollars,Cash,,09/12/2026\r\n\
    QQQ,3,NQZ6,1,1,0.14,CME E-Mini NASDAQ 100 Index Future,Index Future,,09/12/2026\r\n\
    QQQ,4,--,1,1,-0.14,CASH/RECEIVABLES/PAYABLES,,--,09/12/2026\r\n\
    QQQ,5,MSFT,1,1,,Microsoft Corp,Common Stock,Information Technology,09/12/2026\r\n\
    QQQ,6,AAPL,1,1,0.5,Apple Inc (second lot),Common Stock,Information Technology,09/12/2026\r\n";

#[test]
fn the_old_csv_form_is_read() {
    let holdings = invesco::parse(OLD.as_bytes()).unwrap();
    assert_eq!(holdings.as_of, Some(date(2026, 9, 12)));
    assert_eq!(symbols(&holdings), ["NVDA", "AAPL", "GOOGL", "GOOG", "ASML", "BRK.B", "FCFS"]);
    assert_eq!(holdings.lines[1].weight.to_string(), "8.5 %");
    assert_eq!(holdings.lines[1].name, "Apple Inc");
    dropped(&holdings, "US Dollars", "Cash");
    dropped(&holdings, "NQZ6", "Index Future");
    dropped(&holdings, "CASH/RECEIVABLES/PAYABLES", "cash");
    dropped(&holdings, "MSFT", "no weight");
    dropped(&holdings, "AAPL", "twice");
    assert_eq!(holdings.dropped.len(), 5);
    assert_eq!(holdings.dropped[0].place, "line 9");
}

#[test]
fn the_new_csv_form_is_read_behind_its_preamble() {
    let content = "\"Invesco QQQ Trust, Series 1\"\n\"Holdings as of September 23, 2026\"\n\n\
        Fund Ticker,Ticker,Security Identifier,Holding Ticker,Name,Shares/Par Value,Market Value,\
            Weight,Sector,Date\n\
        QQQ,QQQ,1,NVDA,NVIDIA Corp,\"1,000\",\"$1,000.50\",8.22%,Information Technology,2026-09-23\n\
        QQQ,QQQ,2,NQZ6,NASDAQ 100 E-MINI DEC 26,1,1,0.14%,,2026-09-23\n\
        QQQ,QQQ,3,AAPL,Apple Inc,1,1,\"7.05 %\",Information Technology,2026-09-23\n\
        QQQ,QQQ,4,CASHUSD,Cash/Receivables/Payables,1,1,0.05%,,2026-09-23\n\
        QQQ,QQQ,5,A B C,No Ticker plc,1,1,0.05%,Industrials,2026-09-23\n\
        QQQ,QQQ,6,MU,Micron,1,1,(0.1),Industrials,2026-09-23\n\
        \n\"The content, however long, is ours.\"\n";
    let holdings = invesco::parse(content.as_bytes()).unwrap();
    assert_eq!(holdings.as_of, Some(date(2026, 9, 23)));
    assert_eq!(symbols(&holdings), ["NVDA", "AAPL"]);
    dropped(&holdings, "NQZ6", "future");
    dropped(&holdings, "CASHUSD", "cash");
    dropped(&holdings, "A B C", "not a ticker");
    dropped(&holdings, "MU", "its weight `(0.1)` is not a decimal number");
    dropped(&holdings, "The content, however long, is ours.", "1 fields where the header names 10");
    assert_eq!(holdings.dropped.len(), 5);
}

#[test]
fn the_json_form_is_read_by_type() {
    let line = |ticker: &str, weight: &str, code: &str| {
        format!(
            r#"{{
                "ticker": {ticker}, "issuerName": "Of {code}", "units": 1,
                "percentageOfTotalNetAssets": {weight}, "securityTypeCode": "{code}", "currency": "USD"
            }}"#
        )
    };
    let lines = [
        line("\"AAPL\"", "7.05", "COM"),
        line("\"NVDA\"", "8.22", "COM"),
        line("\"PDD \"", "0.7", "ADR"),
        line("\"ASML\"", "0.68", "DRNY"),
        line("\"NQZ6\"", "0.14", "IFUT"),
        line("null", "-0.14", "SYN"),
        line("\"USD\"", "0.01", "CURR"),
        line("\"--\"", "0.01", "CURRCOL"),
        line("\"-\"", "0.01", "CASH"),
        line("\"MSFT\"", "null", "COM"),
        line("\"--\"", "0.2", "COM"),
        line("\"XYZ\"", "0.2", "BOND"),
        "7".to_owned(),
        r#"{"ticker":"BF B","percentageOfTotalNetAssets":"0.1","securityTypeCode":"COM"}"#.to_owned(),
    ];
    let content = format!(
        r#"{{"cusip":"QQQ","effectiveDate":"2026-09-23","totalNumberOfHoldings":{},"holdings":[{}]}}"#,
        lines.len(),
        lines.join(",")
    );
    let holdings = invesco::parse(content.as_bytes()).unwrap();
    assert_eq!(holdings.as_of, Some(date(2026, 9, 23)));
    assert_eq!(symbols(&holdings), ["NVDA", "AAPL", "PDD", "ASML", "BF.B"]);
    for (what, reason) in [
        ("NQZ6", "IFUT"),
        ("Of SYN", "synthetic"),
        ("USD", "CURR"),
        ("Of CURRCOL", "currency"),
        ("Of CASH", "cash"),
        ("MSFT", "no weight"),
        ("Of COM", "no ticker"),
        ("XYZ", "BOND"),
        ("7", "invalid type"),
    ] {
        dropped(&holdings, what, reason);
    }
    assert_eq!(holdings.dropped.len(), 9);
}

#[test]
fn equal_weights_go_by_symbol_whatever_the_order() {
    let header = "Holding Ticker,Weight\n";
    let forth = invesco::parse(format!("{header}B,1\nA,1.0\nC,2\n").as_bytes()).unwrap();
    let back = invesco::parse(format!("{header}C,2\nA,1\nB,1.00\n").as_bytes()).unwrap();
    assert_eq!(symbols(&forth), ["C", "A", "B"]);
    assert_eq!(symbols(&back), symbols(&forth));
}

#[test]
fn what_is_no_list_of_holdings_is_an_error_that_says_what_is() {
    for (content, what) in [
        ("", "Holding Ticker"),
        ("symbol,start,open\nAAPL,1,2\n", "Holding Ticker"),
        ("<html>not found</html>", "Holding Ticker"),
        ("{\"holdings\":7}", "not the JSON of a fund's holdings"),
        ("{\"error\":\"no such fund\"}", "missing field `holdings`"),
    ] {
        let error = invesco::parse(content.as_bytes()).unwrap_err();
        assert!(error.contains(what), "{content}: {error}");
    }
    let error = invesco::open(std::path::Path::new("nowhere.csv")).unwrap_err();
    assert!(error.message.contains("nowhere.csv: cannot be read"), "{error}");
}

proptest! {
    #[test]
    fn no_bytes_panic(content in proptest::collection::vec(any::<u8>(), 0..300), lines in any::<bool>()) {
        let start: &[u8] = if lines { b"Holding Ticker,Weight,Name,Date\n" } else { b"{\"holdings\":[" };
        let _ = invesco::parse(&[start, &content].concat());
        let _ = invesco::parse(&content);
    }

    #[test]
    fn no_damage_panics(
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..9),
    ) {
        let mut content = OLD.as_bytes().to_vec();
        for (index, byte) in damage {
            let at = index.index(content.len());
            content[at] = byte;
        }
        if let Ok(holdings) = invesco::parse(&content) {
            prop_assert!(holdings.lines.is_sorted_by_key(|line| std::cmp::Reverse(line.weight)));
        }
    }
}
