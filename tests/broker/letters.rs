//! What `amqp` systems send, what they may do, and the topology where the axis may not make it.

use std::num::NonZeroU16;
use std::time::Duration;

use bus::amqp::{Access, Inlet, Letter, Letters, LinkState, ReplyError, definitions, user_of};
use bus::{Amqp, Bus, Headers, Lane, Queue};
use bytes::Bytes;
use testkit::{Broker, Vhost};

use crate::house::{config, opened, until};
use crate::suite::{message, publish, soon};

const WINDOW: NonZeroU16 = NonZeroU16::new(8).unwrap();

/// Publishes inside the broker, where no permission is asked: the user id is what `properties`
/// say.
fn post(broker: &Broker, vhost: &Vhost, exchange: &str, properties: &str, body: &str) {
    broker
        .eval(&format!(
            "rabbit_basic:publish(rabbit_misc:r(<<\"{}\">>, exchange, <<\"{exchange}\">>), <<\"axis.system.a\">>, [{properties}], <<\"{body}\"/utf8>>).",
            vhost.name
        ))
        .unwrap();
}

/// How many messages wait in a queue, by the broker's word.
fn waiting(broker: &Broker, vhost: &Vhost, queue: &str) -> u64 {
    let said = broker
        .eval(&format!(
            "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"{}\">>, queue, <<\"{queue}\">>)), {{ok, N, _}} = rabbit_amqqueue:stat(Q), N.",
            vhost.name
        ))
        .unwrap();
    said.trim().parse().unwrap()
}

async fn waits(broker: &Broker, vhost: &Vhost, queue: &str, wanted: u64) {
    let becomes = async {
        while waiting(broker, vhost, queue) != wanted {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let came = tokio::time::timeout(crate::house::NEVER, becomes).await;
    assert!(
        came.is_ok(),
        "{queue} has {} and never {wanted}",
        waiting(broker, vhost, queue)
    );
}

async fn next(letters: &mut Letters) -> Letter {
    soon(letters.next()).await.expect("an open bus")
}

pub(crate) async fn a_letter_is_read_answered_and_acked(broker: &Broker, vhost: &Vhost) {
    let amqp = opened(vhost).await;
    let mut letters = amqp.inlet(WINDOW);
    post(
        broker,
        vhost,
        "axis.settle",
        "{user_id, <<\"axis.system.a\">>}, {reply_to, <<\"axis.reply.a\">>}, {correlation_id, <<\"7\">>}, {headers, [{<<\"traceparent\">>, longstr, <<\"00-x\">>}]}",
        "đã nhận",
    );
    let letter = next(&mut letters).await;
    assert_eq!(letter.from, Inlet::Settle);
    assert_eq!(letter.user_id.as_deref(), Some("axis.system.a"));
    assert_eq!(letter.routing_key, user_of("a"));
    assert_eq!(letter.headers.get("traceparent"), Some("00-x"));
    assert_eq!(letter.body, "đã nhận".as_bytes());
    assert_eq!(letter.correlation_id.as_deref(), Some("7"));
    // There is no such queue: whoever does not wait for an answer gets none.
    soon(letter.reply("text/plain", Headers::default(), Bytes::from_static(b"ok")))
        .await
        .unwrap();
    letter.ack();
    waits(broker, vhost, "axis.settle", 0).await;

    post(
        broker,
        vhost,
        "axis.ingress",
        "{reply_to, <<\"axis.system.b.flash\">>}",
        "",
    );
    let letter = next(&mut letters).await;
    assert_eq!(
        (letter.from, letter.user_id.as_ref()),
        (Inlet::Ingress, None)
    );
    assert!(!letter.redelivered);
    let refused = soon(letter.reply("text/plain", Headers::default(), Bytes::new())).await;
    assert!(
        matches!(refused, Err(ReplyError::NotTheirs { .. })),
        "into another's queue"
    );
    // Left unsettled it comes again, and is a dead letter once it is said to be one.
    drop(letter);
    let letter = next(&mut letters).await;
    assert!(letter.redelivered);
    soon(letter.dead("nobody sent it")).await.unwrap();
    waits(broker, vhost, "axis.dead", 1).await;
    waits(broker, vhost, "axis.ingress", 0).await;
    assert_eq!(amqp.dead_letters(), 1);
}

pub(crate) async fn a_letter_too_long_is_a_dead_one(broker: &Broker, vhost: &Vhost) {
    let mut config = config(vhost);
    config.max_letter = 10;
    let amqp = Amqp::open(config).unwrap();
    until(&amqp, "the bus is up", bus::amqp::Link::is_up).await;
    let mut letters = amqp.inlet(WINDOW);
    post(broker, vhost, "axis.ingress", "", "eleven bytes");
    post(broker, vhost, "axis.ingress", "", "ten bytes.");
    let letter = next(&mut letters).await;
    assert_eq!(letter.body, "ten bytes.".as_bytes());
    letter.ack();
    waits(broker, vhost, "axis.dead", 1).await;
    waits(broker, vhost, "axis.ingress", 0).await;
}

/// lapin ends the connection over a text that is not UTF-8. The broker takes such a letter away
/// after its count of returns, alone, and all else goes on.
pub(crate) async fn a_letter_that_cannot_be_parsed_is_taken_away_alone(
    broker: &Broker,
    vhost: &Vhost,
) {
    let amqp = opened(vhost).await;
    let mut letters = amqp.inlet(WINDOW);
    post(
        broker,
        vhost,
        "axis.settle",
        "{correlation_id, <<255, 254>>}",
        "poison",
    );
    for body in ["one", "two", "three"] {
        post(broker, vhost, "axis.settle", "", body);
    }
    let mut read = Vec::new();
    while read.len() < 3 {
        let letter = next(&mut letters).await;
        let body = String::from_utf8(letter.body.to_vec()).unwrap();
        if !read.contains(&body) {
            read.push(body);
        }
        letter.ack();
    }
    waits(broker, vhost, "axis.dead", 1).await;
    waits(broker, vhost, "axis.settle", 0).await;
    let link = amqp.link().borrow().clone();
    assert!(
        link.is_up() && link.generation == 1,
        "the bus itself was never touched: {link:?}"
    );
}

pub(crate) async fn the_definitions_load_and_are_all_the_axis_needs(
    broker: &Broker,
    vhost: &Vhost,
) {
    // Without its queues the axis says what is missing, and how they come.
    let mut config = config(vhost);
    config.declare = false;
    let amqp = Amqp::open(config.clone()).unwrap();
    let link = until(&amqp, "the bus is up", bus::amqp::Link::is_up).await;
    assert_eq!(
        link.faults.keys().collect::<Vec<_>>(),
        ["axis.dead", "axis.ingress", "axis.settle"]
    );
    assert!(
        link.faults
            .values()
            .all(|said| said.contains("axis bus definitions")),
        "{link:?}"
    );
    let lane = Queue::new("so-noi-vu.1", Lane::Flash);
    let refused = soon(amqp.publish(&lane, message(0))).await.unwrap_err();
    assert!(
        refused.to_string().contains("axis bus definitions"),
        "{refused}"
    );
    amqp.close().await;
    drop(amqp);
    assert!(
        broker.queues(&vhost.name).unwrap().is_empty(),
        "it made something"
    );

    let file = tempfile::NamedTempFile::new().unwrap();
    let text = definitions(&vhost.name, ["so-noi-vu.1"]).to_string();
    std::fs::write(file.path(), text).unwrap();
    broker
        .ctl(&["import_definitions", &file.path().display().to_string()])
        .unwrap();
    let amqp = Amqp::open(config).unwrap();
    let link = until(&amqp, "the bus is up", bus::amqp::Link::is_up).await;
    assert!(link.faults.is_empty(), "{link:?}");
    publish(&*amqp, &lane, 0..1).await;
    amqp.close().await;

    // An axis that declares finds them as it would have made them.
    let amqp = opened(vhost).await;
    publish(&*amqp, &lane, 1..2).await;
    let link = amqp.link().borrow().clone();
    assert!(link.faults.is_empty(), "made otherwise: {link:?}");
}

/// A system's user, with the permissions that are printed, reads its own lanes and no others.
pub(crate) async fn a_system_may_read_its_own_lanes_alone(broker: &Broker, vhost: &Vhost) {
    let amqp = opened(vhost).await;
    let (own, other) = (
        Queue::new("a.b", Lane::Status),
        Queue::new("a", Lane::Status),
    );
    publish(&*amqp, &own, 0..1).await;
    publish(&*amqp, &other, 0..1).await;

    let access = Access::of("a.b", &vhost.name);
    broker.add_user(&access.user, "secret").unwrap();
    broker
        .permit(
            &vhost.name,
            &access.user,
            &access.configure,
            &access.write,
            &access.read,
        )
        .unwrap();
    for topic in &access.topics {
        broker
            .permit_topic(
                &vhost.name,
                &access.user,
                topic.exchange,
                &topic.write,
                topic.read,
            )
            .unwrap();
    }
    let url = format!(
        "amqp://{}@127.0.0.1:{}/{}",
        access.user.replace('%', "%25"),
        broker.port(),
        vhost.name
    );
    let mut config = bus::amqp::AmqpConfig::new(&url).unwrap();
    config.password = Some("secret".to_owned());
    config.declare = false;
    let system = Amqp::open(config).unwrap();
    until(&system, "the system is in", |link| {
        link.state == LinkState::Up
    })
    .await;
    let mut consumer = soon(system.consume(&own, 1)).await.unwrap();
    soon(consumer.next()).await.unwrap().unwrap().ack();
    let refused = soon(system.consume(&other, 1)).await;
    assert!(
        matches!(&refused, Err(bus::ConsumeError::Refused { reason }) if reason.contains("ACCESS_REFUSED")),
        "{refused:?}"
    );
    // Nor may it write into a lane, not even its own.
    assert!(soon(system.publish(&own, message(1))).await.is_err());
}
