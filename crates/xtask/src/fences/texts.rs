//! Fences over the committed files: what lies at the top, and what no file may name.

/// What may lie at the top beside files whose name begins with a dot.
const TOP: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "README.md",
    "clippy.toml",
    "crates",
    "deny.toml",
    "deploy",
    "docs",
    "proto",
    "tests",
];

/// Folders of somebody's machine. In two halves, so that this file does not name them.
const MACHINE: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
];

/// Hosts of package registries: a lock file with one binds every later build to it.
const HOSTS: &[&str] = &[
    concat!("index.crates", ".io"),
    concat!("static.crates", ".io"),
    concat!("registry.npmjs", ".org"),
    concat!("registry.yarnpkg", ".com"),
    concat!("files.pythonhosted", ".org"),
    concat!("pypi", ".org"),
    concat!("deb.debian", ".org"),
];

/// The one source that Cargo.lock may name.
const CRATES: &str = "\"registry+https://github.com/rust-lang/crates.io-index\"";

/// Settings that lead a package client to a registry, by the end of the file's name.
const SETTINGS: &[(&str, &[&str])] = &[
    ("package-lock.json", &["\"resolved\":"]),
    (".npmrc", &["registry"]),
    ("pip.conf", &["index-url", "find-links"]),
    (
        "requirements.txt",
        &["--index-url", "--extra-index-url", "--find-links", "-i "],
    ),
    (
        ".cargo/config.toml",
        &["replace-with", "[source", "[registr"],
    ),
];

/// Only the agreed names at the top of the tree.
pub(super) fn top_level(files: &[String]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for file in files {
        let top = file.split('/').next().unwrap_or(file);
        if !top.starts_with('.') && !TOP.contains(&top) {
            let breach = format!(
                "`{top}` lies at the top; move it into one of: {}",
                TOP.join(", ")
            );
            if !found.contains(&breach) {
                found.push(breach);
            }
        }
    }
    found
}

/// No machine's folder, no registry's host, no setting that names one.
pub(super) fn places(file: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let at = format!("{file}:{}", number + 1);
        if let Some(folder) = MACHINE.iter().find(|folder| names_folder(line, folder)) {
            found.push(format!(
                "{at} names a folder of one machine ({folder}…); use a relative path"
            ));
        }
        if let Some(host) = HOSTS.iter().find(|host| line.contains(*host)) {
            found.push(format!(
                "{at} names the package registry {host}; leave the choice to the machine"
            ));
        }
        let setting = SETTINGS
            .iter()
            .filter(|(name, _)| file == *name || file.ends_with(&format!("/{name}")))
            .flat_map(|(_, settings)| *settings)
            .find(|setting| line.trim_start().starts_with(*setting));
        if let Some(setting) = setting {
            found.push(format!(
                "{at} sets {setting:?}; leave the choice of the registry to the machine"
            ));
        }
        if (file == "Cargo.lock" || file.ends_with("/Cargo.lock"))
            && line
                .trim_start()
                .strip_prefix("source = ")
                .is_some_and(|source| source != CRATES)
        {
            found.push(format!(
                "{at} takes a crate from elsewhere than crates.io: {}",
                line.trim()
            ));
        }
    }
    found
}

/// Whether `line` holds `folder` as the beginning of an absolute path: `docs/work/` and a URL's
/// path are something else.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + folder.len()..].chars().next();
        let begins = before.is_none_or(|c| !c.is_alphanumeric() && !"_.-/~}".contains(c))
            || line[..at].ends_with("file://");
        // With `<user>` behind it the text explains, with a name it leaks.
        begins
            && (!folder.ends_with("me/")
                || after.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_agreed_names_lie_at_the_top() {
        let files = |names: &[&str]| {
            names
                .iter()
                .map(|&name| name.to_owned())
                .collect::<Vec<_>>()
        };
        assert!(
            top_level(&files(&[
                "Cargo.toml",
                "crates/a/src/lib.rs",
                ".ci/run",
                ".gitignore",
                "docs/x.md"
            ]))
            .is_empty()
        );
        let found = top_level(&files(&["scripts/a.sh", "scripts/b.sh", "NOTES.txt"]));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("`scripts`"), "{found:?}");
    }

    #[test]
    fn machine_folders_are_seen_where_a_path_begins() {
        for folder in MACHINE {
            for line in [
                format!("{folder}x"),
                format!("cd {folder}x"),
                format!("path=\"{folder}x\""),
                format!("file://{folder}x"),
            ] {
                assert_eq!(places("a.md", &line).len(), 1, "{line}");
            }
            for line in [
                format!("docs{folder}x"),
                format!("https://host.example{folder}x"),
                format!("~{folder}x"),
            ] {
                assert!(places("a.md", &line).is_empty(), "{line}");
            }
        }
        assert!(places("a.md", &format!("{}<user>", MACHINE[2])).is_empty());
    }

    #[test]
    fn registries_are_seen_anywhere() {
        for host in HOSTS {
            let found = places(
                "docs/examples/node/README.md",
                &format!("one\nsee https://{host}/x"),
            );
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(
                found[0].starts_with("docs/examples/node/README.md:2 "),
                "{found:?}"
            );
        }
    }

    #[test]
    fn settings_that_choose_a_registry_are_seen_in_their_files_only() {
        let resolved = "      \"resolved\": \"https://mirror.example/x.tgz\",";
        assert_eq!(
            places("docs/examples/node/package-lock.json", resolved).len(),
            1
        );
        assert!(places("docs/format.md", resolved).is_empty());
        assert_eq!(
            places(
                ".cargo/config.toml",
                "[source.crates-io]\nreplace-with = \"m\""
            )
            .len(),
            2
        );
        assert!(places(".cargo/config.toml", "[alias]\nxtask = \"run\"").is_empty());
    }

    #[test]
    fn cargo_lock_takes_crates_from_one_place() {
        assert!(places("Cargo.lock", &format!("name = \"a\"\nsource = {CRATES}")).is_empty());
        let found = places(
            "Cargo.lock",
            "source = \"sparse+https://mirror.example/index/\"",
        );
        assert_eq!(found.len(), 1, "{found:?}");
    }
}
