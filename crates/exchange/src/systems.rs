//! The registry's systems, with their keys and certificate pins.

use std::time::Duration;

use bytes::Bytes;
use ledger::Fact;
use ledger::event::{
    Attachment, SystemKeyAdded, SystemKeyEnds, SystemKeyRevoked, SystemPinAdded, SystemPinEnds,
    SystemPinRevoked, SystemRecorded,
};
use ledger::id::{AgencyId, SystemId};
use ledger::registry::{Agency, Registry, System};
use ledger::time::Ms;

use crate::history::actor;
use crate::refusal::{Name, Refusal};
use crate::service::{Exchange, Inner, Operator};
use crate::types::{KeyRecord, NewSystem, OwnLimits, PinRecord, Revoke, Revoked, SystemRecord};

impl Exchange {
    /// All systems, by id.
    #[must_use]
    pub fn systems(&self) -> Vec<SystemRecord> {
        let registry = self.inner.ledger.registry();
        registry
            .systems()
            .filter_map(|system| self.inner.system_record(&registry, system))
            .collect()
    }

    /// Adds a system; its key, if it gets one, is told here and never again.
    ///
    /// # Errors
    /// BAD_ARGUMENT, UNKNOWN_RECEIVER for an agency that is not registered, ALREADY_EXISTS if
    /// the system is there or an agency is served by another one.
    pub async fn add_system(
        &self,
        operator: &Operator,
        system: NewSystem,
    ) -> Result<(SystemRecord, Option<String>), Refusal> {
        let id: SystemId = system.id.parse().map_err(|error: ledger::id::NotAnId| {
            Refusal::argument(
                "id",
                "Mã hệ thống gồm 1 đến 64 chữ cái không dấu, chữ số, '.', '_' hoặc '-'.",
                error.to_string(),
            )
        })?;
        let attachment = self.inner.attachment(&system)?;
        self.inner.usages.check(&system.limits)?;
        if system.agencies.is_empty() {
            return Err(Refusal::argument(
                "agency",
                "Hệ thống phải phục vụ ít nhất một cơ quan (--agency MÃ).",
                "A system serves at least one agency (--agency CODE).",
            ));
        }
        let now = self.inner.now();
        let made_key = if system.with_key {
            Some(
                self.inner
                    .sealer
                    .new_key(id.as_str())
                    .ok_or_else(|| Refusal::new(Name::Internal))?,
            )
        } else {
            None
        };
        let by = operator.actor("");
        self.inner
            .change_registry(|registry| {
                if registry.system(id.as_str()).is_some() {
                    return Err(Refusal::new(Name::AlreadyExists).at(
                        "id",
                        format!("Hệ thống {id} đã có; thêm khóa bằng `axis system key {id}`."),
                        format!("The system {id} exists; give it another key with `axis system key {id}`."),
                    ));
                }
                let agencies = served(registry, &id, &system.agencies)?;
                let recorded = SystemRecorded {
                    system: id.to_string(),
                    agencies: agencies.iter().map(|agency| agency.0).collect(),
                    attachment: attachment.into(),
                    at_ms: now.0,
                    actor: Some(by.clone()),
                    axis_acknowledges: system.axis_acknowledges,
                    name: system.name.clone(),
                    inline_bytes: system.inline_bytes,
                    ..SystemRecorded::default()
                };
                let recorded = system.limits.recorded(recorded);
                let mut facts = vec![Fact::SystemRecorded(Box::new(recorded))];
                if let Some((_, sealed)) = &made_key {
                    facts.push(key_added(&id, 1, sealed, &by, now));
                }
                Ok((facts, ()))
            })
            .await?;
        let registry = self.inner.ledger.registry();
        let record = registry
            .system(id.as_str())
            .and_then(|system| self.inner.system_record(&registry, system));
        let record = record.ok_or_else(|| Refusal::new(Name::Internal))?;
        Ok((record, made_key.map(|(text, _)| text.to_string())))
    }

    /// What an `amqp` system is to be allowed on the broker; `None` for any other.
    #[must_use]
    pub fn broker_access(&self, system: &SystemRecord) -> Option<bus::amqp::Access> {
        (system.attachment == "amqp").then(|| {
            let vhost = &self.inner.options.vhost;
            bus::amqp::Access::of(system.id.as_str(), vhost)
        })
    }

    /// Gives a system another key: its number and its text, told here and never again. With an
    /// overlap the keys before end after it.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub async fn add_key(
        &self,
        operator: &Operator,
        system: &str,
        overlap: Option<Duration>,
    ) -> Result<(u32, String), Refusal> {
        let now = self.inner.now();
        let (text, sealed) = self
            .inner
            .sealer
            .new_key(system)
            .ok_or_else(|| Refusal::new(Name::Internal))?;
        let by = operator.actor("");
        let number = self
            .inner
            .change_registry(|registry| {
                let id = known_system(registry, system)?;
                let keys = registry
                    .system(system)
                    .map(|s| s.keys.as_slice())
                    .unwrap_or_default();
                let number = keys.iter().map(|key| key.key_id).max().unwrap_or(0) + 1;
                // Numbers of revoked keys are not given again while the system has others; a
                // number alone opens nothing.
                let mut facts = vec![key_added(&id, number, &sealed, &by, now)];
                if let Some(end) = overlap.map(|overlap| after(now, overlap)) {
                    let ending = keys
                        .iter()
                        .filter(|key| key.not_after_ms.is_none_or(|is| is > end.0));
                    facts.extend(ending.map(|key| {
                        Fact::SystemKeyEnds(Box::new(SystemKeyEnds {
                            system: id.to_string(),
                            key_id: key.key_id,
                            not_after_ms: end.0,
                            at_ms: now.0,
                            actor: Some(by.clone()),
                        }))
                    }));
                }
                Ok((facts, number))
            })
            .await?;
        Ok((number, text.to_string()))
    }

    /// Pins a client certificate's public key to a system; overlap as with keys.
    ///
    /// # Errors
    /// NOT_FOUND; ALREADY_EXISTS if it is pinned to a system already.
    pub async fn pin(
        &self,
        operator: &Operator,
        system: &str,
        spki_sha256: [u8; 32],
        subject: &str,
        overlap: Option<Duration>,
    ) -> Result<(), Refusal> {
        let now = self.inner.now();
        let by = operator.actor("");
        self.inner
            .change_registry(|registry| {
                let id = known_system(registry, system)?;
                if let Some(other) = registry.pinned(&spki_sha256) {
                    let other = &other.facts.system;
                    return Err(Refusal::new(Name::AlreadyExists).at(
                        "certificate",
                        format!("Chứng thư này đã gắn với hệ thống {other}."),
                        format!("This certificate is pinned to the system {other} already."),
                    ));
                }
                let fact = SystemPinAdded {
                    system: id.to_string(),
                    spki_sha256: Bytes::copy_from_slice(&spki_sha256),
                    at_ms: now.0,
                    actor: Some(by.clone()),
                    subject: subject.to_owned(),
                    not_after_ms: None,
                };
                let mut facts = vec![Fact::SystemPinAdded(Box::new(fact))];
                if let Some(end) = overlap.map(|overlap| after(now, overlap)) {
                    let pins = registry.system(system).map_or(&[][..], |s| &s.pins);
                    let ending = pins
                        .iter()
                        .filter(|pin| pin.not_after_ms.is_none_or(|is| is > end.0));
                    facts.extend(ending.map(|pin| {
                        Fact::SystemPinEnds(Box::new(SystemPinEnds {
                            system: id.to_string(),
                            spki_sha256: pin.spki_sha256.clone(),
                            not_after_ms: end.0,
                            at_ms: now.0,
                            actor: Some(by.clone()),
                        }))
                    }));
                }
                Ok((facts, ()))
            })
            .await
    }

    /// Takes keys and pins back: the next call with them is refused, streams opened with them
    /// are cut.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub async fn revoke(
        &self,
        operator: &Operator,
        system: &str,
        what: Revoke,
    ) -> Result<Revoked, Refusal> {
        let now = self.inner.now();
        let by = operator.actor("");
        self.inner
            .change_registry(|registry| {
                let id = known_system(registry, system)?;
                let none = System {
                    facts: SystemRecorded::default(),
                    keys: Vec::new(),
                    pins: Vec::new(),
                };
                let has = registry.system(system).unwrap_or(&none);
                let keys = has.keys.iter().filter(|key| match what {
                    Revoke::All => true,
                    Revoke::Key(number) => key.key_id == number,
                    Revoke::Pin(_) => false,
                });
                let pins = has.pins.iter().filter(|pin| match what {
                    Revoke::All => true,
                    Revoke::Key(_) => false,
                    Revoke::Pin(hash) => pin.spki_sha256 == hash[..],
                });
                let mut revoked = Revoked::default();
                let mut facts = Vec::new();
                for key in keys {
                    revoked.keys += 1;
                    facts.push(Fact::SystemKeyRevoked(Box::new(SystemKeyRevoked {
                        system: id.to_string(),
                        key_id: key.key_id,
                        at_ms: now.0,
                        actor: Some(by.clone()),
                    })));
                }
                for pin in pins {
                    revoked.pins += 1;
                    facts.push(Fact::SystemPinRevoked(Box::new(SystemPinRevoked {
                        system: id.to_string(),
                        spki_sha256: pin.spki_sha256.clone(),
                        at_ms: now.0,
                        actor: Some(by.clone()),
                    })));
                }
                if facts.is_empty() && what != Revoke::All {
                    return Err(Refusal::new(Name::NotFound).at(
                        "key",
                        format!("Hệ thống {id} không có khóa hay chứng thư này."),
                        format!("The system {id} has no such key or certificate."),
                    ));
                }
                revoked.streams_cut = self.inner.relay.streams(&id);
                Ok((facts, revoked))
            })
            .await
    }
}

impl Inner {
    /// How a new system takes its deliveries.
    fn attachment(&self, system: &NewSystem) -> Result<Attachment, Refusal> {
        let refused = |argument, vi: String, en: String| Err(Refusal::argument(argument, vi, en));
        let attachment = match system.attachment.as_str() {
            "" | "direct" => Attachment::Direct,
            "amqp" if self.relay.has_broker() => Attachment::Amqp,
            "amqp" => {
                return refused(
                    "attachment",
                    "Trục đang dùng hàng đợi trong bộ nhớ; hệ thống kiểu amqp cần RabbitMQ (bus.url = \"amqp://…\" trong cấu hình).".to_owned(),
                    "This axis keeps its queues in memory; an amqp system needs RabbitMQ (bus.url = \"amqp://…\" in the configuration).".to_owned(),
                );
            }
            other => {
                return refused(
                    "attachment",
                    format!("Không có kiểu kết nối {other:?}; dùng \"direct\" hoặc \"amqp\"."),
                    format!("There is no attachment {other:?}; use \"direct\" or \"amqp\"."),
                );
            }
        };
        let inline = system.inline_bytes;
        if inline > 0 && attachment != Attachment::Amqp {
            return refused(
                "inline_bytes",
                "Chỉ hệ thống kiểu amqp mới nhận gói tin ngay trong thông điệp.".to_owned(),
                "Only an amqp system gets packages inside its messages.".to_owned(),
            );
        }
        let most = bus::amqp::MAX_INLINE as u64;
        if inline > most {
            return refused(
                "inline_bytes",
                format!("Gói tin trong thông điệp không được quá {most} byte."),
                format!("A package inside a message may have at most {most} bytes."),
            );
        }
        Ok(attachment)
    }
}

fn key_added(
    id: &SystemId,
    number: u32,
    sealed: &[u8],
    by: &ledger::event::Actor,
    now: Ms,
) -> Fact {
    Fact::SystemKeyAdded(Box::new(SystemKeyAdded {
        system: id.to_string(),
        key_id: number,
        sealed: Bytes::copy_from_slice(sealed),
        at_ms: now.0,
        actor: Some(by.clone()),
        not_after_ms: None,
    }))
}

pub(crate) fn known_system(registry: &Registry, system: &str) -> Result<SystemId, Refusal> {
    let known = registry
        .system(system)
        .and_then(|system| system.facts.system.parse().ok());
    known.ok_or_else(|| {
        Refusal::new(Name::NotFound).at(
            "id",
            format!("Không có hệ thống {system:?}."),
            format!("There is no system {system:?}."),
        )
    })
}

/// The agencies a new system is to serve. One that another system serves is refused, unless
/// that one has neither key nor pin left: then it is taken over.
fn served(registry: &Registry, id: &SystemId, wanted: &[String]) -> Result<Vec<AgencyId>, Refusal> {
    let mut agencies = Vec::new();
    for code in wanted {
        let agency = registry.resolve(code).ok_or_else(|| {
            Refusal::new(Name::UnknownReceiver).at(
                "agency",
                format!("Mã cơ quan {code:?} không có trong danh mục; nhập danh mục trước (axis registry import)."),
                format!("The code {code:?} is not registered; import the registry first (axis registry import)."),
            )
        })?;
        if agencies.contains(&agency) {
            continue;
        }
        for other in registry.systems_of(agency) {
            let Some(system) = registry.system(other.as_str()) else {
                continue;
            };
            let at = registry.at();
            if system.keys_at(at).next().is_some() || system.pins_at(at).next().is_some() {
                return Err(Refusal::new(Name::AlreadyExists).at(
                    "agency",
                    format!("Cơ quan {code} đang do hệ thống {other} phục vụ; thu hồi hệ thống đó trước (axis system revoke {other})."),
                    format!("The agency {code} is served by the system {other}; revoke that first (axis system revoke {other}), then {id} can take it over."),
                ));
            }
        }
        agencies.push(agency);
    }
    Ok(agencies)
}

/// The moment so much later.
fn after(now: Ms, overlap: Duration) -> Ms {
    let overlap = i64::try_from(overlap.as_millis()).unwrap_or(i64::MAX);
    Ms(now.0.saturating_add(overlap))
}

impl Inner {
    /// What is told of a system.
    pub(crate) fn system_record(
        &self,
        registry: &Registry,
        system: &System,
    ) -> Option<SystemRecord> {
        let facts = &system.facts;
        let id: SystemId = facts.system.parse().ok()?;
        let code = |id| {
            registry
                .agency(id)
                .map(|agency: &Agency| agency.code.to_string())
        };
        let at = registry.at();
        let limits = OwnLimits::of(facts);
        let reason = facts.actor.as_ref().filter(|_| facts.suspended);
        Some(SystemRecord {
            name: facts.name.clone(),
            agencies: registry.served_by(&id).filter_map(code).collect(),
            attachment: if facts.attachment() == Attachment::Amqp {
                "amqp"
            } else {
                "direct"
            },
            inline_bytes: facts.inline_bytes,
            in_force: self.usages.limits().with(&limits),
            limits,
            suspended: facts.suspended,
            reason: reason.map(|actor| actor.why.clone()).unwrap_or_default(),
            keys: system
                .keys_at(at)
                .map(|key| KeyRecord {
                    id: key.key_id,
                    added_at: Ms(key.at_ms),
                    added_by: actor(key.actor.as_ref()),
                    not_after: key.not_after_ms.map(Ms),
                })
                .collect(),
            pins: system
                .pins_at(at)
                .map(|pin| PinRecord {
                    spki_sha256: crate::delivery::sha256_of(&pin.spki_sha256),
                    subject: pin.subject.clone(),
                    added_at: Ms(pin.at_ms),
                    added_by: actor(pin.actor.as_ref()),
                    not_after: pin.not_after_ms.map(Ms),
                })
                .collect(),
            id,
            changed_at: Ms(facts.at_ms),
            changed_by: actor(facts.actor.as_ref()),
        })
    }
}
