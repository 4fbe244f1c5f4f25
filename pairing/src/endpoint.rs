//! A party that lives: its core, a [`Channel`] and a [`PeerStore`], driven by one future and reached through a handle.
//! This is what an app or a service uses.
//!
//! The [`Driver`] can run on any executor. It writes to the store before it publishes anything that rests on it; a write
//! blocks it for as long as the store takes.

mod driver;
mod handle;

use rand_core::CryptoRng;
use tokio::sync::{broadcast, mpsc};

pub use driver::{ChannelClosed, Driver};
pub use handle::{CommandError, Handle};

use crate::channel::Channel;
use crate::identity::Identity;
use crate::party::{Config, Party};
use crate::store::{PeerStore, StoreError};

/// Commands that wait for the driver; whoever gives more waits.
const COMMANDS: usize = 32;
/// Events kept for a slow reader; one that is slower is told how many it missed.
const EVENTS: usize = 256;

/// Brings a party to life: takes up what the store keeps, and calls every peer as soon as the driver runs.
///
/// # Errors
/// [`StoreError`] when the store cannot be read.
pub fn endpoint<C: Channel, S: PeerStore>(
    config: Config,
    identity: Identity,
    channel: C,
    mut store: S,
    mut rng: Box<dyn CryptoRng + Send>,
) -> Result<(Handle, Driver<C, S>), StoreError> {
    let stored = store.load()?;
    let mut boot_id = [0; 16];
    rng.fill_bytes(&mut boot_id);
    let party = Party::new(config, identity, stored, boot_id, channel.now());
    let (commands, inbox) = mpsc::channel(COMMANDS);
    let (events, _) = broadcast::channel(EVENTS);
    let driver = Driver::new(party, channel, store, rng, inbox, events.clone());
    Ok((Handle::new(commands, events), driver))
}
