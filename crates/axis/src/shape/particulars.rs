//! What else a document says of itself (duty EX-05): every field of its header, as sent.

use api::v1;
use serde::Serialize;

/// The keys of `document` that most lists do without.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Particulars {
    pub(crate) sender_name: Option<String>,
    pub(crate) content: Option<String>,
    pub(crate) place: Option<String>,
    pub(crate) type_class: Option<u32>,
    pub(crate) type_detail: Option<u32>,
    pub(crate) signer_position: Option<String>,
    pub(crate) signer_competence: Option<String>,
    pub(crate) to_places: Vec<String>,
    pub(crate) sphere: Option<String>,
    pub(crate) typer_notation: Option<String>,
    pub(crate) copies: Option<u32>,
    pub(crate) pages: Option<u32>,
    pub(crate) appendixes: Vec<String>,
    pub(crate) paper: Option<u32>,
    pub(crate) steering_type: Option<u32>,
    pub(crate) reason: Option<String>,
    pub(crate) staff: Option<String>,
    pub(crate) answers: Vec<String>,
}

impl From<v1::Particulars> for Particulars {
    fn from(of: v1::Particulars) -> Self {
        let text = |text: String| (!text.is_empty()).then_some(text);
        let number = |number: u32| (number != 0).then_some(number);
        Self {
            sender_name: text(of.sender_name),
            content: text(of.content),
            place: text(of.place),
            type_class: number(of.type_class),
            type_detail: number(of.type_detail),
            signer_position: text(of.signer_position),
            signer_competence: text(of.signer_competence),
            to_places: of.to_places,
            sphere: text(of.sphere),
            typer_notation: text(of.typer_notation),
            copies: number(of.copies),
            pages: number(of.pages),
            appendixes: of.appendixes,
            paper: of.paper,
            steering_type: of.steering_type,
            reason: text(of.reason),
            staff: text(of.staff),
            answers: of.answers,
        }
    }
}
