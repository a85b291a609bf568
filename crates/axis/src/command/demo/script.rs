//! What the demo sends: the samples, each with a DocumentId of its own, and the documents that
//! recall, update and replacement name.

use std::ops::Range;

use edxml::write::DocumentDraft;
use edxml::{Business, Date, Document, Limits, Organ, Package, Priority, Reading};

use super::rules::Rules;

/// A file of the samples.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Its path under `samples`.
    pub(crate) file: &'static str,
    /// Its bytes.
    pub(crate) bytes: &'static [u8],
}

macro_rules! samples {
    ($($name:ident = $file:literal;)*) => {
        $(const $name: Sample = Sample { file: $file, bytes: include_bytes!(concat!("../../../samples/", $file)) };)*
    };
}

samples! {
    NEW = "documents/new.edxml";
    DAY_FIRST = "documents/day-first-date.edxml";
    SPELLED = "documents/spelled-business.edxml";
    NATIONAL = "documents/received-from-national-axis-2025.edxml";
    UPDATE = "documents/update.edxml";
    REPLACEMENT = "documents/replacement.edxml";
    RECALL = "documents/recall.edxml";
    ACCEPTANCE = "status/03-acceptance.edxml";
    PROCESSING = "status/05-processing.edxml";
    FINISH = "status/06-finish.edxml";
    DOCTYPE = "malformed/doctype.edxml";
    JUNK = "malformed/junk-before-declaration.edxml";
    NOT_WELL_FORMED = "malformed/not-well-formed.edxml";
}

/// One package to be pushed.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// Its name on screen.
    pub(crate) file: String,
    /// The bytes to be pushed.
    pub(crate) bytes: Vec<u8>,
    /// `From/OrganId`, as the file has it.
    pub(crate) sender: String,
    /// The receivers that the file itself names: each is owed these bytes.
    pub(crate) receivers: Vec<String>,
    /// The DocumentId it is or reports about.
    pub(crate) document_id: String,
    /// What it is, for people.
    pub(crate) about: String,
}

/// The whole script.
#[derive(Debug)]
pub(crate) struct Script {
    /// Every body that the samples name: code and name.
    pub(crate) agencies: Vec<(String, String)>,
    /// The documents that recall, update and replacement name.
    pub(crate) planted: Vec<Piece>,
    /// The samples, but the recall.
    pub(crate) samples: Vec<Piece>,
    /// A sample as it is: its DocumentId is that of the first planted document.
    pub(crate) conflict: Piece,
    /// What cannot be accepted.
    pub(crate) malformed: [Sample; 3],
    /// The recall of the first planted document.
    pub(crate) recall: Piece,
    /// 03, 05, 06 of a receiver on the document of the story.
    pub(crate) answers: Vec<Piece>,
    /// Sender and DocumentId of the document whose story is told.
    pub(crate) story: (String, String),
    /// Urgency, refusal, recalls, replacement.
    pub(crate) rules: Rules,
}

/// The samples are not as this program was built with them: a fault of the build.
#[derive(Debug, thiserror::Error)]
#[error("the sample {0} cannot be used")]
pub(crate) struct Unusable(pub(super) String);

impl Script {
    /// Reads the samples; `today` (as `2026/11/22`) goes into the ids given.
    ///
    /// # Errors
    /// If a sample is not what it was.
    pub(crate) fn write(today: &str) -> Result<Self, Unusable> {
        let recall = piece(RECALL.file.to_owned(), RECALL.bytes.to_vec())?;
        let priority = document(RECALL)?.other_info.priority;
        let replaced = target(REPLACEMENT)?;
        let planted = vec![
            plant(
                "gốc của văn bản thu hồi",
                &target(RECALL)?,
                "7816",
                (2018, 9, 28),
                priority,
            )?,
            plant(
                "gốc của văn bản cập nhật",
                &target(UPDATE)?,
                "7806",
                (2014, 2, 28),
                priority,
            )?,
            plant(
                "gốc của văn bản thay thế",
                &target(REPLACEMENT)?,
                "7807",
                (2014, 1, 30),
                priority,
            )?,
        ];
        let samples = [NEW, DAY_FIRST, SPELLED, NATIONAL, UPDATE, REPLACEMENT]
            .into_iter()
            .map(|sample| with_own_id(sample, today))
            .collect::<Result<Vec<_>, _>>()?;
        let told = samples
            .get(2)
            .ok_or_else(|| Unusable(SPELLED.file.to_owned()))?;
        let story = (told.sender.clone(), told.document_id.clone());
        let answers = [ACCEPTANCE, PROCESSING, FINISH]
            .into_iter()
            .map(|sample| {
                let reading = read(sample.bytes);
                let bytes = splice(sample, &reading.spans.response_for_document_ids, &story.1)?;
                piece(sample.file.to_owned(), bytes)
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            agencies: agencies(),
            planted,
            samples,
            conflict: piece(SPELLED.file.to_owned(), SPELLED.bytes.to_vec())?,
            malformed: [NOT_WELL_FORMED, JUNK, DOCTYPE],
            rules: Rules::write(&recall, &replaced)?,
            recall,
            answers,
            story,
        })
    }
}

fn read(bytes: &[u8]) -> Reading {
    edxml::read(bytes, &Limits::default())
}

fn document(sample: Sample) -> Result<Document, Unusable> {
    match read(sample.bytes).package {
        Some(Package::Document(document)) => Ok(*document),
        _ => Err(Unusable(sample.file.to_owned())),
    }
}

/// The DocumentId that a recall, an update or a replacement names.
fn target(sample: Sample) -> Result<String, Unusable> {
    let document = document(sample)?;
    let replaced = document
        .business
        .replacements
        .first()
        .and_then(|replaced| replaced.document_id.clone());
    replaced
        .or_else(|| document.target_id().map(str::to_owned))
        .ok_or_else(|| Unusable(sample.file.to_owned()))
}

/// A document of the recall's sender and receivers under a given id.
pub(super) fn plant(
    name: &str,
    id: &str,
    number: &str,
    (year, month, day): (u16, u8, u8),
    priority: Priority,
) -> Result<Piece, Unusable> {
    let unusable = || Unusable(name.to_owned());
    let of = document(RECALL)?;
    let date = Date::new(year, month, day).ok_or_else(unusable)?;
    let mut draft = DocumentDraft::new(of.from, of.to, number, of.code.notation, date);
    draft.document.promulgation.place = of.promulgation.place;
    draft.document.document_type = of.document_type;
    draft.document.subject = of.subject;
    draft.document.content = of.content;
    draft.document.signer = of.signer;
    draft.document.other_info = of.other_info;
    draft.document.other_info.priority = priority;
    draft.document.document_id = Some(id.to_owned());
    draft.document.business = Business::default();
    draft.attach(
        "van-ban.txt",
        "text/plain",
        b"V\xc4\x83n b\xe1\xba\xa3n g\xe1\xbb\x91c".to_vec(),
    );
    piece(name.to_owned(), edxml::write::document(&draft))
}

/// A sample under a DocumentId of its own; no other byte of it changes.
fn with_own_id(sample: Sample, today: &str) -> Result<Piece, Unusable> {
    let reading = read(sample.bytes);
    let sender = reading
        .package
        .as_ref()
        .map(|package| package.from().id.to_string())
        .unwrap_or_default();
    let stem = sample
        .file
        .trim_start_matches("documents/")
        .trim_end_matches(".edxml");
    let spans: Vec<_> = reading.spans.document_id.iter().cloned().collect();
    let bytes = splice(sample, &spans, &format!("{sender},{today},{stem}"))?;
    piece(sample.file.to_owned(), bytes)
}

/// Puts a text in the place of each range; there must be one at least.
fn splice(sample: Sample, ranges: &[Range<u64>], text: &str) -> Result<Vec<u8>, Unusable> {
    let unusable = || Unusable(sample.file.to_owned());
    if ranges.is_empty() {
        return Err(unusable());
    }
    let mut bytes = Vec::with_capacity(sample.bytes.len() + text.len());
    let mut from = 0;
    for range in ranges {
        let start = usize::try_from(range.start).map_err(|_| unusable())?;
        bytes.extend_from_slice(sample.bytes.get(from..start).ok_or_else(unusable)?);
        bytes.extend_from_slice(text.as_bytes());
        from = usize::try_from(range.end).map_err(|_| unusable())?;
    }
    bytes.extend_from_slice(sample.bytes.get(from..).ok_or_else(unusable)?);
    Ok(bytes)
}

/// Reads what the bytes say of themselves; the axis is not asked.
pub(super) fn piece(file: String, bytes: Vec<u8>) -> Result<Piece, Unusable> {
    let reading = read(&bytes);
    if reading.refusal().is_some() {
        return Err(Unusable(file));
    }
    match reading.package {
        Some(Package::Document(document)) => Ok(Piece {
            sender: document.from.id.to_string(),
            receivers: document.to.iter().map(|to| to.id.to_string()).collect(),
            document_id: document.document_id.clone().unwrap_or_default(),
            about: format!(
                "{} ({})",
                document.business.kind.label_vi(),
                document.business.kind.label_en()
            ),
            file,
            bytes,
        }),
        Some(Package::Status(status)) => Ok(Piece {
            sender: status.from.id.to_string(),
            receivers: vec![status.response_for.organ_id.to_string()],
            document_id: status.response_for.document_id.clone().unwrap_or_default(),
            about: format!(
                "{} {} ({})",
                status.code,
                status.code.label_vi(),
                status.code.label_en()
            ),
            file,
            bytes,
        }),
        None => Err(Unusable(file)),
    }
}

/// Every body that the samples name, once, with the first name it is given.
fn agencies() -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut see = |organ: &Organ| {
        let (code, name) = (organ.id.to_string(), organ.name.clone().unwrap_or_default());
        match found.iter_mut().find(|(known, _)| *known == code) {
            Some((_, known)) if known.is_empty() => *known = name,
            Some(_) => {}
            None => found.push((code, name)),
        }
    };
    for sample in [
        RECALL,
        NEW,
        DAY_FIRST,
        SPELLED,
        NATIONAL,
        UPDATE,
        REPLACEMENT,
        ACCEPTANCE,
    ] {
        match read(sample.bytes).package {
            Some(Package::Document(document)) => {
                see(&document.from);
                document.to.iter().for_each(&mut see);
            }
            Some(Package::Status(status)) => see(&status.from),
            None => {}
        }
    }
    for (code, name) in &mut found {
        if name.is_empty() {
            name.clone_from(code);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script() -> Script {
        Script::write("2026/11/22").unwrap()
    }

    #[test]
    fn each_sample_has_an_id_of_its_own_and_no_other_byte_changes() {
        let script = script();
        let mut ids: Vec<_> = script
            .samples
            .iter()
            .chain(&script.planted)
            .map(|piece| &piece.document_id)
            .collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), script.samples.len() + script.planted.len());
        for (piece, sample) in
            script
                .samples
                .iter()
                .zip([NEW, DAY_FIRST, SPELLED, NATIONAL, UPDATE, REPLACEMENT])
        {
            let original = document(sample).unwrap().document_id.unwrap();
            let restored = String::from_utf8(piece.bytes.clone()).unwrap().replacen(
                &piece.document_id,
                &original,
                1,
            );
            assert_eq!(restored.as_bytes(), sample.bytes, "{}", sample.file);
        }
    }

    #[test]
    fn what_recall_update_and_replacement_name_is_planted_first() {
        let script = script();
        let [recalled, updated, replaced] = &script.planted[..] else {
            panic!("three are planted")
        };
        assert_eq!(script.recall.document_id, recalled.document_id);
        assert_eq!(script.conflict.document_id, recalled.document_id);
        assert_eq!(target(UPDATE).unwrap(), updated.document_id);
        assert_eq!(target(REPLACEMENT).unwrap(), replaced.document_id);
        assert!(
            script
                .planted
                .iter()
                .all(|piece| piece.sender == script.recall.sender
                    && piece.receivers == script.recall.receivers)
        );
    }

    #[test]
    fn the_answers_are_about_the_document_of_the_story() {
        let script = script();
        let codes: Vec<_> = script
            .answers
            .iter()
            .map(|answer| &answer.about[..2])
            .collect();
        assert_eq!(codes, ["03", "05", "06"]);
        let told = script
            .samples
            .iter()
            .find(|piece| piece.document_id == script.story.1)
            .unwrap();
        for answer in &script.answers {
            assert_eq!(
                (&answer.document_id, &answer.receivers[..]),
                (&script.story.1, &[told.sender.clone()][..])
            );
            assert!(told.receivers.contains(&answer.sender));
        }
    }

    #[test]
    fn every_agency_is_named_once() {
        let agencies = agencies();
        assert_eq!(agencies.len(), 7);
        assert!(
            agencies
                .iter()
                .all(|(code, name)| !code.is_empty() && !name.is_empty())
        );
    }
}
