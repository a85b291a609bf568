//! A recall against a fetch, over gRPC (duty RC-04): thousands of times, and only two ends.

use std::time::{Duration, Instant};

use api::v1;
use testkit::Document;

use crate::house::{A, House, client, drain, fetch, push, refused, settle};

/// Receivers that race side by side, each with a system of its own.
const LANES: usize = 5;
/// Documents of each.
const ROUNDS: usize = 420;

fn code(lane: usize) -> String {
    format!("000.00.{:02}.H99", lane + 4)
}

/// How far the fetch is ahead of the recall, or behind it: moved after each race towards the
/// other end, so that they always meet where it is undecided.
#[derive(Debug, Default)]
struct Lead {
    fetch_waits: Duration,
    recall_waits: Duration,
}

impl Lead {
    const STEP: Duration = Duration::from_micros(60);

    fn after(&mut self, served: bool) {
        let (winner, loser) = if served {
            (&mut self.fetch_waits, &mut self.recall_waits)
        } else {
            (&mut self.recall_waits, &mut self.fetch_waits)
        };
        if loser.is_zero() {
            *winner += Self::STEP;
        } else {
            *loser = loser.saturating_sub(Self::STEP);
        }
    }
}

/// Waits less than a timer can.
async fn pause(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        tokio::task::yield_now().await;
    }
}

/// One document of one receiver; whether its content was served.
async fn race(a: &api::Client, b: &api::Client, to: &str, id: &str, lead: &Lead) -> bool {
    let sent = push(a, &Document::new(A, &[to], id).bytes()).await;
    let recall = {
        let (a, id, waits) = (a.clone(), id.to_owned(), lead.recall_waits);
        tokio::spawn(async move {
            pause(waits).await;
            let request = v1::RecallRequest {
                document_id: id,
                reason: "Ban hành nhầm".to_owned(),
                ..v1::RecallRequest::default()
            };
            a.recall(request).await.unwrap()
        })
    };
    let fetched = {
        let (b, waits) = (b.clone(), lead.fetch_waits);
        tokio::spawn(async move {
            pause(waits).await;
            fetch(&b, 1).await
        })
    };
    let (recalled, mut fetched) = (recall.await.unwrap(), fetched.await.unwrap());
    assert_eq!(recalled.receivers.len(), 1, "{id}: {recalled:?}");
    let answer = recalled.receivers[0].answer.as_str();
    let request = v1::MatrixRequest {
        package_id: sent.package_id.clone(),
        ..v1::MatrixRequest::default()
    };
    let cell = a.matrix(request).await.unwrap().cells.remove(0);
    let waiting = fetch(b, 10).await;
    let download = v1::DownloadRequest {
        delivery_id: sent.receivers[0].delivery_id.clone(),
    };
    let downloaded = match b.download(download).await {
        Ok(mut deliveries) => deliveries.next().await.map(drop),
        Err(error) => Err(error),
    };
    assert_eq!(refused(downloaded).name, "RECALLED", "{id}: never again");
    match fetched.pop() {
        // The content went out whole: the receiver is asked, and nobody has answered for it.
        Some((header, _)) => {
            assert_eq!(header.package_id, sent.package_id, "{id}");
            assert_eq!(cell.delivery_state(), v1::DeliveryState::Fetched, "{id}");
            assert_eq!((answer, cell.status.as_str()), ("asked", "13"), "{id}");
            assert_eq!(waiting.len(), 1, "{id}: the recall alone");
            let (asks, _) = &waiting[0];
            assert_eq!(asks.package_id, recalled.receivers[0].package_id, "{id}");
            settle(b, asks).await;
            true
        }
        // Nothing of it went out, and nothing will: the axis has answered.
        None => {
            assert_eq!(cell.delivery_state(), v1::DeliveryState::Recalled, "{id}");
            assert_eq!((answer, cell.status.as_str()), ("agreed", "15"), "{id}");
            assert!(waiting.is_empty(), "{id}: {waiting:?}");
            false
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rc_04_a_fetch_and_a_recall_race_over_the_wire_2100_times_with_two_outcomes_only() {
    let house = House::new();
    let a = house.client(&house.a).await;
    let mut lanes = tokio::task::JoinSet::new();
    for lane in 0..LANES {
        let code = code(lane);
        let system = house
            .axis
            .add_system(&format!("so-{lane}"), &[&code])
            .unwrap();
        let (a, b) = (a.clone(), client(&house.axis, &system).await);
        lanes.spawn(async move {
            let (mut lead, mut served) = (Lead::default(), 0);
            for round in 0..ROUNDS {
                let is_served = race(&a, &b, &code, &format!("d-{lane}-{round}"), &lead).await;
                lead.after(is_served);
                served += usize::from(is_served);
            }
            served
        });
    }
    let served: usize = lanes.join_all().await.into_iter().sum();
    let all = LANES * ROUNDS;
    // It was a race: either end came many times.
    assert!(
        (all / 10..all * 9 / 10).contains(&served),
        "{served} of {all} were served"
    );
    // The sender has a 15 of the axis's for each that was taken back unread, and no other.
    let told = drain(&a).await;
    let answers = told.iter().filter_map(|(header, _)| header.status.as_ref());
    assert_eq!(
        answers.filter(|status| status.code == "15").count(),
        all - served
    );
    assert_eq!(told.len(), all - served);
}
