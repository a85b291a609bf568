//! The program's own log, on stderr: lines for people, or JSON objects.

use std::fmt;
use std::io::{self, IsTerminal};

use ledger::time::Clock;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use crate::config::LogFormat;
use crate::failure::Failure;

/// Times of the log: as everywhere, Vietnam time with its offset.
struct VietnamTime;

impl FormatTime for VietnamTime {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        w.write_str(&Clock::system().now().iso_ms())
    }
}

/// Starts the log.
///
/// # Errors
/// If the filter cannot be read.
pub(crate) fn start(filter: &str, format: LogFormat) -> Result<(), Failure> {
    let mut filter = EnvFilter::try_new(filter).map_err(Failure::usage)?;
    // The AMQP library prints whole messages; what matters of it the bus says itself.
    if let Ok(silence) = "lapin=off".parse() {
        filter = filter.add_directive(silence);
    }
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_timer(VietnamTime);
    let started = match format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(Failure::refused)
}

/// Makes a panic end the process after it is logged: a task that panicked leaves a state that
/// nobody knows, a restart leaves one that everybody does.
pub(crate) fn abort_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("(no message)");
        tracing::error!(
            place,
            message,
            "a panic: stopping at once; every receipt given stands, start the axis again"
        );
        std::process::abort();
    }));
}
