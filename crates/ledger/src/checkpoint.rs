//! The checkpoint: the state in memory at a position, so that a start need not read the
//! journal from its beginning.

use std::path::Path;

use journal::disk::Disk;
use journal::{Anchor, durable};
use prost::Message;

use crate::event::Checkpoint;
use crate::fold::FOLD_VERSION;
use crate::id::PackageId;
use crate::open::Open;
use crate::registry::Registry;
use crate::time::Ms;

/// The state that a checkpoint holds.
#[derive(Debug, Default)]
pub(crate) struct Saved {
    pub(crate) position: u64,
    pub(crate) open: Open,
    pub(crate) registry: Registry,
    pub(crate) last_package: Option<PackageId>,
}

const MAGIC: &[u8; 8] = b"AXISCKP1";

/// Writes the checkpoint: temporary, sync, rename.
pub(crate) fn write(disk: &dyn Disk, root: &Path, bytes: &[u8]) -> std::io::Result<()> {
    durable::write_file(disk, &root.join("checkpoint"), bytes)
}

/// The bytes of a checkpoint.
pub(crate) fn encode(
    at: Anchor,
    open: &Open,
    registry: &Registry,
    last_package: Option<PackageId>,
    now: Ms,
) -> Vec<u8> {
    let message = Checkpoint {
        fold_version: FOLD_VERSION,
        position: at.position,
        chain: at.chain.to_vec().into(),
        open: open.encode().into(),
        last_package_id: last_package
            .map(|id| id.as_bytes().to_vec())
            .unwrap_or_default()
            .into(),
        registry: Some(registry.saved()),
        written_at_ms: now.0,
        ..Checkpoint::default()
    };
    let body = message.encode_to_vec();
    let mut bytes = Vec::with_capacity(body.len() + 12);
    bytes.extend(MAGIC);
    bytes.extend(crc32c::crc32c(&body).to_le_bytes());
    bytes.extend(body);
    bytes
}

/// Reads the checkpoint; a bad one, or one of another fold, is ignored.
pub(crate) fn read(disk: &dyn Disk, root: &Path) -> Option<(Saved, Anchor)> {
    let bytes = durable::read_file(disk, &root.join("checkpoint")).ok()??;
    let saved = decode(&bytes);
    if saved.is_none() {
        tracing::warn!("the checkpoint cannot be used; the journal is read from its beginning");
    }
    saved
}

fn decode(bytes: &[u8]) -> Option<(Saved, Anchor)> {
    let body = bytes.strip_prefix(MAGIC)?;
    let (crc, body) = body.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*crc) != crc32c::crc32c(body) {
        return None;
    }
    let message = Checkpoint::decode(body).ok()?;
    if message.fold_version != FOLD_VERSION {
        return None;
    }
    let registry = Registry::restored(message.registry?);
    let anchor = Anchor {
        position: message.position,
        chain: message.chain.as_ref().try_into().ok()?,
    };
    let saved = Saved {
        position: message.position,
        open: Open::decode(&message.open)?,
        registry,
        last_package: PackageId::from_slice(&message.last_package_id),
    };
    Some((saved, anchor))
}
