//! Statuses and recalls: what comes back to the sender, and what is taken back from receivers.

use api::v1;
use testkit::{Document, status_package};

use crate::house::{
    A, B, C, House, document, drain, fetch, fetch_one, push, refused, settle, try_push,
};

/// (sender, code, made by the axis) of the statuses among deliveries, sorted.
fn statuses(got: &[(v1::DeliveryHeader, Vec<u8>)]) -> Vec<(String, String, bool)> {
    let mut all: Vec<_> = got
        .iter()
        .filter_map(|(header, _)| {
            let status = header.status.as_ref()?;
            let sender = header.sender.as_ref()?.main_code.clone();
            Some((sender, status.code.clone(), status.made_by_axis))
        })
        .collect();
    all.sort();
    all
}

fn status(sender: &str, code: &str, axis: bool) -> (String, String, bool) {
    (sender.to_owned(), code.to_owned(), axis)
}

async fn cell(client: &api::Client, id: &str, receiver: &str) -> v1::Cell {
    let request = v1::MatrixRequest {
        sender: A.to_owned(),
        document_id: id.to_owned(),
        package_id: String::new(),
    };
    let matrix = client.matrix(request).await.unwrap();
    let of = |cell: &v1::Cell| {
        cell.receiver
            .as_ref()
            .is_some_and(|agency| agency.main_code == receiver)
    };
    matrix.cells.into_iter().find(of).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_axis_says_01_once_and_a_receivers_own_later_01_is_recorded_only() {
    let house = House::new();
    let (a, b) = (house.client(&house.a).await, house.client(&house.b).await);
    push(&a, &document("d").bytes()).await;
    let (header, _) = fetch_one(&b).await;
    assert!(drain(&a).await.is_empty(), "fetched is not settled");
    settle(&b, &header).await;
    settle(&b, &header).await;
    assert_eq!(statuses(&drain(&a).await), [status(B, "01", true)]);
    push(&b, &status_package(B, A, "d", "01", "")).await;
    assert!(drain(&a).await.is_empty());
    let events = cell(&a, "d", B).await.events;
    assert_eq!(
        events
            .iter()
            .map(|e| (e.code.as_str(), e.made_by_axis))
            .collect::<Vec<_>>(),
        [("01", true), ("01", false)]
    );
    // A receiver that answers before it settles needs no 01 of the axis.
    push(&a, &document("e").bytes()).await;
    let (header, _) = fetch_one(&b).await;
    push(&b, &status_package(B, A, "e", "03", "")).await;
    settle(&b, &header).await;
    assert_eq!(statuses(&drain(&a).await), [status(B, "03", false)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_that_says_01_itself_can_turn_off_the_axiss() {
    let house = House::new();
    let system = house
        .axis
        .add_system_with("so-d", &["000.00.04.H99"], &["--no-axis-acknowledgement"])
        .unwrap();
    let (a, d) = (house.client(&house.a).await, house.client(&system).await);
    push(&a, &Document::new(A, &["000.00.04.H99"], "d").bytes()).await;
    assert_eq!(drain(&d).await.len(), 1);
    assert!(drain(&a).await.is_empty());
    push(&d, &status_package("000.00.04.H99", A, "d", "01", "")).await;
    assert_eq!(
        statuses(&drain(&a).await),
        [status("000.00.04.H99", "01", false)]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statuses_come_home_once_each_in_any_order_and_early_ones_are_matched_later() {
    let house = House::new();
    let [a, b, c] = [
        house.client(&house.a).await,
        house.client(&house.b).await,
        house.client(&house.c).await,
    ];
    // Before the document: delivered at once, matched later.
    push(&b, &status_package(B, A, "d", "05", "")).await;
    assert_eq!(statuses(&drain(&a).await), [status(B, "05", false)]);
    push(&a, &Document::new(A, &[B, C], "d").bytes()).await;
    assert_eq!(cell(&a, "d", B).await.status, "05");
    for code in ["06", "03"] {
        let package = status_package(B, A, "d", code, "");
        assert!(!push(&b, &package).await.duplicate);
        assert!(push(&b, &package).await.duplicate);
    }
    push(&c, &status_package(C, A, "d", "02", "Gửi nhầm")).await;
    assert_eq!(
        statuses(&drain(&a).await),
        [
            status(B, "03", false),
            status(B, "06", false),
            status(C, "02", false)
        ]
    );
    assert_eq!(
        cell(&a, "d", B).await.status,
        "06",
        "the furthest counts, whatever the order"
    );
    assert_eq!(cell(&a, "d", C).await.status, "02");
    // From one that is no receiver of it; without the reason that is due.
    let four = house.axis.add_system("so-d", &["000.00.04.H99"]).unwrap();
    let d = house.client(&four).await;
    let stranger = status_package("000.00.04.H99", A, "d", "03", "");
    assert_eq!(
        refused(try_push(&d, &stranger).await).name,
        "NOT_A_RECEIVER"
    );
    let text = String::from_utf8(status_package(C, A, "d", "02", "Lý do")).unwrap();
    let mute = text.replace("<edXML:Description>Lý do</edXML:Description>", "");
    assert_ne!(mute, text);
    assert_eq!(
        refused(try_push(&c, mute.as_bytes()).await).name,
        "REASON_MISSING"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recall_before_the_fetch_takes_the_document_away_and_the_sender_is_told() {
    let house = House::new();
    let [a, b, c] = [
        house.client(&house.a).await,
        house.client(&house.b).await,
        house.client(&house.c).await,
    ];
    let paper = Document::new(A, &[B, C], "d");
    push(&a, &paper.bytes()).await;
    let (header, _) = fetch_one(&c).await;
    settle(&c, &header).await;
    let _ = drain(&a).await;
    let receipt = push(&a, &paper.clone().recalling("Ban hành nhầm").bytes()).await;
    assert_eq!(receipt.receivers.len(), 2);
    // B had not fetched: nothing comes, and the axis answers for it.
    assert!(fetch(&b, 10).await.is_empty());
    assert_eq!(statuses(&drain(&a).await), [status(B, "15", true)]);
    let at_b = cell(&a, "d", B).await;
    assert_eq!(
        (at_b.delivery_state(), at_b.status.as_str()),
        (v1::DeliveryState::Recalled, "15")
    );
    // C had: it gets the recall, and its content is served no more.
    let (recall, _) = fetch_one(&c).await;
    assert_eq!(
        (recall.document.as_ref().unwrap().business, recall.lane()),
        (1, v1::Lane::Flash)
    );
    let request = v1::DownloadRequest {
        delivery_id: header.delivery_id.clone(),
    };
    let download = match c.download(request).await {
        Ok(mut deliveries) => deliveries.next().await.map(drop),
        Err(error) => Err(error),
    };
    assert_eq!(refused(download).name, "RECALLED");
    settle(&c, &recall).await;
    push(&c, &status_package(C, A, "d", "15", "Đã hủy")).await;
    assert_eq!(statuses(&drain(&a).await), [status(C, "15", false)]);
    // The same document again is refused; a new issue needs a new id. Auditors still see it.
    let view = refused(try_push(&a, &Document::new(A, &[B], "d").bytes()).await);
    assert_eq!(view.name, "DOCUMENT_RECALLED");
    let trace = v1::TraceRequest { id: "d".to_owned() };
    assert!(
        house
            .operator()
            .await
            .trace(trace)
            .await
            .unwrap()
            .packages
            .len()
            >= 2
    );
    let again = house
        .axis
        .operate([
            "redeliver",
            "--package",
            &header.package_id,
            "--why",
            "x",
            "--json",
        ])
        .unwrap();
    let line = again.json().unwrap().remove(0);
    assert!(line["opened"].as_array().unwrap().is_empty(), "{line}");
    assert!(
        line["skipped"]
            .as_array()
            .unwrap()
            .iter()
            .all(|skipped| skipped["reason"] == "RECALLED")
    );
    // Nobody but the sender recalls.
    let other = Document::new(B, &[C], "d").recalling("x").bytes();
    assert_eq!(refused(try_push(&b, &other).await).name, "UNKNOWN_DOCUMENT");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_bytes_under_a_known_id_are_a_conflict_and_new_receivers_are_added() {
    let house = House::new();
    let [a, b, c] = [
        house.client(&house.a).await,
        house.client(&house.b).await,
        house.client(&house.c).await,
    ];
    let first = push(&a, &document("d").bytes()).await;
    let view = refused(try_push(&a, &document("d").attach(10, 1).bytes()).await);
    assert_eq!(view.name, "CONFLICT");
    assert!(
        view.details
            .iter()
            .any(|detail| detail.message_en.contains(&first.package_id)),
        "the first package is named: {view:?}"
    );
    let more = push(&a, &Document::new(A, &[B, C], "d").bytes()).await;
    assert!(!more.duplicate);
    let old: Vec<_> = more
        .receivers
        .iter()
        .map(|receiver| receiver.duplicate)
        .collect();
    assert_eq!(old, [true, false]);
    assert_eq!(drain(&b).await.len(), 1);
    assert_eq!(drain(&c).await.len(), 1);
    // A replacement names what it replaces; one of another sender's is refused.
    assert!(
        !push(&a, &document("e").replacing("d").bytes())
            .await
            .duplicate
    );
    let foreign = Document::new(B, &[C], "f").replacing("d").bytes();
    assert_eq!(
        refused(try_push(&b, &foreign).await).name,
        "UNKNOWN_DOCUMENT"
    );
}
