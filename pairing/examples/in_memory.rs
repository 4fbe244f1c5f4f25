//! A whole pairing in one process: a host and an app on a bus instead of a network.
//!
//! `cargo run -p waku-pairing --example in_memory`

use std::collections::HashSet;
use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use tokio::sync::mpsc;
use tokio::time::Sleep;
use waku_noise_session::time::{Instant, Now, UnixTime};
use waku_pairing::channel::{Channel, ChannelEvent};
use waku_pairing::code::Code;
use waku_pairing::endpoint::{Handle, endpoint};
use waku_pairing::identity::{Identity, Seed};
use waku_pairing::kdf::CodeKeys;
use waku_pairing::party::{Config, Event, Part, Terms};
use waku_pairing::store::MemoryStore;
use waku_proto::{ContentTopic, WakuMessage};

/// Everybody hears everybody.
pub(crate) type Bus = Arc<Mutex<Vec<mpsc::Sender<WakuMessage>>>>;

pub(crate) struct BusChannel {
    bus: Bus,
    inbox: mpsc::Receiver<WakuMessage>,
    topics: HashSet<String>,
    started: tokio::time::Instant,
    sleep: Pin<Box<Sleep>>,
}

impl BusChannel {
    pub(crate) fn join(bus: &Bus) -> Self {
        let (outbox, inbox) = mpsc::channel(64);
        bus.lock().expect("nobody panics with the bus").push(outbox);
        let sleep = Box::pin(tokio::time::sleep(Duration::ZERO));
        Self { bus: bus.clone(), inbox, topics: HashSet::new(), started: tokio::time::Instant::now(), sleep }
    }
}

impl Channel for BusChannel {
    fn subscribe(&mut self, topic: ContentTopic) {
        self.topics.insert(topic.to_string());
    }

    fn unsubscribe(&mut self, topic: ContentTopic) {
        self.topics.remove(topic.as_str());
    }

    fn publish(&mut self, message: WakuMessage) {
        for listener in self.bus.lock().expect("nobody panics with the bus").iter() {
            // A full inbox loses messages, as a network may.
            _ = listener.try_send(message.clone());
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<ChannelEvent> {
        loop {
            match std::task::ready!(self.inbox.poll_recv(cx)) {
                Some(message) if !self.topics.contains(&message.content_topic) => {}
                message => return Poll::Ready(message.map_or(ChannelEvent::Closed, ChannelEvent::Message)),
            }
        }
    }

    fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Now { instant: Instant::from_origin(self.started.elapsed()), unix: UnixTime::from_epoch(unix) }
    }

    fn poll_deadline(&mut self, deadline: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        self.sleep.as_mut().reset(self.started + deadline.since_origin());
        self.sleep.as_mut().poll(cx)
    }
}

fn start(part: Part, label: &str, bus: &Bus) -> Result<Handle, Box<dyn Error>> {
    let mut rng = UnwrapErr(SysRng);
    let identity = Identity::from_seed(&Seed::generate(&mut rng));
    let config = Config::new(part, label.parse()?);
    let (handle, driver) = endpoint(
        config,
        identity,
        BusChannel::join(bus),
        MemoryStore::default(),
        Box::new(UnwrapErr(SysRng)),
    )?;
    tokio::spawn(driver.run());
    Ok(handle)
}

pub(crate) async fn wait_for<T>(
    events: &mut tokio::sync::broadcast::Receiver<Event>,
    mut wanted: impl FnMut(Event) -> Option<T>,
) -> Result<T, Box<dyn Error>> {
    loop {
        if let Some(found) = wanted(events.recv().await?) {
            return Ok(found);
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let bus = Bus::default();
    let (host, app) = (start(Part::NodeManager, "beacon-01", &bus)?, start(Part::App, "laptop", &bus)?);
    let (mut at_host, mut at_app) = (host.events(), app.events());

    let code = Code::generate(&mut UnwrapErr(SysRng));
    let keys = CodeKeys::derive(&code);
    app.offer(keys.clone(), Terms::default()).await?;
    println!("the app shows     {}", *code.digits());
    host.pair(keys, Terms::default()).await?;

    let digits = wait_for(&mut at_host, |event| match event {
        Event::ShowDigits { peer, digits, .. } => Some((peer.label, digits)),
        _ => None,
    });
    let (asking, digits) = digits.await?;
    println!("the host shows    {digits}, asked by {asking}");
    let asked = wait_for(&mut at_app, |event| match event {
        Event::AskDigits(peer) => Some(peer.pairing),
        _ => None,
    });
    let pairing = asked.await?;
    app.digits(pairing, digits).await?;
    wait_for(&mut at_host, |event| matches!(event, Event::SessionUp { .. }).then_some(())).await?;
    println!("paired, and in session");
    println!("a round trip took {:?}", host.ping(pairing).await?);
    host.close().await?;
    app.close().await?;
    Ok(())
}
