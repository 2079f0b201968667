//! What a file is that is no file of bars: the first bytes tell.

use std::borrow::Cow;

/// What the beginning of a file says about why no header was found in it, and what would help.
pub(super) fn what(head: &[u8]) -> Option<Cow<'static, str>> {
    let begins = |magic: &[u8]| head.starts_with(magic);
    let convert = "write it as CSV or Parquet";
    let binary = |what: &str, remedy: &str| Some(format!("it is {what}: {remedy}").into());
    let compressed = |what: &str| binary(what, "only gzip, Zstandard and zip are unpacked");
    match () {
        () if begins(b"BZh") => return compressed("compressed with bzip2"),
        () if begins(b"\xfd7zXZ\0") => return compressed("compressed with xz"),
        () if begins(b"7z\xbc\xaf\x27\x1c") => return compressed("a 7z archive"),
        () if begins(b"Rar!") => return compressed("a RAR archive"),
        () if begins(b"\x04\x22\x4d\x18") => return compressed("compressed with LZ4"),
        () if begins(b"\x1f\x9d") => return compressed("compressed with compress"),
        () if head.get(257..262) == Some(b"ustar") => return binary("a tar archive", "unpack it"),
        () if begins(b"PK\x03\x04") => return binary("a zip in an archive", "unpack it"),
        () if begins(b"ORC") => return binary("an ORC file", convert),
        () if begins(b"ARROW1") || begins(b"FEA1") => return binary("a Feather file (Arrow IPC)", convert),
        () if begins(b"Obj\x01") => return binary("an Avro file", convert),
        () if begins(b"\x89HDF") => return binary("an HDF5 file", convert),
        () if begins(b"\xd0\xcf\x11\xe0") => return binary("a spreadsheet (XLS)", "save it as CSV"),
        () if begins(b"SQLite format 3") => return binary("an SQLite database", convert),
        () if begins(b"%PDF") => return binary("a PDF", convert),
        () if begins(b"\x80\x04") || begins(b"\x80\x05") => return binary("a pickle of Python", convert),
        () => {}
    }
    let nulls = head.iter().filter(|&&byte| byte == 0).count();
    if nulls > 0 {
        return Some(if nulls * 5 > head.len() {
            "it looks like UTF-16 without its mark: save it as UTF-8".into()
        } else {
            "it is no text".into()
        });
    }
    let text = String::from_utf8_lossy(head);
    let text = text.trim_start().to_lowercase();
    let begins = |word: &str| text.starts_with(word);
    match () {
        () if begins("<!doctype html") || begins("<html") => {
            binary("a web page", "the download may have wanted a login or a key")
        }
        () if begins("<?xml") => binary("XML", convert),
        () if begins("{") || begins("[") => binary("JSON", convert),
        () if begins("version https://git-lfs") => binary("a pointer of Git LFS", "fetch the file itself"),
        () => None,
    }
}

/// What a zip is by the names of its members, where these are no files of bars.
pub(super) fn zip<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<&'static str> {
    names.find_map(|name| match name {
        "[Content_Types].xml" => {
            Some("it is a spreadsheet or another document of Office (XLSX): save it as CSV")
        }
        "mimetype" => Some("it is a spreadsheet or another open document (ODS): save it as CSV"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_is_and_what_helps_is_said() {
        for (head, said) in [
            (&b"BZh91AY&SY"[..], "bzip2"),
            (b"\xfd7zXZ\0\0\x04", "xz"),
            (b"ORC\x0a", "ORC"),
            (b"ARROW1\0\0", "Feather"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1", "XLS"),
            (b"s\0y\0m\0b\0o\0l\0", "UTF-16"),
            (b"\x01\x02\x00abcdefghijklmnopq", "no text"),
            (b" <!DOCTYPE html><html>", "web page"),
            (b"{\"t\":[1]}", "JSON"),
            (b"<?xml version=\"1.0\"?>", "XML"),
        ] {
            let what = what(head).unwrap_or_else(|| panic!("{head:?}"));
            assert!(what.contains(said), "{what}");
        }
        assert_eq!(what(b"symbol,start\n"), None);
        assert_eq!(what(b""), None);
        assert!(zip(["a.xml", "[Content_Types].xml"].into_iter()).is_some());
        assert_eq!(zip(["a.csv"].into_iter()), None);
    }
}
