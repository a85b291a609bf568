//! Invented agencies and the systems that serve them.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::axis::Axis;
use crate::cli::Cli;

/// The code of the invented agency with this number, in the form of 2016.
#[must_use]
pub fn agency(number: u32) -> String {
    let (high, low) = (number / 100, number % 100);
    format!("000.{high:02}.{low:02}.H99")
}

/// A list of so many agencies, as `axis registry import` takes it.
#[must_use]
pub fn agency_list(count: u32) -> String {
    let mut csv = String::from("code,code_2020,name,parent\n");
    for number in 1..=count {
        // Writing to a String cannot fail.
        let _ = writeln!(csv, "{},H99.{number},Cơ quan số {number},", agency(number));
    }
    csv
}

/// A connected system with its key.
#[derive(Clone, Debug)]
pub struct System {
    /// Its id.
    pub id: String,
    /// Its key.
    pub key: String,
}

impl Axis {
    /// Registers so many agencies.
    ///
    /// # Errors
    /// The import is refused.
    pub fn register(&self, agencies: u32) -> Result<()> {
        let list = self.scratch().join("agencies.csv");
        crate::axis::write(&list, agency_list(agencies).as_bytes())?;
        let list = list.into_os_string();
        let _ = self
            .operate(["registry".into(), "import".into(), list])?
            .ok()?;
        Ok(())
    }

    /// Adds a system that serves these agencies.
    ///
    /// # Errors
    /// The axis refuses it.
    pub fn add_system(&self, id: &str, agencies: &[&str]) -> Result<System> {
        self.add_system_with(id, agencies, &[])
    }

    /// Adds a system with more arguments for `axis system add`.
    ///
    /// # Errors
    /// The axis refuses it.
    pub fn add_system_with(&self, id: &str, agencies: &[&str], more: &[&str]) -> Result<System> {
        let mut args = vec!["system", "add", id, "--json"];
        for agency in agencies {
            args.extend(["--agency", agency]);
        }
        args.extend(more);
        let added = self.operate(args)?.ok()?.json()?;
        let key = added
            .first()
            .and_then(|line| line["key"].as_str())
            .with_context(|| format!("no key in {added:?}"))?;
        Ok(System {
            id: id.to_owned(),
            key: key.to_owned(),
        })
    }

    /// A command that calls this axis as a system.
    #[must_use]
    pub fn cli(&self, system: &System) -> Cli {
        Cli::new()
            .env("AXIS_SERVER", format!("http://{}", self.grpc()))
            .env("AXIS_SYSTEM", &system.id)
            .env("AXIS_KEY", &system.key)
    }

    /// Writes a file into a folder that goes with the daemon, and says where it is.
    ///
    /// # Errors
    /// The disk refuses it.
    pub fn file(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.scratch().join(name);
        crate::axis::write(&path, bytes)?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_agencies_have_one_code() {
        let list = agency_list(1_000);
        let codes: std::collections::HashSet<_> = list
            .lines()
            .skip(1)
            .flat_map(|row| row.split(',').take(2))
            .collect();
        assert_eq!(codes.len(), 2_000);
        assert_eq!(agency(1), "000.00.01.H99");
        assert_eq!(agency(142), "000.01.42.H99");
    }
}
