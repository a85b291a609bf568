//! `axis send`: pushes files, one after the other, in the order given; or, as a connector, those
//! that are dropped into a folder.

mod folder;

use std::path::{Path, PathBuf};
use std::time::Duration;

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
use crate::signals::Signals;
use crate::supervised::Standing;
use crate::{output, shape, story, words};
use folder::{Dropped, Folder, Outcome};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The files; `-` is stdin
    #[arg(required_unless_present = "watch", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Send what is dropped into this folder, until SIGINT or SIGTERM: the receipt stands beside
    /// each file as NAME.receipt.json, what is wrong with it as NAME.error.txt
    #[arg(long, value_name = "DIR", conflicts_with = "files")]
    watch: Option<PathBuf>,
    /// With --watch: seconds for which a file must not have changed before it is sent
    #[arg(long, value_name = "SECONDS", default_value_t = 2, requires = "watch", value_parser = clap::value_parser!(u64).range(0..=3_600))]
    settled: u64,
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
    if let Some(folder) = &args.watch {
        return watch(&args, folder).await;
    }
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

/// Sends what is dropped into a folder, until a signal.
///
/// # Errors
/// Wrong arguments; a folder that at the start is not there, or not to be had. Whatever goes
/// wrong later is said and tried again.
async fn watch(args: &Args, path: &Path) -> Result<(), Failure> {
    let mut signals = Signals::take()?;
    let settled = Duration::from_secs(args.settled);
    let mut folder = Folder::open(path, settled).map_err(Failure::refused)?;
    let mut standing = Standing::ready(format!("sends what comes into {}", path.display()));
    let mut client = None;
    loop {
        // Whatever a signal cuts off is sent again the next time, and is no second delivery.
        let (back, round) = tokio::select! {
            round = round(args, folder, &mut client) => round,
            _ = signals.next() => break,
        };
        folder = back;
        let ended = match round {
            Ok(()) => {
                standing.well();
                tokio::select! {
                    () = tokio::time::sleep(folder.every()) => None,
                    signal = signals.next() => Some(signal),
                }
            }
            Err(Trouble::Wait { text, pause }) => {
                standing.trouble(&text, pause, &mut signals).await
            }
            Err(Trouble::End(failure)) => return Err(failure),
        };
        if ended.is_some() {
            break;
        }
    }
    standing.stopping();
    Ok(())
}

/// Why a round came to nothing, in part or as a whole.
enum Trouble {
    /// It gets better by itself, or when somebody mends it.
    Wait {
        text: String,
        /// When the axis said to come again.
        pause: Option<Duration>,
    },
    /// It does not.
    End(Failure),
}

impl Trouble {
    fn wait(text: impl Into<String>) -> Self {
        Self::Wait {
            text: text.into(),
            pause: None,
        }
    }

    fn folder(path: &Path, error: &std::io::Error) -> Self {
        let path = path.display();
        Self::wait(format!(
            "không dùng được thư mục (cannot use the folder) {path}: {error}"
        ))
    }
}

/// Sends what is there now.
async fn round(
    args: &Args,
    mut folder: Folder,
    client: &mut Option<Client>,
) -> (Folder, Result<(), Trouble>) {
    // Reading and hashing files may take its time.
    let looked = tokio::task::spawn_blocking(move || {
        let looked = folder.look();
        (folder, looked)
    });
    let (mut folder, looked) = match looked.await {
        Ok(looked) => looked,
        // A panic has ended the process, and nobody cancels it.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    let sent = async {
        let dropped = looked.map_err(|error| Trouble::folder(folder.path(), &error))?;
        let mut later = None;
        for one in dropped {
            match send(args, &mut folder, client, &one).await {
                Ok(()) => {}
                // Others may be for receivers that have room.
                Err(trouble @ Trouble::Wait { pause: Some(_), .. }) => {
                    later.get_or_insert(trouble);
                }
                Err(trouble) => return Err(trouble),
            }
        }
        later.map_or(Ok(()), Err)
    };
    let sent = sent.await;
    (folder, sent)
}

/// Sends one file and puts beside it what became of it.
async fn send(
    args: &Args,
    folder: &mut Folder,
    client: &mut Option<Client>,
    dropped: &Dropped,
) -> Result<(), Trouble> {
    let connected = match client {
        Some(client) => client,
        None => client.insert(connect(args).await?),
    };
    let options = v1::PushOptions {
        accept_known: args.accept_known,
    };
    let outcome = match open(&dropped.path).await {
        Ok(source) => push(connected, source, options).await,
        Err(reason) => Err(Attempt::Unreadable(reason)),
    };
    if !Folder::is_same(dropped) {
        // What was sent is not what lies there now: that has a result of its own.
        return Ok(());
    }
    let file = dropped.name.to_string_lossy();
    match outcome {
        Ok(receipt) => {
            let sent = Sent {
                file: &file,
                receipt: shape::Receipt::from(&receipt),
            };
            let json = serde_json::to_vec_pretty(&sent)
                .map_err(|error| Trouble::End(Failure::refused(error)))?;
            put(folder, dropped, Outcome::Receipt(&json))?;
            let said = if args.json {
                output::json(&sent)
            } else {
                output::line(receipt_text(&output::plain(&file), &receipt))
            };
            said.map_err(|error| Trouble::End(error.into()))
        }
        Err(attempt) => {
            if let Some(trouble) = attempt.passing() {
                if let Trouble::Wait { pause: None, .. } = trouble {
                    *client = None;
                }
                return Err(trouble);
            }
            let (refused, text) = attempt.told().map_err(Trouble::End)?;
            put(folder, dropped, Outcome::Error(&error_text(&file, &text)))?;
            if args.json {
                let not_sent = NotSent {
                    file: &file,
                    refused,
                };
                return output::json(&not_sent).map_err(|error| Trouble::End(error.into()));
            }
            eprintln!("{}: {text}", output::plain(&file));
            Ok(())
        }
    }
}

async fn connect(args: &Args) -> Result<Client, Trouble> {
    match args.system.connect(args.patience).await {
        Ok(client) => Ok(client),
        Err(failure @ Failure::Usage(_)) => Err(Trouble::End(failure)),
        Err(failure) => Err(Trouble::wait(failure.text())),
    }
}

fn put(folder: &mut Folder, dropped: &Dropped, outcome: Outcome<'_>) -> Result<(), Trouble> {
    let put = folder.put(dropped, outcome);
    put.map_err(|error| Trouble::folder(folder.path(), &error))
}

/// What stands beside a file that was refused.
fn error_text(file: &str, why: &str) -> String {
    format!(
        "{file}: trục không nhận (the axis refused it)\n\n{why}\n\n         Sửa nội dung rồi ghi lại tệp để gửi lại; nếu lỗi không ở tệp, xóa tệp .error.txt này là gửi lại.\n         Mend the file and write it again to send it again; if the file is not at fault, remove this .error.txt.\n"
    )
}

/// Why a file was not accepted.
enum Attempt {
    /// It cannot be read here.
    Unreadable(String),
    /// What the axis, or the way to it, said.
    Call(Error),
}

impl Attempt {
    /// The trouble, if it is not this file's fault.
    fn passing(&self) -> Option<Trouble> {
        match self {
            Self::Unreadable(_) => None,
            Self::Call(Error::Refused(view)) => {
                let name = Name::ALL.iter().find(|name| name.as_str() == view.name)?;
                let passes = name.row().retry || *name == Name::Unauthenticated;
                passes.then(|| Trouble::Wait {
                    text: refusal::tell(view),
                    pause: view.retry_after,
                })
            }
            Self::Call(error) => Some(Trouble::wait(error.to_string())),
        }
    }

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
