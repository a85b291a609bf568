//! What is tried on any bytes at all, one plain function an entry. Each panics if a promise is
//! broken, and does nothing else; a fuzzer needs no more.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use vxp::answer::Received;
use vxp::list::{BESIDE, ListReader, ROW};
use vxp::package::PackageBody;
use vxp::signature::{Claim, PREFIX};

/// A name and what is done.
pub(crate) type Body = (&'static str, fn(&[u8]));

/// All of them.
pub(crate) const BODIES: &[Body] = &[("headers", headers), ("list", list), ("body", body)];

/// Lines of headers, as they may come: what is read was signed, stands in a header, and is signed
/// by no secret that did not sign it.
pub(crate) fn headers(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n').take(100) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts
            .next()
            .and_then(|name| HeaderName::from_bytes(name).ok());
        let value = parts.next().map(HeaderValue::from_bytes);
        if let (Some(name), Some(Ok(value))) = (name, value) {
            headers.append(name, value);
        }
    }
    let Ok(claim) = Claim::read(&headers) else {
        return;
    };
    assert!(!claim.system().is_empty());
    assert!(!claim.is_signed_with(b"a secret that signed nothing"));
    let _ = claim.timestamp();
    for (name, value) in claim.parameters().iter() {
        let header = format!("{PREFIX}{name}");
        let has = headers.get(header.as_str());
        let has = has.map(|has| has.as_bytes().trim_ascii());
        assert_eq!(has, Some(value.trim_ascii().as_bytes()));
    }
}

/// A list: read in pieces of any size it is the same, and no row is larger than may be.
pub(crate) fn list(bytes: &[u8]) {
    let read = |piece: usize| {
        let mut reader = ListReader::<Received>::default();
        let mut rows = Vec::new();
        let mut fault = None;
        for chunk in bytes.chunks(piece) {
            if let Err(error) = reader.push(chunk, |row| rows.push(row)) {
                fault = Some(error.to_string());
                break;
            }
        }
        let end = match fault {
            None => reader.end().map_err(|error| error.to_string()),
            Some(fault) => Err(fault),
        };
        (rows, end.is_ok())
    };
    let whole = read(bytes.len().max(1));
    assert_eq!(read(bytes.len() % 61 + 1), whole);
    assert!(bytes.len() <= ROW + BESIDE || whole.0.len() <= bytes.len());
}

/// The body of a package: cut anywhere it gives the same bytes or the same refusal, and what it
/// gives has the hash that was announced.
pub(crate) fn body(bytes: &[u8]) {
    use sha2::Digest as _;
    let (announced, body) = bytes.split_at(bytes.len().min(64));
    let announced = String::from_utf8_lossy(announced);
    let true_hash = vxp::hash::write(
        &sha2::Sha256::digest(body).into(),
        vxp::hash::HashForm::Unpadded,
    );
    for announced in [announced.as_ref(), true_hash.as_str()] {
        let take = |piece: usize| {
            let mut package = PackageBody::new(announced);
            let mut out = Vec::new();
            for chunk in body.chunks(piece) {
                package.push(&Bytes::copy_from_slice(chunk), |bytes| out.extend(bytes))?;
            }
            package.end(|bytes| out.extend(bytes))?;
            Ok::<_, vxp::package::BodyFault>(out)
        };
        assert_eq!(take(body.len() % 13 + 1), take(body.len().max(1)));
    }
}
