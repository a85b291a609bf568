//! `axis receive`: takes what waits for the system's agencies. Each delivery is durable here and
//! its line printed before it is settled; what was not settled when this ends, for whatever
//! reason, goes back with the stream.

use std::path::PathBuf;
use std::time::Duration;

use api::client::{Client, Error, Event, Subscription};
use api::v1;
use exchange::refusal::Name;
use serde::Serialize;

use crate::door::{Patience, SystemArgs};
use crate::failure::Failure;
use crate::inbox::Inbox;
use crate::signals::Signals;
use crate::{output, refusal, shape, story, words};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder for the files; made if it is not there
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// End after this many deliveries
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max: Option<u32>,
    /// Go on and take what comes, until SIGINT or SIGTERM
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
/// A refusal, a file that cannot be written, an interruption, or no axis there.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let signals = Signals::take()?;
    let inbox = Inbox::open(&args.out).map_err(Failure::refused)?;
    let client = args.system.connect(args.patience).await?;
    let credit = args.max.unwrap_or(CREDIT).min(CREDIT);
    let stream = client.subscribe(credit).await?;
    let mut taking = Taking {
        args: &args,
        inbox: &inbox,
        client,
        stream,
        signals,
        granted: credit,
        taken: 0,
        refused: false,
    };
    let ended = taking.run().await;
    let Taking {
        taken,
        refused,
        stream,
        ..
    } = taking;
    // With the stream go the leases of what was not settled.
    drop(stream);
    if !args.json && !args.follow && taken == 0 && matches!(ended, Ok(End::Done)) {
        output::line("Không có gì đang chờ (nothing waits).")?;
    }
    match ended? {
        End::Done if refused => Err(Failure::Told),
        End::Done => Ok(()),
        // The usual end of following.
        End::Interrupted if args.follow && !refused => Ok(()),
        End::Interrupted => Err(Failure::refused(format!(
            "interrupted after {taken} deliveries; the rest is offered again"
        ))),
    }
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
    signals: Signals,
    /// Credit given so far.
    granted: u32,
    /// Deliveries printed so far.
    taken: u32,
    /// A settle was refused.
    refused: bool,
}

impl Taking<'_> {
    async fn run(&mut self) -> Result<End, Failure> {
        while self.args.max.is_none_or(|max| self.taken < max) {
            // Following means waiting for ever.
            let limit = if self.args.follow {
                Duration::MAX
            } else {
                self.args.patience.limit()
            };
            let event = tokio::select! {
                event = within(limit, self.stream.next()) => event?,
                _ = self.signals.next() => return Ok(End::Interrupted),
            };
            match event {
                Some(Event::Delivery(header)) => {
                    if let End::Interrupted = self.take(&header).await? {
                        return Ok(End::Interrupted);
                    }
                }
                Some(Event::CaughtUp) if !self.args.follow => break,
                Some(_) => {}
                None => {
                    return Err(Failure::Unreachable(
                        "the axis ended the stream; try again".to_owned(),
                    ));
                }
            }
        }
        Ok(End::Done)
    }

    /// Writes, prints, settles. A signal cuts the content short, but what is printed is settled.
    async fn take(&mut self, header: &v1::DeliveryHeader) -> Result<End, Failure> {
        let mut arriving = self.inbox.begin(header).map_err(Failure::refused)?;
        loop {
            let chunk = tokio::select! {
                chunk = within(self.args.patience.limit(), self.stream.chunk()) => chunk?,
                _ = self.signals.next() => return Ok(End::Interrupted),
            };
            match chunk {
                Some(bytes) => arriving.write(&bytes).map_err(Failure::refused)?,
                None => break,
            }
        }
        let file = arriving.keep().map_err(Failure::refused)?;
        self.print(header, &file.display().to_string())?;
        self.taken += 1;
        if !self.args.no_ack {
            self.settle(header).await?;
        }
        if self.args.max.is_none_or(|max| self.granted < max) {
            self.granted = self.granted.saturating_add(1);
            self.stream.sender().credit(1);
        }
        Ok(End::Done)
    }

    async fn settle(&mut self, header: &v1::DeliveryHeader) -> Result<(), Failure> {
        let request = v1::SettleRequest {
            delivery_id: header.delivery_id.clone(),
            round: header.round,
            outcome: v1::Outcome::Acknowledged as i32,
            reason: String::new(),
            sha256: String::new(),
        };
        match self.client.settle(request).await {
            Ok(_) => Ok(()),
            // Recalled meanwhile, for one: the others are still worth taking.
            Err(Error::Refused(view)) if view.name != Name::NotServing.as_str() => {
                eprintln!(
                    "axis: delivery {} was not settled: {}",
                    header.delivery_id,
                    refusal::tell(&view)
                );
                self.refused = true;
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
) -> Result<T, Failure> {
    match tokio::time::timeout(limit, call).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Failure::Unreachable(format!(
            "the axis has not answered within {limit:?}"
        ))),
    }
}
