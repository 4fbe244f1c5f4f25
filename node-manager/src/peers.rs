//! `peers`, `status` and `ping`.

use std::pin::pin;
use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;
use waku_pairing::party::Part;

use crate::args::{DigitsArgs, Global, PeersArgs, PeersCommand, PingArgs, StatusArgs};
use crate::control::{Access, Request, Response, Status};
use crate::failure::Failure;
use crate::signals::Signals;
use crate::terminal::{print_line, tell_line};
use crate::{settings, show};

/// How long somebody waits without wondering why.
const NOTICEABLE: Duration = Duration::from_secs(1);

/// The daemon, or else what is kept.
async fn access(global: &Global, part: Part) -> Result<Option<Access>, Failure> {
    let config = settings::service(global, part, None)?;
    match Access::daemon(&config).await? {
        Some(daemon) => Ok(Some(daemon)),
        None => Access::offline(&config),
    }
}

/// One request to whatever there is; `None` when nothing was ever kept.
async fn call(global: &Global, part: Part, request: Request) -> Result<Option<Response>, Failure> {
    let Some(access) = access(global, part).await? else { return Ok(None) };
    let response = access.call(request).await;
    access.close().await;
    response.map(Some)
}

async fn ask_status(global: &Global, part: Part) -> Result<Option<Status>, Failure> {
    match call(global, part, Request::Status).await? {
        Some(Response::Status(status)) => Ok(Some(*status)),
        _ => Ok(None),
    }
}

/// `peers [show|rename|revoke]`.
pub(crate) async fn peers(global: &Global, part: Part, args: PeersArgs) -> Result<(), Failure> {
    let answer = match args.command {
        None => {
            let peers = ask_status(global, part).await?.map_or(Vec::new(), |status| status.peers);
            print(args.json, &peers, || show::peers(&peers));
            return Ok(());
        }
        Some(PeersCommand::Show { peer }) => call(global, part, Request::Show { peer }).await?,
        Some(PeersCommand::Rename { peer, name }) => {
            let name = name.map(|name| name.to_string());
            call(global, part, Request::Rename { peer, name }).await?
        }
        Some(PeersCommand::Grant { peer, grants }) => {
            call(global, part, Request::Grant { peer, grants }).await?
        }
        Some(PeersCommand::Revoke { peer, grants }) if !grants.is_empty() => {
            call(global, part, Request::Withdraw { peer, grants }).await?
        }
        Some(PeersCommand::Revoke { peer, .. }) => {
            let revoked = call(global, part, Request::Revoke { peer }).await?;
            if let (Some(Response::Peer(peer)), false) = (&revoked, args.json) {
                print_line(format_args!("Unpaired: {} ({}).", peer.name, peer.fingerprint));
                return Ok(());
            }
            revoked
        }
    };
    match answer {
        Some(Response::Peer(peer)) => print(args.json, &peer, || show::peer(&peer)),
        _ => return Err(Failure::usage("nobody is paired with this side yet")),
    }
    Ok(())
}

/// `status`.
pub(crate) async fn status(global: &Global, part: Part, args: &StatusArgs) -> Result<(), Failure> {
    match ask_status(global, part).await? {
        Some(status) => print(args.json, &status, || show::status(&status)),
        None => print(args.json, &json!({ "running": false, "peers": [] }), || {
            "not running, and nobody was ever paired".to_owned()
        }),
    }
    Ok(())
}

/// `app digits`.
pub(crate) async fn digits(global: &Global, args: DigitsArgs) -> Result<(), Failure> {
    let config = settings::service(global, Part::App, None)?;
    let Some(daemon) = Access::daemon(&config).await? else {
        return Err(Failure::usage("the service is not running").hint("start `node-manager app run`"));
    };
    daemon.call(Request::Digits { peer: args.peer, digits: args.digits }).await?;
    print_line("Paired.");
    Ok(())
}

/// `ping`.
pub(crate) async fn ping(global: &Global, part: Part, args: PingArgs) -> Result<(), Failure> {
    let config = settings::service(global, part, None)?;
    let access = match Access::daemon(&config).await? {
        Some(daemon) => daemon,
        None if args.network.static_nodes.is_empty() => {
            let run = if part == Part::App { "app run" } else { "run" };
            return Err(Failure::usage("the service is not running")
                .hint(format!("start `node-manager {run}`, or give --staticnode to do without it")));
        }
        None => Access::start(&config, args.network.network()?).await?,
    };
    let mut signals = Signals::new()?;
    let result = signals.unless_interrupted(ping_times(&access, &args)).await;
    _ = signals.unless_interrupted(access.close()).await;
    result.flatten()
}

async fn ping_times(access: &Access, args: &PingArgs) -> Result<(), Failure> {
    let timeout_ms = u64::try_from(Duration::from_secs(args.timeout).as_millis()).unwrap_or(u64::MAX);
    for _ in 0..args.count {
        let request = Request::Ping { peer: args.peer.clone(), timeout_ms };
        let mut answer = pin!(access.call(request));
        let answer = if let Ok(answer) = timeout(NOTICEABLE, &mut answer).await {
            answer?
        } else {
            tell_line(format_args!("Waiting for an answer, for {} s at most…", args.timeout));
            answer.await?
        };
        let Response::Pong { name, round_trip_ms } = answer else {
            return Err(Failure::other("the daemon answered something else"));
        };
        let pong = json!({ "peer": name, "round_trip_ms": round_trip_ms });
        print(args.json, &pong, || format!("{name}: {round_trip_ms:.1} ms"));
    }
    Ok(())
}

fn print(json: bool, value: &impl serde::Serialize, text: impl FnOnce() -> String) {
    if json {
        print_line(serde_json::to_string(value).expect("plain data can be written as JSON"));
    } else {
        print_line(text());
    }
}
