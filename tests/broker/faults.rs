//! What can happen to a broker, and that the bus comes out of each of it: what was confirmed is
//! there, what was not is said so, and the link tells the state in words.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bus::amqp::{Cause, Link, LinkState};
use bus::{Amqp, Bus, Lane, PublishError, Queue, QueueError};
use testkit::{Broker, Vhost};

use crate::demo::the_demo_tells_the_same_story_over_a_broker;
use crate::house::{NEVER, config, opened, runtime, until};
use crate::letters::{
    a_letter_is_read_answered_and_acked, a_letter_that_cannot_be_parsed_is_taken_away_alone,
    a_letter_too_long_is_a_dead_one, a_system_may_read_its_own_lanes_alone,
    the_definitions_load_and_are_all_the_axis_needs,
};
use crate::rules::both_buses_behave_alike;
use crate::suite::{at_once, consume, depth_becomes, fresh, message, number, publish, soon, take};
use crate::tls::a_broker_is_believed_by_its_authority_and_lets_in_who_has_a_certificate;

/// Runs the cases on one broker, each in a vhost of its own, and names all that failed.
macro_rules! cases {
    ($broker:expr, $($case:ident),* $(,)?) => {{
        let broker: Arc<Broker> = Arc::new($broker);
        let runtime = runtime();
        let mut failed: Vec<&str> = Vec::new();
        $(
            let began = std::time::Instant::now();
            let vhost = broker.vhost(stringify!($case)).unwrap();
            let shared = Arc::clone(&broker);
            let run = runtime.block_on(async move {
                tokio::spawn(async move { $case(&shared, &vhost).await }).await
            });
            eprintln!("{}: {:?}", stringify!($case), began.elapsed());
            // What a failed case left behind must not fail the next one.
            broker.memory_alarm(false).unwrap();
            broker.disk_alarm(false).unwrap();
            if run.is_err() {
                failed.push(stringify!($case));
            }
        )*
        assert!(failed.is_empty(), "failed: {failed:#?}");
    }};
}

#[test]
fn the_bus_comes_out_of_every_fault_of_rabbitmq() {
    cases!(
        Broker::start().unwrap(),
        a_deleted_queue_is_noticed_and_made_anew,
        a_queue_deleted_while_the_broker_is_away_is_told_as_such,
        a_message_that_the_broker_returns_was_not_sent,
        a_wiped_vhost_is_noticed_and_furnished_anew,
        closed_connections_are_made_again_and_what_was_held_comes_again,
        a_memory_alarm_holds_up_publishing_alone,
        a_disk_alarm_holds_up_publishing_alone,
        a_wrong_password_is_told_and_a_right_one_heals,
        a_missing_vhost_is_told_and_a_made_one_heals,
        a_permission_denied_on_one_queue_hurts_that_queue_alone,
        a_slow_consumer_holds_up_no_other,
        a_consumer_that_never_settles_keeps_its_window_and_no_more,
        a_letter_is_read_answered_and_acked,
        a_letter_too_long_is_a_dead_one,
        a_letter_that_cannot_be_parsed_is_taken_away_alone,
        the_definitions_load_and_are_all_the_axis_needs,
        a_system_may_read_its_own_lanes_alone,
        a_broker_is_believed_by_its_authority_and_lets_in_who_has_a_certificate,
        both_buses_behave_alike,
        the_demo_tells_the_same_story_over_a_broker,
        a_broker_that_stops_and_starts_is_found_again,
    );
}

async fn a_deleted_queue_is_noticed_and_made_anew(broker: &Broker, vhost: &Vhost) {
    let amqp = opened(vhost).await;
    let queue = fresh();
    publish(&*amqp, &queue, 0..3).await;
    let mut consumer = consume(&*amqp, &queue, 1).await;
    let held = take(&mut consumer).await;
    broker
        .delete_queue(&vhost.name, &queue.to_string())
        .unwrap();
    // The consumer makes it anew by itself; what was published is gone and published again.
    made_anew(&amqp, &queue).await;
    held.ack();
    publish(&*amqp, &queue, 3..4).await;
    assert_eq!(number(&take(&mut consumer).await.message), 3);

    // Without a consumer a look at it tells.
    let other = fresh();
    publish(&*amqp, &other, 0..1).await;
    broker
        .delete_queue(&vhost.name, &other.to_string())
        .unwrap();
    assert!(matches!(
        soon(amqp.depth(&other)).await,
        Err(QueueError::Missing)
    ));
    assert!(matches!(
        soon(amqp.depth(&other)).await,
        Err(QueueError::Missing)
    ));
    publish(&*amqp, &other, 1..2).await;
    depth_becomes(&*amqp, &other, 1, 0, 0).await;
    assert!(amqp.link().borrow().is_up(), "the link was never at fault");
}

/// A queue that is gone when the broker comes back: deleted if the broker has kept the rest, and
/// no news of its own if all went.
async fn a_queue_deleted_while_the_broker_is_away_is_told_as_such(broker: &Broker, vhost: &Vhost) {
    let amqp = opened(vhost).await;
    let (gone, there, idle) = (fresh(), fresh(), fresh());
    for queue in [&gone, &there, &idle] {
        publish(&*amqp, queue, 0..1).await;
    }
    let mut consumer = consume(&*amqp, &gone, 1).await;
    let told = || {
        let link = amqp.link();
        let deleted = Arc::clone(&link.borrow().deleted);
        deleted.keys().cloned().collect::<Vec<_>>()
    };
    let away = async || {
        broker.set_password(&vhost.name, "another").unwrap();
        broker.close_connections().unwrap();
        until(&amqp, "the link is away", |link| !link.is_connected()).await;
    };
    let back = async || {
        broker.set_password(&vhost.name, &vhost.password).unwrap();
        until(&amqp, "the bus is up", Link::is_up).await;
    };
    away().await;
    broker.delete_queue(&vhost.name, &gone.to_string()).unwrap();
    back().await;
    // With a consumer and without one: whoever looks first finds it out.
    made_anew(&amqp, &gone).await;
    for queue in [&gone, &there, &idle] {
        publish(&*amqp, queue, 1..2).await;
    }
    assert_eq!(number(&take(&mut consumer).await.message), 1);
    assert_eq!(told(), [gone.to_string()]);
    // A broker that has lost everything: that is told as its being away.
    away().await;
    broker.wipe(vhost).unwrap();
    back().await;
    for queue in [&gone, &there] {
        publish(&*amqp, queue, 2..3).await;
    }
    assert_eq!(told(), [gone.to_string()]);
    // What was not used since is not remembered as having been there.
    away().await;
    back().await;
    publish(&*amqp, &idle, 3..4).await;
    assert_eq!(told(), [gone.to_string()]);
}

/// Waits until a deleted queue is there again, with its consumer.
async fn made_anew(amqp: &Amqp, queue: &Queue) {
    let there = async {
        loop {
            match amqp.depth(queue).await {
                Ok(depth) if depth.consumers == 1 => return,
                Ok(_) | Err(QueueError::Missing) => tokio::task::yield_now().await,
                Err(error) => panic!("{queue}: {error}"),
            }
        }
    };
    soon(there).await;
}

async fn a_message_that_the_broker_returns_was_not_sent(broker: &Broker, vhost: &Vhost) {
    let amqp = opened(vhost).await;
    let (gone, there) = (fresh(), fresh());
    publish(&*amqp, &gone, 0..1).await;
    publish(&*amqp, &there, 0..1).await;
    broker.delete_queue(&vhost.name, &gone.to_string()).unwrap();
    // Many at a time on both: a return says whose it is, whatever ack it came with.
    let mut ways = Vec::new();
    for number in 1..=200 {
        for queue in [&gone, &there] {
            let (amqp, queue) = (Arc::clone(&amqp), queue.clone());
            ways.push(tokio::spawn(async move {
                (queue.clone(), amqp.publish(&queue, message(number)).await)
            }));
        }
    }
    let (mut refused, mut sent_to_gone, mut sent_to_there) = (0, 0, 0);
    for way in ways {
        match soon(way).await.unwrap() {
            (queue, Ok(())) if queue == gone => sent_to_gone += 1,
            (_, Ok(())) => sent_to_there += 1,
            (_, Err(PublishError::Refused { .. } | PublishError::Unavailable { .. })) => {
                refused += 1;
            }
            (queue, Err(error)) => panic!("{queue}: {error}"),
        }
    }
    assert!(refused > 0, "the first ones found no queue");
    // What counts as sent is there, on both.
    publish(&*amqp, &gone, 900..901).await;
    depth_becomes(&*amqp, &gone, sent_to_gone + 1, 0, 0).await;
    let there = soon(amqp.depth(&there)).await.unwrap().ready;
    assert!(
        there > sent_to_there,
        "{there} of {sent_to_there} sent, and the first one"
    );
}

async fn a_wiped_vhost_is_noticed_and_furnished_anew(broker: &Broker, vhost: &Vhost) {
    let amqp = opened(vhost).await;
    let queue = fresh();
    publish(&*amqp, &queue, 0..3).await;
    let mut consumer = consume(&*amqp, &queue, 1).await;
    let held = take(&mut consumer).await;
    let before = amqp.link().borrow().generation;
    broker.wipe(vhost).unwrap();
    let link = until(&amqp, "there is another connection", |link| {
        link.is_up() && link.generation > before
    })
    .await;
    assert!(link.faults.is_empty(), "{link:?}");
    // The first publish of the new connection makes the queue, and is confirmed.
    soon(amqp.publish(&queue, message(7))).await.unwrap();
    assert_eq!(number(&take(&mut consumer).await.message), 7);
    held.ack();
    let queues = broker.queues(&vhost.name).unwrap();
    for name in ["axis.dead", "axis.ingress", "axis.settle"] {
        assert!(queues.iter().any(|queue| queue == name), "{queues:?}");
    }
}

async fn closed_connections_are_made_again_and_what_was_held_comes_again(
    broker: &Broker,
    vhost: &Vhost,
) {
    let amqp = opened(vhost).await;
    let queue = fresh();
    publish(&*amqp, &queue, 0..2).await;
    let mut consumer = consume(&*amqp, &queue, 1).await;
    let held = take(&mut consumer).await;
    let before = amqp.link().borrow().generation;
    broker.close_connections().unwrap();
    let link = until(&amqp, "there is another connection", |link| {
        link.is_up() && link.generation > before
    })
    .await;
    assert_eq!(link.generation, before + 1);
    for expected in [0, 1] {
        let taken = take(&mut consumer).await;
        assert_eq!(number(&taken.message), expected);
        if expected == 0 {
            assert!(taken.redelivered);
        }
        taken.ack();
    }
    held.ack();
    depth_becomes(&*amqp, &queue, 0, 0, 1).await;
}

async fn a_memory_alarm_holds_up_publishing_alone(broker: &Broker, vhost: &Vhost) {
    alarm(vhost, |on| broker.memory_alarm(on).unwrap(), "memory").await;
}

async fn a_disk_alarm_holds_up_publishing_alone(broker: &Broker, vhost: &Vhost) {
    alarm(vhost, |on| broker.disk_alarm(on).unwrap(), "disk").await;
}

async fn alarm(vhost: &Vhost, set: impl Fn(bool), what: &str) {
    let amqp = opened(vhost).await;
    let queue = fresh();
    publish(&*amqp, &queue, 0..2).await;
    let mut consumer = consume(&*amqp, &queue, 1).await;
    set(true);
    // The broker takes the first message and then tells the one who sent it.
    let send = |number| {
        let (amqp, queue) = (Arc::clone(&amqp), queue.clone());
        tokio::spawn(async move { amqp.publish(&queue, message(number)).await })
    };
    let first = send(2);
    let link = until(&amqp, "the link tells the alarm", |link| {
        matches!(link.state, LinkState::Blocked { .. })
    })
    .await;
    assert!(link.is_connected() && !link.is_up());
    let LinkState::Blocked { reason } = link.state else {
        panic!("{link:?}")
    };
    assert!(reason.contains(what), "{reason}");
    let waits = send(3);
    // What was there is handed out, and acked.
    for expected in [0, 1] {
        let taken = take(&mut consumer).await;
        assert_eq!(number(&taken.message), expected);
        taken.ack();
    }
    assert!(!waits.is_finished(), "a publish waits");
    set(false);
    until(&amqp, "the link is up again", Link::is_up).await;
    soon(first).await.unwrap().unwrap();
    soon(waits).await.unwrap().unwrap();
    for expected in [2, 3] {
        let taken = take(&mut consumer).await;
        assert_eq!(number(&taken.message), expected);
        taken.ack();
    }
}

async fn a_wrong_password_is_told_and_a_right_one_heals(broker: &Broker, vhost: &Vhost) {
    broker.set_password(&vhost.name, "another").unwrap();
    let amqp = Amqp::open(config(vhost)).unwrap();
    let link = until(&amqp, "the link tells the password", |link| {
        matches!(
            &link.state,
            LinkState::Away {
                cause: Cause::Login { .. }
            }
        )
    })
    .await;
    let LinkState::Away { cause } = link.state else {
        panic!()
    };
    let told = cause.to_string();
    assert!(
        told.contains("bus.password_file") && !told.contains(&vhost.password),
        "{told}"
    );
    let refused = soon(amqp.publish(&fresh(), message(0))).await;
    assert!(matches!(refused, Err(PublishError::Unavailable { .. })));
    broker.set_password(&vhost.name, &vhost.password).unwrap();
    until(&amqp, "the bus is up", Link::is_up).await;
    publish(&*amqp, &fresh(), 0..1).await;
}

async fn a_missing_vhost_is_told_and_a_made_one_heals(broker: &Broker, vhost: &Vhost) {
    broker.delete_vhost(&vhost.name).unwrap();
    let amqp = Amqp::open(config(vhost)).unwrap();
    until(&amqp, "the link tells the vhost", |link| {
        matches!(
            &link.state,
            LinkState::Away {
                cause: Cause::Vhost { .. }
            }
        )
    })
    .await;
    broker.add_vhost(&vhost.name).unwrap();
    broker
        .permit(&vhost.name, &vhost.name, ".*", ".*", ".*")
        .unwrap();
    until(&amqp, "the bus is up", Link::is_up).await;
}

async fn a_permission_denied_on_one_queue_hurts_that_queue_alone(broker: &Broker, vhost: &Vhost) {
    let (denied, open) = (
        Queue::new("denied", Lane::Flash),
        Queue::new("open", Lane::Flash),
    );
    let most = r"^(?!axis\.system\.denied).*$";
    broker
        .permit(&vhost.name, &vhost.name, most, ".*", most)
        .unwrap();
    let amqp = opened(vhost).await;
    publish(&*amqp, &open, 0..1).await;
    let refused = soon(amqp.publish(&denied, message(0))).await;
    assert!(
        matches!(&refused, Err(PublishError::Refused { reason }) if reason.contains("ACCESS_REFUSED")),
        "{refused:?}"
    );
    let link = amqp.link().borrow().clone();
    assert!(link.is_up(), "{link:?}");
    assert_eq!(
        link.faults.keys().collect::<Vec<_>>(),
        ["axis.system.denied.flash"]
    );
    publish(&*amqp, &open, 1..2).await;
    broker
        .permit(&vhost.name, &vhost.name, ".*", ".*", ".*")
        .unwrap();
    // The broker remembers a denial for a connection's while; the next one is free of it.
    broker.close_connections().unwrap();
    until(&amqp, "there is another connection", |link| {
        link.is_up() && link.generation > 1
    })
    .await;
    publish(&*amqp, &denied, 0..1).await;
    assert!(amqp.link().borrow().faults.is_empty());
}

async fn a_slow_consumer_holds_up_no_other(_: &Broker, vhost: &Vhost) {
    let amqp = opened(vhost).await;
    let (slow, quick) = (fresh(), fresh());
    publish(&*amqp, &slow, 0..100).await;
    let mut idle = consume(&*amqp, &slow, 10).await;
    let held = take(&mut idle).await;
    publish(&*amqp, &quick, 0..100).await;
    let mut busy = consume(&*amqp, &quick, 10).await;
    for _ in 0..100 {
        take(&mut busy).await.ack();
    }
    depth_becomes(&*amqp, &slow, 90, 10, 1).await;
    depth_becomes(&*amqp, &quick, 0, 0, 1).await;
    drop(held);
}

async fn a_consumer_that_never_settles_keeps_its_window_and_no_more(_: &Broker, vhost: &Vhost) {
    let amqp = opened(vhost).await;
    let queue = fresh();
    publish(&*amqp, &queue, 0..8).await;
    let mut never = consume(&*amqp, &queue, 3).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(take(&mut never).await);
    }
    assert!(at_once(never.next()).await.is_none());
    let mut other = consume(&*amqp, &queue, 1).await;
    for expected in 3..8 {
        let taken = take(&mut other).await;
        assert_eq!(number(&taken.message), expected);
        taken.ack();
    }
    depth_becomes(&*amqp, &queue, 0, 3, 2).await;
    drop(never);
    for expected in 0..3 {
        let taken = take(&mut other).await;
        assert_eq!(
            (number(&taken.message), taken.redelivered),
            (expected, true)
        );
        taken.ack();
    }
}

async fn a_broker_that_stops_and_starts_is_found_again(broker: &Broker, vhost: &Vhost) {
    let amqp = opened(vhost).await;
    let queue = fresh();
    publish(&*amqp, &queue, 0..5).await;
    broker.stop_app().unwrap();
    let link = until(&amqp, "the link is away", |link| !link.is_connected()).await;
    assert!(matches!(link.state, LinkState::Away { .. }));
    let refused = soon(amqp.publish(&queue, message(9))).await;
    assert!(matches!(refused, Err(PublishError::Unavailable { .. })));
    broker.start_app().unwrap();
    until(&amqp, "the bus is up", Link::is_up).await;
    let mut consumer = consume(&*amqp, &queue, 1).await;
    for expected in 0..5 {
        let taken = take(&mut consumer).await;
        assert_eq!(number(&taken.message), expected);
        taken.ack();
    }
}

#[test]
fn nothing_that_was_confirmed_is_lost_when_rabbitmq_is_killed_under_load() {
    let mut broker = Broker::start().unwrap();
    let vhost = broker.vhost("load").unwrap();
    let runtime = runtime();
    let queue = fresh();
    let amqp = runtime.block_on(opened(&vhost));
    let enough = Arc::new(AtomicBool::new(false));
    // Eight publish one after the other, again what was not confirmed; two consume.
    let publishers: Vec<_> = (0..8_u64)
        .map(|of| {
            let (amqp, queue, enough) = (Arc::clone(&amqp), queue.clone(), Arc::clone(&enough));
            runtime.spawn(async move {
                let mut confirmed = Vec::new();
                let mut number = of * 1_000_000;
                while !enough.load(Ordering::Relaxed) {
                    match amqp.publish(&queue, message(number)).await {
                        Ok(()) => {
                            confirmed.push(number);
                            number += 1;
                        }
                        Err(_) => {
                            let _ = tokio::time::timeout(
                                Duration::from_secs(1),
                                amqp.link().wait_for(Link::is_up),
                            )
                            .await;
                        }
                    }
                }
                confirmed
            })
        })
        .collect();
    let seen = Arc::new(Mutex::new(HashSet::new()));
    let consumers: Vec<_> = (0..2)
        .map(|_| {
            let mut consumer = runtime.block_on(consume(&*amqp, &queue, 50));
            let seen = Arc::clone(&seen);
            runtime.spawn(async move {
                while let Some(taken) = consumer.next().await {
                    let taken = taken.unwrap();
                    let _ = seen.lock().unwrap().insert(number(&taken.message));
                    taken.ack();
                }
            })
        })
        .collect();
    for _ in 0..2 {
        let before = amqp.link().borrow().generation;
        broker.settle_queues().unwrap();
        broker.kill9().unwrap();
        runtime.block_on(until(&amqp, "the link is away", |link| {
            !link.is_connected()
        }));
        broker.restart().unwrap();
        runtime.block_on(until(&amqp, "there is another connection", |link| {
            link.is_up() && link.generation > before
        }));
        // Some load on the new connection.
        runtime.block_on(async {
            for extra in 0..50 {
                let mut number = 900_000_000 + before * 1_000 + extra;
                while amqp.publish(&queue, message(number)).await.is_err() {
                    number += 1_000_000;
                }
            }
        });
    }
    enough.store(true, Ordering::Relaxed);
    runtime.block_on(async {
        let mut confirmed = Vec::new();
        for publisher in publishers {
            confirmed.extend(soon(publisher).await.unwrap());
        }
        // What is on its way to a consumer is in no count: only what was seen tells.
        let all = async {
            while !confirmed
                .iter()
                .all(|one| seen.lock().unwrap().contains(one))
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let _ = tokio::time::timeout(NEVER, all).await;
        depth_becomes(&*amqp, &queue, 0, 0, 2).await;
        amqp.close().await;
        for consumer in consumers {
            soon(consumer).await.unwrap();
        }
        let seen = seen.lock().unwrap();
        let lost: Vec<_> = confirmed
            .iter()
            .filter(|number| !seen.contains(number))
            .collect();
        assert!(
            lost.is_empty(),
            "{} confirmed, lost: {lost:?}",
            confirmed.len()
        );
        assert!(
            confirmed.len() > 100,
            "too little load: {}",
            confirmed.len()
        );
    });
}
