//! The rules of delivery over a real broker: one story, told over both buses, comes out the same.

use std::sync::Arc;
use std::time::Duration;

use bus::Bus;
use edxml::Priority;
use exchange::{DeliveryState, Next, Outcome, Redeliver, Settle, Subscription};
use ledger::time::Ms;
use testkit::{Broker, Vhost};

use crate::ground::{B, Ground, draft, operator, recall};
use crate::house::{NEVER, opened};

/// How long nothing may come until nothing comes.
const QUIET: Duration = Duration::from_millis(300);

fn level(id: &str, level: u8) -> Vec<u8> {
    let mut draft = draft(id, &[B]);
    draft.document.other_info.priority = Priority::new(level).unwrap();
    edxml::write::document(&draft)
}

/// One way through the rules, and what was seen on it.
struct Story {
    ground: Ground,
    told: Vec<String>,
}

impl Story {
    /// What comes next, written down.
    async fn take(&mut self, stream: &mut Subscription) -> exchange::Header {
        loop {
            let next = tokio::time::timeout(NEVER, stream.next()).await;
            match next.expect("the stream stalls") {
                Next::Offer(offer) => {
                    let header = offer.header;
                    let exchange::Facts::Document(facts) = &header.facts else {
                        panic!("a status: {header:?}")
                    };
                    self.told.push(format!(
                        "{} level {} lane {:?} round {} again {}",
                        facts.document_id.as_deref().unwrap_or_default(),
                        header.level,
                        header.lane,
                        header.round,
                        header.redelivered
                    ));
                    return header;
                }
                Next::CaughtUp => {}
                Next::Cut(refusal) => panic!("cut: {refusal}"),
            }
        }
    }

    async fn nothing(&mut self, stream: &mut Subscription) {
        let until = tokio::time::Instant::now() + QUIET;
        while let Ok(next) = tokio::time::timeout_at(until, stream.next()).await {
            assert!(matches!(next, Next::CaughtUp), "something came");
        }
        self.told.push("nothing".to_owned());
    }

    async fn settle(&mut self, header: &exchange::Header, round: u32, outcome: Outcome) {
        let settle = Settle {
            delivery: header.delivery,
            round,
            outcome,
            reason: "thử".to_owned(),
            via: "settle",
            sha256: None,
        };
        let settled = self.ground.exchange.settle(&self.ground.b, settle).await;
        let settled = settled.unwrap();
        self.told
            .push(format!("{:?} changed {}", settled.state, settled.changed));
    }

    async fn push(&self, package: Vec<u8>) {
        self.ground.push(&self.ground.a, package).await.unwrap();
    }

    async fn subscribe(&self, credit: u32) -> Subscription {
        self.ground
            .exchange
            .subscribe(&self.ground.b, credit)
            .await
            .unwrap()
    }
}

async fn told(over: Option<Arc<dyn Bus>>) -> Vec<String> {
    let ground = Ground::with(move |options| {
        if let Some(bus) = &over {
            options.bus = Some(Arc::clone(bus));
        }
    });
    let mut story = Story {
        ground: ground.await,
        told: Vec::new(),
    };
    // What waits comes in its order (one lane: there is none across lanes over a broker); credit
    // bounds it; what is in hand comes no more until it is let go of, and then marked.
    for (id, of) in [("d0", 0), ("d1", 0), ("d2", 0), ("d3", 0)] {
        story.push(level(id, of)).await;
    }
    let mut stream = story.subscribe(2).await;
    let first = story.take(&mut stream).await;
    let _second = story.take(&mut stream).await;
    story.nothing(&mut stream).await;
    story.settle(&first, 0, Outcome::Acknowledged).await;
    story.settle(&first, 0, Outcome::Acknowledged).await;
    drop(stream);
    let mut stream = story.subscribe(20).await;
    for _ in 0..3 {
        let header = story.take(&mut stream).await;
        story.settle(&header, 0, Outcome::Acknowledged).await;
    }
    // Nothing comes while the receiver is paused, and what was recalled meanwhile never does.
    let exchange = story.ground.exchange.clone();
    exchange.pause(&operator(), B, "bảo trì").await.unwrap();
    story.push(level("d4", 0)).await;
    story.push(level("d5", 0)).await;
    story.nothing(&mut stream).await;
    story.push(recall("d4", &[B])).await;
    exchange.resume(&operator(), B, "xong").await.unwrap();
    let header = story.take(&mut stream).await;
    story.settle(&header, 0, Outcome::Acknowledged).await;
    story.nothing(&mut stream).await;
    // A new round of the same: a settle of the round before is nothing.
    let since = Redeliver::Agency {
        code: B.to_owned(),
        since: Ms(0),
    };
    let opened = exchange.redeliver(&operator(), since, "khôi phục").await;
    let count = opened.unwrap().opened.len();
    story.told.push(format!("{count} redelivered"));
    for _ in 0..count {
        let header = story.take(&mut stream).await;
        story.settle(&header, 1, Outcome::Acknowledged).await;
        story.settle(&header, 2, Outcome::Acknowledged).await;
    }
    // One that cannot be read, and the sender sees it.
    story.push(level("d6", 1)).await;
    let header = story.take(&mut stream).await;
    story.settle(&header, 0, Outcome::Failed).await;
    story.nothing(&mut stream).await;
    drop(stream);
    exchange.close().await;
    story.told
}

pub(crate) async fn both_buses_behave_alike(_: &Broker, vhost: &Vhost) {
    let amqp: Arc<dyn Bus> = opened(vhost).await;
    // A ground stays on its thread.
    let here = async |over| {
        let tell = move || tokio::runtime::Handle::current().block_on(told(over));
        tokio::task::spawn_blocking(tell).await.unwrap()
    };
    let over = here(Some(amqp)).await;
    let plain = here(None).await;
    assert_eq!(over, plain);
    // And it is what the rules say.
    assert!(over[0].starts_with("d0 level 0 lane Routine"), "{over:#?}");
    assert!(
        over.iter()
            .any(|line| line.starts_with("d1") && line.ends_with("again true"))
    );
    assert!(!over.iter().any(|line| line.starts_with("d4")), "{over:#?}");
    assert!(over.contains(&format!("{:?} changed false", DeliveryState::Fetched)));
}
