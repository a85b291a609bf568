//! `axis top`: live in a terminal that it gives back, and plain where there is none.

use std::process::Command;

use testkit::{Process, axis_binary};

use crate::house::{A, C, House, SOON, document};

/// What takes a screen and gives it back.
const TAKEN: &str = "\x1b[?1049h";
const GIVEN_BACK: &str = "\x1b[?1049l";

/// `axis top` in a terminal of 160 columns; `keys` are typed ahead. The file holds its pid.
fn in_terminal(house: &House, pid: &std::path::Path, keys: &str) -> Process {
    let mut command = Command::new("script");
    command
        .args(["-qec", "stty rows 24 cols 160; echo $$ > \"$PID_FILE\"; exec \"$TOP\" top --every 1 --data \"$FOLDER\"", "/dev/null"])
        .env("SHELL", "/bin/sh")
        .env("TERM", "xterm-256color")
        .env("TOP", axis_binary().unwrap())
        .env("FOLDER", house.axis.data())
        .env("PID_FILE", pid);
    Process::start(&mut command, Some(keys.as_bytes().to_vec())).unwrap()
}

fn shows(top: &Process, text: &str) {
    let found = |screen: &str| screen.contains(text).then_some(());
    top.stdout().wait_for(text, SOON, found).unwrap();
}

#[test]
fn top_follows_the_queues_over_a_restart_and_gives_the_terminal_back() {
    let mut house = House::new();
    house.send(&[document("1").bytes()]);
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let mut top = in_terminal(&house, &pid, "");
    shows(&top, TAKEN);
    shows(&top, "so-b");
    house.axis.terminate().unwrap();
    // The axis is gone: that is told, and the axis looked for.
    shows(&top, "Mất");
    house.axis.restart().unwrap();
    house.send(&[testkit::Document::new(A, &[C], "2").bytes()]);
    shows(&top, "so-c");
    assert!(!top.stdout().text().contains(GIVEN_BACK));
    let pid = std::fs::read_to_string(&pid).unwrap();
    let killed = Command::new("kill").arg(pid.trim()).status().unwrap();
    assert!(killed.success());
    let ended = top.wait(SOON).unwrap().expect("it does not end");
    assert!(ended.success(), "{ended}");
    assert!(top.stdout().text().contains(GIVEN_BACK));
}

#[test]
fn a_key_ends_top() {
    let house = House::new();
    house.send(&[document("1").bytes()]);
    let folder = tempfile::tempdir().unwrap();
    let mut top = in_terminal(&house, &folder.path().join("pid"), "q");
    let ended = top.wait(SOON).unwrap().expect("it does not end");
    assert!(ended.success(), "{ended}");
    let screen = top.stdout().text();
    assert!(
        screen.contains("so-b") && screen.contains(GIVEN_BACK),
        "{screen}"
    );
}

#[test]
fn without_a_terminal_top_prints_so_many_tables_and_ends() {
    let house = House::with_config("[alerts]\ndisk_free_percent = 0\n");
    house.send(&[document("1").bytes()]);
    let text = |args: &[&str]| house.axis.operate(args).unwrap().ok().unwrap().stdout;
    let one = text(&["top"]);
    assert!(
        one.starts_with("axis top  ") && !one.contains('\x1b'),
        "{one}"
    );
    assert!(one.contains("\nHệ thống  Làn"), "{one}");
    assert_eq!(one.matches("so-b").count(), 1);
    let two = text(&["top", "--count", "2", "--every", "1"]);
    assert_eq!(two.matches("axis top  ").count(), 2);
    house
        .axis
        .operate(["top", "--system", "nobody"])
        .unwrap()
        .code(1)
        .unwrap();
    let nowhere = tempfile::tempdir().unwrap();
    let args = args!["top", "--data", nowhere.path()];
    testkit::Cli::new().run(args).unwrap().code(3).unwrap();
}
