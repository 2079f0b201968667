//! How many bars a second one core takes through the detector, every figure of every bar computed: both
//! deviations, both relative deviations, both trailing averages and ratios, and the rule judged twice.
//!
//! Trading days of 6.5 hours with their nights, so that every window fills, slides and empties: in bars of a
//! minute, and in bars of a second; of price and volume, and of every metric there is.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use qqq_core::market::calendar;
use qqq_core::{
    Bar, Cadence, Calendar, Detector, FeedLabel, Metric, MetricSet, Price, Second, SpikeRule, Symbol, Volume,
};
use qqq_testkit::bars::flat;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Seconds.
const SESSION: i64 = 390 * 60;

/// A market of `symbols` names, bar by bar.
struct Market {
    cadence: Cadence,
    bars: Vec<Bar>,
    start: Second,
    noise: u64,
}

impl Market {
    fn new(symbols: usize, cadence: Cadence) -> Self {
        let bars = (0..symbols)
            .map(|index| {
                let price = Price::from_nanos((20 + index as i64 % 900) * Price::DOLLAR).unwrap();
                flat(&format!("S{index}"), Second::from_minute(0), price, 10_000)
            })
            .collect();
        Self { cadence, bars, start: Second::from_unix(0), noise: 0x9e37_79b9_7f4a_7c15 }
    }

    fn symbols(&self) -> Vec<Symbol> {
        self.bars.iter().map(|bar| bar.symbol).collect()
    }

    /// The next bar of every name: prices walk, volumes scatter.
    fn next(&mut self) -> &[Bar] {
        self.start = self.start.plus_seconds(self.cadence.seconds());
        let into_day = self.start.unix() % Second::PER_DAY;
        if into_day >= SESSION {
            self.start = self.start.plus_seconds(Second::PER_DAY - into_day);
        }
        for bar in &mut self.bars {
            self.noise ^= self.noise << 13;
            self.noise ^= self.noise >> 7;
            self.noise ^= self.noise << 17;
            let cents = (self.noise % 21) as i64 - 10;
            let close = (bar.close.nanos() + cents * 10_000_000).max(Price::DOLLAR);
            bar.start = self.start;
            bar.close = Price::from_nanos(close).unwrap();
            bar.high = Price::from_nanos(close + 20_000_000).unwrap();
            bar.low = Price::from_nanos(close - 10_000_000).unwrap();
            bar.trades = Some(50 + (self.noise >> 40) as u32 % 100);
            bar.volume = Volume::from_shares(5_000 + (self.noise >> 32) as i64 % 10_000).unwrap();
        }
        &self.bars
    }
}

fn detector(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("detector");
    group.sample_size(20).measurement_time(Duration::from_secs(8));
    let (two, all) = (MetricSet::ALWAYS, Metric::ALL.into_iter().collect());
    let sizes = [
        (10, Cadence::Sixty, two),
        (1_000, Cadence::Sixty, two),
        (10_000, Cadence::Sixty, two),
        (1_000, Cadence::One, two),
        (1_000, Cadence::Sixty, all),
    ];
    for (symbols, cadence, metrics) in sizes {
        group.throughput(Throughput::Elements(symbols as u64));
        let name = format!("{cadence}, {} metrics", metrics.iter().count());
        group.bench_function(BenchmarkId::new(name, symbols), |bencher| {
            let mut market = Market::new(symbols, cadence);
            let mut detector = Detector::new(
                &market.symbols(),
                FeedLabel::new("bench").unwrap(),
                &Calendar::new(calendar::Market::Always, false, [])
                    .with_cadence(cadence)
                    .with_metrics(metrics),
                SpikeRule::default(),
            );
            let mut changes = Vec::new();
            // Two days to fill the windows; then what is measured is the steady state.
            for _ in 0..2 * SESSION / cadence.seconds() {
                for (symbol, bar) in market.next().iter().enumerate() {
                    detector.observe(symbol, bar, cadence.end(bar.start), &mut changes);
                }
            }
            bencher.iter_custom(|times| {
                let mut spent = Duration::ZERO;
                for _ in 0..times {
                    let bars = market.next();
                    let clock = cadence.end(bars[0].start);
                    let begin = Instant::now();
                    for (symbol, bar) in bars.iter().enumerate() {
                        black_box(detector.observe(symbol, bar, clock, &mut changes));
                        black_box(detector.statistics(symbol));
                    }
                    spent += begin.elapsed();
                    changes.clear();
                }
                spent
            });
        });
    }
    group.finish();
}

criterion_group!(benches, detector);
criterion_main!(benches);
