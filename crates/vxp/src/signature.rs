//! The signed headers: making them, and checking them as they came.

use std::fmt;

use aws_lc_rs::hmac;
use axum::http::header::{HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use sha2::{Digest as _, Sha256};

use crate::timestamp::Timestamp;

/// What every header of the protocol begins with.
pub const PREFIX: &str = "XroadVnpt-";
const SIGNED_NAMES: &str = "xroadvnpt-sign-header-key";
const SIGNED: &str = "xroadvnpt-sign-header";
const SIGNATURE: &str = "xroadvnpt-hash-header";
/// The version that the SDK 2.0.1 says it speaks; not signed, and nothing depends on it.
const VERSION: (&str, &str) = ("xroadvnpt-version", "3.0.201608");
/// The SDK's `User-Agent`.
pub const USER_AGENT: &str = "JAVASDKAgent/1.0.0 XRoad/VPCP";

/// Longest signed text. A list of a thousand receivers in `to` fits.
const LONGEST: usize = 128 << 10;
/// Most parameters of one request. The SDK never forgets one of a client's earlier calls.
const MOST: usize = 64;

/// Names and values of one request, in their order. Names keep their spelling and are found
/// whatever their case.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Parameters(Vec<(String, String)>);

impl fmt::Debug for Parameters {
    /// The names only: a description may hold what is not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

impl Parameters {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds one, or changes the one of that name.
    pub fn set(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        let value = value.into();
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name.to_owned(), value)),
        }
        self
    }

    /// The value of one, if it is there and not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self
            .0
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The headers of a request with these parameters, signed. Values should be US-ASCII: the
    /// official clients and servers damage anything else.
    ///
    /// # Errors
    /// A value that cannot be a header's.
    pub fn sign(&self, secret: &[u8]) -> Result<HeaderMap, InvalidHeaderValue> {
        let mut headers = HeaderMap::with_capacity(self.0.len() + 6);
        let mut text = String::from("{");
        for (name, value) in &self.0 {
            let key = format!("{PREFIX}{name}");
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&quoted(&key));
            text.push(':');
            text.push_str(&quoted(value));
            if let Ok(header) = HeaderName::from_bytes(key.as_bytes()) {
                headers.insert(header, HeaderValue::from_str(value)?);
            }
            if name.eq_ignore_ascii_case("Content-Type") {
                headers.insert("content-type", HeaderValue::from_str(value)?);
            }
        }
        text.push('}');
        let names: Vec<_> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
        let mut signature = String::with_capacity(64);
        for byte in tag.as_ref() {
            signature.push_str(&format!("{byte:02x}"));
        }
        headers.insert(SIGNED_NAMES, HeaderValue::from_str(&names.join(";"))?);
        headers.insert(SIGNED, HeaderValue::from_str(&text)?);
        headers.insert(SIGNATURE, HeaderValue::from_str(&signature)?);
        headers.insert(VERSION.0, HeaderValue::from_static(VERSION.1));
        headers.insert("user-agent", HeaderValue::from_static(USER_AGENT));
        Ok(headers)
    }
}

/// A JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Headers that are no signed request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderFault {
    /// A header is not there.
    #[error("the header {0} is missing")]
    Missing(String),
    /// A header is there more than once.
    #[error("the header {0} stands more than once")]
    Repeated(String),
    /// The signed text or the number of its parameters is beyond all measure.
    #[error("the signed headers are too large")]
    TooLarge,
    /// The signed text is no JSON object of texts.
    #[error("XroadVnpt-sign-header is not one line of JSON with texts as values")]
    NotJson,
    /// The signature is no HMAC-SHA256 in hex.
    #[error("XroadVnpt-hash-header is not 64 hex digits")]
    NotASignature,
    /// What was signed is not what stands in the header.
    #[error("the header {0} is not what was signed")]
    Differs(String),
    /// A signed name is none of the protocol's.
    #[error("{0:?} is signed and no header of this protocol")]
    ForeignName(String),
}

/// What a request claims: read, every signed value found in its header, and *not yet* known to
/// be signed by the system that it names.
///
/// Only signed values count. Headers beside them are not looked at, and parameters that an
/// operation does not need are left alone: the SDK sends those of its earlier calls again.
#[derive(Debug, Clone)]
pub struct Claim {
    parameters: Parameters,
    text: Vec<u8>,
    signature: [u8; 32],
}

impl Claim {
    /// Reads the headers of a request.
    ///
    /// # Errors
    /// [`HeaderFault`].
    pub fn read(headers: &HeaderMap) -> Result<Self, HeaderFault> {
        let text = only(headers, SIGNED)?;
        if text.len() > LONGEST {
            return Err(HeaderFault::TooLarge);
        }
        let signature =
            bytes_of_hex(only(headers, SIGNATURE)?).ok_or(HeaderFault::NotASignature)?;
        let Signed(signed) = serde_json::from_slice(text).map_err(|_| HeaderFault::NotJson)?;
        if signed.len() > MOST {
            return Err(HeaderFault::TooLarge);
        }
        let mut parameters = Parameters::new();
        for (key, value) in &signed {
            let logical = key
                .get(..PREFIX.len())
                .filter(|prefix| prefix.eq_ignore_ascii_case(PREFIX))
                .map(|_| &key[PREFIX.len()..])
                .filter(|name| !name.is_empty());
            let header = HeaderName::from_bytes(key.as_bytes());
            let (Some(logical), Ok(header)) = (logical, header) else {
                return Err(HeaderFault::ForeignName(key.chars().take(64).collect()));
            };
            let spellings = signed
                .iter()
                .filter(|(other, _)| other.eq_ignore_ascii_case(key))
                .count();
            let mut found = 0;
            for has in headers.get_all(&header) {
                found += 1;
                if has.as_bytes().trim_ascii() != value.trim_ascii().as_bytes() {
                    return Err(HeaderFault::Differs(key.clone()));
                }
            }
            match found {
                0 => return Err(HeaderFault::Missing(key.clone())),
                // `docId` and `docid` are two keys and one header; they say the same then.
                found if found <= spellings => {}
                _ => return Err(HeaderFault::Repeated(key.clone())),
            }
            parameters.0.push((logical.to_owned(), value.clone()));
        }
        for name in ["systemid", "timestamp"] {
            if parameters.get(name).is_none() {
                return Err(HeaderFault::Missing(format!("{PREFIX}{name}")));
            }
        }
        Ok(Self {
            parameters,
            text: text.to_vec(),
            signature,
        })
    }

    /// The system that it says it is.
    #[must_use]
    pub fn system(&self) -> &str {
        self.parameters.get("systemid").unwrap_or_default()
    }

    /// When the client's object was made, if that can be read.
    #[must_use]
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.parameters.get("timestamp")?.parse().ok()
    }

    /// Whether the text as it was received is signed with this secret; in constant time.
    #[must_use]
    pub fn is_signed_with(&self, secret: &[u8]) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        hmac::verify(&key, &self.text, &self.signature).is_ok()
    }

    /// The same for the same signed text of the same system, and for no other.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(self.signature).into()
    }

    /// What was signed. Only worth something once [`Claim::is_signed_with`] has said yes.
    #[must_use]
    pub const fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}

fn only<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a [u8], HeaderFault> {
    let mut values = headers.get_all(name).iter();
    let value = values
        .next()
        .ok_or_else(|| HeaderFault::Missing(name.to_owned()))?;
    if values.next().is_some() {
        return Err(HeaderFault::Repeated(name.to_owned()));
    }
    Ok(value.as_bytes().trim_ascii())
}

fn bytes_of_hex(text: &[u8]) -> Option<[u8; 32]> {
    let (pairs, rest) = text.as_chunks::<2>();
    if pairs.len() != 32 || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let digit = |c: u8| char::from(c).to_digit(16);
        let value = digit(*high)? * 16 + digit(*low)?;
        *byte = u8::try_from(value).ok()?;
    }
    Some(bytes)
}

/// The signed text: its keys in their order, each once.
struct Signed(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Signed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Signed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Signed, M::Error> {
                let mut signed: Vec<(String, String)> = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, String>()? {
                    if signed.iter().any(|(known, _)| *known == key) {
                        return Err(serde::de::Error::custom("a key stands twice"));
                    }
                    // One more than is allowed is enough to be told.
                    if signed.len() <= MOST {
                        signed.push((key, value));
                    }
                }
                Ok(Signed(signed))
            }
        }
        deserializer.deserialize_map(Keys)
    }
}
