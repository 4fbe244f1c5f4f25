//! The `node-manager` command.

mod args;
mod ask;
mod audit;
mod checkup;
mod control;
mod daemon;
mod demo;
mod failure;
mod logging;
mod page;
mod pair;
mod peers;
mod readiness;
mod settings;
mod show;
mod signals;
mod terminal;

use std::process::ExitCode;

use args::{AppCommand, Cli, Command, Global, LogFormat};
use clap::Parser;
use failure::Failure;
use terminal::tell_line;
use tracing_subscriber::filter::LevelFilter;
use waku_pairing::party::Part;

fn main() -> ExitCode {
    // Whatever this process makes is for its owner alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let cli = Cli::parse();
    let is_service = matches!(cli.command, Command::Run(_) | Command::App(AppCommand::Run(_)));
    logging::start(&cli.global, if is_service { LevelFilter::INFO } else { LevelFilter::ERROR });
    let logs_json = is_service && cli.global.log_format == LogFormat::Json;
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report(&Failure::other(format!("cannot start: {error}")), logs_json),
    };
    let result = runtime.block_on(run(cli));
    // A prompt may still be waiting for a line that nobody will type.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure, logs_json),
    }
}

/// The last word: to whoever reads a service's log as JSON it is a line of it.
fn report(failure: &Failure, logs_json: bool) -> ExitCode {
    if logs_json {
        tracing::error!(hint = failure.hint, "{}", failure.message);
    } else {
        tell_line(failure);
    }
    failure.kind.exit_code()
}

async fn run(cli: Cli) -> Result<(), Failure> {
    let Cli { global, command } = cli;
    match command {
        // It holds a node's whole configuration.
        Command::Demo(args) => Box::pin(demo::run(&args)).await,
        Command::Pair(args) => pair::host(&global, args).await,
        Command::App(AppCommand::Pair(args)) => pair::app(&global, args).await,
        Command::App(AppCommand::Digits(args)) => peers::digits(&global, args).await,
        Command::Run(args) => Box::pin(daemon::host(&global, &args)).await,
        Command::App(AppCommand::Run(args)) => Box::pin(daemon::app(&global, &args)).await,
        Command::App(AppCommand::Http(args)) => ask::http(&global, args).await,
        Command::App(AppCommand::Events(args)) => ask::events(&global, args).await,
        Command::App(AppCommand::Alerts(args)) => ask::alerts(&global, args).await,
        Command::App(AppCommand::Watch(args)) => ask::watch(&global, args).await,
        Command::Audit(args) => audit::audit(&global, &args),
        Command::Doctor(args) => checkup::doctor(&global, args).await,
        command => on_part(&global, command).await,
    }
}

/// The commands that both sides have.
async fn on_part(global: &Global, command: Command) -> Result<(), Failure> {
    match command {
        Command::Peers(args) => peers::peers(global, Part::NodeManager, args).await,
        Command::App(AppCommand::Peers(args)) => peers::peers(global, Part::App, args).await,
        Command::Status(args) => peers::status(global, Part::NodeManager, &args).await,
        Command::App(AppCommand::Status(args)) => peers::status(global, Part::App, &args).await,
        Command::Ping(args) => peers::ping(global, Part::NodeManager, args).await,
        Command::App(AppCommand::Ping(args)) => peers::ping(global, Part::App, args).await,
        _ => unreachable!("the other commands belong to one side"),
    }
}
