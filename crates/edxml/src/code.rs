//! Code lists: statuses, urgency, business document types (reference sections e, f, g).

use std::fmt;

/// A status code, 00 to 99; those of section f.2 have a meaning, the others are kept as unknown.
///
/// ```
/// use edxml::StatusCode;
/// assert_eq!(StatusCode::parse("3"), StatusCode::parse("03"));
/// assert_eq!(StatusCode::ACCEPTED.to_string(), "03");
/// assert!(!StatusCode::parse("07").unwrap().is_known());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusCode(u8);

impl StatusCode {
    /// 01, đã đến: the receiver's system has it.
    pub const ARRIVED: StatusCode = StatusCode(1);
    /// 02, từ chối tiếp nhận: refused or returned, with a reason.
    pub const REJECTED: StatusCode = StatusCode(2);
    /// 03, đã tiếp nhận: accepted and registered.
    pub const ACCEPTED: StatusCode = StatusCode(3);
    /// 04, phân công: assigned by a leader.
    pub const ASSIGNED: StatusCode = StatusCode(4);
    /// 05, đang xử lý: in progress.
    pub const PROCESSING: StatusCode = StatusCode(5);
    /// 06, hoàn thành: finished.
    pub const FINISHED: StatusCode = StatusCode(6);
    /// 13, lấy lại: the *sender* asks to take the document back.
    pub const TAKE_BACK: StatusCode = StatusCode(13);
    /// 15, đồng ý: the receiver agrees to take-back or update.
    pub const AGREED: StatusCode = StatusCode(15);
    /// 16, từ chối: the receiver declines take-back or update.
    pub const DECLINED: StatusCode = StatusCode(16);

    /// The code with this number, 0..=99.
    pub fn new(number: u8) -> Option<StatusCode> {
        (number <= 99).then_some(StatusCode(number))
    }

    /// Reads one or two digits, white space around them ignored.
    pub fn parse(text: &str) -> Option<StatusCode> {
        match *text.trim().as_bytes() {
            [ones @ b'0'..=b'9'] => Some(StatusCode(ones - b'0')),
            [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
                Some(StatusCode((tens - b'0') * 10 + ones - b'0'))
            }
            _ => None,
        }
    }

    /// The number, 0..=99.
    pub fn number(self) -> u8 {
        self.0
    }

    /// Whether section f.2 gives the code a meaning.
    pub fn is_known(self) -> bool {
        matches!(self.0, 1..=6 | 13 | 15 | 16)
    }

    /// Whether a reason is due in Description: 02, 13 and 16.
    pub fn needs_reason(self) -> bool {
        matches!(
            self,
            StatusCode::REJECTED | StatusCode::TAKE_BACK | StatusCode::DECLINED
        )
    }

    /// The Vietnamese name; "không rõ" for a code without a meaning.
    pub fn label_vi(self) -> &'static str {
        match self.0 {
            1 => "đã đến",
            2 => "từ chối tiếp nhận",
            3 => "đã tiếp nhận",
            4 => "phân công",
            5 => "đang xử lý",
            6 => "hoàn thành",
            13 => "lấy lại",
            15 => "đồng ý",
            16 => "từ chối",
            _ => "không rõ",
        }
    }

    /// The English name; "unknown" for a code without a meaning.
    pub fn label_en(self) -> &'static str {
        match self.0 {
            1 => "arrived",
            2 => "rejected",
            3 => "accepted",
            4 => "assigned",
            5 => "processing",
            6 => "finished",
            13 => "take back",
            15 => "agreed",
            16 => "declined",
            _ => "unknown",
        }
    }
}

impl fmt::Display for StatusCode {
    /// Two digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.0)
    }
}

/// Urgency of a document (`OtherInfo/Priority`, section g.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// 0, thường.
    #[default]
    Ordinary = 0,
    /// 1, khẩn.
    Urgent = 1,
    /// 2, thượng khẩn.
    VeryUrgent = 2,
    /// 3, hỏa tốc.
    Express = 3,
    /// 4, hỏa tốc hẹn giờ: not in Decree 30/2020, still met.
    ExpressAtHour = 4,
}

impl Priority {
    /// All, from 0 to 4.
    pub const ALL: [Priority; 5] = [
        Priority::Ordinary,
        Priority::Urgent,
        Priority::VeryUrgent,
        Priority::Express,
        Priority::ExpressAtHour,
    ];

    /// The level's number on the wire, 0..=4.
    pub fn level(self) -> u8 {
        self as u8
    }

    /// The level with this number.
    pub fn new(level: u8) -> Option<Priority> {
        Priority::ALL.get(usize::from(level)).copied()
    }

    /// The Vietnamese name.
    pub fn label_vi(self) -> &'static str {
        match self {
            Priority::Ordinary => "thường",
            Priority::Urgent => "khẩn",
            Priority::VeryUrgent => "thượng khẩn",
            Priority::Express => "hỏa tốc",
            Priority::ExpressAtHour => "hỏa tốc hẹn giờ",
        }
    }

    /// The English name.
    pub fn label_en(self) -> &'static str {
        match self {
            Priority::Ordinary => "ordinary",
            Priority::Urgent => "urgent",
            Priority::VeryUrgent => "very urgent",
            Priority::Express => "express",
            Priority::ExpressAtHour => "express at a set hour",
        }
    }
}

/// What a document package is for (`BussinessDocType`, section e).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum BusinessKind {
    /// 0, văn bản điện tử mới: a new document; also when nothing is said.
    #[default]
    New = 0,
    /// 1, thu hồi: takes a document back.
    Recall = 1,
    /// 2, cập nhật: changes a document or its receivers.
    Update = 2,
    /// 3, thay thế: takes the place of one or more documents.
    Replace = 3,
}

impl BusinessKind {
    /// All, from 0 to 3.
    pub const ALL: [BusinessKind; 4] = [
        BusinessKind::New,
        BusinessKind::Recall,
        BusinessKind::Update,
        BusinessKind::Replace,
    ];

    /// The number on the wire, 0..=3.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The kind with this number.
    pub fn new(number: u8) -> Option<BusinessKind> {
        BusinessKind::ALL.get(usize::from(number)).copied()
    }

    /// The Vietnamese name.
    pub fn label_vi(self) -> &'static str {
        match self {
            BusinessKind::New => "văn bản mới",
            BusinessKind::Recall => "thu hồi",
            BusinessKind::Update => "cập nhật",
            BusinessKind::Replace => "thay thế",
        }
    }

    /// The English name.
    pub fn label_en(self) -> &'static str {
        match self {
            BusinessKind::New => "new document",
            BusinessKind::Recall => "recall",
            BusinessKind::Update => "update",
            BusinessKind::Replace => "replacement",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_code_has_its_meaning() {
        let known = [
            (1, "đã đến", "arrived", false),
            (2, "từ chối tiếp nhận", "rejected", true),
            (3, "đã tiếp nhận", "accepted", false),
            (4, "phân công", "assigned", false),
            (5, "đang xử lý", "processing", false),
            (6, "hoàn thành", "finished", false),
            (13, "lấy lại", "take back", true),
            (15, "đồng ý", "agreed", false),
            (16, "từ chối", "declined", true),
        ];
        for number in 0..=99u8 {
            let code = StatusCode::new(number).unwrap();
            assert_eq!(StatusCode::parse(&format!("{number:02}")), Some(code));
            assert_eq!(StatusCode::parse(&format!(" {number} ")), Some(code));
            assert_eq!(code.to_string(), format!("{number:02}"));
            let (vi, en, reason) = known
                .iter()
                .find(|row| row.0 == number)
                .map_or(("không rõ", "unknown", false), |row| {
                    (row.1, row.2, row.3)
                });
            assert_eq!(
                (code.label_vi(), code.label_en(), code.needs_reason()),
                (vi, en, reason)
            );
            assert_eq!(code.is_known(), vi != "không rõ");
        }
        assert_eq!(StatusCode::new(100), None);
        for text in ["", "100", "-1", "+1", "1.", "0x", "một", "٣"] {
            assert_eq!(StatusCode::parse(text), None, "{text}");
        }
    }

    #[test]
    fn levels_and_kinds_go_there_and_back() {
        for level in 0..=255u8 {
            let priority = Priority::new(level);
            assert_eq!(priority.is_some(), level <= 4);
            assert!(priority.is_none_or(|p| p.level() == level && !p.label_en().is_empty()));
            let kind = BusinessKind::new(level);
            assert_eq!(kind.is_some(), level <= 3);
            assert!(kind.is_none_or(|k| k.number() == level && !k.label_vi().is_empty()));
        }
    }
}
