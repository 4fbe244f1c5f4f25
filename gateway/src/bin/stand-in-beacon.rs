//! A stand-in for a beacon node on a port of this machine, until Ctrl-C.
//!
//! `stand-in-beacon [PORT [SECONDS_PER_SLOT]]`; the defaults are 5052 and 12. See `waku_gateway::stand_in` for what it
//! answers and how it is made to misbehave.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use waku_gateway::stand_in::{Options, StandIn};

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().map_or(Ok(5052), |port| port.parse::<u16>());
    let slot = arguments.next().map_or(Ok(12), |slot| slot.parse::<u64>());
    let (Ok(port), Ok(slot @ 1..), None) = (port, slot, arguments.next()) else {
        eprintln!("usage: stand-in-beacon [PORT [SECONDS_PER_SLOT]]");
        return ExitCode::from(2);
    };
    let options = Options {
        address: SocketAddr::from(([127, 0, 0, 1], port)),
        slot: Duration::from_secs(slot),
        ..Options::default()
    };
    let token = options.token.clone();
    match StandIn::start(options).await {
        Ok(stand_in) => {
            println!("http://{} (keymanager token: {token})", stand_in.address());
            _ = tokio::signal::ctrl_c().await;
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: port {port} cannot be listened on: {error}");
            ExitCode::FAILURE
        }
    }
}
