//! What operators ask and do: the axis about itself, redelivery, the check of the journal.

use journal::{Anchor, Damage, Report, VerifyError};
use ledger::id::{DeliveryId, PackageId};
use ledger::time::Ms;
use ledger::{By, Change, ChangeDelivery, Command, Committed};

use crate::agencies::not_registered;
use crate::refusal::{Name, Refusal};
use crate::service::{Caller, Exchange, Operator};
use crate::types::{Info, Redeliver, Redelivered, Verified};

/// Deliveries looked at for one page while those of an agency are gathered.
const PAGE: usize = 1_000;

impl Exchange {
    /// The axis about itself.
    #[must_use]
    pub fn info(&self) -> Info {
        let inner = &self.inner;
        let last = inner.ledger.last();
        let space = match inner.ledger.space() {
            journal::Space::Ok => "ok",
            journal::Space::Reserve => "reserve",
        };
        Info {
            started_at: inner.started_at,
            now: inner.now(),
            position: last.map_or(0, |last| last.position),
            anchor: last.map(|last| last.to_string()).unwrap_or_default(),
            index: if inner.index_trusted {
                "trusted"
            } else {
                "rebuilt"
            },
            space,
            read_only: inner.ledger.is_read_only(),
            pauses: self.pauses(),
        }
    }

    /// Opens a new round of settled deliveries.
    ///
    /// # Errors
    /// BAD_ARGUMENT without a reason; NOT_FOUND.
    pub async fn redeliver(
        &self,
        operator: &Operator,
        what: Redeliver,
        why: &str,
    ) -> Result<Redelivered, Refusal> {
        if why.trim().is_empty() {
            return Err(Refusal::argument(
                "why",
                "Gửi lại phải kèm lý do (--why).",
                "A redelivery needs a reason (--why).",
            ));
        }
        let deliveries = match what {
            Redeliver::Package(id) => self.deliveries_of(id).await?,
            Redeliver::Agency { code, since } => self.deliveries_since(&code, since).await?,
        };
        let mut redelivered = Redelivered::default();
        for (delivery, package) in deliveries {
            let command = Command::Change(Box::new(ChangeDelivery {
                delivery,
                change: Change::Redelivered,
                round: None,
                at: self.inner.now(),
                actor: operator.actor(why),
                via: "operator",
                reason: why.to_owned(),
                own_01: None,
            }));
            match self.inner.commit(command).await {
                Ok(Committed::Changed {
                    round,
                    changed: true,
                    ..
                }) => {
                    // A lease of the round before kept its wake-up from going out.
                    if let Some(place) = self.inner.leases.settled(&delivery) {
                        self.inner.offer_again(&[place]);
                    }
                    redelivered.opened.push((delivery, package, round));
                }
                // It waits already.
                Ok(_) => redelivered.skipped.push((delivery, "WAITING_ALREADY")),
                Err(refusal) if matches!(refusal.name, Name::WrongState | Name::Recalled) => {
                    redelivered.skipped.push((delivery, refusal.name.as_str()));
                }
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(redelivered)
    }

    async fn deliveries_of(&self, id: PackageId) -> Result<Vec<(DeliveryId, PackageId)>, Refusal> {
        let caller = Caller::Operator(Operator {
            uid: 0,
            person: String::new(),
            ..Operator::default()
        });
        let trace = self.trace(&caller, &id.to_string()).await?;
        let packages = trace.packages.into_iter();
        Ok(packages
            .flat_map(|p| {
                p.deliveries
                    .into_iter()
                    .map(move |d| (d.delivery, p.package))
            })
            .collect())
    }

    async fn deliveries_since(
        &self,
        code: &str,
        since: Ms,
    ) -> Result<Vec<(DeliveryId, PackageId)>, Refusal> {
        let registry = self.inner.ledger.registry();
        let agency = registry
            .resolve(code)
            .ok_or_else(|| not_registered(code, "agency"))?;
        self.inner
            .ask(move |query| {
                let mut found = Vec::new();
                let mut at = Vec::new();
                loop {
                    let rows = query.newest(&By::Agency(agency), &at, PAGE)?;
                    let last = rows.len() < PAGE;
                    for (package, key) in rows {
                        at = key;
                        let delivery = DeliveryId::of(package, agency);
                        let Some(row) = query.delivery(delivery) else {
                            continue;
                        };
                        if Ms(row.accepted_at) >= since {
                            found.push((delivery, package));
                        } else if i64::try_from(package.ms()).is_ok_and(|ms| ms < since.0) {
                            // An id's time never goes back; a clock may have.
                            found.reverse();
                            return Ok(found);
                        }
                    }
                    if last {
                        found.reverse();
                        return Ok(found);
                    }
                }
            })
            .await
    }

    /// Checks the journal of the running axis: chain, every record, every payload.
    ///
    /// # Errors
    /// BAD_ARGUMENT for a text that is not an anchor.
    pub async fn verify(&self, anchors: &[String]) -> Result<Verified, Refusal> {
        let parsed: Result<Vec<Anchor>, _> = anchors.iter().map(|anchor| anchor.parse()).collect();
        let anchors = parsed.map_err(|_| {
            Refusal::argument(
                "anchors",
                "Có mốc neo (anchor) không đọc được.",
                "One of the anchors cannot be read.",
            )
        })?;
        let root = self.inner.options.data.clone();
        // What is synced now; what comes behind it may be half-written.
        let up_to = self.inner.ledger.last().map(|last| last.position);
        let verified = tokio::task::spawn_blocking(move || {
            let verify = journal::Verify {
                anchors: &anchors,
                up_to,
                progress: None,
            };
            verify.run(std::sync::Arc::new(journal::disk::OsDisk), &root)
        });
        match verified.await {
            Ok(Ok(report)) => Ok(Verified::sound(&report)),
            Ok(Err(VerifyError::Damaged { found, report })) => {
                Ok(Verified::damaged(&found, &report))
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "the journal could not be checked");
                Err(Refusal::new(Name::Internal).at("", error.to_string(), error.to_string()))
            }
            Err(_) => Err(Refusal::new(Name::Internal)),
        }
    }
}

impl Verified {
    fn counted(report: &Report) -> Self {
        Self {
            sound: true,
            records: report.records,
            payloads: report.payloads,
            payload_bytes: report.payload_bytes,
            segments: report.segments,
            anchor: report.last.map(|last| last.to_string()).unwrap_or_default(),
            damage: None,
            torn_tail: report
                .torn_tail
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        }
    }

    /// Of a journal found sound.
    #[must_use]
    pub fn sound(report: &Report) -> Self {
        Self::counted(report)
    }

    /// Of a damaged one: the first damage stands for all.
    #[must_use]
    pub fn damaged(found: &[Damage], report: &Report) -> Self {
        let first = found.first();
        let place = |damage: &Damage| {
            (
                format!("{:08}", damage.segment),
                damage.offset,
                damage.reason.to_string(),
            )
        };
        Self {
            sound: false,
            damage: first.map(place),
            ..Self::counted(report)
        }
    }
}
