use super::*;

fn xnys() -> Calendar {
    Calendar::new(Market::Xnys, false, [])
}

fn minute(text: &str) -> Second {
    Second::minute_of(text.parse().unwrap())
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

/// Every weekday 1990 - 2030 that is not a full session, by packages that know nothing of this one:
/// `testdata/xnys.py`.
#[test]
fn equals_an_independent_calendar_on_every_day_of_41_years() {
    let exceptions: BTreeMap<Date, &str> = include_str!("../../../testdata/xnys_1990_2030.csv")
        .lines()
        .skip(1)
        .map(|line| line.split_once(',').unwrap())
        .map(|(date, close)| (day(date), close))
        .collect();
    assert_eq!(exceptions.len(), 463);
    let calendar = xnys();
    let (mut today, mut sessions) = (FIRST_DAY, 0);
    while today <= day("2030-12-31") {
        let weekend = matches!(today.weekday(), Weekday::Saturday | Weekday::Sunday);
        let expected = match exceptions.get(&today) {
            _ if weekend => None,
            Some(&"") => None,
            Some(&"13:00") => Some(210),
            Some(&"14:00") => Some(270),
            Some(other) => panic!("{other}"),
            None => Some(390),
        };
        let session = calendar.session_on(today);
        assert_eq!(session.map(|session| session.close.minutes_since(session.open)), expected, "{today}");
        assert_eq!(session.is_some_and(|session| session.early_close), expected.is_some_and(|it| it < 390));
        sessions += i32::from(session.is_some());
        today = today.tomorrow().unwrap();
    }
    assert_eq!(sessions, 10_322);
}

#[test]
fn nothing_is_said_of_days_before_the_first_that_is_known() {
    let before = FIRST_DAY.yesterday().unwrap();
    let friday = day("1989-12-29");
    for extended in [false, true] {
        let calendar = Calendar::new(Market::Xnys, extended, []);
        assert!(calendar.knows(FIRST_DAY) && !calendar.knows(before));
        assert_eq!(calendar.session_on(friday), None);
        assert!(!calendar.counts(minute("1989-12-29T15:00:00Z")));
    }
    let always = Calendar::new(Market::Always, false, []);
    assert!(always.knows(friday) && always.session_on(friday).is_some());
}

#[test]
fn early_closes_can_be_configured() {
    let early = |text: &str| text.parse::<EarlyClose>().unwrap();
    let closes = |texts: &[&str]| {
        Calendar::new(Market::Xnas, true, [day("2025-01-27")])
            .with_early_closes(texts.iter().map(|text| early(text)))
    };
    let calendar = closes(&["2025-07-02", "2025-07-07 14:30", "2025-07-03 12:00"]).unwrap();
    let close = |date| calendar.session_on(day(date)).map(|one| (one.close.to_string(), one.early_close));
    for (date, at, is_early) in [
        ("2025-07-01", "20:00", false),
        ("2025-07-02", "17:00", true),
        ("2025-07-03", "16:00", true), // 13:00 by rule
        ("2025-07-07", "18:30", true),
    ] {
        assert_eq!(close(date), Some((format!("{date}T{at}:00Z"), is_early)), "{date}");
    }
    assert_eq!(calendar.phase(minute("2025-07-02T16:59:00Z")), Phase::Regular);
    assert_eq!(calendar.phase(minute("2025-07-02T17:00:00Z")), Phase::Post);
    assert_eq!(early("2025-07-02").to_string(), "2025-07-02 13:00");

    let refused = |texts: &[&str]| closes(texts).unwrap_err().to_string();
    for (texts, what) in [
        (&["2025-07-04"][..], "no session"),
        (&["2025-07-05"], "no session"),
        (&["1989-12-29"], "no session"),
        (&["2025-01-27"], "also a closure"),
        (&["2025-07-02 09:30"], "after 09:30 and before 16:00"),
        (&["2025-07-02 16:00"], "after 09:30 and before 16:00"),
        (&["2025-07-02", "2025-07-02 14:00"], "twice"),
    ] {
        let error = refused(texts);
        assert!(error.contains(what) && error.contains(&texts[0][..10]), "{error}");
    }
    let always = Calendar::new(Market::Always, false, []).with_early_closes([early("2025-07-02")]);
    assert!(matches!(always, Err(InvalidEarlyClose::Always(_))));
    for text in [
        "",
        "2025-07-32",
        "2025-07-02 ",
        "2025-07-02 25:00",
        "2025-07-02 13:00:30",
        "13:00",
        "2025-07-02T13:00",
    ] {
        let error = text.parse::<EarlyClose>().unwrap_err().to_string();
        assert!(error.contains("2025-07-03 14:00"), "{text}: {error}");
    }
}

#[test]
fn sessions_follow_daylight_saving() {
    let open = |date| xnys().session_on(day(date)).unwrap().open.to_string();
    assert_eq!(open("2025-03-07"), "2025-03-07T14:30:00Z");
    assert_eq!(open("2025-03-10"), "2025-03-10T13:30:00Z");
    assert_eq!(open("2025-10-31"), "2025-10-31T13:30:00Z");
    assert_eq!(open("2025-11-03"), "2025-11-03T14:30:00Z");
}

#[test]
fn a_bar_is_inside_when_its_start_is() {
    let calendar = xnys();
    for (at, phase) in [
        ("2025-01-27T08:59:00Z", Phase::Closed),
        ("2025-01-27T09:00:00Z", Phase::Pre),
        ("2025-01-27T14:29:00Z", Phase::Pre),
        ("2025-01-27T14:30:00Z", Phase::Regular),
        ("2025-01-27T20:59:00Z", Phase::Regular),
        ("2025-01-27T21:00:00Z", Phase::Post),
        ("2025-01-28T00:59:00Z", Phase::Post),
        ("2025-01-28T01:00:00Z", Phase::Closed),
        ("2024-11-29T17:59:00Z", Phase::Regular),
        ("2024-11-29T18:00:00Z", Phase::Post),
        ("2025-01-09T15:00:00Z", Phase::Closed),
        ("2025-01-25T15:00:00Z", Phase::Closed),
    ] {
        assert_eq!(calendar.phase(minute(at)), phase, "{at}");
        assert_eq!(calendar.counts(minute(at)), phase == Phase::Regular, "{at}");
        let extended = Calendar::new(Market::Xnas, true, []);
        assert_eq!(extended.counts(minute(at)), phase != Phase::Closed, "{at}");
        assert!(Calendar::new(Market::Always, false, []).counts(minute(at)));
    }
}

#[test]
fn the_next_change_is_of_the_hours_that_count() {
    let (regular, extended) = (xnys(), Calendar::new(Market::Xnas, true, []));
    let next =
        |calendar: &Calendar, at| calendar.next_change(minute(at)).map(|(at, phase)| (at.to_string(), phase));
    for (calendar, at, change, phase) in [
        (&regular, "2025-01-31T14:29:00Z", "2025-01-31T14:30:00Z", Phase::Regular),
        (&regular, "2025-01-31T14:30:00Z", "2025-01-31T21:00:00Z", Phase::Closed),
        (&regular, "2025-01-31T20:59:00Z", "2025-01-31T21:00:00Z", Phase::Closed),
        // Friday evening before Martin Luther King Day.
        (&regular, "2025-01-17T21:00:00Z", "2025-01-21T14:30:00Z", Phase::Regular),
        (&regular, "2024-11-29T15:00:00Z", "2024-11-29T18:00:00Z", Phase::Closed),
        (&extended, "2025-01-31T08:59:00Z", "2025-01-31T09:00:00Z", Phase::Pre),
        (&extended, "2025-01-31T09:00:00Z", "2025-01-31T14:30:00Z", Phase::Regular),
        (&extended, "2025-01-31T14:30:00Z", "2025-01-31T21:00:00Z", Phase::Post),
        (&extended, "2025-01-31T21:00:00Z", "2025-02-01T01:00:00Z", Phase::Closed),
        (&extended, "2025-02-01T01:00:00Z", "2025-02-03T09:00:00Z", Phase::Pre),
    ] {
        assert_eq!(next(calendar, at), Some((change.to_owned(), phase)), "{at}");
    }
    let always = Calendar::new(Market::Always, false, []);
    assert_eq!(next(&always, "2025-02-01T12:00:00Z"), None);
    assert_eq!(regular.counted_phase(minute("2025-01-31T21:00:00Z")), Phase::Closed);
    assert_eq!(extended.counted_phase(minute("2025-01-31T21:00:00Z")), Phase::Post);
}

#[test]
fn closures_can_be_configured() {
    let closed = Calendar::new(Market::Xnas, false, [day("2025-01-27")]);
    assert_eq!(closed.session_on(day("2025-01-27")), None);
    assert!(closed.session_on(day("2025-01-28")).is_some());
}

#[test]
fn stretches_of_counting_minutes_are_found_over_weekends_and_holidays() {
    let calendar = xnys();
    let friday_evening = minute("2025-01-18T03:00:00Z");
    let next = calendar.tracked_from(friday_evening).unwrap();
    assert_eq!(next.start.to_string(), "2025-01-21T14:30:00Z"); // Monday was Martin Luther King Day
    let last = calendar.tracked_until(friday_evening).unwrap();
    assert_eq!(last.end.to_string(), "2025-01-17T21:00:00Z");
    let inside = minute("2025-01-21T15:00:00Z");
    assert_eq!(calendar.tracked_from(inside), calendar.tracked_until(inside));
    assert_eq!(calendar.counting_minutes(friday_evening..inside), 30);
    assert_eq!(calendar.counting_minutes(minute("2025-01-13T00:00:00Z")..friday_evening), 5 * 390);
}

#[test]
fn the_zone_is_compiled_in() {
    assert_eq!(new_york().iana_name(), Some("America/New_York"));
}
