//! How many inbound connections one IP address has.

use std::collections::HashMap;
use std::net::IpAddr;

use libp2p::Multiaddr;
use libp2p::swarm::ConnectionId;
use thiserror::Error;

use super::ip_of;

/// Inbound connections by IP address, from the first packet to the last.
#[derive(Debug)]
pub(crate) struct Slots {
    per_ip: u32,
    connections: HashMap<ConnectionId, IpAddr>,
    used: HashMap<IpAddr, u32>,
}

impl Slots {
    pub(crate) fn new(per_ip: u32) -> Self {
        Self { per_ip, connections: HashMap::new(), used: HashMap::new() }
    }

    /// Takes a slot for a new inbound connection. Loopback needs none.
    pub(crate) fn take(&mut self, connection: ConnectionId, remote: &Multiaddr) -> Result<(), NoSlot> {
        let Some(ip) = ip_of(remote).filter(|ip| !ip.is_loopback()) else {
            return Ok(());
        };
        let used = self.used.entry(ip).or_default();
        if *used >= self.per_ip {
            return Err(NoSlot { ip, limit: self.per_ip });
        }
        *used += 1;
        self.connections.insert(connection, ip);
        Ok(())
    }

    /// Gives a connection's slot back, if it had one.
    pub(crate) fn give_back(&mut self, connection: ConnectionId) {
        let Some(ip) = self.connections.remove(&connection) else {
            return;
        };
        if let Some(used) = self.used.get_mut(&ip) {
            *used -= 1;
            if *used == 0 {
                self.used.remove(&ip);
            }
        }
    }
}

/// An IP address has as many connections as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{ip} has {limit} connections already")]
pub(crate) struct NoSlot {
    ip: IpAddr,
    limit: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(ip: &str) -> Multiaddr {
        format!("/ip4/{ip}/tcp/1234/ws").parse().unwrap()
    }

    #[test]
    fn one_address_gets_so_many_slots_and_no_more() {
        let mut slots = Slots::new(2);
        let connections: Vec<_> = (0..4).map(ConnectionId::new_unchecked).collect();
        let limit = 2;
        let [first, second, third, other] = connections[..] else { unreachable!() };
        assert_eq!(slots.take(first, &from("192.0.2.1")), Ok(()));
        assert_eq!(slots.take(second, &from("192.0.2.1")), Ok(()));
        let refusal = NoSlot { ip: "192.0.2.1".parse().unwrap(), limit };
        assert_eq!(slots.take(third, &from("192.0.2.1")), Err(refusal));
        assert_eq!(slots.take(other, &from("192.0.2.2")), Ok(()));
        slots.give_back(first);
        slots.give_back(first);
        assert_eq!(slots.take(third, &from("192.0.2.1")), Ok(()));
        assert_eq!(slots.take(first, &from("192.0.2.1")), Err(refusal));
    }

    #[test]
    fn loopback_needs_no_slot() {
        let mut slots = Slots::new(0);
        assert_eq!(slots.take(ConnectionId::new_unchecked(1), &from("127.0.0.1")), Ok(()));
        assert_eq!(slots.take(ConnectionId::new_unchecked(2), &"/ip6/::1/tcp/1".parse().unwrap()), Ok(()));
    }
}
