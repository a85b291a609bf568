//! Callers that are not who they say, and calls about what is not theirs.

use std::path::Path;

use api::client::{Client, Credentials, Error, Options, Pem};
use api::v1;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use testkit::{Axis, System};

use crate::house::{
    A, B, C, House, SMALL, SOON, acknowledged, client, document, drain, fetch, fetch_one, push,
    refused, settle, try_client, try_push,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_told_to_check_system_and_key_and_nothing_more() {
    let house = House::new();
    let package = document("d").bytes();
    let wrong = |id: &str, key: &str| System {
        id: id.to_owned(),
        key: key.to_owned(),
    };
    let mut texts = Vec::new();
    for system in [
        wrong("so-a", "wrong"),
        wrong("so-a", &house.b.key),
        wrong("nobody", &house.a.key),
        wrong("so-a", ""),
    ] {
        let client = house.client(&system).await;
        let view = refused(try_push(&client, &package).await);
        assert_eq!(view.name, "UNAUTHENTICATED");
        assert!(
            view.message_en.contains("Check the system id and its key"),
            "{view:?}"
        );
        texts.push((view.message, view.details.len()));
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "an unknown system looks like a wrong key");
    let options = Options::new(format!("http://{}", house.axis.grpc()));
    let nobody = Client::connect(&options).await.unwrap();
    assert_eq!(
        refused(try_push(&nobody, &package).await).name,
        "UNAUTHENTICATED"
    );
    assert!(nobody.serving().await.unwrap(), "health is for everybody");
    // Its key is never in the clear on disk.
    for file in crate::house::files(house.axis.data()) {
        assert_eq!(
            crate::house::find(&file, house.a.key.as_bytes()),
            None,
            "{}",
            file.display()
        );
    }
    assert!(!house.axis.stderr().text().contains(&house.a.key));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settling_is_for_the_receiver_counts_once_and_names_what_is_unknown() {
    let house = House::new();
    let [a, b, c] = [
        house.client(&house.a).await,
        house.client(&house.b).await,
        house.client(&house.c).await,
    ];
    push(&a, &document("d").bytes()).await;
    let (header, _) = fetch_one(&b).await;
    for stranger in [&a, &c] {
        let view = refused(stranger.settle(acknowledged(&header)).await);
        assert_eq!(view.name, "FOREIGN_DELIVERY");
        let request = v1::DownloadRequest {
            delivery_id: header.delivery_id.clone(),
        };
        let download = match stranger.download(request).await {
            Ok(mut deliveries) => deliveries.next().await.map(drop),
            Err(error) => Err(error),
        };
        assert_eq!(refused(download).name, "FOREIGN_DELIVERY");
        let extend = v1::ExtendRequest {
            delivery_id: header.delivery_id.clone(),
        };
        assert_eq!(refused(stranger.extend(extend).await).name, "NOT_FOUND");
    }
    let failed = v1::SettleRequest {
        outcome: v1::Outcome::Failed.into(),
        ..acknowledged(&header)
    };
    assert_eq!(refused(b.settle(failed).await).name, "REASON_MISSING");
    let once = settle(&b, &header).await;
    assert_eq!(
        (once.state(), once.changed),
        (v1::DeliveryState::Acknowledged, true)
    );
    let twice = settle(&b, &header).await;
    assert_eq!(
        (twice.state(), twice.changed),
        (v1::DeliveryState::Acknowledged, false)
    );
    let news = drain(&a).await;
    assert_eq!(news.len(), 1, "settled twice, one 01");

    let mut unknown = acknowledged(&header);
    unknown.delivery_id = "6d1f3b0e-5a0c-5b55-9c0e-617869730001".to_owned();
    let view = refused(b.settle(unknown.clone()).await);
    assert_eq!(view.name, "NOT_FOUND");
    assert!(
        view.details[0].message_en.contains(&unknown.delivery_id),
        "{view:?}"
    );
    unknown.delivery_id = "nonsense".to_owned();
    assert_eq!(refused(b.settle(unknown).await).name, "BAD_ARGUMENT");
    let trace = v1::TraceRequest {
        id: "ffffffffffffffffffffffff".to_owned(),
    };
    assert_eq!(refused(b.trace(trace).await).name, "NOT_FOUND");
    assert!(fetch(&b, 1).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_operators_do_is_not_offered_to_systems() {
    let house = House::new();
    let a = house.client(&house.a).await;
    // The operator's service is not even there.
    let absent = |outcome: Result<(), Error>| match outcome {
        Err(Error::Protocol { status, .. }) => {
            assert_eq!(status.code(), tonic::Code::Unimplemented);
        }
        other => panic!("it is offered to systems: {other:?}"),
    };
    absent(a.queues(v1::QueuesRequest::default()).await.map(drop));
    absent(a.verify(v1::VerifyRequest::default()).await.map(drop));
    absent(a.info(v1::InfoRequest {}).await.map(drop));
    absent(a.redeliver(v1::RedeliverRequest::default()).await.map(drop));
    let not_offered = |outcome: Result<(), Error>| {
        assert_eq!(refused(outcome).name, "PERMISSION_DENIED");
    };
    let add = v1::AddSystemRequest {
        id: "mine".to_owned(),
        agencies: vec![B.to_owned()],
        ..v1::AddSystemRequest::default()
    };
    not_offered(a.add_system(add).await.map(drop));
    let key = v1::AddSystemKeyRequest {
        id: "so-b".to_owned(),
        overlap_seconds: None,
    };
    not_offered(a.add_system_key(key).await.map(drop));
    let revoke = v1::RevokeSystemRequest {
        id: "so-b".to_owned(),
        ..v1::RevokeSystemRequest::default()
    };
    not_offered(a.revoke_system(revoke).await.map(drop));
    let import = v1::ImportAgenciesRequest {
        csv: "code,code_2020,name,parent\nX,,X,\n".into(),
        ..v1::ImportAgenciesRequest::default()
    };
    not_offered(a.import_agencies(import).await.map(drop));
    let refusals = v1::SearchRequest {
        refused: true,
        ..v1::SearchRequest::default()
    };
    not_offered(a.search(refusals).await.map(drop));
    // The list of agencies is for all; of the systems each sees itself.
    let listed = a
        .list_agencies(v1::ListAgenciesRequest::default())
        .await
        .unwrap();
    assert_eq!(listed.agencies.len(), 9);
    let systems = a
        .list_systems(v1::ListSystemsRequest {})
        .await
        .unwrap()
        .systems;
    assert_eq!(
        systems
            .iter()
            .map(|system| system.id.as_str())
            .collect::<Vec<_>>(),
        ["so-a"]
    );
    // And an operator is no system.
    let operator = house.operator().await;
    assert_eq!(
        refused(try_push(&operator, &document("d").bytes()).await).name,
        "PERMISSION_DENIED"
    );
}

/// An authority of its own, for certificates that `axis pki` would not make.
struct Authority(Issuer<'static, KeyPair>);

impl Authority {
    fn new() -> (Self, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        (Self(Issuer::new(params, key)), pem)
    }

    fn client(&self, until: i32) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["so-a".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let pem = params.signed_by(&key, &self.0).unwrap().pem();
        (pem, key.serialize_pem())
    }
}

fn pem(name: &str, text: &str) -> Pem {
    Pem {
        name: name.into(),
        bytes: text.as_bytes().to_vec(),
    }
}

fn run(args: Vec<std::ffi::OsString>) {
    testkit::Cli::new().run(args).unwrap().ok().unwrap();
}

/// An axis with TLS made by `axis pki`, and the folder of its certificates.
pub(crate) fn with_tls(folder: &Path, client_ca: &Path) -> Axis {
    run(args!["pki", "init", folder]);
    let config = format!(
        "{SMALL}[grpc.tls]\ncert = {:?}\nkey = {:?}\nclient_ca = {client_ca:?}\n",
        folder.join("server.pem"),
        folder.join("server.key"),
    );
    let axis = Axis::builder().config(config).start().unwrap();
    axis.register(9).unwrap();
    axis
}

async fn connect(axis: &Axis, ca: &str, chain: &str, key: &str) -> Result<Client, Error> {
    let mut options = Options::new(format!("https://localhost:{}", axis.grpc().port()));
    options.ca = Some(pem("ca", ca));
    options.credentials = Credentials::Certificate {
        chain: pem("chain", chain),
        key: pem("key", key),
    };
    options.timeout = Some(SOON);
    Client::connect(&options).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pinned_certificate_of_the_authority_is_a_system_and_no_other_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let (authority, authority_pem) = Authority::new();
    let client_ca = folder.path().join("clients.pem");
    std::fs::write(&client_ca, &authority_pem).unwrap();
    let pki = folder.path().join("pki");
    let axis = with_tls(&pki, &client_ca);
    let ca = std::fs::read_to_string(pki.join("ca.pem")).unwrap();
    let (good, good_key) = authority.client(2100);
    let (expired, expired_key) = authority.client(2021);
    let (stranger, stranger_key) = Authority::new().0.client(2100);
    let (unpinned, unpinned_key) = authority.client(2100);
    for (name, text, agency) in [
        ("good", &good, A),
        ("expired", &expired, B),
        ("stranger", &stranger, C),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        axis.operate(args![
            "system",
            "add",
            format!("so-{name}"),
            "--agency",
            agency,
            "--no-key",
            "--cert",
            file,
        ])
        .unwrap()
        .ok()
        .unwrap();
    }
    let client = connect(&axis, &ca, &good, &good_key).await.unwrap();
    push(&client, &document("d").bytes()).await;
    // Its certificate is not pinned: a stranger with a valid certificate.
    let client = connect(&axis, &ca, &unpinned, &unpinned_key).await.unwrap();
    assert_eq!(
        refused(try_push(&client, &document("e").bytes()).await).name,
        "UNAUTHENTICATED"
    );
    for (chain, key) in [(&expired, &expired_key), (&stranger, &stranger_key)] {
        // TLS 1.3 tells the client after its side of the handshake: the first call fails at last.
        let outcome = match connect(&axis, &ca, chain, key).await {
            Ok(client) => try_push(&client, &document("f").bytes()).await.map(drop),
            Err(error) => Err(error),
        };
        match outcome {
            Err(error) if error.is_unreachable() => {}
            other => panic!("not cut off: {other:?}"),
        }
    }
    // A client that does not trust this server does not talk to it.
    let wrong_ca = connect(&axis, &authority_pem, &good, &good_key).await;
    assert!(wrong_ca.is_err_and(|error| error.is_unreachable()));
    // Without TLS nobody is let in, and with TLS a revoked certificate neither.
    let plain = try_client(
        &axis,
        &System {
            id: "so-good".into(),
            key: "x".into(),
        },
        SOON,
    )
    .await;
    let outcome = match plain {
        Ok(client) => try_push(&client, &document("g").bytes()).await.map(drop),
        Err(error) => Err(error),
    };
    assert!(outcome.is_err());
    axis.operate(["system", "revoke", "so-good"])
        .unwrap()
        .ok()
        .unwrap();
    let client = connect(&axis, &ca, &good, &good_key).await.unwrap();
    assert_eq!(
        refused(try_push(&client, &document("h").bytes()).await).name,
        "UNAUTHENTICATED"
    );
}

#[test]
fn the_commands_speak_tls_with_what_pki_made() {
    let folder = tempfile::tempdir().unwrap();
    let pki = folder.path().join("pki");
    let axis = with_tls(&pki, &pki.join("ca.pem"));
    run(args!["pki", "issue", pki, "so-a"]);
    let (cert, key) = (pki.join("so-a.pem"), pki.join("so-a.key"));
    axis.operate(args![
        "system", "add", "so-a", "--agency", A, "--no-key", "--cert", cert,
    ])
    .unwrap()
    .ok()
    .unwrap();
    let package = axis.file("a.edxml", &document("a").bytes()).unwrap();
    let ca = pki.join("ca.pem");
    let server = format!("https://localhost:{}", axis.grpc().port());
    let send = |more: Vec<std::ffi::OsString>| {
        let mut args = args!["send", "--json", package, "--server", server];
        args.extend(more);
        testkit::Cli::new().run(args).unwrap()
    };
    let sent = send(args!["--ca", ca, "--cert", cert, "--cert-key", key])
        .ok()
        .unwrap();
    assert_eq!(sent.json().unwrap()[0]["receivers"][0], B);
    let no_ca = send(args!["--cert", cert, "--cert-key", key])
        .code(2)
        .unwrap();
    assert!(no_ca.stderr.contains("--ca"), "{}", no_ca.stderr);
    let half = send(args!["--ca", ca, "--cert", cert]).code(2).unwrap();
    assert!(half.stderr.contains("cert-key"), "{}", half.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_not_a_call_holds_up_nobody() {
    use tokio::io::AsyncWriteExt;
    let house = House::new();
    let mut idle = Vec::new();
    for n in 0..50_usize {
        let mut stream = tokio::net::TcpStream::connect(house.axis.grpc())
            .await
            .unwrap();
        let start: &[u8] = if n % 2 == 0 {
            b"GET / HTTP/1.1\r\n\r\n"
        } else {
            b"PRI * HTT"
        };
        let _ = stream.write_all(start).await;
        idle.push(stream);
    }
    let a = client(&house.axis, &house.a).await;
    push(&a, &document("d").bytes()).await;
}
