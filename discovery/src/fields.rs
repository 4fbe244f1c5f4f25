//! What a node says of itself in its record.

#[cfg(feature = "discv5")]
use std::net::SocketAddr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ::enr::{Enr, TCP_ENR_KEY, TCP6_ENR_KEY, UDP_ENR_KEY, UDP6_ENR_KEY};
use k256::ecdsa::SigningKey;
use thiserror::Error;
use waku_proto::Bytes;
use waku_proto::enr::{self, Capabilities, RelayShards};

use crate::{MAX_RECORD_LEN, Record};

/// What is in a node's own record besides its key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// Where the node can be reached over IPv4. Without an address nobody can find the node; it finds others.
    pub ip4: Option<Ipv4Addr>,
    /// Where the node can be reached over IPv6.
    pub ip6: Option<Ipv6Addr>,
    /// Its TCP port.
    pub tcp4: Option<u16>,
    /// Its TCP port over IPv6, if it is another.
    pub tcp6: Option<u16>,
    /// The UDP port others reach it at for discovery. `None`: the one it listens on, if that is IPv4.
    pub udp4: Option<u16>,
    /// The same over IPv6.
    pub udp6: Option<u16>,
    /// Binary multiaddrs without `/p2p/…`, the most useful first. Each is in the record that fits beside those before it.
    pub multiaddrs: Vec<Bytes>,
    /// The shards the node is on. They also say who is looked for.
    pub shards: Option<RelayShards>,
    /// What it does. A record without any is not a Waku node's.
    pub capabilities: Capabilities,
}

impl Fields {
    /// The same, with the port that the node listens on where no other is given.
    #[cfg(feature = "discv5")]
    pub(crate) fn with_port(mut self, listens: SocketAddr) -> Self {
        let port = if listens.is_ipv4() { &mut self.udp4 } else { &mut self.udp6 };
        port.get_or_insert(listens.port());
        self
    }

    /// Signs a record, and returns the [`multiaddrs`](Self::multiaddrs) that did not fit. `seq` has to be greater than in
    /// every record of the same key before; else nobody takes it for news.
    ///
    /// # Errors
    /// When it is too long without any of `multiaddrs`.
    pub fn sign(&self, seq: u64, key: &SigningKey) -> Result<(Record, Vec<Bytes>), FieldsError> {
        let mut record = self.record(seq, &[], key)?;
        let (mut listed, mut left_out) = (Vec::new(), Vec::new());
        for address in &self.multiaddrs {
            listed.push(address.clone());
            match self.record(seq, &listed, key) {
                Ok(longer) => record = longer,
                Err(FieldsError::TooLong) => left_out.extend(listed.pop()),
                Err(error) => return Err(error),
            }
        }
        Ok((record, left_out))
    }

    fn record(&self, seq: u64, multiaddrs: &[Bytes], key: &SigningKey) -> Result<Record, FieldsError> {
        let mut builder = Enr::builder();
        builder.seq(seq);
        for ip in [self.ip4.map(IpAddr::from), self.ip6.map(IpAddr::from)].into_iter().flatten() {
            builder.ip(ip);
        }
        let ports = [
            (TCP_ENR_KEY, self.tcp4),
            (TCP6_ENR_KEY, self.tcp6),
            (UDP_ENR_KEY, self.udp4),
            (UDP6_ENR_KEY, self.udp6),
        ];
        for (name, port) in ports {
            if let Some(port) = port {
                builder.add_value(name, &port);
            }
        }
        if self.capabilities != Capabilities::default() {
            builder.add_value(enr::WAKU2, &[self.capabilities.0].as_slice());
        }
        // go-waku fails on a list of none.
        if let Some(shards) = self.shards.as_ref().filter(|shards| shards.shards().next().is_some()) {
            let (name, field) = shards.encode();
            builder.add_value(name, &field);
        }
        if !multiaddrs.is_empty() {
            // More than a record's bytes never fit, and building would be slow with many more.
            let len: usize = multiaddrs.iter().map(Bytes::len).sum();
            let field = enr::encode_multiaddrs(multiaddrs).ok().filter(|_| len < MAX_RECORD_LEN);
            builder.add_value(enr::MULTIADDRS, &field.ok_or(FieldsError::TooLong)?);
        }
        builder.build(key).map(Record::from).map_err(|error| match error {
            ::enr::Error::ExceedsMaxSize => FieldsError::TooLong,
            _ => FieldsError::NotSigned,
        })
    }
}

/// Why a record cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FieldsError {
    /// It would be longer than [`MAX_RECORD_LEN`], even without other addresses.
    #[error("it does not fit a record of {MAX_RECORD_LEN} bytes: name fewer shards or addresses")]
    TooLong,
    /// The system has no randomness to sign with.
    #[error("it could not be signed")]
    NotSigned,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_slice(&[0x11; 32]).unwrap()
    }

    fn sign(fields: &Fields) -> (Record, Vec<Bytes>) {
        let (record, left_out) = fields.sign(7, &key()).unwrap();
        assert_eq!(Record::decode(&record.encode()).as_ref(), Ok(&record));
        (record, left_out)
    }

    fn addresses(lengths: &[usize]) -> Vec<Bytes> {
        lengths.iter().enumerate().map(|(at, len)| vec![u8::try_from(at).unwrap(); *len].into()).collect()
    }

    #[test]
    fn what_is_said_is_in_the_record() {
        let fields = Fields {
            ip4: Some([192, 0, 2, 1].into()),
            tcp4: Some(60000),
            udp4: Some(9000),
            multiaddrs: addresses(&[10, 20]),
            shards: RelayShards::new(16, [32, 64]).ok(),
            capabilities: Capabilities::RELAY.with(Capabilities::STORE),
            ..Fields::default()
        };
        let (record, left_out) = sign(&fields);
        assert_eq!((record.seq(), record.udp()), (7, "192.0.2.1:9000".parse().ok()));
        assert_eq!((record.shards(), record.capabilities()), (fields.shards, fields.capabilities));
        assert_eq!(record.field(enr::MULTIADDRS), enr::encode_multiaddrs(&fields.multiaddrs).ok());
        assert_eq!(left_out, Vec::<Bytes>::new());
    }

    #[test]
    fn more_than_63_shards_are_a_bit_vector_in_nwakus_order() {
        let sign =
            |shards| sign(&Fields { shards: RelayShards::new(73, shards).ok(), ..Fields::default() }).0;
        let list = sign(0..63);
        assert!(list.field(enr::RS).is_some() && list.field(enr::RSV).is_none());
        let bits = sign(1..65);
        let mut field = [0; 130];
        field[..11].copy_from_slice(&[0, 73, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0b1]);
        assert_eq!(bits.field(enr::RSV).as_deref(), Some(field.as_slice()));
        assert_eq!(bits.field(enr::RS), None);
        assert_eq!(bits.shards(), RelayShards::new(73, 1..65).ok());
    }

    #[test]
    fn what_says_nothing_is_not_in_the_record() {
        let (record, _) = sign(&Fields { shards: RelayShards::new(1, []).ok(), ..Fields::default() });
        for name in ["waku2", "rs", "rsv", "multiaddrs", "ip", "tcp", "udp"] {
            assert_eq!(record.field(name), None, "{name}");
        }
    }

    #[test]
    fn addresses_that_do_not_fit_beside_those_before_them_are_left_out() {
        let multiaddrs = addresses(&[60, 60, 60, 5]);
        let (record, left_out) = sign(&Fields { multiaddrs: multiaddrs.clone(), ..Fields::default() });
        assert_eq!(left_out, multiaddrs[2..3]);
        let listed = [&multiaddrs[..2], &multiaddrs[3..]].concat();
        assert_eq!(record.multiaddrs(), listed);
        assert!(record.encode().len() <= MAX_RECORD_LEN);

        let (record, left_out) = sign(&Fields { multiaddrs: addresses(&[70_000]), ..Fields::default() });
        assert_eq!((record.field(enr::MULTIADDRS), left_out.len()), (None, 1));
    }

    #[test]
    fn what_does_not_fit_without_addresses_is_an_error() {
        let fields = Fields {
            ip4: Some(Ipv4Addr::LOCALHOST),
            ip6: Some(Ipv6Addr::LOCALHOST),
            tcp4: Some(60000),
            udp4: Some(9000),
            shards: RelayShards::new(1, 0..1024).ok(),
            capabilities: Capabilities::RELAY,
            ..Fields::default()
        };
        assert_eq!(fields.sign(1, &key()), Err(FieldsError::TooLong));
        assert!(Fields { ip6: None, ..fields }.sign(1, &key()).is_ok());
    }

    #[cfg(feature = "discv5")]
    #[test]
    fn the_port_that_is_listened_on_is_said_where_no_other_is() {
        let fields = Fields::default().with_port("127.0.0.1:9000".parse().unwrap());
        assert_eq!((fields.udp4, fields.udp6), (Some(9000), None));
        let fields = Fields::default().with_port("[::1]:9000".parse().unwrap());
        assert_eq!((fields.udp4, fields.udp6), (None, Some(9000)));
        let mapped = Fields { udp4: Some(1), ..Fields::default() };
        assert_eq!(mapped.with_port("127.0.0.1:9000".parse().unwrap()).udp4, Some(1));
    }
}
