use super::*;
use proptest::prelude::*;

fn calendar(on_time: OnTimeRule) -> Calendar {
    Calendar::open(&CalendarOptions {
        on_time,
        ..CalendarOptions::default()
    })
    .unwrap()
}

fn built_in() -> Calendar {
    calendar(OnTimeRule::default())
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn ms(text: &str) -> Ms {
    Ms::parse(text).unwrap()
}

const HOUR: u64 = 3_600_000;

#[test]
fn tm_04_the_working_days_of_2025_and_2026() {
    let calendar = built_in();
    let working = |text: &str| calendar.is_working(day(text)).unwrap();
    // Ordinary weekdays and weekends.
    assert!(working("2026-11-20") && working("2026-11-23"));
    assert!(!working("2026-11-21") && !working("2026-11-22"));
    // Tết: nine days together, both years.
    for day in [
        "2025-01-25",
        "2025-01-31",
        "2025-02-02",
        "2026-02-14",
        "2026-02-22",
    ] {
        assert!(!working(day), "{day}");
    }
    assert!(working("2025-01-24") && working("2025-02-03"));
    assert!(working("2026-02-13") && working("2026-02-23"));
    // Swapped days.
    assert!(working("2025-04-26") && !working("2025-05-02"));
    assert!(working("2026-01-10") && !working("2026-01-02"));
    assert!(working("2026-08-22") && !working("2026-08-31"));
    // Days in lieu.
    assert!(!working("2026-04-27") && working("2026-04-28"));
    // A working year has this many days: counted by hand from the calendars.
    let count = |year: i16| {
        let first = Date::new(year, 1, 1).unwrap();
        first
            .series(jiff::Span::new().days(1))
            .take_while(|day| day.year() == year)
            .filter(|day| calendar.is_working(*day).unwrap())
            .count()
    };
    // 261 weekdays less 1 + 5 + 1 + 3 + 2 days off, and one Saturday worked.
    assert_eq!(count(2025), 261 - 12 + 1);
    // 261 weekdays less 2 + 5 + 1 + 2 + 3 days off, and two Saturdays worked.
    assert_eq!(count(2026), 261 - 13 + 2);
}

#[test]
fn tm_04_four_working_hours_over_lunch_and_weekend() {
    let calendar = built_in();
    // From, working hours, until.
    let table = [
        // Within a morning; over lunch; to the very end of a span.
        ("2026-11-19T08:00", 2, "2026-11-19T10:00"),
        ("2026-11-19T10:00", 4, "2026-11-19T16:00"),
        ("2026-11-19T07:30", 4, "2026-11-19T11:30"),
        // Begun during lunch, before work, after work.
        ("2026-11-19T12:00", 1, "2026-11-19T14:30"),
        ("2026-11-19T06:00", 1, "2026-11-19T08:30"),
        ("2026-11-19T18:00", 1, "2026-11-20T08:30"),
        // Over lunch and a weekend: Friday 16:00 leaves one hour, Monday gives three.
        ("2026-11-20T16:00", 4, "2026-11-23T10:30"),
        ("2026-11-20T10:30", 7, "2026-11-23T10:00"),
        // Over Tết: Friday 13 February 16:00 to Monday 23.
        ("2026-02-13T16:00", 2, "2026-02-23T08:30"),
        // Friday 21 August: Saturday 22 is worked.
        ("2026-08-21T16:00", 2, "2026-08-22T08:30"),
        // Over New Year and the swapped Friday into Monday 5 January.
        ("2025-12-31T16:30", 1, "2026-01-05T08:00"),
    ];
    for (from, hours, until) in table {
        assert_eq!(
            calendar.after(ms(from), hours * HOUR).unwrap(),
            ms(until),
            "{hours} h from {from}"
        );
        assert_eq!(
            calendar.working_ms(ms(from), ms(until)).unwrap(),
            hours * HOUR,
            "{from} to {until}"
        );
    }
    assert_eq!(
        calendar.after(ms("2026-11-21"), 0).unwrap(),
        ms("2026-11-21")
    );
}

#[test]
fn tm_03_on_time_around_weekends_and_tet() {
    let morning = built_in();
    let whole_day = calendar(OnTimeRule::NextWorkingDay);
    use Verdict::{InTime, Late, SameDay};
    // Promulgated, accepted, by the morning rule, by the day rule.
    let table = [
        ("2026-11-19", "2026-11-19T08:00", SameDay, SameDay),
        ("2026-11-19", "2026-11-19T23:59:59", SameDay, SameDay),
        ("2026-11-19", "2026-11-20T00:00", InTime, InTime),
        ("2026-11-19", "2026-11-20T11:29:59", InTime, InTime),
        ("2026-11-19", "2026-11-20T11:30", Late, InTime),
        ("2026-11-19", "2026-11-20T23:59:59", Late, InTime),
        ("2026-11-19", "2026-11-21T00:00", Late, Late),
        // Friday: the weekend does not count.
        ("2026-11-20", "2026-11-22T20:00", InTime, InTime),
        ("2026-11-20", "2026-11-23T11:00", InTime, InTime),
        ("2026-11-20", "2026-11-23T14:00", Late, InTime),
        ("2026-11-20", "2026-11-24T00:00", Late, Late),
        // The last day before Tết, and a day within it.
        ("2026-02-13", "2026-02-23T10:00", InTime, InTime),
        ("2026-02-13", "2026-02-23T15:00", Late, InTime),
        ("2026-02-17", "2026-02-23T10:00", InTime, InTime),
        ("2026-02-17", "2026-02-24T08:00", Late, Late),
        // Friday 24 April 2026, then the weekend and the day in lieu; Tuesday 28 is worked.
        ("2026-04-24", "2026-04-28T11:00", InTime, InTime),
        ("2026-04-24", "2026-04-29T08:00", Late, Late),
        // Friday 21 August: Saturday 22 is worked, so Monday is late.
        ("2026-08-21", "2026-08-22T10:00", InTime, InTime),
        ("2026-08-21", "2026-08-24T08:00", Late, Late),
        // Dated ahead of the day it came.
        ("2026-11-25", "2026-11-19T08:00", SameDay, SameDay),
    ];
    for (promulgated, accepted, by_morning, by_day) in table {
        let told = format!("{promulgated} accepted {accepted}");
        let verdict =
            |calendar: &Calendar| calendar.verdict(day(promulgated), ms(accepted)).unwrap();
        assert_eq!(verdict(&morning), by_morning, "morning rule: {told}");
        assert_eq!(verdict(&whole_day), by_day, "day rule: {told}");
    }
}

#[test]
fn tm_04_a_year_without_a_file_is_said_and_not_guessed() {
    let calendar = built_in();
    let unknown = Err(UnknownYear { year: 2027 });
    assert_eq!(calendar.is_working(day("2027-01-04")), unknown);
    assert_eq!(
        calendar.after(ms("2026-12-31T16:30"), HOUR),
        Err(UnknownYear { year: 2027 })
    );
    assert_eq!(
        calendar.working_ms(ms("2024-12-31"), ms("2025-01-02")),
        Err(UnknownYear { year: 2024 })
    );
    // The verdict of the same day rests on no calendar.
    assert_eq!(
        calendar.verdict(day("2027-03-01"), ms("2027-03-01T10:00")),
        Ok(Verdict::SameDay)
    );
    assert!(
        UnknownYear { year: 2027 }.to_string().contains("2027.toml"),
        "it says what to add"
    );
    // Moments outside all calendars do not panic.
    assert!(calendar.after(Ms(i64::MAX), 1).is_err());
    assert!(calendar.working_ms(Ms(i64::MIN), Ms(0)).is_err());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test's temporary files")]
fn tm_04_the_provinces_own_files_add_and_replace_years() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "2027.toml",
        "year = 2027\n[off]\n2027-01-01 = \"Tết Dương lịch\"\n",
    );
    write(
        "2026.toml",
        "year = 2026\n[off]\n2026-11-24 = \"Ngày Văn hóa Việt Nam\"\n",
    );
    write("README.md", "not a calendar");
    let options = CalendarOptions {
        folder: Some(folder.path().to_owned()),
        ..CalendarOptions::default()
    };
    let calendar = Calendar::open(&options).unwrap();
    assert_eq!(calendar.is_working(day("2027-01-01")), Ok(false));
    assert_eq!(calendar.is_working(day("2027-01-04")), Ok(true));
    assert_eq!(calendar.is_working(day("2026-11-24")), Ok(false));
    // Replaced whole: Tết is not in this file.
    assert_eq!(calendar.is_working(day("2026-02-17")), Ok(true));
    assert_eq!(calendar.years().count(), 3);

    let refused = |text: &str| {
        write("2027.toml", text);
        Calendar::open(&options).unwrap_err().to_string()
    };
    for (text, says) in [
        (
            "year = 2027\n[off]\n2026-01-01 = \"x\"\n",
            "is not of this year",
        ),
        ("year = 2027\n[off]\n2027-02-30 = \"x\"\n", "must be a day"),
        (
            "year = 2027\n[off]\n\"2027-02-03/2027-02-01\" = \"x\"\n",
            "ends before it begins",
        ),
        (
            "year = 2027\n[off]\n2027-01-01 = \"x\"\n\"2027-01-01/2027-01-02\" = \"y\"\n",
            "another line",
        ),
        (
            "year = 2027\n[worked]\n2027-01-04 = \"x\"\n",
            "worked anyway",
        ),
        (
            "year = 2027\n[off]\n2027-01-02 = \"x\"\n[worked]\n2027-01-02 = \"x\"\n",
            "both",
        ),
        ("year = 2026\n", "another file"),
        ("yaer = 2027\n", "yaer"),
    ] {
        let told = refused(text);
        assert!(told.contains(says) && told.contains("2027.toml"), "{told}");
    }
    std::fs::remove_dir_all(folder.path()).unwrap();
    assert!(
        Calendar::open(&options).is_err(),
        "a folder that is not there"
    );
}

#[test]
fn tm_04_working_hours_are_a_setting() {
    let hours = Hours::parse(&["08:00-12:00", "13:00 - 17:00"]).unwrap();
    let calendar = Calendar::open(&CalendarOptions {
        hours,
        ..CalendarOptions::default()
    })
    .unwrap();
    assert_eq!(
        calendar.after(ms("2026-11-19T07:00"), 5 * HOUR),
        Ok(ms("2026-11-19T14:00"))
    );
    let bad: [&[&str]; 8] = [
        &[],
        &["07:30"],
        &["11:30-07:30"],
        &["07:30-07:30"],
        &["07:30-11:30", "11:00-17:00"],
        &["13:30-17:00", "07:30-11:30"],
        &["7:30-11:30"],
        &["07:60-11:30"],
    ];
    for texts in bad {
        assert!(Hours::parse(texts).is_err(), "{texts:?}");
    }
    assert_eq!("24:00".parse(), Ok(TimeOfDay::of(24, 0)));
    assert!("24:01".parse::<TimeOfDay>().is_err());
}

/// Working minutes counted one by one, by the weekday and the days written out again.
fn naive_minutes(from: i64, to: i64) -> u64 {
    let mut minutes = 0;
    for minute in from..to {
        let local = minute + 7 * 60;
        let (day, of_day) = (local.div_euclid(1_440), local.rem_euclid(1_440));
        // 1970-01-01 was a Thursday.
        let weekend = matches!((day + 3).rem_euclid(7), 5 | 6);
        let date = Ms((day * 1_440 - 7 * 60) * 60_000).edxml();
        let date = &date[..10];
        let off = [
            "2026/02/16",
            "2026/02/17",
            "2026/02/18",
            "2026/02/19",
            "2026/02/20",
            "2026/01/01",
            "2026/01/02",
            "2026/04/27",
            "2026/04/30",
            "2026/05/01",
            "2026/08/31",
            "2026/09/01",
            "2026/09/02",
        ]
        .contains(&date);
        let worked = ["2026/01/10", "2026/08/22"].contains(&date);
        let at_work = (450..690).contains(&of_day) || (810..1_020).contains(&of_day);
        minutes += u64::from(at_work && (worked || !weekend && !off));
    }
    minutes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn working_time_is_what_a_count_of_minutes_gives(
        start in 0..500_000_i64,
        length in 0..12_000_i64,
    ) {
        let first = ms("2026-01-01").0 / 60_000;
        let (from, to) = (first + start, first + start + length);
        let calendar = built_in();
        prop_assert_eq!(
            calendar.working_ms(Ms(from * 60_000), Ms(to * 60_000)).unwrap(),
            naive_minutes(from, to) * 60_000
        );
    }

    #[test]
    fn the_moment_after_is_the_first_with_that_much_working_time(
        start in 0..30_000_000_000_i64,
        working in 1..400_000_000_u64,
    ) {
        let from = Ms(ms("2025-06-01").0 + start);
        let calendar = built_in();
        let end = calendar.after(from, working).unwrap();
        prop_assert_eq!(calendar.working_ms(from, end).unwrap(), working);
        prop_assert_eq!(calendar.working_ms(from, Ms(end.0 - 1)).unwrap(), working - 1);
    }

    #[test]
    fn what_is_on_time_by_the_morning_is_on_time_by_the_day(
        days in 0..500_i64,
        later in 0..900_000_000_i64,
    ) {
        let promulgated = EPOCH.saturating_add(jiff::Span::new().days(20_089 + days));
        let accepted = Ms((20_089 + days) * DAY + later);
        let morning = built_in().verdict(promulgated, accepted).unwrap();
        let whole = calendar(OnTimeRule::NextWorkingDay).verdict(promulgated, accepted).unwrap();
        prop_assert!(morning == whole || (morning, whole) == (Verdict::Late, Verdict::InTime));
    }
}
