//! A sabotage: one promise, the edits that break it, the tests that must notice.
//!
//! ```toml
//! name = "ack-before-sync"                       # the file's name without .toml
//! promise = "A receipt is given only after the sync returned."
//! test = [{ package = "journal", filter = "tests::a_receipt_waits_for_the_sync" }]
//!
//! [[edit]]
//! file = "crates/journal/src/commit.rs"
//! find = """
//!         self.sync()?;
//! """                                            # exact text, once in the file
//! replace = ""
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

/// One patch file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Patch {
    pub(super) name: String,
    /// The sentence that the patch makes untrue.
    pub(super) promise: String,
    /// At least one of these must fail with the patch, all must pass without it.
    #[serde(deserialize_with = "one_or_many")]
    pub(super) test: Vec<TestRef>,
    edit: Vec<Edit>,
}

/// Tests of one package whose names contain a text.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(super) struct TestRef {
    pub(super) package: String,
    pub(super) filter: String,
}

impl fmt::Display for TestRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.package, self.filter)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    file: String,
    find: String,
    replace: String,
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(source: D) -> Result<Vec<TestRef>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        One(TestRef),
        Many(Vec<TestRef>),
    }
    Ok(match Either::deserialize(source)? {
        Either::One(test) => vec![test],
        Either::Many(tests) => tests,
    })
}

/// All patches of a folder, by name.
pub(super) fn load(dir: &Path) -> Result<Vec<Patch>> {
    let mut patches = Vec::new();
    let entries =
        std::fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            patches.push(Patch::read(&stem, &text).with_context(|| path.display().to_string())?);
        }
    }
    patches.sort_by(|a, b| a.name.cmp(&b.name));
    ensure!(!patches.is_empty(), "no sabotage in {}", dir.display());
    Ok(patches)
}

impl Patch {
    /// Reads a patch file whose name without `.toml` is `stem`.
    pub(super) fn read(stem: &str, text: &str) -> Result<Self> {
        let patch: Self = toml::from_str(text)?;
        ensure!(
            patch.name == stem,
            "its name is `{}`, its file's `{stem}`",
            patch.name
        );
        ensure!(!patch.promise.trim().is_empty(), "it names no promise");
        ensure!(!patch.test.is_empty(), "it names no test");
        ensure!(!patch.edit.is_empty(), "it changes nothing");
        Ok(patch)
    }

    /// The files as the patch makes them, from those under `root`. Fails when the patch is stale.
    pub(super) fn apply(&self, root: &Path) -> Result<BTreeMap<String, String>> {
        let mut files: BTreeMap<String, String> = BTreeMap::new();
        for Edit {
            file,
            find,
            replace,
        } in &self.edit
        {
            let text = match files.get(file) {
                Some(text) => text.clone(),
                None => std::fs::read_to_string(root.join(file))
                    .with_context(|| format!("the patch is stale: cannot read {file}"))?,
            };
            let shown = find
                .lines()
                .find(|line| !line.trim().is_empty())
                .unwrap_or_default()
                .trim();
            ensure!(
                find != replace && !find.is_empty(),
                "an edit of {file} changes nothing"
            );
            match text.matches(find.as_str()).count() {
                0 => bail!("the patch is stale: `{shown}` … is not in {file}"),
                1 => {}
                n => bail!("the patch is stale: `{shown}` … stands {n} times in {file}"),
            }
            let _ = files.insert(file.clone(), text.replacen(find.as_str(), replace, 1));
        }
        Ok(files)
    }

    /// The named tests, for people.
    pub(super) fn tests(&self) -> String {
        let names: Vec<_> = self.test.iter().map(ToString::to_string).collect();
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const TEXT: &str = r#"
        name = "a"
        promise = "One is one."
        test = [{ package = "p", filter = "f" }, { package = "q", filter = "g" }]
        [[edit]]
        file = "x.rs"
        find = "one"
        replace = "two"
        [[edit]]
        file = "x.rs"
        find = "two three"
        replace = "four"
    "#;

    fn tree(text: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::File::create(dir.path().join("x.rs"))
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        dir
    }

    #[test]
    fn edits_of_one_file_build_on_each_other() {
        let patch = Patch::read("a", TEXT).unwrap();
        assert_eq!(patch.tests(), "p f, q g");
        let files = patch.apply(tree("zero one three").path()).unwrap();
        assert_eq!(files["x.rs"], "zero four");
    }

    #[test]
    fn a_patch_that_does_not_fit_exactly_once_is_stale() {
        let patch = Patch::read("a", TEXT).unwrap();
        let stale = |text: &str| patch.apply(tree(text).path()).unwrap_err().to_string();
        assert!(stale("zero three").contains("is not in x.rs"));
        assert!(stale("one one three").contains("stands 2 times"));
        let gone = patch
            .apply(tempfile::tempdir().unwrap().path())
            .unwrap_err();
        assert!(gone.to_string().contains("cannot read x.rs"));
    }

    #[test]
    fn a_file_is_refused_for_what_it_lacks() {
        assert!(Patch::read("b", TEXT).is_err(), "the file has another name");
        assert!(
            Patch::read("a", &TEXT.replace("One is one.", " ")).is_err(),
            "no promise"
        );
        assert!(
            Patch::read("a", &TEXT.replace("promise", "promises")).is_err(),
            "unknown key"
        );
        assert!(Patch::read("a", "name = 'a'\npromise = 'p'\ntest = []\nedit = []").is_err());
    }
}
