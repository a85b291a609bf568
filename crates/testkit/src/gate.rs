//! A gate between two that talk over TCP: what one of them says can be kept from the other.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// How soon a connection is cut on which nobody speaks.
const TURN: Duration = Duration::from_millis(10);

/// In which direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From who has connected to who listens.
    In,
    /// Back.
    Out,
}

/// A listener in front of another one. Connections pass through it; while a way is held, what is
/// said that way stays here, and is never said.
#[derive(Debug)]
pub struct Gate {
    port: u16,
    shared: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    held: [Option<Vec<u8>>; 2],
    /// How often all connections were cut.
    cuts: u64,
    closed: bool,
}

impl Gate {
    /// A gate before this port of this machine.
    ///
    /// # Errors
    /// The system gives no port.
    pub fn before(port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port for a gate")?;
        let own = listener.local_addr()?.port();
        let shared: Arc<Mutex<State>> = Arc::default();
        let state = Arc::clone(&shared);
        thread::spawn(move || {
            for connection in listener.incoming() {
                if lock(&state).closed {
                    return;
                }
                // One that does not come to be is the caller's to try again.
                let Ok(client) = connection else { continue };
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
                    continue;
                };
                let (Ok(to_client), Ok(to_server)) = (client.try_clone(), server.try_clone())
                else {
                    continue;
                };
                let [state_in, state_out] = [&state, &state].map(Arc::clone);
                thread::spawn(move || pass(client, to_server, Way::In, &state_in));
                thread::spawn(move || pass(server, to_client, Way::Out, &state_out));
            }
        });
        Ok(Self { port: own, shared })
    }

    /// The port to connect to.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Holds one way from now on.
    pub fn hold(&self, way: Way) {
        lock(&self.shared).held[way as usize].get_or_insert_default();
    }

    /// Whether these bytes are among what is held that way.
    #[must_use]
    pub fn holds(&self, way: Way, bytes: &[u8]) -> bool {
        let state = lock(&self.shared);
        let held = state.held[way as usize].as_deref().unwrap_or_default();
        held.windows(bytes.len()).any(|window| window == bytes)
    }

    /// Ends all connections with what is held of them. Later ones pass.
    pub fn cut(&self) {
        let mut state = lock(&self.shared);
        state.held = [None, None];
        state.cuts += 1;
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        lock(&self.shared).closed = true;
        // The listener looks whether it is closed when somebody comes.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Carries what `from` says to `to` until one of them leaves or all are cut.
fn pass(mut from: TcpStream, mut to: TcpStream, way: Way, state: &Mutex<State>) {
    let cuts = lock(state).cuts;
    let mut buffer = vec![0; 64 << 10];
    let mut stands = from.set_read_timeout(Some(TURN)).is_ok();
    while stands {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => 0,
            Err(_) => break,
        };
        let said = &buffer[..count];
        {
            let mut state = lock(state);
            if state.cuts != cuts {
                break;
            }
            if let Some(held) = &mut state.held[way as usize] {
                held.extend_from_slice(said);
                continue;
            }
        }
        stands = to.write_all(said).is_ok();
    }
    // Either side has left: the other one hears it.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
