//! One call of the `axis` command.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::binary::axis_binary;
use crate::process::Process;

/// How to call the `axis` command.
#[derive(Clone, Debug)]
pub struct Cli {
    env: Vec<(OsString, OsString)>,
    dir: Option<PathBuf>,
    stdin: Option<Vec<u8>>,
    patience: Duration,
}

impl Default for Cli {
    fn default() -> Self {
        Self::new()
    }
}

impl Cli {
    /// A call in the current folder, without input, that must end within a minute.
    #[must_use]
    pub fn new() -> Self {
        Self {
            env: Vec::new(),
            dir: None,
            stdin: None,
            patience: Duration::from_secs(60),
        }
    }

    /// Sets a variable, `AXIS_SERVER` for example.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Calls it in this folder.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Gives it this input.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// How long it may take; after that it is killed.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs `axis ARGS…` to its end.
    ///
    /// # Errors
    /// There is no binary, or the call did not end in time. A call that ends with another code
    /// than 0 is no error here: see [`Finished::ok`].
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Result<Finished> {
        let args: Vec<OsString> = args
            .into_iter()
            .map(|arg| arg.as_ref().to_owned())
            .collect();
        let mut command = axis_command(&[], &axis_binary()?);
        let _ = command
            .args(&args)
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(dir) = &self.dir {
            let _ = command.current_dir(dir);
        }
        self.finish(&mut command, &args)
    }

    fn finish(&self, command: &mut Command, args: &[OsString]) -> Result<Finished> {
        let words: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
        let call = format!("axis {}", words.join(" "));
        let mut process = Process::start(command, self.stdin.clone())?;
        let Some(status) = process.wait(self.patience)? else {
            let _ = process.kill9();
            bail!(
                "`{call}` did not end within {:?}; stderr:\n{}",
                self.patience,
                process.stderr().tail()
            );
        };
        Ok(Finished {
            code: status.code(),
            stdout: process.stdout().text(),
            stderr: process.stderr().text(),
            call,
        })
    }
}

/// What a call came to.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
    call: String,
}

impl Finished {
    /// Itself, if it ended with 0.
    ///
    /// # Errors
    /// It ended otherwise; the message holds the call and both outputs.
    pub fn ok(self) -> Result<Self> {
        self.code(0)
    }

    /// Itself, if it ended with `code`.
    ///
    /// # Errors
    /// It ended otherwise; the message holds the call and both outputs.
    pub fn code(self, code: i32) -> Result<Self> {
        if self.code == Some(code) {
            return Ok(self);
        }
        let Self {
            call,
            stdout,
            stderr,
            ..
        } = &self;
        bail!(
            "`{call}` ended with {:?} and not with {code}\nstdout:\n{stdout}\nstderr:\n{stderr}",
            self.code
        )
    }

    /// Its standard output as one JSON value a line.
    ///
    /// # Errors
    /// A line is no JSON; the message holds it.
    pub fn json(&self) -> Result<Vec<serde_json::Value>> {
        let lines = self.stdout.lines().filter(|line| !line.trim().is_empty());
        lines
            .map(|line| {
                serde_json::from_str(line)
                    .with_context(|| format!("`{}` printed no JSON: {line}", self.call))
            })
            .collect()
    }
}

/// `binary`, started through `launcher` if there is one, without the caller's `AXIS_…` variables:
/// a developer's settings must not decide a test.
pub(crate) fn axis_command(launcher: &[OsString], binary: &Path) -> Command {
    let mut command = match launcher {
        [] => Command::new(binary),
        [program, args @ ..] => {
            let mut command = Command::new(program);
            let _ = command.args(args).arg(binary);
            command
        }
    };
    forget_settings(&mut command, std::env::vars_os().map(|(name, _)| name));
    command
}

/// Keeps from `command` those of the `inherited` variables that set something of the axis.
fn forget_settings(command: &mut Command, inherited: impl Iterator<Item = OsString>) {
    for name in inherited.filter(|name| name.as_encoded_bytes().starts_with(b"AXIS_")) {
        let _ = command.env_remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(cli: &Cli, script: &str) -> Result<Finished> {
        cli.finish(
            Command::new("sh").args(["-c", script]),
            &["send".into(), "x".into()],
        )
    }

    #[test]
    fn code_and_outputs_are_given_and_asked_for() {
        let done = call(
            &Cli::new(),
            r#"echo '{"a":1}'; echo; echo '{"a":2}'; echo bad >&2; exit 1"#,
        )
        .unwrap();
        assert_eq!((done.code, done.stderr.as_str()), (Some(1), "bad\n"));
        assert_eq!(done.json().unwrap()[1]["a"], 2);
        assert!(done.clone().code(1).is_ok());
        let message = done.ok().unwrap_err().to_string();
        assert!(
            message.contains("`axis send x` ended with Some(1)") && message.contains("bad"),
            "{message}"
        );
    }

    #[test]
    fn a_line_that_is_no_json_is_named() {
        let done = call(&Cli::new(), "echo '{}'; echo oops").unwrap();
        assert!(done.json().unwrap_err().to_string().contains("oops"));
    }

    #[test]
    fn a_call_that_does_not_end_is_killed_and_reported_with_its_errors() {
        let cli = Cli::new().patience(Duration::from_millis(300));
        let error = call(&cli, "echo stuck >&2; exec tail -f /dev/null").unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains("did not end") && message.contains("stuck"),
            "{message}"
        );
    }

    #[test]
    fn a_signal_is_no_code() {
        assert_eq!(call(&Cli::new(), "kill -9 $$").unwrap().code, None);
    }

    #[test]
    fn settings_of_the_caller_do_not_reach_a_child_and_the_rest_does() {
        let mut command = Command::new("axis");
        forget_settings(
            &mut command,
            ["PATH", "AXIS_KEY", "MY_AXIS_KEY"]
                .map(OsString::from)
                .into_iter(),
        );
        let removed: Vec<_> = command.get_envs().collect();
        assert_eq!(removed, [(OsStr::new("AXIS_KEY"), None)]);
    }

    #[test]
    fn a_launcher_stands_before_the_binary() {
        let command = axis_command(&["strace".into(), "-D".into()], "axis".as_ref());
        assert_eq!(command.get_program(), "strace");
        assert_eq!(command.get_args().collect::<Vec<_>>(), ["-D", "axis"]);
    }
}
