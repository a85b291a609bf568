//! One package, all the way: push, receipt, fetch, settle, the 01 back, trace.

use exchange::{
    Caller, Credentials, DeliveryState, Exchange, Facts, FetchFilter, NewSystem, Next, Operator,
    Options, Outcome, Peer, PushOptions, Settle,
};

const NEW: &[u8] = include_bytes!("../../../edxml/tests/data/documents/new.edxml");

struct Ground {
    _folder: tempfile::TempDir,
    exchange: Exchange,
}

fn operator() -> Operator {
    Operator {
        uid: 0,
        person: "Lan".to_owned(),
        ..Operator::default()
    }
}

async fn ground() -> Ground {
    let folder = tempfile::tempdir().unwrap();
    let mut options = Options::new(folder.path().join("data"));
    options.segment_size = 4 << 20;
    let exchange = Exchange::open(options, |_, _| {}).await.unwrap();
    let csv =
        "code,code_2020,name,parent\n000.00.00.A80,A80,Bên gửi,\n28.22.H17,H17.22.28,Bên nhận,\n";
    let order = ::exchange::ImportOrder {
        irregular: "as in the samples".to_owned(),
        ..::exchange::ImportOrder::default()
    };
    let imported = exchange
        .import_agencies(&operator(), csv.into(), order)
        .await
        .unwrap();
    assert_eq!(imported.added, 2);
    Ground {
        _folder: folder,
        exchange,
    }
}

async fn system(exchange: &Exchange, id: &str, agency: &str) -> Peer {
    let system = NewSystem {
        id: id.to_owned(),
        agencies: vec![agency.to_owned()],
        axis_acknowledges: true,
        with_key: true,
        ..NewSystem::default()
    };
    let (_, key) = exchange.add_system(&operator(), system).await.unwrap();
    exchange
        .authenticate(Credentials::Key {
            system: id,
            key: &key.unwrap(),
        })
        .unwrap()
}

#[tokio::test]
async fn a_package_goes_all_the_way_and_its_status_comes_back() {
    let ground = ground().await;
    let exchange = &ground.exchange;
    let sender = system(exchange, "a", "A80").await;
    let receiver = system(exchange, "b", "28.22.H17").await;

    let receipt = exchange
        .push(&sender, NEW.into(), PushOptions::default())
        .await
        .unwrap();
    assert_eq!((receipt.receivers.len(), receipt.duplicate), (1, false));
    let again = exchange
        .push(&sender, NEW.into(), PushOptions::default())
        .await
        .unwrap();
    assert_eq!((again.package, again.duplicate), (receipt.package, true));
    assert_eq!(again.anchor, receipt.anchor);

    let mut offer = exchange
        .fetch(&receiver, &FetchFilter::default())
        .await
        .unwrap()
        .expect("one waits");
    let mut bytes = Vec::new();
    while let Some(chunk) = offer.content.next_chunk(1_000).await.unwrap() {
        bytes.extend_from_slice(&chunk);
    }
    assert_eq!(bytes, NEW);
    assert!(
        exchange
            .fetch(&receiver, &FetchFilter::default())
            .await
            .unwrap()
            .is_none()
    );
    let settle = Settle {
        delivery: offer.header.delivery,
        round: offer.header.round,
        outcome: Outcome::Acknowledged,
        reason: String::new(),
        via: "settle",
        sha256: None,
    };
    let settled = exchange.settle(&receiver, settle.clone()).await.unwrap();
    assert_eq!(
        (settled.state, settled.changed),
        (DeliveryState::Acknowledged, true)
    );
    assert!(!exchange.settle(&receiver, settle).await.unwrap().changed);

    // The axis's 01 comes back to the sender, by stream.
    let mut stream = exchange.subscribe(&sender, 10).await.unwrap();
    let Next::Offer(status) = stream.next().await else {
        panic!("no 01")
    };
    let Facts::Status(facts) = &status.header.facts else {
        panic!("not a status")
    };
    assert_eq!((facts.code, facts.made_by_axis), (1, true));
    assert!(matches!(stream.next().await, Next::CaughtUp));
    drop(stream);

    let caller = Caller::Operator(operator());
    let trace = exchange
        .trace(&caller, &receipt.package.to_string())
        .await
        .unwrap();
    let kinds: Vec<_> = trace.events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, ["accepted", "fetched", "acknowledged"]);
    let whole = exchange
        .trace(&caller, "000.00.00.G22,2015/09/30,7816/VPCP-TTĐT")
        .await
        .unwrap();
    let kinds: Vec<_> = whole.events.iter().map(|event| event.kind).collect();
    assert_eq!(
        kinds,
        ["accepted", "fetched", "acknowledged", "status", "fetched"]
    );
    exchange.close().await;
}
