//! Who may send, and to whom.

use exchange::refusal::Name;
use exchange::{Caller, Credentials, ImportOrder, PushOptions, Search};

use crate::ground::{A, B, C, Ground, add, named, new, operator};

#[tokio::test]
async fn bad_receivers_are_named_all_at_once_and_nothing_is_half_sent() {
    let ground = Ground::new().await;
    let refused = ground
        .refused(
            &ground.a,
            new("d1", &[B, "999.00.00.H99", "H99.02", "khong"]),
        )
        .await;
    assert_eq!(
        named(&refused),
        (
            Name::UnknownReceiver,
            vec!["UNKNOWN_RECEIVER", "REPEATED_RECEIVER", "UNKNOWN_RECEIVER"]
        )
    );
    assert!(
        refused.details[0]
            .path
            .ends_with("MessageHeader/To[2]/OrganId")
    );
    assert!(refused.details[1].message.contains("Sở Tài chính"));
    assert!(ground.fetch(&ground.b).await.is_none());
}

#[tokio::test]
async fn accept_known_delivers_to_the_good_ones_and_names_the_others() {
    let ground = Ground::new().await;
    let package = new("d1", &[B, "999.00.00.H99"]);
    let options = PushOptions { accept_known: true };
    let receipt = ground
        .exchange
        .push(&ground.a, package.into(), options)
        .await
        .unwrap();
    assert_eq!(
        receipt.omitted,
        [("999.00.00.H99".to_owned(), "UNKNOWN_RECEIVER")]
    );
    assert_eq!(ground.take_all(&ground.b).await, [None]);
}

#[tokio::test]
async fn from_must_be_an_agency_of_the_calling_system() {
    let ground = Ground::new().await;
    let refused = ground.refused(&ground.b, new("d1", &[C])).await;
    assert_eq!(refused.name, Name::ForeignSender);
    assert!(refused.details[0].message.contains("Sở Nội vụ"));
    // From = To is allowed.
    ground.push(&ground.a, new("d2", &[A])).await.unwrap();
    // The document, and then the axis's own 01 about it.
    assert_eq!(ground.take_all(&ground.a).await, [None, Some(1)]);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_with_its_place_and_recorded() {
    let ground = Ground::new().await;
    let refused = ground.refused(&ground.a, b"khong phai XML".to_vec()).await;
    assert_eq!(refused.name, Name::BadPackage);
    assert!(refused.details[0].line >= 1 && !refused.details[0].message.is_empty());
    let caller = exchange::Caller::Operator(crate::ground::operator());
    ground.push(&ground.a, new("d1", &[B])).await.unwrap();
    let page = ground
        .exchange
        .search_refused(&caller, exchange::Search::default())
        .await
        .unwrap();
    assert_eq!(page.items.len(), 1);
    assert_eq!(
        (page.items[0].code.as_str(), page.items[0].system.as_str()),
        ("BAD_PACKAGE", "a")
    );
}

#[tokio::test]
async fn who_became_a_receiver_later_sees_what_it_received() {
    let ground = Ground::new().await;
    let late = "000.00.04.H99";
    let package = new("d1", &[B, late]);
    let options = PushOptions { accept_known: true };
    let push = || {
        let package = package.clone().into();
        ground.exchange.push(&ground.a, package, options)
    };
    push().await.unwrap();
    let csv = format!("code,code_2020,name,parent\n{late},H99.04,Sở Xây dựng,\n");
    ground
        .exchange
        .import_agencies(&operator(), csv.into(), ImportOrder::default())
        .await
        .unwrap();
    let key = add(&ground.exchange, "d", late).await;
    let system = "d";
    let credentials = Credentials::Key { system, key: &key };
    let peer = ground.exchange.authenticate(credentials).unwrap();
    let receipt = push().await.unwrap();
    let (header, bytes) = ground.fetch(&peer).await.unwrap();
    assert_eq!((header.package, bytes), (receipt.package, package.clone()));
    let caller = Caller::System(peer);
    for id in [header.package.to_string(), header.delivery.to_string()] {
        let trace = ground.exchange.trace(&caller, &id).await.unwrap();
        assert_eq!(trace.packages.len(), 1);
    }
    let found = ground.exchange.search(&caller, Search::default()).await;
    assert_eq!(found.unwrap().items.len(), 1);
    let stranger = Caller::System(ground.c.clone());
    let refused = ground
        .exchange
        .trace(&stranger, &header.package.to_string())
        .await
        .unwrap_err();
    assert_eq!(refused.name, Name::NotFound);
}
