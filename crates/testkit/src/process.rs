//! A child process whose every wait ends.

use std::fmt;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// How long the pipes of an ended child may stay open: a grandchild may still hold them.
const LINGER: Duration = Duration::from_secs(5);

/// A child with its output collected as it comes; killed and reaped when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    /// Stands for this very process: a signal never hits another that got the same number.
    handle: OwnedFd,
    status: Option<ExitStatus>,
    stdout: Output,
    stderr: Output,
}

impl Process {
    /// Starts `command` with its output collected and `stdin` as its input (then closed).
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(command: &mut Command, stdin: Option<Vec<u8>>) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let input = if stdin.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        };
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let handle = handle_of(&child).inspect_err(|_| {
            // Nobody else knows of it yet.
            let _ = child.kill().and_then(|()| child.wait());
        })?;
        if let (Some(mut pipe), Some(bytes)) = (child.stdin.take(), stdin) {
            // On its own thread: a child that does not read must not hold us up. One that ends
            // without reading is its own business.
            let _writer = thread::spawn(move || pipe.write_all(&bytes));
        }
        let stdout = Output::collect(child.stdout.take());
        let stderr = Output::collect(child.stderr.take());
        Ok(Self {
            name,
            child,
            handle,
            status: None,
            stdout,
            stderr,
        })
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to its standard output.
    #[must_use]
    pub fn stdout(&self) -> &Output {
        &self.stdout
    }

    /// What it has written to its standard error.
    #[must_use]
    pub fn stderr(&self) -> &Output {
        &self.stderr
    }

    /// Sends a signal; to a child that has ended it is none.
    ///
    /// # Errors
    /// The system refuses it.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        match pidfd_send_signal(&self.handle, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("cannot signal {}", self.name)),
        }
    }

    /// Waits for the end; `None` when it still runs after `patience`.
    ///
    /// # Errors
    /// The system does not say.
    pub fn wait(&mut self, patience: Duration) -> Result<Option<ExitStatus>> {
        if self.status.is_some() {
            return Ok(self.status);
        }
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).context("too long a wait")?;
            let mut watched = [PollFd::new(&self.handle, PollFlags::IN)];
            match poll(&mut watched, Some(&timeout)) {
                Ok(0) => return Ok(None),
                Ok(_) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot wait for {}", self.name));
                }
            }
        }
        let status = self
            .child
            .wait()
            .with_context(|| format!("cannot reap {}", self.name))?;
        self.status = Some(status);
        let _ = self.stdout.until_closed(LINGER);
        let _ = self.stderr.until_closed(LINGER);
        Ok(self.status)
    }

    /// Ends it with SIGKILL, at once and without any chance to tidy up.
    ///
    /// # Errors
    /// The system refuses it.
    pub fn kill9(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::KILL)?;
        match self.wait(Duration::from_secs(30))? {
            Some(status) => Ok(status),
            None => bail!("{} (process {}) survives SIGKILL", self.name, self.pid()),
        }
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_running(&mut self) -> bool {
        matches!(self.wait(Duration::ZERO), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.status.is_none() {
            let _ = self.kill9();
        }
    }
}

fn handle_of(child: &Child) -> Result<OwnedFd> {
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .context("no process id")?;
    pidfd_open(pid, PidfdFlags::empty()).context("cannot open the child's handle")
}

/// What a child writes to one of its pipes, as far as it has come.
#[derive(Clone)]
pub struct Output {
    shared: Arc<(Mutex<Written>, Condvar)>,
}

#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    closed: bool,
}

impl Output {
    fn collect(pipe: Option<impl Read + Send + 'static>) -> Self {
        let output = Self {
            shared: Arc::default(),
        };
        let shared = Arc::clone(&output.shared);
        let _reader = thread::spawn(move || {
            let mut chunk = [0; 16 * 1024];
            let mut pipe = pipe;
            while let Some(read @ 1..) = pipe.as_mut().and_then(|pipe| read_some(pipe, &mut chunk))
            {
                lock(&shared.0)
                    .bytes
                    .extend_from_slice(chunk.get(..read).unwrap_or_default());
                shared.1.notify_all();
            }
            lock(&shared.0).closed = true;
            shared.1.notify_all();
        });
        output
    }

    /// All of it so far, as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&lock(&self.shared.0).bytes).into_owned()
    }

    /// The last lines so far, for messages.
    #[must_use]
    pub fn tail(&self) -> String {
        let text = self.text();
        let lines: Vec<_> = text.lines().collect();
        lines
            .get(lines.len().saturating_sub(40)..)
            .unwrap_or_default()
            .join("\n")
    }

    /// Waits until `found` makes something of the text so far.
    ///
    /// # Errors
    /// `patience` or the stream is at its end; the message holds the last lines.
    pub fn wait_for<T>(
        &self,
        what: &str,
        patience: Duration,
        mut found: impl FnMut(&str) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + patience;
        let mut written = lock(&self.shared.0);
        loop {
            if let Some(found) = found(&String::from_utf8_lossy(&written.bytes)) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if written.closed || left.is_zero() {
                let why = if written.closed {
                    "the stream ended"
                } else {
                    "the time is over"
                };
                drop(written);
                bail!(
                    "waited in vain for {what}: {why}; last lines:\n{}",
                    self.tail()
                );
            }
            written = self
                .shared
                .1
                .wait_timeout(written, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Waits until the other side has closed; `false` when it has not after `patience`.
    fn until_closed(&self, patience: Duration) -> bool {
        let (lock_, changed) = &*self.shared;
        let (written, _) = changed
            .wait_timeout_while(lock(lock_), patience, |written| !written.closed)
            .unwrap_or_else(PoisonError::into_inner);
        written.closed
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = lock(&self.shared.0);
        write!(
            f,
            "Output({} bytes, closed: {})",
            written.bytes.len(),
            written.closed
        )
    }
}

/// A test that panicked while it held the lock must not hide what the child said.
fn lock(written: &Mutex<Written>) -> MutexGuard<'_, Written> {
    written.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_some(pipe: &mut impl Read, chunk: &mut [u8]) -> Option<usize> {
    loop {
        match pipe.read(chunk) {
            Ok(read) => return Some(read),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> Process {
        Process::start(Command::new("sh").args(["-c", script]), None).unwrap()
    }

    #[test]
    fn both_streams_and_the_code_are_there_at_the_end() {
        let mut child = shell("echo out; echo err >&2; exit 7");
        let status = child.wait(SOON).unwrap().unwrap();
        assert_eq!(status.code(), Some(7));
        assert_eq!(
            (child.stdout().text(), child.stderr().text()),
            ("out\n".into(), "err\n".into())
        );
        assert_eq!(
            child.wait(SOON).unwrap(),
            Some(status),
            "asked again it says the same"
        );
    }

    #[test]
    fn a_wait_ends_though_the_child_does_not() {
        let mut cat = Process::start(Command::new("tail").args(["-f", "/dev/null"]), None).unwrap();
        assert_eq!(cat.wait(Duration::from_millis(20)).unwrap(), None);
        assert!(cat.is_running());
        assert_eq!(cat.kill9().unwrap().code(), None);
        assert!(!cat.is_running());
    }

    #[test]
    fn input_is_given_and_then_closed() {
        let mut child =
            Process::start(&mut Command::new("cat"), Some(vec![b'x'; 1 << 20])).unwrap();
        assert!(child.wait(SOON).unwrap().unwrap().success());
        assert_eq!(child.stdout().text().len(), 1 << 20);
    }

    #[test]
    fn a_line_is_waited_for_and_missed_with_the_reason() {
        let mut child = shell("echo one; echo two");
        let two = child.stdout().wait_for("two", SOON, |text| {
            text.contains("two\n").then_some(text.len())
        });
        assert_eq!(two.unwrap(), 8);
        let never = child
            .stdout()
            .wait_for("three", SOON, |text| text.contains("three").then_some(()));
        let message = never.unwrap_err().to_string();
        assert!(
            message.contains("three") && message.contains("two"),
            "{message}"
        );
        let _ = child.wait(SOON).unwrap();
    }

    #[test]
    fn no_child_outlives_its_handle() {
        let child = Process::start(Command::new("tail").args(["-f", "/dev/null"]), None).unwrap();
        let place = format!("/proc/{}", child.pid());
        assert!(std::path::Path::new(&place).exists());
        drop(child);
        assert!(!std::path::Path::new(&place).exists());
    }
}
