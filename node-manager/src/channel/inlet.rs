//! Where messages come in: relay, or filter at service nodes.

use tokio::sync::watch;
use waku::relay::ChangeTopicsError;
use waku::{
    ContentTopic, Delivery, FilterGap, FilterSubscribeError, FilterSubscription, Node, RelayFilter,
    RelaySubscription,
};

use super::{Mode, OpenError};

/// A subscription to content topics.
pub(super) enum Inlet {
    Relay(RelaySubscription),
    Light(Box<Light>),
}

/// What comes out of a subscription.
pub(super) enum Inflow {
    Delivery(Delivery),
    /// Other service nodes than before push what was asked for.
    Coverage,
    /// Times in which no service node was there.
    Gaps(Vec<FilterGap>),
    /// The node has stopped.
    End,
}

pub(super) struct Light {
    subscription: FilterSubscription,
    service_peers: watch::Receiver<usize>,
    gaps: watch::Receiver<Vec<FilterGap>>,
    /// The gaps told before.
    told: Vec<FilterGap>,
    topics: usize,
}

impl Inlet {
    /// A subscription to nothing yet.
    pub(super) async fn open(node: &Node, mode: Mode) -> Result<Self, OpenError> {
        match mode {
            Mode::Relay => {
                let nothing = RelayFilter::ContentTopics([].into());
                Ok(Self::Relay(node.relay().subscribe(nothing).await?))
            }
            Mode::Light => {
                let subscription = node.filter().subscribe([]).await?;
                let (service_peers, gaps) = (subscription.service_peers(), subscription.gaps());
                let light = Light { subscription, service_peers, gaps, told: Vec::new(), topics: 0 };
                Ok(Self::Light(Box::new(light)))
            }
        }
    }

    /// The next that comes. Nothing is lost when the future is dropped before it is ready.
    pub(super) async fn next(&mut self) -> Inflow {
        match self {
            Self::Relay(subscription) => subscription.recv().await.map_or(Inflow::End, Inflow::Delivery),
            Self::Light(light) => light.next().await,
        }
    }

    /// Asks for more content topics and for fewer; `count` are left.
    pub(super) async fn change(
        &mut self,
        new: Vec<ContentTopic>,
        gone: Vec<ContentTopic>,
        count: usize,
    ) -> Result<(), ChangeError> {
        match self {
            Self::Relay(subscription) => {
                let added = subscription.add_content_topics(new).await;
                let removed = subscription.remove_content_topics(gone).await;
                Ok(added.and(removed)?)
            }
            Self::Light(light) => {
                light.topics = count;
                let added = light.subscription.add_content_topics(new).await;
                // Also when none is gone: once this is answered the count of service nodes is that for the new topics.
                let removed = light.subscription.remove_content_topics(gone).await;
                Ok(added.and(removed)?)
            }
        }
    }

    /// Whether everything asked for is received.
    pub(super) fn is_listening(&self) -> bool {
        match self {
            Self::Relay(_) => true,
            Self::Light(light) => light.topics == 0 || *light.service_peers.borrow() > 0,
        }
    }
}

impl Light {
    async fn next(&mut self) -> Inflow {
        tokio::select! {
            delivery = self.subscription.recv() => delivery.map_or(Inflow::End, Inflow::Delivery),
            Ok(()) = self.service_peers.changed() => Inflow::Coverage,
            Ok(()) = self.gaps.changed() => {
                let gaps = self.gaps.borrow_and_update().clone();
                let told = std::mem::replace(&mut self.told, gaps.clone());
                Inflow::Gaps(gaps.into_iter().filter(|gap| !told.contains(gap)).collect())
            }
        }
    }
}

/// The topics received on could not be changed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChangeError {
    #[error(transparent)]
    Relay(#[from] ChangeTopicsError),
    #[error(transparent)]
    Light(#[from] FilterSubscribeError),
}
