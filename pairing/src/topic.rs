//! Content topics. All have application `status-node-manager` and version 1, so by autosharding all share one shard
//! and the choice of shard tells nothing.

use data_encoding::HEXLOWER;
use waku_noise_session::manager::PairRoot;
use waku_noise_session::session::SessionId;
use waku_proto::ContentTopic;

/// The bytes of a derived name that go into a topic.
const NAME_LEN: usize = 16;

/// Where the HELLO messages meet: from `T`, which only the code yields.
pub(crate) fn pairing(topic: &[u8; 32]) -> ContentTopic {
    content_topic("pair", topic)
}

/// Where the two parties of a pairing find each other on a day (days since the Unix epoch).
pub(crate) fn rendezvous(root: &PairRoot, day: u64) -> ContentTopic {
    let info = [&b"snm/1 rdv"[..], &day.to_be_bytes()].concat();
    content_topic("r", root.expand::<NAME_LEN>(&info).as_ref())
}

/// Where a part's letters of a day lie (days since the Unix epoch).
pub(crate) fn letters(root: &PairRoot, part: u8, day: u64) -> ContentTopic {
    let info = [&b"snm/1 letters"[..], &[part], &day.to_be_bytes()].concat();
    content_topic("l", root.expand::<NAME_LEN>(&info).as_ref())
}

/// Where a session lives (37's ct-id, cut to 16 bytes).
pub(crate) fn session(session: SessionId) -> ContentTopic {
    content_topic("s", &session.ct_id())
}

fn content_topic(kind: &str, name: &[u8]) -> ContentTopic {
    let name = HEXLOWER.encode(name.get(..NAME_LEN).expect("names are derived with at least 16 bytes"));
    format!("/status-node-manager/1/{kind}-{name}/proto").parse().expect("four parts, none of them empty")
}
