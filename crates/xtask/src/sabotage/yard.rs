//! The copy of the tree in which promises are broken, and the tests that run there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::patch::TestRef;
use crate::step::command;

/// Seconds a test may take before it counts as red: a promise that is broken may show as a wait
/// that never ends.
const PATIENCE: &str = "300";

/// What `timeout` ends with when it had to stop the test.
const TIMED_OUT: i32 = 124;

/// A copy of the tree with its own build folder.
pub(super) struct Yard {
    tree: PathBuf,
    target: PathBuf,
    jobs: Option<usize>,
}

/// What the named tests came to.
#[derive(Debug)]
pub(super) enum Verdict {
    /// So many passed, none failed.
    Green(usize),
    /// This one failed, crashed or did not end.
    Red(String),
    /// Nothing was run.
    NoTest,
    /// The tests do not compile.
    NoBuild(String),
}

/// A compiled set of tests.
struct Binary {
    path: PathBuf,
    /// The package's folder: where its tests run.
    home: PathBuf,
}

impl Yard {
    /// A yard under `base`, which may be that of an earlier run.
    pub(super) fn new(base: &Path, jobs: Option<usize>) -> Self {
        Self {
            tree: base.join("tree"),
            target: base.join("target"),
            jobs,
        }
    }

    /// Makes the copy equal to `files` of `root`, with `patched` in place of some. Files that are
    /// equal already keep their times, so that cargo compiles only what has changed.
    pub(super) fn sync(
        &self,
        root: &Path,
        files: &[String],
        patched: &BTreeMap<String, String>,
    ) -> Result<()> {
        let mut wanted = BTreeSet::new();
        for file in files {
            let (from, to) = (root.join(file), self.tree.join(file));
            let bytes = match patched.get(file) {
                Some(text) => text.clone().into_bytes(),
                // Listed and deleted in the checkout: then not in the copy either.
                None if !from.is_file() => continue,
                None => std::fs::read(&from).with_context(|| format!("cannot read {file}"))?,
            };
            let _ = wanted.insert(to.clone());
            if std::fs::read(&to).is_ok_and(|present| present == bytes) {
                continue;
            }
            if let Some(parent) = to.parent() {
                std::fs::create_dir_all(parent)
                    .with_context(|| format!("cannot make {}", parent.display()))?;
            }
            File::create(&to)
                .and_then(|mut copy| {
                    copy.write_all(&bytes)?;
                    copy.set_permissions(std::fs::metadata(&from)?.permissions())
                })
                .with_context(|| format!("cannot write {}", to.display()))?;
        }
        prune(&self.tree, &wanted).context("cannot clean the copy")
    }

    /// Builds the package of `test` and runs the tests that match, until one is red.
    pub(super) fn run(&self, test: &TestRef) -> Result<Verdict> {
        let binaries = match self.build(&test.package)? {
            Ok(binaries) => binaries,
            Err(why) => return Ok(Verdict::NoBuild(why)),
        };
        let mut passed = 0;
        for binary in &binaries {
            for name in self.names(binary, &test.filter)? {
                // One process a test: a crash is that test's, and every test can be timed out.
                let out = self
                    .test(binary, &["timeout", "-k", "5", PATIENCE])
                    .args([&name, "--exact"])
                    .output()
                    .with_context(|| format!("cannot run {name}"))?;
                let said = String::from_utf8_lossy(&out.stdout);
                if out.status.success() {
                    passed += usize::from(said.contains("test result: ok. 1 passed"));
                } else {
                    let late = out.status.code() == Some(TIMED_OUT);
                    let after = if late { " (did not end)" } else { "" };
                    return Ok(Verdict::Red(format!("{} {name}{after}", test.package)));
                }
            }
        }
        Ok(if passed == 0 {
            Verdict::NoTest
        } else {
            Verdict::Green(passed)
        })
    }

    /// The tests of `binary` whose names contain `filter`.
    fn names(&self, binary: &Binary, filter: &str) -> Result<Vec<String>> {
        let out = self
            .test(binary, &["env"])
            .args(["--list", "--format", "terse", filter])
            .output()
            .with_context(|| format!("cannot list the tests of {}", binary.path.display()))?;
        Ok(String::from_utf8_lossy(&out.stdout)
            .lines()
            .filter_map(|line| line.strip_suffix(": test"))
            .map(str::to_owned)
            .collect())
    }

    /// `binary` started through `launcher`, in the place and with the variables that cargo gives.
    fn test(&self, binary: &Binary, launcher: &[&str]) -> std::process::Command {
        let mut call = command(launcher.first().copied().unwrap_or("env"));
        let _ = call
            .args(launcher.get(1..).unwrap_or_default())
            .arg(&binary.path)
            .current_dir(&binary.home)
            .stdin(Stdio::null())
            .env("CARGO_MANIFEST_DIR", &binary.home)
            .env("CARGO_TARGET_DIR", &self.target)
            // The tests must drive the daemon that was built from the copy, and no snapshot may be
            // rewritten to fit the sabotage.
            .env_remove("AXIS_BIN")
            .env("INSTA_UPDATE", "no");
        call
    }

    /// The test binaries of `package`, or what the compiler said.
    fn build(&self, package: &str) -> Result<Result<Vec<Binary>, String>> {
        let mut call = command("cargo");
        let _ = call
            .args([
                "build",
                "--tests",
                "--bins",
                "--message-format=json-render-diagnostics",
            ])
            .args(["--package", package]);
        if package == "e2e" {
            // The daemon that those tests start, in the same build.
            let _ = call.args(["--package", "axis"]);
        }
        if let Some(jobs) = self.jobs {
            let _ = call.arg("--jobs").arg(jobs.to_string());
        }
        let out = call
            .current_dir(&self.tree)
            .env("CARGO_TARGET_DIR", &self.target)
            .output()
            .context("cannot start cargo")?;
        if !out.status.success() {
            let said = String::from_utf8_lossy(&out.stderr);
            let errors: Vec<_> = said
                .lines()
                .skip_while(|line| !line.starts_with("error"))
                .take(12)
                .collect();
            return Ok(Err(errors.join("\n    ")));
        }
        Ok(Ok(binaries(
            &String::from_utf8_lossy(&out.stdout),
            package,
        )?))
    }
}

/// The test binaries of `package` among cargo's messages.
fn binaries(messages: &str, package: &str) -> Result<Vec<Binary>> {
    #[derive(Deserialize)]
    struct Message {
        reason: String,
        #[serde(default)]
        manifest_path: PathBuf,
        profile: Option<Profile>,
        executable: Option<PathBuf>,
    }
    #[derive(Deserialize)]
    struct Profile {
        test: bool,
    }
    let mut known: HashMap<PathBuf, bool> = HashMap::new();
    let mut found = Vec::new();
    for line in messages.lines().filter(|line| line.starts_with('{')) {
        let message: Message =
            serde_json::from_str(line).context("cargo's message has an unknown shape")?;
        let (Some(path), Some(Profile { test: true })) = (message.executable, message.profile)
        else {
            continue;
        };
        let ours = match known.get(&message.manifest_path) {
            Some(ours) => *ours,
            None => {
                let ours = is_package(&message.manifest_path, package)?;
                let _ = known.insert(message.manifest_path.clone(), ours);
                ours
            }
        };
        if message.reason == "compiler-artifact" && ours {
            let home = message
                .manifest_path
                .parent()
                .unwrap_or_else(|| Path::new("."))
                .to_owned();
            found.push(Binary { path, home });
        }
    }
    Ok(found)
}

/// Whether this manifest is that of `package`; a folder may have another name.
fn is_package(manifest: &Path, package: &str) -> Result<bool> {
    let text = std::fs::read_to_string(manifest)
        .with_context(|| format!("cannot read {}", manifest.display()))?;
    let manifest: toml::Table = text.parse()?;
    let name = manifest
        .get("package")
        .and_then(|section| section.get("name"));
    Ok(name.and_then(toml::Value::as_str) == Some(package))
}

/// Removes every file under `dir` that is not wanted.
fn prune(dir: &Path, wanted: &BTreeSet<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            prune(&path, wanted)?;
        } else if !wanted.contains(&path) {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}
