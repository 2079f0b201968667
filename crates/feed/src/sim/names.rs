//! What the simulated names are like: price level, restlessness, size.

use super::noise::Noise;
use qqq_core::Symbol;

/// The character of one name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Profile {
    /// The price it wanders about, dollars.
    pub(super) price: f64,
    /// Standard deviation of a day's return.
    pub(super) volatility: f64,
    /// Shares traded in a usual day.
    pub(super) daily_volume: f64,
    /// Correlation with the market: 0 goes its own way, 1 is the market.
    pub(super) co_movement: f64,
}

/// Symbol, price, day's volatility in percent, a day's volume in millions of shares, correlation with the
/// market. Plausible round figures, no quotation of any day.
const KNOWN: [(&str, f64, f64, f64, f64); 20] = [
    ("AAPL", 230.0, 1.5, 50.0, 0.70),
    ("ADBE", 360.0, 1.9, 4.0, 0.60),
    ("AMD", 170.0, 3.2, 45.0, 0.65),
    ("AMZN", 220.0, 1.8, 40.0, 0.70),
    ("ASML", 900.0, 2.3, 1.5, 0.65),
    ("AVGO", 320.0, 2.6, 25.0, 0.65),
    ("COST", 950.0, 1.2, 2.0, 0.50),
    ("GOOG", 190.0, 1.7, 20.0, 0.68),
    ("GOOGL", 189.0, 1.7, 30.0, 0.68),
    ("META", 650.0, 2.0, 13.0, 0.66),
    ("MSFT", 450.0, 1.4, 21.0, 0.72),
    ("MU", 130.0, 3.1, 22.0, 0.62),
    ("NFLX", 110.0, 2.1, 35.0, 0.58),
    ("NVDA", 170.0, 2.7, 190.0, 0.68),
    ("PLTR", 150.0, 3.7, 70.0, 0.58),
    ("PYPL", 70.0, 2.2, 11.0, 0.58),
    ("QQQ", 560.0, 1.2, 45.0, 0.95),
    ("SPY", 620.0, 0.9, 65.0, 0.95),
    ("TSLA", 330.0, 3.4, 90.0, 0.60),
    ("WMT", 100.0, 1.2, 17.0, 0.48),
];

impl Profile {
    /// The profile of a well-known name, or one drawn from the name's own noise.
    pub(super) fn of(symbol: Symbol, noise: Noise) -> Self {
        let known = KNOWN.binary_search_by(|known| known.0.cmp(symbol.as_str()));
        if let Ok(index) = known {
            let (_, price, volatility, daily_volume, co_movement) = KNOWN[index];
            return Self {
                price,
                volatility: volatility / 100.0,
                daily_volume: daily_volume * 1e6,
                co_movement,
            };
        }
        // Prices and volumes spread evenly over their orders of magnitude.
        let between = |counter, low: f64, high: f64| low * (high / low).powf(noise.uniform(counter));
        Self {
            price: between(0, 12.0, 400.0),
            volatility: between(1, 0.012, 0.035),
            daily_volume: between(2, 8e4, 2e7),
            co_movement: between(3, 0.45, 0.75),
        }
    }

    /// Shares of a usual trade: some ten thousand dollars' worth.
    pub(super) fn trade_size(&self) -> f64 {
        (10_000.0 / self.price).clamp(20.0, 150.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_are_sorted_for_the_search() {
        assert!(KNOWN.is_sorted_by(|one, two| one.0 < two.0));
    }

    #[test]
    fn unknown_names_get_a_believable_character_of_their_own() {
        let profile = |text: &str| Profile::of(text.parse().unwrap(), Noise::seeded(1).fork_text(text));
        for index in 0..500 {
            let one = profile(&format!("X{index}"));
            assert!((12.0..=400.0).contains(&one.price) && (0.012..=0.035).contains(&one.volatility));
            assert!((8e4..=2e7).contains(&one.daily_volume) && (0.45..=0.75).contains(&one.co_movement));
        }
        assert_ne!(profile("X1").price, profile("X2").price);
        assert_eq!(profile("AAPL").price, 230.0);
    }
}
