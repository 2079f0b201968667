//! What symbols are called: as a source of names told it, and without one the large companies of the US
//! exchanges and the funds that stand for them. For people who search and read; nothing else rests on it.

use crate::Symbol;
use std::collections::{BTreeMap, BTreeSet};

/// Names by ticker, sorted. Shorter than in the registers, as people say them.
const NAMES: [(&str, &str); 192] = [
    ("AAPL", "Apple"),
    ("ABBV", "AbbVie"),
    ("ABNB", "Airbnb"),
    ("ABT", "Abbott Laboratories"),
    ("ACN", "Accenture"),
    ("ADBE", "Adobe"),
    ("ADI", "Analog Devices"),
    ("ADP", "Automatic Data Processing"),
    ("ADSK", "Autodesk"),
    ("AEP", "American Electric Power"),
    ("AIG", "American International Group"),
    ("AMAT", "Applied Materials"),
    ("AMD", "Advanced Micro Devices"),
    ("AMGN", "Amgen"),
    ("AMT", "American Tower"),
    ("AMZN", "Amazon"),
    ("APP", "AppLovin"),
    ("ARM", "Arm Holdings"),
    ("ASML", "ASML Holding"),
    ("AVGO", "Broadcom"),
    ("AXON", "Axon Enterprise"),
    ("AXP", "American Express"),
    ("AZN", "AstraZeneca"),
    ("BA", "Boeing"),
    ("BABA", "Alibaba"),
    ("BAC", "Bank of America"),
    ("BIIB", "Biogen"),
    ("BK", "Bank of New York Mellon"),
    ("BKNG", "Booking Holdings"),
    ("BKR", "Baker Hughes"),
    ("BLK", "BlackRock"),
    ("BMY", "Bristol Myers Squibb"),
    ("BRK.B", "Berkshire Hathaway (class B)"),
    ("C", "Citigroup"),
    ("CAT", "Caterpillar"),
    ("CCEP", "Coca-Cola Europacific Partners"),
    ("CDNS", "Cadence Design Systems"),
    ("CDW", "CDW"),
    ("CEG", "Constellation Energy"),
    ("CHTR", "Charter Communications"),
    ("CL", "Colgate-Palmolive"),
    ("CMCSA", "Comcast"),
    ("COF", "Capital One"),
    ("COIN", "Coinbase"),
    ("COP", "ConocoPhillips"),
    ("COST", "Costco"),
    ("CPRT", "Copart"),
    ("CRM", "Salesforce"),
    ("CRWD", "CrowdStrike"),
    ("CSCO", "Cisco"),
    ("CSGP", "CoStar"),
    ("CSX", "CSX"),
    ("CTAS", "Cintas"),
    ("CTSH", "Cognizant"),
    ("CVS", "CVS Health"),
    ("CVX", "Chevron"),
    ("DASH", "DoorDash"),
    ("DDOG", "Datadog"),
    ("DE", "Deere"),
    ("DELL", "Dell Technologies"),
    ("DHR", "Danaher"),
    ("DIA", "SPDR Dow Jones Industrial Average ETF"),
    ("DIS", "Disney"),
    ("DUK", "Duke Energy"),
    ("DXCM", "DexCom"),
    ("EA", "Electronic Arts"),
    ("EEM", "iShares MSCI Emerging Markets ETF"),
    ("EMR", "Emerson Electric"),
    ("EXC", "Exelon"),
    ("F", "Ford"),
    ("FANG", "Diamondback Energy"),
    ("FAST", "Fastenal"),
    ("FDX", "FedEx"),
    ("FTNT", "Fortinet"),
    ("GD", "General Dynamics"),
    ("GE", "GE Aerospace"),
    ("GEHC", "GE HealthCare"),
    ("GFS", "GlobalFoundries"),
    ("GILD", "Gilead Sciences"),
    ("GLD", "SPDR Gold Shares"),
    ("GM", "General Motors"),
    ("GME", "GameStop"),
    ("GOOG", "Alphabet (class C)"),
    ("GOOGL", "Alphabet (class A)"),
    ("GS", "Goldman Sachs"),
    ("HD", "Home Depot"),
    ("HON", "Honeywell"),
    ("IBM", "IBM"),
    ("IDXX", "IDEXX Laboratories"),
    ("INTC", "Intel"),
    ("INTU", "Intuit"),
    ("ISRG", "Intuitive Surgical"),
    ("IWM", "iShares Russell 2000 ETF"),
    ("JNJ", "Johnson & Johnson"),
    ("JPM", "JPMorgan Chase"),
    ("KDP", "Keurig Dr Pepper"),
    ("KHC", "Kraft Heinz"),
    ("KLAC", "KLA"),
    ("KO", "Coca-Cola"),
    ("LIN", "Linde"),
    ("LLY", "Eli Lilly"),
    ("LMT", "Lockheed Martin"),
    ("LOW", "Lowe's"),
    ("LRCX", "Lam Research"),
    ("LULU", "Lululemon"),
    ("MA", "Mastercard"),
    ("MAR", "Marriott"),
    ("MCD", "McDonald's"),
    ("MCHP", "Microchip Technology"),
    ("MDB", "MongoDB"),
    ("MDLZ", "Mondelez"),
    ("MDT", "Medtronic"),
    ("MELI", "MercadoLibre"),
    ("META", "Meta Platforms"),
    ("MMM", "3M"),
    ("MNST", "Monster Beverage"),
    ("MO", "Altria"),
    ("MRK", "Merck"),
    ("MRNA", "Moderna"),
    ("MRVL", "Marvell Technology"),
    ("MS", "Morgan Stanley"),
    ("MSFT", "Microsoft"),
    ("MSTR", "Strategy"),
    ("MU", "Micron Technology"),
    ("NEE", "NextEra Energy"),
    ("NET", "Cloudflare"),
    ("NFLX", "Netflix"),
    ("NKE", "Nike"),
    ("NOW", "ServiceNow"),
    ("NVDA", "NVIDIA"),
    ("NXPI", "NXP Semiconductors"),
    ("ODFL", "Old Dominion Freight Line"),
    ("ON", "ON Semiconductor"),
    ("ORCL", "Oracle"),
    ("ORLY", "O'Reilly Automotive"),
    ("PANW", "Palo Alto Networks"),
    ("PAYX", "Paychex"),
    ("PCAR", "PACCAR"),
    ("PDD", "PDD Holdings"),
    ("PEP", "PepsiCo"),
    ("PFE", "Pfizer"),
    ("PG", "Procter & Gamble"),
    ("PLTR", "Palantir"),
    ("PM", "Philip Morris"),
    ("PYPL", "PayPal"),
    ("QCOM", "Qualcomm"),
    ("QQQ", "Invesco QQQ Trust"),
    ("REGN", "Regeneron"),
    ("RIVN", "Rivian"),
    ("ROP", "Roper Technologies"),
    ("ROST", "Ross Stores"),
    ("RTX", "RTX"),
    ("SBUX", "Starbucks"),
    ("SCHW", "Charles Schwab"),
    ("SHOP", "Shopify"),
    ("SMCI", "Super Micro Computer"),
    ("SNAP", "Snap"),
    ("SNOW", "Snowflake"),
    ("SNPS", "Synopsys"),
    ("SO", "Southern Company"),
    ("SOFI", "SoFi Technologies"),
    ("SPG", "Simon Property"),
    ("SPY", "SPDR S&P 500 ETF"),
    ("T", "AT&T"),
    ("TEAM", "Atlassian"),
    ("TGT", "Target"),
    ("TMO", "Thermo Fisher Scientific"),
    ("TMUS", "T-Mobile US"),
    ("TSLA", "Tesla"),
    ("TSM", "Taiwan Semiconductor"),
    ("TTD", "The Trade Desk"),
    ("TTWO", "Take-Two Interactive"),
    ("TXN", "Texas Instruments"),
    ("UBER", "Uber"),
    ("UNH", "UnitedHealth"),
    ("UNP", "Union Pacific"),
    ("UPS", "UPS"),
    ("USB", "U.S. Bancorp"),
    ("V", "Visa"),
    ("VOO", "Vanguard S&P 500 ETF"),
    ("VRSK", "Verisk Analytics"),
    ("VRTX", "Vertex Pharmaceuticals"),
    ("VTI", "Vanguard Total Stock Market ETF"),
    ("VZ", "Verizon"),
    ("WBD", "Warner Bros. Discovery"),
    ("WDAY", "Workday"),
    ("WFC", "Wells Fargo"),
    ("WMT", "Walmart"),
    ("XEL", "Xcel Energy"),
    ("XOM", "ExxonMobil"),
    ("ZM", "Zoom"),
    ("ZS", "Zscaler"),
];

/// What symbols are called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    told: BTreeMap<Symbol, Told>,
}

/// A name as a source told it, and in lower case, as it is searched.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    name: String,
    lower: String,
}

impl Names {
    /// As a source told them. Well-known symbols that it did not tell of have the names they have here.
    pub fn told(names: BTreeMap<Symbol, String>) -> Self {
        let told = |(symbol, name): (Symbol, String)| {
            let lower = name.to_lowercase();
            (symbol, Told { name, lower })
        };
        Self { told: names.into_iter().map(told).collect() }
    }

    /// The name of a symbol, where it has one.
    pub fn of(&self, symbol: Symbol) -> Option<&str> {
        self.told.get(&symbol).map(|told| told.name.as_str()).or_else(|| well_known(symbol))
    }

    /// At most `limit` symbols by a part of their ticker or of a name of theirs, in any case, the best first:
    /// the ticker itself, tickers that begin with it, names with a word that does, and what only contains it.
    /// Of equals those come first that are tracked or well known.
    pub fn search(&self, text: &str, tracked: &[Symbol], limit: usize) -> Vec<Symbol> {
        let text = text.to_lowercase();
        let near: BTreeSet<Symbol> = known().chain(tracked.iter().copied()).collect();
        let rank = |symbol: Symbol| {
            let ticker = symbol.as_str().to_ascii_lowercase();
            let told = self.told.get(&symbol).map_or("", |told| told.lower.as_str());
            let well_known = well_known(symbol).filter(|_| near.contains(&symbol)).unwrap_or_default();
            let names = [told, &well_known.to_lowercase()];
            let begins =
                |name: &str| name.starts_with(&text) || name.split(' ').any(|word| word.starts_with(&text));
            match () {
                () if ticker == text => Some(0),
                () if ticker.starts_with(&text) => Some(1),
                () if names.into_iter().any(begins) => Some(2),
                () if ticker.contains(&text) || names.into_iter().any(|name| name.contains(&text)) => Some(3),
                () => None,
            }
        };
        let all: BTreeSet<Symbol> = self.told.keys().copied().chain(near.iter().copied()).collect();
        let place = |symbol| Some((rank(symbol)?, !near.contains(&symbol), symbol));
        let mut found: Vec<(u8, bool, Symbol)> = all.into_iter().filter_map(place).collect();
        found.sort_unstable();
        found.into_iter().take(limit).map(|(_, _, symbol)| symbol).collect()
    }
}

/// The name of a symbol, where it is a well-known one.
fn well_known(symbol: Symbol) -> Option<&'static str> {
    NAMES.binary_search_by(|(known, _)| (*known).cmp(symbol.as_str())).ok().map(|index| NAMES[index].1)
}

/// All well-known symbols.
fn known() -> impl Iterator<Item = Symbol> {
    NAMES.iter().filter_map(|(symbol, _)| symbol.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_by_its_symbol() {
        assert!(NAMES.is_sorted_by(|one, other| one.0 < other.0), "what is not sorted is not found");
        assert_eq!(known().count(), NAMES.len(), "each is a symbol");
        for (symbol, (text, name)) in known().zip(NAMES) {
            assert_eq!((symbol.as_str(), well_known(symbol)), (text, Some(name)), "spelt as symbols are");
        }
        assert_eq!(well_known("ZZZZ".parse().unwrap()), None);
    }

    fn symbol(text: &str) -> Symbol {
        text.parse().unwrap()
    }

    fn told(names: &[(&str, &str)]) -> Names {
        Names::told(names.iter().map(|&(ticker, name)| (symbol(ticker), name.to_owned())).collect())
    }

    #[test]
    fn a_name_is_the_sources_and_without_one_the_one_here() {
        let names = told(&[("AAPL", "Apple Inc. Common Stock"), ("ZZZZ", "Sleep Well")]);
        assert_eq!(names.of(symbol("AAPL")), Some("Apple Inc. Common Stock"));
        assert_eq!(names.of(symbol("ZZZZ")), Some("Sleep Well"));
        assert_eq!(names.of(symbol("AMD")), Some("Advanced Micro Devices"));
        assert_eq!(names.of(symbol("ZZZY")), None);
    }

    #[test]
    fn the_best_is_found_first_and_by_either_name() {
        let names = told(&[
            ("AAAM", "Tiny Microscopes"),
            ("AAPL", "Something Else"),
            ("MICR", "Tiny Circuits"),
            ("MICRO", "Another"),
            ("OMICR", "Tiny Lamps"),
            ("ZZZZ", "The Submicro Company"),
        ]);
        let found = |text: &str, limit: usize| {
            let found = names.search(text, &[symbol("ZZZY"), symbol("AMD")], limit);
            found.iter().map(Symbol::to_string).collect::<Vec<_>>().join(" ")
        };
        // Itself; what begins with it; words that do, well-known companies first; what contains it.
        assert_eq!(found("Micro", 20), "MICRO AMD MCHP MSFT MU SMCI AAAM ZZZZ");
        assert_eq!(found("micr", 3), "MICR MICRO AMD");
        assert_eq!(found("apple", 9), "AAPL", "by the name it has here");
        assert_eq!(found("something e", 9), "AAPL", "by the one that was told");
        assert_eq!(found("zzz", 9), "ZZZY ZZZZ", "what is tracked has no need of a name");
        assert_eq!(found("qqqqqq", 9), "");
    }
}
