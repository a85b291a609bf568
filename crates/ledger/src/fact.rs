//! Events in memory: each with its type number and `critical` mark, and the delivery table.

use bytes::Bytes;
use prost::Message;

use crate::event::{
    AccountAdded, AccountRevoked, AgenciesChanged, AgencyChangeWithdrawn, AgencyRecorded,
    AlertCleared, AlertRaised, AlertTold, DeliveryChanged, DeliveryPaused, DeliveryResumed,
    DeliveryState, Event, Heartbeat, ListPublished, ListSent, PackageAccepted, PackageRefused,
    PayloadRemoved, ReceiversAdded, ServiceChanged, Started, StatusMatched, Stopped,
    SystemKeyAdded, SystemKeyEnds, SystemKeyRevoked, SystemPinAdded, SystemPinEnds,
    SystemPinRevoked, SystemRecorded, Transaction, UnknownSeen,
};

/// A record's body cannot be understood.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FactError {
    /// The bytes are not the message that their type number says.
    #[error("event type {number} cannot be decoded")]
    Undecodable {
        /// The type number; 0 for the transaction itself.
        number: u32,
        /// What prost found.
        source: prost::DecodeError,
    },
    /// A critical event of a type that this build does not know.
    #[error(
        "event type {number} is critical and unknown to this build; run the build that wrote it, or a newer one"
    )]
    UnknownCritical {
        /// The type number.
        number: u32,
    },
}

/// What changed a delivery's state: the events 3 to 14.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// Content was about to leave for the receiver.
    Fetched,
    /// The receiver has it durably.
    Acknowledged,
    /// The receiver cannot read it.
    Failed,
    /// Taken back by its sender.
    Recalled,
    /// An operator opened a new round.
    Redelivered,
    /// A held delivery goes on.
    Released,
    /// A held delivery was refused.
    Refused,
    /// Too many leases ended unsettled.
    Dead,
    /// A dead delivery is tried again.
    Retried,
    /// A dead delivery was given up.
    Dropped,
    /// The bridge has taken it.
    Forwarding,
    /// The other axis has it.
    Forwarded,
}

impl Change {
    /// Every change, in the order of their type numbers, which begin at 3.
    pub const ALL: [Self; 12] = [
        Self::Fetched,
        Self::Acknowledged,
        Self::Failed,
        Self::Recalled,
        Self::Redelivered,
        Self::Released,
        Self::Refused,
        Self::Dead,
        Self::Retried,
        Self::Dropped,
        Self::Forwarding,
        Self::Forwarded,
    ];

    /// Its event's type number.
    #[must_use]
    pub const fn number(self) -> u32 {
        3 + self as u32
    }

    fn of_number(number: u32) -> Option<Self> {
        let at = usize::try_from(number.checked_sub(3)?).ok()?;
        Self::ALL.get(at).copied()
    }

    /// The word in traces.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Fetched => "fetched",
            Self::Acknowledged => "acknowledged",
            Self::Failed => "failed",
            Self::Recalled => "recalled",
            Self::Redelivered => "redelivered",
            Self::Released => "released",
            Self::Refused => "refused",
            Self::Dead => "dead",
            Self::Retried => "retried",
            Self::Dropped => "dropped",
            Self::Forwarding => "forwarding",
            Self::Forwarded => "forwarded",
        }
    }
}

/// What the delivery table says of a change in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The delivery goes there.
    To(DeliveryState),
    /// It is so already: nothing is recorded, the answer is yes.
    Same,
    /// Refused because the document was recalled.
    RefusedRecalled,
    /// Refused: the state does not allow it.
    RefusedState,
}

/// The delivery table: what `change` does in `state`. Design section 7, cell by cell.
#[must_use]
pub const fn step(state: DeliveryState, change: Change) -> Step {
    use Change as C;
    use DeliveryState as S;
    use Step::{RefusedRecalled, RefusedState, Same, To};
    match (state, change) {
        (S::Held, C::Released) => To(S::Pending),
        (S::Held, C::Refused) => To(S::Refused),
        (S::Held | S::Pending | S::Fetched | S::Failed | S::Dead, C::Recalled) => To(S::Recalled),

        (S::Pending, C::Fetched) => To(S::Fetched),
        (S::Pending | S::Fetched, C::Acknowledged) => To(S::Acknowledged),
        (S::Pending | S::Fetched, C::Failed) => To(S::Failed),
        (S::Pending | S::Fetched, C::Dead) => To(S::Dead),
        (S::Pending, C::Forwarding) => To(S::Forwarding),

        (S::Acknowledged | S::Failed, C::Redelivered) => To(S::Pending),
        (S::Forwarding, C::Forwarded) => To(S::Forwarded),
        (S::Forwarding, C::Failed) => To(S::Failed),
        (S::Dead, C::Retried) => To(S::Pending),
        (S::Dead, C::Dropped) => To(S::Dropped),

        // What is so already.
        (S::Fetched, C::Fetched)
        | (S::Acknowledged, C::Acknowledged | C::Fetched)
        | (S::Failed, C::Failed)
        | (S::Recalled, C::Recalled)
        | (S::Dead, C::Dead)
        | (S::Dropped, C::Dropped)
        | (S::Refused, C::Refused)
        | (S::Forwarding, C::Forwarding)
        | (S::Forwarded, C::Forwarded | C::Forwarding)
        | (S::Pending, C::Released | C::Redelivered | C::Retried)
        | (S::Fetched, C::Redelivered) => Same,

        // After a recall nothing brings it back.
        (S::Recalled, _) => RefusedRecalled,

        _ => RefusedState,
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // each variant is its message's name
pub enum Fact {
    PackageAccepted(Box<PackageAccepted>),
    PackageRefused(Box<PackageRefused>),
    Delivery(Change, Box<DeliveryChanged>),
    StatusMatched(StatusMatched),
    ReceiversAdded(Box<ReceiversAdded>),
    AgencyRecorded(Box<AgencyRecorded>),
    AgenciesChanged(Box<AgenciesChanged>),
    AgencyChangeWithdrawn(Box<AgencyChangeWithdrawn>),
    ServiceChanged(Box<ServiceChanged>),
    SystemKeyEnds(Box<SystemKeyEnds>),
    SystemPinEnds(Box<SystemPinEnds>),
    AccountAdded(Box<AccountAdded>),
    AccountRevoked(Box<AccountRevoked>),
    SystemRecorded(Box<SystemRecorded>),
    SystemKeyAdded(Box<SystemKeyAdded>),
    SystemKeyRevoked(Box<SystemKeyRevoked>),
    SystemPinAdded(Box<SystemPinAdded>),
    SystemPinRevoked(Box<SystemPinRevoked>),
    DeliveryPaused(Box<DeliveryPaused>),
    DeliveryResumed(Box<DeliveryResumed>),
    PayloadRemoved(Box<PayloadRemoved>),
    ListPublished(Box<ListPublished>),
    ListSent(Box<ListSent>),
    UnknownSeen(Box<UnknownSeen>),
    Heartbeat(Heartbeat),
    Started(Started),
    Stopped(Stopped),
    AlertRaised(AlertRaised),
    AlertCleared(AlertCleared),
    AlertTold(AlertTold),
    /// Of a type that this build does not know, and not critical: kept and skipped.
    Unknown {
        number: u32,
        body: Bytes,
    },
}

impl Fact {
    /// The type number in the journal.
    #[must_use]
    pub const fn number(&self) -> u32 {
        match self {
            Self::PackageAccepted(_) => 1,
            Self::PackageRefused(_) => 2,
            Self::Delivery(change, _) => change.number(),
            Self::StatusMatched(_) => 15,
            Self::ReceiversAdded(_) => 16,
            Self::AgencyRecorded(_) => 20,
            Self::AgenciesChanged(_) => 21,
            Self::AgencyChangeWithdrawn(_) => 22,
            Self::ServiceChanged(_) => 37,
            Self::SystemKeyEnds(_) => 38,
            Self::SystemPinEnds(_) => 39,
            Self::AccountAdded(_) => 70,
            Self::AccountRevoked(_) => 71,
            Self::SystemRecorded(_) => 30,
            Self::SystemKeyAdded(_) => 31,
            Self::SystemKeyRevoked(_) => 32,
            Self::SystemPinAdded(_) => 33,
            Self::SystemPinRevoked(_) => 34,
            Self::DeliveryPaused(_) => 35,
            Self::DeliveryResumed(_) => 36,
            Self::PayloadRemoved(_) => 40,
            Self::ListPublished(_) => 41,
            Self::ListSent(_) => 42,
            Self::UnknownSeen(_) => 43,
            Self::Heartbeat(_) => 50,
            Self::Started(_) => 51,
            Self::Stopped(_) => 52,
            Self::AlertRaised(_) => 60,
            Self::AlertCleared(_) => 61,
            Self::AlertTold(_) => 62,
            Self::Unknown { number, .. } => *number,
        }
    }

    /// Whether a build that does not know it must not start.
    #[must_use]
    pub const fn critical(&self) -> bool {
        !matches!(
            self,
            Self::PackageRefused(_)
                | Self::UnknownSeen(_)
                | Self::Heartbeat(_)
                | Self::Started(_)
                | Self::Stopped(_)
                | Self::AlertRaised(_)
                | Self::AlertCleared(_)
                | Self::AlertTold(_)
                | Self::Unknown { .. }
        )
    }

    /// As it stands in a transaction.
    #[must_use]
    pub fn encode(&self) -> Event {
        let body = match self {
            Self::PackageAccepted(fact) => fact.encode_to_vec(),
            Self::PackageRefused(fact) => fact.encode_to_vec(),
            Self::Delivery(_, fact) => fact.encode_to_vec(),
            Self::StatusMatched(fact) => fact.encode_to_vec(),
            Self::ReceiversAdded(fact) => fact.encode_to_vec(),
            Self::AgencyRecorded(fact) => fact.encode_to_vec(),
            Self::AgenciesChanged(fact) => fact.encode_to_vec(),
            Self::AgencyChangeWithdrawn(fact) => fact.encode_to_vec(),
            Self::ServiceChanged(fact) => fact.encode_to_vec(),
            Self::SystemKeyEnds(fact) => fact.encode_to_vec(),
            Self::SystemPinEnds(fact) => fact.encode_to_vec(),
            Self::AccountAdded(fact) => fact.encode_to_vec(),
            Self::AccountRevoked(fact) => fact.encode_to_vec(),
            Self::SystemRecorded(fact) => fact.encode_to_vec(),
            Self::SystemKeyAdded(fact) => fact.encode_to_vec(),
            Self::SystemKeyRevoked(fact) => fact.encode_to_vec(),
            Self::SystemPinAdded(fact) => fact.encode_to_vec(),
            Self::SystemPinRevoked(fact) => fact.encode_to_vec(),
            Self::DeliveryPaused(fact) => fact.encode_to_vec(),
            Self::DeliveryResumed(fact) => fact.encode_to_vec(),
            Self::PayloadRemoved(fact) => fact.encode_to_vec(),
            Self::ListPublished(fact) => fact.encode_to_vec(),
            Self::ListSent(fact) => fact.encode_to_vec(),
            Self::UnknownSeen(fact) => fact.encode_to_vec(),
            Self::Heartbeat(fact) => fact.encode_to_vec(),
            Self::Started(fact) => fact.encode_to_vec(),
            Self::Stopped(fact) => fact.encode_to_vec(),
            Self::AlertRaised(fact) => fact.encode_to_vec(),
            Self::AlertCleared(fact) => fact.encode_to_vec(),
            Self::AlertTold(fact) => fact.encode_to_vec(),
            Self::Unknown { body, .. } => body.to_vec(),
        };
        Event {
            r#type: self.number(),
            critical: self.critical(),
            body: body.into(),
        }
    }

    /// Reads one event.
    ///
    /// # Errors
    /// If its body is not what its type says, or it is critical and unknown.
    pub fn decode(event: Event) -> Result<Self, FactError> {
        fn read<M: Message + Default>(event: &Event) -> Result<M, FactError> {
            M::decode(event.body.clone()).map_err(|source| FactError::Undecodable {
                number: event.r#type,
                source,
            })
        }
        Ok(match event.r#type {
            1 => Self::PackageAccepted(Box::new(read(&event)?)),
            2 => Self::PackageRefused(Box::new(read(&event)?)),
            15 => Self::StatusMatched(read(&event)?),
            16 => Self::ReceiversAdded(Box::new(read(&event)?)),
            20 => Self::AgencyRecorded(Box::new(read(&event)?)),
            21 => Self::AgenciesChanged(Box::new(read(&event)?)),
            22 => Self::AgencyChangeWithdrawn(Box::new(read(&event)?)),
            37 => Self::ServiceChanged(Box::new(read(&event)?)),
            38 => Self::SystemKeyEnds(Box::new(read(&event)?)),
            39 => Self::SystemPinEnds(Box::new(read(&event)?)),
            70 => Self::AccountAdded(Box::new(read(&event)?)),
            71 => Self::AccountRevoked(Box::new(read(&event)?)),
            30 => Self::SystemRecorded(Box::new(read(&event)?)),
            31 => Self::SystemKeyAdded(Box::new(read(&event)?)),
            32 => Self::SystemKeyRevoked(Box::new(read(&event)?)),
            33 => Self::SystemPinAdded(Box::new(read(&event)?)),
            34 => Self::SystemPinRevoked(Box::new(read(&event)?)),
            35 => Self::DeliveryPaused(Box::new(read(&event)?)),
            36 => Self::DeliveryResumed(Box::new(read(&event)?)),
            40 => Self::PayloadRemoved(Box::new(read(&event)?)),
            41 => Self::ListPublished(Box::new(read(&event)?)),
            42 => Self::ListSent(Box::new(read(&event)?)),
            43 => Self::UnknownSeen(Box::new(read(&event)?)),
            50 => Self::Heartbeat(read(&event)?),
            51 => Self::Started(read(&event)?),
            52 => Self::Stopped(read(&event)?),
            60 => Self::AlertRaised(read(&event)?),
            61 => Self::AlertCleared(read(&event)?),
            62 => Self::AlertTold(read(&event)?),
            number => match Change::of_number(number) {
                Some(change) => Self::Delivery(change, Box::new(read(&event)?)),
                None if event.critical => return Err(FactError::UnknownCritical { number }),
                None => Self::Unknown {
                    number,
                    body: event.body,
                },
            },
        })
    }
}

/// Encodes the facts of one transaction as a record's body.
#[must_use]
pub fn encode(facts: &[Fact]) -> Bytes {
    let transaction = Transaction {
        events: facts.iter().map(Fact::encode).collect(),
    };
    transaction.encode_to_vec().into()
}

/// Reads a record's body.
///
/// # Errors
/// If the body is not a transaction, or one of its events is not understood.
pub fn decode(body: Bytes) -> Result<Vec<Fact>, FactError> {
    let transaction =
        Transaction::decode(body).map_err(|source| FactError::Undecodable { number: 0, source })?;
    transaction.events.into_iter().map(Fact::decode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_event_is_kept_unless_it_is_critical() {
        let unknown = |critical| {
            let event = Event {
                r#type: 9_999,
                critical,
                body: Bytes::from_static(b"later"),
            };
            Transaction {
                events: vec![event],
            }
            .encode_to_vec()
        };
        let kept = decode(unknown(false).into()).unwrap();
        assert_eq!(
            kept,
            [Fact::Unknown {
                number: 9_999,
                body: Bytes::from_static(b"later")
            }]
        );
        assert_eq!(encode(&kept), unknown(false));
        assert!(matches!(
            decode(unknown(true).into()),
            Err(FactError::UnknownCritical { number: 9_999 })
        ));
    }

    /// The table of design section 7, written out again by hand: `.` = refused,
    /// `=` = no-op, `!` = refused because recalled, a letter = the state it goes to.
    #[test]
    fn the_delivery_table_cell_by_cell() {
        use DeliveryState as S;
        let letters = [
            ('H', S::Held),
            ('R', S::Refused),
            ('P', S::Pending),
            ('F', S::Fetched),
            ('A', S::Acknowledged),
            ('X', S::Failed),
            ('C', S::Recalled),
            ('f', S::Forwarding),
            ('w', S::Forwarded),
            ('D', S::Dead),
            ('d', S::Dropped),
        ];
        // columns: Fetched Acknowledged Failed Recalled Redelivered Released Refused Dead
        //          Retried Dropped Forwarding Forwarded
        let table = [
            ("H", "...C.PR....."),
            ("R", "......=....."),
            ("P", "FAXC==.D=.f."),
            ("F", "=AXC=..D...."),
            ("A", "==..P......."),
            ("X", "..=CP......."),
            ("C", "!!!=!!!!!!!!"),
            ("f", "..X.......=w"),
            ("w", "..........=="),
            ("D", "...C...=Pd.."),
            ("d", ".........=.."),
        ];
        for ((letter, state), (row, cells)) in letters.iter().zip(table) {
            assert_eq!(row, letter.to_string());
            for (change, cell) in Change::ALL.iter().zip(cells.chars()) {
                let expected = match cell {
                    '.' => Step::RefusedState,
                    '=' => Step::Same,
                    '!' => Step::RefusedRecalled,
                    to => Step::To(letters.iter().find(|(l, _)| *l == to).unwrap().1),
                };
                assert_eq!(step(*state, *change), expected, "{state:?} x {change:?}");
            }
        }
    }
}
