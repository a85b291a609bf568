//! Lists of agencies: taken over, published, compared, and shown to everybody.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use testkit::Axis;

use crate::house::{A, House, SMALL, wait_until};

pub(crate) fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs/examples/province")
        .join(name)
}

pub(crate) fn operate<const N: usize>(axis: &Axis, args: [&str; N]) -> Vec<Value> {
    axis.operate(args).unwrap().ok().unwrap().json().unwrap()
}

/// A request over plain HTTP: status, headers, body.
pub(crate) fn get(axis: &Axis, path: &str, header: &str) -> (u16, String, String) {
    let console = axis.ready().console.unwrap();
    let mut stream = TcpStream::connect(console).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: axis\r\nConnection: close\r\n{header}\r\n"
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), body.to_owned())
}

fn header<'h>(head: &'h str, name: &str) -> &'h str {
    let line = head
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.unwrap_or_default()
}

/// Duty RG-04: one list, published for everybody, with number, difference and the mark that it
/// was sent; caches get what they need.
#[test]
fn rg_04_the_published_list_is_there_for_everybody_and_the_difference_is_told() {
    let axis = Axis::builder()
        .config(format!("{SMALL}[console]\nlisten = \"127.0.0.1:0\"\n"))
        .start()
        .unwrap();
    let (status, _, said) = get(&axis, "/registry/v1/agencies.json", "");
    assert_eq!(status, 404, "{said}");
    let province = example("lam-hai-2024.csv");
    let import = axis
        .operate(args!["registry", "import", province, "--json"])
        .unwrap();
    assert_eq!(import.ok().unwrap().json().unwrap()[0]["added"], 155);
    operate(
        &axis,
        [
            "registry",
            "publish",
            "--note",
            "đầu tiên",
            "--by",
            "Lan",
            "--json",
        ],
    );

    let (status, head, body) = get(&axis, "/registry/v1/agencies.json", "");
    assert_eq!((status, header(&head, "axis-list-version")), (200, "1"));
    assert_eq!(header(&head, "cache-control"), "public, max-age=60");
    let list: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(list["agencies"].as_array().unwrap().len(), 155);
    let tag = head
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .unwrap();
    let (status, _, body) = get(
        &axis,
        "/registry/v1/agencies.json",
        &format!("If-None-Match: {tag}\r\n"),
    );
    assert_eq!((status, body.as_str()), (304, ""));
    let (status, _, csv) = get(&axis, "/registry/v1/agencies.csv", "");
    assert_eq!((status, csv.lines().count()), (200, 156));
    let (status, _, one) = get(&axis, "/registry/v1/agencies/h99.2", "");
    let one: Value = serde_json::from_str(&one).unwrap();
    assert_eq!((status, &one["agency"]["name"]), (200, &json!("Sở Nội vụ")));
    assert_eq!(get(&axis, "/registry/v1/agencies/H99.777", "").0, 404);

    let edits = axis
        .file(
            "edits.csv",
            "code,name\n000.00.02.H99,Sở Nội vụ và Lao động\n000.00.30.H99,Sở Du lịch\n".as_bytes(),
        )
        .unwrap();
    axis.operate(args!["registry", "import", edits])
        .unwrap()
        .ok()
        .unwrap();
    operate(&axis, ["registry", "publish", "--json"]);
    let mut found = operate(
        &axis,
        ["registry", "diff", "1", "2", "--versions", "--json"],
    );
    found.sort_by_key(|one| one["what"].to_string());
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(
        (&found[0]["what"], &found[0]["code"]),
        (&json!("added"), &json!("000.00.30.H99"))
    );
    assert_eq!(
        found[1]["fields"],
        json!([{"field": "name", "before": "Sở Nội vụ", "after": "Sở Nội vụ và Lao động"}])
    );
    let sent = operate(
        &axis,
        [
            "registry",
            "sent",
            "2",
            "--on",
            "2026-07-01",
            "--document",
            "12/UBND-VX",
            "--json",
        ],
    );
    assert_eq!(
        (&sent[0]["sent_on"], &sent[0]["sent_document"]),
        (&json!("2026-07-01"), &json!("12/UBND-VX"))
    );
    // The first version stays what it was, and may be kept for ever.
    let (_, head, old) = get(&axis, "/registry/v1/versions/1/agencies.json", "");
    assert!(header(&head, "cache-control").contains("immutable"));
    assert!(old.contains("\"Sở Nội vụ\"") && !old.contains("Sở Du lịch"));
    let (_, _, versions) = get(&axis, "/registry/v1/versions", "");
    let versions: Value = serde_json::from_str(&versions).unwrap();
    assert_eq!(versions["versions"][0]["sent_document"], "12/UBND-VX");
    assert!(!versions.to_string().contains("Lan"), "no names of people");
}

/// Duty RG-04: what is exported is what is registered.
#[test]
fn rg_04_the_export_in_each_format_is_the_registry() {
    let axis = Axis::builder().config(SMALL).start().unwrap();
    let province = example("lam-hai-2024.csv");
    axis.operate(args!["registry", "import", province])
        .unwrap()
        .ok()
        .unwrap();
    for format in ["csv", "xlsx", "json"] {
        let file = axis
            .data()
            .parent()
            .unwrap()
            .join(format!("export.{format}"));
        axis.operate(args!["registry", "export", file, "--closed"])
            .unwrap()
            .ok()
            .unwrap();
        let again = axis
            .operate(args!["registry", "import", file, "--dry-run", "--json"])
            .unwrap();
        let again = again.ok().unwrap().json().unwrap();
        assert_eq!(
            (&again[0]["unchanged"], &again[0]["added"]),
            (&json!(155), &json!(0)),
            "{format}"
        );
    }
}

/// Duty NB-07: seeded differences between the own list and the national one are found; what is
/// missing is adopted by one command.
#[test]
fn nb_07_the_own_list_is_compared_with_the_national_one_and_what_is_missing_is_adopted() {
    let axis = Axis::builder().config(SMALL).start().unwrap();
    let own = axis
        .file(
            "own.csv",
            "code,code_2020,name,parent\n000.00.00.H99,H99,UBND tỉnh Lâm Hải,\n\
             000.00.01.H99,H99.1,Sở Nội vụ,H99\n000.00.02.H99,H99.2,Sở Y tế,H99\n\
             000.00.03.H99,H99.3,Sở Mới,H99\n"
                .as_bytes(),
        )
        .unwrap();
    axis.operate(args!["registry", "import", own])
        .unwrap()
        .ok()
        .unwrap();
    // As the national axis answers getAgenciesListQD20.
    let national = json!({"status": "OK", "data": [
        {"id": "1", "pid": "", "code": "H99", "name": "UBND TỈNH LÂM HẢI", "code102": "000.00.00.H99"},
        {"id": "2", "pid": "1", "code": "H99.1", "name": "Sở Nội vụ và Lao động", "code102": "000.00.01.H99"},
        {"id": "3", "pid": "1", "code": "H99.2", "name": "Sở Y tế", "code102": "000.00.02.H99", "deleted": true},
        {"id": "4", "pid": "1", "code": "H99.9", "name": "Trường Cao đẳng", "code102": "000.00.09.H99"},
        {"id": "5", "pid": "", "code": "G12", "name": "Bộ", "code102": "000.00.00.G12"},
    ]});
    let file = axis
        .file("national.json", national.to_string().as_bytes())
        .unwrap();
    let found = axis
        .operate(args!["registry", "compare", file, "--json"])
        .unwrap();
    let mut found: Vec<_> = found
        .ok()
        .unwrap()
        .json()
        .unwrap()
        .iter()
        .map(|one| {
            format!(
                "{} {} {}",
                one["what"].as_str().unwrap(),
                one["code"].as_str().unwrap(),
                one["row"]
            )
        })
        .collect();
    found.sort();
    assert_eq!(
        found,
        [
            "closed_there 000.00.02.H99 3",
            "differs 000.00.01.H99 2",
            "missing_here 000.00.09.H99 4",
            "missing_there 000.00.03.H99 null",
        ]
    );
    let adopted = axis
        .operate(args!["registry", "adopt", "--from", file, "--json"])
        .unwrap();
    assert_eq!(adopted.ok().unwrap().json().unwrap()[0]["added"], 1);
    let school = operate(&axis, ["registry", "show", "H99.9", "--json"]);
    assert_eq!(
        (&school[0]["name"], &school[0]["parent"]),
        (&json!("Trường Cao đẳng"), &json!("000.00.00.H99"))
    );
}

/// Duty RG-09: a package that names a stranger puts it on the list of unknown codes.
#[test]
fn rg_09_a_stranger_in_a_package_is_listed_with_count_and_sender() {
    let house = House::new();
    let package = testkit::Document::new(A, &["000.00.77.H99"], "la-1").bytes();
    let file = house.axis.file("la.edxml", &package).unwrap();
    let sent = house.cli(&house.a).run(args!["send", file]).unwrap();
    assert_eq!(sent.code, Some(1), "{}", sent.stdout);
    let unknown = wait_until("the stranger is listed", || {
        operate(&house.axis, ["registry", "unknown", "--json"])
            .into_iter()
            .next()
    });
    assert_eq!(
        (&unknown["code"], &unknown["count"], &unknown["role"]),
        (&json!("000.00.77.H99"), &json!(1), &json!("receiver"))
    );
    assert_eq!(unknown["senders"], json!([A]));
}

/// A list with a fault changes nothing; the fault is told with row, column and reason.
#[test]
fn a_list_with_one_fault_changes_nothing_and_names_the_cell() {
    let axis = Axis::builder().config(SMALL).start().unwrap();
    let faults = [
        (
            "twice.csv",
            "code,name\nH99.1,Một\nH99.1,Hai\n".as_bytes().to_vec(),
            "3",
        ),
        (
            "cycle.csv",
            "code,name,parent\nH99.1,Một,H99.2\nH99.2,Hai,H99.1\n"
                .as_bytes()
                .to_vec(),
            "2",
        ),
        (
            "formula.csv",
            "code,name\nH99.1,Một\nH99.2,=1+1\n".as_bytes().to_vec(),
            "B3",
        ),
        (
            "cyrillic.csv",
            "code,name\n\u{41d}99.1,Một\n".as_bytes().to_vec(),
            "A2",
        ),
        (
            "irregular.csv",
            "code,name\nH99.1,Một\n28.22.H17,Hai\n".as_bytes().to_vec(),
            "A3 (code)",
        ),
        (
            "stranger.csv",
            "code,name,parent\nH99.1,Một,H99.9\n".as_bytes().to_vec(),
            "C2 (parent)",
        ),
        (
            "children.csv",
            "code,name,parent,state\nH99.1,Một,,closed\nH99.2,Hai,H99.1,\n"
                .as_bytes()
                .to_vec(),
            "D2 (state)",
        ),
        (
            "itself.csv",
            "code,name,state,successors\nH99.1,Một,closed,H99.1\n"
                .as_bytes()
                .to_vec(),
            "D2 (successors)",
        ),
        (
            "early.csv",
            "code,name,parent,effective\nH99.1,Một,H99.2,2025-01-01\nH99.2,Hai,,2025-02-01\n"
                .as_bytes()
                .to_vec(),
            "C2 (parent)",
        ),
        (
            "tcvn3.csv",
            b"code,name\nH99.1,S\xeb N\xe9i v\xf4 \xb5\xae\n".to_vec(),
            "TCVN3",
        ),
    ];
    for (name, bytes, said) in faults {
        let list = axis.file(name, &bytes).unwrap();
        let refused = axis
            .operate(args!["registry", "import", list])
            .unwrap()
            .code(1)
            .unwrap();
        assert!(refused.stderr.contains(said), "{name}: {}", refused.stderr);
        assert!(refused.stderr.contains("nothing was changed"), "{name}");
    }
    assert!(operate(&axis, ["registry", "list", "--json"]).is_empty());
    // The same in Windows-1258 with semicolons, as old Excel saves it, is taken.
    let old = b"Ma\xde \xf0i\xf2nh danh;T\xean c\xf5 quan\r\nH99.1;Y t\xea\xec\r\n";
    let list = axis.file("old.csv", old).unwrap();
    axis.operate(args!["registry", "import", list])
        .unwrap()
        .ok()
        .unwrap();
    let one = operate(&axis, ["registry", "show", "H99.1", "--json"]);
    assert_eq!(one[0]["name"], "Y tế");
}

/// Duty RG-05: the merger of two provinces' lists is one import; history stays, and what is sent
/// to old codes goes where the policy says.
#[test]
fn rg_05_the_merger_of_two_provinces_is_one_import_with_history_intact() {
    let axis = Axis::builder().config(SMALL).start().unwrap();
    let import = |name: &str, day: &str, more: &[&str]| {
        let mut args = args![
            "registry",
            "import",
            example(name),
            "--effective",
            day,
            "--json"
        ];
        args.extend(more.iter().map(std::ffi::OsString::from));
        axis.operate(args)
            .unwrap()
            .ok()
            .unwrap()
            .json()
            .unwrap()
            .remove(0)
    };
    assert_eq!(import("lam-hai-2024.csv", "2024-01-01", &[])["added"], 155);
    assert_eq!(import("son-binh-2024.csv", "2024-01-01", &[])["added"], 115);
    // A document from before, which waits for one that is to be closed.
    let sender = axis.add_system("so-tu-phap", &["H99.3"]).unwrap();
    let old = axis.add_system("so-noi-vu-sb", &["H98.2"]).unwrap();
    let send = |id: &str, to: &str| {
        let package = testkit::Document::new("000.00.03.H99", &[to], id).bytes();
        let file = axis.file(&format!("{id}.edxml"), &package).unwrap();
        axis.cli(&sender)
            .run(args!["send", file, "--json"])
            .unwrap()
    };
    send("sn-0", "H98.2").ok().unwrap();
    let list = example("sap-nhap-2025-07-01.csv");
    let unsaid = args!["registry", "import", list, "--effective", "2025-07-01"];
    let unsaid = axis.operate(unsaid).unwrap().code(1).unwrap().stderr;
    assert!(
        unsaid.contains("csv:G8 (state)") && unsaid.contains("000.00.02.H98 còn 1 bản gửi"),
        "{unsaid}"
    );
    let stay = ["--dry-run", "--deliveries", "stay"];
    let dry = import("sap-nhap-2025-07-01.csv", "2025-07-01", &stay);
    let told = dry["differences"].as_array().unwrap().len();
    let count = |one: &Value, what: &str| one[what].as_u64().unwrap();
    assert_eq!(told as u64, count(&dry, "added") + count(&dry, "changed"));
    let merged = import(
        "sap-nhap-2025-07-01.csv",
        "2025-07-01",
        &["--decision", "1/NQ-LH", "--deliveries", "stay"],
    );
    assert_eq!(
        (count(&merged, "added"), count(&merged, "changed")),
        (count(&dry, "added"), count(&dry, "changed"))
    );
    assert_eq!(count(&merged, "added"), 83, "82 communes and a department");

    let show = |code: &str, day: &str| {
        operate(&axis, ["registry", "show", code, "--as-of", day, "--json"]).remove(0)
    };
    // The day before, and the day.
    assert_eq!(show("H98.2", "2025-06-30")["state"], "active");
    let closed = show("H98.2", "2025-07-01");
    assert_eq!(
        (&closed["state"], &closed["successors"]),
        (&json!("closed"), &json!(["000.00.02.H99"]))
    );
    // A unit that moved and has another code is still found by the one before.
    let before = show("000.01.02.H98", "2025-06-30");
    let after = show("000.01.02.H98", "2025-07-01");
    assert_eq!(
        (&before["code"], &before["parent"]),
        (&json!("000.01.02.H98"), &json!("000.00.02.H98"))
    );
    assert_eq!(after["parent"], "000.00.02.H99");
    assert!(after["code"].as_str().unwrap().ends_with("H99"));
    // The tree of the day before has both provinces, that of the day one.
    let tops = |day: &str| {
        let tree = axis
            .operate(["registry", "tree", "--as-of", day, "--depth", "0"])
            .unwrap();
        let tree = tree.ok().unwrap().stdout;
        tree.lines()
            .filter(|line| line.contains("Ủy ban nhân dân tỉnh"))
            .count()
    };
    assert_eq!((tops("2025-06-30"), tops("2025-07-01")), (2, 1));
    let log = operate(&axis, ["registry", "log", "H98.2", "--json"]);
    assert_eq!(log[0]["decision"], "1/NQ-LH", "{log:?}");

    // What is sent to a closed code goes where the list says: refused naming the successor, or
    // forwarded to it.
    let refused = send("sn-1", "H98.2").code(1).unwrap();
    let said = refused.stdout + &refused.stderr;
    assert!(said.contains("000.00.02.H99"), "{said}");
    let successor = axis.add_system("so-tai-chinh", &["H99.4"]).unwrap();
    send("sn-2", "H98.4").ok().unwrap();
    let inbox = |name: &str| axis.data().parent().unwrap().join(name);
    let receive = |system, name| {
        let received = axis
            .cli(system)
            .run(args!["receive", "--out", inbox(name), "--json"]);
        received.unwrap().ok().unwrap().json().unwrap()
    };
    assert_eq!(receive(&successor, "new").len(), 1);
    // What came before stays with the agency of that day, under its code and name of that day.
    assert_eq!(receive(&old, "old").len(), 1);
    let trace = axis
        .operate(["trace", "sn-0"])
        .unwrap()
        .ok()
        .unwrap()
        .stdout;
    assert!(trace.contains("Sở Nội vụ (H98.2)"), "{trace}");
}

/// What a dry run shows people.
#[test]
fn a_dry_run_shows_the_difference_as_a_table_and_the_tree_is_drawn() {
    let axis = Axis::builder().config(SMALL).start().unwrap();
    let list = axis
        .file(
            "list.csv",
            "code,name,parent\nH99,UBND tỉnh Lâm Hải,\nH99.1,Sở Nội vụ,H99\nH99.1.1,Chi cục Văn thư,H99.1\nH99.2,Sở Y tế,H99\n".as_bytes(),
        )
        .unwrap();
    axis.operate(args!["registry", "import", list])
        .unwrap()
        .ok()
        .unwrap();
    let edits = axis
        .file(
            "edits.csv",
            "Mã định danh,Tên đơn vị,Trạng thái,Kế thừa\nH99.2,Sở Y tế,đã đóng,H99.1\nH99.1,Sở Nội vụ và Y tế,,\nH99.3,Sở Mới,,\n".as_bytes(),
        )
        .unwrap();
    let shown = axis
        .operate(args!["registry", "import", edits, "--dry-run"])
        .unwrap()
        .ok()
        .unwrap();
    for line in [
        "~ đổi   H99.2  Sở Y tế            tình trạng: hoạt động → đã đóng",
        "                                  kế thừa: H99.1",
        "~ đổi   H99.1  Sở Nội vụ và Y tế  tên: Sở Nội vụ → Sở Nội vụ và Y tế",
        "+ thêm  H99.3  Sở Mới",
        "Chưa thay đổi gì (dry run): 1 thêm mới (added), 2 thay đổi (changed), 0 giữ nguyên (unchanged).",
    ] {
        assert!(
            shown.stdout.lines().any(|told| told == line),
            "{line}\n{}",
            shown.stdout
        );
    }
    let tree = axis
        .operate(args!["registry", "tree"])
        .unwrap()
        .ok()
        .unwrap();
    insta::assert_snapshot!(tree.stdout, @r"
    UBND tỉnh Lâm Hải  H99
    ├─ Sở Nội vụ  H99.1
    │  └─ Chi cục Văn thư  H99.1.1
    └─ Sở Y tế  H99.2
    ");
    let found = axis
        .operate(args!["registry", "search", "van", "chi cuc"])
        .unwrap()
        .ok()
        .unwrap();
    assert!(
        found.stdout.contains("H99.1.1") && !found.stdout.contains("Sở"),
        "{}",
        found.stdout
    );
}
