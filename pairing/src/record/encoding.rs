//! Records as bytes: `format(1) || protobuf || SHA-256(format || protobuf)[0..8]`. The checksum tells damage from
//! meaning, whatever the store below promises.

use std::fmt;

use prost::Message;
use sha2::{Digest, Sha256};
use waku_noise_session::manager::{Stamp, Stamps};
use waku_noise_session::message_nametag::MessageNametag;
use waku_noise_session::time::UnixTime;
use zeroize::{Zeroize, Zeroizing};

use super::{
    AppExchange, Attempt, Confirmation, Exchange, ManagerExchange, PeerRecord, Stage, TakenLetters, Tombstone,
};
use crate::generated as wire;
use crate::hello::{Label, LabelError};
use crate::identity::IdentityKey;
use crate::kdf::{CodeKeys, CodeName, DirectionKeys};
use crate::letter::LetterId;
use crate::reason::Reason;
use crate::sas::Sas;

const FORMAT: u8 = 1;
const CHECKSUM_LEN: usize = 8;

impl PeerRecord {
    /// The record as bytes, which hold secrets while the pairing is not confirmed.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        enclose(&wire::Peer {
            identity: self.identity.to_bytes().to_vec(),
            noise: self.noise.as_bytes().to_vec(),
            label: self.label.as_str().to_owned(),
            alias: self.alias.as_ref().map(|alias| alias.as_str().to_owned()),
            transcript: self.transcript.to_vec(),
            sas: self.sas.map(Sas::as_u32),
            created: self.created,
            last_heard: self.last_heard,
            sent: Some(stamp_to_wire(self.stamps.sent)),
            seen: Some(stamp_to_wire(self.stamps.seen)),
            code: self.code.map(|code| code.to_vec()),
            letters: letters_to_wire(&self.letters),
            stage: Some(match &self.stage {
                Stage::Pending(exchange) => wire::peer::Stage::Pending(exchange.to_wire()),
                Stage::Keyed(exchange) => wire::peer::Stage::Keyed(exchange.to_wire()),
                Stage::Confirmed(Confirmation { compared, at, acknowledged }) => {
                    let (compared, at, acknowledged) = (*compared, *at, *acknowledged);
                    wire::peer::Stage::Confirmed(wire::Confirmation { compared, at, acknowledged })
                }
            }),
        })
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`RecordError`] when the bytes are damaged or of a later version.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let peer: wire::Peer = open(bytes)?;
        let stage = match peer.stage.ok_or(RecordError::Malformed("stage"))? {
            wire::peer::Stage::Pending(exchange) => Stage::Pending(Exchange::from_wire(exchange)?),
            wire::peer::Stage::Keyed(exchange) => Stage::Keyed(Exchange::from_wire(exchange)?),
            wire::peer::Stage::Confirmed(wire::Confirmation { compared, at, acknowledged }) => {
                Stage::Confirmed(Confirmation { compared, at, acknowledged })
            }
        };
        Ok(Self {
            identity: identity(&peer.identity)?,
            noise: array::<32>(&peer.noise, "noise")?.into(),
            label: peer.label.parse()?,
            alias: peer.alias.map(|alias| alias.parse::<Label>()).transpose()?,
            transcript: array(&peer.transcript, "transcript")?,
            sas: peer.sas.map(|sas| Sas::from_u32(sas).ok_or(RecordError::Malformed("sas"))).transpose()?,
            created: peer.created,
            last_heard: peer.last_heard,
            stamps: Stamps { sent: stamp_from_wire(peer.sent), seen: stamp_from_wire(peer.seen) },
            code: code(peer.code.as_deref())?,
            letters: peer.letters.as_ref().map(letters_from_wire).transpose()?.unwrap_or_default(),
            stage,
        })
    }
}

impl Tombstone {
    /// The tombstone as bytes.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        enclose(&wire::Tombstone {
            identity: self.identity.to_bytes().to_vec(),
            noise: self.noise.as_bytes().to_vec(),
            transcript: self.transcript.to_vec(),
            attempts: self.attempts.iter().map(|attempt| attempt.to_vec()).collect(),
            at: self.at,
            reason: u8::from(self.reason).into(),
            code: self.code.map(|code| code.to_vec()),
        })
    }

    /// Reads a tombstone.
    ///
    /// # Errors
    /// [`RecordError`] when the bytes are damaged or of a later version.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let tombstone: wire::Tombstone = open(bytes)?;
        Ok(Self {
            identity: identity(&tombstone.identity)?,
            noise: array::<32>(&tombstone.noise, "noise")?.into(),
            transcript: array(&tombstone.transcript, "transcript")?,
            attempts: tombstone.attempts.iter().map(|id| array(id, "attempts")).collect::<Result<_, _>>()?,
            at: tombstone.at,
            reason: u8::try_from(tombstone.reason).map_or(Reason::Other, Reason::from),
            code: code(tombstone.code.as_deref())?,
        })
    }
}

impl Exchange {
    fn to_wire(&self) -> wire::Exchange {
        let side = match self {
            Self::App(exchange) => {
                let CodeKeys { topic, app, node_manager } = &exchange.keys;
                wire::exchange::Side::App(wire::AppExchange {
                    topic: topic.to_vec(),
                    app_tag: app.tag.as_bytes().to_vec(),
                    app_key: app.key.to_vec(),
                    manager_tag: node_manager.tag.as_bytes().to_vec(),
                    manager_key: node_manager.key.to_vec(),
                    attempts: exchange.attempts.iter().copied().map(Attempt::to_wire).collect(),
                    hello_node_manager: exchange.hello_node_manager.clone(),
                    commitment: exchange.commitment.to_vec(),
                    n_app: exchange.n_app.to_vec(),
                    compare: exchange.compare,
                    code_expires: exchange.code_expires.as_secs(),
                })
            }
            Self::Manager(ManagerExchange { attempt, n_nm, compare }) => {
                wire::exchange::Side::Manager(wire::ManagerExchange {
                    attempt: attempt.to_vec(),
                    n_nm: n_nm.to_vec(),
                    compare: *compare,
                })
            }
        };
        wire::Exchange { side: Some(side) }
    }

    fn from_wire(exchange: wire::Exchange) -> Result<Self, RecordError> {
        match exchange.side.ok_or(RecordError::Malformed("exchange"))? {
            wire::exchange::Side::App(app) => {
                let direction = |tag: &[u8], key: &[u8]| {
                    let tag = MessageNametag::from(array::<16>(tag, "tag")?);
                    Ok::<_, RecordError>(DirectionKeys { tag, key: Zeroizing::new(array(key, "key")?) })
                };
                Ok(Self::App(Box::new(AppExchange {
                    keys: CodeKeys {
                        topic: array(&app.topic, "topic")?,
                        app: direction(&app.app_tag, &app.app_key)?,
                        node_manager: direction(&app.manager_tag, &app.manager_key)?,
                    },
                    attempts: app.attempts.iter().map(Attempt::from_wire).collect::<Result<_, _>>()?,
                    hello_node_manager: app.hello_node_manager.clone(),
                    commitment: array(&app.commitment, "commitment")?,
                    n_app: array(&app.n_app, "n_app")?,
                    compare: app.compare,
                    code_expires: UnixTime::from_secs(app.code_expires),
                })))
            }
            wire::exchange::Side::Manager(manager) => Ok(Self::Manager(ManagerExchange {
                attempt: array(&manager.attempt, "attempt")?,
                n_nm: Zeroizing::new(array(&manager.n_nm, "n_nm")?),
                compare: manager.compare,
            })),
        }
    }
}

impl Attempt {
    fn to_wire(self) -> wire::Attempt {
        wire::Attempt { id: self.id.to_vec(), digest: self.digest.to_vec() }
    }

    fn from_wire(attempt: &wire::Attempt) -> Result<Self, RecordError> {
        Ok(Self { id: array(&attempt.id, "attempt")?, digest: array(&attempt.digest, "digest")? })
    }
}

impl fmt::Debug for wire::AppExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppExchange(..)")
    }
}

impl fmt::Debug for wire::ManagerExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ManagerExchange(..)")
    }
}

fn enclose(message: &impl Message) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(1 + message.encoded_len() + CHECKSUM_LEN));
    bytes.push(FORMAT);
    message.encode_raw(&mut *bytes);
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum);
    bytes
}

fn open<M: Message + Default>(bytes: &[u8]) -> Result<M, RecordError> {
    let (content, sum) = bytes.split_last_chunk::<CHECKSUM_LEN>().ok_or(RecordError::Damaged)?;
    if checksum(content) != *sum {
        return Err(RecordError::Damaged);
    }
    match content.split_first() {
        Some((&FORMAT, message)) => M::decode(message).map_err(|_| RecordError::Malformed("protobuf")),
        Some((format, _)) => Err(RecordError::UnknownFormat(*format)),
        None => Err(RecordError::Damaged),
    }
}

fn checksum(content: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut digest: [u8; 32] = Sha256::digest(content).into();
    let sum = *digest.first_chunk().expect("a digest has 32 bytes");
    digest.zeroize();
    sum
}

fn array<const N: usize>(bytes: &[u8], field: &'static str) -> Result<[u8; N], RecordError> {
    bytes.try_into().map_err(|_| RecordError::Malformed(field))
}

fn code(code: Option<&[u8]>) -> Result<Option<CodeName>, RecordError> {
    code.map(|code| array(code, "code")).transpose()
}

fn identity(bytes: &[u8]) -> Result<IdentityKey, RecordError> {
    IdentityKey::from_bytes(&array(bytes, "identity")?).ok_or(RecordError::Malformed("identity"))
}

fn stamp_to_wire(stamp: Stamp) -> wire::Stamp {
    wire::Stamp { time: stamp.time, counter: stamp.counter }
}

fn stamp_from_wire(stamp: Option<wire::Stamp>) -> Stamp {
    stamp.map_or(Stamp::default(), |stamp| Stamp { time: stamp.time, counter: stamp.counter })
}

/// None where none were taken: such a record is written as it was before there were letters.
fn letters_to_wire(letters: &TakenLetters) -> Option<wire::TakenLetters> {
    let TakenLetters { floor, ids } = letters;
    let ids = || ids.iter().map(|id| id.to_bytes().to_vec()).collect();
    (*letters != TakenLetters::default()).then(|| wire::TakenLetters { floor: *floor, ids: ids() })
}

fn letters_from_wire(letters: &wire::TakenLetters) -> Result<TakenLetters, RecordError> {
    let ids = letters.ids.iter().map(|id| Ok(LetterId::from(array(id, "letters")?)));
    Ok(TakenLetters { floor: letters.floor, ids: ids.collect::<Result<_, RecordError>>()? })
}

/// Why bytes from a store are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The checksum does not match.
    #[error("the record is damaged")]
    Damaged,
    /// Written by a later version.
    #[error(
        "the record has format {0}, this version reads format {FORMAT}; use the newer version that wrote it"
    )]
    UnknownFormat(u8),
    /// The checksum matches and the content still makes no sense.
    #[error("the record's field {0} makes no sense")]
    Malformed(&'static str),
    /// A name that may not be shown.
    #[error("the record's name: {0}")]
    Label(#[from] LabelError),
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;
    use crate::identity::{Identity, Seed};

    fn records() -> [PeerRecord; 3] {
        let identity = Identity::from_seed(&Seed::from([3; 32]));
        let keys = CodeKeys {
            topic: [1; 32],
            app: DirectionKeys { tag: [2; 16].into(), key: Zeroizing::new([3; 32]) },
            node_manager: DirectionKeys { tag: [4; 16].into(), key: Zeroizing::new([5; 32]) },
        };
        let app = Exchange::App(Box::new(AppExchange {
            keys,
            attempts: vec![
                Attempt { id: [6; 16], digest: [7; 32] },
                Attempt { id: [8; 16], digest: [9; 32] },
            ],
            hello_node_manager: vec![9; 230],
            commitment: [10; 32],
            n_app: [11; 32],
            compare: true,
            code_expires: UnixTime::from_secs(1_760_000_600),
        }));
        let manager = Exchange::Manager(ManagerExchange {
            attempt: [6; 16],
            n_nm: Zeroizing::new([12; 32]),
            compare: false,
        });
        let confirmed = Confirmation { compared: true, at: 1_760_000_100, acknowledged: false };
        [Stage::Pending(app), Stage::Keyed(manager), Stage::Confirmed(confirmed)].map(|stage| PeerRecord {
            identity: identity.key(),
            noise: identity.noise().public(),
            label: "beacon-01".parse().unwrap(),
            alias: Some("home".parse().unwrap()),
            transcript: [13; 32],
            sas: Sas::from_u32(42),
            created: 1_760_000_000,
            last_heard: None,
            stamps: Stamps { sent: Stamp { time: 1, counter: 2 }, seen: Stamp { time: 3, counter: 4 } },
            code: Some([14; 16]),
            letters: taken(),
            stage,
        })
    }

    fn taken() -> TakenLetters {
        TakenLetters { floor: 5, ids: [LetterId::from([6; 24]), LetterId::from([7; 24])].into() }
    }

    #[test]
    fn reads_what_it_wrote() {
        for record in records() {
            assert_eq!(PeerRecord::decode(&record.encode()), Ok(record.clone()));
            let tombstone = Tombstone::of(&record, 1_760_000_200, Reason::WrongDigits);
            assert_eq!(Tombstone::decode(&tombstone.encode()), Ok(tombstone));
        }
    }

    /// A record of the version before there were letters.
    const BEFORE_LETTERS: &str = "010a21031b84c5567b126440995d3ed5aaba0565d71e1834604819ff9c17f5e9d5dd078f12207b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f131a09626561636f6e2d30312a20b3c5fc6348f74e90e6f35a98e1a55a6b961889050f1e89d10d24b34c53f9d3a330dfa8323880f2d6ca064080f2d6ca064a00520c088080e8ef9eca9cc31810016a0808011094f2d6ca065048f06aa4e2df0e";

    #[test]
    fn a_record_of_before_there_were_letters_is_read_and_written_alike() {
        let bytes = HEXLOWER.decode(BEFORE_LETTERS.as_bytes()).unwrap();
        let mut record = PeerRecord::decode(&bytes).unwrap();
        assert_eq!((record.label.as_str(), record.is_confirmed()), ("beacon-01", true));
        assert_eq!(record.letters, TakenLetters::default());
        assert_eq!(HEXLOWER.encode(&record.encode()), BEFORE_LETTERS);
        record.letters = taken();
        assert_eq!(PeerRecord::decode(&record.encode()), Ok(record));
    }

    #[test]
    fn an_id_of_a_wrong_length_is_named() {
        let letters = wire::TakenLetters { floor: 0, ids: vec![vec![1; 24], vec![1; 23]] };
        assert_eq!(letters_from_wire(&letters), Err(RecordError::Malformed("letters")));
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        for record in records() {
            let bytes = record.encode();
            for at in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[at] ^= 0x10;
                assert_eq!(PeerRecord::decode(&changed), Err(RecordError::Damaged), "byte {at}");
                assert_eq!(PeerRecord::decode(&bytes[..at]), Err(RecordError::Damaged), "{at} bytes");
            }
        }
    }

    #[test]
    fn a_later_format_is_named() {
        let mut bytes = vec![9, 1, 2, 3];
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum);
        assert_eq!(PeerRecord::decode(&bytes), Err(RecordError::UnknownFormat(9)));
    }

    #[test]
    fn debug_output_never_holds_keys() {
        for record in records() {
            let text = format!("{record:?}");
            assert!(!text.contains("3, 3, 3") && !text.contains("12, 12, 12"), "{text}");
        }
    }
}
