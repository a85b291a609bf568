//! The demo tells what really happened.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;
use testkit::{Cli, Process, Signal, axis_binary};

use crate::house::SOON;

fn texts(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .map(|list| list.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}

#[test]
fn the_demo_delivers_everything_once_and_reports_it_to_scripts() -> Result<()> {
    let finished = Cli::new().run(["demo", "--exit", "--json"])?.ok()?;
    let lines = finished.json()?;
    assert_eq!(lines.len(), 1, "one object and nothing else");
    let report = &lines[0];
    assert_eq!(
        (&report["lost"], &report["doubled"]),
        (&0.into(), &0.into())
    );

    let packages = report["packages"].as_array().unwrap();
    let documents: Vec<_> = packages
        .iter()
        .filter(|package| package["kind"] == "document")
        .collect();
    // Three planted, seven samples, three of urgency and recall.
    assert_eq!(documents.len(), 13);
    for package in packages {
        let receivers = texts(&package["receivers"]);
        let deliveries = package["deliveries"].as_array().unwrap();
        assert_eq!(receivers.len(), deliveries.len());
        assert_eq!(package["sha256"].as_str().unwrap().len(), 64);
        for (receiver, delivery) in receivers.iter().zip(deliveries) {
            assert_eq!(delivery["receiver"], **receiver);
            assert_eq!(delivery["id"].as_str().unwrap().len(), 36);
        }
    }
    for document in &documents {
        for delivery in document["deliveries"].as_array().unwrap() {
            assert!(
                ["acknowledged", "recalled"].contains(&delivery["state"].as_str().unwrap()),
                "{delivery}"
            );
            let statuses = texts(&delivery["statuses"]);
            // Taken back before the fetch, or it came.
            assert!(
                statuses == ["13", "15"] || statuses[0] == "01",
                "{delivery}"
            );
        }
    }
    let with = |wanted: &[&str]| {
        let deliveries = documents
            .iter()
            .flat_map(|d| d["deliveries"].as_array().unwrap());
        deliveries
            .filter(|d| texts(&d["statuses"]) == wanted)
            .count()
    };
    assert!(with(&["13", "15"]) >= 1, "a recall before the fetch");
    assert!(with(&["01", "15"]) >= 1, "a recall after the fetch");
    assert_eq!(with(&["01", "02"]), 1, "a refusal");
    let answered = documents
        .iter()
        .flat_map(|document| document["deliveries"].as_array().unwrap())
        .filter(|delivery| texts(&delivery["statuses"]) == ["01", "03", "05", "06"]);
    assert_eq!(answered.count(), 1);

    let refused: Vec<_> = report["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["file"].as_str().unwrap(), one["code"].as_str().unwrap()))
        .collect();
    assert_eq!(
        refused,
        [
            ("documents/spelled-business.edxml", "CONFLICT"),
            ("malformed/not-well-formed.edxml", "NOT_WELL_FORMED"),
            (
                "malformed/junk-before-declaration.edxml",
                "JUNK_BEFORE_DECLARATION"
            ),
            ("malformed/doctype.edxml", "DOCTYPE"),
        ]
    );
    assert_eq!(report["refused"][1]["line"], 74);
    Ok(())
}

#[test]
fn the_demo_is_a_story_that_a_person_can_read() -> Result<()> {
    let finished = Cli::new().run(["demo", "--exit"])?.ok()?;
    for told in [
        "Văn phòng Chính phủ",
        "DocumentId 000.00.00.G22,2015/09/30,7816/VPCP-TTĐT",
        "CONFLICT",
        "74:7 NOT_WELL_FORMED",
        "06 hoàn thành",
        "VXP (SDK quốc gia)",
        "demo-hoa-toc, demo-thuong",
        "Văn bản gửi nhầm địa chỉ, không thuộc thẩm quyền",
        "Thu hồi trước khi lấy (a recall before the fetch)",
        "Thu hồi sau khi lấy (a recall after the fetch)",
        "Thay thế (a replacement",
        "Diễn biến (what happened)",
        "Mất (lost)            0",
        "Trùng (doubled)       0",
    ] {
        assert!(
            finished.stdout.contains(told),
            "{told:?} is not told:\n{}",
            finished.stdout
        );
    }
    assert!(
        !finished.stdout.contains('\u{1b}'),
        "no colour where nobody sees it"
    );
    assert_eq!(finished.stderr, "");
    Ok(())
}

#[test]
fn the_demo_stays_for_a_person_to_try_and_ends_with_ctrl_c() -> Result<()> {
    let mut command = Command::new(axis_binary()?);
    command.arg("demo");
    let mut demo = Process::start(&mut command, None)?;
    let line = demo.stdout().wait_for("what to type", SOON, |text| {
        let line = text
            .lines()
            .find(|line| line.contains("axis queues --data"))?;
        text.contains("Ctrl-C").then(|| line.trim().to_owned())
    })?;
    let args: Vec<_> = line.split_whitespace().skip(1).collect();
    let _ = Cli::new().run(&args)?.ok()?;
    demo.signal(Signal::INT)?;
    assert_eq!(demo.wait(SOON)?.context("it goes on")?.code(), Some(0));
    assert!(!Path::new(args[2]).exists(), "the folder is gone");
    Ok(())
}
