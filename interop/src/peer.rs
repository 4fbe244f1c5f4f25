//! What the scenarios need of an implementation.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use futures::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;
use tokio::time::timeout;
use waku::{Multiaddr, PeerId, PubsubTopic, WakuMessage};

use crate::line::{Event, Message, Op, Start, Started, Via};

/// How long a foreign peer may take for an answer, or a message on its way to it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// An implementation of Waku that can be started here.
pub trait Implementation: Send + Sync {
    /// What it is called, with its version.
    fn name(&self) -> String;

    /// Starts a program or library of it, whose node is started by the first question.
    fn launch(&self) -> BoxFuture<'_, Result<Box<dyn Driver>>>;
}

/// A node of an implementation, driven by questions.
pub trait Driver: Send {
    /// Asks for one thing.
    fn ask(&mut self, op: Op) -> BoxFuture<'_, Result<Value, Failure>>;

    /// What it tells next, on its own.
    fn event(&mut self) -> BoxFuture<'_, Result<Event>>;

    /// Ends it, and returns when it has ended.
    fn stop(self: Box<Self>) -> BoxFuture<'static, Result<()>>;
}

/// A question that brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// The implementation does not have what was asked for.
    #[error("not offered: {0}")]
    Unsupported(String),
    /// It tried and failed.
    #[error("{0}")]
    Refused(String),
    /// It is gone, or talks nonsense.
    #[error("the foreign peer is broken: {0}")]
    Broken(String),
}

/// A message that came to a foreign peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// How.
    pub via: Via,
    /// Where.
    pub pubsub_topic: String,
    /// What.
    pub message: WakuMessage,
}

/// A foreign node, running.
pub struct Peer {
    driver: Box<dyn Driver>,
    started: Started,
}

impl Peer {
    /// Starts a node of an implementation.
    ///
    /// # Errors
    /// When it does not start, or cannot be what it is asked to be.
    pub async fn start(implementation: &dyn Implementation, start: Start) -> Result<Self> {
        let mut driver = implementation.launch().await?;
        let started = ask(&mut *driver, Op::Start(start)).await?;
        Ok(Self { driver, started })
    }

    /// What it said of itself when it had started.
    pub fn started(&self) -> &Started {
        &self.started
    }

    /// Its identity.
    ///
    /// # Errors
    /// When it has told none.
    pub fn id(&self) -> Result<PeerId> {
        self.started.peer_id.parse().context("the foreign peer's id")
    }

    /// Where it can be dialled.
    ///
    /// # Errors
    /// When it only dials.
    pub fn address(&self) -> Result<Multiaddr> {
        let Some(address) = self.started.addresses.first() else {
            bail!(Failure::Unsupported("it only dials".to_owned()));
        };
        address.parse().context("the foreign peer's address")
    }

    /// Asks for one thing.
    ///
    /// # Errors
    /// A [`Failure`], in any case.
    pub async fn ask<T: DeserializeOwned>(&mut self, op: Op) -> Result<T> {
        ask(&mut *self.driver, op).await
    }

    /// Asks for something that has no answer but that it was done.
    ///
    /// # Errors
    /// As [`Peer::ask`].
    pub async fn tell(&mut self, op: Op) -> Result<()> {
        self.ask::<Value>(op).await.map(|_| ())
    }

    /// Connects it to a node.
    ///
    /// # Errors
    /// As [`Peer::ask`].
    pub async fn connect(&mut self, address: &Multiaddr) -> Result<()> {
        self.tell(Op::Connect { address: address.to_string() }).await
    }

    /// Lets it relay a topic.
    ///
    /// # Errors
    /// As [`Peer::ask`].
    pub async fn subscribe(&mut self, topic: &PubsubTopic) -> Result<()> {
        self.tell(Op::RelaySubscribe { pubsub_topic: topic.to_string() }).await
    }

    /// Lets it publish.
    ///
    /// # Errors
    /// As [`Peer::ask`].
    pub async fn publish(&mut self, topic: &PubsubTopic, message: &WakuMessage) -> Result<()> {
        self.tell(Op::RelayPublish { pubsub_topic: topic.to_string(), message: Message::from(message) }).await
    }

    /// The next message that comes to it.
    ///
    /// # Errors
    /// When none comes in time, or it is gone.
    pub async fn arrival(&mut self) -> Result<Arrival> {
        let event = timeout(PATIENCE, self.driver.event()).await;
        let Event::Message { via, pubsub_topic, message } =
            event.map_err(|_| anyhow!("nothing came to the foreign peer within {PATIENCE:?}"))??;
        Ok(Arrival { via, pubsub_topic, message: message.try_into()? })
    }

    /// Ends it.
    ///
    /// # Errors
    /// When it does not end well.
    pub async fn stop(self) -> Result<()> {
        self.driver.stop().await
    }
}

async fn ask<T: DeserializeOwned>(driver: &mut dyn Driver, op: Op) -> Result<T> {
    let what = format!("{op:?}");
    let what = what.split([' ', '(']).next().unwrap_or_default().to_owned();
    let answer = timeout(PATIENCE, driver.ask(op)).await;
    let answer = answer.unwrap_or_else(|_| Err(Failure::Broken(format!("no answer within {PATIENCE:?}"))));
    let value = answer.map_err(anyhow::Error::new).with_context(|| what.clone())?;
    serde_json::from_value(value.clone())
        .map_err(|error| Failure::Broken(format!("{value} is no answer: {error}")))
        .context(what)
}
