//! `axis demo`: the main job on real packages, told to a person. An axis in a temporary folder,
//! the agencies that the samples name, everything through the public API.

mod compare;
mod rules;
mod screen;
mod script;
mod sdk;
mod stage;

use api::client::Error;
use api::v1;
use bytes::Bytes;
use ledger::time::Clock;
use serde::Serialize;

use self::compare::{Owed, Tally, compare};
use self::screen::Screen;
use self::script::{Piece, Script};
use self::stage::Stage;
use crate::config::LogFormat;
use crate::failure::Failure;
use crate::refusal::Refused;
use crate::signals::Signals;
use crate::{log, output, shape};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// End after the story; without it the axis stays for you to try, until Ctrl-C
    #[arg(long)]
    exit: bool,
    /// One JSON object on stdout in place of the story, then end
    #[arg(long)]
    json: bool,
    /// Play over this RabbitMQ: amqp://USER@HOST:5672/VHOST, the password in AXIS_BUS_PASSWORD
    #[arg(long, value_name = "URL")]
    bus: Option<String>,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    packages: Vec<Package>,
    refused: Vec<RefusedFile>,
    lost: usize,
    doubled: usize,
}

#[derive(Debug, Serialize)]
struct Package {
    id: String,
    kind: &'static str,
    sender: String,
    receivers: Vec<String>,
    sha256: String,
    deliveries: Vec<Delivery>,
}

#[derive(Debug, Serialize)]
struct Delivery {
    id: String,
    receiver: String,
    state: &'static str,
    statuses: Vec<String>,
}

#[derive(Debug, Serialize)]
struct RefusedFile {
    file: String,
    code: String,
    path: String,
    line: u32,
    column: u32,
}

/// Runs `axis demo`.
///
/// # Errors
/// If the axis cannot start, or something came out otherwise than told.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let filter = std::env::var("AXIS_LOG").unwrap_or_else(|_| "error".to_owned());
    log::start(&filter, LogFormat::Text)?;
    let mut signals = Signals::take()?;
    let today = Clock::system().now().edxml();
    let script =
        Script::write(today.split(' ').next().unwrap_or_default()).map_err(Failure::refused)?;
    let stage = Stage::open(&script.agencies, args.bus.as_deref()).await?;
    let mut play = Play {
        stage,
        screen: Screen::new(!args.json),
        owed: Vec::new(),
        refused: Vec::new(),
    };
    let played = tokio::select! {
        played = play.act(&script, args.json) => played,
        _ = signals.next() => Err(Failure::refused("interrupted")),
    };
    if played.is_ok() && !args.exit && !args.json {
        play.screen.stay(&play.stage, &script)?;
        signals.next().await;
    }
    play.stage.close().await;
    played
}

struct Play {
    stage: Stage,
    screen: Screen,
    /// What the receivers are owed, by the bytes that were pushed and accepted.
    owed: Vec<Owed>,
    refused: Vec<RefusedFile>,
}

impl Play {
    async fn act(&mut self, script: &Script, json: bool) -> Result<(), Failure> {
        self.screen.opening(&self.stage)?;

        self.screen.heading("Gửi văn bản", "sending documents")?;
        self.screen.note(
            "Mỗi tệp mẫu được cấp một mã văn bản riêng; văn bản thu hồi giữ mã của văn bản nó thu hồi.\n\
             Ba văn bản mà thu hồi, cập nhật, thay thế nhắc tới được gửi trước.\n\
             (Each sample gets a DocumentId of its own, the recall keeps that of the document it recalls;\n\
             the three documents that recall, update and replacement name are sent first.)\n ",
        )?;
        let mut sent = Vec::new();
        for piece in script.planted.iter().chain(&script.samples) {
            sent.push((piece, self.push(piece).await?));
        }
        self.screen.sent(&sent)?;

        self.screen
            .heading("Những gì trục từ chối", "what the axis refuses")?;
        self.screen.note(
            "Một tệp mẫu gửi nguyên bản, trùng mã với văn bản khác đã gửi; rồi ba tệp hỏng.\n\
             (A sample as it is, with the DocumentId of another document; then three broken files.)\n ",
        )?;
        self.refuse(
            &script.conflict.sender,
            &script.conflict.file,
            &script.conflict.bytes,
        )
        .await?;
        for sample in script.malformed {
            self.refuse(&script.conflict.sender, sample.file, sample.bytes)
                .await?;
        }

        self.screen
            .heading("Bên nhận lấy văn bản", "the receivers fetch")?;
        self.receive_all().await?;

        self.screen
            .heading("Bên nhận báo xử lý", "a receiver reports")?;
        let mut answered = Vec::new();
        for piece in &script.answers {
            answered.push((piece, self.push(piece).await?));
        }
        self.screen.sent(&answered)?;

        self.overtake_refuse_recall(script).await?;

        self.screen
            .heading("Thu hồi sau khi lấy", "a recall after the fetch")?;
        let receipt = self.push(&script.recall).await?;
        self.screen.sent(&[(&script.recall, receipt)])?;
        self.receive_all().await?;
        self.answer_and_link(script).await?;

        let (sender, document) = &script.story;
        self.screen
            .heading("Câu chuyện của một văn bản", "the story of one document")?;
        let trace = self
            .stage
            .actor(sender)?
            .client
            .trace(v1::TraceRequest {
                id: document.clone(),
            })
            .await?;
        self.screen.story(&trace)?;

        self.screen.heading("Đối chiếu", "the reckoning")?;
        let packages = self.packages().await?;
        let tally = self.reckon(&packages)?;
        self.screen.reckoning(self.owed.len(), tally)?;
        if json {
            let packages = self.report(packages).await?;
            let refused = std::mem::take(&mut self.refused);
            output::json(&Report {
                packages,
                refused,
                lost: tally.lost,
                doubled: tally.doubled,
            })?;
        }
        if tally.lost + tally.doubled > 0 {
            return Err(Failure::refused(format!(
                "{} lost, {} doubled",
                tally.lost, tally.doubled
            )));
        }
        Ok(())
    }

    /// Pushes as the sender's system; its receivers are then owed these bytes.
    async fn push(&mut self, piece: &Piece) -> Result<v1::Receipt, Failure> {
        let receipt = self.push_unowed(piece).await?;
        self.owed.extend(
            piece
                .receivers
                .iter()
                .map(|receiver| Owed::new(receiver, &piece.bytes)),
        );
        Ok(receipt)
    }

    /// The same, of what nobody is to receive: it is taken back.
    async fn push_unowed(&self, piece: &Piece) -> Result<v1::Receipt, Failure> {
        let sender = self.stage.actor(&piece.sender)?;
        let push = v1::PushOptions::default();
        Ok(sender.client.push(piece.bytes.clone().into(), push).await?)
    }

    /// Pushes what must be refused.
    async fn refuse(&mut self, sender: &str, file: &str, bytes: &[u8]) -> Result<(), Failure> {
        let client = &self.stage.actor(sender)?.client;
        match client
            .push(Bytes::copy_from_slice(bytes), v1::PushOptions::default())
            .await
        {
            Ok(_) => Err(Failure::refused(format!(
                "{file} was accepted and should have been refused"
            ))),
            Err(Error::Refused(view)) => {
                let Refused {
                    code,
                    path,
                    line,
                    column,
                    ..
                } = Refused::from(&*view);
                self.screen.refused(file, &view)?;
                self.refused.push(RefusedFile {
                    file: file.to_owned(),
                    code,
                    path,
                    line,
                    column,
                });
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Everybody receives until nothing waits: what is settled makes the axis's 01 for the sender.
    async fn receive_all(&mut self) -> Result<(), Failure> {
        let mut received = Vec::new();
        loop {
            let before = received.len();
            for actor in &self.stage.actors {
                received.extend(actor.receive().await?);
            }
            if received.len() == before {
                break;
            }
        }
        self.screen.received(&received)?;
        Ok(())
    }

    /// Every package on the axis, in the order of acceptance.
    async fn packages(&self) -> Result<Vec<v1::PackageSummary>, Failure> {
        let mut packages = Vec::new();
        let mut request = v1::SearchRequest {
            page_size: 1_000,
            ..v1::SearchRequest::default()
        };
        loop {
            let page = self.stage.operator.search(request.clone()).await?;
            packages.extend(page.packages);
            if page.next_page_token.is_empty() {
                packages.sort_by(|a, b| {
                    (&a.accepted_at, &a.package_id).cmp(&(&b.accepted_at, &b.package_id))
                });
                return Ok(packages);
            }
            request.page_token = page.next_page_token;
        }
    }

    /// Compares what is owed with the files. What the axis made itself was sent by nobody: its
    /// record says what it is.
    fn reckon(&mut self, packages: &[v1::PackageSummary]) -> Result<Tally, Failure> {
        for package in packages {
            if package
                .status
                .as_ref()
                .is_some_and(|status| status.made_by_axis)
            {
                let sha256 = hash(&package.sha256)
                    .ok_or_else(|| Failure::refused(format!("{} is no SHA-256", package.sha256)))?;
                let receivers = package
                    .deliveries
                    .iter()
                    .map(|delivery| shape::code(delivery.receiver.as_ref()));
                self.owed
                    .extend(receivers.map(|receiver| Owed { receiver, sha256 }));
            }
        }
        Ok(compare(&self.owed, &self.stage.inboxes())?)
    }

    async fn report(&self, packages: Vec<v1::PackageSummary>) -> Result<Vec<Package>, Failure> {
        let mut report = Vec::with_capacity(packages.len());
        for package in packages {
            let shaped = shape::Package::from(&package);
            let mut cells = Vec::new();
            if package.kind() == v1::PackageKind::Document {
                let request = v1::MatrixRequest {
                    package_id: shaped.id.clone(),
                    ..v1::MatrixRequest::default()
                };
                cells = self.stage.operator.matrix(request).await?.cells;
            }
            let statuses = |receiver: &str| -> Vec<String> {
                let cell = cells
                    .iter()
                    .find(|cell| shape::code(cell.receiver.as_ref()) == receiver);
                cell.map(|cell| cell.events.iter().map(|event| event.code.clone()).collect())
                    .unwrap_or_default()
            };
            report.push(Package {
                receivers: shaped
                    .deliveries
                    .iter()
                    .map(|delivery| delivery.receiver.clone())
                    .collect(),
                deliveries: shaped
                    .deliveries
                    .into_iter()
                    .map(|delivery| Delivery {
                        statuses: statuses(&delivery.receiver),
                        id: delivery.id,
                        receiver: delivery.receiver,
                        state: delivery.state,
                    })
                    .collect(),
                id: shaped.id,
                kind: shaped.kind,
                sender: shaped.sender,
                sha256: shaped.sha256,
            });
        }
        Ok(report)
    }
}

/// The bytes of 64 hex digits.
fn hash(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (n, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).ok()?;
    }
    Some(bytes)
}
