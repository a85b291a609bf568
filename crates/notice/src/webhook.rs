//! By webhook: one POST of JSON to an address.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use zeroize::Zeroizing;

use crate::{Notice, SendError, SetupError};

/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the webhook is called.
#[derive(Debug, Clone)]
pub struct WebhookOptions {
    /// The address.
    pub url: String,
    /// The authority of the server's certificate, PEM; `None`: those of the system.
    pub ca: Option<PathBuf>,
    /// The file with a token, sent as `Authorization: Bearer …`.
    pub token_file: Option<PathBuf>,
}

pub(crate) struct Webhook {
    url: String,
    token: Option<Zeroizing<String>>,
    client: reqwest::Client,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").finish_non_exhaustive()
    }
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, SetupError> {
    std::fs::read(path).map_err(|source| SetupError::File {
        path: path.to_owned(),
        source,
    })
}

pub(crate) fn secret(path: &Path) -> Result<Zeroizing<String>, SetupError> {
    let text = std::fs::read_to_string(path).map_err(|source| SetupError::File {
        path: path.to_owned(),
        source,
    });
    let text = Zeroizing::new(text?);
    Ok(Zeroizing::new(text.trim().to_owned()))
}

impl Webhook {
    pub(crate) fn new(options: WebhookOptions) -> Result<Self, SetupError> {
        let mut roots = rustls::RootCertStore::empty();
        match &options.ca {
            Some(path) => {
                for certificate in CertificateDer::pem_slice_iter(&read(path)?).flatten() {
                    roots.add(certificate).map_err(SetupError::Tls)?;
                }
                if roots.is_empty() {
                    return Err(SetupError::NoCertificate(path.clone()));
                }
            }
            None => {
                let _ =
                    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(SetupError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .timeout(PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(SetupError::Webhook)?;
        Ok(Self {
            url: options.url,
            token: options.token_file.as_deref().map(secret).transpose()?,
            client,
        })
    }

    pub(crate) async fn send(&self, notice: &Notice) -> Result<(), SendError> {
        let mut request = self
            .client
            .post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .body(serde_json::to_vec(notice)?);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.as_str());
        }
        // An address may hold a secret: it is in no log.
        let answer = request.send().await.map_err(reqwest::Error::without_url)?;
        answer
            .error_for_status()
            .map_err(reqwest::Error::without_url)?;
        Ok(())
    }
}
