//! What the axis reads in a certificate: the key that a pin names, and the subject for people.

use std::fmt::Write as _;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use sha2::{Digest, Sha256};
use webpki::EndEntityCert;

/// A certificate could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Neither DER nor PEM with a certificate in it.
    #[error("there is no certificate in DER or PEM form here")]
    NotACertificate,
    /// PEM with several: which one to pin is not for the axis to guess.
    #[error("there are {0} certificates here; give the client's own certificate alone")]
    Several(usize),
    /// The certificate is not well formed.
    #[error("the certificate cannot be read: {0}")]
    Malformed(#[source] webpki::Error),
}

/// Of a client's certificate: what is pinned, and whose it says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// SHA-256 of the DER of its SubjectPublicKeyInfo, as `openssl pkey -pubin -outform der |
    /// sha256sum` tells it. It outlives a renewal with the same key.
    pub spki_sha256: [u8; 32],
    /// The subject for people: `CN=so-noi-vu, O=Sở Nội vụ`.
    pub subject: String,
}

impl Certificate {
    /// Reads one certificate, DER or PEM.
    ///
    /// # Errors
    /// If there is none, more than one, or it is malformed.
    pub fn read(bytes: &[u8]) -> Result<Self, CertificateError> {
        let der = if bytes.first() == Some(&0x30) {
            CertificateDer::from(bytes)
        } else {
            let mut found = CertificateDer::pem_slice_iter(bytes)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|_| CertificateError::NotACertificate)?;
            match found.len() {
                0 => return Err(CertificateError::NotACertificate),
                1 => found.remove(0),
                several => return Err(CertificateError::Several(several)),
            }
        };
        let certificate = EndEntityCert::try_from(&der).map_err(CertificateError::Malformed)?;
        Ok(Self {
            spki_sha256: hash(&certificate),
            subject: subject(certificate.subject()),
        })
    }
}

/// The pin of a peer's leaf certificate.
pub(crate) fn spki_sha256(leaf: &CertificateDer<'_>) -> Result<[u8; 32], webpki::Error> {
    EndEntityCert::try_from(leaf).map(|certificate| hash(&certificate))
}

fn hash(certificate: &EndEntityCert<'_>) -> [u8; 32] {
    Sha256::digest(certificate.subject_public_key_info()).into()
}

/// A distinguished name (DER, without its outer tag) for people; unknown attributes are left
/// out, and what is no DER ends the text: it is for reading, nothing is decided by it.
fn subject(mut name: &[u8]) -> String {
    let mut text = String::new();
    while let Some((_, mut set)) = element(&mut name) {
        while let Some((_, mut pair)) = element(&mut set) {
            let (Some((_, oid)), Some((_, value))) = (element(&mut pair), element(&mut pair))
            else {
                break;
            };
            let label = match oid {
                [0x55, 4, 3] => "CN",
                [0x55, 4, 5] => "serialNumber",
                [0x55, 4, 6] => "C",
                [0x55, 4, 7] => "L",
                [0x55, 4, 8] => "ST",
                [0x55, 4, 10] => "O",
                [0x55, 4, 11] => "OU",
                _ => continue,
            };
            let comma = if text.is_empty() { "" } else { ", " };
            let value = String::from_utf8_lossy(value);
            let value = value.replace(|c: char| c.is_control(), "");
            // Writing to a String cannot fail.
            let _ = write!(text, "{comma}{label}={value}");
        }
    }
    text
}

/// Takes one DER element (tag, content) off the front.
fn element<'a>(input: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let digits = usize::from(first & 0x7f);
        if digits == 0 || digits > 3 || rest.len() < digits {
            return None;
        }
        length = rest[..digits]
            .iter()
            .fold(0, |sum, &byte| (sum << 8) | usize::from(byte));
        rest = &rest[digits..];
    }
    let content = rest.get(..length)?;
    *input = &rest[length..];
    Some((tag, content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, PublicKeyData};

    fn made() -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new(vec!["x".to_owned()]).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "so-noi-vu");
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Sở Nội vụ");
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap(), key)
    }

    #[test]
    fn pem_and_der_give_the_same_pin_and_subject() {
        let (certificate, key) = made();
        let der = Certificate::read(certificate.der()).unwrap();
        let pem = Certificate::read(certificate.pem().as_bytes()).unwrap();
        assert_eq!(der, pem);
        let expected: [u8; 32] = Sha256::digest(key.subject_public_key_info()).into();
        assert_eq!(der.spki_sha256, expected);
        assert!(der.subject.contains("CN=so-noi-vu"), "{}", der.subject);
        assert!(der.subject.contains("O=Sở Nội vụ"), "{}", der.subject);
    }

    #[test]
    fn what_is_no_single_certificate_is_refused() {
        let (certificate, _) = made();
        let two = [certificate.pem(), certificate.pem()].concat();
        assert!(matches!(
            Certificate::read(two.as_bytes()),
            Err(CertificateError::Several(2))
        ));
        for bad in [&b""[..], b"hello", b"-----BEGIN CERTIFICATE-----\nnonsense"] {
            let refused = Certificate::read(bad);
            assert!(
                matches!(refused, Err(CertificateError::NotACertificate)),
                "{refused:?}"
            );
        }
        let der = certificate.der();
        for length in [1, 2, 5, der.len() / 2, der.len() - 1] {
            let refused = Certificate::read(&der[..length]);
            assert!(
                matches!(refused, Err(CertificateError::Malformed(_))),
                "{length}"
            );
        }
    }

    #[test]
    fn a_damaged_name_ends_the_text_and_nothing_else() {
        for bad in [
            &[0x31][..],
            &[0x31, 0xff],
            &[0x31, 0x84, 1, 1, 1, 1],
            &[0x31, 3, 0x30, 9, 6],
        ] {
            assert_eq!(subject(bad), "");
        }
    }
}
