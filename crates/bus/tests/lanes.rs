//! The shares of the lanes, by simulation over the embedded bus.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's helpers are tests too"
)]

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bus::{Bus, Embedded, Lane, Lanes, Message, Queue};
use proptest::prelude::*;

const SYSTEM: &str = "so-noi-vu";
const WINDOW: u16 = 4;

fn at_once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Four queues, and the one who consumes them.
struct Office {
    bus: Embedded,
    lanes: Lanes,
    published: u32,
}

impl Office {
    fn open() -> Self {
        let bus = Embedded::default();
        let lanes = at_once(Lanes::open(&bus, SYSTEM, WINDOW)).unwrap().unwrap();
        Self {
            bus,
            lanes,
            published: 0,
        }
    }

    fn publish(&mut self, lane: Lane) {
        let message = Message {
            id: [0; 16],
            agency: self.published,
            ..Message::default()
        };
        at_once(self.bus.publish(&Queue::new(SYSTEM, lane), message))
            .unwrap()
            .unwrap();
        self.published += 1;
    }

    fn ready(&self, lane: Lane) -> u64 {
        at_once(self.bus.depth(&Queue::new(SYSTEM, lane)))
            .unwrap()
            .unwrap()
            .ready
    }

    /// Takes one while `flowing` lanes always have one more.
    fn take(&mut self, flowing: &[Lane]) -> Option<Lane> {
        for &lane in flowing {
            if self.ready(lane) == 0 {
                self.publish(lane);
            }
        }
        let (lane, taken) = at_once(self.lanes.next())?.unwrap().unwrap();
        taken.ack();
        Some(lane)
    }
}

#[test]
fn when_all_lanes_flow_a_round_is_eight_four_two_and_one() {
    let mut office = Office::open();
    for _ in 0..10 {
        let round: Vec<Lane> = (0..15).map(|_| office.take(&Lane::ALL).unwrap()).collect();
        let [flash, urgent, status, routine] =
            Lane::ALL.map(|lane| round.iter().filter(|&&of| of == lane).count());
        assert_eq!([flash, urgent, status, routine], [8, 4, 2, 1]);
        assert!(
            round.is_sorted(),
            "each round in the order of serving: {round:?}"
        );
    }
}

#[test]
fn a_routine_message_leaves_within_nine_takes_under_an_endless_urgent_flow() {
    let mut office = Office::open();
    for _ in 0..100 {
        assert_eq!(office.take(&[Lane::Urgent]), Some(Lane::Urgent));
    }
    // Whatever is spent of the round when it comes: at most the urgent share of this round and
    // of the next go before it.
    for before in 0..20 {
        for _ in 0..before {
            office.take(&[Lane::Urgent]);
        }
        office.publish(Lane::Routine);
        let takes = (1..1000)
            .find(|_| office.take(&[Lane::Urgent]) == Some(Lane::Routine))
            .unwrap();
        assert!(takes <= 9, "it left at take {takes}");
        // A second one right behind it waits for the urgent share and no longer.
        office.publish(Lane::Routine);
        let takes = (1..1000)
            .find(|_| office.take(&[Lane::Urgent]) == Some(Lane::Routine))
            .unwrap();
        assert!(takes <= 9, "the next left at take {takes}");
    }
}

#[test]
fn the_longest_waits_are_as_stated() {
    assert_eq!(Lane::ALL.map(Lanes::longest_wait), [7, 19, 25, 28]);
}

#[test]
fn the_longest_wait_of_a_routine_message_is_reached_and_not_passed() {
    let higher = [Lane::Flash, Lane::Urgent, Lane::Status];
    let mut office = Office::open();
    // Alone it spends its share; then the others come, and one more of its kind.
    office.publish(Lane::Routine);
    assert_eq!(office.take(&[]), Some(Lane::Routine));
    office.publish(Lane::Routine);
    let waited = (0..1000)
        .find(|_| office.take(&higher) == Some(Lane::Routine))
        .unwrap();
    assert_eq!(waited, Lanes::longest_wait(Lane::Routine));
}

#[test]
fn after_a_rest_the_first_lane_is_served_first() {
    let mut office = Office::open();
    for _ in 0..8 {
        assert_eq!(office.take(&[Lane::Flash]), Some(Lane::Flash));
    }
    while office.take(&[]).is_some() {}
    for lane in Lane::ALL.into_iter().rev() {
        office.publish(lane);
    }
    let order: Vec<Lane> = std::iter::from_fn(|| office.take(&[])).collect();
    assert_eq!(order, Lane::ALL);
}

#[test]
fn a_lane_with_a_full_window_does_not_hold_up_the_others() {
    let mut office = Office::open();
    let mut held = Vec::new();
    for _ in 0..WINDOW + 3 {
        office.publish(Lane::Routine);
    }
    while let Some(next) = at_once(office.lanes.next()) {
        held.push(next.unwrap().unwrap());
    }
    assert_eq!(held.len(), usize::from(WINDOW));
    assert_eq!(office.ready(Lane::Routine), 3);
    assert_eq!(office.take(&[Lane::Flash]), Some(Lane::Flash));
}

#[tokio::test]
async fn a_waiting_consumer_of_lanes_is_woken_by_any_lane_and_by_the_end() {
    let bus: Arc<dyn Bus> = Arc::new(Embedded::default());
    let mut lanes = Lanes::open(&*bus, SYSTEM, WINDOW).await.unwrap();
    let (saw, mut seen) = tokio::sync::mpsc::channel(1);
    let waits = tokio::spawn(async move {
        while let Some(next) = lanes.next().await {
            let (lane, taken) = next.unwrap();
            taken.ack();
            saw.send(lane).await.unwrap();
        }
    });
    for lane in Lane::ALL {
        tokio::task::yield_now().await;
        let message = Message {
            id: [0; 16],
            agency: 0,
            ..Message::default()
        };
        bus.publish(&Queue::new(SYSTEM, lane), message)
            .await
            .unwrap();
        assert_eq!(seen.recv().await, Some(lane));
    }
    bus.close().await;
    waits.await.unwrap();
    assert_eq!(seen.recv().await, None);
}

#[test]
fn dropped_waits_and_dropped_lanes_lose_nothing() {
    let mut office = Office::open();
    assert!(at_once(office.lanes.next()).is_none());
    for lane in Lane::ALL {
        office.publish(lane);
    }
    drop(office.lanes.next());
    let (lane, taken) = at_once(office.lanes.next()).unwrap().unwrap().unwrap();
    assert_eq!((lane, taken.redelivered), (Lane::Flash, false));
    drop(office.lanes);
    drop(taken);
    assert!(Lane::ALL.iter().all(|&lane| {
        at_once(office.bus.depth(&Queue::new(SYSTEM, lane)))
            .unwrap()
            .unwrap()
            .ready
            == 1
    }));
}

proptest! {
    /// Duty PR-05, in virtual time: higher lanes flow without end, each message takes its
    /// receiver up to 20 s, and a routine one leaves within the stated waits of that long.
    #[test]
    fn pr_05_under_an_endless_flow_a_routine_message_leaves_within_the_stated_time(
        takes in prop::collection::vec((1..=20_000_u64, 1..8_usize), 200),
        comes_at in 0..100_usize,
    ) {
        let mut office = Office::open();
        let (mut now, mut came) = (0, None);
        let mut left = None;
        for (number, (spends_ms, flowing)) in takes.into_iter().enumerate() {
            if number == comes_at {
                office.publish(Lane::Routine);
                came = Some(now);
            }
            // Some of the higher lanes, at least one of them.
            let higher: Vec<Lane> = Lane::ALL[..3]
                .iter()
                .enumerate()
                .filter(|(at, _)| flowing & (1 << at) != 0)
                .map(|(_, lane)| *lane)
                .collect();
            let served = office.take(&higher).unwrap();
            if served == Lane::Routine {
                left = Some(now);
                break;
            }
            now += spends_ms;
        }
        let waited = left.unwrap() - came.unwrap();
        let stated = u64::from(Lanes::longest_wait(Lane::Routine)) * 20_000;
        prop_assert!(waited <= stated, "{waited} ms");
    }
}

proptest! {
    /// Whatever comes when: no lane that has a message is passed over longer than stated, and
    /// each lane keeps its order.
    #[test]
    fn no_lane_waits_longer_than_stated(
        bursts in prop::collection::vec((0..4_usize, 0..40_u32, 0..40_u32), 0..30)
    ) {
        let mut office = Office::open();
        let mut passed_over = [0; 4];
        let mut last = [None; 4];
        let mut count = 0;
        for (lane, come, go) in bursts {
            for _ in 0..come {
                office.publish(Lane::ALL[lane]);
            }
            for _ in 0..go {
                let waiting = Lane::ALL.map(|lane| office.ready(lane) > 0);
                let Some(next) = at_once(office.lanes.next()) else {
                    prop_assert_eq!(waiting, [false; 4]);
                    break;
                };
                let (served, taken) = next.unwrap().unwrap();
                count += 1;
                for (at, lane) in Lane::ALL.into_iter().enumerate() {
                    if lane == served {
                        passed_over[at] = 0;
                        prop_assert!(last[at] < Some(taken.message.agency));
                        last[at] = Some(taken.message.agency);
                    } else if waiting[at] {
                        passed_over[at] += 1;
                        prop_assert!(passed_over[at] <= Lanes::longest_wait(lane), "{}", lane);
                    }
                }
                taken.ack();
            }
        }
        while office.take(&[]).is_some() {
            count += 1;
        }
        prop_assert_eq!(count, office.published);
    }
}
