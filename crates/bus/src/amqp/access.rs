//! What an `amqp` system may do on the broker: its user and permissions, as the broker team
//! sets them.

use serde::Serialize;

use crate::Queue;

use super::topology;

/// A system's user on the broker and everything it is allowed; all else is denied.
///
/// It reads its own lanes and the queues for its replies, and publishes to `axis.settle` and
/// `axis.ingress` under its own routing key. It may write to no other exchange, not even the
/// broker's default one: that would open every system's queue to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Access {
    /// The vhost.
    pub vhost: String,
    /// The user's name; the broker checks it in every message's `user_id`.
    pub user: String,
    /// What it may make: queues for replies (regular expression on names).
    pub configure: String,
    /// To which exchanges it may publish.
    pub write: String,
    /// What it may consume.
    pub read: String,
    /// Which routing keys it may use on the topic exchanges.
    pub topics: Vec<Topic>,
}

/// A permission on the routing keys of one topic exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Topic {
    /// The exchange.
    pub exchange: &'static str,
    /// The routing keys that it may publish under.
    pub write: String,
    /// The routing keys that it may bind to: none.
    pub read: &'static str,
}

/// The name of the user that stands for `system`: `axis.system.<percent-encoded id>`, which is
/// also the routing key of its letters.
///
/// ```
/// assert_eq!(bus::amqp::user_of("so-noi-vu.1"), "axis.system.so-noi-vu%2E1");
/// assert_eq!(bus::amqp::system_of("axis.system.so-noi-vu%2E1").as_deref(), Some("so-noi-vu.1"));
/// assert_eq!(bus::amqp::system_of("guest"), None);
/// ```
#[must_use]
pub fn user_of(system: &str) -> String {
    format!("{}{}", crate::queue::PREFIX, crate::queue::Encoded(system))
}

/// The system that a user stands for; `None` for any other user.
#[must_use]
pub fn system_of(user: &str) -> Option<String> {
    let encoded = user.strip_prefix(crate::queue::PREFIX)?;
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let pair = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    let system = String::from_utf8(bytes).ok()?;
    // One name for one system: no other spelling of it counts.
    (user_of(&system) == user).then_some(system)
}

impl Access {
    /// What `system` is allowed in `vhost`.
    #[must_use]
    pub fn of(system: &str, vhost: &str) -> Self {
        let user = user_of(system);
        let own = regex(&user);
        let replies = format!(
            r"{}(\..*)?|amq\.gen-.*",
            regex(&topology::reply_queue(system))
        );
        let lanes = crate::Lane::ALL.map(crate::Lane::as_str).join("|");
        let topic = |exchange| Topic {
            exchange,
            write: format!("^{own}$"),
            read: "^$",
        };
        Self {
            vhost: vhost.to_owned(),
            configure: format!("^({replies})$"),
            write: format!(
                "^({}|{})$",
                regex(topology::SETTLE),
                regex(topology::INGRESS)
            ),
            read: format!(r"^({own}\.({lanes})|{replies})$"),
            topics: vec![topic(topology::SETTLE), topic(topology::INGRESS)],
            user,
        }
    }

    /// The commands that set it, one a line. The password is asked for on standard input, so that
    /// it stands in no history.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        let (vhost, user) = (quoted(&self.vhost), quoted(&self.user));
        let mut lines = vec![
            format!("rabbitmqctl add_user {user}"),
            format!(
                "rabbitmqctl set_permissions -p {vhost} {user} {} {} {}",
                quoted(&self.configure),
                quoted(&self.write),
                quoted(&self.read)
            ),
        ];
        lines.extend(self.topics.iter().map(|topic| {
            format!(
                "rabbitmqctl set_topic_permissions -p {vhost} {user} {} {} {}",
                topic.exchange,
                quoted(&topic.write),
                quoted(topic.read)
            )
        }));
        lines
    }
}

/// `text` as a regular expression that matches nothing else. Names hold letters, digits, `%`,
/// `-`, `_`, `~` and dots.
fn regex(text: &str) -> String {
    text.replace('.', r"\.")
}

/// `text` as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Whether the queue that a letter names for its reply belongs to `system`. What a partner
/// writes there is a claim: the axis may publish anywhere, and must not be sent into another's
/// queue.
/// Without a system only the broker's own secret names count.
pub(super) fn may_reply_to(system: Option<&str>, reply_to: &str) -> bool {
    let named = |own: &str| {
        reply_to
            .strip_prefix(own)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    reply_to.starts_with("amq.gen-")
        || reply_to.starts_with("amq.rabbitmq.reply-to.")
        || system.is_some_and(|system| named(&topology::reply_queue(system)))
}

/// The queues that `system` consumes.
pub(super) fn lanes_of(system: &str) -> impl Iterator<Item = Queue> {
    crate::Lane::ALL
        .map(|lane| Queue::new(system, lane))
        .into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_one_spelling() {
        for system in ["a", "a.b", "sở-1", "%41", ""] {
            assert_eq!(system_of(&user_of(system)).as_deref(), Some(system));
        }
        for other in [
            "axis.system.%61",
            "axis.system.a.b",
            "axis.system.%e1",
            "axis.system.%F",
            "axis",
        ] {
            assert_eq!(system_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_reply_goes_into_no_others_queue() {
        for own in [
            "amq.gen-xyz",
            "amq.rabbitmq.reply-to.g2dk",
            "axis.reply.a",
            "axis.reply.a.7",
        ] {
            assert!(may_reply_to(Some("a"), own), "{own}");
        }
        for other in [
            "axis.reply.ab",
            "axis.reply.b",
            "axis.system.a.flash",
            "axis.ingress",
            "",
            "amq.rabbitmq.reply-to",
        ] {
            assert!(!may_reply_to(Some("a"), other), "{other}");
        }
    }

    #[test]
    fn nobody_is_answered_under_secret_names_only() {
        assert!(may_reply_to(None, "amq.gen-xyz"));
        assert!(!may_reply_to(None, "axis.reply.a"));
    }

    #[test]
    fn the_commands_are_these() {
        let said = Access::of("so-noi-vu.1", "tinh").commands().join("\n");
        assert_eq!(
            said,
            r"rabbitmqctl add_user 'axis.system.so-noi-vu%2E1'
rabbitmqctl set_permissions -p 'tinh' 'axis.system.so-noi-vu%2E1' '^(axis\.reply\.so-noi-vu%2E1(\..*)?|amq\.gen-.*)$' '^(axis\.settle|axis\.ingress)$' '^(axis\.system\.so-noi-vu%2E1\.(flash|urgent|status|routine)|axis\.reply\.so-noi-vu%2E1(\..*)?|amq\.gen-.*)$'
rabbitmqctl set_topic_permissions -p 'tinh' 'axis.system.so-noi-vu%2E1' axis.settle '^axis\.system\.so-noi-vu%2E1$' '^$'
rabbitmqctl set_topic_permissions -p 'tinh' 'axis.system.so-noi-vu%2E1' axis.ingress '^axis\.system\.so-noi-vu%2E1$' '^$'"
        );
    }
}
