//! The service protocols, as they are mounted on the swarm.

use std::convert::Infallible;
use std::time::SystemTime;

use libp2p::PeerId;
use libp2p::swarm::NetworkBehaviour;
use tokio::sync::mpsc;

use super::codec::Limits;
use super::exchange::{Asker, Exchange, Inbound, Served};
use super::push::{Push, PushEnds};
use crate::filter::SubscribeProtocol;
use crate::lightpush::{LightpushProtocol, LightpushV2Protocol};
use crate::metrics::{ExchangeMetrics, Metrics};
use crate::peer_exchange::PeerExchangeProtocol;
use crate::rate_limit::RateLimit;
use crate::store::StoreProtocol;
use crate::{Config, DEFAULT_GIVE_UP_AFTER, filter, lightpush, peer_exchange, store};

/// The service protocols on the swarm. None of them has anything to tell the driver.
#[derive(NetworkBehaviour)]
#[behaviour(to_swarm = "Infallible")]
pub(crate) struct Services {
    filter_subscribe: Exchange<SubscribeProtocol>,
    filter_push: Push,
    lightpush: Exchange<LightpushProtocol>,
    lightpush_v2: Exchange<LightpushV2Protocol>,
    store: Exchange<StoreProtocol>,
    peer_exchange: Exchange<PeerExchangeProtocol>,
}

/// The clients' ends.
#[derive(Debug, Clone)]
pub(crate) struct Askers {
    pub(crate) filter_subscribe: Asker<SubscribeProtocol>,
    pub(crate) lightpush: Asker<LightpushProtocol>,
    pub(crate) lightpush_v2: Asker<LightpushV2Protocol>,
    pub(crate) store: Asker<StoreProtocol>,
    pub(crate) peer_exchange: Asker<PeerExchangeProtocol>,
}

/// The services' ends, of what is served.
#[derive(Debug)]
pub(crate) struct Inboxes {
    pub(crate) lightpush: Option<mpsc::Receiver<Inbound<LightpushProtocol>>>,
    pub(crate) lightpush_v2: Option<mpsc::Receiver<Inbound<LightpushV2Protocol>>>,
    pub(crate) store: Option<mpsc::Receiver<Inbound<StoreProtocol>>>,
    pub(crate) peer_exchange: Option<mpsc::Receiver<Inbound<PeerExchangeProtocol>>>,
}

/// The ends of filter.
#[derive(Debug)]
pub(crate) struct FilterInlets {
    /// Requests, if filter is served.
    pub(crate) requests: Option<mpsc::Receiver<Inbound<SubscribeProtocol>>>,
    pub(crate) push: PushEnds,
}

/// One protocol, served if it has a rate limit.
fn mount<P: Served>(
    limits: Limits,
    served: Option<RateLimit>,
    metrics: ExchangeMetrics,
) -> (Exchange<P>, Asker<P>, Option<mpsc::Receiver<Inbound<P>>>) {
    if let Some(rate_limit) = served {
        let (exchange, asker, inbox) = Exchange::server(limits, rate_limit, metrics);
        (exchange, asker, Some(inbox))
    } else {
        let (exchange, asker) = Exchange::client(limits);
        (exchange, asker, None)
    }
}

impl Services {
    /// Whether a request of a peer, or one to it, is in progress.
    pub(crate) fn is_busy(&self, peer: PeerId) -> bool {
        self.filter_subscribe.is_busy(peer)
            || self.lightpush.is_busy(peer)
            || self.lightpush_v2.is_busy(peer)
            || self.store.is_busy(peer)
            || self.peer_exchange.is_busy(peer)
    }

    /// When a connected peer last asked for anything.
    pub(crate) fn last_request(&self, peer: PeerId) -> Option<SystemTime> {
        let last = [
            self.filter_subscribe.last_request(peer),
            self.lightpush.last_request(peer),
            self.lightpush_v2.last_request(peer),
            self.store.last_request(peer),
            self.peer_exchange.last_request(peer),
        ];
        last.into_iter().flatten().max()
    }

    pub(crate) fn new(config: &Config, metrics: &Metrics) -> (Self, Askers, Inboxes, FilterInlets) {
        let size = config.max_rpc_size;
        let served = config.filter.as_ref().filter(|_| config.relay).map(|filter| filter.rate_limit);
        let (filter_subscribe, ask_filter, filter_inbox) =
            mount(filter::limits(), served, metrics.filter_exchange());
        let give_up_after =
            config.filter.as_ref().map_or(DEFAULT_GIVE_UP_AFTER, |filter| filter.give_up_after);
        let (filter_push, push_ends) =
            Push::new(filter::max_push(size), give_up_after, metrics.filter_push());
        let served = config.lightpush.as_ref().filter(|_| config.relay).map(|lightpush| lightpush.rate_limit);
        let (lightpush, ask_lightpush, lightpush_inbox) =
            mount(lightpush::limits(size), served, metrics.lightpush_exchange());
        let (lightpush_v2, ask_lightpush_v2, lightpush_v2_inbox) =
            mount(lightpush::limits(size), served, metrics.lightpush_exchange());
        let served = config.store.as_ref().map(|store| store.rate_limit);
        let (store, ask_store, store_inbox) = mount(store::limits(size), served, metrics.store_exchange());
        let served = config.peer_exchange.as_ref().map(|exchange| exchange.rate_limit);
        let (peer_exchange, ask_peer_exchange, peer_exchange_inbox) =
            mount(peer_exchange::limits(), served, metrics.peer_exchange_exchange());
        let services = Self { filter_subscribe, filter_push, lightpush, lightpush_v2, store, peer_exchange };
        let askers = Askers {
            filter_subscribe: ask_filter,
            lightpush: ask_lightpush,
            lightpush_v2: ask_lightpush_v2,
            store: ask_store,
            peer_exchange: ask_peer_exchange,
        };
        let inboxes = Inboxes {
            lightpush: lightpush_inbox,
            lightpush_v2: lightpush_v2_inbox,
            store: store_inbox,
            peer_exchange: peer_exchange_inbox,
        };
        let filter_inlets = FilterInlets { requests: filter_inbox, push: push_ends };
        (services, askers, inboxes, filter_inlets)
    }
}
