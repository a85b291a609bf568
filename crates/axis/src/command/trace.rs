//! `axis trace`: the story of a package, a delivery or a document.

use api::v1;

use crate::door::EitherArgs;
use crate::failure::Failure;
use crate::{output, shape, story};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The id of a package or a delivery, or an edXML DocumentId
    id: String,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    door: EitherArgs,
}

/// Runs `axis trace`.
///
/// # Errors
/// Not found, not for this caller, or no axis there.
pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let client = args.door.connect().await?;
    let trace = client
        .trace(v1::TraceRequest {
            id: args.id.clone(),
        })
        .await?;
    if args.json {
        output::json(&shape::Trace::of(&args.id, &trace))?;
    } else {
        output::line(story::tell(&trace))?;
    }
    Ok(())
}
