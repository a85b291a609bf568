//! What operators and their tools see: health, metrics, alerts, rules and board.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use api::client::Event;
use api::v1;
use serde_json::Value;
use testkit::{Axis, Process};

use crate::delivering::next_delivery;
use crate::house::{A, B, House, SMALL, SOON, document, push, settle, soon};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// One request over plain HTTP: the status and the body.
fn get(at: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(SOON))?;
    write!(stream, "GET {path} HTTP/1.0\r\nhost: {at}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status.unwrap_or(0), body.to_owned()))
}

/// The same over TLS, of a server called `localhost` that this certificate speaks for.
fn get_over_tls(at: SocketAddr, trusted: &Path, path: &str) -> std::io::Result<(u16, String)> {
    use rustls_pki_types::pem::PemObject as _;
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(rustls_pki_types::CertificateDer::from_pem_file(trusted).unwrap())
        .unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let config = std::sync::Arc::new(config);
    let mut session = rustls::ClientConnection::new(config, name).unwrap();
    let mut socket = TcpStream::connect(at)?;
    socket.set_read_timeout(Some(SOON))?;
    let mut stream = rustls::Stream::new(&mut session, &mut socket);
    write!(stream, "GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    match stream.read_to_string(&mut answer) {
        // HTTP/1.0 ends with the connection; not every server says so in TLS first.
        Err(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => return Err(error),
        _ => {}
    }
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status.unwrap_or(0), body.to_owned()))
}

fn console(axis: &Axis) -> SocketAddr {
    axis.ready().console.expect("it says where the console is")
}

/// The value of a series in Prometheus's text form.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    let value = line.unwrap_or_else(|| panic!("no {series} in\n{text}"));
    value.trim().parse().unwrap()
}

/// `axis alerts` with these arguments: its lines.
fn alerts(axis: &Axis, more: &[&str]) -> Vec<Value> {
    let mut args = args!["alerts", "--json"];
    args.extend(more.iter().map(std::ffi::OsString::from));
    axis.operate(args).unwrap().ok().unwrap().json().unwrap()
}

#[test]
fn hs_07_health_and_metrics_tell_how_the_axis_is() {
    let house = House::new();
    let at = console(&house.axis);
    assert_eq!(get(at, "/healthz").unwrap(), (200, "ok\n".to_owned()));
    let (status, said) = get(at, "/readyz").unwrap();
    assert!(
        status == 200 && said.contains("ledger: ok"),
        "{status} {said}"
    );
    assert_eq!(get(at, "/nothing").unwrap().0, 404);

    house.send(&[document("1").bytes(), document("2").bytes()]);
    let text = get(at, "/metrics").unwrap().1;
    assert_eq!(
        value(&text, r#"axis_pushes_total{outcome="accepted"}"#),
        2.0
    );
    assert_eq!(value(&text, "axis_ready"), 1.0);
    assert!(value(&text, "axis_journal_position") >= 2.0);
    // The figures of the queues are the same whoever asks.
    let waiting = value(
        &text,
        r#"axis_deliveries_waiting{system="so-b",lane="routine"}"#,
    );
    let lines = house.ask(&["queues", "--system", "so-b"]);
    let line = lines.iter().find(|line| line["lane"] == "routine").unwrap();
    assert_eq!(
        (waiting, line["pending"].as_f64()),
        (2.0, Some(2.0)),
        "{line}"
    );
    assert!(line["oldest_at"].is_string());
    assert!(value(&text, r#"axis_oldest_waiting_seconds{lane="routine"}"#) < 60.0);
    assert_eq!(
        value(&text, r#"axis_oldest_waiting_seconds{lane="flash"}"#),
        0.0
    );
    assert!(value(&text, "axis_journal_sync_seconds_count") >= 2.0);
    assert!(value(&text, "process_resident_memory_bytes") > 1e6);
    // Every metric of the page is there, and nothing that is not on it.
    let page = std::fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let listed: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `axis_"))
        .filter_map(|line| line.split('`').next())
        .collect();
    let told: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE axis_"))
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(listed.len() > 20);
    // Without certificates and keys that end there is nothing to say of them.
    let silent = [
        "certificate_end_timestamp_seconds",
        "key_end_timestamp_seconds",
    ];
    let missing: Vec<_> = listed
        .difference(&told)
        .filter(|name| !silent.contains(name))
        .collect();
    assert!(missing.is_empty(), "not told: {missing:?}");
    assert!(told.is_subset(&listed), "{:?}", told.difference(&listed));
    // Labels are bounded: agencies are in none.
    assert!(!text.contains(A) && !text.contains(B), "{text}");
}

/// Who listens is told at once; what waits is counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ex_12_a_new_document_is_announced_within_seconds_and_counted_until_it_is_taken() {
    let house = House::new();
    let (a, b) = (house.client(&house.a).await, house.client(&house.b).await);
    let mut stream = b.subscribe(1).await.unwrap();
    assert!(matches!(
        soon(stream.next()).await.unwrap(),
        Some(Event::CaughtUp)
    ));
    let sent = Instant::now();
    push(&a, &document("1").bytes()).await;
    let (header, _) = next_delivery(&mut stream).await;
    assert!(
        sent.elapsed() < Duration::from_secs(5),
        "{:?}",
        sent.elapsed()
    );
    // What is not taken is counted.
    push(&a, &document("2").bytes()).await;
    let operator = house.operator().await;
    let by_system = v1::QueuesRequest {
        by: v1::QueuesBy::System.into(),
        ..v1::QueuesRequest::default()
    };
    let waits = async || {
        let lines = operator.queues(by_system.clone()).await.unwrap().queues;
        let of_b = lines.iter().filter(|line| line.system == "so-b");
        of_b.map(|line| line.pending + line.fetched).sum::<u64>()
    };
    assert_eq!(waits().await, 2);
    settle(&b, &header).await;
    assert_eq!(waits().await, 1);
}

#[test]
fn pr_04_an_alert_stands_once_over_a_kill_and_falls_when_it_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("c.pem"), folder.path().join("c.key"));
    let issue = |year: i32| {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let pair = rcgen::KeyPair::generate().unwrap();
        std::fs::write(&cert, params.self_signed(&pair).unwrap().pem()).unwrap();
        std::fs::write(&key, pair.serialize_pem()).unwrap();
    };
    issue(2028);
    let config = format!(
        "{SMALL}[alerts]\nevery_seconds = 1\nending_days = 3650\n[console.tls]\ncert = {cert:?}\nkey = {key:?}\n"
    );
    let mut axis = Axis::builder().config(config).start().unwrap();
    // Meanwhile the console answers over TLS, with that certificate and no other.
    let said = get_over_tls(console(&axis), &cert, "/healthz").unwrap();
    assert_eq!(said, (200, "ok\n".to_owned()));
    let stranger = folder.path().join("stranger.pem");
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(&stranger, other.cert.pem()).unwrap();
    get_over_tls(console(&axis), &stranger, "/healthz").unwrap_err();
    get(console(&axis), "/healthz")
        .map(|(status, _)| assert_ne!(status, 200))
        .ok();
    let wait = |axis: &Axis, count: usize| {
        let since = Instant::now();
        loop {
            let mut standing = alerts(axis, &[]);
            standing.retain(|alert| alert["kind"] == "certificate-ending");
            if standing.len() == count {
                return standing;
            }
            assert!(since.elapsed() < SOON, "{standing:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    };
    let standing = wait(&axis, 1);
    assert!(
        standing[0]["action"]
            .as_str()
            .unwrap()
            .contains("chứng thư")
    );
    axis.kill9().unwrap();
    axis.restart().unwrap();
    assert_eq!(wait(&axis, 1)[0]["raised_at"], standing[0]["raised_at"]);
    issue(2090);
    axis.terminate().unwrap();
    axis.restart().unwrap();
    wait(&axis, 0);
    let mut all = alerts(&axis, &["--all"]);
    all.retain(|alert| alert["kind"] == "certificate-ending");
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0]["cleared_at"].is_string());
}

#[test]
fn each_rule_fires_on_what_it_is_for_and_is_silent_otherwise() {
    let rules = root().join("deploy/prometheus/axis.rules.test.yml");
    let done = Command::new("promtool")
        .args(["test", "rules"])
        .arg(rules)
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// The expressions of the rules, without what they are compared with, and those of the board.
fn expressions() -> Vec<String> {
    let rules = std::fs::read_to_string(root().join("deploy/prometheus/axis.rules.yml")).unwrap();
    let mut found = Vec::new();
    for line in rules.lines() {
        if let Some(text) = line.trim().strip_prefix("expr: ") {
            let whole: String = serde_json::from_str(text).unwrap();
            let asked = [" == ", " > ", " < "]
                .iter()
                .find_map(|by| whole.split_once(by));
            found.push(asked.expect("a rule compares").0.to_owned());
        }
    }
    let board = std::fs::read_to_string(root().join("deploy/grafana/axis.json")).unwrap();
    let board: Value = serde_json::from_str(&board).unwrap();
    for panel in board["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            found.push(target["expr"].as_str().unwrap().to_owned());
        }
    }
    found
}

#[test]
fn nothing_that_rules_and_board_ask_is_empty_on_a_live_axis() {
    let house = House::new();
    let at = console(&house.axis);
    house.send(&[document("1").bytes()]);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("prometheus.yml");
    std::fs::write(
        &config,
        format!(
            "global:\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\nscrape_configs:\n  - job_name: axis\n    static_configs: [{{ targets: [\"{at}\"] }}]\n"
        ),
    )
    .unwrap();
    // A free port: another program may take it meanwhile, and then the start says so.
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.path().join("data").display()
        ))
        .arg(format!("--web.listen-address={free}"));
    let mut prometheus = Process::start(&mut command, None).unwrap();
    let ask = |expr: &str| -> usize {
        let coded: String = expr.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let Ok((200, body)) = get(free, &format!("/api/v1/query?query={coded}")) else {
            return 0;
        };
        let answer: Value = serde_json::from_str(&body).unwrap_or_default();
        answer["data"]["result"].as_array().map_or(0, Vec::len)
    };
    let mut left = expressions();
    assert!(left.len() > 30);
    let since = Instant::now();
    while !left.is_empty() {
        left.retain(|expr| ask(expr) == 0);
        assert!(prometheus.is_running(), "{}", prometheus.stderr().tail());
        assert!(
            since.elapsed() < Duration::from_secs(40),
            "no answer to {left:#?}\n{}",
            prometheus.stderr().tail()
        );
        std::thread::sleep(Duration::from_millis(200));
    }
    prometheus.kill9().unwrap();
}
