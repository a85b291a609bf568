//! The days of a year: one data file each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::civil::{Date, Weekday};
use serde::Deserialize;

/// The calendars that the axis carries.
const BUILT_IN: [(&str, &str); 2] = [
    ("2025.toml", include_str!("../../calendars/2025.toml")),
    ("2026.toml", include_str!("../../calendars/2026.toml")),
];

/// A calendar's file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalendarError {
    /// The folder or a file in it cannot be read.
    #[error("cannot read the calendar {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not TOML, or a key is missing or unknown.
    #[error("the calendar {}: {source}", path.display())]
    Syntax {
        /// Which.
        path: PathBuf,
        /// Line, column and what was expected.
        source: Box<toml::de::Error>,
    },
    /// A file says something impossible.
    #[error("the calendar {}: {key}: {what}", path.display())]
    Day {
        /// Which.
        path: PathBuf,
        /// The day as written.
        key: String,
        /// What it must be.
        what: &'static str,
    },
}

/// The days of one year that are not as their weekday says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Year {
    /// Which year.
    pub year: i16,
    /// What the file rests on.
    pub source: String,
    /// What is not certain, for whoever keeps the file.
    pub doubts: Vec<String>,
    /// The file; `None` if the axis carries it.
    pub file: Option<PathBuf>,
    /// Days off, with their names.
    pub off: BTreeMap<Date, String>,
    /// Saturdays and Sundays that are worked, with the reason.
    pub worked: BTreeMap<Date, String>,
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    year: i16,
    #[serde(default)]
    source: String,
    #[serde(default)]
    doubts: Vec<String>,
    #[serde(default)]
    off: BTreeMap<String, String>,
    #[serde(default)]
    worked: BTreeMap<String, String>,
}

/// The built-in years, replaced and added to by the folder's files.
pub(super) fn all(folder: Option<&Path>) -> Result<BTreeMap<i16, Year>, CalendarError> {
    let mut years = BTreeMap::new();
    for (name, text) in BUILT_IN {
        let year = read(Path::new(name), text)?;
        years.insert(year.year, Year { file: None, ..year });
    }
    let Some(folder) = folder else {
        return Ok(years);
    };
    let unreadable = |path: &Path, source| CalendarError::Read {
        path: path.to_owned(),
        source,
    };
    let entries = std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(folder, error))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            paths.push(path);
        }
    }
    paths.sort();
    for path in paths {
        let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
        let year = read(&path, &text)?;
        let twice = years
            .get(&year.year)
            .is_some_and(|known| known.file.is_some());
        if twice {
            return Err(CalendarError::Day {
                key: format!("year = {}", year.year),
                path,
                what: "another file of the folder is for this year; keep one",
            });
        }
        years.insert(year.year, year);
    }
    Ok(years)
}

fn read(path: &Path, text: &str) -> Result<Year, CalendarError> {
    let file: File = toml::from_str(text).map_err(|source| CalendarError::Syntax {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    let bad = |key: &str, what| CalendarError::Day {
        path: path.to_owned(),
        key: key.to_owned(),
        what,
    };
    let days = |listed: BTreeMap<String, String>| {
        let mut days = BTreeMap::new();
        for (key, name) in listed {
            let (first, last) = key.split_once('/').unwrap_or((&key, &key));
            let (Ok(first), Ok(last)) = (first.parse::<Date>(), last.parse::<Date>()) else {
                return Err(bad(
                    &key,
                    "must be a day (2026-01-01) or first/last (2026-02-16/2026-02-20)",
                ));
            };
            if first.year() != file.year || last.year() != file.year {
                return Err(bad(&key, "is not of this year"));
            }
            if first > last {
                return Err(bad(&key, "ends before it begins"));
            }
            for day in first.series(jiff::Span::new().days(1)) {
                if day > last {
                    break;
                }
                if days.insert(day, name.clone()).is_some() {
                    return Err(bad(&key, "names a day that stands in another line"));
                }
            }
        }
        Ok(days)
    };
    let (off, worked) = (days(file.off)?, days(file.worked)?);
    for day in worked.keys() {
        if !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) {
            return Err(bad(
                &day.to_string(),
                "is worked anyway: only a Saturday or Sunday can stand under [worked]",
            ));
        }
        if off.contains_key(day) {
            return Err(bad(
                &day.to_string(),
                "cannot stand under both [off] and [worked]",
            ));
        }
    }
    Ok(Year {
        year: file.year,
        source: file.source,
        doubts: file.doubts,
        file: Some(path.to_owned()),
        off,
        worked,
    })
}
