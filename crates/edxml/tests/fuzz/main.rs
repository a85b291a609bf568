//! The corpus is replayed and mutated for a few seconds: nothing panics, nothing lies, nothing
//! takes long. `EDXML_FUZZ_SECONDS` gives it longer.

#![allow(clippy::unwrap_used)] // helpers of tests are tests too

mod bodies;

use std::path::Path;
use std::time::{Duration, Instant};

use bodies::{BODIES, Body};

/// A body of the older form.
const MULTIPART: &str = "--b1\r\nContent-Type: text/xml\r\n\r\n<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/' xmlns:e='http://www.e-doc.vn/Schema/' xmlns:x='http://www.w3.org/1999/xlink'><s:Header><e:MessageHeader><e:From><e:OrganId>H47.1</e:OrganId></e:From><e:To><e:OrganId>H47.2</e:OrganId></e:To><e:Code><e:CodeNumber>1</e:CodeNumber></e:Code></e:MessageHeader></s:Header><s:Body><e:Manifest><e:Reference x:href='cid:a'/></e:Manifest></s:Body></s:Envelope>\r\n--b1\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-ID: <a>\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQK\r\n--b1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=C3=\r\n--b1--";

/// What every body begins from: the samples, and pieces of what it reads.
fn corpus() -> Vec<Vec<u8>> {
    let mut corpus: Vec<Vec<u8>> = [
        "000.00.12.H47",
        "28.22.H17",
        "vxp.saas.03",
        "0100109106-001",
        "000.00.00.G22,2015/09/30,7816/VPCP-TTĐT",
        "000.00.01.H08,2018,10",
        "6f9619ff-8b86-d011-b42d-00cf4fc964ff",
        "../../Công văn.pdf",
        "2019/01/16",
        "16-1-2019 10:00",
        "2018-09-28T20:35:56.123+07:00",
        "JVBERi0xLjQK",
        "<![CDATA[QUJD]]>&#13;REU=<!-- x -->",
        "UEsDBBQAAAAIAAAAPE08Ycwz",
        "PK\x03\x04\x14\0\0\0\x08\0PK\x01\x02PK\x05\x06\0\0\0\0\x01\0\x01\0",
        "--b1\r\nContent-Type: text/xml\r\n\r\n<?xml version='1.0'?>",
        MULTIPART,
        "",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    for folder in std::fs::read_dir(data).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            corpus.push(std::fs::read(file.unwrap().path()).unwrap());
        }
    }
    assert!(corpus.len() >= 38);
    corpus
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % end.max(1)
    }
}

fn mutate(bytes: &mut Vec<u8>, other: &[u8], numbers: &mut Numbers) {
    const PIECES: &[&str] = &[
        "<",
        ">",
        "</",
        "/>",
        "&",
        "]]>",
        "<![CDATA[",
        "<!--",
        "-->",
        "<?",
        "<!DOCTYPE",
        "\"",
        "xmlns=\"\"",
        "edXML:",
        "&#65;",
        "&#x0;",
        "\0",
        "\u{FEFF}",
        "=",
        "PK\x03\x04",
        "Status",
        "<edXML:To/>",
        "<AttachmentEncoded/>",
        "/",
        ",",
        "9999",
        "+14:00",
    ];
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len() + 1);
        let end = (at + numbers.below(24)).min(bytes.len());
        match numbers.below(5) {
            0 if at < bytes.len() => bytes[at] = u8::try_from(numbers.below(256)).unwrap(),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let piece = PIECES[numbers.below(PIECES.len())];
                drop(bytes.splice(at..at, piece.bytes()));
            }
            3 => {
                let copy = bytes[at..end].to_vec();
                let to = numbers.below(bytes.len() + 1);
                drop(bytes.splice(to..to, copy));
            }
            _ => {
                let from = numbers.below(other.len() + 1);
                let to = (from + numbers.below(200)).min(other.len());
                drop(bytes.splice(at..end, other[from..to].iter().copied()));
            }
        }
    }
}

fn run(seconds: u64, bodies: &[Body]) -> u64 {
    let corpus = corpus();
    for (_, body) in bodies {
        corpus.iter().for_each(|bytes| body(bytes));
    }
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let mut tried = 0;
    while Instant::now() < deadline {
        for (name, body) in bodies {
            let mut bytes = corpus[numbers.below(corpus.len())].clone();
            let other = &corpus[numbers.below(corpus.len())];
            mutate(&mut bytes, other, &mut numbers);
            let started = Instant::now();
            let outcome = std::panic::catch_unwind(|| body(&bytes));
            assert!(
                outcome.is_ok() && started.elapsed() < Duration::from_secs(5),
                "{name} fails after {:?} on {:?}",
                started.elapsed(),
                String::from_utf8_lossy(&bytes)
            );
            tried += 1;
        }
    }
    tried
}

#[test]
fn the_corpus_and_its_mutations_break_no_promise() {
    let seconds = std::env::var("EDXML_FUZZ_SECONDS");
    let seconds = seconds.ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    assert!(run(seconds, BODIES) > 100);
}
