//! Systems' keys: 256 random bits each, sealed with the axis's own key.

use std::io::Read as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{constant_time, rand};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ledger::registry::Registry;
use zeroize::Zeroizing;

/// The key file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// It is not there, and systems have keys that it must unseal.
    #[error(
        "the key file {0} is missing, and the systems' keys are sealed with it: put it back from its backup (it is kept apart from the data), then start again"
    )]
    Missing(PathBuf),
    /// Others may read it.
    #[error("the key file {path} may be read by others (mode {mode:04o}): run `chmod 600 {path}`")]
    Open {
        /// Its path.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It does not hold a key.
    #[error("the key file {0} does not hold 64 hex digits: put the right one back from its backup")]
    NotAKey(PathBuf),
    /// It is not the key that sealed the systems' keys.
    #[error(
        "the key file {0} is not the one that the systems' keys were sealed with: put the right one back from its backup"
    )]
    WrongKey(PathBuf),
    /// It cannot be read or written.
    #[error("cannot use the key file {path}")]
    Io {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// No random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

/// Seals and unseals systems' keys.
pub(crate) struct Sealer(LessSafeKey);

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(…)")
    }
}

impl Sealer {
    /// Reads the key file; makes it if there is none and nothing was sealed yet.
    pub(crate) fn open(path: &Path, registry: &Registry) -> Result<Self, KeyFileError> {
        let io = |source| KeyFileError::Io {
            path: path.to_owned(),
            source,
        };
        let sealed = registry.systems().flat_map(|system| &system.keys).next();
        let key = match std::fs::File::open(path) {
            Ok(mut file) => {
                let mode = file.metadata().map_err(io)?.permissions().mode() & 0o777;
                if mode & 0o077 != 0 {
                    return Err(KeyFileError::Open {
                        path: path.to_owned(),
                        mode,
                    });
                }
                let mut text = Zeroizing::new(String::new());
                file.read_to_string(&mut text).map_err(io)?;
                from_hex(text.trim()).ok_or_else(|| KeyFileError::NotAKey(path.to_owned()))?
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                if sealed.is_some() {
                    return Err(KeyFileError::Missing(path.to_owned()));
                }
                make(path)?
            }
            Err(e) => return Err(io(e)),
        };
        let unbound = UnboundKey::new(&AES_256_GCM, &key[..])
            .map_err(|_| KeyFileError::NotAKey(path.to_owned()))?;
        let sealer = Self(LessSafeKey::new(unbound));
        match sealed {
            Some(key) if sealer.unseal(&key.system, &key.sealed).is_none() => {
                Err(KeyFileError::WrongKey(path.to_owned()))
            }
            _ => Ok(sealer),
        }
    }

    /// A new key: its text (shown once) and what is kept.
    pub(crate) fn new_key(&self, system: &str) -> Option<(Zeroizing<String>, Vec<u8>)> {
        let mut key = Zeroizing::new([0; 32]);
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut key[..]).ok()?;
        rand::fill(&mut nonce).ok()?;
        let mut boxed = key.to_vec();
        let nonce_used = Nonce::assume_unique_for_key(nonce);
        self.0
            .seal_in_place_append_tag(nonce_used, Aad::from(system.as_bytes()), &mut boxed)
            .ok()?;
        let sealed = [nonce.as_slice(), &boxed].concat();
        Some((Zeroizing::new(URL_SAFE_NO_PAD.encode(&key[..])), sealed))
    }

    fn unseal(&self, system: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, boxed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut key = Zeroizing::new(boxed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let len = self
            .0
            .open_in_place(nonce, Aad::from(system.as_bytes()), &mut key)
            .ok()?
            .len();
        key.truncate(len);
        Some(key)
    }

    /// The text of a sealed key, as it was told when it was made.
    pub(crate) fn text(&self, system: &str, sealed: &[u8]) -> Option<Zeroizing<String>> {
        let key = self.unseal(system, sealed)?;
        Some(Zeroizing::new(URL_SAFE_NO_PAD.encode(&key[..])))
    }

    /// Whether `text` is the key that was sealed; compared in constant time.
    pub(crate) fn matches(&self, system: &str, sealed: &[u8], text: &str) -> bool {
        let given = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.trim()).unwrap_or_default());
        let Some(key) = self.unseal(system, sealed) else {
            return false;
        };
        constant_time::verify_slices_are_equal(&key, &given).is_ok()
    }
}

fn make(path: &Path) -> Result<Zeroizing<[u8; 32]>, KeyFileError> {
    use std::io::Write as _;
    let io = |source| KeyFileError::Io {
        path: path.to_owned(),
        source,
    };
    let mut key = Zeroizing::new([0; 32]);
    rand::fill(&mut key[..]).map_err(|_| KeyFileError::Random)?;
    let mut text = Zeroizing::new(String::with_capacity(65));
    for byte in key.iter() {
        text.push_str(&format!("{byte:02x}"));
    }
    text.push('\n');
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(io)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(io)?;
    // Its name must last as well: what it seals becomes durable next.
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    std::fs::File::open(folder.unwrap_or_else(|| Path::new(".")))
        .and_then(|folder| folder.sync_all())
        .map_err(io)?;
    Ok(key)
}

fn from_hex(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_again_and_no_other_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("axis.key");
        let sealer = Sealer::open(&path, &Registry::default()).unwrap();
        let (text, sealed) = sealer.new_key("so-noi-vu").unwrap();
        let again = Sealer::open(&path, &Registry::default()).unwrap();
        assert!(again.matches("so-noi-vu", &sealed, &text));
        assert!(!again.matches("so-tai-chinh", &sealed, &text));
        assert!(!again.matches("so-noi-vu", &sealed, ""));
        assert!(!again.matches("so-noi-vu", &sealed, &text[1..]));
        let (other, _) = sealer.new_key("so-noi-vu").unwrap();
        assert!(!again.matches("so-noi-vu", &sealed, &other));
    }

    #[test]
    fn an_open_key_file_is_refused_with_the_line_to_type() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("axis.key");
        drop(Sealer::open(&path, &Registry::default()).unwrap());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = Sealer::open(&path, &Registry::default())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("0644") && error.contains("chmod 600"),
            "{error}"
        );
    }
}
