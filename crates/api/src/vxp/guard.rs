//! Who may call from where: networks, times, and requests that come a second time.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use exchange::Proof;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use vxp::signature::Claim;

/// Signatures whose address is remembered. The SDK makes one for each object and parameters.
const REMEMBERED: usize = 100_000;

/// The networks of this machine alone.
pub(super) fn loopback() -> Vec<IpNet> {
    let v4 = Ipv4Net::new(Ipv4Addr::new(127, 0, 0, 0), 8).map(IpNet::V4);
    let v6 = Ipv6Net::new(Ipv6Addr::LOCALHOST, 128).map(IpNet::V6);
    // 8 and 128 are lengths of prefixes.
    v4.into_iter().chain(v6).collect()
}

/// Whether an address lies in one of the networks.
pub(super) fn lies_in(address: IpAddr, networks: &[IpNet]) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// A request's signature, as a proof of the key.
#[derive(Debug)]
pub(super) struct Signature<'a>(pub(super) &'a Claim);

impl Proof for Signature<'_> {
    fn holds(&self, key: &str) -> bool {
        self.0.is_signed_with(key.as_bytes())
    }
}

/// From where each signature came first. The protocol has no number used once, so that whoever
/// sees a request can send it again; what reads is then at least answered to no other address.
#[derive(Debug, Default)]
pub(super) struct Seen {
    seen: Mutex<Remembered>,
}

#[derive(Debug, Default)]
struct Remembered {
    from: HashMap<[u8; 32], IpAddr>,
    order: VecDeque<[u8; 32]>,
}

impl Seen {
    /// Whether the signature may come from there: it is new, or came from there before.
    pub(super) fn may_come(&self, signature: [u8; 32], from: IpAddr) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = seen.from.get(&signature) {
            return *first == from;
        }
        if seen.order.len() >= REMEMBERED
            && let Some(oldest) = seen.order.pop_front()
        {
            seen.from.remove(&oldest);
        }
        seen.order.push_back(signature);
        seen.from.insert(signature, from);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sc_02_this_machine_is_this_machine() {
        let networks = loopback();
        for near in ["127.0.0.1", "127.3.2.1", "::1"] {
            assert!(lies_in(near.parse().unwrap(), &networks), "{near}");
        }
        for far in ["128.0.0.1", "10.0.0.1", "::2", "::ffff:127.0.0.1"] {
            assert!(!lies_in(far.parse().unwrap(), &networks), "{far}");
        }
    }

    #[test]
    fn sc_03_a_signature_belongs_to_the_address_it_came_from_first() {
        let seen = Seen::default();
        let (here, there) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        assert!(seen.may_come([1; 32], here));
        assert!(seen.may_come([1; 32], here));
        assert!(!seen.may_come([1; 32], there));
        assert!(seen.may_come([2; 32], there));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let seen = Seen::default();
        let here = "10.0.0.1".parse().unwrap();
        for n in 0..REMEMBERED as u64 + 10 {
            let mut signature = [0; 32];
            signature[..8].copy_from_slice(&n.to_le_bytes());
            assert!(seen.may_come(signature, here));
        }
        let remembered = seen.seen.lock().unwrap();
        assert_eq!(remembered.from.len(), REMEMBERED);
        assert_eq!(remembered.order.len(), REMEMBERED);
    }
}
