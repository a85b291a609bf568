//! The ends of the listeners' certificates, told to the exchange, which raises an alert in
//! time. The files are read again and again: a renewal is seen without a restart.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use exchange::Exchange;
use ledger::time::Ms;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
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

/// When the first certificate of a chain ends; `None` while the file cannot be read.
fn end(file: &Path) -> Option<Ms> {
    let pem = std::fs::read(file).ok()?;
    let ends = CertificateDer::pem_slice_iter(&pem)
        .flatten()
        .filter_map(|der| {
            let (_, certificate) = x509_parser::parse_x509_certificate(&der).ok()?;
            Some(Ms(certificate.validity().not_after.timestamp() * 1_000))
        });
    ends.min()
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
}
