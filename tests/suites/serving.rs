//! `axis serve` and the operator's commands: the fixed calls that scripts rely on.

use serde_json::json;
use testkit::{Axis, Cli, Signal};

use crate::house::{A, B, House, SOON, document};

#[test]
fn the_ready_line_names_the_addresses_and_a_signal_ends_it_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut axis = Axis::builder().start().unwrap();
        let ready = axis.ready().clone();
        assert!(ready.ready && ready.grpc.port() != 0 && ready.grpc.ip().is_loopback());
        let vxp = ready.vxp.unwrap();
        assert!(vxp.port() != 0 && vxp.ip().is_loopback());
        let console = ready.console.unwrap();
        assert!(console.port() != 0 && console.ip().is_loopback());
        assert!(ready.admin.is_absolute() && ready.admin.exists());
        if signal == Signal::TERM {
            assert_eq!(axis.terminate().unwrap(), 0);
        } else {
            axis.signal(signal).unwrap();
            axis.stderr()
                .wait_for("the end", SOON, |text| {
                    text.contains("stopped").then_some(())
                })
                .unwrap();
            crate::house::wait_until("the process to end", || (!axis.is_running()).then_some(()));
        }
    }
}

#[test]
fn the_ready_line_is_the_only_line_on_stdout_and_has_the_fixed_keys() {
    let axis = Axis::builder().arg("--log-json").start().unwrap();
    let log = axis.stderr().text();
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["level"].is_string(), "{line}");
    }
    let wrong = Cli::new()
        .env("AXIS_GRPC_LISTEN", "nowhere")
        .run(["serve", "--data", "x"])
        .unwrap()
        .code(2)
        .unwrap();
    assert!(
        wrong.stderr.contains("AXIS_GRPC_LISTEN") && wrong.stdout.is_empty(),
        "{}",
        wrong.stderr
    );
    let bus = Cli::new()
        .env("AXIS_BUS", "nats://localhost")
        .run(["serve", "--data", "x"])
        .unwrap()
        .code(2)
        .unwrap();
    assert!(bus.stderr.contains("AXIS_BUS"), "{}", bus.stderr);
    let embedded = Axis::builder().env("AXIS_BUS", "embedded").start();
    assert!(embedded.is_ok());
}

#[test]
fn variables_override_the_file() {
    let axis = Axis::builder()
        .config("[grpc]\nlisten = \"127.0.0.2:7499\"\n")
        .env("AXIS_GRPC_LISTEN", "127.0.0.3:0")
        .start()
        .unwrap();
    assert_eq!(axis.grpc().ip().to_string(), "127.0.0.3");
}

#[test]
fn a_list_of_agencies_is_imported_whole_or_not_at_all() {
    let axis = Axis::builder().start().unwrap();
    let list = axis
        .file(
            "list.csv",
            format!("code,code_2020,name,parent,note\n{A},H99.1,Sở Nội vụ,\n{B},,Sở Y tế,{A}\n")
                .as_bytes(),
        )
        .unwrap();
    let import = |path: &std::path::Path| {
        axis.operate(args!["registry", "import", path, "--json", "--by", "Lan",])
            .unwrap()
    };
    let mut done = import(&list).ok().unwrap().json().unwrap();
    let _ = done[0].as_object_mut().unwrap().remove("differences");
    assert_eq!(
        done,
        [json!({"added": 2, "changed": 0, "unchanged": 0, "dry_run": false, "problems": []})]
    );
    let again = import(&list).ok().unwrap().json().unwrap();
    assert_eq!(again[0]["unchanged"], 2);

    let bad = axis
        .file(
            "bad.csv",
            format!("code,code_2020,name,parent\n000.00.09.H99,,Sở mới,\n{B},,,\n").as_bytes(),
        )
        .unwrap();
    let refused = import(&bad).code(1).unwrap().json().unwrap();
    let problem = &refused[0]["problems"][0];
    assert_eq!(
        (&problem["row"], &problem["column"]),
        (&json!(3), &json!("name"))
    );
    assert!(problem["message"] != problem["message_en"]);

    let listed = axis
        .operate(["registry", "list", "--json"])
        .unwrap()
        .ok()
        .unwrap();
    let listed = listed.json().unwrap();
    assert_eq!(listed.len(), 2, "nothing of the bad list was taken");
    let one = axis
        .operate(["registry", "show", "H99.1", "--json"])
        .unwrap()
        .ok()
        .unwrap();
    let one = &one.json().unwrap()[0];
    assert_eq!(one, &listed[0], "either code finds it");
    for (key, value) in [
        ("code", json!(A)),
        ("code_2020", json!("H99.1")),
        ("other_codes", json!([])),
        ("name", json!("Sở Nội vụ")),
        ("parent", json!(null)),
        ("state", json!("active")),
        ("successors", json!([])),
        ("systems", json!([])),
        ("changed_by", json!("Lan")),
    ] {
        assert_eq!(one[key], value, "{key}");
    }
    assert!(one["changed_at"].as_str().unwrap().ends_with("+07:00"));
    assert_eq!(listed[1]["parent"], A);
    let missing = axis
        .operate(["registry", "show", "H99.77", "--json"])
        .unwrap();
    missing.code(1).unwrap();
    axis.operate(["registry", "import", "nowhere.csv"])
        .unwrap()
        .code(1)
        .unwrap();
}

#[test]
fn a_systems_key_is_shown_once_and_ends_when_it_is_revoked() {
    let house = House::new();
    let (axis, a) = (&house.axis, &house.a);
    let add = [
        "system",
        "add",
        "so-d",
        "--agency",
        "000.00.04.H99",
        "--json",
    ];
    let added = axis.operate(add).unwrap().ok().unwrap();
    let line = &added.json().unwrap()[0];
    let keys: Vec<_> = line.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["system", "key"]);
    assert_eq!(line["system"], "so-d");
    assert!(line["key"].as_str().unwrap().len() >= 43, "256 random bits");
    axis.operate(add).unwrap().code(1).unwrap();
    let stranger = ["system", "add", "so-e", "--agency", "H99.404", "--json"];
    let refused = axis.operate(stranger).unwrap().code(1).unwrap();
    assert!(refused.stderr.contains("H99.404"), "{}", refused.stderr);

    let another = axis
        .operate(["system", "key", "so-a", "--json"])
        .unwrap()
        .ok()
        .unwrap();
    let another = another.json().unwrap()[0].clone();
    assert_eq!(
        (&another["system"], &another["key_id"]),
        (&json!("so-a"), &json!(2))
    );

    let listed = axis
        .operate(["system", "list", "--json"])
        .unwrap()
        .ok()
        .unwrap();
    assert!(
        !listed.stdout.contains(&a.key)
            && !listed.stdout.contains(another["key"].as_str().unwrap()),
        "a key is shown once"
    );
    let listed = listed.json().unwrap();
    let system = listed.iter().find(|line| line["id"] == "so-a").unwrap();
    assert_eq!(system["agencies"], json!([A]));
    assert_eq!(system["keys"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&system["attachment"], &system["suspended"]),
        (&json!("direct"), &json!(false))
    );

    // Both keys hold until one is revoked; the other goes on.
    let package = axis.file("a.edxml", &document("a").bytes()).unwrap();
    let send = |key: &str| {
        house
            .cli(a)
            .env("AXIS_KEY", key)
            .run(args!["send", package, "--json"])
            .unwrap()
    };
    let new = another["key"].as_str().unwrap();
    send(&a.key).ok().unwrap();
    send(new).ok().unwrap();
    let revoked = axis
        .operate(["system", "revoke", "so-a", "--key", "1", "--json"])
        .unwrap()
        .ok()
        .unwrap();
    assert_eq!(
        revoked.json().unwrap(),
        [json!({"system": "so-a", "keys": 1, "pins": 0, "streams_cut": 0})]
    );
    let refused = send(&a.key).code(1).unwrap();
    assert_eq!(
        refused.json().unwrap()[0]["refused"]["code"],
        "UNAUTHENTICATED"
    );
    send(new).ok().unwrap();
    axis.operate(["system", "revoke", "so-a"])
        .unwrap()
        .ok()
        .unwrap();
    send(new).code(1).unwrap();
}

#[test]
fn a_key_may_go_straight_into_a_file_that_only_its_owner_reads() {
    use std::os::unix::fs::PermissionsExt;
    let house = House::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("so-d.key");
    let add = |id: &str| {
        house
            .axis
            .operate(args![
                "system",
                "add",
                id,
                "--agency",
                "000.00.04.H99",
                "--save-key",
                file,
            ])
            .unwrap()
    };
    let added = add("so-d").ok().unwrap();
    let key = std::fs::read_to_string(&file).unwrap();
    assert!(!added.stdout.contains(key.trim()));
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    add("so-e").code(1).unwrap();
    let listed = Cli::new()
        .run(args![
            "receive",
            "--out",
            folder.path(),
            "--server",
            format!("http://{}", house.axis.grpc()),
            "--system",
            "so-d",
            "--key-file",
            file,
        ])
        .unwrap();
    listed.ok().unwrap();
}

#[test]
fn wrong_use_is_2_and_nobody_there_is_3() {
    let use_errors: &[&[&str]] = &[
        &[],
        &["sned"],
        &["send"],
        &["send", "a.edxml"],
        &["send", "a.edxml", "--server", "http://127.0.0.1:1"],
        &[
            "send",
            "a.edxml",
            "--server",
            "axis.example",
            "--system",
            "a",
        ],
        &["receive", "--max", "0"],
        &["status", "report", "03"],
        &["serve", "--data"],
        &["system", "add", "a"],
        &["verify", "--anchor", "no-anchor"],
        &["registry", "import"],
        &["check"],
    ];
    for args in use_errors {
        let wrong = Cli::new().run(*args).unwrap();
        assert_eq!(wrong.code, Some(2), "{args:?}: {}", wrong.stderr);
        assert!(
            wrong.stdout.is_empty() && !wrong.stderr.is_empty(),
            "{args:?}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("a.edxml");
    std::fs::copy(
        concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../crates/axis/samples/documents/new.edxml"
        ),
        &package,
    )
    .unwrap();
    // A port that was free a moment ago: nobody listens there.
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let away = Cli::new()
        .env("AXIS_SERVER", format!("http://127.0.0.1:{port}"))
        .env("AXIS_SYSTEM", "so-a")
        .env("AXIS_KEY", "k");
    let send = away
        .run(args!["send", package, "--json"])
        .unwrap()
        .code(3)
        .unwrap();
    assert!(send.stderr.contains("cannot reach"), "{}", send.stderr);
    away.run(["receive", "--json"]).unwrap().code(3).unwrap();
    let nobody = Cli::new()
        .dir(folder.path())
        .run(["queues", "--json"])
        .unwrap()
        .code(3)
        .unwrap();
    assert!(
        nobody.stderr.contains("axis serve --data"),
        "{}",
        nobody.stderr
    );

    // One that takes the connection and never says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let started = std::time::Instant::now();
    let timed_out = away
        .env(
            "AXIS_SERVER",
            format!("http://{}", silent.local_addr().unwrap()),
        )
        .run(args!["send", package, "--timeout", "1",])
        .unwrap()
        .code(3)
        .unwrap();
    assert!(!timed_out.stderr.is_empty());
    assert!(started.elapsed() < SOON);
}

#[test]
fn check_gives_a_sound_verdict_on_every_sample() {
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/axis/samples");
    let mut files = crate::house::files(samples.as_ref());
    files.retain(|path| path.extension().is_some_and(|e| e == "edxml" || e == "xml"));
    assert!(files.len() >= 20, "{files:?}");
    let mut args: Vec<std::ffi::OsString> = vec!["check".into(), "--json".into()];
    args.extend(files.iter().map(|file| file.clone().into_os_string()));
    args.push("nowhere.edxml".into());
    let checked = Cli::new().run(args).unwrap().code(1).unwrap();
    let lines = checked.json().unwrap();
    assert_eq!(lines.len(), files.len() + 1);
    for (file, line) in files.iter().zip(&lines) {
        assert_eq!(line["file"], file.display().to_string());
        let text = file.display().to_string();
        let bad = text.contains("/malformed/") || text.contains("/older-forms/");
        let expected = if bad { "refused" } else { "accepted" };
        assert_eq!(line["verdict"], expected, "{line}");
        assert_eq!(line["level"], "axis");
        if !bad {
            let kind = if text.contains("/status/") {
                "status"
            } else {
                "document"
            };
            assert_eq!(line["kind"], kind, "{line}");
        }
        let findings = line["findings"].as_array().unwrap();
        for finding in findings {
            let keys: Vec<_> = finding.as_object().unwrap().keys().collect();
            assert_eq!(
                keys,
                [
                    "code",
                    "severity",
                    "path",
                    "line",
                    "column",
                    "message",
                    "message_en",
                    "section"
                ]
            );
        }
        let errors = findings.iter().filter(|f| f["severity"] == "error").count();
        assert_eq!(errors > 0, bad, "{line}");
    }
    assert_eq!(lines.last().unwrap()["findings"][0]["code"], "CANNOT_READ");
    let good = files
        .iter()
        .find(|file| file.ends_with("documents/new.edxml"))
        .unwrap();
    Cli::new().run(args!["check", good]).unwrap().ok().unwrap();
}
