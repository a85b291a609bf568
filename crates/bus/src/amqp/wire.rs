//! Our messages as AMQP's, and back.

use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, LongString};
use uuid::Uuid;

use crate::Message;
use crate::headers::{self, Headers};

/// The axis's own number of the receiving agency; of no use to anyone else.
const NUMBER: &str = "axis-number";

/// The message id under which a message travels.
pub(super) fn message_id(message: &Message) -> String {
    Uuid::from_bytes(message.id).hyphenated().to_string()
}

/// The properties of a message: persistent, with its ids.
pub(super) fn properties(message: &Message, message_id: &str) -> BasicProperties {
    let mut table = table(&message.headers);
    table.insert(NUMBER.into(), AMQPValue::LongLongInt(message.agency.into()));
    persistent()
        .with_message_id(message_id.into())
        .with_headers(table)
}

/// What everything that the axis publishes has in common.
pub(super) fn persistent() -> BasicProperties {
    BasicProperties::default()
        .with_delivery_mode(2)
        .with_app_id("axis".into())
}

/// An id for a message that has none of its own.
pub(super) fn fresh_id() -> String {
    Uuid::new_v4().hyphenated().to_string()
}

/// The properties of a dead letter: what can be kept of the letter's own, why it is dead, where
/// it lay, who sent it. Not kept: the user id (the broker would hold the axis to it), an
/// expiry, and headers that the broker itself acts on.
pub(super) fn dead(of: &BasicProperties, queue: &str, reason: &str) -> (BasicProperties, String) {
    let message_id = fresh_id();
    let mut headers = of.headers().as_ref().map(headers).unwrap_or_default();
    headers = headers
        .with(headers::REASON, reason)
        .with(headers::QUEUE, queue);
    if let Some(user) = of.user_id() {
        headers = headers.with(headers::USER, user.as_str());
    }
    let mut properties = persistent()
        .with_message_id(message_id.as_str().into())
        .with_headers(table(&headers));
    if let Some(media) = of.content_type() {
        properties = properties.with_content_type(media.clone());
    }
    if let Some(id) = of.correlation_id() {
        properties = properties.with_correlation_id(id.clone());
    }
    (properties, message_id)
}

pub(super) fn table(headers: &Headers) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in headers.iter() {
        // A name of more than 255 bytes cannot travel; none of ours is near that.
        if name.len() <= 255 {
            table.insert(name.into(), AMQPValue::LongString(value.into()));
        }
    }
    table
}

/// The message in a lane's queue, or why it is none of ours.
pub(super) fn message(delivery: &mut Delivery) -> Result<Message, &'static str> {
    let properties = &delivery.properties;
    let id = properties
        .message_id()
        .as_ref()
        .ok_or("it has no message id")?;
    let id = Uuid::try_parse(id.as_str()).map_err(|_| "its message id is no UUID")?;
    let table = properties
        .headers()
        .as_ref()
        .ok_or("it has no header axis-number")?;
    let agency = match table.inner().get(NUMBER) {
        Some(AMQPValue::LongLongInt(number)) => {
            u32::try_from(*number).map_err(|_| "its axis-number is out of range")?
        }
        _ => return Err("it has no header axis-number"),
    };
    Ok(Message {
        id: id.into_bytes(),
        agency,
        headers: headers(table),
        body: std::mem::take(&mut delivery.data).into(),
    })
}

/// The headers that can be said as text; those of the broker itself and ours for the number are
/// left out.
pub(super) fn headers(table: &FieldTable) -> Headers {
    let texts = table.inner().iter().filter_map(|(name, value)| {
        let name = name.as_str();
        if name.starts_with("x-") || matches!(name, NUMBER | "CC" | "BCC") {
            return None;
        }
        text(value).map(|value| (name.to_owned(), value))
    });
    Headers::from_iter(texts)
}

fn text(value: &AMQPValue) -> Option<String> {
    Some(match value {
        AMQPValue::LongString(text) => utf8(text)?,
        AMQPValue::ShortString(text) => text.as_str().to_owned(),
        AMQPValue::Boolean(value) => value.to_string(),
        AMQPValue::ShortShortInt(value) => value.to_string(),
        AMQPValue::ShortShortUInt(value) => value.to_string(),
        AMQPValue::ShortInt(value) => value.to_string(),
        AMQPValue::ShortUInt(value) => value.to_string(),
        AMQPValue::LongInt(value) => value.to_string(),
        AMQPValue::LongUInt(value) => value.to_string(),
        AMQPValue::LongLongInt(value) => value.to_string(),
        _ => return None,
    })
}

fn utf8(text: &LongString) -> Option<String> {
    std::str::from_utf8(text.as_bytes()).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn travelled(properties: BasicProperties, data: Vec<u8>) -> Delivery {
        let mut delivery = Delivery::mock(1, "".into(), "".into(), false, data);
        delivery.properties = properties;
        delivery
    }

    proptest! {
        #[test]
        fn a_message_arrives_as_it_was_sent(
            id: [u8; 16], agency: u32, body: Vec<u8>,
            pairs in prop::collection::btree_map("[a-z-]{1,20}", ".{0,40}", 0..5),
        ) {
            let pairs = pairs.into_iter().filter(|(name, _)| !name.starts_with("x-") && name != NUMBER);
            let message = Message { id, agency, body: body.clone().into(), headers: Headers::from_iter(pairs) };
            let properties = properties(&message, &message_id(&message));
            prop_assert_eq!(super::message(&mut travelled(properties, body)), Ok(message));
        }
    }

    #[test]
    fn what_others_put_into_a_lane_is_none_of_ours() {
        let good = Message::default();
        let whole = properties(&good, &message_id(&good));
        let wrong = [
            BasicProperties::default(),
            whole.clone().with_message_id("7".into()),
            whole.clone().with_headers(FieldTable::default()),
            whole.with_headers(table(&Headers::default().with(NUMBER, "1"))),
        ];
        for properties in wrong {
            assert!(message(&mut travelled(properties, Vec::new())).is_err());
        }
    }

    #[test]
    fn a_dead_letter_says_why_and_carries_nothing_that_the_broker_acts_on() {
        let mut raw = table(&Headers::default().with("CC", "axis.system.b.flash"));
        raw.insert("k".into(), AMQPValue::LongString("v".into()));
        let sent = BasicProperties::default()
            .with_user_id("axis.system.a".into())
            .with_expiration("1".into())
            .with_headers(raw);
        let (dead, _) = dead(&sent, "axis.settle", "no such delivery");
        assert_eq!((dead.user_id(), dead.expiration()), (&None, &None));
        let said = super::headers(dead.headers().as_ref().unwrap());
        let mut said: Vec<_> = said.iter().collect();
        said.sort_unstable();
        assert_eq!(
            said,
            [
                ("axis-queue", "axis.settle"),
                ("axis-reason", "no such delivery"),
                ("axis-user", "axis.system.a"),
                ("k", "v"),
            ]
        );
    }

    #[test]
    fn only_what_can_be_said_is_read() {
        let mut raw = table(&Headers::default().with(headers::ROUND, "1"));
        raw.insert("x-death".into(), AMQPValue::LongString("y".into()));
        raw.insert("bytes".into(), AMQPValue::LongString(vec![0xff].into()));
        raw.insert("n".into(), AMQPValue::LongLongInt(-7));
        let read = headers(&raw);
        assert_eq!(
            (read.get("n"), read.get(headers::ROUND)),
            (Some("-7"), Some("1"))
        );
        assert_eq!(read.iter().count(), 2);
    }
}
