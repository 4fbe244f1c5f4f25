//! Dial errors in words a user can act on.

use std::error::Error;

use libp2p::core::transport::TransportError;
use libp2p::swarm::DialError;

/// The innermost cause of each failed attempt; libp2p's own words show the layers around it.
pub(crate) fn describe(error: &DialError) -> String {
    match error {
        DialError::Transport(attempts) => {
            let causes: Vec<String> = attempts
                .iter()
                .map(|(address, error)| format!("{address}: {}", transport_cause(error)))
                .collect();
            causes.join("; ")
        }
        DialError::WrongPeerId { obtained, address } => {
            format!("{address} is the node {obtained}, another one than expected")
        }
        DialError::LocalPeerId { address } => format!("{address} is this node itself"),
        DialError::Denied { cause } => innermost(cause),
        // The swarm leaves out the addresses it listens on.
        DialError::NoAddresses => "this node itself listens on the address".to_owned(),
        DialError::Aborted => "the attempt was aborted".to_owned(),
        DialError::DialPeerConditionFalse(_) => "the peer is connected or being dialled already".to_owned(),
    }
}

fn transport_cause(error: &TransportError<std::io::Error>) -> String {
    match error {
        TransportError::MultiaddrNotSupported(_) => "this kind of address is not supported".to_owned(),
        TransportError::Other(error) => innermost(error),
    }
}

/// The last cause in an error's chain.
pub(crate) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string().replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn names_the_innermost_cause_and_the_address() {
        let refused = io::Error::new(io::ErrorKind::ConnectionRefused, "Connection refused");
        let error = TransportError::Other(io::Error::other(io::Error::other(refused)));
        let address = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
        let described = describe(&DialError::Transport(vec![(address, error)]));
        assert_eq!(described, "/ip4/127.0.0.1/tcp/1: Connection refused");
    }
}
