//! Bars that are closed: what readers see stays the same, whatever form bars lie in.

use super::*;
use std::ops::Range;

/// What the store must come to: bars by time and symbol, each with the commit that last changed it.
#[derive(Default)]
struct Model {
    bars: BTreeMap<(Second, Symbol), Stamped<BarRecord>>,
    sequence: i64,
}

impl Model {
    /// Writes a bar as part of the commit to come; `None`: the store counts the revision. Says whether that
    /// changed anything.
    fn write(&mut self, bar: &Bar, revision: Option<u32>) -> bool {
        let sequence = Sequence(self.sequence + 1);
        let key = (bar.start, bar.symbol);
        let known = self.bars.get(&key).map(|one| one.row);
        let counted = known.map_or(0, |known| known.revision + u32::from(known.bar != *bar));
        let row = BarRecord { bar: *bar, revision: revision.unwrap_or(counted) };
        if known == Some(row) {
            return false;
        }
        self.bars.insert(key, Stamped { sequence, row });
        true
    }

    fn of(&self, symbol: Symbol, range: &Range<Second>) -> Vec<BarRecord> {
        let all = self.bars.values().map(|one| one.row);
        all.filter(|row| row.bar.symbol == symbol && range.contains(&row.bar.start)).collect()
    }

    fn recent(&self, symbols: &[Symbol], seconds: i64) -> Vec<BarRecord> {
        let newest = |symbol| self.of(symbol, &(Second::MIN..Second::MAX)).last().map(|row| row.bar.start);
        let newest: BTreeMap<Symbol, Second> =
            symbols.iter().filter_map(|&symbol| Some((symbol, newest(symbol)?))).collect();
        let is_recent = |row: &BarRecord| {
            newest.get(&row.bar.symbol).is_some_and(|newest| newest.seconds_since(row.bar.start) < seconds)
        };
        self.bars.values().map(|one| one.row).filter(is_recent).collect()
    }

    fn rows(&self) -> Vec<Stamped<Row>> {
        let row = |one: &Stamped<BarRecord>| Stamped { sequence: one.sequence, row: Row::Bar(one.row) };
        let mut rows: Vec<_> = self.bars.values().map(row).collect();
        rows.sort_by_key(Stamped::place);
        rows
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, below: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as i64) % below
    }

    fn minute(&mut self) -> Second {
        MINUTE.plus_minutes(self.below(40) as i32)
    }

    fn range(&mut self) -> Range<Second> {
        let from = self.minute();
        from..from.plus_minutes(self.below(25) as i32)
    }

    fn bar(&mut self) -> BarRecord {
        let name = NAMES[self.below(NAMES.len() as i64) as usize];
        let start = self.minute();
        BarRecord { revision: self.below(2) as u32, ..bar(name, start, 100 + self.below(3)) }
    }
}

const NAMES: [&str; 4] = ["AAPL", "BRK.B", "NVDA", "TSLA"];

/// Closes a stretch to its end.
async fn close_all(store: &Shared, range: &Range<Second>) {
    let mut after = None;
    loop {
        let closed = store.close_bars(range.clone(), after).await.unwrap();
        match closed.upto {
            Some(upto) => after = Some(upto),
            None => return,
        }
    }
}

/// What is written, closed and deleted at random, against a map.
pub async fn closing_changes_nothing_that_readers_see(store: Shared) {
    let mut random = Random(7);
    let mut model = Model::default();
    let names = NAMES.map(symbol);
    for step in 0..150 {
        let before = model.sequence;
        let mut changed = false;
        match random.below(9) {
            0..=2 => {
                let bars: Vec<BarRecord> = (0..=random.below(12)).map(|_| random.bar()).collect();
                for record in &bars {
                    changed |= model.write(&record.bar, Some(record.revision));
                }
                store.commit(&bars_of(bars), at(step)).await.unwrap();
            }
            3 => {
                let bars: Vec<Bar> = (0..=random.below(12)).map(|_| random.bar().bar).collect();
                for bar in &bars {
                    changed |= model.write(bar, None);
                }
                store.import(&bars).await.unwrap();
            }
            4 => {
                let (range, name) = (random.range(), names[random.below(4) as usize]);
                let mut bars: Vec<Bar> = (0..40).map(|_| random.bar().bar).collect();
                bars.retain(|bar| range.contains(&bar.start));
                bars.iter_mut().for_each(|bar| bar.symbol = name);
                for bar in &bars {
                    changed |= model.write(bar, None);
                }
                let others = [random.bar().bar];
                changed |= model.write(&others[0], None);
                let session = SessionBars { symbol: name, range, bars };
                store.import_sessions(&[session], &others).await.unwrap();
            }
            5 | 6 => close_all(&store, &random.range()).await,
            7 if step % 3 == 0 => {
                let record = SplitRecord { from: random.minute(), ..split_of("NVDA", 2, 1) };
                let date = record.split.ex_date.checked_add(jiff::Span::new().days(step)).unwrap();
                let split =
                    Split::new(record.split.symbol, date, record.split.new, record.split.old).unwrap();
                for old in model.of(split.symbol, &(Second::MIN..record.from)) {
                    changed |= model.write(&split.bar(&old.bar), Some(old.revision));
                }
                let batch = Batch { splits: vec![SplitRecord { split, ..record }], ..Batch::default() };
                store.commit(&batch, at(step)).await.unwrap();
            }
            _ => {}
        }
        model.sequence = before + i64::from(changed);
        assert_eq!(store.sequence().await.unwrap(), Sequence(model.sequence), "step {step}");
        assert_same(&store, &model, &mut random).await;
        // Each bar lies where it belongs.
        store.check().await.unwrap();
    }
    assert!(model.sequence > 40 && model.bars.len() > 100);
}

async fn assert_same(store: &Shared, model: &Model, random: &mut Random) {
    let names = NAMES.map(symbol);
    let every = Second::MIN..Second::MAX;
    let wanted: Vec<(Symbol, Range<Second>)> =
        names.iter().flat_map(|&name| [(name, every.clone()), (name, random.range())]).collect();
    for (name, range) in wanted.iter().cloned() {
        for limit in [usize::MAX, 1 + random.below(30) as usize] {
            let mut expected = model.of(name, &range);
            expected.truncate(limit);
            assert_eq!(store.bars(name, range.clone(), limit).await.unwrap(), expected, "{range:?} {limit}");
            let bars: Vec<Bar> = expected.iter().map(|row| row.bar).collect();
            assert_eq!(store.history(name, range.clone(), limit).await.unwrap(), bars);
        }
    }
    let last: Vec<_> = wanted.iter().map(|(name, range)| model.of(*name, range).last().copied()).collect();
    assert_eq!(store.last_bars(&wanted).await.unwrap(), last);
    for seconds in [0, 60, 60 * random.below(40)] {
        let expected = model.recent(&names, seconds);
        assert_eq!(store.recent_bars(&names, seconds).await.unwrap(), expected, "{seconds} seconds");
    }

    let rows = model.rows();
    assert_eq!(store.changes(Sequence(0), usize::MAX).await.unwrap().into_rows(), rows);
    let after = Sequence(random.below(model.sequence + 1));
    let limit = 1 + random.below(20) as usize;
    let changes = store.changes(after, limit).await.unwrap();
    let of_commits = |upto: Sequence| {
        rows.iter().filter(|row| after < row.sequence && row.sequence <= upto).cloned().collect::<Vec<_>>()
    };
    assert!(changes.sequence > after || model.sequence == after.0, "no progress");
    let upto = changes.sequence;
    assert!(of_commits(upto).len() <= limit || upto.0 == after.0 + 1);
    let more = of_commits(Sequence(upto.0 + 1));
    assert!(upto.0 == model.sequence || more.len() > limit, "it could have been more");
    assert_eq!(changes.into_rows(), of_commits(upto));
    let beyond = of_commits(Sequence(model.sequence)).len();
    for count in [0, beyond.saturating_sub(1), beyond, beyond + 1] {
        assert_eq!(store.holds_more_bars(after, count).await.unwrap(), beyond > count);
    }
    let Some(place) = rows.get(random.below(rows.len().max(1) as i64) as usize).map(Stamped::place) else {
        return;
    };
    for place in [place, ChangeCursor::end_of(after)] {
        let expected: Vec<_> = rows.iter().filter(|row| row.place() > place).take(limit).cloned().collect();
        let newest = Sequence(model.sequence);
        assert_eq!(store.rows_after(place, newest, limit, Audience::Everybody).await.unwrap(), expected);
    }
}

pub async fn a_stretch_is_closed_some_symbols_at_a_time(store: Shared) {
    let names: Vec<String> = (0..500).map(|n| format!("S{n}")).collect();
    let all = |cents| {
        names.iter().flat_map(move |name| (0..3).map(move |n| bar(name, MINUTE.plus_minutes(n), cents)))
    };
    store.commit(&bars_of(all(100)), at(0)).await.unwrap();
    let before = store.changes(Sequence(0), usize::MAX).await.unwrap();
    // Of these, one minute stays open.
    let range = MINUTE..MINUTE.plus_minutes(2);
    let (mut after, mut bars, mut calls) = (None, 0, 0);
    loop {
        let closed = store.close_bars(range.clone(), after).await.unwrap();
        bars += closed.bars;
        let Some(upto) = closed.upto else { break };
        assert!(after.is_none_or(|after| after < upto), "no progress");
        after = Some(upto);
        calls += 1;
    }
    assert_eq!(bars, 1000);
    assert!(calls > 1, "all in one transaction");
    assert_eq!(store.oldest_open().await.unwrap(), Some(MINUTE.plus_minutes(2)));
    assert_eq!(store.changes(Sequence(0), usize::MAX).await.unwrap(), before);
    // It may be closed again, and further.
    assert_eq!(store.close_bars(range, None).await.unwrap(), Closed::default());
    close_all(&store, &(MINUTE..MINUTE.plus_minutes(9))).await;
    assert_eq!(store.oldest_open().await.unwrap(), None);
    assert_eq!(store.changes(Sequence(0), usize::MAX).await.unwrap(), before);
    assert!(matches!(
        store.settle_cadence(qqq_core::Cadence::One).await,
        Err(StoreError::OtherCadence { .. })
    ));
    // An empty stretch, and one without bars.
    for range in [MINUTE..MINUTE, Second::MIN..MINUTE] {
        assert_eq!(store.close_bars(range, None).await.unwrap(), Closed::default());
    }
    store.check().await.unwrap();
}

pub async fn closed_bars_are_corrected_and_late_ones_join_them(store: Shared) {
    let minutes = |range: Range<i32>| range.map(|n| bar("TSLA", MINUTE.plus_minutes(n), 100));
    let given: Vec<BarRecord> =
        minutes(0..10).filter(|one| one.bar.start != MINUTE.plus_minutes(4)).collect();
    store.commit(&bars_of(given), at(0)).await.unwrap();
    close_all(&store, &(MINUTE..MINUTE.plus_minutes(10))).await;
    let mut corrected = bar("TSLA", MINUTE.plus_minutes(7), 101);
    corrected.revision = 1;
    let late = bar("TSLA", MINUTE.plus_minutes(4), 100);
    let newest = bar("TSLA", MINUTE.plus_minutes(10), 100);
    let batch = bars_of([late, newest, corrected, bar("TSLA", MINUTE, 100)]);
    assert_eq!(store.commit(&batch, at(1)).await.unwrap().sequence, Sequence(2));
    assert_eq!(
        store.oldest_open().await.unwrap(),
        Some(newest.bar.start),
        "the others are where they belong"
    );
    let mut expected: Vec<BarRecord> = minutes(0..11).collect();
    expected[7] = corrected;
    let read = store.bars(symbol("TSLA"), Second::MIN..Second::MAX, 99).await.unwrap();
    assert_eq!(read, expected);
    let changed = rows_of(store.changes(Sequence(1), 99).await.unwrap().bars);
    assert_eq!(changed, [late, corrected, newest]);
    // Again, it changes nothing.
    assert_eq!(store.commit(&batch, at(2)).await.unwrap().sequence, Sequence(2));
}

pub async fn sessions_are_imported_as_they_stay(store: Shared) {
    let bars = |range: Range<i32>, cents| -> Vec<Bar> {
        range.map(|n| bar("TSLA", MINUTE.plus_minutes(n), cents).bar).collect()
    };
    let session = |bars: Vec<Bar>| {
        let range = MINUTE..MINUTE.plus_minutes(390);
        [SessionBars { symbol: symbol("TSLA"), range, bars }]
    };
    // Some are there already, as rows.
    store.import(&bars(100..110, 1)).await.unwrap();
    let outcome = |new, revised, unchanged| Imported { new, revised, unchanged };
    let given = session(bars(0..200, 2));
    assert_eq!(store.import_sessions(&given, &[]).await.unwrap(), outcome(190, 10, 0));
    assert_eq!(store.oldest_open().await.unwrap(), None);
    assert_eq!(store.import_sessions(&given, &[]).await.unwrap(), outcome(0, 0, 200));
    assert_eq!(store.sequence().await.unwrap(), Sequence(2));
    // In any order, and the later one counts where a time comes twice.
    let mut rest = bars(150..390, 2);
    rest.reverse();
    rest.push(bar("TSLA", MINUTE.plus_minutes(389), 3).bar);
    assert_eq!(store.import_sessions(&session(rest), &[]).await.unwrap(), outcome(190, 1, 50));
    assert_eq!(store.import(&bars(0..389, 2)).await.unwrap(), outcome(0, 0, 389));
    let read = store.bars(symbol("TSLA"), Second::MIN..Second::MAX, 999).await.unwrap();
    assert_eq!(read.len(), 390);
    assert!(read.iter().all(|row| {
        let n = row.bar.start.minutes_since(MINUTE);
        row.revision == u32::from((100..110).contains(&n) || n == 389)
    }));
    // What is not of the session is refused, and nothing is written.
    let stray = session(bars(380..391, 9));
    assert!(store.import_sessions(&stray, &[]).await.is_err());
    assert_eq!(store.bars(symbol("TSLA"), Second::MIN..Second::MAX, 999).await.unwrap(), read);
}

pub async fn closed_bars_go_a_stretch_at_a_time(store: Shared) {
    let day = |n: i32| MINUTE.plus_minutes(1440 * n);
    for n in 0..4 {
        let bars = ["AAPL", "TSLA"]
            .into_iter()
            .flat_map(|name| (0..100).map(move |minute| bar(name, day(n).plus_minutes(minute), 100)));
        store.commit(&bars_of(bars), at(0)).await.unwrap();
        if n < 3 {
            close_all(&store, &(day(n)..day(n + 1))).await;
        }
    }
    let starts = async || {
        let read = store.bars(symbol("TSLA"), Second::MIN..Second::MAX, 999).await.unwrap();
        read.first().map(|row| row.bar.start)
    };
    // The second day's last bars may stay, so all of them do.
    let before = day(1).plus_minutes(50);
    assert_eq!(store.prune_bars(before, 1000).await.unwrap(), 200);
    assert_eq!(store.prune_bars(before, 1000).await.unwrap(), 0);
    assert_eq!(starts().await, Some(day(1)));
    // A call takes about as many as it may, and says when there is no more.
    let mut pruned = Vec::new();
    while pruned.last() != Some(&0) {
        pruned.push(store.prune_bars(day(3).plus_minutes(50), 150).await.unwrap());
    }
    assert_eq!(pruned.iter().sum::<u64>(), 500);
    assert!(pruned.iter().rev().skip(2).all(|&some| (150..=250).contains(&some)), "{pruned:?}");
    assert_eq!(starts().await, Some(day(3).plus_minutes(50)));
}

pub async fn what_is_closed_of_a_day_is_told_and_every_change_of_it_shows(store: Shared) {
    let day = |n: i32| MINUTE.plus_minutes(1440 * n);
    let of_day = |n: i32| day(n)..day(n + 1);
    for n in [0, 2] {
        for name in ["TSLA", "AAPL"] {
            let bars = (0..10).filter(|&at| at != 5).map(|at| bar(name, day(n).plus_minutes(at), 100));
            store.commit(&bars_of(bars), at(0)).await.unwrap();
        }
    }
    assert_eq!(store.closed_from(Second::MIN).await.unwrap(), None);
    assert_eq!(store.closed_extent(of_day(0)).await.unwrap(), ClosedExtent::default());
    close_all(&store, &of_day(0)).await;
    close_all(&store, &of_day(2)).await;
    assert_eq!(store.closed_from(Second::MIN).await.unwrap(), Some(day(0).plus_minutes(9)));
    assert_eq!(store.closed_from(day(1)).await.unwrap(), Some(day(2).plus_minutes(9)));
    assert_eq!(store.closed_from(day(3)).await.unwrap(), None);
    assert_eq!(store.closed_symbols(of_day(0)).await.unwrap(), ["AAPL", "TSLA"].map(symbol));
    assert_eq!(store.closed_symbols(of_day(1)).await.unwrap(), []);
    let first = store.closed_extent(of_day(0)).await.unwrap();
    assert_eq!(first, ClosedExtent { bars: 18, newest: Sequence(2), sequences: 3 });
    assert_eq!(store.closed_extent(of_day(1)).await.unwrap(), ClosedExtent::default());
    let other = store.closed_extent(of_day(2)).await.unwrap();

    // What comes late, in its block and behind it; and a correction.
    let mut seen = vec![first];
    for one in [bar("TSLA", day(0).plus_minutes(5), 100), bar("TSLA", day(0).plus_minutes(20), 100)] {
        store.commit(&bars_of([one]), at(0)).await.unwrap();
        close_all(&store, &of_day(0)).await;
        seen.push(store.closed_extent(of_day(0)).await.unwrap());
    }
    let corrected = BarRecord { revision: 1, ..bar("AAPL", day(0), 101) };
    store.commit(&bars_of([corrected]), at(0)).await.unwrap();
    seen.push(store.closed_extent(of_day(0)).await.unwrap());
    // A row of an earlier commit than one of its block.
    store.commit(&bars_of([bar("TSLA", day(0).plus_minutes(30), 100)]), at(0)).await.unwrap();
    store.commit(&bars_of([bar("TSLA", day(0).plus_minutes(15), 100)]), at(0)).await.unwrap();
    seen.push(store.closed_extent(of_day(0)).await.unwrap());
    close_all(&store, &of_day(0)).await;
    seen.push(store.closed_extent(of_day(0)).await.unwrap());
    for (n, one) in seen.iter().enumerate() {
        assert!(!seen[..n].contains(one), "change {n} does not show: {seen:?}");
    }
    assert_eq!(store.closed_extent(of_day(2)).await.unwrap(), other, "another day");
}
