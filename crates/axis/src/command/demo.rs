//! `axis demo`.
use crate::failure::Failure;
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}
pub(crate) async fn run(_: Args) -> Result<(), Failure> {
    Ok(())
}
