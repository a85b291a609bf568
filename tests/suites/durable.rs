//! A receipt is true: what the kernel saw before each answer left, and what a `kill -9` at any
//! moment leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::v1;
use testkit::{Axis, Cli, Document, Random, System};
use tokio::task::JoinSet;

use crate::house::{
    A, B, C, House, SMALL, SOON, client, copy_folder, document, drain, fetch_one, push, settle,
    soon, try_client, try_push,
};

/// One system call as strace saw it: the lines at which it was begun and at which it returned.
#[derive(Debug)]
struct Call {
    begun: usize,
    returned: usize,
    name: String,
    text: String,
    result: String,
}

/// The calls in a log of `strace -f -y`, by their beginning.
fn calls(log: &str) -> Vec<Call> {
    let mut open: BTreeMap<&str, Call> = BTreeMap::new();
    let mut calls = Vec::new();
    for (number, line) in log.lines().enumerate() {
        let Some((pid, rest)) = line.split_once(' ') else {
            continue;
        };
        let rest = rest.trim_start();
        let result = |text: &str| {
            text.rsplit_once(" = ")
                .map_or("", |(_, result)| result)
                .to_owned()
        };
        if rest.starts_with("<... ") {
            if let Some(mut call) = open.remove(pid) {
                call.returned = number;
                call.result = result(rest);
                calls.push(call);
            }
            continue;
        }
        let Some((name, _)) = rest.split_once('(') else {
            continue;
        };
        let mut call = Call {
            begun: number,
            returned: number,
            name: name.to_owned(),
            text: rest.to_owned(),
            result: result(rest),
        };
        if rest.ends_with("<unfinished ...>") {
            call.returned = usize::MAX;
            open.insert(pid, call);
        } else {
            calls.push(call);
        }
    }
    calls.extend(open.into_values());
    calls.sort_by_key(|call| call.begun);
    calls
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bk_03_a_sync_of_the_journal_returns_before_each_receipt_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("strace.log");
    let watched = "trace=pwritev,pwritev2,pwrite64,write,writev,sendto,sendmsg,fdatasync,fsync,rename,renameat,renameat2";
    let axis = Axis::builder()
        .config(SMALL)
        .launcher(args![
            "strace", "-D", "-f", "-y", "-s", "300000", "-e", watched, "-o", log,
        ])
        .patience(Duration::from_secs(60))
        .start()
        .unwrap();
    let mut house = House::on(axis);
    let mut tasks = JoinSet::new();
    for task in 0..4 {
        let a = house.client(&house.a).await;
        tasks.spawn(async move {
            let mut receipts = Vec::new();
            for n in 0..6 {
                let marker = format!("marker-{task}-{n}-");
                let package = document(&marker)
                    .sized(if n == 3 { 300_000 } else { 3_000 }, n)
                    .bytes();
                receipts.push((marker, push(&a, &package).await));
            }
            receipts
        });
    }
    let receipts: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    let b = house.client(&house.b).await;
    let (header, _) = fetch_one_of(&b).await;
    settle(&b, &header).await;
    tokio::task::spawn_blocking(move || assert_eq!(house.axis.terminate().unwrap(), 0))
        .await
        .unwrap();

    let log = std::fs::read_to_string(&log).unwrap();
    let calls = calls(&log);
    let on_journal = |call: &&Call| call.text.contains("/journal/") && call.text.contains(".seg>");
    let to_socket = |call: &&Call| {
        call.text.contains("(") && call.text[..call.text.len().min(80)].contains("<socket:[")
    };
    let is_sync = |call: &&Call| {
        matches!(call.name.as_str(), "fdatasync" | "fsync") && call.result.starts_with('0')
    };
    let synced_between = |from: usize, to: usize| {
        calls
            .iter()
            .filter(is_sync)
            .filter(on_journal)
            .any(|sync| sync.begun > from && sync.returned < to)
    };
    assert_eq!(receipts.len(), 24);
    for (marker, receipt) in &receipts {
        let written = calls
            .iter()
            .filter(on_journal)
            .find(|call| call.name.starts_with("pwrite") && call.text.contains(marker.as_str()));
        let written =
            written.unwrap_or_else(|| panic!("{marker} was never written to the journal"));
        let answered = calls
            .iter()
            .filter(to_socket)
            .find(|call| call.text.contains(&receipt.package_id));
        let answered = answered.unwrap_or_else(|| panic!("no answer holds {}", receipt.package_id));
        assert!(
            synced_between(written.returned, answered.begun),
            "the receipt of {marker} left (line {}) without a sync after its write (line {})",
            answered.begun,
            written.returned
        );
        if receipt.size > 256 << 10 {
            // The content of a large one: synced, renamed, its folder synced, before the record.
            let name = &receipt.sha256;
            let renamed = calls
                .iter()
                .find(|call| call.name.starts_with("rename") && call.text.contains(name.as_str()))
                .unwrap();
            let before = calls
                .iter()
                .filter(is_sync)
                .any(|sync| sync.text.contains("/payloads/tmp/") && sync.returned < renamed.begun);
            let after = calls.iter().filter(is_sync).any(|sync| {
                sync.text.contains(&format!("/payloads/{}>", &name[..2]))
                    && sync.begun > renamed.returned
                    && sync.returned < written.begun
            });
            assert!(before && after, "{marker}");
        }
    }
    // `fetched` is durable before the first byte of the content leaves.
    let content = receipts
        .iter()
        .find(|(_, receipt)| receipt.package_id == header.package_id)
        .unwrap();
    let served = calls
        .iter()
        .filter(to_socket)
        .find(|call| call.text.contains("<edXML:MessageHeader>") && call.text.contains(&content.0))
        .unwrap();
    let fetched = calls
        .iter()
        .filter(on_journal)
        .rfind(|call| call.name.starts_with("pwrite") && call.begun < served.begun)
        .unwrap();
    assert!(
        !fetched.text.contains("marker-"),
        "the last write before the content is that of its being fetched: {}",
        &fetched.text[..200]
    );
    assert!(synced_between(fetched.returned, served.begun));
}

/// The first of what waits.
async fn fetch_one_of(client: &api::Client) -> (v1::DeliveryHeader, Vec<u8>) {
    crate::house::fetch(client, 1).await.remove(0)
}

/// What the world outside the axis knows.
#[derive(Debug, Default)]
struct World {
    /// Every package that was ever begun to be pushed: DocumentId, bytes, receivers.
    begun: BTreeMap<String, (Vec<u8>, usize)>,
    /// Receipts: DocumentId to package id and SHA-256.
    receipts: BTreeMap<String, (String, String)>,
    /// Settled with an answer: delivery id.
    settled: BTreeSet<String>,
    /// Received: delivery id to DocumentId.
    received: BTreeMap<String, String>,
}

type Shared = Arc<Mutex<World>>;

/// Pushes documents until the axis is gone, beginning with those that had no answer.
async fn push_until_gone(axis: Where, world: Shared, sender: usize, mut random: Random) {
    let Ok(client) = axis.connect().await else {
        return;
    };
    let mut unanswered: Vec<String> = {
        let world = world.lock().unwrap();
        let mine = format!("s{sender}-");
        let of_mine = world.begun.keys().filter(|id| id.starts_with(&mine));
        of_mine
            .filter(|id| !world.receipts.contains_key(*id))
            .cloned()
            .collect()
    };
    loop {
        let id = unanswered.pop().unwrap_or_else(|| {
            let size = match random.below(10) {
                0..6 => 8 << 10,
                6..9 => 64 << 10,
                _ => 1 << 20,
            };
            let to: &[&str] = if random.below(3) == 0 { &[B, C] } else { &[B] };
            let id = format!("s{sender}-{:016x}", random.next());
            let package = Document::new(A, to, &id)
                .level(u8::try_from(random.below(4)).unwrap())
                .sized(size, random.next())
                .bytes();
            world
                .lock()
                .unwrap()
                .begun
                .insert(id.clone(), (package, to.len()));
            id
        });
        let package = world.lock().unwrap().begun[&id].0.clone();
        let receipt = if random.below(2) == 0 {
            try_push(&client, &package).await
        } else {
            let pushed = client
                .push_stream(&package[..], v1::PushOptions::default())
                .await;
            pushed.map(|pushed| pushed.receipt)
        };
        match receipt {
            Ok(receipt) => {
                world
                    .lock()
                    .unwrap()
                    .receipts
                    .insert(id, (receipt.package_id, receipt.sha256));
            }
            Err(api::client::Error::Refused(view))
                if view.name != "OUTCOME_UNKNOWN" && view.name != "NOT_SERVING" =>
            {
                panic!("{id} refused: {view:?}")
            }
            Err(_) => return,
        }
    }
}

/// Receives by a stream until the axis is gone, settling two of three.
async fn receive_until_gone(axis: Where, world: Shared, mut random: Random) {
    let Ok(client) = axis.connect().await else {
        return;
    };
    let Ok(mut stream) = client.subscribe(16).await else {
        return;
    };
    loop {
        match stream.next().await {
            Ok(Some(api::client::Event::Delivery(header))) => {
                let mut bytes = Vec::new();
                loop {
                    match stream.chunk().await {
                        Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                        Ok(None) => break,
                        Err(error) if error.is_unreachable() || error.refusal().is_some() => return,
                        Err(api::client::Error::Damaged { .. }) => return,
                        Err(error) => panic!("{error}"),
                    }
                }
                take(&world, &header, &bytes);
                if random.below(3) > 0 {
                    let settled = client.settle(crate::house::acknowledged(&header)).await;
                    if settled.is_err() {
                        return;
                    }
                    world
                        .lock()
                        .unwrap()
                        .settled
                        .insert(header.delivery_id.clone());
                }
                stream.sender().credit(1);
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return,
        }
    }
}

/// Holds what came against what was sent.
fn take(world: &Shared, header: &v1::DeliveryHeader, bytes: &[u8]) {
    let mut world = world.lock().unwrap();
    let id = header
        .document
        .as_ref()
        .unwrap()
        .document_id
        .clone()
        .unwrap();
    assert!(
        bytes == world.begun[&id].0,
        "{id}: other bytes than were sent"
    );
    assert!(
        !world.settled.contains(&header.delivery_id),
        "{id}: it was settled and comes back"
    );
    if let Some((package, sha256)) = world.receipts.get(&id) {
        assert_eq!((package, sha256), (&header.package_id, &header.sha256));
    }
    let known = world
        .received
        .insert(header.delivery_id.clone(), id.clone());
    assert!(known.is_none_or(|known| known == id));
}

/// Where an axis is to be called and by whom.
#[derive(Clone)]
struct Where {
    server: String,
    system: System,
}

impl Where {
    fn new(axis: &Axis, system: &System) -> Self {
        Self {
            server: format!("http://{}", axis.grpc()),
            system: system.clone(),
        }
    }

    async fn connect(&self) -> Result<api::Client, api::client::Error> {
        let mut options = api::client::Options::new(self.server.clone());
        options.credentials = api::client::Credentials::Key {
            system: self.system.id.clone(),
            key: self.system.key.clone(),
        };
        options.timeout = Some(SOON);
        api::Client::connect(&options).await
    }
}

fn verify(data: &Path) {
    Cli::new()
        .run(args!["verify", "--data", data])
        .unwrap()
        .ok()
        .unwrap();
}

/// Rounds of pushing and receiving, each ended by `kill -9` at a drawn moment; then the books are
/// compared.
async fn kill_rounds(seed: u64, rounds: u32) {
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let mut house = House::of(Axis::builder().config(SMALL).expect_log("torn"));
    let world = Shared::default();
    for round in 0..rounds {
        if round > 0 {
            house.axis.restart().unwrap();
        }
        let mut tasks = JoinSet::new();
        for sender in 0..4 {
            let axis = Where::new(&house.axis, &house.a);
            tasks.spawn(push_until_gone(
                axis,
                Arc::clone(&world),
                sender,
                Random::new(random.next()),
            ));
        }
        for system in [&house.b, &house.b, &house.c] {
            let axis = Where::new(&house.axis, system);
            tasks.spawn(receive_until_gone(
                axis,
                Arc::clone(&world),
                Random::new(random.next()),
            ));
        }
        // The drawn moment: some work has been done, then some more time passes.
        let receipts = || world.lock().unwrap().receipts.len();
        let enough = receipts() + usize::try_from(random.below(12)).unwrap();
        crate::house::eventually("some receipts", || async {
            (receipts() >= enough).then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_micros(random.below(20_000))).await;
        house.axis.kill9().unwrap();
        while let Some(done) = tasks.join_next().await {
            done.unwrap();
        }
        if round % 5 == 4 {
            verify(house.axis.data());
        }
    }

    // The clients send again what had no answer, and take what waits.
    house.axis.restart().unwrap();
    let a = client(&house.axis, &house.a).await;
    let unanswered: Vec<_> = {
        let world = world.lock().unwrap();
        let without = world
            .begun
            .iter()
            .filter(|(id, _)| !world.receipts.contains_key(*id));
        without
            .map(|(id, (package, _))| (id.clone(), package.clone()))
            .collect()
    };
    for (id, package) in unanswered {
        let receipt = push(&a, &package).await;
        world
            .lock()
            .unwrap()
            .receipts
            .insert(id, (receipt.package_id, receipt.sha256));
    }
    for system in [&house.b, &house.c] {
        let client = client(&house.axis, system).await;
        for (header, bytes) in drain(&client).await {
            take(&world, &header, &bytes);
        }
    }
    {
        let world = world.lock().unwrap();
        assert!(
            world.receipts.len() > rounds as usize,
            "too little was done: {}",
            world.receipts.len()
        );
        // Each package at each of its receivers once: nothing lost, nothing doubled.
        let mut deliveries: BTreeMap<&str, usize> = BTreeMap::new();
        for id in world.received.values() {
            *deliveries.entry(id.as_str()).or_default() += 1;
        }
        for (id, (_, receivers)) in &world.begun {
            assert_eq!(deliveries.get(id.as_str()), Some(receivers), "{id}");
        }
    }
    let history = house
        .axis
        .operate(["history", "--max", "0", "--json"])
        .unwrap()
        .ok()
        .unwrap()
        .json()
        .unwrap();
    {
        let world = world.lock().unwrap();
        let documents: BTreeMap<_, _> = history
            .iter()
            .filter(|line| line["kind"] == "document")
            .map(|line| {
                (
                    line["document"]["id"].as_str().unwrap(),
                    line["id"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            history
                .iter()
                .filter(|line| line["kind"] == "document")
                .count(),
            world.begun.len()
        );
        for (id, (package, _)) in &world.receipts {
            assert_eq!(
                documents[id.as_str()],
                package,
                "{id}: another package than the receipt says"
            );
        }
        // The axis's own 01, once for each delivery that was settled.
        let own = history
            .iter()
            .filter(|line| line["status"]["made_by_axis"] == true)
            .count();
        assert_eq!(own, world.received.len());
    }
    assert_eq!(house.axis.terminate().unwrap(), 0);
    verify(house.axis.data());

    let copies = tempfile::tempdir().unwrap();
    let copy = copies.path().join("copy");
    copy_folder(house.axis.data(), &copy);
    let mut segments = crate::house::segments(&copy);
    segments.retain(|segment| crate::house::find(segment, b"AXRC").is_some());
    let segment = &segments[usize::try_from(random.below(segments.len() as u64)).unwrap()];
    let offset = crate::house::find(segment, b"AXRC").unwrap() + 200;
    crate::house::patch(segment, offset, |bytes| bytes[0] ^= 4, 1);
    let found = Cli::new()
        .run(args!["verify", "--json", "--data", copy,])
        .unwrap()
        .code(1)
        .unwrap();
    let damage = &found.json().unwrap()[0]["damage"][0];
    let number = segment
        .file_stem()
        .unwrap()
        .to_str()
        .unwrap()
        .trim_start_matches('0')
        .to_owned();
    assert_eq!(damage["segment"], number);
    assert!(damage["offset"].as_u64().unwrap() <= offset);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_14_kill_9_at_any_moment_breaks_no_receipt_first_15_rounds() {
    kill_rounds(20_260_302, 15).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_14_kill_9_at_any_moment_breaks_no_receipt_other_15_rounds() {
    kill_rounds(0x5EED, 15).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_in_flight_end_before_the_axis_stops_and_later_ones_hear_to_try_again() {
    let mut house = House::new();
    let a = house.client(&house.a).await;
    push(&a, &document("before").bytes()).await;
    let b = house.client(&house.b).await;
    let mut stream = b.subscribe(1).await.unwrap();
    let stopping = tokio::task::spawn_blocking(move || {
        let code = house.axis.terminate().unwrap();
        (house, code)
    });
    let cut = loop {
        match soon(stream.next()).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended without a word"),
            Err(error) => break error,
        }
    };
    if let Some(view) = cut.refusal() {
        assert_eq!(view.name, "NOT_SERVING");
        assert!(view.retry_after.is_some());
    }
    let (mut house, code) = stopping.await.unwrap();
    assert_eq!(code, 0);
    assert!(try_client(&house.axis, &house.a, SOON).await.is_err());
    house.axis.restart().unwrap();
    let b = house.client(&house.b).await;
    let (header, _) = fetch_one(&b).await;
    assert!(header.document.unwrap().document_id.unwrap() == "before");
}
