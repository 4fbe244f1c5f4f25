//! A host and an app that are paired, with an address where the host's services answer.

use std::net::SocketAddr;
use std::ops::{Add, Sub};
use std::path::Path;
use std::time::Duration;

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use node_manager::app::{App, AppConfig};
use node_manager::host::{Host, HostConfig, Hosting};
use node_manager::{Mode, Service, ServiceConfig};
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use waku::Node;
use waku_pairing::code::Code;
use waku_pairing::endpoint::Handle as Party;
use waku_pairing::kdf::CodeKeys;
use waku_pairing::party::{Event, Part, StageView, Terms};
use waku_pairing::record::PairingId;

use crate::Failure;
use crate::network::{connected, in_time, middle, to};

/// Without a person who compares.
pub(crate) const TERMS: Terms = Terms { compare_digits: false, allow_clock_skew: false };
/// Longer than an acknowledgement waits for something to go with.
pub(crate) const REST: Duration = Duration::from_millis(1_250);
/// How long the default budget takes to be full again.
const REFILLED: Duration = Duration::from_secs(6);

/// How many messages a side may send.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Budget {
    /// More than there is time for.
    Unlimited,
    /// What a side has that was told nothing.
    Default,
}

impl Budget {
    pub(crate) const ALL: [Self; 2] = [Self::Unlimited, Self::Default];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unlimited => "none",
            Self::Default => "default",
        }
    }

    fn messages(self) -> Option<(u32, Duration)> {
        (self == Self::Unlimited).then_some((1_000_000, Duration::from_secs(1)))
    }
}

/// Lets time pass in which nothing is asked: what a side then does, or has again, is what is measured.
pub(crate) async fn leave_alone(time: Duration) {
    sleep(time).await;
}

pub(crate) struct Scene {
    middle: Node,
    host: Service,
    hosting: Hosting,
    app: Service,
    local: App,
    pairing: PairingId,
    budget: Budget,
    _directory: TempDir,
}

impl Scene {
    /// `gateway` is the host's configuration.
    pub(crate) async fn start(mode: Mode, budget: Budget, gateway: &str) -> Result<Self, Failure> {
        let directory = tempfile::tempdir()?;
        let middle = middle(mode).await?;
        let gateway = waku_gateway::Config::parse("the bench's configuration", gateway)?;
        let host_dir = directory.path().join("host");
        let (answering, requested) = Host::open(HostConfig::new(gateway, &host_dir, "host"))?;
        let mut config = config(Part::NodeManager, "host", &host_dir)?;
        config.requested = Some(requested);
        config.message_budget = budget.messages();
        let host = take_up(&config, &middle, mode).await?;
        let hosting = answering.start(&host);
        let mut config = self::config(Part::App, "app", &directory.path().join("app"))?;
        config.message_budget = budget.messages();
        let app = take_up(&config, &middle, mode).await?;
        let local = App::start(AppConfig::default(), &app).await?;
        let pairing = pair(&host, &app).await?;
        Ok(Self { middle, host, hosting, app, local, pairing, budget, _directory: directory })
    }

    /// Where the host's services answer.
    pub(crate) async fn endpoint(&self) -> Result<SocketAddr, Failure> {
        let mut endpoints = self.local.endpoints();
        in_time("an endpoint", async {
            let views = endpoints.wait_for(|views| !views.is_empty()).await?;
            Ok(views.first().and_then(|view| view.address).ok_or("no port is free for an endpoint")?)
        })
        .await
    }

    /// Waits until there is a whole budget again.
    pub(crate) async fn refill(&self) {
        if self.budget == Budget::Default {
            leave_alone(REFILLED).await;
        }
    }

    /// What both sides have sent.
    pub(crate) async fn sent(&self) -> Sent {
        Sent { host: said(&self.host, self.pairing).await, app: said(&self.app, self.pairing).await }
    }

    pub(crate) async fn stop(self) {
        drop(self.local);
        self.app.stop().await;
        self.host.stop().await;
        self.hosting.stop().await;
        self.middle.shutdown().await;
    }
}

pub(crate) fn config(part: Part, name: &str, directory: &Path) -> Result<ServiceConfig, Failure> {
    Ok(ServiceConfig::new(part, name.parse()?, directory))
}

/// Starts a side and waits until it can be heard.
pub(crate) async fn take_up(config: &ServiceConfig, middle: &Node, mode: Mode) -> Result<Service, Failure> {
    let service = Service::start(config, to(middle, mode)?).await?;
    connected(service.node().ok_or("a service without a network")?, mode).await?;
    Ok(service)
}

/// Messages that a side sent for requests: all, bare acknowledgements, repetitions.
#[derive(Clone, Copy)]
pub(crate) struct Said {
    pub(crate) all: u64,
    pub(crate) bare: u64,
    pub(crate) repeated: u64,
}

impl Sub for Said {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            all: self.all - before.all,
            bare: self.bare - before.bare,
            repeated: self.repeated - before.repeated,
        }
    }
}

impl Add for Said {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self {
            all: self.all + more.all,
            bare: self.bare + more.bare,
            repeated: self.repeated + more.repeated,
        }
    }
}

/// What both sides sent.
#[derive(Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) host: Said,
    pub(crate) app: Said,
}

impl Sub for Sent {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { host: self.host - before.host, app: self.app - before.app }
    }
}

async fn said(service: &Service, pairing: PairingId) -> Said {
    let figures = match service.tunnels() {
        Some(tunnels) => tunnels.figures(pairing).await,
        None => None,
    };
    let counters = figures.unwrap_or_default().counters;
    Said { all: counters.sent + counters.repeated, bare: counters.bare_acks, repeated: counters.repeated }
}

/// Pairs two sides, and waits until they are in the same session.
async fn pair(host: &Service, app: &Service) -> Result<PairingId, Failure> {
    let code = Code::generate(&mut UnwrapErr(SysRng));
    let keys = spawn_blocking(move || CodeKeys::derive(&code)).await?;
    let (mut at_host, mut at_app) = (host.party().events(), app.party().events());
    app.party().offer(keys.clone(), TERMS).await?;
    host.party().pair(keys, TERMS).await?;
    in_time("a session", async {
        loop {
            if let (Some(ours), Some(theirs)) = (session(host.party()).await?, session(app.party()).await?)
                && ours == theirs
            {
                return Ok(ours.0);
            }
            // Each event may be the one that brings them together.
            let event = tokio::select! {
                event = at_host.recv() => event?,
                event = at_app.recv() => event?,
            };
            if let Event::PairingFailed { failure, .. } = event {
                return Err(failure.into());
            }
        }
    })
    .await
}

/// The session with the only peer, when the pairing stands.
pub(crate) async fn session(party: &Party) -> Result<Option<(PairingId, [u8; 32])>, Failure> {
    let peers = party.peers().await?;
    let stands = peers.iter().find(|peer| matches!(peer.stage, StageView::Confirmed { .. }));
    Ok(stands.and_then(|peer| Some((peer.pairing, *peer.session.as_ref()?.id.as_bytes()))))
}
