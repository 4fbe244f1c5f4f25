//! What the three processes do. Each prints its address, does its part and, asked to, prints its counters.

use std::error::Error;
use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};
use waku::store::archive::RedbArchive;
use waku::{
    Config, ContentTopic, Delivery, FilterConfig, Keypair, LightpushConfig, Node, PeerExchangeConfig,
    PeerList, PublishError, Sharding, StoreConfig, WakuMessage,
};

use super::PAYLOAD_LEN;

/// Silence after which the rest is lost.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10);
/// How long a publisher that is told that it is too fast waits.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

pub(crate) fn is_role(text: &str) -> bool {
    ["publisher", "relay", "receiver"].contains(&text)
}

pub(crate) fn play(role: &str, arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut config = match (role, arguments) {
            ("relay", arguments) => relay(arguments)?,
            (_, [address]) => Config { static_peers: vec![address.parse()?], ..config()? },
            _ => return Err("a publisher and a receiver need an address".into()),
        };
        // The receiver's own reader is not what is measured.
        config.subscription_queue_len = 200_000;
        let node = Node::spawn(config).await?;
        println!("address {}", node.listen_addresses().first().ok_or("no address")?);
        std::io::stdout().flush()?;
        match role {
            "publisher" => publish(&node).await?,
            "receiver" => receive(&node).await?,
            _ => {}
        }
        // Until it is told to end.
        let _ = line()?;
        for (name, count) in node.metrics().named() {
            println!("{name} {count}");
        }
        println!("end");
        node.shutdown().await;
        Ok(())
    })
}

fn config() -> Result<Config, Box<dyn Error>> {
    let mut config = Config::new(Keypair::generate(), Sharding::fixed(0, [0])?);
    config.listen_addresses = vec!["/ip4/127.0.0.1/tcp/0".parse()?];
    Ok(config)
}

/// The node in the middle: with an archive if a file is named, with every service if it is to serve.
fn relay(arguments: &[&str]) -> Result<Config, Box<dyn Error>> {
    let mut config = config()?;
    if let [archive, ..] = arguments {
        config.store = Some(StoreConfig::new(Arc::new(RedbArchive::open(Path::new(archive))?)));
    }
    if let [_, "serve"] = arguments {
        config.filter = Some(FilterConfig::default());
        config.lightpush = Some(LightpushConfig::default());
        config.peer_exchange = Some(PeerExchangeConfig::default());
    }
    Ok(config)
}

fn line() -> std::io::Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line)
}

fn content_topic() -> Result<ContentTopic, Box<dyn Error>> {
    Ok("/bench/1/overload/proto".parse()?)
}

/// Publishes as many messages as the next line says, and says how often it was too fast.
async fn publish(node: &Node) -> Result<(), Box<dyn Error>> {
    let is_ready = |peers: &PeerList| peers.connected.iter().any(|peer| !peer.topics.is_empty());
    node.peers().watch().wait_for(is_ready).await?;
    println!("ready");
    let (messages, topic, relay) = (line()?.trim().parse::<u64>()?, content_topic()?, node.relay());
    let mut busy = 0_u64;
    for number in 0..messages {
        let mut payload = vec![0x5a; PAYLOAD_LEN - size_of::<u64>()];
        payload.extend_from_slice(&number.to_be_bytes());
        let timestamp = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos();
        let message = WakuMessage::new(&topic, payload, i64::try_from(timestamp)?);
        while let Err(error) = relay.publish(message.clone()).await {
            if error != PublishError::Busy {
                return Err(error.into());
            }
            busy += 1;
            sleep(BUSY_PAUSE).await;
        }
    }
    println!("busy {busy}");
    Ok(())
}

/// Counts the messages that come, as many as the next line says, and says how many and in what time.
async fn receive(node: &Node) -> Result<(), Box<dyn Error>> {
    let mut inbox = node.relay().subscribe(content_topic()?).await?;
    println!("ready");
    let messages = line()?.trim().parse::<usize>()?;
    let mut seen = vec![false; messages];
    let (mut count, mut start, mut end) = (0, None, Instant::now());
    while count < messages {
        let Ok(Some(delivery)) = timeout(GIVE_UP_AFTER, inbox.recv()).await else {
            break;
        };
        let Delivery::Message(envelope) = delivery else {
            continue;
        };
        end = Instant::now();
        start.get_or_insert(end);
        let number = envelope.message().payload.last_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        let place = number.and_then(|number| seen.get_mut(usize::try_from(number).ok()?));
        if let Some(place) = place
            && !std::mem::replace(place, true)
        {
            count += 1;
        }
    }
    println!("received {count} {}", start.map_or(0, |start| (end - start).as_micros()));
    Ok(())
}
