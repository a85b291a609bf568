//! How many tests passed and failed, read from what the test runners print.

use std::fmt;
use std::ops::AddAssign;

/// Tests counted in one or more runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    /// Failed, timed out or not startable.
    pub(crate) failed: u64,
    /// Marked as ignored. Shown, so that nobody hides a test that way.
    pub(crate) ignored: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.ignored > 0 {
            write!(f, ", {} ignored", self.ignored)?;
        }
        Ok(())
    }
}

/// Whose summary lines to read. Only its own: a failed test's output, shown by nextest, holds
/// libtest's summary of that one test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    Libtest,
    Nextest,
}

impl Runner {
    /// What one line of output adds to the count; `None` if it is no summary.
    pub(crate) fn tally(self, line: &str) -> Option<Tally> {
        let line = plain(line);
        let counts = match self {
            // test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; …
            Self::Libtest => line.strip_prefix("test result: ")?.split_once(". ")?.1,
            //      Summary [   0.012s] 5/7 tests run: 3 passed (1 slow), 1 failed, 1 timed out, 2 skipped
            Self::Nextest => {
                let rest = line.trim_start().strip_prefix("Summary [")?;
                rest.split_once(" run: ")?.1
            }
        };
        let mut tally = Tally::default();
        for part in counts.split([';', ',']) {
            let mut words = part.split_whitespace();
            let Some(count) = words.next().and_then(|word| word.parse::<u64>().ok()) else {
                continue;
            };
            match (words.next(), words.next()) {
                (Some("passed"), _) => tally.passed += count,
                (Some("failed"), _) | (Some("timed"), _) | (Some("exec"), Some("failed")) => {
                    tally.failed += count;
                }
                // nextest counts what a filter left out together with what is ignored.
                (Some("ignored" | "skipped"), _) => tally.ignored += count,
                _ => {}
            }
        }
        Some(tally)
    }
}

/// The line without its colours.
fn plain(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' {
            let _ = rest.find(|c| c.is_ascii_alphabetic());
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(passed: u64, failed: u64, ignored: u64) -> Option<Tally> {
        Some(Tally {
            passed,
            failed,
            ignored,
        })
    }

    #[test]
    fn libtest_summaries_are_counted() {
        let ok = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s";
        assert_eq!(Runner::Libtest.tally(ok), counted(3, 0, 1));
        let red = "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(Runner::Libtest.tally(red), counted(3, 2, 0));
        assert_eq!(Runner::Libtest.tally("test a::b ... ok"), None);
    }

    #[test]
    fn nextest_summaries_are_counted_with_colours_and_all_kinds_of_failure() {
        let ok = "     Summary [   0.012s] 5 tests run: 5 passed (1 slow, 1 leaky), 0 skipped";
        assert_eq!(Runner::Nextest.tally(ok), counted(5, 0, 0));
        let red = "\u{1b}[31;1m     Summary\u{1b}[0m [  10.0s] \u{1b}[1m6/7\u{1b}[0m tests run: \u{1b}[1m2\u{1b}[0m passed, 1 failed, 2 timed out, 1 exec failed, 3 skipped";
        assert_eq!(Runner::Nextest.tally(red), counted(2, 4, 3));
    }

    #[test]
    fn a_failed_tests_own_output_is_not_counted_again() {
        let shown = "    test result: FAILED. 0 passed; 1 failed; 0 ignored";
        assert_eq!(Runner::Nextest.tally(shown), None);
        assert_eq!(Runner::Libtest.tally(shown), None);
    }
}
