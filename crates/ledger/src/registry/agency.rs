//! One agency through time: its changes in the order of the moments from which they are true,
//! and what it is at each.

use std::sync::Arc;

use crate::event::{self, Actor, AgencyOperation, AgencyRecorded, AgencyState};
use crate::id::AgencyId;
use crate::time::Ms;

/// A field of an agency that a change may set. Its bit in [`event::AgencyChange::sets`] is its
/// place in this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // each is the field of Agency of this name
pub enum Field {
    Code,
    Code2020,
    OtherCodes,
    Name,
    Parent,
    State,
    Successors,
    Kind,
    Level,
    Contact,
    Centre,
    ForwardsToSuccessor,
    FetchesNothingSuspended,
    Irregular,
    Reason,
}

impl Field {
    /// Every field, in the order of the bits.
    pub const ALL: [Self; 15] = [
        Self::Code,
        Self::Code2020,
        Self::OtherCodes,
        Self::Name,
        Self::Parent,
        Self::State,
        Self::Successors,
        Self::Kind,
        Self::Level,
        Self::Contact,
        Self::Centre,
        Self::ForwardsToSuccessor,
        Self::FetchesNothingSuspended,
        Self::Irregular,
        Self::Reason,
    ];

    /// Its bit.
    #[must_use]
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// The word for it, as axis.v1 has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Code2020 => "code_2020",
            Self::OtherCodes => "other_codes",
            Self::Name => "name",
            Self::Parent => "parent",
            Self::State => "state",
            Self::Successors => "successors",
            Self::Kind => "kind",
            Self::Level => "level",
            Self::Contact => "contact",
            Self::Centre => "centre",
            Self::ForwardsToSuccessor => "forwards_to_successor",
            Self::FetchesNothingSuspended => "fetches_nothing_suspended",
            Self::Irregular => "irregular",
            Self::Reason => "reason",
        }
    }
}

/// All bits: an event of type 20 sets everything.
pub const EVERYTHING: u32 = (1 << Field::ALL.len()) - 1;

/// An agency as it is at a moment. Compact: a national list has 120,000 of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agency {
    /// Main code, as written.
    pub code: Box<str>,
    /// Code of the 2020 form; empty if it has none.
    pub code_2020: Box<str>,
    /// Older and other codes.
    pub other_codes: Box<[Box<str>]>,
    /// Name.
    pub name: Box<str>,
    /// The agency above it.
    pub parent: Option<AgencyId>,
    /// requested, approved, active, suspended, closed, seen.
    pub state: AgencyState,
    /// Who took over when it was closed or split.
    pub successors: Box<[AgencyId]>,
    /// Kind, in the registrar's words.
    pub kind: Box<str>,
    /// Level, in the registrar's words.
    pub level: Box<str>,
    /// Contact, in the registrar's words.
    pub contact: Box<str>,
    /// Centre code of the national list.
    pub centre: Box<str>,
    /// After it is closed, packages to its codes go to its one successor.
    pub forwards_to_successor: bool,
    /// While suspended it gets nothing either.
    pub fetches_nothing_suspended: bool,
    /// Why a code that follows no form was registered.
    pub irregular: Box<str>,
    /// Why it is suspended or closed.
    pub reason: Box<str>,
}

impl Agency {
    /// Its state.
    #[must_use]
    pub const fn state(&self) -> AgencyState {
        self.state
    }

    /// Every code it has, as written.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        [&*self.code, &*self.code_2020]
            .into_iter()
            .chain(self.other_codes.iter().map(|code| &**code))
            .filter(|code| !code.is_empty())
    }

    /// The values of an event.
    #[must_use]
    pub fn of(values: &AgencyRecorded) -> Self {
        let text = |text: &String| text.as_str().into();
        Self {
            code: text(&values.code),
            code_2020: text(&values.code_2020),
            other_codes: values.other_codes.iter().map(text).collect(),
            name: text(&values.name),
            parent: values.parent.map(AgencyId),
            state: values.state(),
            successors: values.successors.iter().copied().map(AgencyId).collect(),
            kind: text(&values.kind),
            level: text(&values.level),
            contact: text(&values.contact),
            centre: text(&values.centre),
            forwards_to_successor: values.forwards_to_successor,
            fetches_nothing_suspended: values.fetches_nothing_suspended,
            irregular: text(&values.irregular),
            reason: text(&values.reason),
        }
    }

    /// The values as an event has them, without when and by whom.
    #[must_use]
    pub fn values(&self, id: AgencyId) -> AgencyRecorded {
        let text = |text: &str| text.to_owned();
        AgencyRecorded {
            agency: id.0,
            code: text(&self.code),
            code_2020: text(&self.code_2020),
            other_codes: self.other_codes.iter().map(|code| text(code)).collect(),
            name: text(&self.name),
            parent: self.parent.map(|parent| parent.0),
            state: self.state.into(),
            successors: self.successors.iter().map(|id| id.0).collect(),
            kind: text(&self.kind),
            level: text(&self.level),
            contact: text(&self.contact),
            centre: text(&self.centre),
            forwards_to_successor: self.forwards_to_successor,
            fetches_nothing_suspended: self.fetches_nothing_suspended,
            irregular: text(&self.irregular),
            reason: text(&self.reason),
            ..AgencyRecorded::default()
        }
    }

    /// The fields in which two differ, as bits.
    #[must_use]
    pub fn differs(&self, other: &Self) -> u32 {
        let differs = |field: &&Field| match field {
            Field::Code => self.code != other.code,
            Field::Code2020 => self.code_2020 != other.code_2020,
            Field::OtherCodes => self.other_codes != other.other_codes,
            Field::Name => self.name != other.name,
            Field::Parent => self.parent != other.parent,
            Field::State => self.state != other.state,
            Field::Successors => self.successors != other.successors,
            Field::Kind => self.kind != other.kind,
            Field::Level => self.level != other.level,
            Field::Contact => self.contact != other.contact,
            Field::Centre => self.centre != other.centre,
            Field::ForwardsToSuccessor => self.forwards_to_successor != other.forwards_to_successor,
            Field::FetchesNothingSuspended => {
                self.fetches_nothing_suspended != other.fetches_nothing_suspended
            }
            Field::Irregular => self.irregular != other.irregular,
            Field::Reason => self.reason != other.reason,
        };
        let fields = Field::ALL.iter().filter(differs);
        fields.fold(0, |bits, field| bits | field.bit())
    }

    /// Takes the fields named by `sets` from another.
    pub fn take(&mut self, from: &Self, sets: u32) {
        if sets & EVERYTHING == EVERYTHING {
            self.clone_from(from);
            return;
        }
        for field in Field::ALL.iter().filter(|field| sets & field.bit() != 0) {
            match field {
                Field::Code => self.code.clone_from(&from.code),
                Field::Code2020 => self.code_2020.clone_from(&from.code_2020),
                Field::OtherCodes => self.other_codes.clone_from(&from.other_codes),
                Field::Name => self.name.clone_from(&from.name),
                Field::Parent => self.parent = from.parent,
                Field::State => self.state = from.state,
                Field::Successors => self.successors.clone_from(&from.successors),
                Field::Kind => self.kind.clone_from(&from.kind),
                Field::Level => self.level.clone_from(&from.level),
                Field::Contact => self.contact.clone_from(&from.contact),
                Field::Centre => self.centre.clone_from(&from.centre),
                Field::ForwardsToSuccessor => {
                    self.forwards_to_successor = from.forwards_to_successor;
                }
                Field::FetchesNothingSuspended => {
                    self.fetches_nothing_suspended = from.fetches_nothing_suspended;
                }
                Field::Irregular => self.irregular.clone_from(&from.irregular),
                Field::Reason => self.reason.clone_from(&from.reason),
            }
        }
    }
}

/// When and by whom something was recorded; shared by all that one act changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stamp {
    /// When it was recorded.
    pub at: Ms,
    /// By whom.
    pub actor: Option<Actor>,
    /// Number of the decision.
    pub decision: Box<str>,
}

/// An agency from one moment to the next change.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// Of the change in the agency's history: 1 for the first recorded.
    pub number: u32,
    /// From when it is true.
    pub from: Ms,
    /// The fields that the change set, as bits.
    pub sets: u32,
    /// What the change did.
    pub operation: AgencyOperation,
    /// When and by whom it was recorded.
    pub stamp: Arc<Stamp>,
    /// The agency from then on.
    pub agency: Agency,
}

/// An agency's versions, by the moment from which they are true, then by number.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Life {
    revision: u32,
    versions: Vec<Version>,
}

impl Life {
    /// Grows by one with each change and each withdrawal.
    #[must_use]
    pub const fn revision(&self) -> u32 {
        self.revision
    }

    /// The versions in the order of time.
    #[must_use]
    pub fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// The version that is true at a moment.
    #[must_use]
    pub fn at(&self, at: Ms) -> Option<&Version> {
        match self.versions.as_slice() {
            [only] => (only.from <= at).then_some(only),
            versions => {
                let next = versions.partition_point(|version| version.from <= at);
                versions.get(next.checked_sub(1)?)
            }
        }
    }

    /// Adds a change; what is true later keeps what it set itself.
    pub(super) fn change(&mut self, change: Version) {
        self.revision = self.revision.max(change.number);
        let key = (change.from, change.number);
        let place = self
            .versions
            .partition_point(|version| (version.from, version.number) < key);
        if self.versions.is_empty() {
            self.versions.reserve_exact(1);
        }
        self.versions.insert(place, change);
        self.lay(place);
    }

    /// Takes a change out; `false` if there is none of this number.
    pub(super) fn withdraw(&mut self, number: u32) -> bool {
        let place = self.versions.iter().position(|v| v.number == number);
        let Some(place) = place else { return false };
        self.revision += 1;
        self.versions.remove(place);
        self.lay(place);
        true
    }

    pub(super) fn set_revision(&mut self, revision: u32) {
        self.revision = revision;
    }

    /// Makes the versions from `first` on again, each over the one before it.
    fn lay(&mut self, first: usize) {
        for place in first..self.versions.len() {
            let (before, rest) = self.versions.split_at_mut(place);
            let Some(version) = rest.first_mut() else {
                return;
            };
            if version.sets & EVERYTHING == EVERYTHING {
                continue;
            }
            let mut agency = before
                .last()
                .map(|version| version.agency.clone())
                .unwrap_or_default();
            agency.take(&version.agency, version.sets);
            version.agency = agency;
        }
    }

    /// The events that make it again: one change each, by number.
    pub(super) fn saved(&self, id: AgencyId) -> event::AgencyLife {
        let mut versions: Vec<_> = self.versions.iter().collect();
        versions.sort_by_key(|version| version.number);
        let changes = versions.into_iter().map(|version| event::AgenciesChanged {
            at_ms: version.stamp.at.0,
            effective_at_ms: version.from.0,
            actor: version.stamp.actor.clone(),
            decision: version.stamp.decision.to_string(),
            changes: vec![event::AgencyChange {
                to: Some(version.agency.values(id)),
                sets: version.sets,
                operation: version.operation.into(),
                number: version.number,
            }],
        });
        event::AgencyLife {
            agency: id.0,
            revision: self.revision,
            changes: changes.collect(),
        }
    }
}
