//! The UDP socket.

use std::io;
use std::net::{SocketAddr, UdpSocket as StdUdpSocket};
use std::sync::Arc;

use ::discv5::ListenConfig;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

/// Binds, so that port 0 is known before the record is signed. An IPv6 socket takes IPv6 only, as the library expects.
pub(super) fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(StdUdpSocket::from(socket))
}

pub(super) fn listen_config(socket: UdpSocket) -> ListenConfig {
    let is_ipv4 = socket.local_addr().is_ok_and(|address| address.is_ipv4());
    let socket = Some(Arc::new(socket));
    let (ipv4, ipv6) = if is_ipv4 { (socket, None) } else { (None, socket) };
    ListenConfig::FromSockets { ipv4, ipv6 }
}
