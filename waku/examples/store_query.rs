//! Asks a store for the messages of a content topic, the newest page first or all from the oldest on:
//!
//! ```sh
//! cargo run -p waku --example store_query -- CLUSTER ADDRESS CONTENT_TOPIC [newest|all]
//! ```

use std::error::Error;

use futures::TryStreamExt as _;
use waku::proto::store::Direction;
use waku::store::archive::{Criteria, Query, Selection};
use waku::{Config, Keypair, Node, PeerList, Sharding};

/// Most messages asked for.
const AT_MOST: usize = 1000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [cluster, address, topic, rest @ ..] = arguments.as_slice() else {
        return Err("usage: store_query CLUSTER ADDRESS CONTENT_TOPIC [newest|all]".into());
    };
    let newest = rest.first().is_some_and(|word| word == "newest");

    let mut config = Config::new(Keypair::generate(), Sharding::fixed(cluster.parse()?, [])?);
    config.relay = false;
    config.static_peers = vec![address.parse()?];
    let node = Node::spawn(config).await?;
    let is_served = |peers: &PeerList| peers.connected.iter().any(|peer| !peer.protocols.is_empty());
    node.peers().watch().wait_for(is_served).await?;

    let criteria = Criteria { content_topics: [topic.clone()].into(), ..Criteria::default() };
    let mut query = Query::new(Selection::Content(criteria));
    if newest {
        query.direction = Direction::Backward;
    }
    let at_most = if newest { query.limit } else { AT_MOST };
    let mut pages = node.store().query_any(query, at_most);
    let mut count = 0;
    while let Some(page) = pages.try_next().await? {
        for envelope in page.entries.iter().filter_map(|entry| entry.envelope.as_ref()) {
            let message = envelope.message();
            let text = String::from_utf8_lossy(&message.payload);
            println!("{} {} {text}", message.timestamp.unwrap_or_default(), envelope.hash());
            count += 1;
        }
    }
    println!("{count} messages");
    node.shutdown().await;
    Ok(())
}
