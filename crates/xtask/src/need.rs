//! The tools that a part needs, and how they come onto the machine.
//!
//! Nothing is skipped because a tool is missing: a component of the Rust toolchain is added with
//! rustup, a Debian package is installed when we are root, else the chore stops with the line to
//! type.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, anyhow, bail};

use crate::step::{Step, command};

/// A program that some part needs.
#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    /// A command that ends with 0 when the tool is there.
    probe: &'static [&'static str],
    source: Source,
}

/// Where a tool comes from.
#[derive(Debug)]
enum Source {
    /// Debian packages.
    Apt(&'static [&'static str]),
    /// A component of the Rust toolchain.
    Rustup(&'static str),
    /// A crate, into the user's cargo folder.
    Cargo(&'static str),
}

pub(crate) const RUSTFMT: Tool = Tool {
    name: "rustfmt",
    probe: &["cargo", "fmt", "--version"],
    source: Source::Rustup("rustfmt"),
};

pub(crate) const CLIPPY: Tool = Tool {
    name: "clippy",
    probe: &["cargo", "clippy", "--version"],
    source: Source::Rustup("clippy"),
};

pub(crate) const CARGO_DENY: Tool = Tool {
    name: "cargo-deny",
    probe: &["cargo", "deny", "--version"],
    source: Source::Cargo("cargo-deny"),
};

pub(crate) const GIT: Tool = Tool {
    name: "git",
    probe: &["git", "--version"],
    source: Source::Apt(&["git"]),
};

/// Runs the fuzz bodies under libFuzzer.
pub(crate) const CARGO_FUZZ: Tool = Tool {
    name: "cargo-fuzz",
    probe: &["cargo", "fuzz", "--version"],
    source: Source::Cargo("cargo-fuzz"),
};

/// The validator of XML schemas that is none of ours.
pub(crate) const XMLLINT: Tool = Tool {
    name: "xmllint",
    probe: &["xmllint", "--version"],
    source: Source::Apt(&["libxml2-utils"]),
};

/// Watches the daemon's system calls: the receipt leaves after the sync.
pub(crate) const STRACE: Tool = Tool {
    name: "strace",
    probe: &["strace", "--version"],
    source: Source::Apt(&["strace"]),
};

/// Gives a program a terminal of its own.
pub(crate) const SCRIPT: Tool = Tool {
    name: "script",
    probe: &["script", "--version"],
    source: Source::Apt(&["bsdutils"]),
};

/// A broker of our own for each test that needs one; the packaged service is never started.
pub(crate) const RABBITMQ: Tool = Tool {
    name: "rabbitmq-server",
    probe: &["test", "-x", "/usr/lib/rabbitmq/bin/rabbitmq-server"],
    source: Source::Apt(&["rabbitmq-server"]),
};

/// Reads the metrics and proves rules and board; the packaged service is not started.
pub(crate) const PROMETHEUS: Tool = Tool {
    name: "prometheus with promtool",
    probe: &["promtool", "--version"],
    source: Source::Apt(&["prometheus"]),
};

/// For the example client in Python.
pub(crate) const PYTHON: Tool = Tool {
    name: "python3 with venv",
    probe: &["python3", "-c", "import ensurepip, venv"],
    source: Source::Apt(&["python3", "python3-venv"]),
};

/// For the example client in Node.js.
pub(crate) const NODE: Tool = Tool {
    name: "node 18 or later",
    probe: &[
        "node",
        "-e",
        "process.exit(process.versions.node.split('.')[0] < 18 ? 1 : 0)",
    ],
    source: Source::Apt(&["nodejs"]),
};

/// Comes with Node.js or on its own, as it was packed.
pub(crate) const NPM: Tool = Tool {
    name: "npm",
    probe: &["npm", "--version"],
    source: Source::Apt(&["npm"]),
};

/// Makes every tool available or says what to type.
pub(crate) fn ensure(tools: &[&Tool]) -> Result<()> {
    let mut missing: Vec<&Tool> = Vec::new();
    for &tool in tools {
        if !present(tool) && !missing.iter().any(|other| other.name == tool.name) {
            missing.push(tool);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|tool| tool.name).collect();
    println!("missing: {}", names.join(", "));
    let root = rustix::process::geteuid().is_root();
    let (steps, apt) = remedies(&missing);
    if !apt.is_empty() && !root {
        bail!(
            // In this runlevel a packaged server does not start itself.
            "these are needed; type\n    sudo RUNLEVEL=1 apt-get install -y {}",
            apt.join(" ")
        );
    }
    for step in steps {
        step.run()
            .map_err(|failure| anyhow!("{}; type\n    {}", failure.why, failure.rerun))?;
    }
    if !apt.is_empty() {
        install(&apt)?;
    }
    match missing.iter().find(|tool| !present(tool)) {
        Some(tool) => bail!(
            "{} was installed and still does not run: `{}`",
            tool.name,
            tool.probe.join(" ")
        ),
        None => Ok(()),
    }
}

/// The commands that any user may run, and the Debian packages.
fn remedies(missing: &[&Tool]) -> (Vec<Step>, Vec<&'static str>) {
    let (mut steps, mut apt) = (Vec::new(), Vec::new());
    for tool in missing {
        match tool.source {
            Source::Apt(packages) => apt.extend(packages),
            Source::Rustup(component) => {
                steps.push(Step::new("rustup", &["component", "add", component]))
            }
            Source::Cargo(name) => steps.push(Step::cargo(&["install", "--locked", name])),
        }
    }
    (steps, apt)
}

fn present(tool: &Tool) -> bool {
    let [program, args @ ..] = tool.probe else {
        return false;
    };
    command(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn install(packages: &[&str]) -> Result<()> {
    // A server among the packages (a broker, say) must not start itself: tests run their own.
    let _policy = NoServices::at(Path::new("/usr/sbin/policy-rc.d"))?;
    let apt = |args: &[&str]| {
        Step::new("apt-get", args)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .run()
            .map_err(|failure| anyhow!("{}; type\n    {}", failure.why, failure.rerun))
    };
    let _ = apt(&["update", "-q"])?;
    let _ = apt(&[
        ["install", "-y", "-q", "--no-install-recommends"].as_slice(),
        packages,
    ]
    .concat())?;
    Ok(())
}

/// While it lives, packages that are installed do not start their services.
struct NoServices<'p> {
    /// `None` when the machine has a policy of its own: that one stands.
    file: Option<&'p Path>,
}

impl<'p> NoServices<'p> {
    fn at(path: &'p Path) -> Result<Self> {
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(path)
        {
            Ok(mut file) => {
                let policy = Self { file: Some(path) };
                file.write_all(b"#!/bin/sh\nexit 101\n")
                    .with_context(|| format!("cannot write {}", path.display()))?;
                Ok(policy)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Self { file: None }),
            Err(error) => Err(error).with_context(|| format!("cannot create {}", path.display())),
        }
    }
}

impl Drop for NoServices<'_> {
    fn drop(&mut self) {
        if let Some(path) = self.file
            && let Err(error) = std::fs::remove_file(path)
        {
            eprintln!(
                "remove {} by hand, or no service will start: {error}",
                path.display()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_is_there_needs_nothing() {
        const SHELL: Tool = Tool {
            name: "sh",
            probe: &["sh", "-c", "exit 0"],
            source: Source::Apt(&["dash"]),
        };
        const LAME: Tool = Tool {
            name: "lame",
            probe: &["sh", "-c", "exit 1"],
            source: Source::Apt(&["lame"]),
        };
        const NONE: Tool = Tool {
            name: "none",
            probe: &["no-such-program-here"],
            source: Source::Apt(&["none"]),
        };
        assert!(present(&SHELL) && !present(&LAME) && !present(&NONE));
        ensure(&[&SHELL, &SHELL]).unwrap();
    }

    #[test]
    fn every_source_has_its_remedy() {
        let (steps, apt) = remedies(&[&CLIPPY, &STRACE, &CARGO_DENY, &GIT]);
        let steps: Vec<_> = steps.iter().map(ToString::to_string).collect();
        assert_eq!(
            steps,
            [
                "rustup component add clippy",
                "cargo install --locked cargo-deny"
            ]
        );
        assert_eq!(apt, ["strace", "git"]);
    }

    #[test]
    fn the_no_service_policy_goes_away_and_a_foreign_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy-rc.d");
        drop({
            let policy = NoServices::at(&path).unwrap();
            assert!(path.exists());
            drop(NoServices::at(&path).unwrap());
            assert!(
                path.exists(),
                "the second one found a policy and must leave it"
            );
            policy
        });
        assert!(!path.exists());
    }
}
