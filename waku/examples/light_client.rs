//! A light client: it publishes through lightpush, receives through filter, asks a store what there was before,
//! and relays nothing. It needs the address of a service node:
//!
//! ```sh
//! cargo run -p waku --features cli --bin waku-node -- --cluster-id=99 --num-shards-in-network=8 \
//!     --filter --lightpush --store --store-message-db-url=memory://
//! cargo run -p waku --example light_client -- /ip4/127.0.0.1/tcp/60000 hello
//! ```
//!
//! The service node needs a relay peer to publish to.

use std::error::Error;

use futures::TryStreamExt as _;
use waku::store::archive::{Criteria, Query, Selection};
use waku::{Config, ContentTopic, Delivery, Envelope, Keypair, Node, PeerList, Sharding, WakuMessage};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(address), Some(text)) = (arguments.next(), arguments.next()) else {
        return Err("usage: light_client ADDRESS TEXT".into());
    };
    let mut config = Config::new(Keypair::generate(), Sharding::auto(99, 8)?);
    config.relay = false;
    config.static_peers = vec![address.parse()?];
    let node = Node::spawn(config).await?;
    let is_served = |peers: &PeerList| peers.connected.iter().any(|peer| !peer.protocols.is_empty());
    node.peers().watch().wait_for(is_served).await?;
    println!("connected");

    let topic: ContentTopic = "/waku-chat/1/lobby/plain".parse()?;
    let mut inbox = node.filter().subscribe([topic.clone()]).await?;
    inbox.service_peers().wait_for(|count| *count > 0).await?;
    println!("subscribed");

    let receipt = node.lightpush().publish(WakuMessage::new(&topic, text, waku::unix_nanos())).await?;
    println!("published {}", receipt.hash);

    while let Some(delivery) = inbox.recv().await {
        let Delivery::Message(envelope) = delivery else { continue };
        println!("received {}", text_of(&envelope));
        if envelope.hash() == receipt.hash {
            break;
        }
    }

    let lobby = Criteria { content_topics: [topic.to_string()].into(), ..Criteria::default() };
    let mut pages = node.store().query_any(Query::new(Selection::Content(lobby)), 100);
    while let Some(page) = pages.try_next().await? {
        for envelope in page.entries.iter().filter_map(|entry| entry.envelope.as_ref()) {
            println!("stored {}", text_of(envelope));
        }
    }
    node.shutdown().await;
    Ok(())
}

fn text_of(envelope: &Envelope) -> String {
    String::from_utf8_lossy(&envelope.message().payload).into_owned()
}
