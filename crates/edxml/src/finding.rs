//! Findings: what is wrong or odd in a package, where, and what to do about it.
//!
//! Every kind of finding stands once, in the table of `catalog.rs`; code, documentation and tests
//! come from there.

use std::fmt;

pub(crate) use crate::catalog::FindingCode;
use crate::detail::Detail;

/// How bad a finding is for the axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Refuses the package.
    Error,
    /// Accepted, but a receiver may stumble over it.
    Warning,
    /// Worth knowing.
    Info,
}

impl Severity {
    /// `"error"`, `"warning"` or `"info"`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
        }
    }
}

/// How much is asked of a package. Each level asks all that the one before does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// It can be read and routed.
    Readable,
    /// What the axis asks; the default.
    Axis,
    /// Nothing that any known receiver stumbles over.
    Strict,
}

impl Level {
    /// `"readable"`, `"axis"` or `"strict"`.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Readable => "readable",
            Level::Axis => "axis",
            Level::Strict => "strict",
        }
    }
}

/// A place in a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Byte offset in the package as sent, from 0.
    pub offset: u64,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl Default for Position {
    fn default() -> Self {
        Position {
            offset: 0,
            line: 1,
            column: 1,
        }
    }
}

/// Something wrong or odd in a package.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// Which kind.
    pub code: FindingCode,
    /// How bad; always the severity of the code.
    pub severity: Severity,
    /// The element, from the root, by local names as sent, `[n]` from the second of a name on:
    /// `edXML/edXMLEnvelope/edXMLHeader/MessageHeader/To[2]/OrganId`. Empty where there is none.
    pub path: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Byte offset in the package as sent, from 0.
    pub offset: u64,
    /// What exactly: the value, the name, the number; where that takes words, in English. At most
    /// 120 characters; may be empty.
    pub detail: String,
    /// The same in Vietnamese; equal to `detail` where that is no words.
    pub detail_vi: String,
}

impl Finding {
    pub(crate) fn new<'d>(
        code: FindingCode,
        path: String,
        at: Position,
        detail: impl Into<Detail<'d>>,
    ) -> Finding {
        let detail = detail.into();
        Finding {
            code,
            severity: code.severity(),
            path,
            line: at.line,
            column: at.column,
            offset: at.offset,
            detail: shorten(&detail.en),
            detail_vi: shorten(detail.vi()),
        }
    }

    /// What is wrong and what to do, in Vietnamese.
    pub fn message_vi(&self) -> String {
        fill(self.code.text_vi(), &self.detail_vi)
    }

    /// What is wrong and what to do, in English.
    pub fn message_en(&self) -> String {
        fill(self.code.text_en(), &self.detail)
    }
}

impl fmt::Display for Finding {
    /// `line:column: severity CODE at path: message in English`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {} {}",
            self.line,
            self.column,
            self.severity.as_str(),
            self.code.as_str()
        )?;
        if !self.path.is_empty() {
            write!(f, " at {}", self.path)?;
        }
        write!(f, ": {}", self.message_en())
    }
}

impl fmt::Display for FindingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FindingCode {
    /// How bad it is for the axis.
    pub fn severity(self) -> Severity {
        match self.refuses_from() {
            Some(Level::Readable | Level::Axis) => Severity::Error,
            Some(Level::Strict) => Severity::Warning,
            None => Severity::Info,
        }
    }

    /// The code with this stable name.
    pub fn parse(name: &str) -> Option<FindingCode> {
        FindingCode::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == name)
    }
}

/// Puts the detail into a text of the table.
fn fill(text: &str, detail: &str) -> String {
    text.replacen("{}", if detail.is_empty() { "?" } else { detail }, 1)
}

/// One line of at most 120 characters.
fn shorten(detail: &str) -> String {
    const MOST: usize = 120;
    // Enough bytes for any 121 characters, so that a huge text is not walked through.
    let head = detail.get(..MOST * 4 + 4).unwrap_or_else(|| {
        let mut end = detail.len().min(MOST * 4);
        while !detail.is_char_boundary(end) {
            end -= 1;
        }
        &detail[..end]
    });
    let mut line: String = head
        .trim()
        .chars()
        .take(MOST)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if line.len() < detail.trim().len() {
        line.pop();
        line.push('…');
    }
    line
}

/// Findings under way, counted where they are too many.
#[derive(Debug)]
pub(crate) struct Findings {
    pub(crate) list: Vec<Finding>,
    pub(crate) dropped: u64,
    errors: usize,
    most: usize,
}

impl Findings {
    pub(crate) fn new(most: usize) -> Findings {
        Findings {
            list: Vec::new(),
            dropped: 0,
            errors: 0,
            most: most.max(1),
        }
    }

    /// Whether one more with this code is kept; counts it if not. Ask before making a path.
    pub(crate) fn room(&mut self, code: FindingCode) -> bool {
        let error = code.severity() == Severity::Error;
        let kept = if error {
            self.errors
        } else {
            self.list.len() - self.errors
        };
        if kept >= self.most {
            self.dropped += 1;
            return false;
        }
        self.errors += usize::from(error);
        true
    }

    /// Whether an error is among them.
    pub(crate) fn refuse(&self) -> bool {
        self.errors > 0
    }

    pub(crate) fn has(&self, code: FindingCode) -> bool {
        self.list.iter().any(|finding| finding.code == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_cut_to_one_short_line() {
        assert_eq!(shorten("  a\nb "), "a b");
        let long = shorten(&"ế".repeat(500_000));
        assert_eq!(long.chars().count(), 120);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn findings_beyond_the_limit_are_counted_and_errors_keep_their_room() {
        let mut findings = Findings::new(2);
        for code in [FindingCode::UnknownElement; 5]
            .iter()
            .chain(&[FindingCode::NoTo; 3])
        {
            if findings.room(*code) {
                let finding = Finding::new(*code, String::new(), Position::default(), "");
                findings.list.push(finding);
            }
        }
        assert_eq!((findings.list.len(), findings.dropped), (4, 4));
        assert!(findings.has(FindingCode::NoTo));
    }
}
