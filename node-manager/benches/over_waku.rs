//! What HTTP over Waku takes, with real nodes on loopback: the time of requests, messages of Waku, downloads, and the
//! memory of a manager that waits.
//!
//! Host, app, the node between them, the service that is asked and the program that asks share the machine, and all but
//! the manager of the last table one process. Both sides relay through one node, or are light clients of one that serves
//! filter, lightpush and store.
//!
//! `cargo bench -p node-manager --bench over_waku`, with `-- --quick` for seconds instead of minutes, `-- --json` for
//! programs to read. An answer that is not the service's ends it with an error.

#[path = "over_waku/client.rs"]
mod client;
#[path = "over_waku/download.rs"]
mod download;
#[path = "over_waku/memory.rs"]
mod memory;
#[path = "over_waku/network.rs"]
mod network;
#[path = "over_waku/process.rs"]
mod process;
#[path = "over_waku/report.rs"]
mod report;
#[path = "over_waku/requests.rs"]
mod requests;
#[path = "over_waku/scene.rs"]
mod scene;

use std::error::Error;
use std::time::Duration;

use node_manager::Mode;

use self::report::Table;

type Failure = Box<dyn Error + Send + Sync>;

/// How both sides are in the network.
const MODES: [(Mode, &str); 2] = [(Mode::Relay, "relay"), (Mode::Light, "light clients")];

/// How much is measured.
struct Size {
    /// Requests one after the other, and as many by several at a time.
    requests: usize,
    /// Requests with a rest after each.
    rested: usize,
    /// Requests under the default budget.
    budgeted: usize,
    downloads: usize,
    download_len: usize,
    /// Apps that are paired with a manager, and how long it is left alone.
    apps: usize,
    idle: Duration,
}

const FULL: Size = Size {
    requests: 500,
    rested: 20,
    budgeted: 100,
    downloads: 3,
    download_len: 10_000_000,
    apps: 10,
    idle: Duration::from_secs(30),
};
const QUICK: Size = Size {
    requests: 20,
    rested: 2,
    budgeted: 10,
    downloads: 1,
    download_len: 1_000_000,
    apps: 2,
    idle: Duration::from_secs(1),
};

fn main() -> Result<(), Failure> {
    let (mut size, mut is_json) = (FULL, false);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--quick" => size = QUICK,
            "--json" => is_json = true,
            // Cargo's own.
            "--bench" => {}
            _ => return Err("usage: over_waku [--quick] [--json]".into()),
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(&size, is_json))
}

async fn measure(size: &Size, is_json: bool) -> Result<(), Failure> {
    let mut tables = Vec::new();
    let mut take = |table: Table| {
        if !is_json {
            table.print();
        }
        tables.push(table);
    };
    take(requests::measure(size).await?);
    take(download::measure(size).await?);
    take(memory::measure(size).await?);
    if is_json {
        let tables: Vec<_> = tables.iter().map(Table::json).collect();
        println!("{}", serde_json::to_string_pretty(&tables)?);
    }
    Ok(())
}
