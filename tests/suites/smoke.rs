//! The binary is there and starts.

use anyhow::Result;
use testkit::Cli;

#[test]
fn the_axis_says_its_version_and_ends() -> Result<()> {
    let _ = Cli::new().run(["--version"])?.ok()?;
    Ok(())
}
