//! What the embedded bus promises beyond the contract: exact places, turns, bounded memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's helpers are tests too"
)]

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bus::{Bus, Consumer, Depth, Embedded, Lane, MAX_BODY, Message, PublishError, Queue, Taken};
use proptest::prelude::*;

fn queue() -> Queue {
    Queue::new("so-noi-vu", Lane::Urgent)
}

fn message(number: u32) -> Message {
    Message {
        id: [1; 16],
        agency: number,
        ..Message::default()
    }
}

/// What `future` gives at its first poll. The embedded bus waits for messages alone.
fn at_once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn publish(bus: &Embedded, number: u32) -> Result<(), PublishError> {
    at_once(bus.publish(&queue(), message(number))).unwrap()
}

fn consume(bus: &Embedded, window: u16) -> Box<dyn Consumer> {
    at_once(bus.consume(&queue(), window)).unwrap().unwrap()
}

fn depth(bus: &Embedded) -> Depth {
    at_once(bus.depth(&queue())).unwrap().unwrap()
}

fn take(consumer: &mut Box<dyn Consumer>) -> Option<Taken> {
    at_once(consumer.next()).map(|answer| answer.unwrap().unwrap())
}

fn holding(capacity: usize) -> Embedded {
    Embedded::with_capacity(NonZeroUsize::new(capacity).unwrap())
}

#[test]
fn a_queue_holds_its_capacity_waiting_and_unacked_together() {
    let bus = holding(3);
    for number in 0..3 {
        publish(&bus, number).unwrap();
    }
    assert!(matches!(
        publish(&bus, 3),
        Err(PublishError::Full { capacity: 3 })
    ));
    let mut consumer = consume(&bus, 2);
    let taken = take(&mut consumer).unwrap();
    assert!(
        matches!(publish(&bus, 3), Err(PublishError::Full { .. })),
        "one is unacked"
    );
    taken.ack();
    publish(&bus, 3).unwrap();
    let other = Queue::new("so-noi-vu", Lane::Flash);
    at_once(bus.publish(&other, message(4))).unwrap().unwrap();
}

#[test]
fn a_body_too_long_is_refused_and_not_kept() {
    let bus = Embedded::default();
    let long = Message {
        body: vec![0; MAX_BODY + 1].into(),
        ..message(0)
    };
    let answer = at_once(bus.publish(&queue(), long)).unwrap();
    assert!(matches!(
        answer,
        Err(PublishError::TooLong {
            length: 65,
            limit: MAX_BODY
        })
    ));
    assert_eq!(depth(&bus), Depth::default());
}

#[test]
fn a_publish_that_is_never_polled_does_nothing() {
    let bus = Embedded::default();
    drop(bus.publish(&queue(), message(0)));
    assert_eq!(depth(&bus), Depth::default());
}

#[test]
fn who_waits_longest_is_served_and_nobody_overtakes() {
    let bus = Embedded::default();
    let (mut first, mut second, mut quick) =
        (consume(&bus, 1), consume(&bus, 1), consume(&bus, 100));
    let mut first_waits = first.next();
    let mut second_waits = second.next();
    assert!(at_once(first_waits.as_mut()).is_none());
    assert!(at_once(second_waits.as_mut()).is_none());
    for number in 0..2 {
        publish(&bus, number).unwrap();
        assert!(take(&mut quick).is_none(), "{number} is another's turn");
    }
    publish(&bus, 2).unwrap();
    let to_quick = take(&mut quick).unwrap();
    let to_second = at_once(second_waits).unwrap().unwrap().unwrap();
    let to_first = at_once(first_waits).unwrap().unwrap().unwrap();
    let numbers = [&to_quick, &to_second, &to_first].map(|taken| taken.message.agency);
    assert_eq!(numbers, [0, 1, 2], "three turns, the front at each");
}

/// How often it was woken.
#[derive(Default)]
struct Bell(std::sync::atomic::AtomicUsize);

impl std::task::Wake for Bell {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Bell {
    fn rang(&self) -> bool {
        self.0.swap(0, std::sync::atomic::Ordering::SeqCst) > 0
    }
}

#[test]
fn a_turn_that_is_not_used_wakes_the_next() {
    let bus = Embedded::default();
    let (mut first, mut second) = (consume(&bus, 1), consume(&bus, 1));
    let bell = std::sync::Arc::new(Bell::default());
    let waker = Waker::from(std::sync::Arc::clone(&bell));
    let mut first_waits = first.next();
    assert!(at_once(first_waits.as_mut()).is_none());
    let mut second_waits = second.next();
    assert!(
        second_waits
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );

    publish(&bus, 0).unwrap();
    assert!(!bell.rang(), "the first one's turn");
    drop(first_waits);
    assert!(bell.rang());
    assert!(at_once(second_waits).is_some());
}

#[test]
fn room_in_the_window_a_message_given_back_and_a_leaver_wake_who_waits() {
    let bus = Embedded::default();
    let bell = std::sync::Arc::new(Bell::default());
    let waker = Waker::from(std::sync::Arc::clone(&bell));
    let cx = &mut Context::from_waker(&waker);
    let (mut one, mut other) = (consume(&bus, 1), consume(&bus, 1));
    publish(&bus, 0).unwrap();
    publish(&bus, 1).unwrap();

    let held = take(&mut one).unwrap();
    let mut wait = one.next();
    assert!(wait.as_mut().poll(cx).is_pending());
    held.ack();
    assert!(bell.rang(), "an ack made room");
    let Poll::Ready(Some(Ok(held))) = wait.as_mut().poll(cx) else {
        panic!("there is room")
    };
    drop(wait);

    let mut wait = other.next();
    assert!(wait.as_mut().poll(cx).is_pending());
    held.requeue();
    assert!(bell.rang(), "a message came back");
    drop(wait);

    let held = take(&mut one).unwrap();
    let mut wait = other.next();
    assert!(wait.as_mut().poll(cx).is_pending());
    drop(one);
    assert!(bell.rang(), "a consumer left");
    assert!(wait.as_mut().poll(cx).is_ready());
    drop(held);
}

/// What can be done with three consumers; numbers choose among what there is.
#[derive(Debug, Clone)]
enum Step {
    Publish,
    Take(usize),
    Ack(usize),
    Drop(usize),
    Leave(usize),
    Purge,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    number: u32,
    redelivered: bool,
}

const WINDOWS: [u16; 3] = [1, 2, 5];
const CAPACITY: usize = 12;

proptest! {
    /// Every message comes where it belongs and marked as it must be, every depth and every
    /// refusal is exact.
    #[test]
    fn consumers_see_what_a_plain_queue_would_give(steps in prop::collection::vec(prop_oneof![
        6 => Just(Step::Publish),
        6 => (0..3_usize).prop_map(Step::Take),
        2 => any::<usize>().prop_map(Step::Ack),
        2 => any::<usize>().prop_map(Step::Drop),
        1 => (0..3_usize).prop_map(Step::Leave),
        1 => Just(Step::Purge),
    ], 0..120)) {
        let bus = holding(CAPACITY);
        let mut consumers = WINDOWS.map(|window| consume(&bus, window));
        let mut ready: VecDeque<Entry> = VecDeque::new();
        let mut hand: Vec<(usize, Entry, Taken)> = Vec::new();
        let mut published = 0;
        let back = |ready: &mut VecDeque<Entry>, number: u32| {
            let at = ready.iter().take_while(|entry| entry.number < number).count();
            ready.insert(at, Entry { number, redelivered: true });
        };
        for step in steps {
            match step {
                Step::Publish => {
                    let full = ready.len() + hand.len() >= CAPACITY;
                    prop_assert_eq!(publish(&bus, published).is_err(), full);
                    if !full {
                        ready.push_back(Entry { number: published, redelivered: false });
                        published += 1;
                    }
                }
                Step::Take(at) => {
                    let held = hand.iter().filter(|(whose, ..)| *whose == at).count();
                    let expected =
                        if held < usize::from(WINDOWS[at]) { ready.pop_front() } else { None };
                    let taken = take(&mut consumers[at]);
                    prop_assert_eq!(
                        taken.as_ref().map(|taken| (taken.message.agency, taken.redelivered)),
                        expected.map(|entry| (entry.number, entry.redelivered))
                    );
                    hand.extend(taken.zip(expected).map(|(taken, entry)| (at, entry, taken)));
                }
                Step::Ack(which) if !hand.is_empty() => {
                    let which = which % hand.len();
                    hand.swap_remove(which).2.ack();
                }
                Step::Drop(which) if !hand.is_empty() => {
                    let which = which % hand.len();
                    let (_, entry, taken) = hand.swap_remove(which);
                    drop(taken);
                    back(&mut ready, entry.number);
                }
                Step::Ack(_) | Step::Drop(_) => {}
                Step::Leave(at) => {
                    consumers[at] = consume(&bus, WINDOWS[at]);
                    let (left, stay) = hand.into_iter().partition(|(whose, ..)| *whose == at);
                    hand = stay;
                    let left: Vec<(usize, Entry, Taken)> = left;
                    for (_, entry, taken) in left {
                        back(&mut ready, entry.number);
                        taken.ack();
                    }
                }
                Step::Purge => {
                    let purged = at_once(bus.purge(&queue())).unwrap().unwrap();
                    prop_assert_eq!(purged, ready.len() as u64);
                    ready.clear();
                }
            }
            let expected =
                Depth { ready: ready.len() as u64, unacked: hand.len() as u64, consumers: 3 };
            prop_assert_eq!(depth(&bus), expected);
        }
    }
}
