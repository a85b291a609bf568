//! `axis verify` and what a restart makes of a folder that was damaged, copied or thinned out.

use std::path::Path;

use serde_json::{Value, json};
use testkit::{Axis, Cli, Document, Finished};

use crate::house::{A, B, House, SMALL, copy_folder, document, files, find, patch, segments};

fn verify(data: &Path, more: &[&str]) -> Finished {
    let mut args = args!["verify", "--json", "--data", data];
    args.extend(more.iter().map(std::ffi::OsString::from));
    Cli::new().run(args).unwrap()
}

fn sound(data: &Path) -> Value {
    verify(data, &[]).ok().unwrap().json().unwrap().remove(0)
}

/// Segment, offset and reason of the one damage that must be found.
fn damage(finished: Finished) -> (String, u64, String) {
    let line = finished.code(1).unwrap().json().unwrap().remove(0);
    assert_eq!(line["sound"], false);
    let damage = &line["damage"][0];
    (
        damage["segment"].as_str().unwrap().to_owned(),
        damage["offset"].as_u64().unwrap(),
        damage["reason"].as_str().unwrap().to_owned(),
    )
}

/// A house through which inline and file payloads have gone, more than one segment of them.
fn lived_in() -> (House, Vec<Value>) {
    let house = House::with_config("");
    let small = (0..3).map(|n| document(&format!("small-{n}")).bytes());
    let large = (0..2).map(|n| document(&format!("large-{n}")).sized(400_000, n).bytes());
    let middle = (0..20).map(|n| document(&format!("middle-{n}")).sized(250_000, n).bytes());
    let sent = house.send(&small.chain(large).chain(middle).collect::<Vec<_>>());
    let out = tempfile::tempdir().unwrap();
    let args = args!["receive", "--max", "4", "--json", "--out", out.path()];
    house.cli(&house.b).run(args).unwrap().ok().unwrap();
    (house, sent)
}

#[test]
fn a_running_axis_a_stopped_folder_and_a_copy_are_verified_alike() {
    let (mut house, sent) = lived_in();
    let running = sound(house.axis.data());
    assert_eq!(
        (&running["by"], &running["torn_tail"]),
        (&json!("axis"), &json!(null))
    );
    assert!(running["segments"].as_u64().unwrap() >= 2, "{running}");
    assert_eq!(running["payloads"], 25);
    let size: u64 = sent.iter().map(|line| line["size"].as_u64().unwrap()).sum();
    assert_eq!(running["payload_bytes"], size);

    assert_eq!(house.axis.terminate().unwrap(), 0);
    let stopped = sound(house.axis.data());
    assert_eq!(
        (&stopped["by"], &stopped["payloads"]),
        (&json!("folder"), &json!(25))
    );
    assert!(
        stopped["records"].as_u64() > running["records"].as_u64(),
        "the stop is a record"
    );

    let copies = tempfile::tempdir().unwrap();
    let copy = copies.path().join("copy");
    copy_folder(house.axis.data(), &copy);
    assert_eq!(sound(&copy), stopped);
    // Neither key nor lock file are needed.
    std::fs::remove_file(copy.join("lock")).unwrap();
    let anchor = sent[7]["anchor"].as_str().unwrap();
    let line = verify(&copy, &["--anchor", anchor])
        .ok()
        .unwrap()
        .json()
        .unwrap()
        .remove(0);
    assert_eq!(
        (&line["sound"], &line["anchors_compared"]),
        (&json!(true), &json!(1))
    );
    // The receipt of another axis is no part of this history.
    let other = House::new();
    let foreign = other.send(&[document("d").bytes()])[0]["anchor"].clone();
    let (_, _, reason) = damage(verify(&copy, &["--anchor", foreign.as_str().unwrap()]));
    assert!(reason.contains("anchor"), "{reason}");
    let _ = verify(&copies.path().join("nothing"), &[]).code(1).unwrap();
}

#[test]
fn an_anchor_shows_that_the_end_was_cut_off() {
    let house = House::new();
    let first = house.send(&[document("d1").bytes()]);
    let copies = tempfile::tempdir().unwrap();
    let old = copies.path().join("old");
    let mut house = house;
    assert_eq!(house.axis.terminate().unwrap(), 0);
    copy_folder(house.axis.data(), &old);
    house.axis.restart().unwrap();
    let second = house.send(&[document("d2").bytes()]);
    let anchor = |lines: &[Value]| lines[0]["anchor"].as_str().unwrap().to_owned();
    let both = [anchor(&first), anchor(&second)];
    let args = ["--anchor", &both[0], "--anchor", &both[1]];
    verify(house.axis.data(), &args).ok().unwrap();
    verify(&old, &args[..2]).ok().unwrap();
    let (_, _, reason) = damage(verify(&old, &args));
    assert!(reason.contains("ends before"), "{reason}");
}

#[test]
fn one_flipped_byte_in_a_copy_is_found_with_segment_and_offset() {
    let (mut house, _) = lived_in();
    assert_eq!(house.axis.terminate().unwrap(), 0);
    let copies = tempfile::tempdir().unwrap();
    let copy = |name: &str| {
        let copy = copies.path().join(name);
        copy_folder(house.axis.data(), &copy);
        copy
    };

    // In the inline content of a package.
    let inline = copy("inline");
    let segment = &segments(&inline)[0];
    let at = find(segment, "Nội dung small-1".as_bytes()).or_else(|| find(segment, b"small-1"));
    patch(segment, at.unwrap(), |bytes| bytes[0] ^= 1, 1);
    let (number, offset, reason) = damage(verify(&inline, &[]));
    assert_eq!(number, "1");
    assert!(offset > 0 && offset <= at.unwrap(), "{offset}: {reason}");

    // In a payload file: the record that names it is told.
    let file = copy("file");
    let payload = files(&file.join("payloads")).remove(0);
    patch(&payload, 200_000, |bytes| bytes[0] ^= 0x80, 1);
    let (_, offset, reason) = damage(verify(&file, &[]));
    assert!(offset > 0 && reason.contains("payload"), "{reason}");
    std::fs::remove_file(&payload).unwrap();
    let (_, _, reason) = damage(verify(&file, &[]));
    assert!(reason.contains("missing"), "{reason}");

    // Where nothing was ever written: in the segment in use and in the one made ahead.
    let unused = copy("unused");
    let ahead = segments(&unused).pop().unwrap();
    patch(&ahead, 3_000_000, |bytes| bytes[0] = 1, 1);
    let (number, offset, reason) = damage(verify(&unused, &[]));
    assert_eq!(
        number,
        ahead
            .file_stem()
            .unwrap()
            .to_str()
            .unwrap()
            .trim_start_matches('0')
    );
    assert_eq!(
        (offset, reason.as_str()),
        (3_000_000, "bytes stand where the segment is unused")
    );
    let people = Cli::new()
        .run(args!["verify", "--data", unused])
        .unwrap()
        .code(1)
        .unwrap();
    assert!(
        people.stdout.contains("offset 3000000") && people.stderr.contains("backup"),
        "{} {}",
        people.stdout,
        people.stderr
    );

    // A start on a damaged journal is refused with the place and the command that helps.
    for (folder, command) in [(&inline, "axis verify"), (&unused, "axis verify")] {
        let refused = Cli::new()
            .env("AXIS_GRPC_LISTEN", "127.0.0.1:0")
            .env("AXIS_CONSOLE_LISTEN", "127.0.0.1:0")
            .env("AXIS_VXP_LISTEN", "127.0.0.1:0")
            .run(args!["serve", "--data", folder])
            .unwrap();
        if folder == &inline {
            // The content of a sealed record is checked when it is read, not at the start.
            continue;
        }
        let refused = refused.code(1).unwrap();
        assert!(
            refused.stderr.contains(command) && refused.stderr.contains("offset"),
            "{}",
            refused.stderr
        );
    }
    verify(house.axis.data(), &[]).ok().unwrap();
}

#[test]
fn a_torn_tail_after_a_kill_is_reported_and_is_no_damage() {
    let mut house = House::of(Axis::builder().config(SMALL).expect_log("torn"));
    let sent = house.send(&[document("d1").bytes()]);
    house.axis.kill9().unwrap();
    let data = house.axis.data().to_owned();
    assert_eq!(
        sound(&data)["torn_tail"],
        json!(null),
        "what was written whole is whole"
    );
    // The power fails while the next batch is written: its beginning stands behind the last one.
    let segment = &segments(&data)[0];
    let bytes = std::fs::read(segment).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64;
    let next = (end + 1).next_multiple_of(8);
    patch(
        segment,
        next,
        |bytes| bytes.copy_from_slice(b"AXRC\x01\x00"),
        6,
    );
    let torn = sound(&data);
    let told = torn["torn_tail"].as_str().unwrap();
    assert!(
        told.contains("segment 1") && told.contains(&format!("offset {next}")),
        "{told}"
    );
    let people = Cli::new()
        .run(args!["verify", "--data", data])
        .unwrap()
        .ok()
        .unwrap();
    assert!(people.stdout.contains("torn tail"), "{}", people.stdout);
    house.axis.restart().unwrap();
    assert_eq!(sound(&data)["torn_tail"], json!(null));
    let out = tempfile::tempdir().unwrap();
    let got = house.receive(&house.b, out.path());
    assert_eq!((got.len(), &got[0]["package"]), (1, &sent[0]["id"]));
}

/// What all that can be asked says.
fn told(axis: &Axis) -> Vec<Value> {
    let mut all = Vec::new();
    for args in [
        &["history", "--max", "0", "--json"][..],
        &["registry", "list", "--json"],
        &["system", "list", "--json"],
        &["trace", "small-1", "--json"],
        &["status", "matrix", "small-1", "--sender", A, "--json"],
    ] {
        all.extend(axis.operate(args).unwrap().ok().unwrap().json().unwrap());
    }
    let queues = axis.operate(["queues", "--by", "agency", "--json"]);
    let mut queues = queues.unwrap().ok().unwrap().json().unwrap();
    for queue in &mut queues {
        // Known since the start only, and so what follows from it.
        for key in [
            "last_fetch_at",
            "state",
            "leased",
            "in_per_minute",
            "out_per_minute",
        ] {
            queue[key] = json!(null);
        }
    }
    queues.sort_by_key(|queue| queue["agency"].to_string());
    all.extend(queues);
    all
}

#[test]
fn the_index_the_checkpoint_and_the_place_of_the_folder_do_not_matter() {
    let (house, sent) = lived_in();
    let before = told(&house.axis);
    assert!(before.len() > 25);
    let mut house = house;
    let data = house.axis.data().to_owned();
    let remove = |names: &[&str]| {
        let mut removed = 0;
        for entry in std::fs::read_dir(&data).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if names.iter().any(|start| name.starts_with(start)) {
                removed += 1;
                if entry.file_type().unwrap().is_dir() {
                    std::fs::remove_dir_all(entry.path()).unwrap();
                } else {
                    std::fs::remove_file(entry.path()).unwrap();
                }
            }
        }
        assert!(removed > 0, "{names:?}");
    };
    // Killed: the index is no longer to be trusted blindly.
    house.axis.restart().unwrap();
    assert_eq!(told(&house.axis), before);
    // The index is gone, then the checkpoint, each after a clean stop and after a kill.
    assert_eq!(house.axis.terminate().unwrap(), 0);
    remove(&["index"]);
    house.axis.restart().unwrap();
    assert_eq!(told(&house.axis), before);
    assert_eq!(house.axis.terminate().unwrap(), 0);
    remove(&["checkpoint"]);
    house.axis.restart().unwrap();
    assert_eq!(told(&house.axis), before);
    house.axis.kill9().unwrap();
    remove(&["index"]);
    house.axis.restart().unwrap();
    assert_eq!(told(&house.axis), before);

    // A copy of the folder, with its key file, is the same axis elsewhere.
    assert_eq!(house.axis.terminate().unwrap(), 0);
    let copies = tempfile::tempdir().unwrap();
    let copy = copies.path().join("elsewhere");
    copy_folder(&data, &copy);
    std::fs::copy(
        format!("{}.key", data.display()),
        format!("{}.key", copy.display()),
    )
    .unwrap();
    let elsewhere = Axis::builder().data(&copy).config(SMALL).start().unwrap();
    assert_eq!(told(&elsewhere), before);
    let out = tempfile::tempdir().unwrap();
    let args = args!["receive", "--json", "--out", out.path()];
    let got = elsewhere
        .cli(&house.b)
        .run(args)
        .unwrap()
        .ok()
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(
        got.len(),
        sent.len() - 4,
        "what was settled does not come back"
    );
}

#[test]
fn the_index_is_removed_only_while_no_axis_runs_and_made_again() {
    let mut house = House::new();
    let _ = house.send(&[Document::new(A, &[B], "small-1").bytes()]);
    let before = told(&house.axis);
    let refused = house
        .axis
        .operate(["index", "rebuild"])
        .unwrap()
        .code(1)
        .unwrap();
    assert!(
        refused.stderr.contains("stop it first"),
        "{}",
        refused.stderr
    );
    assert_eq!(house.axis.terminate().unwrap(), 0);
    let done = house
        .axis
        .operate(["index", "rebuild", "--json"])
        .unwrap()
        .ok()
        .unwrap();
    assert_eq!(done.json().unwrap(), [json!({"removed": true})]);
    let left: Vec<_> = std::fs::read_dir(house.axis.data())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("index") || name.starts_with("checkpoint"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    house.axis.restart().unwrap();
    assert_eq!(told(&house.axis), before);
    let empty = tempfile::tempdir().unwrap();
    Cli::new()
        .run(args!["index", "rebuild", "--data", empty.path(),])
        .unwrap()
        .code(1)
        .unwrap();
}
