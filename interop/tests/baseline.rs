//! The scenarios hold between two nodes of ours.

use waku_interop::ours::Ours;
use waku_interop::scenario;

#[tokio::test]
async fn relay_both_ways() {
    let mut peer = Ours::start(99).await.unwrap();
    scenario::relay_both_ways(99, &mut peer).await.unwrap();
}
