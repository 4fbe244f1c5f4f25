//! A whole pairing on a bus in memory: a code, two identities, a session, and the pairing's end.

use std::sync::{Arc, Mutex};

use sha2::{Digest as _, Sha256};
use waku_noise_session::kdf::hkdf;
use waku_noise_session::key::KeyPair;
use waku_noise_session::manager::PairRoot;
use waku_pairing::code::Code;
use waku_pairing::endpoint::{Handle, endpoint};
use waku_pairing::identity::{Identity, Seed};
use waku_pairing::kdf::CodeKeys;
use waku_pairing::party::{Config, Event, Part, Terms};
use waku_pairing::record::PeerRecord;
use waku_pairing::store::{Change, MemoryStore, PeerStore, StoreError, Stored};

use crate::log::Log;
use crate::secret::Secret;

#[allow(dead_code, reason = "the example's own main is not run here")]
#[path = "../../../pairing/examples/in_memory.rs"]
mod in_memory;

use in_memory::{Bus, BusChannel, wait_for};

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

struct Side {
    handle: Handle,
    disk: Disk,
    seed: Seed,
}

impl Side {
    fn start(part: Part, label: &str, bus: &Bus) -> Self {
        let seed = Seed::from(<[u8; 32]>::from(Sha256::digest(label)));
        let (disk, channel) = (Disk::default(), BusChannel::join(bus));
        let config = Config::new(part, label.parse().unwrap());
        let rng = Box::new(getrandom::rand_core::UnwrapErr(getrandom::SysRng));
        let (handle, driver) =
            endpoint(config, Identity::from_seed(&seed), channel, disk.clone(), rng).unwrap();
        tokio::spawn(driver.run());
        Self { handle, disk, seed }
    }

    fn x25519(&self) -> [u8; 32] {
        *hkdf(b"status-node-manager/seed/1", self.seed.as_bytes(), b"noise-static")
    }

    fn secrets(&self) -> [Secret; 4] {
        let signing = hkdf::<32>(b"status-node-manager/seed/1", self.seed.as_bytes(), b"identity\0");
        let noise = self.x25519();
        let identity = Identity::from_secrets(&signing, &noise).unwrap();
        assert_eq!(
            identity.key(),
            Identity::from_seed(&self.seed).key(),
            "the secrets are not the party's own"
        );
        [
            Secret::bytes("a seed", self.seed.as_bytes()),
            Secret::bytes("an identity's secret", signing.as_ref()),
            Secret::bytes("an X25519 secret", &noise),
            Secret::bytes("a libp2p secret", self.seed.libp2p_secret().as_ref()),
        ]
    }

    fn record(&self) -> PeerRecord {
        self.disk.0.lock().unwrap().0.peers.values().next().expect("the peer is on disk").clone()
    }
}

#[tokio::test]
async fn a_pairing_logs_neither_code_nor_digits_nor_keys() {
    let log = Log::start();
    let bus = Bus::default();
    let host = Side::start(Part::NodeManager, "beacon-01", &bus);
    let app = Side::start(Part::App, "laptop", &bus);
    let (mut at_host, mut at_app) = (host.handle.events(), app.handle.events());
    let code = Code::from(CODE);
    let keys = CodeKeys::derive(&code);
    app.handle.offer(keys.clone(), Terms::default()).await.unwrap();
    host.handle.pair(keys, Terms::default()).await.unwrap();
    let shown = wait_for(&mut at_host, |event| match event {
        Event::ShowDigits { digits, .. } => Some(digits),
        _ => None,
    });
    let digits = shown.await.unwrap();
    let asked = wait_for(&mut at_app, |event| match event {
        Event::AskDigits(peer) => Some(peer.pairing),
        _ => None,
    });
    let pairing = asked.await.unwrap();
    app.handle.digits(pairing, digits).await.unwrap();
    wait_for(&mut at_host, |event| matches!(event, Event::SessionUp { .. }).then_some(())).await.unwrap();
    host.handle.ping(pairing).await.unwrap();

    let record = host.record();
    let root =
        PairRoot::new(&KeyPair::from_secret(&host.x25519()), &record.noise, &record.transcript).unwrap();
    host.handle.unpair(pairing).await.unwrap();
    wait_for(&mut at_app, |event| matches!(event, Event::Unpaired { .. }).then_some(())).await.unwrap();
    host.handle.close().await.unwrap();
    app.handle.close().await.unwrap();

    let grouped = code.digits();
    let plain: String = grouped.chars().filter(char::is_ascii_digit).collect();
    let mut secrets = vec![
        Secret::digits("the code", &grouped),
        Secret::digits("the code without its dashes", &plain),
        Secret::digits("the code as a number", &CODE.to_string()),
        Secret::bytes("the code as bytes", &CODE.to_be_bytes()),
        Secret::digits("the six digits", &digits.to_string()),
        Secret::bytes("the pair root", root.as_bytes()),
    ];
    secrets.extend(host.secrets());
    secrets.extend(app.secrets());
    log.assert_without(&secrets);
}
