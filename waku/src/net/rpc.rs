//! Protocols of one request and one response, served over libp2p's request-response behaviour: unlike a
//! raw stream it answers every request of a burst.

use std::iter;

use libp2p::StreamProtocol;
use libp2p::request_response::{self, ProtocolSupport};

use super::codec::{Codec, Incoming, Limits, Protocol};
use crate::metrics::Counter;

/// Client and server of protocol `P`.
pub(crate) type Rpc<P> = request_response::Behaviour<Codec<P>>;

/// What happens on an [`Rpc`].
pub(crate) type RpcEvent<P> =
    request_response::Event<Incoming<<P as Protocol>::Request>, <P as Protocol>::Response>;

/// Client and server of protocol `P`. Streams that bring no request are counted in `unread`.
pub(crate) fn behaviour<P: Protocol>(limits: Limits, unread: Counter) -> Rpc<P> {
    build(limits, unread, ProtocolSupport::Full)
}

/// Client of protocol `P`: peers are not told that it is spoken.
pub(crate) fn client<P: Protocol>(limits: Limits) -> Rpc<P> {
    build(limits, Counter::default(), ProtocolSupport::Outbound)
}

fn build<P: Protocol>(limits: Limits, unread: Counter, support: ProtocolSupport) -> Rpc<P> {
    // The codec keeps the finer times; this one ends what hangs between them.
    let config = request_response::Config::default()
        .with_request_timeout(limits.first_byte + 2 * limits.exchange)
        .with_max_concurrent_streams(limits.streams);
    Rpc::with_codec(Codec::new(limits, unread), iter::once((StreamProtocol::new(P::ID), support)), config)
}
