//! The rules that a province sets: marks of secrecy, senders' clocks, on time, reasons.

use std::path::Path;

use exchange::refusal::Name;
use exchange::{Caller, Facts, Options, ReasonClass, Search};
use ledger::event::OnTime;
use ledger::time::{Clock, Ms};

use crate::ground::{A, B, Ground, draft, named, new, operator, report};

/// What a document says of itself that must not be found on disk after a refusal.
const CONTENT: &str = "NOI-DUNG-KHONG-DUOC-LUU";

fn on_disk(folder: &Path, needle: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(on_disk(&path, needle));
        } else if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            if bytes.windows(needle.len()).any(|window| window == needle) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

fn secret(id: &str, size: usize) -> Vec<u8> {
    let mut draft = draft(id, &[B]);
    draft.document.subject = Some(format!("[MẬT] {CONTENT}"));
    draft.attach(
        "phu-luc.txt",
        "text/plain",
        CONTENT.repeat(size / CONTENT.len() + 1).into_bytes(),
    );
    edxml::write::document(&draft)
}

#[tokio::test]
async fn sc_01_a_marked_package_is_refused_and_nothing_of_it_is_on_disk() {
    let ground = Ground::with(quiet).await;
    let refusal = ground.refused(&ground.a, secret("m-1", 100)).await;
    assert_eq!(named(&refusal), (Name::SecretMark, vec!["SECRET_MARK"]));
    assert!(
        refusal.details[0].path.ends_with("MessageHeader/Subject")
            && refusal.details[0].message.contains("MẬT")
            && !format!("{refusal:?}").contains(CONTENT),
        "{refusal:?}"
    );
    // A large one, that had come to a temporary file.
    let large = secret("m-2", 1 << 20);
    let mut upload = ground
        .exchange
        .upload(&ground.a, Default::default())
        .await
        .unwrap();
    for chunk in large.chunks(256 << 10) {
        upload.write(chunk.to_vec().into()).await.unwrap();
    }
    let refusal = upload.finish().await.unwrap_err();
    assert_eq!(refusal.name, Name::SecretMark);

    // Each other place of a mark, alone.
    type Mark = fn(&mut edxml::write::DocumentDraft);
    let marked: [(&str, Mark); 5] = [
        ("CodeNotation", |draft| {
            draft.document.code.notation = "BC-MẬT".to_owned()
        }),
        ("TypeName", |draft| {
            draft.document.document_type.name = Some("Tối mật".to_owned())
        }),
        ("Content", |draft| {
            draft.document.content = Some("Tuyệt mật".to_owned())
        }),
        ("Sphere", |draft| {
            draft.document.other_info.sphere = Some("MẬT".to_owned())
        }),
        ("Attachment", |draft| {
            draft.attach("TUYET_MAT.pdf", "application/pdf", b"%PDF".to_vec());
        }),
    ];
    for (place, mark) in marked {
        let mut draft = draft(&format!("m-{place}"), &[B]);
        mark(&mut draft);
        let refusal = ground
            .refused(&ground.a, edxml::write::document(&draft))
            .await;
        assert_eq!(refusal.name, Name::SecretMark, "{place}");
    }
    // Harmless words pass.
    let mut draft = draft("m-3", &[B]);
    draft.document.subject = Some("V/v tăng cường bảo mật thông tin".to_owned());
    ground
        .push(&ground.a, edxml::write::document(&draft))
        .await
        .unwrap();
    // The operator hears of it.
    crate::alerts::stands(&ground.exchange, &[("secret-mark", "a")]).await;

    // The refusal is recorded with hash and header facts; of the content there is nothing.
    let refusals = ground
        .exchange
        .search_refused(&everything(), Search::default())
        .await
        .unwrap();
    let first = refusals
        .items
        .iter()
        .find(|refusal| refusal.sha256 == sha256(&secret("m-1", 100)))
        .expect("the refusal is recorded");
    assert_eq!(
        (first.code.as_str(), first.sender_code.as_str()),
        ("SECRET_MARK", A)
    );
    ground.exchange.close().await;
    let folder = ground.folder();
    assert_eq!(on_disk(folder, CONTENT.as_bytes()), Vec::<String>::new());
    let encoded = base64(CONTENT.repeat(3).as_bytes());
    assert_eq!(
        on_disk(folder, &encoded.as_bytes()[..40]),
        Vec::<String>::new()
    );
    // The search would have found it: what was accepted is there.
    assert!(!on_disk(folder, "bảo mật thông tin".as_bytes()).is_empty());
}

fn everything() -> Caller {
    Caller::Operator(operator())
}

/// A test machine's disk may be slow or full; that is not what is looked for.
fn quiet(options: &mut Options) {
    options.alerts.disk_free_percent = 0;
    options.alerts.sync = std::time::Duration::from_secs(600);
}

/// The facts of the document with that id.
async fn document(ground: &Ground, id: &str) -> ledger::event::DocumentFacts {
    let search = Search {
        document_id: Some(id.to_owned()),
        ..Search::default()
    };
    let found = ground.exchange.search(&everything(), search).await.unwrap();
    match &found.items[0].facts {
        Facts::Document(facts) => facts.as_ref().clone(),
        Facts::Status(_) => panic!("{id} is no document"),
    }
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).to_vec()
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// The exchange at Friday 20 November 2026, 10:00 in Vietnam.
async fn on_a_friday() -> (Ground, Clock) {
    let clock = Clock::standing_at(Ms::parse("2026-11-20T10:00").unwrap());
    let its = clock.clone();
    let ground = Ground::with(move |options| options.clock = its.clone()).await;
    (ground, clock)
}

fn codes(receipt: &exchange::Receipt) -> Vec<&str> {
    receipt.warnings.iter().map(|w| w.code.as_str()).collect()
}

#[tokio::test]
async fn tm_02_a_senders_clock_ten_minutes_ahead_is_flagged_and_the_axis_time_counts() {
    let (ground, clock) = on_a_friday().await;
    let with = |id: &str, date: edxml::Date, time: Option<&str>| {
        let mut draft = draft(id, &[B]);
        draft.document.promulgation.date = Some(date);
        if let Some(time) = time {
            draft.document.trace = vec![edxml::TraceHeader {
                organ_id: Some(A.into()),
                timestamp: edxml::Timestamp::parse(time),
            }];
        }
        edxml::write::document(&draft)
    };
    let today = || edxml::Date::new(2026, 11, 20).unwrap();
    let table = [
        (today(), Some("2026/11/20 10:00:00"), None),
        (today(), Some("2026/11/20 10:05:00"), None),
        (today(), Some("2026/11/20 10:10:00"), Some("CLOCK_AHEAD")),
        (today(), Some("2025/11/20 10:00:00"), None),
        (today(), Some("2025/11/18 10:00:00"), Some("CLOCK_BEHIND")),
        (today(), None, None),
        (
            edxml::Date::new(2026, 11, 21).unwrap(),
            None,
            Some("DATE_AHEAD"),
        ),
        (edxml::Date::new(2025, 11, 20).unwrap(), None, None),
        (
            edxml::Date::new(2025, 11, 19).unwrap(),
            None,
            Some("DATE_BEHIND"),
        ),
    ];
    for (number, (date, time, expected)) in table.into_iter().enumerate() {
        let told = format!("{date} {time:?}");
        let receipt = ground
            .push(&ground.a, with(&format!("t-{number}"), date, time))
            .await
            .unwrap();
        let flagged: Vec<_> = codes(&receipt)
            .into_iter()
            .filter(|code| code.starts_with("CLOCK_") || code.starts_with("DATE_"))
            .collect();
        assert_eq!(flagged, Vec::from_iter(expected), "{told}");
        assert_eq!(receipt.accepted_at, clock.now(), "the axis's time counts");
    }
    // A status whose clock runs ahead.
    ground.take_all(&ground.b).await;
    clock.advance(-3 * 86_400_000);
    let receipt = ground
        .push(&ground.b, report(3, B, A, "t-0", ""))
        .await
        .unwrap();
    assert_eq!(codes(&receipt), ["CLOCK_AHEAD"]);
    ground.exchange.close().await;
}

#[tokio::test]
async fn tm_03_the_verdict_is_made_at_acceptance_and_stays() {
    let (ground, clock) = on_a_friday().await;
    let dated = |id: &str, day: u8| {
        let mut draft = draft(id, &[B]);
        draft.document.promulgation.date = edxml::Date::new(2026, 11, day);
        edxml::write::document(&draft)
    };
    ground.push(&ground.a, dated("same", 20)).await.unwrap();
    ground.push(&ground.a, dated("morning", 19)).await.unwrap();
    ground.push(&ground.a, dated("late", 18)).await.unwrap();
    // Monday 08:00: the weekend does not count.
    clock.advance((2 * 24 + 22) * 3_600_000);
    ground.push(&ground.a, dated("weekend", 20)).await.unwrap();
    // 14:00: the morning is over.
    clock.advance(6 * 3_600_000);
    ground
        .push(&ground.a, dated("afternoon", 20))
        .await
        .unwrap();
    let check = async |ground: &Ground| {
        for (id, expected) in [
            ("same", OnTime::SameDay),
            ("morning", OnTime::InTime),
            ("late", OnTime::Late),
            ("weekend", OnTime::InTime),
            ("afternoon", OnTime::Late),
        ] {
            assert_eq!(document(ground, id).await.on_time(), expected, "{id}");
        }
    };
    check(&ground).await;
    let ground = ground.restarted().await;
    check(&ground).await;
    ground.exchange.close().await;
}

#[tokio::test]
async fn rj_01_rj_02_rj_03_a_refusal_reaches_the_sender_with_reason_person_and_class() {
    let ground = Ground::new().await;
    ground.push(&ground.a, new("r-1", &[B])).await.unwrap();
    ground.take_all(&ground.b).await;
    ground.take_all(&ground.a).await;
    // Without a reason, or with blanks for one.
    let with_reason = String::from_utf8(report(2, B, A, "r-1", "LYDO")).unwrap();
    for reason in ["", "  "] {
        let without = with_reason.replace("LYDO", reason).into_bytes();
        let refusal = ground.refused(&ground.b, without).await;
        assert_eq!(refusal.name, Name::ReasonMissing, "{reason:?}");
    }
    ground
        .exchange
        .report(
            &ground.b,
            exchange::Report {
                code: "02".to_owned(),
                document_id: "r-1".to_owned(),
                to: A.to_owned(),
                reason: "Văn bản gửi nhầm địa chỉ".to_owned(),
                staff: exchange::Staff {
                    name: "Trần Văn Bình".to_owned(),
                    department: "Văn phòng".to_owned(),
                    ..exchange::Staff::default()
                },
                ..exchange::Report::default()
            },
        )
        .await
        .unwrap();
    let (header, _) = ground.fetch(&ground.a).await.expect("the 02 reaches A");
    let exchange::Facts::Status(facts) = header.facts else {
        panic!("no status")
    };
    assert_eq!(
        (facts.code, facts.description.as_str(), facts.staff.as_str()),
        (2, "Văn bản gửi nhầm địa chỉ", "Trần Văn Bình, Văn phòng")
    );
    assert_eq!(facts.reason_class(), ReasonClass::WrongAddress);
    assert!(!facts.timestamp.is_empty());
    let found = ground
        .exchange
        .search(
            &everything(),
            Search {
                document_id: Some("r-1".to_owned()),
                ..Search::default()
            },
        )
        .await
        .unwrap();
    assert_eq!(found.items.len(), 3, "the document, the axis's 01, the 02");
    ground.exchange.close().await;
}
