//! Pushing: whole, in chunks, and everything that can be wrong with it.

use std::time::Duration;

use api::client::Error;
use api::v1;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use crate::house::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_push_gets_a_receipt_and_the_same_again_gets_it_again() {
    let house = House::open().await;
    let client = house.client("snv").await;
    let package = document("12", &[STC, SYT]);
    let receipt = push(&client, &package).await;
    assert_eq!(receipt.package_id.len(), 24);
    assert_eq!(receipt.kind(), v1::PackageKind::Document);
    assert_eq!(receipt.sha256, hex(&Sha256::digest(&package)));
    assert_eq!(receipt.size, package.len() as u64);
    assert_eq!(receipt.document_id.as_deref(), Some("12"));
    assert!(receipt.accepted_at.ends_with("+07:00"));
    assert!(!receipt.duplicate && !receipt.anchor.is_empty());
    let agencies: Vec<_> = receipt
        .receivers
        .iter()
        .map(|r| r.agency.as_ref().unwrap().name.as_str())
        .collect();
    assert_eq!(agencies, ["Sở Tài chính", "Sở Y tế"]);

    let again = push(&client, &package).await;
    assert!(again.duplicate);
    assert_eq!(
        (again.package_id, again.sha256),
        (receipt.package_id, receipt.sha256)
    );
    house.close().await;
}

#[tokio::test]
async fn a_large_package_goes_in_chunks_and_comes_back_the_same() {
    let house = House::open().await;
    let package = document_with("13", &[STC], vec![0xa5; 6 << 20]);
    assert!(package.len() > api::PUSH_MAX);
    let sender = house.client("snv").await;
    let whole = sender
        .push(package.clone(), v1::PushOptions::default())
        .await;
    assert_eq!(refused(whole), "TOO_LARGE");
    let pushed = sender
        .push_stream(&package[..], v1::PushOptions::default())
        .await
        .unwrap();
    assert_eq!(pushed.size, package.len() as u64);
    assert_eq!(pushed.receipt.sha256, hex(&pushed.sha256));
    let receiver = house.client("stc").await;
    let got = waiting(&receiver).await;
    assert_eq!(got.len(), 1);
    assert!(got[0].1 == package, "the bytes differ");
    house.close().await;
}

#[tokio::test]
async fn a_package_that_cannot_be_taken_is_refused_with_place_and_reason() {
    let house = House::open().await;
    let client = house.client("snv").await;
    let push = async |package: Bytes| {
        let refused = client
            .push(package, v1::PushOptions::default())
            .await
            .unwrap_err();
        refused.refusal().expect("a refusal").clone()
    };
    let not_xml = push(Bytes::from_static(b"hello")).await;
    assert_eq!(not_xml.name, "BAD_PACKAGE");
    assert!(!not_xml.details[0].code.is_empty() && !not_xml.details[0].message.is_empty());
    let whole = document("14", &[STC]);
    let cut = push(whole.slice(..whole.len() - 40)).await;
    assert_eq!(cut.name, "BAD_PACKAGE");
    assert!(
        cut.details[0].line > 1 && cut.details[0].column > 0,
        "{cut:?}"
    );

    let unknown = push(document("15", &[STC, "000.00.98.H47", "000.00.99.H47"])).await;
    assert_eq!(unknown.name, "UNKNOWN_RECEIVER");
    let told: String = unknown
        .details
        .iter()
        .map(|detail| detail.message_en.as_str())
        .collect();
    assert!(
        told.contains("000.00.98.H47") && told.contains("000.00.99.H47"),
        "{unknown:?}"
    );

    // The sender is an agency of another system.
    let other = house.client("stc").await;
    let foreign = other
        .push(document("16", &[SYT]), v1::PushOptions::default())
        .await;
    assert_eq!(refused(foreign), "FOREIGN_SENDER");
    assert!(waiting(&other).await.is_empty());
    house.close().await;
}

#[tokio::test]
async fn known_receivers_are_served_if_the_sender_says_so() {
    let house = House::open().await;
    let client = house.client("snv").await;
    let options = v1::PushOptions { accept_known: true };
    let package = document("17", &[STC, "000.00.98.H47"]);
    let receipt = client
        .push_stream(&package[..], options)
        .await
        .unwrap()
        .receipt;
    assert_eq!(receipt.receivers.len(), 1);
    assert_eq!(receipt.omitted.len(), 1);
    assert_eq!(receipt.omitted[0].code, "000.00.98.H47");
    assert_eq!(receipt.omitted[0].reason, "UNKNOWN_RECEIVER");
    house.close().await;
}

#[tokio::test]
async fn the_limit_holds_while_the_package_streams() {
    let house = House::with(|options, _| options.limits.max_package = 1 << 20).await;
    let client = house.client("snv").await;
    // It has no end: an answer can come by the limit alone.
    let endless = tokio::io::repeat(b'x');
    let pushed = client
        .push_stream(endless, v1::PushOptions::default())
        .await;
    assert_eq!(refused(pushed), "TOO_LARGE");
    nothing_kept(&house).await;
    house.close().await;
}

#[tokio::test]
async fn a_push_cut_off_half_way_leaves_nothing_and_can_be_sent_again() {
    let house = House::open().await;
    let package = document_with("18", &[STC], vec![0xa5; 3 << 20]);
    for how in [
        "the call is dropped",
        "the connection is dropped",
        "the source fails",
    ] {
        let client = house.client("snv").await;
        let (mut near, far) = tokio::io::duplex(4 << 20);
        near.write_all(&package[..2 << 20]).await.unwrap();
        let options = v1::PushOptions::default();
        if how == "the source fails" {
            let failing = tokio_util::io::StreamReader::new(tokio_stream::iter([
                Ok(package.slice(..2 << 20)),
                Err(std::io::Error::other("unplugged")),
            ]));
            let failed = client.push_stream(failing, options).await.unwrap_err();
            assert!(matches!(failed, Error::Source(_)), "{failed}");
        } else {
            let push = client.push_stream(far, options);
            tokio::time::timeout(Duration::from_millis(300), push)
                .await
                .unwrap_err();
        }
        drop(client);
        nothing_kept(&house).await;
    }
    let client = house.client("snv").await;
    let receipt = client
        .push_stream(&package[..], v1::PushOptions::default())
        .await
        .unwrap();
    assert!(!receipt.receipt.duplicate);
    let got = waiting(&house.client("stc").await).await;
    assert!(got.len() == 1 && got[0].1 == package);
    house.close().await;
}

/// No temporary file and no package stays behind, soon.
async fn nothing_kept(house: &House) {
    let tmp = house.data().join("payloads/tmp");
    let empty = || std::fs::read_dir(&tmp).unwrap().next().is_none();
    let gone = async {
        while !empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, gone)
        .await
        .expect("temporaries stay behind");
    let found = house
        .admin()
        .await
        .search(v1::SearchRequest::default())
        .await
        .unwrap();
    assert_eq!(found.packages.len(), 0);
}

#[tokio::test]
async fn the_rules_of_the_chunks_hold() {
    let house = House::open().await;
    let mut raw = house.raw("snv").await;
    let chunk = |size| v1::PushStreamRequest {
        options: None,
        chunk: vec![b' '; size].into(),
    };
    let options = v1::PushStreamRequest {
        options: Some(v1::PushOptions::default()),
        chunk: Bytes::new(),
    };
    for (messages, name) in [
        (vec![chunk(api::PUSH_CHUNK_MAX + 1)], "BAD_ARGUMENT"),
        (vec![chunk(10), options.clone()], "BAD_ARGUMENT"),
        (vec![chunk(6 << 20)], "TOO_LARGE"),
        (vec![options], "BAD_PACKAGE"),
        (vec![], "BAD_PACKAGE"),
    ] {
        let sizes: Vec<_> = messages.iter().map(|message| message.chunk.len()).collect();
        let status = raw
            .push_stream(tokio_stream::iter(messages))
            .await
            .unwrap_err();
        assert_eq!(reason(&status), name, "{sizes:?}");
    }
    // Empty chunks are allowed anywhere.
    let package = document("19", &[STC]);
    let (front, back) = (package.slice(..100), package.slice(100..));
    let message = |chunk| v1::PushStreamRequest {
        options: None,
        chunk,
    };
    let messages = [Bytes::new(), front, Bytes::new(), back, Bytes::new()].map(message);
    let receipt = raw
        .push_stream(tokio_stream::iter(messages))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(receipt.size, package.len() as u64);
    house.close().await;
}

#[tokio::test]
async fn a_push_that_falls_silent_is_told_that_it_is_incomplete() {
    let house = House::with(|_, server| server.silence = Duration::from_millis(300)).await;
    let mut raw = house.raw("snv").await;
    let package = document_with("20", &[STC], vec![0xa5; 1 << 20]);
    let first = v1::PushStreamRequest {
        options: None,
        chunk: package.slice(..600_000),
    };
    let (sender, messages) = tokio::sync::mpsc::channel(1);
    sender.send(first).await.unwrap();
    let messages = tokio_stream::wrappers::ReceiverStream::new(messages);
    let status = raw.push_stream(messages).await.unwrap_err();
    assert_eq!(reason(&status), "INCOMPLETE");
    nothing_kept(&house).await;
    drop(sender);
    house.close().await;
}
