//! Order, windows, acks, what comes back, depth, purge.

use std::pin::pin;
use std::sync::Arc;

use bus::{Bus, Headers, Lane, MAX_BODY, Message, Queue, headers};

use super::*;

pub(crate) async fn what_is_published_first_is_taken_first(bus: Arc<dyn Bus>) {
    let queue = fresh();
    publish(&*bus, &queue, 0..100).await;
    let mut consumer = consume(&*bus, &queue, 7).await;
    for expected in 0..200 {
        if expected == 50 {
            publish(&*bus, &queue, 100..200).await;
        }
        let taken = take(&mut consumer).await;
        assert_eq!(number(&taken.message), expected);
        assert!(!taken.redelivered, "nobody had {expected} before");
        taken.ack();
    }
}

pub(crate) async fn a_confirmed_message_is_in_its_queue_as_it_was_sent(bus: Arc<dyn Bus>) {
    let queue = fresh();
    let long: Vec<u8> = (0..MAX_BODY)
        .map(|at| u8::try_from(at * 3).unwrap())
        .collect();
    let sent = [
        Message {
            id: *b"0123456789abcdef",
            agency: u32::MAX,
            body: long.into(),
            headers: Headers::from_iter([
                (headers::PACKAGE, "0192f0c1a2b30000000000a1"),
                (headers::AGENCY, "Sở Nội vụ"),
            ]),
        },
        Message {
            id: [0; 16],
            agency: 0,
            ..Message::default()
        },
        Message {
            id: [0xff; 16],
            agency: 7,
            body: "ố".as_bytes().into(),
            ..Message::default()
        },
    ];
    for (before, message) in sent.iter().enumerate() {
        soon(bus.publish(&queue, message.clone())).await.unwrap();
        depth_becomes(&*bus, &queue, before as u64 + 1, 0, 0).await;
    }
    let mut consumer = consume(&*bus, &queue, 1).await;
    for message in sent {
        let taken = take(&mut consumer).await;
        assert_eq!(taken.message, message);
        assert!(!taken.redelivered);
        taken.ack();
    }
}

pub(crate) async fn queues_are_apart_by_system_and_by_lane(bus: Arc<dyn Bus>) {
    let (one, other) = (fresh_system(), fresh_system());
    let queues: Vec<Queue> = [&one, &other]
        .into_iter()
        .flat_map(|system| Lane::ALL.map(|lane| Queue::new(system.as_str(), lane)))
        .collect();
    for (number, queue) in (0..).zip(&queues) {
        publish(&*bus, queue, number..number + 1).await;
    }
    for (expected, queue) in (0..).zip(&queues) {
        let mut consumer = consume(&*bus, queue, 5).await;
        let taken = take(&mut consumer).await;
        assert_eq!(number(&taken.message), expected, "{queue}");
        assert!(
            at_once(consumer.next()).await.is_none(),
            "{queue} has one message"
        );
        taken.ack();
    }
}

pub(crate) async fn a_consumer_holds_no_more_than_its_window(bus: Arc<dyn Bus>) {
    let queue = fresh();
    publish(&*bus, &queue, 0..4).await;
    let mut consumer = consume(&*bus, &queue, 2).await;
    let first = take(&mut consumer).await;
    let second = take(&mut consumer).await;
    {
        let mut third = pin!(consumer.next());
        assert!(
            at_once(third.as_mut()).await.is_none(),
            "the window is full"
        );
        depth_becomes(&*bus, &queue, 2, 2, 1).await;
        assert!(
            at_once(third.as_mut()).await.is_none(),
            "the window is still full"
        );
        second.ack();
        let third = soon(third).await.unwrap().unwrap();
        assert_eq!(number(&third.message), 2);
        third.ack();
    }
    let fourth = take(&mut consumer).await;
    assert_eq!(number(&fourth.message), 3);
    assert_eq!(number(&first.message), 0, "held all the while");
    drop((first, fourth));
}

pub(crate) async fn an_ack_removes_for_good(bus: Arc<dyn Bus>) {
    let queue = fresh();
    publish(&*bus, &queue, 0..3).await;
    let mut consumer = consume(&*bus, &queue, 3).await;
    for _ in 0..3 {
        take(&mut consumer).await.ack();
    }
    depth_becomes(&*bus, &queue, 0, 0, 1).await;
    drop(consumer);
    depth_becomes(&*bus, &queue, 0, 0, 0).await;
    let mut next = consume(&*bus, &queue, 3).await;
    publish(&*bus, &queue, 3..4).await;
    assert_eq!(number(&take(&mut next).await.message), 3);
}

pub(crate) async fn a_message_that_is_dropped_comes_back_first_and_marked(bus: Arc<dyn Bus>) {
    comes_back(&*bus, drop).await;
}

pub(crate) async fn a_message_that_is_given_back_comes_back_first_and_marked(bus: Arc<dyn Bus>) {
    comes_back(&*bus, Taken::requeue).await;
}

async fn comes_back(bus: &dyn Bus, give_back: fn(Taken)) {
    let queue = fresh();
    publish(bus, &queue, 0..3).await;
    let mut consumer = consume(bus, &queue, 1).await;
    for expected in 0..3 {
        for again in [false, true, true] {
            let taken = take(&mut consumer).await;
            assert_eq!(
                (number(&taken.message), taken.redelivered),
                (expected, again)
            );
            give_back(taken);
        }
        take(&mut consumer).await.ack();
    }
    depth_becomes(bus, &queue, 0, 0, 1).await;
}

pub(crate) async fn a_consumer_that_leaves_gives_back_all_it_holds_in_order(bus: Arc<dyn Bus>) {
    let queue = fresh();
    publish(&*bus, &queue, 0..6).await;
    let mut leaver = consume(&*bus, &queue, 4).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(take(&mut leaver).await);
    }
    held.remove(1).ack();
    drop(leaver);
    depth_becomes(&*bus, &queue, 5, 0, 0).await;

    let mut next = consume(&*bus, &queue, 1).await;
    for expected in [0, 2, 3] {
        let taken = take(&mut next).await;
        assert_eq!(
            (number(&taken.message), taken.redelivered),
            (expected, true)
        );
        taken.ack();
    }
    // What a bus had handed out ahead may be marked though nobody saw it; order holds.
    for expected in [4, 5] {
        let taken = take(&mut next).await;
        assert_eq!(number(&taken.message), expected);
        taken.ack();
    }
    drop(held);
    depth_becomes(&*bus, &queue, 0, 0, 1).await;
}

pub(crate) async fn an_ack_before_leaving_counts_and_one_after_it_does_not(bus: Arc<dyn Bus>) {
    let queue = fresh();
    publish(&*bus, &queue, 0..2).await;
    let mut leaver = consume(&*bus, &queue, 2).await;
    let (before, after) = (take(&mut leaver).await, take(&mut leaver).await);
    before.ack();
    drop(leaver);
    depth_becomes(&*bus, &queue, 1, 0, 0).await;
    after.ack();
    let mut next = consume(&*bus, &queue, 1).await;
    let taken = take(&mut next).await;
    assert_eq!((number(&taken.message), taken.redelivered), (1, true));
    taken.ack();
    depth_becomes(&*bus, &queue, 0, 0, 1).await;
}

pub(crate) async fn two_consumers_share_a_queue(bus: Arc<dyn Bus>) {
    let queue = fresh();
    let mut one = consume(&*bus, &queue, 5).await;
    let mut other = consume(&*bus, &queue, 5).await;
    publish(&*bus, &queue, 0..10).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(take(&mut one).await);
        held.push(take(&mut other).await);
    }
    depth_becomes(&*bus, &queue, 0, 10, 2).await;
    let mut numbers: Vec<u64> = held.iter().map(|taken| number(&taken.message)).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, Vec::from_iter(0..10));
    drop(one);
    depth_becomes(&*bus, &queue, 5, 5, 1).await;
}

pub(crate) async fn a_waiting_consumer_is_woken_by_a_publish(bus: Arc<dyn Bus>) {
    let queue = fresh();
    let mut waits = Vec::new();
    for _ in 0..2 {
        let mut consumer = consume(&*bus, &queue, 1).await;
        waits.push(tokio::spawn(async move {
            let taken = take(&mut consumer).await;
            let taken_number = number(&taken.message);
            taken.ack();
            (taken_number, consumer)
        }));
    }
    depth_becomes(&*bus, &queue, 0, 0, 2).await;
    publish(&*bus, &queue, 0..2).await;
    let mut numbers = Vec::new();
    let mut consumers = Vec::new();
    for wait in waits {
        let (number, consumer) = soon(wait).await.unwrap();
        numbers.push(number);
        consumers.push(consumer);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1]);
    depth_becomes(&*bus, &queue, 0, 0, 2).await;
}

pub(crate) async fn a_wait_that_is_dropped_loses_nothing(bus: Arc<dyn Bus>) {
    let queue = fresh();
    let mut consumer = consume(&*bus, &queue, 3).await;
    for count in 0..100 {
        // Dropped before anything came, and, once polled, dropped after something came.
        drop(consumer.next());
        {
            let mut wait = pin!(consumer.next());
            assert!(at_once(wait.as_mut()).await.is_none(), "all was taken");
            publish(&*bus, &queue, count..count + 1).await;
        }
        drop(consumer.next());
        let taken = match at_once(consumer.next()).await {
            Some(answer) => answer.unwrap().unwrap(),
            None => take(&mut consumer).await,
        };
        assert_eq!((number(&taken.message), taken.redelivered), (count, false));
        taken.ack();
    }
    depth_becomes(&*bus, &queue, 0, 0, 1).await;
}

pub(crate) async fn depth_tells_what_waits_what_is_held_and_by_how_many(bus: Arc<dyn Bus>) {
    let queue = fresh();
    depth_becomes(&*bus, &queue, 0, 0, 0).await;
    publish(&*bus, &queue, 0..5).await;
    depth_becomes(&*bus, &queue, 5, 0, 0).await;
    let mut one = consume(&*bus, &queue, 2).await;
    let held = [take(&mut one).await, take(&mut one).await];
    depth_becomes(&*bus, &queue, 3, 2, 1).await;
    let mut other = consume(&*bus, &queue, 1).await;
    let third = take(&mut other).await;
    depth_becomes(&*bus, &queue, 2, 3, 2).await;
    drop(other);
    depth_becomes(&*bus, &queue, 3, 2, 1).await;
    drop(third);
    drop(one);
    depth_becomes(&*bus, &queue, 5, 0, 0).await;
    drop(held);
    depth_becomes(&*bus, &queue, 5, 0, 0).await;
}

pub(crate) async fn a_purge_removes_what_waits_and_leaves_what_is_held(bus: Arc<dyn Bus>) {
    let queue = fresh();
    assert_eq!(
        soon(bus.purge(&queue)).await.unwrap(),
        0,
        "nobody used it yet"
    );
    publish(&*bus, &queue, 0..5).await;
    let mut consumer = consume(&*bus, &queue, 1).await;
    let held = take(&mut consumer).await;
    depth_becomes(&*bus, &queue, 4, 1, 1).await;
    assert_eq!(soon(bus.purge(&queue)).await.unwrap(), 4);
    depth_becomes(&*bus, &queue, 0, 1, 1).await;
    drop(held);
    publish(&*bus, &queue, 5..6).await;
    for expected in [0, 5] {
        let taken = take(&mut consumer).await;
        assert_eq!(number(&taken.message), expected);
        taken.ack();
    }
}
