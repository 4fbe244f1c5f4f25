//! The command line.

mod ask;
mod doctor;
#[cfg(test)]
mod documents;
mod run;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use waku::Multiaddr;
use waku_pairing::hello::Label;

pub(crate) use ask::{AlertsArgs, AskArgs, EventsArgs, HttpArgs, WatchArgs};
pub(crate) use doctor::DoctorArgs;
pub(crate) use run::{AppRunArgs, HostRunArgs, RunArgs, TokenArgs};

/// Pairs this host with an app over Waku and keeps a private session between them, wherever either moves: no public
/// IP, no open port, no account.
///
/// The app shows a number. Type it here with `node-manager pair`, compare six digits, done. From then on
/// `node-manager run` (as a service) and the app find each other by themselves.
#[derive(Debug, Parser)]
#[command(
    name = "node-manager",
    version,
    after_long_help = "\
Try it on one machine, nothing else needed:
  node-manager demo

Pair a host with an app, through any Waku node RELAY both can reach (for instance
/ip4/203.0.113.7/tcp/60000), in two terminals or on two machines:
  node-manager app pair --staticnode=RELAY       shows the code, then asks for six digits
  node-manager pair     --staticnode=RELAY       asks for the code, then shows six digits

Keep the session alive, and look at it:
  node-manager run --staticnode=RELAY            on the host
  node-manager app run --staticnode=RELAY        on the app's side
  node-manager status
  node-manager app ping HOST

Reach the host's services, which listen on the host alone:
  node-manager app http HOST GET /eth/v1/node/syncing
  node-manager app status                        shows an address for curl, Prometheus, dashboards

Without relaying, through a node that serves filter and lightpush (and, best, a store):
  waku-node --filter --lightpush --store
  node-manager run --light --staticnode=NODE

Where an option's help names an environment variable, that can give it too.

Exit status:
  0  done
  1  something went wrong; the message says what
  2  the command line is wrong
  3  the pairing was rejected, or the digits differ
  4  nobody answered in time
  5  the vault (the stored keys and pairings) cannot be used
  6  the network cannot be used, for example because a port is taken
  130  interrupted"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Directory of the vault, which holds this side's keys and pairings
    ///
    /// Made if it does not exist, and kept for its owner alone. By default `node-manager/host` or `node-manager/app` under
    /// `$STATE_DIRECTORY` (systemd), `$XDG_DATA_HOME` or `~/.local/share`.
    #[arg(long, global = true, value_name = "DIR", env = "NODE_MANAGER_DATA_DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// How log lines are written; they go to standard error
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "text",
        env = "NODE_MANAGER_LOG_FORMAT"
    )]
    pub(crate) log_format: LogFormat,

    /// Least severe log lines to write: error, warn, info, debug, trace, or off
    #[arg(long, global = true, value_name = "LEVEL", env = "NODE_MANAGER_LOG_LEVEL")]
    pub(crate) log_level: Option<tracing_subscriber::filter::LevelFilter>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Keep sessions with every paired app, and answer their requests, until stopped (run this as a service)
    Run(HostRunArgs),
    /// Pair this host with an app that shows a code
    ///
    /// Works whether or not `node-manager run` is running: if it is, that process does the pairing, with the network
    /// options and the label it was started with. Ends with exit status 0 only when the pairing is on disk and the app has confirmed it.
    Pair(PairArgs),
    /// The paired apps: list, show, rename, grant, revoke
    Peers(PeersArgs),
    /// Sessions, last seen, round trips
    Status(StatusArgs),
    /// Measure the round trip to a paired app
    Ping(PingArgs),
    /// Who asked for what, and what came of it
    Audit(AuditArgs),
    /// Whether everything on this host is as it should be, and what to do where it is not
    ///
    /// The running service examines; without one this command does, and sees less. Apps can ask for the same.
    Doctor(DoctorArgs),
    /// The app's side of all this, without a graphical interface
    #[command(subcommand)]
    App(AppCommand),
    /// Show the whole story on this machine: relay, host, app, pairing, sessions, restarts
    ///
    /// Three real Waku nodes with real sockets on loopback, and two vaults in a temporary directory. Ends with exit
    /// status 0 only if every step held.
    Demo(DemoArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum AppCommand {
    /// Make a code, show it as digits and as a QR code, and pair with the host where it is typed in
    Pair(AppPairArgs),
    /// Type in the six digits that the host shows, when `app pair` was interrupted and `app run` took over
    Digits(DigitsArgs),
    /// Keep sessions with every paired host until stopped, and open an address on this machine for each
    ///
    /// Whatever can speak HTTP reaches a host's services there, as if they were on this machine: `curl`, Prometheus, a
    /// dashboard. `app status` shows the addresses.
    Run(AppRunArgs),
    /// Ask a host's service something
    Http(HttpArgs),
    /// Show what a host's beacon node tells, as it happens
    Events(EventsArgs),
    /// Show what is wrong with a host, and what was
    Alerts(AlertsArgs),
    /// Watch a host: sync, peers, figures, alerts
    Watch(WatchArgs),
    /// Measure the round trip to a paired host
    Ping(PingArgs),
    /// The paired hosts: list, show, rename, revoke
    Peers(PeersArgs),
    /// Sessions, last seen, round trips
    Status(StatusArgs),
}

/// The way into the Waku network. Both sides of a pairing need the same cluster and shards.
#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct NetworkArgs {
    /// Waku node to stay connected to, as a multiaddress; may be given several times
    ///
    /// For instance /ip4/203.0.113.7/tcp/60000 or /dns4/relay.example/tcp/8000/ws, with or without /p2p/… at its end.
    #[arg(
        long = "staticnode",
        value_name = "MULTIADDR",
        env = "NODE_MANAGER_STATICNODE",
        value_delimiter = ','
    )]
    pub(crate) static_nodes: Vec<Multiaddr>,

    /// Be a light client: relay nothing, receive through filter and publish through lightpush
    ///
    /// For machines that are often away or pay for traffic, such as laptops. One --staticnode at least has to serve both
    /// (`waku-node`, or nwaku's `wakunode2`, with --filter --lightpush), better two; with --store it also keeps what is
    /// said while this side is away. The other side may relay, or be a light client too.
    #[arg(
        long,
        env = "NODE_MANAGER_LIGHT",
        value_parser = clap::builder::BoolishValueParser::new()
    )]
    pub(crate) light: bool,

    /// Cluster: only nodes of one cluster talk to each other
    #[arg(long, value_name = "NUMBER", default_value_t = 0, env = "NODE_MANAGER_CLUSTER_ID")]
    pub(crate) cluster_id: u16,

    /// Shard that carries the messages, in a network of static shards [default: 0]
    #[arg(long, value_name = "NUMBER", env = "NODE_MANAGER_SHARD", conflicts_with = "num_shards_in_network")]
    pub(crate) shard: Option<u16>,

    /// Number of shards of an autosharded network; the shard is then computed
    #[arg(long, value_name = "NUMBER", env = "NODE_MANAGER_NUM_SHARDS_IN_NETWORK")]
    pub(crate) num_shards_in_network: Option<u16>,

    /// IP address to accept connections on, together with --tcp-port
    #[arg(long, value_name = "IP", default_value = "0.0.0.0", env = "NODE_MANAGER_LISTEN_ADDRESS")]
    pub(crate) listen_address: IpAddr,

    /// TCP port to accept connections on; by default none are accepted, for none are needed
    #[arg(long, value_name = "PORT", env = "NODE_MANAGER_TCP_PORT")]
    pub(crate) tcp_port: Option<u16>,

    /// Secret key of the Waku node, 64 hexadecimal digits; by default derived from the vault
    ///
    /// It names the node in the network and is unrelated to what peers are paired with. Other users of the machine can
    /// read command lines: prefer the environment.
    #[arg(long, value_name = "HEX", env = "NODE_MANAGER_NODEKEY", hide_env_values = true)]
    pub(crate) nodekey: Option<String>,
}

/// How this side introduces itself.
#[derive(Debug, Args)]
pub(crate) struct LabelArgs {
    /// What this side calls itself to those it pairs with [default: the host name]
    #[arg(long, value_name = "NAME", env = "NODE_MANAGER_LABEL")]
    pub(crate) label: Option<Label>,
}

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// Of this app alone: its name, or its pairing
    #[arg(long, value_name = "NAME")]
    pub(crate) peer: Option<String>,
    /// At this service alone
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// The newest so many
    #[arg(long, short = 'n', value_name = "NUMBER", default_value_t = 50)]
    pub(crate) last: usize,
    /// Print JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a pairing insists on.
#[derive(Debug, Args)]
#[command(next_help_heading = "Pairing")]
pub(crate) struct TermsArgs {
    /// Do not compare the six digits, for scripted installs
    ///
    /// Somebody who learns the code in time and sits between the two sides is then not noticed. The pairing is marked
    /// as unconfirmed. Has an effect only if the other side does without, too.
    #[arg(long)]
    pub(crate) no_confirm: bool,

    /// Pair although the two clocks are more than a quarter of an hour apart
    #[arg(long)]
    pub(crate) allow_clock_skew: bool,

    /// Give up after so many seconds; the code itself is good for 600
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) timeout: u64,
}

#[derive(Debug, Args)]
pub(crate) struct PairArgs {
    /// The code that the app shows; asked for if not given
    ///
    /// What is given here stays in the shell's history, and other users of the machine can read it while this runs.
    #[arg(value_name = "CODE")]
    pub(crate) code: Option<String>,
    #[command(flatten)]
    pub(crate) terms: TermsArgs,
    /// Print each step as a JSON object, one a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) label: LabelArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AppPairArgs {
    #[command(flatten)]
    pub(crate) terms: TermsArgs,
    /// Show no QR code
    #[arg(long)]
    pub(crate) no_qr: bool,
    /// Print each step as a JSON object, one a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) label: LabelArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DigitsArgs {
    /// The six digits
    pub(crate) digits: String,
    /// Which host, if several wait: its name, or the beginning of its fingerprint
    pub(crate) peer: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PeersArgs {
    #[command(subcommand)]
    pub(crate) command: Option<PeersCommand>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PeersCommand {
    /// Everything about one peer
    Show {
        /// Its name, or the beginning of its fingerprint
        peer: String,
    },
    /// Give a peer a name on this side, or take it away
    Rename {
        /// Its name, or the beginning of its fingerprint
        peer: String,
        /// The new name; without it the peer goes by the name it gave itself
        name: Option<Label>,
    },
    /// Let an app do more: operate (restart services, change how they run), keys (the keymanager)
    ///
    /// Every app may look (monitor). It holds at once. On the host alone.
    Grant {
        /// Its name, or the beginning of its fingerprint
        peer: String,
        /// What it may do from now on
        #[arg(required = true, value_parser = ["monitor", "operate", "keys"])]
        grants: Vec<String>,
    },
    /// End a pairing, at once and for good; with grants named, take these alone
    Revoke {
        /// Its name, or the beginning of its fingerprint
        peer: String,
        /// What it may not do any more; requests under way that need it end
        #[arg(value_parser = ["operate", "keys"])]
        grants: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PingArgs {
    /// The peer's name, or the beginning of its fingerprint; may be left out if there is only one
    pub(crate) peer: Option<String>,
    /// How many pings
    #[arg(long, short = 'c', value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: u32,
    /// Seconds to wait for a session, and for each answer
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) timeout: u64,
    /// Print JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Print each step as a JSON object, one a line
    #[arg(long)]
    pub(crate) json: bool,
}
