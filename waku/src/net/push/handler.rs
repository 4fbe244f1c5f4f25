//! Filter push on one connection.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::StreamProtocol;
use libp2p::core::upgrade::ReadyUpgrade;
use libp2p::swarm::handler::{ConnectionEvent, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{ConnectionHandler, ConnectionHandlerEvent, Stream, SubstreamProtocol};
use waku_proto::protocol_id;

use super::inbound::Inbound;
use super::outbound::Outbound;

const PROTOCOL: StreamProtocol = StreamProtocol::new(protocol_id::FILTER_PUSH);
/// How long a stream may take to be open: as long as a push may take in all.
const OPEN_WITHIN: Duration = Duration::from_secs(20);

/// Both directions of one connection.
#[derive(Debug)]
pub(crate) struct Handler {
    inbound: Inbound<Stream>,
    outbound: Outbound<Stream>,
}

impl Handler {
    pub(super) fn new(inbound: Inbound<Stream>, outbound: Outbound<Stream>) -> Self {
        Self { inbound, outbound }
    }
}

type Upgrade = ReadyUpgrade<StreamProtocol>;

impl ConnectionHandler for Handler {
    type FromBehaviour = Infallible;
    type ToBehaviour = Infallible;
    type InboundProtocol = Upgrade;
    type OutboundProtocol = Upgrade;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Upgrade> {
        SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ())
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Upgrade, (), Infallible>> {
        if self.outbound.poll(context).is_ready() {
            let upgrade = SubstreamProtocol::new(ReadyUpgrade::new(PROTOCOL), ()).with_timeout(OPEN_WITHIN);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol: upgrade });
        }
        _ = self.inbound.poll(context);
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, event: Infallible) {
        match event {}
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Upgrade, Upgrade>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => {
                self.inbound.on_stream(protocol);
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, .. }) => {
                self.outbound.on_stream(protocol);
            }
            ConnectionEvent::DialUpgradeError(_) => self.outbound.on_refused(),
            _ => {}
        }
    }
}
