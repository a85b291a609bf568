//! The exchange over a real broker: a direct system on a stream, an `amqp` system on its queues,
//! and everything that can happen to a broker or to the axis meanwhile. Whatever it is, nothing
//! is lost, and nothing is doubled after settling.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use api::client::{Client, Credentials, Event, Options};
use api::v1;
use bus::amqp::{Access, user_of};
use bytes::Bytes;
use serde_json::{Value, json};
use testkit::{Axis, Broker, Document, Partner, Signal, System, Vhost};

use crate::house::{NEVER, runtime};
use crate::incidents::{Before, one_up_and_one_down, so_far, stands, why_becomes};
use crate::tls::Papers;

const A: &str = "000.00.01.H99";
const B: &str = "000.00.02.H99";
const C: &str = "000.00.03.H99";
const D: &str = "000.00.04.H99";
const E: &str = "000.00.05.H99";
const PARTNER: &str = "so-q";

/// What the daemon says loudly in these tests: that the broker is not what it should be.
const LOUD: &[&str] = &[
    "an alert",
    "the bus is away",
    "a queue was gone",
    "held less than was published",
    "wake-ups could not be published",
    "cannot be consumed",
    "a delivery is dead",
    "bus",
];

/// A broker, an axis on it, one who sends, one who streams, one on the queues.
struct Yard {
    broker: Broker,
    vhost: Vhost,
    axis: Axis,
    a: System,
    b: System,
    q: System,
    access: Access,
    _papers: Option<Papers>,
}

impl Yard {
    /// The axis comes by TLS, with a certificate of its own, if `papers` are given.
    fn new(name: &str, papers: Option<Papers>, delivery: &str, alerts: &str) -> Self {
        let broker = Broker::start().unwrap();
        let vhost = broker.vhost(name).unwrap();
        let bus = match &papers {
            None => format!("[bus]\nurl = \"{}\"\n", vhost.url),
            Some(papers) => {
                let port = papers.listen(&broker, true);
                papers.bus(&format!("amqps://{name}@127.0.0.1:{port}/{name}"))
            }
        };
        // What is said of a shared machine's disk and clock is not of the broker.
        let config = format!(
            "{bus}[delivery]\nsettle_seconds = 3\ncheck_seconds = 1\n{delivery}[journal]\nsegment_bytes = 4194304\n[alerts]\nevery_seconds = 1\n{alerts}sync_ms = 600000\ndisk_free_percent = 0\nclock_seconds = 86400\n"
        );
        let mut builder = Axis::builder()
            .config(config)
            .env("AXIS_BUS_PASSWORD", &vhost.password);
        for text in LOUD {
            builder = builder.expect_log(*text);
        }
        let axis = builder.start().unwrap();
        axis.register(9).unwrap();
        let a = axis.add_system("so-a", &[A]).unwrap();
        let b = axis.add_system("so-b", &[B]).unwrap();
        let q = axis
            .add_system_with(PARTNER, &[C], &["--attachment", "amqp"])
            .unwrap();
        let access = Access::of(PARTNER, &vhost.name);
        let yard = Self {
            broker,
            vhost,
            axis,
            a,
            b,
            q,
            access,
            _papers: papers,
        };
        yard.broker.add_user(&yard.access.user, "pw").unwrap();
        yard.permit();
        yard
    }

    /// The name of a system's queue.
    fn lane(system: &str, lane: bus::Lane) -> String {
        bus::Queue::new(system, lane).to_string()
    }

    /// What the axis prints when an `amqp` system is added, set by the broker's team.
    fn permit(&self) {
        self.permit_as(&self.access);
    }

    fn permit_as(&self, access: &Access) {
        let Access {
            vhost,
            user,
            configure,
            write,
            read,
            topics,
            ..
        } = access;
        self.broker
            .permit(vhost, user, configure, write, read)
            .unwrap();
        for topic in topics {
            let (exchange, write) = (topic.exchange, &topic.write);
            self.broker
                .permit_topic(vhost, user, exchange, write, topic.read)
                .unwrap();
        }
    }

    async fn partner(&self) -> Partner {
        partner(self.broker.port(), &self.vhost.name, PARTNER).await
    }
}

async fn try_partner(port: u16, vhost: &str, system: &str) -> anyhow::Result<Partner> {
    let mut partner = Partner::connect(port, vhost, &user_of(system), "pw").await?;
    for lane in bus::Lane::ALL {
        let queue = Yard::lane(system, lane);
        partner.consume(&queue, 20).await?;
    }
    Ok(partner)
}

async fn partner(port: u16, vhost: &str, system: &str) -> Partner {
    let began = Instant::now();
    loop {
        match try_partner(port, vhost, system).await {
            Ok(partner) => return partner,
            Err(error) => assert!(began.elapsed() < NEVER, "{error:#}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn client(grpc: std::net::SocketAddr, system: &System) -> Result<Client, api::client::Error> {
    let mut options = Options::new(format!("http://{grpc}"));
    options.credentials = Credentials::Key {
        system: system.id.clone(),
        key: system.key.clone(),
    };
    options.timeout = Some(NEVER);
    Client::connect(&options).await
}

async fn push(client: &Client, package: Vec<u8>) -> Result<v1::Receipt, api::client::Error> {
    client
        .push(Bytes::from(package), v1::PushOptions::default())
        .await
}

fn document(id: &str, to: &[&str]) -> Vec<u8> {
    Document::new(A, to, id).bytes()
}

/// What the receivers have settled, and what came again after that.
#[derive(Debug, Default)]
struct Book {
    /// Settles that changed something, by delivery.
    settled: BTreeMap<String, u32>,
    /// Offered after the receiver had the answer to its settle; on queues what was on its way may
    /// still come, so there it counts only when the axis would serve it again.
    after: Vec<String>,
}

/// What everybody shares while the broker is tormented.
#[derive(Debug)]
struct Shared {
    grpc: Mutex<std::net::SocketAddr>,
    book: Mutex<Book>,
    /// Settles without an answer, by the stream and by the queues. They may have taken effect, and
    /// then nothing comes again: they are sent again until they are answered.
    owed: Mutex<Vec<v1::SettleRequest>>,
    owed_letters: Mutex<BTreeMap<String, String>>,
    ended: AtomicBool,
}

impl Shared {
    fn grpc(&self) -> std::net::SocketAddr {
        *self.grpc.lock().unwrap()
    }

    fn is_settled(&self, delivery: &str) -> bool {
        self.book.lock().unwrap().settled.contains_key(delivery)
    }

    fn settled(&self, delivery: &str, changed: bool) {
        let mut book = self.book.lock().unwrap();
        *book.settled.entry(delivery.to_owned()).or_default() += u32::from(changed);
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}

/// A document system on a stream: connects again whenever it is cut off.
async fn stream(shared: Arc<Shared>, system: System) {
    while !shared.has_ended() {
        if let Ok(client) = client(shared.grpc(), &system).await {
            let _ = take_from_stream(&shared, &client).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn take_from_stream(shared: &Shared, client: &Client) -> Result<(), api::client::Error> {
    settle_owed(shared, client).await?;
    let mut stream = client.subscribe(20).await?;
    while !shared.has_ended() {
        let next = tokio::time::timeout(Duration::from_millis(200), stream.next()).await;
        let Ok(next) = next else { continue };
        match next? {
            Some(Event::Delivery(header)) => {
                while stream.chunk().await?.is_some() {}
                if shared.is_settled(&header.delivery_id) {
                    let mut book = shared.book.lock().unwrap();
                    book.after.push(header.delivery_id.clone());
                }
                let settle = v1::SettleRequest {
                    delivery_id: header.delivery_id.clone(),
                    round: header.round,
                    outcome: v1::Outcome::Acknowledged.into(),
                    sha256: header.sha256.clone(),
                    ..v1::SettleRequest::default()
                };
                shared.owed.lock().unwrap().push(settle);
                settle_owed(shared, client).await?;
                stream.sender().credit(1);
            }
            Some(_) => {}
            None => return Ok(()),
        }
    }
    Ok(())
}

async fn settle_owed(shared: &Shared, client: &Client) -> Result<(), api::client::Error> {
    loop {
        let owed = shared.owed.lock().unwrap().last().cloned();
        let Some(settle) = owed else { return Ok(()) };
        let settled = client.settle(settle.clone()).await?;
        shared.settled(&settle.delivery_id, settled.changed);
        let _ = shared.owed.lock().unwrap().pop();
    }
}

/// A document system on its queues, as the integration guide tells it: it keeps what it has
/// brought in by delivery id, settles, and acks after the answer.
async fn queues(shared: Arc<Shared>, port: u16, vhost: String) {
    while !shared.has_ended() {
        if let Ok(mut partner) = try_partner(port, &vhost, PARTNER).await {
            let _ = take_from_queues(&shared, &mut partner).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn take_from_queues(shared: &Shared, partner: &mut Partner) -> anyhow::Result<()> {
    settle_letters(shared, partner).await?;
    while !shared.has_ended() {
        let Some(got) = partner.next(Duration::from_millis(200)).await? else {
            anyhow::ensure!(partner.is_up(), "the connection is gone");
            continue;
        };
        let delivery = got.header("axis-delivery").to_owned();
        let letter = got.acknowledged().to_string();
        let _ = shared.owed_letters.lock().unwrap().insert(delivery, letter);
        settle_letters(shared, partner).await?;
        got.ack().await?;
    }
    Ok(())
}

async fn settle_letters(shared: &Shared, partner: &mut Partner) -> anyhow::Result<()> {
    loop {
        let owed = {
            let owed = shared.owed_letters.lock().unwrap();
            owed.first_key_value()
                .map(|(delivery, letter)| (delivery.clone(), letter.clone()))
        };
        let Some((delivery, letter)) = owed else {
            return Ok(());
        };
        partner
            .send("axis.settle", letter.as_bytes(), &delivery)
            .await?;
        while let Some(answer) = partner.answer(Duration::from_secs(3)).await? {
            if answer.to != delivery {
                continue;
            }
            assert_eq!(answer.body["outcome"], "settled", "{answer:?}");
            assert_eq!(answer.body["state"], "acknowledged");
            shared.settled(&delivery, answer.body["changed"] == true);
            let _ = shared.owed_letters.lock().unwrap().remove(&delivery);
            break;
        }
    }
}

/// Sends documents while something happens, some at first and then now and again until it is
/// over, and says their deliveries.
async fn send(shared: &Shared, system: &System, what: &str, over: &AtomicBool) -> BTreeSet<String> {
    let mut deliveries = BTreeSet::new();
    let began = Instant::now();
    let mut number = 0;
    while number < 8 || !over.load(Ordering::SeqCst) {
        // A few of each are urgent: they go through other queues.
        let level = if number % 4 == 3 { 2 } else { 0 };
        let name = format!("{what}-{number}");
        let package = Document::new(A, &[B, C], &name).level(level).bytes();
        number += 1;
        if number > 8 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let receipt = loop {
            let pushed = match client(shared.grpc(), system).await {
                Ok(client) => push(&client, package.clone()).await,
                Err(error) => Err(error),
            };
            match pushed {
                Ok(receipt) => break receipt,
                // The axis itself was killed; the sender sends the same again.
                Err(error) => assert!(began.elapsed() < NEVER, "{what}: {error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let all = receipt.receivers.into_iter();
        deliveries.extend(all.map(|receiver| receiver.delivery_id));
    }
    assert_eq!(deliveries.len(), 2 * number);
    deliveries
}

async fn all_settled(shared: &Shared, what: &str, deliveries: &BTreeSet<String>) {
    let began = Instant::now();
    loop {
        let missing: Vec<_> = {
            let book = shared.book.lock().unwrap();
            let missing = deliveries.iter();
            missing
                .filter(|id| !book.settled.contains_key(*id))
                .cloned()
                .collect()
        };
        if missing.is_empty() {
            break;
        }
        assert!(
            began.elapsed() < NEVER,
            "{what}: {} of {} are not settled: {missing:?}",
            missing.len(),
            deliveries.len()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    eprintln!("{what}: all settled after {:?}", began.elapsed());
}

/// All went well in the axis's own books: nothing waits, each delivery was acknowledged once.
fn books_are_right(axis: &Axis, shared: &Shared) {
    let book = shared.book.lock().unwrap();
    assert_eq!(
        book.after,
        [] as [String; 0],
        "offered after it was settled"
    );
    let twice: Vec<_> = book.settled.iter().filter(|(_, n)| **n > 1).collect();
    assert!(twice.is_empty(), "settled twice: {twice:?}");
    for delivery in book.settled.keys() {
        let trace = axis.operate(["trace", delivery, "--json"]).unwrap();
        let trace = trace.ok().unwrap().json().unwrap();
        let text = serde_json::to_string(&trace).unwrap();
        let acknowledged = text.matches("\"kind\":\"acknowledged\"").count();
        assert_eq!(acknowledged, 1, "{delivery}: {text}");
        // A few are enough: each costs a process.
        if delivery.as_str() > "1" {
            break;
        }
    }
    axis.operate(["verify"]).unwrap().ok().unwrap();
}

#[test]
fn bk_04_nothing_is_lost_or_doubled_whatever_happens_to_the_broker() {
    const AWAY: (&str, &str) = ("bus-away", "bus");
    let mut yard = Yard::new("tinh", None, "", "quiet_seconds = 5\n");
    let shared = Arc::new(Shared {
        grpc: Mutex::new(yard.axis.grpc()),
        book: Mutex::default(),
        owed: Mutex::default(),
        owed_letters: Mutex::default(),
        ended: AtomicBool::new(false),
    });
    let runtime = runtime();
    let streaming = runtime.spawn(stream(Arc::clone(&shared), yard.b.clone()));
    let (port, vhost) = (yard.broker.port(), yard.vhost.name.clone());
    let consuming = runtime.spawn(queues(Arc::clone(&shared), port, vhost));
    // Whatever happens: all is settled in the end, and of `expected` each alert has gone up once
    // and down once, and no other.
    let mut case =
        |what: &str, expected: Option<&[(&str, &str)]>, torment: &mut dyn FnMut(&mut Yard)| {
            let began = Instant::now();
            let before = so_far(&yard.axis);
            let over = Arc::new(AtomicBool::new(false));
            let sending = {
                let (shared, a, what) = (Arc::clone(&shared), yard.a.clone(), what.to_owned());
                let over = Arc::clone(&over);
                runtime.spawn(async move { send(&shared, &a, &what, &over).await })
            };
            torment(&mut yard);
            *shared.grpc.lock().unwrap() = yard.axis.grpc();
            over.store(true, Ordering::SeqCst);
            runtime.block_on(async {
                let sent = sending.await.unwrap();
                all_settled(&shared, what, &sent).await;
            });
            if let Some(expected) = expected {
                one_up_and_one_down(&yard.axis, what, &before, expected, &[]);
            }
            eprintln!("{what}: {:?}", began.elapsed());
        };
    let [b_routine, q_routine] = [("so-b", bus::Lane::Routine), (PARTNER, bus::Lane::Routine)]
        .map(|(system, lane)| Yard::lane(system, lane));
    case("nothing happens", Some(&[]), &mut |_| {});
    case("connections closed", Some(&[AWAY]), &mut |yard| {
        yard.broker.close_connections().unwrap();
    });
    case("stopped and started", Some(&[AWAY]), &mut |yard| {
        yard.broker.stop_app().unwrap();
        stands(&yard.axis, "bus-away", "bus");
        why_becomes(&yard.axis, "so-b", "BUS_AWAY");
        yard.broker.start_app().unwrap();
    });
    case("killed and restarted", Some(&[AWAY]), &mut |yard| {
        yard.broker.kill9().unwrap();
        yard.broker.restart().unwrap();
    });
    // Whether somebody deleted a queue or it was never made is not always to be seen, so its alert
    // is not counted: `alerts::` in the exchange's tests does.
    case("queues deleted", None, &mut |yard| {
        for queue in [&b_routine, &q_routine] {
            yard.broker.delete_queue(&yard.vhost.name, queue).unwrap();
        }
    });
    case("vhost wiped", None, &mut |yard| {
        yard.broker.wipe(&yard.vhost).unwrap();
        yard.permit();
    });
    // What operators are told of the rest is not counted here yet: a vhost that is deleted goes in
    // steps, and is told in several.
    case("vhost gone for a while", None, &mut |yard| {
        yard.broker.delete_vhost(&yard.vhost.name).unwrap();
        stands(&yard.axis, "bus-away", "bus");
        why_becomes(&yard.axis, PARTNER, "BUS_AWAY");
        yard.broker.add_vhost(&yard.vhost.name).unwrap();
        let name = yard.vhost.name.clone();
        yard.broker.permit(&name, &name, ".*", ".*", ".*").unwrap();
        yard.permit();
    });
    case("memory alarm", None, &mut |yard| {
        yard.broker.memory_alarm(true).unwrap();
        std::thread::sleep(Duration::from_millis(500));
        yard.broker.memory_alarm(false).unwrap();
    });
    case("disk alarm", None, &mut |yard| {
        yard.broker.disk_alarm(true).unwrap();
        std::thread::sleep(Duration::from_millis(500));
        yard.broker.disk_alarm(false).unwrap();
    });
    case("wrong password for a while", None, &mut |yard| {
        let name = yard.vhost.name.clone();
        yard.broker.set_password(&name, "another").unwrap();
        yard.broker.close_connections().unwrap();
        std::thread::sleep(Duration::from_millis(500));
        yard.broker
            .set_password(&name, &yard.vhost.password)
            .unwrap();
    });
    case("one queue denied for a while", None, &mut |yard| {
        let name = yard.vhost.name.clone();
        let all_but = "^(?!axis\\.system\\.so-b\\.routine$).*";
        yard.broker
            .permit(&name, &name, all_but, all_but, all_but)
            .unwrap();
        yard.broker.close_connections().unwrap();
        std::thread::sleep(Duration::from_millis(500));
        yard.broker.permit(&name, &name, ".*", ".*", ".*").unwrap();
    });
    case("the axis stopped and started", None, &mut |yard| {
        yard.axis.restart().unwrap();
    });
    for (number, after) in [0, 40, 15, 90].into_iter().enumerate() {
        case(&format!("the axis killed ({number})"), None, &mut |yard| {
            std::thread::sleep(Duration::from_millis(after));
            yard.axis.kill9().unwrap();
            yard.axis.restart().unwrap();
        });
    }
    case("the axis hangs", None, &mut |yard| {
        yard.axis.signal(Signal::STOP).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        yard.axis.signal(Signal::CONT).unwrap();
    });
    case(
        "the axis starts while the broker is away",
        None,
        &mut |yard| {
            yard.broker.kill9().unwrap();
            yard.axis.restart().unwrap();
            yard.broker.restart().unwrap();
        },
    );
    shared.ended.store(true, Ordering::SeqCst);
    runtime.block_on(async {
        streaming.await.unwrap();
        consuming.await.unwrap();
        quiet(&yard).await;
    });
    books_are_right(&yard.axis, &shared);
}

/// What is settled is not published again: what the queues give from now on is what was on its
/// way, and it ends.
async fn quiet(yard: &Yard) {
    let mut partner = yard.partner().await;
    let began = Instant::now();
    while let Some(late) = partner.next(Duration::from_secs(5)).await.unwrap() {
        assert!(
            began.elapsed() < NEVER,
            "settled, and published on and on: {late:?}"
        );
        late.ack().await.unwrap();
    }
}

/// Sends a letter and gives the answer to it.
async fn ask(partner: &mut Partner, exchange: &str, body: &[u8], id: &str) -> Value {
    partner.send(exchange, body, id).await.unwrap();
    loop {
        let answer = partner.answer(NEVER).await.unwrap().expect("an answer");
        if answer.to == id {
            return answer.body;
        }
    }
}

#[test]
fn an_amqp_system_sends_receives_and_settles_and_what_is_wrong_lies_among_the_dead() {
    // Junk comes in one go, so that it is one incident however slow the machine is.
    let alerts = "quiet_seconds = 15\nroutine_minutes = 1\n";
    let delivery = "max_unsettled_leases = 2\n";
    let yard = Yard::new("letters", Some(Papers::new()), delivery, alerts);
    let runtime = runtime();
    let before = so_far(&yard.axis);
    let slow = runtime.block_on(Slow::begins(&yard));
    runtime.block_on(letters(&yard));
    let others = [slow.alert().1];
    let junk: Vec<_> = ["axis.settle", PARTNER]
        .into_iter()
        .map(|subject| ("bus-junk", subject))
        .collect();
    one_up_and_one_down(&yard.axis, "junk", &before, &junk, &others);
    runtime.block_on(never_settles(&yard, &others));
    runtime.block_on(slow.ends(&yard, &before));
}

/// A system with a stream that takes one document and nothing more for more than a minute, which
/// is this axis's limit: told as too old, and nobody else notices.
struct Slow {
    stream: api::client::Subscription,
    client: Client,
    held: v1::SettleRequest,
    /// The delivery that waits behind the others.
    last: String,
}

const SLOW: &str = "so-cham";

impl Slow {
    const fn alert(&self) -> (&'static str, &'static str) {
        ("oldest-age", "so-cham/routine")
    }

    async fn begins(yard: &Yard) -> Self {
        let system = yard.axis.add_system(SLOW, &[E]).unwrap();
        let slow = client(yard.axis.grpc(), &system).await.unwrap();
        let mut stream = slow.subscribe(1).await.unwrap();
        let a = client(yard.axis.grpc(), &yard.a).await.unwrap();
        let mut last = String::new();
        for number in 0..3 {
            let sent = push(&a, document(&format!("slow-{number}"), &[E])).await;
            last.clone_from(&sent.unwrap().receivers[0].delivery_id);
        }
        let held = Self::take(&mut stream).await;
        Self {
            stream,
            client: slow,
            held,
            last,
        }
    }

    async fn take(stream: &mut api::client::Subscription) -> v1::SettleRequest {
        loop {
            let next = tokio::time::timeout(NEVER, stream.next()).await.unwrap();
            if let Event::Delivery(header) = next.unwrap().expect("the stream ended") {
                while stream.chunk().await.unwrap().is_some() {}
                return v1::SettleRequest {
                    delivery_id: header.delivery_id,
                    round: header.round,
                    outcome: v1::Outcome::Acknowledged.into(),
                    ..v1::SettleRequest::default()
                };
            }
        }
    }

    /// It was told, and it goes on; all comes, and the alert goes.
    async fn ends(mut self, yard: &Yard, before: &Before) {
        let (kind, subject) = self.alert();
        stands(&yard.axis, kind, subject);
        why_becomes(&yard.axis, &self.last, "RECEIVER_SLOW");
        self.stream.sender().credit(10);
        let mut held = vec![self.held.clone()];
        while held.len() < 3 {
            held.push(Self::take(&mut self.stream).await);
        }
        for settle in held {
            assert!(self.client.settle(settle).await.unwrap().changed);
        }
        // `so-b` has one that it fetched and never settles.
        let others = ["axis.settle", PARTNER, NEVER_SETTLES, "so-b/routine"];
        one_up_and_one_down(&yard.axis, "slow", before, &[self.alert()], &others);
    }
}

const NEVER_SETTLES: &str = "so-quen";

/// An `amqp` system that takes and never settles: after its leases the delivery is put aside, told
/// once, and comes again once an operator says so.
async fn never_settles(yard: &Yard, others: &[&str]) {
    let before = so_far(&yard.axis);
    yard.axis
        .add_system_with(NEVER_SETTLES, &[D], &["--attachment", "amqp"])
        .unwrap();
    let access = Access::of(NEVER_SETTLES, &yard.vhost.name);
    yard.broker.add_user(&access.user, "pw").unwrap();
    yard.permit_as(&access);
    let a = client(yard.axis.grpc(), &yard.a).await.unwrap();
    let receipt = push(&a, document("never", &[D])).await.unwrap();
    let delivery = receipt.receivers[0].delivery_id.clone();
    let (port, vhost) = (yard.broker.port(), &yard.vhost.name);
    let mut partner = partner(port, vhost, NEVER_SETTLES).await;
    // Two times it comes and is acked to the broker, which proves nothing.
    for time in 0..2 {
        let got = partner.next(NEVER).await.unwrap().expect("a message");
        assert_eq!(got.header("axis-delivery"), delivery);
        if time == 0 {
            why_becomes(&yard.axis, &delivery, "AMQP_UNSETTLED");
        }
        got.ack().await.unwrap();
    }
    stands(&yard.axis, "dead-letters", NEVER_SETTLES);
    why_becomes(&yard.axis, &delivery, "DEAD");
    let retry = ["dead", "retry", &delivery, "--why", "sửa xong"];
    yard.axis.operate(retry).unwrap().ok().unwrap();
    let got = partner.next(NEVER).await.unwrap().expect("a message");
    let letter = got.acknowledged().to_string();
    let settled = ask(&mut partner, "axis.settle", letter.as_bytes(), "now").await;
    assert_eq!(settled["outcome"], "settled", "{settled}");
    got.ack().await.unwrap();
    let expected = [("dead-letters", NEVER_SETTLES)];
    one_up_and_one_down(&yard.axis, "never settles", &before, &expected, others);
}

async fn letters(yard: &Yard) {
    let mut partner = yard.partner().await;
    let a = client(yard.axis.grpc(), &yard.a).await.unwrap();
    let b = client(yard.axis.grpc(), &yard.b).await.unwrap();
    push(&a, document("in", &[C])).await.unwrap();
    let got = partner.next(NEVER).await.unwrap().expect("a message");
    assert!(got.body.is_empty());
    assert!(
        got.header("traceparent")
            .contains(got.header("axis-package"))
    );
    let q = client(yard.axis.grpc(), &yard.q).await.unwrap();
    let download = v1::DownloadRequest {
        delivery_id: got.header("axis-delivery").to_owned(),
    };
    let mut download = q.download(download).await.unwrap();
    let header = download.next().await.unwrap().expect("a delivery");
    assert_eq!(header.sha256, got.header("axis-sha256"));

    // A package in, by the same rules as a push.
    let package = Document::new(C, &[B], "out").bytes();
    let accepted = ask(&mut partner, "axis.ingress", &package, "p1").await;
    assert_eq!(accepted["outcome"], "accepted", "{accepted}");
    assert_eq!(accepted["duplicate"], false);
    let again = ask(&mut partner, "axis.ingress", &package, "p2").await;
    assert_eq!(
        (&again["id"], &again["duplicate"]),
        (&accepted["id"], &json!(true))
    );
    let foreign = ask(&mut partner, "axis.ingress", &document("x", &[B]), "p3").await;
    assert_eq!(
        (&foreign["outcome"], &foreign["name"]),
        (&json!("refused"), &json!("FOREIGN_SENDER"))
    );
    let bad = ask(&mut partner, "axis.ingress", b"<edXML", "p4").await;
    assert_eq!(bad["name"], "BAD_PACKAGE", "{bad}");

    // Settles that cannot be right: answered, and among the dead with the reason.
    let right = got.acknowledged();
    let mut wrong_hash = right.clone();
    wrong_hash["sha256"] = json!("00".repeat(32));
    let mut foreign = right.clone();
    foreign["delivery"] = accepted["deliveries"][0]["id"].clone();
    let wrong = [
        (wrong_hash.to_string(), "WRONG_HASH"),
        (foreign.to_string(), "FOREIGN_DELIVERY"),
        ("junk".to_owned(), "BAD_ARGUMENT"),
    ];
    for (body, name) in &wrong {
        let refused = ask(&mut partner, "axis.settle", body.as_bytes(), name).await;
        assert_eq!(
            (&refused["outcome"], &refused["name"]),
            (&json!("refused"), &json!(name))
        );
    }
    partner
        .send_unsigned("axis.settle", right.to_string().as_bytes(), "who")
        .await
        .unwrap();
    // Another's name is refused by the broker itself.
    let trace = |delivery: &str| {
        let trace = yard.axis.operate(["trace", delivery, "--json"]).unwrap();
        serde_json::to_string(&trace.ok().unwrap().json().unwrap()).unwrap()
    };
    dead(
        yard,
        &[
            "WRONG_HASH",
            "FOREIGN_DELIVERY",
            "BAD_ARGUMENT",
            "UNAUTHENTICATED",
        ],
    )
    .await;
    assert!(!trace(got.header("axis-delivery")).contains("\"kind\":\"acknowledged\""));
    // The right one, twice.
    let settled = ask(
        &mut partner,
        "axis.settle",
        right.to_string().as_bytes(),
        "s1",
    )
    .await;
    assert_eq!(
        (&settled["outcome"], &settled["changed"]),
        (&json!("settled"), &json!(true)),
        "{settled}"
    );
    let settled = ask(
        &mut partner,
        "axis.settle",
        right.to_string().as_bytes(),
        "s2",
    )
    .await;
    assert_eq!(settled["changed"], false);
    got.ack().await.unwrap();
    assert!(trace(got.header("axis-delivery")).contains("\"kind\":\"acknowledged\""));
    // What it sent arrives as any package does.
    let mut waiting = b.fetch(v1::FetchRequest::default()).await.unwrap();
    let header = waiting.next().await.unwrap().expect("a delivery");
    assert_eq!(header.package_id, accepted["id"].as_str().unwrap());

    // Its queues are its own: it gets nothing of another system's, and takes by no other way.
    let mut thief = Partner::connect(
        yard.broker.port(),
        &yard.vhost.name,
        &user_of(PARTNER),
        "pw",
    )
    .await
    .unwrap();
    assert!(thief.consume("axis.system.so-b.routine", 1).await.is_err());
    let refused = match q.subscribe(1).await {
        Ok(mut stream) => stream.next().await.map(drop),
        Err(error) => Err(error),
    };
    match refused {
        Err(api::client::Error::Refused(view)) => assert_eq!(view.name, "PERMISSION_DENIED"),
        other => panic!("an amqp system subscribed: {other:?}"),
    }
}

/// Waits until the dead letters hold these reasons, in any order.
async fn dead(yard: &Yard, reasons: &[&str]) {
    let name = &yard.vhost.name;
    let port = yard.broker.port();
    let mut operator = Partner::connect(port, name, name, &yard.vhost.password)
        .await
        .unwrap();
    operator.consume("axis.dead", 50).await.unwrap();
    let mut missing: BTreeSet<&str> = reasons.iter().copied().collect();
    while !missing.is_empty() {
        let letter = operator.next(NEVER).await.unwrap();
        let letter = letter.unwrap_or_else(|| panic!("not among the dead: {missing:?}"));
        let reason = letter.header("axis-reason").to_owned();
        missing.retain(|expected| !reason.contains(expected));
        letter.ack().await.unwrap();
    }
}
