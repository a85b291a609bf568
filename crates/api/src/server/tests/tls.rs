//! TLS: who gets through the handshake, and what of it is seen.

use std::time::Duration;

use bytes::Bytes;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SerialNumber, date_time_ymd,
};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::super::{ServerOptions, TlsFiles, bind};
use super::{SOON, Server, loopback, server};
use crate::caller::Origin;
use crate::certificate::Certificate;
use crate::client::{Client, Credentials, Error, Options, Pem};
use crate::v1;

struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Ca {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).unwrap(),
        }
    }

    fn pem(&self) -> Pem {
        pem("ca.pem", self.issuer.pem())
    }

    fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> (Pem, Pem) {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (
            pem("leaf.pem", certificate.pem()),
            pem("leaf.key", key.serialize_pem()),
        )
    }
}

fn pem(name: &str, text: String) -> Pem {
    Pem {
        name: name.into(),
        bytes: text.into_bytes(),
    }
}

/// A server with TLS whose clients are verified against `clients`.
async fn tls_server(ca: &Ca, clients: Option<&Ca>) -> Server {
    tls_server_with(ca, clients, |_| {}).await
}

async fn tls_server_with(
    ca: &Ca,
    clients: Option<&Ca>,
    change: impl FnOnce(&mut ServerOptions),
) -> Server {
    let (chain, key) = ca.issue(|_| {});
    let folder = tempfile::tempdir().unwrap();
    let file = |pem: &Pem| {
        let path = folder.path().join(&pem.name);
        std::io::copy(
            &mut &pem.bytes[..],
            &mut std::fs::File::create(&path).unwrap(),
        )
        .unwrap();
        path
    };
    let files = TlsFiles {
        certificate: file(&chain),
        key: file(&key),
        client_ca: clients.map(|ca| file(&ca.pem())),
        client_crl: None,
    };
    server(|options| {
        options.tls = Some(files);
        change(options);
    })
    .await
}

fn https(server: &Server, ca: &Ca, credentials: Credentials) -> Options {
    let mut options = Options::new(format!("https://{}", server.running.bound().grpc));
    (options.ca, options.credentials) = (Some(ca.pem()), credentials);
    options
}

async fn push_over_tls(server: &Server, ca: &Ca, credentials: Credentials) -> Result<u64, Error> {
    let client = Client::connect(&https(server, ca, credentials)).await?;
    Ok(client
        .push(Bytes::from_static(b"12345"), v1::PushOptions::default())
        .await?
        .size)
}

fn seen_certificate(server: &Server) -> Option<[u8; 32]> {
    match server.origins.lock().unwrap().last().unwrap() {
        Origin::Public { certificate, .. } => *certificate,
        Origin::Admin { .. } => panic!("not the public door"),
    }
}

#[tokio::test]
async fn a_pinned_certificate_is_seen_by_its_key_and_none_is_none() {
    let (ca, clients) = (Ca::new("servers"), Ca::new("clients"));
    let server = tls_server(&ca, Some(&clients)).await;
    let (chain, key) = clients.issue(|_| {});
    let pin = Certificate::read(&chain.bytes).unwrap().spki_sha256;
    let sent = push_over_tls(&server, &ca, Credentials::Certificate { chain, key }).await;
    assert_eq!(sent.unwrap(), 5);
    assert_eq!(seen_certificate(&server), Some(pin));

    let key = Credentials::Key {
        system: "a".into(),
        key: "b".into(),
    };
    assert_eq!(push_over_tls(&server, &ca, key).await.unwrap(), 5);
    assert_eq!(seen_certificate(&server), None);
}

#[tokio::test]
async fn certificates_of_a_foreign_authority_or_past_their_time_do_not_get_in() {
    let (ca, clients) = (Ca::new("servers"), Ca::new("clients"));
    let server = tls_server(&ca, Some(&clients)).await;
    let (foreign, foreign_key) = Ca::new("foreign").issue(|_| {});
    let (forged, forged_key) = Ca::new("clients").issue(|_| {});
    let (expired, expired_key) = clients.issue(|params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let (early, early_key) = clients.issue(|params| {
        params.not_before = rcgen::date_time_ymd(2090, 1, 1);
        params.not_after = rcgen::date_time_ymd(2091, 1, 1);
    });
    let (server_only, server_only_key) = clients.issue(|params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    for (chain, key, why) in [
        (foreign, foreign_key, "UnknownCA"),
        (forged, forged_key, "alert"),
        (expired, expired_key, "CertificateExpired"),
        (early, early_key, "alert"),
        (server_only, server_only_key, "alert"),
    ] {
        let refused = push_over_tls(&server, &ca, Credentials::Certificate { chain, key }).await;
        let error = refused.unwrap_err();
        assert!(error.is_unreachable(), "{error:?}");
        assert!(error.to_string().contains(why), "{error}");
    }
    assert!(server.origins.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_client_trusts_only_the_authority_it_was_given() {
    let ca = Ca::new("servers");
    let server = tls_server(&ca, None).await;
    let error = push_over_tls(&server, &Ca::new("foreign"), Credentials::None)
        .await
        .unwrap_err();
    assert!(
        error.is_unreachable() && error.to_string().contains("UnknownIssuer"),
        "{error}"
    );
    // Neither side falls back to plain.
    let plain = Options::new(format!("http://{}", server.running.bound().grpc));
    let plain = async { Client::connect(&plain).await?.serving().await }.await;
    assert!(plain.unwrap_err().is_unreachable());
    let mut bare = https(&server, &ca, Credentials::None);
    bare.ca = None;
    assert!(matches!(
        Client::connect(&bare).await.unwrap_err(),
        Error::Options { name: "ca", .. }
    ));
}

#[tokio::test]
async fn who_does_not_shake_hands_is_dropped_and_holds_nobody_up() {
    let ca = Ca::new("servers");
    let server = tls_server_with(&ca, None, |options| {
        options.limits.handshake = Duration::from_millis(400);
    })
    .await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(
            TcpStream::connect(server.running.bound().grpc)
                .await
                .unwrap(),
        );
    }
    // Served while the others hold on.
    assert_eq!(
        push_over_tls(&server, &ca, Credentials::None)
            .await
            .unwrap(),
        5
    );
    for mut stream in silent {
        let closed = tokio::time::timeout(SOON, stream.read(&mut [0; 64]))
            .await
            .unwrap();
        assert!(matches!(closed, Ok(0) | Err(_)));
    }
}

#[tokio::test]
async fn files_that_are_no_certificates_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let attempt = async |files| {
        let mut options = ServerOptions::new(loopback(), folder.path());
        options.tls = Some(files);
        bind(options).await.unwrap_err().to_string()
    };
    let files = TlsFiles {
        certificate: path("a.pem"),
        key: path("a.key"),
        client_ca: None,
        client_crl: None,
    };
    assert!(attempt(files.clone()).await.contains("a.pem"));
    std::fs::File::create(path("a.pem")).unwrap();
    assert!(
        attempt(files.clone())
            .await
            .contains("a.pem holds no certificate")
    );
    let missing = TlsFiles {
        client_ca: Some(path("ca.pem")),
        client_crl: None,
        ..files
    };
    assert!(attempt(missing).await.contains("ca.pem"));
}

impl Ca {
    /// A revocation list with these serial numbers on it.
    fn revoking(&self, number: u64, serials: &[u64]) -> String {
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(2126, 1, 1),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

/// Puts a file in place of another, as an operator's tool does.
#[expect(clippy::disallowed_methods, reason = "a test's file need not last")]
fn replace(path: &std::path::Path, text: &str) {
    let beside = path.with_extension("new");
    std::io::copy(
        &mut text.as_bytes(),
        &mut std::fs::File::create(&beside).unwrap(),
    )
    .unwrap();
    std::fs::rename(beside, path).unwrap();
}

/// Asks until the answer is as wished, at most for a while.
async fn until<T>(mut ask: impl AsyncFnMut() -> T, mut wished: impl FnMut(&T) -> bool) -> T {
    tokio::time::timeout(SOON, async {
        loop {
            let answer = ask().await;
            if wished(&answer) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("it came in time")
}

#[tokio::test]
async fn a_certificate_on_the_revocation_list_is_refused_without_a_restart() {
    let (ca, clients) = (Ca::new("servers"), Ca::new("clients"));
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let put = |name: &str, text: &[u8]| replace(&path(name), std::str::from_utf8(text).unwrap());
    let (chain, key) = ca.issue(|_| {});
    put("server.pem", &chain.bytes);
    put("server.key", &key.bytes);
    put("clients.pem", &clients.pem().bytes);
    put("clients.crl", clients.revoking(1, &[]).as_bytes());
    let server = server(|options| {
        options.tls_reload = Duration::from_millis(50);
        options.tls = Some(TlsFiles {
            certificate: path("server.pem"),
            key: path("server.key"),
            client_ca: Some(path("clients.pem")),
            client_crl: Some(path("clients.crl")),
        });
    })
    .await;
    let credentials = |serial: u64| {
        let (chain, key) = clients.issue(|params| {
            params.serial_number = Some(SerialNumber::from(serial));
        });
        Credentials::Certificate { chain, key }
    };
    let (bad, good) = (credentials(7), credentials(8));
    let open_bad = Client::connect(&https(&server, &ca, bad.clone()))
        .await
        .unwrap();
    let open_good = Client::connect(&https(&server, &ca, good.clone()))
        .await
        .unwrap();
    let ask = async |client: &Client| {
        let package = Bytes::from_static(b"12345");
        client.push(package, v1::PushOptions::default()).await
    };
    ask(&open_bad).await.unwrap();
    ask(&open_good).await.unwrap();

    // A list that cannot be read changes nothing.
    put("clients.crl", b"not a list");
    ask(&open_bad).await.unwrap();
    put("clients.crl", clients.revoking(2, &[7]).as_bytes());
    let refused = until(
        || push_over_tls(&server, &ca, bad.clone()),
        |answer| answer.is_err(),
    );
    refused.await.unwrap_err();
    // The open connection was cut, and the client cannot come back on it.
    let cut = until(|| ask(&open_bad), |answer| answer.is_err());
    cut.await.unwrap_err();
    ask(&open_good).await.unwrap();
    push_over_tls(&server, &ca, good).await.unwrap();
}

#[tokio::test]
async fn a_renewed_certificate_is_served_without_a_restart() {
    let (ca, next) = (Ca::new("servers"), Ca::new("next"));
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let put = |name: &str, bytes: &[u8]| {
        replace(&path(name), std::str::from_utf8(bytes).unwrap());
    };
    let (chain, key) = ca.issue(|_| {});
    put("server.pem", &chain.bytes);
    put("server.key", &key.bytes);
    let server = server(|options| {
        options.tls_reload = Duration::from_millis(50);
        options.tls = Some(TlsFiles {
            certificate: path("server.pem"),
            key: path("server.key"),
            client_ca: None,
            client_crl: None,
        });
    })
    .await;
    push_over_tls(&server, &ca, Credentials::None)
        .await
        .unwrap();
    // Between the two files the pair does not fit: the one before stays in force.
    let (chain, key) = next.issue(|_| {});
    put("server.pem", &chain.bytes);
    put("server.key", &key.bytes);
    until(
        || push_over_tls(&server, &next, Credentials::None),
        |answer| answer.is_ok(),
    )
    .await
    .unwrap();
}
