//! Lists as people have them: what is read, what is refused and where, what is written.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test says what it expects

use lists::{
    Column, Entry, Format, MAX_ROWS, Problem, State, compare, difference, read, read_as, write,
};
use proptest::prelude::*;
use rust_xlsxwriter::{Format as Style, Formula, Workbook, Worksheet};

fn refused(bytes: &[u8]) -> Vec<(String, String, String)> {
    let problems = read(bytes).expect_err("this list must be refused");
    problems
        .into_iter()
        .map(
            |Problem {
                 cell,
                 column,
                 message,
                 ..
             }| (cell, column, message),
        )
        .collect()
}

fn only(bytes: &[u8]) -> Entry {
    let mut rows = read(bytes).unwrap().rows;
    assert_eq!(rows.len(), 1);
    rows.remove(0).entry
}

fn sheet(fill: impl FnOnce(&mut Worksheet)) -> Vec<u8> {
    let mut book = Workbook::new();
    fill(book.add_worksheet());
    book.save_to_buffer().unwrap()
}

/// A provincial list as it is sent round: titles, an ordinal, Vietnamese headings.
#[test]
fn a_provincial_sheet_with_titles_and_vietnamese_headings_is_read() {
    let bytes = sheet(|sheet| {
        let bold = Style::new().set_bold();
        sheet
            .merge_range(0, 0, 0, 4, "ỦY BAN NHÂN DÂN TỈNH LÂM HẢI", &bold)
            .unwrap();
        sheet
            .merge_range(1, 0, 1, 4, "DANH SÁCH MÃ ĐỊNH DANH ĐIỆN TỬ", &bold)
            .unwrap();
        for (at, heading) in [
            "STT",
            "Tên đơn vị",
            "Mã định danh",
            "Đơn vị cấp trên",
            "Ghi chú",
        ]
        .iter()
        .enumerate()
        {
            sheet
                .write(3, u16::try_from(at).unwrap(), *heading)
                .unwrap();
        }
        for (at, (name, code, parent)) in [
            ("UBND tỉnh", "H99", ""),
            ("Sở Nội vụ", "000.00.01.H99", "H99"),
        ]
        .iter()
        .enumerate()
        {
            let row = 4 + u32::try_from(at).unwrap();
            sheet.write(row, 0, f64::from(row)).unwrap();
            sheet.write(row, 1, *name).unwrap();
            sheet.write(row, 2, *code).unwrap();
            sheet.write(row, 3, *parent).unwrap();
        }
    });
    let list = read(&bytes).unwrap();
    assert_eq!(list.ignored, ["Ghi chú"]);
    assert!(list.columns.has(Column::Parent) && !list.columns.has(Column::State));
    assert_eq!(list.rows[0].number, 5);
    assert_eq!(
        list.rows[0].entry.code_2020, "H99",
        "the form of 2020 by its form"
    );
    let second = &list.rows[1].entry;
    assert_eq!(
        (second.code.as_str(), second.parent.as_str()),
        ("000.00.01.H99", "H99")
    );
}

/// Bad input: formulas, refused with the cell named, and nothing taken over.
#[test]
fn formulas_are_refused_with_the_cell_named() {
    let bytes = sheet(|sheet| {
        sheet.write(0, 0, "Mã cơ quan").unwrap();
        sheet.write(0, 1, "Tên cơ quan").unwrap();
        sheet.write(1, 0, "000.00.01.H99").unwrap();
        sheet
            .write(
                1,
                1,
                Formula::new("=CONCAT(\"Sở \",\"Nội vụ\")").set_result("Sở Nội vụ"),
            )
            .unwrap();
    });
    let found = refused(&bytes);
    assert_eq!((found[0].0.as_str(), found[0].1.as_str()), ("B2", "name"));
    assert!(found[0].2.contains("công thức"), "{}", found[0].2);
    let found = refused("code,name\n\"=HYPERLINK(\"\"http://x\"\")\",Sở\n".as_bytes());
    assert_eq!((found[0].0.as_str(), found[0].1.as_str()), ("A2", "code"));
}

#[test]
fn merged_cells_are_refused_with_the_cells_named() {
    let bytes = sheet(|sheet| {
        sheet.write(0, 0, "Mã cơ quan").unwrap();
        sheet.write(0, 1, "Tên cơ quan").unwrap();
        sheet.write(0, 2, "Mã cấp trên").unwrap();
        sheet.write(1, 0, "H99.01").unwrap();
        sheet.write(2, 0, "H99.02").unwrap();
        sheet.write(1, 1, "Một").unwrap();
        sheet.write(2, 1, "Hai").unwrap();
        sheet.merge_range(1, 2, 2, 2, "H99", &Style::new()).unwrap();
    });
    let found = refused(&bytes);
    assert_eq!(found[0].0, "C2");
    assert!(found[0].2.contains("C2:C3"), "{}", found[0].2);
}

#[test]
fn a_code_that_a_spreadsheet_took_for_a_number_is_refused() {
    let bytes = sheet(|sheet| {
        sheet.write(0, 0, "Mã cơ quan").unwrap();
        sheet.write(0, 1, "Tên cơ quan").unwrap();
        sheet.write(1, 0, 100_109_106.0).unwrap();
        sheet.write(1, 1, "Doanh nghiệp").unwrap();
    });
    let found = refused(&bytes);
    assert_eq!(
        (found[0].0.as_str(), found[0].1.as_str()),
        ("A2", "any_code")
    );
    assert!(found[0].2.contains("100109106"), "{}", found[0].2);
}

#[test]
fn look_alike_letters_in_a_code_are_refused_by_name() {
    let found = refused("code,name\n000.00.01.\u{41d}99,Sở Nội vụ\n".as_bytes());
    assert_eq!(found[0].0, "A2");
    assert!(
        found[0].2.contains("U+041D") && found[0].2.contains("giống chữ 'H'"),
        "{}",
        found[0].2
    );
}

#[test]
fn a_name_in_nfd_is_composed() {
    let apart = "code,name\nH99,So\u{31b}\u{309} No\u{323}\u{302}i vu\u{323}\n";
    assert_eq!(only(apart.as_bytes()).name, "Sở Nội vụ");
}

#[test]
fn semicolons_tabs_quotes_and_breaks_within_a_cell_are_read() {
    let rows = "Mã định danh;Tên cơ quan;Mã cũ\r\n\"000.00.01.H99\";\"Sở Nội vụ;\nLao động\";\"000.00.02.H99, H99.2\"\r\n";
    for text in [
        rows.to_owned(),
        rows.replace(";Tên", "\tTên")
            .replace(";Mã", "\tMã")
            .replace("\";\"", "\"\t\""),
    ] {
        let entry = only(text.as_bytes());
        assert_eq!(entry.code, "000.00.01.H99");
        assert_eq!(entry.name, "Sở Nội vụ; Lao động");
        assert_eq!(entry.other_codes, ["000.00.02.H99", "H99.2"]);
    }
}

#[test]
fn a_million_rows_are_refused_with_the_reason() {
    let mut text = String::from("code,name\n");
    for at in 0..1_000_000 {
        text.push_str(&format!("H99.{at},A\n"));
    }
    let problems = read(text.as_bytes()).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].row as usize, MAX_ROWS + 2);
    assert!(
        problems[0].message.contains("200000 dòng"),
        "{}",
        problems[0].message
    );
}

/// A sheet of 200 million zeros inside a small file.
#[test]
fn a_zip_bomb_is_refused_before_it_is_read() {
    use std::io::Write as _;
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive
        .start_file(
            "xl/worksheets/sheet1.xml",
            zip::write::SimpleFileOptions::default(),
        )
        .unwrap();
    let zeros = vec![b' '; 1 << 20];
    for _ in 0..=(lists::MAX_INFLATED >> 20) {
        archive.write_all(&zeros).unwrap();
    }
    let bytes = archive.finish().unwrap().into_inner();
    assert!(bytes.len() < 2 << 20);
    let found = refused(&bytes);
    assert!(found[0].2.contains("256 MiB"), "{}", found[0].2);
}

#[test]
fn what_is_no_list_is_refused_with_what_to_do() {
    for (bytes, said) in [
        (&b""[..], "dòng tiêu đề"),
        (b"a,b\n1,2\n", "a | b"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", ".xlsx"),
        (b"PK\x03\x04nonsense", "XLSX"),
        (b"{\"data\":", "JSON"),
        (b"{\"data\": 7}", "mảng"),
        ("code,name,Tên đơn vị\nA,B,C\n".as_bytes(), "Hai cột"),
        ("code,name,state\nH99,A,shut\n".as_bytes(), "shut"),
        (
            "code,name,Hiệu lực\nH99,A,31/02/2026\n".as_bytes(),
            "31/02/2026",
        ),
        ("code,name\nH99 01,A\n".as_bytes(), "khoảng trắng"),
    ] {
        let found = refused(bytes);
        assert!(found[0].2.contains(said), "{said}: {found:?}");
    }
    let long = format!("code,name\nH99,{}\n", "a".repeat(501));
    assert!(refused(long.as_bytes())[0].2.contains("500"));
}

/// Whoever says what a file is has it read as that, or refused.
#[test]
fn a_format_that_is_said_is_kept_to() {
    let csv = "Mã định danh;Tên đơn vị\n000.00.01.H99;[Sở] Nội vụ\n".as_bytes();
    let entries = [only(csv)];
    for format in [Format::Csv, Format::Xlsx, Format::Json] {
        let file = write(&entries, format).unwrap();
        assert_eq!(Format::of_word(format.word()), Some(format));
        for said in [Format::Csv, Format::Xlsx, Format::Json] {
            let list = read_as(&file, Some(said), "");
            assert_eq!(list.is_ok(), said == format, "{format:?} as {said:?}");
        }
        assert_eq!(read_as(&file, None, "").unwrap().rows[0].entry, entries[0]);
    }
    // A first cell that looks like JSON is none if it is said to be CSV.
    let odd = "[code],name\nH99,Tỉnh\n".as_bytes();
    assert!(read_as(odd, None, "").is_err());
    assert_eq!(read_as(odd, Some(Format::Csv), "").unwrap().rows.len(), 1);
    let refused = read_as(csv, Some(Format::Xlsx), "").unwrap_err();
    assert!(refused[0].message_en.contains("xlsx"), "{refused:?}");
}

#[test]
fn the_national_list_is_read_as_the_axis_answers_it() {
    let data = r#"{"status":"OK","data":[
        {"id":"7","pid":"","code":"H99","name":"UBND tỉnh Lâm Hải","mail":"","code102":"000.00.00.H99"},
        {"id":"8","pid":"7","code":"H99.1","name":"Sở Nội vụ","mail":"so@x","code102":"000.00.01.H99","deleted":true}]}"#;
    let list = read(data.as_bytes()).unwrap();
    let second = &list.rows[1].entry;
    assert_eq!(
        (second.code.as_str(), second.code_2020.as_str()),
        ("000.00.01.H99", "H99.1")
    );
    assert_eq!(second.parent, "000.00.00.H99");
    assert_eq!(second.state, Some(State::Closed));
}

#[test]
fn what_a_spreadsheet_would_run_is_written_as_text() {
    let entry = Entry {
        code: "H99".to_owned(),
        name: "=cmd|'/c calc'!A1".to_owned(),
        contact: "+84 123".to_owned(),
        ..Entry::default()
    };
    let csv = String::from_utf8(write(std::slice::from_ref(&entry), Format::Csv).unwrap()).unwrap();
    assert!(
        csv.starts_with('\u{feff}'),
        "Excel reads the marks of Vietnamese"
    );
    for cell in csv.trim_end().lines().last().unwrap().split(',') {
        assert!(
            !cell.trim_matches('"').starts_with(['=', '+', '-', '@']),
            "{cell}"
        );
    }
    assert_eq!(only(csv.as_bytes()), entry);
}

fn word() -> impl Strategy<Value = String> {
    "[=+@'-]{0,2}[a-zA-Zàđêữạẵ0-9;,\"]{1,8}( [a-zàđêữ,;\"']{1,6}){0,3}"
}

fn entry() -> impl Strategy<Value = Entry> {
    let code = "[A-Z][0-9]{2}\\.[0-9A-Z]{1,4}";
    let states = proptest::option::of(proptest::sample::select(State::ALL.to_vec()));
    let day = proptest::option::of((2000_i16..2100, 1_i8..=12, 1_i8..=28));
    (
        (
            code,
            proptest::option::of(code),
            proptest::collection::vec(code, 0..3),
            word(),
        ),
        (
            proptest::option::of(code),
            proptest::option::of(word()),
            proptest::option::of(word()),
        ),
        (
            states,
            proptest::collection::vec(code, 0..3),
            day,
            proptest::option::of(word()),
            proptest::option::of(any::<bool>()),
        ),
    )
        .prop_map(
            |(
                (code, code_2020, other_codes, name),
                (parent, kind, contact),
                (state, successors, day, decision, forward),
            )| Entry {
                code,
                code_2020: code_2020.unwrap_or_default(),
                other_codes,
                name,
                parent: parent.unwrap_or_default(),
                kind: kind.unwrap_or_default(),
                contact: contact.unwrap_or_default(),
                state,
                successors,
                effective: day.map(|(y, m, d)| jiff::civil::date(y, m, d)),
                decision: decision.unwrap_or_default(),
                forward,
                ..Entry::default()
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Duty RG-04: what is exported is what is registered.
    #[test]
    fn rg_04_what_is_written_is_read_back_unchanged(entries in proptest::collection::vec(entry(), 1..12)) {
        for format in [Format::Csv, Format::Xlsx, Format::Json] {
            let bytes = write(&entries, format).unwrap();
            let list = read(&bytes).map_err(|problems| TestCaseError::fail(format!("{format:?}: {problems:?}")))?;
            let back: Vec<Entry> = list.rows.into_iter().map(|row| row.entry).collect();
            prop_assert_eq!(&back, &entries);
        }
    }

    #[test]
    fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes);
    }

    /// Duty RG-04: the difference lists exactly the edits.
    #[test]
    fn rg_04_the_difference_between_two_lists_is_exactly_the_edits(
        count in 1_usize..20, edits in proptest::collection::vec((0_usize..20, 0_u8..3), 0..6),
    ) {
        let old: Vec<Entry> = (0..count).map(|at| Entry {
            code: format!("H99.{at}"), name: format!("Cơ quan {at}"), ..Entry::default()
        }).collect();
        let mut new: Vec<Option<Entry>> = old.iter().cloned().map(Some).collect();
        let (mut added, mut removed, mut changed) = (Vec::new(), Vec::new(), Vec::new());
        let mut touched = std::collections::HashSet::new();
        for (at, kind) in edits {
            if !touched.insert(at % count) { continue; }
            match kind {
                0 => { let code = format!("H99.N{at}"); added.push(code.clone()); new.push(Some(Entry { code, ..Entry::default() })); }
                1 => { new[at % count] = None; removed.push(format!("H99.{}", at % count)); }
                _ => {
                    if let Some(entry) = &mut new[at % count] {
                        entry.name.push_str(" mới");
                        changed.push(entry.code.clone());
                    }
                }
            }
        }
        let new: Vec<Entry> = new.into_iter().flatten().collect();
        let found = difference(&old, &new);
        let sorted = |mut codes: Vec<String>| { codes.sort(); codes };
        prop_assert_eq!(sorted(found.added.iter().map(|e| e.code.clone()).collect()), sorted(added));
        prop_assert_eq!(sorted(found.removed.iter().map(|e| e.code.clone()).collect()), sorted(removed));
        prop_assert_eq!(sorted(found.changed.iter().map(|c| c.code.clone()).collect()), sorted(changed));
        for one in &found.changed {
            let columns: Vec<Column> = one.fields.iter().map(|f| f.0).collect();
            prop_assert_eq!(columns, vec![Column::Name]);
        }
    }
}

/// Duty NB-07: seeded differences are found, and nothing else.
#[test]
fn nb_07_seeded_differences_from_the_national_list_are_found() {
    let own = read(
        "code,code_2020,name,parent,state\n\
        000.00.00.H99,H99,UBND tỉnh Lâm Hải,,\n\
        000.00.01.H99,H99.1,Sở Nội vụ,000.00.00.H99,\n\
        000.00.02.H99,,Sở Tài chính,000.00.00.H99,\n\
        000.00.03.H99,,Sở Y tế,000.00.00.H99,\n\
        000.00.04.H99,,Sở Cũ,000.00.00.H99,closed\n\
        000.00.05.H99,,Sở Mới,000.00.00.H99,\n"
            .as_bytes(),
    )
    .unwrap();
    let national = read(
        "code,code_2020,name,parent,state\n\
        000.00.00.H99,H99,UBND TỈNH LÂM HẢI,,\n\
        000.00.01.H99,H99.1,Sở Nội vụ và Lao động,H99,\n\
        000.00.02.H99,,Sở Tài chính,000.00.03.H99,\n\
        000.00.03.H99,,Sở Y tế,H99,closed\n\
        000.00.09.H99,,Trường Cao đẳng,H99,\n\
        000.00.09.H98,,Tỉnh khác,H98,\n"
            .as_bytes(),
    )
    .unwrap();
    let entries = |list: lists::List| {
        list.rows
            .into_iter()
            .map(|row| row.entry)
            .collect::<Vec<_>>()
    };
    let found = compare(&entries(own), &national.rows);
    let codes = |entries: &[Entry]| entries.iter().map(|e| e.code.clone()).collect::<Vec<_>>();
    assert_eq!(codes(&found.missing_there), ["000.00.05.H99"]);
    let here: Vec<_> = found
        .missing_here
        .iter()
        .map(|row| (row.number, row.entry.code.as_str()))
        .collect();
    assert_eq!(here, [(6, "000.00.09.H99")]);
    let closed: Vec<_> = found
        .closed_there
        .iter()
        .map(|pair| pair.own.code.as_str())
        .collect();
    assert_eq!(closed, ["000.00.03.H99"]);
    let different: Vec<_> = found
        .different
        .iter()
        .map(|pair| (pair.own.code.as_str(), pair.fields[0].0))
        .collect();
    assert_eq!(
        different,
        [
            ("000.00.01.H99", Column::Name),
            ("000.00.02.H99", Column::Parent)
        ]
    );
    assert_eq!(found.alike, 1);
}
