//! "Why is this stuck?": every cause that can be provoked is.

use std::sync::Arc;
use std::time::Duration;

use exchange::refusal::Name;
use exchange::{
    Caller, Cause, Finding, ImportOrder, NewSystem, Next, OpenDeliveries, Outcome, QueueState,
    QueuesAsked, Revival, Revoke, Turn, Why,
};
use journal::Payload;
use ledger::event::{
    Actor, DeliveryState, DocumentFacts, Lane, PackageAccepted, PackageKind, Receiver,
};
use ledger::id::{AgencyId, DeliveryId, PackageId};
use ledger::time::Ms;
use ledger::{Accept, Change, ChangeDelivery, Command};
use sha2::{Digest, Sha256};

use crate::ground::{A, B, C, Ground, new, operator, recall, report};
use crate::moody::Moody;
use crate::sick::Sick;

async fn why(ground: &Ground, id: &str) -> Why {
    ground.exchange.why(&operator(), id).await.unwrap()
}

async fn import(ground: &Ground, csv: &str) {
    let order = ImportOrder {
        decision: "9/QĐ".to_owned(),
        deliveries: OpenDeliveries::Stay,
        ..ImportOrder::default()
    };
    let csv = csv.to_owned().into();
    let operator = operator();
    let imported = ground.exchange.import_agencies(&operator, csv, order).await;
    assert_eq!(imported.unwrap().problems, []);
}

/// The one cause, with a text in each language.
async fn cause(ground: &Ground, id: &str) -> Finding {
    let mut why = why(ground, id).await;
    assert_eq!(why.findings.len(), 1, "{why:?}");
    let finding = why.findings.remove(0);
    for text in [finding.vi(), finding.en(), finding.command()] {
        assert!(!text.contains('—'), "a place was not filled: {text}");
    }
    finding
}

#[tokio::test]
async fn why_tells_who_has_not_come_who_holds_it_and_who_has_it() {
    let ground = Ground::new().await;
    assert_eq!(cause(&ground, B).await.cause, Cause::NothingWaits);
    assert_eq!(cause(&ground, "b").await.cause, Cause::NothingWaits);
    let sent = ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    let delivery = sent.receivers[0].delivery;
    let id = delivery.to_string();
    // By delivery, package, document, agency, system: the same cause.
    for asked in [&id, &sent.package.to_string(), "d1", "H99.02", "b"] {
        let found = cause(&ground, asked).await;
        assert_eq!(found.cause, Cause::NeverCame, "{asked}");
        assert_eq!(found.cause.row().turn, Turn::Receiver);
        assert!(
            found.vi().contains("Hệ thống b chưa kết nối"),
            "{}",
            found.vi()
        );
    }
    let (header, _) = ground.fetch(&ground.b).await.unwrap();
    let found = cause(&ground, &id).await;
    assert_eq!(found.cause, Cause::Leased);
    assert_eq!(found.about.until, header.leased_until);
    let released = ground.settle(&ground.b, delivery, Outcome::Released).await;
    released.unwrap();
    // It fetched a moment ago and may come again.
    assert_eq!(cause(&ground, &id).await.cause, Cause::OnItsWay);
    let behind = ground.push(&ground.a, new("d2", &[B])).await.unwrap();
    let behind = cause(&ground, &behind.package.to_string()).await;
    assert_eq!((behind.cause, behind.about.count), (Cause::Behind, 1));
    let mut stream = ground.exchange.subscribe(&ground.b, 1).await.unwrap();
    let Next::Offer(offer) = stream.next().await else {
        panic!("not offered")
    };
    assert_eq!(offer.header.delivery, delivery);
    assert_eq!(cause(&ground, &id).await.cause, Cause::InStream);
    // The stream has no credit left; the wake-up is published and waits for it.
    let slow = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let found = cause(&ground, "d2").await;
            if found.cause == Cause::ReceiverSlow {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert_eq!(slow.await.unwrap().about.count, 1);
    ground
        .settle(&ground.b, delivery, Outcome::Acknowledged)
        .await
        .unwrap();
    let found = cause(&ground, &id).await;
    assert_eq!(
        (found.cause, found.cause.row().turn),
        (Cause::Acknowledged, Turn::Nobody)
    );
    let nothing = ground.exchange.why(&operator(), "nothing").await;
    assert_eq!(nothing.unwrap_err().name, Name::NotFound);
}

#[tokio::test]
async fn why_tells_a_full_window() {
    let ground = Ground::with(|options| options.window = 1).await;
    let _stream = ground.exchange.subscribe(&ground.b, 0).await.unwrap();
    let mut last = String::new();
    for number in 0..3 {
        let sent = ground.push(&ground.a, new(&format!("d{number}"), &[B]));
        last = sent.await.unwrap().package.to_string();
    }
    let full = tokio::time::timeout(Duration::from_secs(20), async {
        while cause(&ground, &last).await.cause != Cause::WindowFull {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    full.await.unwrap();
    assert_eq!(cause(&ground, &last).await.about.count, 1);
}

#[tokio::test]
async fn why_tells_what_operators_have_done() {
    let ground = Ground::with(|options| options.max_unsettled_leases = 1).await;
    let sent = ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    let (delivery, package) = (sent.receivers[0].delivery, sent.package.to_string());
    ground
        .exchange
        .pause(&operator(), "b", "chuyển máy chủ")
        .await
        .unwrap();
    for asked in [&package, B, "b"] {
        let found = cause(&ground, asked).await;
        assert_eq!(found.cause, Cause::Paused, "{asked}");
        assert!(
            found
                .vi()
                .starts_with("Lan đã tạm dừng việc giao cho b từ "),
            "{}",
            found.vi()
        );
        assert!(found.vi().contains("chuyển máy chủ"));
        assert_eq!(found.command(), "axis resume b --why \"…\"");
    }
    ground
        .exchange
        .resume(&operator(), "b", "xong")
        .await
        .unwrap();
    let (_, _) = ground.fetch(&ground.b).await.unwrap();
    ground
        .settle(&ground.b, delivery, Outcome::Released)
        .await
        .unwrap();
    let dead = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let found = cause(&ground, &package).await;
            if found.cause == Cause::Dead {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let dead = dead.await.unwrap();
    assert_eq!(
        dead.command(),
        format!("axis dead retry {delivery} --why \"…\"")
    );
    assert_eq!(dead.about.by, "axis");
    let found = cause(&ground, B).await;
    assert_eq!((found.cause, found.about.count), (Cause::SomeDead, 1));
    let why = "đã gửi giấy";
    ground
        .exchange
        .revive(&operator(), &[delivery], Revival::Drop, why)
        .await
        .unwrap();
    let found = cause(&ground, &package).await;
    assert_eq!(
        (found.cause, found.about.by.as_str()),
        (Cause::Dropped, "Lan")
    );
    assert_eq!(found.about.reason, why);

    // A system without credentials, and one that is served by none.
    ground
        .exchange
        .revoke(&operator(), "c", Revoke::All)
        .await
        .unwrap();
    let to_c = ground.push(&ground.a, new("d2", &[C])).await.unwrap();
    let found = cause(&ground, &to_c.package.to_string()).await;
    assert_eq!(found.cause, Cause::NoCredentials);
    assert_eq!(found.command(), "axis system key c");
    let csv = "code,code_2020,name,parent\n000.00.04.H99,H99.04,Sở Công Thương,\n";
    import(&ground, csv).await;
    ground
        .push(&ground.a, new("d3", &["H99.04"]))
        .await
        .unwrap();
    let found = cause(&ground, "d3").await;
    assert_eq!(found.cause, Cause::NoSystem);
    assert_eq!(found.command(), "axis system add ID --agency 000.00.04.H99");
}

#[tokio::test]
async fn why_tells_what_the_two_sides_have_done() {
    let ground = Ground::new().await;
    let sent = ground.push(&ground.a, new("d1", &[B, C])).await.unwrap();
    let delivery = sent.receivers[0].delivery;
    let (_, _) = ground.fetch(&ground.b).await.unwrap();
    ground.push(&ground.a, recall("d1", &[B, C])).await.unwrap();
    let of = |why: &Why, cause: Cause| why.findings.iter().filter(|f| f.cause == cause).count();
    // C never had it; B has, and owes an answer.
    let both = why(&ground, "d1").await;
    assert_eq!(of(&both, Cause::RecallUnanswered), 1, "{both:?}");
    assert!(of(&both, Cause::Recalled) >= 1, "{both:?}");
    assert_eq!(
        cause(&ground, &delivery.to_string()).await.cause,
        Cause::RecallUnanswered
    );
    let agrees = report(15, B, A, "d1", "");
    ground.push(&ground.b, agrees).await.unwrap();
    assert_eq!(
        cause(&ground, &delivery.to_string()).await.cause,
        Cause::Recalled
    );

    let sent = ground.push(&ground.a, new("d2", &[C])).await.unwrap();
    let delivery = sent.receivers[0].delivery;
    ground
        .settle(&ground.c, delivery, Outcome::Failed)
        .await
        .unwrap();
    let found = cause(&ground, &delivery.to_string()).await;
    assert_eq!(
        (found.cause, found.about.reason.as_str()),
        (Cause::Failed, "thử")
    );
    assert!(found.command().starts_with("axis redeliver --package "));
}

#[tokio::test]
async fn why_tells_an_agency_that_was_closed_and_one_that_stays_away() {
    let ground = Ground::with(|options| {
        options.clock = ledger::time::Clock::standing_at(ledger::time::Ms(1_795_000_000_000));
    })
    .await;
    ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    let (_, _) = ground.fetch(&ground.b).await.unwrap();
    let sent = ground.push(&ground.a, new("d2", &[B])).await.unwrap();
    let id = sent.package.to_string();
    assert_eq!(cause(&ground, &id).await.cause, Cause::OnItsWay);
    // Nothing of this waits for a clock: the lease of the first stands however it jumps.
    ground.clock().advance(11 * 60_000);
    let found = cause(&ground, &id).await;
    assert_eq!(found.cause, Cause::StayedAway);
    assert_eq!(found.about.since.unwrap().0, 1_795_000_000_000);
    assert_eq!(cause(&ground, "d1").await.cause, Cause::Leased);
    let csv = format!("code,code_2020,name,parent,state\n{B},H99.02,Sở Tài chính,,closed\n");
    import(&ground, &csv).await;
    assert_eq!(cause(&ground, &id).await.cause, Cause::AgencyInactive);
}

#[tokio::test]
async fn a_name_of_both_an_agency_and_a_system_must_be_told_apart() {
    let ground = Ground::new().await;
    let system = NewSystem {
        id: "H99.04".to_owned(),
        agencies: vec!["H99.04".to_owned()],
        ..NewSystem::default()
    };
    let csv = "code,code_2020,name,parent\n000.00.04.H99,H99.04,Sở Công Thương,\n";
    import(&ground, csv).await;
    ground
        .exchange
        .add_system(&operator(), system)
        .await
        .unwrap();
    let refused = ground
        .exchange
        .why(&operator(), "H99.04")
        .await
        .unwrap_err();
    assert_eq!(refused.name, Name::BadArgument);
    assert_eq!(why(&ground, "system:H99.04").await.kind, "system");
    assert_eq!(why(&ground, "agency:H99.04").await.kind, "agency");
}

fn change(delivery: DeliveryId, change: Change, reason: &str) -> Command {
    Command::Change(Box::new(ChangeDelivery {
        delivery,
        change,
        round: None,
        at: Ms(1_795_309_200_000),
        actor: Actor {
            axis: true,
            ..Actor::default()
        },
        via: "axis",
        reason: reason.to_owned(),
        own_01: None,
    }))
}

/// A document of A's to B that admission holds.
fn held(package: PackageId, reason: &str) -> Command {
    let bytes = bytes::Bytes::from_static(b"held");
    let sha256 = Sha256::digest(&bytes);
    let [a, b] = [1, 2].map(AgencyId);
    Command::Accept(Box::new(Accept {
        package: PackageAccepted {
            id: package.as_bytes().to_vec().into(),
            accepted_at_ms: 1_795_309_200_000,
            kind: PackageKind::Document.into(),
            lane: Lane::Routine.into(),
            sender: a.0,
            sender_code: A.to_owned(),
            sha256: sha256.to_vec().into(),
            essence_sha256: sha256.to_vec().into(),
            size: bytes.len() as u64,
            receivers: vec![Receiver {
                agency: b.0,
                code: B.to_owned(),
                state: DeliveryState::Held.into(),
                reason: reason.to_owned(),
                ..Receiver::default()
            }],
            document: Some(DocumentFacts {
                document_key: "held".to_owned(),
                document_id: Some("held".to_owned()),
                year: 2026,
                ..DocumentFacts::default()
            }),
            ..PackageAccepted::default()
        },
        payload: Payload::Inline {
            bytes,
            sha256: sha256.into(),
        },
        own_15: Vec::new(),
        withdrawals: Vec::new(),
    }))
}

/// No rule of this build holds a delivery or sends one beyond; the ledger knows both, and what it
/// knows is told.
#[tokio::test]
async fn why_tells_what_is_held_refused_and_beyond() {
    let ground = Ground::new().await;
    let sent = ground.push(&ground.a, new("d1", &[C])).await.unwrap();
    let beyond = sent.receivers[0].delivery;
    assert_eq!(beyond, DeliveryId::of(sent.package, AgencyId(3)));
    let package = PackageId::from_parts(1_795_309_200_000, 0, 7);
    let delivery = DeliveryId::of(package, AgencyId(2));
    let reason = "chờ kiểm tra chữ ký số";
    let forwarding = change(beyond, Change::Forwarding, "");
    let ground = ground.recorded(vec![held(package, reason), forwarding]);
    let ground = ground.await;

    let found = cause(&ground, &delivery.to_string()).await;
    assert_eq!(
        (found.cause, found.cause.row().turn),
        (Cause::Held, Turn::Operator)
    );
    assert!(found.vi().contains(reason) && found.en().contains(reason));
    let found = cause(&ground, B).await;
    assert_eq!((found.cause, found.about.count), (Cause::SomeHeld, 1));
    let found = cause(&ground, "d1").await;
    assert_eq!(
        (found.cause, found.cause.row().turn),
        (Cause::Forwarding, Turn::Beyond)
    );

    let refused = change(delivery, Change::Refused, "chữ ký không hợp lệ");
    let forwarded = change(beyond, Change::Forwarded, "");
    let ground = ground.recorded(vec![refused, forwarded]).await;
    let found = cause(&ground, &delivery.to_string()).await;
    assert_eq!(
        (found.cause, found.cause.row().turn),
        (Cause::Refused, Turn::Nobody)
    );
    assert!(found.vi().contains("chữ ký không hợp lệ"), "{}", found.vi());
    assert_eq!(cause(&ground, "d1").await.cause, Cause::Forwarded);
    assert_eq!(cause(&ground, B).await.cause, Cause::NothingWaits);
}

#[tokio::test]
async fn why_tells_a_suspended_system() {
    let ground = Ground::new().await;
    ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    let (by, reason) = (operator(), "kiểm tra an ninh");
    let suspended = ground.exchange.suspend_system(&by, "b", true, reason);
    suspended.await.unwrap();
    let found = cause(&ground, B).await;
    assert_eq!(
        (found.cause, found.cause.row().turn),
        (Cause::SystemSuspended, Turn::Operator)
    );
}

/// What holds up everything comes before what holds up one.
#[tokio::test]
async fn why_tells_a_broker_in_trouble_and_a_system_that_does_not_settle() {
    let broker = Moody::new();
    let ground = {
        let broker = Arc::<Moody>::clone(&broker);
        Ground::with(move |options| options.bus = Some(Arc::<Moody>::clone(&broker))).await
    };
    let by = operator();
    let revoked = ground.exchange.revoke(&by, "b", Revoke::All);
    revoked.await.unwrap();
    let system = NewSystem {
        id: "so-mq".to_owned(),
        agencies: vec![B.to_owned()],
        attachment: "amqp".to_owned(),
        ..NewSystem::default()
    };
    let added = ground.exchange.add_system(&by, system);
    added.await.unwrap();
    ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    let published = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let found = cause(&ground, B).await;
            if found.cause == Cause::AmqpUnsettled {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert_eq!(published.await.unwrap().about.system, "so-mq");
    let queue = bus::Queue::new("so-mq", bus::Lane::Routine).to_string();
    broker.faults(Some(&queue));
    let found = cause(&ground, B).await;
    assert_eq!(
        (found.cause, found.cause.row().turn),
        (Cause::QueueFault, Turn::Operator)
    );
    for said in [queue.as_str(), "ACCESS_REFUSED"] {
        assert!(found.vi().contains(said) && found.en().contains(said));
    }
    let asked = QueuesAsked::default();
    let caller = Caller::Operator(operator());
    let lines = ground.exchange.queues(&caller, &asked).unwrap().items;
    assert_eq!(lines[0].state, QueueState::Blocked);
    // The other lanes have nothing to do with it.
    let other = bus::Queue::new("so-mq", bus::Lane::Flash).to_string();
    broker.faults(Some(&other));
    assert_eq!(cause(&ground, B).await.cause, Cause::AmqpUnsettled);
    broker.faults(None);
    broker.blocks(true);
    let found = cause(&ground, B).await;
    assert_eq!(found.cause, Cause::BusBlocked);
    assert!(found.vi().contains("low on memory"), "{}", found.vi());
    broker.blocks(false);
    broker.goes_away();
    let found = cause(&ground, "d1").await;
    assert_eq!(
        (found.cause, found.cause.row().turn),
        (Cause::BusAway, Turn::Operator)
    );
    // It concerns who asks about something else, too.
    assert_eq!(why(&ground, C).await.findings[0].cause, Cause::BusAway);
}

#[tokio::test]
async fn why_tells_an_axis_that_cannot_write() {
    let disk = Sick::default();
    let ground = {
        let disk = disk.clone();
        Ground::with(move |options| options.disk = Arc::new(disk.clone())).await
    };
    ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    disk.fails(true);
    ground.refused(&ground.a, new("d2", &[B])).await;
    let found = cause(&ground, B).await;
    assert_eq!(
        (found.cause, found.cause.row().turn),
        (Cause::ReadOnly, Turn::Operator)
    );
    disk.fails(false);
    let ground = ground.restarted().await;
    assert_eq!(cause(&ground, B).await.cause, Cause::NeverCame);
}

/// A cause that no test provokes is one that nobody has seen.
#[test]
fn every_cause_is_provoked() {
    let here = include_str!("why.rs");
    let suites = include_str!("../../../../tests/suites/full_disk.rs");
    for cause in Cause::ALL {
        // One full disk says more than a sham one: it is asked on a real small file system.
        let provoked = here.contains(&format!("Cause::{cause:?}"))
            || suites.contains(&format!("\"{}\"", cause.row().name));
        assert!(provoked, "{}: no test provokes it", cause.row().name);
    }
}
