//! One committed encoding of each event type, never made again, beside a JSON of its fields
//! that was written by hand.

use std::path::PathBuf;

use ledger::event::Event;
use ledger::{Change, Fact};
use prost::Message;
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, SerializeOptions};
use serde_json::{Value, json};

/// Every event type and what its files are called; one that got new fields has a file more.
fn types() -> Vec<(u32, String)> {
    let changes = Change::ALL
        .iter()
        .map(|change| (change.number(), format!("delivery-{}", change.word())));
    let others = [
        (1, "package-accepted"),
        (1, "package-accepted-2"),
        (1, "package-accepted-forwarded"),
        (1, "package-accepted-particulars"),
        (2, "package-refused"),
        (15, "status-matched"),
        (15, "status-matched-2"),
        (16, "receivers-added"),
        (20, "agency-recorded"),
        (20, "agency-recorded-policies"),
        (21, "agencies-changed"),
        (22, "agency-change-withdrawn"),
        (30, "system-recorded"),
        (30, "system-recorded-inline"),
        (31, "system-key-added"),
        (32, "system-key-revoked"),
        (33, "system-pin-added"),
        (33, "system-pin-added-ending"),
        (34, "system-pin-revoked"),
        (35, "delivery-paused"),
        (36, "delivery-resumed"),
        (37, "service-changed"),
        (38, "system-key-ends"),
        (39, "system-pin-ends"),
        (40, "payload-removed"),
        (41, "list-published"),
        (42, "list-sent"),
        (43, "unknown-seen"),
        (70, "account-added"),
        (71, "account-revoked"),
        (50, "heartbeat"),
        (51, "started"),
        (52, "stopped"),
        (60, "alert-raised"),
        (60, "alert-raised-2"),
        (61, "alert-cleared"),
        (62, "alert-told"),
    ];
    let others = others.map(|(number, name)| (number, name.to_owned()));
    changes.chain(others).collect()
}

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden"]
        .iter()
        .collect()
}

/// The protos as they are now, read without the code that was generated from them.
fn protos() -> DescriptorPool {
    let root: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "proto"]
        .iter()
        .collect();
    let set = protox::compile(["ledger/v1/events.proto"], [root]).unwrap();
    DescriptorPool::from_file_descriptor_set(set).unwrap()
}

fn decoded(protos: &DescriptorPool, message: &str, bytes: &[u8]) -> Value {
    let message = protos
        .get_message_by_name(&format!("axis.ledger.v1.{message}"))
        .unwrap();
    let message = DynamicMessage::decode(message, bytes).unwrap();
    assert_eq!(message.unknown_fields().count(), 0);
    let options = SerializeOptions::new().skip_default_fields(true);
    message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .unwrap()
}

/// With `AXIS_BLESS=1` a file of a new event type is made; one that is there never changes.
fn bless(protos: &DescriptorPool, path: &std::path::Path, written: &Value) {
    if std::env::var_os("AXIS_BLESS").is_none() || path.exists() {
        return;
    }
    let name = written["message"].as_str().unwrap();
    let message = protos
        .get_message_by_name(&format!("axis.ledger.v1.{name}"))
        .unwrap();
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let body =
        DynamicMessage::deserialize_with_options(message, &written["fields"], &options).unwrap();
    let event = Event {
        r#type: u32::try_from(written["type"].as_u64().unwrap()).unwrap(),
        critical: written["critical"].as_bool().unwrap(),
        body: body.encode_to_vec().into(),
    };
    let disk = journal::disk::OsDisk;
    journal::durable::write_file(&disk, path, &event.encode_to_vec()).unwrap();
}

#[test]
fn every_event_type_reads_as_it_was_first_written() {
    let protos = protos();
    for (number, name) in types() {
        let path = |ext: &str| folder().join(format!("{number:02}-{name}.{ext}"));
        let written = std::fs::read(path("json")).expect("each event type has a JSON");
        let written: Value = serde_json::from_slice(&written).unwrap();
        bless(&protos, &path("bin"), &written);
        let bytes = std::fs::read(path("bin")).expect("each event type has its bytes");
        let event = Event::decode(bytes.as_slice()).unwrap();
        let fields = decoded(&protos, written["message"].as_str().unwrap(), &event.body);
        let read = json!({
            "type": event.r#type,
            "critical": event.critical,
            "message": written["message"],
            "fields": fields,
        });
        assert_eq!(read, written, "{name}");
        let fact = Fact::decode(event).unwrap();
        assert_eq!(
            (fact.number(), fact.critical()),
            (number, written["critical"] == true)
        );
        assert!(!matches!(fact, Fact::Unknown { .. }));
        assert_eq!(
            fact.encode().encode_to_vec(),
            bytes,
            "{name} loses something"
        );
    }
}

#[test]
fn no_golden_file_is_of_an_unknown_type() {
    let known: Vec<_> = types()
        .into_iter()
        .flat_map(|(number, name)| ["bin", "json"].map(|ext| format!("{number:02}-{name}.{ext}")))
        .collect();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(known.contains(&name), "{name}");
    }
    // No number that a build gives up is ever read as something else.
    let gap = Event {
        r#type: 17,
        critical: true,
        body: bytes::Bytes::new(),
    };
    assert!(Fact::decode(gap).is_err());
}

/// Each field of each message that is an event, or part of one, has a value in some golden
/// file: a new field comes with a new file, or the test says which is missing.
#[test]
fn every_field_has_a_value_in_some_golden_file() {
    let protos = protos();
    let mut seen = std::collections::BTreeSet::new();
    fn walk(message: &DynamicMessage, seen: &mut std::collections::BTreeSet<String>) {
        for (field, value) in message.fields() {
            seen.insert(field.full_name().to_owned());
            let values = value
                .as_list()
                .map_or_else(|| vec![value.clone()], <[_]>::to_vec);
            for value in &values {
                if let Some(message) = value.as_message() {
                    walk(message, seen);
                }
            }
        }
    }
    for (number, name) in types() {
        let path = folder().join(format!("{number:02}-{name}"));
        let written = std::fs::read(path.with_extension("json")).unwrap();
        let written: Value = serde_json::from_slice(&written).unwrap();
        let bytes = std::fs::read(path.with_extension("bin")).unwrap();
        let event = Event::decode(bytes.as_slice()).unwrap();
        let full = format!("axis.ledger.v1.{}", written["message"].as_str().unwrap());
        let message = protos.get_message_by_name(&full).unwrap();
        walk(
            &DynamicMessage::decode(message, event.body).unwrap(),
            &mut seen,
        );
    }
    for message in protos.all_messages() {
        let outside = [
            "Transaction",
            "Event",
            "Checkpoint",
            "RegistrySaved",
            "AgencyLife",
        ];
        if message.package_name() != "axis.ledger.v1" || outside.contains(&message.name()) {
            continue;
        }
        for field in message.fields() {
            assert!(seen.contains(field.full_name()), "{}", field.full_name());
        }
    }
}
