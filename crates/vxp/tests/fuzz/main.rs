//! Headers, lists and bodies, mutated for a few seconds: nothing panics, nothing lies.
//! `VXP_FUZZ_SECONDS` gives it longer.

#![allow(clippy::unwrap_used)] // helpers of tests are tests too

mod bodies;

use std::time::{Duration, Instant};

use bodies::BODIES;

/// What every body begins from: the golden vectors, and what they are made of.
fn corpus() -> Vec<Vec<u8>> {
    let mut corpus: Vec<Vec<u8>> = include_str!("../vectors/answers.jsonl")
        .lines()
        .map(|line| {
            let answer: serde_json::Value = serde_json::from_str(line).unwrap();
            answer["answer"].to_string().into_bytes()
        })
        .collect();
    for line in include_str!("../vectors/requests.jsonl").lines() {
        let request: serde_json::Value = serde_json::from_str(line).unwrap();
        let headers: Vec<(String, String)> =
            serde_json::from_value(request["headers"].clone()).unwrap();
        let lines = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\n"));
        corpus.push(lines.collect::<String>().into_bytes());
    }
    corpus.push(b"<edXML/>\r\n".to_vec());
    corpus.push([&[b'a'; 64][..], b"PGVkWE1MLz4K\r\n"].concat());
    corpus.push(Vec::new());
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

const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"",
    "\\",
    "\"data\":[",
    "null",
    "XroadVnpt-",
    "\r\n",
    "=",
    "<",
    " ",
    "\u{feff}",
    "\0",
    "đ",
];

fn mutate(bytes: &mut Vec<u8>, other: &[u8], numbers: &mut Numbers) {
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len() + 1);
        let end = (at + numbers.below(24)).min(bytes.len());
        match numbers.below(4) {
            0 if at < bytes.len() => bytes[at] = u8::try_from(numbers.below(256)).unwrap(),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let piece = PIECES[numbers.below(PIECES.len())];
                drop(bytes.splice(at..at, piece.bytes()));
            }
            _ => {
                let from = numbers.below(other.len() + 1);
                let to = (from + numbers.below(100)).min(other.len());
                drop(bytes.splice(at..end, other[from..to].iter().copied()));
            }
        }
    }
}

#[test]
fn the_corpus_and_its_mutations_break_no_promise() {
    let seconds = std::env::var("VXP_FUZZ_SECONDS");
    let seconds = seconds.ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let corpus = corpus();
    for (_, body) in BODIES {
        corpus.iter().for_each(|bytes| body(bytes));
    }
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let mut tried = 0;
    while Instant::now() < deadline || tried < 300 {
        for (name, body) in BODIES {
            let mut bytes = corpus[numbers.below(corpus.len())].clone();
            let other = &corpus[numbers.below(corpus.len())];
            mutate(&mut bytes, other, &mut numbers);
            let outcome = std::panic::catch_unwind(|| body(&bytes));
            let text = String::from_utf8_lossy(&bytes);
            assert!(outcome.is_ok(), "{name} fails on {text:?}");
            tried += 1;
        }
    }
}
