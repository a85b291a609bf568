//! A real daemon as a child.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde::Deserialize;
use tempfile::TempDir;

use crate::binary::axis_binary;
use crate::cli::{Cli, Finished, axis_command};
use crate::proc::Proc;
use crate::process::{Output, Process};

/// The line that `axis serve --json` prints when it serves.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Ready {
    /// Always true; there is no other line.
    pub ready: bool,
    /// Where gRPC listens.
    pub grpc: SocketAddr,
    /// Where the VXP endpoint listens, if it does.
    #[serde(default)]
    pub vxp: Option<SocketAddr>,
    /// Where the console listens, if it does.
    #[serde(default)]
    pub console: Option<SocketAddr>,
    /// The operator's socket.
    pub admin: PathBuf,
}

/// How to start a daemon. Without any setting: an empty temporary data folder, free ports on
/// loopback, no configuration file.
#[derive(Debug)]
pub struct Builder {
    data: Option<PathBuf>,
    config: Option<String>,
    env: Vec<(OsString, OsString)>,
    args: Vec<OsString>,
    launcher: Vec<OsString>,
    binary: Option<PathBuf>,
    patience: Duration,
    expected: Vec<String>,
}

impl Builder {
    /// Uses this data folder, which outlives the daemon.
    #[must_use]
    pub fn data(mut self, dir: impl Into<PathBuf>) -> Self {
        self.data = Some(dir.into());
        self
    }

    /// Gives it this configuration, as TOML.
    #[must_use]
    pub fn config(mut self, toml: impl Into<String>) -> Self {
        self.config = Some(toml.into());
        self
    }

    /// Sets a variable; also one that this builder sets itself.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Adds an argument to `axis serve`.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Starts it through another program: `strace -D -f -o FILE`, for example. With `-D` the
    /// tracer is the grandchild, so that [`Axis::pid`] and signals mean the daemon.
    #[must_use]
    pub fn launcher<A: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = A>) -> Self {
        self.launcher = words
            .into_iter()
            .map(|word| word.as_ref().to_owned())
            .collect();
        self
    }

    /// Starts this binary instead of the one that [`axis_binary`] gives.
    #[must_use]
    pub fn binary(mut self, path: impl Into<PathBuf>) -> Self {
        self.binary = Some(path.into());
        self
    }

    /// How long the start, and later the drain, may take (30 s).
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Expects log lines with this text: a WARN or ERROR that nothing expects fails the test.
    #[must_use]
    pub fn expect_log(mut self, text: impl Into<String>) -> Self {
        self.expected.push(text.into());
        self
    }

    /// Starts the daemon and waits until it serves. Where the start must be *refused*, call
    /// `axis serve` with [`Cli`] and look at code and message.
    ///
    /// # Errors
    /// It ended or said nothing in time; the message holds what it wrote to its standard error.
    pub fn start(self) -> Result<Axis> {
        let scratch = tempfile::tempdir().context("cannot make a temporary folder")?;
        let data = self
            .data
            .clone()
            .unwrap_or_else(|| scratch.path().join("axis-data"));
        let config = match &self.config {
            None => None,
            Some(text) => {
                let path = scratch.path().join("axis.toml");
                write(&path, text.as_bytes())?;
                Some(path)
            }
        };
        let binary = match &self.binary {
            Some(path) => path.clone(),
            None => axis_binary()?,
        };
        let recipe = Recipe {
            builder: self,
            binary,
            data,
            config,
            scratch,
        };
        let (process, ready) = recipe.serve()?;
        Ok(Axis {
            recipe,
            process,
            ready,
        })
    }
}

/// Writes a file of a test, which need not outlast it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::File::create(path)
        .and_then(|mut file| file.write_all(bytes))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// What a start and every restart need.
#[derive(Debug)]
struct Recipe {
    builder: Builder,
    binary: PathBuf,
    data: PathBuf,
    config: Option<PathBuf>,
    scratch: TempDir,
}

impl Recipe {
    fn serve(&self) -> Result<(Process, Ready)> {
        let mut command = axis_command(&self.builder.launcher, &self.binary);
        let _ = command.args(["serve", "--json", "--data"]).arg(&self.data);
        if let Some(config) = &self.config {
            let _ = command.arg("--config").arg(config);
        }
        // Every listener on a free port: tests run side by side.
        let free = ["AXIS_GRPC_LISTEN", "AXIS_VXP_LISTEN", "AXIS_CONSOLE_LISTEN"]
            .map(|name| (name, "127.0.0.1:0"));
        let _ = command
            .args(&self.builder.args)
            .envs(free)
            .envs(self.builder.env.iter().map(|(name, value)| (name, value)));
        let mut process = Process::start(&mut command, None)?;
        let line = process
            .stdout()
            .wait_for("the ready line", self.builder.patience, |text| {
                text.split_once('\n').map(|(line, _)| line.to_owned())
            });
        let ready = line.and_then(|line| {
            let ready: Ready =
                serde_json::from_str(&line).with_context(|| format!("no ready line: {line}"))?;
            anyhow::ensure!(ready.ready, "it says that it is not ready: {line}");
            Ok(ready)
        });
        match ready {
            Ok(ready) => Ok((process, ready)),
            Err(error) => {
                // If it ended by itself its code says more than our signal would.
                let ended = process.wait(Duration::from_millis(500)).ok().flatten();
                let ended =
                    ended.map_or_else(|| "it still runs".to_owned(), |status| status.to_string());
                let _ = process.kill9();
                let said = process.stderr().tail();
                Err(error.context(format!(
                    "axis serve did not become ready ({ended}); stderr:\n{said}"
                )))
            }
        }
    }
}

/// A running daemon, or one that was stopped and can be restarted. Dropping it kills it, and
/// fails the test if its log holds a WARN or ERROR that nothing expects.
#[derive(Debug)]
pub struct Axis {
    recipe: Recipe,
    process: Process,
    ready: Ready,
}

impl Axis {
    /// How to start one.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            data: None,
            config: None,
            env: Vec::new(),
            args: Vec::new(),
            launcher: Vec::new(),
            binary: None,
            patience: Duration::from_secs(30),
            expected: Vec::new(),
        }
    }

    /// Where gRPC listens; another port after each restart.
    #[must_use]
    pub fn grpc(&self) -> SocketAddr {
        self.ready.grpc
    }

    /// All that it said when it was ready.
    #[must_use]
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Its process id; another one after each restart.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it costs.
    #[must_use]
    pub fn proc(&self) -> Proc {
        Proc::of(self.pid())
    }

    /// Its data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.recipe.data
    }

    /// A folder that goes with this handle; not the data folder.
    pub(crate) fn scratch(&self) -> &Path {
        self.recipe.scratch.path()
    }

    /// Log lines of level WARN or ERROR since the last start that nothing expects.
    #[must_use]
    pub fn unexpected_log(&self) -> Vec<String> {
        let text = self.process.stderr().text();
        let loud = text.lines().filter(|line| is_loud(line));
        let expected = &self.recipe.builder.expected;
        loud.filter(|line| !expected.iter().any(|text| line.contains(text)))
            .map(str::to_owned)
            .collect()
    }

    /// Fails the test for what nothing expects in the log, unless it fails already.
    fn check_log(&self) {
        let loud = self.unexpected_log();
        assert!(
            loud.is_empty() || std::thread::panicking(),
            "nothing expects this in the daemon's log (see Builder::expect_log):\n{}\n-- its whole stderr ends:\n{}",
            loud.join("\n"),
            self.process.stderr().tail()
        );
    }

    /// What it has written to its standard error since its last start.
    #[must_use]
    pub fn stderr(&self) -> &Output {
        self.process.stderr()
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Runs an operator's command against it: `axis ARGS… --data DIR`.
    ///
    /// # Errors
    /// As [`Cli::run`].
    pub fn operate<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Result<Finished> {
        let mut all: Vec<OsString> = args
            .into_iter()
            .map(|arg| arg.as_ref().to_owned())
            .collect();
        all.extend(["--data".into(), self.data().into()]);
        Cli::new().run(all)
    }

    /// `kill -9`: it ends at once, wherever it is.
    ///
    /// # Errors
    /// It cannot be killed.
    pub fn kill9(&mut self) -> Result<()> {
        self.process.kill9().map(drop)
    }

    /// SIGTERM, then waits for the drain; gives the exit code.
    ///
    /// # Errors
    /// It does not end in time (it is killed then), or a signal ended it.
    pub fn terminate(&mut self) -> Result<i32> {
        self.signal(Signal::TERM)?;
        let Some(status) = self.process.wait(self.recipe.builder.patience)? else {
            let _ = self.process.kill9();
            bail!(
                "axis did not end after SIGTERM; stderr:\n{}",
                self.process.stderr().tail()
            );
        };
        status.code().with_context(|| {
            format!(
                "axis ended by {status}; stderr:\n{}",
                self.process.stderr().tail()
            )
        })
    }

    /// Sends any signal: HUP to reload, STOP and CONT to make it slow.
    ///
    /// # Errors
    /// The system refuses it.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process.signal(signal)
    }

    /// Starts it again on the same data and with the same settings; kills it first if it runs.
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub fn restart(&mut self) -> Result<()> {
        self.kill9()?;
        self.check_log();
        (self.process, self.ready) = self.recipe.serve()?;
        Ok(())
    }
}

impl Drop for Axis {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The test is red; what the daemon said is most of the reason.
            eprintln!(
                "-- stderr of axis {}:\n{}",
                self.pid(),
                self.process.stderr().tail()
            );
        } else {
            self.check_log();
        }
    }
}

/// Whether a line of the log, as text or JSON, is a warning or an error.
fn is_loud(line: &str) -> bool {
    let mut words = line.split_whitespace();
    matches!(words.nth(1), Some("WARN" | "ERROR"))
        || ["\"level\":\"WARN\"", "\"level\":\"ERROR\""]
            .iter()
            .any(|level| line.contains(level))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stand_in() -> Builder {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/stand-in.sh");
        Axis::builder().launcher(["sh"]).binary(script)
    }

    #[test]
    fn it_is_started_terminated_and_restarted_on_its_data() {
        let mut axis = stand_in()
            .config("limit = 1\n")
            .env("SAY", "hello")
            .start()
            .unwrap();
        assert_eq!(
            axis.grpc(),
            "127.0.0.1:1".parse().unwrap(),
            "the first start"
        );
        assert!(axis.ready().admin.starts_with(axis.data()));
        axis.stderr()
            .wait_for("its settings", Duration::from_secs(10), |text| {
                text.contains("hello limit = 1 listen 127.0.0.1:0")
                    .then_some(())
            })
            .unwrap();
        assert!(axis.is_running() && axis.proc().cpu_us().is_ok());
        assert_eq!(axis.terminate().unwrap(), 0);
        assert!(!axis.is_running());
        axis.restart().unwrap();
        assert_eq!(
            axis.grpc(),
            "127.0.0.1:2".parse().unwrap(),
            "the data folder was kept"
        );
        let former = axis.pid();
        axis.restart().unwrap();
        assert_ne!(axis.pid(), former, "a running one is replaced");
    }

    #[test]
    fn a_given_data_folder_is_used_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("kept");
        let mut axis = stand_in().data(&data).start().unwrap();
        axis.kill9().unwrap();
        assert!(!axis.is_running());
        drop(axis);
        assert!(data.join("starts").exists());
    }

    #[test]
    fn a_loud_log_fails_the_test_unless_it_is_expected() {
        let loud = || stand_in().env("SAY", "2026-01-01T00:00:00+07:00  WARN axis: odd things");
        let said = |axis: &Axis| {
            axis.stderr()
                .wait_for("the warning", Duration::from_secs(10), |text| {
                    text.contains("odd things").then_some(())
                })
                .unwrap();
        };
        let axis = loud().expect_log("odd things").start().unwrap();
        said(&axis);
        drop(axis);
        let axis = loud().expect_log("even things").start().unwrap();
        said(&axis);
        assert_eq!(axis.unexpected_log().len(), 1);
        let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(axis)));
        assert!(dropped.is_err());
        assert!(is_loud(
            r#"{"timestamp":"t","level":"ERROR","message":"m"}"#
        ));
        assert!(!is_loud("2026-01-01T00:00:00+07:00  INFO axis: WARN"));
    }

    #[test]
    fn a_daemon_that_ends_is_reported_with_its_code_and_its_words() {
        let error = stand_in().env("MODE", "refuse").start().unwrap_err();
        let message = format!("{error:#}");
        assert!(
            message.contains("exit status: 2") && message.contains("unknown key"),
            "{message}"
        );
    }

    #[test]
    fn a_daemon_that_says_nothing_is_given_up() {
        let error = stand_in()
            .env("MODE", "silent")
            .patience(Duration::from_millis(200))
            .start()
            .unwrap_err();
        let message = format!("{error:#}");
        assert!(
            message.contains("still runs") && message.contains("thinking"),
            "{message}"
        );
    }

    #[test]
    fn a_daemon_that_babbles_is_refused() {
        let error = stand_in().env("MODE", "babble").start().unwrap_err();
        assert!(
            format!("{error:#}").contains("no ready line: hello there"),
            "{error:#}"
        );
    }

    #[test]
    fn a_daemon_that_ignores_the_signal_is_killed_and_reported() {
        let mut axis = stand_in()
            .env("MODE", "deaf")
            .patience(Duration::from_secs(2))
            .start()
            .unwrap();
        let message = axis.terminate().unwrap_err().to_string();
        assert!(message.contains("did not end after SIGTERM"), "{message}");
        assert!(!axis.is_running());
    }
}
