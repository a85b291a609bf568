//! TLS of the public listener, from PEM files that are read again when they change.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The files of a TLS listener, all PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, then its intermediates.
    pub certificate: PathBuf,
    /// The server's private key: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
    /// Authorities of client certificates. `None`: clients are not asked for one. A client
    /// without a certificate is let in either way and needs its key on every call.
    pub client_ca: Option<PathBuf>,
    /// Revocation lists of those authorities. With them every client certificate must be
    /// covered by one and not be on it.
    pub client_crl: Option<PathBuf>,
}

/// TLS could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not PEM, or holds nothing of the kind needed.
    #[error("{path} holds no {expected} in PEM form")]
    Empty {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        expected: &'static str,
    },
    /// A certificate of an authority cannot be used as one.
    #[error("{path}: not usable as a certificate authority: {source}")]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The authorities cannot verify anybody.
    #[error("the client authorities cannot be used: {0}")]
    Verifier(#[from] VerifierBuilderError),
    /// Certificate and key do not fit together, or the library refuses them.
    #[error("certificate and key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// How often the files are looked at for a change.
pub(crate) const RELOAD: Duration = Duration::from_secs(10);

/// What was read from the files.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// Of new connections.
    pub(crate) config: Arc<ServerConfig>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
}

/// The files and what they last said; read again when one of them changes.
#[derive(Debug)]
pub(crate) struct Current {
    files: TlsFiles,
    /// What is spoken inside: ALPN.
    protocols: &'static [&'static [u8]],
    loaded: ArcSwap<Loaded>,
    /// How the files lay before they were read for the first time: what changes while they are
    /// read is read again.
    first: Vec<Option<Trace>>,
    /// Grows with each reading.
    generation: watch::Sender<u64>,
}

/// What is looked at to see that a file has changed: a replaced one has another inode, one that
/// is written to another time or length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Trace {
    modified: Option<SystemTime>,
    len: u64,
    inode: u64,
}

impl Current {
    /// Reads the files for the first time.
    pub(crate) fn read(
        files: &TlsFiles,
        protocols: &'static [&'static [u8]],
    ) -> Result<Arc<Self>, TlsError> {
        let first = traces(files);
        Ok(Arc::new(Self {
            first,
            loaded: ArcSwap::from_pointee(load(files, protocols)?),
            protocols,
            files: files.clone(),
            generation: watch::channel(0).0,
        }))
    }

    /// For a new connection.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.loaded.load().config)
    }

    /// Tells each reading after this one.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    /// Whether a client's certificate that was accepted before is so still.
    pub(crate) fn accepts(&self, chain: &[CertificateDer<'_>]) -> bool {
        let loaded = self.loaded.load();
        match (chain.split_first(), &loaded.verifier) {
            (None, _) => true,
            (Some((leaf, between)), Some(verifier)) => verifier
                .verify_client_cert(leaf, between, UnixTime::now())
                .is_ok(),
            (Some(_), None) => false,
        }
    }

    /// Looks at the files now and then, until `stop`: what is read again counts for new
    /// connections, and open ones whose client certificate is accepted no more are cut. Files
    /// that cannot be used leave everything as it was, and the log says so.
    pub(crate) async fn keep(self: Arc<Self>, every: Duration, stop: CancellationToken) {
        let mut seen = self.first.clone();
        let mut tick = tokio::time::interval(every);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            let files = self.files.clone();
            // It fails only when the runtime ends.
            let Ok(now) = tokio::task::spawn_blocking(move || traces(&files)).await else {
                return;
            };
            if now == seen {
                continue;
            }
            seen = now;
            let (files, protocols) = (self.files.clone(), self.protocols);
            match tokio::task::spawn_blocking(move || load(&files, protocols)).await {
                Ok(Ok(loaded)) => {
                    self.loaded.store(Arc::new(loaded));
                    self.generation.send_modify(|generation| *generation += 1);
                    tracing::info!("the TLS files were read again");
                }
                Ok(Err(error)) => {
                    tracing::error!(%error, "the TLS files have changed and cannot be used; the ones before stay in force");
                }
                Err(_) => return,
            }
        }
    }
}

fn traces(files: &TlsFiles) -> Vec<Option<Trace>> {
    let paths = [
        Some(&files.certificate),
        Some(&files.key),
        files.client_ca.as_ref(),
        files.client_crl.as_ref(),
    ];
    let trace = |path: &PathBuf| {
        let meta = std::fs::metadata(path).ok()?;
        Some(Trace {
            modified: meta.modified().ok(),
            len: meta.len(),
            inode: meta.ino(),
        })
    };
    paths.into_iter().flatten().map(trace).collect()
}

/// Reads the files into a configuration: TLS 1.2 and 1.3, no resumption (a resumed
/// session would skip the check of the client's certificate).
fn load(files: &TlsFiles, protocols: &[&[u8]]) -> Result<Loaded, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    let verifier = match &files.client_ca {
        None => None,
        Some(path) => {
            let roots = Arc::new(authorities(&read(path)?, path)?);
            let mut verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                .allow_unauthenticated();
            if let Some(path) = &files.client_crl {
                // A client whose authority has no list here is refused: a list that is missing
                // must not let anybody in.
                verifier = verifier
                    .with_crls(revocation_lists(&read(path)?, path)?)
                    .only_check_end_entity_revocation();
            }
            Some(verifier.build()?)
        }
    };
    let builder = match &verifier {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
    };
    let chain = certificates(&read(&files.certificate)?, &files.certificate)?;
    let key = private_key(&read(&files.key)?, &files.key)?;
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Loaded {
        config: Arc::new(config),
        verifier,
    })
}

/// The revocation lists in a PEM text.
fn revocation_lists(
    bytes: &[u8],
    path: &Path,
) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let found: Result<Vec<_>, pem::Error> =
        CertificateRevocationListDer::pem_slice_iter(bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(TlsError::Empty {
            path: path.to_owned(),
            expected: "revocation list (X509 CRL)",
        }),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

/// The certificates in a PEM text; `path` is for the error.
pub(crate) fn certificates(
    bytes: &[u8],
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(TlsError::Empty {
            path: path.to_owned(),
            expected: "certificate",
        }),
    }
}

/// The private key in a PEM text; `path` is for the error.
pub(crate) fn private_key(bytes: &[u8], path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(bytes).map_err(|_| TlsError::Empty {
        path: path.to_owned(),
        expected: "private key",
    })
}

/// The certificates in a PEM text as authorities; `path` is for the error.
pub(crate) fn authorities(bytes: &[u8], path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(bytes, path)? {
        let refused = |source| TlsError::Authority {
            path: path.to_owned(),
            source,
        };
        roots.add(certificate).map_err(refused)?;
    }
    Ok(roots)
}
