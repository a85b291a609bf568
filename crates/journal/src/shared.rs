//! What the writer publishes and readers see.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::anchor::Anchor;
use crate::damage::Trouble;
use crate::disk::{Access, Disk};
use crate::format::Footer;
use crate::payloads::Payloads;
use crate::segment::Segment;
use crate::walk::Run;

/// Open segments that readers share.
const HANDLES: usize = 32;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) folder: PathBuf,
    pub(crate) payloads: Payloads,
    published: RwLock<Published>,
    handles: Mutex<VecDeque<Arc<Segment>>>,
}

/// The journal up to the last synced record.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    /// The sealed segments, from 1; the one in use comes behind them.
    pub(crate) sealed: Vec<Footer>,
    /// Where the synced records end in the segment in use.
    pub(crate) end: u32,
    pub(crate) last: Option<Anchor>,
    /// The positions whose payloads were removed.
    pub(crate) removed: BTreeSet<u64>,
}

impl Published {
    /// The segment in use.
    pub(crate) fn active(&self) -> u32 {
        // As many segments as fit a u32 were opened or made.
        u32::try_from(self.sealed.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1)
    }

    /// Where a segment's records end; `None` if it is not in use yet.
    pub(crate) fn end_of(&self, segment: u32) -> Option<u32> {
        match segment.cmp(&self.active()) {
            std::cmp::Ordering::Less => self
                .sealed
                .get((segment as usize).checked_sub(1)?)
                .map(|f| f.end),
            std::cmp::Ordering::Equal => Some(self.end),
            std::cmp::Ordering::Greater => None,
        }
    }

    /// What the first record of a segment follows from.
    pub(crate) fn start_of(&self, segment: u32) -> Run {
        (segment as usize)
            .checked_sub(2)
            .and_then(|before| self.sealed.get(before))
            .map_or(Run::START, Run::after_sealed)
    }

    /// The segment that holds a position, or would.
    pub(crate) fn segment_of(&self, position: u64) -> u32 {
        let before = self.sealed.partition_point(|footer| footer.last < position);
        u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1)
    }
}

impl Shared {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        folder: PathBuf,
        payloads: Payloads,
        published: Published,
    ) -> Shared {
        let (published, handles) = (RwLock::new(published), Mutex::default());
        Shared {
            disk,
            folder,
            payloads,
            published,
            handles,
        }
    }

    pub(crate) fn published(&self) -> RwLockReadGuard<'_, Published> {
        // Each change is made by infallible statements, so it is whole.
        self.published
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn publish(&self) -> RwLockWriteGuard<'_, Published> {
        self.published
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A segment, opened for reading.
    pub(crate) fn segment(&self, number: u32) -> Result<Arc<Segment>, Trouble> {
        let lock = || self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(segment) = lock().iter().find(|s| s.number == number) {
            return Ok(Arc::clone(segment));
        }
        let opened = Segment::open(self.disk.as_ref(), &self.folder, number, Access::Read)?;
        let segment = Arc::new(opened);
        let mut handles = lock();
        if handles.len() == HANDLES {
            handles.pop_front();
        }
        handles.push_back(Arc::clone(&segment));
        Ok(segment)
    }
}
