//! `cargo xtask test`: the parts, in order, and the loop that runs them.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::duties;
use crate::fences;
use crate::need::{self, Tool};
use crate::step::{Outcome, Step, output};
use crate::tally::{Runner, Tally};

/// Which parts to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run only this part (may be given several times; order is the table's).
    #[arg(long, value_name = "NAME")]
    part: Vec<String>,
    /// Print the parts and run nothing.
    #[arg(long)]
    list: bool,
}

/// One part of a chore.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    /// What holds when it is green.
    pub(crate) what: &'static str,
    /// What must be on the machine; made so before the first part starts.
    pub(crate) needs: &'static [&'static Tool],
    pub(crate) run: fn() -> Outcome,
}

/// What every command that compiles the workspace says, so that all share one build.
/// `--locked`: the versions in Cargo.lock are what is tested. The load driver is checked as well.
const WHOLE: [&str; 4] = ["--workspace", "--locked", "--features", "xtask/bench"];

/// The parts of `cargo xtask test`, cheap ones first. A new part is a new line.
#[rustfmt::skip]
const PARTS: &[Part] = &[
    FMT,
    Part { name: "fences", what: "dependencies, crate order, folders and paths keep to the design", needs: &[&need::GIT], run: fences::run },
    CLIPPY,
    RUSTDOC,
    Part { name: "build", what: "everything compiles, tests included", needs: &[], run: build },
    Part { name: "tests", what: "unit, crate and end-to-end tests", needs: &[&need::GIT, &need::STRACE, &need::SCRIPT, &need::XMLLINT, &need::PROMETHEUS], run: tests },
    Part { name: "broker", what: "the bus keeps its promises over RabbitMQ, whatever becomes of the broker", needs: &[&need::RABBITMQ], run: broker },
    Part { name: "duties", what: "the page of duties is in step, and what it names as proof was green", needs: &[], run: duties::check },
    Part { name: "prometheus", what: "each alert rule fires on what it is for and is silent on a healthy axis", needs: &[&need::PROMETHEUS], run: prometheus },
    Part { name: "schema", what: "packages and schemas agree, by the word of a validator that is not ours", needs: &[&need::XMLLINT], run: schema },
    Part { name: "fuzz", what: "packages old and new, codes, dates, base64 and ZIPs, mutated for a minute, break no promise", needs: &[], run: fuzz },
    Part { name: "examples-python", what: "the page of the Python client works as typed", needs: &[&need::PYTHON], run: || example("python") },
    Part { name: "examples-python-amqp", what: "the page of the Python client over RabbitMQ works as typed", needs: &[&need::PYTHON, &need::RABBITMQ], run: || example("python_amqp") },
    Part { name: "examples-node", what: "the page of the Node.js client works as typed", needs: &[&need::NODE, &need::NPM], run: || example("node") },
    Part { name: "doctests", what: "every example in the documentation runs", needs: &[], run: doctests },
];

pub(crate) const FMT: Part = Part {
    name: "fmt",
    what: "the code is formatted",
    needs: &[&need::RUSTFMT],
    run: || Step::cargo(&["fmt", "--all", "--check"]).run(),
};

pub(crate) const CLIPPY: Part = Part {
    name: "clippy",
    what: "no lint is broken",
    needs: &[&need::CLIPPY],
    run: || whole(&["clippy"], &["--all-targets", "--", "-D", "warnings"]).run(),
};

pub(crate) const RUSTDOC: Part = Part {
    name: "rustdoc",
    what: "every public item is documented, every link leads somewhere",
    needs: &[],
    run: || {
        whole(&["doc"], &["--no-deps"])
            .env("RUSTDOCFLAGS", "-D warnings")
            .run()
    },
};

fn whole(verb: &[&str], rest: &[&str]) -> Step {
    Step::cargo(&[verb, WHOLE.as_slice(), rest].concat())
}

fn build() -> Outcome {
    whole(&["build"], &["--all-targets"]).run()
}

fn tests() -> Outcome {
    if output("cargo", &["nextest", "--version"]).is_ok() {
        nextest(
            "ci",
            &[
                "-E",
                "not test(page_works_as_typed) and not binary_id(e2e::broker)",
            ],
            ELSEWHERE,
        )
    } else {
        // Plain `cargo test` knows no test groups: tests that start daemons would all run at once.
        whole(
            &["test"],
            &[
                "--no-fail-fast",
                "--lib",
                "--bins",
                "--tests",
                "--",
                "--test-threads=2",
                "--skip=page_works_as_typed",
                "--skip=rabbitmq",
            ],
        )
        .counted(Runner::Libtest)
        .run()
    }
}

/// Follows the page of an example client. `tests/clients` holds these tests; they are parts of
/// their own because they need another language's tools and its package registry.
fn example(language: &str) -> Outcome {
    let test = format!("the_{language}_page_works_as_typed");
    if output("cargo", &["nextest", "--version"]).is_ok() {
        nextest("ci", &["--test", "clients", &test], u64::MAX)
    } else {
        whole(&["test"], &["--test", "clients", "--", &test])
            .counted(Runner::Libtest)
            .run()
    }
}

/// The tests that belong to parts of their own: three pages, and those on a broker.
const ELSEWHERE: u64 = 8;

/// Brokers are dear: their tests share them, and run apart from the daemons of the others.
fn broker() -> Outcome {
    if output("cargo", &["nextest", "--version"]).is_ok() {
        nextest("ci-broker", &["--test", "broker"], u64::MAX)
    } else {
        whole(&["test"], &["--test", "broker", "--", "--test-threads=1"])
            .counted(Runner::Libtest)
            .run()
    }
}

/// Runs the chosen tests the way `.config/nextest.toml` says. Nextest counts what was not chosen
/// as skipped; up to `elsewhere` of these belong to other parts and are hidden from nobody.
fn nextest(profile: &str, choice: &[&str], elsewhere: u64) -> Outcome {
    let less = |tally: &mut Tally| tally.ignored = tally.ignored.saturating_sub(elsewhere);
    whole(&["nextest", "run", "--profile", profile], choice)
        .counted(Runner::Nextest)
        .run()
        .map(|mut done| {
            less(&mut done.tally);
            done
        })
        .map_err(|mut failure| {
            less(&mut failure.tally);
            failure
        })
}

/// Samples and built packages against docs/schema; a part of its own so that it can be asked for.
fn schema() -> Outcome {
    Step::cargo(&["test", "--locked", "-p", "edxml", "--test", "schema"])
        .counted(Runner::Libtest)
        .run()
}

/// The corpus of the package format, mutated for longer than among the other tests.
fn fuzz() -> Outcome {
    Step::cargo(&["test", "--locked", "-p", "edxml", "--test", "fuzz"])
        .env("EDXML_FUZZ_SECONDS", "60")
        .counted(Runner::Libtest)
        .run()
}

/// The rules by Prometheus's own word; that they ask for what there is, `tests` proves.
fn prometheus() -> Outcome {
    let rules = "deploy/prometheus/axis.rules.test.yml";
    Step::new("promtool", &["test", "rules", rules]).run()
}

fn doctests() -> Outcome {
    whole(&["test"], &["--doc", "--no-fail-fast"])
        .counted(Runner::Libtest)
        .run()
}

/// `cargo xtask test`; `false` when a part failed.
pub(crate) fn run(args: &Args) -> Result<bool> {
    run_table(PARTS, args)
}

/// Runs what `args` choose from a table of parts; `false` when one failed.
pub(crate) fn run_table(table: &[Part], args: &Args) -> Result<bool> {
    if args.list {
        for part in table {
            println!("{:<15} {}", part.name, part.what);
        }
        return Ok(true);
    }
    run_all(&chosen(table, &args.part)?)
}

/// The parts of `table` with these names, in the table's order; all of them without a name.
fn chosen<'t>(table: &'t [Part], names: &[String]) -> Result<Vec<&'t Part>> {
    if let Some(name) = names
        .iter()
        .find(|name| !table.iter().any(|part| part.name == **name))
    {
        let known: Vec<_> = table.iter().map(|part| part.name).collect();
        bail!(
            "no part is called `{name}`; there are: {}",
            known.join(", ")
        );
    }
    Ok(table
        .iter()
        .filter(|part| names.is_empty() || names.iter().any(|name| name == part.name))
        .collect())
}

/// Runs parts in order, stops at the first failure and prints what each took.
fn run_all(parts: &[&Part]) -> Result<bool> {
    let tools: Vec<_> = parts.iter().flat_map(|part| part.needs).copied().collect();
    need::ensure(&tools)?;
    let mut tally = Tally::default();
    let mut took: Vec<(&str, Duration, &str)> = Vec::new();
    let mut failure = None;
    for (number, part) in parts.iter().enumerate() {
        println!(
            "\n== {}/{} {}: {}",
            number + 1,
            parts.len(),
            part.name,
            part.what
        );
        let started = Instant::now();
        let outcome = (part.run)();
        let said = outcome.as_ref().map_or("FAILED", |done| done.said);
        took.push((part.name, started.elapsed(), said));
        match outcome {
            Ok(done) => tally += done.tally,
            Err(failed) => {
                tally += failed.tally;
                failure = Some((part.name, failed));
                break;
            }
        }
    }
    println!("\n== what each part took");
    for (name, time, said) in &took {
        println!("{name:<15} {:>12}  {said}", human(*time));
    }
    for part in parts.iter().skip(took.len()) {
        println!("{:<15} {:>12}  not run", part.name, "-");
    }
    println!(
        "{:<15} {:>12}",
        "total",
        human(took.iter().map(|(_, time, _)| *time).sum())
    );
    if let Some((name, failed)) = &failure {
        println!(
            "\n{name} failed: {}\nto see it again:\n    {}",
            failed.why, failed.rerun
        );
    }
    println!("\n{tally}");
    Ok(failure.is_none())
}

fn human(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::Failure;

    #[test]
    fn part_names_are_distinct_and_can_be_typed() {
        for (i, part) in PARTS.iter().enumerate() {
            assert!(
                part.name
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c == '-'),
                "{}",
                part.name
            );
            assert!(
                !PARTS[..i].iter().any(|former| former.name == part.name),
                "{} twice",
                part.name
            );
            assert!(!part.what.is_empty());
        }
    }

    #[test]
    fn parts_are_chosen_by_name_in_the_tables_order() {
        let names = |asked: &[&str]| -> Result<Vec<&str>> {
            let asked: Vec<String> = asked.iter().map(|&name| name.to_owned()).collect();
            Ok(chosen(PARTS, &asked)?
                .iter()
                .map(|part| part.name)
                .collect())
        };
        assert_eq!(names(&["tests", "fmt"]).unwrap(), ["fmt", "tests"]);
        assert_eq!(names(&[]).unwrap().len(), PARTS.len());
        let unknown = names(&["fmt", "nonsense"]).unwrap_err().to_string();
        assert!(
            unknown.contains("nonsense") && unknown.contains("doctests"),
            "{unknown}"
        );
    }

    #[test]
    fn the_first_failure_stops_the_rest() {
        fn red() -> Outcome {
            Err(Failure {
                why: "on purpose".to_owned(),
                rerun: "false".to_owned(),
                tally: Tally::default(),
            })
        }
        fn never() -> Outcome {
            panic!("a part behind a failed one was run")
        }
        let first = Part {
            name: "first",
            what: "red",
            needs: &[],
            run: red,
        };
        let second = Part {
            name: "second",
            what: "never",
            needs: &[],
            run: never,
        };
        assert!(!run_all(&[&first, &second]).unwrap());
    }

    #[test]
    fn times_are_readable() {
        assert_eq!(human(Duration::from_millis(1_240)), "1.2 s");
        assert_eq!(human(Duration::from_secs(605)), "10 min 05 s");
    }
}
