//! The settings of the rules: calendar, marks of secrecy, senders' clocks, reasons.

use std::path::PathBuf;

use exchange::calendar::{CalendarOptions, Hours, OnTimeRule, TimeOfDay};
use exchange::{
    ClockLimits, REASON_CLASSES, ReasonClass, ReasonOptions, SecrecyField, SecrecyOptions,
    reason_word,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The working calendar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Calendar {
    /// Files of the province's own, one a year.
    pub(crate) folder: Option<PathBuf>,
    /// The working hours of a working day.
    #[serde(deserialize_with = "read_hours", serialize_with = "write_hours")]
    pub(crate) hours: Hours,
    /// Until when a document counts as sent on time.
    pub(crate) on_time: OnTime,
    /// When the morning of `next-morning` ends.
    #[serde(deserialize_with = "read_time", serialize_with = "write_time")]
    pub(crate) morning_ends: TimeOfDay,
}

/// Which rule says whether a document came on time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OnTime {
    /// QĐ 28/2018 Art. 6.2.
    #[default]
    NextMorning,
    /// NĐ 30/2020 Art. 18.1.
    NextDay,
}

impl Default for Calendar {
    fn default() -> Self {
        Self {
            folder: None,
            hours: Hours::default(),
            on_time: OnTime::default(),
            morning_ends: TimeOfDay::of(11, 30),
        }
    }
}

impl Calendar {
    /// What the exchange is told of it.
    pub(crate) fn options(&self) -> CalendarOptions {
        CalendarOptions {
            folder: self.folder.clone(),
            hours: self.hours.clone(),
            on_time: match self.on_time {
                OnTime::NextMorning => OnTimeRule::NextWorkingMorning {
                    ends: self.morning_ends,
                },
                OnTime::NextDay => OnTimeRule::NextWorkingDay,
            },
        }
    }
}

/// The marks of state secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Secrecy {
    /// Words that count where they stand alone.
    pub(crate) marks: Vec<String>,
    /// Words that count wherever they stand.
    pub(crate) phrases: Vec<String>,
    /// Where they are looked for.
    #[serde(deserialize_with = "read_fields")]
    pub(crate) fields: Vec<String>,
}

impl Default for Secrecy {
    fn default() -> Self {
        let SecrecyOptions {
            marks,
            phrases,
            fields,
        } = SecrecyOptions::default();
        Self {
            marks,
            phrases,
            fields: fields.iter().map(|field| field.word().to_owned()).collect(),
        }
    }
}

impl Secrecy {
    /// What the exchange is told of it.
    pub(crate) fn options(&self) -> SecrecyOptions {
        let fields = self.fields.iter();
        SecrecyOptions {
            marks: self.marks.clone(),
            phrases: self.phrases.clone(),
            fields: fields
                .filter_map(|word| SecrecyField::of_word(word))
                .collect(),
        }
    }
}

/// Senders' clocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Clocks {
    /// How far ahead a sender's time may be.
    pub(crate) ahead_seconds: u32,
    /// How far back a sender's time or date may lie.
    pub(crate) behind_days: u32,
}

impl Default for Clocks {
    fn default() -> Self {
        let of = ClockLimits::default();
        Self {
            ahead_seconds: of.ahead_seconds,
            behind_days: of.behind_days,
        }
    }
}

impl Clocks {
    /// What the exchange is told of it.
    pub(crate) const fn limits(&self) -> ClockLimits {
        ClockLimits {
            ahead_seconds: self.ahead_seconds,
            behind_days: self.behind_days,
        }
    }
}

/// A text and its class.
type Pairs = Vec<(String, String)>;

/// How the reasons of refusals (02) are told apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Reasons {
    /// Codes at the beginning of a reason.
    #[serde(deserialize_with = "read_classes")]
    pub(crate) codes: Pairs,
    /// Words anywhere in a reason.
    #[serde(deserialize_with = "read_classes")]
    pub(crate) words: Pairs,
}

impl Default for Reasons {
    fn default() -> Self {
        let ReasonOptions { codes, words } = ReasonOptions::default();
        let texts = |pairs: Vec<(String, ReasonClass)>| {
            let pairs = pairs.into_iter();
            pairs
                .map(|(text, class)| (text, reason_word(class).to_owned()))
                .collect()
        };
        Self {
            codes: texts(codes),
            words: texts(words),
        }
    }
}

impl Reasons {
    /// What the exchange is told of it.
    pub(crate) fn options(&self) -> ReasonOptions {
        let classes = |pairs: &Pairs| {
            let pairs = pairs.iter();
            pairs
                .filter_map(|(text, word)| Some((text.clone(), class(word)?)))
                .collect()
        };
        ReasonOptions {
            codes: classes(&self.codes),
            words: classes(&self.words),
        }
    }
}

fn class(word: &str) -> Option<ReasonClass> {
    REASON_CLASSES
        .into_iter()
        .find(|class| reason_word(*class) == word)
}

fn read_classes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Pairs, D::Error> {
    let pairs = Pairs::deserialize(deserializer)?;
    match pairs.iter().find(|(_, word)| class(word).is_none()) {
        None => Ok(pairs),
        Some((_, wrong)) => Err(serde::de::Error::custom(format!(
            "{wrong:?}: must be one of {}",
            REASON_CLASSES.map(reason_word).join(", ")
        ))),
    }
}

fn read_fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let words = Vec::<String>::deserialize(deserializer)?;
    match words
        .iter()
        .find(|word| SecrecyField::of_word(word).is_none())
    {
        None => Ok(words),
        Some(wrong) => Err(serde::de::Error::custom(format!(
            "{wrong:?}: must be one of {}",
            SecrecyField::ALL.map(SecrecyField::word).join(", ")
        ))),
    }
}

fn read_hours<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Hours, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    Hours::parse(&texts).map_err(serde::de::Error::custom)
}

fn write_hours<S: Serializer>(hours: &Hours, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(hours.texts())
}

fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TimeOfDay, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse()
        .map_err(|_| serde::de::Error::custom(format!("{text:?}: must be a time such as 11:30")))
}

fn write_time<S: Serializer>(time: &TimeOfDay, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}
