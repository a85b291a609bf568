//! The registry as a registrar works with it: every command, at the machine and from a distance.

use std::collections::BTreeMap;
use std::ffi::OsString;

use serde_json::{Value, json};
use testkit::{Axis, Cli};

use crate::house::SMALL;
use crate::lists::{example, get, operate};

/// An axis with the sample registry.
fn province() -> Axis {
    let axis = Axis::builder()
        .config(format!("{SMALL}[console]\nlisten = \"127.0.0.1:0\"\n"))
        .start()
        .unwrap();
    let list = example("lam-hai-2024.csv");
    let import = args!["registry", "import", list, "--effective", "2024-01-01"];
    axis.operate(import).unwrap().ok().unwrap();
    axis
}

/// The file with the key of a new account.
fn account(axis: &Axis, id: &str, person: &str, role: &str) -> OsString {
    let file = axis.data().parent().unwrap().join(format!("{id}.key"));
    let mut add = args![
        "access",
        "add",
        id,
        "--person",
        person,
        "--role",
        role,
        "--save-key",
        file
    ];
    if role == "agency-admin" {
        add.extend(args!["--agency", "H99.2"]);
    }
    axis.operate(add).unwrap().ok().unwrap();
    file.into()
}

/// Each command of the registry does its work on the sample, and says it as JSON as well.
#[test]
fn a_registrar_does_every_piece_of_work_by_command_and_each_speaks_json() {
    let axis = province();
    let outside = axis
        .file(
            "other.csv",
            "code,name\nH99.2,Sở Nội vụ\nH99.77,Sở Xa\n".as_bytes(),
        )
        .unwrap();
    let export = axis.data().parent().unwrap().join("list.xlsx");
    let code = |done: &Value| {
        done["agency"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let changes = [
        (
            args![
                "add",
                "000.00.90.H99",
                "Sở Du lịch",
                "--parent",
                "H99",
                "--code-2020",
                "H99.90"
            ],
            "000.00.90.H99",
        ),
        (args!["request", "H99.91", "Hội Văn nghệ"], "H99.91"),
        (
            args!["approve", "H99.91", "--decision", "7/QĐ-UBND", "--activate"],
            "H99.91",
        ),
        (
            args!["rename", "H99.90", "Sở Du lịch và Thể thao"],
            "000.00.90.H99",
        ),
        (
            args!["recode", "H99.91", "000.00.91.H99", "--code-2020", "H99.91"],
            "000.00.91.H99",
        ),
        (args!["move", "H99.91", "H99.90"], "000.00.91.H99"),
        (
            args!["describe", "H99.91", "--kind", "Hội"],
            "000.00.91.H99",
        ),
        (
            args!["suspend", "H99.91", "--why", "quảng cáo", "--by", "Lan"],
            "000.00.91.H99",
        ),
        (args!["resume", "H99.91"], "000.00.91.H99"),
        (
            args![
                "add",
                "28.22.H17",
                "Trung tâm",
                "--irregular",
                "--why",
                "mã đang dùng"
            ],
            "28.22.H17",
        ),
        (
            args!["merge", "28.22.H17", "--into", "H99.91", "--forward"],
            "000.00.91.H99",
        ),
        (
            args![
                "split",
                "H99.91",
                "--new",
                "H99.92=Hội Nhà văn",
                "--new",
                "H99.93=Hội Nhạc sĩ"
            ],
            "000.00.91.H99",
        ),
        (args!["reopen", "H99.91"], "000.00.91.H99"),
        (
            args!["close", "H99.93", "--successor", "H99.92", "--forward"],
            "H99.93",
        ),
        (
            args![
                "rename",
                "H99.92",
                "Hội Nhà văn Lâm Hải",
                "--effective",
                "2099-01-01"
            ],
            "H99.92",
        ),
        (args!["withdraw", "H99.92", "2"], "H99.92"),
    ];
    for (args, expected) in changes {
        let mut words = args!["registry"];
        words.extend(args);
        words.push("--json".into());
        let done = axis.operate(&words).unwrap().ok().unwrap().json().unwrap();
        assert_eq!(
            (done.len(), code(&done[0]).as_str()),
            (1, expected),
            "{words:?}"
        );
    }
    let looks = [
        (args!["tree", "H99.90"], 2),
        (args!["tree", "H99", "--depth", "0"], 1),
        (args!["list", "--state", "closed"], 2),
        (args!["search", "nha", "van", "hoi"], 1),
        (args!["show", "H99.93"], 1),
        (args!["as-of", "2024-06-30", "so noi vu"], 1),
        (args!["log", "28.22.H17"], 2),
        (args!["diff", "2024-06-30"], 0),
        (args!["import", outside, "--dry-run"], 1),
        (args!["publish", "--note", "đợt 1"], 1),
        (args!["versions"], 1),
        (
            args!["sent", "1", "--on", "2026-07-01", "--document", "12/UBND"],
            1,
        ),
        (args!["compare", outside], 0),
        (args!["unknown"], 0),
        (args!["adopt", "H99.77", "--from", outside], 1),
    ];
    for (args, lines) in looks {
        let mut words = args!["registry"];
        words.extend(args);
        words.push("--json".into());
        let told = axis.operate(&words).unwrap().ok().unwrap().json().unwrap();
        // 0 = any number: the sample says it.
        assert!(lines == 0 || told.len() == lines, "{words:?}: {told:?}");
    }
    axis.operate(args!["registry", "export", export])
        .unwrap()
        .ok()
        .unwrap();
    assert!(std::fs::read(&export).unwrap().starts_with(b"PK"));
    let refused = axis
        .operate(["registry", "merge", "H99.92", "--into", "H99.92"])
        .unwrap();
    assert!(refused.code(1).unwrap().stderr.contains("H99.92"));
}

/// Two registrars who saw the same revision: the second is told who was first.
#[test]
fn two_registrars_at_once_do_not_overwrite_each_other() {
    let axis = province();
    let seen = operate(&axis, ["registry", "show", "H99.2", "--json"])[0]["revision"].to_string();
    let rename = |name: &str, by: &str| {
        let args = [
            "registry",
            "rename",
            "H99.2",
            name,
            "--revision",
            &seen,
            "--by",
            by,
        ];
        axis.operate(args).unwrap()
    };
    rename("Sở Nội vụ và Lao động", "Nguyễn Thị Lan")
        .ok()
        .unwrap();
    let late = rename("Sở Nội vụ mới", "Trần Văn Bình").code(1).unwrap();
    assert!(
        late.stderr.contains("REGISTRY_CONFLICT") && late.stderr.contains("Nguyễn Thị Lan"),
        "{}",
        late.stderr
    );
}

/// Duty SC-05: from a distance a person comes by an account, and may do what its role may.
#[test]
fn sc_05_a_registrar_works_from_a_distance_by_account_and_an_auditor_only_looks() {
    let axis = province();
    let server = format!("http://{}", axis.grpc());
    let lan = account(&axis, "lan", "Nguyễn Thị Lan", "registrar");
    let binh = account(&axis, "binh", "Trần Văn Bình", "auditor");
    let as_person = |id: &str, key: &OsString, words: &[&str]| {
        let mut args: Vec<OsString> = words.iter().map(Into::into).collect();
        args.extend(args!["--as", id, "--server", server, "--key-file", key]);
        Cli::new().run(args).unwrap()
    };
    as_person(
        "lan",
        &lan,
        &["registry", "rename", "H99.2", "Sở Nội vụ mới"],
    )
    .ok()
    .unwrap();
    let log = operate(&axis, ["registry", "log", "H99.2", "--json"]);
    assert_eq!(
        (&log[0]["by"], &log[0]["operation"]),
        (&json!("Nguyễn Thị Lan"), &json!("rename"))
    );
    // A list of some size too: more than a question may have.
    let rows: String = (0..3_000)
        .map(|at| format!("H99.9.{at},Đơn vị số {at}\n"))
        .collect();
    let list = axis
        .file("long.csv", format!("code,name\n{rows}").as_bytes())
        .unwrap();
    let list = list.to_str().unwrap();
    let imported = as_person("lan", &lan, &["registry", "import", list, "--json"]);
    assert_eq!(imported.ok().unwrap().json().unwrap()[0]["added"], 3_000);
    as_person("binh", &binh, &["registry", "show", "H99.2"])
        .ok()
        .unwrap();
    let refused = as_person("binh", &binh, &["registry", "rename", "H99.2", "Khác"]);
    assert!(
        refused
            .code(1)
            .unwrap()
            .stderr
            .contains("PERMISSION_DENIED")
    );
    let refused = as_person("lan", &binh, &["registry", "show", "H99.2"]);
    assert!(refused.code(1).unwrap().stderr.contains("UNAUTHENTICATED"));
    let nobody = Cli::new()
        .run(["registry", "show", "H99.2", "--as", "lan"])
        .unwrap();
    assert!(nobody.code(2).unwrap().stderr.contains("--server"));
    // The key from the environment; ended, it is refused.
    let key = std::fs::read_to_string(&lan).unwrap();
    let show = || {
        let cli = Cli::new()
            .env("AXIS_KEY", key.trim())
            .env("AXIS_SERVER", &server)
            .env("AXIS_ACCOUNT", "lan");
        cli.run(["registry", "search", "noi vu"]).unwrap()
    };
    show().ok().unwrap();
    axis.operate(["access", "revoke", "lan", "--why", "nghỉ việc"])
        .unwrap()
        .ok()
        .unwrap();
    show().code(1).unwrap();
}

/// Duty SC-05: the same over TLS, where the axis shows that it is the axis before it hears the key.
#[test]
fn sc_05_an_account_logs_in_over_tls_to_the_axis_of_its_authority_alone() {
    let folder = tempfile::tempdir().unwrap();
    let [pki, other] = ["pki", "other"].map(|name| folder.path().join(name));
    let axis = crate::bad_calls::with_tls(&pki, &pki.join("ca.pem"));
    Cli::new()
        .run(args!["pki", "init", other])
        .unwrap()
        .ok()
        .unwrap();
    let key = account(&axis, "lan", "Nguyễn Thị Lan", "registrar");
    let port = axis.grpc().port();
    let rename = |server: String, more: Vec<OsString>| {
        let mut args = args!["registry", "rename", crate::house::A, "Sở Nội vụ mới"];
        args.extend(args!["--as", "lan", "--key-file", key, "--server", server]);
        args.extend(more);
        Cli::new().run(args).unwrap()
    };
    let https = format!("https://localhost:{port}");
    let ca = pki.join("ca.pem");
    // An axis of another authority, and one without TLS: no key is told.
    let stranger = rename(https.clone(), args!["--ca", other.join("ca.pem")]);
    let stranger = stranger.code(3).unwrap();
    assert!(
        stranger.stderr.contains("certificate"),
        "{}",
        stranger.stderr
    );
    let plain = rename(format!("http://localhost:{port}"), Vec::new());
    plain.code(3).unwrap();
    let renamed = rename(https.clone(), args!["--ca", ca, "--json"]);
    let renamed = renamed.ok().unwrap().json().unwrap();
    assert_eq!(renamed[0]["agency"]["name"], "Sở Nội vụ mới");
    let log = operate(&axis, ["registry", "log", crate::house::A, "--json"]);
    assert_eq!(log[0]["by"], "Nguyễn Thị Lan");
    // A wrong key, and one that has ended, are refused as over any line.
    let wrong = axis.file("wrong.key", b"AAAA\n").unwrap();
    let whoami = |key: &OsString| {
        let mut args = args!["registry", "show", crate::house::A, "--as", "lan"];
        args.extend(args!["--key-file", key, "--server", https, "--ca", ca]);
        Cli::new().run(args).unwrap()
    };
    let refused = whoami(&wrong.into_os_string()).code(1).unwrap();
    assert!(refused.stderr.contains("UNAUTHENTICATED"));
    whoami(&key).ok().unwrap();
    axis.operate(["access", "revoke", "lan", "--why", "nghỉ việc"])
        .unwrap()
        .ok()
        .unwrap();
    whoami(&key).code(1).unwrap();
}

/// Duty RG-08: who serves whom changes on its day; a suspended system is told why.
#[test]
fn rg_08_systems_serve_from_a_day_on_are_suspended_with_a_reason_and_due_keys_are_listed() {
    let axis = province();
    let first = axis.add_system("qlvb-1", &["H99.2"]).unwrap();
    axis.add_system("qlvb-2", &["H99.3"]).unwrap();
    let planned = operate(
        &axis,
        [
            "system",
            "serve",
            "qlvb-2",
            "--agency",
            "H99.2",
            "--effective",
            "2099-01-01",
            "--decision",
            "9/QĐ",
            "--json",
        ],
    );
    let told: Vec<_> = planned
        .iter()
        .map(|one| (&one["system"], &one["from"]))
        .collect();
    assert_eq!(told.len(), 2, "{planned:?}");
    assert_eq!(
        (told[1].0, &planned[1]["decision"]),
        (&json!("qlvb-2"), &json!("9/QĐ"))
    );
    assert_eq!(
        operate(&axis, ["system", "served", "000.00.02.H99", "--json"]),
        planned
    );
    operate(
        &axis,
        [
            "system",
            "suspend",
            "qlvb-1",
            "--why",
            "mã độc",
            "--by",
            "Lan",
            "--json",
        ],
    );
    let fetch = || {
        axis.cli(&first)
            .run(args![
                "receive",
                "--out",
                axis.data().parent().unwrap().join("in")
            ])
            .unwrap()
    };
    fetch().code(1).unwrap();
    let listed = operate(&axis, ["system", "list", "--json"]);
    assert_eq!(
        (&listed[0]["suspended"], &listed[0]["reason"]),
        (&json!(true), &json!("mã độc"))
    );
    operate(&axis, ["system", "resume", "qlvb-1", "--json"]);
    fetch().ok().unwrap();
    assert!(operate(&axis, ["system", "due", "--json"]).is_empty());
    operate(
        &axis,
        ["system", "key", "qlvb-1", "--overlap", "3600", "--json"],
    );
    let due = operate(&axis, ["system", "due", "--json"]);
    assert_eq!(
        (due.len(), &due[0]["credential"], &due[0]["why"]),
        (1, &json!("key 1"), &json!("ending"))
    );
}

/// Duty SC-05: every route of the console, asked by every role and by nobody.
#[test]
fn sc_05_every_role_asks_every_route_and_is_answered_as_the_reviewed_table_says() {
    let axis = province();
    operate(&axis, ["registry", "publish", "--json"]);
    let reviewed: toml::Table = include_str!("../../crates/api/tests/rights.toml")
        .parse()
        .unwrap();
    let routes: BTreeMap<String, String> = reviewed["http"].clone().try_into().unwrap();
    assert!(routes.len() >= 9);
    let mut callers = vec![("nobody", String::new())];
    for role in ["operator", "registrar", "auditor", "agency-admin", "office"] {
        let key = account(&axis, role, &format!("Người {role}"), role);
        let key = std::fs::read_to_string(key).unwrap();
        callers.push((
            role,
            format!("axis-account: {role}\r\naxis-key: {}\r\n", key.trim()),
        ));
    }
    let system = axis.add_system("qlvb", &["H99.2"]).unwrap();
    let header = format!("axis-system: {}\r\naxis-key: {}\r\n", system.id, system.key);
    callers.push(("system", header));
    for (route, who) in &routes {
        assert_eq!(who, "everybody");
        let path = route.strip_prefix("GET ").unwrap();
        let path = path.replace("{code}", "H99.2").replace("{version}", "1");
        for (role, header) in &callers {
            let (status, _, body) = get(&axis, &path, header);
            assert_eq!(status, 200, "{role} {path}: {body}");
            assert!(!body.contains(&system.key), "{role} {path}");
        }
    }
    for (role, header) in &callers {
        for path in [
            "/",
            "/registry/v1/accounts",
            "/axis.v1.RegistryService/ListAgencies",
        ] {
            assert_eq!(get(&axis, path, header).0, 404, "{role} {path}");
        }
    }
}
