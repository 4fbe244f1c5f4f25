//! Asking a host: `app http`, `app events`, `app alerts` and `app watch`.

use clap::Args;

use super::{NetworkArgs, TokenArgs};

/// Whom to ask, and how.
#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    /// Seconds to wait for a session, and for each answer
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: u64,
    #[command(flatten)]
    pub(crate) token: TokenArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  node-manager app http beacon-01 GET /eth/v1/node/syncing
  node-manager app http beacon-01 POST '/nimbus/v1/graffiti' --body 'hello'

Exit status 0 with an answer of 2xx, 1 with any other.")]
pub(crate) struct HttpArgs {
    /// The host's name, or the beginning of its fingerprint
    pub(crate) peer: String,
    /// GET, POST, …
    pub(crate) method: String,
    /// Path and query, such as /eth/v1/node/syncing
    pub(crate) path: String,
    /// The body: a text, @FILE, or - for standard input
    #[arg(long, short = 'd', value_name = "TEXT")]
    pub(crate) body: Option<String>,
    /// A header, as NAME: VALUE; may be given several times
    #[arg(long = "header", short = 'H', value_name = "HEADER")]
    pub(crate) headers: Vec<String>,
    /// Name this request for good: sent again with the same key it does not run again
    #[arg(long, value_name = "TEXT")]
    pub(crate) key: Option<String>,
    /// Show status and headers too, on standard error
    #[arg(long, short = 'i')]
    pub(crate) include: bool,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// The host's name, or the beginning of its fingerprint
    pub(crate) peer: String,
    /// Which events
    #[arg(
        long,
        value_name = "TOPIC",
        value_delimiter = ',',
        default_value = "head,finalized_checkpoint,chain_reorg"
    )]
    pub(crate) topics: Vec<String>,
    /// End after so many events
    #[arg(long, short = 'n', value_name = "NUMBER")]
    pub(crate) count: Option<u64>,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct AlertsArgs {
    /// The host's name, or the beginning of its fingerprint
    pub(crate) peer: String,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// The host's name, or the beginning of its fingerprint
    pub(crate) peer: String,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}
