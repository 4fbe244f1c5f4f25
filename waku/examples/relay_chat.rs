//! A chat over relay. In two terminals, the second with the address that the first prints:
//!
//! ```sh
//! cargo run -p waku --example relay_chat -- alice
//! cargo run -p waku --example relay_chat -- bob /ip4/127.0.0.1/tcp/…/p2p/…
//! ```
//!
//! Each line typed is published, each line of others is printed. Ends with the input.

use std::error::Error;

use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};
use waku::{Config, ContentTopic, Delivery, Keypair, Node, PublishError, Sharding, WakuMessage};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().ok_or("usage: relay_chat NAME [ADDRESS OF ANOTHER]")?;

    let mut config = Config::new(Keypair::generate(), Sharding::auto(99, 8)?);
    config.listen_addresses = vec!["/ip4/127.0.0.1/tcp/0".parse()?];
    config.static_peers = arguments.map(|address| address.parse()).collect::<Result<_, _>>()?;
    let node = Node::spawn(config).await?;
    for address in node.listen_addresses() {
        println!("{address}");
    }

    let topic: ContentTopic = "/waku-chat/1/lobby/plain".parse()?;
    let mut inbox = node.relay().subscribe(topic.clone()).await?;
    let mut typed = BufReader::new(stdin()).lines();
    loop {
        tokio::select! {
            line = typed.next_line() => {
                let Some(line) = line? else { break };
                say(&node, &topic, format!("{name}: {line}")).await?;
            }
            delivery = inbox.recv() => match delivery {
                Some(Delivery::Message(envelope)) => {
                    let text = String::from_utf8_lossy(&envelope.message().payload).into_owned();
                    // One's own come back too.
                    if !text.starts_with(&format!("{name}: ")) {
                        println!("{text}");
                    }
                }
                Some(Delivery::Missed(count)) => println!("({count} messages came too fast)"),
                None => break,
            },
        }
    }
    node.shutdown().await;
    Ok(())
}

async fn say(node: &Node, topic: &ContentTopic, text: String) -> Result<(), Box<dyn Error>> {
    match node.relay().publish(WakuMessage::new(topic, text, waku::unix_nanos())).await {
        Err(PublishError::NoPeers) => println!("(nobody is there yet)"),
        published => drop(published?),
    }
    Ok(())
}
