//! Identifiers: of packages, deliveries, agencies and systems.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// A text is not an identifier of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct NotAnId {
    /// What was given.
    pub text: String,
    /// What was expected, for people.
    pub expected: &'static str,
}

/// One edXML file: 12 bytes, 24 hex digits. 48 bits of milliseconds, 16 bits node, 32 bits
/// counter. Order never comes from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackageId([u8; 12]);

impl PackageId {
    /// The id with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 12]) -> Self {
        Self(bytes)
    }

    /// Of a slice; `None` unless it has 12 bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }

    /// Builds an id from its three parts; only the low 48 bits of `ms` count.
    #[must_use]
    pub fn from_parts(ms: u64, node: u16, counter: u32) -> Self {
        let mut bytes = [0; 12];
        bytes[..6].copy_from_slice(&ms.to_be_bytes()[2..]);
        bytes[6..8].copy_from_slice(&node.to_be_bytes());
        bytes[8..].copy_from_slice(&counter.to_be_bytes());
        Self(bytes)
    }

    /// The counter in it.
    #[must_use]
    pub fn counter(&self) -> u32 {
        let mut counter = [0; 4];
        counter.copy_from_slice(&self.0[8..]);
        u32::from_be_bytes(counter)
    }

    /// The milliseconds in it.
    #[must_use]
    pub fn ms(&self) -> u64 {
        let mut ms = [0; 8];
        ms[2..].copy_from_slice(&self.0[..6]);
        u64::from_be_bytes(ms)
    }
}

impl fmt::Display for PackageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for PackageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PackageId({self})")
    }
}

impl FromStr for PackageId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let refused = || NotAnId {
            text: text.to_owned(),
            expected: "a package id (24 hex digits)",
        };
        if text.len() != 24 || !text.is_ascii() {
            return Err(refused());
        }
        let mut bytes = [0; 12];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            if !pair.iter().all(u8::is_ascii_hexdigit) {
                return Err(refused());
            }
            let digits = std::str::from_utf8(pair).map_err(|_| refused())?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| refused())?;
        }
        Ok(Self(bytes))
    }
}

/// Package x receiver: UUIDv5 of the package id and the [`AgencyId`], so that making it
/// twice gives the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId(Uuid);

impl DeliveryId {
    /// The namespace of all delivery ids.
    const NAMESPACE: Uuid = Uuid::from_u128(0x6d1f_3b0e_5a0c_5b55_9c0e_6178_6973_0001);

    /// The id of the delivery of `package` to `receiver`.
    #[must_use]
    pub fn of(package: PackageId, receiver: AgencyId) -> Self {
        let mut name = [0; 16];
        name[..12].copy_from_slice(package.as_bytes());
        name[12..].copy_from_slice(&receiver.0.to_be_bytes());
        Self(Uuid::new_v5(&Self::NAMESPACE, &name))
    }

    /// Of a slice; `None` unless it has 16 bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        Uuid::from_slice(bytes).ok().map(Self)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.hyphenated(), f)
    }
}

impl fmt::Debug for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeliveryId({self})")
    }
}

impl FromStr for DeliveryId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        Uuid::try_parse(text).map(Self).map_err(|_| NotAnId {
            text: text.to_owned(),
            expected: "a delivery id (a UUID)",
        })
    }
}

/// A body, for ever: internal, never reused. Its codes and names are dated attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct AgencyId(pub u32);

impl fmt::Display for AgencyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The name of a connected system: 1 to 64 letters, digits, `.`, `_`, `-`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SystemId(std::sync::Arc<str>);

impl SystemId {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SystemId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let fits = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(NotAnId {
                text: text.to_owned(),
                expected: "a system id (1 to 64 letters, digits, '.', '_' or '-')",
            })
        }
    }
}

impl fmt::Display for SystemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SystemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SystemId({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_id_reads_back_from_its_text() {
        let id = PackageId::from_parts(0x0123_4567_89ab, 7, 42);
        assert_eq!(id.to_string(), "0123456789ab00070000002a");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.ms(), 0x0123_4567_89ab);
        assert!("0123456789ab00070000002".parse::<PackageId>().is_err());
        assert!("+123456789ab00070000002a".parse::<PackageId>().is_err());
        assert!("0123456789ab00070000002ế".parse::<PackageId>().is_err());
    }

    #[test]
    fn a_delivery_id_is_made_alike_twice_and_differs_by_receiver() {
        let package = PackageId::from_parts(1, 2, 3);
        let first = DeliveryId::of(package, AgencyId(1));
        assert_eq!(first, DeliveryId::of(package, AgencyId(1)));
        assert_ne!(first, DeliveryId::of(package, AgencyId(2)));
        assert_eq!(first.to_string().parse(), Ok(first));
    }

    #[test]
    fn a_system_id_takes_names_and_refuses_the_rest() {
        assert!("so-noi-vu.1".parse::<SystemId>().is_ok());
        for bad in ["", "a b", "a/b", "ấ", &"x".repeat(65)] {
            assert!(bad.parse::<SystemId>().is_err(), "{bad:?}");
        }
    }
}
