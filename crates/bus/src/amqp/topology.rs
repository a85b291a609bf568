//! The queues and exchanges of the axis on a broker, as data: declared from it, exported from it.
//!
//! Every queue is a durable quorum queue (mirrored classic queues are gone in RabbitMQ 4). The
//! lanes of the systems are reached through the broker's default exchange; what systems send
//! comes through two topic exchanges, so that the broker holds each of them to its own routing
//! key; dead letters go through a fanout exchange, to which a site may bind a queue of its own.

use lapin::types::{AMQPValue, FieldTable};
use serde_json::{Map, Value, json};

use crate::Queue;

/// The exchange and the queue by which `amqp` systems settle.
pub const SETTLE: &str = "axis.settle";
/// The exchange and the queue by which `amqp` systems send packages.
pub const INGRESS: &str = "axis.ingress";
/// The exchange and the queue of what nobody can use.
pub const DEAD: &str = "axis.dead";

/// How often a message may come back to its queue. RabbitMQ 4 would make it 20 and then take the
/// message away. Here a message comes back whenever a stream leaves before it asked for it; that
/// is no sign of poison, and the ledger counts the offers of a delivery. So: never reached, and
/// said because the default differs between versions (and "none" can only be said to some).
const DELIVERY_LIMIT: i64 = 1_000_000;

/// How often a letter may come back. One comes back when the axis or its connection is lost with
/// the letter unsettled; one that comes back so often is the reason: see the inlet.
const LETTER_LIMIT: i64 = 20;

/// The most bytes that wait in `axis.settle`: hundreds of thousands of settles. Beyond it the
/// sender gets a nack and knows.
const SETTLE_BYTES: i64 = 64 << 20;

/// The most bytes that wait in `axis.ingress`; beyond it the sender gets a nack and knows.
const INGRESS_BYTES: i64 = 1 << 30;

/// The most bytes of dead letters; beyond it the oldest go. Refusing new ones would hold up the
/// queue from which each of them has to go.
const DEAD_BYTES: i64 = 512 << 20;

/// The queue into which `system` may be answered, if it makes one. Names behind a further dot
/// are its own too.
#[must_use]
pub fn reply_queue(system: &str) -> String {
    format!("axis.reply.{}", crate::queue::Encoded(system))
}

/// An argument of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Argument {
    Text(&'static str),
    Number(i64),
}

type Arguments = &'static [(&'static str, Argument)];

/// Of the lanes of every system. Bounded by the relay's window, so without a length here: a
/// second bound would only have to be kept in step with the first.
const LANE: Arguments = &[
    ("x-queue-type", Argument::Text("quorum")),
    ("x-delivery-limit", Argument::Number(DELIVERY_LIMIT)),
    ("x-dead-letter-exchange", Argument::Text(DEAD)),
];

/// A queue that the axis reads. A letter that the broker itself gives up on must not be lost on
/// the way to the dead ones: at-least-once, which asks for `reject-publish`.
const fn letters(bytes: i64) -> [(&'static str, Argument); 6] {
    [
        ("x-queue-type", Argument::Text("quorum")),
        ("x-delivery-limit", Argument::Number(LETTER_LIMIT)),
        ("x-dead-letter-exchange", Argument::Text(DEAD)),
        ("x-dead-letter-strategy", Argument::Text("at-least-once")),
        ("x-max-length-bytes", Argument::Number(bytes)),
        ("x-overflow", Argument::Text("reject-publish")),
    ]
}

/// A queue and how it is made.
#[derive(Debug, Clone)]
pub(super) struct QueueSpec {
    pub(super) name: String,
    arguments: Arguments,
}

impl QueueSpec {
    /// The queue of a system's lane.
    pub(super) fn lane(queue: &Queue) -> Self {
        Self {
            name: queue.to_string(),
            arguments: LANE,
        }
    }

    pub(super) fn table(&self) -> FieldTable {
        let mut table = FieldTable::default();
        for &(name, argument) in self.arguments {
            table.insert(
                name.into(),
                match argument {
                    Argument::Text(text) => AMQPValue::LongString(text.into()),
                    Argument::Number(number) => AMQPValue::LongLongInt(number),
                },
            );
        }
        table
    }

    fn json(&self, vhost: &str) -> Value {
        let arguments: Map<String, Value> = self
            .arguments
            .iter()
            .map(|&(name, argument)| {
                let value = match argument {
                    Argument::Text(text) => json!(text),
                    Argument::Number(number) => json!(number),
                };
                (name.to_owned(), value)
            })
            .collect();
        json!({
            "name": self.name, "vhost": vhost, "durable": true, "auto_delete": false,
            "arguments": arguments,
        })
    }
}

/// An exchange with the queue of the same name behind it.
#[derive(Debug, Clone)]
pub(super) struct Mailbox {
    pub(super) kind: &'static str,
    /// What the queue is bound with: everything.
    pub(super) binding: &'static str,
    pub(super) queue: QueueSpec,
}

/// What there is once, whatever systems there are; the dead first, as the others name it.
pub(super) fn mailboxes() -> [Mailbox; 3] {
    const SETTLE_QUEUE: Arguments = &letters(SETTLE_BYTES);
    const INGRESS_QUEUE: Arguments = &letters(INGRESS_BYTES);
    const DEAD_QUEUE: Arguments = &[
        ("x-queue-type", Argument::Text("quorum")),
        ("x-delivery-limit", Argument::Number(DELIVERY_LIMIT)),
        ("x-max-length-bytes", Argument::Number(DEAD_BYTES)),
        ("x-overflow", Argument::Text("drop-head")),
    ];
    let mailbox = |name: &str, kind, binding, arguments| Mailbox {
        kind,
        binding,
        queue: QueueSpec {
            name: name.to_owned(),
            arguments,
        },
    };
    [
        mailbox(DEAD, "fanout", "", DEAD_QUEUE),
        mailbox(SETTLE, "topic", "#", SETTLE_QUEUE),
        mailbox(INGRESS, "topic", "#", INGRESS_QUEUE),
    ]
}

/// The RabbitMQ definitions of `vhost`: what `rabbitmqctl import_definitions` reads, for a site
/// whose broker team makes the queues. With the lanes of `systems`.
///
/// Users and permissions are not in it: importing a user sets its password. They are set once,
/// with the commands that [`Access`](super::Access) prints.
#[must_use]
pub fn definitions<S: AsRef<str>>(vhost: &str, systems: impl IntoIterator<Item = S>) -> Value {
    let mailboxes = mailboxes();
    let exchanges: Vec<Value> = mailboxes
        .iter()
        .map(|mailbox| {
            json!({
                "name": mailbox.queue.name, "vhost": vhost, "type": mailbox.kind,
                "durable": true, "auto_delete": false, "internal": false, "arguments": {},
            })
        })
        .collect();
    let bindings: Vec<Value> = mailboxes
        .iter()
        .map(|mailbox| {
            json!({
                "source": mailbox.queue.name, "vhost": vhost,
                "destination": mailbox.queue.name, "destination_type": "queue",
                "routing_key": mailbox.binding, "arguments": {},
            })
        })
        .collect();
    let mut queues: Vec<Value> = mailboxes
        .iter()
        .map(|mailbox| mailbox.queue.json(vhost))
        .collect();
    for system in systems {
        queues.extend(
            super::access::lanes_of(system.as_ref())
                .map(|queue| QueueSpec::lane(&queue).json(vhost)),
        );
    }
    json!({
        "vhosts": [{ "name": vhost }],
        "exchanges": exchanges,
        "queues": queues,
        "bindings": bindings,
    })
}
