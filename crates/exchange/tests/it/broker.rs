//! The relay over a broker that is as brokers are: nothing is lost with it, nothing is doubled
//! after settling.

use std::sync::Arc;
use std::time::Duration;

use bus::{Lane, Message, Queue, headers};
use exchange::refusal::Name;
use exchange::{
    Caller, Credentials, DeliveryState, DocumentRef, NewSystem, Next, Outcome, Peer, Settle,
    Subscription,
};
use ledger::id::DeliveryId;

use crate::ground::{B, C, Ground, new, operator, recall};
use crate::moody::Moody;

const SOON: Duration = Duration::from_secs(20);

async fn ground(broker: &Arc<Moody>, window: usize) -> Ground {
    ground_checked_every(broker, window, Duration::from_millis(100)).await
}

async fn ground_checked_every(broker: &Arc<Moody>, window: usize, check: Duration) -> Ground {
    let broker = Arc::<Moody>::clone(broker);
    Ground::with(move |options| {
        options.bus = Some(Arc::<Moody>::clone(&broker));
        options.window = window;
        options.check_queues = check;
        options.settle = Duration::from_millis(300);
    })
    .await
}

/// An `amqp` system for an agency that had another system.
async fn amqp(ground: &Ground, id: &str, agency: &str, inline_bytes: u64) -> Peer {
    for former in ["b", "c"] {
        let all = exchange::Revoke::All;
        ground
            .exchange
            .revoke(&operator(), former, all)
            .await
            .unwrap();
    }
    let system = NewSystem {
        id: id.to_owned(),
        agencies: vec![agency.to_owned()],
        attachment: "amqp".to_owned(),
        inline_bytes,
        ..NewSystem::default()
    };
    ground
        .exchange
        .add_system(&operator(), system)
        .await
        .unwrap();
    let user = bus::amqp::user_of(id);
    let credentials = Credentials::Broker { user: &user };
    ground.exchange.authenticate(credentials).unwrap()
}

/// Waits until a condition holds; looks now and then.
async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let looked = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let looked = tokio::time::timeout(SOON, looked).await;
    looked.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// So many messages for a system.
async fn published(broker: &Moody, system: &str, count: usize) -> Vec<(Lane, Message)> {
    let mut all = Vec::new();
    until("messages", || {
        all.extend(broker.published(system));
        (all.len() >= count).then_some(())
    })
    .await;
    assert_eq!(all.len(), count, "{all:?}");
    all
}

fn header<'a>(message: &'a Message, name: &str) -> &'a str {
    message.headers.get(name).unwrap_or_default()
}

async fn push(ground: &Ground, count: usize) -> Vec<DeliveryId> {
    let mut deliveries = Vec::new();
    for number in 0..count {
        let receipt = ground
            .push(&ground.a, new(&format!("d{number}"), &[B]))
            .await;
        deliveries.push(receipt.unwrap().receivers[0].delivery);
    }
    deliveries
}

/// Takes and settles so many from a stream.
async fn take(ground: &Ground, stream: &mut Subscription, count: usize) -> Vec<DeliveryId> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let next = tokio::time::timeout(SOON, stream.next()).await;
        match next.expect("the stream stalls") {
            Next::Offer(offer) => {
                let delivery = offer.header.delivery;
                let settled = ground.settle(&ground.b, delivery, Outcome::Acknowledged);
                settled.await.unwrap();
                taken.push(delivery);
            }
            Next::CaughtUp => {}
            Next::Cut(refusal) => panic!("cut: {refusal}"),
        }
    }
    taken
}

async fn state(ground: &Ground, delivery: DeliveryId) -> DeliveryState {
    let caller = Caller::Operator(operator());
    for number in 0..9 {
        let document = DocumentRef::Document {
            sender: crate::ground::A.to_owned(),
            document_id: format!("d{number}"),
        };
        let Ok(matrix) = ground.exchange.matrix(&caller, document).await else {
            break;
        };
        if let Some(cell) = matrix.cells.iter().find(|cell| cell.delivery == delivery) {
            return cell.state;
        }
    }
    panic!("no such delivery")
}

#[tokio::test]
async fn what_was_published_is_published_again_over_a_new_connection() {
    let broker = Moody::new();
    // Nobody looks into the queues: it is the new connection itself that is enough.
    let ground = ground_checked_every(&broker, 3, Duration::from_secs(3_600)).await;
    let mut stream = ground.exchange.subscribe(&ground.b, 2).await.unwrap();
    let sent = push(&ground, 6).await;
    let mut taken = take(&ground, &mut stream, 2).await;
    published(&broker, "b", 5).await;
    for _ in 0..2 {
        broker.goes_away();
        broker.comes_back();
        published(&broker, "b", 3).await;
    }
    stream.add_credit(100);
    taken.extend(take(&ground, &mut stream, 4).await);
    assert_eq!(taken, sent, "each once, in order");
    assert!(ground.fetch(&ground.b).await.is_none());
}

/// A stream turns to other things while its consumers attach; that goes on all the same.
#[tokio::test]
async fn consumers_attach_however_often_the_stream_is_asked_anew() {
    let broker = Moody::new();
    broker.attaches_within(Duration::from_millis(200));
    let ground = ground(&broker, 10).await;
    let sent = push(&ground, 1).await;
    let mut stream = ground.exchange.subscribe(&ground.b, 1).await.unwrap();
    let offered = async {
        loop {
            let next = tokio::time::timeout(Duration::from_millis(10), stream.next()).await;
            if let Ok(Next::Offer(offer)) = next {
                return offer.header.delivery;
            }
        }
    };
    let offered = tokio::time::timeout(SOON, offered).await;
    assert_eq!(offered.expect("nothing is ever attached"), sent[0]);
}

#[tokio::test]
async fn admission_and_fetching_go_on_while_the_broker_is_away_and_streams_wait_for_it() {
    let broker = Moody::new();
    broker.goes_away();
    let ground = ground(&broker, 10).await;
    let mut stream = ground.exchange.subscribe(&ground.b, 10).await.unwrap();
    let sent = push(&ground, 3).await;
    let (fetched, _) = ground.fetch(&ground.b).await.unwrap();
    assert_eq!(fetched.delivery, sent[0]);
    let early = tokio::time::timeout(Duration::from_millis(100), stream.next()).await;
    assert!(early.is_err(), "{early:?}");
    broker.comes_back();
    assert_eq!(take(&ground, &mut stream, 2).await, sent[1..]);
}

#[tokio::test]
async fn queues_that_were_deleted_or_emptied_are_filled_again() {
    let broker = Moody::new();
    let ground = ground(&broker, 10).await;
    let mut stream = ground.exchange.subscribe(&ground.b, 0).await.unwrap();
    let sent = push(&ground, 5).await;
    published(&broker, "b", 5).await;
    // It attaches, and finds nothing it may take.
    let early = tokio::time::timeout(Duration::from_millis(50), stream.next()).await;
    assert!(!matches!(early, Ok(Next::Offer(_))), "{early:?}");
    broker.loses_messages().await;
    published(&broker, "b", 5).await;
    broker.loses_queues();
    published(&broker, "b", 5).await;
    stream.add_credit(10);
    assert_eq!(take(&ground, &mut stream, 5).await, sent);
}

#[tokio::test]
async fn a_queue_that_takes_nothing_holds_up_no_other_lane() {
    let broker = Moody::new();
    let ground = ground(&broker, 10).await;
    let routine = Queue::new("b", Lane::Routine);
    broker.refuses(&routine, true);
    let mut stream = ground.exchange.subscribe(&ground.b, 10).await.unwrap();
    let sent = push(&ground, 3).await;
    let urgent = {
        let mut draft = crate::ground::draft("urgent", &[B]);
        draft.document.other_info.priority = edxml::Priority::new(4).unwrap();
        edxml::write::document(&draft)
    };
    let receipt = ground.push(&ground.a, urgent).await.unwrap();
    let first = take(&ground, &mut stream, 1).await;
    assert_eq!(first, [receipt.receivers[0].delivery]);
    broker.refuses(&routine, false);
    let mut taken = take(&ground, &mut stream, 3).await;
    taken.sort();
    let mut sent = sent;
    sent.sort();
    assert_eq!(taken, sent);
}

#[tokio::test]
async fn an_amqp_system_gets_a_window_of_what_waits_and_more_as_it_settles() {
    let broker = Moody::new();
    let ground = ground(&broker, 2).await;
    // This one waited before the system came.
    let mut sent = vec![
        ground
            .push(&ground.a, new("before", &[B]))
            .await
            .unwrap()
            .receivers[0]
            .delivery,
    ];
    let peer = amqp(&ground, "q", B, 0).await;
    sent.extend(push(&ground, 4).await);
    let first = published(&broker, "q", 2).await;
    for (message, delivery) in first.iter().map(|(_, message)| message).zip(&sent) {
        assert_eq!(message.id, *delivery.as_bytes());
        assert_eq!(header(message, headers::DELIVERY), delivery.to_string());
        assert_eq!(header(message, headers::AGENCY), B);
        assert_eq!(header(message, headers::ROUND), "1");
        assert_eq!(header(message, headers::KIND), "document");
        assert_eq!(header(message, headers::LANE), "routine");
        assert_eq!(header(message, headers::LEVEL), "0");
        assert_eq!(message.headers.get(headers::REDELIVERED), None);
        assert!(message.body.is_empty());
        assert!(header(message, headers::TRACEPARENT).contains(header(message, headers::PACKAGE)));
        let settle = |sha256| Settle {
            delivery: *delivery,
            round: 1,
            outcome: Outcome::Acknowledged,
            reason: String::new(),
            sha256: Some(sha256),
            via: "amqp",
        };
        let other = ground.exchange.settle(&peer, settle([7; 32])).await;
        assert_eq!(other.unwrap_err().name, Name::WrongHash);
        let mut offer = ground.exchange.download(&peer, *delivery).await.unwrap();
        let bytes = offer.content.next_chunk(1 << 20).await.unwrap().unwrap();
        assert_eq!(header(message, headers::SIZE), bytes.len().to_string());
        let settled = ground
            .exchange
            .settle(&peer, settle(offer.header.sha256))
            .await;
        assert!(settled.unwrap().changed);
    }
    let rest: Vec<[u8; 16]> = published(&broker, "q", 2)
        .await
        .into_iter()
        .map(|(_, m)| m.id)
        .collect();
    assert_eq!(rest, [*sent[2].as_bytes(), *sent[3].as_bytes()]);
}

#[tokio::test]
async fn what_an_amqp_system_took_and_did_not_settle_is_published_again_marked() {
    let broker = Moody::new();
    let ground = ground(&broker, 10).await;
    let peer = amqp(&ground, "q", B, 0).await;
    let sent = push(&ground, 2).await;
    published(&broker, "q", 2).await;
    // Nobody consumes: what lies in the queue is not published twice.
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(broker.published("q").is_empty());
    // One is settled; now both are taken, and acked.
    let settled = ground.settle(&peer, sent[0], Outcome::Acknowledged).await;
    settled.unwrap();
    broker.loses_messages().await;
    let again = published(&broker, "q", 1).await;
    assert_eq!(again[0].1.id, *sent[1].as_bytes());
    assert_eq!(header(&again[0].1, headers::REDELIVERED), "true");
    ground
        .settle(&peer, sent[1], Outcome::Acknowledged)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(
        broker.published("q").is_empty(),
        "settled, and published again"
    );
}

#[tokio::test]
async fn a_recall_and_a_new_round_reach_the_window_of_an_amqp_system() {
    let broker = Moody::new();
    let ground = ground(&broker, 1).await;
    let peer = amqp(&ground, "q", B, 0).await;
    let sent = push(&ground, 2).await;
    published(&broker, "q", 1).await;
    // Recalled before it was fetched: it makes room, and its content is no longer given.
    ground.push(&ground.a, recall("d0", &[B])).await.unwrap();
    let next = published(&broker, "q", 1).await;
    assert_eq!(next[0].1.id, *sent[1].as_bytes());
    let refused = ground.exchange.download(&peer, sent[0]).await.unwrap_err();
    assert_eq!(refused.name, Name::Recalled);
    ground
        .settle(&peer, sent[1], Outcome::Acknowledged)
        .await
        .unwrap();
    let what = exchange::Redeliver::Agency {
        code: B.to_owned(),
        since: ledger::time::Ms(0),
    };
    ground
        .exchange
        .redeliver(&operator(), what, "mất dữ liệu")
        .await
        .unwrap();
    let round = published(&broker, "q", 1).await;
    assert_eq!(header(&round[0].1, headers::ROUND), "2");
    assert_eq!(round[0].1.id, *sent[1].as_bytes());
}

#[tokio::test]
async fn a_package_inside_the_message_is_fetched_before_it_is_published() {
    let broker = Moody::new();
    let ground = ground(&broker, 10).await;
    let small = new("d0", &[B]);
    let peer = amqp(&ground, "q", B, small.len() as u64).await;
    let sent = ground.push(&ground.a, small.clone()).await.unwrap();
    let mut draft = crate::ground::draft("d1", &[B]);
    draft.attach("b.pdf", "application/pdf", vec![b'b'; 400]);
    let large = ground
        .push(&ground.a, edxml::write::document(&draft))
        .await
        .unwrap();
    let messages = published(&broker, "q", 2).await;
    assert_eq!(messages[0].1.body, small);
    assert!(messages[1].1.body.is_empty());
    let [first, second] = [&sent, &large].map(|receipt| receipt.receivers[0].delivery);
    assert_eq!(state(&ground, first).await, DeliveryState::Fetched);
    assert_eq!(state(&ground, second).await, DeliveryState::Pending);
    let refused = ground.exchange.subscribe(&peer, 1).await.unwrap_err();
    assert_eq!(refused.name, Name::PermissionDenied);
}

#[tokio::test]
async fn an_amqp_system_needs_a_broker_and_is_who_the_broker_says() {
    let ground = Ground::new().await;
    let system = |attachment: &str, inline_bytes| NewSystem {
        id: "q".to_owned(),
        agencies: vec![C.to_owned()],
        attachment: attachment.to_owned(),
        inline_bytes,
        ..NewSystem::default()
    };
    for (attachment, inline) in [("amqp", 0), ("carrier pigeon", 0), ("direct", 1)] {
        let system = system(attachment, inline);
        let refused = ground.exchange.add_system(&operator(), system).await;
        assert_eq!(refused.unwrap_err().name, Name::BadArgument);
    }
    let broker = Moody::new();
    let ground = self::ground(&broker, 10).await;
    let too_much = system("amqp", bus::amqp::MAX_INLINE as u64 + 1);
    let refused = ground.exchange.add_system(&operator(), too_much).await;
    assert_eq!(refused.unwrap_err().name, Name::BadArgument);
    let _ = amqp(&ground, "q", C, 0).await;
    // A direct system's name, a name that is nobody's, a name that is not the axis's way.
    for user in ["axis.system.a", "axis.system.nobody", "q", "guest", ""] {
        let refused = ground.exchange.authenticate(Credentials::Broker { user });
        assert_eq!(refused.unwrap_err().name, Name::Unauthenticated, "{user}");
    }
}
