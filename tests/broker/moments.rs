//! The axis is killed when something is half done: committed and not published, published and not
//! confirmed, leased and not settled. A gate between axis and broker makes each moment last until
//! the axis is dead. Whoever receives keeps an account, and by it each is settled once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use api::client::{Client, Event, Subscription};
use api::v1;
use serde_json::Value;
use testkit::{Document, Got, Partner, Way};

use crate::house::{NEVER, runtime};
use crate::incidents::{one_up_and_one_down, so_far};
use crate::yard::{A, B, C, PARTNER, Road, Yard, ask, client, push};

/// How long nothing may come until nothing comes: longer than what is unsettled is left alone.
const QUIET: Duration = Duration::from_secs(4);

/// `basic.ack`, in the broker's words to the axis: the confirm of a publish.
const CONFIRM: [u8; 4] = [0, 60, 0, 80];

/// `basic.publish` through the default exchange into this queue.
fn publish_to(queue: &str) -> Vec<u8> {
    let length = u8::try_from(queue.len()).unwrap();
    [&[0, 60, 0, 40, 0, 0, 0, length], queue.as_bytes()].concat()
}

/// What was owed and what was settled, by delivery.
#[derive(Debug, Default)]
struct Account {
    /// Settles that the axis said have changed something.
    settled: BTreeMap<String, u32>,
}

impl Account {
    fn owe(&mut self, receipt: &v1::Receipt) -> [String; 2] {
        let of = |code: &str| {
            let mut receivers = receipt.receivers.iter();
            let is = |receiver: &&v1::ReceiverReceipt| {
                let agency = receiver.agency.as_ref();
                agency.is_some_and(|agency| agency.main_code == code)
            };
            receivers.find(is).unwrap().delivery_id.clone()
        };
        let owed = [of(B), of(C)];
        for delivery in &owed {
            assert_eq!(self.settled.insert(delivery.clone(), 0), None);
        }
        owed
    }

    fn count(&mut self, delivery: &str, changed: bool) {
        *self.settled.get_mut(delivery).unwrap() += u32::from(changed);
    }

    fn is_settled(&self, delivery: &str) -> bool {
        self.settled[delivery] > 0
    }
}

/// The receiver on a stream.
struct Streaming {
    client: Client,
    stream: Subscription,
}

impl Streaming {
    async fn begin(yard: &Yard) -> Self {
        let client = client(yard.axis.grpc(), &yard.b).await.unwrap();
        let stream = client.subscribe(10).await.unwrap();
        Self { client, stream }
    }

    /// The next delivery, with its content read.
    async fn take(&mut self) -> v1::DeliveryHeader {
        loop {
            let next = tokio::time::timeout(NEVER, self.stream.next()).await;
            if let Event::Delivery(header) = next.unwrap().unwrap().expect("the stream ended") {
                while self.stream.chunk().await.unwrap().is_some() {}
                return *header;
            }
        }
    }

    async fn settle(&self, header: &v1::DeliveryHeader, account: &mut Account) {
        let settle = v1::SettleRequest {
            delivery_id: header.delivery_id.clone(),
            round: header.round,
            outcome: v1::Outcome::Acknowledged.into(),
            sha256: header.sha256.clone(),
            ..v1::SettleRequest::default()
        };
        let settled = self.client.settle(settle).await.unwrap();
        account.count(&header.delivery_id, settled.changed);
    }

    async fn settle_until(&mut self, delivery: &str, account: &mut Account) {
        while !account.is_settled(delivery) {
            let header = self.take().await;
            self.settle(&header, account).await;
            self.stream.sender().credit(1);
        }
    }
}

async fn take(partner: &mut Partner) -> Got {
    partner.next(NEVER).await.unwrap().expect("a message")
}

async fn settle(partner: &mut Partner, got: &Got, account: &mut Account) {
    let delivery = got.header("axis-delivery").to_owned();
    let letter = got.acknowledged().to_string();
    let answer = ask(partner, "axis.settle", letter.as_bytes(), &delivery).await;
    told(&delivery, &answer, account);
    got.ack().await.unwrap();
}

fn told(delivery: &str, answer: &Value, account: &mut Account) {
    assert_eq!(answer["outcome"], "settled", "{answer}");
    account.count(delivery, answer["changed"] == true);
}

async fn settle_until(partner: &mut Partner, delivery: &str, account: &mut Account) {
    while !account.is_settled(delivery) {
        let got = take(partner).await;
        settle(partner, &got, account).await;
    }
}

async fn send(yard: &Yard, name: &str, account: &mut Account) -> [String; 2] {
    let a = client(yard.axis.grpc(), &yard.a).await.unwrap();
    let package = Document::new(A, &[B, C], name).bytes();
    account.owe(&push(&a, package).await.unwrap())
}

/// Something passes on all ways: the queues stand, on the axis's connections of now.
async fn pass(
    yard: &Yard,
    name: &str,
    streaming: &mut Streaming,
    partner: &mut Partner,
    account: &mut Account,
) {
    let [to_b, to_q] = send(yard, name, account).await;
    streaming.settle_until(&to_b, account).await;
    settle_until(partner, &to_q, account).await;
}

/// Waits until the gate holds these bytes.
async fn held(yard: &Yard, way: Way, bytes: &[u8]) {
    let began = Instant::now();
    while !yard.gate().holds(way, bytes) {
        assert!(began.elapsed() < NEVER, "never held: {bytes:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The axis dies, and with it what the gate holds; another one comes.
fn die(yard: &mut Yard) {
    yard.axis.kill9().unwrap();
    yard.gate().cut();
    yard.axis.restart().unwrap();
}

#[test]
fn bk_04_killed_between_commit_publish_confirm_lease_and_settle_each_is_settled_once() {
    let mut yard = Yard::new("moments", Road::Gated, "", "");
    let before = so_far(&yard.axis);
    let mut account = Account::default();
    runtime().block_on(async {
        let mut partner = yard.partner().await;
        committed_and_not_published(&mut yard, &mut partner, &mut account).await;
        published_and_not_confirmed(&mut yard, &mut partner, &mut account).await;
        leased_and_not_settled(&mut yard, &mut partner, &mut account).await;
        // What was settled does not come again; what was on its way is settled already.
        let began = Instant::now();
        while let Some(late) = partner.next(QUIET).await.unwrap() {
            assert!(began.elapsed() < NEVER, "on and on: {late:?}");
            settle(&mut partner, &late, &mut account).await;
        }
        let mut streaming = Streaming::begin(&yard).await;
        let next = tokio::time::timeout(NEVER, streaming.stream.next()).await;
        let next = next.unwrap().unwrap();
        assert!(matches!(next, Some(Event::CaughtUp)), "{next:?}");
    });
    assert_eq!(account.settled.len(), 14);
    for (delivery, times) in &account.settled {
        assert_eq!(*times, 1, "{delivery}: {account:?}");
        let trace = yard.axis.operate(["trace", delivery, "--json"]).unwrap();
        let trace = serde_json::to_string(&trace.ok().unwrap().json().unwrap()).unwrap();
        let acknowledged = trace.matches("\"kind\":\"acknowledged\"").count();
        assert_eq!(acknowledged, 1, "{delivery}: {trace}");
    }
    yard.axis.operate(["verify"]).unwrap().ok().unwrap();
    one_up_and_one_down(&yard.axis, "moments", &before, &[], &[]);
}

async fn committed_and_not_published(
    yard: &mut Yard,
    partner: &mut Partner,
    account: &mut Account,
) {
    let mut streaming = Streaming::begin(yard).await;
    pass(yard, "before-publish", &mut streaming, partner, account).await;
    yard.gate().hold(Way::In);
    // The receipt says that it is committed.
    let [to_b, to_q] = send(yard, "committed", account).await;
    for system in ["so-b", PARTNER] {
        let queue = Yard::lane(system, bus::Lane::Routine);
        held(yard, Way::In, &publish_to(&queue)).await;
    }
    die(yard);
    let mut streaming = Streaming::begin(yard).await;
    streaming.settle_until(&to_b, account).await;
    settle_until(partner, &to_q, account).await;
}

async fn published_and_not_confirmed(
    yard: &mut Yard,
    partner: &mut Partner,
    account: &mut Account,
) {
    let mut streaming = Streaming::begin(yard).await;
    pass(yard, "before-confirm", &mut streaming, partner, account).await;
    yard.gate().hold(Way::Out);
    let [to_b, to_q] = send(yard, "published", account).await;
    // The broker has it and says so, and the axis does not hear it.
    let got = loop {
        let got = take(partner).await;
        if got.header("axis-delivery") == to_q {
            break got;
        }
        settle(partner, &got, account).await;
    };
    held(yard, Way::Out, &CONFIRM).await;
    yard.axis.kill9().unwrap();
    // Nobody is there to hear the settle: the broker keeps it.
    let letter = got.acknowledged().to_string();
    let sent = partner.send("axis.settle", letter.as_bytes(), &to_q);
    sent.await.unwrap();
    yard.gate().cut();
    yard.axis.restart().unwrap();
    loop {
        let answer = partner.answer(NEVER).await.unwrap().expect("an answer");
        if answer.to == to_q {
            told(&to_q, &answer.body, account);
            break;
        }
    }
    got.ack().await.unwrap();
    let mut streaming = Streaming::begin(yard).await;
    streaming.settle_until(&to_b, account).await;
}

async fn leased_and_not_settled(yard: &mut Yard, partner: &mut Partner, account: &mut Account) {
    let mut streaming = Streaming::begin(yard).await;
    pass(yard, "before-settle", &mut streaming, partner, account).await;
    let mut owed = Vec::new();
    let (mut headers, mut messages) = (Vec::new(), Vec::new());
    for name in ["leased", "leased-too"] {
        let [to_b, to_q] = send(yard, name, account).await;
        let header = streaming.take().await;
        assert_eq!(header.delivery_id, to_b);
        headers.push(header);
        // Those on their way from before may come first.
        let got = loop {
            let got = take(partner).await;
            if got.header("axis-delivery") == to_q {
                break got;
            }
            settle(partner, &got, account).await;
        };
        messages.push(got);
        owed.push([to_b, to_q]);
    }
    die(yard);
    // Of the first both receivers know what they had in hand; of the second they have lost it, as
    // after a restart of their own, and take it again.
    let mut streaming = Streaming::begin(yard).await;
    streaming.settle(&headers[0], account).await;
    settle(partner, &messages[0], account).await;
    messages[1].ack().await.unwrap();
    let [to_b, to_q] = &owed[1];
    while !account.is_settled(to_b) {
        let header = streaming.take().await;
        assert!(header.redelivered, "{header:?}");
        streaming.settle(&header, account).await;
        streaming.stream.sender().credit(1);
    }
    settle_until(partner, to_q, account).await;
    for delivery in &owed[0] {
        assert!(account.is_settled(delivery));
    }
}
