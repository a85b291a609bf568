//! `axis send --watch` and `axis receive --follow` as connectors of a system that can only write
//! and read files: half-written ones, kills, an axis that is away, a folder that is gone or full.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;
use testkit::{Process, Signal, System, axis_binary};

use crate::full_disk::{Mount, fill};
use crate::house::{House, SOON, document, files, sha256, wait_until};

/// The way to an axis, which may be restarted behind it: whoever is connected is cut then. What
/// callers say can be swallowed on the way.
struct Way {
    address: SocketAddr,
    target: Arc<Mutex<SocketAddr>>,
    swallows: Arc<AtomicBool>,
}

impl Way {
    fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let way = Self {
            address: listener.local_addr().unwrap(),
            target: Arc::new(Mutex::new(target)),
            swallows: Arc::default(),
        };
        let (target, swallows) = (Arc::clone(&way.target), Arc::clone(&way.swallows));
        thread::spawn(move || {
            for caller in listener.incoming().flatten() {
                let to = *target.lock().unwrap();
                let Ok(axis) = TcpStream::connect(to) else {
                    continue;
                };
                let (back, forth) = (caller.try_clone().unwrap(), axis.try_clone().unwrap());
                let swallows = Arc::clone(&swallows);
                thread::spawn(move || carry(caller, forth, &swallows));
                thread::spawn(move || carry(axis, back, &AtomicBool::new(false)));
            }
        });
        way
    }

    fn leads_to(&self, axis: SocketAddr) {
        *self.target.lock().unwrap() = axis;
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, swallows: &AtomicBool) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        if !swallows.load(Ordering::SeqCst) && to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

/// A connector of this system.
fn start(server: SocketAddr, system: &System, args: &[OsString]) -> Process {
    let mut command = Command::new(axis_binary().unwrap());
    command
        .args(args)
        .arg("--json")
        .env("AXIS_SERVER", format!("http://{server}"))
        .env("AXIS_SYSTEM", &system.id)
        .env("AXIS_KEY", &system.key);
    Process::start(&mut command, None).unwrap()
}

fn sends(house: &House, folder: &Path) -> Process {
    start(
        house.axis.grpc(),
        &house.a,
        &args!["send", "--watch", folder, "--settled", "0"],
    )
}

/// Written elsewhere and renamed in, as a careful system does.
fn drop_in(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let (begun, path) = (folder.join(format!("{name}.tmp")), folder.join(name));
    fs::write(&begun, bytes).unwrap();
    fs::rename(&begun, &path).unwrap();
    path
}

fn beside(path: &Path, end: &str) -> PathBuf {
    PathBuf::from(format!("{}{end}", path.display()))
}

fn receipt(path: &Path) -> Value {
    let path = beside(path, ".receipt.json");
    let json = wait_until("the receipt", || fs::read(&path).ok());
    serde_json::from_slice(&json).unwrap()
}

fn error(path: &Path) -> String {
    let path = beside(path, ".error.txt");
    wait_until("the error", || fs::read_to_string(&path).ok())
}

/// What the process has said, once it has said this.
fn said(process: &Process, text: &str) {
    let found = |said: &str| said.contains(text).then_some(());
    process.stderr().wait_for(text, SOON, found).unwrap();
}

fn ends_well(process: &mut Process) {
    process.signal(Signal::TERM).unwrap();
    let ended = process.wait(SOON).unwrap().unwrap();
    assert_eq!(ended.code(), Some(0), "{}", process.stderr().text());
}

/// DocumentIds of what the receiver has, each as often as it came.
fn received(house: &House) -> Vec<String> {
    let out = tempfile::tempdir().unwrap();
    let lines = house.receive(&house.b, out.path());
    let ids = lines.iter().map(|line| line["document"].as_str().unwrap());
    let mut ids: Vec<_> = ids.map(str::to_owned).collect();
    ids.sort();
    ids
}

#[test]
fn what_is_dropped_finds_its_receipt_or_its_error_beside_it() {
    let house = House::new();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Also what lay there before the start.
    let package = document("d1").bytes();
    let early = drop_in(folder, "công văn 1.edxml", &package);
    let mut connector = sends(&house, folder);
    let told = receipt(&early);
    assert_eq!(told["sha256"], sha256(&package));
    assert_eq!(told["file"], "công văn 1.edxml");
    assert_eq!(told["duplicate"], false);
    assert!(early.exists(), "the file stays where it is");

    let unfinished = folder.join("d2.edxml.part");
    fs::write(&unfinished, document("d2").bytes()).unwrap();
    let bad = drop_in(folder, "bad.edxml", b"no package");
    let text = error(&bad);
    assert!(
        text.contains("BAD_PACKAGE") && text.contains("QCVN 102"),
        "{text}"
    );
    let stranger = testkit::Document::new(crate::house::A, &["000.00.77.H99"], "d3").bytes();
    let stranger = drop_in(folder, "d3.edxml", &stranger);
    let text = error(&stranger);
    assert!(
        text.contains("UNKNOWN_RECEIVER") && text.contains("000.00.77.H99"),
        "{text}"
    );
    // Mended under the same name: one result stands, of what lies there now.
    let mended = drop_in(folder, "bad.edxml", &document("d4").bytes());
    assert_eq!(receipt(&mended)["document"], "d4");
    wait_until("the error's end", || {
        (!beside(&mended, ".error.txt").exists()).then_some(())
    });
    assert!(!beside(&unfinished, ".receipt.json").exists());
    // The other direction has a folder of its own.
    let wrong = house
        .cli(&house.b)
        .run(args!["receive", "--follow", "--out", folder])
        .unwrap()
        .code(1)
        .unwrap();
    assert!(
        wrong.stderr.contains("the other direction"),
        "{}",
        wrong.stderr
    );
    let second = house
        .cli(&house.a)
        .run(args!["send", "--watch", folder])
        .unwrap()
        .code(1)
        .unwrap();
    assert!(
        second.stderr.contains("another connector"),
        "{}",
        second.stderr
    );
    ends_well(&mut connector);
    assert_eq!(received(&house), ["d1", "d4"]);
    let hidden = files(folder)
        .into_iter()
        .filter(|path| path.to_string_lossy().ends_with(".part"))
        .collect::<Vec<_>>();
    assert_eq!(hidden, [unfinished], "nothing half-made is left");
}

#[test]
fn a_crash_between_push_and_receipt_brings_the_first_receipt_and_no_second_delivery() {
    let house = House::new();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // The axis has it, and the receipt cannot be put down: something else has its name.
    let obstacle = folder.join("a.edxml.receipt.json");
    fs::create_dir(&obstacle).unwrap();
    fs::write(obstacle.join("x"), b"x").unwrap();
    let path = drop_in(folder, "a.edxml", &document("d1").bytes());
    let mut connector = sends(&house, folder);
    said(&connector, "cannot use the folder");
    connector.kill9().unwrap();
    fs::remove_dir_all(&obstacle).unwrap();
    let mut connector = sends(&house, folder);
    assert_eq!(receipt(&path)["duplicate"], true);
    ends_well(&mut connector);
    assert_eq!(received(&house), ["d1"]);
}

#[test]
fn a_sending_connector_killed_again_and_again_sends_each_file_once() {
    let house = House::new();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let paths: Vec<_> = (0..24)
        .map(|n| {
            let package = document(&format!("d{n:02}")).sized(2_000 << (n % 8), n);
            drop_in(folder, &format!("{n:02}.edxml"), &package.bytes())
        })
        .collect();
    let receipts = || {
        let there = paths
            .iter()
            .filter(|path| beside(path, ".receipt.json").exists());
        there.count()
    };
    for kill in 1..=8 {
        let mut connector = sends(&house, folder);
        wait_until("more receipts", || (receipts() >= kill * 2).then_some(()));
        connector.kill9().unwrap();
    }
    let mut connector = sends(&house, folder);
    for path in &paths {
        let told = receipt(path);
        assert_eq!(told["sha256"], sha256(&fs::read(path).unwrap()));
    }
    ends_well(&mut connector);
    let expected: Vec<_> = (0..24).map(|n| format!("d{n:02}")).collect();
    assert_eq!(received(&house), expected);
}

#[test]
fn what_was_kept_and_not_settled_is_settled_after_a_kill_and_comes_once() {
    let house = House::new();
    let way = Way::to(house.axis.grpc());
    let folder = tempfile::tempdir().unwrap();
    let follow = args!["receive", "--follow", "--out", folder.path()];
    let mut connector = start(way.address, &house.b, &follow);
    // It is connected: it has taken something.
    let _ = house.send(&[document("d1").bytes()]);
    let first = wait_until("the first file", || {
        files(folder.path()).into_iter().find(is_package)
    });
    wait_until("its settling", || {
        let left = files(&folder.path().join(".axis-kept"));
        left.is_empty().then_some(())
    });
    fs::remove_file(first).unwrap();
    // From now on the axis hears nothing of it: neither that it settles nor that it is gone.
    way.swallows.store(true, Ordering::SeqCst);
    let _ = house.send(&[document("d2").bytes()]);
    let second = wait_until("the second file", || {
        files(folder.path()).into_iter().find(is_package)
    });
    // Once its line is printed.
    let lines = |text: &str| (text.lines().count() >= 2).then_some(());
    connector
        .stdout()
        .wait_for("its line", SOON, lines)
        .unwrap();
    connector.kill9().unwrap();
    // The system takes its file, and the connector comes back.
    let taken = folder.path().join("taken");
    fs::rename(&second, &taken).unwrap();
    way.swallows.store(false, Ordering::SeqCst);
    let mut connector = start(way.address, &house.b, &follow);
    let _ = house.send(&[document("d3").bytes()]);
    let third = wait_until("the third file", || {
        files(folder.path()).into_iter().find(is_package)
    });
    let text = String::from_utf8(fs::read(third).unwrap()).unwrap();
    assert!(
        text.contains("<edXML:DocumentId>d3<"),
        "the second did not come again"
    );
    wait_until("the settling of both", || {
        let matrix = |id: &str| {
            let args = [
                "status",
                "matrix",
                id,
                "--sender",
                crate::house::A,
                "--json",
            ];
            house
                .axis
                .operate(args)
                .unwrap()
                .ok()
                .unwrap()
                .json()
                .unwrap()
                .remove(0)
        };
        let settled = |id: &str| matrix(id)["cells"][0]["state"] == "acknowledged";
        (settled("d2") && settled("d3")).then_some(())
    });
    ends_well(&mut connector);
    assert!(files(&folder.path().join(".axis-kept")).is_empty());
}

#[allow(clippy::ptr_arg)] // as iterators of paths have it
fn is_package(path: &PathBuf) -> bool {
    path.extension().is_some_and(|end| end == "edxml")
}

#[test]
fn connectors_wait_for_the_axis_and_for_their_folder_and_say_so() {
    let mut house = House::new();
    let way = Way::to(house.axis.grpc());
    let place = tempfile::tempdir().unwrap();
    let (out, into) = (place.path().join("out"), place.path().join("in"));
    fs::create_dir(&out).unwrap();
    let watch = args!["send", "--watch", out, "--settled", "0"];
    let mut sender = start(way.address, &house.a, &watch);
    let follow = args!["receive", "--follow", "--out", into];
    let mut receiver = start(way.address, &house.b, &follow);
    let path = drop_in(&out, "1.edxml", &document("d1").bytes());
    receipt(&path);
    wait_until("the first", || {
        (files(&into).iter().filter(|p| is_package(p)).count() == 1).then_some(())
    });

    house.axis.kill9().unwrap();
    said(&receiver, "It is tried again by itself");
    let path = drop_in(&out, "2.edxml", &document("d2").bytes());
    said(&sender, "It is tried again by itself");
    house.axis.restart().unwrap();
    way.leads_to(house.axis.grpc());
    assert_eq!(receipt(&path)["document"], "d2");
    said(&sender, "working again");
    wait_until("the second", || {
        (files(&into).iter().filter(|p| is_package(p)).count() == 2).then_some(())
    });
    said(&receiver, "working again");

    let gone = place.path().join("gone");
    fs::rename(&out, &gone).unwrap();
    said(&sender, "cannot use the folder");
    drop_in(&gone, "3.edxml", &document("d3").bytes());
    fs::rename(&into, place.path().join("in-gone")).unwrap();
    let _ = house.send(&[document("d4").bytes()]);
    said(&receiver, "cannot write in");
    assert!(
        !into.exists(),
        "a folder that was gone is not made anew: it may be a mount"
    );
    fs::rename(&gone, &out).unwrap();
    fs::rename(place.path().join("in-gone"), &into).unwrap();
    assert_eq!(receipt(&out.join("3.edxml"))["document"], "d3");
    wait_until("all four", || {
        (files(&into).iter().filter(|p| is_package(p)).count() == 4).then_some(())
    });
    ends_well(&mut sender);
    ends_well(&mut receiver);
}

#[test]
fn a_full_disk_holds_a_receiving_connector_up_and_loses_nothing() {
    let house = House::new();
    let place = tempfile::tempdir().unwrap();
    let disk = Mount::new(
        &place.path().join("disk"),
        &["-t", "tmpfs", "-o", "size=4m", "tmpfs"],
    );
    let ballast = fill(&disk.0);
    // The folder itself must be there.
    fs::remove_file(&ballast).unwrap();
    let follow = args!["receive", "--follow", "--out", disk.0.join("in")];
    let mut connector = start(house.axis.grpc(), &house.b, &follow);
    let _ = house.send(&[document("d1").bytes()]);
    wait_until("the first", || files(&disk.0).into_iter().find(is_package));
    let ballast = fill(&disk.0);
    let _ = house.send(&[document("d2").sized(600_000, 1).bytes()]);
    said(&connector, "No space left");
    fs::remove_file(ballast).unwrap();
    wait_until("the second", || {
        (files(&disk.0).iter().filter(|p| is_package(p)).count() == 2).then_some(())
    });
    ends_well(&mut connector);
    assert_eq!(received(&house), [""; 0]);
}

#[test]
fn the_service_manager_hears_that_a_connector_is_ready_alive_and_stopping() {
    let house = House::new();
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    fs::create_dir(&out).unwrap();
    for (system, words) in [
        (&house.a, args!["send", "--watch", out, "--settled", "0"]),
        (
            &house.b,
            args!["receive", "--follow", "--out", place.path().join("in")],
        ),
    ] {
        let socket = place.path().join(format!("notify-{}", system.id));
        let manager = UnixDatagram::bind(&socket).unwrap();
        manager.set_read_timeout(Some(SOON)).unwrap();
        let mut command = Command::new(axis_binary().unwrap());
        command
            .args(&words)
            .env("AXIS_SERVER", format!("http://{}", house.axis.grpc()))
            .env("AXIS_SYSTEM", &system.id)
            .env("AXIS_KEY", &system.key)
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", "60000000");
        let mut connector = Process::start(&mut command, None).unwrap();
        let hears = |text: &str| {
            let mut bytes = [0; 4096];
            loop {
                let read = manager.recv(&mut bytes).unwrap();
                if String::from_utf8_lossy(&bytes[..read]).contains(text) {
                    return;
                }
            }
        };
        hears("READY=1");
        hears("WATCHDOG=1");
        connector.signal(Signal::TERM).unwrap();
        hears("STOPPING=1");
        let ended = connector.wait(SOON).unwrap().unwrap();
        assert_eq!(ended.code(), Some(0), "{}", connector.stderr().text());
    }
}
