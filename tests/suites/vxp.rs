//! The VXP endpoint, as the official client uses it: a real daemon, a client that imitates the
//! SDK byte by byte, and gRPC clients beside it.

#[path = "vxp/sdk.rs"]
mod sdk;

use std::net::SocketAddr;

use api::v1;
use serde_json::{Value, json};
use testkit::{Axis, Document, System, status_package};

use self::sdk::{Sdk, answer, decoded, encoded};
use crate::house::{
    A, B, C, House, SMALL, document, drain, eventually, fetch_one, hex, push, refused, settle,
    try_push,
};

fn address(house: &House) -> SocketAddr {
    house.axis.ready().vxp.expect("the VXP listener")
}

fn sdk(house: &House, system: &System) -> Sdk {
    Sdk::new(address(house), &system.id, &system.key)
}

/// The statuses that a receiver got, as (From, code).
fn code_of(package: &[u8]) -> String {
    let text = String::from_utf8_lossy(package);
    let (_, rest) = text.split_once("StatusCode>").unwrap();
    rest[..2].to_owned()
}

/// The package inside the answer to getEdoc.
#[track_caller]
fn package(reply: &sdk::Reply) -> Vec<u8> {
    decoded(reply.ok()["data"].as_str().unwrap())
}

#[test]
fn nb_03_a_system_with_the_national_sdk_sends_receives_and_reports() {
    let house = House::new();
    let (mut a, mut b) = (sdk(&house, &house.a), sdk(&house, &house.b));
    let file = Document::new(A, &[B, C], "văn-bản-1")
        .sized(200_000, 1)
        .bytes();
    let id = a.sent(A, &file);

    // The receiver's day: list, count, get, download, done.
    let rows = b.waiting("edoc");
    assert_eq!(rows.len(), 1);
    let doc_id = rows[0]["docId"].as_str().unwrap().to_owned();
    assert_eq!(
        (
            &rows[0]["from"],
            &rows[0]["to"],
            &rows[0]["messageType"],
            &rows[0]["status"]
        ),
        (&json!(A), &json!(B), &json!("edoc"), &json!("initial"))
    );
    assert_eq!(b.call("countReceiveEdoc", b"{}").ok()["count"], 1);
    assert_eq!(b.call("countReceiveStatus", b"{}").ok()["count"], 0);
    assert!(b.waiting("status").is_empty());
    assert_eq!(
        package(&b.get(&doc_id)),
        file,
        "byte for byte, without the CR LF"
    );
    assert_eq!(b.download(&doc_id).body, file);
    b.update(&doc_id, "processing").ok();
    // Until done it is there again at every poll, and done twice is done.
    assert_eq!(b.ids("edoc"), [doc_id.as_str()]);
    b.update(&doc_id, "done").ok();
    assert!(b.ids("edoc").is_empty());
    b.update(&doc_id, "done").ok();

    // The sender sees how far each copy is.
    let copies = a.sent_list(&id).ok()["data"].as_array().unwrap().clone();
    let state = |code: &str| {
        let copy = copies.iter().find(|copy| copy["toCode"] == code).unwrap();
        assert_eq!(
            (&copy["senderDocId"], &copy["fromCode"]),
            (&json!(id), &json!(A))
        );
        copy["receiveStatus"].as_str().unwrap().to_owned()
    };
    assert_eq!((state(B).as_str(), state(C).as_str()), ("done", "initial"));
    assert!(
        copies
            .iter()
            .any(|copy| copy["receiverDocId"] == doc_id.as_str())
    );

    // The receiver reports 03; the sender has the axis's 01 and then that.
    let report = status_package(B, A, "văn-bản-1", "03", "");
    assert!(b.send_edoc(B, "status", &report).ok()["DocId"].is_string());
    let mut codes = Vec::new();
    assert_eq!(a.call("countReceiveStatus", b"{}").ok()["count"], 2);
    for doc_id in a.ids("status") {
        codes.push(code_of(&package(&a.get(&doc_id))));
        a.update(&doc_id, "done").ok();
    }
    assert_eq!(codes, ["01", "03"], "the oldest first");
    assert!(a.ids("status").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_grpc_pushes_vxp_fetches_and_the_other_way_round() {
    let house = House::new();
    let (a, b) = (house.client(&house.a).await, house.client(&house.b).await);
    let vxp = |system: &System| sdk(&house, system);
    // gRPC to VXP.
    let file = document("g").bytes();
    push(&a, &file).await;
    let (mut sdk_a, mut sdk_b) = (vxp(&house.a), vxp(&house.b));
    let (row, got) = tokio::task::block_in_place(|| {
        let rows = sdk_b.waiting("edoc");
        let id = rows[0]["docId"].as_str().unwrap().to_owned();
        let got = package(&sdk_b.get(&id));
        sdk_b.update(&id, "done").ok();
        (rows[0].clone(), got)
    });
    assert_eq!((got, &row["to"]), (file, &json!(B)));
    // The 01 that its `done` made comes home by gRPC.
    let news = drain(&a).await;
    assert_eq!(
        news.iter()
            .map(|(_, bytes)| code_of(bytes))
            .collect::<Vec<_>>(),
        ["01"]
    );

    // VXP to gRPC, and a status back.
    let file = document("v").bytes();
    let id = tokio::task::block_in_place(|| sdk_a.sent(A, &file));
    let (header, got) = fetch_one(&b).await;
    assert_eq!((got, &header.package_id), (file, &id));
    // Fetched by gRPC and not settled: the list of VXP has it all the same, by the same id.
    let ids = tokio::task::block_in_place(|| sdk_b.ids("edoc"));
    assert_eq!(ids, [header.delivery_id.as_str()]);
    settle(&b, &header).await;
    push(&b, &status_package(B, A, "v", "06", "")).await;
    let codes = tokio::task::block_in_place(|| {
        assert!(sdk_b.ids("edoc").is_empty());
        let ids = sdk_a.ids("status");
        ids.iter()
            .map(|id| code_of(&package(&sdk_a.get(id))))
            .collect::<Vec<_>>()
    });
    assert_eq!(codes, ["01", "06"]);
}

#[test]
fn f1_a_sender_that_is_not_the_systems_is_told_which_code_and_which_system() {
    let house = House::new();
    let mut a = sdk(&house, &house.a);
    // By the header alone, and by the package where the header is right.
    let reply = a.send_edoc(B, "edoc", &document("x").bytes());
    assert_eq!(reply.fail(), ("19".to_owned(), "FOREIGN_SENDER".to_owned()));
    let answer = reply.json();
    assert_eq!(answer["DocId"], "");
    let text = answer["ErrorDesc"].as_str().unwrap();
    assert!(text.contains(B) && text.contains("so-a"), "{text}");
    assert!(reply.body.is_ascii(), "the client reads it as US-ASCII");
    let foreign = Document::new(B, &[C], "x").bytes();
    assert_eq!(a.send_edoc(A, "edoc", &foreign).fail().0, "19");
}

#[test]
fn t13_and_f3_a_send_whose_answer_was_lost_is_answered_alike_also_after_kill_9() {
    let mut house = House::new();
    let mut a = sdk(&house, &house.a);
    let file = document("d").bytes();
    let request = a.sending(A, "edoc", &file);
    // It goes, and the answer is not waited for: the daemon dies when the package is there.
    let lost = a.begin(&request);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let first = runtime.block_on(async {
        let operator = house.operator().await;
        eventually("the package", || async {
            let found = operator.search(v1::SearchRequest::default()).await.unwrap();
            found
                .packages
                .first()
                .map(|package| package.package_id.clone())
        })
        .await
    });
    house.axis.kill9().unwrap();
    drop(lost);
    house.axis.restart().unwrap();
    let again = Sdk::new(address(&house), &house.a.id, &house.a.key);
    // Blindly, as it is; and once more.
    for _ in 0..2 {
        assert_eq!(again.send(&request).ok()["DocId"], first.as_str());
    }
    assert_eq!(sdk(&house, &house.b).ids("edoc").len(), 1, "one delivery");
}

#[test]
fn f4_settling_is_the_receivers_own_and_what_is_foreign_or_unknown_is_refused() {
    let house = House::new();
    let (mut a, mut b, mut c) = (
        sdk(&house, &house.a),
        sdk(&house, &house.b),
        sdk(&house, &house.c),
    );
    a.sent(A, &document("d").bytes());
    let id = b.ids("edoc").remove(0);
    for reply in [
        c.get(&id),
        c.update(&id, "done"),
        c.update(&id, "processing"),
    ] {
        assert_eq!(
            reply.fail(),
            ("21".to_owned(), "FOREIGN_DELIVERY".to_owned())
        );
    }
    let none = "00000000-0000-0000-0000-000000000000";
    for reply in [b.get(none), b.update(none, "fail"), b.get("không-phải-mã")] {
        assert_eq!(reply.fail(), ("21".to_owned(), "NOT_FOUND".to_owned()));
    }
    assert_eq!(
        b.update(&id, "xong").fail(),
        ("10".to_owned(), "status = \"xong\"".to_owned())
    );
    // The receiver cannot read it: the sender sees it.
    b.put("description", "khong doc duoc");
    b.update(&id, "fail").ok();
    assert!(b.ids("edoc").is_empty());
    let sent = house
        .cli(&house.a)
        .run(args!["history", "--json"])
        .unwrap()
        .ok()
        .unwrap();
    let line = &sent.json().unwrap()[0];
    assert_eq!(line["deliveries"][0]["state"], "failed");
}

#[test]
fn f17_a_refused_download_has_no_body_that_would_be_saved_as_a_package() {
    let house = House::new();
    let mut b = sdk(&house, &house.b);
    let reply = b.download("00000000-0000-0000-0000-000000000000");
    assert_eq!((reply.status, reply.body.as_slice()), (404, &b""[..]));
    assert!(
        reply
            .head
            .to_lowercase()
            .contains("xroadvnpt-errorcode: 21"),
        "{}",
        reply.head
    );
    let stranger = Sdk::new(address(&house), "so-b", "sai-khoa").download("x");
    assert_eq!((stranger.status, stranger.body.len()), (401, 0));
}

#[test]
fn rc_what_is_recalled_is_never_served_again() {
    let house = House::new();
    let (mut a, mut b, mut c) = (
        sdk(&house, &house.a),
        sdk(&house, &house.b),
        sdk(&house, &house.c),
    );
    let file = Document::new(A, &[B, C], "d");
    a.sent(A, &file.bytes());
    let (at_b, at_c) = (b.ids("edoc").remove(0), c.ids("edoc").remove(0));
    package(&b.get(&at_b));
    a.sent(A, &file.recalling("Ban hành nhầm").bytes());
    // One had it and gets the recall; the other had it not and gets nothing.
    for (sdk, id) in [(&mut b, &at_b), (&mut c, &at_c)] {
        assert_eq!(sdk.get(id).fail(), ("21".to_owned(), "RECALLED".to_owned()));
        let reply = sdk.download(id);
        assert_eq!((reply.status, reply.body.len()), (410, 0));
    }
    let recall = b.ids("edoc");
    assert_eq!(recall.len(), 1);
    assert!(!recall.contains(&at_b));
    assert!(c.ids("edoc").is_empty());
    let states = a.call("countReceiveStatus", b"{}").ok();
    assert_eq!(states["count"], 1, "the 15 that the axis made for C");
}

#[test]
fn bodies_and_hashes_of_every_known_client_are_understood() {
    let house = House::new();
    let mut a = sdk(&house, &house.a);
    let file = |id: &str| document(id).bytes();
    // Padded; without CR LF; base64 on lines; upper case.
    let padded = file("padded");
    let sha256 = crate::house::sha256(&padded);
    a.sending(A, "edoc", &padded);
    a.put("hash-file", &sha256.to_uppercase());
    a.send(&a.prepare("POST", "sendEdoc", &padded)).ok();
    let text = file("base64");
    a.sending(A, "edoc", &text);
    let lines: Vec<u8> = encoded(&text)
        .as_bytes()
        .chunks(76)
        .flat_map(|line| [line, b"\r\n"].concat())
        .collect();
    let id = a.send(&a.prepare("POST", "sendEdoc", &lines)).ok()["DocId"].clone();
    // The bytes are those of the file, not of the text: the same file sent raw is the same.
    assert_eq!(a.sent(A, &text), id.as_str().unwrap());

    // Another file than was hashed, none hashed, none signed.
    a.sending(A, "edoc", &file("one"));
    let other = a.send(&a.prepare("POST", "sendEdoc", &file("two")));
    assert_eq!(other.fail().0, "10");
    let mut bare = sdk(&house, &house.a);
    bare.put("from", A);
    let none = bare.send(&bare.prepare("POST", "sendEdoc", &file("one")));
    assert_eq!(
        (none.fail().0.as_str(), &none.json()["DocId"]),
        ("10", &json!(""))
    );
    assert_eq!(sdk(&house, &house.b).ids("edoc").len(), 2);
}

#[test]
fn sc_03_altered_late_and_replayed_requests() {
    let house = House::with_config("[vxp.timestamp_tolerance_seconds]\n\"so-c\" = 600\n");
    let mut a = sdk(&house, &house.a);
    let wrong = |reply: sdk::Reply| {
        assert_eq!(reply.json()["ErrorCode"], "15", "{}", reply.json());
    };
    // Altered: a header, the signed text, the signature, one header more than was signed.
    let request = a.sending(A, "edoc", &document("d").bytes());
    for name in [
        "XroadVnpt-from",
        "XroadVnpt-sign-header",
        "XroadVnpt-hash-header",
    ] {
        let mut altered = request.clone();
        let (_, value) = altered
            .headers
            .iter_mut()
            .find(|(known, _)| known == name)
            .unwrap();
        *value = value.replacen(['0', '1', 'a'], "7", 1);
        wrong(a.send(&altered));
    }
    let mut twice = request.clone();
    twice
        .headers
        .insert(0, ("XroadVnpt-from".to_owned(), A.to_owned()));
    wrong(a.send(&twice));
    // Unsigned parameters are none: this client signs another one's docId with nothing.
    let mut b = sdk(&house, &house.b);
    let mut unsigned = b.prepare("POST", "updateStatus", b"{}");
    unsigned
        .headers
        .insert(0, ("XroadVnpt-status".to_owned(), "done".to_owned()));
    assert_eq!(b.send(&unsigned).fail().0, "10");

    // Replayed writes are answered alike, from anywhere; replayed reads from one address only.
    let id = a.send(&request).ok()["DocId"].clone();
    let overheard = a.clone().at_address("127.0.0.2");
    assert_eq!(overheard.send(&request).ok()["DocId"], id);
    let doc_id = b.ids("edoc").remove(0);
    b.put("docId", &doc_id);
    let read = b.prepare("POST", "getEdoc", b"{}");
    b.send(&read).ok();
    wrong(b.clone().at_address("127.0.0.2").send(&read));
    b.send(&read).ok();
    assert_eq!(b.ids("edoc").len(), 1);

    // Late: only where a tolerance is set. Who runs for days sends timestamps that are days old.
    let now = ledger::time::Clock::system().now().0;
    sdk(&house, &house.b)
        .made_at(now - 5 * 86_400_000)
        .list("edoc")
        .ok();
    for off in [-601_000, 601_000] {
        wrong(sdk(&house, &house.c).made_at(now + off).list("edoc"));
    }
    sdk(&house, &house.c)
        .made_at(now - 60_000)
        .list("edoc")
        .ok();
}

#[test]
fn sc_02_plain_http_is_taken_from_the_networks_that_are_named_and_a_system_from_its_own() {
    let house = House::with_config(
        "[vxp]\nplain_http_from = [\"127.0.0.1/32\", \"127.0.0.3/32\"]\n\
         [vxp.addresses]\n\"so-b\" = [\"127.0.0.3/32\"]\n",
    );
    let a = sdk(&house, &house.a);
    let list = |mut sdk: Sdk| sdk.list("edoc");
    list(a.clone()).ok();
    let outside = list(a.at_address("127.0.0.2"));
    assert_eq!(
        (outside.status, &outside.json()["status"]),
        (403, &json!("FAIL"))
    );
    let b = sdk(&house, &house.b);
    assert_eq!(list(b.clone()).fail().0, "15", "its own networks only");
    list(b.at_address("127.0.0.3")).ok();
}

#[test]
fn requests_to_register_and_to_close_wait_for_an_operator() {
    let house = House::new();
    let a = sdk(&house, &house.a);
    let register = |code: &str, name: &str| {
        let body = json!({
            "id": "", "pcode": A, "code": code, "name": name,
            "mail": "phong@thu.vn", "mobile": "0900", "fax": "",
        });
        a.call("registerAgency", body.to_string().as_bytes())
    };
    let show = |code: &str| -> Value {
        let shown = house
            .axis
            .operate(args!["registry", "show", code, "--json"]);
        shown.unwrap().ok().unwrap().json().unwrap().remove(0)
    };
    register("000.01.01.H99", "Phòng Một").ok();
    register("000.01.01.H99", "Phòng Một").ok();
    assert_eq!(show("000.01.01.H99")["state"], "requested");
    // It is nobody yet: no receiver, not in the lists.
    let to = Document::new(A, &["000.01.01.H99"], "d").bytes();
    let mut sender = sdk(&house, &house.a);
    assert_eq!(sender.send_edoc(A, "edoc", &to).fail().0, "18");
    let listed = || {
        let rows = a.call("getAgenciesList", b"").ok()["data"].clone();
        let rows = rows.as_array().unwrap().clone();
        rows.into_iter().any(|row| row["code"] == "000.01.01.H99")
    };
    assert!(!listed());
    let approve = args![
        "registry",
        "approve",
        "000.01.01.H99",
        "--activate",
        "--decision",
        "7/QĐ",
        "--by",
        "Lan"
    ];
    house.axis.operate(approve).unwrap().ok().unwrap();
    assert!(listed());
    sender.send_edoc(A, "edoc", &to).ok();

    // A change and a closing are written beside the agency, and change nothing of it.
    register("000.01.01.H99", "Phòng Hai").ok();
    let shown = show("000.01.01.H99");
    assert_eq!(
        (&shown["state"], &shown["name"]),
        (&json!("active"), &json!("Phòng Một"))
    );
    assert!(
        shown["reason"].as_str().unwrap().contains("Phòng Hai"),
        "{shown}"
    );
    let delete = |code: &str| {
        let mut sdk = sdk(&house, &house.a);
        sdk.put("AgencyCode", code);
        sdk.call("deleteAgency", b"{}")
    };
    delete(A).ok();
    delete(A).ok();
    let shown = show(A);
    assert_eq!(shown["state"], "active");
    assert!(
        shown["reason"].as_str().unwrap().contains("đề nghị đóng"),
        "{shown}"
    );
    assert_eq!(
        delete(B).fail(),
        ("15".to_owned(), "PERMISSION_DENIED".to_owned())
    );
    assert_eq!(delete("000.99.99.H99").fail().1, "NOT_FOUND");
    // What cannot be is refused with its reason.
    for (code, name) in [("", "Phòng"), ("000.01.02.H99", "")] {
        assert_eq!(register(code, name).fail().0, "10");
    }
    assert_eq!(a.call("registerAgency", b"{").fail().0, "10");
}

#[test]
fn t11_agencies_come_whole_in_all_three_lists() {
    let house = House::of(Axis::builder().config(SMALL));
    let mut list = String::from("code,code_2020,name,parent\n");
    for n in 0..2_970 {
        let (a, b) = (10 + n / 99, 1 + n % 99);
        list.push_str(&format!("000.{a}.{b:02}.H99,H99.{b:02}.{a},Cơ quan {n},\n"));
    }
    let path = house.axis.file("many.csv", list.as_bytes()).unwrap();
    let imported = house.axis.operate(args!["registry", "import", path]);
    imported.unwrap().ok().unwrap();
    let a = sdk(&house, &house.a);
    let rows = |operation| {
        a.call(operation, b"").ok()["data"]
            .as_array()
            .unwrap()
            .clone()
    };
    let all = rows("getAgenciesList");
    assert_eq!(all.len(), 2_970 + 9);
    assert_eq!(rows("getSynchronizeUnit").len(), all.len());
    let mut level = a.clone();
    level.put("level", "1");
    let both = level.call("getAgenciesListQD20", b"").ok();
    let both = both["data"].as_array().unwrap();
    let one = both.iter().find(|row| row["code"] == "H99.07.10").unwrap();
    assert_eq!(one["code102"], "000.10.07.H99");
}

#[test]
fn every_refusal_that_vxp_can_provoke_has_its_number_of_the_table() {
    let house = House::with_config(
        "[limits]\nmax_package_bytes = 65536\n[vxp]\nmax_requests = 2\nmax_requests_per_second = 100000\n",
    );
    let mut a = sdk(&house, &house.a);
    let mut refused = |file: &[u8]| a.send_edoc(A, "edoc", file).fail();
    let fails = |number: &str, name: &str| (number.to_owned(), name.to_owned());
    let to = |codes: &[&str]| Document::new(A, codes, "d").bytes();
    assert_eq!(
        refused(&document("d").sized(70_000, 1).bytes()),
        fails("10", "TOO_LARGE")
    );
    assert_eq!(refused(b"not xml at all"), fails("22", "BAD_PACKAGE"));
    assert_eq!(
        refused(&to(&["000.00.99.H99"])),
        fails("18", "UNKNOWN_RECEIVER")
    );
    assert_eq!(refused(&to(&[B, B])), fails("18", "REPEATED_RECEIVER"));
    let unknown = document("nie").recalling("x").bytes();
    assert_eq!(refused(&unknown), fails("22", "UNKNOWN_DOCUMENT"));
    let secret = document("s").with(|draft| {
        draft.document.subject = Some("TỐI MẬT: kế hoạch".to_owned());
    });
    assert_eq!(refused(&secret.bytes()), fails("22", "SECRET_MARK"));
    let close = args![
        "registry",
        "close",
        "000.00.05.H99",
        "--successor",
        "000.00.06.H99",
        "--deliveries",
        "stay",
        "--children-to",
        "000.00.06.H99",
        "--decision",
        "9/QĐ",
        "--by",
        "Lan"
    ];
    house.axis.operate(close).unwrap().ok().unwrap();
    assert_eq!(
        refused(&to(&["000.00.05.H99"])),
        fails("23", "CLOSED_RECEIVER")
    );

    let mut sender = sdk(&house, &house.a);
    sender.sent(A, &document("k").bytes());
    let other = document("k").with(|draft| {
        draft.document.subject = Some("Khác".to_owned());
    });
    assert_eq!(
        sender.send_edoc(A, "edoc", &other.bytes()).fail(),
        fails("22", "CONFLICT")
    );
    sender.sent(A, &document("k").recalling("nhầm").bytes());
    let again = sender.send_edoc(A, "edoc", &document("k").bytes());
    assert_eq!(again.fail(), fails("22", "DOCUMENT_RECALLED"));
    let mut c = sdk(&house, &house.c);
    let stranger = c.send_edoc(C, "status", &status_package(C, A, "k", "03", ""));
    assert_eq!(stranger.fail(), fails("22", "NOT_A_RECEIVER"));

    // Settled, it is not to be failed any more.
    let mut b = sdk(&house, &house.b);
    sender.sent(A, &document("w").bytes());
    let id = b.ids("edoc").pop().unwrap();
    b.update(&id, "done").ok();
    assert_eq!(b.update(&id, "fail").fail(), fails("21", "WRONG_STATE"));

    // Three at once where two may be: two senders have begun and hold their places.
    let request = sender.sending(A, "edoc", &document("l").bytes());
    let mut halves = Vec::new();
    for _ in 0..2 {
        let mut half = request.clone();
        half.body.truncate(100);
        halves.push(sender.begin(&half));
    }
    let limited = || {
        let mut probe = sdk(&house, &house.a);
        let reply = probe.list("edoc");
        (reply.json()["status"] == "FAIL").then(|| (reply.fail(), reply.head))
    };
    let deadline = std::time::Instant::now() + crate::house::SOON;
    let (refusal, head) = loop {
        if let Some(refused) = limited() {
            break refused;
        }
        assert!(std::time::Instant::now() < deadline);
    };
    assert_eq!(refusal, fails("20", "LIMIT_REACHED"));
    let head = head.to_lowercase();
    let seconds = head
        .lines()
        .find_map(|line| line.strip_prefix("retry-after: "));
    let seconds: u64 = seconds.unwrap_or_else(|| panic!("{head}")).parse().unwrap();
    assert!((1..=60).contains(&seconds), "{head}");
    sdk(&house, &house.b).list("edoc").ok();
    // A sender that goes away in its middle has sent nothing, and gives its place back.
    let mut cut = halves.remove(0);
    cut.shutdown(std::net::Shutdown::Write).unwrap();
    let told = String::from_utf8_lossy(&answer_or_nothing(&mut cut)).into_owned();
    assert!(!told.contains("\"OK\""), "{told}");
    drop(halves);
    let deadline = std::time::Instant::now() + crate::house::SOON;
    while limited().is_some() {
        assert!(std::time::Instant::now() < deadline);
    }
    assert!(!b.ids("edoc").iter().any(|id| id == "l"));
    let suspend = args!["registry", "suspend", A, "--why", "kiểm tra", "--by", "Lan"];
    house.axis.operate(suspend).unwrap().ok().unwrap();
    let suspended = sender.send_edoc(A, "edoc", &document("z").bytes());
    assert_eq!(suspended.fail(), fails("19", "SENDER_INACTIVE"));
}

fn answer_or_nothing(stream: &mut std::net::TcpStream) -> Vec<u8> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    // A reset is an answer as well.
    let _ = stream.read_to_end(&mut bytes);
    bytes
}

#[test]
fn t5_and_t6_a_connection_is_kept_and_a_long_list_is_capped_oldest_first() {
    let house = House::with_config("[vxp]\nlist_rows = 5\n");
    let mut a = sdk(&house, &house.a);
    let sent: Vec<String> = (0..8)
        .map(|n| a.sent(A, &document(&format!("d{n}")).level(n % 3).bytes()))
        .collect();
    let mut b = sdk(&house, &house.b);
    assert_eq!(b.call("countReceiveEdoc", b"{}").ok()["count"], 8);
    let mut got = Vec::new();
    for _ in 0..2 {
        let rows = b.ids("edoc");
        assert_eq!(rows.len(), 5.min(8 - got.len()));
        for id in rows {
            let head = package(&b.get(&id));
            got.push(hex(&sha2::Digest::finalize(sha2::Digest::chain_update(
                <sha2::Sha256 as sha2::Digest>::new(),
                &head,
            ))));
            b.update(&id, "done").ok();
        }
    }
    let order: Vec<_> = (0..8)
        .map(|n| crate::house::sha256(&document(&format!("d{n}")).level(n % 3).bytes()))
        .collect();
    assert_eq!(
        (got, sent.len()),
        (order, 8),
        "in order of acceptance, whatever the level"
    );
    // Two requests on one connection.
    let request = b.prepare("POST", "getAgenciesList", b"");
    let mut kept = b.begin(&request);
    answer(&mut kept);
    let mut again = format!("POST /{} HTTP/1.1\r\nHost: x\r\n", request.operation);
    for (name, value) in &request.headers {
        again.push_str(&format!("{}: {value}\r\n", name.to_lowercase()));
    }
    std::io::Write::write_all(&mut kept, format!("{again}\r\n").as_bytes()).unwrap();
    answer(&mut kept).ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_signs_nothing_any_more() {
    let house = House::new();
    let b = sdk(&house, &house.b);
    tokio::task::block_in_place(|| b.clone().list("edoc").ok());
    house
        .axis
        .operate(args!["system", "revoke", "so-b", "--by", "Lan"])
        .unwrap()
        .ok()
        .unwrap();
    let reply = tokio::task::block_in_place(|| b.clone().list("edoc"));
    assert_eq!(
        reply.fail(),
        ("15".to_owned(), "UNAUTHENTICATED".to_owned())
    );
    let a = house.client(&house.a).await;
    let _ = refused(try_push(&a, b"x").await);
}
