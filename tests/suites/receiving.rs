//! `axis receive`, as scripts use it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use testkit::{Document, Process, Signal, System, axis_binary};

use crate::house::{A, B, C, House, SOON, document, sha256};

/// `axis receive ARGS` that goes on; to be signalled.
fn start(house: &House, system: &System, out: &Path, more: &[&str]) -> Process {
    let mut command = Command::new(axis_binary().unwrap());
    command
        .args(["receive", "--json", "--out"])
        .arg(out)
        .args(more)
        .env("AXIS_SERVER", format!("http://{}", house.axis.grpc()))
        .env("AXIS_SYSTEM", &system.id)
        .env("AXIS_KEY", &system.key);
    Process::start(&mut command, None).unwrap()
}

fn lines(process: &Process, count: usize) -> Vec<serde_json::Value> {
    process
        .stdout()
        .wait_for("the lines", SOON, |text| {
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            let lines: Vec<_> = whole.lines().collect();
            (lines.len() >= count).then(|| {
                lines
                    .iter()
                    .map(|line| serde_json::from_str(line).unwrap())
                    .collect()
            })
        })
        .unwrap()
}

#[test]
fn what_waits_becomes_durable_files_each_with_its_line_and_is_settled() {
    let house = House::new();
    let packages: Vec<_> = (0..3)
        .map(|n| {
            Document::new(A, &[B, C], &format!("d{n}"))
                .sized(1000 << (4 * n), n)
                .bytes()
        })
        .collect();
    let sent = house.send(&packages);
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().join("made/when/missing");
    let got = house.receive(&house.b, &folder);
    assert_eq!(got.len(), 3);
    for ((line, receipt), package) in got.iter().zip(&sent).zip(&packages) {
        let keys: Vec<_> = line
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            keys[..7],
            [
                "package", "delivery", "kind", "sender", "receiver", "sha256", "file"
            ]
        );
        assert_eq!(line["package"], receipt["id"]);
        assert_eq!(line["delivery"], receipt["deliveries"][0]["id"]);
        assert_eq!(
            (&line["kind"], &line["sender"], &line["receiver"]),
            (&json!("document"), &json!(A), &json!(B))
        );
        assert_eq!(line["sha256"], sha256(package));
        let file = Path::new(line["file"].as_str().unwrap());
        assert!(file.starts_with(&folder));
        assert!(
            &std::fs::read(file).unwrap() == package,
            "as sent, byte for byte"
        );
        assert_eq!(line["redelivered"], false);
    }
    assert_eq!(
        crate::house::files(&folder).len(),
        3,
        "no other file is left"
    );
    assert_eq!(
        house.receive(&house.b, &folder).len(),
        0,
        "settled is settled"
    );
    // The other receiver has its own copies.
    assert_eq!(house.receive(&house.c, &out.path().join("c")).len(), 3);
    // The sender has the axis's 01 of each, at each.
    let news = house.receive(&house.a, &out.path().join("a"));
    assert_eq!(news.len(), 6);
    assert!(
        news.iter()
            .all(|line| line["kind"] == "status" && line["status"] == "01")
    );
}

#[test]
fn nothing_waiting_is_0_and_max_leaves_the_rest() {
    let house = House::new();
    let out = tempfile::tempdir().unwrap();
    assert_eq!(house.receive(&house.b, out.path()).len(), 0);
    let _ = house.send(&[
        document("a").bytes(),
        document("b").bytes(),
        document("c").bytes(),
    ]);
    let two = house
        .cli(&house.b)
        .run(args![
            "receive",
            "--json",
            "--max",
            "2",
            "--out",
            out.path(),
        ])
        .unwrap()
        .ok()
        .unwrap();
    assert_eq!(two.json().unwrap().len(), 2);
    let rest = house.receive(&house.b, out.path());
    assert_eq!((rest.len(), &rest[0]["document"]), (1, &json!("c")));
    assert_eq!(
        rest[0]["redelivered"], false,
        "what was not handed out was not offered"
    );
}

#[test]
fn without_settling_everything_is_offered_again_at_once() {
    let house = House::new();
    let _ = house.send(&[document("a").bytes(), document("b").bytes()]);
    let out = tempfile::tempdir().unwrap();
    for again in [false, true] {
        let peeked = house
            .cli(&house.b)
            .run(args!["receive", "--no-ack", "--json", "--out", out.path(),])
            .unwrap()
            .ok()
            .unwrap();
        let peeked = peeked.json().unwrap();
        assert_eq!(peeked.len(), 2);
        assert!(
            peeked.iter().all(|line| line["redelivered"] == again),
            "{peeked:?}"
        );
    }
    assert_eq!(house.receive(&house.b, out.path()).len(), 2);
    assert_eq!(
        crate::house::files(out.path()).len(),
        2,
        "a delivery replaces its own file"
    );
}

#[test]
fn following_takes_what_comes_and_a_signal_is_its_usual_end() {
    let house = House::new();
    let out = tempfile::tempdir().unwrap();
    let _ = house.send(&[document("a").bytes()]);
    for (signal, ids) in [(Signal::TERM, ["a", "b"]), (Signal::INT, ["c", "d"])] {
        let mut follower = start(&house, &house.b, out.path(), &["--follow"]);
        if ids[0] == "c" {
            let _ = house.send(&[document("c").bytes()]);
        }
        lines(&follower, 1);
        let _ = house.send(&[document(ids[1]).bytes()]);
        let got = lines(&follower, 2);
        let documents: BTreeSet<_> = got
            .iter()
            .map(|line| line["document"].as_str().unwrap())
            .collect();
        assert_eq!(documents, BTreeSet::from(ids));
        follower.signal(signal).unwrap();
        let ended = follower.wait(SOON).unwrap().unwrap();
        assert_eq!(ended.code(), Some(0), "{}", follower.stderr().text());
    }
    assert_eq!(
        house.receive(&house.b, out.path()).len(),
        0,
        "all of it was settled"
    );
}

#[test]
fn an_early_end_gives_back_at_once_what_was_not_settled() {
    let house = House::new();
    let out = tempfile::tempdir().unwrap();
    let ids: Vec<_> = (0..6).map(|n| format!("d{n}")).collect();
    let packages: Vec<_> = ids.iter().map(|id| document(id).bytes()).collect();
    let _ = house.send(&packages);
    // A script that takes one line and leaves: the pipe is broken. What it read is its own.
    let script = format!(
        "{} receive --json --no-ack --follow --out {} | head -n 1",
        axis_binary().unwrap().display(),
        out.path().display()
    );
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &script])
        .env("AXIS_SERVER", format!("http://{}", house.axis.grpc()))
        .env("AXIS_SYSTEM", &house.b.id)
        .env("AXIS_KEY", &house.b.key);
    let mut shell = Process::start(&mut shell, None).unwrap();
    assert!(
        shell.wait(SOON).unwrap().is_some(),
        "the broken pipe ends it"
    );
    // A follower that holds leases, ended by each signal.
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let mut follower = start(&house, &house.b, out.path(), &["--follow", "--no-ack"]);
        lines(&follower, 6);
        follower.signal(signal).unwrap();
        assert!(follower.wait(SOON).unwrap().is_some());
    }
    // A lease lasts five minutes; they are offered now.
    let got = crate::house::wait_until("all to be offered again", || {
        let got = house
            .cli(&house.b)
            .run(args!["receive", "--json", "--no-ack", "--out", out.path(),])
            .unwrap()
            .ok()
            .unwrap();
        let got = got.json().unwrap();
        (got.len() == 6).then_some(got)
    });
    assert!(got.iter().all(|line| line["redelivered"] == true));
    assert_eq!(house.receive(&house.b, out.path()).len(), 6);
}
