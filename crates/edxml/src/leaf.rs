//! Values of elements without children: texts, numbers, dates, codes.

use std::io::BufRead;

use crate::cursor::Cursor;
use crate::detail::Detail;
use crate::finding::FindingCode;
use crate::identifier::AgencyCode;
use crate::text::is_legacy;
use crate::time::{Date, Timestamp};

impl<R: BufRead> Cursor<'_, R> {
    /// Prose, as sent, of at most `most` characters before a warning.
    pub(crate) fn prose(&mut self, most: usize) -> Option<String> {
        self.prose_within(most, most)
    }

    /// Prose of at most `most` characters before a warning, where some receivers keep only `some`.
    pub(crate) fn prose_within(&mut self, some: usize, most: usize) -> Option<String> {
        let text = self.read_text()?;
        // The count of characters is never above that of bytes.
        let length = match text.len() > some {
            true => text.trim().chars().count(),
            false => 0,
        };
        let text = text.to_owned();
        self.tell_length(length, some, most);
        if is_legacy(&text) {
            self.tell_last(FindingCode::LegacyText, &text);
        }
        Some(text)
    }

    fn tell_length(&mut self, length: usize, some: usize, most: usize) {
        if length > most {
            self.tell_last(FindingCode::ValueTooLong, &most.to_string());
        } else if length > some {
            self.tell_last(FindingCode::ValueLong, &some.to_string());
        }
    }

    /// A decimal number of at most three digits before a warning.
    pub(crate) fn amount(&mut self) -> Option<u32> {
        let number = self.number();
        if number.is_some_and(|number| number > 999) {
            self.tell_last(FindingCode::ValueTooLong, "3");
        }
        number
    }

    /// An identifier, number or file name: trimmed.
    pub(crate) fn trimmed(&mut self, most: usize) -> Option<String> {
        self.trimmed_within(most, most)
    }

    /// The same, where some receivers keep only `some` characters.
    pub(crate) fn trimmed_within(&mut self, some: usize, most: usize) -> Option<String> {
        let text = self.read_text()?.trim();
        let length = match text.len() > some {
            true => text.chars().count(),
            false => 0,
        };
        let text = text.to_owned();
        self.tell_length(length, some, most);
        Some(text)
    }

    /// An agency code, as sent.
    pub(crate) fn agency(&mut self) -> Option<AgencyCode> {
        let code = AgencyCode::new(self.read_text()?);
        if let Err(why) = code.check() {
            let detail = Detail::words(
                format!("{code}: {why}"),
                format!("{code}: {}", why.text_vi()),
            );
            self.tell_last(FindingCode::IrregularAgencyCode, detail);
        } else if code.as_str().len() > 13 {
            // The length of Decree 30/2020; a code of Decision 20/2020 may have 35.
            self.tell_last(FindingCode::ValueLong, "13");
        }
        Some(code)
    }

    /// An agency code where anything goes: a trace header.
    pub(crate) fn trace_agency(&mut self) -> Option<AgencyCode> {
        self.read_text().map(AgencyCode::new)
    }

    /// A decimal number.
    pub(crate) fn number(&mut self) -> Option<u32> {
        let Some(text) = self.read_text() else {
            self.tell_empty_number();
            return None;
        };
        let digits = text.trim();
        let number = digits.parse().ok().filter(|_| plain_digits(digits));
        let text = (number.is_none() || digits.len() != text.len()).then(|| text.to_owned());
        match (number, text) {
            (None, text) => {
                self.tell_last(FindingCode::BadNumber, &text.unwrap_or_default());
            }
            (Some(_), Some(text)) => {
                self.tell_last(FindingCode::NumberWithSpaces, &text);
            }
            (Some(_), None) => {}
        }
        number
    }

    /// The number closed last has no digits at all.
    pub(crate) fn tell_empty_number(&mut self) {
        if !self.stopped() {
            self.tell_last(FindingCode::EmptyNumber, "");
        }
    }

    /// 0 or 1, false or true.
    pub(crate) fn flag(&mut self) -> Option<bool> {
        let text = self.read_text()?;
        let flag = match text.trim() {
            "0" | "false" | "False" => Some(false),
            "1" | "true" | "True" => Some(true),
            _ => None,
        };
        if flag.is_none() {
            let text = text.to_owned();
            self.tell_last(FindingCode::BadFlag, &text);
        }
        flag
    }

    /// A date; `unreadable` is what to say if it is none.
    pub(crate) fn date(&mut self, unreadable: FindingCode) -> Option<Date> {
        let text = self.read_text()?;
        let date = Date::parse(text);
        if date.as_ref().is_some_and(|date| date.standard) {
            return date;
        }
        let text = text.to_owned();
        let code = match date {
            Some(_) => FindingCode::NonstandardDate,
            None => unreadable,
        };
        self.tell_last(code, &text);
        date
    }

    /// A time.
    pub(crate) fn time(&mut self) -> Option<Timestamp> {
        let text = self.read_text()?;
        let time = Timestamp::parse(text);
        if time.as_ref().is_some_and(|time| time.standard) {
            return time;
        }
        let text = text.to_owned();
        let code = match time {
            Some(_) => FindingCode::NonstandardTime,
            None => FindingCode::BadTime,
        };
        self.tell_last(code, &text);
        time
    }
}

/// Digits and nothing else; `parse` alone would let a plus sign through.
pub(crate) fn plain_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}
