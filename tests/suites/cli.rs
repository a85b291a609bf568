//! The commands as scripts and operators rely on them: output, exit codes, both doors.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;
use tempfile::TempDir;
use testkit::{Axis, Cli, Process, Signal, axis_binary};

const SENDER: &str = "000.00.00.A80";
const RECEIVER: &str = "28.22.H17";
const DOCUMENT: &str = "000.00.00.G22,2015/09/30,7816/VPCP-TTĐT";

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../crates/axis/samples")
        .join(name)
}

/// An axis with the sender and the receiver of the sample `new.edxml`, a system each.
struct Town {
    axis: Axis,
    folder: TempDir,
}

impl Town {
    fn open() -> Result<Self> {
        Self::around(Axis::builder().start()?)
    }

    fn around(axis: Axis) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let csv = folder.path().join("agencies.csv");
        std::fs::write(
            &csv,
            format!(
                "code,code_2020,name,parent\n{SENDER},,UBND xã Hòa Tiến,\n{RECEIVER},H17.28.22,UBND xã Hòa Sơn,\n"
            ),
        )?;
        axis.operate([Path::new("registry"), Path::new("import"), &csv])?
            .ok()?;
        let town = Self { axis, folder };
        for (system, agency) in [("sender", SENDER), ("receiver", RECEIVER)] {
            let added = town
                .axis
                .operate(["system", "add", system, "--agency", agency, "--json"])?
                .ok()?
                .json()?;
            assert_eq!(added[0]["system"], system);
            std::fs::write(
                town.key(system),
                added[0]["key"].as_str().context("no key")?,
            )?;
        }
        Ok(town)
    }

    fn key(&self, system: &str) -> PathBuf {
        self.folder.path().join(format!("{system}.key"))
    }

    fn inbox(&self) -> PathBuf {
        self.folder.path().join("in")
    }

    /// A call as a system; paths may be among the arguments.
    fn call(&self, system: &str, args: &[&str]) -> Result<testkit::Finished> {
        let key = self.key(system).display().to_string();
        let server = format!("http://{}", self.axis.grpc());
        let door = ["--server", &server, "--system", system, "--key-file", &key];
        Cli::new().run(args.iter().copied().chain(door))
    }

    fn send(&self, file: &Path) -> Result<Value> {
        let sent = self
            .call("sender", &["send", &file.display().to_string(), "--json"])?
            .ok()?
            .json()?;
        sent.into_iter().next().context("no line")
    }

    fn receive(&self, more: &[&str]) -> Result<Vec<Value>> {
        let out = self.inbox().display().to_string();
        let args: Vec<_> = ["receive", "--json", "--out", &out]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        self.call("receiver", &args)?.ok()?.json()
    }

    /// `axis receive` as a process of its own.
    fn receiving(&self, more: &[&str]) -> Result<Command> {
        let mut command = Command::new(axis_binary()?);
        command
            .args([
                "receive",
                "--json",
                "--server",
                &format!("http://{}", self.axis.grpc()),
                "--system",
                "receiver",
            ])
            .arg("--key-file")
            .arg(self.key("receiver"))
            .arg("--out")
            .arg(self.inbox())
            .args(more);
        Ok(command)
    }
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .map(|object| object.keys().map(String::as_str).collect())
        .unwrap_or_default()
}

#[test]
fn a_package_goes_from_send_to_receive_byte_for_byte_and_its_status_comes_back() -> Result<()> {
    let town = Town::open()?;
    let sent = town.send(&sample("documents/new.edxml"))?;
    for key in [
        "file",
        "id",
        "kind",
        "sha256",
        "size",
        "accepted_at",
        "receivers",
        "duplicate",
        "warnings",
        "anchor",
    ] {
        assert!(keys(&sent).contains(&key), "{key}");
    }
    assert_eq!(
        (&sent["kind"], &sent["duplicate"]),
        (&"document".into(), &false.into())
    );
    assert_eq!(sent["receivers"], serde_json::json!([RECEIVER]));
    assert!(sent["accepted_at"].as_str().unwrap().ends_with("+07:00"));
    // The first receipt again.
    let again = town.send(&sample("documents/new.edxml"))?;
    assert_eq!(
        (&again["id"], &again["duplicate"], &again["anchor"]),
        (&sent["id"], &true.into(), &sent["anchor"])
    );

    let received = town.receive(&[])?;
    assert_eq!(received.len(), 1);
    for key in [
        "package", "delivery", "kind", "sender", "receiver", "sha256", "file",
    ] {
        assert!(keys(&received[0]).contains(&key), "{key}");
    }
    assert_eq!(
        (&received[0]["package"], &received[0]["sha256"]),
        (&sent["id"], &sent["sha256"])
    );
    let bytes = std::fs::read(received[0]["file"].as_str().unwrap())?;
    assert_eq!(bytes, std::fs::read(sample("documents/new.edxml"))?);
    assert!(
        town.receive(&[])?.is_empty(),
        "nothing waits any more, and that is no error"
    );

    town.call(
        "receiver",
        &[
            "status",
            "report",
            "03",
            "--document",
            DOCUMENT,
            "--to",
            SENDER,
        ],
    )?
    .ok()?;
    let out = town.folder.path().join("back").display().to_string();
    let back = town
        .call("sender", &["receive", "--json", "--out", &out])?
        .ok()?
        .json()?;
    let mut codes: Vec<_> = back
        .iter()
        .map(|line| line["status"].as_str().unwrap())
        .collect();
    codes.sort_unstable();
    assert_eq!(codes, ["01", "03"]);

    // Both doors tell the same.
    let id = sent["id"].as_str().unwrap();
    let trace = town.axis.operate(["trace", id, "--json"])?.ok()?.json()?;
    assert_eq!(
        trace,
        town.call("sender", &["trace", id, "--json"])?
            .ok()?
            .json()?
    );
    assert_eq!(keys(&trace[0]), ["id", "packages", "events"]);
    let matrix = town
        .axis
        .operate(["status", "matrix", id, "--json"])?
        .ok()?
        .json()?;
    assert_eq!(matrix[0]["cells"][0]["status"], "03");
    let history = town
        .axis
        .operate(["history", "--json", "--kind", "document"])?
        .ok()?
        .json()?;
    assert_eq!((history.len(), &history[0]["id"]), (1, &sent["id"]));
    Ok(())
}

#[test]
fn what_is_not_acknowledged_is_offered_again() -> Result<()> {
    let town = Town::open()?;
    let sent = town.send(&sample("documents/new.edxml"))?;
    let seen = town.receive(&["--no-ack"])?;
    assert_eq!((seen.len(), &seen[0]["package"]), (1, &sent["id"]));
    let again = town.receive(&["--max", "1"])?;
    assert_eq!(
        (again.len(), &again[0]["delivery"]),
        (1, &seen[0]["delivery"])
    );
    assert!(town.receive(&[])?.is_empty());
    Ok(())
}

#[test]
fn a_reader_that_leaves_gives_the_lease_back() -> Result<()> {
    let town = Town::open()?;
    town.send(&sample("documents/new.edxml"))?;
    // Stdout is a pipe whose reader is gone before anything is printed.
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    let status = town
        .receiving(&[])?
        .stdout(writer)
        .stderr(Stdio::null())
        .status()?;
    assert_eq!(status.code(), Some(1));
    assert_eq!(town.receive(&[])?.len(), 1);
    Ok(())
}

#[test]
fn following_takes_what_comes_until_it_is_told_to_end() -> Result<()> {
    let town = Town::open()?;
    let mut following = Process::start(&mut town.receiving(&["--follow"])?, None)?;
    let sent = town.send(&sample("documents/new.edxml"))?;
    let id = sent["id"].as_str().unwrap().to_owned();
    following
        .stdout()
        .wait_for("the delivery's line", Duration::from_secs(30), |text| {
            text.contains(&id).then_some(())
        })?;
    following.signal(Signal::INT)?;
    let status = following
        .wait(Duration::from_secs(30))?
        .context("it goes on")?;
    assert_eq!(status.code(), Some(0));
    assert!(town.receive(&[])?.is_empty(), "it was settled");
    Ok(())
}

#[test]
fn refusals_are_told_a_line_a_file_after_all_were_tried() -> Result<()> {
    let town = Town::open()?;
    let files = [
        "malformed/doctype.edxml",
        "documents/recall.edxml",
        "documents/new.edxml",
        "none",
    ]
    .map(|name| sample(name).display().to_string());
    let args: Vec<_> = ["send", "--json"]
        .into_iter()
        .chain(files.iter().map(String::as_str))
        .collect();
    let lines = town.call("sender", &args)?.code(1)?.json()?;
    let told: Vec<_> = lines
        .iter()
        .map(|line| line["refused"]["code"].as_str().unwrap_or("accepted"))
        .collect();
    assert_eq!(
        told,
        ["DOCTYPE", "FOREIGN_SENDER", "accepted", "CANNOT_READ"]
    );
    assert_eq!(
        (&lines[0]["refused"]["line"], &lines[0]["refused"]["column"]),
        (&2.into(), &1.into())
    );
    for key in ["code", "path", "line", "column", "message"] {
        assert!(keys(&lines[0]["refused"]).contains(&key), "{key}");
    }
    Ok(())
}

#[test]
fn large_packages_and_stdin_are_pushed_too() -> Result<()> {
    let town = Town::open()?;
    // Comments behind the root grow a package without changing it.
    let mut large = std::fs::read(sample("documents/new.edxml"))?;
    large.extend_from_slice(b"<!--");
    large.resize(6 << 20, b'x');
    large.extend_from_slice(b"-->\n");
    let key = town.key("sender").display().to_string();
    let server = format!("http://{}", town.axis.grpc());
    let cli = Cli::new()
        .stdin(large.clone())
        .env("AXIS_SERVER", server)
        .env("AXIS_SYSTEM", "sender");
    let sent = cli
        .run(["send", "-", "--json", "--key-file", &key])?
        .ok()?
        .json()?;
    assert_eq!(sent[0]["size"], large.len());
    let received = town.receive(&[])?;
    assert!(
        std::fs::read(received[0]["file"].as_str().unwrap())? == large,
        "byte for byte"
    );
    Ok(())
}

#[test]
fn exit_codes_tell_wrong_use_refusal_and_absence_apart() -> Result<()> {
    let town = Town::open()?;
    let file = sample("documents/new.edxml").display().to_string();
    Cli::new().run(["bogus"])?.code(2)?;
    Cli::new().run(["send", &file])?.code(2)?;
    let server = format!("http://{}", town.axis.grpc());
    let calling = Cli::new()
        .env("AXIS_SERVER", &server)
        .env("AXIS_SYSTEM", "sender");
    calling.run(["send", &file])?.code(2)?;
    let wrong = calling
        .clone()
        .env("AXIS_KEY", "wrong")
        .run(["send", &file])?
        .code(1)?;
    assert!(wrong.stderr.contains("UNAUTHENTICATED"), "{}", wrong.stderr);
    let unknown = town
        .axis
        .operate(["trace", "000000000000000000000000"])?
        .code(1)?;
    assert!(unknown.stderr.contains("NOT_FOUND"), "{}", unknown.stderr);
    let absent = Cli::new()
        .run(["queues", "--data", &town.inbox().display().to_string()])?
        .code(3)?;
    assert!(absent.stderr.contains("axis serve"), "{}", absent.stderr);
    let operators = town.call("sender", &["queues"])?.code(1)?;
    assert!(operators.stderr.contains("--data"), "{}", operators.stderr);
    Ok(())
}

#[test]
fn a_server_that_does_not_answer_is_left_after_the_timeout() -> Result<()> {
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let server = format!("http://{}", silent.local_addr()?);
    let cli = Cli::new()
        .env("AXIS_KEY", "k")
        .env("AXIS_SYSTEM", "s")
        .env("AXIS_SERVER", server);
    let begun = Instant::now();
    for command in [&["receive"][..], &["trace", "x"]] {
        let args: Vec<_> = command.iter().copied().chain(["--timeout", "1"]).collect();
        cli.run(args)?.code(3)?;
    }
    assert!(begun.elapsed() < Duration::from_secs(20));
    Ok(())
}

#[test]
fn serve_refuses_a_wrong_configuration_and_a_folder_in_use() -> Result<()> {
    let axis = Axis::builder().start()?;
    let data = axis.data().display().to_string();
    let listen = |cli: Cli| cli.env("AXIS_GRPC_LISTEN", "127.0.0.1:0");
    let second = listen(Cli::new())
        .run(["serve", "--data", &data])?
        .code(1)?;
    assert!(
        second.stderr.contains(&format!("pid {}", axis.pid())),
        "{}",
        second.stderr
    );

    let folder = tempfile::tempdir()?;
    let config = folder.path().join("axis.toml");
    for (text, told) in [
        ("[grpc]\nlsten = \"127.0.0.1:0\"\n", "lsten"),
        (
            "[delivery]\nlease_seconds = 0\n",
            "delivery.lease_seconds = 0",
        ),
        ("[grpc]\nlisten = \"0.0.0.0:7401\"\n", "axis pki init"),
        (
            "[grpc.tls]\ncert = \"none.pem\"\nkey = \"none.key\"\n",
            "none.pem",
        ),
    ] {
        std::fs::write(&config, text)?;
        let other = folder.path().join("data");
        let args = [
            "serve",
            "--data",
            &other.display().to_string(),
            "--config",
            &config.display().to_string(),
        ]
        .map(str::to_owned);
        let refused = Cli::new().run(args)?.code(2)?;
        assert!(refused.stderr.contains(told), "{}", refused.stderr);
        assert!(!other.exists(), "nothing was made");
    }
    let bus = Cli::new()
        .env("AXIS_BUS", "amqp://localhost")
        .run(["serve", "--data", &data])?
        .code(2)?;
    assert!(bus.stderr.contains("AXIS_BUS"), "{}", bus.stderr);
    Ok(())
}

#[test]
fn the_axis_stops_when_told_and_verifies_running_stopped_and_killed() -> Result<()> {
    let mut town = Town::open()?;
    let sent = town.send(&sample("documents/new.edxml"))?;
    let anchor = sent["anchor"].as_str().unwrap().to_owned();
    let verify = |town: &Town| town.axis.operate(["verify", "--json", "--anchor", &anchor]);
    assert_eq!(verify(&town)?.ok()?.json()?[0]["by"], "axis");
    assert_eq!(town.axis.terminate()?, 0);
    let stopped = verify(&town)?.ok()?.json()?;
    assert_eq!(
        (&stopped[0]["by"], &stopped[0]["anchors_compared"]),
        (&"folder".into(), &1.into())
    );
    town.axis.restart()?;
    town.axis.kill9()?;
    verify(&town)?.ok()?;

    // One byte of the package in a copy.
    let copy = town.folder.path().join("copy");
    copy_folder(town.axis.data(), &copy)?;
    let mut flipped = false;
    for entry in std::fs::read_dir(copy.join("journal"))? {
        let path = entry?.path();
        let mut bytes = std::fs::read(&path)?;
        if let Some(at) = bytes.windows(9).position(|window| window == b"</edXML:F") {
            bytes[at] ^= 1;
            std::fs::write(&path, bytes)?;
            flipped = true;
            break;
        }
    }
    assert!(flipped, "the package lies inline in the journal");
    let damaged = Cli::new()
        .run(["verify", "--json", "--data", &copy.display().to_string()])?
        .code(1)?
        .json()?;
    assert_eq!(damaged[0]["sound"], false);
    assert_eq!(
        keys(&damaged[0]["damage"][0]),
        ["segment", "offset", "reason"]
    );
    assert!(damaged[0]["damage"][0]["offset"].as_u64().unwrap() > 0);
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[test]
fn the_index_can_be_thrown_away() -> Result<()> {
    let mut town = Town::open()?;
    town.send(&sample("documents/new.edxml"))?;
    town.receive(&[])?;
    let told =
        |town: &Town| -> Result<_> { town.axis.operate(["history", "--json"])?.ok()?.json() };
    let before = told(&town)?;
    let running = town.axis.operate(["index", "rebuild"])?.code(1)?;
    assert!(
        running.stderr.contains("stop it first"),
        "{}",
        running.stderr
    );
    assert_eq!(town.axis.terminate()?, 0);
    town.axis.operate(["index", "rebuild"])?.ok()?;
    town.axis.restart()?;
    assert_eq!(told(&town)?, before);
    Ok(())
}

#[test]
fn a_receiver_that_lost_its_day_gets_it_again() -> Result<()> {
    let town = Town::open()?;
    let sent = town.send(&sample("documents/new.edxml"))?;
    assert_eq!(town.receive(&[])?[0]["round"], 1);
    town.axis
        .operate(["redeliver", "--package", sent["id"].as_str().unwrap()])?
        .code(2)?;
    let args = [
        "redeliver",
        "--agency",
        RECEIVER,
        "--since",
        "2020-01-01",
        "--why",
        "sao lưu cũ",
        "--by",
        "Lan",
        "--json",
    ];
    let opened = town.axis.operate(args)?.ok()?.json()?;
    assert_eq!(opened[0]["opened"][0]["round"], 2);
    let again = town.receive(&[])?;
    assert_eq!((again.len(), &again[0]["round"]), (1, &2.into()));
    let trace = town
        .axis
        .operate(["trace", sent["id"].as_str().unwrap(), "--json"])?
        .ok()?;
    assert!(
        trace.stdout.contains("Lan") && trace.stdout.contains("sao lưu cũ"),
        "{}",
        trace.stdout
    );
    Ok(())
}

#[test]
fn a_system_comes_by_certificate_until_it_is_revoked() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pki = folder.path().join("pki");
    let path = |name: &str| pki.join(name).display().to_string();
    Cli::new().run(["pki", "init", &path("")])?.ok()?;
    for name in ["sender", "stranger"] {
        Cli::new().run(["pki", "issue", &path(""), name])?.ok()?;
    }
    let config = format!(
        "[grpc.tls]\ncert = {:?}\nkey = {:?}\nclient_ca = {:?}\n",
        path("server.pem"),
        path("server.key"),
        path("ca.pem")
    );
    let axis = Axis::builder().config(config).start()?;
    let csv = folder.path().join("agencies.csv");
    std::fs::write(
        &csv,
        format!("code,code_2020,name,parent\n{SENDER},,A,\n{RECEIVER},,B,\n"),
    )?;
    axis.operate([Path::new("registry"), Path::new("import"), &csv])?
        .ok()?;
    let add = [
        "system",
        "add",
        "sender",
        "--agency",
        SENDER,
        "--cert",
        &path("sender.pem"),
        "--no-key",
        "--json",
    ];
    let added = axis.operate(add)?.ok()?.json()?;
    assert_eq!(
        (
            &added[0]["key"],
            added[0]["spki_sha256"].as_str().unwrap().len()
        ),
        (&Value::Null, 64)
    );

    let send = |name: &str| {
        let server = format!("https://localhost:{}", axis.grpc().port());
        let file = sample("documents/new.edxml").display().to_string();
        let (cert, key) = (path(&format!("{name}.pem")), path(&format!("{name}.key")));
        Cli::new().run([
            "send",
            &file,
            "--server",
            &server,
            "--ca",
            &path("ca.pem"),
            "--cert",
            &cert,
            "--cert-key",
            &key,
        ])
    };
    send("sender")?.ok()?;
    assert!(
        send("stranger")?
            .code(1)?
            .stderr
            .contains("UNAUTHENTICATED")
    );
    axis.operate(["system", "revoke", "sender"])?.ok()?;
    assert!(send("sender")?.code(1)?.stderr.contains("UNAUTHENTICATED"));
    Ok(())
}

#[test]
fn check_gives_each_sample_its_verdict() -> Result<()> {
    let mut files = Vec::new();
    for folder in ["documents", "status", "malformed", "older-forms"] {
        for entry in std::fs::read_dir(sample(folder))? {
            files.push((folder, entry?.path().display().to_string()));
        }
    }
    assert_eq!(files.len(), 20);
    for (folder, file) in files {
        let sound = ["documents", "status"].contains(&folder);
        let line = Cli::new()
            .run(["check", "--json", &file])?
            .code(i32::from(!sound))?
            .json()?;
        assert_eq!(
            line[0]["verdict"],
            if sound { "accepted" } else { "refused" },
            "{file}"
        );
        let kind = if sound {
            Value::from(folder.trim_end_matches('s').replace("statu", "status"))
        } else {
            Value::Null
        };
        assert_eq!(line[0]["kind"], kind, "{file}");
        for key in ["file", "kind", "verdict", "level", "findings"] {
            assert!(keys(&line[0]).contains(&key), "{key}");
        }
    }
    Ok(())
}

#[test]
fn the_demo_stays_for_a_person_to_try_and_ends_with_ctrl_c() -> Result<()> {
    let mut command = Command::new(axis_binary()?);
    command.arg("demo");
    let mut demo = Process::start(&mut command, None)?;
    let line = demo
        .stdout()
        .wait_for("the line to try", Duration::from_secs(60), |text| {
            let line = BufReader::new(text.as_bytes())
                .lines()
                .map_while(Result::ok)
                .find(|line| line.contains("axis queues --data"))?;
            text.contains("Ctrl-C").then(|| line.trim().to_owned())
        })?;
    let args: Vec<_> = line.split_whitespace().skip(1).collect();
    Cli::new().run(&args)?.ok()?;
    demo.signal(Signal::INT)?;
    assert_eq!(
        demo.wait(Duration::from_secs(30))?
            .context("it goes on")?
            .code(),
        Some(0)
    );
    assert!(!Path::new(args[2]).exists(), "the folder is gone");
    Ok(())
}
