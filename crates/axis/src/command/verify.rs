//! `axis verify`: every byte of the journal against what its checksums, its chain and the
//! anchors say. A running axis reads its own folder; a folder without one (a copy, a backup) is
//! read here. No key is needed.

use std::fs::File;
use std::io::{ErrorKind, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::client::Client;
use api::v1;
use journal::disk::OsDisk;
use journal::{Anchor, Progress, Verify, VerifyError};
use serde::Serialize;

use crate::door::OperatorArgs;
use crate::failure::Failure;
use crate::output;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An anchor from a receipt; the journal must still hold that record. May be given more than once
    #[arg(long = "anchor", value_name = "TOKEN")]
    anchors: Vec<String>,
    /// A file with anchors, as journal.anchors of the configuration names one
    #[arg(long = "anchors", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    operator: OperatorArgs,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Verified {
    sound: bool,
    /// `axis` if the running axis did it, `folder` if the folder was read here.
    by: &'static str,
    segments: u32,
    records: u64,
    payloads: u64,
    payload_bytes: u64,
    anchor: Option<String>,
    anchors_compared: usize,
    torn_tail: Option<String>,
    damage: Vec<Damage>,
}

#[derive(Debug, Serialize)]
struct Damage {
    segment: String,
    offset: u64,
    reason: String,
}

/// Runs `axis verify`.
///
/// # Errors
/// Damage (exit 1), an anchor that is none (exit 2), or an axis that holds the folder and does
/// not answer (exit 3).
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let tokens = tokens(&args)?;
    let data = args.operator.data();
    // Reading a large journal takes its time.
    let verified = match args.operator.connect_within(None).await {
        Ok(client) => ask(client, tokens).await?,
        Err(error) if error.is_unreachable() => {
            // Held while reading, so that no axis starts to write meanwhile.
            let _lock = lock(data, false, &error.to_string())?;
            read(data.to_owned(), tokens).await?
        }
        Err(error) => return Err(error.into()),
    };
    if args.json {
        output::json(&verified)?;
    } else {
        tell(&verified, data)?;
    }
    if verified.sound {
        Ok(())
    } else {
        Err(Failure::Told)
    }
}

/// The anchors of the arguments and files, each checked to be one.
fn tokens(args: &Args) -> Result<Vec<String>, Failure> {
    let mut tokens = args.anchors.clone();
    for file in &args.files {
        let text =
            std::fs::read_to_string(file).map_err(|error| Failure::file("read", file, &error))?;
        // A line may tell more than its anchor; the anchor is the word that is one.
        tokens.extend(
            text.lines()
                .filter_map(|line| {
                    line.split_whitespace()
                        .find(|word| word.parse::<Anchor>().is_ok())
                })
                .map(str::to_owned),
        );
    }
    match tokens.iter().find(|token| token.parse::<Anchor>().is_err()) {
        Some(token) => Err(Failure::usage(format!(
            "--anchor {token}: not an anchor; copy it whole from the receipt"
        ))),
        None => Ok(tokens),
    }
}

async fn ask(client: Client, anchors: Vec<String>) -> Result<Verified, Failure> {
    let anchors_compared = anchors.len();
    let answer = client.verify(v1::VerifyRequest { anchors }).await?;
    let some = |text: String| (!text.is_empty()).then_some(text);
    Ok(Verified {
        sound: answer.sound,
        by: "axis",
        segments: answer.segments,
        records: answer.records,
        payloads: answer.payloads,
        payload_bytes: answer.payload_bytes,
        anchor: some(answer.anchor),
        anchors_compared,
        torn_tail: some(answer.torn_tail),
        damage: answer
            .damage
            .into_iter()
            .map(|damage| Damage {
                segment: damage.segment,
                offset: damage.offset,
                reason: damage.reason,
            })
            .collect(),
    })
}

/// Takes the data folder's lock, or says who has it. `None`: a copy without a lock file.
pub(crate) fn lock(data: &Path, exclusive: bool, reason: &str) -> Result<Option<File>, Failure> {
    if !data.is_dir() {
        return Err(Failure::refused(format!(
            "there is no data folder {}",
            data.display()
        )));
    }
    let path = data.join("lock");
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::file("open", &path, &error)),
    };
    let taken = if exclusive {
        file.try_lock()
    } else {
        file.try_lock_shared()
    };
    match taken {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Err(Failure::Unreachable(format!(
            "an axis uses {} and does not answer ({reason}): it is starting or stopping. Try again in a while",
            data.display()
        ))),
        Err(std::fs::TryLockError::Error(error)) => Err(Failure::file("lock", &path, &error)),
    }
}

async fn read(data: PathBuf, tokens: Vec<String>) -> Result<Verified, Failure> {
    let task = tokio::task::spawn_blocking(move || {
        // They were parsed before.
        let anchors: Vec<Anchor> = tokens
            .iter()
            .filter_map(|token| token.parse().ok())
            .collect();
        let mut show = |progress: Progress| {
            eprint!(
                "\rđã đọc {} bản ghi, đoạn {} / {} (records, segments) ",
                progress.records, progress.segment, progress.segments
            );
        };
        let shown = std::io::stderr().is_terminal();
        let verify = Verify {
            anchors: &anchors,
            up_to: None,
            progress: if shown { Some(&mut show) } else { None },
        };
        let outcome = verify.run(Arc::new(OsDisk), &data);
        if shown {
            eprint!("\r\x1b[K");
        }
        outcome
    });
    let (report, found) = match task.await.map_err(Failure::refused)? {
        Ok(report) => (report, Vec::new()),
        Err(VerifyError::Damaged { found, report }) => (*report, found),
        Err(error) => return Err(Failure::caused_by(&error)),
    };
    Ok(Verified {
        sound: found.is_empty(),
        by: "folder",
        segments: report.segments,
        records: report.records,
        payloads: report.payloads,
        payload_bytes: report.payload_bytes,
        anchor: report.last.map(|anchor| anchor.to_string()),
        anchors_compared: report.anchors,
        torn_tail: report.torn_tail.map(|tail| tail.to_string()),
        damage: found
            .iter()
            .map(|damage| Damage {
                segment: damage.segment.to_string(),
                offset: damage.offset,
                reason: damage.reason.to_string(),
            })
            .collect(),
    })
}

fn tell(verified: &Verified, data: &Path) -> Result<(), Failure> {
    let read = format!(
        "{} bản ghi (records), {} đoạn (segments), {} nội dung (payloads), {}",
        verified.records,
        verified.segments,
        verified.payloads,
        output::size(verified.payload_bytes)
    );
    if let Some(tail) = &verified.torn_tail {
        output::line(format!(
            "Phần cuối dở dang do dừng đột ngột; chưa từng được báo nhận; lần khởi động sau sẽ cắt bỏ\n\
             (a torn tail after a kill; nothing in it was ever acknowledged; the next start cuts it off): {tail}"
        ))?;
    }
    for damage in &verified.damage {
        output::line(format!(
            "HỎNG (damaged): segment {}, offset {}: {}",
            damage.segment, damage.offset, damage.reason
        ))?;
    }
    if verified.sound {
        output::line(format!("Sổ cái nguyên vẹn (the ledger is sound): {read}"))?;
        if verified.anchors_compared > 0 {
            output::line(format!(
                "{} mốc neo khớp (anchors fit)",
                verified.anchors_compared
            ))?;
        }
        if let Some(anchor) = &verified.anchor {
            output::line(format!("Mốc neo cuối (last anchor): {anchor}"))?;
        }
    } else {
        output::line(format!("Đã đọc đến đó (read up to there): {read}"))?;
        eprintln!(
            "axis: the ledger in {} is damaged. Do not delete anything: copy the folder, then restore it from a backup and compare",
            data.display()
        );
    }
    Ok(())
}
