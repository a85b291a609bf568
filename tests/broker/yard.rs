//! What the tests of the whole exchange over a broker stand on: a broker, an axis on it, one who
//! sends, one who streams, one on the queues.

use std::time::{Duration, Instant};

use api::client::{Client, Credentials, Options};
use api::v1;
use bus::amqp::{Access, user_of};
use bytes::Bytes;
use serde_json::Value;
use testkit::{Axis, Broker, Document, Gate, Partner, System, Vhost};

use crate::house::NEVER;
use crate::tls::Papers;

pub(crate) const A: &str = "000.00.01.H99";
pub(crate) const B: &str = "000.00.02.H99";
pub(crate) const C: &str = "000.00.03.H99";
pub(crate) const D: &str = "000.00.04.H99";
pub(crate) const E: &str = "000.00.05.H99";
pub(crate) const PARTNER: &str = "so-q";

/// What the daemon says loudly in these tests: that the broker is not what it should be.
const LOUD: &[&str] = &[
    "an alert",
    "the bus is away",
    "a queue was gone",
    "held less than was published",
    "wake-ups could not be published",
    "cannot be consumed",
    "a delivery is dead",
    "bus",
];

/// How the axis comes to the broker.
pub(crate) enum Road {
    Plain,
    /// By TLS, with a certificate of its own.
    Tls(Papers),
    /// Through a gate.
    Gated,
}

/// A broker, an axis on it, one who sends, one who streams, one on the queues.
pub(crate) struct Yard {
    pub(crate) broker: Broker,
    pub(crate) vhost: Vhost,
    pub(crate) axis: Axis,
    pub(crate) a: System,
    pub(crate) b: System,
    pub(crate) q: System,
    pub(crate) access: Access,
    gate: Option<Gate>,
    _papers: Option<Papers>,
}

impl Yard {
    pub(crate) fn new(name: &str, road: Road, delivery: &str, alerts: &str) -> Self {
        let broker = Broker::start().unwrap();
        let vhost = broker.vhost(name).unwrap();
        let plain = |port| format!("[bus]\nurl = \"amqp://{name}@127.0.0.1:{port}/{name}\"\n");
        let (bus, gate, papers) = match road {
            Road::Plain => (plain(broker.port()), None, None),
            Road::Gated => {
                let gate = Gate::before(broker.port()).unwrap();
                (plain(gate.port()), Some(gate), None)
            }
            Road::Tls(papers) => {
                let port = papers.listen(&broker, true);
                let bus = papers.bus(&format!("amqps://{name}@127.0.0.1:{port}/{name}"));
                (bus, None, Some(papers))
            }
        };
        // What is said of a shared machine's disk and clock is not of the broker.
        let config = format!(
            "{bus}[delivery]\nsettle_seconds = 3\ncheck_seconds = 1\n{delivery}[journal]\nsegment_bytes = 4194304\n[alerts]\nevery_seconds = 1\n{alerts}sync_ms = 600000\ndisk_free_percent = 0\nclock_seconds = 86400\n"
        );
        let mut builder = Axis::builder()
            .config(config)
            .env("AXIS_BUS_PASSWORD", &vhost.password);
        for text in LOUD {
            builder = builder.expect_log(*text);
        }
        let axis = builder.start().unwrap();
        axis.register(9).unwrap();
        let a = axis.add_system("so-a", &[A]).unwrap();
        let b = axis.add_system("so-b", &[B]).unwrap();
        let q = axis
            .add_system_with(PARTNER, &[C], &["--attachment", "amqp"])
            .unwrap();
        let access = Access::of(PARTNER, &vhost.name);
        let yard = Self {
            broker,
            vhost,
            axis,
            a,
            b,
            q,
            access,
            gate,
            _papers: papers,
        };
        yard.broker.add_user(&yard.access.user, "pw").unwrap();
        yard.permit();
        yard
    }

    /// The gate between axis and broker.
    pub(crate) fn gate(&self) -> &Gate {
        self.gate.as_ref().expect("this axis comes through a gate")
    }

    /// The name of a system's queue.
    pub(crate) fn lane(system: &str, lane: bus::Lane) -> String {
        bus::Queue::new(system, lane).to_string()
    }

    /// What the axis prints when an `amqp` system is added, set by the broker's team.
    pub(crate) fn permit(&self) {
        self.permit_as(&self.access);
    }

    pub(crate) fn permit_as(&self, access: &Access) {
        let Access {
            vhost,
            user,
            configure,
            write,
            read,
            topics,
            ..
        } = access;
        self.broker
            .permit(vhost, user, configure, write, read)
            .unwrap();
        for topic in topics {
            let (exchange, write) = (topic.exchange, &topic.write);
            self.broker
                .permit_topic(vhost, user, exchange, write, topic.read)
                .unwrap();
        }
    }

    pub(crate) async fn partner(&self) -> Partner {
        partner(self.broker.port(), &self.vhost.name, PARTNER).await
    }
}

pub(crate) async fn try_partner(port: u16, vhost: &str, system: &str) -> anyhow::Result<Partner> {
    let mut partner = Partner::connect(port, vhost, &user_of(system), "pw").await?;
    for lane in bus::Lane::ALL {
        let queue = Yard::lane(system, lane);
        partner.consume(&queue, 20).await?;
    }
    Ok(partner)
}

pub(crate) async fn partner(port: u16, vhost: &str, system: &str) -> Partner {
    let began = Instant::now();
    loop {
        match try_partner(port, vhost, system).await {
            Ok(partner) => return partner,
            Err(error) => assert!(began.elapsed() < NEVER, "{error:#}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) async fn client(
    grpc: std::net::SocketAddr,
    system: &System,
) -> Result<Client, api::client::Error> {
    let mut options = Options::new(format!("http://{grpc}"));
    options.credentials = Credentials::Key {
        system: system.id.clone(),
        key: system.key.clone(),
    };
    options.timeout = Some(NEVER);
    Client::connect(&options).await
}

pub(crate) async fn push(
    client: &Client,
    package: Vec<u8>,
) -> Result<v1::Receipt, api::client::Error> {
    client
        .push(Bytes::from(package), v1::PushOptions::default())
        .await
}

pub(crate) fn document(id: &str, to: &[&str]) -> Vec<u8> {
    Document::new(A, to, id).bytes()
}

/// Sends a letter and gives the answer to it.
pub(crate) async fn ask(partner: &mut Partner, exchange: &str, body: &[u8], id: &str) -> Value {
    partner.send(exchange, body, id).await.unwrap();
    loop {
        let answer = partner.answer(NEVER).await.unwrap().expect("an answer");
        if answer.to == id {
            return answer.body;
        }
    }
}
