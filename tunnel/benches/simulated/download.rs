//! One large answer.

use std::fmt::Write as _;
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use waku_tunnel::connection::{Event, Read};
use waku_tunnel::request::{Answer, Priority, Request};
use waku_tunnel::stream::Handle;

use crate::world::{APP, Carriage, Happening, MANAGER, Weather, World};

/// How long it may take at most, and what is left to be said after it.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) took: Duration,
    pub(crate) messages: usize,
    /// Of those: the app's.
    pub(crate) asked: usize,
    pub(crate) repeated: u64,
    pub(crate) wire: u64,
    pub(crate) most_in_an_epoch: usize,
}

/// Bytes that do not compress.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut noise = vec![0; len];
    ChaCha8Rng::seed_from_u64(1).fill_bytes(&mut noise);
    noise
}

/// A list of validators as a beacon node writes it, with keys that do not compress.
pub(crate) fn validators(len: usize) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut text = String::from("{\"data\":[");
    while text.len() < len {
        let index = rng.next_u32() % 1_000_000;
        let gwei = 32_000_000_000 + u64::from(rng.next_u32() % 20_000_000);
        let key = [(); 3].map(|()| u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64()));
        let [first, second, third] = key;
        write!(
            text,
            "{{\"index\":\"{index}\",\"balance\":\"{gwei}\",\"status\":\"active_ongoing\",\"validator\":{{\"pubkey\":\
             \"0x{first:032x}{second:032x}{third:032x}\",\"effective_balance\":\"32000000000\",\
             \"slashed\":false,\"activation_epoch\":\"0\",\"exit_epoch\":\"18446744073709551615\"}}}},"
        )
        .unwrap();
    }
    text.truncate(len);
    text.into_bytes()
}

/// Asks once. Panics unless the request ran once and its answer came whole.
pub(crate) fn play(seed: u64, weather: Weather, carriage: Carriage, body: &[u8], compress: bool) -> Outcome {
    let mut world = World::new(seed, weather, carriage);
    let request =
        Request { timeout: Some(PATIENCE), ..Request::new("GET", "/eth/v1/beacon/states/head/validators") };
    world.nodes[APP].tunnel.open(world.now(), request).unwrap();
    let (mut ran, mut written, mut read, mut took) = (0, 0, 0, None);
    while let Some(happened) = world.run(PATIENCE) {
        for happening in happened {
            match happening {
                Happening::Event(MANAGER, Event::Requested { stream, .. }) => {
                    ran += 1;
                    let answer = Answer { compress, priority: Priority::Bulk, ..Answer::new(200) };
                    let now = world.now().instant;
                    world.nodes[MANAGER].tunnel.answer(now, stream, answer).unwrap();
                    write(&mut world, stream, body, &mut written);
                }
                Happening::Event(MANAGER, Event::Writable(stream)) => {
                    write(&mut world, stream, body, &mut written);
                }
                Happening::Event(APP, Event::Readable(stream)) => {
                    while let Read::Bytes(bytes) = world.nodes[APP].tunnel.read(stream) {
                        assert!(body[read..].starts_with(&bytes), "what was written is read");
                        read += bytes.len();
                    }
                }
                Happening::Event(APP, Event::Ended { outcome, .. }) => {
                    assert!(outcome == Ok(()) && took.is_none());
                    took = Some(world.now);
                }
                Happening::Event(..) | Happening::Due(_) => {}
            }
        }
    }
    assert!(ran == 1 && read == body.len(), "it ran once and came whole");
    Outcome {
        took: took.unwrap(),
        messages: world.messages(),
        asked: world.nodes[APP].published.len(),
        repeated: world.repeated(),
        wire: world.wire(),
        most_in_an_epoch: world.most_in_an_epoch(),
    }
}

fn write(world: &mut World, stream: Handle, body: &[u8], written: &mut usize) {
    let now = world.now().instant;
    let manager = &mut world.nodes[MANAGER].tunnel;
    while *written < body.len() {
        // As a driver that reads from a service does: some at a time, for as long as there is room.
        let piece = &body[*written..body.len().min(*written + 64 * 1024)];
        let taken = manager.write(now, stream, piece).unwrap();
        *written += taken;
        if taken < piece.len() {
            return;
        }
    }
    // Told that there is room for more when all is written already, it has nothing to do.
    _ = manager.finish(stream);
}
