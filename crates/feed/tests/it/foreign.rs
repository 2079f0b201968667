//! Files as other programs write them: each row of the table stands for a kind.

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use qqq_core::{Bar, FeedLabel};
use qqq_feed::FeedError;
use qqq_feed::bar_file::{self, BarWriter, Format, ReadOptions, Row};
use qqq_testkit::bars::ohlc;
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn label() -> FeedLabel {
    "test".parse().unwrap()
}

fn options() -> ReadOptions {
    label().into()
}

fn bar() -> Bar {
    ohlc("NVDA", "2024-07-03T13:30:00Z", ["121.66", "121.9", "121.5", "121.7"], 1000)
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

/// The rows of all sources of a file.
fn read(path: &Path, options: &ReadOptions) -> Result<Vec<Row>, FeedError> {
    let mut rows = Vec::new();
    for source in bar_file::sources(&[path.to_owned()]) {
        for row in source?.open(options)? {
            rows.push(row?);
        }
    }
    Ok(rows)
}

#[track_caller]
fn bars(content: impl AsRef<[u8]>, options: &ReadOptions) -> Vec<Bar> {
    let folder = Folder::new();
    read(&folder.write("bars.csv", content), options)
        .unwrap_or_else(|error| panic!("{error}"))
        .into_iter()
        .map(|row| match row {
            Row::Bar(bar) => bar,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(bytes).collect()
}

const HEADER: &str = "symbol,start,open,high,low,close,volume\n";
const ROW: &str = "NVDA,2024-07-03T13:30:00Z,121.66,121.90,121.5,121.7,1000\n";

#[test]
fn files_of_other_programs_are_read_as_what_they_mean() {
    let price = |text: &str| text.parse().unwrap();
    let with = |change: fn(&mut Bar)| {
        let mut bar = bar();
        change(&mut bar);
        bar
    };
    let same = bar();
    for (name, content, expected) in [
        (
            "quoted",
            "\"symbol\",\"start\",\"open\",\"high\",\"low\",\"close\",\"volume\"\n\
             \"NVDA\",\"2024-07-03T13:30:00Z\",\"121.66\",\"121.90\",\"121.5\",\"121.7\",\"1,000\"\n"
                .to_owned(),
            same,
        ),
        (
            "flat file",
            "ticker,volume,open,close,high,low,window_start,transactions\n\
             NVDA,1000,121.66,121.7,121.9,121.5,1720013400000000000,12\n"
                .to_owned(),
            with(|bar| bar.trades = Some(12)),
        ),
        (
            "data frame",
            "symbol,timestamp,open,high,low,close,volume,trade_count,vwap\n\
             NVDA,2024-07-03 13:30:00+00:00,121.66,121.90,121.5,121.7,1000.0,12.0,121.61\n"
                .to_owned(),
            Bar { trades: Some(12), vwap: Some(price("121.61")), ..same },
        ),
        ("offset", format!("{HEADER}NVDA,2024-07-03 09:30:00-04:00,121.66,121.90,121.5,121.7,1e3\n"), same),
        ("seconds", format!("{HEADER}NVDA,1720013400,121.66,121.90,121.5,121.7,1000\n"), same),
        ("milliseconds", format!("{HEADER}NVDA,1720013400000,121.66,121.90,121.5,121.7,1000\n"), same),
        ("microseconds", format!("{HEADER}NVDA,1720013400000000,121.66,121.90,121.5,121.7,1000\n"), same),
        (
            "semicolons and commas",
            "\u{feff}symbol;start;open;high;low;close;volume\r\n\
             NVDA;2024-07-03T13:30:00Z;121,66;121,90;121,5;121,7;1.000\r\n"
                .to_owned(),
            same,
        ),
        (
            "semicolons and points",
            "symbol;start;open;high;low;close;volume\n\
             NVDA;2024-07-03T13:30:00Z;121.66;121.90;121.5;121.7;1,000\n"
                .to_owned(),
            same,
        ),
        (
            "tabs",
            "symbol\tstart\topen\thigh\tlow\tclose\tvolume\n\
             NVDA\t2024-07-03T13:30:00Z\t121,66\t121,90\t121,5\t121,7\t1000\n"
                .to_owned(),
            same,
        ),
        (
            "sep",
            "sep=;\n\
             Symbol;Start;Open;High;Low;Close;Volume\n\
             NVDA;2024-07-03T13:30:00Z;121,66;121,90;121,5;121,7;1 000\n"
                .to_owned(),
            same,
        ),
        (
            "bars",
            "symbol|start|open|high|low|close|volume\n\
             NVDA|2024-07-03T13:30:00Z|121.66|121.90|121.5|121.7|1000\n"
                .to_owned(),
            same,
        ),
        (
            "no zero",
            format!("{HEADER}NVDA,2024-07-03T13:30:00Z,.66,.9,.5,.7,1K\n"),
            Bar { open: price("0.66"), high: price("0.9"), low: price("0.5"), close: price("0.7"), ..same },
        ),
        (
            "single precision",
            format!("{HEADER}NVDA,2024-07-03T13:30:00Z,121.66000366210938,121.90,121.5,121.7,1000\n"),
            Bar { open: price("121.660003662"), ..same },
        ),
        ("comma at the end", format!("{HEADER}{},\n", ROW.trim_end()), same),
        ("commas at every end", format!("{},\n{},\n", HEADER.trim_end(), ROW.trim_end()), same),
        ("comma behind the header", format!("{},\n{ROW}", HEADER.trim_end()), same),
        (
            "date and time",
            "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>\n\
             NVDA,1,20240703,133000Z,121.66,121.90,121.5,121.7,1000\n"
                .to_owned(),
            same,
        ),
        (
            "utc by name",
            "symbol,time_utc,open,high,low,close,volume\n\
             NVDA,2024-07-03 13:30:00,$121.66,$121.90,$121.5,$121.7,1000\n"
                .to_owned(),
            same,
        ),
        ("comments", format!("# of the third of July\n{HEADER}{ROW}"), same),
    ] {
        assert_eq!(bars(&content, &options()), [expected], "{name}");
        let (little, big) = (utf16(&content, u16::to_le_bytes), utf16(&content, u16::to_be_bytes));
        if !content.starts_with('\u{feff}') {
            assert_eq!(bars(little, &options()), [expected], "{name} in UTF-16, little end first");
            assert_eq!(bars(big, &options()), [expected], "{name} in UTF-16, big end first");
        }
    }
    let millions = format!("{HEADER}{}", ROW.replace("1000", "1.2M"));
    assert_eq!(bars(millions, &options())[0].volume.shares(), 1_200_000);
}

#[test]
fn what_a_file_does_not_say_can_be_told() {
    let content = "sym,bar,begin,o,h,l,last,shares\nNVDA,1,2024-07-03 09:30,121.66,121.90,121.5,121.7,1000\n";
    let told = ReadOptions {
        zone: Some("America/New_York".parse().unwrap()),
        columns: "start=begin,volume=SHARES".parse().unwrap(),
        ..options()
    };
    assert_eq!(bars(content, &told), [bar()]);
    assert!(error(content).contains("the columns start, volume"));
}

#[test]
fn rows_that_cannot_be_read_have_a_kind_in_common() {
    let content = format!(
        "{HEADER}\
         NVDA,2024-07-03 09:30,1,1,1,1,1\n\
         NVDA,2024-07-03 09:31,1,1,1,1,1\n\
         NVDA,2024-07-03T13:30:00Z,121,66,121,90,121,5,121,7,1\n\
         {HEADER}"
    );
    let folder = Folder::new();
    let kinds: Vec<String> = read(&folder.write("bars.csv", content), &options())
        .unwrap()
        .into_iter()
        .map(|row| match row {
            Row::Rejected(row) => row.kind,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds[0], kinds[1]);
    assert!(kinds[0].contains("column start: has no zone") && kinds[0].contains("--zone"), "{kinds:?}");
    assert!(kinds[2].contains("not as many fields") && kinds[3].contains("header"), "{kinds:?}");
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zstd(content: &[u8]) -> Vec<u8> {
    zstd::encode_all(content, 3).unwrap()
}

/// A zip of members: their names, how they are compressed (0, 8 or 93), and what they hold.
fn zip(members: &[(&str, u16, &[u8])]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, method, content) in members {
        let data = match method {
            8 => {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(content).unwrap();
                encoder.finish().unwrap()
            }
            93 => zstd(content),
            _ => content.to_vec(),
        };
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(content);
        let mut common = Vec::new();
        for word in [20_u16, 0, *method, 0, 0] {
            common.extend(word.to_le_bytes());
        }
        for number in [hasher.finalize(), data.len() as u32, content.len() as u32] {
            common.extend(number.to_le_bytes());
        }
        common.extend((name.len() as u16).to_le_bytes());
        common.extend(0_u16.to_le_bytes());
        let offset = file.len() as u32;
        file.extend(b"PK\x03\x04");
        file.extend(&common);
        file.extend(name.as_bytes());
        file.extend(&data);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (begin, size) = (file.len() as u32, directory.len() as u32);
    file.extend(directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend((members.len() as u16).to_le_bytes());
    file.extend((members.len() as u16).to_le_bytes());
    file.extend(size.to_le_bytes());
    file.extend(begin.to_le_bytes());
    file.extend([0, 0]);
    file
}

fn parquet(bars: &[Bar]) -> Vec<u8> {
    let mut writer = BarWriter::new(Format::Parquet, Vec::new()).unwrap();
    writer.write(bars).unwrap();
    writer.finish().unwrap()
}

#[test]
fn what_is_packed_is_unpacked_whatever_its_name() {
    let text = format!("{HEADER}{ROW}");
    let text = text.as_bytes();
    let two_members = [gzip(&text[..50]), gzip(&text[50..])].concat();
    let two_frames = [zstd(&text[..50]), zstd(&text[50..])].concat();
    for (name, content) in [
        ("gzip", gzip(text)),
        ("gzip of two members", two_members),
        ("zstd", zstd(text)),
        ("zstd of two frames", two_frames),
        ("zstd in gzip", gzip(&zstd(text))),
        ("UTF-16 in gzip", gzip(&utf16(&format!("{HEADER}{ROW}"), u16::to_le_bytes))),
        ("Parquet in gzip", gzip(&parquet(&[bar()]))),
        ("zip, stored", zip(&[("bars.csv", 0, text)])),
        ("zip, deflated", zip(&[("whatever", 8, text)])),
        ("zip, zstd", zip(&[("bars.csv", 93, text)])),
        ("gzip in zip", zip(&[("bars.csv.gz", 0, &gzip(text))])),
        ("Parquet in zip", zip(&[("bars.parquet", 8, &parquet(&[bar()]))])),
        (
            "zip with folders",
            zip(&[
                ("a/", 0, b""),
                ("a/bars.csv", 8, text),
                ("__MACOSX/a/._bars.csv", 8, b"x"),
                ("a/.hidden.csv", 0, b"x"),
                ("a/README", 0, b"x"),
            ]),
        ),
    ] {
        assert_eq!(bars(content, &options()), [bar()], "{name}");
    }
    let other = ROW.replace("NVDA", "AAPL");
    let many = zip(&[
        ("b.csv", 8, format!("{HEADER}{other}").as_bytes()),
        ("a.tsv", 8, text),
        ("c.csv", 8, HEADER.as_bytes()),
        ("notes.txt", 8, b"x"),
    ]);
    let symbols: Vec<String> = bars(&many, &options()).iter().map(|bar| bar.symbol.to_string()).collect();
    assert_eq!(symbols, ["NVDA", "AAPL"]);
}

/// What comes of a file: its rows until an error, and the error.
fn error(content: impl AsRef<[u8]>) -> String {
    let folder = Folder::new();
    let path = folder.write("bars.csv", content);
    read(&path, &options()).expect_err("an error").message
}

#[test]
fn a_file_of_a_zip_is_named_and_does_not_stop_the_others() {
    let text = format!("{HEADER}{ROW}");
    let content = zip(&[("a.csv", 8, b"nonsense\n1\n"), ("b.csv", 8, text.as_bytes())]);
    let folder = Folder::new();
    let paths = [folder.write("bars.zip", content)];
    let mut sources = bar_file::sources(&paths);
    let (broken, good) = (sources.next().unwrap().unwrap(), sources.next().unwrap().unwrap());
    assert!(sources.next().is_none());
    assert!(broken.to_string().ends_with("bars.zip:a.csv"), "{broken}");
    assert!(
        broken.open(&options()).err().unwrap().message.contains("bars.zip:a.csv: the header does not name")
    );
    assert_eq!(good.open(&options()).unwrap().map(Result::unwrap).collect::<Vec<_>>(), [Row::Bar(bar())]);
}

#[test]
fn damage_is_never_taken_for_an_end() {
    let rows: String =
        (0..20_000_u64).map(|row| ROW.replace("1000", &(row * row * 7919 % 999_983).to_string())).collect();
    let text = format!("{HEADER}{rows}");
    let packed = zstd(text.as_bytes());
    assert!(error(&packed[..packed.len() / 2]).contains("cannot be read on after line"));
    let whole = zip(&[("bars.csv", 8, text.as_bytes())]);
    assert!(error(&whole[..whole.len() / 2]).contains("cannot be read as zip"));
    // A checksum that is not that of the content.
    let mut damaged = zip(&[("bars.csv", 0, text.as_bytes())]);
    let at = 30 + "bars.csv".len() + text.len() - 10;
    damaged[at] ^= 1;
    assert!(error(&damaged).contains("its checksum is not what the zip says"), "{}", error(&damaged));
}

#[test]
fn what_unpacks_to_more_than_bars_could_is_an_error() {
    // 80 MB of one row in 10 KB.
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    let nothing = vec![b'1'; 1 << 20];
    for _ in 0..80 {
        encoder.write_all(&nothing).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    let bomb = zip(&[("bars.csv", 0, &[zstd(HEADER.as_bytes()), bomb].concat())]);
    assert!(bomb.len() < 100_000, "{}", bomb.len());
    let said = error(&bomb);
    assert!(said.contains("unpacks to more than 200 times its size"), "{said}");
}

#[test]
fn what_is_no_file_of_bars_is_called_by_its_name() {
    let tar = [&[b'x'; 257][..], b"ustar", &[0; 250]].concat();
    for (content, said) in [
        (b"BZh91AY&SY".to_vec(), "bzip2"),
        (b"ORC\n\0\0".to_vec(), "ORC"),
        (b"ARROW1\0\0".to_vec(), "Feather"),
        (gzip(&tar), "tar archive"),
        (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>".to_vec(), "a web page"),
        (b"{\"results\":[{\"t\":1}]}".to_vec(), "JSON"),
        (b"s\0y\0m\0b\0o\0l\0,\0".to_vec(), "UTF-16 without its mark"),
        (zip(&[("[Content_Types].xml", 8, b"<x/>"), ("xl/workbook.xml", 8, b"<x/>")]), "a spreadsheet"),
        (zip(&[("a.txt", 8, b"x"), ("b.txt", 8, b"x")]), "the zip holds no *.csv"),
        (zip(&[("inner.zip", 0, &zip(&[("bars.csv", 8, HEADER.as_bytes())]))]), "a zip in an archive"),
        (b"a,b,c\n1,2,3\n".to_vec(), "does not name the columns symbol, start"),
        (b"symbol;start;open;high;low;close\n".to_vec(), "does not name the column volume"),
        (b"symbol start open high low close volume\n".to_vec(), "separates its columns by none of comma"),
    ] {
        let message = error(&content);
        assert!(message.contains(said), "{said}: {message}");
    }
}

#[test]
fn no_damage_to_a_zip_panics() {
    let text = format!("{HEADER}{ROW}");
    let whole = zip(&[("a.csv", 8, text.as_bytes()), ("b.csv.gz", 0, &gzip(text.as_bytes()))]);
    let folder = Folder::new();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        let _ = read(&folder.write("bars.zip", &damaged), &options());
        let _ = read(&folder.write("bars.zip", &whole[..at]), &options());
    }
}
