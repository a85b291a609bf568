//! Statuses, history, operations: what can be asked afterwards.

use api::v1;
use api::v1::redeliver_request::What;

use crate::house::*;

/// A document that Tài chính has received and Y tế has not.
async fn settled(house: &House) -> v1::Receipt {
    let receipt = push(&house.client("snv").await, &document("51", &[STC, SYT])).await;
    let receiver = house.client("stc").await;
    let header = waiting(&receiver).await.remove(0).0;
    receiver
        .settle(settle(&header.delivery_id, v1::Outcome::Acknowledged))
        .await
        .unwrap();
    receipt
}

#[tokio::test]
async fn a_report_reaches_the_sender_and_the_matrix() {
    let house = House::open().await;
    let receipt = settled(&house).await;
    let receiver = house.client("stc").await;
    let report = |code: &str, reason: &str| v1::ReportRequest {
        code: code.to_owned(),
        document_id: "51".to_owned(),
        to: SNV.to_owned(),
        reason: reason.to_owned(),
        staff: Some(v1::Staff {
            name: "Nguyễn Văn A".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let told = receiver.report(report("03", "")).await.unwrap();
    assert_eq!(told.kind(), v1::PackageKind::Status);
    assert_eq!(
        refused(receiver.report(report("02", "")).await),
        "REASON_MISSING"
    );

    let sender = house.client("snv").await;
    let by_id = v1::MatrixRequest {
        sender: SNV.to_owned(),
        document_id: "51".to_owned(),
        ..Default::default()
    };
    let by_package = v1::MatrixRequest {
        package_id: receipt.package_id.clone(),
        ..Default::default()
    };
    let matrix = sender.matrix(by_id.clone()).await.unwrap();
    assert_eq!(sender.matrix(by_package).await.unwrap(), matrix);
    let cell = |code: &str| {
        let of = |cell: &&v1::Cell| cell.receiver.as_ref().unwrap().main_code == code;
        matrix.cells.iter().find(of).unwrap()
    };
    assert_eq!(
        (cell(STC).status.as_str(), cell(SYT).status.as_str()),
        ("03", "")
    );
    assert_eq!(cell(STC).delivery_state(), v1::DeliveryState::Acknowledged);
    assert!(!cell(STC).status_label.is_empty());
    let codes: Vec<_> = cell(STC)
        .events
        .iter()
        .map(|e| (e.code.as_str(), e.made_by_axis))
        .collect();
    assert_eq!(codes, [("01", true), ("03", false)]);

    let both = v1::MatrixRequest {
        package_id: receipt.package_id,
        ..by_id
    };
    assert_eq!(refused(sender.matrix(both).await), "BAD_ARGUMENT");
    assert_eq!(
        refused(sender.matrix(v1::MatrixRequest::default()).await),
        "BAD_ARGUMENT"
    );
    house.close().await;
}

#[tokio::test]
async fn a_story_is_told_to_those_it_concerns() {
    let house = House::open().await;
    let receipt = settled(&house).await;
    let id = |id: &str| v1::TraceRequest { id: id.to_owned() };
    let sender = house.client("snv").await;
    for name in [&receipt.package_id, &receipt.receivers[0].delivery_id, "51"] {
        let story = sender.trace(id(name)).await.unwrap();
        assert!(!story.packages.is_empty(), "{name}");
        let kinds: Vec<_> = story
            .events
            .iter()
            .map(|event| event.kind.as_str())
            .collect();
        for kind in ["accepted", "fetched", "acknowledged"] {
            assert!(
                kinds.contains(&kind),
                "{kind} is not in {kinds:?} of {name}"
            );
        }
        assert!(
            story
                .events
                .iter()
                .all(|e| !e.detail.is_empty() && !e.detail_en.is_empty())
        );
    }
    assert_eq!(refused(sender.trace(id("nothing")).await), "NOT_FOUND");
    assert_eq!(refused(sender.trace(id(" ")).await), "BAD_ARGUMENT");
    let found = sender.search(v1::SearchRequest::default()).await.unwrap();
    assert!(
        found
            .packages
            .iter()
            .any(|package| package.package_id == receipt.package_id)
    );

    let bad = v1::SearchRequest {
        until: "mai".to_owned(),
        ..Default::default()
    };
    assert_eq!(refused(sender.search(bad).await), "BAD_ARGUMENT");
    house.close().await;
}

#[tokio::test]
async fn a_stranger_to_a_package_does_not_see_it() {
    let house = House::open().await;
    let receipt = push(&house.client("snv").await, &document("52", &[STC])).await;
    let stranger = house.client("syt").await;
    let trace = v1::TraceRequest {
        id: receipt.package_id,
    };
    assert_eq!(refused(stranger.trace(trace).await), "NOT_FOUND");
    let found = stranger.search(v1::SearchRequest::default()).await.unwrap();
    assert!(found.packages.is_empty());
    house.close().await;
}

#[tokio::test]
async fn pages_are_turned_with_their_token() {
    let house = House::open().await;
    let sender = house.client("snv").await;
    for n in 0..5 {
        push(&sender, &document(&format!("p{n}"), &[STC])).await;
    }
    let (mut ids, mut token) = (Vec::new(), String::new());
    loop {
        let page = v1::SearchRequest {
            page_size: 2,
            page_token: token.clone(),
            ..Default::default()
        };
        let found = sender.search(page).await.unwrap();
        assert!(found.packages.len() <= 2);
        ids.extend(found.packages.into_iter().map(|package| package.package_id));
        token = found.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!((all, ids.len()), (5, 5));
    house.close().await;
}

#[tokio::test]
async fn an_operator_sees_queues_redelivers_and_verifies() {
    let house = House::open().await;
    let receipt = settled(&house).await;
    let admin = house.admin().await;
    let info = admin.info(v1::InfoRequest {}).await.unwrap();
    assert_eq!(info.version, "1.2.3");
    assert!(info.position > 0 && !info.anchor.is_empty() && !info.read_only);

    let queues = admin
        .queues(v1::QueuesRequest::default())
        .await
        .unwrap()
        .queues;
    let queue = |code: &str| {
        queues
            .iter()
            .find(|queue| queue.agency.as_ref().unwrap().main_code == code)
            .cloned()
    };
    assert_eq!(
        queue(SYT).map(|queue| (queue.pending, queue.fetched)),
        Some((1, 0))
    );
    let of = v1::QueuesRequest {
        agency: Some("H47.14".to_owned()),
        ..v1::QueuesRequest::default()
    };
    assert_eq!(admin.queues(of).await.unwrap().queues.len(), 1);

    let redeliver = v1::RedeliverRequest {
        what: Some(What::PackageId(receipt.package_id)),
        why: "khôi phục bản sao lưu".to_owned(),
    };
    let opened = admin.redeliver(redeliver).await.unwrap();
    assert_eq!(opened.deliveries.len(), 1, "{opened:?}");
    assert_eq!(opened.deliveries[0].round, 2);
    let again = waiting(&house.client("stc").await).await;
    assert_eq!(
        again
            .iter()
            .map(|(header, _)| header.round)
            .collect::<Vec<_>>(),
        [2]
    );
    let nothing = v1::RedeliverRequest::default();
    assert_eq!(refused(admin.redeliver(nothing).await), "BAD_ARGUMENT");

    let verified = admin
        .verify(v1::VerifyRequest {
            anchors: vec![receipt.anchor],
        })
        .await
        .unwrap();
    assert!(verified.sound, "{verified:?}");
    assert!(verified.records > 0 && verified.damage.is_none());
    house.close().await;
}

/// One story over the operator's door: pause, look, resume; a delivery that dies and is dropped.
#[tokio::test]
async fn an_operator_asks_why_pauses_and_decides_about_the_dead() {
    let house = House::open().await;
    let receipt = settled(&house).await;
    let admin = house.admin().await;
    let by_system = v1::QueuesRequest {
        by: v1::QueuesBy::System.into(),
        ..v1::QueuesRequest::default()
    };
    let lines = admin.queues(by_system.clone()).await.unwrap().queues;
    let first = &lines[0];
    assert_eq!(first.state, "no-consumer");
    assert!(first.agency.is_none() && !first.system.is_empty());
    assert_ne!(first.lane(), v1::Lane::Unspecified);
    let why = async |id: &str| {
        let request = v1::WhyRequest { id: id.to_owned() };
        admin.why(request).await
    };
    let answer = why(SYT).await.unwrap();
    assert_eq!((answer.kind.as_str(), answer.id.as_str()), ("agency", SYT));
    let finding = &answer.findings[0];
    let cause = (finding.cause.as_str(), finding.turn.as_str());
    assert_eq!(cause, ("NEVER_CAME", "receiver"));
    assert!(!finding.message.is_empty() && !finding.message_en.is_empty());
    assert!(!finding.since.is_empty() && !finding.command.is_empty());
    let all = why(&receipt.package_id).await.unwrap();
    assert!(all.findings.len() > 1, "one a receiver: {all:?}");
    assert!(why("nothing").await.is_err());

    let pause = |why: &str| v1::PauseRequest {
        whom: SYT.to_owned(),
        why: why.to_owned(),
    };
    assert!(admin.pause(pause("")).await.is_err());
    let paused = admin.pause(pause("bảo trì")).await.unwrap().pause.unwrap();
    assert_eq!(paused.why, "bảo trì");
    assert_eq!(paused.agency.unwrap().main_code, SYT);
    let pauses = admin.info(v1::InfoRequest {}).await.unwrap().pauses;
    assert_eq!(pauses.len(), 1);
    assert_eq!(why(SYT).await.unwrap().findings[0].cause, "PAUSED");
    let queues = admin.queues(v1::QueuesRequest::default()).await.unwrap();
    let line = queues.queues.iter().find(|line| line.state == "paused");
    assert!(line.is_some_and(|line| !line.paused_at.is_empty()));
    let resume = v1::ResumeRequest {
        whom: SYT.to_owned(),
        why: "xong".to_owned(),
    };
    let over = admin.resume(resume).await.unwrap().pause.unwrap();
    assert_eq!(over.since, paused.since);

    let dead = admin
        .list_dead(v1::ListDeadRequest::default())
        .await
        .unwrap();
    assert!(dead.deliveries.is_empty() && dead.next_page_token.is_empty());
    let waits = finding.delivery_id.clone();
    let retry = v1::RetryDeadRequest {
        delivery_ids: vec![waits.clone()],
        why: "x".to_owned(),
    };
    let retried = admin.retry_dead(retry).await.unwrap();
    let skipped: Vec<_> = retried
        .skipped
        .iter()
        .map(|skipped| (skipped.delivery_id.as_str(), skipped.reason.as_str()))
        .collect();
    assert_eq!(skipped, [(waits.as_str(), "WRONG_STATE")], "it is not dead");
    let nonsense = v1::DropDeadRequest {
        delivery_ids: vec!["nonsense".to_owned()],
        why: "x".to_owned(),
    };
    assert!(admin.drop_dead(nonsense).await.is_err());
}

/// A list is read as the caller says it is; what it may be said to be is named.
#[tokio::test]
async fn a_list_is_read_in_the_format_that_is_said() {
    let house = House::open().await;
    let admin = house.admin().await;
    let import = |format: &str, file: &str| {
        admin.import_agencies(v1::ImportAgenciesRequest {
            csv: file.to_owned().into(),
            format: format.to_owned(),
            dry_run: true,
            ..Default::default()
        })
    };
    let csv = "code,name\n000.00.77.H47,Sở Xa\n";
    let json = r#"[{"code":"000.00.77.H47","name":"Sở Xa"}]"#;
    for (format, file) in [
        ("", csv),
        ("csv", csv),
        ("CSV", csv),
        ("", json),
        ("json", json),
    ] {
        let imported = import(format, file).await.unwrap();
        assert_eq!(
            (imported.added, imported.problems.len()),
            (1, 0),
            "{format:?}"
        );
    }
    for (format, file) in [("json", csv), ("xlsx", csv), ("csv", json), ("xlsx", json)] {
        let imported = import(format, file).await.unwrap();
        assert_eq!(imported.added, 0);
        assert!(!imported.problems.is_empty(), "{format:?}: {imported:?}");
    }
    for unknown in ["ods", "xls", ".csv", " "] {
        let error = import(unknown, csv).await.unwrap_err();
        let api::client::Error::Refused(view) = error else {
            panic!("{error}")
        };
        assert_eq!(view.name, "BAD_ARGUMENT");
        assert_eq!(view.details[0].path, "format");
        assert!(view.details[0].message_en.contains(&format!("{unknown:?}")));
        let compared = admin.compare_list(v1::CompareListRequest {
            list: csv.into(),
            format: unknown.to_owned(),
            ..Default::default()
        });
        assert_eq!(refused(compared.await), "BAD_ARGUMENT");
    }
}
