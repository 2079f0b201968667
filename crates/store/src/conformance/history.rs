//! What readers have not seen yet, in the order of commits.

use super::*;

pub async fn changes_are_complete_and_in_order(store: Shared) {
    assert_eq!(store.changes(Sequence(0), 10).await.unwrap(), Changes::default());
    subscribed(&store, 1, "TSLA", at(-3600)).await;
    assert_eq!(store.sequence().await.unwrap(), Sequence(0), "subscriptions are not what readers see");
    store.commit(&full_batch(), at(0)).await.unwrap();
    let all = store.changes(Sequence(0), 100).await.unwrap();
    assert_eq!(all.sequence, Sequence(1));
    let Batch { bars: mut expected, history, .. } = full_batch();
    expected.extend(history.into_iter().map(|bar| BarRecord { bar, revision: 0 }));
    expected.sort_by_key(|record| (record.bar.start, record.bar.symbol));
    assert_eq!(rows_of(all.bars), expected);
    assert_eq!(all.statistics.len(), 2);
    assert_eq!(all.alerts.len(), 2);

    // A later change moves a row to its commit; the reader that saw the first sees only that.
    let mut counted = alert("TSLA", MINUTE);
    counted.occurrences.push(Occurrence { start: MINUTE.plus_minutes(9), value: 1 });
    let older = alert("MSFT", MINUTE.plus_minutes(-50));
    let second = Batch {
        bars: vec![bar("TSLA", MINUTE.plus_minutes(2), 1002)],
        alerts: vec![AlertChange::Counted(counted.clone())],
        ..Batch::default()
    };
    store.commit(&second, at(60)).await.unwrap();
    store.commit(&alerts_of([AlertChange::Raised(older.clone())]), at(61)).await.unwrap();
    let changes = store.changes(all.sequence, 100).await.unwrap();
    assert_eq!(changes.sequence, Sequence(3));
    assert_eq!(rows_of(changes.bars), second.bars);
    assert!(changes.statistics.is_empty());
    let stamps: Vec<_> = changes.alerts.iter().map(|one| one.sequence).collect();
    assert_eq!(stamps, [Sequence(2), Sequence(3)]);
    assert_eq!(rows_of(changes.alerts), [counted, older], "oldest change first");
    let nothing = store.changes(Sequence(3), 100).await.unwrap();
    assert_eq!(nothing, Changes { sequence: Sequence(3), ..Changes::default() });
}

pub async fn changes_come_in_whole_commits(store: Shared) {
    // Commits of 1 to 40 bars each.
    let mut start = 0;
    let mut of_commit = vec![Vec::new()];
    for n in [3, 1, 40, 2, 2, 2, 7, 1, 1] {
        let bars: Vec<BarRecord> =
            (start..start + n).map(|n| bar("TSLA", MINUTE.plus_minutes(n), 100)).collect();
        start += n;
        store.commit(&bars_of(bars.iter().copied()), at(0)).await.unwrap();
        of_commit.push(bars);
    }
    for limit in [0, 1, 2, 4, 5, 10, 1000] {
        let mut seen = Vec::new();
        let mut reads = 0;
        let mut after = Sequence(0);
        while after < store.sequence().await.unwrap() {
            let changes = store.changes(after, limit).await.unwrap();
            assert!(changes.sequence > after, "no progress");
            let commits = &of_commit[after.0 as usize + 1..=changes.sequence.0 as usize];
            let bars = rows_of(changes.bars);
            assert_eq!(bars, commits.concat(), "limit {limit}");
            assert!(bars.len() <= limit || commits.len() == 1, "limit {limit}: {}", bars.len());
            seen.extend(bars);
            after = changes.sequence;
            reads += 1;
        }
        assert_eq!(seen, of_commit.concat());
        assert!(limit < 1000 || reads == 1);
    }
}

/// The model: a map of rows, each with the commit that last changed it.
pub async fn rows_are_read_on_from_any_place_in_the_order_of_their_commits(store: Shared) {
    let mut state = 1_u64;
    let mut random = |below: i64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as i64) % below
    };
    let names = ["AAPL", "BRK.B", "BTC-USD", "TSLA"];
    let mut model: BTreeMap<Key, Stamped<Row>> = BTreeMap::new();
    for step in 1..=60 {
        let mut rows: BTreeMap<Key, Row> = BTreeMap::new();
        for _ in 0..=random(8) {
            let (name, start) = (names[random(4) as usize], MINUTE.plus_minutes(random(25) as i32));
            let row = match random(6) {
                0..=3 => Row::Bar(bar(name, start, 1 + random(3))),
                4 => Row::Statistics(statistics_of(name, start, random(9) as f64)),
                _ => {
                    let occurrences = vec![Occurrence { start, value: step.into() }];
                    Row::Alert(Alert { occurrences, ..alert(name, start) })
                }
            };
            rows.insert(Stamped { sequence: Sequence(0), row: row.clone() }.place().key, row);
        }
        let mut batch = Batch::default();
        for (key, row) in &rows {
            match row {
                Row::Bar(record) => batch.bars.push(*record),
                Row::Statistics(statistics) => batch.statistics.push(statistics.clone()),
                Row::Alert(alert) if model.contains_key(key) => {
                    batch.alerts.push(AlertChange::Counted(alert.clone()));
                }
                Row::Alert(alert) => batch.alerts.push(AlertChange::Raised(alert.clone())),
            }
        }
        let sequence = store.commit(&batch, at(step)).await.unwrap().sequence;
        for (key, row) in rows {
            if model.get(&key).is_none_or(|known| known.row != row) {
                model.insert(key, Stamped { sequence, row });
            }
        }
    }
    let newest = store.sequence().await.unwrap();
    let mut expected: Vec<_> = model.into_values().collect();
    expected.sort_by_key(Stamped::place);
    let begin = ChangeCursor::end_of(Sequence(0));
    let all = store.rows_after(begin, newest, usize::MAX, Audience::Everybody).await.unwrap();
    assert_eq!(all, expected);
    assert_eq!(store.changes(Sequence(0), usize::MAX).await.unwrap().into_rows(), expected);
    // From every place there is, and from those where a row has moved away.
    let gone = |sequence| {
        [Key::Bar(symbol("B"), MINUTE), Key::Statistics(symbol("B")), Key::End]
            .map(|key| ChangeCursor { sequence: Sequence(sequence), key })
    };
    let places = expected.iter().map(Stamped::place).chain((0..=newest.0 + 1).flat_map(gone));
    for after in places.chain([ChangeCursor::end_of(Sequence(i64::MAX))]) {
        let upto = Sequence(random(newest.0 + 2));
        let limit = 1 + random(11) as usize;
        let rest = expected.iter().filter(|row| row.place() > after && row.sequence <= upto);
        let rest: Vec<_> = rest.take(limit).cloned().collect();
        let read = store.rows_after(after, upto, limit, Audience::Everybody).await.unwrap();
        assert_eq!(read, rest, "{after:?} {upto:?} {limit}");
    }
}

pub async fn a_reader_that_is_far_behind_is_told_so(store: Shared) {
    assert!(!store.holds_more_bars(Sequence(0), 0).await.unwrap());
    for n in 0..5 {
        let bars = [bar("TSLA", MINUTE.plus_minutes(n), 100), bar("AAPL", MINUTE.plus_minutes(n), 100)];
        store.commit(&bars_of(bars), at(0)).await.unwrap();
    }
    for after in 0..=5 {
        let bars = usize::try_from(10 - 2 * after).unwrap();
        for count in 0..12 {
            let more = store.holds_more_bars(Sequence(after), count).await.unwrap();
            assert_eq!(more, bars > count, "{after} {count}");
        }
    }
}

pub async fn the_feeds_state_comes_back_and_is_no_reason_to_render(store: Shared) {
    assert_eq!(store.feed_status().await.unwrap(), None);
    let mut status = feed_status(FeedMode::Replayed, at(0));
    status.answered_at = None;
    status.problem = Some("429 from the provider; next try at 21:05".to_owned());
    status.asked_until = Some(Second::minute_of(at(0)));
    let reason = Some("alpaca answered 503".to_owned());
    status.stands_in_for = Some(StandIn { provider: "alpaca".to_owned(), reason });
    let problem = |name: &str, problem: &str, next_attempt| SymbolProblem {
        symbol: name.parse().unwrap(),
        problem: problem.to_owned(),
        since: at(0),
        next_attempt,
    };
    status.symbol_problems =
        vec![problem("BRK.B", "test answered 400", Some(at(3600))), problem("ZZZZ", "", None)];
    for (n, status) in [status, feed_status(FeedMode::Live, at(9))].into_iter().enumerate() {
        let batch = Batch { feed: Some(status.clone()), ..Batch::default() };
        let committed = store.commit(&batch, at(n as i64)).await.unwrap();
        assert_eq!(committed.sequence, Sequence(0));
        assert_eq!(store.feed_status().await.unwrap(), Some(status));
    }
    // A step that says nothing of the feed leaves what was said.
    store.commit(&bars_of([bar("TSLA", MINUTE, 100)]), at(3)).await.unwrap();
    assert_eq!(store.feed_status().await.unwrap(), Some(feed_status(FeedMode::Live, at(9))));
}
