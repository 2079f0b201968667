//! The calendar by rule against a list two independent packages agree on. The list is not part of the
//! project, so it is looked for beside it; the unit tests hold the rule to 21 years of another.

use jiff::civil::{Date, Weekday};
use qqq_core::market::calendar::{Calendar, Market};
use std::collections::HashMap;

#[test]
fn the_rule_gives_every_day_of_the_shared_list() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/calendar.csv");
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("SKIPPED: the calendar is not here; put calendar.csv into ../shared/data");
        return;
    };
    let minutes: HashMap<Date, Option<i32>> = text
        .lines()
        .skip(1)
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            let minutes = match fields[3] {
                "holiday" => None,
                "early_close" => Some(210),
                other => panic!("{other}"),
            };
            (fields[0].parse().unwrap(), minutes)
        })
        .collect();
    for market in [Market::Xnys, Market::Xnas] {
        let calendar = Calendar::new(market, false, []);
        let mut day: Date = "2024-01-01".parse().unwrap();
        let (mut exceptions, mut sessions) = (0, 0);
        while day.year() <= 2027 {
            let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
            let expected = minutes.get(&day).copied().unwrap_or((!weekend).then_some(390));
            let found = calendar.session_on(day).map(|session| session.close.minutes_since(session.open));
            assert_eq!(found, expected, "{day}");
            exceptions += usize::from(minutes.contains_key(&day));
            sessions += i32::from(found.is_some());
            day = day.tomorrow().unwrap();
        }
        assert_eq!((exceptions, sessions), (minutes.len(), 1004));
    }
}
