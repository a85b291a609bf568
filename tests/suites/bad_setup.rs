//! What keeps the axis from starting: each with a message that says what to do.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use testkit::{Axis, Cli, Finished};

use crate::house::{House, SMALL, document, patch, segments};

fn serve(data: &Path, config: Option<&Path>) -> Finished {
    let mut args = args!["serve", "--json", "--data", data];
    if let Some(config) = config {
        args.extend(args!["--config", config]);
    }
    let refused = Cli::new()
        .env("AXIS_GRPC_LISTEN", "127.0.0.1:0")
        .env("AXIS_CONSOLE_LISTEN", "127.0.0.1:0")
        .env("AXIS_VXP_LISTEN", "127.0.0.1:0")
        .run(args)
        .unwrap();
    assert!(refused.stdout.is_empty(), "it said that it was ready");
    refused
}

#[test]
fn a_configuration_that_cannot_be_used_is_2_with_key_value_and_what_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let (data, config) = (folder.path().join("data"), folder.path().join("axis.toml"));
    let cases: &[(&str, &[&str])] = &[
        (
            "[limits]\nmax_packages = 7\n",
            &["max_packages", "unknown field", "max_package_bytes"],
        ),
        ("[grcp]\n", &["grcp", "grpc"]),
        (
            "[limits]\nmax_package_bytes = 7\n",
            &["limits.max_package_bytes", "7", "4096"],
        ),
        (
            "[limits]\nmax_package_bytes = \"big\"\n",
            &["max_package_bytes", "\"big\"", "u64"],
        ),
        (
            "[delivery]\nlease_seconds = 0\n",
            &["delivery.lease_seconds", "0", "1"],
        ),
        (
            "[journal]\nsegment_bytes = 5000000\n",
            &["journal.segment_bytes", "5000000", "4096"],
        ),
        ("[grpc]\nlisten = \"somewhere\"\n", &["listen", "somewhere"]),
        ("[grpc\n", &["axis.toml"]),
        ("[bus]\nurl = \"kafka://x\"\n", &["bus.url", "kafka"]),
        (
            "[log]\nfilter = \"exchange=loudest\"\n",
            &["log.filter", "loudest"],
        ),
    ];
    for (text, words) in cases {
        std::fs::write(&config, text).unwrap();
        let refused = serve(&data, Some(&config)).code(2).unwrap();
        for word in *words {
            assert!(
                refused.stderr.contains(word),
                "{text}: no {word} in: {}",
                refused.stderr
            );
        }
        assert!(!data.exists(), "nothing was made");
    }
    let missing = serve(&data, Some(&folder.path().join("missing.toml")))
        .code(2)
        .unwrap();
    assert!(missing.stderr.contains("missing.toml"));
    let shipped = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/axis.toml"));
    let text = std::fs::read_to_string(shipped).unwrap();
    assert!(
        Axis::builder().config(text).data(&data).start().is_ok(),
        "what is shipped can be used"
    );
}

#[test]
fn a_listener_off_loopback_needs_tls() {
    let folder = tempfile::tempdir().unwrap();
    let refused = Cli::new()
        .env("AXIS_GRPC_LISTEN", "0.0.0.0:0")
        .env("AXIS_CONSOLE_LISTEN", "127.0.0.1:0")
        .env("AXIS_VXP_LISTEN", "127.0.0.1:0")
        .run(args!["serve", "--data", folder.path().join("data"),])
        .unwrap()
        .code(2)
        .unwrap();
    assert!(
        refused.stderr.contains("grpc.tls.cert") && refused.stderr.contains("0.0.0.0"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_port_or_a_folder_in_use_is_told() {
    let house = House::new();
    let refused = serve(house.axis.data(), None).code(1).unwrap();
    let pid = house.axis.pid().to_string();
    assert!(
        refused.stderr.contains("in use by another process") && refused.stderr.contains(&pid),
        "{}",
        refused.stderr
    );
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let refused = Cli::new()
        .env("AXIS_GRPC_LISTEN", house.axis.grpc().to_string())
        .env("AXIS_CONSOLE_LISTEN", "127.0.0.1:0")
        .env("AXIS_VXP_LISTEN", "127.0.0.1:0")
        .run(args!["serve", "--data", data])
        .unwrap()
        .code(1)
        .unwrap();
    assert!(
        refused.stderr.contains("port 0 picks a free one"),
        "{}",
        refused.stderr
    );
    assert!(!data.exists(), "ports are bound before anything is made");
    // The one that runs noticed nothing of all this.
    let _ = house.send(&[document("d").bytes()]);
}

#[test]
fn a_journal_of_a_newer_format_is_refused_by_name() {
    let mut house = House::new();
    let _ = house.send(&[document("d").bytes()]);
    assert_eq!(house.axis.terminate().unwrap(), 0);
    let data = house.axis.data().to_owned();
    let segment = &segments(&data)[0];
    patch(
        segment,
        8,
        |bytes| {
            bytes[..4].copy_from_slice(&2_u32.to_le_bytes());
            let mut start = b"AXISJRNL".to_vec();
            start.extend_from_slice(&bytes[..4]);
            bytes[4..].copy_from_slice(&crc32c(&start).to_le_bytes());
        },
        8,
    );
    let before = std::fs::read(segment).unwrap();
    let refused = serve(&data, None).code(1).unwrap();
    assert!(
        refused.stderr.contains("format 2") && refused.stderr.contains("newer Axis"),
        "{}",
        refused.stderr
    );
    assert!(
        std::fs::read(segment).unwrap() == before,
        "nothing was changed"
    );
}

/// CRC32C, bit by bit: what the head of a segment is checked with.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0x82F6_3B78
            } else {
                crc >> 1
            };
        }
    }
    !crc
}

#[test]
fn the_key_file_must_be_there_be_the_right_one_and_be_its_owners_alone() {
    let mut house = House::new();
    assert_eq!(house.axis.terminate().unwrap(), 0);
    let data = house.axis.data().to_owned();
    let key = data.with_file_name("axis-data.key");
    let kept = std::fs::read(&key).unwrap();
    assert_eq!(
        std::fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );

    std::fs::remove_file(&key).unwrap();
    let refused = serve(&data, None).code(1).unwrap();
    assert!(
        refused.stderr.contains("missing") && refused.stderr.contains("backup"),
        "{}",
        refused.stderr
    );
    assert!(!key.exists(), "no new key is made over sealed ones");
    // To verify, no key is needed.
    Cli::new()
        .run(args!["verify", "--data", data])
        .unwrap()
        .ok()
        .unwrap();

    let put = |bytes: &[u8], mode: u32| {
        std::fs::write(&key, bytes).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    put(&kept, 0o640);
    let refused = serve(&data, None).code(1).unwrap();
    assert!(refused.stderr.contains("chmod 600"), "{}", refused.stderr);
    put(&[b'0'; 64], 0o600);
    let refused = serve(&data, None).code(1).unwrap();
    assert!(refused.stderr.contains("not the one"), "{}", refused.stderr);
    put(b"a key", 0o600);
    let refused = serve(&data, None).code(1).unwrap();
    assert!(
        refused.stderr.contains("64 hex digits"),
        "{}",
        refused.stderr
    );
    put(&kept, 0o600);
    house.axis.restart().unwrap();
    let _ = house.send(&[document("d").bytes()]);
}

#[test]
fn the_data_folder_may_have_any_path() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder
        .path()
        .join("thư mục dữ liệu".repeat(8))
        .join("x".repeat(120))
        .join("dữ liệu");
    std::fs::create_dir_all(deep.parent().unwrap()).unwrap();
    let mut axis = Axis::builder().data(&deep).config(SMALL).start().unwrap();
    axis.register(2).unwrap();
    let mode = |name: &str| {
        std::fs::metadata(deep.join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode("admin.sock"), 0o600);
    assert_eq!(axis.terminate().unwrap(), 0);
    axis.restart().unwrap();
    axis.operate(["registry", "list", "--json"])
        .unwrap()
        .ok()
        .unwrap();
}
