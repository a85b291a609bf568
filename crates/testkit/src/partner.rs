//! An `amqp` system's software, as a partner would write it: on a plain AMQP client, knowing no
//! more than the integration guide says.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Consumer};

/// How long the broker may take.
const WITHIN: Duration = Duration::from_secs(20);

/// A connection of a partner's software.
#[derive(Debug)]
pub struct Partner {
    user: String,
    channel: Channel,
    /// Where its answers come.
    reply_to: String,
    answers: Consumer,
    lanes: futures_util::stream::SelectAll<Consumer>,
    consumed: usize,
    // Kept: the channel ends with it.
    _connection: Connection,
}

/// A message from one of its queues.
#[derive(Debug)]
pub struct Got {
    /// Its headers.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: Vec<u8>,
    /// The broker says that somebody may have had it.
    pub redelivered: bool,
    delivery: Delivery,
}

/// An answer of the axis.
#[derive(Debug)]
pub struct Answer {
    /// The correlation id of what it answers.
    pub to: String,
    /// What it says.
    pub body: serde_json::Value,
}

impl Got {
    /// A header's value; empty if it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Removes it from the queue.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn ack(&self) -> Result<()> {
        let acked = self.delivery.acker.ack(BasicAckOptions::default()).await;
        acked.map(drop).context("not acked")
    }

    /// The settle of it that says that it is durable.
    #[must_use]
    pub fn acknowledged(&self) -> serde_json::Value {
        serde_json::json!({
            "delivery": self.header("axis-delivery"),
            "round": self.header("axis-round").parse::<u32>().unwrap_or_default(),
            "sha256": self.header("axis-sha256"),
            "outcome": "acknowledged",
        })
    }
}

impl Partner {
    /// Logs in at `amqp://127.0.0.1:port/vhost` as `user`.
    ///
    /// # Errors
    /// The broker is away or does not let it in.
    pub async fn connect(port: u16, vhost: &str, user: &str, password: &str) -> Result<Self> {
        let encoded = user.replace('%', "%25");
        let url = format!("amqp://{encoded}:{password}@127.0.0.1:{port}/{vhost}");
        let connecting = Connection::connect(&url, ConnectionProperties::default());
        let connection = within("connection", connecting).await?;
        let channel = within("channel", connection.create_channel()).await?;
        within(
            "confirms",
            channel.confirm_select(ConfirmSelectOptions::default()),
        )
        .await?;
        let options = QueueDeclareOptions {
            exclusive: true,
            auto_delete: true,
            ..QueueDeclareOptions::default()
        };
        let queue = channel.queue_declare("".into(), options, FieldTable::default());
        let reply_to = within("reply queue", queue).await?.name().to_string();
        let options = BasicConsumeOptions {
            no_ack: true,
            ..BasicConsumeOptions::default()
        };
        let answers = channel.basic_consume(
            reply_to.as_str().into(),
            "".into(),
            options,
            FieldTable::default(),
        );
        let answers = within("answers", answers).await?;
        Ok(Self {
            user: user.to_owned(),
            channel,
            reply_to,
            answers,
            lanes: futures_util::stream::SelectAll::new(),
            consumed: 0,
            _connection: connection,
        })
    }

    /// Consumes a queue, so many messages ahead.
    ///
    /// # Errors
    /// It is not there yet, or not this user's. The channel is gone then.
    pub async fn consume(&mut self, queue: &str, ahead: u16) -> Result<()> {
        within(
            "window",
            self.channel.basic_qos(ahead, BasicQosOptions::default()),
        )
        .await?;
        let consumer = self.channel.basic_consume(
            queue.into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        self.lanes.push(within("queue", consumer).await?);
        self.consumed += 1;
        Ok(())
    }

    /// The next message of the consumed queues; `None` if there is none within `wait`.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn next(&mut self, wait: Duration) -> Result<Option<Got>> {
        // A deleted queue cancels its consumer: that one ends, the others go on.
        ensure!(
            self.lanes.len() == self.consumed,
            "a consumer was cancelled"
        );
        let Ok(next) = tokio::time::timeout(wait, self.lanes.next()).await else {
            ensure!(
                self.lanes.len() == self.consumed,
                "a consumer was cancelled"
            );
            return Ok(None);
        };
        let delivery = next.context("the queues are gone")?.context("no message")?;
        let mut headers = BTreeMap::new();
        if let Some(table) = delivery.properties.headers() {
            for (name, value) in table {
                let text = match value {
                    AMQPValue::LongString(text) => text.to_string(),
                    AMQPValue::ShortString(text) => text.to_string(),
                    other => format!("{other:?}"),
                };
                headers.insert(name.to_string(), text);
            }
        }
        Ok(Some(Got {
            headers,
            body: delivery.data.to_vec(),
            redelivered: delivery.redelivered,
            delivery,
        }))
    }

    /// Publishes to one of the axis's exchanges with `user_id` and a queue for the answer, and
    /// waits for the confirm.
    ///
    /// # Errors
    /// The broker did not take it.
    pub async fn send(&self, exchange: &str, body: &[u8], correlation: &str) -> Result<()> {
        let properties = BasicProperties::default().with_user_id(self.user.as_str().into());
        self.send_as(exchange, body, correlation, properties).await
    }

    /// The same without `user_id`.
    ///
    /// # Errors
    /// The broker did not take it.
    pub async fn send_unsigned(
        &self,
        exchange: &str,
        body: &[u8],
        correlation: &str,
    ) -> Result<()> {
        let properties = BasicProperties::default();
        self.send_as(exchange, body, correlation, properties).await
    }

    async fn send_as(
        &self,
        exchange: &str,
        body: &[u8],
        correlation: &str,
        properties: BasicProperties,
    ) -> Result<()> {
        let properties = properties
            .with_delivery_mode(2)
            .with_correlation_id(correlation.into())
            .with_reply_to(self.reply_to.as_str().into());
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let sent = self.channel.basic_publish(
            exchange.into(),
            self.user.as_str().into(),
            options,
            body,
            properties,
        );
        let confirm = within("publish", sent).await?;
        let confirmed = within("confirm", confirm).await?;
        ensure!(
            matches!(confirmed, lapin::Confirmation::Ack(None)),
            "not taken: {confirmed:?}"
        );
        Ok(())
    }

    /// The next answer of the axis; `None` if there is none within `wait`.
    ///
    /// # Errors
    /// The connection is gone, or it is no JSON.
    pub async fn answer(&mut self, wait: Duration) -> Result<Option<Answer>> {
        let Ok(next) = tokio::time::timeout(wait, self.answers.next()).await else {
            return Ok(None);
        };
        let answer = next.context("the answers are gone")?.context("no answer")?;
        let to = answer.properties.correlation_id();
        Ok(Some(Answer {
            to: to.as_ref().map(ToString::to_string).unwrap_or_default(),
            body: serde_json::from_slice(&answer.data).context("the answer is no JSON")?,
        }))
    }

    /// Whether the connection stands.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.channel.status().connected()
    }
}

async fn within<T>(what: &str, doing: impl Future<Output = lapin::Result<T>>) -> Result<T> {
    match tokio::time::timeout(WITHIN, doing).await {
        Ok(done) => done.with_context(|| format!("no {what}")),
        Err(_) => bail!("no {what} within {WITHIN:?}"),
    }
}
