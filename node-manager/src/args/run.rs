//! What the services are told: `run` and `app run`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::{LabelArgs, NetworkArgs};

/// What both sides' services are told.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) label: LabelArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,

    /// How many messages may be sent in how many seconds, as COUNT/SECONDS
    ///
    /// A network with rate limit proofs gives each member so many: The Waku Network 100/600. Requests then wait for their
    /// turn, the urgent ones first. By default ten a second, to be polite.
    #[arg(long, value_name = "COUNT/SECONDS", env = "NODE_MANAGER_MESSAGE_BUDGET", help_heading = "Network")]
    pub(crate) message_budget: Option<MessageBudget>,
}

/// So many messages in so much time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageBudget(pub(crate) u32, pub(crate) Duration);

impl FromStr for MessageBudget {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = "write COUNT/SECONDS, for instance 100/600";
        let (count, seconds) = text.split_once('/').ok_or(wanted)?;
        let (count, seconds): (u32, u64) =
            (count.parse().map_err(|_| wanted)?, seconds.parse().map_err(|_| wanted)?);
        // Fewer than two could not hold a message and its acknowledgement.
        let is_useful = (2..=1_000_000).contains(&count) && (1..=86_400).contains(&seconds);
        is_useful
            .then_some(Self(count, Duration::from_secs(seconds)))
            .ok_or("from 2 to 1000000 messages in 1 to 86400 seconds")
    }
}

#[derive(Debug, Args)]
pub(crate) struct HostRunArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,

    /// What apps may ask: a TOML file
    ///
    /// By default `config.toml` in the data directory if it is there, else what suits a Nimbus validator host: beacon node on
    /// 5052, metrics on 8008, execution client on 8545.
    #[arg(long, value_name = "FILE", env = "NODE_MANAGER_CONFIG", help_heading = "Services")]
    pub(crate) config: Option<PathBuf>,

    /// Which services apps with the grant `operate` may start and stop: a TOML file
    ///
    /// Each is a unit of systemd, or a program that this process runs itself. By default `services.toml` in the data
    /// directory if it is there, else none.
    #[arg(long, value_name = "FILE", env = "NODE_MANAGER_SERVICES", help_heading = "Services")]
    pub(crate) services: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AppRunArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,

    /// Port of a host's address on this machine, as HOST=PORT; may be given several times
    ///
    /// By default each host has a port of its own from 17000 on, the same from run to run.
    #[arg(
        long = "endpoint",
        value_name = "HOST=PORT",
        env = "NODE_MANAGER_ENDPOINT",
        value_delimiter = ',',
        value_parser = endpoint_port,
        help_heading = "Addresses"
    )]
    pub(crate) endpoints: Vec<(String, u16)>,

    #[command(flatten)]
    pub(crate) token: TokenArgs,

    /// Serve a page on this machine: hosts, pairing, charts, alerts [default port: 17999]
    ///
    /// Its address is printed when it is up, and has a part that cannot be guessed: whoever knows it can do what the page can.
    #[arg(
        long,
        value_name = "PORT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "17999",
        env = "NODE_MANAGER_WEB",
        help_heading = "Addresses"
    )]
    pub(crate) web: Option<u16>,
}

/// What local programs have to show.
#[derive(Debug, Args)]
#[command(next_help_heading = "Addresses")]
pub(crate) struct TokenArgs {
    /// File with a token that local programs have to show, as `Authorization: Bearer …`
    ///
    /// Without one every program and every user of this machine may use the addresses of `app run`. The same file is given to
    /// `app run` and to the commands that ask.
    #[arg(long, value_name = "FILE", env = "NODE_MANAGER_LOCAL_TOKEN_FILE")]
    pub(crate) local_token_file: Option<PathBuf>,
}

fn endpoint_port(text: &str) -> Result<(String, u16), &'static str> {
    let wanted = "write HOST=PORT, for instance beacon-01=5052";
    let (host, port) = text.rsplit_once('=').ok_or(wanted)?;
    match port.parse() {
        Ok(port @ 1..) if !host.is_empty() => Ok((host.to_owned(), port)),
        _ => Err(wanted),
    }
}
