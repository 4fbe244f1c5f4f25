//! What requests take over a network like Waku's: time, messages, bytes, and the processor's time.
//!
//! An app's tunnel and a manager's, with real Noise sessions and Waku messages between them. The network, its clock
//! and its chance are simulated: 150 to 800 ms one way, each message its own time, so that they overtake one another;
//! one in a hundred comes twice, and some are lost. The figures are the same on every machine but for the last table's.
//! A run in which a request does not run exactly once, or its answer does not come whole, ends the program with an
//! error.
//!
//! `cargo bench -p waku-tunnel --bench simulated`, with `-- --quick` for fewer runs, `-- --json` for programs to read.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a measurement that panics has failed"
)]

#[path = "simulated/download.rs"]
mod download;
#[path = "simulated/report.rs"]
mod report;
#[path = "simulated/requests.rs"]
mod requests;
#[path = "simulated/watch.rs"]
mod watch;
#[path = "simulated/world.rs"]
mod world;

use std::error::Error;
use std::time::{Duration, Instant};

use self::report::{Cell, Table, float, mean, percentile};
use self::requests::{Plan, ROUNDS};
use self::world::{Allowance, Carriage, RLN, Weather};

const LOSSES: [u32; 3] = [0, 5, 20];
const PLANS: [Plan; 4] = [
    Plan { name: "GET", batch: 1, apart: Duration::ZERO, is_post: false },
    Plan { name: "10 GETs at once", batch: 10, apart: Duration::ZERO, is_post: false },
    Plan { name: "10 GETs, 10 ms apart", batch: 10, apart: Duration::from_millis(10), is_post: false },
    Plan { name: "POST with a key", batch: 1, apart: Duration::ZERO, is_post: true },
];
const CALM: Weather = Weather { loss: 0, allowance: Allowance::Unlimited };

/// How much is measured.
struct Size {
    /// Runs of small requests, of downloads, and of days.
    requests: u64,
    downloads: u64,
    days: u64,
    hours: u32,
    download_len: usize,
    /// Rounds for the cores alone.
    cores: u32,
}

const FULL: Size =
    Size { requests: 200, downloads: 20, days: 5, hours: 24, download_len: 10_000_000, cores: 5_000 };
const QUICK: Size =
    Size { requests: 10, downloads: 2, days: 1, hours: 3, download_len: 1_000_000, cores: 500 };

fn main() -> Result<(), Box<dyn Error>> {
    let (mut size, mut is_json) = (FULL, false);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--quick" => size = QUICK,
            "--json" => is_json = true,
            // Cargo's own.
            "--bench" => {}
            _ => return Err("usage: simulated [--quick] [--json]".into()),
        }
    }
    let mut tables = Vec::new();
    for measure in [small, large, day, processor] {
        let table = measure(&size);
        if !is_json {
            table.print();
        }
        tables.push(table);
    }
    if is_json {
        let tables: Vec<_> = tables.iter().map(Table::json).collect();
        println!("{}", serde_json::to_string_pretty(&tables)?);
    }
    Ok(())
}

fn text(text: impl Into<String>) -> Cell {
    Cell::Text(text.into())
}

fn small(size: &Size) -> Table {
    let mut rows = Vec::new();
    for plan in PLANS {
        for allowance in [Allowance::Unlimited, Allowance::Full] {
            for loss in LOSSES {
                let mut all = requests::Outcome::default();
                for seed in 0..size.requests {
                    all.add(requests::play(seed, Weather { loss, allowance }, Carriage::Waku, plan, ROUNDS));
                }
                all.took.sort_unstable();
                let each = |count: u64| float(count) / float(all.took.len() as u64);
                let millis = |percent| Cell::Number(percentile(&all.took, percent).as_secs_f64() * 1e3, 0);
                rows.push(vec![
                    text(plan.name),
                    text(allowance.name()),
                    text(format!("{loss} %")),
                    millis(50),
                    millis(99),
                    Cell::Number(each(all.messages as u64), 2),
                    Cell::Number(each(all.repeated), 2),
                    Cell::Number(each(all.bare), 2),
                    Cell::Number(each(all.wire), 0),
                    Cell::Number(each(all.own), 0),
                    Cell::Number(each(all.wire - all.own), 0),
                ]);
            }
        }
    }
    let title = format!(
        "Small requests, {} runs of {ROUNDS} rounds each; the figures are for one request.",
        size.requests
    );
    let columns = vec![
        "Request",
        "budget",
        "loss",
        "p50 ms",
        "p99 ms",
        "messages",
        "repeated",
        "bare acks",
        "bytes on the wire",
        "its own",
        "overhead",
    ];
    Table { title, columns, rows }
}

fn large(size: &Size) -> Table {
    let bodies = [
        ("random", download::noise(size.download_len), false),
        ("JSON", download::validators(size.download_len), true),
    ];
    let mut rows = Vec::new();
    for (name, body, compress) in &bodies {
        for allowance in [Allowance::Unlimited, Allowance::Full, Allowance::Spent] {
            for loss in LOSSES {
                let weather = Weather { loss, allowance };
                let runs: Vec<_> = (0..size.downloads)
                    .map(|seed| download::play(seed, weather, Carriage::Waku, body, *compress))
                    .collect();
                let mut took: Vec<_> = runs.iter().map(|run| run.took).collect();
                took.sort_unstable();
                let of = |value: &dyn Fn(&download::Outcome) -> u64| {
                    mean(runs.iter().map(|run| float(value(run))))
                };
                let wire = of(&|run| run.wire);
                let len = float(body.len() as u64);
                let median = percentile(&took, 50).as_secs_f64();
                rows.push(vec![
                    text(*name),
                    text(allowance.name()),
                    text(format!("{loss} %")),
                    Cell::Number(median, 1),
                    Cell::Number(percentile(&took, 100).as_secs_f64(), 1),
                    Cell::Number(len / median / 1e3, 0),
                    Cell::Number(of(&|run| (run.messages - run.asked) as u64), 1),
                    Cell::Number(of(&|run| run.asked as u64), 1),
                    Cell::Number(of(&|run| run.repeated), 1),
                    Cell::Number((wire / len - 1.0) * 100.0, 1),
                    match allowance {
                        Allowance::Unlimited => Cell::Nothing,
                        _ => Cell::Number(
                            float(runs.iter().map(|run| run.most_in_an_epoch).max().unwrap() as u64),
                            0,
                        ),
                    },
                ]);
            }
        }
    }
    let title = format!(
        "Downloads of {} MB, {} runs each; messages are means.",
        size.download_len / 1_000_000,
        size.downloads
    );
    let columns = vec![
        "Body",
        "budget",
        "loss",
        "p50 s",
        "slowest s",
        "kB/s",
        "messages of the manager",
        "messages of the app",
        "repeated",
        "overhead %",
        "most in an epoch",
    ];
    Table { title, columns, rows }
}

fn day(size: &Size) -> Table {
    let hourly_budget = float(u64::from(RLN.0)) * 3600.0 / RLN.1.as_secs_f64();
    let mut rows = Vec::new();
    for loss in LOSSES {
        let weather = Weather { loss, allowance: Allowance::Full };
        let days: Vec<_> = (0..size.days).map(|seed| watch::play(seed, weather, size.hours)).collect();
        let of = |value: &dyn Fn(&watch::Outcome) -> f64| mean(days.iter().map(value));
        let messages = [0, 1].map(|side| of(&|day| day.messages[side]));
        rows.push(vec![
            text(format!("{loss} %")),
            Cell::Number(of(&|day| day.events), 0),
            Cell::Number(of(&|day| day.told), 1),
            Cell::Number(messages[1], 1),
            Cell::Number(messages[1] / hourly_budget * 100.0, 0),
            Cell::Number(messages[0], 1),
            Cell::Number(messages[0] / hourly_budget * 100.0, 0),
            Cell::Number(of(&|day| day.repeated), 1),
            Cell::Number(of(&|day| day.wire) / 1e3, 0),
            Cell::Number(float(days.iter().map(|day| day.most_in_an_epoch).max().unwrap() as u64), 0),
        ]);
    }
    let title = format!(
        "Watching for {} hours, {} runs: a head each 12 s told once a minute, and 24 kB of history an hour. Figures \
         are for an hour, with RLN's budget of {hourly_budget}.",
        size.hours, size.days
    );
    let columns = vec![
        "loss",
        "heads",
        "told",
        "messages of the manager",
        "% of the manager's budget",
        "messages of the app",
        "% of the app's budget",
        "repeated",
        "kB on the wire",
        "most in an epoch",
    ];
    Table { title, columns, rows }
}

/// In the machine's time, on the one thread that both sides share.
fn processor(size: &Size) -> Table {
    let noise = download::noise(size.download_len);
    let json = download::validators(size.download_len);
    let carriages = [(Carriage::AtOnce, "with Noise and Waku messages"), (Carriage::Bare, "tunnels alone")];
    let mut rows = Vec::new();
    for (carriage, name) in carriages {
        let start = Instant::now();
        let requests = requests::play(1, CALM, carriage, PLANS[1], size.cores).took.len();
        let rate = float(requests as u64) / start.elapsed().as_secs_f64();
        let of_megabyte = |body: &[u8], compress| {
            let mut took: Vec<_> = (0..5)
                .map(|seed| {
                    let start = Instant::now();
                    download::play(seed, CALM, carriage, body, compress);
                    start.elapsed()
                })
                .collect();
            took.sort_unstable();
            percentile(&took, 50).as_secs_f64() * 1e3 / (float(body.len() as u64) / 1e6)
        };
        rows.push(vec![
            text(name),
            Cell::Number(rate, 0),
            Cell::Number(of_megabyte(&noise, false), 2),
            Cell::Number(of_megabyte(&json, true), 2),
        ]);
    }
    let title = "Processor time of both sides and the simulation, in real time on one core.".to_owned();
    let columns = vec!["What", "requests/s, ten at once", "ms a MB, random", "ms a MB, JSON compressed"];
    Table { title, columns, rows }
}
