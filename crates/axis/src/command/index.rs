//! `axis index`: the index holds nothing that the journal does not; it can be made again.

use clap::Subcommand;

use crate::door::OperatorArgs;
use crate::failure::Failure;
use crate::output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Remove index and checkpoint, so that the next start makes them again from the journal
    Rebuild {
        /// One JSON object on stdout
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        operator: OperatorArgs,
    },
}

/// Runs `axis index`.
///
/// # Errors
/// An axis runs on the folder, or a file cannot be removed.
pub(crate) fn run(command: Command) -> Result<(), Failure> {
    let Command::Rebuild { json, operator } = command;
    let data = operator.data();
    let running = || {
        Failure::refused(format!(
            "an axis runs on {}; stop it first, then run this again",
            data.display()
        ))
    };
    let _lock = match super::verify::lock(data, true, "") {
        Ok(lock) => lock,
        Err(Failure::Unreachable(_)) => return Err(running()),
        Err(failure) => return Err(failure),
    };
    if !data.join("lock").exists() {
        return Err(Failure::refused(format!(
            "{} is no data folder of an axis",
            data.display()
        )));
    }
    ledger::remove_derived(data).map_err(|error| Failure::caused_by(&error))?;
    if json {
        output::json(&serde_json::json!({ "removed": true }))?;
    } else {
        output::line(format!(
            "Đã bỏ chỉ mục; lần khởi động sau dựng lại từ nhật ký (index removed; the next start makes it again):\n\
             axis serve --data {}",
            data.display()
        ))?;
    }
    Ok(())
}
