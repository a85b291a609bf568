//! The contract of `bus::Bus` over a real broker: the same cases as for the bus in memory.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use bus::Bus;
use testkit::Broker;

use crate::house::{opened, runtime};

type Case = (
    &'static str,
    fn(Arc<dyn Bus>) -> Pin<Box<dyn Future<Output = ()> + Send>>,
);

macro_rules! cases {
    ($($promise:ident,)*) => {
        &[$((stringify!($promise), |bus| Box::pin(crate::suite::$promise(bus)))),*]
    };
}

const CASES: &[Case] = promises!(cases);

#[test]
fn every_promise_of_a_bus_holds_over_rabbitmq() {
    let broker = Broker::start().unwrap();
    let vhost = broker.vhost("contract").unwrap();
    let runtime = runtime();
    let mut broken = Vec::new();
    for (name, case) in CASES {
        let began = Instant::now();
        let vhost = vhost.clone();
        let held = runtime.block_on(async {
            tokio::spawn(async move {
                let bus: Arc<dyn Bus> = opened(&vhost).await;
                case(Arc::clone(&bus)).await;
                bus.close().await;
            })
            .await
        });
        eprintln!("{name}: {:?}", began.elapsed());
        if held.is_err() {
            broken.push(*name);
        }
    }
    let began = Instant::now();
    crate::suite::one_consumer_sees_what_a_plain_queue_would_give(|| async {
        let bus: Arc<dyn Bus> = opened(&vhost).await;
        bus
    });
    eprintln!("one consumer and a plain queue: {:?}", began.elapsed());
    assert!(broken.is_empty(), "broken promises: {broken:#?}");
}
