//! A node to run by hand.

mod args;
mod rest;
mod topics;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use waku::{Config, Node};

use self::args::{Args, LogFormat, Services};

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    start_log(args.log_level.into(), args.log_format);
    let config = match args.config() {
        Ok(config) => config,
        Err(error) => error.exit(),
    };
    match run(config, &args.services).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A log line alone would be lost at a low log level.
            eprintln!("waku-node: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(mut config: Config, services: &Services) -> anyhow::Result<()> {
    if config.sharding.subscribed().next().is_none() {
        tracing::warn!("no shard is given, so nothing is relayed; give --shard or --num-shards-in-network");
    }
    // Before the node starts, so that no signal finds it unprepared.
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    config.store = services.open_archive()?;
    let node = Node::spawn(config).await.context("cannot start")?;
    print_addresses(&node).context("cannot print the addresses")?;
    tokio::select! {
        _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        () = node.stopped() => anyhow::bail!("the node has stopped unexpectedly"),
    }
    node.shutdown().await;
    for (name, value) in node.metrics().named() {
        tracing::info!(name, value, "counted");
    }
    Ok(())
}

/// One address a line, whole, for others' `--staticnode`.
fn print_addresses(node: &Node) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for address in node.listen_addresses() {
        writeln!(out, "{address}")?;
    }
    out.flush()
}

/// Logs go to standard error. Only this project's own targets follow the level: the libraries' lower levels
/// show message contents.
fn start_log(level: LevelFilter, format: LogFormat) {
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("waku", level)
        .with_target("waku_node", level);
    let registry = tracing_subscriber::registry().with(targets);
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    match format {
        LogFormat::Text => registry.with(layer.with_ansi(io::stderr().is_terminal())).init(),
        LogFormat::Json => registry.with(layer.json()).init(),
    }
}
