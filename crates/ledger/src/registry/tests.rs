use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::event::{AgencyChange, AgencyChangeWithdrawn, ServiceChanged, SystemKeyEnds};

fn recorded(id: u32, code: &str, code_2020: &str) -> Fact {
    Fact::AgencyRecorded(Box::new(AgencyRecorded {
        agency: id,
        code: code.into(),
        code_2020: code_2020.into(),
        ..AgencyRecorded::default()
    }))
}

fn changed(from: i64, sets: u32, to: AgencyRecorded) -> Fact {
    Fact::AgenciesChanged(Box::new(AgenciesChanged {
        effective_at_ms: from,
        changes: vec![AgencyChange {
            to: Some(to),
            sets,
            ..AgencyChange::default()
        }],
        ..AgenciesChanged::default()
    }))
}

#[test]
fn both_codes_find_one_agency_and_a_changed_code_is_let_go() {
    let mut registry = Registry::default();
    registry.apply(&recorded(1, "000.00.15.H99", "H99.15"));
    assert_eq!(registry.resolve(" h99.15 "), Some(AgencyId(1)));
    assert_eq!(registry.resolve("000.00.15.H99"), Some(AgencyId(1)));
    assert_eq!(registry.next_agency(), AgencyId(2));
    registry.apply(&recorded(1, "000.00.16.H99", "H99.15"));
    assert_eq!(registry.resolve("000.00.15.H99"), None);
    assert_eq!(registry.resolve("000.00.16.H99"), Some(AgencyId(1)));
}

#[test]
fn rg_03_a_planned_change_is_true_from_its_moment_on_and_keeps_what_came_between() {
    let mut registry = Registry::default();
    registry.apply(&recorded(1, "A", ""));
    let named = |name: &str| AgencyRecorded {
        agency: 1,
        name: name.into(),
        contact: name.to_lowercase(),
        ..AgencyRecorded::default()
    };
    registry.apply(&changed(200, Field::Name.bit(), named("Planned")));
    registry.apply(&changed(
        100,
        Field::Name.bit() | Field::Contact.bit(),
        named("Now"),
    ));
    let at = |at| {
        let seen = registry.as_of(Ms(at));
        let agency = seen.agency(AgencyId(1)).unwrap();
        (agency.name.to_string(), agency.contact.to_string())
    };
    assert_eq!(at(99), (String::new(), String::new()));
    assert_eq!(at(100), ("Now".into(), "now".into()));
    assert_eq!(at(199), ("Now".into(), "now".into()));
    assert_eq!(at(200), ("Planned".into(), "now".into()));
    assert_eq!(registry.as_of(Ms(100)).next_moment(), Some(Ms(200)));
    assert_eq!(registry.as_of(Ms(200)).next_moment(), None);
}

#[test]
fn a_clock_that_is_set_back_takes_nothing_away_and_brings_nothing_forward() {
    let mut registry = Registry::default();
    let at = |recorded: i64, effective: i64, name: &str| {
        Fact::AgencyRecorded(Box::new(AgencyRecorded {
            agency: 1,
            code: "A".into(),
            name: name.into(),
            at_ms: recorded,
            effective_at_ms: effective,
            ..AgencyRecorded::default()
        }))
    };
    registry.apply(&at(100, 100, "now"));
    registry.apply(&at(100, 200, "planned"));
    let name = |clock| {
        let seen = registry.as_of_now(Ms(clock));
        seen.agency(AgencyId(1))
            .map(|agency| agency.name.to_string())
    };
    assert_eq!(name(50).as_deref(), Some("now"));
    assert_eq!(name(199).as_deref(), Some("now"));
    assert_eq!(name(200).as_deref(), Some("planned"));
    assert_eq!(registry.as_of(Ms(50)).agency(AgencyId(1)), None);
}

#[test]
fn an_agency_is_served_by_one_system_at_a_time() {
    let mut registry = Registry::default();
    let serve = |system: &str, from, until| {
        Fact::ServiceChanged(Box::new(ServiceChanged {
            system: system.into(),
            agencies: vec![1],
            from_ms: from,
            until_ms: until,
            ..ServiceChanged::default()
        }))
    };
    registry.apply(&serve("a", 10, None));
    registry.apply(&serve("b", 20, Some(30)));
    let at = |at| {
        let seen = registry.as_of(Ms(at));
        let systems: Vec<_> = seen
            .systems_of(AgencyId(1))
            .iter()
            .map(|s| s.to_string())
            .collect();
        for name in ["a", "b"] {
            let id = name.parse().unwrap();
            assert_eq!(seen.served_by(&id).count() == 1, systems == [name]);
        }
        systems
    };
    assert_eq!(at(9), [""; 0]);
    assert_eq!(at(10), ["a"]);
    assert_eq!(at(20), ["b"]);
    assert_eq!(at(30), [""; 0]);
}

#[test]
fn a_key_ends_at_its_moment() {
    let mut registry = Registry::default();
    let system = SystemRecorded {
        system: "a".into(),
        ..SystemRecorded::default()
    };
    registry.apply(&Fact::SystemRecorded(Box::new(system)));
    let key = SystemKeyAdded {
        system: "a".into(),
        key_id: 1,
        ..SystemKeyAdded::default()
    };
    registry.apply(&Fact::SystemKeyAdded(Box::new(key)));
    let ends = SystemKeyEnds {
        system: "a".into(),
        key_id: 1,
        not_after_ms: 50,
        ..SystemKeyEnds::default()
    };
    registry.apply(&Fact::SystemKeyEnds(Box::new(ends)));
    let system = registry.system("a").unwrap();
    assert_eq!(system.keys_at(Ms(49)).count(), 1);
    assert_eq!(system.keys_at(Ms(50)).count(), 0);
    assert_eq!(registry.as_of(Ms(1)).next_moment(), Some(Ms(50)));
}

/// The registry's size with a national list in it, and what a change of one agency costs: a few
/// nodes, never the list.
#[test]
fn a_change_of_one_agency_does_not_copy_the_list() {
    let mut registry = Registry::default();
    for id in 1..=20_000 {
        registry.apply(&recorded(id, &format!("H99.{id}"), ""));
    }
    let kept = registry.clone();
    let started = std::time::Instant::now();
    for id in 1..=200 {
        registry.apply(&recorded(id, &format!("H98.{id}"), ""));
        // Somebody holds each snapshot.
        let _held = registry.clone();
    }
    let each = started.elapsed() / 200;
    // Copying 20,000 agencies takes milliseconds, in this build more.
    assert!(each.as_millis() < 2, "{each:?} a change");
    assert_eq!(kept.resolve("H99.7"), Some(AgencyId(7)));
    assert_eq!(registry.resolve("H99.7"), None);
    assert_eq!(registry.resolve("H98.7"), Some(AgencyId(7)));
}

#[derive(Debug, Clone)]
enum Act {
    Change {
        agency: u32,
        from: i64,
        sets: u32,
        code: u8,
        name: u8,
        closed: bool,
    },
    Withdraw {
        agency: u32,
        which: usize,
    },
}

fn act() -> impl Strategy<Value = Act> {
    let sets = (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(code, name, state)| {
        let bit = |on: bool, field: Field| if on { field.bit() } else { 0 };
        bit(code, Field::Code) | bit(name, Field::Name) | bit(state, Field::State)
    });
    prop_oneof![
        4 => (1_u32..5, 0_i64..8, sets, 0_u8..4, 0_u8..4, any::<bool>()).prop_map(
            |(agency, from, sets, code, name, closed)| Act::Change { agency, from, sets, code, name, closed }
        ),
        1 => (1_u32..5, 0_usize..4).prop_map(|(agency, which)| Act::Withdraw { agency, which }),
    ]
}

/// One recorded change, as a plain list keeps it.
#[derive(Debug, Clone)]
struct Line {
    number: u32,
    from: i64,
    sets: u32,
    to: AgencyRecorded,
}

proptest! {
    /// Whatever was recorded in whatever order, the registry as of any moment is what a plain
    /// list of changes gives that is read from its beginning; also after a checkpoint.
    #[test]
    fn the_timeline_is_what_a_plain_list_of_changes_says(acts in prop::collection::vec(act(), 1..40)) {
        let mut registry = Registry::default();
        let mut lists: BTreeMap<u32, Vec<Line>> = BTreeMap::new();
        let mut numbers: BTreeMap<u32, u32> = BTreeMap::new();
        for act in acts {
            match act {
                Act::Change { agency, from, sets, code, name, closed } => {
                    let list = lists.entry(agency).or_default();
                    // The first change of an agency is whole.
                    let sets = if list.is_empty() { EVERYTHING } else { sets };
                    let number = numbers.entry(agency).or_default();
                    if list.is_empty() { *number = 0; }
                    *number += 1;
                    let to = AgencyRecorded {
                        agency,
                        code: format!("C{code}"),
                        name: format!("N{name}"),
                        state: if closed { AgencyState::Closed } else { AgencyState::Active }.into(),
                        ..AgencyRecorded::default()
                    };
                    list.push(Line { number: *number, from, sets, to: to.clone() });
                    registry.apply(&changed(from, sets, to));
                }
                Act::Withdraw { agency, which } => {
                    let Some(list) = lists.get_mut(&agency) else { continue };
                    if which >= list.len() { continue }
                    // Its whole first change stays as long as others rest on it.
                    if which == 0 && list.len() > 1 { continue }
                    let line = list.remove(which);
                    *numbers.entry(agency).or_default() += 1;
                    registry.apply(&Fact::AgencyChangeWithdrawn(Box::new(AgencyChangeWithdrawn {
                        agency,
                        number: line.number,
                        ..AgencyChangeWithdrawn::default()
                    })));
                }
            }
        }
        let again = Registry::restored(registry.saved());
        prop_assert_eq!(again.saved(), registry.saved());
        for at in 0..9 {
            let seen = registry.as_of(Ms(at));
            let restored = again.as_of(Ms(at));
            let mut having: BTreeMap<String, Vec<(bool, AgencyId)>> = BTreeMap::new();
            for (agency, list) in &lists {
                let mut lines: Vec<_> = list.iter().filter(|line| line.from <= at).collect();
                lines.sort_by_key(|line| (line.from, line.number));
                let mut expected: Option<Agency> = None;
                for line in lines {
                    expected.get_or_insert_default().take(&Agency::of(&line.to), line.sets);
                }
                let id = AgencyId(*agency);
                prop_assert_eq!(seen.agency(id), expected.as_ref());
                prop_assert_eq!(restored.agency(id), expected.as_ref());
                if let Some(expected) = expected {
                    let claim = (expected.state == AgencyState::Closed, id);
                    if !expected.code.is_empty() {
                        having.entry(expected.code.to_string()).or_default().push(claim);
                    }
                }
            }
            for code in ["C0", "C1", "C2", "C3"] {
                let best = having.get(code).and_then(|claims| claims.iter().min()).map(|(_, id)| *id);
                prop_assert_eq!(seen.resolve(code), best, "{} at {}", code, at);
                prop_assert_eq!(restored.resolve(code), best);
            }
        }
    }
}
