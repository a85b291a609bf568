//! What the cases share.

use std::sync::Arc;
use std::time::Duration;

use bus::Amqp;
use bus::amqp::{AmqpConfig, Link};
use testkit::Vhost;

/// How long anything may take before it counts as never.
pub(crate) const NEVER: Duration = Duration::from_secs(120);

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

pub(crate) fn config(vhost: &Vhost) -> AmqpConfig {
    let mut config = AmqpConfig::new(&vhost.url).unwrap();
    config.password = Some(vhost.password.clone());
    config
}

/// A bus that is up.
pub(crate) async fn opened(vhost: &Vhost) -> Arc<Amqp> {
    let amqp = Amqp::open(config(vhost)).unwrap();
    until(&amqp, "the bus is up", Link::is_up).await;
    amqp
}

/// Waits until the link is so; returns it.
pub(crate) async fn until(amqp: &Amqp, what: &str, holds: impl Fn(&Link) -> bool) -> Link {
    let mut watch = amqp.link();
    let came = tokio::time::timeout(NEVER, watch.wait_for(|link| holds(link))).await;
    match came {
        Ok(link) => link.unwrap().clone(),
        Err(_) => panic!("waited in vain until {what}: {:?}", amqp.link().borrow()),
    }
}
