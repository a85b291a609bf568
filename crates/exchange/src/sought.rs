//! What a search asks of a document's fields (duties EX-05, EX-10, EX-16, TM-05).

use ledger::event::PackageAccepted;
use ledger::id::{AgencyId, DeliveryId};
use ledger::time::Ms;
use ledger::{Query, StoredPackage};
use unicode_normalization::UnicodeNormalization as _;

use crate::types::Search;

/// The fields that are looked into, folded once for a search.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sought {
    words: Vec<String>,
    level: Option<u8>,
    paper: Option<bool>,
}

impl Sought {
    pub(crate) fn of(search: &Search) -> Self {
        let text = search.text.as_deref().unwrap_or_default();
        Self {
            words: text.split_whitespace().map(folded).collect(),
            level: search.level,
            paper: search.paper,
        }
    }

    /// Whether a package has what is looked for; a status has none of it.
    pub(crate) fn fits(&self, facts: &PackageAccepted) -> bool {
        if self.words.is_empty() && self.level.is_none() && self.paper.is_none() {
            return true;
        }
        let Some(document) = &facts.document else {
            return false;
        };
        let has_paper = document
            .particulars
            .as_ref()
            .is_some_and(|more| more.paper == Some(1));
        self.level
            .is_none_or(|level| facts.level == u32::from(level))
            && self.paper.is_none_or(|paper| paper == has_paper)
            && self.words_stand_in(facts)
    }

    fn words_stand_in(&self, facts: &PackageAccepted) -> bool {
        if self.words.is_empty() {
            return true;
        }
        let Some(document) = &facts.document else {
            return false;
        };
        let number = format!("{}/{}", document.number, document.notation);
        let mut texts = vec![
            number.as_str(),
            &facts.sender_code,
            &document.document_key,
            &document.promulgation_date,
            &document.subject,
            &document.type_name,
            &document.signer,
            &document.due_date,
        ];
        texts.extend(document.attachments.iter().map(String::as_str));
        if let Some(more) = &document.particulars {
            texts.extend([
                more.content.as_str(),
                &more.place,
                &more.signer_position,
                &more.signer_competence,
                &more.sphere,
                &more.typer_notation,
                &more.reason,
                &more.staff,
                &more.sender_name,
            ]);
            let lists = [&more.to_places, &more.appendixes, &more.answers];
            texts.extend(lists.into_iter().flatten().map(String::as_str));
        }
        let texts: Vec<String> = texts.into_iter().map(folded).collect();
        self.words
            .iter()
            .all(|word| texts.iter().any(|text| text.contains(word)))
    }
}

/// As texts are compared: composed (NFC), without case.
fn folded(text: impl AsRef<str>) -> String {
    text.as_ref().nfc().collect::<String>().to_lowercase()
}

/// Whether a receiver of the document has not ended it by its due moment.
pub(crate) fn is_overdue(query: &Query, package: &StoredPackage, now: Ms) -> bool {
    let due = package
        .facts
        .document
        .as_ref()
        .and_then(|facts| facts.due_at_ms);
    let (Some(due), Some(document)) = (due, package.document_key()) else {
        return false;
    };
    // A receiver that was added later holds the document as those of the first hour do.
    due < now.0
        && query.holders(document).into_iter().any(|(agency, _)| {
            let concerns = query.delivery(DeliveryId::of(package.id, AgencyId(agency.0)));
            concerns.is_some() && query.is_overdue(document, agency, now)
        })
}

#[cfg(test)]
mod tests {
    use ledger::event::{DocumentFacts, Particulars};

    use super::*;

    fn facts() -> PackageAccepted {
        PackageAccepted {
            level: 3,
            document: Some(DocumentFacts {
                number: "12".to_owned(),
                notation: "SNV-VP".to_owned(),
                subject: "V/v b\u{e1}o c\u{e1}o qu\u{fd} IV".to_owned(),
                particulars: Some(Particulars {
                    signer_position: "Ch\u{1ee7} t\u{1ecb}ch".to_owned(),
                    paper: Some(1),
                    ..Particulars::default()
                }),
                ..DocumentFacts::default()
            }),
            ..PackageAccepted::default()
        }
    }

    fn finds(text: &str) -> bool {
        let search = Search {
            text: Some(text.to_owned()),
            ..Search::default()
        };
        Sought::of(&search).fits(&facts())
    }

    #[test]
    fn ex_10_composed_and_decomposed_texts_are_found_alike() {
        for text in [
            "B\u{c1}O C\u{c1}O",
            "ba\u{301}o ca\u{301}o",
            "chu\u{309} ti\u{323}ch",
            "12/snv",
        ] {
            assert!(finds(text), "{text:?}");
        }
        assert!(!finds("bao cao"), "other words than these");
        assert!(!finds("b\u{e1}o xyz"), "every word counts");
    }

    #[test]
    fn level_and_paper_are_told_apart() {
        let by = |level, paper| {
            let search = Search {
                level,
                paper,
                ..Search::default()
            };
            Sought::of(&search).fits(&facts())
        };
        assert!(by(Some(3), Some(true)) && by(None, None));
        assert!(!by(Some(2), None) && !by(None, Some(false)));
    }
}
