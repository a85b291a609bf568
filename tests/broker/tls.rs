//! `amqps://`: who the broker is is known, and who the axis is.

use std::path::{Path, PathBuf};

use bus::Amqp;
use bus::amqp::{AmqpConfig, Cause, Link, LinkState};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use testkit::{Broker, Vhost};

use crate::house::until;
use crate::suite::{fresh, publish};

/// An authority, the broker's certificate, the axis's: PEM files.
#[derive(Debug)]
pub(crate) struct Papers {
    folder: tempfile::TempDir,
}

impl Papers {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        write("ca.pem", &authority.pem());
        for (name, usage) in [
            ("broker", ExtendedKeyUsagePurpose::ServerAuth),
            ("axis", ExtendedKeyUsagePurpose::ClientAuth),
        ] {
            let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params.extended_key_usages = vec![usage];
            let key = KeyPair::generate().unwrap();
            let signed = params.signed_by(&key, &authority).unwrap();
            write(&format!("{name}.pem"), &signed.pem());
            write(&format!("{name}.key"), &key.serialize_pem());
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// The broker listens for TLS with these, and asks clients for a certificate if `ask`.
    pub(crate) fn listen(&self, broker: &Broker, ask: bool) -> u16 {
        let [ca, cert, key] = ["ca.pem", "broker.pem", "broker.key"].map(|name| self.path(name));
        broker.listen_tls(&ca, &cert, &key, ask).unwrap()
    }

    /// `[bus]` of a daemon that comes with these.
    pub(crate) fn bus(&self, url: &str) -> String {
        let quoted = |name: &str| Path::display(&self.path(name)).to_string();
        format!(
            "[bus]\nurl = \"{url}\"\n[bus.tls]\nca = \"{}\"\ncert = \"{}\"\nkey = \"{}\"\n",
            quoted("ca.pem"),
            quoted("axis.pem"),
            quoted("axis.key"),
        )
    }
}

pub(crate) async fn a_broker_is_believed_by_its_authority_and_lets_in_who_has_a_certificate(
    broker: &Broker,
    vhost: &Vhost,
) {
    let (ours, foreign) = (Papers::new(), Papers::new());
    let (asks, asks_not) = (ours.listen(broker, true), ours.listen(broker, false));
    let config = |port: u16, authority: &Papers, axis: Option<&Papers>| {
        let Vhost { name, password, .. } = vhost;
        let mut config =
            AmqpConfig::new(&format!("amqps://{name}@127.0.0.1:{port}/{name}")).unwrap();
        config.password = Some(password.clone());
        config.tls.authorities = Some(authority.text("ca.pem"));
        config.tls.certificate = axis.map(|papers| papers.text("axis.pem").into_bytes());
        config.tls.key = axis.map(|papers| papers.text("axis.key").into_bytes());
        config
    };
    for good in [
        config(asks_not, &ours, None),
        config(asks, &ours, Some(&ours)),
    ] {
        let amqp = Amqp::open(good).unwrap();
        until(&amqp, "the bus is up", Link::is_up).await;
        publish(&*amqp, &fresh(), 0..3).await;
    }
    // A broker of another authority is not believed; and this one does not let in whoever comes
    // without a certificate, or with one of another authority. Each is told.
    for (bad, word) in [
        (config(asks_not, &foreign, None), "bus.tls.ca"),
        (config(asks, &ours, None), "bus.tls.cert"),
        (config(asks, &ours, Some(&foreign)), "bus.tls.cert"),
    ] {
        let believes = word == "bus.tls.cert";
        let amqp = Amqp::open(bad).unwrap();
        let link = until(&amqp, "the link tells", |link| {
            let LinkState::Away { cause } = &link.state else {
                panic!("it came in: {link:?}")
            };
            // A reset may overtake the broker's word; the next attempt brings it.
            !matches!(cause, Cause::Starting | Cause::Unreachable { .. })
        })
        .await;
        let LinkState::Away { cause } = link.state else {
            panic!()
        };
        match &cause {
            Cause::Untrusted { .. } => assert!(!believes, "{cause}"),
            Cause::Unwelcome { .. } => assert!(believes, "{cause}"),
            _ => panic!("{cause:?}"),
        }
        assert!(cause.to_string().contains(word), "{cause}");
    }
}
