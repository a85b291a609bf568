//! One case: every event happens to the model and to the exchange, and they are compared.

use std::collections::BTreeSet;

use exchange::DeliveryState as S;
use exchange::refusal::{Name, Refusal};
use exchange::{FetchFilter, Next, Outcome, PushOptions, Redeliver, Revival, Settle};
use futures_util::FutureExt as _;
use ledger::id::DeliveryId;

use crate::event::{Among, CODES, Event, Fault, Pick, Round};
use crate::hits::{Column, Hits};
use crate::model::{DeliveryNo, Model, Offered, Receipt, SERVED_BY, System};
use crate::world::{PATIENCE, Start, World, Wrong, agency, anybody, name};

/// What comes of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Nothing,
    Receipt(Receipt),
    Offer(Option<Offered>),
    Settled(S, bool),
    Round(u32),
    /// So many deliveries changed.
    Changed(usize),
    Refused(Name),
}

impl From<Result<Receipt, Name>> for Said {
    fn from(result: Result<Receipt, Name>) -> Self {
        result.map_or_else(Self::Refused, Self::Receipt)
    }
}

impl From<Refusal> for Said {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.name)
    }
}

/// The delivery that an event picks.
fn target(model: &Model, event: &Event) -> Option<DeliveryNo> {
    let pick = match event {
        Event::Settle { pick, .. }
        | Event::Extend(pick)
        | Event::Download(pick)
        | Event::Redeliver(pick)
        | Event::Revive { pick, .. } => pick,
        Event::Torn { of, .. } => return target(model, of),
        _ => return None,
    };
    let Pick { among, number } = *pick;
    let fits = |delivery: &DeliveryNo| match among {
        Among::All => true,
        Among::Leased => model.is_leased(*delivery),
        Among::Dead => model.deliveries[delivery].state == S::Dead,
        Among::GivenUp => matches!(model.deliveries[delivery].state, S::Dead | S::Dropped),
    };
    let mut found: Vec<DeliveryNo> = model.deliveries.keys().copied().filter(fits).collect();
    if found.is_empty() {
        found = model.deliveries.keys().copied().collect();
    }
    let count = found.len();
    (count > 0).then(|| found[usize::from(number) % count])
}

/// The agencies of a system.
fn served(system: System) -> Vec<usize> {
    (0..SERVED_BY.len())
        .filter(|agency| SERVED_BY[*agency] == system)
        .collect()
}

/// The agency that a fetch is for.
fn only(system: System, number: Option<usize>) -> Option<usize> {
    let served = served(system);
    number.map(|number| served[number % served.len()])
}

fn settler(delivery: DeliveryNo, foreign: bool) -> System {
    (SERVED_BY[delivery.1] + usize::from(foreign)) % 3
}

fn round_of(model: &Model, delivery: DeliveryNo, round: Round) -> u32 {
    let current = model.deliveries[&delivery].round;
    match round {
        Round::Any => 0,
        Round::Current => current,
        Round::Other if current > 1 => current - 1,
        Round::Other => current + 1,
    }
}

/// What the model says to an event that is no end of the process.
fn foretold(model: &mut Model, event: &Event, target: Option<DeliveryNo>) -> Said {
    if let Some(sending) = event.sending() {
        return model.send(&sending).into();
    }
    if let Some((from, to, id, code, bytes)) = event.report() {
        return model.report(from, to, &id, code, &bytes).into();
    }
    match (event, target) {
        (
            Event::Fetch {
                system,
                only: number,
            },
            _,
        ) => Said::Offer(model.fetch(*system, only(*system, *number))),
        (
            Event::Settle {
                outcome,
                round,
                foreign,
                ..
            },
            Some(delivery),
        ) => {
            let round = round_of(model, delivery, *round);
            let system = settler(delivery, *foreign);
            match model.settle(delivery, system, *outcome, round) {
                Ok((state, changed)) => Said::Settled(state, changed),
                Err(name) => Said::Refused(name),
            }
        }
        (Event::Extend(_), Some(delivery)) => match model.extend(delivery, SERVED_BY[delivery.1]) {
            Ok(()) => Said::Nothing,
            Err(name) => Said::Refused(name),
        },
        (Event::Download(_), Some(delivery)) => {
            match model.download(delivery, SERVED_BY[delivery.1]) {
                Ok(round) => Said::Round(round),
                Err(name) => Said::Refused(name),
            }
        }
        (Event::Redeliver(_), Some((package, _))) => Said::Changed(model.redeliver(package)),
        (Event::Revive { retry, .. }, Some(delivery)) => {
            Said::Changed(usize::from(model.revive(delivery, *retry)))
        }
        (Event::Stream(system), _) => {
            if model.streams[*system] {
                model.detach(*system);
            } else {
                model.streams[*system] = true;
            }
            Said::Nothing
        }
        (Event::Pause(whom), _) => {
            let paused = match whom {
                0..4 => toggle(&mut model.paused_agencies, *whom),
                _ => toggle(&mut model.paused_systems, *whom - 4),
            };
            Said::Changed(usize::from(paused))
        }
        (Event::Pass(seconds), _) => {
            model.pass(seconds * 1_000);
            Said::Nothing
        }
        _ => Said::Nothing,
    }
}

/// Whether it is in the set now.
fn toggle(set: &mut BTreeSet<usize>, number: usize) -> bool {
    set.insert(number) || !set.remove(&number)
}

impl World<'_> {
    /// What the exchange says to an event that is no end of the process. `before`: the model as
    /// it was.
    async fn told(
        &mut self,
        before: &Model,
        event: &Event,
        target: Option<DeliveryNo>,
    ) -> Result<Said, Wrong> {
        if let Some(sending) = event.sending() {
            let peer = self.peers[SERVED_BY[sending.from]].clone();
            let pushed = self
                .exchange()
                .push(&peer, sending.bytes, PushOptions::default());
            return self.receipt(pushed.await);
        }
        if let Some((from, .., bytes)) = event.report() {
            let peer = self.peers[SERVED_BY[from]].clone();
            let pushed = self.exchange().push(&peer, bytes, PushOptions::default());
            return self.receipt(pushed.await);
        }
        let exchange = self.exchange().clone();
        let (operator, _) = anybody();
        Ok(match (event, target) {
            (
                Event::Fetch {
                    system,
                    only: number,
                },
                _,
            ) => {
                let filter = FetchFilter {
                    agency: only(*system, *number).map(|agency| CODES[agency].to_owned()),
                    kind: None,
                };
                match exchange.fetch(&self.peers[*system], &filter).await {
                    Ok(None) => Said::Offer(None),
                    Ok(Some(mut offer)) => {
                        let offered = self.offered(&offer)?;
                        self.has_content(before, offered.delivery.0, &mut offer)
                            .await?;
                        Said::Offer(Some(offered))
                    }
                    Err(refusal) => refusal.into(),
                }
            }
            (
                Event::Settle {
                    outcome,
                    round,
                    foreign,
                    ..
                },
                Some(delivery),
            ) => {
                let settle = Settle {
                    delivery: self.delivery(delivery),
                    round: round_of(before, delivery, *round),
                    outcome: *outcome,
                    reason: "không mở được".to_owned(),
                    sha256: None,
                    via: "settle",
                };
                let peer = &self.peers[settler(delivery, *foreign)];
                match exchange.settle(peer, settle).await {
                    Ok(settled) => Said::Settled(settled.state, settled.changed),
                    Err(refusal) => refusal.into(),
                }
            }
            (Event::Extend(_), Some(delivery)) => {
                let peer = &self.peers[SERVED_BY[delivery.1]];
                match exchange.extend(peer, self.delivery(delivery)) {
                    Ok(_) => Said::Nothing,
                    Err(refusal) => refusal.into(),
                }
            }
            (Event::Download(_), Some(delivery)) => {
                let peer = &self.peers[SERVED_BY[delivery.1]];
                match exchange.download(peer, self.delivery(delivery)).await {
                    Ok(mut offer) => {
                        self.has_content(before, delivery.0, &mut offer).await?;
                        Said::Round(offer.header.round)
                    }
                    Err(refusal) => refusal.into(),
                }
            }
            (Event::Redeliver(_), Some((package, _))) => {
                let what = Redeliver::Package(self.ids[package]);
                match exchange.redeliver(&operator, what, "thử").await {
                    Ok(redelivered) => Said::Changed(redelivered.opened.len()),
                    Err(refusal) => refusal.into(),
                }
            }
            (Event::Revive { retry, .. }, Some(delivery)) => {
                let what = if *retry {
                    Revival::Retry
                } else {
                    Revival::Drop
                };
                let deliveries = [self.delivery(delivery)];
                match exchange.revive(&operator, &deliveries, what, "thử").await {
                    Ok(revived) => Said::Changed(revived.done.len()),
                    Err(refusal) => refusal.into(),
                }
            }
            (Event::Stream(system), _) => {
                if self.streams[*system].take().is_none() {
                    let stream = exchange.subscribe(&self.peers[*system], u32::MAX).await;
                    self.streams[*system] = Some(stream.map_err(|refusal| refusal.to_string())?);
                }
                Said::Nothing
            }
            (Event::Pause(whom), _) => {
                let (paused, whom) = match whom {
                    0..4 => (
                        before.paused_agencies.contains(whom),
                        CODES[*whom].to_owned(),
                    ),
                    _ => (
                        before.paused_systems.contains(&(*whom - 4)),
                        name(*whom - 4),
                    ),
                };
                let done = if paused {
                    exchange.resume(&operator, &whom, "thử").await
                } else {
                    exchange.pause(&operator, &whom, "thử").await
                };
                match done {
                    Ok(_) => Said::Changed(usize::from(!paused)),
                    Err(refusal) => refusal.into(),
                }
            }
            (Event::Pass(seconds), _) => {
                self.clock.pass(seconds * 1_000);
                Said::Nothing
            }
            (Event::Set(seconds), _) => {
                self.clock.advance(seconds * 1_000);
                Said::Nothing
            }
            _ => Said::Nothing,
        })
    }

    fn receipt(&self, pushed: Result<exchange::Receipt, Refusal>) -> Result<Said, Wrong> {
        let receipt = match pushed {
            Ok(receipt) => receipt,
            Err(refusal) => return Ok(refusal.into()),
        };
        let without = receipt.warnings.iter();
        let without = without.filter(|warning| warning.code == "RECALL_WITHOUT_DELIVERY");
        let mut reached = Vec::new();
        for receiver in &receipt.receivers {
            let to = agency(&receiver.agency.main_code)?;
            let id = ledger::id::AgencyId(u32::try_from(to).unwrap() + 1);
            if receiver.delivery != DeliveryId::of(receiver.package, id) {
                return Err(format!("a delivery with another id: {receiver:?}"));
            }
            reached.push((to, self.number(receiver.package), receiver.duplicate));
        }
        Ok(Said::Receipt(Receipt {
            package: self.number(receipt.package),
            duplicate: receipt.duplicate,
            without: without.count(),
            reached,
        }))
    }

    fn offered(&self, offer: &exchange::Offer) -> Result<Offered, Wrong> {
        let header = &offer.header;
        let to = agency(&header.receiver.main_code)?;
        Ok(Offered {
            delivery: (self.number(header.package), to),
            round: header.round,
            redelivered: header.redelivered,
        })
    }

    /// What the streams bring is what the model has on offer, each once, a lane in its order.
    async fn drain(&mut self, model: &mut Model, hits: &mut Hits) -> Result<(), Wrong> {
        for system in 0..3 {
            if !model.streams[system] {
                continue;
            }
            hits.streams(model, system);
            let on_offer = model.on_offer(system, None);
            let mut expected: Vec<Offered> = Vec::new();
            for delivery in on_offer {
                expected.push(model.offer(delivery, None));
            }
            let mut brought = Vec::new();
            let mut stream = self.streams[system]
                .take()
                .ok_or("a stream without its end")?;
            while brought.len() < expected.len() {
                let next = tokio::time::timeout(PATIENCE, stream.next()).await;
                match next {
                    Ok(Next::Offer(mut offer)) => {
                        let offered = self.offered(&offer)?;
                        if !expected.contains(&offered) || brought.contains(&offered) {
                            return Err(format!(
                                "the stream of {system} brings {offered:?}; on offer are {expected:?}, brought {brought:?}"
                            ));
                        }
                        self.has_content(model, offered.delivery.0, &mut offer)
                            .await?;
                        brought.push(offered);
                    }
                    Ok(Next::CaughtUp) => {}
                    Ok(Next::Cut(refusal)) => return Err(format!("a stream is cut: {refusal}")),
                    Err(_) => {
                        return Err(format!(
                            "the stream of {system} brings {brought:?} and no more, not {expected:?}"
                        ));
                    }
                }
            }
            tokio::task::yield_now().await;
            if let Some(Next::Offer(offer)) = stream.next().now_or_never() {
                let offered = self.offered(&offer)?;
                return Err(format!("the stream of {system} brings {offered:?} as well"));
            }
            self.streams[system] = Some(stream);
            for lane in 0..4 {
                let of_lane = |all: &[Offered]| {
                    let first = all
                        .iter()
                        .filter(|o| !o.redelivered && model.lane_of(o.delivery) == lane);
                    first
                        .map(|offered| model.came(offered.delivery))
                        .collect::<Vec<_>>()
                };
                let (brought, expected) = (of_lane(&brought), of_lane(&expected));
                if brought != expected {
                    return Err(format!(
                        "lane {lane} of {system} comes as {brought:?}, not {expected:?}"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Lets one thing happen to both.
async fn happen(
    world: &mut World<'_>,
    model: &mut Model,
    event: &Event,
    hits: &mut Hits,
) -> Result<(), Wrong> {
    let target = target(model, event);
    hits.meet(model, event, target);
    match event {
        Event::Restart => {
            model.end();
            world.restart().await?;
            world.agrees(model).await
        }
        Event::Kill => {
            model.end();
            world.kill().await?;
            world.agrees(model).await
        }
        Event::Cut(survive) => {
            model.end();
            world.cut(*survive).await?;
            world.agrees(model).await
        }
        Event::Torn { fault, survive, of } => {
            let mut after = model.clone();
            let foretold = foretold(&mut after, of, target);
            match fault {
                Fault::Sync(after) => world.disk.fail_sync(*after, std::io::ErrorKind::Other),
                Fault::Write(after) => world.disk.fail_write(*after, std::io::ErrorKind::Other),
            }
            let told = world.told(model, of, target).await?;
            let unknown = matches!(
                told,
                Said::Refused(Name::OutcomeUnknown | Name::ReadOnly | Name::NotServing)
            );
            if !unknown && told != foretold {
                return Err(format!("torn: it says {told:?}, not {foretold:?}"));
            }
            world.cut(*survive).await?;
            model.end();
            after.end();
            // A lease given back is answered at once; that it was the last is recorded later.
            let is_later = matches!(
                &**of,
                Event::Settle {
                    outcome: Outcome::Released,
                    ..
                }
            );
            if let Err(difference) = world.agrees(&after).await {
                if !unknown && !is_later {
                    return Err(format!("{told:?} was a lie: {difference}"));
                }
                world.agrees(model).await?;
            } else {
                *model = after;
            }
            // Unknown: send again.
            plain(world, model, of, hits).await
        }
        Event::Stumble(system) => {
            let stream = Event::Stream(*system);
            if !model.streams[*system] {
                plain(world, model, &stream, hits).await?;
            }
            plain(world, model, &stream, hits).await
        }
        _ => plain(world, model, event, hits).await,
    }
}

async fn plain(
    world: &mut World<'_>,
    model: &mut Model,
    event: &Event,
    hits: &mut Hits,
) -> Result<(), Wrong> {
    let target = target(model, event);
    let before = model.clone();
    let foretold = foretold(model, event, target);
    if let (Event::Fetch { .. }, Said::Offer(Some(offered))) = (event, &foretold) {
        hits.hit(&before, Some(offered.delivery), Column::Fetch);
    }
    if let Event::Pass(_) = event {
        for delivery in before
            .leased()
            .filter(|delivery| !model.is_leased(*delivery))
        {
            hits.hit(&before, Some(delivery), Column::LeaseEnds);
        }
    }
    let told = world.told(&before, event, target).await?;
    if told != foretold {
        return Err(format!("it says {told:?}, not {foretold:?}"));
    }
    // Packages of this step get their numbers; what ends in its own time is waited for.
    let ends_later = matches!(
        event,
        Event::Stream(_)
            | Event::Pass(_)
            | Event::Settle {
                outcome: Outcome::Released,
                ..
            }
    );
    if model.streams.iter().any(|attached| *attached) {
        // What is brought may be new.
        world.packages().await?;
        world.drain(model, hits).await?;
        return world.becomes(model).await;
    }
    if ends_later {
        world.becomes(model).await
    } else {
        world.agrees(model).await
    }
}

/// What a system fetches next.
async fn fetched(
    world: &mut World<'_>,
    model: &mut Model,
    system: System,
) -> Result<Option<Offered>, Wrong> {
    let fetch = Event::Fetch { system, only: None };
    let before = model.clone();
    let foretold = foretold(model, &fetch, None);
    let told = world.told(&before, &fetch, None).await?;
    if told != foretold {
        return Err(format!("in the end it says {told:?}, not {foretold:?}"));
    }
    match told {
        Said::Offer(offered) => Ok(offered),
        _ => Ok(None),
    }
}

/// It is acknowledged.
async fn acknowledged(
    world: &mut World<'_>,
    model: &mut Model,
    system: System,
    offered: &Offered,
) -> Result<(), Wrong> {
    let (delivery, outcome) = (offered.delivery, Outcome::Acknowledged);
    let packages = model.packages.len();
    let settle = Settle {
        delivery: world.delivery(delivery),
        round: offered.round,
        outcome,
        reason: String::new(),
        sha256: None,
        via: "settle",
    };
    let foretold = model.settle(delivery, system, outcome, offered.round);
    let told = world.exchange().settle(&world.peers[system], settle).await;
    let told = told.map(|done| (done.state, done.changed));
    let told = told.map_err(|refusal| refusal.name);
    if told != foretold {
        return Err(format!("in the end it says {told:?}, not {foretold:?}"));
    }
    // The axis's own 01 gets its number.
    if model.packages.len() > packages {
        world.agrees(model).await?;
    }
    Ok(())
}

/// Everything goes out in the end, and nothing comes again.
async fn end(world: &mut World<'_>, model: &mut Model, hits: &mut Hits) -> Result<(), Wrong> {
    let mut quiet = Hits::default();
    for system in 0..3 {
        if model.streams[system] {
            plain(world, model, &Event::Stream(system), &mut quiet).await?;
        }
    }
    for whom in model.paused_agencies.clone() {
        plain(world, model, &Event::Pause(whom), &mut quiet).await?;
    }
    for whom in model.paused_systems.clone() {
        plain(world, model, &Event::Pause(whom + 4), &mut quiet).await?;
    }
    plain(world, model, &Event::Pass(301), &mut quiet).await?;
    // What is acknowledged may bring its sender an 01: until a round brings nothing.
    loop {
        let mut brought = 0;
        for system in 0..3 {
            while let Some(offered) = fetched(world, model, system).await? {
                acknowledged(world, model, system, &offered).await?;
                brought += 1;
            }
        }
        if brought == 0 {
            break;
        }
    }
    world.agrees(model).await?;
    for system in 0..3 {
        if let Some(left) = model.on_offer(system, None).first() {
            return Err(format!("{left:?} is left"));
        }
    }
    hits.cases += 1;
    Ok(())
}

/// One case, from the start of a province to the last delivery.
pub(crate) async fn case(
    start: &Start,
    unsettled: u32,
    events: &[Event],
    hits: &mut Hits,
) -> Result<(), Wrong> {
    let mut world = World::new(start, unsettled).await?;
    let run = async {
        let mut model = Model::new(unsettled);
        for (number, event) in events.iter().enumerate() {
            let happened = happen(&mut world, &mut model, event, hits).await;
            happened.map_err(|wrong| format!("step {number}, {event:?}: {wrong}"))?;
        }
        end(&mut world, &mut model, hits).await
    };
    let ran = std::panic::AssertUnwindSafe(run).catch_unwind().await;
    world.close().await;
    ran.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.unwrap_or_else(|| "a panic".to_owned()))
    })
}
