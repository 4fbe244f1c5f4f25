//! How the node is reached: besides TCP, WebSocket and QUIC.

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use waku::{Multiaddr, Tls};

#[derive(Args)]
pub(crate) struct Transports {
    /// Listen for WebSocket connections too
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true"
    )]
    websocket_support: bool,
    /// WebSocket port to listen on, secure or not; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 8000)]
    websocket_port: u16,
    /// Listen for secure WebSocket connections, as browsers need them, in place of plain ones
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true",
        requires_ifs = [("true", "websocket_secure_key_path"), ("true", "websocket_secure_cert_path")]
    )]
    websocket_secure_support: bool,
    /// Private key of the certificate for secure WebSocket, in PEM
    #[arg(long, value_name = "FILE")]
    websocket_secure_key_path: Option<PathBuf>,
    /// Certificate chain for secure WebSocket, in PEM, the node's own certificate first
    #[arg(long, value_name = "FILE")]
    websocket_secure_cert_path: Option<PathBuf>,
    /// Listen for QUIC connections too
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true"
    )]
    quic_support: bool,
    /// UDP port to listen on for QUIC; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 60000)]
    quic_port: u16,
}

impl Transports {
    /// The certificate, read from its files.
    pub(crate) fn tls(&self) -> anyhow::Result<Tls> {
        let paths = (&self.websocket_secure_cert_path, &self.websocket_secure_key_path);
        let (Some(chain), Some(key), true) = (paths.0, paths.1, self.websocket_secure_support) else {
            return Ok(Tls::default());
        };
        let read =
            |path: &PathBuf| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
        let tls = Tls::default().with_certificate(&read(chain)?, &read(key)?);
        tls.with_context(|| format!("{} and {}", chain.display(), key.display()))
    }

    /// Where to listen, TCP first.
    pub(crate) fn listen_addresses(&self, ip: IpAddr, tcp_port: u16) -> Vec<Multiaddr> {
        let kind = if ip.is_ipv4() { "ip4" } else { "ip6" };
        let address = |rest: String| {
            let text = format!("/{kind}/{ip}/{rest}");
            text.parse().expect("an IP address and a port make a multiaddress")
        };
        let mut addresses = vec![address(format!("tcp/{tcp_port}"))];
        if self.websocket_secure_support {
            addresses.push(address(format!("tcp/{}/tls/ws", self.websocket_port)));
        } else if self.websocket_support {
            addresses.push(address(format!("tcp/{}/ws", self.websocket_port)));
        }
        if self.quic_support {
            addresses.push(address(format!("udp/{}/quic-v1", self.quic_port)));
        }
        addresses
    }
}
