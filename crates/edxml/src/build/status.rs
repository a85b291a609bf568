//! Statuses: what a receiver reports, and what a sender asks back.

use super::{Answered, Built, Error, Reason};
use crate::code::StatusCode;
use crate::identifier::AgencyCode;
use crate::package::{Organ, Staff};
use crate::time::Timestamp;
use crate::write::{self, StatusDraft};

/// What a receiver reports (reference section f.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// 01, đã đến.
    Arrived,
    /// 02, từ chối tiếp nhận.
    Rejected(Reason),
    /// 03, đã tiếp nhận.
    Accepted,
    /// 04, phân công.
    Assigned,
    /// 05, đang xử lý.
    Processing,
    /// 06, hoàn thành.
    Finished,
    /// 15, đồng ý: to give back or to update.
    Agreed,
    /// 16, từ chối: to give back or to update.
    Declined(Reason),
}

impl Report {
    /// The code.
    pub fn code(&self) -> StatusCode {
        match self {
            Report::Arrived => StatusCode::ARRIVED,
            Report::Rejected(_) => StatusCode::REJECTED,
            Report::Accepted => StatusCode::ACCEPTED,
            Report::Assigned => StatusCode::ASSIGNED,
            Report::Processing => StatusCode::PROCESSING,
            Report::Finished => StatusCode::FINISHED,
            Report::Agreed => StatusCode::AGREED,
            Report::Declined(_) => StatusCode::DECLINED,
        }
    }

    fn into_reason(self) -> Option<Reason> {
        match self {
            Report::Rejected(reason) | Report::Declined(reason) => Some(reason),
            _ => None,
        }
    }
}

/// A status under way.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    from: Organ,
    about: Answered,
    code: StatusCode,
    description: Option<String>,
    staff: Option<Staff>,
}

impl Status {
    /// A receiver's report on a document, to its sender.
    pub fn report(from: Organ, about: Answered, report: Report) -> Status {
        Status {
            from,
            about,
            code: report.code(),
            description: report.into_reason().map(|reason| reason.0),
            staff: None,
        }
    }

    /// 13, lấy lại: the sender of a document asks one of its receivers to give it back.
    pub fn take_back(
        sender: Organ,
        about: Answered,
        receiver: impl Into<AgencyCode>,
        reason: Reason,
    ) -> Status {
        let mut about = about;
        about.0.organ_id = receiver.into();
        Status {
            from: sender,
            about,
            code: StatusCode::TAKE_BACK,
            description: Some(reason.0),
            staff: None,
        }
    }

    /// A remark; behind the reason where there is one.
    #[must_use]
    pub fn note(mut self, text: impl AsRef<str>) -> Status {
        let text = text.as_ref();
        self.description = match self.description.take() {
            Some(before) => Some(format!("{before}\n{text}")),
            None => Some(text.to_owned()),
        };
        self
    }

    /// The clerk.
    #[must_use]
    pub fn staff(mut self, staff: Staff) -> Status {
        self.staff = Some(staff);
        self
    }

    /// Writes the package, as of this time, and reads it back.
    ///
    /// # Errors
    /// If a text cannot stand in XML, or the axis would refuse the package: an empty agency code,
    /// for example.
    pub fn finish(&self, at: &Timestamp) -> Result<Built, Error> {
        let draft = StatusDraft {
            from: self.from.clone(),
            response_for: self.about.0.clone(),
            staff: self.staff.clone(),
            code: self.code,
            description: self.description.clone(),
            timestamp: at.clone(),
        };
        match write::status_or_illegal(&draft) {
            Ok(bytes) => Built::checked(bytes),
            Err((field, character)) => Err(Error::IllegalCharacter { field, character }),
        }
    }
}
