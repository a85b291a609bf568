//! The open deliveries, in memory: what waits for whom, in serving order.

use prost::Message;

use crate::chunks::Chunks;
use crate::event::{DeliveryState, Lane, PackageKind};
use crate::fold::is_open;
use crate::id::{AgencyId, DeliveryId, PackageId};
use crate::layer::Changes;
use crate::rows::DeliveryRow;
use crate::tally::Tallies;
use crate::time::Ms;

/// A delivery's place among the open ones of its receiver: by lane, then level, then
/// position of acceptance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Place {
    /// The receiver.
    pub receiver: AgencyId,
    lane: u8,
    /// 255 less the level, so that higher levels come first.
    rank: u8,
    /// Position of acceptance.
    pub position: u64,
    number: u32,
}

impl Place {
    /// The place of a delivery's row.
    #[must_use]
    pub fn of(row: &DeliveryRow) -> Self {
        Self {
            receiver: AgencyId(row.receiver),
            lane: u8::try_from(row.lane).unwrap_or(u8::MAX),
            rank: 255 - u8::try_from(row.level).unwrap_or(u8::MAX),
            position: row.position,
            number: row.number,
        }
    }

    /// The place before all of a receiver's.
    #[must_use]
    pub const fn before(receiver: AgencyId) -> Self {
        Self {
            receiver,
            lane: 0,
            rank: 0,
            position: 0,
            number: 0,
        }
    }

    /// Its lane.
    #[must_use]
    pub fn lane(&self) -> Lane {
        Lane::try_from(i32::from(self.lane)).unwrap_or(Lane::Routine)
    }

    /// Its lane's number, 0 to 3 in serving order.
    #[must_use]
    pub(crate) const fn lane_number(&self) -> usize {
        match self.lane {
            1 => 0,
            2 => 1,
            3 => 2,
            _ => 3,
        }
    }

    /// As text that only [`Place::from_token`] reads: where a list goes on.
    #[must_use]
    pub fn token(&self) -> String {
        let Self {
            receiver,
            lane,
            rank,
            position,
            number,
        } = self;
        format!(
            "{:08x}{lane:02x}{rank:02x}{position:016x}{number:08x}",
            receiver.0
        )
    }

    /// Reads what [`Place::token`] wrote.
    #[must_use]
    pub fn from_token(token: &str) -> Option<Self> {
        if token.len() != 36 || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        Some(Self {
            receiver: AgencyId(u32::from_str_radix(&token[..8], 16).ok()?),
            lane: u8::from_str_radix(&token[8..10], 16).ok()?,
            rank: u8::from_str_radix(&token[10..12], 16).ok()?,
            position: u64::from_str_radix(&token[12..28], 16).ok()?,
            number: u32::from_str_radix(&token[28..], 16).ok()?,
        })
    }

    /// Its place whoever the receiver is: the order within one lane of a system.
    #[must_use]
    pub const fn order(&self) -> (u8, u8, u64, u32, u32) {
        (
            self.lane,
            self.rank,
            self.position,
            self.number,
            self.receiver.0,
        )
    }
}

/// An open delivery; with its [`Place`] 48 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenDelivery {
    /// Its package.
    pub package: PackageId,
    state: u8,
    kind: u8,
    /// The round, from 1.
    pub round: u16,
    /// When the package was accepted.
    pub accepted_at: Ms,
}

impl OpenDelivery {
    /// Its state: held, pending, fetched, forwarding or dead.
    #[must_use]
    pub fn state(&self) -> DeliveryState {
        DeliveryState::try_from(i32::from(self.state)).unwrap_or_default()
    }

    /// Document or status.
    #[must_use]
    pub fn kind(&self) -> PackageKind {
        PackageKind::try_from(i32::from(self.kind & !RECALLED)).unwrap_or_default()
    }

    /// Whether it may be offered to its receiver now.
    #[must_use]
    pub fn is_deliverable(&self) -> bool {
        let waits = matches!(
            self.state(),
            DeliveryState::Pending | DeliveryState::Fetched
        );
        waits && self.kind & RECALLED == 0
    }
}

/// All open deliveries.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Open {
    deliveries: Chunks,
    tallies: Tallies,
}

const RECORD: usize = 48;
/// The bit of the kind's byte that marks a delivery whose document was recalled.
const RECALLED: u8 = 0x80;

impl Open {
    /// Takes over the delivery rows among the changes; returns the places that became
    /// deliverable or changed while deliverable.
    pub(crate) fn absorb(&mut self, changes: &Changes) -> Vec<Place> {
        let from = [b'D'].to_vec();
        let mut ready = Vec::new();
        for (key, value) in changes
            .range(from..)
            .take_while(|(key, _)| key.first() == Some(&b'D'))
        {
            debug_assert_eq!(key.len(), 17);
            let Some(value) = value else { continue };
            let Ok(row) = DeliveryRow::decode(value.as_slice()) else {
                continue;
            };
            if let Some(place) = self.absorb_row(&row) {
                ready.push(place);
            }
        }
        ready
    }

    pub(crate) fn absorb_row(&mut self, row: &DeliveryRow) -> Option<Place> {
        let place = Place::of(row);
        let package = row.package_id()?;
        if !is_open(row.state()) {
            let before = self.deliveries.remove(&place);
            let at = Some(Ms(row.changed_at));
            self.tallies.changed(place, before.as_ref(), None, at);
            return None;
        }
        let open = OpenDelivery {
            package,
            state: u8::try_from(row.state).unwrap_or_default(),
            kind: u8::try_from(row.kind).unwrap_or_default()
                | if row.recalled { RECALLED } else { 0 },
            round: u16::try_from(row.round).unwrap_or(u16::MAX),
            accepted_at: Ms(row.accepted_at),
        };
        let before = self.deliveries.insert(place, open);
        let at = Some(Ms(row.changed_at));
        self.tallies
            .changed(place, before.as_ref(), Some(&open), at);
        open.is_deliverable().then_some(place)
    }

    /// The open deliveries of one receiver in serving order.
    pub fn of(&self, receiver: AgencyId) -> impl Iterator<Item = (&Place, &OpenDelivery)> {
        self.deliveries
            .from(Place::before(receiver))
            .take_while(move |(place, _)| place.receiver == receiver)
    }

    /// The open deliveries of one receiver in one lane, in serving order.
    pub fn of_lane(
        &self,
        receiver: AgencyId,
        lane: Lane,
    ) -> impl Iterator<Item = (&Place, &OpenDelivery)> {
        let lane = u8::try_from(i32::from(lane)).unwrap_or(u8::MAX);
        let from = Place {
            lane,
            ..Place::before(receiver)
        };
        self.deliveries
            .from(from)
            .take_while(move |(place, _)| place.receiver == receiver && place.lane == lane)
    }

    /// The open delivery at that place.
    #[must_use]
    pub fn get(&self, place: &Place) -> Option<&OpenDelivery> {
        self.deliveries.get(place)
    }

    /// All of them, by receiver.
    pub fn iter(&self) -> impl Iterator<Item = (&Place, &OpenDelivery)> {
        self.deliveries.iter()
    }

    /// How many there are, by receiver and lane.
    #[must_use]
    pub const fn tallies(&self) -> &Tallies {
        &self.tallies
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.deliveries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.deliveries.len() == 0
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.deliveries.len() * RECORD);
        for (place, open) in self.deliveries.iter() {
            bytes.extend(place.receiver.0.to_le_bytes());
            bytes.extend([place.lane, place.rank, open.state, open.kind]);
            bytes.extend(place.position.to_le_bytes());
            bytes.extend(place.number.to_le_bytes());
            bytes.extend(open.round.to_le_bytes());
            bytes.extend([0; 6]);
            bytes.extend(open.accepted_at.0.to_le_bytes());
            bytes.extend(open.package.as_bytes());
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (records, rest) = bytes.as_chunks::<RECORD>();
        if !rest.is_empty() {
            return None;
        }
        let mut deliveries: Vec<(Place, OpenDelivery)> = Vec::with_capacity(records.len());
        for record in records {
            let place = Place {
                receiver: AgencyId(u32::from_le_bytes(record[0..4].try_into().ok()?)),
                lane: record[4],
                rank: record[5],
                position: u64::from_le_bytes(record[8..16].try_into().ok()?),
                number: u32::from_le_bytes(record[16..20].try_into().ok()?),
            };
            let open = OpenDelivery {
                package: PackageId::from_slice(&record[36..48])?,
                state: record[6],
                kind: record[7],
                round: u16::from_le_bytes(record[20..22].try_into().ok()?),
                accepted_at: Ms(i64::from_le_bytes(record[28..36].try_into().ok()?)),
            };
            if deliveries.last().is_some_and(|(last, _)| *last >= place) {
                return None;
            }
            deliveries.push((place, open));
        }
        let mut tallies = Tallies::default();
        for (place, open) in &deliveries {
            tallies.changed(*place, None, Some(open), None);
        }
        Some(Self {
            deliveries: Chunks::of_sorted(deliveries),
            tallies,
        })
    }
}

impl OpenDelivery {
    /// The delivery's id.
    #[must_use]
    pub fn id(&self, place: &Place) -> DeliveryId {
        DeliveryId::of(self.package, place.receiver)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(
        receiver: u32,
        lane: Lane,
        level: u32,
        position: u64,
        state: DeliveryState,
    ) -> DeliveryRow {
        DeliveryRow {
            package: PackageId::from_parts(position, 0, 0).as_bytes().to_vec(),
            receiver,
            state: state.into(),
            round: 1,
            lane: lane.into(),
            level,
            position,
            number: 3,
            accepted_at: 7,
            ..DeliveryRow::default()
        }
    }

    #[test]
    fn serving_order_is_lane_then_level_then_position() {
        let mut open = Open::default();
        for (lane, level, position) in [
            (Lane::Routine, 0, 1),
            (Lane::Flash, 3, 4),
            (Lane::Urgent, 1, 2),
            (Lane::Flash, 4, 9),
            (Lane::Status, 0, 3),
        ] {
            open.absorb_row(&row(5, lane, level, position, DeliveryState::Pending));
        }
        open.absorb_row(&row(6, Lane::Flash, 4, 5, DeliveryState::Pending));
        let order: Vec<_> = open
            .of(AgencyId(5))
            .map(|(place, _)| place.position)
            .collect();
        assert_eq!(order, [9, 4, 2, 3, 1]);
        assert_eq!(Open::decode(&open.encode()), Some(open.clone()));
        assert!(Open::decode(&[0; 47]).is_none());
        open.absorb_row(&row(5, Lane::Flash, 4, 9, DeliveryState::Acknowledged));
        assert_eq!(open.of(AgencyId(5)).count(), 4);
    }

    /// In the order in which a province makes them, and in two that are worse.
    #[test]
    fn an_open_delivery_takes_at_most_64_bytes() {
        type Order = fn(u64) -> (u32, u64);
        let orders: [Order; 4] = [
            // Each package to a thousand receivers; one receiver that is away; few to many.
            |n| (u32::try_from(n % 1_000).unwrap(), n / 1_000),
            |n| (7, n),
            |n| {
                (
                    u32::try_from(n.wrapping_mul(0x9e37_79b9) % 4_000).unwrap(),
                    n,
                )
            },
            |n| (7, u64::MAX - n),
        ];
        const MANY: u64 = 50_000;
        let open = OpenDelivery {
            package: PackageId::from_parts(1, 2, 3),
            state: 3,
            kind: 1,
            round: 1,
            accepted_at: Ms(7),
        };
        for order in orders {
            let place = |n| {
                let (receiver, position) = order(n);
                Place {
                    receiver: AgencyId(receiver),
                    lane: 4,
                    rank: 255,
                    position,
                    number: 0,
                }
            };
            let mut all = Open::default();
            for n in 0..MANY {
                all.deliveries.insert(place(n), open);
            }
            assert_eq!(all.len() as u64, MANY);
            let each = all.deliveries.bytes() / all.len();
            assert!(each <= 64, "{each}");
            // As a start finds them.
            let decoded = Open::decode(&all.encode()).unwrap();
            assert!(decoded.deliveries == all.deliveries);
            assert!(decoded.deliveries.bytes() / all.len() <= 64);
            // Nine of ten are done.
            (0..MANY).filter(|n| n % 10 != 3).for_each(|n| {
                all.deliveries.remove(&place(n));
            });
            assert_eq!(all.len() as u64, MANY / 10);
            let each = all.deliveries.bytes() / all.len();
            assert!(each <= 96, "{each}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]
        #[test]
        fn chunks_are_a_sorted_map(
            steps in proptest::collection::vec((0_u32..4, 0_u64..150, proptest::bool::weighted(0.6)), 1..900),
        ) {
            let mut open = Open::default();
            let mut map = std::collections::BTreeMap::new();
            for (receiver, position, comes) in steps {
                let state = if comes { DeliveryState::Fetched } else { DeliveryState::Failed };
                let row = row(receiver, Lane::Urgent, 1, position, state);
                open.absorb_row(&row);
                let place = Place::of(&row);
                if comes {
                    map.insert(place, position);
                } else {
                    map.remove(&place);
                }
                assert_eq!(open.get(&place).is_some(), comes);
            }
            assert_eq!(open.len(), map.len());
            assert!(open.iter().map(|(place, _)| place).eq(map.keys()));
            for receiver in 0..5 {
                let of = map.keys().filter(|place| place.receiver.0 == receiver);
                assert!(open.of(AgencyId(receiver)).map(|(place, _)| place).eq(of));
            }
        }
    }
}
