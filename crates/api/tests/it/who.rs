//! Who may call what, by key, by certificate, at the admin socket.

use std::io::Write;

use api::client::{Client, Credentials, Error, Options, Pem};
use api::{TlsFiles, v1};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use tonic::Code;

use crate::house::*;

async fn ask(client: &Client) -> Result<v1::AgencyRecord, Error> {
    client
        .get_agency(v1::GetAgencyRequest {
            code: SNV.to_owned(),
            ..Default::default()
        })
        .await
}

#[tokio::test]
async fn wrong_credentials_are_all_alike() {
    let house = House::open().await;
    let key = |system: &str, key: &str| Credentials::Key {
        system: system.into(),
        key: key.into(),
    };
    let Credentials::Key { key: right, .. } = house.key("snv") else {
        unreachable!()
    };
    let mut texts = Vec::new();
    for credentials in [
        Credentials::None,
        key("snv", "wrong"),
        key("snv", &right[..right.len() - 1]),
        key("stc", &right),
        key("nobody", &right),
        key("", ""),
    ] {
        let mut options = Options::new(house.url());
        options.credentials = credentials.clone();
        let client = Client::connect(&options).await.unwrap();
        let error = ask(&client).await.unwrap_err();
        let view = error.refusal().expect("a refusal");
        assert_eq!(view.name, "UNAUTHENTICATED", "{credentials:?}");
        texts.push(view.message_en.clone());
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "what was wrong is not told");
    assert_eq!(
        ask(&house.client("snv").await).await.unwrap().name,
        "Sở Nội vụ"
    );
    house.close().await;
}

#[tokio::test]
async fn a_revoked_key_is_refused_at_the_next_call_and_another_one_stays_valid() {
    let house = House::open().await;
    let client = house.client("snv").await;
    let admin = house.admin().await;
    let id = || "snv".to_owned();
    let second = admin
        .add_system_key(v1::AddSystemKeyRequest {
            id: id(),
            overlap_seconds: None,
        })
        .await
        .unwrap();
    ask(&client).await.unwrap();
    let systems = admin
        .list_systems(v1::ListSystemsRequest {})
        .await
        .unwrap()
        .systems;
    let system = systems.iter().find(|system| system.id == "snv").unwrap();
    let first = system
        .keys
        .iter()
        .find(|key| key.id != second.key_id)
        .unwrap();
    let revoke = v1::RevokeSystemRequest {
        id: id(),
        key_id: Some(first.id),
        spki_sha256: None,
    };
    assert_eq!(admin.revoke_system(revoke).await.unwrap().keys, 1);
    assert_eq!(refused(ask(&client).await), "UNAUTHENTICATED");
    let mut options = Options::new(house.url());
    options.credentials = Credentials::Key {
        system: id(),
        key: second.key,
    };
    ask(&Client::connect(&options).await.unwrap())
        .await
        .unwrap();
    house.close().await;
}

#[tokio::test]
async fn systems_read_the_registry_and_change_nothing() {
    let house = House::open().await;
    let client = house.client("snv").await;
    let agencies = client
        .list_agencies(v1::ListAgenciesRequest::default())
        .await
        .unwrap();
    assert_eq!(agencies.agencies.len(), 3);
    let systems = client
        .list_systems(v1::ListSystemsRequest {})
        .await
        .unwrap()
        .systems;
    let ids: Vec<_> = systems.iter().map(|system| system.id.as_str()).collect();
    assert_eq!(ids, ["snv"], "others are none of its business");

    let denied = "PERMISSION_DENIED";
    assert_eq!(
        refused(client.add_system(v1::AddSystemRequest::default()).await),
        denied
    );
    assert_eq!(
        refused(
            client
                .add_system_key(v1::AddSystemKeyRequest::default())
                .await
        ),
        denied
    );
    assert_eq!(
        refused(
            client
                .revoke_system(v1::RevokeSystemRequest::default())
                .await
        ),
        denied
    );
    assert_eq!(
        refused(
            client
                .pin_certificate(v1::PinCertificateRequest::default())
                .await
        ),
        denied
    );
    let import = client.import_agencies(v1::ImportAgenciesRequest::default());
    assert_eq!(refused(import.await), denied);
    let refusals = v1::SearchRequest {
        refused: true,
        ..Default::default()
    };
    assert_eq!(refused(client.search(refusals).await), denied);
    let Error::Protocol { status, .. } = client.info(v1::InfoRequest {}).await.unwrap_err() else {
        panic!("operations are served to systems")
    };
    assert_eq!(status.code(), Code::Unimplemented);
    house.close().await;
}

#[tokio::test]
async fn an_operator_changes_the_registry_by_name_and_is_no_system() {
    let house = House::open().await;
    let admin = house.admin().await;
    let agency = ask(&admin).await.unwrap();
    assert!(agency.changed_by.contains("Lan"), "{}", agency.changed_by);
    assert_eq!(agency.systems, ["snv"]);
    let systems = admin
        .list_systems(v1::ListSystemsRequest {})
        .await
        .unwrap()
        .systems;
    assert_eq!(systems.len(), 3);
    let denied = "PERMISSION_DENIED";
    let push = admin
        .push(document("41", &[STC]), v1::PushOptions::default())
        .await;
    assert_eq!(refused(push), denied);
    assert_eq!(
        refused(admin.fetch(v1::FetchRequest::default()).await),
        denied
    );
    assert_eq!(refused(admin.subscribe(1).await), denied);
    assert_eq!(
        refused(admin.report(v1::ReportRequest::default()).await),
        denied
    );
    let twice = v1::AddSystemRequest {
        id: "snv".to_owned(),
        agencies: vec![SNV.to_owned()],
        ..Default::default()
    };
    assert_eq!(refused(admin.add_system(twice).await), "ALREADY_EXISTS");
    house.close().await;
}

#[tokio::test]
async fn reflection_and_health_are_there_for_everybody() {
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    let house = House::open().await;
    let anonymous = Client::connect(&Options::new(house.url())).await.unwrap();
    assert!(anonymous.serving().await.unwrap());
    assert!(house.admin().await.serving().await.unwrap());
    let endpoint = tonic::transport::Endpoint::from_shared(house.url()).unwrap();
    let mut reflection = ServerReflectionClient::new(endpoint.connect().await.unwrap());
    let list = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let answers = reflection
        .server_reflection_info(tokio_stream::iter([list]))
        .await
        .unwrap();
    let answer = answers
        .into_inner()
        .message()
        .await
        .unwrap()
        .unwrap()
        .message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else {
        panic!("no list")
    };
    let names: Vec<_> = list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    for service in [
        "axis.v1.ExchangeService",
        "axis.v1.RegistryService",
        "grpc.health.v1.Health",
    ] {
        assert!(
            names.iter().any(|name| name == service),
            "{service} is not in {names:?}"
        );
    }
    house.close().await;
}

// ---------- certificates ----------

fn pem(name: &str, text: String) -> Pem {
    Pem {
        name: name.into(),
        bytes: text.into_bytes(),
    }
}

fn issue(ca: &CertifiedIssuer<'_, KeyPair>, name: &str) -> Credentials {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ClientAuth,
        ExtendedKeyUsagePurpose::ServerAuth,
    ];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, ca).unwrap();
    Credentials::Certificate {
        chain: pem("leaf.pem", certificate.pem()),
        key: pem("leaf.key", key.serialize_pem()),
    }
}

fn parts(credentials: &Credentials) -> (&Pem, &Pem) {
    match credentials {
        Credentials::Certificate { chain, key } => (chain, key),
        _ => unreachable!(),
    }
}

#[tokio::test]
async fn a_pinned_certificate_is_its_system_and_what_is_shown_must_agree() {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::File::create(&path)
            .unwrap()
            .write_all(bytes)
            .unwrap();
        path
    };
    let server = issue(&ca, "server");
    let (chain, key) = parts(&server);
    let files = TlsFiles {
        certificate: file("server.pem", &chain.bytes),
        key: file("server.key", &key.bytes),
        client_ca: Some(file("ca.pem", ca.pem().as_bytes())),
        client_crl: None,
    };
    let house = House::with(|_, server| server.tls = Some(files)).await;
    let admin = house.admin().await;
    let (pinned, unpinned) = (issue(&ca, "so-noi-vu"), issue(&ca, "ai-do"));
    let pin = |bytes: Vec<u8>| v1::PinCertificateRequest {
        id: "snv".to_owned(),
        certificate: bytes.into(),
        overlap_seconds: None,
    };
    assert_eq!(
        refused(admin.pin_certificate(pin(b"x".to_vec())).await),
        "BAD_ARGUMENT"
    );
    let spki = admin
        .pin_certificate(pin(parts(&pinned).0.bytes.clone()))
        .await
        .unwrap();
    let systems = admin
        .list_systems(v1::ListSystemsRequest {})
        .await
        .unwrap()
        .systems;
    let pins = &systems
        .iter()
        .find(|system| system.id == "snv")
        .unwrap()
        .pins;
    assert_eq!(pins[0].spki_sha256, spki.spki_sha256);
    assert!(
        pins[0].subject.contains("CN=so-noi-vu"),
        "{}",
        pins[0].subject
    );

    let connect = async |credentials: &Credentials| {
        let mut options = Options::new(format!("https://{}", house.address()));
        options.ca = Some(pem("ca.pem", ca.pem()));
        options.credentials = credentials.clone();
        Client::connect(&options).await.unwrap()
    };
    let client = connect(&pinned).await;
    let receipt = push(&client, &document("42", &[STC])).await;
    assert_eq!(receipt.receivers.len(), 1);
    assert_eq!(
        refused(ask(&connect(&unpinned).await).await),
        "UNAUTHENTICATED"
    );
    // A key does over TLS as well.
    ask(&connect(&house.key("stc")).await).await.unwrap();

    // Certificate and metadata together, as other clients may send them.
    let both = async |certificate: &Credentials, system: &str, key: Option<&Credentials>| {
        use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
        let (chain, private) = parts(certificate);
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(ca.pem()))
            .identity(Identity::from_pem(&chain.bytes, &private.bytes));
        let endpoint = Endpoint::from_shared(format!("https://{}", house.address())).unwrap();
        let channel = endpoint.tls_config(tls).unwrap().connect().await.unwrap();
        let mut registry = v1::registry_service_client::RegistryServiceClient::new(channel);
        let mut request = tonic::Request::new(v1::GetAgencyRequest {
            code: SNV.to_owned(),
            ..Default::default()
        });
        request
            .metadata_mut()
            .insert("axis-system", system.parse().unwrap());
        if let Some(Credentials::Key { key, .. }) = key {
            request
                .metadata_mut()
                .insert("axis-key", key.parse().unwrap());
        }
        registry.get_agency(request).await
    };
    let wrong = Credentials::Key {
        system: "snv".to_owned(),
        key: "wrong".to_owned(),
    };
    both(&pinned, "snv", None).await.unwrap();
    both(&pinned, "snv", Some(&house.key("snv"))).await.unwrap();
    both(&unpinned, "stc", Some(&house.key("stc")))
        .await
        .unwrap();
    for refused in [
        both(&pinned, "stc", None).await,
        both(&pinned, "stc", Some(&house.key("stc"))).await,
        both(&pinned, "snv", Some(&wrong)).await,
        both(&unpinned, "snv", None).await,
        both(&unpinned, "snv", Some(&wrong)).await,
    ] {
        assert_eq!(reason(&refused.unwrap_err()), "UNAUTHENTICATED");
    }

    let revoke = v1::RevokeSystemRequest {
        id: "snv".to_owned(),
        key_id: None,
        spki_sha256: Some(spki.spki_sha256),
    };
    assert_eq!(admin.revoke_system(revoke).await.unwrap().pins, 1);
    assert_eq!(refused(ask(&client).await), "UNAUTHENTICATED");
    house.close().await;
}
