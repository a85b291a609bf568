//! Findings of the cursor: what is told about which element, and where that stands.

use std::io::BufRead;

use super::{Cursor, Frame, Place, Token};
use crate::detail::Detail;
use crate::finding::{Finding, FindingCode, Position};
use crate::identifier::AgencyCode;
use crate::name::Name;
use crate::namespace::Space;
use crate::text::name_of;

impl<R: BufRead> Cursor<'_, R> {
    // ---- findings -------------------------------------------------------------------------

    /// A fatal finding where the present token began.
    pub(crate) fn stop_here<'d>(
        &mut self,
        code: FindingCode,
        detail: impl Into<Detail<'d>>,
    ) -> Token {
        let at = self.source().token_mark();
        self.stop(code, at, detail)
    }

    pub(crate) fn stop<'d>(
        &mut self,
        code: FindingCode,
        at: Position,
        detail: impl Into<Detail<'d>>,
    ) -> Token {
        let place = Place {
            at,
            path: self.path(),
        };
        self.tell_at(code, &place, detail);
        self.stopped = true;
        Token::End
    }

    /// A finding about the element on top.
    pub(crate) fn tell<'d>(&mut self, code: FindingCode, detail: impl Into<Detail<'d>>) {
        if self.findings.room(code) {
            let place = self.place();
            let finding = Finding::new(code, place.path, place.at, detail);
            self.findings.list.push(finding);
        }
    }

    /// A finding about the element closed last.
    pub(crate) fn tell_last<'d>(&mut self, code: FindingCode, detail: impl Into<Detail<'d>>) {
        if self.findings.room(code) {
            let place = self.last_place();
            let finding = Finding::new(code, place.path, place.at, detail);
            self.findings.list.push(finding);
        }
    }

    pub(crate) fn tell_at<'d>(
        &mut self,
        code: FindingCode,
        place: &Place,
        detail: impl Into<Detail<'d>>,
    ) {
        if self.findings.room(code) {
            let finding = Finding::new(code, place.path.clone(), place.at, detail);
            self.findings.list.push(finding);
        }
    }

    /// A finding that a child of the place is missing, or is there without a text: at the child in
    /// that case.
    pub(crate) fn tell_missing<'d>(
        &mut self,
        code: FindingCode,
        place: &Place,
        child: &str,
        detail: impl Into<Detail<'d>>,
    ) {
        if self.findings.room(code) {
            let path = format!("{}/{child}", place.path);
            let blank = self.blanks.iter().find(|blank| blank.path == path);
            let at = blank.map_or(place.at, |blank| blank.at);
            let finding = Finding::new(code, path, at, detail);
            self.findings.list.push(finding);
        }
    }

    /// A finding that one agency is named here where another was named before.
    pub(crate) fn tell_contradiction(
        &mut self,
        place: &Place,
        before: &AgencyCode,
        now: &AgencyCode,
    ) {
        if before.is_blank() || now.is_blank() || before.canonical() == now.canonical() {
            return;
        }
        let detail = format!("OrganId ({before}, {now})");
        self.tell_at(FindingCode::Contradiction, place, Detail::value(detail));
    }

    /// A known element where it does not belong, on top; or an unknown one.
    pub(crate) fn tell_misplaced(&mut self) {
        let Some(frame) = self.frames.last().copied() else {
            return;
        };
        let code = match frame.name {
            Name::Unknown => FindingCode::UnknownElement,
            _ => FindingCode::MisplacedElement,
        };
        let label = self.label(&frame).to_owned();
        self.tell(code, &label);
    }

    pub(super) fn tell_unbound(&mut self, prefix: &str) {
        if self.told_prefixes.len() < 16 && !self.told_prefixes.iter().any(|p| p == prefix) {
            self.told_prefixes.push(prefix.to_owned());
            self.tell(FindingCode::UnboundPrefix, prefix);
        }
    }

    pub(super) fn check_space(&mut self, space: Space) {
        match space {
            Space::Qcvn | Space::None => {}
            Space::Unbound => {
                let prefix = self.top_prefix().to_owned();
                self.tell_unbound(&prefix);
            }
            // Root and envelope are judged by whoever reads them.
            _ if self.frames.len() <= 2 => {}
            _ if self.findings.has(FindingCode::ForeignNamespace) => {}
            _ => {
                let uri = self.namespaces.uri(self.top_prefix()).to_owned();
                self.tell(FindingCode::ForeignNamespace, &uri);
            }
        }
    }

    pub(super) fn check_spelling(&mut self, name: Name, spelling: &'static str, parent: Name) {
        let code = match (name, spelling) {
            (Name::Business, "Business")
            | (Name::BusinessDocType, "BusinessDocType")
            | (Name::BusinessDocReason, "BusinessDocReason")
            | (Name::BusinessDocumentInfo, "BusinessDocumentInfo") => FindingCode::BusinessSpelling,
            (Name::MessageHeader, "Status") => FindingCode::OlderSpelling,
            (Name::OrganizationInCharge, "OrganInCharge")
            | (Name::Position, "Function")
            | (Name::Timestamp, "TimeStamp")
            | (Name::Header, "edXmlHeader" | "EdXMLHeader")
            | (Name::Body, "edXmlBody" | "EdXMLBody") => FindingCode::OlderSpelling,
            (Name::PromulgationDate, "Date") if parent == Name::PromulgationInfo => {
                FindingCode::OlderSpelling
            }
            (Name::SignerInfo, "Author") if parent == Name::MessageHeader => {
                FindingCode::OlderSpelling
            }
            _ => return,
        };
        // One word on the spelling of Bussiness is enough.
        if code == FindingCode::OlderSpelling || !self.findings.has(code) {
            self.tell(code, spelling);
        }
    }

    /// Flags odd characters in a text that is kept; never changes it.
    pub(super) fn check_text(&mut self) {
        if !self.marked {
            return;
        }
        if self.text.contains('\u{FFFD}') && !self.findings.has(FindingCode::ReplacementCharacter) {
            let text = self.text.clone();
            self.tell_last(FindingCode::ReplacementCharacter, &text);
        }
        let control = self.text.chars().find(|c| matches!(c, '\u{7F}'..='\u{9F}'));
        if let Some(control) = control {
            self.tell_last(FindingCode::ControlCharacter, &name_of(u32::from(control)));
        }
    }

    // ---- places ---------------------------------------------------------------------------

    pub(super) fn label<'a>(&'a self, frame: &Frame) -> &'a str {
        let written = frame.written;
        self.written.get(written.local..written.to).unwrap_or("?")
    }

    /// The local name, as sent, of the element on top.
    pub(crate) fn top_label(&self) -> &str {
        self.frames.last().map_or("", |frame| self.label(frame))
    }

    /// The prefix, as sent, of the element on top.
    pub(crate) fn top_prefix(&self) -> &str {
        let top = self.frames.last();
        top.map_or("", |frame| self.prefix_of(&frame.written))
    }

    /// Where the envelope stands.
    pub(crate) fn envelope_at(&self) -> Position {
        self.envelope_at
    }

    /// The URI of the namespace of the element whose full name was written with this prefix.
    pub(crate) fn uri(&self, prefix: &str) -> &str {
        self.namespaces.uri(prefix)
    }

    fn push_label(&self, path: &mut String, frame: &Frame) {
        use std::fmt::Write as _;
        if !path.is_empty() {
            path.push('/');
        }
        let label = self.label(frame);
        // A path of a hundred names of hundreds of bytes is no help to anybody.
        match label.char_indices().nth(64) {
            Some((end, _)) => {
                path.push_str(&label[..end]);
                path.push('…');
            }
            None => path.push_str(label),
        }
        if frame.index > 1 {
            // Writing to a String cannot fail.
            let _ = write!(path, "[{}]", frame.index);
        }
    }

    /// The path of the element on top.
    pub(crate) fn path(&self) -> String {
        let mut path = String::with_capacity(128);
        for frame in &self.frames {
            self.push_label(&mut path, frame);
        }
        path
    }

    /// The place of the element on top.
    pub(crate) fn place(&mut self) -> Place {
        Place {
            at: self.top_at(),
            path: self.path(),
        }
    }

    /// Where the element on top begins.
    pub(crate) fn top_at(&mut self) -> Position {
        match self.frames.last() {
            None => Position::default(),
            Some(frame) => match frame.at {
                Some(at) => at,
                None => self.source().pinned(),
            },
        }
    }

    /// Where the root begins.
    pub(crate) fn root_at(&mut self) -> Position {
        match self.frames.first().and_then(|root| root.at) {
            Some(at) => at,
            None => self.source().pinned(),
        }
    }

    /// The place of the element closed last.
    pub(crate) fn last_place(&mut self) -> Place {
        let mut path = self.path();
        let Some(last) = self.last else {
            return Place::default();
        };
        self.push_label(&mut path, &last);
        let at = match last.at {
            Some(at) => at,
            None => self.source().pinned(),
        };
        Place { at, path }
    }
}
