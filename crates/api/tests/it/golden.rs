//! axis.v1 is a promise: what a client was built against stays. The committed descriptors are
//! compared with those of the protos; additions pass, everything else fails.
//!
//! `AXIS_BLESS=1` takes additions into the committed file, and only if nothing breaks.

use std::collections::BTreeMap;
use std::path::PathBuf;

use prost::Message;
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/axis.v1.binpb")
}

fn current() -> FileDescriptorSet {
    FileDescriptorSet::decode(api::v1::DESCRIPTORS).unwrap()
}

/// Everything a client relies on, each under a name that may not change its meaning.
fn promises(set: &FileDescriptorSet) -> BTreeMap<String, String> {
    let mut promises = BTreeMap::new();
    for file in &set.file {
        let package = file.package();
        for message in &file.message_type {
            messages(&mut promises, package, message);
        }
        for of in &file.enum_type {
            enums(&mut promises, package, of);
        }
        for service in &file.service {
            let name = format!("{package}.{}", service.name());
            promises.insert(format!("service {name}"), String::new());
            for method in &service.method {
                let streams = (method.client_streaming(), method.server_streaming());
                let (from, to) = (method.input_type(), method.output_type());
                let shape = format!("{from} -> {to}, streams {streams:?}");
                promises.insert(format!("rpc {name}/{}", method.name()), shape);
            }
        }
    }
    promises
}

fn messages(promises: &mut BTreeMap<String, String>, scope: &str, message: &DescriptorProto) {
    let name = format!("{scope}.{}", message.name());
    promises.insert(format!("message {name}"), String::new());
    for field in &message.field {
        // Looked up by number: another name, type or label under it breaks.
        let key = format!("field {name} = {}", field.number());
        promises.insert(key, shape(message, field));
    }
    for inner in &message.nested_type {
        messages(promises, &name, inner);
    }
    for inner in &message.enum_type {
        enums(promises, &name, inner);
    }
}

fn shape(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let kind = format!(
        "{:?} {:?} {}",
        field.label(),
        field.r#type(),
        field.type_name()
    );
    let one_of = field.oneof_index.filter(|_| !field.proto3_optional());
    let one_of = one_of
        .and_then(|index| message.oneof_decl.get(usize::try_from(index).ok()?))
        .map(|one_of| one_of.name().to_owned());
    let optional = field.proto3_optional();
    format!(
        "{} {kind}, oneof {one_of:?}, optional {optional}",
        field.name()
    )
}

fn enums(promises: &mut BTreeMap<String, String>, scope: &str, of: &EnumDescriptorProto) {
    let name = format!("{scope}.{}", of.name());
    promises.insert(format!("enum {name}"), String::new());
    for value in &of.value {
        promises.insert(
            format!("value {name} = {}", value.number()),
            value.name().to_owned(),
        );
    }
}

/// What a client built against `before` would miss in `after`.
fn broken(before: &FileDescriptorSet, after: &FileDescriptorSet) -> Vec<String> {
    let after = promises(after);
    let kept = |key: &str, shape: &str| after.get(key).is_some_and(|now| now == shape);
    promises(before)
        .into_iter()
        .filter(|(key, shape)| !kept(key, shape))
        .map(|(key, shape)| format!("{key}: was {shape:?}, is {:?}", after.get(&key)))
        .collect()
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a committed test file, under version control"
)]
fn nothing_of_the_contract_is_taken_back() {
    let golden = match std::fs::read(path()) {
        Ok(bytes) => FileDescriptorSet::decode(&bytes[..]).unwrap(),
        Err(error) => panic!("{}: {error}", path().display()),
    };
    assert!(
        promises(&golden).len() > 300,
        "the committed descriptors are not the contract"
    );
    let broken = broken(&golden, &current());
    assert!(
        broken.is_empty(),
        "this breaks clients of axis.v1:\n{}",
        broken.join("\n")
    );
    if std::env::var_os("AXIS_BLESS").is_some_and(|bless| bless == "1") {
        std::fs::write(path(), api::v1::DESCRIPTORS).unwrap();
    }
}

#[test]
fn the_descriptors_hold_no_source_text() {
    let set = current();
    assert_eq!(set.file.len(), 7);
    assert!(set.file.iter().all(|file| file.source_code_info.is_none()));
}

/// A change to the descriptors.
type Change = fn(&mut FileDescriptorSet);

fn message<'a>(set: &'a mut FileDescriptorSet, name: &str) -> &'a mut DescriptorProto {
    set.file
        .iter_mut()
        .flat_map(|file| &mut file.message_type)
        .find(|message| message.name() == name)
        .unwrap()
}

#[test]
fn every_kind_of_break_is_seen() {
    use prost_types::field_descriptor_proto::{Label, Type};
    let changes: &[(&str, Change)] = &[
        ("message removed", |set| {
            set.file[0].message_type.retain(|m| m.name() != "Receipt")
        }),
        ("message renamed", |set| {
            message(set, "Receipt").name = Some("Slip".into())
        }),
        ("field removed", |set| {
            message(set, "Receipt").field.pop();
        }),
        ("field renamed", |set| {
            message(set, "Receipt").field[0].name = Some("id".into())
        }),
        ("field renumbered", |set| {
            message(set, "Receipt").field[0].number = Some(99)
        }),
        ("field retyped", |set| {
            message(set, "Receipt").field[0].set_type(Type::Bytes)
        }),
        ("field relabelled", |set| {
            message(set, "Receipt").field[0].set_label(Label::Repeated)
        }),
        ("field of another message", |set| {
            let field = &mut message(set, "PushRequest").field[1];
            assert_eq!(field.type_name(), ".axis.v1.PushOptions");
            field.type_name = Some(".axis.v1.Receipt".into());
        }),
        ("presence dropped", |set| {
            let field = message(set, "FetchRequest").field.last_mut().unwrap();
            assert!(field.proto3_optional());
            field.proto3_optional = None;
            field.oneof_index = None;
        }),
        ("nested field removed", |set| {
            message(set, "SubscribeRequest").nested_type[0]
                .field
                .clear();
        }),
        ("enum value removed", |set| {
            set.file[0].enum_type[0].value.pop();
        }),
        ("enum value renamed", |set| {
            set.file[0].enum_type[0].value[1].name = Some("X".into())
        }),
        ("rpc removed", |set| {
            set.file[0].service[0].method.pop();
        }),
        ("rpc renamed", |set| {
            set.file[0].service[0].method[0].name = Some("Send".into())
        }),
        ("rpc made a stream", |set| {
            set.file[0].service[0].method[0].server_streaming = Some(true);
        }),
        ("rpc's answer changed", |set| {
            set.file[0].service[0].method[0].output_type = Some(".axis.v1.CaughtUp".into());
        }),
        ("service removed", |set| set.file[0].service.clear()),
    ];
    for (what, change) in changes {
        let mut changed = current();
        assert_eq!(changed.file[0].service[0].name(), "ExchangeService");
        change(&mut changed);
        assert!(!broken(&current(), &changed).is_empty(), "not seen: {what}");
    }
}

#[test]
fn additions_break_nothing() {
    let mut changed = current();
    let mut field = message(&mut changed, "Receipt").field[0].clone();
    (field.name, field.number) = (Some("more".into()), Some(1_000));
    message(&mut changed, "Receipt").field.push(field);
    let mut value = changed.file[0].enum_type[0].value[0].clone();
    (value.name, value.number) = (Some("MORE".into()), Some(1_000));
    changed.file[0].enum_type[0].value.push(value);
    let mut method = changed.file[0].service[0].method[0].clone();
    method.name = Some("More".into());
    changed.file[0].service[0].method.push(method);
    changed.file[0].message_type.push(DescriptorProto {
        name: Some("More".into()),
        ..Default::default()
    });
    assert_eq!(broken(&current(), &changed), Vec::<String>::new());
}
