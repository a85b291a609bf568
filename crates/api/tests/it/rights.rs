//! Rights at the door, over the wire: every role against every method.

use std::collections::BTreeMap;

use api::client::{Client, Credentials, Options};
use api::v1;
use prost::Message as _;
use tonic::Code;
use tonic::metadata::MetadataMap;

use crate::house::{House, SNV, refused};

const OPERATIONS: &str = "/axis.v1.OperationsService/";

fn reviewed() -> BTreeMap<String, BTreeMap<String, Vec<String>>> {
    let mut reviewed: toml::Table = include_str!("../rights.toml").parse().unwrap();
    // The console's: a test of the running axis walks them.
    assert!(reviewed.remove("http").is_some());
    reviewed.try_into().unwrap()
}

/// How a call with an empty message is answered: headers, or a refusal at once.
async fn call(channel: &tonic::transport::Channel, method: &str, who: &MetadataMap) -> Code {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let message = tokio_stream::iter([()]);
    let mut request = tonic::Request::new(message);
    *request.metadata_mut() = who.clone();
    let path = method.parse().unwrap();
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    match grpc.streaming(request, path, codec).await {
        Ok(_) => Code::Ok,
        Err(status) => status.code(),
    }
}

#[tokio::test]
async fn sc_05_the_door_lets_each_role_call_what_the_reviewed_table_says_and_no_more() {
    let house = House::open().await;
    let admin = house.admin().await;
    let channel = tonic::transport::Endpoint::from_shared(house.url())
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut callers: Vec<(&str, MetadataMap)> = Vec::new();
    let mut who = |role, name: &'static str, id: &str, key: &str| {
        let mut metadata = MetadataMap::new();
        metadata.insert(name, id.parse().unwrap());
        metadata.insert("axis-key", key.parse().unwrap());
        callers.push((role, metadata));
    };
    for role in ["registrar", "auditor", "agency_admin", "office", "operator"] {
        let agencies = if role == "agency_admin" {
            vec![SNV.to_owned()]
        } else {
            Vec::new()
        };
        let account = v1::AddAccountRequest {
            id: role.to_owned(),
            person: format!("Người {role}"),
            role: role.to_owned(),
            agencies,
            valid_days: 0,
        };
        let key = admin.add_account(account).await.unwrap().key;
        who(role, "axis-account", role, &key);
    }
    let Credentials::Key { system, key } = house.key("snv") else {
        panic!("no key")
    };
    who("system", "axis-system", &system, &key);

    let set = prost_types::FileDescriptorSet::decode(v1::DESCRIPTORS).unwrap();
    let reviewed = reviewed();
    let mut walked = 0;
    for service in set.file.iter().flat_map(|file| &file.service) {
        for method in &service.method {
            let row = reviewed
                .get(&format!("axis.v1.{}", service.name()))
                .and_then(|methods| methods.get(method.name()))
                .unwrap_or_else(|| panic!("{} has no row", method.name()));
            let path = format!("/axis.v1.{}/{}", service.name(), method.name());
            for (role, metadata) in &callers {
                let code = call(&channel, &path, metadata).await;
                walked += 1;
                if path.starts_with(OPERATIONS) {
                    assert_eq!(code, Code::Unimplemented, "{role} {path}");
                    continue;
                }
                let may = row.iter().any(|allowed| allowed == role);
                // An agency's admin is let in and then held to its own systems.
                let own = *role == "agency_admin" && code == Code::PermissionDenied && may;
                assert_eq!(
                    code != Code::PermissionDenied || own,
                    may,
                    "{role} {path}: {code:?}"
                );
            }
        }
    }
    assert!(walked > 240, "{walked}");
    house.close().await;
}

#[tokio::test]
async fn sc_05_an_account_is_a_person_and_an_agencys_admin_keeps_to_its_own() {
    let house = House::open().await;
    let admin = house.admin().await;
    let account = v1::AddAccountRequest {
        id: "binh".to_owned(),
        person: "Trần Văn Bình".to_owned(),
        role: "agency_admin".to_owned(),
        agencies: vec!["H47.12".to_owned()],
        valid_days: 30,
    };
    let added = admin.add_account(account).await.unwrap();
    assert_eq!(added.account.unwrap().agencies, [SNV]);
    let mut options = Options::new(house.url());
    options.credentials = Credentials::Account {
        account: "binh".to_owned(),
        key: added.key,
    };
    let binh = Client::connect(&options).await.unwrap();
    let me = binh.who_am_i(v1::WhoAmIRequest {}).await.unwrap();
    assert_eq!(
        (me.role.as_str(), me.person.as_str()),
        ("agency_admin", "Trần Văn Bình")
    );
    assert!(
        me.methods
            .iter()
            .any(|m| m == "/axis.v1.RegistryService/AddSystemKey")
    );
    let systems = binh
        .list_systems(v1::ListSystemsRequest {})
        .await
        .unwrap()
        .systems;
    assert_eq!(
        systems.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(),
        ["snv"]
    );
    let key = |id: &str| v1::AddSystemKeyRequest {
        id: id.to_owned(),
        overlap_seconds: Some(60),
    };
    binh.add_system_key(key("snv")).await.unwrap();
    assert_eq!(
        refused(binh.add_system_key(key("stc")).await),
        "PERMISSION_DENIED"
    );
    let order = v1::Order::default();
    let change = v1::ChangeAgencyRequest {
        order: Some(order),
        code: SNV.to_owned(),
        name: Some("Khác".to_owned()),
        ..Default::default()
    };
    assert_eq!(
        refused(binh.change_agency(change).await),
        "PERMISSION_DENIED"
    );
    let revoke = v1::RevokeAccountRequest {
        id: "binh".to_owned(),
        why: "chuyển công tác".to_owned(),
    };
    assert_eq!(
        admin.revoke_account(revoke).await.unwrap().why,
        "chuyển công tác"
    );
    assert_eq!(
        refused(binh.who_am_i(v1::WhoAmIRequest {}).await),
        "UNAUTHENTICATED"
    );
    house.close().await;
}

#[tokio::test]
async fn rg_03_a_conflict_names_who_was_first_and_a_state_what_it_is() {
    let house = House::open().await;
    let admin = house.admin().await;
    let get = v1::GetAgencyRequest {
        code: SNV.to_owned(),
        ..Default::default()
    };
    let seen = admin.get_agency(get).await.unwrap().revision;
    let rename = |name: &str| v1::ChangeAgencyRequest {
        order: Some(v1::Order {
            revision: Some(seen),
            ..Default::default()
        }),
        code: SNV.to_owned(),
        name: Some(name.to_owned()),
        ..Default::default()
    };
    admin.change_agency(rename("Một")).await.unwrap();
    let error = admin.change_agency(rename("Hai")).await.unwrap_err();
    let refusal = error.refusal().expect("a refusal");
    assert_eq!(refusal.name, "REGISTRY_CONFLICT");
    assert!(refusal.details[0].message.contains("Lan"), "{refusal:?}");
    let state = v1::StateRequest {
        order: None,
        code: SNV.to_owned(),
    };
    assert_eq!(
        refused(admin.resume_agency(state).await),
        "WRONG_AGENCY_STATE"
    );
    let mut twice = rename("Ba");
    twice.order = None;
    twice.name = None;
    twice.new_code = Some("H47.13".to_owned());
    assert_eq!(refused(admin.change_agency(twice).await), "BAD_REGISTRY");
    house.close().await;
}
