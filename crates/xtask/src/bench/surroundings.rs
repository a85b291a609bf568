//! Where figures were taken: machine, sources, disk. Without these they mean nothing.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use serde::Serialize;

use super::figures::median;
use crate::step;

/// The machine and the sources.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Surroundings {
    /// The processor, as it names itself.
    cpu: String,
    cores: usize,
    memory_kib: u64,
    kernel: String,
    /// The commit built from, and whether the tree differed from it.
    commit: String,
    changed: bool,
    /// The daemon was named by `AXIS_BIN`: the commit above is the driver's tree, and says nothing
    /// of the daemon's.
    binary_given: bool,
}

impl Surroundings {
    pub(super) fn look() -> Result<Self> {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let value = |text: &str, key: &str| {
            let line = text.lines().find(|line| line.starts_with(key));
            let value = line.and_then(|line| line.split_once(':'));
            value.map_or(String::new(), |(_, value)| value.trim().to_owned())
        };
        let memory = value(&read("/proc/meminfo"), "MemTotal");
        let status = step::output("git", &["status", "--porcelain", "--untracked-files=no"]);
        let commit = step::output("git", &["rev-parse", "HEAD"]).unwrap_or_default();
        Ok(Self {
            cpu: value(&read("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_kib: memory.trim_end_matches(" kB").parse().unwrap_or_default(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            commit: commit.trim().to_owned(),
            changed: status.is_ok_and(|status| !status.trim().is_empty()),
            binary_given: std::env::var_os("AXIS_BIN").is_some(),
        })
    }
}

impl std::fmt::Display for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let changed = if self.changed { " with changes" } else { "" };
        let given = if self.binary_given {
            "; the daemon is that of AXIS_BIN, whatever it was built from"
        } else {
            ""
        };
        let gib = self.memory_kib >> 20;
        write!(
            f,
            "{} cores of {}, {gib} GiB, Linux {}; commit {}{changed}{given}",
            self.cores,
            self.cpu,
            self.kernel,
            self.commit.get(..12).unwrap_or("unknown"),
        )
    }
}

/// A file like a journal segment: written over, synced, never grown.
#[derive(Debug)]
pub(super) struct Disk {
    file: File,
    times: Vec<f64>,
}

impl Disk {
    /// Bytes between two syncs: about a batch of small packages.
    const BATCH: usize = 64 << 10;
    const SIZE: usize = 4 << 20;

    /// The disk under `place`.
    pub(super) fn under(place: &Path) -> Result<Self> {
        let folder = tempfile::tempdir_in(place).context("cannot make a folder")?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(folder.path().join("syncs"))?;
        file.write_all(&vec![0; Self::SIZE])?;
        file.sync_all()?;
        Ok(Self {
            file,
            times: Vec::new(),
        })
    }

    /// Times some syncs.
    pub(super) fn try_it(&mut self) -> Result<()> {
        let batch = vec![0x5a; Self::BATCH];
        let _ = self.file.seek(SeekFrom::Start(0))?;
        for _ in 0..16 {
            self.file.write_all(&batch)?;
            let since = Instant::now();
            self.file.sync_data()?;
            self.times.push(since.elapsed().as_secs_f64() * 1e6);
        }
        Ok(())
    }

    /// Microseconds of one `fdatasync` behind a small write: the median.
    pub(super) fn sync_us(&self) -> f64 {
        median(&self.times)
    }
}
