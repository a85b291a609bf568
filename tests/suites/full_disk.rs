//! A disk without room and one that cannot be written: real small file systems, which only root
//! may mount.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use api::v1;
use testkit::{Axis, Cli};

use crate::house::{
    B, House, SMALL, document, drain, eventually, fetch, push, refused, settle, try_push,
};

/// A mounted file system; unmounted when dropped.
pub(crate) struct Mount(pub(crate) PathBuf);

impl Mount {
    pub(crate) fn new(at: &Path, args: &[&str]) -> Self {
        let own = std::fs::metadata("/proc/self").unwrap().uid();
        assert!(
            own == 0,
            "only root may mount a file system. Type:\n    sudo -E env PATH=\"$PATH\" cargo nextest run -p e2e full_disk"
        );
        std::fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").args(args).arg(at).output().unwrap();
        assert!(
            mounted.status.success(),
            "{}",
            String::from_utf8_lossy(&mounted.stderr)
        );
        Self(at.to_owned())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a process of a failed test may still hold it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Fills what is free; the file's removal gives it back.
pub(crate) fn fill(folder: &Path) -> PathBuf {
    let path = folder.join("ballast");
    let mut file = std::fs::File::create(&path).unwrap();
    for piece in [1 << 20, 64 << 10, 4 << 10] {
        while file.write_all(&vec![1; piece]).is_ok() {}
    }
    path
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_pushes_while_fetching_and_settling_go_on_and_it_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Mount::new(
        &folder.path().join("disk"),
        &["-t", "tmpfs", "-o", "size=48m", "tmpfs"],
    );
    let axis = Axis::builder()
        .data(disk.0.join("axis-data"))
        .config(format!("{SMALL}[alerts]\nevery_seconds = 1\n"))
        .expect_log("the next journal segment cannot be made")
        .start()
        .unwrap();
    let mut house = House::on(axis);
    let (a, b) = (house.client(&house.a).await, house.client(&house.b).await);
    for n in 0..3 {
        push(&a, &document(&format!("before-{n}")).bytes()).await;
    }
    let recalled = document("before-2");
    let ballast = fill(&disk.0);
    // A large one fails where it is written, small ones when the journal needs its reserve.
    let large = document("large").sized(1 << 20, 1).bytes();
    let view = refused(try_push(&a, &large).await);
    assert_eq!(view.name, "DISK_FULL");
    assert!(
        view.retry_after.is_some() && view.message_en.contains("fetching and settling go on"),
        "{view:?}"
    );
    let streamed = a.push_stream(&large[..], v1::PushOptions::default()).await;
    assert_eq!(refused(streamed).name, "DISK_FULL");
    let mut accepted = 0;
    let view = loop {
        match try_push(
            &a,
            &document(&format!("full-{accepted}"))
                .sized(200_000, accepted)
                .bytes(),
        )
        .await
        {
            Ok(_) => accepted += 1,
            refusal => break refused(refusal),
        }
        assert!(accepted < 100, "4 MiB of journal cannot hold so much");
    };
    assert_eq!(view.name, "DISK_FULL");
    let operator = house.operator().await;
    assert_eq!(
        operator.info(v1::InfoRequest {}).await.unwrap().space,
        "reserve"
    );
    // The operator hears of it once, and whoever asks what is stuck is told first of all.
    let alerts = |more: &[&str]| {
        let args = [&["alerts", "--json"], more].concat();
        let mut alerts = house
            .axis
            .operate(args)
            .unwrap()
            .ok()
            .unwrap()
            .json()
            .unwrap();
        alerts.retain(|alert| alert["kind"] == "disk-reserve");
        alerts
    };
    eventually("the alert", || async {
        (alerts(&[]).len() == 1).then_some(())
    })
    .await;
    let why = house.ask(&["why", B]);
    let causes = why[0]["findings"].as_array().unwrap();
    assert!(
        causes
            .iter()
            .any(|finding| finding["cause"] == "DISK_RESERVE"),
        "{why:?}"
    );
    // A recall and all that lets deliveries out go on.
    push(&a, &recalled.recalling("Ban hành nhầm").bytes()).await;
    let waiting = 2 + usize::try_from(accepted).unwrap();
    let mut got = 0;
    while let Some((header, _)) = fetch(&b, 1).await.pop() {
        assert!(settle(&b, &header).await.changed);
        got += 1;
    }
    assert_eq!(got, waiting, "the recalled one does not come");
    assert_eq!(
        refused(try_push(&a, &document("still").bytes()).await).name,
        "DISK_FULL"
    );
    drop((a, b));
    let verified = |house: &House| {
        house
            .axis
            .operate(["verify", "--json"])
            .unwrap()
            .ok()
            .unwrap()
    };
    verified(&house);

    std::fs::remove_file(&ballast).unwrap();
    let a = house.client(&house.a).await;
    let receipt = eventually("the axis to take pushes again", || async {
        try_push(&a, &document("after").bytes()).await.ok()
    })
    .await;
    assert!(!receipt.duplicate);
    eventually("the end of the alert", || async {
        alerts(&[]).is_empty().then_some(())
    })
    .await;
    let all = alerts(&["--all"]);
    assert!(
        all.len() == 1 && all[0]["cleared_at"].is_string(),
        "{all:?}"
    );
    push(&a, &large).await;
    let b = house.client(&house.b).await;
    assert_eq!(drain(&b).await.len(), 2);
    verified(&house);
    drop((a, b, operator));
    let code = tokio::task::spawn_blocking(move || (house.axis.terminate().unwrap(), house))
        .await
        .unwrap();
    assert_eq!(code.0, 0);
}

#[test]
fn a_disk_that_cannot_be_written_is_told_and_can_still_be_verified() {
    let mut house = House::new();
    let _ = house.send(&[document("d").bytes()]);
    assert_eq!(house.axis.terminate().unwrap(), 0);
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("disk");
    let source = house
        .axis
        .data()
        .parent()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    let disk = Mount::new(&place, &["--bind", "-o", "ro", &source]);
    let data = disk.0.join("axis-data");
    let refused = Cli::new()
        .env("AXIS_GRPC_LISTEN", "127.0.0.1:0")
        .env("AXIS_CONSOLE_LISTEN", "127.0.0.1:0")
        .env("AXIS_VXP_LISTEN", "127.0.0.1:0")
        .run(args!["serve", "--data", data])
        .unwrap()
        .code(1)
        .unwrap();
    assert!(
        refused.stderr.contains("Read-only file system") && refused.stderr.contains("axis-data"),
        "{}",
        refused.stderr
    );
    Cli::new()
        .run(args!["verify", "--data", data])
        .unwrap()
        .ok()
        .unwrap();
    // A receiver that cannot write keeps nothing and loses nothing.
    house.axis.restart().unwrap();
    let failed = house
        .cli(&house.b)
        .run(args!["receive", "--out", disk.0.join("inbox"),])
        .unwrap()
        .code(1)
        .unwrap();
    assert!(
        failed.stderr.contains("Read-only file system"),
        "{}",
        failed.stderr
    );
    let _ = house.send(&[document("large").sized(300_000, 1).bytes()]);
    let small = Mount::new(
        &folder.path().join("small"),
        &["-t", "tmpfs", "-o", "size=128k", "tmpfs"],
    );
    let failed = house
        .cli(&house.b)
        .run(args!["receive", "--out", small.0])
        .unwrap()
        .code(1)
        .unwrap();
    assert!(
        failed.stderr.contains("No space left on device"),
        "{}",
        failed.stderr
    );
    // The small one had room and was settled; the large one is offered again.
    let out = tempfile::tempdir().unwrap();
    let got = house.receive(&house.b, out.path());
    assert_eq!((got.len(), &got[0]["document"]), (1, &"large".into()));
}
