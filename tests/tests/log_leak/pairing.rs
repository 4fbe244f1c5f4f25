//! Two endpoints on a bus in memory.

use std::sync::{Arc, Mutex};

use sha2::{Digest as _, Sha256};
use waku_noise_session::key::KeyPair;
use waku_noise_session::manager::PairRoot;
use waku_pairing::code::Code;
use waku_pairing::endpoint::{Handle, endpoint};
use waku_pairing::identity::{Identity, Seed};
use waku_pairing::party::{Config, Part};
use waku_pairing::store::{Change, MemoryStore, PeerStore, StoreError, Stored};

use crate::in_memory::{Bus, BusChannel};
use crate::log::Log;
use crate::secret::Secret;
use crate::story;

const CODE: u64 = 0x5eed_1e55_c0de_2026;

/// A store that the test can look into.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<MemoryStore>>);

impl PeerStore for Disk {
    fn load(&mut self) -> Result<Stored, StoreError> {
        self.0.lock().unwrap().load()
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        self.0.lock().unwrap().apply(changes)
    }
}

fn start(part: Part, label: &str, bus: &Bus) -> (Handle, Disk, Seed) {
    let seed = Seed::from(<[u8; 32]>::from(Sha256::digest(label)));
    let (disk, channel) = (Disk::default(), BusChannel::join(bus));
    let config = Config::new(part, label.parse().unwrap());
    let rng = Box::new(getrandom::rand_core::UnwrapErr(getrandom::SysRng));
    let (handle, driver) = endpoint(config, Identity::from_seed(&seed), channel, disk.clone(), rng).unwrap();
    tokio::spawn(driver.run());
    (handle, disk, seed)
}

#[tokio::test]
async fn a_pairing_logs_neither_code_nor_digits_nor_keys() {
    let log = Log::start();
    let bus = Bus::default();
    let (host, disk, host_seed) = start(Part::NodeManager, "beacon-01", &bus);
    let (app, _, app_seed) = start(Part::App, "laptop", &bus);
    let code = Code::from(CODE);
    let (pairing, digits) = story::pair(&host, &app, &code).await;

    let record = disk.0.lock().unwrap().0.peers[&pairing].clone();
    let noise = KeyPair::from_secret(&story::x25519(&host_seed));
    let root = PairRoot::new(&noise, &record.noise, &record.transcript).unwrap();
    story::part(&host, &app, pairing).await;
    host.close().await.unwrap();
    app.close().await.unwrap();

    log.assert_without(&story::spoken(&code, CODE, digits));
    log.assert_without(&[Secret::bytes("the pair root", root.as_bytes())]);
    log.assert_without(&story::keys(&host_seed));
    log.assert_without(&story::keys(&app_seed));
}
