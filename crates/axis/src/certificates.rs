//! The ends of the listeners' certificates and revocation lists, told to the exchange, which raises an alert in
//! time. The files are read again and again: a renewal is seen without a restart.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use exchange::Exchange;
use ledger::time::Ms;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use tokio_util::sync::CancellationToken;

/// How often the files are read.
const EVERY: Duration = Duration::from_secs(60);

/// Watches the files until `stop`.
pub(crate) async fn watch(exchange: Exchange, files: Vec<PathBuf>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(EVERY);
    // What cannot be read for a moment keeps the end that it had.
    let mut known = BTreeMap::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let files = files.clone();
        let read = tokio::task::spawn_blocking(move || {
            let ends = files.into_iter().map(|file| (end(&file), file));
            ends.collect::<Vec<_>>()
        });
        for (end, file) in read.await.unwrap_or_default() {
            if let Some(end) = end {
                known.insert(file.display().to_string(), end);
            }
        }
        exchange.watch_certificates(known.clone());
    }
}

/// When the first certificate of a chain, or the first of some revocation lists, ends; `None`
/// while the file cannot be read, and for a list that names no end.
fn end(file: &Path) -> Option<Ms> {
    let pem = std::fs::read(file).ok()?;
    let certificates = CertificateDer::pem_slice_iter(&pem).flatten();
    let certificates = certificates.filter_map(|der| {
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).ok()?;
        Some(certificate.validity().not_after)
    });
    let lists = CertificateRevocationListDer::pem_slice_iter(&pem).flatten();
    let lists = lists.filter_map(|der| {
        let (_, list) = x509_parser::parse_x509_crl(&der).ok()?;
        list.next_update()
    });
    let ends = certificates.chain(lists).map(|end| end.timestamp());
    ends.min().map(|seconds| Ms(seconds * 1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.pem");
        assert_eq!(end(&file), None);
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2031, 2, 3);
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        #[expect(clippy::disallowed_methods, reason = "a test's file need not last")]
        std::fs::write(&file, pem).unwrap();
        assert_eq!(end(&file), Some(Ms::parse("2031-02-03T00:00:00Z").unwrap()));
    }

    #[test]
    fn the_end_of_a_revocation_list_is_read() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
        let list = rcgen::CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2026, 1, 1),
            next_update: rcgen::date_time_ymd(2027, 1, 1),
            crl_number: rcgen::SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        let issuer = rcgen::Issuer::new(params, key);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clients.crl");
        #[expect(clippy::disallowed_methods, reason = "a test's file need not last")]
        std::fs::write(&file, list.signed_by(&issuer).unwrap().pem().unwrap()).unwrap();
        assert_eq!(end(&file), Some(Ms::parse("2027-01-01T00:00:00Z").unwrap()));
    }
}
