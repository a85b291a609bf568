//! What the model has found, each as the least that showed it.

use std::collections::BTreeSet;

use crate::event::{Event, Whose};
use crate::holds;

fn to(agency: usize) -> BTreeSet<usize> {
    BTreeSet::from([agency])
}

/// A document of agency 0's for agency 1, and an update of it under the same DocumentId, both
/// fetched.
fn document_and_update_fetched() -> Vec<Event> {
    let fetch = Event::Fetch {
        system: 1,
        only: None,
    };
    vec![
        Event::Document {
            from: 0,
            key: 0,
            to: to(1),
            body: 0,
        },
        Event::Update {
            from: 0,
            key: 0,
            own: false,
            to: to(1),
            off: BTreeSet::new(),
            body: 0,
        },
        fetch.clone(),
        fetch,
    ]
}

fn recall() -> Event {
    Event::Recall {
        from: 0,
        key: 0,
        whose: Whose::Document,
        to: to(1),
        body: 0,
    }
}

#[test]
fn what_an_update_brought_is_offered_no_more_after_a_recall_and_a_kill() {
    // The stop leaves a checkpoint from before the recall.
    let end = [Event::Restart, recall(), Event::Kill];
    holds(&[document_and_update_fetched(), end.to_vec()].concat());
}

#[test]
fn a_15_ends_what_an_update_brought_as_well() {
    let agrees = Event::Report {
        from: 1,
        to: 0,
        key: 0,
        whose: Whose::Document,
        code: 15,
        body: 0,
    };
    holds(&[document_and_update_fetched(), vec![recall(), agrees]].concat());
}
