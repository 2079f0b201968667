//! File, then environment, then flags; every key known, every error naming its key.

use super::error::ConfigError;
use super::settings::Config;
use super::sources::{PREFIX, Sources, read_file};
use qqq_core::Cadence;
use qqq_core::alert::detector::Watch;
use toml::{Table, Value};

/// Settings that are also read from the file named by the same key with `_file` (`_FILE`) behind it.
const SECRETS: [&str; 6] = [
    "feed.alpaca.key_id",
    "feed.alpaca.secret_key",
    "feed.finnhub.token",
    "feed.iex.token",
    "email.smtp_url",
    "server.secret_key",
];
/// A table whose keys are free.
const FREE: &str = "watchlist.aliases";

/// Brings the sources together. Later ones win: file, environment, flags.
pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
    let known = Table::try_from(Config::default())
        .map_err(|error| ConfigError(format!("the defaults cannot be written down: {error}")))?;
    let mut table = known.clone();
    // What it is where nobody says it hangs on others.
    if let Some(Value::Table(rules)) = table.get_mut("rules") {
        rules.remove("min_bars");
    }
    if let Some((path, text)) = read_file(sources)? {
        let place = path.display().to_string();
        let file: Table = text.parse().map_err(|error: toml::de::Error| {
            // Without the line itself, which may hold a secret.
            let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
            ConfigError(format!("{place}, line {line}: {}", error.message()))
        })?;
        lay_over(&mut table, file, &known, "", &place)?;
    }
    for (name, value) in &sources.environment {
        if let Some(key) = name.strip_prefix(PREFIX) {
            let key = key.to_ascii_lowercase().replace("__", ".");
            set(&mut table, &known, &key, value, &format!("the environment ({name})"))?;
        }
    }
    for (key, value) in &sources.flags {
        set(&mut table, &known, key, value, "the command line")?;
    }
    spell_out_rules(&mut table);
    let says_min_bars = table.get("rules").and_then(|rules| rules.get("min_bars")).is_some();
    let mut config: Config = serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
        let key = error.path().to_string();
        if SECRETS.contains(&key.as_str()) {
            return ConfigError::value(&key, "must be text, in quotes");
        }
        ConfigError::value(&key, error.into_inner().message())
    })?;
    if !says_min_bars {
        config.rules.min_bars = config.rules.half_of_window(config.market.interval.0);
    }
    config.check()?;
    Ok(config)
}

/// Puts what `rules.also` leaves out into its rules: some of it follows from the interval. What cannot be
/// read is left for whoever reads all settings.
fn spell_out_rules(table: &mut Table) {
    let interval = table.get("market").and_then(|market| market.get("interval")).and_then(Value::as_str);
    let Some(cadence) = interval.and_then(|text| text.parse::<Cadence>().ok()) else { return };
    let also = table.get_mut("rules").and_then(|rules| rules.get_mut("also")).and_then(Value::as_array_mut);
    for rule in also.into_iter().flatten() {
        if let Some(Ok(watch)) = rule.as_str().map(|text| Watch::read(text, cadence)) {
            *rule = Value::String(watch.to_string());
        }
    }
}

/// Lays the tables of a file over the settings so far.
fn lay_over(table: &mut Table, over: Table, known: &Table, at: &str, place: &str) -> Result<(), ConfigError> {
    for (name, value) in over {
        let key = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
        if let (Some(secret), Value::String(path)) = (secret_of(&key), &value) {
            let text = read_secret(&key, path)?;
            let base = name[..name.len() - "_file".len()].to_owned();
            debug_assert!(secret.ends_with(&base));
            table.insert(base, Value::String(text));
            continue;
        }
        match (known.get(&name), value) {
            (None, _) => return Err(unknown(&key, place)),
            (Some(Value::Table(known)), Value::Table(over)) if key != FREE => {
                if let Some(Value::Table(below)) = table.get_mut(&name) {
                    lay_over(below, over, known, &key, place)?;
                }
            }
            (Some(Value::Table(_)), value) if key != FREE => {
                return Err(ConfigError::value(
                    &key,
                    format!("`{value}` in {place} must be a table: [{key}]"),
                ));
            }
            (Some(_), value) => {
                table.insert(name, value);
            }
        }
    }
    Ok(())
}

/// Sets one key from text, read as the kind of value its default is.
fn set(table: &mut Table, known: &Table, key: &str, text: &str, place: &str) -> Result<(), ConfigError> {
    if secret_of(key).is_some() {
        let secret = read_secret(key, text)?;
        return set(table, known, &key[..key.len() - "_file".len()], &secret, place);
    }
    let mut levels: Vec<&str> = key.split('.').collect();
    let last = levels.pop().unwrap_or_default();
    let (mut table, mut known) = (table, known);
    for level in levels {
        match (table.get_mut(level), known.get(level)) {
            (Some(Value::Table(below)), Some(Value::Table(known_below))) => {
                (table, known) = (below, known_below)
            }
            _ => return Err(unknown(key, place)),
        }
    }
    let value = match known.get(last) {
        None => return Err(unknown(key, place)),
        Some(Value::Table(_)) if key != FREE => {
            return Err(ConfigError::value(key, format!("is a section: set one of its keys in {place}")));
        }
        Some(default) => read_as(default, key, text, place)?,
    };
    table.insert(last.to_owned(), value);
    Ok(())
}

fn read_as(default: &Value, key: &str, text: &str, place: &str) -> Result<Value, ConfigError> {
    let wrong = |allowed: &str| ConfigError::value(key, format!("`{text}` in {place} must be {allowed}"));
    Ok(match default {
        Value::String(_) => Value::String(text.to_owned()),
        Value::Integer(_) => Value::Integer(text.parse().map_err(|_| wrong("a whole number"))?),
        Value::Float(_) => Value::Float(text.parse().map_err(|_| wrong("a number"))?),
        Value::Boolean(_) => Value::Boolean(text.parse().map_err(|_| wrong("true or false"))?),
        // `AAPL,MSFT`, or a TOML list.
        Value::Array(_) if !text.trim_start().starts_with('[') => Value::Array(
            text.split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| Value::String(item.to_owned()))
                .collect(),
        ),
        Value::Array(_) | Value::Table(_) | Value::Datetime(_) => {
            let document: Table = format!("value = {text}").parse().map_err(|_| wrong("a TOML value"))?;
            document.get("value").cloned().ok_or_else(|| wrong("a TOML value"))?
        }
    })
}

/// The secret that a key with `_file` behind it stands for.
fn secret_of(key: &str) -> Option<&'static str> {
    let base = key.strip_suffix("_file")?;
    SECRETS.into_iter().find(|secret| *secret == base)
}

fn read_secret(key: &str, path: &str) -> Result<String, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::value(key, format!("cannot read {path}: {error}")))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// The error for a key nobody knows, with the nearest one somebody does.
fn unknown(key: &str, place: &str) -> ConfigError {
    let nearest = known_keys()
        .into_iter()
        .map(|known| (strsim::jaro_winkler(key, &known), known))
        .max_by(|one, two| one.0.total_cmp(&two.0))
        .filter(|(likeness, _)| *likeness > 0.7);
    match nearest {
        Some((_, known)) => ConfigError(format!("unknown key `{key}` in {place}; did you mean `{known}`?")),
        None => ConfigError(format!("unknown key `{key}` in {place}")),
    }
}

fn known_keys() -> Vec<String> {
    fn walk(table: &Table, at: &str, keys: &mut Vec<String>) {
        for (name, value) in table {
            let key = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
            if let Value::Table(below) = value {
                walk(below, &key, keys);
            }
            keys.push(key);
        }
    }
    let mut keys: Vec<String> = SECRETS.iter().map(|secret| format!("{secret}_file")).collect();
    if let Ok(defaults) = Table::try_from(Config::default()) {
        walk(&defaults, "", &mut keys);
    }
    keys.retain(|key| !key.starts_with("watchlist.aliases."));
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Origin, ProviderName};
    use qqq_core::Period;

    fn file(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.toml");
        std::fs::write(&path, text).unwrap();
        load(&Sources { file: Some(path), ..Sources::default() })
    }

    fn environment(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let environment =
            pairs.iter().map(|(name, value)| (format!("{PREFIX}{name}"), (*value).to_owned())).collect();
        load(&Sources { environment, ..Sources::default() })
    }

    fn says(result: Result<Config, ConfigError>, parts: &[&str]) {
        let error = result.unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "`{error}` does not say `{part}`");
        }
    }

    #[test]
    fn nothing_set_means_the_defaults() {
        assert_eq!(load(&Sources::default()), Ok(Config::default()));
        assert_eq!(file(""), Ok(Config::default()));
    }

    #[test]
    fn the_contracts_example_is_the_default() {
        let text = include_str!("../../../../qqq-tracker.example.toml");
        assert_eq!(file(text), Ok(Config::default()));
        for key in known_keys() {
            let last = key.rsplit('.').next().unwrap();
            let written = text.contains(&format!("{last} = ")) || text.contains(&format!("[{key}]"));
            assert!(written || key.ends_with("_file"), "the example does not mention {key}");
        }
    }

    #[test]
    fn former_names_are_written_alone_or_with_their_period() {
        let until = |text: &str, former: &str| {
            let watchlist = file(text).unwrap().watchlist().unwrap();
            let current = watchlist.meant(former.parse().unwrap());
            let named = watchlist.former_symbols(current).find(|one| one.former.as_str() == former);
            (current.to_string(), named.unwrap().until.map(|day| day.to_string()))
        };
        for (written, expected) in [
            ("[watchlist]\naliases = { FB = \"META\" }", Some("2022-06-09")),
            ("[watchlist]\naliases = {}", Some("2022-06-09")),
            (
                "[watchlist]\naliases = { fb = { symbol = \"meta\", until = \"2022-06-10\" } }",
                Some("2022-06-10"),
            ),
            ("[watchlist.aliases.FB]\nsymbol = \"META\"\nuntil = \"2022-06-10\"", Some("2022-06-10")),
        ] {
            assert_eq!(until(written, "FB"), ("META".to_owned(), expected.map(str::to_owned)), "{written}");
        }
        assert_eq!(until("[watchlist]\naliases = { TWTR = \"X\" }", "TWTR"), ("X".to_owned(), None));
        let both = file("[watchlist]\nsymbols = [\"META\", \"FB\"]").unwrap();
        assert_eq!(both.watchlist().unwrap().symbols().len(), 2);

        let alias = |written: &str| file(&format!("[watchlist]\naliases = {{ FB = {written} }}"));
        says(alias("{ symbol = \"META\" }"), &["watchlist.aliases.FB", "until"]);
        says(alias("{ symbol = \"META\", until = \"soon\" }"), &["watchlist.aliases.FB.until", "soon"]);
        says(alias("{ symbol = \"META\", til = \"2022-06-09\" }"), &["watchlist.aliases.FB", "til"]);
        says(
            alias("{ symbol = \"M E T A\", until = \"2022-06-09\" }"),
            &["watchlist.aliases.FB.symbol", "M E T A"],
        );
        says(alias("7"), &["watchlist.aliases.FB", "{ symbol = \"META\", until = \"2022-06-09\" }"]);
        says(alias("\"AAPL\""), &["watchlist", "META", "AAPL"]);
        says(
            file("[watchlist]\nsymbols = [\"X\", \"TWTR\"]\naliases = { TWTR = \"X\" }"),
            &["watchlist", "TWTR = { symbol = \"X\", until = "],
        );
    }

    #[test]
    fn later_sources_win() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.toml");
        std::fs::write(&path, "[rules]\nratio = 2.5\nmin_bars = 10\ncooldown = \"5m\"\n").unwrap();
        let config = load(&Sources {
            file: Some(path),
            environment: vec![
                (format!("{PREFIX}RULES__MIN_BARS"), "11".to_owned()),
                (format!("{PREFIX}RULES__COOLDOWN"), "6m".to_owned()),
                ("PATH".to_owned(), "ignored".to_owned()),
            ],
            flags: vec![("rules.cooldown".to_owned(), "7m".to_owned())],
        })
        .unwrap();
        assert_eq!(config.rules.ratio, "2.5".parse().unwrap());
        assert_eq!(config.rules.min_bars, 11);
        assert_eq!(config.rules.cooldown, Period::seconds(420));
    }

    #[test]
    fn the_environment_speaks_every_kind_of_value() {
        let config = environment(&[
            ("WATCHLIST__SYMBOLS", "aapl, fb"),
            ("WATCHLIST__ALIASES", "{ TWTR = \"X\" }"),
            ("MARKET__EXTENDED_HOURS", "true"),
            ("MARKET__EXTRA_CLOSURES", "[\"2025-01-09\"]"),
            ("MARKET__EXTRA_EARLY_CLOSES", "2025-07-02, 2025-07-07 14:30"),
            ("FEED__PROVIDER", "yahoo"),
            ("FEED__FALLBACK", "finnhub, iex"),
            ("RULES__RATIO", "4"),
            ("SERVER__LISTEN", "0.0.0.0:80"),
        ])
        .unwrap();
        assert_eq!(config.watchlist().unwrap().symbols().len(), 2);
        assert!(config.market.extended_hours);
        let close = config.calendar().unwrap().session_on("2025-07-07".parse().unwrap()).unwrap().close;
        assert_eq!(close.to_string(), "2025-07-07T18:30:00Z");
        assert_eq!(config.feed.provider, ProviderName::Yahoo);
        assert_eq!(config.feed.fallback, [ProviderName::Finnhub, ProviderName::Iex]);
        assert_eq!(config.server.listen.port(), 80);
    }

    #[test]
    fn an_interval_below_a_minute_wants_a_feed_of_trades() {
        let at_a_second = |settings: &[(&str, &str)]| {
            let flags = [("market.interval", "1s")].iter().chain(settings);
            let flags = flags.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            load(&Sources { flags, ..Sources::default() }).map(|_| ()).map_err(|error| error.to_string())
        };
        let alpaca = ("feed.provider", "alpaca");
        for settings in [
            &[("feed.provider", "sim")][..],
            &[("feed.provider", "finnhub")],
            &[alpaca],
            &[alpaca, ("feed.alpaca.feed", "sip"), ("feed.fallback", "finnhub")],
        ] {
            assert_eq!(at_a_second(settings), Ok(()), "{settings:?}");
        }
        for (settings, why) in [
            (&[("feed.provider", "yahoo")][..], "`yahoo` has no bars shorter than a minute"),
            (&[alpaca, ("feed.fallback", "yahoo")], "`yahoo` has no bars shorter than a minute"),
            (&[alpaca, ("feed.alpaca.stream", "false")], "feed.alpaca.stream is false"),
            (&[alpaca, ("feed.alpaca.feed", "boats")], "feed.alpaca.feed: iex, sip, delayed_sip"),
        ] {
            let refused = at_a_second(settings).unwrap_err();
            assert!(refused.starts_with("market.interval: `1s`") && refused.contains(why), "{refused}");
        }
    }

    #[test]
    fn what_a_further_rule_leaves_out_is_the_same_time_at_every_interval() {
        for (interval, min_bars) in [("60s", 30), ("5s", 360), ("1s", 1800)] {
            let also = ("rules.also".to_owned(), "volume zscore z=4".to_owned());
            let flags = vec![("market.interval".to_owned(), interval.to_owned()), also];
            let config = load(&Sources { flags, ..Sources::default() }).unwrap();
            let rule = config.rules.also[0].0.to_string();
            assert!(rule.contains(&format!(" min_bars={min_bars} ")), "{interval}: {rule}");
        }
    }

    #[test]
    fn a_key_tells_where_it_was_set() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.toml");
        std::fs::write(&path, "watchlist.symbols = [\"AAPL\"]\n[rules]\nratio = 2\nwindow = \"30m\"\n")
            .unwrap();
        let sources = Sources {
            file: Some(path.clone()),
            environment: vec![
                (format!("{PREFIX}RULES__WINDOW"), "20m".to_owned()),
                ("PATH".to_owned(), String::new()),
            ],
            flags: vec![("rules.cooldown".to_owned(), "7m".to_owned())],
        };
        for (key, origin) in [
            ("watchlist.symbols", Origin::File(path.clone())),
            ("rules.ratio", Origin::File(path.clone())),
            ("rules.window", Origin::Environment("QQQ_TRACKER__RULES__WINDOW".to_owned())),
            ("rules.cooldown", Origin::CommandLine),
            ("rules.min_bars", Origin::BuiltIn),
        ] {
            assert_eq!(sources.origin(key), origin, "{key}");
        }
        let told = format!("{}, 1 setting of the environment, 1 setting of the command line", path.display());
        assert_eq!(sources.describe(), told);
        assert_eq!(Sources::default().describe(), "no configuration file");
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest_known_one() {
        says(file("[feed]\nprovidr = \"sim\""), &["feed.providr", "t.toml", "did you mean `feed.provider`?"]);
        says(file("[feed.alpca]\nkey_id = \"\""), &["feed.alpca", "did you mean `feed.alpaca`?"]);
        says(
            environment(&[("RULES__COOLDWN", "1m")]),
            &["rules.cooldwn", "RULES__COOLDWN", "did you mean `rules.cooldown`?"],
        );
        let flags = vec![("server.lissen".to_owned(), "x".to_owned())];
        says(
            load(&Sources { flags, ..Sources::default() }),
            &["server.lissen", "did you mean `server.listen`?"],
        );
        says(file("zzzzzzzzzz = 1"), &["zzzzzzzzzz"]);
    }

    #[test]
    fn values_that_are_not_allowed_name_key_value_and_what_is() {
        says(file("[rules]\nratio = 0.5"), &["rules.ratio", "0.5", "above 1"]);
        says(file("[rules]\ncooldown = \"soon\""), &["rules.cooldown", "soon", "60s"]);
        says(file("[rules]\nwindow = \"13h\""), &["rules.window", "13h", "1m to 12h"]);
        says(file("[rules]\nwindow = \"90s\""), &["rules.window", "90s", "whole minutes"]);
        says(file("[rules]\nmin_bars = 61"), &["rules.min_bars", "61", "1 to 60"]);
        says(file("[market]\ncalendar = \"NYSE\""), &["market.calendar", "NYSE", "XNYS"]);
        says(file("[watchlist]\nsymbols = [\"A B C\"]"), &["watchlist.symbols", "A B C"]);
        says(file("[watchlist]\nsymbols = []"), &["watchlist", "empty"]);
        says(file("[market]\nextra_closures = [\"soon\"]"), &["market.extra_closures", "soon", "2025-01-09"]);
        let early = |what: &str| file(&format!("[market]\nextra_closures = [\"2025-07-01\"]\n{what}"));
        let early_close = |text: &str| early(&format!("extra_early_closes = [\"{text}\"]"));
        says(early_close("noon"), &["market.extra_early_closes", "noon", "2025-07-03 14:00"]);
        says(early_close("2025-07-04"), &["market.extra_early_closes", "2025-07-04", "no session"]);
        says(early_close("2025-07-01"), &["market.extra_early_closes", "2025-07-01", "also a closure"]);
        says(early_close("2025-07-02 16:00"), &["market.extra_early_closes", "16:00", "after 09:30"]);
        says(
            file("[market]\ncalendar = \"always\"\nextra_early_closes = [\"2025-07-02\"]"),
            &["market.extra_early_closes", "always"],
        );
        says(file("[feed]\nprovider = \"bloomberg\""), &["feed.provider", "bloomberg", "alpaca"]);
        let alpaca = |fallback| file(&format!("[feed]\nprovider = \"alpaca\"\nfallback = [{fallback}]"));
        says(alpaca("\"yahooo\""), &["feed.fallback", "yahooo", "`yahoo`"]);
        says(alpaca("\"yahoo\", \"yahoo\""), &["feed.fallback", "`yahoo` is there twice"]);
        says(alpaca("\"alpaca\""), &["feed.fallback", "`alpaca` is there twice"]);
        says(alpaca("\"sim\""), &["feed.fallback", "`sim` cannot stand in"]);
        says(alpaca("\"replay\""), &["feed.fallback", "`replay` cannot stand in"]);
        says(file("[feed]\nfallback = [\"yahoo\"]"), &["feed.fallback", "nobody stands in for `sim`"]);
        says(file("[feed]\nfailover_after = \"5s\""), &["feed.failover_after", "5s", "10s to 1h"]);
        says(file("[feed]\nfailback_after = \"2d\""), &["feed.failback_after", "2d", "10s to 1d"]);
        says(
            file(
                "[feed]\nprovider = \"yahoo\"\nfallback = [\"alpaca\"]\n\
                 [feed.alpaca]\nfeed = \"delayed_sip\"",
            ),
            &["rules.max_alert_age", "15m", "17m old"],
        );
        says(file("[feed]\npoll_interval = \"1s\""), &["feed.poll_interval", "1s", "10s to 1h"]);
        says(
            file("[feed]\nprovider = \"alpaca\"\n[feed.alpaca]\nfeed = \"delayed_sip\""),
            &["rules.max_alert_age", "15m", "17m old"],
        );
        says(file("[feed]\npoll_interval = \"30m\""), &["rules.max_alert_age", "15m", "30m old"]);
        says(file("[rules]\nown_alerts_retention = \"1h\""), &["rules.own_alerts_retention", "1d or more"]);
        says(file("[subscriptions]\nmax_per_receiver = 0"), &["subscriptions.max_per_receiver", "1 or more"]);
        says(
            file("[server]\nframe_ancestors = [\"*\"]"),
            &["server.frame_ancestors", "`*`", "https://example.org"],
        );
        says(
            environment(&[("SERVER__FRAME_ANCESTORS", "a.example")]),
            &["server.frame_ancestors", "a.example"],
        );
        says(
            file("[server]\noperators = [\"nobody\"]"),
            &["server.operators", "`nobody`", "name@example.com"],
        );
        says(file("[server]\nlisten = \"here\""), &["server.listen", "`here`", "127.0.0.1:8080"]);
        says(
            file("[server]\npublic_url = \"example.com\""),
            &["server.public_url", "example.com", "https://"],
        );
        says(file("feed = 1"), &["feed", "[feed]"]);
        says(file("[feed"), &["t.toml"]);
        says(environment(&[("RULES__MIN_BARS", "many")]), &["rules.min_bars", "many", "whole number"]);
        says(load(&Sources { file: Some("nowhere.toml".into()), ..Sources::default() }), &["nowhere.toml"]);
    }

    #[test]
    fn a_mistake_beside_a_secret_does_not_show_it() {
        for text in [
            "[feed.alpaca]\nsecret_key = \"hunter2",
            "[feed.alpaca]\nsecret_key = 4242",
            "secret_key hunter2",
        ] {
            let error = file(text).unwrap_err().to_string();
            assert!(!error.contains("hunter2") && !error.contains("4242"), "{error}");
            assert!(error.contains("line") || error.contains("feed.alpaca.secret_key"), "{error}");
        }
    }

    #[test]
    fn secrets_are_also_read_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "s3cret\n").unwrap();
        let path = path.to_str().unwrap();
        let config = environment(&[("FEED__ALPACA__SECRET_KEY_FILE", path)]).unwrap();
        assert_eq!(config.feed.alpaca.secret_key.expose(), "s3cret");
        let config = file(&format!("[feed.iex]\ntoken_file = {path:?}")).unwrap();
        assert_eq!(config.feed.iex.token.expose(), "s3cret");
        let config = environment(&[("FEED__FINNHUB__TOKEN_FILE", path), ("FEED__FALLBACK", "")]).unwrap();
        assert_eq!(config.feed.finnhub.token.expose(), "s3cret");
        says(environment(&[("EMAIL__SMTP_URL_FILE", "/nowhere/x")]), &["email.smtp_url_file", "/nowhere/x"]);
        says(environment(&[("RULES__RATIO_FILE", path)]), &["rules.ratio_file"]);
    }
}
