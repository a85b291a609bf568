//! `amqp` systems on their queues: what they send, receive and settle, and what is wrong with it.

use std::collections::BTreeSet;

use api::client::{Client, Event};
use api::v1;
use bus::amqp::{Access, user_of};
use serde_json::json;
use testkit::{Document, Partner};

use crate::house::{NEVER, runtime};
use crate::incidents::{Before, one_up_and_one_down, so_far, stands, why_becomes};
use crate::tls::Papers;
use crate::yard::{B, C, D, E, PARTNER, Road, Yard, ask, client, document, partner, push};

#[test]
fn an_amqp_system_sends_receives_and_settles_and_what_is_wrong_lies_among_the_dead() {
    // Junk comes in one go, so that it is one incident however slow the machine is.
    let alerts = "quiet_seconds = 15\nroutine_minutes = 1\n";
    let delivery = "max_unsettled_leases = 2\n";
    let yard = Yard::new("letters", Road::Tls(Papers::new()), delivery, alerts);
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
