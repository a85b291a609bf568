//! The contract of `bus::Bus`. Nothing here knows which bus it is given.
//!
//! A bus may hand messages to a consumer ahead of its asking, up to its window, and may take a
//! moment until its depth follows. So what the tests say about the position of one message
//! holds for a window of 1, and depths are waited for.

mod churn;
mod closing;
mod model;
mod taking;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use bus::{Bus, Consumer, Depth, Lane, Message, Queue, Taken};

pub(crate) use churn::*;
pub(crate) use closing::*;
pub(crate) use model::*;
pub(crate) use taking::*;

/// Gives the names of all promises to a macro.
macro_rules! promises {
    ($then:ident $($given:tt)*) => {
        $then! { $($given)*
            what_is_published_first_is_taken_first,
            a_confirmed_message_is_in_its_queue_as_it_was_sent,
            queues_are_apart_by_system_and_by_lane,
            a_consumer_holds_no_more_than_its_window,
            an_ack_removes_for_good,
            a_message_that_is_dropped_comes_back_first_and_marked,
            a_message_that_is_given_back_comes_back_first_and_marked,
            a_consumer_that_leaves_gives_back_all_it_holds_in_order,
            an_ack_before_leaving_counts_and_one_after_it_does_not,
            two_consumers_share_a_queue,
            a_waiting_consumer_is_woken_by_a_publish,
            a_wait_that_is_dropped_loses_nothing,
            depth_tells_what_waits_what_is_held_and_by_how_many,
            a_purge_removes_what_waits_and_leaves_what_is_held,
            closing_wakes_every_consumer,
            a_closed_bus_refuses,
            a_window_of_nothing_is_refused,
            ten_thousand_messages_are_acked_once_each_under_random_drops,
            asking_for_what_is_not_there_costs_nothing,
        }
    };
}

/// Every promise as a test of its own, for buses that `$open` (an `async fn() -> Arc<dyn Bus>`)
/// opens. Where a bus is dear to open, `promises!` gives the names.
#[allow(unused_macros, reason = "not every program that includes this uses it")]
macro_rules! contract_tests {
    ($open:path) => {
        promises! { contract_tests $open: }

        #[test]
        fn one_consumer_sees_what_a_plain_queue_would_give() {
            $crate::suite::one_consumer_sees_what_a_plain_queue_would_give($open);
        }
    };
    ($open:path: $($promise:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                $crate::suite::$promise($open().await).await;
            }
        )*
    };
}

/// How long anything may take before it counts as never.
const NEVER: Duration = Duration::from_secs(60);

/// A system that no other test uses, also where the queues outlive the process.
fn fresh_system() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!(
        "contract.{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

pub(crate) fn fresh() -> Queue {
    Queue::new(fresh_system(), Lane::Routine)
}

/// The `number`-th message.
pub(crate) fn message(number: u64) -> Message {
    let mut id = [0xA5; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    Message {
        id,
        agency: 1,
        ..Message::default()
    }
}

/// Which message this is.
pub(crate) fn number(message: &Message) -> u64 {
    u64::from_be_bytes(message.id[8..].try_into().unwrap())
}

pub(crate) async fn publish(bus: &dyn Bus, queue: &Queue, numbers: std::ops::Range<u64>) {
    for number in numbers {
        soon(bus.publish(queue, message(number)))
            .await
            .expect("a publish");
    }
}

pub(crate) async fn consume(bus: &dyn Bus, queue: &Queue, window: u16) -> Box<dyn Consumer> {
    soon(bus.consume(queue, window)).await.expect("a consumer")
}

pub(crate) async fn take(consumer: &mut Box<dyn Consumer>) -> Taken {
    soon(consumer.next())
        .await
        .expect("an open bus")
        .expect("a message")
}

/// What `future` resolves to, which must not take for ever.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(NEVER, future)
        .await
        .expect("it never came")
}

/// What `future` gives at once, if it does; it is dropped after that.
pub(crate) async fn at_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Waits until the depth is so, and says how it stays if it never is.
pub(crate) async fn depth_becomes(
    bus: &dyn Bus,
    queue: &Queue,
    ready: u64,
    unacked: u64,
    consumers: u32,
) {
    let wanted = Depth {
        ready,
        unacked,
        consumers,
    };
    let mut last = Depth::default();
    let becomes = async {
        loop {
            last = bus.depth(queue).await.expect("a depth");
            if last == wanted {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let came = tokio::time::timeout(NEVER, becomes).await.is_ok();
    assert!(
        came,
        "the depth stays {last:?} and never becomes {wanted:?}"
    );
}
