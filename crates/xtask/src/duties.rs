//! `cargo xtask duties`: which duty is met how, and which tests prove it.
//!
//! The words stand in `docs/duties.toml`, written by hand; the proof comes from the test runner.
//! `docs/duties.md` is made of both. A test whose name begins with a duty's id (`rg_05_…`)
//! belongs to that duty by itself. A test that is named and does not exist, or was not run, or
//! did not pass, is an error: the page never claims more than was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use quick_xml::XmlVersion;
use quick_xml::events::Event;
use quick_xml::reader::Reader;
use serde::Deserialize;

use crate::step::{Failure, Outcome, Step, output};
use crate::tally::{Runner, Tally};

const TABLE: &str = "docs/duties.toml";
const PAGE: &str = "docs/duties.md";

/// How `cargo xtask duties` is called.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write the page from the sources alone; run nothing
    #[arg(long)]
    page: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    duty: Vec<Duty>,
}

/// One duty, as somebody wrote it down.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Duty {
    /// `RG-05`.
    id: String,
    /// What it asks, and where that stands.
    asks: String,
    /// How the axis meets it.
    how: String,
    /// Tests that prove it beside those that carry its id.
    #[serde(default)]
    tests: Vec<String>,
    /// Proof that has no one test's name.
    #[serde(default)]
    besides: String,
    /// What is not covered.
    #[serde(default)]
    open: String,
}

impl Duty {
    /// What the names of its own tests begin with.
    fn prefix(&self) -> String {
        format!("{}_", self.id.to_lowercase().replace('-', "_"))
    }

    /// Its tests among those that exist, by name.
    fn proof(&self, existing: &BTreeSet<String>) -> Result<Vec<String>> {
        let prefix = self.prefix();
        let own = existing.iter().filter(|name| name.starts_with(&prefix));
        let mut proof: Vec<String> = own.cloned().collect();
        for name in &self.tests {
            ensure!(
                existing.contains(name),
                "{}: there is no test {name:?}; mend {TABLE}",
                self.id
            );
            if !proof.contains(name) {
                proof.push(name.clone());
            }
        }
        ensure!(
            !proof.is_empty(),
            "{}: no test proves it; name one {prefix}…, or take the row out of {TABLE}",
            self.id
        );
        Ok(proof)
    }
}

fn table(root: &Path) -> Result<Table> {
    let path = root.join(TABLE);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("{TABLE} is not what it should be"))
}

/// The names of all functions in the test sources: a cheap stand-in for the runner's list.
fn existing(root: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let mut folders = vec![root.join("crates"), root.join("tests")];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder)
            .with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                functions(&std::fs::read_to_string(&path)?, &mut names);
            }
        }
    }
    Ok(names)
}

/// Adds the names of a source's functions.
fn functions(source: &str, names: &mut BTreeSet<String>) {
    for line in source.lines() {
        let line = line.trim_start();
        let line = line.strip_prefix("async ").unwrap_or(line);
        let Some(rest) = line.strip_prefix("fn ") else {
            continue;
        };
        if let Some((name, _)) = rest.split_once(['(', '<']) {
            let _ = names.insert(name.to_owned());
        }
    }
}

/// The page, whole.
fn page(table: &Table, existing: &BTreeSet<String>) -> Result<String> {
    let mut page = String::from(
        "# Duties\n\n\
         What law and decree ask of a document exchange, as far as this version meets it: one row a duty,\n\
         the tests that prove it by their names, and what is still open. `cargo xtask duties` runs them\n\
         and makes this page from `docs/duties.toml`; a test that is missing or red is an error.\n\
         `cargo nextest run ex_02` runs those of one duty.\n\n\
         | Duty | What it asks | How the axis meets it | Tests | Not covered |\n\
         |---|---|---|---|---|\n",
    );
    for duty in &table.duty {
        let mut proof: Vec<String> = duty
            .proof(existing)?
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        if !duty.besides.is_empty() {
            proof.push(duty.besides.clone());
        }
        let Duty {
            id,
            asks,
            how,
            open,
            ..
        } = duty;
        let proof = proof.join(", ");
        // Writing to a String cannot fail.
        let _ = writeln!(page, "| {id} | {asks} | {how} | {proof} | {open} |");
    }
    Ok(page)
}

/// What a JUnit report of nextest says, added to `results`: each test's name, and whether it
/// passed.
fn read(junit: &str, results: &mut BTreeMap<String, bool>) -> Result<()> {
    let mut reader = Reader::from_str(junit);
    let mut case = None;
    loop {
        let event = reader.read_event().context("the report is no XML")?;
        let is_empty = matches!(event, Event::Empty(_));
        match event {
            Event::Start(tag) | Event::Empty(tag) => match tag.name().as_ref() {
                "testcase" => {
                    let name = tag.try_get_attribute("name")?;
                    let name = name.context("a testcase without a name")?;
                    let name = name.normalized_value(XmlVersion::Implicit1_0)?;
                    let name = name.rsplit("::").next().unwrap_or_default().to_owned();
                    let _ = results.entry(name.clone()).or_insert(true);
                    // An empty one says nothing bad.
                    case = (!is_empty).then_some(name);
                }
                "failure" | "error" => {
                    if let Some(name) = &case {
                        let _ = results.insert(name.clone(), false);
                    }
                }
                _ => {}
            },
            Event::End(tag) if tag.name().as_ref() == "testcase" => case = None,
            Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// What was named and not seen to pass.
fn unproved(table: &Table, existing: &BTreeSet<String>, reports: &[String]) -> Result<Vec<String>> {
    let mut results = BTreeMap::new();
    for report in reports {
        read(report, &mut results)?;
    }
    let mut found = Vec::new();
    for duty in &table.duty {
        for name in duty.proof(existing)? {
            match results.get(&name) {
                Some(true) => {}
                Some(false) => found.push(format!("{}: {name} is red", duty.id)),
                None => found.push(format!("{}: {name} was not run", duty.id)),
            }
        }
    }
    Ok(found)
}

/// Where nextest puts the report of a profile: beside the workspace, wherever the build lies.
fn report(profile: &str) -> PathBuf {
    Path::new("target/nextest").join(profile).join("junit.xml")
}

/// `cargo xtask duties`; `false` when a named test is not green.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let root = Path::new(".");
    let (table, existing) = (table(root)?, existing(root)?);
    let page = page(&table, &existing)?;
    if !args.page {
        let mut wanted = BTreeSet::new();
        for duty in &table.duty {
            wanted.extend(duty.proof(&existing)?);
        }
        let filter: Vec<String> = wanted
            .iter()
            .map(|name| format!("test(/(^|::){name}$/)"))
            .collect();
        let filter = filter.join(" + ");
        let step = Step::cargo(&[
            "nextest",
            "run",
            "--workspace",
            "--profile",
            "ci",
            "-E",
            &filter,
        ]);
        if let Err(failure) = step.counted(Runner::Nextest).run() {
            println!("{}\n    {}", failure.why, failure.rerun);
        }
        let path = report("ci");
        let junit = std::fs::read_to_string(&path)
            .with_context(|| format!("the runner left no report at {}", path.display()))?;
        let unproved = unproved(&table, &existing, &[junit])?;
        if !unproved.is_empty() {
            println!("{}", unproved.join("\n"));
            return Ok(false);
        }
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "a page of the checkout can be made again"
    )]
    std::fs::write(PAGE, page).with_context(|| format!("cannot write {PAGE}"))?;
    println!("{PAGE}: {} duties", table.duty.len());
    Ok(true)
}

/// The part of `cargo xtask test`: the page is in step with its sources, and the tests that it
/// names are green in the run that has just ended.
pub(crate) fn check() -> Outcome {
    let checked = || -> Result<()> {
        let root = Path::new(".");
        in_step(root)?;
        if output("cargo", &["nextest", "--version"]).is_err() {
            // Plain `cargo test` leaves no report; it stops at a red test by itself.
            return Ok(());
        }
        let path = report("ci");
        let Ok(tests) = std::fs::read_to_string(&path) else {
            bail!(
                "no test run has left a report at {}; run the part `tests` before",
                path.display()
            );
        };
        // Some are proved by the part `broker`; without its report they are said to be missing.
        let broker = std::fs::read_to_string(report("ci-broker")).ok();
        let reports: Vec<_> = [Some(tests), broker].into_iter().flatten().collect();
        let unproved = unproved(&table(root)?, &existing(root)?, &reports)?;
        ensure!(unproved.is_empty(), "{}", unproved.join("\n"));
        Ok(())
    };
    match checked() {
        Ok(()) => Ok(Tally::default().into()),
        Err(error) => Err(Failure {
            why: format!("{error:#}"),
            rerun: "cargo xtask duties".to_owned(),
            tally: Tally::default(),
        }),
    }
}

/// Whether the page is what its sources make.
fn in_step(root: &Path) -> Result<()> {
    let wanted = page(&table(root)?, &existing(root)?)?;
    let written = std::fs::read_to_string(root.join(PAGE))?;
    ensure!(
        wanted == written,
        "{PAGE} is not in step with {TABLE} and the tests; write it again: cargo xtask duties --page"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_duties_is_in_step_and_every_test_that_it_names_exists() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        in_step(&root).unwrap();
    }

    fn one(tests: &[&str]) -> Table {
        Table {
            duty: vec![Duty {
                id: "RG-05".to_owned(),
                asks: String::new(),
                how: String::new(),
                tests: tests.iter().map(|&name| name.to_owned()).collect(),
                besides: String::new(),
                open: String::new(),
            }],
        }
    }

    #[test]
    fn a_test_that_is_missing_red_or_not_run_is_named() {
        let mut existing = BTreeSet::new();
        functions(
            "#[test]\nfn rg_05_one() {\n}\n    async fn other() {}\nfn rg_051() {}",
            &mut existing,
        );
        let error = page(&one(&["gone"]), &existing).unwrap_err().to_string();
        assert!(error.contains("gone"), "{error}");
        assert!(page(&one(&[]), &BTreeSet::new()).is_err());
        let table = one(&["other"]);
        let junit = "<testcase name=\"a::rg_05_one\" time=\"1\"></testcase><testcase name=\"other\"><failure/></testcase>";
        let found = unproved(&table, &existing, &[junit.to_owned()]).unwrap();
        assert_eq!(found, ["RG-05: other is red"]);
        let other = "<testcase name=\"other\"/>".to_owned();
        let found = unproved(&table, &existing, &[other]).unwrap();
        assert_eq!(found, ["RG-05: rg_05_one was not run"]);
    }
}
