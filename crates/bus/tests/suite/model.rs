//! Random histories of one consumer with a window of 1, beside a plain queue.

use std::collections::VecDeque;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

#[derive(Debug, Clone, Copy)]
enum Step {
    Publish,
    Take,
    Ack,
    Drop,
    Requeue,
    /// The consumer leaves, another one comes; what was in hand is acked after that.
    Replace,
    Purge,
}

/// Whether the next delivery of a message is marked redelivered.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mark {
    No,
    /// It was handed to a consumer that left before asking for it, or was not: the bus's choice.
    Maybe,
    Yes,
}

pub(crate) fn one_consumer_sees_what_a_plain_queue_would_give<F>(open: impl Fn() -> F)
where
    F: Future<Output = Arc<dyn Bus>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let bus = runtime.block_on(open());
    let step = prop_oneof![
        5 => Just(Step::Publish),
        5 => Just(Step::Take),
        3 => Just(Step::Ack),
        1 => Just(Step::Drop),
        1 => Just(Step::Requeue),
        1 => Just(Step::Replace),
        1 => Just(Step::Purge),
    ];
    // A message that never comes costs `NEVER` at each step of shrinking.
    let config = Config {
        max_shrink_time: 30_000,
        cases: 200,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&prop::collection::vec(step, 0..60), |steps| {
            runtime.block_on(follow(&*bus, &steps));
            Ok(())
        })
        .unwrap();
}

async fn follow(bus: &dyn Bus, steps: &[Step]) {
    let queue = fresh();
    let mut consumer = consume(bus, &queue, 1).await;
    let mut model: VecDeque<(u64, Mark)> = VecDeque::new();
    let mut hand: Option<Taken> = None;
    let mut published = 0;
    for step in steps {
        match step {
            Step::Publish => {
                publish(bus, &queue, published..published + 1).await;
                model.push_back((published, Mark::No));
                published += 1;
            }
            Step::Take if hand.is_none() && !model.is_empty() => {
                hand = Some(take_as(&mut consumer, &mut model).await);
            }
            Step::Take => assert!(at_once(consumer.next()).await.is_none(), "nothing to take"),
            Step::Ack => {
                if let Some(taken) = hand.take() {
                    taken.ack();
                }
            }
            Step::Drop | Step::Requeue => {
                if let Some(taken) = hand.take() {
                    model.push_front((number(&taken.message), Mark::Yes));
                    if matches!(step, Step::Drop) {
                        drop(taken)
                    } else {
                        taken.requeue()
                    }
                }
            }
            Step::Replace => {
                drop(consumer);
                if let Some(taken) = hand.take() {
                    model.push_front((number(&taken.message), Mark::Yes));
                    depth_becomes(bus, &queue, model.len() as u64, 0, 0).await;
                    taken.ack();
                } else if let Some((_, mark)) =
                    model.front_mut().filter(|(_, mark)| *mark == Mark::No)
                {
                    *mark = Mark::Maybe;
                }
                depth_becomes(bus, &queue, model.len() as u64, 0, 0).await;
                consumer = consume(bus, &queue, 1).await;
            }
            // With a message in hand none was handed out ahead, so that all that wait are purged.
            Step::Purge => {
                if hand.is_some() {
                    depth_becomes(bus, &queue, model.len() as u64, 1, 1).await;
                    let purged = soon(bus.purge(&queue)).await.unwrap();
                    assert_eq!(purged, model.len() as u64);
                    model.clear();
                }
            }
        }
    }
    if let Some(taken) = hand.take() {
        taken.ack();
    }
    while !model.is_empty() {
        take_as(&mut consumer, &mut model).await.ack();
    }
    depth_becomes(bus, &queue, 0, 0, 1).await;
}

/// Takes the next message, which must be the model's first.
async fn take_as(consumer: &mut Box<dyn Consumer>, model: &mut VecDeque<(u64, Mark)>) -> Taken {
    let taken = take(consumer).await;
    let (expected, mark) = model.pop_front().unwrap();
    assert_eq!(number(&taken.message), expected);
    match mark {
        Mark::No => assert!(!taken.redelivered, "{expected} is new"),
        Mark::Yes => assert!(taken.redelivered, "{expected} came before"),
        Mark::Maybe => {}
    }
    taken
}
