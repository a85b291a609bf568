//! Duties from law and decree, each by the text of how to verify it; `docs/duties.md` has the
//! table. EX-14 and BK-03 are in [`crate::durable`], PR-01 in [`crate::delivering`].

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use api::v1;
use edxml::{Limits, Package, read};
use testkit::{Axis, Cli, Document, status_package};

use crate::house::{
    A, B, C, House, SMALL, client, copy_folder, document, drain, eventually, fetch, fetch_one,
    files, find, patch, push, refused, settle, sha256, try_push,
};

fn samples() -> Vec<PathBuf> {
    let mut all = files(Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crates/axis/samples"
    )));
    all.retain(|path| path.extension().is_some_and(|e| e == "edxml" || e == "xml"));
    assert!(all.len() >= 20, "{all:?}");
    all
}

/// An axis that knows every agency that the samples name, and one system that serves them all.
async fn with_the_samples_agencies() -> (Axis, api::Client) {
    let mut codes = BTreeSet::new();
    for path in samples() {
        match read(&std::fs::read(&path).unwrap(), &Limits::default()).package {
            Some(Package::Document(document)) => {
                codes.insert(document.from.id.as_str().to_owned());
                codes.extend(document.to.iter().map(|to| to.id.as_str().to_owned()));
            }
            Some(Package::Status(status)) => {
                codes.insert(status.from.id.as_str().to_owned());
                codes.insert(status.response_for.organ_id.as_str().to_owned());
            }
            _ => {}
        }
    }
    let axis = Axis::builder().config(SMALL).start().unwrap();
    let rows: String = codes
        .iter()
        .map(|code| format!("{code},,Cơ quan {code},\n"))
        .collect();
    let list = axis
        .file(
            "list.csv",
            format!("code,code_2020,name,parent\n{rows}").as_bytes(),
        )
        .unwrap();
    axis.operate(args![
        "registry",
        "import",
        list,
        "--irregular",
        "--why",
        "as in the samples"
    ])
    .unwrap()
    .ok()
    .unwrap();
    let codes: Vec<_> = codes.iter().map(String::as_str).collect();
    let system = axis.add_system("so-all", &codes).unwrap();
    let client = client(&axis, &system).await;
    (axis, client)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_01_every_pair_of_20_agencies_exchanges_and_the_silent_one_is_named() {
    let axis = Axis::builder().config(SMALL).start().unwrap();
    axis.register(21).unwrap();
    let code = |n: usize| format!("000.00.{n:02}.H99");
    let codes: Vec<String> = (1..=20).map(code).collect();
    let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
    let all = axis.add_system("so-all", &codes).unwrap();
    let all = client(&axis, &all).await;
    for from in &codes {
        let to: Vec<_> = codes.iter().copied().filter(|to| to != from).collect();
        push(
            &all,
            &Document::new(from, &to, &format!("of {from}")).bytes(),
        )
        .await;
    }
    let mut pairs = BTreeSet::new();
    for (header, _) in drain(&all).await {
        if header.kind() == v1::PackageKind::Document {
            let [from, to] = [header.sender, header.receiver].map(|of| of.unwrap().main_code);
            assert!(pairs.insert((from, to)), "once each");
        }
    }
    assert_eq!(pairs.len(), 20 * 19);
    let idle = |more: &[&str]| -> Vec<String> {
        let args = [&["registry", "idle", "--json"], more].concat();
        let listed = axis.operate(args).unwrap().ok().unwrap().json().unwrap();
        let codes = listed.iter().map(|idle| idle["code"].as_str().unwrap());
        codes.map(str::to_owned).collect()
    };
    assert_eq!(idle(&[]), [code(21)]);
    // Before today nobody had any.
    assert_eq!(
        idle(&["--since", "2020-01-01", "--until", "2020-12-31"]).len(),
        21
    );
    let told = axis
        .operate(["registry", "idle"])
        .unwrap()
        .ok()
        .unwrap()
        .stdout;
    assert!(
        told.contains(&code(21)) && told.contains("chưa bao giờ"),
        "{told}"
    );
    let wrong = [
        "registry",
        "idle",
        "--since",
        "2021-01-01",
        "--until",
        "2020-01-01",
    ];
    let wrong = axis.operate(wrong).unwrap().code(1).unwrap();
    assert!(wrong.stderr.contains("BAD_ARGUMENT"), "{}", wrong.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_02_no_receiver_is_dropped_silently() {
    let house = House::new();
    let [a, b, c] = [
        house.client(&house.a).await,
        house.client(&house.b).await,
        house.client(&house.c).await,
    ];
    let view = refused(try_push(&a, &Document::new(A, &[B, C, "H99.404"], "d").bytes()).await);
    assert_eq!(view.name, "UNKNOWN_RECEIVER");
    assert!(view.details[0].message.contains("H99.404"), "{view:?}");
    assert!(
        drain(&b).await.is_empty() && drain(&c).await.is_empty(),
        "nothing half-sent"
    );
    let receipt = push(&a, &Document::new(A, &[B, C], "d").bytes()).await;
    assert_eq!(receipt.receivers.len(), 2);
    assert_ne!(
        receipt.receivers[0].delivery_id,
        receipt.receivers[1].delivery_id
    );
    assert_eq!((drain(&b).await.len(), drain(&c).await.len()), (1, 1));
    // One that was closed is named with those that took over.
    let list = house
        .axis
        .file(
            "close.csv",
            format!("code,code_2020,name,parent,state,successors\n{C},,Cơ quan số 3,,closed,{B}\n")
                .as_bytes(),
        )
        .unwrap();
    house
        .axis
        .operate(args![
            "registry",
            "import",
            list,
            "--irregular",
            "--why",
            "as in the samples"
        ])
        .unwrap()
        .ok()
        .unwrap();
    let to = [B, C, "H99.404", B];
    let view = refused(try_push(&a, &Document::new(A, &to, "e").bytes()).await);
    let named: Vec<_> = view
        .details
        .iter()
        .map(|detail| detail.code.as_str())
        .collect();
    assert_eq!(
        named,
        ["CLOSED_RECEIVER", "UNKNOWN_RECEIVER", "REPEATED_RECEIVER"],
        "all at once"
    );
    assert!(
        view.details[0].message.contains(B) && view.details[0].message_en.contains(B),
        "{view:?}"
    );
    // Nor does a closed agency send.
    let view = refused(try_push(&c, &Document::new(C, &[B], "f").bytes()).await);
    assert_eq!(view.name, "SENDER_INACTIVE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_03_acceptance_and_delivery_are_proved_with_time_and_hash() {
    let house = House::new();
    let (a, b) = (house.client(&house.a).await, house.client(&house.b).await);
    let package = document("d").bytes();
    let receipt = push(&a, &package).await;
    assert_eq!(receipt.package_id.len(), 24);
    assert_eq!(receipt.sha256, sha256(&package));
    assert!(receipt.accepted_at.ends_with("+07:00"));
    let anchored = ["verify", "--json", "--anchor", &receipt.anchor];
    let verified = house
        .axis
        .operate(anchored)
        .unwrap()
        .ok()
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(verified[0]["anchors_compared"], 1);
    let (header, _) = fetch_one(&b).await;
    settle(&b, &header).await;
    let trace = a
        .trace(v1::TraceRequest {
            id: receipt.package_id.clone(),
        })
        .await
        .unwrap();
    let of = |kind: &str| {
        trace
            .events
            .iter()
            .find(|event| event.kind == kind)
            .unwrap()
    };
    for kind in ["fetched", "acknowledged"] {
        let event = of(kind);
        assert_eq!(event.actor, "so-b", "who");
        assert!(
            event.at.ends_with("+07:00") && event.at >= receipt.accepted_at,
            "when"
        );
        assert_eq!(event.agency.as_ref().unwrap().main_code, B);
    }
    assert_eq!(trace.packages[0].sha256, sha256(&package));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_04_the_axis_says_to_every_package_of_the_corpus_what_check_says() {
    let (axis, all) = with_the_samples_agencies().await;
    let mut refusals = 0;
    for path in samples() {
        let checked = Cli::new().run(args!["check", "--json", path]).unwrap();
        let line = checked.json().unwrap().remove(0);
        let name = path.display();
        match try_push(&all, &std::fs::read(&path).unwrap()).await {
            Err(api::client::Error::Refused(view)) if view.name == "BAD_PACKAGE" => {
                refusals += 1;
                assert_eq!(line["verdict"], "refused", "{name}: {view:?}");
                let errors = line["findings"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter(|f| f["severity"] == "error");
                let places = errors.map(|f| {
                    (
                        f["code"].as_str().unwrap(),
                        f["path"].as_str().unwrap(),
                        f["line"].as_u64().unwrap(),
                    )
                });
                let told = view
                    .details
                    .iter()
                    .map(|d| (d.code.as_str(), d.path.as_str(), u64::from(d.line)));
                assert!(told.eq(places), "{name}: {view:?} {line}");
            }
            // What the sample answers, recalls or changes was never sent here; or it is the
            // same DocumentId once more. It could be read all the same.
            Err(api::client::Error::Refused(view)) => {
                assert!(
                    [
                        "UNKNOWN_DOCUMENT",
                        "CONFLICT",
                        "NOT_A_RECEIVER",
                        "DOCUMENT_RECALLED"
                    ]
                    .contains(&view.name.as_str()),
                    "{name}: {view:?}"
                );
                assert_eq!(line["verdict"], "accepted", "{name}");
            }
            Ok(_) => assert_eq!(line["verdict"], "accepted", "{name}"),
            Err(error) => panic!("{name}: {error}"),
        }
    }
    assert_eq!(refusals, 4, "malformed and older forms");
    // What the axis writes itself can be read by others: no finding at all.
    push(&all, &document_between_samples(&all).await).await;
    for (_, bytes) in drain(&all).await {
        let reading = read(&bytes, &Limits::default());
        assert!(reading.refusal().is_none());
        if let Some(Package::Status(_)) = &reading.package
            && bytes.starts_with(b"<?xml")
        {
            assert!(reading.package.is_some());
        }
    }
    let own: Vec<_> = drain(&all).await;
    for (header, bytes) in own
        .iter()
        .filter(|(header, _)| header.status.as_ref().is_some_and(|s| s.made_by_axis))
    {
        let findings = read(bytes, &Limits::default()).findings;
        assert!(
            findings
                .iter()
                .all(|finding| finding.severity != edxml::Severity::Error),
            "{header:?}: {findings:?}"
        );
    }
    drop(axis);
}

/// A plain document between two agencies that the axis knows.
async fn document_between_samples(client: &api::Client) -> Vec<u8> {
    let listed = client
        .list_agencies(v1::ListAgenciesRequest::default())
        .await
        .unwrap()
        .agencies;
    Document::new(&listed[0].code, &[&listed[1].code], "plain").bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_07_the_content_and_every_attached_file_travel_together() {
    let house = House::new();
    let (a, b) = (house.client(&house.a).await, house.client(&house.b).await);
    let paper = (0..30).fold(document("d"), |paper, n| {
        paper.attach(usize::try_from(1_000 * n).unwrap(), n)
    });
    let package = paper.bytes();
    let text = String::from_utf8(package.clone()).unwrap();
    let missing = {
        let content = text.find("<AttachmentEncoded>").unwrap();
        let id = content + text[content..].find("<ContentId>cid:7<").unwrap();
        let from = text[..id].rfind("    <Attachment>").unwrap();
        let to = id + text[id..].find("</Attachment>\r\n").unwrap() + "</Attachment>\r\n".len();
        format!("{}{}", &text[..from], &text[to..])
    };
    let view = refused(try_push(&a, missing.as_bytes()).await);
    assert_eq!(view.details[0].code, "REFERENCE_WITHOUT_ATTACHMENT");
    assert!(view.details[0].message.contains("cid:7"), "{view:?}");
    assert!(!push(&a, &package).await.duplicate);
    let (_, got) = fetch_one(&b).await;
    assert!(got == package);
    let Some(Package::Document(read)) = read(&got, &Limits::default()).package else {
        panic!()
    };
    assert_eq!(read.attachments.len(), 31);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sta_03_the_receivers_states_arrive_in_the_senders_status_lane_once_each() {
    let house = House::new();
    let (a, b) = (house.client(&house.a).await, house.client(&house.b).await);
    push(&a, &document("d").bytes()).await;
    let (header, _) = fetch_one(&b).await;
    settle(&b, &header).await;
    let _ = drain(&a).await;
    for code in ["03", "05", "06"] {
        push(&b, &status_package(B, A, "d", code, "")).await;
    }
    let got = drain(&a).await;
    let codes: Vec<_> = got
        .iter()
        .map(|(header, _)| header.status.as_ref().unwrap().code.as_str())
        .collect();
    assert_eq!(codes, ["03", "05", "06"]);
    assert!(
        got.iter()
            .all(|(header, _)| header.lane() == v1::Lane::Status
                && header.kind() == v1::PackageKind::Status)
    );
    assert!(drain(&a).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sg_01_a_bit_that_flips_in_the_store_stops_the_next_read_and_alarms() {
    let mut house = House::of(
        Axis::builder()
            .config(SMALL)
            .expect_log("stored bytes are damaged")
            .expect_log("CONTENT_DAMAGED"),
    );
    let a = house.client(&house.a).await;
    push(&a, &document("file").sized(600_000, 1).bytes()).await;
    push(&a, &document("inline").sized(20_000, 2).bytes()).await;
    push(&a, &document("whole").bytes()).await;
    // More than a segment for others: what lies in a sealed one is read, and checked, only when
    // it is delivered. After a restart nothing of it is in memory either.
    for n in 0..20 {
        let other = Document::new(A, &[C], &format!("other-{n}"));
        push(&a, &other.sized(250_000, n).bytes()).await;
    }
    house.axis.kill9().unwrap();
    let data = house.axis.data();
    let payload = files(&data.join("payloads")).remove(0);
    patch(&payload, 300_000, |bytes| bytes[0] ^= 1, 1);
    let segment = crate::house::segments(data).remove(0);
    let at = find(&segment, b"<edXML:DocumentId>inline").unwrap();
    patch(&segment, at + 5_000, |bytes| bytes[0] ^= 1, 1);

    house.axis.restart().unwrap();
    let (a, b) = (house.client(&house.a).await, house.client(&house.b).await);

    // Whichever comes first: the damaged ones are refused before their last byte, the whole one
    // is delivered.
    let mut whole = 0;
    let mut damaged = 0;
    for _ in 0..10 {
        let request = v1::FetchRequest {
            max_deliveries: 1,
            ..v1::FetchRequest::default()
        };
        let outcome = async {
            let mut deliveries = b.fetch(request).await?;
            let Some(header) = deliveries.next().await? else {
                return Ok(None);
            };
            let mut size = 0;
            while let Some(chunk) = deliveries.chunk().await? {
                size += chunk.len() as u64;
            }
            assert_eq!(size, header.size);
            Ok::<_, api::client::Error>(Some(header))
        }
        .await;
        match outcome {
            Ok(None) => break,
            Ok(Some(header)) => {
                assert_eq!(header.document.as_ref().unwrap().document_id(), "whole");
                settle(&b, &header).await;
                whole += 1;
            }
            Err(error) => {
                assert_eq!(refused::<()>(Err(error)).name, "CONTENT_DAMAGED");
                damaged += 1;
            }
        }
    }
    assert_eq!((whole, damaged > 0), (1, true));
    assert!(drain(&a).await.len() == 1, "a 01 of the whole one only");
    let log = house.axis.stderr().text();
    assert!(log.contains("ERROR"), "no alarm in the log:\n{log}");
    let verified = house
        .axis
        .operate(["verify", "--json"])
        .unwrap()
        .code(1)
        .unwrap();
    assert_eq!(verified.json().unwrap()[0]["sound"], false);
}

/// What waits, each delivery downloaded again: both ways it must be the same.
async fn fetch_and_download(client: &api::Client) -> Vec<(v1::DeliveryHeader, Vec<u8>)> {
    let got = fetch(client, 100).await;
    for (header, bytes) in &got {
        let request = v1::DownloadRequest {
            delivery_id: header.delivery_id.clone(),
        };
        let mut download = client.download(request).await.unwrap();
        download.next().await.unwrap().unwrap();
        let mut again = Vec::new();
        while let Some(chunk) = download.chunk().await.unwrap() {
            again.extend_from_slice(&chunk);
        }
        assert!(&again == bytes);
    }
    got
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sg_08_what_comes_out_is_what_came_in_byte_for_byte() {
    let (axis, all) = with_the_samples_agencies().await;
    let mut sent: Vec<Vec<u8>> = Vec::new();
    let mut got = Vec::new();
    for path in samples() {
        let bytes = std::fs::read(&path).unwrap();
        if try_push(&all, &bytes).await.is_ok() {
            sent.push(bytes);
            // At once: the samples hold a recall.
            got.extend(fetch_and_download(&all).await);
        }
    }
    // Bytes that a program which parses and writes again would lose.
    let code = {
        let listed = all
            .list_agencies(v1::ListAgenciesRequest::default())
            .await
            .unwrap()
            .agencies;
        listed[0].code.clone()
    };
    let plain = String::from_utf8(Document::new(&code, &[&code], "odd").bytes()).unwrap();
    for (n, odd) in [
        format!("\u{feff}{plain}"),
        plain.replace("\r\n", "\n"),
        plain.replace(
            "<edXML:Subject>V",
            "<edXML:Subject xmlns:x='y' x:z=\"1\"><![CDATA[V]]>",
        ),
        plain.replace("</edXML>\r\n", "<!-- cuối --></edXML>  \r\n\r\n\t"),
        plain.replace("V/v", "V/v e\u{301}\u{1f4c4} &#x41;"),
    ]
    .into_iter()
    .enumerate()
    {
        let odd = odd
            .replace(
                "<edXML:DocumentId>odd",
                &format!("<edXML:DocumentId>odd-{n}"),
            )
            .into_bytes();
        push(&all, &odd).await;
        sent.push(odd);
    }
    assert!(sent.len() >= 12);
    got.extend(fetch_and_download(&all).await);
    for bytes in &sent {
        let copy = got
            .iter()
            .find(|(header, _)| header.sha256 == sha256(bytes));
        let (_, copy) =
            copy.unwrap_or_else(|| panic!("it does not come: {}", String::from_utf8_lossy(bytes)));
        assert!(copy == bytes);
    }
    drop(axis);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sc_10_version_and_build_are_the_same_wherever_they_are_told() {
    let house = House::new();
    let told = Cli::new().run(["--version"]).unwrap().ok().unwrap().stdout;
    let info = house
        .operator()
        .await
        .info(v1::InfoRequest {})
        .await
        .unwrap();
    assert_eq!(info.version, env!("CARGO_PKG_VERSION"));
    assert!(
        told.contains(&info.version) && told.contains(&info.build),
        "{told} {info:?}"
    );
    assert!(!info.build.is_empty());
    let log = house.axis.stderr().text();
    assert!(
        log.contains(&format!("{} ({})", info.version, info.build)),
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sc_11_only_the_receivers_system_gets_the_content() {
    let house = House::new();
    let [a, b, c] = [
        house.client(&house.a).await,
        house.client(&house.b).await,
        house.client(&house.c).await,
    ];
    let receipt = push(&a, &document("d").bytes()).await;
    let delivery_id = receipt.receivers[0].delivery_id.clone();
    assert!(fetch(&c, 10).await.is_empty());
    let of_b = v1::FetchRequest {
        agency: Some(B.to_owned()),
        ..v1::FetchRequest::default()
    };
    let fetched = match c.fetch(of_b).await {
        Ok(mut deliveries) => deliveries.next().await.map(drop),
        Err(error) => Err(error),
    };
    assert_eq!(refused(fetched).name, "NOT_FOUND");
    for stranger in [&a, &c] {
        let request = v1::DownloadRequest {
            delivery_id: delivery_id.clone(),
        };
        let download = match stranger.download(request).await {
            Ok(mut deliveries) => deliveries.next().await.map(drop),
            Err(error) => Err(error),
        };
        assert_eq!(refused(download).name, "FOREIGN_DELIVERY");
    }
    let trace = |id: &str| v1::TraceRequest { id: id.to_owned() };
    for id in [receipt.package_id.as_str(), &delivery_id, "d"] {
        assert_eq!(refused(c.trace(trace(id)).await).name, "NOT_FOUND", "{id}");
    }
    assert!(
        c.search(v1::SearchRequest::default())
            .await
            .unwrap()
            .packages
            .is_empty()
    );
    let matrix = v1::MatrixRequest {
        sender: A.to_owned(),
        document_id: "d".to_owned(),
        ..v1::MatrixRequest::default()
    };
    assert_eq!(refused(c.matrix(matrix).await).name, "NOT_FOUND");
    let (header, _) = fetch_one(&b).await;
    assert_eq!(header.delivery_id, delivery_id);
    // Each reading is on record.
    let events = eventually("the reading's record", || async {
        let events = a.trace(trace(&receipt.package_id)).await.unwrap().events;
        events
            .iter()
            .any(|event| event.kind == "fetched")
            .then_some(events)
    })
    .await;
    assert!(events.iter().all(|event| event.actor != "so-c"));
}

#[test]
fn tm_01_a_server_in_utc_and_one_in_vietnam_say_the_same() {
    let mut house = House::new();
    let _ = house.send(&[document("d").bytes()]);
    let out = tempfile::tempdir().unwrap();
    let _ = house.receive(&house.b, out.path());
    assert_eq!(house.axis.terminate().unwrap(), 0);
    let copies = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    for zone in ["UTC", "Asia/Ho_Chi_Minh", "America/New_York"] {
        let data = copies.path().join(zone.replace('/', "-"));
        copy_folder(house.axis.data(), &data);
        std::fs::copy(
            format!("{}.key", house.axis.data().display()),
            format!("{}.key", data.display()),
        )
        .unwrap();
        let axis = Axis::builder()
            .data(&data)
            .config(SMALL)
            .env("TZ", zone)
            .start()
            .unwrap();
        let mut texts = String::new();
        for args in [
            &["history", "--json"][..],
            &["history"],
            &["trace", "d", "--json"],
            &["trace", "d"],
            &["status", "matrix", "d", "--sender", A],
            &["system", "list", "--json"],
            &["registry", "list", "--json"],
        ] {
            let mut args = args.to_vec();
            let data = data.to_str().unwrap();
            args.extend(["--data", data]);
            texts += &Cli::new()
                .env("TZ", zone)
                .run(args)
                .unwrap()
                .ok()
                .unwrap()
                .stdout;
        }
        let log = axis.stderr().text();
        assert!(log.lines().all(|line| line.contains("+07:00 ")), "{log}");
        all.push(texts);
    }
    assert!(all[0].contains("+07:00\"") && !all[0].contains("Z\""));
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{all:?}");
}
