//! `cargo xtask sabotage`: does a test notice when a promise is broken?
//!
//! Each file in `crates/xtask/sabotage/` is a patch that breaks one promise and names the tests
//! that must notice. In a copy of the tree the named tests are run unpatched (they must be green),
//! then with each patch in turn (one must go red *by failing*: a patch that does not fit, does not
//! compile or runs no test is an error of its own). A patch that no test catches fails the command.
//!
//! The copy and its build live in `target/sabotage` and are kept, so that a next run compiles what
//! has changed and no more.

mod patch;
mod yard;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::fences;
use patch::{Patch, TestRef};
use yard::{Verdict, Yard};

/// Where the patches are, from the workspace's root.
const PATCHES: &str = "crates/xtask/sabotage";

/// Which patches to try.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this patch (may be given several times).
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Print names and promises and try nothing.
    #[arg(long)]
    list: bool,
    /// How many crates cargo compiles at once (default: as cargo decides). Patches and their tests
    /// always run one after the other.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
}

/// What became of one patch.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// This test went red.
    Caught(String),
    /// All named tests stayed green.
    Uncaught,
    /// The patch is wrong in itself: it does not fit, does not compile or runs no test.
    Broken(String),
}

/// Tries the chosen patches; `false` when one was not caught.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let mut patches = patch::load(Path::new(PATCHES))?;
    if let Some(name) = args
        .only
        .iter()
        .find(|name| !patches.iter().any(|patch| patch.name == **name))
    {
        let known: Vec<_> = patches.iter().map(|patch| patch.name.as_str()).collect();
        bail!(
            "no sabotage is called `{name}`; there are: {}",
            known.join(", ")
        );
    }
    patches.retain(|patch| args.only.is_empty() || args.only.contains(&patch.name));
    if args.list {
        for patch in &patches {
            println!("{:<28} {}", patch.name, patch.promise);
        }
        return Ok(true);
    }
    let base = std::path::absolute("target/sabotage")?;
    std::fs::create_dir_all(&base).with_context(|| format!("cannot make {}", base.display()))?;
    let lock = File::create(base.join("lock")).context("cannot make the sabotage lock")?;
    if lock.try_lock().is_err() {
        println!("another sabotage is running; waiting for it");
        lock.lock().context("cannot take the sabotage lock")?;
    }
    let yard = Yard::new(&base, args.jobs);
    let fates = attempt(&yard, Path::new("."), &fences::files()?, &patches)?;
    let bad: Vec<_> = patches
        .iter()
        .zip(&fates)
        .filter(|(_, fate)| !matches!(fate, Fate::Caught(_)))
        .map(|(patch, _)| patch.name.as_str())
        .collect();
    if !bad.is_empty() {
        println!(
            "\nto see it again:\n    cargo xtask sabotage --only {}",
            bad.join(" --only ")
        );
    }
    println!(
        "\n{} caught, {} not caught",
        fates.len() - bad.len(),
        bad.len()
    );
    Ok(bad.is_empty())
}

/// Runs the named tests unpatched, then each patch; fails when the tests are not green to begin
/// with, because then nothing can be said.
fn attempt(yard: &Yard, root: &Path, files: &[String], patches: &[Patch]) -> Result<Vec<Fate>> {
    let started = Instant::now();
    yard.sync(root, files, &BTreeMap::new())?;
    let mut union: Vec<&TestRef> = Vec::new();
    for test in patches.iter().flat_map(|patch| &patch.test) {
        if !union.contains(&test) {
            union.push(test);
        }
    }
    println!("== unpatched: the named tests must be green");
    for test in &union {
        match yard.run(test)? {
            Verdict::Green(count) => println!("{test}: {count} passed"),
            Verdict::Red(name) => bail!("`{name}` fails without any patch; repair it first"),
            Verdict::NoTest => bail!("no test matches {test}; correct the patches that name it"),
            Verdict::NoBuild(why) => bail!("the tree does not compile without any patch: {why}"),
        }
    }
    println!(
        "unpatched: green in {:.1} s",
        started.elapsed().as_secs_f64()
    );

    let mut fates = Vec::new();
    for patch in patches {
        let started = Instant::now();
        println!("\n== {}: {}", patch.name, patch.promise);
        let fate = one(yard, root, files, patch)?;
        let told = match &fate {
            Fate::Caught(test) => format!("caught by {test}"),
            Fate::Uncaught => format!("NOT CAUGHT: {} stayed green", patch.tests()),
            Fate::Broken(why) => format!("BROKEN PATCH: {why}"),
        };
        println!(
            "{}: {told} ({:.1} s)",
            patch.name,
            started.elapsed().as_secs_f64()
        );
        fates.push(fate);
    }
    // Leave the copy whole: who looks into it must not find a broken promise.
    yard.sync(root, files, &BTreeMap::new())?;
    Ok(fates)
}

fn one(yard: &Yard, root: &Path, files: &[String], patch: &Patch) -> Result<Fate> {
    let patched = match patch.apply(root) {
        Ok(patched) => patched,
        Err(stale) => return Ok(Fate::Broken(stale.to_string())),
    };
    if let Some(file) = patched.keys().find(|file| !files.contains(file)) {
        return Ok(Fate::Broken(format!("{file} is not a file of the tree")));
    }
    yard.sync(root, files, &patched)?;
    for test in &patch.test {
        match yard.run(test)? {
            Verdict::Green(_) => {}
            Verdict::Red(name) => return Ok(Fate::Caught(name)),
            Verdict::NoTest => {
                return Ok(Fate::Broken(format!(
                    "with the patch no test matches {test}"
                )));
            }
            Verdict::NoBuild(why) => {
                return Ok(Fate::Broken(format!("it does not compile: {why}")));
            }
        }
    }
    Ok(Fate::Uncaught)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir_all, read_to_string};

    const LIB: &str = r#"
        pub fn double(n: u32) -> u32 { n * 2 }
        // Nobody reads this line.
        #[cfg(test)]
        mod tests {
            #[test] fn twice() { assert_eq!(crate::double(4), 8) }
            #[test] fn zero() { assert_eq!(crate::double(0), 0) }
            #[test] #[ignore = "to see that it does not count"] fn asleep() { panic!("asleep") }
        }
    "#;

    fn patch(name: &str, find: &str, replace: &str, filter: &str) -> Patch {
        let text = toml::to_string(&toml::toml! {
            name = name
            promise = "the double is the double"
            test = { package = "tiny", filter = filter }
            edit = [{ file = "src/lib.rs", find = find, replace = replace }]
        });
        Patch::read(name, &text.unwrap()).unwrap()
    }

    fn write(path: &Path, text: &str) {
        use std::io::Write;
        create_dir_all(path.parent().unwrap()).unwrap();
        File::create(path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    #[test]
    fn a_break_is_caught_and_what_breaks_nothing_is_reported_as_uncaught() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        write(
            &root.join("Cargo.toml"),
            "[package]\nname = \"tiny\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n",
        );
        write(&root.join("src/lib.rs"), LIB);
        let files = ["Cargo.toml", "src/lib.rs"].map(str::to_owned);
        let yard = Yard::new(&dir.path().join("yard"), Some(1));
        let fates = attempt(
            &yard,
            &root,
            &files,
            &[
                patch("harmless", "Nobody reads", "Everybody reads", "tests::"),
                patch("real", "n * 2", "n * 3", "tests::"),
                patch("unseen", "n * 2", "n * 3", "tests::zero"),
                patch("hidden", "#[test] fn zero", "fn zero", "tests::zero"),
                patch("stale", "n * 7", "n * 3", "tests::"),
                patch("twofold", "assert_eq!", "assert_ne!", "tests::"),
                patch("no-compile", "n * 2", "n *", "tests::"),
                patch(
                    "endless",
                    "n * 2",
                    "{ if n == 4 { std::process::abort() } n * 2 }",
                    "tests::",
                ),
            ],
        )
        .unwrap();
        assert_eq!(fates[0], Fate::Uncaught);
        assert_eq!(fates[1], Fate::Caught("tiny tests::twice".to_owned()));
        assert_eq!(fates[2], Fate::Uncaught);
        let broken =
            |fate: &Fate, word: &str| matches!(fate, Fate::Broken(why) if why.contains(word));
        assert!(broken(&fates[3], "no test matches"), "{:?}", fates[3]);
        assert!(broken(&fates[4], "stale"), "{:?}", fates[4]);
        assert!(broken(&fates[5], "2 times"), "{:?}", fates[5]);
        assert!(broken(&fates[6], "does not compile"), "{:?}", fates[6]);
        assert_eq!(fates[7], Fate::Caught("tiny tests::twice".to_owned()));
        assert_eq!(
            read_to_string(dir.path().join("yard/tree/src/lib.rs")).unwrap(),
            LIB
        );
        assert_eq!(
            read_to_string(root.join("src/lib.rs")).unwrap(),
            LIB,
            "the tree itself is never touched"
        );

        // Only an ignored test under the filter: nothing ran, so nothing is known.
        let none = attempt(
            &yard,
            &root,
            &files,
            &[patch("asleep", "n * 2", "n * 3", "tests::asleep")],
        );
        assert!(none.unwrap_err().to_string().contains("no test matches"));

        // Red from the start: nothing can be said about any patch.
        write(&root.join("src/lib.rs"), &LIB.replace("4), 8", "4), 9"));
        let red = attempt(
            &yard,
            &root,
            &files,
            &[patch("real", "n * 2", "n * 3", "tests::")],
        );
        assert!(
            red.unwrap_err()
                .to_string()
                .contains("`tiny tests::twice` fails without any patch")
        );
    }

    #[test]
    fn an_end_to_end_test_drives_the_daemon_of_the_copy() {
        const E2E: &str = r#"
            #[test] fn the_daemon_is_honest() {
                let own = std::env::current_exe().unwrap();
                let axis = own.parent().unwrap().parent().unwrap().join("axis");
                let said = std::process::Command::new(axis).output().unwrap().stdout;
                assert_eq!(said, b"true\n");
            }
        "#;
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        let package = |name: &str| {
            format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n")
        };
        write(
            &root.join("Cargo.toml"),
            "[workspace]\nresolver = \"3\"\nmembers = [\"axis\", \"tests\"]\n",
        );
        write(&root.join("axis/Cargo.toml"), &package("axis"));
        write(
            &root.join("axis/src/main.rs"),
            "fn main() { println!(\"true\") }\n",
        );
        write(&root.join("tests/Cargo.toml"), &package("e2e"));
        write(&root.join("tests/src/lib.rs"), E2E);
        let files = [
            "Cargo.toml",
            "axis/Cargo.toml",
            "axis/src/main.rs",
            "tests/Cargo.toml",
            "tests/src/lib.rs",
        ];
        let patch = Patch::read(
            "lie",
            r#"
                name = "lie"
                promise = "The daemon is honest."
                test = { package = "e2e", filter = "honest" }
                [[edit]]
                file = "axis/src/main.rs"
                find = "true"
                replace = "false"
            "#,
        );
        let yard = Yard::new(&dir.path().join("yard"), Some(1));
        let fates = attempt(&yard, &root, &files.map(str::to_owned), &[patch.unwrap()]).unwrap();
        assert_eq!(fates, [Fate::Caught("e2e the_daemon_is_honest".to_owned())]);
    }

    #[test]
    fn the_committed_patches_fit_the_tree() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let patches = patch::load(&root.join(PATCHES)).unwrap();
        assert!(!patches.is_empty());
        for patch in patches {
            let _ = patch
                .apply(&root)
                .unwrap_or_else(|stale| panic!("{}: {stale}", patch.name));
        }
    }
}
