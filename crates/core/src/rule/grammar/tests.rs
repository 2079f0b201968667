use super::super::SpikeRule;
use super::*;
use crate::alert::Metric;
use proptest::prelude::*;

fn rule(text: &str) -> Rule {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> (String, String) {
    let error = text.parse::<Rule>().expect_err(text);
    (error.field, error.reason)
}

#[test]
fn the_canonical_text_names_every_setting() {
    for (text, canonical) in [
        ("spike", "v1 spike ratio=3 window=60m min_bars=30 trigger=level session=all cooldown=60m"),
        (
            "v1 spike cooldown=0s ratio=2.5 window=2h",
            "v1 spike ratio=2.5 window=120m min_bars=30 trigger=level session=all cooldown=0s",
        ),
        (
            "zscore z=4 direction=up session=regular",
            "v1 zscore z=4 window=60m min_bars=30 direction=up trigger=level session=regular cooldown=60m",
        ),
        (
            "move from=previous_close percent=5 trigger=edge rearm=4 cooldown=1d",
            "v1 move percent=5 from=previous_close direction=both \
             trigger=edge rearm=4 session=all cooldown=1440m",
        ),
        ("move", "v1 move percent=2 from=15m direction=both trigger=level session=all cooldown=60m"),
        (
            "cross below=150.25 rearm=151 cooldown=90s",
            "v1 cross below=150.25 trigger=edge rearm=151 session=all cooldown=90s",
        ),
        ("cross above=1e3", "v1 cross above=1000 trigger=edge rearm=1000 session=all cooldown=60m"),
        (
            "time_of_day ratio=4 min_sessions=3",
            "v1 time_of_day ratio=4 sessions=20 min_sessions=3 trigger=level session=all cooldown=60m",
        ),
    ] {
        assert_eq!(rule(text).to_string(), canonical);
        assert_eq!(rule(canonical), rule(text));
    }
    assert_eq!(Rule::from(SpikeRule::default()), rule("spike"));
}

#[test]
fn what_contradicts_itself_is_refused_with_its_field() {
    for (text, field, reason) in [
        ("", "kind", "is missing"),
        ("v1", "kind", "is missing"),
        ("v2 spike", "rule", "of the grammar `v2`"),
        ("median", "kind", "must be one of spike, zscore, move, cross, time_of_day"),
        ("spike ratio", "rule", "`ratio` must look like ratio=4"),
        ("spike ratio=3 ratio=4", "ratio", "given twice"),
        ("spike z=3", "z", "no setting of a rule of the kind `spike`"),
        ("spike ratio=1", "ratio", "out of range: it must be 1.000001 to 1000"),
        ("spike ratio=1.0000001", "ratio", "more than 6 decimals"),
        ("spike ratio=three", "ratio", "`three` is not a decimal number"),
        ("spike window=90s", "window", "whole minutes"),
        ("spike window=13h", "window", "from 1m to 720m"),
        ("zscore min_bars=1", "min_bars", "from 2 to 43200"),
        ("spike cooldown=8d", "cooldown", "from 0s to 10080m"),
        ("move from=yesterday", "from", "or `previous_close`, or `open`"),
        ("move direction=left", "direction", "one of `up`, `down`, `both`"),
        ("cross", "above", "`above` or `below` must be given"),
        ("cross above=1 below=2", "below", "cannot go with `above`"),
        ("cross above=0", "above", "above 0"),
        ("cross above=5 trigger=level", "trigger", "must be `edge`"),
        ("cross above=5 rearm=6", "rearm", "not above `above`"),
        ("cross below=5 rearm=4", "rearm", "not be below `below`"),
        ("spike rearm=2", "rearm", "needs `trigger` to be `edge`"),
        ("spike trigger=edge rearm=4", "rearm", "not above `ratio`"),
        ("time_of_day sessions=21", "sessions", "from 1 to 20"),
        ("time_of_day sessions=3 min_sessions=4", "min_sessions", "more than the 3 sessions"),
        ("spike session=night", "session", "one of `all`, `regular`, `extended`"),
    ] {
        let (found, said) = refused(text);
        assert_eq!(found, field, "{text}: {said}");
        assert!(said.contains(reason), "{text}: {said}");
    }
    assert_eq!(refused(&format!("spike {}", "x".repeat(400))).0, "rule");
}

#[test]
fn rules_go_with_the_metrics_they_look_at() {
    assert!(rule("move").suits(Metric::Price).is_ok());
    assert!(rule("move").suits(Metric::Volume).is_err());
    assert!(rule("time_of_day").suits(Metric::Price).is_err());
    assert!(rule("cross above=1.5").suits(Metric::Price).is_ok());
    assert!(rule("cross above=1.5").suits(Metric::Volume).is_err());
    assert!(rule("cross above=2").suits(Metric::Volume).is_ok());
}

#[test]
fn the_house_rule_has_a_name_of_its_own() {
    assert_eq!("spike".parse::<RuleName>(), Ok(RuleName::House));
    assert_eq!(RuleName::House.to_string(), "spike");
    let own: RuleName = "v1 spike".parse().unwrap();
    assert_eq!(own, RuleName::Own(rule("spike")));
    assert_eq!(own.to_string().parse(), Ok(own));
}

fn any_rule() -> impl Strategy<Value = String> {
    let decimal = (2_u32..999, 0_u32..1_000_000).prop_map(|(whole, part)| format!("{whole}.{part:06}"));
    let kinds = prop_oneof![
        (decimal.clone(), 30..720_u16)
            .prop_map(|(ratio, window)| format!("spike ratio={ratio} window={window}m")),
        (decimal.clone(), 2..30_u16)
            .prop_map(|(z, bars)| format!("zscore z={z} min_bars={bars} direction=down")),
        (decimal.clone(), 1..720_u16).prop_map(|(p, from)| format!("move percent={p} from={from}m")),
        decimal.clone().prop_map(|level| format!("cross below={level}")),
        (1..20_u8).prop_map(|sessions| format!("time_of_day sessions={sessions}")),
    ];
    (kinds, 0..604_800_u32, prop::sample::select(vec!["all", "regular", "extended"]))
        .prop_map(|(kind, cooldown, session)| format!("{kind} session={session} cooldown={cooldown}s"))
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_as_text_and_as_fields(text in any_rule()) {
        let rule: Rule = text.parse().unwrap();
        prop_assert_eq!(rule.to_string().parse::<Rule>(), Ok(rule));
        let settings = rule.settings();
        let texts: Vec<_> = settings.iter().map(|(name, setting)| (*name, setting.to_string())).collect();
        let fields = texts.iter().rev().map(|(name, text)| (*name, text.as_str()));
        prop_assert_eq!(Rule::of_fields(fields, Cadence::One), Ok(rule));
    }

    #[test]
    fn no_text_panics(
        text in "(v1 )?(spike|zscore|move|cross|time_of_day)?( [a-z_]{0,12}=?[-0-9.smhde]{0,24}){0,6}",
    ) {
        let _ = text.parse::<Rule>();
    }

    #[test]
    fn no_nonsense_panics(text in "\\PC{0,60}") {
        let _ = text.parse::<RuleName>();
    }
}
