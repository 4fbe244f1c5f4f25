//! What requests cost: `cargo test -p waku-tunnel --test it figures -- --nocapture` prints the tables. The clock is virtual
//! and chance is seeded, so they are the same on every machine.

use std::time::Duration;

use waku_tunnel::connection::{Event, Read};
use waku_tunnel::request::{Answer, Priority, Request};
use waku_tunnel::stream::Handle;

use crate::world::{APP, MANAGER, Weather, World};

const HOUR: Duration = Duration::from_secs(3600);
/// What a network with rate limit proofs allows, and what one without them does.
const SCARCE: (u32, Duration) = (100, Duration::from_secs(600));
const PLENTY: (u32, Duration) = (1000, Duration::from_secs(60));

/// What one request took.
#[derive(Clone, Copy, Default)]
struct Cost {
    time: Duration,
    /// Until nothing more was to be said.
    messages: u64,
    bytes: u64,
}

/// Asks once for a body of this length. Half a second under way, each way.
fn fetch(seed: u64, loss: u32, len: usize, rate: (u32, Duration)) -> Cost {
    let mut world = World::new(seed, Weather { loss, stored: 100, ..Weather::fine() }, rate);
    world.renew();
    let now = world.now(APP);
    let request = Request { timeout: Some(HOUR), ..Request::new("GET", "/eth/v1/node/version") };
    world.nodes[APP].tunnel.open(now, request).unwrap();
    let body = vec![b'x'; len];
    let (mut written, mut read, mut cost) = (0, 0, Cost::default());
    while world.now < HOUR {
        for (which, event) in world.run(HOUR) {
            match event {
                Event::Requested { stream, .. } => {
                    let priority = if len > 100_000 { Priority::Bulk } else { Priority::Command };
                    let now = world.instant();
                    let answer = Answer { priority, ..Answer::new(200) };
                    world.nodes[MANAGER].tunnel.answer(now, stream, answer).unwrap();
                    written = write(&mut world, stream, &body, written);
                }
                Event::Writable(stream) if which == MANAGER => {
                    written = write(&mut world, stream, &body, written);
                }
                Event::Readable(stream) if which == APP => {
                    while let Read::Bytes(bytes) = world.nodes[APP].tunnel.read(stream) {
                        read += bytes.len();
                    }
                }
                Event::Ended { outcome, .. } if which == APP => {
                    assert!(outcome == Ok(()) && read == len, "{outcome:?} at {:?}", world.now);
                    cost.time = world.now;
                }
                _ => {}
            }
        }
    }
    cost.messages = world.nodes.iter().map(|node| node.messages).sum();
    cost.bytes = world.nodes.iter().map(|node| node.bytes).sum();
    cost
}

fn write(world: &mut World, stream: Handle, body: &[u8], written: usize) -> usize {
    let now = world.instant();
    let manager = &mut world.nodes[MANAGER].tunnel;
    let written = written + manager.write(now, stream, &body[written..]).unwrap_or(0);
    if written == body.len() {
        _ = manager.finish(stream);
    }
    written
}

#[derive(Debug)]
struct Row {
    messages: f64,
    seconds: f64,
    slowest: f64,
    overhead: f64,
}

fn row(runs: u32, loss: u32, len: usize, rate: (u32, Duration)) -> Row {
    let costs: Vec<_> = (0..runs).map(|seed| fetch(seed.into(), loss, len, rate)).collect();
    let mean = |of: &dyn Fn(&Cost) -> f64| costs.iter().map(of).sum::<f64>() / f64::from(runs);
    #[allow(clippy::cast_precision_loss, reason = "figures to look at")]
    Row {
        messages: mean(&|cost| cost.messages as f64),
        seconds: mean(&|cost| cost.time.as_secs_f64()),
        slowest: costs.iter().map(|cost| cost.time.as_secs_f64()).fold(0.0, f64::max),
        overhead: mean(&|cost| cost.bytes as f64) - len as f64,
    }
}

#[test]
fn a_small_request_costs_little() {
    println!("\nA GET with 200 bytes of answer, 0.5 s each way, mean of 500:");
    println!("loss %  messages  seconds  slowest  bytes beside the body");
    let rows = [0, 5, 20].map(|loss| (loss, row(500, loss, 200, SCARCE)));
    for (loss, row) in &rows {
        let Row { messages, seconds, slowest, overhead } = row;
        println!("{loss:>6}  {messages:>8.2}  {seconds:>7.2}  {slowest:>7.1}  {overhead:>8.0}");
    }
    let [none, some, much] = rows.map(|(_, row)| row);
    assert!((none.messages, none.seconds) == (3.0, 1.0), "{none:?}");
    assert!(some.messages < 3.6 && some.seconds < 1.6, "{some:?}");
    assert!(much.messages < 6.0 && much.seconds < 4.0, "{much:?}");
}

#[test]
fn a_large_download_costs_as_many_messages_as_it_has_to() {
    const LEN: usize = 10_000_000;
    println!(
        "\nA download of 10 MB, 0.5 s each way, a store has what is lost, mean of 5 (1 with the scarce budget):"
    );
    println!("loss %  budget     messages  seconds  slowest  bytes beside the body");
    for (loss, rate, runs, most_messages, most_seconds) in [
        (0, PLENTY, 5, 120.0, 25.0),
        (5, PLENTY, 5, 140.0, 60.0),
        (20, PLENTY, 5, 200.0, 200.0),
        (0, SCARCE, 1, 140.0, 700.0),
    ] {
        let row = row(runs, loss, LEN, rate);
        let Row { messages, seconds, slowest, overhead } = row;
        let name = format!("{}/{} s", rate.0, rate.1.as_secs());
        println!("{loss:>6}  {name:<9}  {messages:>8.1}  {seconds:>7.1}  {slowest:>7.1}  {overhead:>8.0}");
        assert!(messages <= most_messages && seconds <= most_seconds, "{row:?}");
    }
}
