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
        let text = self.read_text()?;
        let long = text.len() > most && text.trim().chars().count() > most;
        let text = text.to_owned();
        if long {
            self.tell_last(FindingCode::ValueTooLong, &most.to_string());
        }
        if is_legacy(&text) {
            self.tell_last(FindingCode::LegacyText, &text);
        }
        Some(text)
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
        let text = self.read_text()?.trim();
        let long = text.len() > most && text.chars().count() > most;
        let text = text.to_owned();
        if long {
            self.tell_last(FindingCode::ValueTooLong, &most.to_string());
        }
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
        }
        Some(code)
    }

    /// An agency code where anything goes: a trace header.
    pub(crate) fn trace_agency(&mut self) -> Option<AgencyCode> {
        self.read_text().map(AgencyCode::new)
    }

    /// A decimal number.
    pub(crate) fn number(&mut self) -> Option<u32> {
        let text = self.read_text()?;
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
