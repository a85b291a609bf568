//! Who calls: from the connection and the metadata of a call to a [`Caller`].

use std::collections::BTreeMap;
use std::net::SocketAddr;

use exchange::refusal::{Name, Refusal};
use exchange::{Caller, Credentials, Exchange, Operator, Peer, Role};
use tonic::codegen::http::Extensions;
use tonic::metadata::MetadataMap;

use crate::metadata::{ACCOUNT, BY, KEY, SYSTEM};

/// Longest name of a person, in bytes.
const PERSON: usize = 256;

/// Where a connection came in, and what it has shown.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// The public listener.
    Public {
        /// The peer's address.
        remote: SocketAddr,
        /// Of the client certificate that the handshake has verified: the pin.
        certificate: Option<[u8; 32]>,
    },
    /// The admin socket.
    Admin {
        /// The peer's user id, as the kernel tells it.
        uid: u32,
    },
}

/// The caller of one call.
///
/// A certificate that is pinned to no system counts as none. What is shown must be right and
/// speak of one system: a wrong key beside a right certificate is refused.
pub(crate) fn caller(
    exchange: &Exchange,
    roles: &BTreeMap<u32, Role>,
    origin: &Origin,
    metadata: &MetadataMap,
) -> Result<Caller, Refusal> {
    match origin {
        Origin::Admin { uid } => operator(roles, *uid, metadata).map(Caller::Operator),
        Origin::Public { certificate, .. } => {
            let text = |name| {
                let value = metadata.get(name);
                value
                    .map(|value| value.to_str().map_err(|_| unknown()))
                    .transpose()
            };
            let (system, key) = (text(SYSTEM)?, text(KEY)?);
            if let Some(account) = text(ACCOUNT)? {
                // A person is no system: what is shown must speak of one.
                let (None, Some(key)) = (system, key) else {
                    return Err(unknown());
                };
                return exchange
                    .authenticate_account(account, key)
                    .map(Caller::Operator);
            }
            let pinned = certificate
                .map(|spki_sha256| exchange.authenticate(Credentials::Certificate { spki_sha256 }));
            let peer = match (pinned, system, key) {
                (Some(Ok(peer)), None, None) => peer,
                (Some(Ok(peer)), Some(system), None) => same(peer, system)?,
                (Some(Ok(peer)), Some(system), Some(key)) => {
                    exchange.authenticate(Credentials::Key { system, key })?;
                    same(peer, system)?
                }
                (_, Some(system), Some(key)) => {
                    exchange.authenticate(Credentials::Key { system, key })?
                }
                (Some(Err(refusal)), _, None) => return Err(refusal),
                (_, _, _) => return Err(unknown()),
            };
            Ok(Caller::System(peer))
        }
    }
}

fn unknown() -> Refusal {
    Refusal::new(Name::Unauthenticated)
}

fn same(peer: Peer, system: &str) -> Result<Peer, Refusal> {
    if peer.system().as_str() == system {
        return Ok(peer);
    }
    Err(unknown().at(
        SYSTEM,
        format!("Chứng thư thuộc hệ thống khác, không phải {system:?}."),
        format!("The certificate belongs to another system than {system:?}."),
    ))
}

fn operator(
    roles: &BTreeMap<u32, Role>,
    uid: u32,
    metadata: &MetadataMap,
) -> Result<Operator, Refusal> {
    let own = rustix::process::geteuid().as_raw();
    let role = if uid == 0 || uid == own {
        Some(Role::Operator)
    } else {
        roles.get(&uid).copied()
    };
    let Some(role) = role else {
        return Err(Refusal::new(Name::PermissionDenied).at(
            "uid",
            format!("Cổng quản trị chỉ dành cho root, tài khoản chạy trục (uid {own}) và các uid trong [roles]."),
            format!("The admin socket is for root, the axis's own account (uid {own}) and those named in [roles]."),
        ));
    };
    let person = match metadata.get_bin(BY) {
        None => String::new(),
        Some(value) => value
            .to_bytes()
            .ok()
            .and_then(|bytes| String::from_utf8(bytes.to_vec()).ok())
            .filter(|person| person.len() <= PERSON && !person.contains(char::is_control))
            .ok_or_else(|| {
                Refusal::argument(
                    BY,
                    format!("Tên người thực hiện phải là UTF-8, tối đa {PERSON} byte."),
                    format!("The person's name must be UTF-8 of at most {PERSON} bytes."),
                )
            })?,
    };
    Ok(Operator {
        uid,
        person,
        account: String::new(),
        role,
    })
}

/// The caller that the door has put beside the request.
pub(crate) fn of(extensions: &Extensions) -> Result<&Caller, Refusal> {
    extensions.get().ok_or_else(unknown)
}

/// The calling system; an operator is none.
pub(crate) fn system(extensions: &Extensions) -> Result<&Peer, Refusal> {
    match of(extensions)? {
        Caller::System(peer) => Ok(peer),
        Caller::Operator(_) => Err(Refusal::new(Name::PermissionDenied).at(
            SYSTEM,
            "Chỉ hệ thống kết nối được gọi; cổng quản trị không thay mặt hệ thống nào.",
            "This is for systems; the admin socket speaks for none.",
        )),
    }
}

/// The calling operator; a system is none.
pub(crate) fn operator_of(extensions: &Extensions) -> Result<&Operator, Refusal> {
    match of(extensions)? {
        Caller::Operator(operator) => Ok(operator),
        Caller::System(_) => Err(Refusal::new(Name::PermissionDenied).at(
            "",
            "Chỉ quản trị viên được thay đổi, qua cổng quản trị trên máy chạy trục.",
            "Changes are for operators, at the admin socket on the axis's own machine.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::metadata::BinaryMetadataValue;

    fn by(bytes: &[u8]) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        metadata.insert_bin(BY, BinaryMetadataValue::from_bytes(bytes));
        metadata
    }

    #[test]
    fn the_admin_socket_is_for_root_and_the_axis_own_account() {
        let own = rustix::process::geteuid().as_raw();
        let none = BTreeMap::new();
        for uid in [0, own] {
            let known = operator(&none, uid, &by("Nguyễn Văn A".as_bytes())).unwrap();
            assert_eq!((known.uid, known.person.as_str()), (uid, "Nguyễn Văn A"));
        }
        let stranger = operator(&none, own + 1, &MetadataMap::new()).unwrap_err();
        assert_eq!(stranger.name, Name::PermissionDenied);
        let roles = BTreeMap::from([(own + 1, Role::Registrar)]);
        let registrar = operator(&roles, own + 1, &MetadataMap::new()).unwrap();
        assert_eq!(registrar.role, Role::Registrar);
        assert_eq!(
            operator(&none, own, &MetadataMap::new()).unwrap().person,
            ""
        );
    }

    #[test]
    fn a_persons_name_is_text_of_bounded_length() {
        let own = rustix::process::geteuid().as_raw();
        for bad in [&[0xff, 0xfe][..], "a\nb".as_bytes(), &[b'x'; PERSON + 1]] {
            let refused = operator(&BTreeMap::new(), own, &by(bad)).unwrap_err();
            assert_eq!(refused.name, Name::BadArgument);
            assert_eq!(refused.details[0].path, BY);
        }
    }

    #[test]
    fn an_operator_is_no_system_and_nobody_is_nobody() {
        let mut extensions = Extensions::new();
        assert_eq!(of(&extensions).unwrap_err().name, Name::Unauthenticated);
        extensions.insert(Caller::Operator(Operator {
            uid: 0,
            person: String::new(),
            ..Operator::default()
        }));
        assert!(operator_of(&extensions).is_ok());
        assert_eq!(
            system(&extensions).unwrap_err().name,
            Name::PermissionDenied
        );
    }
}
