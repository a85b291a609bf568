//! Fetch, settle, extend, download.

use api::v1;
use api::v1::delivery_frame::Frame;

use crate::house::*;

#[tokio::test]
async fn what_waits_is_fetched_settled_and_answered_with_the_axis_own_01() {
    let house = House::open().await;
    let (sender, receiver) = (house.client("snv").await, house.client("stc").await);
    let package = document("21", &[STC]);
    let receipt = push(&sender, &package).await;
    let got = waiting(&receiver).await;
    assert_eq!(got.len(), 1);
    let (header, bytes) = &got[0];
    assert_eq!(*bytes, package);
    assert_eq!(header.package_id, receipt.package_id);
    assert_eq!(header.delivery_id, receipt.receivers[0].delivery_id);
    assert_eq!(
        (header.sha256.as_str(), header.size),
        (receipt.sha256.as_str(), receipt.size)
    );
    assert_eq!((header.round, header.redelivered), (1, false));
    assert!(header.leased_until.ends_with("+07:00"));
    assert_eq!(header.sender.as_ref().unwrap().main_code, SNV);
    assert_eq!(header.receiver.as_ref().unwrap().main_code, STC);
    let facts = header.document.as_ref().unwrap();
    assert_eq!(
        (facts.number.as_str(), facts.notation.as_str()),
        ("21", "SNV-VP")
    );
    assert_eq!(facts.subject, "V/v kiểm tra");

    // Leased: nobody gets it a second time meanwhile.
    assert!(waiting(&receiver).await.is_empty());
    let done = settle(&header.delivery_id, v1::Outcome::Acknowledged);
    let settled = receiver.settle(done.clone()).await.unwrap();
    assert_eq!(settled.state(), v1::DeliveryState::Acknowledged);
    assert!(settled.changed);
    let again = receiver.settle(done).await.unwrap();
    assert_eq!(
        (again.state(), again.changed),
        (v1::DeliveryState::Acknowledged, false)
    );

    let statuses = waiting(&sender).await;
    assert_eq!(statuses.len(), 1);
    let status = statuses[0].0.status.as_ref().unwrap();
    assert_eq!((status.code.as_str(), status.made_by_axis), ("01", true));
    assert!(!status.label.is_empty());
    house.close().await;
}

#[tokio::test]
async fn only_the_receivers_system_settles_and_only_what_there_is() {
    let house = House::open().await;
    let receipt = push(&house.client("snv").await, &document("22", &[STC])).await;
    let id = &receipt.receivers[0].delivery_id;
    let (receiver, other) = (house.client("stc").await, house.client("syt").await);
    let done = |id: &str| settle(id, v1::Outcome::Acknowledged);
    assert_eq!(refused(other.settle(done(id)).await), "FOREIGN_DELIVERY");
    let download = v1::DownloadRequest {
        delivery_id: id.clone(),
    };
    assert_eq!(refused(drain(&other, download).await), "FOREIGN_DELIVERY");
    let nowhere = "6d1f3b0e-5a0c-5b55-9c0e-617869730001";
    assert_eq!(refused(receiver.settle(done(nowhere)).await), "NOT_FOUND");
    assert_eq!(refused(receiver.settle(done("12")).await), "BAD_ARGUMENT");
    let extend = v1::ExtendRequest {
        delivery_id: id.clone(),
    };
    assert_eq!(refused(receiver.extend(extend).await), "NOT_FOUND");
    assert_eq!(
        refused(receiver.settle(settle(id, v1::Outcome::Unspecified)).await),
        "BAD_ARGUMENT"
    );
    assert_eq!(
        refused(receiver.settle(settle(id, v1::Outcome::Failed)).await),
        "REASON_MISSING"
    );
    // None of it changed anything.
    assert_eq!(waiting(&receiver).await.len(), 1);
    house.close().await;
}

async fn drain(
    client: &api::Client,
    request: v1::DownloadRequest,
) -> Result<Vec<u8>, api::client::Error> {
    let mut deliveries = client.download(request).await?;
    let mut bytes = Vec::new();
    while deliveries.next().await?.is_some() {
        while let Some(chunk) = deliveries.chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
    }
    Ok(bytes)
}

#[tokio::test]
async fn a_delivery_that_cannot_be_read_is_told_and_one_given_back_is_offered_again() {
    let house = House::open().await;
    let (sender, receiver) = (house.client("snv").await, house.client("stc").await);
    push(&sender, &document("23", &[STC])).await;
    let first = waiting(&receiver).await.remove(0).0;
    let back = settle(&first.delivery_id, v1::Outcome::Released);
    receiver.settle(back).await.unwrap();
    let second = waiting(&receiver).await.remove(0).0;
    assert_eq!(second.delivery_id, first.delivery_id);
    assert!(second.redelivered);
    let mut failed = settle(&first.delivery_id, v1::Outcome::Failed);
    failed.reason = "không mở được tệp".to_owned();
    let settled = receiver.settle(failed).await.unwrap();
    assert_eq!(settled.state(), v1::DeliveryState::Failed);
    assert!(waiting(&receiver).await.is_empty());
    house.close().await;
}

#[tokio::test]
async fn a_fetch_brings_as_many_as_asked_for_and_of_the_kind_and_agency_asked_for() {
    let house = House::open().await;
    let (sender, receiver) = (house.client("snv").await, house.client("stc").await);
    for id in ["24", "25", "26"] {
        push(&sender, &document(id, &[STC])).await;
    }
    let ask = |most, agency: &str, kind: v1::PackageKind| v1::FetchRequest {
        max_deliveries: most,
        agency: (!agency.is_empty()).then(|| agency.to_owned()),
        kind: Some(kind.into()),
    };
    let none = v1::PackageKind::Unspecified;
    let fetch = async |request| receiver.fetch(request).await;
    let foreign = async { fetch(ask(1, SYT, none)).await?.next().await };
    assert_eq!(refused(foreign.await), "NOT_FOUND");
    assert_eq!(refused(fetch(ask(101, "", none)).await), "BAD_ARGUMENT");
    let statuses = all(&mut fetch(ask(9, "", v1::PackageKind::Status)).await.unwrap()).await;
    assert!(statuses.is_empty());
    // By another code of the agency; 0 means one.
    let first = all(&mut fetch(ask(0, "H47.13", none)).await.unwrap()).await;
    assert_eq!(first.len(), 1);
    let rest = all(&mut fetch(ask(9, "", v1::PackageKind::Document)).await.unwrap()).await;
    assert_eq!(rest.len(), 2);
    house.close().await;
}

#[tokio::test]
async fn what_was_not_sent_whole_is_offered_again_at_once() {
    let house = House::open().await;
    let (sender, receiver) = (house.client("snv").await, house.client("stc").await);
    let large = document_with("27", &[STC], vec![0x5a; 12 << 20]);
    sender
        .push_stream(&large[..], v1::PushOptions::default())
        .await
        .unwrap();
    let mut deliveries = receiver.fetch(v1::FetchRequest::default()).await.unwrap();
    let first = deliveries.next().await.unwrap().unwrap();
    deliveries.chunk().await.unwrap().unwrap();
    drop(deliveries);
    let again = async {
        loop {
            let mut deliveries = receiver.fetch(v1::FetchRequest::default()).await.unwrap();
            if let Some(header) = deliveries.next().await.unwrap() {
                return header;
            }
        }
    };
    let second = tokio::time::timeout(SOON, again)
        .await
        .expect("the lease was kept");
    assert_eq!(second.delivery_id, first.delivery_id);
    assert!(second.redelivered);
    house.close().await;
}

#[tokio::test]
async fn content_comes_in_bounded_chunks_the_last_marked() {
    let house = House::open().await;
    let sender = house.client("snv").await;
    let package = document_with("28", &[STC], vec![0x5a; 700_000]);
    let receipt = push(&sender, &package).await;
    let mut raw = house.raw("stc").await;
    let mut frames = raw
        .fetch(v1::FetchRequest::default())
        .await
        .unwrap()
        .into_inner();
    let header = frames.message().await.unwrap().unwrap().frame.unwrap();
    assert!(matches!(header, Frame::Header(_)));
    let (mut size, mut last) = (0, false);
    while let Some(message) = frames.message().await.unwrap() {
        let Some(Frame::Chunk(chunk)) = message.frame else {
            panic!("no chunk")
        };
        assert!(!last && chunk.data.len() <= api::DELIVERY_CHUNK_MAX && !chunk.data.is_empty());
        assert_eq!(chunk.delivery_id, receipt.receivers[0].delivery_id);
        size += chunk.data.len();
        last = chunk.last;
    }
    assert!(last);
    assert_eq!(size, package.len());
    house.close().await;
}

#[tokio::test]
async fn a_lease_is_extended_and_content_downloaded_again_after_the_settle() {
    let house = House::open().await;
    let (sender, receiver) = (house.client("snv").await, house.client("stc").await);
    let package = document("29", &[STC]);
    push(&sender, &package).await;
    let header = waiting(&receiver).await.remove(0).0;
    let id = || header.delivery_id.clone();
    let extended = receiver
        .extend(v1::ExtendRequest { delivery_id: id() })
        .await
        .unwrap();
    assert!(extended.leased_until >= header.leased_until);
    receiver
        .settle(settle(&id(), v1::Outcome::Acknowledged))
        .await
        .unwrap();
    let bytes = drain(&receiver, v1::DownloadRequest { delivery_id: id() })
        .await
        .unwrap();
    assert_eq!(bytes, package);
    house.close().await;
}
