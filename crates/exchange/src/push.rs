//! Pushing: from bytes to a receipt.

use std::io::BufReader;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use journal::{Payload, Temporary};
use ledger::event::{PackageAccepted, PackageRefused};
use ledger::id::{AgencyId, DeliveryId, SystemId};
use ledger::tally::LaneTally;
use ledger::time::Ms;
use ledger::{Accept, Accepted, Command, Committed, Fact};
use sha2::{Digest as _, Sha256};

use crate::admission::{self, Admitted, Candidate, hex};
use crate::alerts::{Kind as AlertKind, Words};
use crate::made::{self, About, number_and_notation};
use crate::refusal::{Name, Refusal};
use crate::service::{Exchange, Inner, Peer, refused_commit};
use crate::types::{PushOptions, Receipt, ReceiverReceipt, Warning};

/// Packages up to this size are read on the spot; larger ones on a thread for blocking work.
const ON_THE_SPOT: usize = 64 << 10;

/// A whole package that came in.
enum Body {
    Inline(Bytes),
    File(Temporary),
}

/// A package on its way in, in chunks. Dropping it leaves nothing behind.
#[derive(Debug)]
pub struct Upload {
    inner: Arc<Inner>,
    peer: Peer,
    options: PushOptions,
    share: crate::limit::Share,
    start: BytesMut,
    file: Option<Temporary>,
    size: u64,
    /// A write began and did not end well: bytes are missing.
    broken: bool,
}

impl Exchange {
    /// Pushes one package.
    ///
    /// # Errors
    /// A [`Refusal`]; nothing of the package is kept then, but the fact of the refusal.
    pub async fn push(
        &self,
        peer: &Peer,
        package: Bytes,
        options: PushOptions,
    ) -> Result<Receipt, Refusal> {
        let mut share = self.inner.begin(peer)?;
        share
            .grow(package.len() as u64)
            .inspect_err(count_refusal)?;
        let size = package.len() as u64;
        if size > self.inner.usages.limits().max_package {
            let refusal = too_large(self.inner.usages.limits().max_package);
            counted(refusal.name.as_str(), 0);
            self.inner.note_refusal(peer, &refusal, "", None, size);
            return Err(refusal);
        }
        let inline_limit = self.inner.ledger.payloads().inline_limit();
        let body = if size <= inline_limit {
            Body::Inline(package)
        } else {
            let payloads = self.inner.ledger.payloads().clone();
            let kept = blocking(move || {
                let mut file = payloads.begin()?;
                file.write(&package)?;
                Ok(file)
            });
            Body::File(kept.await?)
        };
        self.inner.accept(peer, body, size, options).await
    }

    /// Begins a push in chunks.
    ///
    /// # Errors
    /// LIMIT_REACHED, NOT_SERVING.
    pub async fn upload(&self, peer: &Peer, options: PushOptions) -> Result<Upload, Refusal> {
        let share = self.inner.begin(peer)?;
        let inner = Arc::clone(&self.inner);
        let peer = peer.clone();
        Ok(Upload {
            inner,
            peer,
            options,
            share,
            start: BytesMut::new(),
            file: None,
            size: 0,
            broken: false,
        })
    }
}

impl Upload {
    /// Takes the next bytes; they are on disk or within the first few when it returns.
    ///
    /// # Errors
    /// TOO_LARGE, LIMIT_REACHED, or the disk's; the upload is over then.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), Refusal> {
        // Until the end is reached: whoever drops this future loses the chunk.
        let broken = std::mem::replace(&mut self.broken, true);
        self.size += chunk.len() as u64;
        let limit = self.inner.usages.limits().max_package;
        if self.size > limit {
            let refusal = too_large(limit);
            counted(refusal.name.as_str(), 0);
            self.inner
                .note_refusal(&self.peer, &refusal, "", None, self.size);
            return Err(refusal);
        }
        let grown = self.share.grow(chunk.len() as u64);
        grown.inspect_err(count_refusal)?;
        let inline_limit = self.inner.ledger.payloads().inline_limit();
        if self.file.is_none() && self.size <= inline_limit {
            self.start.extend_from_slice(&chunk);
            self.broken = broken;
            return Ok(());
        }
        let start = std::mem::take(&mut self.start);
        let file = self.file.take();
        let payloads = self.inner.ledger.payloads().clone();
        let written = blocking(move || {
            let mut file = match file {
                Some(file) => file,
                None => payloads.begin()?,
            };
            if !start.is_empty() {
                file.write(&start)?;
            }
            file.write(&chunk)?;
            Ok(file)
        });
        self.file = Some(written.await?);
        self.broken = broken;
        Ok(())
    }

    /// The package is whole: checks it and accepts it.
    ///
    /// # Errors
    /// A [`Refusal`], as [`Exchange::push`].
    pub async fn finish(self) -> Result<Receipt, Refusal> {
        let Self {
            inner,
            peer,
            options,
            share,
            start,
            file,
            size,
            broken,
        } = self;
        if broken {
            return Err(Refusal::new(Name::Incomplete));
        }
        let body = match file {
            Some(file) => Body::File(file),
            None => Body::Inline(start.freeze()),
        };
        let receipt = inner.accept(&peer, body, size, options).await;
        drop(share);
        receipt
    }
}

/// Work that may wait for the disk, away from the runtime.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::StorageFull => {
            Err(Refusal::new(Name::DiskFull).retry_after(30_000))
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "a payload could not be written");
            Err(Refusal::new(Name::Internal))
        }
        Err(_) => Err(Refusal::new(Name::Internal)),
    }
}

fn count_refusal(refusal: &Refusal) {
    counted(refusal.name.as_str(), 0);
}

/// A push was answered so; `size` of one that was taken.
fn counted(outcome: &'static str, size: u64) {
    metrics::counter!("axis_pushes_total", "outcome" => outcome).increment(1);
    metrics::counter!("axis_pushed_bytes_total").increment(size);
}

fn too_large(limit: u64) -> Refusal {
    Refusal::new(Name::TooLarge).at(
        "",
        format!("Gói tin lớn hơn giới hạn {limit} byte."),
        format!("The package is larger than the limit of {limit} bytes."),
    )
}

impl Candidate {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let reading = edxml::read(bytes, &edxml::Limits::default());
        let sha256: [u8; 32] = Sha256::digest(bytes).into();
        // Without an excluded range the essence is the whole.
        let mut essence = Sha256::new();
        let whole = edxml::essence(bytes, &reading.spans, |piece| essence.update(piece));
        debug_assert!(whole.is_ok());
        Self {
            reading,
            sha256,
            essence: essence.finalize().into(),
            size: bytes.len() as u64,
        }
    }

    fn of_file(file: &Temporary) -> std::io::Result<Self> {
        let reading = edxml::read_from(
            BufReader::with_capacity(64 << 10, file.reader()),
            &edxml::Limits::default(),
        )?;
        let mut essence = Sha256::new();
        edxml::essence(file.reader(), &reading.spans, |piece| essence.update(piece))?;
        Ok(Self {
            reading,
            sha256: file.sha256(),
            essence: essence.finalize().into(),
            size: file.len(),
        })
    }
}

impl Inner {
    /// A place among the calling system's pushes.
    pub(crate) fn begin(&self, peer: &Peer) -> Result<crate::limit::Share, Refusal> {
        let begun = if self.closing.is_cancelled() {
            Err(Refusal::new(Name::NotServing).retry_after(5_000))
        } else if self.ledger.is_read_only() {
            Err(Refusal::new(Name::ReadOnly).retry_after(60_000))
        } else {
            self.usages
                .push(peer.system(), &self.limits_of(peer.system()))
        };
        begun.inspect_err(count_refusal)
    }

    async fn accept(
        self: &Arc<Self>,
        peer: &Peer,
        body: Body,
        size: u64,
        options: PushOptions,
    ) -> Result<Receipt, Refusal> {
        let (candidate, body) = match body {
            Body::Inline(bytes) if bytes.len() <= ON_THE_SPOT => {
                (Candidate::of(&bytes), Body::Inline(bytes))
            }
            Body::Inline(bytes) => {
                blocking(move || Ok((Candidate::of(&bytes), Body::Inline(bytes)))).await?
            }
            Body::File(file) => {
                blocking(move || Ok((Candidate::of_file(&file)?, Body::File(file)))).await?
            }
        };
        let from = candidate
            .reading
            .package
            .as_ref()
            .map(|p| p.from().id.as_str().to_owned());
        let sha256 = candidate.sha256;
        let accepted = self.accept_candidate(peer, candidate, body, options).await;
        match &accepted {
            Ok(receipt) if receipt.duplicate => counted("duplicate", size),
            Ok(_) => counted("accepted", size),
            Err(refusal) => counted(refusal.name.as_str(), 0),
        }
        if let Err(refusal) = &accepted {
            self.note_refusal(peer, refusal, &from.unwrap_or_default(), Some(sha256), size);
        }
        accepted
    }

    async fn accept_candidate(
        self: &Arc<Self>,
        peer: &Peer,
        candidate: Candidate,
        body: Body,
        options: PushOptions,
    ) -> Result<Receipt, Refusal> {
        // A long upload may have outlived them.
        self.still_valid(peer)?;
        let now = self.now();
        let registry = self.ledger.registry();
        let id = self.ledger.next_package_id();
        let admitted = admission::admit(
            &registry,
            peer.system(),
            &candidate,
            options,
            &self.rules,
            id,
            now,
        );
        self.see_unknown(peer, &registry, &candidate, &admitted);
        let admitted = admitted?;
        self.has_room_for(&admitted.facts)?;
        let own_15 = self.own_15(&admitted.facts, now);
        let withdrawals = self.withdrawals(&candidate, &admitted.facts, now).await?;
        let payload = match body {
            Body::Inline(bytes) => Payload::Inline {
                bytes,
                sha256: candidate.sha256,
            },
            Body::File(file) => {
                // What would be refused or bring nothing new leaves no payload file behind.
                let facts = admitted.facts.clone();
                let preview = self.ask(move |query| Ok(query.preview(facts))).await?;
                if preview.map_err(|conflict| refused_commit(&conflict.into()))? {
                    let (sha256, len) = blocking(move || file.keep()).await?;
                    Payload::File { sha256, len }
                } else {
                    Payload::None
                }
            }
        };
        self.commit_package(admitted, payload, own_15, withdrawals)
            .await
    }

    /// A full backlog takes no more documents; recalls and statuses still pass.
    fn has_room_for(&self, facts: &PackageAccepted) -> Result<(), Refusal> {
        let adds = facts
            .document
            .as_ref()
            .is_some_and(|document| document.business != 1);
        if !adds {
            return Ok(());
        }
        let registry = self.ledger.registry();
        let limit_of =
            |system: &SystemId| self.usages.in_force(&registry, system).max_open_deliveries;
        let open = self.ledger.open_deliveries();
        let all = open.len() as u64;
        let waits_for = |system: &SystemId| -> u64 {
            let agencies = registry.served_by(system);
            agencies
                .filter_map(|agency| open.tallies().of(agency))
                .flatten()
                .map(LaneTally::open)
                .sum()
        };
        let full = facts.receivers.iter().find(|receiver| {
            let systems = registry.systems_of(AgencyId(receiver.agency));
            // No system has more than all have together.
            systems.iter().any(|system| {
                let limit = limit_of(system);
                all >= limit && waits_for(system) >= limit
            })
        });
        let Some(full) = full else { return Ok(()) };
        let code = &full.code;
        Err(Refusal::new(Name::LimitReached)
            .at(
                "edXML/edXMLEnvelope/edXMLHeader/MessageHeader/To",
                format!("Hệ thống của {code} đang có quá nhiều bản gửi chưa nhận."),
                format!("The system of {code} has too many open deliveries."),
            )
            .retry_after(60_000))
    }

    /// Accepts an admitted package and makes its receipt.
    pub(crate) async fn commit_package(
        self: &Arc<Self>,
        admitted: Admitted,
        payload: Payload,
        own_15: Vec<(AgencyId, PackageAccepted)>,
        withdrawals: Vec<ledger::Withdrawal>,
    ) -> Result<Receipt, Refusal> {
        let Admitted { facts, omitted } = admitted;
        let written: Vec<(u32, String)> = facts
            .receivers
            .iter()
            .map(|r| (r.agency, r.code.clone()))
            .collect();
        let told = facts.clone();
        let accept = Accept {
            package: facts,
            payload,
            own_15,
            withdrawals,
        };
        let committed = self.commit(Command::Accept(Box::new(accept))).await?;
        let Committed::Accepted(accepted) = committed else {
            return Err(Refusal::new(Name::Internal));
        };
        if let (Some(status), None, Some(_)) = (&told.status, &told.document, &accepted.anchor) {
            let code = format!("{:02}", status.code.min(99));
            metrics::counter!("axis_statuses_total", "code" => code).increment(1);
        }
        self.receipt(accepted, told, &written, omitted).await
    }

    async fn receipt(
        &self,
        accepted: Accepted,
        pushed: PackageAccepted,
        written: &[(u32, String)],
        omitted: Vec<(String, &'static str)>,
    ) -> Result<Receipt, Refusal> {
        let registry = self.ledger.registry();
        let code = |agency: AgencyId| {
            written
                .iter()
                .find(|(id, _)| *id == agency.0)
                .map_or("", |(_, code)| code.as_str())
        };
        let forwarded = |agency: AgencyId| {
            let mut pushed = pushed.receivers.iter();
            let from = pushed
                .find(|receiver| receiver.agency == agency.0 && receiver.forwarded_from != 0)
                .and_then(|receiver| registry.agency(AgencyId(receiver.forwarded_from)));
            from.map(|agency| agency.code.to_string())
                .unwrap_or_default()
        };
        let receivers = accepted
            .receivers
            .iter()
            .map(|reached| ReceiverReceipt {
                forwarded_from: forwarded(reached.receiver),
                agency: crate::service::party(&registry, reached.receiver, code(reached.receiver)),
                delivery: DeliveryId::of(reached.package, reached.receiver),
                duplicate: reached.duplicate,
                package: reached.package,
            })
            .collect();
        let mut warnings: Vec<Warning> = Vec::new();
        let (facts, anchor) = match accepted.anchor {
            Some(anchor) => (pushed, anchor),
            None => {
                let first = accepted.package;
                let stored = self.ask(move |query| query.package(first)).await?;
                let stored = stored.ok_or_else(|| Refusal::new(Name::Internal))?;
                (stored.facts, stored.anchor)
            }
        };
        warnings.extend(facts.warnings.iter().map(|warning| Warning {
            code: warning.code.clone(),
            path: warning.path.clone(),
            line: warning.line,
            column: warning.column,
            message: warning.message.clone(),
            message_en: warning.message_en.clone(),
        }));
        for agency in &accepted.without {
            let party = crate::service::party(&registry, *agency, code(*agency));
            warnings.push(Warning {
                code: "RECALL_WITHOUT_DELIVERY".to_owned(),
                message: format!(
                    "{} ({}) chưa từng được gửi văn bản này; không gửi thu hồi.",
                    party.code, party.name
                ),
                message_en: format!(
                    "{} ({}) never got this document; no recall was sent to it.",
                    party.code, party.name
                ),
                ..Warning::default()
            });
        }
        if let Some(other) = accepted.same_number {
            warnings.push(Warning {
                code: "NUMBER_REPEATED".to_owned(),
                path: "edXML/edXMLEnvelope/edXMLHeader/MessageHeader/Code".to_owned(),
                message: format!(
                    "Số, ký hiệu này đã có ở văn bản khác cùng năm của cơ quan (gói tin {other})."
                ),
                message_en: format!(
                    "Another document of the agency has this number and notation in the same year (package {other})."
                ),
                ..Warning::default()
            });
        }
        let document_id = facts
            .document
            .as_ref()
            .and_then(|document| document.document_id.clone());
        Ok(Receipt {
            package: accepted.package,
            kind: facts.kind(),
            sha256: crate::delivery::sha256_of(&facts.sha256),
            size: facts.size,
            accepted_at: Ms(facts.accepted_at_ms),
            receivers,
            duplicate: accepted.anchor.is_none(),
            warnings,
            anchor: anchor.to_string(),
            evidence: facts.evidence.clone(),
            document_id,
            omitted,
        })
    }

    /// For a recall: the 15 of each receiver, made beforehand; the sequencer takes those of
    /// receivers that have not fetched.
    pub(crate) fn own_15(
        &self,
        facts: &PackageAccepted,
        now: Ms,
    ) -> Vec<(AgencyId, PackageAccepted)> {
        let registry = self.ledger.registry();
        let make = |about: &About<'_>| {
            facts
                .receivers
                .iter()
                .filter_map(|receiver| {
                    let to = AgencyId(receiver.agency);
                    let id = self.ledger.next_package_id();
                    made::taken_back(&registry, about, to, &receiver.code, id, now)
                        .map(|made| (to, made))
                })
                .collect()
        };
        match (&facts.document, &facts.status) {
            (Some(document), _) if document.business == 1 => {
                let code = number_and_notation(document);
                let key = document.targets.first().unwrap_or(&document.document_key);
                make(&About {
                    sender: AgencyId(facts.sender),
                    sender_code: &facts.sender_code,
                    key,
                    id: key,
                    code: &code,
                    date: &document.promulgation_date,
                })
            }
            (None, Some(status)) if status.code == 13 => make(&About {
                sender: AgencyId(facts.sender),
                sender_code: &facts.sender_code,
                key: &status.document_key,
                id: &status.document_key,
                code: &status.document_code,
                date: &status.promulgation_date,
            }),
            _ => Vec::new(),
        }
    }

    /// Records that a push was refused; not waited for, and summarised beyond a rate.
    pub(crate) fn note_refusal(
        &self,
        peer: &Peer,
        refusal: &Refusal,
        sender_code: &str,
        sha256: Option<[u8; 32]>,
        size: u64,
    ) {
        if refusal.name.row().retry {
            // A limit or a fault of the axis: counted, not the sender's doing.
            return;
        }
        let first = refusal.details.first();
        let sha = sha256.map(|sha256| hex(&sha256)).unwrap_or_default();
        tracing::info!(system = %peer.system(), code = refusal.name.as_str(), path = first.map_or("", |d| &d.path), sha256 = %sha, size, "push refused");
        if refusal.name == Name::SecretMark {
            let place = first.map_or("", |detail| detail.path.as_str());
            let said = Words::new(
                format!("Gói tin bị từ chối, SHA-256 {sha}, dấu hiệu ở {place}."),
                format!("A package was refused, SHA-256 {sha}, the mark at {place}."),
            );
            self.alerts
                .raise(AlertKind::SecretMark, peer.system().as_str(), said);
        }
        let Some(count) = self.usages.refusal(peer.system()) else {
            return;
        };
        let now = self.now();
        let fact = Fact::PackageRefused(Box::new(PackageRefused {
            at_ms: now.0,
            actor: Some(peer.actor()),
            code: refusal.name.as_str().to_owned(),
            sender_code: sender_code.chars().take(64).collect(),
            sha256: sha256
                .map(|sha256| Bytes::copy_from_slice(&sha256))
                .unwrap_or_default(),
            size,
            path: first
                .map(|detail| detail.path.chars().take(200).collect())
                .unwrap_or_default(),
            count,
            day: now.day(),
        }));
        if !self.ledger.note(fact) {
            tracing::debug!("too much waits for the journal; a refusal was not recorded");
        }
    }
}
