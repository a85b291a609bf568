//! What a process costs, read from `/proc`.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// Reads CPU time and memory of a running process.
#[derive(Clone, Debug)]
pub struct Proc {
    dir: PathBuf,
}

impl Proc {
    /// The process with this id.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        Self {
            dir: PathBuf::from(format!("/proc/{pid}")),
        }
    }

    /// This process.
    #[must_use]
    pub fn own() -> Self {
        Self {
            dir: PathBuf::from("/proc/self"),
        }
    }

    /// CPU microseconds used so far by all its threads, in user and in kernel mode. The kernel
    /// counts in ticks (mostly 10 ms): take differences over a second or more.
    ///
    /// # Errors
    /// The process is gone.
    pub fn cpu_us(&self) -> Result<u64> {
        let ticks =
            cpu_ticks(&self.read("stat")?).context("/proc/PID/stat has an unknown shape")?;
        Ok(ticks.saturating_mul(1_000_000) / rustix::param::clock_ticks_per_second().max(1))
    }

    /// The largest resident memory so far, or since [`Proc::reset_peak`], in bytes.
    ///
    /// # Errors
    /// The process is gone, or has ended and is not reaped.
    pub fn peak_bytes(&self) -> Result<u64> {
        status_bytes(&self.read("status")?, "VmHWM").context("the process has ended: no VmHWM")
    }

    /// The resident memory now, in bytes.
    ///
    /// # Errors
    /// The process is gone, or has ended and is not reaped.
    pub fn resident_bytes(&self) -> Result<u64> {
        status_bytes(&self.read("status")?, "VmRSS").context("the process has ended: no VmRSS")
    }

    /// Makes the peak begin anew at what is resident now: what one phase adds can be told.
    ///
    /// # Errors
    /// The process is gone or another user's.
    pub fn reset_peak(&self) -> Result<()> {
        use std::io::Write;
        std::fs::OpenOptions::new()
            .write(true)
            .open(self.dir.join("clear_refs"))
            .and_then(|mut file| file.write_all(b"5"))
            .with_context(|| format!("cannot reset the peak of {}", self.dir.display()))
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = self.dir.join(file);
        let bytes =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// `utime` + `stime` of `/proc/PID/stat`. The second field is the program's name in brackets and
/// may hold anything, brackets and spaces too: counting begins behind the last one.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    // The first field here is the third of the line; utime is the 14th, stime the 15th.
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// A line `Name:   123 kB` of `/proc/PID/status`, in bytes.
fn status_bytes(status: &str, name: &str) -> Option<u64> {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kib: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_program_name() {
        let rest = "S 1 7 7 0 -1 4194560 100 0 3 0 250 75 0 0 20 0 5 0 900 1000000 500";
        for name in ["axis", "a b", "tricky) S 1 2", "((", ""] {
            assert_eq!(
                cpu_ticks(&format!("4242 ({name}) {rest}")),
                Some(325),
                "{name}"
            );
        }
        assert_eq!(cpu_ticks("4242 (axis) S 1 7"), None);
        assert_eq!(cpu_ticks(""), None);
    }

    #[test]
    fn memory_is_read_by_its_whole_name() {
        let status = "Name:\taxis\nVmHWMx:\t 1 kB\nVmHWM:\t   12345 kB\nVmRSS:\t     678 kB\n";
        assert_eq!(status_bytes(status, "VmHWM"), Some(12_345 * 1024));
        assert_eq!(status_bytes(status, "VmRSS"), Some(678 * 1024));
        assert_eq!(status_bytes(status, "VmSwap"), None);
        assert_eq!(status_bytes("VmHWM: many kB", "VmHWM"), None);
    }

    #[test]
    fn this_process_has_a_cost() {
        let own = Proc::of(std::process::id());
        let before = own.cpu_us().unwrap();
        let mut sum = 0_u64;
        while own.cpu_us().unwrap() < before + 30_000 {
            sum = (0..100_000).fold(sum, |sum, n| std::hint::black_box(sum ^ n));
        }
        let (peak, resident) = (own.peak_bytes().unwrap(), own.resident_bytes().unwrap());
        assert!(
            peak >= 256 * 1024 && resident >= 256 * 1024,
            "{peak} {resident}"
        );
        own.reset_peak().unwrap();
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        assert!(Proc::of(u32::MAX).cpu_us().is_err());
        assert!(Proc::of(u32::MAX).peak_bytes().is_err());
    }
}
