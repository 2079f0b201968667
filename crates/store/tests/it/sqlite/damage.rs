//! Files that are not ours or no longer whole.

use super::earlier::of_the_first_schema;
use super::{file, fresh, raw, reason_of_refusal, url};
use qqq_core::{Bar, Second};
use qqq_store::conformance::{MINUTE, alert, alerts_of, at, bar, bars_of, rows_of, symbol};
use qqq_store::{AlertChange, BarRecord, Sequence, SessionBars, StoreError, look_at_watchlist, open};
use sqlx::Connection as _;

#[tokio::test]
async fn the_file_of_a_newer_program_is_refused() {
    let (store, folder) = fresh().await;
    store.close().await;
    let mut connection = raw(&folder).await;
    sqlx::query(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
         values (99, 'from the future', true, x'00', 0)",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
    let reason = reason_of_refusal(&url(&folder)).await;
    assert!(reason.contains("newer version") && reason.contains("99"), "{reason}");
    let looked = look_at_watchlist(&url(&folder)).await.unwrap_err();
    assert_eq!(looked.to_string(), reason);
}

#[tokio::test]
async fn a_schema_of_other_making_is_refused() {
    let (store, folder) = fresh().await;
    store.close().await;
    let mut connection = raw(&folder).await;
    sqlx::query("update _sqlx_migrations set checksum = x'00'").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let reason = reason_of_refusal(&url(&folder)).await;
    assert!(reason.contains("schema 1 is not the one"), "{reason}");
}

#[tokio::test]
async fn files_of_other_programs_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(file(&folder).parent().unwrap()).unwrap();
    let mut connection = raw(&folder).await;
    sqlx::query("create table theirs (x)").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    assert!(reason_of_refusal(&url(&folder)).await.contains("another program"));
    let mut connection = raw(&folder).await;
    let tables: i64 =
        sqlx::query_scalar("select count(*) from sqlite_schema").fetch_one(&mut connection).await.unwrap();
    assert_eq!(tables, 1);
    connection.close().await.unwrap();

    let text = "symbol,start,open\n".repeat(1000);
    std::fs::write(file(&folder), &text).unwrap();
    assert!(reason_of_refusal(&url(&folder)).await.contains("not a database"));
    assert_eq!(std::fs::read_to_string(file(&folder)).unwrap(), text);
}

#[tokio::test]
async fn a_damaged_file_is_noticed() {
    let (store, folder) = fresh().await;
    let bars = (0..5000).map(|n| bar("TSLA", MINUTE.plus_minutes(n), 100 + i64::from(n)));
    store.commit(&bars_of(bars), at(0)).await.unwrap();
    store.check().await.unwrap();
    store.close().await;
    let mut bytes = std::fs::read(file(&folder)).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0xa5);
    std::fs::write(file(&folder), bytes).unwrap();
    let store = open(&url(&folder)).await.unwrap();
    let error = store.check().await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert!(!error.is_transient());
}

/// Bits of a closed file are flipped one after the other, over all its pages. Whatever is then served is what
/// was written, or an error says that something is wrong.
#[tokio::test]
async fn no_flipped_bit_changes_a_bar_in_silence() {
    const FLIPS: usize = 400;
    let (store, folder) = fresh().await;
    let bars: Vec<BarRecord> = (0..400)
        .map(|n| {
            let mut record = bar("TSLA", MINUTE.plus_minutes(n), 30_000 + i64::from(n));
            record.bar.vwap = (n % 2 == 0).then_some(record.bar.close);
            record.bar.trades = (n % 3 == 0).then_some(n as u32);
            record
        })
        .collect();
    store.commit(&bars_of(bars.iter().copied()), at(0)).await.unwrap();
    // Half of them in blocks of fifty.
    for n in 0..4 {
        let from = MINUTE.plus_minutes(50 * n);
        store.close_bars(from..from.plus_minutes(50), None).await.unwrap();
    }
    store.close().await;
    drop(store);
    let sound = std::fs::read(file(&folder)).unwrap();
    let leaves = sound.windows(4).enumerate().filter(|(_, four)| four == b"TSLA").map(|(place, _)| place);
    let leaves: Vec<usize> = leaves.collect();
    let (mut served, mut told) = (0, 0);
    for flip in 0..FLIPS {
        // Half of them in rows of bars, the others anywhere.
        let random = (flip as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let bit = (random >> 8) as usize % 8;
        let place = match flip % 2 {
            0 => leaves[(random >> 16) as usize % leaves.len()] + (random >> 40) as usize % 56,
            _ => (random >> 16) as usize % sound.len(),
        };
        let mut damaged = sound.clone();
        let last = damaged.len() - 1;
        damaged[place.min(last)] ^= 1 << bit;
        std::fs::write(file(&folder), damaged).unwrap();
        let Ok(store) = open(&url(&folder)).await else {
            told += 1;
            continue;
        };
        let every = Second::MIN..Second::MAX;
        let answers = [
            store
                .bars(symbol("TSLA"), every.clone(), 9_999)
                .await
                .map(|rows| rows.into_iter().map(|row| row.bar).collect()),
            store.history(symbol("TSLA"), every, 9_999).await,
            store
                .recent_bars(&[symbol("TSLA")], 86_400)
                .await
                .map(|rows| rows.into_iter().map(|row| row.bar).collect()),
            store
                .changes(Sequence(0), 9_999)
                .await
                .map(|changes| rows_of(changes.bars).into_iter().map(|row| row.bar).collect::<Vec<_>>()),
        ];
        let is_sound = store.check().await.is_ok();
        for answer in answers {
            match answer {
                Err(_) => told += 1,
                // A damaged key hides a row from who looks for it, and a check finds that. None is another
                // than it was.
                Ok(answer) if !is_sound => {
                    let was_written = |bar| bars.iter().any(|record| record.bar == bar);
                    assert!(
                        answer.into_iter().all(was_written),
                        "bit {bit} of byte {place} changed what is served"
                    );
                    told += 1;
                }
                Ok(answer) => {
                    let expected = bars.iter().map(|record| record.bar);
                    assert!(
                        answer.into_iter().eq(expected),
                        "bit {bit} of byte {place} changed what is served"
                    );
                    served += 1;
                }
            }
        }
        store.close().await;
    }
    assert!(served > FLIPS / 10 && told > FLIPS / 2, "{served} served, {told} told");
}

#[tokio::test]
async fn a_damaged_bar_is_named_and_mended_by_writing_it_again() {
    let (store, folder) = fresh().await;
    let bars = [bar("TSLA", MINUTE, 100), bar("TSLA", MINUTE.plus_minutes(1), 101)];
    store.commit(&bars_of(bars), at(0)).await.unwrap();
    let mut connection = raw(&folder).await;
    sqlx::query("update bars set close = close + 1 where start = ?")
        .bind(MINUTE.unix())
        .execute(&mut connection)
        .await
        .unwrap();
    let error = store.recent_bars(&[symbol("TSLA")], 86_400).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { table: "bars", .. }), "{error:?}");
    let said = error.to_string();
    assert!(said.contains(&format!("TSLA at {MINUTE}")) && said.contains("Import"), "{said}");
    // The other one can be read.
    let rest = store.bars(symbol("TSLA"), MINUTE.plus_minutes(1)..MINUTE.plus_minutes(9), 9).await.unwrap();
    assert_eq!(rest, bars[1..]);
    store.import(&[bars[0].bar]).await.unwrap();
    let mended = store.history(symbol("TSLA"), MINUTE..MINUTE.plus_minutes(9), 9).await.unwrap();
    assert_eq!(mended, bars.map(|record| record.bar));
}

/// A block that is not what was written is served to nobody, names its symbol and day, and gives way to the
/// bars of that day once they are imported.
#[tokio::test]
async fn a_damaged_block_is_named_and_mended_by_its_day() {
    let (store, folder) = fresh().await;
    let day = |name: &str| -> Vec<Bar> {
        (0..100).map(|n| bar(name, MINUTE.plus_minutes(n), 100 + i64::from(n)).bar).collect()
    };
    let range = MINUTE..MINUTE.plus_minutes(390);
    let session = |name: &str, bars| SessionBars { symbol: symbol(name), range: range.clone(), bars };
    store.import_sessions(&[session("AAPL", day("AAPL")), session("TSLA", day("TSLA"))], &[]).await.unwrap();
    let mut connection = raw(&folder).await;
    let data: Vec<u8> = sqlx::query_scalar("select data from blocks where symbol = 'TSLA'")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let every = Second::MIN..Second::MAX;
    let place = |text: &[u8], n: usize| text.len() * n / 7;
    for n in 0..7 {
        let mut damaged = data.clone();
        damaged[place(&data, n)] ^= 1 << n;
        sqlx::query("update blocks set data = ? where symbol = 'TSLA'")
            .bind(damaged)
            .execute(&mut connection)
            .await
            .unwrap();
        for error in [
            store.bars(symbol("TSLA"), every.clone(), 9).await.map(drop).unwrap_err(),
            store.recent_bars(&[symbol("AAPL"), symbol("TSLA")], 60).await.map(drop).unwrap_err(),
            store.changes(Sequence(0), 9).await.map(drop).unwrap_err(),
            store.commit(&bars_of([bar("TSLA", MINUTE, 7)]), at(0)).await.map(drop).unwrap_err(),
            // Some bars of it are not enough.
            store
                .import_sessions(&[session("TSLA", day("TSLA")[..99].to_vec())], &[])
                .await
                .map(drop)
                .unwrap_err(),
        ] {
            let said = error.to_string();
            assert!(matches!(error, StoreError::Corrupt { table: "blocks", .. }), "{error:?}");
            assert!(
                said.contains(&format!("TSLA that begins at {MINUTE}")) && said.contains("Import"),
                "{said}"
            );
        }
        let found = store.check().await.unwrap_err().to_string();
        assert!(found.contains("TSLA that begins at"), "{found}");
        assert_eq!(store.history(symbol("AAPL"), every.clone(), 999).await.unwrap(), day("AAPL"));
        store.import_sessions(&[session("TSLA", day("TSLA"))], &[]).await.unwrap();
        assert_eq!(store.history(symbol("TSLA"), every.clone(), 999).await.unwrap(), day("TSLA"));
    }
    // What the table says beside it is looked at too.
    sqlx::query("update blocks set last = last + 60 where symbol = 'TSLA'")
        .execute(&mut connection)
        .await
        .unwrap();
    let error = store.history(symbol("TSLA"), every, 999).await.unwrap_err();
    assert!(error.to_string().contains("other bars than the table says"), "{error}");
}

#[tokio::test]
async fn bars_of_an_earlier_version_get_their_checksums_when_they_are_opened() {
    let folder = tempfile::tempdir().unwrap();
    of_the_first_schema(&folder).await;
    open(&url(&folder)).await.unwrap().close().await;
    let mut connection = raw(&folder).await;
    let unchecked: i64 = sqlx::query_scalar("select count(*) from bars where checksum = -1")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(unchecked, 0);
    let touched = sqlx::query("update bars set volume = volume + 1").execute(&mut connection).await.unwrap();
    assert!(touched.rows_affected() > 0);
    let store = open(&url(&folder)).await.unwrap();
    assert!(store.changes(Sequence(0), 99).await.is_err());
}

#[tokio::test]
async fn a_row_that_makes_no_sense_names_its_table() {
    let (store, folder) = fresh().await;
    store.commit(&alerts_of([AlertChange::Raised(alert("TSLA", MINUTE))]), at(0)).await.unwrap();
    let mut connection = raw(&folder).await;
    sqlx::query("update alerts set occurrences = '9;?'").execute(&mut connection).await.unwrap();
    let error = store.alert(alert("TSLA", MINUTE).id).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { table: "alerts", .. }), "{error:?}");
}
