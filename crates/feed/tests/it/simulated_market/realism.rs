//! How much the simulated market is like a real one.

use super::{
    always, by_symbol, config, episodes, extended, next, session, sim, spikes, ten, two_sessions, unknown,
    watchlist, xnas,
};
use qqq_core::{Bar, Evidence, Metric, Rule, Second, SpikeRule, Symbol};
use std::collections::{BTreeMap, BTreeSet};

#[tokio::test]
async fn every_bar_is_valid_and_counts() {
    for (list, calendar) in [
        (ten(), xnas()),
        (ten(), extended()),
        (unknown(), xnas()),
        (unknown(), extended()),
        (ten(), always()),
    ] {
        for seed in 0..3 {
            let bars = two_sessions(seed, &list, &calendar, "2025-03-10").await;
            let mut seen = BTreeSet::new();
            for bar in bars {
                assert!(bar.validate().is_ok(), "{bar:?}");
                assert!(calendar.counts(bar.start), "{bar:?}");
                assert!(bar.feed.is_simulated());
                for price in [bar.open, bar.high, bar.low, bar.close] {
                    assert_eq!(price.nanos() % 10_000_000, 0, "whole cents: {bar:?}");
                }
                let vwap = bar.vwap.unwrap();
                assert!(bar.low <= vwap && vwap <= bar.high, "{bar:?}");
                assert_eq!(vwap.nanos() % 100_000, 0, "four decimals: {bar:?}");
                let trades = i64::from(bar.trades.unwrap());
                assert!(1 <= trades && trades <= bar.volume.shares(), "{bar:?}");
                assert!(list.id(bar.symbol).is_some());
                assert!(seen.insert((bar.start, bar.symbol)), "twice: {bar:?}");
            }
        }
    }
}

#[tokio::test]
async fn large_names_trade_every_minute_and_thin_ones_do_not() {
    let bars = by_symbol(&session(1, &ten(), &xnas(), "2025-01-28").await);
    assert!(bars.values().all(|bars| bars.len() == 390));
    let symbols: Vec<String> = (0..60).map(|index| format!("Q{index}")).collect();
    let list = watchlist(&symbols.iter().map(String::as_str).collect::<Vec<_>>());
    let bars = by_symbol(&session(1, &list, &xnas(), "2025-01-28").await);
    assert_eq!(bars.len(), 60);
    let gappy = bars.values().filter(|bars| bars.len() < 385).count();
    assert!((3..40).contains(&gappy), "{gappy} of 60 miss minutes");
    assert!(bars.values().all(|bars| bars.len() > 200), "but none is dead");
}

#[tokio::test]
async fn prices_stay_believable() {
    let mut levels = BTreeMap::<Symbol, (f64, f64)>::new();
    for seed in 0..10 {
        for day in ["2019-06-05", "2025-01-28", "2026-11-24", "2031-03-04"] {
            for (symbol, bars) in by_symbol(&two_sessions(seed, &ten(), &xnas(), day).await) {
                for pair in bars.windows(2) {
                    let step = (pair[1].close.to_f64() / pair[0].close.to_f64()).ln().abs();
                    let limit = if pair[1].start.minutes_since(pair[0].start) == 1 { 0.06 } else { 0.35 };
                    assert!(step < limit, "{step} {pair:?}");
                }
                let close = bars.last().unwrap().close.to_f64();
                let level = levels.entry(symbol).or_insert((close, close));
                *level = (level.0.min(close), level.1.max(close));
            }
        }
    }
    for (symbol, (low, high)) in levels {
        assert!(high / low > 1.02 && high / low < 4.0, "{symbol} went from {low} to {high}");
    }
}

fn returns(bars: &[Bar]) -> BTreeMap<Second, f64> {
    bars.windows(2)
        .filter(|pair| pair[1].start.minutes_since(pair[0].start) == 1)
        .map(|pair| (pair[1].start, (pair[1].close.to_f64() / pair[0].close.to_f64()).ln()))
        .collect()
}

fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let n = pairs.len() as f64;
    let (mean_x, mean_y) =
        (pairs.iter().map(|p| p.0).sum::<f64>() / n, pairs.iter().map(|p| p.1).sum::<f64>() / n);
    let sum = |f: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|(x, y)| f(x - mean_x, y - mean_y)).sum::<f64>();
    sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt()
}

#[tokio::test]
async fn names_move_together_and_with_heavy_tails() {
    for seed in 0..5 {
        let bars = by_symbol(&two_sessions(seed, &ten(), &xnas(), "2025-01-28").await);
        let moves: Vec<BTreeMap<Second, f64>> = bars.values().map(|bars| returns(bars)).collect();
        let mut correlations = Vec::new();
        for (index, one) in moves.iter().enumerate() {
            for two in &moves[index + 1..] {
                let pairs: Vec<(f64, f64)> =
                    one.iter().filter_map(|(at, x)| two.get(at).map(|y| (*x, *y))).collect();
                correlations.push(correlation(&pairs));
            }
        }
        let mean = correlations.iter().sum::<f64>() / correlations.len() as f64;
        assert!((0.2..0.8).contains(&mean), "{mean}");
        assert!(correlations.iter().all(|one| (0.05..0.9).contains(one)), "{correlations:?}");
        let kurtosis: f64 = moves
            .iter()
            .map(|moves| {
                let n = moves.len() as f64;
                let power = |power| moves.values().map(|x: &f64| x.powi(power)).sum::<f64>() / n;
                power(4) / power(2).powi(2)
            })
            .sum::<f64>()
            / moves.len() as f64;
        assert!(kurtosis > 4.0, "{kurtosis}");
    }
}

#[tokio::test]
async fn volume_is_high_at_the_open_and_the_close() {
    let calendar = xnas();
    let (mut sums, mut counts) = ([0.0; 13], [0.0; 13]);
    for seed in 0..5 {
        for (_, bars) in by_symbol(&two_sessions(seed, &ten(), &calendar, "2025-01-29").await) {
            let mean = bars.iter().map(|bar| bar.volume.shares() as f64).sum::<f64>() / bars.len() as f64;
            for bar in bars {
                let open = calendar.session_on(calendar.date_of(bar.start)).unwrap().open;
                let half_hour = (bar.start.minutes_since(open) / 30) as usize;
                sums[half_hour] += bar.volume.shares() as f64 / mean;
                counts[half_hour] += 1.0;
            }
        }
    }
    let means: Vec<f64> = sums.iter().zip(counts).map(|(sum, count)| sum / count).collect();
    let midday = means[4..9].iter().sum::<f64>() / 5.0;
    assert!(means[0] > 1.5 * midday && means[12] > 1.5 * midday, "{means:?}");
}

#[tokio::test]
async fn prices_jump_over_night_and_over_the_weekend() {
    for day in ["2025-01-28", "2025-01-27"] {
        let mut jumps = Vec::new();
        for seed in 0..10 {
            for bars in by_symbol(&two_sessions(seed, &ten(), &extended(), day).await).values() {
                let pair =
                    bars.windows(2).find(|pair| pair[1].start.minutes_since(pair[0].start) > 60).unwrap();
                jumps.push((pair[1].open.to_f64() / pair[0].close.to_f64()).ln().abs());
            }
        }
        jumps.sort_by(f64::total_cmp);
        let median = jumps[jumps.len() / 2];
        assert!((0.003..0.03).contains(&median), "{median}");
    }
}

/// Brute force over 20 seeds: the rule's own definition, computed from the bars alone.
#[tokio::test]
async fn every_name_has_alerts_and_not_too_many_and_somebody_has_one_every_half_hour() {
    let calendar = xnas();
    let mut total = 0;
    for seed in 0..20 {
        for day in ["2025-01-29", "2026-11-24", "2025-07-03"] {
            let bars = session(seed, &ten(), &calendar, day).await;
            let tracked = calendar.tracked_on(day.parse().unwrap()).unwrap();
            let mut stretches = BTreeSet::new();
            for (symbol, bars) in by_symbol(&bars) {
                let spikes = spikes(&bars);
                assert!(
                    spikes.iter().all(|at| at.minutes_since(tracked.start) >= 30),
                    "the rule needs 30 bars"
                );
                let episodes = episodes(&spikes);
                total += episodes.len();
                assert!((2..=12).contains(&episodes.len()), "seed {seed} {day} {symbol}: {episodes:?}");
                stretches.extend(spikes.iter().map(|at| at.minutes_since(tracked.start) / 30));
            }
            let expected: BTreeSet<i32> = (1..tracked.end.minutes_since(tracked.start) / 30).collect();
            assert_eq!(stretches, expected, "seed {seed} {day}");
        }
    }
    let mean = f64::from(total as u32) / (20.0 * 3.0 * 10.0);
    assert!((3.0..8.0).contains(&mean), "{mean} episodes per name and session");
}

#[tokio::test]
async fn price_alone_never_triples() {
    let rule = Rule::from(SpikeRule::default());
    for bars in by_symbol(&two_sessions(1, &ten(), &xnas(), "2025-01-29").await).values() {
        for window in bars.windows(61) {
            let sum = window[..60].iter().map(|bar| i128::from(bar.close.nanos())).sum();
            let evidence = Evidence::Average { sum, bars: 60 };
            assert!(!rule.condition.holds(Metric::Price, window[60].close.nanos().into(), &evidence));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_run_shows_an_alert_of_its_first_three_names_within_forty_minutes() {
    let lists = [ten(), watchlist(&["NVDA"]), watchlist(&["ZZA", "ZZB", "ZZC", "AAPL"]), watchlist(&["ZZD"])];
    for (list, calendar) in lists.iter().flat_map(|list| [xnas(), always()].map(|calendar| (list, calendar)))
    {
        for seed in 0..3 {
            for now in ["2025-01-28T09:00:00Z", "2025-07-03T15:00:00Z", "2025-02-02T02:00:00Z"] {
                let mut sim = sim(config(seed), list, &calendar, now, None);
                let history = next(&mut sim).await;
                let start = Second::minute_of(history.clock);
                let mut bars = history.bars;
                while bars.last().unwrap().start < start.plus_minutes(40) {
                    bars.extend(next(&mut sim).await.bars);
                }
                let first: Vec<Symbol> = list.symbols().iter().take(3).copied().collect();
                let is_early = |at: &Second| (20..=40).contains(&at.minutes_since(start));
                let found = by_symbol(&bars)
                    .into_iter()
                    .filter(|(symbol, _)| first.contains(symbol))
                    .any(|(_, bars)| spikes(&bars).iter().any(is_early));
                assert!(found, "{first:?} seed {seed} at {now}, from {start}");
            }
        }
    }
}
