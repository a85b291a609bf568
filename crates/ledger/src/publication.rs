//! Published versions of the list of agencies: each stands whole in its event, so a version that
//! was sent out reads the same for ever; and codes in traffic that nobody had registered.

use crate::event::{ListPublished, ListSent, UnknownSeen};
use crate::fact::Fact;
use crate::layer::Layer;
use crate::query::{Query, QueryError};
use crate::registry::canonical_code;
use crate::rows::{Key, View, read};
use crate::time::Ms;

/// `L`: published versions, by number.
pub(crate) const VERSIONS: u8 = b'L';
/// `K`: unknown codes, by role and code.
pub(crate) const UNKNOWN: u8 = b'K';
/// Senders that are named with an unknown code.
const SENDERS: usize = 5;

/// A published version, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// 1, 2, 3 …
    pub version: u64,
    /// When it was published.
    pub at: Ms,
    /// The moment whose list it is.
    pub as_of: Ms,
    /// How many agencies it has.
    pub agencies: u32,
    /// SHA-256 of its JSON form.
    pub sha256: [u8; 32],
    /// Who published it.
    pub by: String,
    /// What was said of it.
    pub note: String,
    /// How it was last sent to the ministry, if it was.
    pub sent: Option<Sent>,
    location: u64,
    fact: u32,
}

/// That a version was sent to the ministry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The day, counted from 1970-01-01.
    pub day: i32,
    /// The number of the document that it went with.
    pub document: String,
    /// Who noted it.
    pub by: String,
}

/// A code that stood in packages and was not registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownCode {
    /// As first written.
    pub code: String,
    /// Whether it stood as the sender; else as a receiver.
    pub as_sender: bool,
    /// When it was first seen.
    pub first: Ms,
    /// When it was last seen.
    pub last: Ms,
    /// How often.
    pub count: u64,
    /// Who wrote it, the first ones: codes of senders, or systems.
    pub senders: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct VersionRow {
    #[prost(fixed64, tag = "1")]
    location: u64,
    #[prost(uint32, tag = "2")]
    fact: u32,
    #[prost(int64, tag = "3")]
    at: i64,
    #[prost(int64, tag = "4")]
    as_of: i64,
    #[prost(uint32, tag = "5")]
    agencies: u32,
    #[prost(bytes = "vec", tag = "6")]
    sha256: Vec<u8>,
    /// Cut to what a row may hold; whole in the event.
    #[prost(string, tag = "7")]
    by: String,
    #[prost(string, tag = "8")]
    note: String,
    #[prost(int32, optional, tag = "9")]
    sent_day: Option<i32>,
    #[prost(string, tag = "10")]
    sent_document: String,
    #[prost(string, tag = "11")]
    sent_by: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct UnknownRow {
    #[prost(string, tag = "1")]
    code: String,
    #[prost(int64, tag = "2")]
    first: i64,
    #[prost(int64, tag = "3")]
    last: i64,
    #[prost(uint64, tag = "4")]
    count: u64,
    #[prost(string, repeated, tag = "5")]
    senders: Vec<String>,
}

fn version_key(version: u64) -> Key {
    let mut key = vec![VERSIONS];
    key.extend(version.to_be_bytes());
    key
}

fn unknown_key(as_sender: bool, code: &str) -> Key {
    let mut key = vec![UNKNOWN, u8::from(as_sender)];
    key.extend(short(&canonical_code(code), 64).as_bytes());
    key
}

/// The first `bytes` bytes of a text, whole characters.
fn short(text: &str, bytes: usize) -> String {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

fn by(actor: Option<&crate::event::Actor>) -> String {
    actor
        .map(|actor| short(&actor.person, 80))
        .unwrap_or_default()
}

/// Lays the rows of these events.
pub(crate) fn apply(layer: &mut Layer<'_>, number: u32, fact: &Fact) {
    match fact {
        Fact::ListPublished(published) => {
            let ListPublished {
                version,
                at_ms,
                as_of_ms,
                agencies,
                sha256,
                note,
                actor,
                ..
            } = &**published;
            let row = VersionRow {
                // Known once it is written: `place`.
                location: 0,
                fact: number,
                at: *at_ms,
                as_of: *as_of_ms,
                agencies: *agencies,
                sha256: sha256.to_vec(),
                by: by(actor.as_ref()),
                note: short(note, 120),
                ..VersionRow::default()
            };
            layer.put(version_key(*version), &row);
        }
        Fact::ListSent(sent) => {
            let ListSent {
                version,
                day,
                document,
                actor,
                ..
            } = &**sent;
            let key = version_key(*version);
            if let Some(mut row) = read::<VersionRow>(layer, &key) {
                row.sent_day = Some(*day);
                row.sent_document = short(document, 80);
                row.sent_by = by(actor.as_ref());
                layer.put(key, &row);
            }
        }
        Fact::UnknownSeen(seen) => {
            let UnknownSeen {
                code,
                as_sender,
                from,
                first_ms,
                last_ms,
                count,
            } = &**seen;
            let key = unknown_key(*as_sender, code);
            let mut row = read::<UnknownRow>(layer, &key).unwrap_or_else(|| UnknownRow {
                code: short(code, 64),
                first: *first_ms,
                ..UnknownRow::default()
            });
            row.last = row.last.max(*last_ms);
            row.first = row.first.min(*first_ms);
            row.count += u64::from(*count);
            let from = short(from, 64);
            if row.senders.len() < SENDERS && !row.senders.contains(&from) {
                row.senders.push(from);
            }
            layer.put(key, &row);
        }
        _ => {}
    }
}

/// Says where a version stands.
pub(crate) fn place(layer: &mut Layer<'_>, location: u64, version: u64) {
    let key = version_key(version);
    if let Some(row) = read::<VersionRow>(layer, &key) {
        layer.put(key, &VersionRow { location, ..row });
    }
}

fn published(key: &[u8], row: VersionRow) -> Option<Published> {
    let version = u64::from_be_bytes(key.get(1..)?.try_into().ok()?);
    let sent = row.sent_day.map(|day| Sent {
        day,
        document: row.sent_document,
        by: row.sent_by,
    });
    Some(Published {
        version,
        at: Ms(row.at),
        as_of: Ms(row.as_of),
        agencies: row.agencies,
        sha256: row.sha256.try_into().ok()?,
        by: row.by,
        note: row.note,
        sent,
        location: row.location,
        fact: row.fact,
    })
}

impl Query {
    /// The published versions, the first one first.
    #[must_use]
    pub fn publications(&self) -> Vec<Published> {
        let rows = self.state.scan(&[VERSIONS]);
        rows.into_iter()
            .filter_map(|(key, value)| {
                let row: VersionRow = prost::Message::decode(value.as_slice()).ok()?;
                published(&key, row)
            })
            .collect()
    }

    /// One published version.
    #[must_use]
    pub fn publication(&self, version: u64) -> Option<Published> {
        let key = version_key(version);
        published(&key, read(&*self.state, &key)?)
    }

    /// A version's content as it stands in its event.
    ///
    /// # Errors
    /// If the journal cannot be read.
    pub fn published_content(&self, of: &Published) -> Result<Option<ListPublished>, QueryError> {
        let fact = self
            .recorded(of.location)?
            .facts
            .into_iter()
            .nth(of.fact as usize);
        Ok(match fact {
            Some(Fact::ListPublished(content)) if content.version == of.version => Some(*content),
            _ => None,
        })
    }

    /// The codes in traffic that were not registered when they were seen, by code.
    #[must_use]
    pub fn unknown_codes(&self) -> Vec<UnknownCode> {
        let rows = self.state.scan(&[UNKNOWN]);
        rows.into_iter()
            .filter_map(|(key, value)| {
                let row: UnknownRow = prost::Message::decode(value.as_slice()).ok()?;
                Some(UnknownCode {
                    code: row.code,
                    as_sender: key.get(1) == Some(&1),
                    first: Ms(row.first),
                    last: Ms(row.last),
                    count: row.count,
                    senders: row.senders,
                })
            })
            .collect()
    }
}
