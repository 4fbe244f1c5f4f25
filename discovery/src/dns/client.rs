//! Asking name servers for lists.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};
use getrandom::SysRng;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use rand_core::UnwrapErr;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, warn};

use super::url::TreeUrl;
use super::walk::{Findings, Limits, Problem, Question, Seqs, Walk};
use crate::Record;

/// The name servers asked when no others are given (as in nwaku).
pub const DEFAULT_NAME_SERVERS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1)), IpAddr::V4(Ipv4Addr::new(1, 0, 0, 1))];

const DNS_PORT: u16 = 53;

/// Answers kept for as long as they say they are valid.
const CACHE_LEN: u64 = 1024;
/// TXT records of one name that are looked at.
const MAX_TEXTS: usize = 16;

/// How lists are looked up.
#[derive(Debug, Clone)]
pub struct Config {
    /// Whom to ask, over UDP, and over TCP where an answer is long. What the system would ask plays no part.
    pub name_servers: Vec<SocketAddr>,
    /// How long a lookup may take in all.
    pub timeout: Duration,
    /// How long one try at a question may take. There are two.
    pub query_timeout: Duration,
    /// Most questions that are open at a time.
    pub concurrency: usize,
    /// How far a list and those it links to are followed.
    pub limits: Limits,
}

impl Default for Config {
    /// [`DEFAULT_NAME_SERVERS`], 8 questions at a time, 3 seconds for a try and 30 for all.
    fn default() -> Self {
        Self {
            name_servers: DEFAULT_NAME_SERVERS.map(|ip| SocketAddr::new(ip, DNS_PORT)).to_vec(),
            timeout: Duration::from_secs(30),
            query_timeout: Duration::from_secs(3),
            concurrency: 8,
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// The same with other name servers, at the usual port.
    pub fn with_name_servers(self, ips: impl IntoIterator<Item = IpAddr>) -> Self {
        Self { name_servers: ips.into_iter().map(|ip| SocketAddr::new(ip, DNS_PORT)).collect(), ..self }
    }
}

/// What a list had.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The nodes that are wanted, each once, in a random order.
    pub records: Vec<Record>,
    /// How many nodes were not.
    pub unwanted: usize,
    /// Names asked for.
    pub asked: usize,
    /// Names for which no name server had an answer.
    pub unanswered: usize,
    /// Answers that were not what the list says.
    pub wrong: usize,
    /// The first of those, each with its name.
    pub problems: Vec<(String, Problem)>,
    /// Whether the list was longer than [`Config::limits`] or took longer than [`Config::timeout`].
    pub is_cut_off: bool,
}

/// Looks lists up. It remembers the edition of each list it saw: an older one is refused.
///
/// ```no_run
/// # async fn bootstrap() -> Result<(), Box<dyn std::error::Error>> {
/// use waku_discovery::dns::{Client, Config};
///
/// let url = "enrtree://AIRVQ5DDA4FFWLRBCHJWUWOO6X6S4ZTZ5B667LQ6AJU6PEYDLRD5O@sandbox.waku.nodes.status.im";
/// let client = Client::new(Config::default())?;
/// let found = client.lookup(&url.parse()?, |record| record.capabilities().0 != 0).await?;
/// for record in found.records {
///     println!("{record}");
/// }
/// # Ok(())
/// # }
/// ```
pub struct Client {
    config: Config,
    resolver: TokioResolver,
    seqs: Mutex<Seqs>,
}

impl Client {
    /// A client. It sends nothing yet.
    ///
    /// # Errors
    /// When no name server is given, or the resolver cannot be set up.
    pub fn new(config: Config) -> Result<Self, DnsError> {
        Self::with_seqs(config, Seqs::default())
    }

    /// A client that knows of editions seen in an earlier run ([`Client::seqs`]).
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn with_seqs(config: Config, seqs: Seqs) -> Result<Self, DnsError> {
        if config.name_servers.is_empty() {
            return Err(DnsError::NoNameServers);
        }
        let servers = config.name_servers.iter().map(|server| {
            let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
            for connection in &mut connections {
                connection.port = server.port();
            }
            NameServerConfig::new(server.ip(), true, connections)
        });
        let servers = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        let mut builder = TokioResolver::builder_with_config(servers, TokioRuntimeProvider::default());
        let options = builder.options_mut();
        options.timeout = config.query_timeout;
        // After the first try.
        options.attempts = 1;
        options.cache_size = CACHE_LEN;
        options.use_hosts_file = ResolveHosts::Never;
        options.max_active_requests = options.max_active_requests.max(config.concurrency);
        let resolver = builder.build().map_err(|error| DnsError::Setup { reason: error.to_string() })?;
        Ok(Self { config, resolver, seqs: Mutex::new(seqs) })
    }

    /// The editions of lists seen so far.
    pub fn seqs(&self) -> Seqs {
        self.known_seqs().clone()
    }

    /// Walks through a list and those it links to, and returns the nodes that are `wanted`. What is found of a list that
    /// is too long, too slow or broken in part is returned too.
    ///
    /// # Errors
    /// When nothing can be found: no name server answers for the list's root, or the root is wrong.
    pub async fn lookup(&self, url: &TreeUrl, wanted: impl Fn(&Record) -> bool) -> Result<Found, DnsError> {
        let deadline = Instant::now() + self.config.timeout;
        let mut walk = Walk::new(url.clone(), self.config.limits, self.seqs());
        let mut unanswered = 0;
        let walked = timeout_at(deadline, self.walk(url, &mut walk, &mut unanswered)).await;
        let Findings { records, asked, problems, wrong, is_cut_off, seqs } = walk.into_findings();
        {
            let mut known = self.known_seqs();
            seqs.iter().for_each(|(url, seq)| known.note(url, seq));
        }
        match &walked {
            Ok(walked) => walked.clone()?,
            // More than the root was asked for, so the root was right.
            Err(_) if asked > 1 => {}
            Err(_) => return Err(self.unreachable(url, "it took too long")),
        }
        let all = records.len();
        let records: Vec<_> = records.into_iter().filter(wanted).collect();
        let is_cut_off = is_cut_off || walked.is_err();
        let unwanted = all - records.len();
        if wrong > 0 || unanswered > 0 {
            warn!(domain = url.domain(), wrong, unanswered, "part of a list of nodes could not be read");
        }
        debug!(
            domain = url.domain(),
            found = records.len(),
            unwanted,
            asked,
            is_cut_off,
            "a list of nodes was read"
        );
        Ok(Found { records, unwanted, asked, unanswered, wrong, problems, is_cut_off })
    }

    async fn walk(&self, url: &TreeUrl, walk: &mut Walk, unanswered: &mut usize) -> Result<(), DnsError> {
        let mut open = FuturesUnordered::new();
        loop {
            while open.len() < self.config.concurrency.max(1) {
                let Some(question) = walk.next(&mut UnwrapErr(SysRng)) else { break };
                open.push(self.ask(question));
            }
            let Some((question, answer)) = open.next().await else { return Ok(()) };
            let is_first = question.is_first();
            match answer {
                Ok(texts) => match walk.answer(question, texts.iter().map(String::as_str)) {
                    Err(problem) if is_first => {
                        return Err(DnsError::Refused { domain: url.domain().to_owned(), problem });
                    }
                    _ => {}
                },
                Err(error) if is_first && error.is_no_records_found() => {
                    return Err(DnsError::NotFound { domain: url.domain().to_owned() });
                }
                Err(error) if is_first => return Err(self.unreachable(url, &error.to_string())),
                Err(error) => {
                    debug!(name = question.name(), %error, "no answer for an entry of a list of nodes");
                    *unanswered += 1;
                }
            }
        }
    }

    async fn ask(&self, question: Question) -> (Question, Result<Vec<String>, NetError>) {
        let answer = self.texts(question.name()).await;
        (question, answer)
    }

    /// The TXT records at a name, each put together from its pieces. What is not text is left out.
    async fn texts(&self, name: &str) -> Result<Vec<String>, NetError> {
        let mut name = Name::from_ascii(name)?;
        name.set_fqdn(true);
        let found = self.resolver.lookup(name, RecordType::TXT).await?;
        let texts = found.answers().iter().filter_map(|answer| match &answer.data {
            RData::TXT(text) => String::from_utf8(text.txt_data.concat()).ok(),
            _ => None,
        });
        Ok(texts.take(MAX_TEXTS).collect())
    }

    fn unreachable(&self, url: &TreeUrl, reason: &str) -> DnsError {
        let servers: Vec<_> = self.config.name_servers.iter().map(ToString::to_string).collect();
        DnsError::Unreachable {
            domain: url.domain().to_owned(),
            servers: servers.join(", "),
            reason: reason.to_owned(),
        }
    }

    fn known_seqs(&self) -> MutexGuard<'_, Seqs> {
        self.seqs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Why a list cannot be looked up.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DnsError {
    /// No name server is given.
    #[error("no name server is given: name one, such as 1.1.1.1")]
    NoNameServers,
    /// The resolver cannot be set up.
    #[error("the resolver cannot be set up: {reason}")]
    Setup {
        /// What it says.
        reason: String,
    },
    /// No name server answers.
    #[error(
        "no name server answers for {domain} ({reason}): see whether {servers} can be reached, or name others"
    )]
    Unreachable {
        /// The list's domain.
        domain: String,
        /// Who was asked.
        servers: String,
        /// What the last of them said.
        reason: String,
    },
    /// The domain has no TXT record.
    #[error("nothing is at {domain}: see whether the list's URL is right")]
    NotFound {
        /// The list's domain.
        domain: String,
    },
    /// What is there is not the list, or an older edition of it.
    #[error(
        "the list at {domain} is refused: {problem}; see whether its URL is right, or try other name servers"
    )]
    Refused {
        /// The list's domain.
        domain: String,
        /// What is wrong with its root.
        problem: Problem,
    },
}
