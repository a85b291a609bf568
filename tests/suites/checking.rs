//! `axis check` and `axis show`, which need no axis: what they print, write, and end with.

use std::path::Path;

use testkit::Cli;

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/axis/samples");

fn sample(name: &str) -> String {
    std::fs::read_to_string(Path::new(SAMPLES).join(name)).unwrap()
}

/// A folder that holds these files.
fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    folder
}

fn inside(folder: &tempfile::TempDir) -> Cli {
    Cli::new().dir(folder.path())
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn check_tells_findings_like_a_compiler_and_sums_up() {
    let wrong = sample("documents/new.edxml")
        .replace("2019/01/16", "16/01/2019")
        .replace("74fass22", "");
    let folder = folder(&[
        ("in/a.edxml", wrong.as_bytes()),
        (
            "in/deep/b.XML",
            sample("status/03-acceptance.edxml").as_bytes(),
        ),
        ("in/notes.txt", b"not looked at"),
        (
            "in/old.xml",
            sample("older-forms/soap-2803-status.xml").as_bytes(),
        ),
    ]);
    let checked = inside(&folder).run(["check", "in"]).unwrap();
    let checked = checked.code(1).unwrap();
    assert_eq!(checked.stderr, "");
    insta::assert_snapshot!(checked.stdout);
}

#[test]
fn check_reads_pipes_and_asks_what_it_is_told_to() {
    let odd = sample("documents/day-first-date.edxml");
    let folder = folder(&[
        ("day-first.edxml", odd.as_bytes()),
        (
            "no-number.edxml",
            sample("documents/new.edxml")
                .replace("74fass22", "")
                .as_bytes(),
        ),
    ]);
    for (file, level, code) in [
        ("day-first.edxml", "readable", 0),
        ("day-first.edxml", "axis", 0),
        ("day-first.edxml", "strict", 1),
        ("no-number.edxml", "readable", 0),
        ("no-number.edxml", "axis", 1),
        ("no-number.edxml", "strict", 1),
        ("no-number.edxml", "very", 2),
        ("nowhere.edxml", "readable", 1),
    ] {
        let args = ["check", file, "--level", level, "--json"];
        let checked = inside(&folder).run(args).unwrap().code(code).unwrap();
        if code < 2 {
            let verdict = &checked.json().unwrap()[0];
            assert_eq!(verdict["verdict"], ["accepted", "refused"][code as usize]);
            assert_eq!(verdict["level"], level);
        }
    }
    // From a pipe, by either name; excerpts too, though a pipe cannot be read twice.
    for name in ["-", "/dev/stdin"] {
        let piped = Cli::new().stdin(odd.as_bytes()).run(["check", name]);
        let piped = piped.unwrap().ok().unwrap();
        assert!(
            piped.stdout.contains("NONSTANDARD_DATE"),
            "{}",
            piped.stdout
        );
        assert!(
            piped.stdout.contains(" | <edXML:PromulgationDate>"),
            "{}",
            piped.stdout
        );
    }
    // What looks like a package and is none is told for each file of several.
    let both = inside(&folder).run(["check", "nowhere.edxml", "day-first.edxml"]);
    let both = both.unwrap().code(1).unwrap();
    assert!(
        both.stdout.contains("nowhere.edxml: error: CANNOT_READ"),
        "{}",
        both.stdout
    );
    assert!(
        both.stdout.contains("2 tệp: 1 được nhận, 1 bị từ chối"),
        "{}",
        both.stdout
    );
}

/// A body of 2014 with one file.
fn body() -> String {
    "--b1\r\nContent-Type: text/xml\r\n\r\n\
     <S:Envelope xmlns:S=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:e=\"http://www.e-doc.vn/Schema/\" xmlns:x=\"http://www.w3.org/1999/xlink\">\
     <S:Header><e:MessageHeader>\
     <e:From><e:OrganId>000.00.04.H99</e:OrganId></e:From><e:To><e:OrganId>000.00.05.H99</e:OrganId></e:To>\
     <e:Code><e:CodeNumber>12</e:CodeNumber><e:CodeNotation>SA-VP</e:CodeNotation></e:Code>\
     <e:PromulgationInfo><e:Date>15/03/2015</e:Date></e:PromulgationInfo>\
     </e:MessageHeader></S:Header>\
     <S:Body><e:Manifest><e:Reference x:href=\"cid:f1\"><e:AttachmentName>a.txt</e:AttachmentName></e:Reference></e:Manifest></S:Body></S:Envelope>\
     \r\n--b1\r\nContent-ID: <f1>\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nxin ch=C3=A0o\r\n--b1--\r\n"
        .to_owned()
}

#[test]
fn what_is_converted_is_a_new_file_that_check_accepts() {
    let folder = folder(&[
        (
            "status.xml",
            sample("older-forms/soap-2803-status.xml").as_bytes(),
        ),
        ("document.mime", body().as_bytes()),
    ]);
    for (old, new, kind) in [
        ("status.xml", "status.edxml", "status"),
        ("document.mime", "document.edxml", "document"),
    ] {
        let args = ["check", "--convert", "-o", new, old];
        let converted = inside(&folder).run(args).unwrap().ok().unwrap();
        assert!(
            converted.stdout.contains(": info: CONVERTED")
                && converted.stdout.contains("15/03/2015 → 2015/03/15")
                && converted
                    .stdout
                    .contains(&format!("{new}: ĐƯỢC NHẬN (accepted)")),
            "{}",
            converted.stdout
        );
        // The file is one that check accepts, and is never written over.
        let path = folder.path().join(new);
        let written = std::fs::read(&path).unwrap();
        let checked = inside(&folder).run(["check", "--json", new]).unwrap();
        assert_eq!(checked.ok().unwrap().json().unwrap()[0]["kind"], kind);
        let again = inside(&folder).run(args).unwrap().code(1).unwrap();
        assert!(
            again.stderr.contains("đã có, không ghi đè")
                && again.stderr.contains("exists and is not overwritten"),
            "{}",
            again.stderr
        );
        assert_eq!(std::fs::read(&path).unwrap(), written);
        // For scripts: what was changed, then the verdict; from a pipe as from a file.
        let old = std::fs::read(folder.path().join(old)).unwrap();
        let piped = format!("piped-{new}");
        let lines =
            inside(&folder)
                .stdin(old)
                .run(["check", "--json", "--convert", "-o", &piped, "-"]);
        let lines = lines.unwrap().ok().unwrap().json().unwrap();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(lines[0]["file"], "-");
        assert_eq!(lines[0]["converted"], piped);
        assert_eq!(lines[0]["changes"][0]["code"], "CONVERTED");
        assert_eq!(lines[1]["verdict"], "accepted");
        assert_eq!(std::fs::read(folder.path().join(piped)).unwrap(), written);
    }
    let shown = inside(&folder).run(["show", "document.edxml", "--extract", "files"]);
    shown.unwrap().ok().unwrap();
    let file = std::fs::read_to_string(folder.path().join("files/a.txt"));
    assert_eq!(file.unwrap(), "xin chào");
}

#[test]
fn what_cannot_be_converted_leaves_no_file() {
    let all = "<AllDocument><Document><Attach><Attachment/></Attach></Document></AllDocument>";
    let body = body();
    let envelope = &body[body.find("<S:").unwrap()..body.find("\r\n--b1\r\nContent-ID").unwrap()];
    for (package, vi, en) in [
        (
            sample("documents/new.edxml").as_str(),
            "không phải gói tin theo mẫu SOAP",
            "nothing to convert",
        ),
        (all, "AllDocument", "AllDocument"),
        (envelope, "a.txt", "a.txt is announced"),
        (&body[..body.len() - 10], "bị cắt", "cut off"),
        (&body.replace("=C3", "=ZZ"), "f1", "not in the encoding"),
        (
            &body.replace("000.00.04.H99", ""),
            "Thiếu bên gửi",
            "sender is missing",
        ),
        ("xin chào", "không phải XML", "not XML"),
    ] {
        let folder = folder(&[("old", package.as_bytes())]);
        let failed = inside(&folder).run(["check", "--convert", "-o", "new", "old"]);
        let failed = failed.unwrap().code(1).unwrap();
        assert!(
            failed.stderr.contains(vi) && failed.stderr.contains(en),
            "{vi}: {}",
            failed.stderr
        );
        assert_eq!(failed.stdout, "");
        assert_eq!(names(folder.path()), ["old"]);
    }
    // A package that comes out, but not as one that is accepted, stays and is told.
    let folder = folder(&[(
        "old",
        body.replace("<e:CodeNumber>12</e:CodeNumber>", "")
            .as_bytes(),
    )]);
    let refused = inside(&folder).run(["check", "--convert", "-o", "new", "old"]);
    let refused = refused.unwrap().code(1).unwrap();
    assert!(
        refused.stdout.contains("NO_NUMBER") && refused.stdout.contains("new: TỪ CHỐI"),
        "{}",
        refused.stdout
    );
    for args in [
        &["check", "--convert", "old"][..],
        &["check", "-o", "x", "old"],
        &["check", "--convert", "-o", "x", "old", "new"],
        &["check", "--convert", "-o", "-", "old"],
    ] {
        inside(&folder).run(args).unwrap().code(2).unwrap();
    }
    assert_eq!(names(folder.path()), ["new", "old"]);
}

#[test]
fn extracting_never_leaves_its_folder_nor_overwrites() {
    const NAME: &str = "1896_QD-TTg_m_294779.doc";
    let plain = sample("documents/new.edxml");
    let part = |start: &str, end: &str| {
        let from = plain.find(start).unwrap();
        let to = plain.find(end).unwrap() + end.len();
        &plain[from..to]
    };
    let (attachment, reference) = (
        part("<Attachment>", "</Attachment>"),
        part("<edXML:Reference>", "</edXML:Reference>"),
    );
    let sent = [
        "../../../outside.doc",
        "/etc/passwd",
        "C:\\Windows\\win.ini",
        "..",
        "-rf",
        "CON",
        ".profile",
        "same.doc",
        "same.doc",
        "a\u{202e}cod.exe",
    ];
    let each = |part: &str| -> String {
        sent.iter()
            .enumerate()
            .map(|(i, name)| {
                part.replace(NAME, name)
                    .replace("cid:209", &format!("cid:{i}"))
            })
            .collect()
    };
    let package = plain
        .replace(attachment, &each(attachment))
        .replace(reference, &each(reference));
    let folder = folder(&[
        ("in/package.edxml", package.as_bytes()),
        ("in/files/same.doc", b"mine"),
    ]);
    let run = Cli::new().dir(folder.path().join("in")).run([
        "show",
        "package.edxml",
        "--extract",
        "files",
    ]);
    let shown = run.unwrap().ok().unwrap().stdout;
    assert_eq!(
        names(&folder.path().join("in/files")),
        [
            "_-rf",
            "_CON",
            "acod.exe",
            "outside.doc",
            "passwd",
            "profile",
            "same (2).doc",
            "same (3).doc",
            "same.doc",
            "tep-4",
            "win.ini"
        ]
    );
    assert_eq!(
        std::fs::read(folder.path().join("in/files/same.doc")).unwrap(),
        b"mine"
    );
    // Nothing beside, and nothing on the terminal that turns a name round.
    assert_eq!(names(folder.path()), ["in"]);
    assert_eq!(names(&folder.path().join("in")), ["files", "package.edxml"]);
    assert!(
        shown.contains("a·cod.exe") && !shown.contains('\u{202e}'),
        "{shown}"
    );
}

#[test]
fn show_says_why_a_file_is_no_package() {
    let folder = folder(&[("a.edxml", sample("malformed/doctype.edxml").as_bytes())]);
    let shown = inside(&folder).run(["show", "a.edxml"]).unwrap();
    let shown = shown.code(1).unwrap();
    insta::assert_snapshot!(shown.stderr, @r#"
    axis: a.edxml không đọc được như một gói tin edXML (cannot be read as a package); `axis check` cho biết tất cả (tells all)
      a.edxml:2:1: DOCTYPE
          Gói tin có khai báo DOCTYPE, không bao giờ được chấp nhận. Hãy xóa khai báo này.
          The package has a document type definition (DOCTYPE), which is never accepted. Remove it.
    "#);
    inside(&folder).run(["show"]).unwrap().code(2).unwrap();
    let nowhere = inside(&folder).run(["show", "b.edxml"]).unwrap();
    assert!(nowhere.code(1).unwrap().stderr.contains("b.edxml"));
}
