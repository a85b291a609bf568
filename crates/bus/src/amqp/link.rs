//! How the way to the broker stands, as others can watch it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;

/// How the way to the broker stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link {
    /// Up, away or blocked.
    pub state: LinkState,
    /// Since when it is so.
    pub since: SystemTime,
    /// Counts the connections made so far; 0 before the first. Whoever published something under
    /// another number cannot know that it is still there, and publishes it again.
    pub generation: u64,
    /// What the broker does not give: queue or exchange by name, with its reason (missing, not
    /// permitted, made otherwise). An entry goes away when that queue works again.
    pub faults: Arc<BTreeMap<String, String>>,
    /// How often a queue was found gone that no loss of the broker took along (somebody deleted
    /// it), by name. What lay in it is lost to the broker, and the queue is made anew.
    pub deleted: Arc<BTreeMap<String, u64>>,
}

/// Whether there is a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkState {
    /// Connected, and the broker takes messages.
    Up,
    /// Connected; the broker takes no messages until its alarm is over. It still hands out.
    Blocked {
        /// What the broker says: `low on memory`, `low on disk`.
        reason: String,
    },
    /// Not connected; tried again and again.
    Away {
        /// Why.
        cause: Cause,
    },
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The first attempt has not ended yet.
    Starting,
    /// Nobody answers there, or not as a broker.
    Unreachable {
        /// What the network said.
        said: String,
    },
    /// The broker does not let this user in: name or password.
    Login {
        /// What the broker said.
        said: String,
    },
    /// The broker's certificate is not one of the authority's, or names another host.
    Untrusted {
        /// What is wrong with it.
        said: String,
    },
    /// The broker ended the TLS handshake: it wants a certificate of the axis, or another one.
    Unwelcome {
        /// What the broker said.
        said: String,
    },
    /// The vhost is missing, or the user may not enter it.
    Vhost {
        /// What the broker said.
        said: String,
    },
    /// There was a connection, and it is gone.
    Lost {
        /// Why, as far as is known.
        said: String,
    },
    /// The bus was closed.
    Closed,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting => f.write_str("the first connection is on its way"),
            Self::Unreachable { said } => write!(f, "the broker cannot be reached: {said}"),
            Self::Login { said } => write!(
                f,
                "the broker does not let the axis in (user in bus.url, password in bus.password_file): {said}"
            ),
            Self::Untrusted { said } => write!(
                f,
                "the broker's certificate is not accepted (it must be signed by the authority in bus.tls.ca, and name the host of bus.url): {said}"
            ),
            Self::Unwelcome { said } => write!(
                f,
                "the broker does not accept the axis's certificate (bus.tls.cert and bus.tls.key: missing, or of another authority): {said}"
            ),
            Self::Vhost { said } => write!(
                f,
                "the broker does not give the vhost (missing, or no permission for the user): {said}"
            ),
            Self::Lost { said } => write!(f, "the connection to the broker was lost: {said}"),
            Self::Closed => f.write_str("the bus is closed"),
        }
    }
}

impl Link {
    /// A link in this state since now, over that connection, with nothing that is not given.
    #[must_use]
    pub fn new(state: LinkState, generation: u64) -> Self {
        Self {
            state,
            since: SystemTime::now(),
            generation,
            faults: Arc::default(),
            deleted: Arc::default(),
        }
    }

    /// Whether messages can be published now.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.state == LinkState::Up
    }

    /// Whether there is a connection, taking messages or not.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        !matches!(self.state, LinkState::Away { .. })
    }

    fn starting() -> Self {
        Self {
            state: LinkState::Away {
                cause: Cause::Starting,
            },
            since: SystemTime::now(),
            generation: 0,
            faults: Arc::default(),
            deleted: Arc::default(),
        }
    }
}

/// The one who says how it stands.
#[derive(Debug)]
pub(super) struct Teller(watch::Sender<Link>);

impl Teller {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(Link::starting()))
    }

    pub(super) fn watch(&self) -> watch::Receiver<Link> {
        self.0.subscribe()
    }

    pub(super) fn is_up(&self) -> bool {
        self.0.borrow().is_up()
    }

    pub(super) fn has_faults(&self) -> bool {
        !self.0.borrow().faults.is_empty()
    }

    /// Another state. The same one again changes nothing: `since` is when it began.
    pub(super) fn becomes(&self, state: LinkState) {
        self.0.send_if_modified(|link| {
            let is_new = link.state != state;
            if is_new {
                link.state = state;
                link.since = SystemTime::now();
            }
            is_new
        });
    }

    /// A new connection, the `generation`-th.
    pub(super) fn connected(&self, generation: u64) {
        self.0.send_modify(|link| {
            link.generation = generation;
            link.state = LinkState::Up;
            link.since = SystemTime::now();
        });
    }

    /// A queue was there under this connection and is gone.
    pub(super) fn deleted(&self, name: String) {
        self.0.send_modify(|link| {
            *Arc::make_mut(&mut link.deleted).entry(name).or_default() += 1;
        });
    }

    /// Something is not given, or (without a reason) is given again.
    pub(super) fn fault(&self, name: &str, reason: Option<&str>) {
        self.0.send_if_modified(|link| {
            let known = link.faults.get(name).map(String::as_str);
            if known == reason {
                return false;
            }
            let faults = Arc::make_mut(&mut link.faults);
            match reason {
                Some(reason) => faults.insert(name.to_owned(), reason.to_owned()),
                None => faults.remove(name),
            };
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_when_a_state_began_and_faults_come_and_go() {
        let teller = Teller::new();
        let mut watch = teller.watch();
        let away = LinkState::Away {
            cause: Cause::Unreachable {
                said: "refused".into(),
            },
        };
        teller.becomes(away.clone());
        let since = watch.borrow_and_update().since;
        teller.becomes(away);
        assert!(
            !watch.has_changed().unwrap(),
            "the same state again is no news"
        );
        assert_eq!(watch.borrow().since, since);
        teller.connected(1);
        teller.fault("axis.dead", Some("NOT_FOUND"));
        assert_eq!(watch.borrow_and_update().faults.len(), 1);
        teller.fault("axis.dead", Some("NOT_FOUND"));
        assert!(!watch.has_changed().unwrap());
        teller.fault("axis.dead", None);
        assert!(watch.borrow().faults.is_empty());
        assert!(watch.borrow().is_up());
    }
}
