//! From push to settle through gRPC: equal pushes, streams, leases, priority, size.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::client::{Event, Subscription};
use api::v1;
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;

use crate::house::{
    A, House, acknowledged, document, drain, eventually, fetch, fetch_one, push, refused, settle,
    sha256, soon,
};

/// Pushes all of these, 64 at a time.
pub(crate) async fn push_all(client: &api::Client, packages: impl Iterator<Item = Vec<u8>>) {
    let slots = Arc::new(tokio::sync::Semaphore::new(64));
    let mut tasks = JoinSet::new();
    for package in packages {
        let slot = Arc::clone(&slots).acquire_owned().await.unwrap();
        let client = client.clone();
        tasks.spawn(async move {
            push(&client, &package).await;
            drop(slot);
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

/// The next delivery of a stream, whole.
pub(crate) async fn next_delivery(stream: &mut Subscription) -> (v1::DeliveryHeader, Vec<u8>) {
    loop {
        match soon(stream.next()).await.unwrap() {
            Some(Event::Delivery(header)) => {
                let mut bytes = Vec::new();
                while let Some(chunk) = soon(stream.chunk()).await.unwrap() {
                    bytes.extend_from_slice(&chunk);
                }
                return (*header, bytes);
            }
            Some(Event::CaughtUp) => {}
            other => panic!("no delivery but {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_push_from_50_tasks_at_once_is_one_delivery_and_50_equal_receipts() {
    let house = House::new();
    for size in [2_000, 400_000] {
        let package = document(&format!("d{size}")).sized(size, 1).bytes();
        let mut tasks = JoinSet::new();
        for _ in 0..50 {
            let (client, package) = (house.client(&house.a).await, package.clone());
            tasks.spawn(async move { push(&client, &package).await });
        }
        let receipts = tasks.join_all().await;
        let new = receipts.iter().filter(|receipt| !receipt.duplicate).count();
        assert_eq!(new, 1);
        let equal: BTreeSet<_> = receipts
            .into_iter()
            .map(|receipt| {
                let delivery = receipt.receivers[0].delivery_id.clone();
                (
                    receipt.package_id,
                    delivery,
                    receipt.sha256,
                    receipt.accepted_at,
                    receipt.anchor,
                )
            })
            .collect();
        assert_eq!(equal.len(), 1, "{equal:?}");
        let b = house.client(&house.b).await;
        let got = drain(&b).await;
        assert_eq!(got.len(), 1);
        assert!(got[0].1 == package);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_never_gets_more_than_its_credit() {
    let house = House::new();
    let (a, b) = (house.client(&house.a).await, house.client(&house.b).await);
    push_all(&a, (0..10).map(|n| document(&format!("d{n}")).bytes())).await;
    let mut stream = b.subscribe(3).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(next_delivery(&mut stream).await.0);
    }
    // Settling gives no credit. The answer on the stream comes with nothing before it.
    settle(&b, &held[0]).await;
    stream.sender().settle(acknowledged(&held[1]));
    match soon(stream.next()).await.unwrap() {
        Some(Event::Settled(settled)) => assert_eq!(settled.delivery_id, held[1].delivery_id),
        other => panic!("more than the credit: {other:?}"),
    }
    stream.sender().settle(v1::SettleRequest {
        delivery_id: held[2].delivery_id.clone(),
        outcome: v1::Outcome::Failed.into(),
        ..v1::SettleRequest::default()
    });
    match soon(stream.next()).await.unwrap() {
        Some(Event::SettleRefused(refused)) => assert_eq!(refused.reason, "REASON_MISSING"),
        other => panic!("more than the credit: {other:?}"),
    }
    stream.sender().credit(1);
    held.push(next_delivery(&mut stream).await.0);
    drop(stream);

    // What was not settled is offered again, marked; the rest is new.
    let mut again = b.subscribe(100).await.unwrap();
    let mut offered = Vec::new();
    for _ in 0..8 {
        offered.push(next_delivery(&mut again).await.0);
    }
    for header in &offered {
        let was_held = held[2..]
            .iter()
            .any(|old| old.delivery_id == header.delivery_id);
        assert_eq!(header.redelivered, was_held, "{header:?}");
        assert_eq!(header.round, 1);
        settle(&b, header).await;
    }
    assert_eq!(
        offered.iter().filter(|header| header.redelivered).count(),
        2
    );
    let all: BTreeSet<_> = offered
        .iter()
        .chain(&held[..2])
        .map(|header| &header.package_id)
        .collect();
    assert_eq!(all.len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_streams_of_a_system_share_its_deliveries() {
    let house = House::new();
    let (a, b) = (house.client(&house.a).await, house.client(&house.b).await);
    let mut streams = [
        b.subscribe(20).await.unwrap(),
        b.subscribe(20).await.unwrap(),
    ];
    push_all(&a, (0..40).map(|n| document(&format!("d{n}")).bytes())).await;
    let mut got = BTreeSet::new();
    for stream in &mut streams {
        for _ in 0..20 {
            let (header, _) = next_delivery(stream).await;
            settle(&b, &header).await;
            assert!(!header.redelivered);
            got.insert(header.delivery_id);
        }
    }
    assert_eq!(got.len(), 40);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stream_leaves_unsettled_goes_to_another_one_at_once() {
    let house = House::new();
    let (a, b) = (house.client(&house.a).await, house.client(&house.b).await);
    push_all(&a, (0..5).map(|n| document(&format!("d{n}")).bytes())).await;
    let mut leaving = b.subscribe(5).await.unwrap();
    let mut held = BTreeSet::new();
    for _ in 0..5 {
        held.insert(next_delivery(&mut leaving).await.0.delivery_id);
    }
    let mut staying = b.subscribe(10).await.unwrap();
    assert_eq!(soon(staying.next()).await.unwrap(), Some(Event::CaughtUp));
    drop(leaving);
    for _ in 0..5 {
        let (header, _) = next_delivery(&mut staying).await;
        assert!(header.redelivered && held.remove(&header.delivery_id));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pr_01_with_10_000_ordinary_ones_queued_an_urgent_one_is_the_next_fetched() {
    let house = House::with_config("[limits]\nmax_pushes_per_second = 1000000\n");
    let (a, b) = (house.client(&house.a).await, house.client(&house.b).await);
    push_all(&a, (0..10_000).map(|n| document(&format!("d{n}")).bytes())).await;
    let urgent = |level: u8| document(&format!("level-{level}")).level(level).bytes();
    for level in [1, 2, 3, 4] {
        push(&a, &urgent(level)).await;
    }
    let mut levels = Vec::new();
    for _ in 0..4 {
        let (header, _) = fetch(&b, 1).await.remove(0);
        levels.push((header.level, header.lane()));
        settle(&b, &header).await;
    }
    let flash = v1::Lane::Flash;
    let urgent_lane = v1::Lane::Urgent;
    assert_eq!(
        levels,
        [(4, flash), (3, flash), (2, urgent_lane), (1, urgent_lane)]
    );
    // The same on a stream that has been served ordinary ones for a while.
    let mut stream = b.subscribe(1).await.unwrap();
    let (header, _) = next_delivery(&mut stream).await;
    assert_eq!(header.level, 0);
    push(&a, &document("now").level(3).bytes()).await;
    stream.sender().credit(1);
    let (header, _) = next_delivery(&mut stream).await;
    assert_eq!(header.level, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_ends_by_itself_and_can_be_made_longer() {
    let house = House::with_config("[delivery]\nlease_seconds = 1\n");
    let (a, b) = (house.client(&house.a).await, house.client(&house.b).await);
    push(&a, &document("d").bytes()).await;
    let (header, bytes) = fetch_one(&b).await;
    assert!(fetch(&b, 1).await.is_empty(), "it is leased");
    let extend = v1::ExtendRequest {
        delivery_id: header.delivery_id.clone(),
    };
    let extended = b.extend(extend.clone()).await.unwrap();
    assert!(
        extended.leased_until > header.leased_until,
        "{extended:?} {header:?}"
    );
    let again = eventually("the lease to end", || async { fetch(&b, 1).await.pop() }).await;
    assert!(again.0.redelivered && again.1 == bytes);
    let released = v1::SettleRequest {
        outcome: v1::Outcome::Released.into(),
        ..acknowledged(&header)
    };
    b.settle(released).await.unwrap();
    assert_eq!(refused(b.extend(extend).await).name, "NOT_FOUND");
    let (back, _) = fetch_one(&b).await;
    assert!(back.redelivered, "given back, it is offered at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_package_is_carried_in_bounded_memory_and_can_be_downloaded_again() {
    const MIB: u64 = 1 << 20;
    let house = House::new();
    let (a, b) = (house.client(&house.a).await, house.client(&house.b).await);
    let package = document("large").sized(20 << 20, 5).bytes();
    let daemon = house.axis.proc();
    let idle = daemon.resident_bytes().unwrap();
    daemon.reset_peak().unwrap();
    let pushed = a
        .push_stream(&package[..], v1::PushOptions::default())
        .await
        .unwrap();
    assert_eq!(pushed.receipt.sha256, sha256(&package));
    let (header, bytes) = fetch_one(&b).await;
    assert!(bytes == package);
    settle(&b, &header).await;
    let request = v1::DownloadRequest {
        delivery_id: header.delivery_id.clone(),
    };
    let mut download = b.download(request).await.unwrap();
    let again = download.next().await.unwrap().unwrap();
    assert_eq!(again.sha256, header.sha256);
    let mut size = 0;
    while let Some(chunk) = download.chunk().await.unwrap() {
        assert!(chunk.len() <= 256 << 10);
        size += chunk.len();
    }
    assert_eq!(size, package.len());
    let peak = daemon.peak_bytes().unwrap();
    assert!(
        peak < idle + 68 * MIB,
        "{} MiB above idle",
        (peak - idle) / MIB
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_cuts_its_open_streams() {
    let house = House::new();
    let (a, b) = (house.client(&house.a).await, house.client(&house.b).await);
    let mut stream = b.subscribe(5).await.unwrap();
    push(&a, &document("d").bytes()).await;
    let (header, _) = next_delivery(&mut stream).await;
    let operator = house.operator().await;
    let revoke = v1::RevokeSystemRequest {
        id: "so-b".to_owned(),
        ..v1::RevokeSystemRequest::default()
    };
    let revoked = operator.revoke_system(revoke).await.unwrap();
    assert_eq!((revoked.keys, revoked.streams_cut), (1, 1));
    let cut = loop {
        match soon(stream.next()).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended without a word"),
            Err(error) => break refused::<()>(Err(error)),
        }
    };
    assert_eq!(cut.name, "UNAUTHENTICATED");
    assert_eq!(
        refused(b.settle(acknowledged(&header)).await).name,
        "UNAUTHENTICATED"
    );
    // With a new key the unsettled one is there.
    let key = v1::AddSystemKeyRequest {
        id: "so-b".to_owned(),
        overlap_seconds: None,
    };
    let key = operator.add_system_key(key).await.unwrap().key;
    let system = testkit::System {
        id: "so-b".to_owned(),
        key,
    };
    let b = house.client(&system).await;
    let (again, _) = fetch_one(&b).await;
    assert_eq!(
        (again.delivery_id, again.redelivered),
        (header.delivery_id, true)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_over_its_limits_hears_when_to_come_again_and_others_notice_nothing() {
    let house = House::with_config(
        "[limits]\nmax_pushes_per_second = 3\nmax_streams = 2\nmax_open_deliveries = 5\n",
    );
    let (a, b) = (house.client(&house.a).await, house.client(&house.b).await);
    let mut limited = None;
    for n in 0..100 {
        match crate::house::try_push(&a, &document(&format!("d{n}")).bytes()).await {
            Ok(_) => {}
            refusal => {
                limited = Some(refused(refusal));
                break;
            }
        }
    }
    let limited = limited.expect("100 pushes at once within a limit of 3 a second");
    assert_eq!(limited.name, "LIMIT_REACHED");
    assert!(
        limited.retry_after.is_some_and(|after| !after.is_zero()),
        "{limited:?}"
    );
    // Another system pushes and receives.
    let from_b = testkit::Document::new(crate::house::B, &[A], "of-b").bytes();
    push(&b, &from_b).await;
    assert!(!drain(&b).await.is_empty());
    // After a while it goes on.
    eventually("the limit to pass", || async {
        crate::house::try_push(&a, &document("later").bytes())
            .await
            .ok()
    })
    .await;
    let streams = [b.subscribe(1).await.unwrap(), b.subscribe(1).await.unwrap()];
    let third = match b.subscribe(1).await {
        Ok(mut stream) => soon(stream.next()).await.map(drop),
        Err(error) => Err(error),
    };
    let third = refused(third);
    assert_eq!(third.name, "LIMIT_REACHED");
    assert!(third.retry_after.is_some());
    drop(streams);
    let c = house.client(&house.c).await;
    assert!(c.subscribe(1).await.is_ok());
}

/// A call that must have been refused for a limit, with a time to come again.
fn limited<T: std::fmt::Debug>(outcome: Result<T, api::client::Error>) {
    let refused = refused(outcome);
    assert_eq!(refused.name, "LIMIT_REACHED");
    assert!(
        refused.retry_after.is_some_and(|after| !after.is_zero()),
        "{refused:?}"
    );
}

async fn opened(client: &api::Client) -> Result<Subscription, api::client::Error> {
    // The headers come before the axis has looked at the request.
    let mut stream = client.subscribe(1).await?;
    soon(stream.next()).await?;
    Ok(stream)
}

/// Limits of one system alone: set while it works, they count at once, and the others keep theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_may_have_limits_of_its_own_which_count_at_once_and_are_told() {
    let house = House::new();
    let [a, b, operator] = [
        house.client(&house.a).await,
        house.client(&house.b).await,
        house.operator().await,
    ];
    let of_b = async || {
        let systems = operator.list_systems(v1::ListSystemsRequest {});
        let systems = systems.await.unwrap().systems;
        systems.into_iter().find(|system| system.id == "so-b")
    };
    let usual = of_b().await.unwrap();
    assert_eq!(usual.max_streams, 0, "it has none of its own");
    assert_eq!(usual.in_force.unwrap().max_streams, 16);
    let set = |change: fn(&mut v1::SetSystemLimitsRequest)| {
        let mut request = v1::SetSystemLimitsRequest {
            id: "so-b".to_owned(),
            why: "máy chủ nhỏ".to_owned(),
            ..v1::SetSystemLimitsRequest::default()
        };
        change(&mut request);
        operator.set_system_limits(request)
    };
    // Streams.
    let first = opened(&b).await.unwrap();
    let told = set(|limits| limits.max_streams = Some(1)).await.unwrap();
    assert_eq!(
        (told.max_streams, told.in_force.unwrap().max_streams),
        (1, 1)
    );
    limited(opened(&b).await);
    let others = [opened(&a).await.unwrap(), opened(&a).await.unwrap()];
    // The one that is open goes on.
    drop(first);
    let again = eventually("the place of the closed stream", || async {
        opened(&b).await.ok()
    });
    drop((again.await, others));
    set(|limits| limits.max_streams = Some(0)).await.unwrap();
    assert_eq!(of_b().await.unwrap().in_force, usual.in_force);
    // Pushes a second: what is not named stays.
    set(|limits| limits.max_streams = Some(3)).await.unwrap();
    let told = set(|limits| limits.max_pushes_per_second = Some(1));
    let told = told.await.unwrap().in_force.unwrap();
    assert_eq!((told.max_streams, told.max_pushes_per_second), (3, 1));
    let from_b = |n: u32| testkit::Document::new(crate::house::B, &[A], &format!("b{n}")).bytes();
    let mut pushed = Ok(());
    for n in 0..50 {
        let push = crate::house::try_push(&b, &from_b(n)).await.map(drop);
        if push.is_err() {
            pushed = push;
            break;
        }
    }
    limited(pushed);
    for n in 0..5 {
        push(&a, &document(&format!("a{n}")).bytes()).await;
    }
    set(|limits| limits.max_pushes_per_second = Some(0))
        .await
        .unwrap();
    // Bytes in flight: what could never pass is refused, what is under way counts.
    let refusal = refused(set(|limits| limits.max_bytes_in_flight = Some(4_096)).await);
    assert_eq!(refusal.name, "BAD_ARGUMENT");
    assert_eq!(refused(set(|_| {}).await).name, "BAD_ARGUMENT");
    let unknown = v1::SetSystemLimitsRequest {
        id: "so-x".to_owned(),
        max_streams: Some(1),
        ..v1::SetSystemLimitsRequest::default()
    };
    let unknown = refused(operator.set_system_limits(unknown).await);
    assert_eq!(unknown.name, "NOT_FOUND");
    // A new system may come with its own.
    let small = v1::AddSystemRequest {
        id: "nho".to_owned(),
        agencies: vec!["000.00.04.H99".to_owned()],
        max_streams: 2,
        max_bytes_in_flight: 60 << 20,
        max_pushes_per_second: 5,
        max_open_deliveries: 7,
        ..v1::AddSystemRequest::default()
    };
    let small = operator.add_system(small).await.unwrap().system.unwrap();
    let expected = v1::SystemLimits {
        max_streams: 2,
        max_bytes_in_flight: 60 << 20,
        max_pushes_per_second: 5,
        max_open_deliveries: 7,
    };
    assert_eq!(small.in_force, Some(expected));
}

/// Bytes of one system's pushes under way, over all its calls.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_in_flight_of_a_system_are_limited_and_a_push_that_ends_gives_them_back() {
    let config = "[limits]\nmax_package_bytes = 1048576\n";
    let house = House::with_config(config);
    let operator = house.operator().await;
    let set = v1::SetSystemLimitsRequest {
        id: "so-a".to_owned(),
        max_bytes_in_flight: Some(1 << 20),
        ..v1::SetSystemLimitsRequest::default()
    };
    operator.set_system_limits(set).await.unwrap();
    let a = house.client(&house.a).await;
    let large = document("large").sized(900_000, 1).bytes();
    let (begin, rest) = large.split_at(800_000);
    let (mut source, read) = tokio::io::duplex(1 << 20);
    let upload = {
        let a = a.clone();
        tokio::spawn(async move { a.push_stream(read, v1::PushOptions::default()).await })
    };
    source.write_all(begin).await.unwrap();
    // What lies on the disk has been counted: whole chunks.
    let folder = house.axis.data().join("payloads/tmp");
    eventually("three chunks to come", || async {
        let files = std::fs::read_dir(&folder).ok()?.flatten();
        let sizes = files.filter_map(|file| file.metadata().ok());
        (sizes.map(|of| of.len()).sum::<u64>() >= 700_000).then_some(())
    })
    .await;
    let other = document("other").sized(500_000, 2).bytes();
    limited(crate::house::try_push(&a, &other).await);
    // Others have room, and so has a small one of its own.
    let b = house.client(&house.b).await;
    let of_b = testkit::Document::new(crate::house::B, &[A], "of-b").sized(900_000, 3);
    push(&b, &of_b.bytes()).await;
    push(&a, &document("small").bytes()).await;
    source.write_all(rest).await.unwrap();
    drop(source);
    upload.await.unwrap().unwrap();
    push(&a, &document("later").sized(900_000, 4).bytes()).await;
}
