//! Alerts: one up and one down for each incident, over restarts, and the notices they owe.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::os::unix::fs::FileExt as _;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use exchange::{
    Alert, AlertKind, Exchange, ImportOrder, Next, Options, Outcome, QueueState, QueuesAsked,
    Revival, Revoke, Words,
};
use ledger::time::{Clock, Ms};

use crate::ground::{A, B, C, Ground, decided, draft, new, operator, report};
use crate::moody::Moody;
use crate::sick::Sick;

/// Waits until what stands is this.
pub(crate) async fn stands(exchange: &Exchange, expected: &[(&str, &str)]) {
    let now = || -> Vec<(String, String)> {
        let alerts = exchange.standing_alerts().into_iter();
        let mut alerts: Vec<_> = alerts.map(|a| (a.kind, a.subject)).collect();
        alerts.sort();
        alerts
    };
    let mut expected: Vec<_> = expected
        .iter()
        .map(|(kind, subject)| ((*kind).to_owned(), (*subject).to_owned()))
        .collect();
    expected.sort();
    let mut changes = exchange.alert_changes();
    let same = async {
        while now() != expected {
            changes.changed().await.unwrap();
        }
    };
    if tokio::time::timeout(Duration::from_secs(20), same)
        .await
        .is_err()
    {
        panic!("{:?} stand, not {expected:?}", now());
    }
}

/// Waits until the task has looked around: only a look finds a certificate that ends.
async fn looked(exchange: &Exchange, standing: &[(&str, &str)]) {
    let ends = BTreeMap::from([("looked".to_owned(), Ms(0))]);
    exchange.watch_certificates(ends);
    let with = [standing, &[("certificate-ending", "looked")]].concat();
    stands(exchange, &with).await;
    exchange.watch_certificates(BTreeMap::new());
    stands(exchange, standing).await;
}

async fn history(exchange: &Exchange) -> Vec<Alert> {
    exchange.alert_history("", 100).await.unwrap().alerts
}

const NOON: Ms = Ms(1_795_309_200_000);

thread_local! {
    /// The test's clock, found again by its restarts.
    static CLOCK: Clock = Clock::standing_at(NOON);
}

fn quick(options: &mut Options) {
    options.alerts.every = Duration::from_millis(10);
    // It has tests of its own (reminders).
    options.alerts.unfetched = Duration::from_secs(1_000_000_000);
    // So has what urges by steps.
    options.alerts.escalate = Vec::new();
    options.alerts.disk_free_percent = 0;
    // A test machine's disk may be slow.
    options.alerts.sync = Duration::from_secs(600);
    options.clock = CLOCK.with(Clock::clone);
}

/// A ground over a broker that counts as back after `steady`.
async fn over(broker: &Arc<Moody>, steady: Duration) -> Ground {
    let broker = Arc::<Moody>::clone(broker);
    Ground::with(move |options| {
        quick(options);
        (options.alerts.bus_steady, options.alerts.bus_outlived) = (steady, steady);
        options.bus = Some(Arc::<Moody>::clone(&broker));
    })
    .await
}

fn pass(minutes: i64) {
    CLOCK.with(|clock| clock.advance(minutes * 60_000));
}

fn said() -> Words<String> {
    Words::new("rác", "junk")
}

#[tokio::test]
async fn ex_12_pr_04_what_waits_too_long_is_one_alert_up_and_one_down_over_a_restart() {
    let ground = Ground::with(quick).await;
    ground.push(&ground.a, new("K1", &[B])).await.unwrap();
    stands(&ground.exchange, &[]).await;
    pass(16);
    stands(&ground.exchange, &[("queue-unattended", "b")]).await;
    // Another document and a restart change nothing: it is the same incident.
    ground.push(&ground.a, new("K2", &[B])).await.unwrap();
    let ground = ground.restarted().await;
    looked(&ground.exchange, &[("queue-unattended", "b")]).await;
    pass(24 * 60);
    let both = [("queue-unattended", "b"), ("oldest-age", "b/routine")];
    stands(&ground.exchange, &both).await;
    let ground = ground.restarted().await;
    stands(&ground.exchange, &both).await;
    while let Some((header, _)) = ground.fetch(&ground.b).await {
        ground
            .settle(&ground.b, header.delivery, Outcome::Acknowledged)
            .await
            .unwrap();
    }
    stands(&ground.exchange, &[]).await;
    let ground = ground.restarted().await;
    stands(&ground.exchange, &[]).await;
    let mut lines: Vec<_> = history(&ground.exchange)
        .await
        .into_iter()
        .filter(|alert| alert.subject != "looked")
        .map(|alert| (alert.kind, alert.subject, alert.cleared_at.is_some()))
        .collect();
    lines.sort();
    let line = |kind: &str, subject: &str| (kind.to_owned(), subject.to_owned(), true);
    assert_eq!(
        lines,
        [
            line("oldest-age", "b/routine"),
            line("queue-unattended", "b")
        ]
    );
}

#[tokio::test]
async fn what_is_said_often_stands_once_and_ends_when_it_is_quiet() {
    let ground = Ground::with(quick).await;
    for _ in 0..100 {
        ground.exchange.raise_alert(AlertKind::BusJunk, "b", said());
    }
    stands(&ground.exchange, &[("bus-junk", "b")]).await;
    pass(59);
    ground.exchange.raise_alert(AlertKind::BusJunk, "b", said());
    ground.exchange.raise_alert(AlertKind::BusJunk, "c", said());
    stands(&ground.exchange, &[("bus-junk", "b"), ("bus-junk", "c")]).await;
    pass(61);
    stands(&ground.exchange, &[]).await;
    assert_eq!(history(&ground.exchange).await.len(), 2);
}

#[tokio::test]
async fn a_notice_is_owed_once_for_the_raising_and_once_for_the_end() {
    let ground = Ground::with(quick).await;
    let exchange = &ground.exchange;
    exchange.raise_alert(AlertKind::BusAway, "bus", said());
    exchange.raise_alert(AlertKind::BusJunk, "b", said());
    stands(exchange, &[("bus-away", "bus"), ("bus-junk", "b")]).await;
    for alert in exchange.untold_alerts() {
        if alert.kind == "bus-away" {
            exchange.alert_told(&alert).await;
        }
    }
    let owed = |exchange: &Exchange| -> Vec<(String, bool)> {
        let owed = exchange.untold_alerts().into_iter();
        owed.map(|a| (a.kind, a.cleared_at.is_some())).collect()
    };
    let ground = ground.restarted().await;
    assert_eq!(owed(&ground.exchange), [("bus-junk".to_owned(), false)]);
    ground.exchange.clear_alert(AlertKind::BusAway, "bus");
    // Nobody heard of it: nobody hears of its end.
    ground.exchange.clear_alert(AlertKind::BusJunk, "b");
    stands(&ground.exchange, &[]).await;
    let ground = ground.restarted().await;
    assert_eq!(owed(&ground.exchange), [("bus-away".to_owned(), true)]);
    let ended = ground.exchange.untold_alerts().remove(0);
    ground.exchange.alert_told(&ended).await;
    let ground = ground.restarted().await;
    assert_eq!(owed(&ground.exchange), []);
}

#[tokio::test]
async fn a_certificate_that_ends_is_told_until_it_is_renewed() {
    let ground = Ground::with(quick).await;
    let day = 86_400_000;
    let now = CLOCK.with(Clock::now);
    ground.exchange.watch_certificates(BTreeMap::from([(
        "pki/axis.pem".to_owned(),
        Ms(now.0 + 31 * day),
    )]));
    stands(&ground.exchange, &[]).await;
    pass(2 * 24 * 60);
    stands(&ground.exchange, &[("certificate-ending", "pki/axis.pem")]).await;
    ground.exchange.watch_certificates(BTreeMap::from([(
        "pki/axis.pem".to_owned(),
        Ms(now.0 + 400 * day),
    )]));
    stands(&ground.exchange, &[]).await;
}

#[tokio::test]
async fn what_waits_for_agencies_without_a_system_is_one_alert() {
    let ground = Ground::with(quick).await;
    let csv = "code,code_2020,name,parent\n000.00.08.H99,H99.08,Sở Công Thương,\n000.00.09.H99,H99.09,Sở Xây dựng,\n";
    let operator = crate::ground::operator();
    ground
        .exchange
        .import_agencies(&operator, csv.into(), decided("13/QĐ"))
        .await
        .unwrap();
    let to = ["000.00.08.H99", "000.00.09.H99"];
    ground.push(&ground.a, new("K1", &to)).await.unwrap();
    pass(16);
    stands(&ground.exchange, &[("queue-unattended", "-")]).await;
    let backlog = ground.exchange.backlog();
    assert_eq!(backlog.systems[&None].lanes[3].waiting, 2);
    assert_eq!(backlog.states["pending"], 2);
}

/// The history knows this incident once, raised and cleared.
pub(crate) async fn incident(exchange: &Exchange, kind: AlertKind, subject: &str) {
    let found = history(exchange).await.into_iter();
    let found: Vec<_> = found
        .filter(|alert| alert.kind == kind.name() && alert.subject == subject)
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].cleared_at >= Some(found[0].raised_at), "{found:?}");
}

/// What stands of this kind, once it does or does not.
async fn of_kind(exchange: &Exchange, kind: AlertKind, stands: bool) {
    let mut changes = exchange.alert_changes();
    let reached = async {
        while exchange
            .standing_alerts()
            .iter()
            .any(|alert| alert.kind == kind.name())
            != stands
        {
            changes.changed().await.unwrap();
        }
    };
    let reached = tokio::time::timeout(Duration::from_secs(20), reached).await;
    reached.unwrap_or_else(|_| panic!("{} does not come to {stands}", kind.name()));
}

/// A lane's alert comes when that lane's limit is over, and no other's.
#[tokio::test]
async fn pr_04_each_lane_has_its_own_limit_and_a_fetch_ends_the_alert() {
    let ground = Ground::with(|options| {
        quick(options);
        options.alerts.unattended = Duration::from_secs(1_000_000);
    })
    .await;
    for (id, level) in [("flash", 3), ("urgent", 1), ("routine", 0)] {
        let mut draft = draft(id, &[B]);
        draft.document.other_info.priority = edxml::Priority::new(level).unwrap();
        let package = edxml::write::document(&draft);
        ground.push(&ground.a, package).await.unwrap();
    }
    let lane = |word: &'static str| ("oldest-age", word);
    pass(9);
    looked(&ground.exchange, &[]).await;
    pass(2);
    stands(&ground.exchange, &[lane("b/flash")]).await;
    pass(20);
    stands(&ground.exchange, &[lane("b/flash"), lane("b/urgent")]).await;
    pass(24 * 60);
    let all = [lane("b/flash"), lane("b/urgent"), lane("b/routine")];
    stands(&ground.exchange, &all).await;
    // A fetch that is settled ends the alert of that lane.
    let (header, _) = ground.fetch(&ground.b).await.unwrap();
    let settled = ground.settle(&ground.b, header.delivery, Outcome::Acknowledged);
    settled.await.unwrap();
    stands(&ground.exchange, &all[1..]).await;
    ground.take_all(&ground.b).await;
    stands(&ground.exchange, &[]).await;
    for subject in ["b/flash", "b/urgent", "b/routine"] {
        incident(&ground.exchange, AlertKind::OldestAge, subject).await;
    }
}

/// The limit is the first step; each further one is told once, and nothing after the fetch.
#[tokio::test]
async fn pr_04_what_is_urgent_is_told_once_a_step_and_no_more_after_the_fetch() {
    let ground = Ground::with(|options| {
        quick(options);
        options.alerts.unattended = Duration::from_secs(1_000_000);
        options.alerts.escalate = vec![2, 4];
    })
    .await;
    for (id, level) in [("flash", 3), ("routine", 0)] {
        let mut draft = draft(id, &[B]);
        draft.document.other_info.priority = edxml::Priority::new(level).unwrap();
        let package = edxml::write::document(&draft);
        ground.push(&ground.a, package).await.unwrap();
    }
    let limit = ("oldest-age", "b/flash");
    let (second, third) = (("escalated", "b/flash/2"), ("escalated", "b/flash/3"));
    pass(11);
    stands(&ground.exchange, &[limit]).await;
    pass(10);
    stands(&ground.exchange, &[limit, second]).await;
    let ground = ground.restarted().await;
    looked(&ground.exchange, &[limit, second]).await;
    pass(20);
    stands(&ground.exchange, &[limit, second, third]).await;
    // Never for what is not urgent.
    pass(5 * 24 * 60);
    let routine = ("oldest-age", "b/routine");
    stands(&ground.exchange, &[limit, second, third, routine]).await;
    ground.take_all(&ground.b).await;
    stands(&ground.exchange, &[]).await;
    pass(60);
    looked(&ground.exchange, &[]).await;
    incident(&ground.exchange, AlertKind::Escalated, "b/flash/2").await;
    incident(&ground.exchange, AlertKind::Escalated, "b/flash/3").await;
    incident(&ground.exchange, AlertKind::OldestAge, "b/flash").await;
}

/// A status whose document does not come is told after the hours set, and no more when it comes.
#[tokio::test]
async fn sta_06_a_status_without_its_document_is_an_alert_until_the_document_comes() {
    let ground = Ground::with(quick).await;
    let early = report(3, B, A, "d-1", "");
    ground.push(&ground.b, early).await.unwrap();
    let foreign = report(3, C, A, "d-2", "");
    ground.push(&ground.c, foreign).await.unwrap();
    ground.take_all(&ground.a).await;
    pass(23 * 60);
    looked(&ground.exchange, &[]).await;
    pass(2 * 60);
    stands(&ground.exchange, &[("status-unmatched", A)]).await;
    ground.push(&ground.a, new("d-1", &[B])).await.unwrap();
    ground.take_all(&ground.b).await;
    looked(&ground.exchange, &[("status-unmatched", A)]).await;
    // The other one is foreign: it stays in the list, and is no news after a month.
    pass(30 * 24 * 60);
    stands(&ground.exchange, &[]).await;
    let caller = exchange::Caller::Operator(operator());
    let listed = ground.exchange.unmatched(&caller, 0, "").await.unwrap();
    assert_eq!(listed.items.len(), 1);
    assert_eq!(listed.items[0].document_id, "d-2");
    incident(&ground.exchange, AlertKind::StatusUnmatched, A).await;
}

/// A pause is on purpose: it shows by itself, and what it keeps back alarms nobody. When it is
/// over, what is still due is told.
#[tokio::test]
async fn a_paused_receiver_is_no_alert_until_it_is_resumed_and_still_due() {
    let ground = Ground::with(quick).await;
    for to in [B, C] {
        ground.push(&ground.a, new(to, &[to])).await.unwrap();
    }
    let (by, exchange) = (operator(), &ground.exchange);
    exchange.pause(&by, B, "chuyển máy chủ").await.unwrap();
    exchange.pause(&by, "c", "chuyển máy chủ").await.unwrap();
    pass(25 * 60);
    looked(exchange, &[]).await;
    let asked = QueuesAsked::default();
    let caller = exchange::Caller::Operator(operator());
    let lines = exchange.queues(&caller, &asked).unwrap().items;
    assert!(lines.iter().any(|line| line.state == QueueState::Paused));
    // What waits is counted, also while it is kept back.
    let waits = |system: &str| {
        let id = Some(system.parse().unwrap());
        exchange.backlog().systems[&id].lanes[3].waiting
    };
    assert_eq!((waits("b"), waits("c")), (1, 1));

    exchange.resume(&by, B, "xong").await.unwrap();
    // It waits too long whoever is to blame; that nobody came for it meanwhile is no wonder.
    stands(exchange, &[("oldest-age", "b/routine")]).await;
    pass(14);
    looked(exchange, &[("oldest-age", "b/routine")]).await;
    pass(2);
    let due = [("oldest-age", "b/routine"), ("queue-unattended", "b")];
    stands(exchange, &due).await;
    // A pause that comes later ends them: from here on it is on purpose.
    exchange.pause(&by, "b", "mất điện").await.unwrap();
    stands(exchange, &[]).await;
    exchange.resume(&by, "c", "xong").await.unwrap();
    stands(exchange, &[("oldest-age", "c/routine")]).await;
    ground.take_all(&ground.c).await;
    stands(exchange, &[]).await;
    incident(exchange, AlertKind::OldestAge, "c/routine").await;
    incident(exchange, AlertKind::QueueUnattended, "b").await;
}

#[tokio::test]
async fn deliveries_that_were_given_up_are_one_alert_until_somebody_decides() {
    let ground = Ground::with(|options| {
        quick(options);
        options.max_unsettled_leases = 1;
    })
    .await;
    for id in ["d1", "d2"] {
        ground.push(&ground.a, new(id, &[B])).await.unwrap();
    }
    let mut dead = Vec::new();
    for _ in 0..2 {
        let (header, _) = ground.fetch(&ground.b).await.unwrap();
        let released = ground.settle(&ground.b, header.delivery, Outcome::Released);
        released.await.unwrap();
        dead.push(header.delivery);
        stands(&ground.exchange, &[("dead-letters", "b")]).await;
    }
    let (by, why) = (operator(), "đã gửi giấy");
    let decided = ground.exchange.revive(&by, &dead, Revival::Drop, why);
    assert_eq!(decided.await.unwrap().done.len(), 2);
    stands(&ground.exchange, &[]).await;
    incident(&ground.exchange, AlertKind::DeadLetters, "b").await;
}

#[tokio::test]
async fn a_broker_away_blocked_or_refusing_a_queue_is_one_alert_each() {
    let broker = Moody::new();
    let ground = over(&broker, Duration::from_millis(200)).await;
    let exchange = &ground.exchange;
    broker.goes_away();
    broker.goes_away();
    stands(exchange, &[("bus-away", "bus")]).await;
    looked(exchange, &[("bus-away", "bus")]).await;
    broker.comes_back();
    stands(exchange, &[]).await;
    broker.blocks(true);
    broker.blocks(true);
    stands(exchange, &[("bus-blocked", "bus")]).await;
    broker.blocks(false);
    stands(exchange, &[]).await;
    let queue = "axis.system.b.flash";
    broker.faults(Some(queue));
    stands(exchange, &[("bus-fault", queue)]).await;
    broker.faults(None);
    stands(exchange, &[]).await;
    incident(exchange, AlertKind::BusAway, "bus").await;
    incident(exchange, AlertKind::BusBlocked, "bus").await;
    incident(exchange, AlertKind::BusFault, queue).await;
    exchange.raise_alert(AlertKind::BusJunk, "b", said());
    stands(exchange, &[("bus-junk", "b")]).await;
    pass(61);
    stands(exchange, &[]).await;
    incident(exchange, AlertKind::BusJunk, "b").await;
    // Deleted twice before anybody looked, it is one incident.
    broker.deletes(queue);
    broker.deletes(queue);
    stands(exchange, &[("bus-lost", queue)]).await;
    pass(61);
    stands(exchange, &[]).await;
    incident(exchange, AlertKind::BusLost, queue).await;
    // A loss that was over before anybody looked is told all the same, once.
    broker.goes_away();
    broker.comes_back();
    let twice = async {
        loop {
            let told = history(exchange).await.into_iter();
            let told = told.filter(|alert| alert.kind == "bus-away");
            if told.filter(|alert| alert.cleared_at.is_some()).count() == 2 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let twice = tokio::time::timeout(Duration::from_secs(20), twice).await;
    twice.expect("a second time away");
}

/// A vhost that is deleted takes its queues first, then the connection, and is not whole at once
/// when it comes back.
#[tokio::test]
async fn a_fault_of_the_broker_that_comes_in_steps_is_one_alert() {
    let broker = Moody::new();
    let ground = over(&broker, Duration::from_secs(2)).await;
    let exchange = &ground.exchange;
    let step = || tokio::time::sleep(Duration::from_millis(50));
    broker.deletes("axis.system.b.routine");
    step().await;
    looked(exchange, &[]).await;
    for _ in 0..2 {
        broker.goes_away();
        stands(exchange, &[("bus-away", "bus")]).await;
        broker.comes_back();
        step().await;
        looked(exchange, &[("bus-away", "bus")]).await;
    }
    stands(exchange, &[]).await;
    incident(exchange, AlertKind::BusAway, "bus").await;
    let mut told = history(exchange).await;
    told.retain(|alert| alert.kind.starts_with("bus"));
    assert_eq!(told.len(), 1, "{told:?}");
}

/// The frame of alarms of any link, here the broker's; the one to the national axis will use it.
#[tokio::test]
async fn nb_02_a_link_that_is_away_for_long_is_one_alarm_and_then_all_is_delivered_once() {
    let broker = Moody::new();
    let ground = over(&broker, Duration::from_millis(200)).await;
    let exchange = &ground.exchange;
    let mut stream = exchange.subscribe(&ground.b, 10).await.unwrap();
    broker.goes_away();
    let mut owed = Vec::new();
    for number in 0..3 {
        let package = new(&format!("d{number}"), &[B]);
        let sent = ground.push(&ground.a, package).await.unwrap();
        owed.push(sent.receivers[0].delivery);
        pass(7);
        looked(exchange, &[("bus-away", "bus")]).await;
    }
    broker.comes_back();
    stands(exchange, &[]).await;
    let mut got = Vec::new();
    while got.len() < owed.len() {
        let next = tokio::time::timeout(Duration::from_secs(20), stream.next()).await;
        if let Next::Offer(offer) = next.expect("the stream stalls") {
            got.push(offer.header.delivery);
            let settled = ground.settle(&ground.b, offer.header.delivery, Outcome::Acknowledged);
            settled.await.unwrap();
        }
    }
    got.sort();
    owed.sort();
    assert_eq!(got, owed);
    assert!(ground.fetch(&ground.b).await.is_none());
    incident(exchange, AlertKind::BusAway, "bus").await;
}

#[tokio::test]
async fn a_key_that_ends_is_told_unless_another_lasts() {
    let ground = Ground::with(quick).await;
    let (by, exchange) = (operator(), &ground.exchange);
    // A change of keys under way is no trouble.
    let week = Some(Duration::from_secs(7 * 86_400));
    let (second, _) = exchange.add_key(&by, "b", week).await.unwrap();
    looked(exchange, &[]).await;
    // The new one is taken back, and only the one that ends is left.
    let revoked = exchange.revoke(&by, "b", Revoke::Key(second)).await;
    revoked.unwrap();
    stands(exchange, &[("key-ending", "b/1")]).await;
    exchange.add_key(&by, "b", None).await.unwrap();
    stands(exchange, &[]).await;
    incident(exchange, AlertKind::KeyEnding, "b/1").await;
    // The same with certificates.
    exchange.pin(&by, "b", [1; 32], "CN=b", None).await.unwrap();
    exchange.pin(&by, "b", [2; 32], "CN=b", week).await.unwrap();
    looked(exchange, &[]).await;
    let revoked = exchange.revoke(&by, "b", Revoke::Pin([2; 32])).await;
    revoked.unwrap();
    stands(exchange, &[("key-ending", "b/cert-010101010101")]).await;
    let ends = BTreeMap::from([("clients.crl".to_owned(), NOON)]);
    exchange.watch_certificates(ends);
    of_kind(exchange, AlertKind::CertificateEnding, true).await;
    exchange.watch_certificates(BTreeMap::new());
    of_kind(exchange, AlertKind::CertificateEnding, false).await;
    incident(exchange, AlertKind::CertificateEnding, "clients.crl").await;
}

#[tokio::test]
async fn a_clock_that_jumps_is_one_alert_until_it_is_steady() {
    let clock = Clock::that_jumps();
    let ground = {
        let clock = clock.clone();
        Ground::with(move |options| {
            quick(options);
            options.clock = clock.clone();
            options.alerts.steady = Duration::from_secs(2);
        })
        .await
    };
    looked(&ground.exchange, &[]).await;
    clock.advance(-60_000);
    of_kind(&ground.exchange, AlertKind::ClockOff, true).await;
    // Further jumps belong to the same trouble.
    clock.advance(60_000);
    of_kind(&ground.exchange, AlertKind::ClockOff, false).await;
    incident_around(&ground.exchange, AlertKind::ClockOff).await;
}

/// As [`incident`], where the clock itself is in trouble.
async fn incident_around(exchange: &Exchange, kind: AlertKind) {
    let found = history(exchange).await.into_iter();
    let found: Vec<_> = found.filter(|alert| alert.kind == kind.name()).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].cleared_at.is_some(), "{found:?}");
}

#[tokio::test]
async fn a_disk_that_fills_is_one_alert_over_a_restart() {
    let limit = Rc::new(Cell::new(100));
    let ground = {
        let limit = Rc::clone(&limit);
        Ground::with(move |options| {
            quick(options);
            options.alerts.disk_free_percent = limit.get();
        })
        .await
    };
    stands(&ground.exchange, &[("disk-filling", "axis")]).await;
    let ground = ground.restarted().await;
    looked(&ground.exchange, &[("disk-filling", "axis")]).await;
    limit.set(0);
    let ground = ground.restarted().await;
    stands(&ground.exchange, &[]).await;
    incident(&ground.exchange, AlertKind::DiskFilling, "axis").await;
}

/// Pushes until an alert of this kind stands, or does not.
async fn push_until(ground: &Ground, kind: AlertKind, expected: bool) {
    let mut number = 0;
    let pushed = async {
        let stands = || {
            let alerts = ground.exchange.standing_alerts();
            alerts.iter().any(|alert| alert.kind == kind.name())
        };
        while stands() != expected {
            let id = format!("{expected}-{number}");
            ground.push(&ground.a, new(&id, &[B])).await.unwrap();
            number += 1;
            // A look comes every ten.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let pushed = tokio::time::timeout(Duration::from_secs(30), pushed).await;
    pushed.unwrap_or_else(|_| panic!("{} does not come to {expected}", kind.name()));
}

#[tokio::test]
async fn slow_syncs_are_one_alert_until_none_of_late_was_slow() {
    let limit = Rc::new(Cell::new(Duration::ZERO));
    let ground = {
        let limit = Rc::clone(&limit);
        Ground::with(move |options| {
            quick(options);
            options.alerts.sync = limit.get();
        })
        .await
    };
    push_until(&ground, AlertKind::SyncSlow, true).await;
    limit.set(Duration::from_secs(600));
    let ground = ground.restarted().await;
    // A restart alone makes no disk faster.
    looked(&ground.exchange, &[("sync-slow", "axis")]).await;
    push_until(&ground, AlertKind::SyncSlow, false).await;
    incident(&ground.exchange, AlertKind::SyncSlow, "axis").await;
}

#[tokio::test]
async fn an_index_that_lags_is_one_alert_until_it_has_caught_up() {
    let limit = Rc::new(Cell::new(usize::MAX));
    let ground = {
        let limit = Rc::clone(&limit);
        Ground::with(move |options| {
            quick(options);
            options.alerts.every = Duration::from_millis(2);
            options.alerts.index_lag = limit.get();
        })
        .await
    };
    let code = |n: u32| format!("000.{:02}.{:02}.H99", 10 + n / 90, 10 + n % 90);
    let codes: Vec<_> = (0..400).map(code).collect();
    let rows = codes.iter().map(|code| format!("{code},Cơ quan\n"));
    let csv = format!("code,name\n{}", rows.collect::<String>());
    let by = operator();
    let imported = ground
        .exchange
        .import_agencies(&by, csv.into(), ImportOrder::default());
    assert_eq!(imported.await.unwrap().added, 400);
    limit.set(100);
    let ground = ground.restarted().await;
    // A record with a row for each receiver and nothing behind it, again until a look fell
    // between. The history is asked: what stands may be gone again before it is seen.
    let to: Vec<_> = codes.iter().map(String::as_str).collect();
    let exchange = &ground.exchange;
    let told = async {
        let mut number = 0;
        while history(exchange).await.is_empty() {
            let pushed = ground
                .push(&ground.a, new(&format!("many-{number}"), &to))
                .await;
            assert_eq!(pushed.map(|receipt| receipt.receivers.len()), Ok(400));
            number += 1;
            // Its rows come into the index in far less than this.
            for _ in 0..100 {
                if !history(exchange).await.is_empty() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        while history(exchange).await[0].cleared_at.is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(20), told).await;
    told.expect("the index's alert does not come and go");
    incident(exchange, AlertKind::IndexLag, "axis").await;
}

/// The one file under the payloads.
fn payload(folder: &std::path::Path) -> std::path::PathBuf {
    let mut folders = vec![folder.join("data/payloads")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                return path;
            }
            folders.push(path);
        }
    }
    panic!("no payload lies in a file of its own")
}

#[tokio::test]
async fn damaged_content_is_one_alert_until_it_is_read_whole_again() {
    let ground = Ground::with(quick).await;
    let mut large = draft("large", &[B]);
    large.attach("a.bin", "application/octet-stream", vec![7; 600_000]);
    let sent = ground.push(&ground.a, edxml::write::document(&large)).await;
    let sent = sent.unwrap();
    let file = payload(ground.folder());
    let write = |byte: u8| {
        let file = std::fs::OpenOptions::new().write(true).open(&file);
        file.unwrap().write_all_at(&[byte], 100_000).unwrap();
    };
    let whole = {
        let mut byte = [0];
        let file = std::fs::File::open(&file).unwrap();
        file.read_exact_at(&mut byte, 100_000).unwrap();
        byte[0]
    };
    let read = async || {
        let delivery = sent.receivers[0].delivery;
        let offer = ground.exchange.download(&ground.b, delivery).await;
        let mut content = offer.unwrap().content;
        loop {
            match content.next_chunk(256 << 10).await {
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    };
    write(!whole);
    for _ in 0..3 {
        assert!(!read().await, "damaged content left");
    }
    let subject = sent.package.to_string();
    stands(&ground.exchange, &[("content-damaged", &subject)]).await;
    write(whole);
    assert!(read().await);
    stands(&ground.exchange, &[]).await;
    incident(&ground.exchange, AlertKind::ContentDamaged, &subject).await;
}

#[tokio::test]
async fn a_mark_of_secrecy_is_one_alert_until_a_quiet_day_has_passed() {
    let ground = Ground::with(quick).await;
    for id in ["m1", "m2"] {
        let mut secret = draft(id, &[B]);
        secret.document.subject = Some("[MẬT] kế hoạch".to_owned());
        let package = edxml::write::document(&secret);
        ground.refused(&ground.a, package).await;
        stands(&ground.exchange, &[("secret-mark", "a")]).await;
    }
    // Both have been heard before time goes on.
    looked(&ground.exchange, &[("secret-mark", "a")]).await;
    pass(23 * 60);
    looked(&ground.exchange, &[("secret-mark", "a")]).await;
    pass(2 * 60);
    stands(&ground.exchange, &[]).await;
    incident(&ground.exchange, AlertKind::SecretMark, "a").await;
}

/// What cannot be written down is told all the same, once, and ends with the restart that mends it.
#[tokio::test]
async fn an_axis_that_cannot_write_is_one_alert_that_stands_in_memory() {
    let disk = Sick::default();
    let ground = {
        let disk = disk.clone();
        Ground::with(move |options| {
            quick(options);
            options.disk = Arc::new(disk.clone());
        })
        .await
    };
    disk.fails(true);
    ground.refused(&ground.a, new("d1", &[B])).await;
    of_kind(&ground.exchange, AlertKind::ReadOnly, true).await;
    let owed = ground.exchange.untold_alerts();
    let owed: Vec<_> = owed.iter().filter(|a| a.kind == "read-only").collect();
    assert_eq!(owed.len(), 1, "{owed:?}");
    assert_eq!(owed[0].at, None, "it could not be recorded");
    disk.fails(false);
    let ground = ground.restarted().await;
    looked(&ground.exchange, &[]).await;
    ground.push(&ground.a, new("d1", &[B])).await.unwrap();
}

/// One row a kind: where its incident is raised once and cleared once.
#[test]
fn each_kind_of_alert_is_raised_once_and_cleared_once_by_a_test() {
    let here = concat!(include_str!("alerts.rs"), include_str!("reminders.rs"));
    let suites = include_str!("../../../../tests/suites/full_disk.rs");
    for kind in AlertKind::ALL {
        let proved = match kind {
            // On a real small file system.
            AlertKind::DiskReserve => suites.contains("\"disk-reserve\""),
            // Nothing can be recorded: it has no history to be asked.
            AlertKind::ReadOnly => here.contains("of_kind(&ground.exchange, AlertKind::ReadOnly"),
            AlertKind::ClockOff => {
                here.contains("incident_around(&ground.exchange, AlertKind::ClockOff")
            }
            kind => ["exchange", "&ground.exchange"].iter().any(|exchange| {
                here.contains(&format!("incident({exchange}, AlertKind::{kind:?}, "))
            }),
        };
        assert!(proved, "{}: no test raises and clears it", kind.name());
    }
}
