//! Documents of all four business types.

use super::{Answered, Built, Error, Reason};
use crate::code::{BusinessKind, Priority};
use crate::document_id::DocumentId;
use crate::identifier::AgencyCode;
use crate::package::{
    self, Business, BusinessInfo, DocumentType, Organ, ReceiverChange, Replacement, Signer, Staff,
    TraceHeader,
};
use crate::time::{Date, Timestamp};
use crate::write::{self, DocumentDraft};

/// What a document package is for (reference section e), with all that its kind asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Purpose {
    /// A new document.
    #[default]
    New,
    /// Takes a document back from the receivers named.
    Recall {
        /// Why.
        reason: Reason,
        /// The document meant; `None` if it is this one, sent again with its own id.
        document: Option<DocumentId>,
    },
    /// Changes a document, its receivers, or both.
    Update {
        /// Why.
        reason: Reason,
        /// The document that is changed.
        document: DocumentId,
        /// Whether what the document says has changed.
        content: bool,
        /// Who joins (`true`) or leaves (`false`) the receivers.
        receivers: Vec<(AgencyCode, bool)>,
    },
    /// Takes the place of other documents.
    Replace {
        /// Why.
        reason: Reason,
        /// The first document replaced; there is one at least.
        first: Replaced,
        /// The others.
        others: Vec<Replaced>,
    },
}

/// A document that is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// Its id.
    pub document: DocumentId,
    /// Those who had received it.
    pub receivers: Vec<AgencyCode>,
}

impl From<Replaced> for Replacement {
    fn from(replaced: Replaced) -> Replacement {
        Replacement {
            document_id: Some(replaced.document.to_string()),
            organ_ids: replaced.receivers,
        }
    }
}

/// `SteeringType` by its usual reading (section b.2, note 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Steering {
    /// 0: no steering document.
    #[default]
    None = 0,
    /// 1: a steering document.
    Steering = 1,
    /// 2: a report on one.
    Report = 2,
}

/// A document under way. Sender, a first receiver, number, notation and date are there from the
/// start; everything else may be added in any order.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    draft: DocumentDraft,
    purpose: Purpose,
    id: Option<DocumentId>,
    staff: Option<Staff>,
    paper: Option<bool>,
}

impl Document {
    /// A new document.
    pub fn new(
        from: Organ,
        to: Organ,
        number: impl Into<String>,
        notation: impl Into<String>,
        date: Date,
    ) -> Document {
        Document {
            draft: DocumentDraft::new(from, vec![to], number, notation, date),
            purpose: Purpose::New,
            id: None,
            staff: None,
            paper: None,
        }
    }

    /// One receiver more. One that is named already stays named once.
    pub fn also_to(&mut self, receiver: Organ) -> &mut Document {
        let to = &mut self.draft.document.to;
        let code = receiver.id.canonical();
        if !to.iter().any(|known| known.id.canonical() == code) {
            to.push(receiver);
        }
        self
    }

    /// The id; without this it is made of sender, date, number and notation, as on the national
    /// axis.
    pub fn id(&mut self, id: DocumentId) -> &mut Document {
        self.id = Some(id);
        self
    }

    /// What the package is for; without this it is a new document.
    pub fn purpose(&mut self, purpose: Purpose) -> &mut Document {
        self.purpose = purpose;
        self
    }

    /// Abstract, trích yếu.
    pub fn subject(&mut self, text: impl Into<String>) -> &mut Document {
        self.draft.document.subject = Some(text.into());
        self
    }

    /// Short content.
    pub fn content(&mut self, text: impl Into<String>) -> &mut Document {
        self.draft.document.content = Some(text.into());
        self
    }

    /// Place of issue.
    pub fn place(&mut self, text: impl Into<String>) -> &mut Document {
        self.draft.document.promulgation.place = Some(text.into());
        self
    }

    /// Kind of document; see [`DocumentType::normative`] and [`DocumentType::administrative`].
    pub fn kind(&mut self, kind: DocumentType) -> &mut Document {
        self.draft.document.document_type = kind;
        self
    }

    /// Who signed.
    pub fn signer(&mut self, signer: Signer) -> &mut Document {
        self.draft.document.signer = signer;
        self
    }

    /// Deadline.
    pub fn due(&mut self, date: Date) -> &mut Document {
        self.draft.document.due_date = Some(date);
        self
    }

    /// Urgency.
    pub fn priority(&mut self, priority: Priority) -> &mut Document {
        self.draft.document.other_info.priority = priority;
        self
    }

    /// Circulation, e.g. internal.
    pub fn sphere(&mut self, text: impl Into<String>) -> &mut Document {
        self.draft.document.other_info.sphere = Some(text.into());
        self
    }

    /// Initials of the typist.
    pub fn typist(&mut self, text: impl Into<String>) -> &mut Document {
        self.draft.document.other_info.typer_notation = Some(text.into());
        self
    }

    /// Numbers of copies issued and of pages.
    pub fn amounts(&mut self, copies: u16, pages: u16) -> &mut Document {
        self.draft.document.other_info.promulgation_amount = Some(copies.into());
        self.draft.document.other_info.page_amount = Some(pages.into());
        self
    }

    /// The name of one annex.
    pub fn appendix(&mut self, name: impl Into<String>) -> &mut Document {
        let appendixes = &mut self.draft.document.other_info.appendixes;
        appendixes.push(name.into());
        self
    }

    /// One line of "Nơi nhận" as printed; not the routing list.
    pub fn place_of_receipt(&mut self, line: impl Into<String>) -> &mut Document {
        self.draft.document.to_places.push(line.into());
        self
    }

    /// A document that this one answers.
    pub fn answers(&mut self, answered: Answered) -> &mut Document {
        self.draft.document.response_for.push(answered.0);
        self
    }

    /// Whether it steers; without this it does not.
    pub fn steering(&mut self, steering: Steering) -> &mut Document {
        self.draft.document.steering_type = Some(steering as u32);
        self
    }

    /// The person in charge.
    pub fn staff(&mut self, staff: Staff) -> &mut Document {
        self.staff = Some(staff);
        self
    }

    /// Whether a copy on paper is sent, too.
    pub fn paper(&mut self, paper: bool) -> &mut Document {
        self.paper = Some(paper);
        self
    }

    /// Attaches a file in the manner of the national SDK; see
    /// [`DocumentDraft::attach_as_sdk`].
    ///
    /// # Errors
    /// [`Error::Zip`] if the file cannot be packed: it has 4 GiB or more.
    pub fn attach(
        &mut self,
        name: impl Into<String>,
        bytes: Vec<u8>,
    ) -> Result<&mut Document, Error> {
        let _ = self.draft.attach_as_sdk(name, bytes)?;
        Ok(self)
    }

    /// Attaches a file as it is, declared with this MIME type.
    pub fn attach_raw(
        &mut self,
        name: impl Into<String>,
        content_type: impl Into<String>,
        bytes: Vec<u8>,
    ) -> &mut Document {
        let _ = self.draft.attach(name, content_type, bytes);
        self
    }

    /// What an answer or a status says to name this document.
    ///
    /// # Errors
    /// [`Error::Id`] if it has no id and none can be made.
    pub fn answered(&self) -> Result<Answered, Error> {
        let document = &self.draft.document;
        let answered = Answered::new(document.from.id.clone(), &self.own_id()?);
        Ok(match &document.promulgation.date {
            Some(date) => answered.numbered(document.code.to_string(), date.clone()),
            None => answered,
        })
    }

    /// Writes the package, as sent at this time, and reads it back.
    ///
    /// # Errors
    /// If no id can be made, a text cannot stand in XML, or the axis would refuse the package: an
    /// empty agency code or number, for example.
    pub fn finish(&self, sent: &Timestamp) -> Result<Built, Error> {
        let mut draft = self.draft.clone();
        let document = &mut draft.document;
        document.document_id = Some(self.own_id()?.to_string());
        document.business = self.business();
        document.trace = vec![TraceHeader {
            organ_id: Some(document.from.id.clone()),
            timestamp: Some(sent.clone()),
        }];
        match write::document_or_illegal(&draft) {
            Ok(bytes) => Built::checked(bytes),
            Err((field, character)) => Err(Error::IllegalCharacter { field, character }),
        }
    }

    fn own_id(&self) -> Result<DocumentId, Error> {
        let package::Document {
            from,
            code,
            promulgation,
            ..
        } = &self.draft.document;
        match (&self.id, &promulgation.date) {
            (Some(id), _) => Ok(id.clone()),
            (None, Some(date)) => Ok(DocumentId::axis(&from.id, date, &code.to_string())?),
            // There is a date from the start.
            (None, None) => Ok(DocumentId::parse(&code.to_string())),
        }
    }

    fn business(&self) -> Business {
        let mut business = Business {
            staff: self.staff.clone(),
            paper: self.paper.map(u32::from),
            ..Business::default()
        };
        let reason = match self.purpose.clone() {
            Purpose::New => return business,
            Purpose::Recall { reason, document } => {
                business.kind = BusinessKind::Recall;
                business.document_id = document.map(|id| id.to_string());
                reason
            }
            Purpose::Update {
                reason,
                document,
                content,
                receivers,
            } => {
                business.kind = BusinessKind::Update;
                business.document_id = Some(document.to_string());
                business.info = BusinessInfo {
                    document: Some(content),
                    receivers: Some(!receivers.is_empty()),
                };
                let change = |(organ_id, joins)| ReceiverChange {
                    organ_id,
                    added: Some(joins),
                };
                business.receivers = receivers.into_iter().map(change).collect();
                reason
            }
            Purpose::Replace {
                reason,
                first,
                others,
            } => {
                business.kind = BusinessKind::Replace;
                let replaced = std::iter::once(first).chain(others);
                business.replacements = replaced.map(Replacement::from).collect();
                reason
            }
        };
        business.reason = Some(reason.0);
        business
    }
}
