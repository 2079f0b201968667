//! Where settings come from.

use super::error::ConfigError;
use std::fmt;
use std::path::{Path, PathBuf};
use toml::Table;

/// The file read when no `--config` is given and it exists.
const DEFAULT_FILE: &str = "qqq-tracker.toml";
/// What environment variables begin with; `__` separates levels.
pub const PREFIX: &str = "QQQ_TRACKER__";
/// Where settings come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// The environment, as it is: only names with the prefix are looked at.
    pub environment: Vec<(String, String)>,
    /// `--set key=value` and the flags that stand for one.
    pub flags: Vec<(String, String)>,
}

impl Sources {
    /// The configuration file that is read, if one is.
    pub fn file(&self) -> Option<&Path> {
        match &self.file {
            Some(path) => Some(path),
            None if Path::new(DEFAULT_FILE).exists() => Some(Path::new(DEFAULT_FILE)),
            None => None,
        }
    }

    /// The configuration file to write settings into: the one that is read, or the one that would be.
    pub fn file_to_write(&self) -> &Path {
        self.file().unwrap_or(Path::new(DEFAULT_FILE))
    }

    /// Where a key that can be used has its value from.
    pub fn origin(&self, key: &str) -> Origin {
        if self.flags.iter().any(|(flag, _)| flag == key) {
            return Origin::CommandLine;
        }
        let name = format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"));
        if self.environment.iter().any(|(known, _)| known.eq_ignore_ascii_case(&name)) {
            return Origin::Environment(name);
        }
        let has_key = |table: &Table| {
            let (path, last) = key.rsplit_once('.').unwrap_or(("", key));
            let mut levels = path.split('.').filter(|level| !level.is_empty());
            levels.try_fold(table, |table, level| table.get(level)?.as_table())?.get(last).map(|_| ())
        };
        match read_file(self) {
            Ok(Some((path, text))) if text.parse().is_ok_and(|table: Table| has_key(&table).is_some()) => {
                Origin::File(path)
            }
            _ => Origin::BuiltIn,
        }
    }

    /// All of them in a phrase: `qqq-tracker.toml, 2 settings of the environment`.
    pub fn describe(&self) -> String {
        let of_environment = self.environment.iter().filter(|(name, _)| name.starts_with(PREFIX)).count();
        let settings =
            |count: usize| if count == 1 { "1 setting".to_owned() } else { format!("{count} settings") };
        let mut parts = vec![match self.file() {
            Some(path) => path.display().to_string(),
            None => "no configuration file".to_owned(),
        }];
        if of_environment > 0 {
            parts.push(format!("{} of the environment", settings(of_environment)));
        }
        if !self.flags.is_empty() {
            parts.push(format!("{} of the command line", settings(self.flags.len())));
        }
        parts.join(", ")
    }
}

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    BuiltIn,
    /// A configuration file.
    File(PathBuf),
    /// The environment variable of this name.
    Environment(String),
    /// `--set`, or a flag that stands for one.
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built in"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "the environment ({name})"),
            Self::CommandLine => f.write_str("the command line"),
        }
    }
}

/// The configuration file and what it says, if one is read.
pub(super) fn read_file(sources: &Sources) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let Some(path) = sources.file() else { return Ok(None) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError(format!("cannot read the configuration {}: {error}", path.display())))?;
    Ok(Some((path.to_owned(), text)))
}
