//! What operators see and do: queues, pauses, dead deliveries.

use std::time::Duration;

use exchange::refusal::Name;
use exchange::{
    Caller, DeliveryState, GroupBy, ImportOrder, Lane, Limits, NewSystem, Next, Outcome, OwnLimits,
    QueueLine, QueueState, QueuesAsked, Revival, Subscription,
};
use ledger::id::DeliveryId;

use crate::ground::{A, B, C, Ground, draft, new, operator};

async fn next(stream: &mut Subscription) -> Next {
    let next = tokio::time::timeout(Duration::from_secs(20), stream.next());
    next.await.expect("the stream stalls")
}

fn lines(ground: &Ground, asked: &QueuesAsked) -> Vec<QueueLine> {
    let caller = Caller::Operator(operator());
    ground.exchange.queues(&caller, asked).unwrap().items
}

fn agency(ground: &Ground, code: &str) -> QueueLine {
    let asked = QueuesAsked {
        by: GroupBy::Agency,
        agency: Some(code.to_owned()),
        ..QueuesAsked::default()
    };
    lines(ground, &asked).remove(0)
}

async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(20), looking);
    found.await.expect("it does not come")
}

fn levelled(id: &str, to: &[&str], level: u8) -> Vec<u8> {
    let mut draft = draft(id, to);
    draft.document.other_info.priority = edxml::Priority::new(level).unwrap();
    edxml::write::document(&draft)
}

#[tokio::test]
async fn queues_tell_by_lane_and_by_agency_what_waits_and_what_moved() {
    let ground = Ground::new().await;
    assert!(lines(&ground, &QueuesAsked::default()).is_empty());
    for (id, level) in [("d0", 0), ("d1", 1), ("d3", 3)] {
        let package = levelled(id, &[B, C], level);
        ground.push(&ground.a, package).await.unwrap();
    }
    let (taken, _) = ground.fetch(&ground.c).await.unwrap();
    let told = lines(&ground, &QueuesAsked::default());
    let of = |system: &str, lane: Lane| {
        let found = told.iter().find(|line| {
            line.lane == Some(lane) && line.system.as_ref().is_some_and(|id| id.as_str() == system)
        });
        found.unwrap_or_else(|| panic!("no line of {system} {lane:?}"))
    };
    assert_eq!(told.len(), 6);
    assert_eq!(of("b", Lane::Flash).state, QueueState::NoConsumer);
    let flash = of("c", Lane::Flash);
    assert_eq!(flash.state, QueueState::Flowing);
    let figures = &flash.figures;
    let counts = (
        figures.pending,
        figures.fetched,
        figures.leased,
        figures.came,
    );
    assert_eq!(counts, (0, 1, 1, 1));
    assert!(flash.last_fetch.is_some());
    // Those nobody comes for are before those that flow.
    let states: Vec<_> = told.iter().map(|line| line.state).collect();
    assert!(states.is_sorted());

    ground
        .settle(&ground.c, taken.delivery, Outcome::Acknowledged)
        .await
        .unwrap();
    let of_c = agency(&ground, "H99.03");
    assert_eq!(of_c.figures.lanes, [0, 1, 0, 1]);
    assert_eq!((of_c.figures.came, of_c.figures.left), (3, 1));
    assert_eq!(of_c.systems[0].as_str(), "c");
    let of_b = agency(&ground, B);
    assert_eq!((of_b.figures.pending, of_b.figures.leased), (3, 0));
    // To the second below.
    let oldest = of_b.figures.oldest.unwrap().0;
    assert_eq!(oldest % 1_000, 0);
    let of_a = agency(&ground, A);
    assert_eq!(of_a.figures.lanes, [0, 0, 1, 0], "the axis's 01");

    // A system sees its own.
    let own = ground
        .exchange
        .queues(&Caller::System(ground.b.clone()), &QueuesAsked::default())
        .unwrap();
    assert!(own.items.iter().all(|line| line.systems[0].as_str() == "b"));
    assert_eq!(own.items.len(), 3);
    let foreign = QueuesAsked {
        agency: Some(C.to_owned()),
        ..QueuesAsked::default()
    };
    let refused = ground
        .exchange
        .queues(&Caller::System(ground.b.clone()), &foreign)
        .unwrap_err();
    assert_eq!(refused.name, Name::NotFound);
}

#[tokio::test]
async fn pages_hold_every_line_once_in_the_order_of_trouble() {
    let ground = Ground::new().await;
    for (id, level) in [("d0", 0), ("d1", 1), ("d3", 3)] {
        let package = levelled(id, &[B, C], level);
        ground.push(&ground.a, package).await.unwrap();
    }
    let whole = QueuesAsked {
        all: true,
        ..QueuesAsked::default()
    };
    let key = |line: &QueueLine| (line.system.clone(), line.lane.map(i32::from));
    let whole: Vec<_> = lines(&ground, &whole).iter().map(key).collect();
    assert_eq!(whole.len(), 12);
    let mut paged = Vec::new();
    let mut token = String::new();
    loop {
        let asked = QueuesAsked {
            all: true,
            page_size: 5,
            page_token: token,
            ..QueuesAsked::default()
        };
        let caller = Caller::Operator(operator());
        let page = ground.exchange.queues(&caller, &asked).unwrap();
        paged.extend(page.items.iter().map(key));
        token = page.next;
        if token.is_empty() {
            break;
        }
        assert_eq!(page.items.len(), 5);
    }
    assert_eq!(paged, whole);
    let asked = QueuesAsked {
        page_token: "x".to_owned(),
        ..QueuesAsked::default()
    };
    let refused = ground
        .exchange
        .queues(&Caller::Operator(operator()), &asked)
        .unwrap_err();
    assert_eq!(refused.name, Name::BadArgument);
}

/// Duty SC-09: pausing and resuming are recorded with person and reason.
#[tokio::test]
async fn sc_09_a_pause_stops_delivery_and_not_admission_until_it_is_resumed() {
    let ground = Ground::new().await;
    let mut stream = ground.exchange.subscribe(&ground.b, 10).await.unwrap();
    assert!(matches!(next(&mut stream).await, Next::CaughtUp));
    for whom in ["", " "] {
        let refused = ground.exchange.pause(&operator(), B, whom).await;
        assert_eq!(refused.unwrap_err().name, Name::BadArgument);
    }
    let refused = ground.exchange.pause(&operator(), "nobody", "x").await;
    assert_eq!(refused.unwrap_err().name, Name::NotFound);
    let refused = ground.exchange.resume(&operator(), B, "x").await;
    assert_eq!(refused.unwrap_err().name, Name::WrongState);
    let pause = ground
        .exchange
        .pause(&operator(), "H99.02", "chuyển máy chủ")
        .await
        .unwrap();
    assert_eq!(
        (pause.by.as_str(), pause.why.as_str()),
        ("Lan", "chuyển máy chủ")
    );
    let refused = ground.exchange.pause(&operator(), B, "nữa").await;
    assert_eq!(refused.unwrap_err().name, Name::AlreadyExists);

    let sent = ground.push(&ground.a, new("d1", &[B, C])).await.unwrap();
    assert!(ground.fetch(&ground.b).await.is_none());
    let delivery = sent.receivers[0].delivery;
    let refused = ground.exchange.download(&ground.b, delivery).await;
    assert_eq!(refused.unwrap_err().name, Name::WrongState);
    assert!(
        ground.fetch(&ground.c).await.is_some(),
        "others do not notice"
    );
    let line = agency(&ground, B);
    assert_eq!(line.state, QueueState::Paused);
    assert_eq!((line.paused, line.figures.pending), (Some(pause.since), 1));

    // It outlives a restart.
    drop(stream);
    let ground = ground.restarted().await;
    assert_eq!(ground.exchange.pauses(), std::slice::from_ref(&pause));
    let mut stream = ground.exchange.subscribe(&ground.b, 10).await.unwrap();
    assert!(matches!(next(&mut stream).await, Next::CaughtUp));
    assert!(ground.fetch(&ground.b).await.is_none());
    let over = ground
        .exchange
        .resume(&operator(), B, "máy chủ mới đã chạy")
        .await
        .unwrap();
    assert_eq!(over, pause);
    let Next::Offer(offer) = next(&mut stream).await else {
        panic!("what waited does not flow")
    };
    assert_eq!(offer.header.delivery, delivery);
    assert!(ground.exchange.pauses().is_empty());
}

#[tokio::test]
async fn a_paused_system_gets_nothing_for_any_agency() {
    let ground = Ground::new().await;
    ground
        .exchange
        .pause(&operator(), "b", "bảo trì")
        .await
        .unwrap();
    ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    assert!(ground.fetch(&ground.b).await.is_none());
    assert_eq!(agency(&ground, B).state, QueueState::Paused);
    let told = lines(&ground, &QueuesAsked::default());
    assert!(told.iter().all(|line| line.state == QueueState::Paused));
    ground
        .exchange
        .resume(&operator(), "system:b", "xong")
        .await
        .unwrap();
    assert!(ground.fetch(&ground.b).await.is_some());
}

/// Another agency for a system whose stream is open flows at once.
#[tokio::test]
async fn what_a_pause_kept_in_the_bus_comes_after_it_is_over() {
    let ground = Ground::new().await;
    // No credit: the wake-ups wait in the bus.
    let mut stream = ground.exchange.subscribe(&ground.b, 0).await.unwrap();
    for number in 0..3 {
        let package = new(&format!("d{number}"), &[B]);
        ground.push(&ground.a, package).await.unwrap();
    }
    ground.exchange.pause(&operator(), B, "x").await.unwrap();
    stream.add_credit(5);
    // Those in the bus are taken and let go.
    assert!(matches!(next(&mut stream).await, Next::CaughtUp));
    ground.exchange.resume(&operator(), B, "x").await.unwrap();
    for _ in 0..3 {
        assert!(matches!(next(&mut stream).await, Next::Offer(_)));
    }
}

#[tokio::test]
async fn a_delivery_whose_leases_end_unsettled_is_dead_until_an_operator_decides() {
    let ground = Ground::with(|options| options.max_unsettled_leases = 3).await;
    let sent = ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    let delivery = sent.receivers[0].delivery;
    ground.push(&ground.a, new("d2", &[C])).await.unwrap();
    // By a lease given back, by a stream that ends.
    let (first, _) = ground.fetch(&ground.b).await.unwrap();
    assert_eq!(first.delivery, delivery);
    ground
        .settle(&ground.b, delivery, Outcome::Released)
        .await
        .unwrap();
    for _ in 0..2 {
        let mut stream = ground.exchange.subscribe(&ground.b, 1).await.unwrap();
        assert!(matches!(next(&mut stream).await, Next::Offer(_)));
    }
    let dead = until(async || {
        let mut page = ground.exchange.dead(None, 0, "").await.unwrap();
        page.items.pop()
    })
    .await;
    assert_eq!(
        (dead.delivery, dead.receiver.main_code.as_str()),
        (delivery, B)
    );
    assert!(dead.reason.contains('3'), "{}", dead.reason);
    assert!(ground.fetch(&ground.b).await.is_none());
    assert_eq!(agency(&ground, B).figures.dead, 1);
    assert_eq!(agency(&ground, B).state, QueueState::DeadLetters);

    let revive = async |ids: &[DeliveryId], what, why: &str| {
        ground.exchange.revive(&operator(), ids, what, why).await
    };
    let refused = revive(&[delivery], Revival::Retry, " ").await.unwrap_err();
    assert_eq!(refused.name, Name::BadArgument);
    let unknown = DeliveryId::of(sent.package, ledger::id::AgencyId(99));
    let revived = revive(&[delivery, unknown], Revival::Retry, "đã sửa").await;
    let revived = revived.unwrap();
    assert_eq!(revived.done, [delivery]);
    assert_eq!(revived.skipped, [(unknown, "NOT_FOUND")]);
    // It counts from nothing: two more leases do not kill it.
    for _ in 0..2 {
        let (again, _) = ground.fetch(&ground.b).await.unwrap();
        assert_eq!(again.delivery, delivery);
        ground
            .settle(&ground.b, delivery, Outcome::Released)
            .await
            .unwrap();
    }
    let (_, _) = ground.fetch(&ground.b).await.unwrap();
    ground
        .settle(&ground.b, delivery, Outcome::Released)
        .await
        .unwrap();
    until(async || {
        let page = ground.exchange.dead(Some("H99.02"), 0, "").await.unwrap();
        (page.items.len() == 1).then_some(())
    })
    .await;
    assert!(
        ground
            .exchange
            .dead(Some(C), 0, "")
            .await
            .unwrap()
            .items
            .is_empty()
    );
    let dropped = revive(&[delivery], Revival::Drop, "bên nhận đã có bản giấy").await;
    assert_eq!(dropped.unwrap().done, [delivery]);
    // The sender sees it.
    let sender = Caller::System(ground.a.clone());
    let trace = ground
        .exchange
        .trace(&sender, &delivery.to_string())
        .await
        .unwrap();
    assert_eq!(
        trace.packages[0].deliveries[0].state,
        DeliveryState::Dropped
    );
    let last = trace.events.last().unwrap();
    assert_eq!((last.kind, last.actor.as_str()), ("dropped", "Lan"));
    assert!(last.detail.contains("bên nhận đã có bản giấy"));
    assert!(
        ground
            .exchange
            .dead(None, 0, "")
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

#[tokio::test]
async fn without_a_limit_nothing_dies() {
    let ground = Ground::new().await;
    ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    for _ in 0..40 {
        let (header, _) = ground.fetch(&ground.b).await.unwrap();
        ground
            .settle(&ground.b, header.delivery, Outcome::Released)
            .await
            .unwrap();
    }
    assert!(
        ground
            .exchange
            .dead(None, 0, "")
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

#[tokio::test]
async fn dead_deliveries_come_page_by_page() {
    let ground = Ground::with(|options| options.max_unsettled_leases = 1).await;
    for number in 0..5 {
        let package = new(&format!("d{number}"), &[B, C]);
        ground.push(&ground.a, package).await.unwrap();
    }
    for peer in [&ground.b, &ground.c] {
        let mut stream = ground.exchange.subscribe(peer, 5).await.unwrap();
        for _ in 0..5 {
            assert!(matches!(next(&mut stream).await, Next::Offer(_)));
        }
    }
    until(async || {
        let page = ground.exchange.dead(None, 0, "").await.unwrap();
        (page.items.len() == 10).then_some(())
    })
    .await;
    let mut seen = std::collections::HashSet::new();
    let mut token = String::new();
    for size in [4, 4, 2] {
        let page = ground.exchange.dead(None, 4, &token).await.unwrap();
        assert_eq!(page.items.len(), size);
        assert!(page.items.iter().all(|dead| seen.insert(dead.delivery)));
        token = page.next;
    }
    assert!(token.is_empty());
    let refused = ground.exchange.dead(None, 0, "zz").await.unwrap_err();
    assert_eq!(refused.name, Name::BadArgument);
}

/// Open deliveries are limited for each receiving system: one that is away fills its own.
#[tokio::test]
async fn a_full_system_does_not_hold_up_the_others() {
    let ground = Ground::with(|options| options.limits.max_open_deliveries = 2).await;
    for id in ["d1", "d2"] {
        ground.push(&ground.a, new(id, &[B])).await.unwrap();
    }
    let refused = ground.refused(&ground.a, new("d3", &[C, B])).await;
    assert_eq!(refused.name, Name::LimitReached);
    assert!(refused.details[0].message_en.contains(B), "{refused}");
    ground.push(&ground.a, new("d3", &[C])).await.unwrap();
    ground.take_all(&ground.b).await;
    ground.push(&ground.a, new("d4", &[B])).await.unwrap();
}

/// A small system may have a smaller number of its own.
#[tokio::test]
async fn a_system_with_a_limit_of_its_own_fills_sooner_and_says_so() {
    let ground = Ground::new().await;
    let by = operator();
    let all = exchange::Revoke::All;
    ground.exchange.revoke(&by, "b", all).await.unwrap();
    let system = NewSystem {
        id: "small".to_owned(),
        agencies: vec![B.to_owned()],
        with_key: true,
        limits: OwnLimits {
            max_open_deliveries: Some(2),
            ..OwnLimits::default()
        },
        ..NewSystem::default()
    };
    let (record, _) = ground.exchange.add_system(&by, system).await.unwrap();
    assert_eq!(record.limits.max_open_deliveries, Some(2));
    assert_eq!(record.in_force.max_open_deliveries, 2);
    assert_eq!(record.in_force.max_streams, Limits::default().max_streams);
    for id in ["d1", "d2"] {
        ground.push(&ground.a, new(id, &[B, C])).await.unwrap();
    }
    let refused = ground.refused(&ground.a, new("d3", &[C, B])).await;
    assert_eq!(refused.name, Name::LimitReached);
    assert!(refused.retry_after_ms.is_some(), "{refused:?}");
    // Others keep the axis's number.
    for id in ["d3", "d4"] {
        ground.push(&ground.a, new(id, &[C])).await.unwrap();
    }
}

#[tokio::test]
async fn an_agency_without_a_system_is_told_apart() {
    let ground = Ground::new().await;
    let csv = "code,code_2020,name,parent\n000.00.04.H99,H99.04,Sở Công Thương,\n";
    ground
        .exchange
        .import_agencies(&operator(), csv.into(), ImportOrder::default())
        .await
        .unwrap();
    ground
        .push(&ground.a, new("d1", &["000.00.04.H99"]))
        .await
        .unwrap();
    let told = lines(&ground, &QueuesAsked::default());
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].state, &told[0].system),
        (QueueState::NoSystem, &None)
    );
    let mut system = NewSystem {
        id: "d".to_owned(),
        agencies: vec!["H99.04".to_owned()],
        ..NewSystem::default()
    };
    system.with_key = false;
    ground
        .exchange
        .add_system(&operator(), system)
        .await
        .unwrap();
    let told = lines(&ground, &QueuesAsked::default());
    assert_eq!((told.len(), told[0].state), (1, QueueState::ShutOut));
}
