//! How fast packages are read, beside the plainest thing that could be done with the same bytes,
//! in one alternated run: `cargo bench -p edxml`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use edxml::{Date, Limits, Organ, read, read_header, write};
use quick_xml::events::Event;
use sha2::{Digest, Sha256};

const ROUNDS: usize = 15;

fn main() {
    let once = std::env::args().skip_while(|arg| arg != "once").nth(1);
    if let Some(what) = once {
        return instructions(&what);
    }
    let header = package(0);
    println!("header of {} bytes", header.len());
    compare(
        400,
        ("bare quick-xml", &mut || bare(&header)),
        ("edxml::read", &mut || accepted(&header)),
        header.len(),
    );
    for mib in [1, 20] {
        let whole = package(mib << 20);
        println!("header of a package of {mib} MiB");
        // The same bytes for both: up to the attachments.
        let end = memchr::memmem::find(&whole, b"<AttachmentEncoded>").unwrap_or(whole.len());
        let head = &whole[..end];
        compare(
            400,
            ("bare quick-xml", &mut || bare(head)),
            ("read_header", &mut || header_alone(&whole)),
            head.len(),
        );
        println!("package of {mib} MiB, base64 and SHA-256 checked");
        let hash = || {
            black_box(Sha256::digest(black_box(&whole)));
        };
        compare(
            if mib == 1 { 10 } else { 1 },
            ("SHA-256", &mut || hash()),
            ("SHA-256 and read", &mut || {
                hash();
                accepted(&whole);
            }),
            whole.len(),
        );
    }
}

/// Does one thing a thousand times, for a profiler that counts instructions, which says more than a
/// clock on a machine that does other things too:
/// `valgrind --tool=callgrind target/release/deps/read-… once header`, then `… once bare`.
fn instructions(what: &str) {
    let whole = package(1 << 20);
    let end = memchr::memmem::find(&whole, b"<AttachmentEncoded>").unwrap_or(whole.len());
    for _ in 0..1000 {
        match what {
            "bare" => bare(&whole[..end]),
            "header" => header_alone(&whole),
            _ => panic!("once header, or once bare"),
        }
    }
}

/// A document with a full header and one attachment of random bytes.
fn package(size: usize) -> Vec<u8> {
    let organ = |id: &str| {
        let mut organ = Organ::new(id, Some("UBND xã Hòa Tiến - UBND huyện Hòa Vang"));
        organ.in_charge = Some("UBND huyện Hòa Vang - Thành phố Đà Nẵng".to_owned());
        organ.address = Some("Số 1 Hoàng Hoa Thám, Quận Ba Đình, Hà Nội".to_owned());
        organ.email = Some("vpcp@gov.vn".to_owned());
        organ.telephone = Some("(84-4) 3821 5137".to_owned());
        organ.fax = Some("048989898789".to_owned());
        organ.website = Some("vpcp.vn".to_owned());
        organ
    };
    let Some(date) = Date::new(2026, 3, 2) else {
        return Vec::new();
    };
    let to = vec![
        organ("000.00.13.H47"),
        organ("000.00.14.H47"),
        organ("000.00.15.H47"),
    ];
    let mut draft = write::DocumentDraft::new(organ("000.00.12.H47"), to, "12", "SNV-VP", date);
    let subject = "V/v kết nối, liên thông phần mềm quản lý văn bản";
    draft.document.subject = Some(subject.to_owned());
    draft.document.content = Some(subject.to_owned());
    draft.document.document_id = Some("000.00.12.H47,2026,12".to_owned());
    draft.document.signer.full_name = Some("Nguyễn Văn A".to_owned());
    draft.document.promulgation.place = Some("Huế".to_owned());
    draft.document.document_type.name = Some("Công văn".to_owned());
    if size > 0 {
        let mut state = 1u64;
        let bytes = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_be_bytes()[0]
        });
        draft.attach("a.pdf", "application/pdf", bytes.take(size).collect());
    }
    write::document(&draft)
}

fn bare(bytes: &[u8]) {
    let mut reader = quick_xml::Reader::from_reader(bytes);
    let mut buffer = Vec::new();
    while !matches!(
        black_box(reader.read_event_into(&mut buffer)),
        Ok(Event::Eof) | Err(_)
    ) {
        buffer.clear();
    }
}

fn accepted(bytes: &[u8]) {
    let reading = read(black_box(bytes), &Limits::default());
    assert!(reading.refusal().is_none(), "{:?}", reading.findings);
    black_box(reading);
}

fn header_alone(bytes: &[u8]) {
    let reading = read_header(black_box(bytes), &Limits::default());
    assert!(
        reading
            .as_ref()
            .is_ok_and(|reading| reading.refusal().is_none())
    );
    let _ = black_box(reading);
}

/// Runs both in turn and prints medians and their ratio.
fn compare(
    times: u32,
    (base_name, base): (&str, &mut dyn FnMut()),
    (name, run): (&str, &mut dyn FnMut()),
    bytes: usize,
) {
    let mut spent = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        let mut time = |run: &mut dyn FnMut(), which: usize| {
            let start = Instant::now();
            for _ in 0..times {
                run();
            }
            spent[which].push(start.elapsed() / times);
        };
        time(base, 0);
        time(run, 1);
    }
    let [base, own] = spent.map(|mut list| {
        list.sort_unstable();
        list[list.len() / 2]
    });
    let rate = |d: Duration| bytes as f64 / d.as_secs_f64() / 1e6;
    println!("  {base_name:<16} {base:>12.2?}  {:>8.0} MB/s", rate(base));
    println!("  {name:<16} {own:>12.2?}  {:>8.0} MB/s", rate(own));
    println!("  time ratio {:.2}", own.as_secs_f64() / base.as_secs_f64());
}
