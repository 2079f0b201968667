//! Puts a list of symbols into a configuration file, and leaves everything else in it as it is.

use anyhow::{Context as _, bail};
use qqq_core::Symbol;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use toml_edit::{Array, DocumentMut, Item, Table, Value};

/// The lines for a configuration file that has no watchlist yet.
pub(super) fn lines(symbols: &[Symbol]) -> String {
    format!("[watchlist]\nsymbols = {}\n", list(symbols))
}

/// Puts the list into a file, which is there whole at every moment: the old one, then the new one. Makes the
/// file where there is none.
pub(super) fn write(path: &Path, symbols: &[Symbol]) -> anyhow::Result<()> {
    // A link stays one.
    let path = &match path.canonicalize() {
        Ok(path) => path,
        Err(error) if error.kind() == ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let cannot = || format!("cannot write {}", path.display());
    let old = match std::fs::read_to_string(path) {
        Ok(old) => old,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let new = with_symbols(&old, symbols).with_context(cannot)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut draft = tempfile::Builder::new();
    draft.prefix(".qqq-tracker.").suffix(".partial");
    // As readable as it was; a new one as the umask says.
    match std::fs::metadata(path) {
        Ok(found) => draft.permissions(found.permissions()),
        #[cfg(unix)]
        Err(_) => draft.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)),
        #[cfg(not(unix))]
        Err(_) => &mut draft,
    };
    let mut draft = draft.tempfile_in(folder).with_context(cannot)?;
    draft.write_all(new.as_bytes()).with_context(cannot)?;
    draft.as_file().sync_all().with_context(cannot)?;
    draft.persist(path).map_err(|error| error.error).with_context(cannot)?;
    Ok(())
}

/// The text of a configuration with this list instead of the one in it. Comments, order and spelling of the
/// rest stay as they are.
fn with_symbols(text: &str, symbols: &[Symbol]) -> anyhow::Result<String> {
    let mut document: DocumentMut = text.parse()?;
    let new = list(symbols);
    let section = document.entry("watchlist").or_insert_with(|| Item::Table(Table::new()));
    let Some(section) = section.as_table_like_mut() else { bail!("watchlist is no table in it") };
    match section.get_mut("symbols") {
        // With the blanks and comments around the old list.
        Some(Item::Value(old)) => {
            let decor = old.decor().clone();
            *old = Value::Array(new);
            *old.decor_mut() = decor;
        }
        _ => {
            section.insert("symbols", Item::Value(Value::Array(new)));
        }
    }
    Ok(document.to_string())
}

fn list(symbols: &[Symbol]) -> Array {
    symbols.iter().map(|symbol| symbol.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols() -> Vec<Symbol> {
        ["NVDA", "BRK.B"].map(|symbol| symbol.parse().unwrap()).to_vec()
    }

    #[test]
    fn everything_but_the_list_stays_as_it_is() {
        for (old, new) in [
            ("", "[watchlist]\nsymbols = [\"NVDA\", \"BRK.B\"]\n"),
            (
                "# mine\n[watchlist]   # these\n\
                 symbols = [ \"A\",\n  \"B\" ]   # two\n\
                 aliases = { FB = 'META' } # old\n\n[feed]\nprovider = 'yahoo'\n",
                "# mine\n[watchlist]   # these\n\
                 symbols = [\"NVDA\", \"BRK.B\"]   # two\n\
                 aliases = { FB = 'META' } # old\n\n[feed]\nprovider = 'yahoo'\n",
            ),
            (
                "watchlist.symbols = ['A'] # one\nfeed.provider = 'sim'\n",
                "watchlist.symbols = [\"NVDA\", \"BRK.B\"] # one\nfeed.provider = 'sim'\n",
            ),
            ("watchlist = { symbols = ['A'] }\n", "watchlist = { symbols = [\"NVDA\", \"BRK.B\"] }\n"),
            (
                "[watchlist]\naliases = {}\n[log]\n",
                "[watchlist]\naliases = {}\nsymbols = [\"NVDA\", \"BRK.B\"]\n[log]\n",
            ),
            (
                "[feed]\nprovider = 'sim' # for now\n",
                "[feed]\nprovider = 'sim' # for now\n\n[watchlist]\nsymbols = [\"NVDA\", \"BRK.B\"]\n",
            ),
        ] {
            assert_eq!(with_symbols(old, &symbols()).unwrap(), new);
        }
        assert_eq!(with_symbols("", &symbols()).unwrap(), lines(&symbols()));
    }

    #[test]
    fn a_file_that_is_no_configuration_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.toml");
        for old in ["[watchlist", "watchlist = 7\n"] {
            std::fs::write(&path, old).unwrap();
            assert!(write(&path, &symbols()).is_err());
            assert_eq!(std::fs::read_to_string(&path).unwrap(), old);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "drafts are left behind");
    }

    #[cfg(unix)]
    #[test]
    fn links_and_permissions_outlive_a_change() {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("real.toml"), folder.path().join("t.toml"));
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        symlink(&path, &link).unwrap();
        write(&link, &symbols()).unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), lines(&symbols()));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(&path).unwrap().nlink(), 1);
    }
}
