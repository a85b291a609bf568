//! `axis status`, `trace`, `history`, `queues`, `redeliver`: what happened, as scripts ask it.

use serde_json::{Value, json};
use testkit::{Document, Finished, System};

use crate::house::{A, B, C, House, document, sha256};

impl House {
    pub(crate) fn ask(&self, args: &[&str]) -> Vec<Value> {
        let mut all = args.to_vec();
        all.push("--json");
        self.axis
            .operate(all)
            .unwrap()
            .ok()
            .unwrap()
            .json()
            .unwrap()
    }

    fn report(&self, system: &System, code: &str, to: &str, more: &[&str]) -> Finished {
        let mut args = vec![
            "status",
            "report",
            code,
            "--document",
            "d1",
            "--to",
            to,
            "--json",
        ];
        args.extend(more);
        self.cli(system).run(args).unwrap()
    }
}

#[test]
fn a_receiver_reports_03_05_06_and_the_sender_gets_each_once() {
    let house = House::new();
    let _ = house.send(&[Document::new(A, &[B, C], "d1").bytes()]);
    let out = tempfile::tempdir().unwrap();
    let _ = house.receive(&house.b, out.path());
    for code in ["03", "05", "06"] {
        let reported = house.report(&house.b, code, A, &[]).ok().unwrap();
        let receipt = &reported.json().unwrap()[0];
        assert_eq!(
            (&receipt["kind"], &receipt["receivers"]),
            (&json!("status"), &json!([A]))
        );
        assert_eq!(receipt["id"].as_str().unwrap().len(), 24);
    }
    let no_reason = house.report(&house.b, "02", A, &[]).code(1).unwrap();
    assert!(
        no_reason.stderr.contains("REASON_MISSING"),
        "{}",
        no_reason.stderr
    );
    house.report(&house.b, "2x", A, &[]).code(1).unwrap();
    let stranger = house
        .report(&house.b, "03", "000.00.88.H99", &[])
        .code(1)
        .unwrap();
    assert!(stranger.stderr.contains("000.00.88.H99"));
    let with_reason = ["--reason", "Gửi nhầm địa chỉ", "--staff", "Nguyễn Văn An"];
    house.report(&house.c, "02", A, &with_reason).ok().unwrap();

    let got = house.receive(&house.a, &out.path().join("a"));
    let mut codes: Vec<_> = got
        .iter()
        .map(|line| {
            (
                line["sender"].as_str().unwrap(),
                line["status"].as_str().unwrap(),
            )
        })
        .collect();
    codes.sort_unstable();
    assert_eq!(
        codes,
        [(B, "01"), (B, "03"), (B, "05"), (B, "06"), (C, "02")]
    );
    assert!(got.iter().all(|line| line["document"] == "d1"));

    let matrix = &house.ask(&["status", "matrix", "d1", "--sender", A])[0];
    assert_eq!(
        (&matrix["document"], &matrix["sender"]),
        (&json!("d1"), &json!(A))
    );
    let cells = matrix["cells"].as_array().unwrap();
    let cell = |code: &str| cells.iter().find(|cell| cell["receiver"] == code).unwrap();
    assert_eq!(
        (&cell(B)["state"], &cell(B)["status"]),
        (&json!("acknowledged"), &json!("06"))
    );
    assert_eq!(
        (&cell(C)["state"], &cell(C)["status"]),
        (&json!("pending"), &json!("02"))
    );
    let events = cell(B)["events"].as_array().unwrap();
    assert_eq!(events.len(), 4);
    assert_eq!(
        events
            .iter()
            .filter(|event| event["made_by_axis"] == true)
            .count(),
        1
    );
    assert_eq!(cell(C)["events"][0]["description"], "Gửi nhầm địa chỉ");
}

#[test]
fn a_trace_tells_the_whole_story_by_any_id() {
    let house = House::new();
    let bytes = document("d1").bytes();
    let sent = house.send(std::slice::from_ref(&bytes))[0].clone();
    let (package, delivery) = (
        sent["id"].as_str().unwrap(),
        sent["deliveries"][0]["id"].as_str().unwrap(),
    );
    let out = tempfile::tempdir().unwrap();
    let _ = house.receive(&house.b, out.path());
    house.report(&house.b, "03", A, &[]).ok().unwrap();
    for id in [package, delivery, "d1"] {
        let traced = house.ask(&["trace", id]);
        let trace = &traced[0];
        assert_eq!((traced.len(), &trace["id"]), (1, &json!(id)));
        let events = trace["events"].as_array().unwrap();
        let kinds: Vec<_> = events
            .iter()
            .map(|event| event["kind"].as_str().unwrap())
            .collect();
        for kind in ["accepted", "fetched", "acknowledged"] {
            assert!(kinds.contains(&kind), "{kind} in {kinds:?} of {id}");
        }
        let place = |kind| kinds.iter().position(|k| *k == kind).unwrap();
        assert!(place("accepted") < place("fetched") && place("fetched") < place("acknowledged"));
        let first = &events[place("accepted")];
        assert_eq!(
            (&first["package"], &first["actor"]),
            (&json!(package), &json!("so-a"))
        );
        assert_eq!(events[place("fetched")]["actor"], "so-b");
        for event in events {
            let keys: Vec<_> = event
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            assert_eq!(
                keys,
                [
                    "at",
                    "kind",
                    "package",
                    "delivery",
                    "agency",
                    "actor",
                    "via",
                    "detail",
                    "detail_en",
                    "sha256",
                    "round",
                    "anchor"
                ]
            );
            assert!(event["at"].as_str().unwrap().ends_with("+07:00"));
            assert_ne!(event["detail"], event["detail_en"], "{event}");
        }
    }
    // Each side sees it; a system that has no part in it does not.
    let as_system = |system: &System| house.cli(system).run(["trace", package, "--json"]).unwrap();
    assert_eq!(as_system(&house.a).ok().unwrap().json().unwrap().len(), 1);
    assert_eq!(as_system(&house.b).ok().unwrap().json().unwrap().len(), 1);
    as_system(&house.c).code(1).unwrap();
    house
        .axis
        .operate(["trace", "ffffffffffffffffffffffff", "--json"])
        .unwrap()
        .code(1)
        .unwrap();
    let told = house
        .axis
        .operate(["trace", package])
        .unwrap()
        .ok()
        .unwrap();
    assert!(
        told.stdout.contains("Cơ quan số 2") && !told.stdout.contains('\u{1b}'),
        "{}",
        told.stdout
    );
}

#[test]
fn history_finds_packages_and_refused_pushes() {
    let house = House::new();
    let bytes = document("d1").bytes();
    let sent = house.send(&[bytes.clone(), Document::new(A, &[C], "d2").bytes()]);
    let bad = house.axis.file("bad.edxml", b"<a/>").unwrap();
    house
        .cli(&house.a)
        .run(args!["send", bad])
        .unwrap()
        .code(1)
        .unwrap();
    let all = house.ask(&["history"]);
    assert_eq!(all.len(), 2);
    let one = all.iter().find(|line| line["id"] == sent[0]["id"]).unwrap();
    let keys: Vec<_> = one
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        [
            "id",
            "kind",
            "sender",
            "sender_name",
            "accepted_at",
            "sha256",
            "size",
            "level",
            "content_removed",
            "document",
            "status",
            "deliveries"
        ]
    );
    assert_eq!(
        (&one["sender"], &one["sender_name"]),
        (&json!(A), &json!("Cơ quan số 1"))
    );
    assert_eq!(
        (&one["sha256"], &one["size"]),
        (&json!(sha256(&bytes)), &json!(bytes.len()))
    );
    assert_eq!(
        (&one["document"]["id"], &one["document"]["number"]),
        (&json!("d1"), &json!("12"))
    );
    assert_eq!(
        (
            &one["deliveries"][0]["receiver"],
            &one["deliveries"][0]["state"]
        ),
        (&json!(B), &json!("pending"))
    );
    let as_c = house
        .cli(&house.c)
        .run(["history", "--json"])
        .unwrap()
        .ok()
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(as_c.len(), 1, "a system sees its own: {as_c:?}");
    assert_eq!(as_c[0]["document"]["id"], "d2");

    // Not waited for by the push that was refused, so asked until it is there.
    let refused = crate::house::wait_until("the refusal", || {
        let refused = house.ask(&["history", "--refused"]);
        (!refused.is_empty()).then_some(refused)
    });
    let keys: Vec<_> = refused[0]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        [
            "at", "system", "code", "sender", "sha256", "size", "path", "count"
        ]
    );
    assert_eq!(
        (
            &refused[0]["system"],
            &refused[0]["code"],
            &refused[0]["sha256"]
        ),
        (
            &json!("so-a"),
            &json!("BAD_PACKAGE"),
            &json!(sha256(b"<a/>"))
        )
    );
}

#[test]
fn queues_count_what_waits_by_agency_and_lane() {
    let house = House::new();
    assert!(house.ask(&["queues", "--by", "agency"]).is_empty());
    let package = |id: &str, level| Document::new(A, &[B, C], id).level(level).bytes();
    let _ = house.send(&[package("d0", 0), package("d1", 1), package("d3", 3)]);
    let out = tempfile::tempdir().unwrap();
    let args = args!["receive", "--max", "1", "--json", "--out", out.path()];
    house.cli(&house.c).run(args).unwrap().ok().unwrap();
    let queues = house.ask(&["queues", "--by", "agency"]);
    let of = |code: &str| queues.iter().find(|line| line["agency"] == code).unwrap();
    let keys: Vec<_> = of(B)
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        [
            "agency",
            "name",
            "systems",
            "state",
            "pending",
            "fetched",
            "held",
            "dead",
            "forwarding",
            "leased",
            "ready",
            "unacked",
            "lanes",
            "oldest_at",
            "in_per_minute",
            "out_per_minute",
            "streams",
            "last_fetch_at",
            "paused_at"
        ]
    );
    assert_eq!(
        (&of(B)["pending"], &of(B)["systems"]),
        (&json!(3), &json!(["so-b"]))
    );
    assert_eq!(
        of(B)["lanes"],
        json!({"flash": 1, "urgent": 1, "status": 0, "routine": 1})
    );
    assert_eq!(
        of(C)["lanes"],
        json!({"flash": 0, "urgent": 1, "status": 0, "routine": 1}),
        "the most urgent one was taken"
    );
    assert_eq!(of(A)["lanes"]["status"], 1, "the axis's 01");
    assert!(
        house
            .axis
            .operate(["queues", "--by", "agency"])
            .unwrap()
            .ok()
            .unwrap()
            .stdout
            .contains("Cơ quan số 2")
    );
}

#[test]
fn a_redelivery_opens_a_new_round_with_the_same_bytes_and_counts_once() {
    let house = House::new();
    let bytes = document("d1").sized(300_000, 3).bytes();
    let sent = house.send(&[bytes.clone(), document("d2").bytes()]);
    let id = sent[0]["id"].as_str().unwrap();
    let out = tempfile::tempdir().unwrap();
    assert_eq!(house.receive(&house.b, out.path()).len(), 2);
    house
        .axis
        .operate(["redeliver", "--package", id])
        .unwrap()
        .code(2)
        .unwrap();
    let opened = house.ask(&[
        "redeliver",
        "--package",
        id,
        "--why",
        "B khôi phục bản sao lưu cũ",
        "--by",
        "Lan",
    ]);
    assert_eq!(opened[0]["opened"][0]["package"], id);
    assert_eq!(opened[0]["opened"][0]["round"], 2);
    let again = house.receive(&house.b, &out.path().join("again"));
    assert_eq!(
        (again.len(), &again[0]["round"], &again[0]["package"]),
        (1, &json!(2), &json!(id))
    );
    assert!(std::fs::read(again[0]["file"].as_str().unwrap()).unwrap() == bytes);
    // One package, one delivery in the history, and still one 01 for the sender.
    let history = house.ask(&["history"]);
    let package = history.iter().find(|line| line["id"] == id).unwrap();
    assert_eq!(package["deliveries"].as_array().unwrap().len(), 1);
    assert_eq!(package["deliveries"][0]["round"], 2);
    let news = house.receive(&house.a, &out.path().join("a"));
    assert_eq!(
        news.iter().filter(|line| line["document"] == "d1").count(),
        1
    );
    let events = house.ask(&["trace", id])[0]["events"].clone();
    let redelivered = events
        .as_array()
        .unwrap()
        .iter()
        .find(|event| event["kind"] == "redelivered")
        .unwrap();
    assert!(
        redelivered["detail"]
            .as_str()
            .unwrap()
            .contains("B khôi phục")
            || redelivered["actor"].as_str().unwrap().contains("Lan"),
        "{redelivered}"
    );

    // A receiver that lost its day gets the day again.
    let day = house.ask(&[
        "redeliver",
        "--agency",
        B,
        "--since",
        "2020-01-01",
        "--why",
        "mất dữ liệu",
    ]);
    assert_eq!(day[0]["opened"].as_array().unwrap().len(), 2);
    assert_eq!(house.receive(&house.b, out.path()).len(), 2);
    house
        .axis
        .operate([
            "redeliver",
            "--package",
            "ffffffffffffffffffffffff",
            "--why",
            "x",
        ])
        .unwrap()
        .code(1)
        .unwrap();
}
