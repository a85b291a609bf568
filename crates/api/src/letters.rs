//! What `amqp` systems send over the broker: settles and packages.
//!
//! A letter is what gRPC's Settle and Push are, by the same rules, and is answered in the queue
//! that it names. The broker says who sent it (`user_id`, which it checks against the login).
//! A letter leaves its queue after the commit that it led to, not before: whatever breaks in
//! between, it comes again, and a settle or a package that comes twice counts once.
//!
//! What nobody can use (junk, a stranger's, a settle of other bytes) goes to the dead letters
//! with the reason, and an alert rises. What only the axis keeps from being done (a full disk, a
//! read-only ledger) waits in its queue.

mod answer;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bus::amqp::{Inlet, Letter, Letters, ReplyError};
use bus::headers::Headers;
use bytes::Bytes;
use exchange::refusal::{Name, Refusal};
use exchange::{Credentials, Exchange, Peer, PushOptions};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::{convert, v1};

pub use answer::OUTCOME;

/// The header by which a sender lets unknown receivers be left out: `true`.
pub const ACCEPT_KNOWN: &str = "axis-accept-known";

/// The longest wait before a letter that the axis cannot take now is tried again.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a letter that cannot be put among the dead waits for that.
const PAUSE: Duration = Duration::from_secs(1);

/// Serves letters until `stop` or the end of the bus; those in hand are finished.
pub async fn serve(exchange: Exchange, mut letters: Letters, stop: CancellationToken) {
    let desk = Desk { exchange, stop };
    let mut in_hand = FuturesUnordered::new();
    // Packages of one system are taken one after the other: a recall must not overtake its
    // document. Those that wait are bounded by what the inlet gives unacked.
    let mut behind: HashMap<String, VecDeque<Letter>> = HashMap::new();
    loop {
        tokio::select! {
            () = desk.stop.cancelled() => break,
            done = in_hand.next(), if !in_hand.is_empty() => {
                let Some(Some(user)) = done else { continue };
                match behind.get_mut(&user).and_then(VecDeque::pop_front) {
                    Some(next) => in_hand.push(desk.take(next, Some(user))),
                    None => drop(behind.remove(&user)),
                }
            }
            letter = letters.next() => {
                let Some(letter) = letter else { break };
                let user = letter.user_id.clone();
                match (letter.from, user) {
                    (Inlet::Ingress, Some(user)) => match behind.get_mut(&user) {
                        Some(waiting) => waiting.push_back(letter),
                        None => {
                            behind.insert(user.clone(), VecDeque::new());
                            in_hand.push(desk.take(letter, Some(user)));
                        }
                    },
                    _ => in_hand.push(desk.take(letter, None)),
                }
            }
        }
    }
    drop(behind);
    while in_hand.next().await.is_some() {}
}

struct Desk {
    exchange: Exchange,
    stop: CancellationToken,
}

/// What becomes of a letter.
enum End {
    /// Done, or refused for good: answered and gone.
    Answered(Headers, Bytes),
    /// Nobody can use it: answered and put among the dead.
    Dead(Refusal),
    /// Not now.
    Later(Refusal),
}

/// A settle, as the body of a letter to `axis.settle`.
#[derive(Deserialize)]
struct SettleLetter {
    delivery: String,
    round: u32,
    outcome: String,
    #[serde(default)]
    sha256: String,
    #[serde(default)]
    reason: String,
}

impl Desk {
    /// Sees a letter to its end; gives back whose packages wait behind it.
    async fn take(&self, letter: Letter, behind: Option<String>) -> Option<String> {
        loop {
            let end = match letter.from {
                Inlet::Settle => self.settle(&letter).await,
                Inlet::Ingress => self.push(&letter).await,
            };
            match end {
                End::Answered(headers, body) => {
                    reply(&letter, headers, body).await;
                    letter.ack();
                    return behind;
                }
                End::Dead(refusal) => {
                    self.bury(letter, refusal).await;
                    return behind;
                }
                End::Later(refusal) => {
                    let wait = refusal.retry_after_ms.map_or(PAUSE, Duration::from_millis);
                    tracing::debug!(%refusal, ?letter, "a letter waits");
                    tokio::select! {
                        // Dropped: it stays in its queue.
                        () = self.stop.cancelled() => return behind,
                        () = tokio::time::sleep(wait.min(PATIENCE)) => {}
                    }
                }
            }
        }
    }

    async fn bury(&self, letter: Letter, refusal: Refusal) {
        let queue = match letter.from {
            Inlet::Settle => bus::amqp::SETTLE,
            Inlet::Ingress => bus::amqp::INGRESS,
        };
        let user = letter.user_id.clone();
        let system = user.as_deref().and_then(bus::amqp::system_of);
        let (headers, body) = answer::refused(&refusal);
        reply(&letter, headers, body).await;
        match letter.dead(&refusal.to_string()).await {
            Ok(()) => {
                tracing::info!(queue, user, %refusal, "a letter was put among the dead");
                self.exchange
                    .junk_came(system.as_deref().unwrap_or(queue), &refusal);
            }
            // It goes back to its queue and comes again.
            Err(error) => {
                tracing::debug!(%error, queue, "a letter could not be put among the dead");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    fn sender(&self, letter: &Letter) -> Result<Peer, Refusal> {
        let Some(user) = &letter.user_id else {
            return Err(Refusal::new(Name::Unauthenticated).at(
                "user_id",
                "Thông điệp không có user_id: không biết ai gửi. Đặt user_id bằng tên người dùng đang đăng nhập RabbitMQ.",
                "The message has no user_id: nobody knows who sent it. Set user_id to the user that is logged in to RabbitMQ.",
            ));
        };
        self.exchange
            .authenticate(Credentials::Broker { user })
            .map_err(|refusal| {
                refusal.at(
                    "user_id",
                    format!(
                        "Người dùng {user:?} không ứng với hệ thống kiểu amqp nào đang hoạt động."
                    ),
                    format!("The user {user:?} stands for no active amqp system."),
                )
            })
    }

    async fn settle(&self, letter: &Letter) -> End {
        let settled = async {
            let peer = self.sender(letter)?;
            let settle = read_settle(&letter.body)?;
            self.exchange.settle(&peer, settle).await
        };
        match settled.await {
            Ok(settled) => {
                let (headers, body) = answer::settled(&convert::settled(&settled));
                End::Answered(headers, body)
            }
            Err(refusal) if refusal.name.row().retry => End::Later(refusal),
            // It came too late; nothing is wrong with the sender.
            Err(refusal) if matches!(refusal.name, Name::Recalled | Name::WrongState) => {
                let (headers, body) = answer::refused(&refusal);
                End::Answered(headers, body)
            }
            Err(refusal) => End::Dead(refusal),
        }
    }

    async fn push(&self, letter: &Letter) -> End {
        let peer = match self.sender(letter) {
            Ok(peer) => peer,
            Err(refusal) => return End::Dead(refusal),
        };
        let options = PushOptions {
            accept_known: letter.headers.get(ACCEPT_KNOWN) == Some("true"),
        };
        match self
            .exchange
            .push(&peer, letter.body.clone(), options)
            .await
        {
            Ok(receipt) => {
                let (headers, body) = answer::accepted(&convert::receipt(receipt));
                End::Answered(headers, body)
            }
            // Its own limit: it is told when to send again, as by gRPC. One that asks for no
            // answer would never know.
            Err(refusal) if refusal.name == Name::LimitReached && letter.reply_to.is_some() => {
                let (headers, body) = answer::refused(&refusal);
                End::Answered(headers, body)
            }
            Err(refusal) if refusal.name.row().retry => End::Later(refusal),
            // A refusal is recorded; nothing else is kept of a refused package, here neither.
            Err(refusal) => {
                let (headers, body) = answer::refused(&refusal);
                End::Answered(headers, body)
            }
        }
    }
}

fn read_settle(body: &[u8]) -> Result<exchange::Settle, Refusal> {
    let letter: SettleLetter = serde_json::from_slice(body).map_err(|error| {
        Refusal::argument(
            "body",
            format!("Nội dung không phải JSON {{delivery, round, sha256, outcome}}: {error}."),
            format!("The body is not the JSON {{delivery, round, sha256, outcome}}: {error}."),
        )
    })?;
    let outcome = match letter.outcome.as_str() {
        "acknowledged" => v1::Outcome::Acknowledged,
        "failed" => v1::Outcome::Failed,
        "released" => v1::Outcome::Released,
        _ => v1::Outcome::Unspecified,
    };
    if letter.round == 0 {
        return Err(missing("round"));
    }
    if letter.sha256.is_empty() && outcome == v1::Outcome::Acknowledged {
        return Err(missing("sha256"));
    }
    let request = v1::SettleRequest {
        delivery_id: letter.delivery,
        round: letter.round,
        outcome: outcome.into(),
        reason: letter.reason,
        sha256: letter.sha256,
    };
    convert::settle(request, "amqp")
}

fn missing(field: &'static str) -> Refusal {
    Refusal::argument(
        field,
        format!("Thiếu {field}: lấy từ tiêu đề axis-{field} của thông điệp đã nhận."),
        format!("{field} is missing: it stands in the header axis-{field} of the message."),
    )
}

/// Answers if an answer was asked for. One that does not arrive is not sent again: what was
/// decided stands, and the sender learns it when it sends the same again.
async fn reply(letter: &Letter, headers: Headers, body: Bytes) {
    match letter.reply("application/json", headers, body).await {
        Ok(()) | Err(ReplyError::NotAsked) => {}
        Err(error) => {
            tracing::debug!(%error, user = letter.user_id, "an answer did not get on its way");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    const ID: &str = "6f8f57b5-0ce5-5e2e-8f7a-6d0f0a4b1c2d";

    #[test]
    fn a_settle_is_read_with_its_round_and_its_hash() {
        let body = format!(
            r#"{{"delivery":"{ID}","round":2,"sha256":"{SHA}","outcome":"acknowledged","more":1}}"#
        );
        let settle = read_settle(body.as_bytes()).unwrap();
        assert_eq!((settle.round, settle.via), (2, "amqp"));
        assert_eq!(settle.outcome, exchange::Outcome::Acknowledged);
        assert_eq!(convert::hex(&settle.sha256.unwrap()), SHA);
    }

    #[test]
    fn what_is_no_settle_is_refused_with_the_place() {
        let place = |body: &str| {
            let refusal = read_settle(body.as_bytes()).unwrap_err();
            assert_eq!(refusal.name, Name::BadArgument);
            refusal.details[0].path.clone()
        };
        assert_eq!(place("junk"), "body");
        assert_eq!(place("{}"), "body");
        let of = |delivery: &str, round: u32, sha256: &str, outcome: &str| {
            format!(
                r#"{{"delivery":"{delivery}","round":{round},"sha256":"{sha256}","outcome":"{outcome}"}}"#
            )
        };
        assert_eq!(place(&of("x", 1, SHA, "acknowledged")), "delivery_id");
        assert_eq!(place(&of(ID, 0, SHA, "acknowledged")), "round");
        assert_eq!(place(&of(ID, 1, "", "acknowledged")), "sha256");
        assert_eq!(place(&of(ID, 1, "9f", "failed")), "sha256");
        assert_eq!(place(&of(ID, 1, SHA, "eaten")), "outcome");
    }
}
