//! A node of nwaku: a child, and its REST API.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use futures::future::BoxFuture;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use super::flags::{Ports, flags};
use super::json::{
    AdminPeer, Info, OnShard, RestMessage, connected, filter_outcome, is_ready, peer_id, pushed,
    pushed_by_version_2, segment, shard, store_page, store_path, subscription,
};
use super::rest::{Answer, Rest};
use crate::line::{Event, Message, Op, Start, StoreOp, Via};
use crate::peer::{Driver, Failure, PATIENCE};

/// How long a node may take until it is ready, or knows a peer: within the time of an answer.
const STARTING: Duration = Duration::from_secs(25);
const KNOWING: Duration = Duration::from_secs(5);
/// Between two looks at what only answers when it is asked.
const LOOK: Duration = Duration::from_millis(100);

/// A node that is started by the first question.
pub(super) struct Node {
    name: String,
    program: PathBuf,
    log: PathBuf,
    output: File,
    running: Option<Running>,
}

impl Node {
    /// Of this program, which logs there.
    pub(super) fn new(name: String, program: &Path, log: PathBuf, output: File) -> Self {
        Self { name, program: program.to_owned(), log, output, running: None }
    }

    fn running(&mut self) -> Result<&mut Running> {
        self.running.as_mut().context("it has not been started")
    }

    async fn answer(&mut self, op: Op) -> Result<Value> {
        let Op::Start(start) = op else { return self.running()?.answer(op).await };
        ensure!(self.running.is_none(), "it has been started already");
        let ports = ports(start.port)?;
        let child = self.spawn(&flags(&start, ports)?)?;
        let mut running = Running::new(child, ports, &start);
        let info = running
            .ready()
            .await
            .with_context(|| format!("nwaku does not start; its log: {}", self.log.display()))?;
        let id = info.listen_addresses.first().and_then(|address| peer_id(address));
        let id = id.context("it tells no peer id")?;
        self.running = Some(running);
        // What it tells of itself has another address than that of loopback.
        let address = format!("/ip4/127.0.0.1/tcp/{}/p2p/{id}", ports.tcp);
        Ok(json!({
            "implementation": self.name,
            "peer_id": id,
            "addresses": [address],
            "enr": info.enr_uri,
        }))
    }

    fn spawn(&self, flags: &[String]) -> Result<Child> {
        let mut command = Command::new(&self.program);
        command.args(flags).stdin(Stdio::null()).stdout(self.output.try_clone()?);
        command.stderr(self.output.try_clone()?).kill_on_drop(true);
        if let Some(folder) = self.log.parent() {
            command.current_dir(folder);
        }
        command.spawn().with_context(|| format!("{} cannot be started", self.program.display()))
    }
}

/// Free ports, but for the one that is asked for.
fn ports(tcp: u16) -> Result<Ports> {
    // Those of TCP both at once, so that they differ.
    let free = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    let [first, rest] = free.map(|listener| listener.local_addr().map(|address| address.port()));
    let discv5 = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
    Ok(Ports { tcp: if tcp == 0 { first? } else { tcp }, rest: rest?, discv5 })
}

impl Driver for Node {
    fn ask(&mut self, op: Op) -> BoxFuture<'_, Result<Value, Failure>> {
        Box::pin(async move {
            let answer = self.answer(op).await;
            answer.map_err(|error| match error.downcast::<Failure>() {
                Ok(failure) => failure,
                Err(error) => Failure::Broken(format!("{error:#}")),
            })
        })
    }

    fn event(&mut self) -> BoxFuture<'_, Result<Event>> {
        Box::pin(async move { self.running()?.event().await })
    }

    fn stop(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            let Some(Running { mut child, .. }) = self.running else { return Ok(()) };
            if let Some(pid) = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)) {
                kill_process(pid, Signal::TERM)?;
            }
            let status = timeout(PATIENCE, child.wait()).await.context("it does not end")??;
            ensure!(status.success(), "it ended with {status}; its log: {}", self.log.display());
            Ok(())
        })
    }
}

struct Running {
    child: Child,
    rest: Rest,
    /// Addresses of whom it was connected to, by peer id.
    dialled: BTreeMap<String, String>,
    /// Pubsub topics whose messages are asked for.
    relayed: BTreeSet<String>,
    /// Content topics whose pushes are asked for, and where they were subscribed to.
    filtered: BTreeMap<String, String>,
    /// Found at the last look, which is when the ones before are gone: no more than the caches hold.
    events: VecDeque<Event>,
    looks: Interval,
    requests: u64,
}

impl Running {
    fn new(child: Child, ports: Ports, start: &Start) -> Self {
        let dialled = start.peers.iter().filter_map(|address| Some((peer_id(address)?.to_owned(), address)));
        Self {
            child,
            rest: Rest::new(ports.rest),
            dialled: dialled.map(|(id, address)| (id, address.clone())).collect(),
            relayed: BTreeSet::new(),
            filtered: BTreeMap::new(),
            events: VecDeque::new(),
            looks: looks(),
            requests: 0,
        }
    }

    /// Returns who it is as soon as it is ready. Routes come one after the other, after `/health`.
    async fn ready(&mut self) -> Result<Info> {
        let asked = async {
            loop {
                self.looks.tick().await;
                if let Some(status) = self.child.try_wait()? {
                    bail!("it ended with {status}");
                }
                if !self.rest.get("/health").await.is_ok_and(|answer| is_ready(&answer)) {
                    continue;
                }
                let info = self.rest.get("/debug/v1/info").await?;
                if info.status == 200 {
                    return Ok(info.json()?);
                }
            }
        };
        timeout(STARTING, asked).await.map_err(|_| anyhow!("it is not ready within {STARTING:?}"))?
    }

    async fn answer(&mut self, op: Op) -> Result<Value> {
        match op {
            Op::Start(_) => bail!("it has been started already"),
            Op::Connect { address } => self.connect(address).await,
            Op::Peers => {
                let peers: Vec<AdminPeer> = self.rest.get("/admin/v1/peers/connected").await?.json()?;
                Ok(connected(&peers))
            }
            Op::RelaySubscribe { pubsub_topic } => {
                self.rest.post(SUBSCRIPTIONS, json!([pubsub_topic])).await?.accepted()?;
                self.relayed.insert(pubsub_topic);
                Ok(json!({}))
            }
            Op::RelayUnsubscribe { pubsub_topic } => {
                self.rest.delete(SUBSCRIPTIONS, json!([pubsub_topic])).await?.accepted()?;
                self.relayed.remove(&pubsub_topic);
                Ok(json!({}))
            }
            Op::RelayPeers { pubsub_topic } => {
                let path = format!("/admin/v1/peers/relay/on/{}", shard(&pubsub_topic)?);
                let on: OnShard = self.rest.get(&path).await?.json()?;
                Ok(connected(&on.peers))
            }
            Op::RelayPublish { pubsub_topic, message } => {
                let message = json!(RestMessage::try_from(message)?);
                self.rest.post(&relay_messages(&pubsub_topic), message).await?.accepted()?;
                // nwaku tells no hash here.
                Ok(json!({}))
            }
            Op::FilterSubscribe { .. }
            | Op::FilterPing { .. }
            | Op::FilterUnsubscribe { .. }
            | Op::FilterUnsubscribeAll { .. } => self.filter(op).await,
            Op::Lightpush { peer, pubsub_topic, message, version } => {
                self.address(&peer)?;
                self.lightpush(pubsub_topic, message, version).await
            }
            Op::Store(question) => self.store(&question).await,
            Op::PeerExchange { .. } => unsupported("its REST API asks nobody for peers"),
            Op::Metadata { .. } => unsupported("its REST API does not show what peers told"),
            Op::Hash { .. } => unsupported("its REST API computes no hashes"),
            Op::Shard { .. } => unsupported("its REST API computes no shards"),
            Op::Enr { .. } => unsupported("its REST API reads no records"),
            Op::PayloadSeal { .. } | Op::PayloadOpen { .. } => unsupported("its program does not encrypt"),
            Op::NoiseBegin(_)
            | Op::NoiseWrite { .. }
            | Op::NoiseRead { .. }
            | Op::NoiseFinish { .. }
            | Op::NoiseSeal { .. }
            | Op::NoiseOpen { .. } => unsupported("its program has no Noise sessions"),
            Op::Screenshot { .. } => unsupported("it has no page"),
        }
    }

    /// Connects, and returns when the peer has told its protocols, by which nwaku chooses service nodes.
    async fn connect(&mut self, address: String) -> Result<Value> {
        let id = peer_id(&address).ok_or_else(|| Failure::Refused(format!("{address} has no peer id")))?;
        let id = id.to_owned();
        self.rest.post("/admin/v1/peers", json!([address])).await?.accepted()?;
        let path = format!("/admin/v1/peer/{}", segment(&id));
        let known = async {
            let mut looks = looks();
            loop {
                looks.tick().await;
                let answer = self.rest.get(&path).await?;
                if answer.status == 200 && answer.json::<AdminPeer>()?.is_known() {
                    return anyhow::Ok(());
                }
            }
        };
        let known = timeout(KNOWING, known).await;
        known.map_err(|_| Failure::Refused(format!("{address} does not stay connected")))??;
        self.dialled.insert(id, address);
        Ok(json!({}))
    }

    /// Where a service node is. Of several, nwaku chooses one itself.
    fn address(&self, peer: &str) -> Result<&str> {
        ensure!(
            self.dialled.len() <= 1,
            Failure::Unsupported("of several service nodes it chooses one itself".to_owned())
        );
        let address = self.dialled.get(peer);
        let address = address.ok_or_else(|| Failure::Refused(format!("it is not connected to {peer}")))?;
        Ok(address)
    }

    async fn filter(&mut self, op: Op) -> Result<Value> {
        self.requests += 1;
        let id = self.requests.to_string();
        match op {
            Op::FilterSubscribe { peer, pubsub_topic, content_topics } => {
                self.address(&peer)?;
                let body = subscription(&id, &pubsub_topic, &content_topics);
                let done = filter_outcome(&self.rest.post(FILTERS, body).await?)?;
                self.filtered.extend(content_topics.into_iter().map(|topic| (topic, pubsub_topic.clone())));
                Ok(done)
            }
            Op::FilterPing { peer } => {
                self.address(&peer)?;
                Ok(filter_outcome(&self.rest.get(&format!("{FILTERS}/{id}")).await?)?)
            }
            Op::FilterUnsubscribe { peer, pubsub_topic, content_topics } => {
                self.address(&peer)?;
                let body = subscription(&id, &pubsub_topic, &content_topics);
                let done = filter_outcome(&self.rest.delete(FILTERS, body).await?)?;
                self.filtered.retain(|topic, on| *on != pubsub_topic || !content_topics.contains(topic));
                Ok(done)
            }
            Op::FilterUnsubscribeAll { peer } => {
                self.address(&peer)?;
                let answer = self.rest.delete(&format!("{FILTERS}/all"), json!({ "requestId": id })).await?;
                let done = filter_outcome(&answer)?;
                self.filtered.clear();
                Ok(done)
            }
            op => bail!("{op:?} is no question of filter"),
        }
    }

    async fn lightpush(
        &self,
        pubsub_topic: Option<String>,
        message: Message,
        version: Option<u8>,
    ) -> Result<Value> {
        let mut body = json!({ "message": RestMessage::try_from(message)? });
        if let (Some(topic), Some(body)) = (pubsub_topic, body.as_object_mut()) {
            body.insert("pubsubTopic".to_owned(), topic.into());
        }
        Ok(match version {
            None | Some(3) => pushed(&self.rest.post("/lightpush/v3/message", body).await?)?,
            Some(2) => pushed_by_version_2(&self.rest.post("/lightpush/v1/message", body).await?)?,
            Some(version) => unsupported(&format!("it has no version {version} of lightpush"))?,
        })
    }

    async fn store(&self, question: &StoreOp) -> Result<Value> {
        let address = self.dialled.get(&question.peer);
        let address =
            address.ok_or_else(|| Failure::Refused(format!("it is not connected to {}", question.peer)))?;
        Ok(store_page(&self.rest.get(&store_path(question, address)).await?)?)
    }

    async fn event(&mut self) -> Result<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            self.looks.tick().await;
            for topic in &self.relayed {
                let came = self.rest.get(&relay_messages(topic)).await?;
                self.events.extend(events(came, Via::Relay, topic)?);
            }
            for (content_topic, topic) in &self.filtered {
                let path = format!("/filter/v2/messages/{}", segment(content_topic));
                self.events.extend(events(self.rest.get(&path).await?, Via::Filter, topic)?);
            }
        }
    }
}

const SUBSCRIPTIONS: &str = "/relay/v1/subscriptions";
const FILTERS: &str = "/filter/v2/subscriptions";

fn relay_messages(pubsub_topic: &str) -> String {
    format!("/relay/v1/messages/{}", segment(pubsub_topic))
}

/// The messages of a cache, which is empty after it.
fn events(cache: Answer, via: Via, pubsub_topic: &str) -> Result<Vec<Event>> {
    let messages: Vec<RestMessage> = cache.json()?;
    let event = |message: RestMessage| {
        let pubsub_topic = pubsub_topic.to_owned();
        Ok(Event::Message { via, pubsub_topic, message: message.try_into()? })
    };
    messages.into_iter().map(event).collect()
}

fn looks() -> Interval {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks
}

fn unsupported(why: &str) -> Result<Value> {
    bail!(Failure::Unsupported(why.to_owned()))
}
