//! File descriptors: each connection takes one, and shells allow 1,024.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the axis opens beside connections: journal, index, payloads, broker, sockets.
const OWN: u64 = 512;

/// Allows as many as the system lets this process have. How many of `connections` that is enough
/// for: a connection more would take the descriptor that the journal needs.
pub(crate) fn room_for(connections: usize) -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        match setrlimit(Resource::Nofile, raised) {
            Ok(()) => limit = raised,
            Err(error) => tracing::debug!(%error, "the limit of open files stays as it is"),
        }
    }
    let Some(files) = limit.current else {
        return connections;
    };
    let room = usize::try_from(files.saturating_sub(OWN).max(files / 2)).unwrap_or(usize::MAX);
    if room < connections {
        tracing::info!(
            files,
            connections = room,
            "fewer connections than grpc.max_connections, as so many files may be open: raise \
             LimitNOFILE= in axis.service, or `ulimit -Hn` in the shell"
        );
    }
    room.min(connections)
}
