//! `axis send`: pushes files, one after the other, in the order given.

use std::path::{Path, PathBuf};

use api::client::{Client, Error};
use api::v1;
use bytes::BytesMut;
use exchange::refusal::Name;
use serde::Serialize;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::door::{Patience, SystemArgs};
use crate::failure::Failure;
use crate::refusal::{self, Refused};
use crate::{output, shape, story, words};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The files; `-` is stdin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Deliver to the receivers that are known and name the others, in place of refusing the package
    #[arg(long)]
    accept_known: bool,
    /// One JSON object a file on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    system: SystemArgs,
    #[command(flatten)]
    patience: Patience,
}

/// A file that was accepted, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Sent<'a> {
    file: &'a str,
    #[serde(flatten)]
    receipt: shape::Receipt,
}

/// A file that was not.
#[derive(Debug, Serialize)]
struct NotSent<'a> {
    file: &'a str,
    refused: Refused,
}

/// Runs `axis send`.
///
/// # Errors
/// [`Failure::Told`] after all were tried if any was refused; no axis there.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let client = args.system.connect(args.patience).await?;
    let options = v1::PushOptions {
        accept_known: args.accept_known,
    };
    let mut refused = false;
    for path in &args.files {
        let file = path.display().to_string();
        let outcome = match open(path).await {
            Ok(source) => push(&client, source, options).await,
            Err(reason) => Err(Attempt::Unreadable(reason)),
        };
        match outcome {
            Ok(receipt) if args.json => output::json(&Sent {
                file: &file,
                receipt: shape::Receipt::from(&receipt),
            })?,
            Ok(receipt) => output::line(receipt_text(&file, &receipt))?,
            Err(attempt) => {
                let (object, text) = attempt.told()?;
                refused = true;
                if args.json {
                    output::json(&NotSent {
                        file: &file,
                        refused: object,
                    })?;
                } else {
                    eprintln!("{file}: {text}");
                }
            }
        }
    }
    if refused { Err(Failure::Told) } else { Ok(()) }
}

/// Why a file was not accepted.
enum Attempt {
    /// It cannot be read here.
    Unreadable(String),
    /// What the axis, or the way to it, said.
    Call(Error),
}

impl Attempt {
    /// The refusal for scripts and for people.
    ///
    /// # Errors
    /// What is no refusal of this file ends the command: the next file would fare no better.
    fn told(self) -> Result<(Refused, String), Failure> {
        match self {
            Self::Unreadable(reason) => Ok((
                Refused::unreadable(&reason),
                format!("không đọc được tệp (cannot read the file): {reason}"),
            )),
            Self::Call(Error::Refused(view)) if view.name != Name::NotServing.as_str() => {
                Ok((Refused::from(&*view), refusal::tell(&view)))
            }
            Self::Call(error) => Err(error.into()),
        }
    }
}

type Source = Box<dyn AsyncRead + Send + Unpin>;

async fn open(path: &Path) -> Result<Source, String> {
    if path == Path::new("-") {
        return Ok(Box::new(tokio::io::stdin()));
    }
    if path.is_dir() {
        return Err(format!(
            "it is a folder; name the files in it: {}/*.edxml",
            path.display()
        ));
    }
    match File::open(path).await {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(error.to_string()),
    }
}

/// Pushes in one message what fits into one, the rest in chunks.
async fn push(
    client: &Client,
    mut source: Source,
    options: v1::PushOptions,
) -> Result<v1::Receipt, Attempt> {
    let mut head = BytesMut::with_capacity(64 << 10);
    while head.len() <= api::PUSH_MAX {
        match source.read_buf(&mut head).await {
            Ok(0) => {
                return client
                    .push(head.freeze(), options)
                    .await
                    .map_err(Attempt::Call);
            }
            Ok(_) => {}
            Err(error) => return Err(Attempt::Unreadable(error.to_string())),
        }
    }
    let head = head.freeze();
    match client
        .push_stream(head.as_ref().chain(source), options)
        .await
    {
        Ok(pushed) => Ok(pushed.receipt),
        Err(Error::Source(error)) => Err(Attempt::Unreadable(error.to_string())),
        Err(error) => Err(Attempt::Call(error)),
    }
}

fn receipt_text(file: &str, receipt: &v1::Receipt) -> String {
    let shaped = shape::Receipt::from(receipt);
    let verb = if receipt.duplicate {
        "đã có từ trước (a duplicate: the first receipt again)"
    } else {
        "trục đã nhận (accepted)"
    };
    let mut text = format!(
        "{file}: {verb}\n  {kind} {id}, {size}, {at}\n  SHA-256 {sha256}",
        kind = words::kind_vi(receipt.kind()),
        id = shaped.id,
        size = output::size(shaped.size),
        at = story::clock(&shaped.accepted_at),
        sha256 = shaped.sha256,
    );
    for receiver in &receipt.receivers {
        let old = if receiver.duplicate && !receipt.duplicate {
            " (đã có từ trước, had it before)"
        } else {
            ""
        };
        text += &format!("\n  → {}{old}", story::agency(receiver.agency.as_ref()));
    }
    for omitted in &shaped.omitted {
        text += &format!(
            "\n  ✗ {} {} (không gửi, left out)",
            omitted.receiver, omitted.reason
        );
    }
    for warning in &shaped.warnings {
        text += &format!(
            "\n  ! {}:{} {} {}\n      {}\n      {}",
            warning.line,
            warning.column,
            warning.code,
            warning.path,
            warning.message,
            warning.message_en
        );
    }
    text
}
