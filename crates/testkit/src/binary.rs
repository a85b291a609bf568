//! Which `axis` the tests drive.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow, bail};

/// The binary: what `AXIS_BIN` names, else the one of the build that this test belongs to, made
/// (once, whoever asks first) when it is absent or older than a source of it.
///
/// # Errors
/// It does not compile; the message is the compiler's.
pub fn axis_binary() -> Result<PathBuf> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BINARY
        .get_or_init(|| find().map_err(|error| format!("{error:#}")))
        .clone()
        .map_err(|error| anyhow!(error))
}

fn find() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("AXIS_BIN") {
        // Absolute, because children run in other folders.
        let path = std::path::absolute(named)?;
        return if path.is_file() {
            Ok(path)
        } else {
            bail!("AXIS_BIN names {}, which is no file", path.display())
        };
    }
    let own = std::env::current_exe().context("this program has no path")?;
    let place = build_folder(&own).context("this program lies in no build folder; set AXIS_BIN")?;
    let path = place.join("axis");
    // Test processes run side by side: one builds, the others wait and find it done.
    let lock =
        File::create(place.join(".axis-build.lock")).context("cannot make the build lock")?;
    lock.lock().context("cannot take the build lock")?;
    if is_stale(&path, &place.join("axis.d"), &checkout()?) {
        build(place)?;
    }
    Ok(path)
}

/// `target/<profile>` of a program in it, in its `deps` or in its `examples`.
fn build_folder(program: &Path) -> Option<&Path> {
    let folder = program.parent()?;
    match folder.file_name()?.to_str()? {
        "deps" | "examples" => folder.parent(),
        _ => Some(folder),
    }
}

/// The workspace that this test belongs to.
fn checkout() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize()
        .with_context(|| format!("the workspace of the test is gone: {}", root.display()))
}

/// Whether `binary` is absent, older than one of the sources that cargo lists in `deps`, or
/// made of another checkout than `checkout`, which may share the build folder.
fn is_stale(binary: &Path, deps: &Path, checkout: &Path) -> bool {
    let time =
        |path: &Path| -> Option<SystemTime> { std::fs::metadata(path).ok()?.modified().ok() };
    let (Some(built), Ok(listed)) = (time(binary), std::fs::read_to_string(deps)) else {
        return true;
    };
    let sources = sources(&listed);
    !sources.iter().any(|source| source.starts_with(checkout))
        || sources
            .iter()
            .any(|source| time(source).is_none_or(|changed| changed > built))
}

/// The sources in a dep-info file: `binary: source source …`, a space inside a path as `\ `.
fn sources(listed: &str) -> Vec<PathBuf> {
    let listed = listed
        .lines()
        .next()
        .and_then(|line| line.split_once(": "))
        .map_or("", |(_, rest)| rest);
    listed
        .replace("\\ ", "\0")
        .split_whitespace()
        .map(|source| PathBuf::from(source.replace('\0', " ")))
        .collect()
}

fn build(place: &Path) -> Result<()> {
    let target = place.parent().context("the build folder has no parent")?;
    let profile = match place.file_name().and_then(OsStr::to_str) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let out = Command::new(cargo)
        .args([
            "build",
            "--quiet",
            "--package",
            "axis",
            "--bin",
            "axis",
            "--profile",
            profile,
        ])
        .arg("--target-dir")
        .arg(target)
        .current_dir(checkout()?)
        .output()
        .context("cannot start cargo")?;
    if !out.status.success() {
        bail!(
            "axis does not build:\n{}",
            String::from_utf8_lossy(&out.stderr)
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_build_folder_of_tests_examples_and_programs_is_the_same() {
        for program in ["deps/suites-0a1b", "examples/push", "xtask"] {
            let program = Path::new("target/debug").join(program);
            assert_eq!(build_folder(&program), Some(Path::new("target/debug")));
        }
        assert_eq!(build_folder(Path::new("/")), None);
    }

    #[test]
    fn sources_are_read_with_spaces_in_their_names() {
        let listed = "/t/debug/axis: /a/src/main.rs /b\\ c/lib.rs\n\n/a/src/main.rs:\n";
        assert_eq!(
            sources(listed),
            [
                PathBuf::from("/a/src/main.rs"),
                PathBuf::from("/b c/lib.rs")
            ]
        );
        assert!(sources("").is_empty());
    }

    #[test]
    fn a_binary_is_stale_when_absent_unlisted_or_older_than_a_source() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let make = |name: &str, age: u64| {
            let file = File::create(path(name)).unwrap();
            file.set_modified(then - Duration::from_secs(age)).unwrap();
        };
        let list = |names: &[&str]| {
            use std::io::Write;
            let names: Vec<_> = names
                .iter()
                .map(|name| path(name).display().to_string())
                .collect();
            let line = format!("axis: {}\n", names.join(" "));
            File::create(path("axis.d"))
                .unwrap()
                .write_all(line.as_bytes())
                .unwrap();
        };
        let stale = || is_stale(&path("axis"), &path("axis.d"), dir.path());
        make("main.rs", 10);
        assert!(stale(), "absent");
        make("axis", 5);
        assert!(stale(), "unlisted");
        list(&["main.rs"]);
        assert!(!stale());
        let other = Path::new("/another/checkout");
        assert!(is_stale(&path("axis"), &path("axis.d"), other), "another's");
        make("main.rs", 4);
        assert!(stale(), "older");
        list(&["gone.rs"]);
        assert!(stale(), "a source is gone");
    }
}
