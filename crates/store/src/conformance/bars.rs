//! Bars, figures and splits.

use super::*;
use qqq_core::Cadence;

pub async fn a_bar_is_replaced_by_its_revision(store: Shared) {
    let first = bar("TSLA", MINUTE, 100);
    assert_eq!(store.commit(&bars_of([first]), at(0)).await.unwrap().sequence, Sequence(1));
    let mut second = bar("TSLA", MINUTE, 101);
    second.revision = 1;
    assert_eq!(store.commit(&bars_of([second]), at(1)).await.unwrap().sequence, Sequence(2));
    assert_eq!(store.commit(&bars_of([second]), at(2)).await.unwrap().sequence, Sequence(2));
    let range = Second::MIN..Second::MAX;
    assert_eq!(store.bars(symbol("TSLA"), range.clone(), 10).await.unwrap(), [second]);
    // Each field by itself is a difference.
    let mut record = second;
    for change in [
        (|bar: &mut Bar| bar.open = "1.02".parse().unwrap()) as fn(&mut Bar),
        |bar| bar.high = "1.03".parse().unwrap(),
        |bar| bar.low = "0.9".parse().unwrap(),
        |bar| bar.close = "0.95".parse().unwrap(),
        |bar| bar.volume = Volume::MAX,
        |bar| bar.vwap = Some(Price::MAX),
        |bar| bar.vwap = None,
        |bar| bar.trades = Some(u32::MAX),
        |bar| bar.trades = None,
        |bar| bar.feed = "sip".parse().unwrap(),
    ] {
        let before = store.sequence().await.unwrap();
        change(&mut record.bar);
        store.commit(&bars_of([record]), at(3)).await.unwrap();
        assert_eq!(store.bars(symbol("TSLA"), range.clone(), 10).await.unwrap(), [record]);
        assert_eq!(store.sequence().await.unwrap(), Sequence(before.0 + 1), "{record:?}");
    }
}

pub async fn bars_are_read_by_symbol_and_range(store: Shared) {
    // More than one statement takes at a time, in no order.
    let all: Vec<BarRecord> = (0..300)
        .map(|n| {
            bar(
                if n % 3 == 0 { "AAPL" } else { "TSLA" },
                MINUTE.plus_minutes((n * 7) % 300),
                100 + i64::from(n),
            )
        })
        .collect();
    store.commit(&bars_of(all.iter().copied()), at(0)).await.unwrap();
    for (from, to, limit) in
        [(0, 300, 1000), (10, 20, 1000), (0, 300, 7), (299, 300, 1), (50, 50, 5), (60, 50, 5)]
    {
        let range = MINUTE.plus_minutes(from)..MINUTE.plus_minutes(to);
        let mut expected: Vec<BarRecord> = all
            .iter()
            .copied()
            .filter(|record| record.bar.symbol == symbol("TSLA") && range.contains(&record.bar.start))
            .collect();
        expected.sort_by_key(|record| record.bar.start);
        expected.truncate(limit);
        assert_eq!(store.bars(symbol("TSLA"), range, limit).await.unwrap(), expected);
    }
}

pub async fn the_last_bars_of_ranges_are_read_at_once(store: Shared) {
    let all: Vec<BarRecord> = (0..60)
        .map(|n| bar(["AAPL", "TSLA"][n as usize % 2], MINUTE.plus_minutes((n * 7) % 60), 100 + i64::from(n)))
        .collect();
    store.commit(&bars_of(all.iter().copied()), at(0)).await.unwrap();
    let wanted: Vec<(Symbol, std::ops::Range<Second>)> = ["TSLA", "AAPL", "NVDA", "TSLA"]
        .into_iter()
        .flat_map(|name| [(0, 60), (10, 20), (59, 60), (0, 1), (60, 90), (20, 10)].map(|range| (name, range)))
        .map(|(name, (from, to))| (symbol(name), MINUTE.plus_minutes(from)..MINUTE.plus_minutes(to)))
        .collect();
    let expected: Vec<Option<BarRecord>> = wanted
        .iter()
        .map(|(name, range)| {
            let of_range = |one: &&BarRecord| one.bar.symbol == *name && range.contains(&one.bar.start);
            all.iter().filter(of_range).max_by_key(|one| one.bar.start).copied()
        })
        .collect();
    assert!(expected.iter().any(Option::is_some) && expected.iter().any(Option::is_none));
    assert_eq!(store.last_bars(&wanted).await.unwrap(), expected);
    assert_eq!(store.last_bars(&[]).await.unwrap(), []);
}

pub async fn history_is_the_same_bars(store: Shared) {
    // More than one piece of it, with gaps, two feeds, and what is not known of every bar.
    let mut all: Vec<BarRecord> = (0..10_000)
        .map(|n| {
            bar(
                if n % 7 == 0 { "AAPL" } else { "TSLA" },
                MINUTE.plus_minutes(n + n / 390 * 1050),
                100 + i64::from(n),
            )
        })
        .collect();
    for record in all.iter_mut().skip(5000) {
        record.bar.feed = "sip".parse().unwrap();
        record.revision = 3;
    }
    let edge =
        BarRecord { bar: Bar { volume: Volume::MAX, vwap: Some(Price::MAX), ..all[1].bar }, revision: 0 };
    all[1] = edge;
    store.commit(&bars_of(all), at(0)).await.unwrap();
    let every = Second::MIN..Second::MAX;
    for (of, range, limit) in [
        ("TSLA", every.clone(), usize::MAX),
        ("AAPL", every.clone(), usize::MAX),
        ("GOOG", every.clone(), usize::MAX),
        ("TSLA", every.clone(), 0),
        ("TSLA", every.clone(), 1),
        ("TSLA", every.clone(), 4096),
        ("TSLA", every, 4097),
        ("TSLA", MINUTE.plus_minutes(100)..MINUTE.plus_minutes(5000), 3000),
        ("TSLA", MINUTE.plus_minutes(100)..MINUTE.plus_minutes(101), 9),
        ("TSLA", MINUTE.plus_minutes(101)..MINUTE.plus_minutes(100), 9),
    ] {
        let expected: Vec<Bar> = store
            .bars(symbol(of), range.clone(), limit)
            .await
            .unwrap()
            .into_iter()
            .map(|record| record.bar)
            .collect();
        let read = store.history(symbol(of), range.clone(), limit).await.unwrap();
        assert!(read == expected, "{of} {range:?} {limit}: {} and {}", read.len(), expected.len());
    }
}

pub async fn recent_bars_end_at_each_symbols_newest(store: Shared) {
    let mut all = Vec::new();
    for n in 0..50 {
        all.push(bar("TSLA", MINUTE.plus_minutes(n), 100));
        all.push(bar("AAPL", MINUTE.plus_minutes(3 * n - 500), 200));
        all.push(bar("MSFT", MINUTE.plus_minutes(n), 300));
    }
    store.commit(&bars_of(all.clone()), at(0)).await.unwrap();
    let symbols = [symbol("TSLA"), symbol("AAPL"), symbol("GOOG")];
    for seconds in [0, 1, 60, 61, 600, 86_400] {
        let mut expected: Vec<BarRecord> = Vec::new();
        for (name, newest) in [("TSLA", 49), ("AAPL", 3 * 49 - 500)] {
            expected.extend(all.iter().filter(|record| {
                let age = MINUTE.plus_minutes(newest).seconds_since(record.bar.start);
                record.bar.symbol == symbol(name) && age < seconds
            }));
        }
        expected.sort_by_key(|record| (record.bar.start, record.bar.symbol));
        assert_eq!(store.recent_bars(&symbols, seconds).await.unwrap(), expected, "{seconds} seconds");
    }
    assert!(store.recent_bars(&[], 86_400).await.unwrap().is_empty());
}

pub async fn a_store_holds_bars_of_one_cadence(store: Shared) {
    assert_eq!(store.cadence().await.unwrap(), Cadence::Sixty);
    // None is kept yet: whichever comes.
    for cadence in [Cadence::One, Cadence::Five] {
        store.settle_cadence(cadence).await.unwrap();
        assert_eq!(store.cadence().await.unwrap(), cadence);
    }
    let bars: Vec<Bar> = (0..5).map(|n| bar("TSLA", MINUTE.plus_seconds(5 * n), 100).bar).collect();
    assert_eq!(store.import(&bars).await.unwrap().new, 5);
    store.settle_cadence(Cadence::Five).await.unwrap();
    let refused = store.settle_cadence(Cadence::Sixty).await;
    assert!(
        matches!(refused, Err(StoreError::OtherCadence { kept: Cadence::Five, asked: Cadence::Sixty })),
        "{refused:?}"
    );
    assert_eq!(store.cadence().await.unwrap(), Cadence::Five);
    // What becomes active begins with a bar of that cadence.
    let wish = sign_up(1, "ada@example.com", "TSLA");
    assert!(ask(&store, &wish, UNLIMITED, at(0)).await);
    let subscription = confirmed(&store, &wish, at(7)).await;
    assert_eq!(subscription.active_from.map(|from| from.start()), Some(at(10)));
    let read = store.bars(symbol("TSLA"), MINUTE.plus_seconds(1)..MINUTE.plus_seconds(11), 9).await.unwrap();
    let read: Vec<Second> = read.iter().map(|record| record.bar.start).collect();
    assert_eq!(read, [5, 10].map(|second| MINUTE.plus_seconds(second)));
}

pub async fn imports_tell_new_revised_and_unchanged(store: Shared) {
    let bars: Vec<Bar> = (0..200).map(|n| bar("TSLA", MINUTE.plus_minutes(n), 100).bar).collect();
    assert_eq!(store.import(&bars).await.unwrap(), Imported { new: 200, revised: 0, unchanged: 0 });
    let before = store.sequence().await.unwrap();
    assert_eq!(store.import(&bars).await.unwrap(), Imported { new: 0, revised: 0, unchanged: 200 });
    assert_eq!(store.sequence().await.unwrap(), before);
    let mixed: Vec<Bar> = (150..260)
        .map(|n| bar("TSLA", MINUTE.plus_minutes(n), if n % 2 == 0 { 100 } else { 101 }).bar)
        .collect();
    assert_eq!(store.import(&mixed).await.unwrap(), Imported { new: 60, revised: 25, unchanged: 25 });
    assert_eq!(store.sequence().await.unwrap(), Sequence(before.0 + 1));
    let changed = store.changes(before, usize::MAX).await.unwrap().bars;
    assert_eq!(changed.len(), 85);
    for record in rows_of(changed) {
        let known = record.bar.start < MINUTE.plus_minutes(200);
        assert_eq!(record.revision, u32::from(known), "{record:?}");
    }
    // Twice in one call: the later one counts.
    let twice = [bar("AAPL", MINUTE, 1).bar, bar("AAPL", MINUTE, 2).bar];
    assert_eq!(store.import(&twice).await.unwrap(), Imported { new: 1, revised: 1, unchanged: 0 });
    let kept = store.bars(symbol("AAPL"), MINUTE..MINUTE.plus_minutes(1), 9).await.unwrap();
    assert_eq!(kept, [BarRecord { bar: twice[1], revision: 1 }]);
}

pub async fn statistics_come_back_bit_for_bit(store: Shared) {
    // Whole and odd numbers, the edges of doubles, and neighbours of each other.
    let mut values = vec![
        0.0,
        1.0,
        2.0,
        0.1,
        1.0 / 3.0,
        9_007_199_254_740_993.0,
        1e15,
        1e16,
        4_611_686_018_427_387_904.0,
        9_223_372_036_854_775_807.0,
        1e300,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        f64::EPSILON,
        -1.5,
    ];
    values.extend((0..200).map(|n| f64::from_bits(0.637_f64.to_bits() + n * 977)));
    let mut sent = BTreeMap::new();
    for (n, pair) in values.windows(2).enumerate() {
        let figures = |a: f64, b: f64| Figures {
            stdev: Some(a),
            relative_stdev: (n % 2 == 0).then_some(b),
            trailing_average: Some(b),
            ratio: None,
            window_bars: n as u32,
        };
        let one = Statistics {
            price: figures(pair[0], pair[1]),
            volume: figures(pair[1], pair[0]),
            // Some track more.
            further: (n % 3 == 0)
                .then_some((Metric::Trades, figures(pair[1], pair[1])))
                .into_iter()
                .chain((n % 5 == 0).then_some((Metric::Return, figures(pair[0], pair[1]))))
                .collect(),
            ..statistics_of(&format!("S{n}"), MINUTE.plus_minutes(n as i32), 1.0)
        };
        sent.insert(one.symbol, one);
    }
    let batch = Batch { statistics: sent.values().cloned().collect(), ..Batch::default() };
    store.commit(&batch, at(0)).await.unwrap();
    let read = store.statistics().await.unwrap();
    assert_eq!(read.len(), sent.len());
    let bits = |one: &Statistics| -> Vec<_> {
        let of_one = |figures: &Figures| {
            [figures.stdev, figures.relative_stdev, figures.trailing_average, figures.ratio]
                .map(|value| value.map(f64::to_bits))
        };
        one.iter().map(|(metric, figures)| (metric, of_one(&figures))).collect()
    };
    for one in &read {
        assert_eq!(one, &sent[&one.symbol]);
        assert_eq!(bits(one), bits(&sent[&one.symbol]));
    }
    // The smallest difference is one.
    for metric in [Metric::Price, Metric::Trades] {
        let mut next = read.iter().find(|one| one.further.len() == 2).unwrap().clone();
        let stdev =
            if metric == Metric::Price { &mut next.price.stdev } else { &mut next.further[0].1.stdev };
        *stdev = stdev.map(f64::next_up);
        let batch = Batch { statistics: vec![next.clone()], ..Batch::default() };
        let committed = store.commit(&batch, at(1)).await.unwrap();
        let changed = store.changes(Sequence(committed.sequence.0 - 1), 9).await.unwrap();
        assert_eq!(rows_of(changed.statistics), [next]);
    }
}

pub async fn splits_rescale_older_bars_once(store: Shared) {
    let old: Vec<BarRecord> = (-5..5).map(|n| bar("NVDA", MINUTE.plus_minutes(n), 120_888)).collect();
    let other = bar("TSLA", MINUTE.plus_minutes(-1), 500);
    store.commit(&bars_of(old.iter().copied().chain([other])), at(0)).await.unwrap();
    let record = split_of("NVDA", 10, 1);
    let fresh = bar("NVDA", MINUTE.plus_minutes(-6), 12_089);
    // Bars of the same batch are in the new units already.
    let batch = Batch { splits: vec![record, record], bars: vec![fresh], ..Batch::default() };
    let committed = store.commit(&batch, at(1)).await.unwrap();
    let mut expected = vec![fresh];
    expected.extend(old.iter().map(|before| match before.bar.start < record.from {
        true => BarRecord { bar: record.split.bar(&before.bar), ..*before },
        false => *before,
    }));
    let all = Second::MIN..Second::MAX;
    assert_eq!(store.bars(symbol("NVDA"), all.clone(), 99).await.unwrap(), expected);
    assert_eq!(store.bars(symbol("TSLA"), all.clone(), 99).await.unwrap(), [other]);
    assert_eq!(store.splits().await.unwrap(), [record]);
    let changed = store.changes(Sequence(committed.sequence.0 - 1), 99).await.unwrap().bars;
    assert_eq!(rows_of(changed), expected[..6]);
    // Known: nothing happens, even were its terms told differently now.
    let again = Batch { splits: vec![record, split_of("NVDA", 5, 1)], ..Batch::default() };
    assert_eq!(store.commit(&again, at(2)).await.unwrap().sequence, committed.sequence);
    assert_eq!(store.bars(symbol("NVDA"), all, 99).await.unwrap(), expected);
    assert_eq!(store.splits().await.unwrap(), [record]);
}

pub async fn what_waits_to_be_confirmed_comes_back_and_is_seen_by_no_reader(store: Shared) {
    let waiting = |names: &[&str]| {
        let bars = names.iter().map(|name| bar(name, MINUTE, 600_000).bar).collect();
        Batch { quarantined: Some(bars), ..Batch::default() }
    };
    let names = async || {
        let waiting = store.quarantined().await.unwrap();
        waiting.iter().map(|bar| bar.symbol.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(store.commit(&waiting(&["TSLA", "AAPL"]), at(0)).await.unwrap().sequence, Sequence(0));
    assert_eq!(store.quarantined().await.unwrap()[1], bar("TSLA", MINUTE, 600_000).bar);
    assert_eq!(names().await, ["AAPL", "TSLA"]);
    // A step that says nothing of them leaves them.
    store.commit(&bars_of([bar("TSLA", MINUTE.plus_minutes(1), 100)]), at(60)).await.unwrap();
    assert_eq!(names().await, ["AAPL", "TSLA"]);
    assert_eq!(store.changes(Sequence(0), 99).await.unwrap().bars.len(), 1);
    store.commit(&waiting(&["NVDA"]), at(60)).await.unwrap();
    assert_eq!(names().await, ["NVDA"]);
    store.commit(&waiting(&[]), at(60)).await.unwrap();
    assert!(names().await.is_empty());
}

pub async fn bars_from_before_all_windows_are_part_of_the_commit(store: Shared) {
    let old = |cents| vec![bar("TSLA", MINUTE.plus_minutes(-9_000), cents).bar];
    let batch = |cents| Batch { history: old(cents), ..bars_of([bar("TSLA", MINUTE, 100)]) };
    let first = store.commit(&batch(500), at(0)).await.unwrap().sequence;
    assert_eq!(store.commit(&batch(500), at(1)).await.unwrap().sequence, first, "a bar known already");
    let second = store.commit(&batch(501), at(2)).await.unwrap().sequence;
    let changed = rows_of(store.changes(first, 99).await.unwrap().bars);
    assert_eq!((second, changed), (Sequence(first.0 + 1), vec![BarRecord { bar: old(501)[0], revision: 1 }]));
}

pub async fn pruning_deletes_the_oldest_bars_in_pieces(store: Shared) {
    let bars = (0..10)
        .flat_map(|n| [bar("TSLA", MINUTE.plus_minutes(n), 100), bar("AAPL", MINUTE.plus_minutes(n), 100)]);
    store.commit(&bars_of(bars), at(0)).await.unwrap();
    let before = MINUTE.plus_minutes(6);
    assert_eq!(store.prune_bars(before, 5).await.unwrap(), 5);
    let oldest = store.bars(symbol("TSLA"), Second::MIN..Second::MAX, 1).await.unwrap()[0].bar.start;
    assert!(oldest <= MINUTE.plus_minutes(3) && oldest >= MINUTE.plus_minutes(2), "{oldest}");
    assert_eq!(store.prune_bars(before, 100).await.unwrap(), 7);
    assert_eq!(store.prune_bars(before, 100).await.unwrap(), 0);
    for name in ["TSLA", "AAPL"] {
        let left = store.bars(symbol(name), Second::MIN..Second::MAX, 99).await.unwrap();
        assert_eq!(
            left.iter().map(|record| record.bar.start).collect::<Vec<_>>(),
            [6, 7, 8, 9].map(|n| MINUTE.plus_minutes(n))
        );
    }
}
