//! Records from a store that was damaged, or written by somebody else.

use sha2::{Digest as _, Sha256};
use waku_pairing::record::{PeerRecord, Tombstone};

const FORMAT: u8 = 1;

/// A record that is read is written so that it is read again.
pub fn run(data: &[u8]) {
    for bytes in [data.to_vec(), enclosed(data)] {
        if let Ok(record) = PeerRecord::decode(&bytes) {
            assert_eq!(PeerRecord::decode(&record.encode()), Ok(record));
        }
        if let Ok(tombstone) = Tombstone::decode(&bytes) {
            assert_eq!(Tombstone::decode(&tombstone.encode()), Ok(tombstone));
        }
    }
}

/// A record whose checksum is right, whatever it holds.
fn enclosed(message: &[u8]) -> Vec<u8> {
    let content = [&[FORMAT], message].concat();
    let digest: [u8; 32] = Sha256::digest(&content).into();
    [content.as_slice(), &digest[..8]].concat()
}
