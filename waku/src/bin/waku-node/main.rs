//! A node to be run instead of nwaku's `wakunode2`: its command line, REST API, metrics and log lines.

mod archive;
mod figures;
mod finding;
mod measured;
mod place;
mod plan;
mod protected;
mod record;
mod rest;
mod resume;
mod topics;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use waku::store::archive::RetentionPolicy;
use waku::{Capabilities, Config, ContentTopic, Node, PubsubTopic, RelayShards, Shard, StoreConfig};
use waku_discovery::discv5::Discovery;
use waku_operator::command_line::{self, Asked, EXIT_STATUS, LogFormat, LogLevel, Options, Service, Sources};
use waku_operator::log::{self, Level, Severity};
use waku_operator::metrics::Registry;

use self::finding::ListOptions;
use self::measured::Measured;
use self::plan::Plan;
use self::record::Recorder;
use self::rest::{About, Api, Server};
use self::resume::Resume;
use self::topics::Topics;

fn main() -> ExitCode {
    let sources = Sources::of_process("waku-node");
    let asked = command_line::parse(&sources, |path| fs::read_to_string(path));
    let (options, warnings) = match asked {
        Ok(Asked::Help) => {
            print!("{}", command_line::help(sources.program()));
            return ExitCode::SUCCESS;
        }
        Ok(Asked::Version) => {
            println!("{}", command_line::version(concat!("waku-node ", env!("CARGO_PKG_VERSION"))));
            return ExitCode::SUCCESS;
        }
        Ok(Asked::Run { options, warnings }) => (options, warnings),
        Err(error) => {
            eprintln!("{}", error.report(sources.program()));
            if let command_line::Error::Configuration(problem) = &error {
                // Tools read it where nwaku says it.
                start_log(command_line::Log { level: LogLevel::Info, format: LogFormat::Text });
                tracing::error!(error = %problem, "Waku configuration failed");
            }
            return ExitCode::from(EXIT_STATUS);
        }
    };
    drop(sources);
    raise_file_limit();
    let level = start_log(options.log);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::Error::new(error).context("no threads can be started")),
    };
    let outcome = runtime.block_on(run(&options, level));
    runtime.shutdown_background();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// Connections take file descriptors, and systems begin with few.
fn raise_file_limit() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        if current != maximum
            && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        {
            tracing::warn!(%error, "the limit of open files stays low");
        }
    }
}

/// Says why the program ends, where logs are read and where errors are.
fn failed(error: &anyhow::Error) -> ExitCode {
    let error = format!("{error:#}");
    tracing::error!(error, "Waku initialization failed");
    eprintln!("waku-node: {error}");
    ExitCode::from(EXIT_STATUS)
}

async fn run(options: &Options, level: Level) -> anyhow::Result<()> {
    // Before anything else, so that no signal finds the program unprepared.
    let mut signals = Signals::new()?;
    let plan = Plan::new(options)?;
    let starting = Running::start(options, plan, level);
    // What was begun ends with its tasks when a signal comes first.
    let running = tokio::select! {
        started = Box::pin(starting) => started?,
        name = signals.next() => {
            tracing::info!(notice = true, "Shutting down after receiving {name}");
            return Ok(());
        }
    };
    tracing::info!("Node setup complete");
    tell_systemd(&[sd_notify::NotifyState::Ready]);
    let outcome = tokio::select! {
        name = signals.next() => {
            tracing::info!(notice = true, "Shutting down after receiving {name}");
            Ok(())
        }
        () = running.node.stopped() => Err(anyhow::anyhow!("the node has stopped by itself")),
    };
    tell_systemd(&[sd_notify::NotifyState::Stopping]);
    running.stop().await;
    outcome
}

/// The parts of the program, all at work.
struct Running {
    node: Node,
    rest: Option<Server>,
    metrics: Option<Server>,
    discovery: Option<Arc<Discovery>>,
    tasks: JoinSet<()>,
    /// The node is on these topics for as long as they are kept.
    _topics: Arc<Topics>,
}

impl Running {
    async fn start(options: &Options, plan: Plan, level: Level) -> anyhow::Result<Self> {
        let Plan { mut config, secret, shards, content_topics, place, rest, metrics } = plan;
        let topics = Arc::new(Topics::default());
        let (about_view, about) = watch::channel(About::default());
        let registry = Arc::new(Registry::new(SystemTime::now()));
        let api = rest.map(|(address, settings)| {
            let set_level = level.clone();
            let set_level = move |text: &str| {
                let severity = text.parse::<Severity>().map_err(|error| error.to_string())?;
                set_level.set(severity);
                Ok(())
            };
            (
                address,
                Arc::new(Api::new(
                    settings,
                    Arc::clone(&topics),
                    about,
                    Box::new(set_level),
                    Arc::clone(&registry),
                )),
            )
        });
        let mut server = None;
        if let Some((address, api)) = &api {
            let started = Server::start(*address, rest::router(api)).await;
            let started = started.map_err(|error| taken("REST server in Waku.new", &error))?;
            tracing::info!(address = %started.address(), "REST server started");
            server = Some(started);
            config.taps.push(api.tap());
        }
        let figures = figures::Figures::new(Arc::clone(&registry));
        config.taps.push(figures.tap());
        let metrics = match metrics {
            Some(address) => {
                let started = Server::start(address, figures::router(&figures)).await;
                let started = started.map_err(|error| taken("metrics server in Waku.new", &error))?;
                tracing::info!(address = %started.address(), "metrics server started");
                Some(started)
            }
            None => None,
        };

        let recorder = Recorder::new(
            config.keypair.clone(),
            place.clone(),
            config.sharding.cluster(),
            capabilities(options, &config),
        );
        let first = recorder.announcement(&first_topics(options, &config, &shards, &content_topics));
        let discovery = finding::start(options, &secret, (first.seq, recorder.fields(&first))).await?;
        config.announced = place.told();
        config.store = open_store(options, &registry).await?;
        let resuming = match config.store.as_ref().filter(|_| options.store_resume) {
            // Before the node keeps anything itself.
            Some(store) => Some(Resume::new(options, store.archive.clone()).await?),
            None => None,
        };
        let node = Node::spawn(config).await.context("the node cannot start")?;
        tracing::info!("Created WakuMetadata protocol");
        if options.relay.enabled {
            topics.join_all(&node, shards.iter().copied(), content_topics.iter().cloned()).await?;
        }
        record::show(&about_view, recorder.about(&first));
        if let Some((_, api)) = &api {
            api.want(shards, content_topics);
            api.mount(node.clone()).await;
        }

        let mut tasks = JoinSet::new();
        let (discovery, found) = discovery.unzip();
        let discovery = discovery.map(Arc::new);
        if let Some(found) = found {
            tasks.spawn(finding::follow(node.clone(), found));
        }
        if let Some(lists) = ListOptions::new(options) {
            tasks.spawn(finding::read_lists(node.clone(), lists, Arc::clone(&registry)));
        }
        if let Some(resuming) = resuming {
            tasks.spawn(resuming.run(node.clone()));
        }
        figures.follow(&node, options, discovery.clone(), &mut tasks);
        let mut running = Self { node, rest: server, metrics, discovery, tasks, _topics: topics };
        running.keep_record(recorder, about_view, first.shards);
        for address in running.node.listen_addresses() {
            tracing::info!(%address, "listening");
        }
        tracing::info!(peer = %running.node.local_peer_id(), at = %place, "node started");
        Ok(running)
    }

    /// Renews the node record when the node is on other shards than those it has announced.
    fn keep_record(
        &mut self,
        recorder: Recorder,
        view: watch::Sender<About>,
        mut announced: Option<RelayShards>,
    ) {
        let mut topics = self.node.relay().watch_topics();
        let mut renewed = move |recorder: &Recorder, topics: &mut watch::Receiver<BTreeSet<PubsubTopic>>| {
            let announcement = recorder.announcement(topics.borrow_and_update().iter());
            let is_new = announcement.shards != announced;
            announced.clone_from(&announcement.shards);
            is_new.then_some(announcement)
        };
        let Some(discovery) = self.discovery.clone() else {
            self.tasks.spawn(async move {
                while topics.changed().await.is_ok() {
                    if let Some(announcement) = renewed(&recorder, &mut topics) {
                        record::show(&view, recorder.about(&announcement));
                    }
                }
            });
            return;
        };
        let mut records = discovery.watch_record();
        self.tasks.spawn(async move {
            loop {
                // Discovery has the record: it may know the address better.
                let record = records.borrow_and_update().record.to_string();
                view.send_modify(|about| about.record = record);
                tokio::select! {
                    changed = topics.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        if let Some(announcement) = renewed(&recorder, &mut topics)
                            && let Err(error) = discovery.update(recorder.fields(&announcement))
                        {
                            tracing::error!(%error, "the node record stays as it was");
                        }
                    }
                    changed = records.changed() => {
                        if changed.is_err() {
                            return;
                        }
                    }
                }
            }
        });
    }

    /// Ends everything: first what takes requests, then the node, which keeps what it has taken.
    async fn stop(mut self) {
        self.tasks.shutdown().await;
        for server in [self.rest, self.metrics].into_iter().flatten() {
            server.stop().await;
        }
        if let Some(discovery) = self.discovery {
            discovery.shutdown().await;
        }
        self.node.shutdown().await;
        tracing::info!("stopped");
    }
}

async fn open_store(options: &Options, registry: &Arc<Registry>) -> anyhow::Result<Option<StoreConfig>> {
    let Some(store) = &options.store else { return Ok(None) };
    let retention: RetentionPolicy = store.retention_policy.parse()?;
    let (store_options, limits) = (store.clone(), &options.rate_limits);
    let archive = spawn_blocking(move || archive::open(&store_options)).await??;
    let mut config = StoreConfig::new(Measured::around(archive, Arc::clone(registry)));
    config.writer.retention = retention;
    let limit = command_line::RateLimit::of(Service::StoreV3, limits);
    config.rate_limit = limit.map(|limit| plan::shared_limit(&limit)).unwrap_or_default();
    Ok(Some(config))
}

/// The topics the node is to be on from the start.
fn first_topics(
    options: &Options,
    config: &Config,
    shards: &[Shard],
    content_topics: &[ContentTopic],
) -> Vec<PubsubTopic> {
    if !options.relay.enabled {
        return shards.iter().map(|shard| (*shard).into()).collect();
    }
    let of_content = content_topics.iter().filter_map(|topic| config.sharding.pubsub_topic(topic).ok());
    shards.iter().map(|shard| (*shard).into()).chain(of_content).collect()
}

/// What the node does, as its record says it.
fn capabilities(options: &Options, config: &Config) -> Capabilities {
    let parts = [
        (config.relay, Capabilities::RELAY),
        (options.store.is_some(), Capabilities::STORE),
        (config.filter.is_some(), Capabilities::FILTER),
        (config.lightpush.is_some(), Capabilities::LIGHTPUSH),
    ];
    let parts = parts.into_iter().filter(|(is_on, _)| *is_on);
    parts.fold(Capabilities::default(), |all, (_, part)| all.with(part))
}

/// In nwaku's words, which tools look for.
fn taken(what: &str, error: &io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let code = error.raw_os_error().unwrap_or_default();
            anyhow::anyhow!("Failed to start essential {what}: ({code}) Address already in use")
        }
        _ => anyhow::anyhow!("Failed to start essential {what}: {error}"),
    }
}

/// The signals that end the program.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Waits for the next, and tells its name.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// Tells the service manager, if there is one.
fn tell_systemd(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager was not told");
    }
}

fn start_log(log: command_line::Log) -> Level {
    let level = Level::new(match log.level {
        LogLevel::Trace => Severity::Trace,
        LogLevel::Debug => Severity::Debug,
        LogLevel::Info => Severity::Info,
        LogLevel::Notice => Severity::Notice,
        LogLevel::Warn => Severity::Warn,
        LogLevel::Error => Severity::Error,
        LogLevel::Fatal => Severity::Fatal,
        LogLevel::None => Severity::None,
    });
    let format = match log.format {
        LogFormat::Text => log::Format::Text,
        LogFormat::Json => log::Format::Json,
    };
    tracing::subscriber::set_global_default(log::subscriber(format, &level, io::stdout))
        .expect("nothing else in this program sets a subscriber");
    level
}
