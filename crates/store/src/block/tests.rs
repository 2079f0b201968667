use super::*;
use proptest::prelude::*;

const TSLA: &str = "TSLA";

fn symbol() -> Symbol {
    TSLA.parse().unwrap()
}

/// Whatever a bar may say, odd ones too: an import may bring prices that a feed never would.
fn price() -> impl Strategy<Value = Price> {
    let any = prop_oneof![
        1..=Price::MAX.nanos(),
        (1..2_000_000_i64).prop_map(|hundredths| hundredths * 10_000_000),
        Just(1),
        Just(Price::MAX.nanos()),
    ];
    any.prop_map(|nanos| Price::from_nanos(nanos).unwrap())
}

fn stored() -> impl Strategy<Value = Stored> {
    let prices = (price(), price(), price(), price(), proptest::option::of(price()));
    let volume = prop_oneof![0..100_000_i64, Just(Volume::MAX.shares())];
    let others = (volume, proptest::option::of(any::<u32>()), "[a-z]{1,2}", any::<u32>(), any::<i64>());
    (prices, others).prop_map(
        |((open, high, low, close, vwap), (volume, trades, feed, revision, sequence))| {
            let volume = Volume::from_shares(volume).unwrap();
            let (symbol, start, feed) = (symbol(), Second::MIN, FeedLabel::new(&feed).unwrap());
            let bar = Bar { symbol, start, open, high, low, close, volume, vwap, trades, feed };
            Stamped { sequence: Sequence(sequence), row: BarRecord { bar, revision } }
        },
    )
}

fn block(most: usize) -> impl Strategy<Value = Vec<Stored>> {
    let steps = proptest::collection::vec((stored(), prop_oneof![Just(60), 1..100_000_i64]), 1..most);
    (Second::MIN.unix()..Second::MAX.unix() - 100_000_000, steps).prop_map(|(mut at, steps)| {
        let mut bars = Vec::new();
        for (mut one, step) in steps {
            one.row.bar.start = Second::at_unix(at).unwrap();
            at += step;
            bars.push(one);
        }
        bars
    })
}

proptest! {
    #[test]
    fn what_was_written_is_read(bars in block(200)) {
        let packed = encode(&bars).unwrap();
        prop_assert_eq!(decode(symbol(), Second::MIN, &packed).unwrap(), bars);
    }

    #[test]
    fn a_flipped_bit_and_a_missing_end_are_errors(bars in block(40), at in any::<prop::sample::Index>()) {
        let packed = encode(&bars).unwrap();
        let bit = at.index(8 * packed.len());
        let mut flipped = packed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let error = decode(symbol(), Second::MIN, &flipped).unwrap_err();
        let is_corrupt = matches!(&error, StoreError::Corrupt { table: "blocks", .. });
        prop_assert!(is_corrupt, "{error:?}");
        prop_assert!(error.to_string().contains(TSLA), "{error}");
        prop_assert!(decode(symbol(), Second::MIN, &packed[..at.index(packed.len())]).is_err());
    }

    /// Behind a checksum that is right, as one would stand over what somebody made up.
    #[test]
    fn columns_that_make_no_sense_never_panic(
        bars in block(40),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut columns = columns_of(symbol(), &bars);
        let place = at.index(columns.len());
        match cut {
            true => columns.truncate(place),
            false => columns[place] = byte,
        }
        let packed = sealed(VERSION, &columns);
        if let Ok(read) = decode(symbol(), Second::MIN, &packed) {
            prop_assert!(!cut);
            prop_assert_eq!(decode(symbol(), Second::MIN, &encode(&read).unwrap()).unwrap(), read);
        }
    }

    #[test]
    fn numbers_come_back(numbers in proptest::collection::vec(any::<i64>(), 0..50)) {
        let mut bytes = Vec::new();
        numbers.iter().for_each(|&number| push_signed(&mut bytes, number));
        let mut columns = Columns::new(&bytes);
        for number in numbers {
            prop_assert_eq!(columns.signed(), Ok(number));
        }
        prop_assert!(columns.is_empty());
    }

    /// The model: a map by start.
    #[test]
    fn merging_is_as_in_a_map(bars in block(30), also in block(30)) {
        let mut merged = bars.clone();
        let mut map: std::collections::BTreeMap<Second, Stored> =
            bars.iter().map(|one| (one.row.bar.start, *one)).collect();
        // Some of the times are those of bars that are there.
        for (n, one) in also.iter().enumerate() {
            let mut bar = one.row.bar;
            if n % 2 == 0 {
                bar.start = bars[n % bars.len()].row.bar.start;
            }
            let revision = (n % 3 != 0).then_some(one.row.revision);
            let known = map.get(&bar.start).copied();
            let expected = match known {
                None => Merged::New,
                Some(known) if known.row.bar == bar && revision.is_none_or(|r| r == known.row.revision) => {
                    Merged::Unchanged
                }
                Some(_) => Merged::Revised,
            };
            prop_assert_eq!(put(&mut merged, Written { bar: &bar, revision }, one.sequence), expected);
            if expected != Merged::Unchanged {
                let next = known.map_or(0, |known| known.row.revision.saturating_add(1));
                let row = BarRecord { bar, revision: revision.unwrap_or(next) };
                map.insert(bar.start, Stamped { sequence: one.sequence, row });
            }
        }
        prop_assert_eq!(merged, map.into_values().collect::<Vec<_>>());
    }
}

fn sealed(version: u8, columns: &[u8]) -> Vec<u8> {
    let mut block = [MAGIC.as_slice(), &[version], &(columns.len() as u32).to_le_bytes()].concat();
    block.extend(compressed(columns).unwrap());
    let check = crc32fast::hash(&block);
    block.extend_from_slice(&check.to_le_bytes());
    block
}

fn bar(n: i64) -> Stored {
    let cents = |cents: i64| Price::from_nanos(cents * 10_000_000).unwrap();
    let bar = Bar {
        symbol: symbol(),
        start: Second::from_unix(1_738_000_800 + 60 * n),
        open: cents(40_000 + n),
        high: cents(40_010 + n),
        low: cents(39_990 + n),
        close: cents(40_001 + n),
        volume: Volume::from_shares(1000 + n).unwrap(),
        vwap: None,
        trades: None,
        feed: "sip".parse().unwrap(),
    };
    Stamped { sequence: Sequence(7), row: BarRecord { bar, revision: 0 } }
}

/// The bytes of version 1, as they stand in files. Nobody may change them: add a version.
#[test]
fn version_1_is_read_as_it_was_written() {
    let columns: Vec<u8> = [
        b"\x04TSLA\x02".as_slice(),       // of TSLA, two bars
        &[0xc0, 0xa6, 0xbe, 0xf9, 0x0c],  // the first at 1738000800 - zigzag 3476001600
        &[60],                            // a minute apart
        &[0x80, 0xad, 0xe2, 0x04],        // prices in cents, 10000000
        &[1, 1],                          // no other unit; of one feed
        b"\x03sip",                       //
        &[0, 1],                          // starts
        &[0x82, 0xf1, 0x04, 2],           // closes: 40001, then 1 more
        &[0x80, 0xf1, 0x04, 0],           // opens: 40000, then as the close before
        &[18, 18],                        // highs: 9 above the higher of both
        &[20, 20],                        // lows: 10 below the lower of both
        &[0xe8, 0x07, 0xe9, 0x07],        // volumes: 1000, 1001
        &[0, 0, 0, 0, 0, 0, 0, 0, 14, 0], // no vwap, no trades, the first feed, no revision, commit 7
    ]
    .concat();
    let bars = [bar(0), bar(1)];
    assert_eq!(decode(symbol(), Second::MIN, &sealed(1, &columns)).unwrap(), bars);
    assert_eq!(columns_of(symbol(), &bars), columns);
}

#[test]
fn what_is_no_block_of_the_symbol_says_so() {
    let bars = [bar(0), bar(1)];
    let columns = columns_of(symbol(), &bars);
    let said = |symbol: &str, block: &[u8]| {
        decode(symbol.parse().unwrap(), bars[0].row.bar.start, block).unwrap_err().to_string()
    };
    let newer = said(TSLA, &sealed(2, &columns));
    assert!(newer.contains("newer version") && newer.contains("TSLA that begins at 2025-01-27"), "{newer}");
    assert!(said("AAPL", &sealed(1, &columns)).contains("another symbol"));
    assert!(said(TSLA, b"").contains("too short"));
    assert!(said(TSLA, &sealed(1, &[columns, vec![0]].concat())).contains("behind its columns"));
    // What says to be larger than anything there is, is not unpacked.
    let mut bomb = sealed(1, b"");
    bomb[5..9].fill(0xff);
    let told = bomb.len() - CHECK;
    let check = crc32fast::hash(&bomb[..told]);
    bomb[told..].copy_from_slice(&check.to_le_bytes());
    assert!(said(TSLA, &bomb).contains("too long"));
}

#[test]
fn only_bars_of_one_symbol_in_order_become_a_block() {
    assert!(encode(&[]).is_err());
    assert!(encode(&[bar(1), bar(0)]).is_err());
    assert!(encode(&[bar(0), bar(0)]).is_err());
    let mut other = bar(1);
    other.row.bar.symbol = "AAPL".parse().unwrap();
    assert!(encode(&[bar(0), other]).is_err());
    assert!(encode(&[bar(0), bar(1)]).is_ok());
}
