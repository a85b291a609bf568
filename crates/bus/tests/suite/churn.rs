//! Many messages, several consumers, and everything that can happen to a message in hand.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bus::{Bus, Queue};
use tokio::sync::Semaphore;

use super::*;

/// More questions than a connection has channels: each may cost one.
const QUESTIONS: usize = 2_500;
/// Questions at a time.
const ASKED_AT_ONCE: usize = 50;
const MESSAGES: u64 = 10_000;
const CONSUMERS: u64 = 4;
const WINDOW: u16 = 16;
/// How many are in the queue or in hand at most: the publisher's window.
const IN_FLIGHT: usize = 500;

/// What one consumer saw.
#[derive(Default)]
struct Seen {
    acked: Vec<u64>,
    unmarked: Vec<u64>,
}

pub(crate) async fn ten_thousand_messages_are_acked_once_each_under_random_drops(
    bus: Arc<dyn Bus>,
) {
    let queue = fresh();
    let room = Arc::new(Semaphore::new(IN_FLIGHT));
    let acked = Arc::new(AtomicU64::new(0));
    let consumers: Vec<_> = (0..CONSUMERS)
        .map(|seed| {
            let (bus, queue) = (Arc::clone(&bus), queue.clone());
            let (room, acked) = (Arc::clone(&room), Arc::clone(&acked));
            tokio::spawn(consume_at_random(bus, queue, room, acked, seed))
        })
        .collect();
    for number in 0..MESSAGES {
        soon(room.acquire()).await.unwrap().forget();
        publish(&*bus, &queue, number..number + 1).await;
    }

    let mut all = Seen::default();
    for consumer in consumers {
        let seen = soon(consumer).await.unwrap();
        all.acked.extend(seen.acked);
        all.unmarked.extend(seen.unmarked);
    }
    let distinct: HashSet<u64> = all.acked.iter().copied().collect();
    assert_eq!(all.acked.len() as u64, MESSAGES, "acked more than once");
    assert_eq!(
        distinct,
        HashSet::from_iter(0..MESSAGES),
        "lost, or made up"
    );
    let firsts: HashSet<u64> = all.unmarked.iter().copied().collect();
    assert_eq!(
        firsts.len(),
        all.unmarked.len(),
        "came twice and was not marked"
    );
}

async fn consume_at_random(
    bus: Arc<dyn Bus>,
    queue: Queue,
    room: Arc<Semaphore>,
    acked: Arc<AtomicU64>,
    seed: u64,
) -> Seen {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15 ^ (seed + 1));
    let mut seen = Seen::default();
    let mut consumer = consume(&*bus, &queue, WINDOW).await;
    let mut hand: Vec<Taken> = Vec::new();
    loop {
        // A wait that is begun and dropped at times; one to the end only with empty hands, for
        // what all wait for may be in them.
        let next = if hand.is_empty() {
            soon(consumer.next()).await
        } else {
            match at_once(consumer.next()).await {
                Some(next) => next,
                None => {
                    let at = dice.below(hand.len());
                    drop(hand.swap_remove(at));
                    tokio::task::yield_now().await;
                    continue;
                }
            }
        };
        let Some(taken) = next else { return seen };
        let taken = taken.unwrap();
        assert!(hand.len() < usize::from(WINDOW), "more than the window");
        if !taken.redelivered {
            seen.unmarked.push(number(&taken.message));
        }
        hand.push(taken);
        while !hand.is_empty() && dice.below(3) > 0 {
            let at = dice.below(hand.len());
            match dice.below(100) {
                0..70 => {
                    let taken = hand.swap_remove(at);
                    seen.acked.push(number(&taken.message));
                    taken.ack();
                    room.add_permits(1);
                    if acked.fetch_add(1, Ordering::SeqCst) + 1 == MESSAGES {
                        bus.close().await;
                    }
                }
                70..82 => drop(hand.swap_remove(at)),
                82..94 => hand.swap_remove(at).requeue(),
                94..97 => {
                    drop(consumer);
                    consumer = match bus.consume(&queue, WINDOW).await {
                        Ok(consumer) => consumer,
                        Err(_) => return seen,
                    };
                    // Theirs no more: whatever is done with them now changes nothing.
                    for (at, taken) in hand.drain(..).enumerate() {
                        if at % 2 == 0 {
                            taken.ack()
                        } else {
                            drop(taken)
                        }
                    }
                }
                _ => tokio::task::yield_now().await,
            }
        }
    }
}

/// Numbers that look random and are the same in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

pub(crate) async fn asking_for_what_is_not_there_costs_nothing(bus: Arc<dyn Bus>) {
    let mut asked = 0;
    while asked < QUESTIONS {
        let questions = (0..ASKED_AT_ONCE).map(|_| {
            let bus = Arc::clone(&bus);
            tokio::spawn(async move {
                let depth = soon(bus.depth(&fresh())).await.unwrap();
                assert_eq!(depth, Depth::default());
            })
        });
        for question in questions.collect::<Vec<_>>() {
            question.await.unwrap();
        }
        asked += ASKED_AT_ONCE;
    }
    let queue = fresh();
    let mut consumer = consume(&*bus, &queue, 1).await;
    publish(&*bus, &queue, 7..8).await;
    assert_eq!(number(&take(&mut consumer).await.message), 7);
}
