//! `axis pki`: an authority, a server certificate and client certificates for a province that
//! has no other. Keys are ECDSA P-256, files PEM, private keys mode 0600. Nothing is overwritten.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Subcommand;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use crate::failure::Failure;
use crate::output;

/// Ten years.
const AUTHORITY_DAYS: u32 = 3_653;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make an authority and a server certificate
    Init {
        /// The folder; made if it is not there
        dir: PathBuf,
        /// A name or address under which the server is called; may be given more than once
        /// [default: localhost 127.0.0.1 ::1]
        #[arg(long = "san", value_name = "NAME")]
        names: Vec<String>,
        /// Days for which the server certificate is valid; the authority's is valid for ten years
        #[arg(long, default_value_t = 825, value_parser = clap::value_parser!(u32).range(1..=3_653))]
        days: u32,
    },
    /// Make a client certificate for a system
    Issue {
        /// The folder that `axis pki init` made
        dir: PathBuf,
        /// The system: it names the files and stands in the certificate
        name: String,
        /// Days for which the certificate is valid
        #[arg(long, default_value_t = 825, value_parser = clap::value_parser!(u32).range(1..=3_653))]
        days: u32,
    },
}

/// Runs `axis pki`.
///
/// # Errors
/// A file that is there already, or one that cannot be read or written.
pub(crate) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Init { dir, names, days } => init(&dir, names, days),
        Command::Issue { dir, name, days } => issue(&dir, &name, days),
    }
}

fn init(dir: &Path, mut names: Vec<String>, days: u32) -> Result<(), Failure> {
    if names.is_empty() {
        names = ["localhost", "127.0.0.1", "::1"]
            .map(str::to_owned)
            .to_vec();
    }
    let files = ["ca.pem", "ca.key", "server.pem", "server.key"].map(|name| dir.join(name));
    refuse_existing(&files)?;
    let [ca_pem, ca_key, server_pem, server_key] = files;

    let authority_key = generate()?;
    let mut authority = named("Axis CA", AUTHORITY_DAYS);
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_pem = authority
        .self_signed(&authority_key)
        .map_err(Failure::refused)?
        .pem();

    let mut server = CertificateParams::new(names.clone()).map_err(|error| {
        Failure::usage(format!("--san: {error}; give DNS names or IP addresses"))
    })?;
    dress(&mut server, &names[0], days);
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = generate()?;
    let issuer = Issuer::from_params(&authority, &authority_key);
    let certificate = server.signed_by(&key, &issuer).map_err(Failure::refused)?;

    make_folder(dir)?;
    write_new(&ca_key, &authority_key.serialize_pem(), SECRET)?;
    write_new(&ca_pem, &authority_pem, PUBLIC)?;
    write_new(&server_key, &key.serialize_pem(), SECRET)?;
    write_new(&server_pem, &certificate.pem(), PUBLIC)?;
    sync_folder(dir)?;

    let shown = absolute(dir);
    output::line(format!(
        "Made an authority and a server certificate for {names} in {dir}.\n\
         Keep ca.key away from this machine once the certificates are issued.\n\
         \n\
         In the configuration of the axis (axis serve --config FILE):\n\
         \n\
         [grpc]\n\
         listen = \"{listen}\"\n\
         \n\
         [grpc.tls]\n\
         cert = \"{shown}/server.pem\"\n\
         key = \"{shown}/server.key\"\n\
         client_ca = \"{shown}/ca.pem\"\n\
         \n\
         Next, a certificate for a system:  axis pki issue {dir} SYSTEM",
        names = names.join(", "),
        dir = dir.display(),
        shown = shown.display(),
        listen = if only_local(&names) {
            "127.0.0.1:7401"
        } else {
            "0.0.0.0:7401"
        },
    ))?;
    Ok(())
}

fn issue(dir: &Path, name: &str, days: u32) -> Result<(), Failure> {
    let system: ledger::id::SystemId = name.parse().map_err(Failure::usage)?;
    if ["ca", "server"].contains(&name) {
        return Err(Failure::usage(format!(
            "the name {name} is taken by the authority's own files; take the system's id"
        )));
    }
    let files = [
        dir.join(format!("{system}.pem")),
        dir.join(format!("{system}.key")),
    ];
    refuse_existing(&files)?;
    let [pem, key_file] = files;
    let authority_pem = read(&dir.join("ca.pem"))?;
    let authority_key = KeyPair::from_pem(&read(&dir.join("ca.key"))?).map_err(Failure::refused)?;
    let issuer =
        Issuer::from_ca_cert_pem(&authority_pem, authority_key).map_err(Failure::refused)?;

    let mut client = named(name, days);
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = generate()?;
    let certificate = client.signed_by(&key, &issuer).map_err(Failure::refused)?;
    write_new(&key_file, &key.serialize_pem(), SECRET)?;
    write_new(&pem, &certificate.pem(), PUBLIC)?;
    sync_folder(dir)?;

    let dir = dir.display();
    output::line(format!(
        "Made {dir}/{name}.pem and {dir}/{name}.key, valid for {days} days.\n\
         \n\
         Next, on the axis, a system that calls with it:\n\
         \n\
         axis system add {name} --agency CODE --cert {dir}/{name}.pem --no-key\n\
         \n\
         and at the system:\n\
         \n\
         axis send FILE --server https://HOST:7401 --ca {dir}/ca.pem --cert {dir}/{name}.pem --cert-key {dir}/{name}.key"
    ))?;
    Ok(())
}

fn generate() -> Result<KeyPair, Failure> {
    KeyPair::generate().map_err(Failure::refused)
}

/// Parameters of a certificate whose subject has this name and nothing else.
fn named(name: &str, days: u32) -> CertificateParams {
    let mut params = CertificateParams::default();
    dress(&mut params, name, days);
    params
}

fn dress(params: &mut CertificateParams, name: &str, days: u32) {
    const DAY: Duration = Duration::from_secs(86_400);
    let since_1970 = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let now = date_time_ymd(1970, 1, 1) + Duration::from_secs(since_1970.as_secs());
    // An hour of grace for clocks that run behind.
    params.not_before = now - Duration::from_secs(3_600);
    params.not_after = now + DAY * days;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
}

fn only_local(names: &[String]) -> bool {
    names
        .iter()
        .all(|name| name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()))
}

const PUBLIC: u32 = 0o644;
const SECRET: u32 = 0o600;

fn refuse_existing(files: &[PathBuf]) -> Result<(), Failure> {
    match files.iter().find(|file| file.symlink_metadata().is_ok()) {
        Some(file) => Err(Failure::refused(format!(
            "{} is there already; nothing was changed. Move it away or take another folder or name",
            file.display()
        ))),
        None => Ok(()),
    }
}

fn make_folder(dir: &Path) -> Result<(), Failure> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| Failure::file("make", dir, &error))
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
    written.map_err(|error| Failure::file("write", path, &error))
}

fn sync_folder(dir: &Path) -> Result<(), Failure> {
    File::open(dir)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| Failure::file("sync", dir, &error))
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::refused(format!(
            "{} is not there; make the authority first: axis pki init DIR",
            path.display()
        )),
        _ => Failure::file("read", path, &error),
    })
}

fn absolute(dir: &Path) -> PathBuf {
    dir.canonicalize().unwrap_or_else(|_| dir.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    use rustls::RootCertStore;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::server::WebPkiClientVerifier;

    fn certificate(path: &Path) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(path).unwrap()
    }

    fn now_plus(days: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(
            UnixTime::now().as_secs() + days * 86_400,
        ))
    }

    fn roots(dir: &Path) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(certificate(&dir.join("ca.pem"))).unwrap();
        Arc::new(roots)
    }

    #[test]
    fn what_pki_makes_is_trusted_for_its_purpose_and_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("pki");
        init(&dir, Vec::new(), 30).unwrap();
        issue(&dir, "so-noi-vu", 10).unwrap();

        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = rustls::client::WebPkiServerVerifier::builder_with_provider(
            roots(&dir),
            provider.clone(),
        )
        .build()
        .unwrap();
        let leaf = certificate(&dir.join("server.pem"));
        for name in ["localhost", "127.0.0.1", "::1"] {
            let name = ServerName::try_from(name).unwrap();
            assert!(
                server
                    .verify_server_cert(&leaf, &[], &name, &[], now_plus(29))
                    .is_ok()
            );
            assert!(
                server
                    .verify_server_cert(&leaf, &[], &name, &[], now_plus(31))
                    .is_err()
            );
        }
        let other = ServerName::try_from("axis.example").unwrap();
        assert!(
            server
                .verify_server_cert(&leaf, &[], &other, &[], now_plus(0))
                .is_err()
        );

        let clients = WebPkiClientVerifier::builder_with_provider(roots(&dir), provider)
            .build()
            .unwrap();
        let client = certificate(&dir.join("so-noi-vu.pem"));
        assert!(
            clients
                .verify_client_cert(&client, &[], now_plus(9))
                .is_ok()
        );
        assert!(
            clients
                .verify_client_cert(&client, &[], now_plus(11))
                .is_err()
        );
        assert!(
            clients.verify_client_cert(&leaf, &[], now_plus(0)).is_err(),
            "a server certificate is no client's"
        );
    }

    #[test]
    fn keys_are_secret_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        assert!(
            matches!(issue(dir, "a", 1), Err(Failure::Refused(text)) if text.contains("pki init"))
        );
        init(dir, vec!["axis.example".to_owned()], 1).unwrap();
        issue(dir, "a", 1).unwrap();
        for key in ["ca.key", "server.key", "a.key"] {
            assert_eq!(
                fs::metadata(dir.join(key)).unwrap().permissions().mode() & 0o777,
                0o600,
                "{key}"
            );
        }
        let before = fs::read(dir.join("ca.key")).unwrap();
        assert!(
            matches!(init(dir, Vec::new(), 1), Err(Failure::Refused(text)) if text.contains("there already"))
        );
        assert!(matches!(issue(dir, "a", 1), Err(Failure::Refused(_))));
        assert!(matches!(issue(dir, "../a", 1), Err(Failure::Usage(_))));
        assert!(matches!(issue(dir, "server", 1), Err(Failure::Usage(_))));
        assert_eq!(fs::read(dir.join("ca.key")).unwrap(), before);
    }
}
