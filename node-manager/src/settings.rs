//! From the command line to what a service is told.

use std::env;
use std::path::PathBuf;

use data_encoding::HEXLOWER_PERMISSIVE;
use node_manager::{Mode, Network, ServiceConfig};
use waku::proto::shard::ShardError;
use waku::{Keypair, Sharding};
use waku_pairing::hello::Label;
use waku_pairing::party::Part;

use crate::args::{Global, LabelArgs, NetworkArgs};
use crate::failure::Failure;

/// The data directory of a side.
pub(crate) fn data_dir(global: &Global, part: Part) -> Result<PathBuf, Failure> {
    if let Some(directory) = &global.data_dir {
        return Ok(directory.clone());
    }
    let name = match part {
        Part::NodeManager => "host",
        Part::App => "app",
    };
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("STATE_DIRECTORY")
        .or_else(|| set("XDG_DATA_HOME"))
        .or_else(|| set("HOME").map(|home| home.join(".local/share")))
        .ok_or_else(|| {
            Failure::usage("there is no home directory to keep the vault in").hint("give --data-dir")
        })?;
    Ok(base.join("node-manager").join(name))
}

/// What a service is told, apart from the network.
pub(crate) fn service(
    global: &Global,
    part: Part,
    label: Option<&LabelArgs>,
) -> Result<ServiceConfig, Failure> {
    let label = label.and_then(|args| args.label.clone()).unwrap_or_else(host_name);
    Ok(ServiceConfig::new(part, label, data_dir(global, part)?))
}

fn host_name() -> Label {
    Label::sanitized(&rustix::system::uname().nodename().to_string_lossy())
}

impl NetworkArgs {
    /// The way into the network.
    pub(crate) fn network(&self) -> Result<Network, Failure> {
        if self.static_nodes.is_empty() && (self.light || self.tcp_port.is_none()) {
            let hint = "give the address of a Waku node that both sides can reach with --staticnode, for instance \
                --staticnode=/ip4/203.0.113.7/tcp/60000";
            return Err(Failure::usage("there is no way into the Waku network").hint(hint));
        }
        if self.light && self.tcp_port.is_some() {
            return Err(Failure::usage(
                "--tcp-port cannot be used with --light: a light client takes no connections",
            ));
        }
        let keypair = self.nodekey.as_deref().map(nodekey).transpose()?;
        let kind = if self.listen_address.is_ipv4() { "ip4" } else { "ip6" };
        let listen_addresses = self.tcp_port.map(|port| {
            let address = format!("/{kind}/{}/tcp/{port}", self.listen_address);
            address.parse().expect("an IP address and a port make a multiaddress")
        });
        Ok(Network {
            sharding: self.sharding().map_err(Failure::usage)?,
            mode: if self.light { Mode::Light } else { Mode::Relay },
            static_nodes: self.static_nodes.clone(),
            listen_addresses: listen_addresses.into_iter().collect(),
            keypair,
        })
    }

    fn sharding(&self) -> Result<Sharding, ShardError> {
        match self.num_shards_in_network {
            Some(count) if count > 0 => Sharding::auto(self.cluster_id, count),
            _ => Sharding::fixed(self.cluster_id, [self.shard.unwrap_or(0)]),
        }
    }
}

/// The value itself is a secret and is not repeated in the error.
fn nodekey(text: &str) -> Result<Keypair, Failure> {
    let wrong = || Failure::usage("--nodekey is not a secret key of 64 hexadecimal digits");
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let secret = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).map_err(|_| wrong())?;
    let secret = <[u8; 32]>::try_from(secret).map_err(|_| wrong())?;
    Keypair::from_secret(secret).map_err(|_| wrong())
}
