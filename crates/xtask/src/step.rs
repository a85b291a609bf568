//! One command of a chore: shown before it runs, and named again if it fails.

use std::fmt;
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::tally::{Runner, Tally};

/// What a part of a chore comes to.
pub(crate) type Outcome = Result<Done, Failure>;

/// A part that did not fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub(crate) tally: Tally,
    /// `ok`, or what the summary must say instead because less than promised was done.
    pub(crate) said: &'static str,
}

impl From<Tally> for Done {
    fn from(tally: Tally) -> Self {
        Self { tally, said: "ok" }
    }
}

/// Why a part failed and how to see it again.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) why: String,
    /// The exact command to type.
    pub(crate) rerun: String,
    pub(crate) tally: Tally,
}

/// A command with the environment it needs.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    program: String,
    args: Vec<String>,
    env: Vec<(&'static str, String)>,
    runner: Option<Runner>,
}

impl Step {
    /// A step that calls `program`.
    pub(crate) fn new(program: &str, args: &[&str]) -> Self {
        Self {
            program: program.to_owned(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            env: Vec::new(),
            runner: None,
        }
    }

    /// A step that calls cargo.
    pub(crate) fn cargo(args: &[&str]) -> Self {
        Self::new("cargo", args)
    }

    /// Sets a variable for this step alone.
    pub(crate) fn env(mut self, name: &'static str, value: &str) -> Self {
        self.env.push((name, value.to_owned()));
        self
    }

    /// Counts tests in what the step prints.
    pub(crate) fn counted(mut self, runner: Runner) -> Self {
        self.runner = Some(runner);
        self
    }

    /// Runs the step, its output passed on as it comes.
    pub(crate) fn run(&self) -> Outcome {
        println!("$ {self}");
        let failure = |why: String, tally| Failure {
            why,
            rerun: self.to_string(),
            tally,
        };
        match self.follow() {
            Ok((true, _, tally)) => Ok(tally.into()),
            Ok((false, status, tally)) => Err(failure(status, tally)),
            Err(error) => Err(failure(format!("{error:#}"), Tally::default())),
        }
    }

    fn follow(&self) -> Result<(bool, String, Tally)> {
        let mut command = command(&self.program);
        let _ = command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        if self.runner.is_none() {
            let status = command
                .status()
                .with_context(|| format!("cannot start {}", self.program))?;
            return Ok((status.success(), status.to_string(), Tally::default()));
        }
        if std::io::stdout().is_terminal() {
            let _ = command.env("CARGO_TERM_COLOR", "always");
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", self.program))?;
        let runner = self.runner;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let errors = thread::spawn(move || pass_on(stderr, std::io::stderr(), runner));
        let mut tally = pass_on(stdout, std::io::stdout(), runner);
        if let Ok(counted) = errors.join() {
            tally += counted;
        }
        let status = child.wait()?;
        Ok((status.success(), status.to_string(), tally))
    }
}

/// Copies a child's output line by line and counts on the way.
fn pass_on(source: Option<impl Read>, mut sink: impl Write, runner: Option<Runner>) -> Tally {
    let mut tally = Tally::default();
    let Some(source) = source else { return tally };
    let mut source = BufReader::new(source);
    let mut line = Vec::new();
    while matches!(source.read_until(b'\n', &mut line), Ok(n) if n > 0) {
        // A closed terminal must not stop the count.
        let _ = sink.write_all(&line);
        let text = String::from_utf8_lossy(&line);
        if let Some(counted) = runner.and_then(|runner| runner.tally(text.trim_end())) {
            tally += counted;
        }
        line.clear();
    }
    tally
}

impl fmt::Display for Step {
    /// The step as it is typed into a shell.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.env {
            write!(f, "{name}={} ", quoted(value))?;
        }
        f.write_str(&self.program)?;
        for arg in &self.args {
            write!(f, " {}", quoted(arg))?;
        }
        Ok(())
    }
}

fn quoted(word: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "-_=./,:@+%".contains(c);
    if !word.is_empty() && word.chars().all(safe) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// A command without the variables that `cargo run` gave *us*: build scripts watch some of them
/// and would build the same thing again for each caller.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let ours = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
        ];
        if ours.iter().any(|start| name.starts_with(start))
            || ["CARGO_PRIMARY_PACKAGE", "OUT_DIR"].contains(&&*name)
        {
            let _ = command.env_remove(&*name);
        }
    }
    command
}

/// The standard output of a command that must succeed.
pub(crate) fn output(program: &str, args: &[&str]) -> Result<String> {
    let step = Step::new(program, args);
    let out = command(program)
        .args(args)
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr);
        bail!("`{step}` failed ({}): {}", out.status, said.trim());
    }
    String::from_utf8(out.stdout).with_context(|| format!("`{step}` printed no UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_shown_as_it_is_typed() {
        let step = Step::cargo(&["doc", "-E", "package(e2e) & test(a)"])
            .env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(
            step.to_string(),
            "RUSTDOCFLAGS='-D warnings' cargo doc -E 'package(e2e) & test(a)'"
        );
        assert_eq!(
            Step::new("echo", &["it's", ""]).to_string(),
            r"echo 'it'\''s' ''"
        );
    }

    #[test]
    fn a_failed_step_says_how_to_see_it_again() {
        let failure = Step::new("sh", &["-c", "exit 3"])
            .counted(Runner::Libtest)
            .run()
            .unwrap_err();
        assert_eq!(failure.rerun, "sh -c 'exit 3'");
        assert!(failure.why.contains('3'), "{}", failure.why);
        let absent = Step::new("no-such-program-here", &[]).run().unwrap_err();
        assert!(absent.why.contains("cannot start"), "{}", absent.why);
    }

    #[test]
    fn output_is_passed_on_whole_and_counted_on_the_way() {
        let text = "one\ntest result: ok. 1 passed; 2 failed\nÿ\ntest result: ok. 4 passed";
        let mut sink = Vec::new();
        let tally = pass_on(Some(text.as_bytes()), &mut sink, Some(Runner::Libtest));
        assert_eq!((tally.passed, tally.failed), (5, 2));
        assert_eq!(sink, text.as_bytes());
    }
}
