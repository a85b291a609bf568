//! Fences over the dependency graph.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::Deserialize;

/// The crates in the order of the design: each may use those before it, never those after it.
const ORDER: &[&str] = &[
    "edxml", "lists", "journal", "ledger", "bus", "exchange", "seal", "vxp", "bridge", "api",
    "console", "notice", "axis", "testkit", "e2e", "xtask",
];

/// Crates that only some of ours may depend on, the first of them for all, and why.
const OWNED: &[(&str, &[&str], &str)] = &[
    (
        "sled",
        &["ledger"],
        "the index is rebuildable and all of sled sits in one module",
    ),
    (
        "lapin",
        // testkit plays the other end: the partner's software.
        &["bus", "testkit"],
        "a broker is one of two buses; nobody else may know which",
    ),
];

/// Crates that must not be built for any target, and why.
const BANNED: &[(&str, &str)] = &[
    (
        "ring",
        "aws-lc-rs is the one crypto provider; two of them panic at first use",
    ),
    ("openssl", "rustls with aws-lc-rs is the one TLS"),
    ("openssl-sys", "rustls with aws-lc-rs is the one TLS"),
    ("native-tls", "rustls with aws-lc-rs is the one TLS"),
    ("rsa", "RUSTSEC-2023-0071; aws-lc-rs does RSA"),
];

/// Crates that must stand in the graph once at most: their types cross our borders.
const SINGLE: &[&str] = &[
    "tonic",
    "prost",
    "prost-types",
    "rustls",
    "hyper",
    "tokio",
    "axum",
    "sled",
];

/// A crate of ours and what its manifest names.
#[derive(Debug, Deserialize)]
pub(super) struct Member {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Member>,
}

/// Reads `cargo metadata --no-deps`.
pub(super) fn members(metadata: &str) -> Result<Vec<Member>> {
    let metadata: Metadata =
        serde_json::from_str(metadata).context("cargo metadata has an unknown shape")?;
    Ok(metadata.packages)
}

/// Only the owner of an owned crate names it in its manifest.
pub(super) fn owners(members: &[Member]) -> Vec<String> {
    let mut found = Vec::new();
    for member in members {
        for &(owned, owners, why) in OWNED {
            let uses = member.dependencies.iter().any(|used| used.name == owned);
            if uses && !owners.contains(&member.name.as_str()) {
                let owner = owners[0];
                found.push(format!(
                    "crate `{}` depends on {owned}, only `{owner}` may: {why}; go through `{owner}`",
                    member.name
                ));
            }
        }
    }
    found
}

/// Every crate has a place in the order, and uses only those before it.
pub(super) fn order(members: &[Member]) -> Vec<String> {
    let place = |name: &str| ORDER.iter().position(|&placed| placed == name);
    let ours: BTreeSet<&str> = members.iter().map(|member| member.name.as_str()).collect();
    let mut found = Vec::new();
    for member in members {
        let Some(own) = place(&member.name) else {
            found.push(format!(
                "crate `{}` has no place in the crate order; give it one in the design and in ORDER of the fences",
                member.name
            ));
            continue;
        };
        // Development dependencies too: a test that needs what lies below belongs into `tests/`.
        for used in &member.dependencies {
            let Some(its) = place(&used.name).filter(|_| ours.contains(used.name.as_str())) else {
                continue;
            };
            if its >= own {
                found.push(format!(
                    "crate `{}` uses `{}`, which lies below it; a crate may use only those above: {}",
                    member.name,
                    used.name,
                    ORDER[..own].join(", ")
                ));
            }
        }
    }
    found
}

/// No banned crate and no second version of a single one, from `cargo tree --prefix none`.
pub(super) fn versions(tree: &str) -> Vec<String> {
    let mut graph: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in tree.lines() {
        // `name v1.2.3`, then a path, `(proc-macro)` or `(*)`.
        let mut words = line.split_whitespace();
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            let _ = graph.entry(name).or_default().insert(version);
        }
    }
    let mut found = Vec::new();
    if graph.is_empty() {
        found.push("`cargo tree` printed nothing that could be checked".to_owned());
    }
    for (name, why) in BANNED {
        if graph.contains_key(name) {
            found.push(format!(
                "{name} is in the graph: {why}; `cargo tree --workspace --target all -i {name}` says through whom"
            ));
        }
    }
    for name in SINGLE {
        if let Some(versions) = graph.get(name).filter(|versions| versions.len() > 1) {
            let versions: Vec<_> = versions.iter().copied().collect();
            found.push(format!(
                "{name} is in the graph as {}; `cargo tree --workspace --target all -i {name}@VERSION` says through whom",
                versions.join(" and ")
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(manifests: &[(&str, &[&str])]) -> Vec<Member> {
        manifests
            .iter()
            .map(|(name, uses)| Member {
                name: (*name).to_owned(),
                dependencies: uses
                    .iter()
                    .map(|used| Dependency {
                        name: (*used).to_owned(),
                    })
                    .collect(),
            })
            .collect()
    }

    #[test]
    fn cargos_metadata_is_read() {
        let text = r#"{"packages":[{"name":"ledger","version":"0.1.0","dependencies":[
            {"name":"sled","kind":null,"req":"=0.34.7"},{"name":"tempfile","kind":"dev"}]}],"version":1}"#;
        let members = members(text).unwrap();
        assert_eq!(members[0].name, "ledger");
        assert_eq!(members[0].dependencies[1].name, "tempfile");
    }

    #[test]
    fn only_the_owner_may_name_an_owned_crate() {
        assert!(
            owners(&workspace(&[
                ("ledger", &["sled"]),
                ("bus", &["lapin", "tokio"])
            ]))
            .is_empty()
        );
        let found = owners(&workspace(&[
            ("ledger", &["sled"]),
            ("exchange", &["sled", "lapin"]),
        ]));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("`exchange` depends on sled"), "{found:?}");
    }

    #[test]
    fn a_crate_uses_only_those_above_it() {
        let good = workspace(&[
            ("edxml", &[]),
            ("ledger", &["edxml", "prost"]),
            ("e2e", &["testkit"]),
            ("testkit", &["edxml"]),
        ]);
        assert!(order(&good).is_empty());
        let found = order(&workspace(&[
            ("edxml", &["ledger"]),
            ("ledger", &["edxml"]),
        ]));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("`edxml` uses `ledger`"), "{found:?}");
    }

    #[test]
    fn a_crate_of_others_with_one_of_our_names_is_no_breach() {
        assert!(order(&workspace(&[("edxml", &["bridge"])])).is_empty());
    }

    #[test]
    fn a_new_crate_needs_a_place() {
        let found = order(&workspace(&[("helpers", &[])]));
        assert!(found[0].contains("`helpers` has no place"), "{found:?}");
    }

    #[test]
    fn banned_and_doubled_crates_are_seen() {
        let clean = "axis v0.1.0 (/x/crates/axis)\nrustls v0.23.46\nserde_derive v1.0.0 (proc-macro)\n\nrustls v0.23.46 (*)\n";
        assert!(versions(clean).is_empty());
        let found = versions("ring v0.17.14\nprost v0.13.5\nprost v0.14.4\nprost v0.14.4 (*)\n");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("ring is in the graph"), "{found:?}");
        assert!(found[1].contains("v0.13.5 and v0.14.4"), "{found:?}");
    }

    #[test]
    fn an_empty_tree_is_a_breach_and_not_a_pass() {
        assert_eq!(versions("").len(), 1);
    }
}
