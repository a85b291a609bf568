//! `axis calendar`: the working days that the rules count by. Needs no axis.

use std::path::PathBuf;

use exchange::calendar::{Calendar, OnTimeRule, UnknownYear, Year};
use jiff::civil::{Date, Weekday};
use ledger::time::{Clock, Ms};
use serde::Serialize;

use crate::config::Config;
use crate::failure::Failure;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The configuration, for its calendar.folder, hours and on-time rule
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Which year [default: this one]
    #[arg(long, value_name = "YEAR", conflicts_with_all = ["from", "hours"])]
    year: Option<i16>,
    /// Count working hours from this time [default: now]
    #[arg(long, value_name = "TIME", value_parser = super::time_argument, requires = "hours")]
    from: Option<String>,
    /// Tell when so many working hours have passed
    #[arg(long, value_name = "N")]
    hours: Option<u32>,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// What `--json` prints of a year.
#[derive(Debug, Serialize)]
struct Shown {
    year: i16,
    /// The file it comes from; `null` if the axis carries it.
    file: Option<String>,
    source: String,
    doubts: Vec<String>,
    working_days: usize,
    hours: Vec<String>,
    on_time: String,
    off: Vec<Day>,
    worked: Vec<Day>,
}

#[derive(Debug, Serialize)]
struct Day {
    day: String,
    name: String,
}

/// What `--json` prints with `--hours`.
#[derive(Debug, Serialize)]
struct Counted {
    from: String,
    working_hours: u32,
    until: String,
}

/// Runs `axis calendar`.
///
/// # Errors
/// A configuration or calendar that cannot be used (exit 2); a year without a file (exit 1).
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let config = Config::load(args.config.as_deref(), None, &|name| {
        std::env::var(name).ok()
    })
    .map_err(Failure::usage)?;
    let calendar = Calendar::open(&config.calendar.options()).map_err(Failure::usage)?;
    let now = Clock::system().now();
    if let Some(hours) = args.hours {
        let from = match &args.from {
            Some(text) => Ms::parse(text).map_err(Failure::usage)?,
            None => now,
        };
        return count(&calendar, from, hours, args.json);
    }
    let wanted = match args.year {
        Some(year) => year,
        None => this_year(now)?,
    };
    let year = calendar
        .years()
        .find(|year| year.year == wanted)
        .ok_or_else(|| Failure::refused(UnknownYear { year: wanted }))?;
    let shown = shown(&calendar, year);
    if args.json {
        output::json(&shown)?;
    } else {
        output::line(table(&shown))?;
    }
    Ok(())
}

fn this_year(now: Ms) -> Result<i16, Failure> {
    let today: Date = now.iso()[..10]
        .parse()
        .map_err(|_| Failure::refused("this machine's clock shows no usable date"))?;
    Ok(today.year())
}

fn count(calendar: &Calendar, from: Ms, hours: u32, json: bool) -> Result<(), Failure> {
    let until = calendar
        .after(from, u64::from(hours) * 3_600_000)
        .map_err(Failure::refused)?;
    let counted = Counted {
        from: from.iso(),
        working_hours: hours,
        until: until.iso(),
    };
    if json {
        output::json(&counted)?;
    } else {
        output::line(format!(
            "{hours} giờ làm việc kể từ {} là đến {} (working hours)",
            counted.from, counted.until
        ))?;
    }
    Ok(())
}

fn shown(calendar: &Calendar, year: &Year) -> Shown {
    let days = |days: &std::collections::BTreeMap<Date, String>| {
        days.iter()
            .map(|(day, name)| Day {
                day: day.to_string(),
                name: name.clone(),
            })
            .collect()
    };
    let working_days = Date::new(year.year, 1, 1).map_or(0, |first| {
        first
            .series(jiff::Span::new().days(1))
            .take_while(|day| day.year() == year.year)
            .filter(|day| calendar.is_working(*day) == Ok(true))
            .count()
    });
    Shown {
        year: year.year,
        file: year.file.as_ref().map(|file| file.display().to_string()),
        source: year.source.clone(),
        doubts: year.doubts.clone(),
        working_days,
        hours: calendar.hours().texts().collect(),
        on_time: match calendar.on_time_rule() {
            OnTimeRule::NextWorkingMorning { ends } => format!("next working day until {ends}"),
            OnTimeRule::NextWorkingDay => "next working day until its end".to_owned(),
        },
        off: days(&year.off),
        worked: days(&year.worked),
    }
}

fn table(shown: &Shown) -> String {
    let row = |day: &Day, what: &str| {
        let weekday = day
            .day
            .parse::<Date>()
            .map_or("", |day| weekday(day.weekday()));
        [
            day.day.clone(),
            weekday.to_owned(),
            what.to_owned(),
            day.name.clone(),
        ]
    };
    let mut rows: Vec<_> = shown
        .off
        .iter()
        .map(|day| row(day, "nghỉ"))
        .chain(shown.worked.iter().map(|day| row(day, "làm việc")))
        .collect();
    rows.sort();
    let mut text = format!(
        "Lịch làm việc năm {} (working calendar): {} ngày làm việc, {}\n",
        shown.year,
        shown.working_days,
        shown.hours.join(" và ")
    );
    text += &format!("Đúng hạn (on time): {}\n", shown.on_time);
    text += &format!(
        "Nguồn (source): {}{}\n\n",
        shown.source,
        shown
            .file
            .as_ref()
            .map_or_else(String::new, |file| format!(" [{file}]"))
    );
    text += &output::table(["Ngày", "Thứ", "", "Lý do"], rows);
    for doubt in &shown.doubts {
        text += &format!("\nChưa chắc (doubt): {doubt}");
    }
    text
}

const fn weekday(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "Hai",
        Weekday::Tuesday => "Ba",
        Weekday::Wednesday => "Tư",
        Weekday::Thursday => "Năm",
        Weekday::Friday => "Sáu",
        Weekday::Saturday => "Bảy",
        Weekday::Sunday => "Chủ nhật",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use exchange::calendar::CalendarOptions;

    #[test]
    fn tm_04_the_calendar_is_shown_with_its_doubts() {
        let calendar = Calendar::open(&CalendarOptions::default()).unwrap();
        let year = calendar.years().find(|year| year.year == 2026).unwrap();
        let text = table(&shown(&calendar, year));
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        assert_eq!(
            lines[0],
            "Lịch làm việc năm 2026 (working calendar): 250 ngày làm việc, 07:30-11:30 và 13:30-17:00"
        );
        assert_eq!(lines[1], "Đúng hạn (on time): next working day until 11:30");
        assert!(
            lines.contains(&"2026-01-10  Bảy  làm việc  làm bù cho thứ Sáu 02/01")
                && lines.contains(&"2026-02-17  Ba   nghỉ      Tết Nguyên đán Bính Ngọ"),
            "{text}"
        );
        assert!(text.contains("Chưa chắc (doubt): Ngày 24/11"), "{text}");
    }
}
