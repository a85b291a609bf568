//! The list of agencies as it goes out: exported as a file, published in numbered versions that
//! never change, compared with another list (duties RG-04, NB-07).

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use jiff::civil::Date;
use ledger::event::{AgencyState, ListPublished, ListSent};
use ledger::id::AgencyId;
use ledger::publication::Published;
use ledger::registry::{Registry, canonical_code};
use ledger::time::Ms;
use ledger::{Command, Fact};
use lists::{Comparison, Difference, Entry, Format, State};
use sha2::{Digest as _, Sha256};

use crate::refusal::{Name, Refusal};
use crate::service::{Exchange, Inner, Operator, refused_commit, refused_query};
use crate::types::ImportProblem;

/// Bytes of a note or of a document's number.
const MAX_NOTE: usize = 120;

/// A published version with its content.
#[derive(Debug)]
pub struct Publication {
    /// Its facts.
    pub about: Published,
    /// Its JSON form, whose SHA-256 stands in its facts.
    pub json: Bytes,
    /// The same as CSV.
    pub csv: Bytes,
    /// Its agencies.
    pub entries: Vec<Entry>,
    /// Where an agency stands among them, by each of its codes.
    by_code: HashMap<String, usize>,
}

impl Publication {
    fn new(about: Published, json: Bytes, entries: Vec<Entry>) -> Result<Self, Refusal> {
        let csv = lists::write(&entries, Format::Csv).map_err(|error| internal(&error))?;
        let mut by_code = HashMap::new();
        // A code of today comes before one of former times.
        for (at, entry) in entries.iter().enumerate() {
            for code in [&entry.code, &entry.code_2020] {
                by_code.entry(canonical_code(code)).or_insert(at);
            }
        }
        for (at, entry) in entries.iter().enumerate() {
            for code in &entry.other_codes {
                by_code.entry(canonical_code(code)).or_insert(at);
            }
        }
        Ok(Self {
            about,
            json,
            csv: csv.into(),
            entries,
            by_code,
        })
    }

    /// The agency with this code, in any of its forms.
    #[must_use]
    pub fn agency(&self, code: &str) -> Option<&Entry> {
        let code = canonical_code(code);
        let at = self.by_code.get(&code).filter(|_| !code.is_empty())?;
        self.entries.get(*at)
    }
}

/// Which list is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edition {
    /// As it stands now.
    Now,
    /// As it stood, or will stand, at a moment.
    At(Ms),
    /// A published version.
    Version(u64),
}

/// A list beside the registry.
#[derive(Debug, Clone, Default)]
pub struct Compared {
    /// What was found; empty if the list has problems.
    pub found: Comparison,
    /// What is wrong with the list.
    pub problems: Vec<ImportProblem>,
}

/// What the exchange keeps for publishing.
#[derive(Debug, Default)]
pub(crate) struct Publishing {
    /// One publication at a time: the next number is that of the last and one.
    turn: tokio::sync::Mutex<()>,
    /// The last version that was read, which is the one that is asked for.
    last: std::sync::Mutex<Option<Arc<Publication>>>,
}

/// The list of a registry: by id, agencies that were only seen or asked for left out.
pub(crate) fn entries(registry: &Registry, closed: bool) -> Vec<Entry> {
    let code = |id: AgencyId| {
        registry
            .agency(id)
            .map(|agency| (*agency.code).to_owned())
            .unwrap_or_default()
    };
    let state = |state: AgencyState| match state {
        AgencyState::Approved => Some(State::Approved),
        AgencyState::Active => Some(State::Active),
        AgencyState::Suspended => Some(State::Suspended),
        AgencyState::Closed if closed => Some(State::Closed),
        _ => None,
    };
    let listed = registry.agencies().filter_map(|(_, agency)| {
        let state = state(agency.state())?;
        Some(Entry {
            code: (*agency.code).to_owned(),
            code_2020: (*agency.code_2020).to_owned(),
            other_codes: agency
                .other_codes
                .iter()
                .map(|code| (**code).to_owned())
                .collect(),
            name: (*agency.name).to_owned(),
            parent: agency.parent.map(code).unwrap_or_default(),
            kind: (*agency.kind).to_owned(),
            level: (*agency.level).to_owned(),
            contact: (*agency.contact).to_owned(),
            centre: (*agency.centre).to_owned(),
            state: Some(state),
            successors: agency.successors.iter().copied().map(code).collect(),
            forward: agency.forwards_to_successor.then_some(true),
            effective: None,
            decision: String::new(),
        })
    });
    listed.collect()
}

impl Inner {
    fn list(&self, edition: Edition, closed: bool) -> Vec<Entry> {
        let registry = self.ledger.registry();
        match edition {
            Edition::At(at) => entries(&registry.as_of(at), closed),
            _ => entries(&registry, closed),
        }
    }
}

fn not_published(version: Option<u64>) -> Refusal {
    let (vi, en) = match version {
        Some(version) => (
            format!("Không có phiên bản {version}."),
            format!("There is no version {version}."),
        ),
        None => (
            "Danh mục chưa được công bố lần nào.".to_owned(),
            "The list has not been published yet.".to_owned(),
        ),
    };
    Refusal::new(Name::NotFound).at("version", vi, en)
}

fn fits(argument: &'static str, text: &str) -> Result<(), Refusal> {
    if text.len() <= MAX_NOTE {
        return Ok(());
    }
    Err(Refusal::argument(
        argument,
        format!("Dài quá {MAX_NOTE} byte."),
        format!("Longer than {MAX_NOTE} bytes."),
    ))
}

fn internal(error: &dyn std::fmt::Display) -> Refusal {
    tracing::error!(%error, "a list could not be made");
    Refusal::new(Name::Internal)
}

/// Runs what takes long on a large list, off the runtime's own threads.
pub(crate) async fn off<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(Refusal::new(Name::Internal)))
}

fn json(entries: &[Entry]) -> Result<(Bytes, [u8; 32]), Refusal> {
    let json = lists::write(entries, Format::Json).map_err(|error| internal(&error))?;
    let hash = Sha256::digest(&json).into();
    Ok((json.into(), hash))
}

impl Exchange {
    /// The list as a file, with its SHA-256 and the number of its agencies.
    ///
    /// # Errors
    /// NOT_FOUND for a version that there is not.
    pub async fn export(
        &self,
        format: Format,
        edition: Edition,
        closed: bool,
    ) -> Result<(Bytes, [u8; 32], usize), Refusal> {
        let published = match edition {
            Edition::Version(version) => Some(self.publication(Some(version)).await?),
            _ => None,
        };
        let inner = Arc::clone(&self.inner);
        off(move || {
            let own;
            let entries = match &published {
                Some(published) => &published.entries,
                None => {
                    own = inner.list(edition, closed);
                    &own
                }
            };
            let file = lists::write(entries, format).map_err(|error| internal(&error))?;
            let hash = Sha256::digest(&file).into();
            Ok((file.into(), hash, entries.len()))
        })
        .await
    }

    /// Makes the next version of the list. How to reach an agency is not published.
    ///
    /// # Errors
    /// BAD_ARGUMENT for a note that is too long; the ledger's.
    pub async fn publish(
        &self,
        operator: &Operator,
        note: &str,
        as_of: Option<Ms>,
    ) -> Result<Published, Refusal> {
        fits("note", note)?;
        let _turn = self.inner.publishing.turn.lock().await;
        let inner = Arc::clone(&self.inner);
        let (content, sha256, agencies) = off(move || {
            let mut entries = inner.list(as_of.map_or(Edition::Now, Edition::At), true);
            for entry in &mut entries {
                entry.contact.clear();
            }
            let (json, hash) = json(&entries)?;
            let mut deflated = DeflateEncoder::new(Vec::new(), Compression::default());
            let content = deflated.write_all(&json).and_then(|()| deflated.finish());
            let agencies = u32::try_from(entries.len()).unwrap_or(u32::MAX);
            Ok((content.map_err(|error| internal(&error))?, hash, agencies))
        })
        .await?;
        let last = self.publications().await?;
        let version = last.first().map_or(0, |last| last.version) + 1;
        let now = self.inner.now();
        let published = ListPublished {
            version,
            at_ms: now.0,
            actor: Some(operator.actor("")),
            as_of_ms: as_of.unwrap_or(now).0,
            note: note.to_owned(),
            agencies,
            sha256: Bytes::copy_from_slice(&sha256),
            content: content.into(),
        };
        let command = Command::Note(Fact::ListPublished(Box::new(published)));
        let committed = self.inner.ledger.commit(command).await;
        committed.map_err(|error| refused_commit(&error))?;
        self.about(version).await
    }

    async fn about(&self, version: u64) -> Result<Published, Refusal> {
        let found = self
            .inner
            .ask(move |query| Ok(query.publication(version)))
            .await?;
        found.ok_or_else(|| not_published(Some(version)))
    }

    /// The published versions, the last one first.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn publications(&self) -> Result<Vec<Published>, Refusal> {
        let mut all = self.inner.ask(|query| Ok(query.publications())).await?;
        all.reverse();
        Ok(all)
    }

    /// A published version with its content, the last one if none is named.
    ///
    /// # Errors
    /// NOT_FOUND; CONTENT_DAMAGED if it is not what was published.
    pub async fn publication(&self, version: Option<u64>) -> Result<Arc<Publication>, Refusal> {
        let about = match version {
            Some(version) => self.about(version).await?,
            None => {
                let last = self.publications().await?.into_iter().next();
                last.ok_or_else(|| not_published(None))?
            }
        };
        let kept = &self.inner.publishing.last;
        let last = kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Its facts may have grown by a note that it was sent.
        if let Some(last) = last.filter(|last| last.about == about) {
            return Ok(last);
        }
        let inner = Arc::clone(&self.inner);
        let publication = off(move || {
            let query = inner.ledger.query();
            let content = query
                .published_content(&about)
                .map_err(|error| refused_query(&error))?;
            let content = content.ok_or_else(|| not_published(Some(about.version)))?;
            let mut json = Vec::new();
            let unpacked = DeflateDecoder::new(&content.content[..])
                .take(lists::MAX_INFLATED)
                .read_to_end(&mut json);
            let hash: [u8; 32] = Sha256::digest(&json).into();
            if unpacked.is_err() || hash != about.sha256 {
                tracing::error!(
                    version = about.version,
                    "a published list is not what was published; run `axis verify`"
                );
                return Err(Refusal::new(Name::ContentDamaged));
            }
            let list =
                lists::read(&json).map_err(|_| internal(&"a published list cannot be read"))?;
            let entries = list.rows.into_iter().map(|row| row.entry).collect();
            Publication::new(about, json.into(), entries).map(Arc::new)
        })
        .await?;
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&publication));
        Ok(publication)
    }

    /// Notes that a version was sent to the ministry.
    ///
    /// # Errors
    /// NOT_FOUND; BAD_ARGUMENT without a document's number; the ledger's.
    pub async fn mark_sent(
        &self,
        operator: &Operator,
        version: u64,
        day: Date,
        document: &str,
    ) -> Result<Published, Refusal> {
        fits("document", document)?;
        if document.trim().is_empty() {
            return Err(Refusal::argument(
                "document",
                "Nêu số văn bản đã gửi kèm danh mục.",
                "Name the document that it was sent with.",
            ));
        }
        let _ = self.about(version).await?;
        let sent = ListSent {
            version,
            at_ms: self.inner.now().0,
            actor: Some(operator.actor("")),
            day: days(day),
            document: document.trim().to_owned(),
        };
        let command = Command::Note(Fact::ListSent(Box::new(sent)));
        let committed = self.inner.ledger.commit(command).await;
        committed.map_err(|error| refused_commit(&error))?;
        self.about(version).await
    }

    /// What differs between a version and another, or the list as it stands now.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub async fn publication_difference(
        &self,
        from: u64,
        to: Option<u64>,
    ) -> Result<Difference, Refusal> {
        let from = self.publication(Some(from)).await?;
        let to = match to {
            Some(to) => Some(self.publication(Some(to)).await?),
            None => None,
        };
        let inner = Arc::clone(&self.inner);
        off(move || {
            if let Some(to) = to {
                return Ok(lists::difference(&from.entries, &to.entries));
            }
            let mut now = inner.list(Edition::Now, true);
            now.iter_mut().for_each(|entry| entry.contact.clear());
            Ok(lists::difference(&from.entries, &now))
        })
        .await
    }

    /// Compares the registry with another list, such as the national one.
    ///
    /// # Errors
    /// The runtime's.
    pub async fn compare_list(
        &self,
        file: Bytes,
        format: Option<Format>,
        sheet: String,
    ) -> Result<Compared, Refusal> {
        let inner = Arc::clone(&self.inner);
        off(move || {
            let list = match crate::agency_list::read(&file, format, &sheet) {
                Ok(list) => list,
                Err(problems) => {
                    return Ok(Compared {
                        problems,
                        ..Compared::default()
                    });
                }
            };
            Ok(Compared {
                found: lists::compare(&inner.list(Edition::Now, true), &list.rows),
                problems: Vec::new(),
            })
        })
        .await
    }
}

/// Days since 1970-01-01, as events have them.
fn days(day: Date) -> i32 {
    let since = Date::constant(1970, 1, 1).until(day);
    since.map_or(0, |span| span.get_days())
}
