//! Alerts: one up and one down for each incident, over restarts, and the notices they owe.

use std::collections::BTreeMap;
use std::time::Duration;

use exchange::{Alert, AlertKind, Exchange, Options, Outcome, Words};
use ledger::time::{Clock, Ms};

use crate::ground::{B, Ground, new};

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
    options.alerts.disk_free_percent = 0;
    // A test machine's disk may be slow.
    options.alerts.sync = Duration::from_secs(600);
    options.clock = CLOCK.with(Clock::clone);
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
        .import_agencies(&operator, csv.into(), "13/QĐ", false)
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
