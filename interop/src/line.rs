//! The line protocol of foreign peers, our side (`LINE_PROTOCOL.md`).

mod answer;
mod message;
mod question;

pub(crate) use answer::Line;
pub use answer::{
    Event, Exchanged, Hash, NoiseEnd, NoiseKeys, Payload, Peers, Pushed, Record, Sealed, Started, StorePage,
    StoredMessage, Told, Topic, Via,
};
pub use message::{Message, base64, hex, unbase64};
pub use question::{Encryption, NoiseBegin, Op, Start, StoreOp};
