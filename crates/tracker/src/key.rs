//! The secret key that mail tokens are derived with: configured, or made once and kept beside the store.

use crate::config::{Config, ConfigError};
use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use qqq_core::subscription::token::TokenKey;
use qqq_store::Store;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

const KEY: &str = "secret.key";

/// The note a store keeps of the key its token hashes belong to.
const NOTE: &str = "token-key";

/// Finds or makes the key, and holds it against the one the store's hashes were made with.
pub async fn token_key(config: &Config, store: &dyn Store) -> anyhow::Result<TokenKey> {
    let configured = config.server.secret_key.expose();
    let (key, place) = if configured.is_empty() {
        let path = path_of_key(&config.store.url);
        (kept(&path)?, path.display().to_string())
    } else {
        (
            decode(configured).map_err(|reason| ConfigError::value("server.secret_key", reason))?,
            "server.secret_key".to_owned(),
        )
    };
    let fingerprint = key.fingerprint();
    match store.note(NOTE).await? {
        None => store.set_note(NOTE, &fingerprint).await?,
        Some(known) if known == fingerprint => {}
        Some(_) => bail!(
            "{place} is not the key this store's subscriptions were made with: \
             links in their mails would not work. Bring the old key back."
        ),
    }
    Ok(key)
}

/// Where the key of a store lies: where the store's file does, whatever links lead there, unless one lies
/// beside the name.
fn path_of_key(url: &str) -> PathBuf {
    let named = path_beside_store(url);
    let real = Path::new(database(url)).canonicalize().map(|file| file.with_file_name(KEY));
    real.ok().filter(|_| !named.exists()).unwrap_or(named)
}

/// Where the key lies that belongs to the store's name.
pub(crate) fn path_beside_store(url: &str) -> PathBuf {
    Path::new(database(url)).with_file_name(KEY)
}

fn database(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, path)| path)
}

/// Reads the key file, or makes it: readable by its owner alone, never overwritten.
fn kept(path: &Path) -> anyhow::Result<TokenKey> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).context("the system gives no random bytes")?;
    // Written whole under another name, then linked into place: of two processes that start at once, the
    // slower finds the other's key, and nobody ever sees half of one.
    let draft = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    if !path.exists() {
        let make = || -> std::io::Result<()> {
            let _ = std::fs::remove_file(&draft);
            let written = options.open(&draft).and_then(|mut file| {
                file.write_all(STANDARD.encode(bytes).as_bytes())?;
                file.sync_all()
            });
            let linked = written.and_then(|()| std::fs::hard_link(&draft, path));
            // Also where the disk is full: half a key is no use to anybody.
            let _ = std::fs::remove_file(&draft);
            match linked {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
                other => other,
            }
        };
        make().with_context(|| format!("cannot make the secret key {}", path.display()))?;
    }
    close_to_others(path);
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the secret key {}", path.display()))?;
    decode(text.trim()).map_err(|reason| anyhow::anyhow!("{}: {reason}", path.display()))
}

/// A key that others could read is closed to them, as far as this user may.
fn close_to_others(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let Ok(found) = path.metadata() else { return };
    let mode = found.permissions().mode();
    if mode & 0o077 != 0
        && std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & 0o700)).is_err()
    {
        tracing::warn!(file = %path.display(), "others may read the secret key: chmod 600 it");
    }
}

fn decode(text: &str) -> Result<TokenKey, &'static str> {
    let bytes = STANDARD.decode(text).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    bytes.map(TokenKey::new).ok_or("is not a key: it must be 32 bytes in base64 (openssl rand -base64 32)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_only_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.key");
        let first = kept(&path).unwrap();
        assert_eq!(kept(&path).unwrap().fingerprint(), first.fingerprint());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a draft was left behind");
    }

    #[test]
    fn a_broken_key_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.key");
        std::fs::write(&path, "short").unwrap();
        assert!(kept(&path).unwrap_err().to_string().contains("32 bytes in base64"));
    }

    #[test]
    fn the_key_lies_beside_the_store() {
        assert_eq!(path_beside_store("sqlite://data/qqq-tracker.db"), Path::new("data/secret.key"));
        assert_eq!(path_beside_store("sqlite:///var/lib/q/q.db"), Path::new("/var/lib/q/secret.key"));
    }
}
