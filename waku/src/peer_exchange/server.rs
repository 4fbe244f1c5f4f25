//! What is given, and the task that gives it.

use std::sync::Weak;
use std::time::{Duration, Instant};

use getrandom::SysRng;
use rand_core::{Rng, UnwrapErr};
use tokio::sync::{mpsc, oneshot};
use waku_proto::Bytes;
use waku_proto::peer_exchange::{Response, Rpc as Message, Status};

use super::{MAX_EXCHANGED_PEERS, PeerExchangeProtocol};
use crate::net::codec::Incoming;
use crate::net::command::PeerCommand;
use crate::net::exchange::Inbound;
use crate::node::Shared;
use crate::{NodeRecord, PeerId};

/// Records kept ready.
const KEPT: usize = 1000;
/// How long they are given until others are looked for.
const FRESH_FOR: Duration = Duration::from_secs(10);
/// As long as there are none they are looked for more often.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Records that are ready to be given, and since when.
#[derive(Debug, Default)]
struct Ready {
    records: Vec<NodeRecord>,
    since: Option<Instant>,
}

impl Ready {
    fn is_fresh(&self, now: Instant) -> bool {
        let limit = if self.records.is_empty() { LOOK_AGAIN_AFTER } else { FRESH_FOR };
        self.since.is_some_and(|since| now.saturating_duration_since(since) < limit)
    }

    /// So many of them at random, none of the one who asks.
    fn draw(&self, count: usize, asker: PeerId, rng: &mut impl Rng) -> Vec<Bytes> {
        let others = self.records.iter().filter(|record| record.peer_id() != asker);
        let mut others: Vec<_> = others.map(|record| (rng.next_u64(), record)).collect();
        others.sort_unstable_by_key(|(chance, _)| *chance);
        others.iter().take(count).map(|(_, record)| record.encode()).collect()
    }
}

/// How many peers a request asks for, or why it is refused.
fn read(request: Incoming<Message>) -> Result<usize, String> {
    match request {
        Ok(Message::Query { num_peers: 0 }) => Err("no peers were asked for".to_owned()),
        Ok(Message::Query { num_peers }) => {
            Ok(usize::try_from(num_peers).unwrap_or(usize::MAX).min(MAX_EXCHANGED_PEERS))
        }
        Ok(Message::Response(_)) => Err("this is no question".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn answer(outcome: Result<Vec<Bytes>, String>) -> Message {
    let (enrs, status, status_desc) = match outcome {
        Ok(enrs) if enrs.is_empty() => (enrs, Status::Unavailable, Some("no peers are known".to_owned())),
        Ok(enrs) => (enrs, Status::Success, None),
        Err(reason) => (Vec::new(), Status::BadRequest, Some(reason)),
    };
    Message::Response(Response { enrs, status, status_desc })
}

/// Answers questions until the node has stopped, without keeping it from that.
pub(crate) async fn serve(node: Weak<Shared>, mut inbox: mpsc::Receiver<Inbound<PeerExchangeProtocol>>) {
    let mut ready = Ready::default();
    while let Some(Inbound { peer, request, reply }) = inbox.recv().await {
        let Some(node) = node.upgrade() else { return };
        let outcome = match read(request) {
            Ok(count) => {
                if !ready.is_fresh(Instant::now()) {
                    let Some(records) = look(&node).await else { return };
                    ready = Ready { records, since: Some(Instant::now()) };
                }
                let records = ready.draw(count, peer, &mut UnwrapErr(SysRng));
                node.metrics().peer_exchange_given.add(records.len() as u64);
                Ok(records)
            }
            Err(reason) => Err(reason),
        };
        reply.send(answer(outcome), None);
    }
}

/// Records of the peers the node knows; `None` when it has stopped.
async fn look(node: &Shared) -> Option<Vec<NodeRecord>> {
    let (reply, records) = oneshot::channel();
    node.command(PeerCommand::Draw { count: KEPT, reply }).await.ok()?;
    records.await.ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;
    use crate::{Announcement, Keypair};

    fn ready(count: usize) -> Ready {
        let record = |_| Announcement::default().sign(&Keypair::generate()).unwrap().record;
        Ready { records: (0..count).map(record).collect(), since: None }
    }

    fn asked(num_peers: u64) -> Result<usize, String> {
        read(Ok(Message::Query { num_peers }))
    }

    #[test]
    fn at_most_sixty_are_given_to_whoever_asks_for_more() {
        assert_eq!(asked(5), Ok(5));
        assert_eq!(asked(61), Ok(60));
        assert_eq!(asked(u64::MAX), Ok(60));
    }

    #[test]
    fn what_is_no_question_for_peers_is_refused() {
        let response = Response { enrs: vec![], status: Status::Success, status_desc: None };
        let unread = waku_proto::WireError::Missing { field: "query" };
        for request in
            [Ok(Message::Query { num_peers: 0 }), Ok(Message::Response(response)), Err(unread.into())]
        {
            let Message::Response(answer) = answer(read(request).map(|_| vec![])) else { unreachable!() };
            assert_eq!((answer.status, answer.enrs.len()), (Status::BadRequest, 0));
        }
    }

    #[test]
    fn nobody_to_give_is_told() {
        let Message::Response(answer) = answer(Ok(vec![])) else { unreachable!() };
        assert_eq!(answer.status, Status::Unavailable);
    }

    #[test]
    fn each_asker_gets_others_and_never_itself() {
        let ready = ready(5);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let asker = ready.records[0].peer_id();
        assert_eq!(ready.draw(60, asker, &mut rng).len(), 4);
        let drawn: HashSet<_> = (0..50).map(|_| ready.draw(2, asker, &mut rng)).collect();
        assert!(drawn.len() > 6, "{}", drawn.len());
        assert!(drawn.iter().all(|records| records.len() == 2 && records[0] != records[1]));
        assert!(!drawn.iter().flatten().any(|record| *record == ready.records[0].encode()));
    }

    #[test]
    fn records_are_looked_for_again_sooner_when_there_are_none() {
        let now = Instant::now();
        let since = |count| Ready { since: Some(now), ..ready(count) };
        assert!(!ready(1).is_fresh(now));
        assert!(since(1).is_fresh(now + LOOK_AGAIN_AFTER) && !since(1).is_fresh(now + FRESH_FOR));
        assert!(since(0).is_fresh(now) && !since(0).is_fresh(now + LOOK_AGAIN_AFTER));
    }
}
