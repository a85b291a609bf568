//! `axis receive`: takes what waits for the system's agencies. Each delivery is durable here and
//! its line printed before it is settled; what was not settled when this ends, for whatever
//! reason, goes back with the stream.
//!
//! With `--follow` it is a connector that goes on whatever happens: when the axis is away, the
//! disk full or the folder gone it says so, waits, and takes up again.

use std::path::PathBuf;
use std::time::Duration;

use api::client::{Client, Error, Event, Subscription};
use api::v1;
use exchange::refusal::Name;
use serde::Serialize;

use crate::door::{Patience, SystemArgs};
use crate::failure::Failure;
use crate::inbox::{self, Inbox};
use crate::signals::Signals;
use crate::supervised::Standing;
use crate::{output, refusal, shape, story, words};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder for the files; made if it is not there
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// End after this many deliveries
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max: Option<u32>,
    /// Go on and take what comes, until SIGINT or SIGTERM; when the axis is away or the disk full,
    /// say so, wait and go on
    #[arg(long)]
    follow: bool,
    /// Do not settle: everything is offered again
    #[arg(long)]
    no_ack: bool,
    /// One JSON object a delivery on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    system: SystemArgs,
    #[command(flatten)]
    patience: Patience,
}

/// A delivery that was received, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Received<'a> {
    package: &'a str,
    delivery: &'a str,
    kind: &'static str,
    sender: String,
    receiver: String,
    sha256: &'a str,
    file: String,
    size: u64,
    document: Option<&'a str>,
    status: Option<&'a str>,
    round: u32,
    redelivered: bool,
}

/// Deliveries that may be on their way while one is written.
const CREDIT: u32 = 8;

/// Runs `axis receive`.
///
/// # Errors
/// A refusal, a file that cannot be written, an interruption, or no axis there; with `--follow`
/// only wrong use, and a folder that cannot be had at the start.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let mut signals = Signals::take()?;
    if args.follow {
        return follow(&args, &mut signals).await;
    }
    let inbox = Inbox::open(&args.out).map_err(Failure::refused)?;
    let mut done = Done::default();
    let ended = session(&args, &inbox, &mut signals, &mut done, None).await;
    if !args.json && done.taken == 0 && matches!(ended, Ok(End::Done)) {
        output::line("Không có gì đang chờ (nothing waits).")?;
    }
    match ended? {
        End::Done if done.refused => Err(Failure::Told),
        End::Done => Ok(()),
        End::Interrupted => Err(Failure::refused(format!(
            "interrupted after {} deliveries; the rest is offered again",
            done.taken
        ))),
    }
}

/// Takes what comes, over one stream after the other, until a signal.
async fn follow(args: &Args, signals: &mut Signals) -> Result<(), Failure> {
    let inbox = if args.no_ack {
        // Everything comes again, and is to be written again.
        Inbox::open(&args.out).map_err(Failure::refused)?
    } else {
        Inbox::take(&args.out).map_err(Failure::refused)?
    };
    let mut standing = Standing::ready(format!("receives into {}", args.out.display()));
    let mut done = Done::default();
    loop {
        let ended = session(args, &inbox, signals, &mut done, Some(&mut standing)).await;
        let (text, pause) = match ended {
            Ok(_) => break,
            Err(Trouble::End(failure)) => return Err(failure),
            Err(Trouble::Folder(failed)) => (failed.to_string(), None),
            Err(Trouble::Call(Error::Refused(view))) => (refusal::tell(&view), view.retry_after),
            Err(Trouble::Call(error)) => (error.to_string(), None),
            Err(Trouble::Away(text)) => (text, None),
        };
        if standing.trouble(&text, pause, signals).await.is_some() {
            break;
        }
    }
    standing.stopping();
    // The usual end of following.
    if done.refused {
        Err(Failure::Told)
    } else {
        Ok(())
    }
}

/// What came of all streams.
#[derive(Debug, Default)]
struct Done {
    /// Deliveries printed.
    taken: u32,
    /// A settle was refused.
    refused: bool,
    /// Bytes of the delivery that could not be written last; 0 if all could.
    lacked: u64,
}

/// Why a stream ended early.
#[derive(Debug)]
enum Trouble {
    /// A file could not be written.
    Folder(inbox::Failed),
    /// What the axis, or the way to it, said.
    Call(Error),
    /// The axis ended the stream, or could not be reached to begin with.
    Away(String),
    /// Nothing that passes.
    End(Failure),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

impl From<inbox::Failed> for Trouble {
    fn from(failed: inbox::Failed) -> Self {
        Self::Folder(failed)
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Folder(failed) => Self::refused(failed),
            Trouble::Call(error) => error.into(),
            Trouble::Away(text) => Self::Unreachable(text),
            Trouble::End(failure) => failure,
        }
    }
}

/// Receives over one stream, to its end.
async fn session(
    args: &Args,
    inbox: &Inbox,
    signals: &mut Signals,
    done: &mut Done,
    standing: Option<&mut Standing>,
) -> Result<End, Trouble> {
    if done.lacked > 0 {
        // Content that leaves the axis and finds no room here would be offered until it is dead.
        inbox.room_for(done.lacked)?;
    }
    let client = match args.system.connect(args.patience).await {
        Ok(client) => client,
        Err(Failure::Unreachable(text)) => return Err(Trouble::Away(text)),
        Err(failure) => return Err(Trouble::End(failure)),
    };
    let credit = args.max.unwrap_or(CREDIT).min(CREDIT);
    let stream = client.subscribe(credit).await?;
    let mut taking = Taking {
        args,
        inbox,
        client,
        stream,
        signals,
        granted: credit,
        done,
        standing,
    };
    // With the stream go the leases of what was not settled.
    taking.run().await
}

/// How receiving ended.
enum End {
    Done,
    Interrupted,
}

struct Taking<'a> {
    args: &'a Args,
    inbox: &'a Inbox,
    client: Client,
    stream: Subscription,
    signals: &'a mut Signals,
    /// Credit given so far.
    granted: u32,
    done: &'a mut Done,
    standing: Option<&'a mut Standing>,
}

/// How often the service manager hears of a follower that has nothing to do.
const ALIVE: Duration = Duration::from_secs(10);

impl Taking<'_> {
    async fn run(&mut self) -> Result<End, Trouble> {
        while self.args.max.is_none_or(|max| self.done.taken < max) {
            // Following means waiting for ever.
            let limit = if self.args.follow {
                Duration::MAX
            } else {
                self.args.patience.limit()
            };
            let event = tokio::select! {
                event = within(limit, alive(self.standing.as_deref(), self.stream.next())) => event?,
                _ = self.signals.next() => return Ok(End::Interrupted),
            };
            match event {
                Some(Event::Delivery(header)) => {
                    if let End::Interrupted = self.take(&header).await? {
                        return Ok(End::Interrupted);
                    }
                }
                Some(Event::CaughtUp) if !self.args.follow => break,
                Some(Event::CaughtUp) => self.well(),
                Some(_) => {}
                None => {
                    return Err(Trouble::Away(
                        "the axis ended the stream; try again".to_owned(),
                    ));
                }
            }
        }
        Ok(End::Done)
    }

    /// Writes, prints, settles. A signal cuts the content short, but what is printed is settled.
    async fn take(&mut self, header: &v1::DeliveryHeader) -> Result<End, Trouble> {
        let file = match self.inbox.kept(header) {
            // Its file was there before; what is read of it now is passed by.
            Some(file) => file,
            None => match self.write(header).await {
                Ok(Some(file)) => file,
                Ok(None) => return Ok(End::Interrupted),
                Err(trouble) => {
                    if let Trouble::Folder(_) = trouble {
                        self.done.lacked = header.size.max(1);
                    }
                    return Err(trouble);
                }
            },
        };
        self.done.lacked = 0;
        self.print(header, &file.display().to_string())
            .map_err(Trouble::End)?;
        self.done.taken += 1;
        if !self.args.no_ack {
            self.settle(header).await?;
        }
        if self.args.max.is_none_or(|max| self.granted < max) {
            self.granted = self.granted.saturating_add(1);
            self.stream.sender().credit(1);
        }
        self.well();
        Ok(End::Done)
    }

    fn well(&mut self) {
        if let Some(standing) = self.standing.as_deref_mut() {
            standing.well();
        }
    }

    /// The content as a file; `None` if a signal came before its end.
    async fn write(&mut self, header: &v1::DeliveryHeader) -> Result<Option<PathBuf>, Trouble> {
        let mut arriving = self.inbox.begin(header)?;
        loop {
            let chunk = tokio::select! {
                chunk = within(self.args.patience.limit(), self.stream.chunk()) => chunk?,
                _ = self.signals.next() => return Ok(None),
            };
            match chunk {
                Some(bytes) => arriving.write(&bytes)?,
                None => break,
            }
        }
        Ok(Some(arriving.keep()?))
    }

    async fn settle(&mut self, header: &v1::DeliveryHeader) -> Result<(), Trouble> {
        let request = v1::SettleRequest {
            delivery_id: header.delivery_id.clone(),
            round: header.round,
            outcome: v1::Outcome::Acknowledged as i32,
            reason: String::new(),
            sha256: String::new(),
        };
        match self.client.settle(request).await {
            Ok(_) => {
                self.inbox.settled(header);
                Ok(())
            }
            // Recalled meanwhile, for one: the others are still worth taking.
            Err(Error::Refused(view)) if view.name != Name::NotServing.as_str() => {
                eprintln!(
                    "axis: delivery {} was not settled: {}",
                    header.delivery_id,
                    refusal::tell(&view)
                );
                self.done.refused = true;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn print(&self, header: &v1::DeliveryHeader, file: &str) -> Result<(), Failure> {
        if self.args.json {
            output::json(&Received {
                package: &header.package_id,
                delivery: &header.delivery_id,
                kind: words::kind(header.kind()),
                sender: shape::code(header.sender.as_ref()),
                receiver: shape::code(header.receiver.as_ref()),
                sha256: &header.sha256,
                file: file.to_owned(),
                size: header.size,
                document: document_id(header),
                status: header.status.as_ref().map(|status| status.code.as_str()),
                round: header.round,
                redelivered: header.redelivered,
            })?;
            return Ok(());
        }
        let about = match (&header.document, &header.status) {
            (Some(document), _) => format!(
                "{}/{} {}",
                document.number,
                document.notation,
                output::shorten(&document.subject, 60)
            ),
            (_, Some(status)) => {
                format!("{} {}: {}", status.code, status.label, status.document_id)
            }
            _ => String::new(),
        };
        output::line(format!(
            "{kind} {about}\n  từ {from} → {to}, {size}\n  {file}",
            kind = words::kind_vi(header.kind()),
            from = story::agency(header.sender.as_ref()),
            to = story::agency(header.receiver.as_ref()),
            size = output::size(header.size),
        ))?;
        Ok(())
    }
}

/// The DocumentId that the delivery is about.
fn document_id(header: &v1::DeliveryHeader) -> Option<&str> {
    let document = header
        .document
        .as_ref()
        .and_then(|document| document.document_id.as_deref());
    document
        .or_else(|| {
            header
                .status
                .as_ref()
                .map(|status| status.document_id.as_str())
        })
        .filter(|id| !id.is_empty())
}

async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Trouble> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Trouble::Away(format!(
            "the axis has not answered within {limit:?}"
        ))),
    }
}

/// Waits, and lets the service manager know meanwhile that somebody does.
async fn alive<T>(standing: Option<&Standing>, call: impl Future<Output = T>) -> T {
    let Some(standing) = standing else {
        return call.await;
    };
    let mut call = std::pin::pin!(call);
    loop {
        tokio::select! {
            done = &mut call => return done,
            () = tokio::time::sleep(ALIVE) => standing.alive(),
        }
    }
}
