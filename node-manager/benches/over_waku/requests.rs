//! Small requests: how long they take, and how many messages.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use waku_gateway::stand_in::{Options, StandIn};

use crate::client::Client;
use crate::report::{Cell, Table, float, percentile};
use crate::scene::{Budget, REST, Scene, leave_alone};
use crate::{Failure, MODES, Size};

const PATH: &str = "/eth/v1/node/syncing";
/// Programs that ask at the same time.
const CLIENTS: usize = 8;

/// How requests follow one another.
#[derive(Clone, Copy)]
enum Plan {
    /// With a rest after each.
    Rested(usize),
    /// Each as soon as the one before it is answered.
    Sequential(usize),
    /// The same, by several programs at a time.
    Concurrent(usize),
}

pub(crate) async fn measure(size: &Size) -> Result<Table, Failure> {
    let beacon = StandIn::start(Options::default()).await?;
    let gateway = format!(
        "profile = \"nimbus\"\n[[service]]\nname = \"beacon\"\nurl = \"http://{}\"\n",
        beacon.address()
    );
    let unlimited =
        [Plan::Rested(size.rested), Plan::Sequential(size.requests), Plan::Concurrent(size.requests)];
    let budgeted = [Plan::Sequential(size.budgeted)];
    let mut rows = Vec::new();
    for (mode, name) in MODES {
        for (budget, plans) in [(Budget::Unlimited, &unlimited[..]), (Budget::Default, &budgeted)] {
            let scene = Scene::start(mode, budget, &gateway).await?;
            for plan in plans {
                rows.push(
                    [vec![Cell::text(name), Cell::text(budget.name())], row(&scene, *plan).await?].concat(),
                );
            }
            scene.stop().await;
        }
    }
    let title = format!(
        "Small requests, GET {PATH}; messages and bare acknowledgements of both sides, for one request."
    );
    let columns = vec![
        "Both sides",
        "budget",
        "requests",
        "number",
        "p50 ms",
        "p99 ms",
        "requests/s",
        "messages",
        "bare acks",
        "repeated",
    ];
    Ok(Table { title, columns, rows })
}

async fn row(scene: &Scene, plan: Plan) -> Result<Vec<Cell>, Failure> {
    let endpoint = scene.endpoint().await?;
    let connecting = try_join_all((0..CLIENTS).map(|_| Client::connect(endpoint)));
    let mut clients = connecting.await?;
    // The first of a connection finds nothing warm.
    let Some(first) = clients.first_mut() else { return Err("no clients".into()) };
    first.get(PATH).await?;
    leave_alone(REST).await;
    let (before, started) = (scene.sent().await, Instant::now());
    let (name, mut took) = match plan {
        Plan::Rested(count) => ("with a rest after each", ask(first, count, REST).await?),
        Plan::Sequential(count) => ("one after the other", ask(first, count, Duration::ZERO).await?),
        Plan::Concurrent(count) => {
            let asking = clients.iter_mut().map(|client| ask(client, count / CLIENTS, Duration::ZERO));
            ("8 at a time", try_join_all(asking).await?.concat())
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    leave_alone(REST).await;
    let sent = scene.sent().await - before;
    let (all, count) = (sent.host + sent.app, float(took.len() as u64));
    took.sort_unstable();
    let each = |messages: u64| Cell::Number(float(messages) / count, 2);
    Ok(vec![
        Cell::text(name),
        Cell::Number(count, 0),
        Cell::millis(percentile(&took, 50)),
        Cell::millis(percentile(&took, 99)),
        Cell::Number(count / seconds, 1),
        each(all.all),
        each(all.bare),
        each(all.repeated),
    ])
}

async fn ask(client: &mut Client, count: usize, rest: Duration) -> Result<Vec<Duration>, Failure> {
    let mut took = Vec::with_capacity(count);
    for _ in 0..count {
        let started = Instant::now();
        let body = client.get(PATH).await?;
        took.push(started.elapsed());
        let answer: serde_json::Value = serde_json::from_slice(&body)?;
        if answer.pointer("/data/is_syncing") != Some(&serde_json::Value::Bool(false)) {
            return Err(format!("not the answer of the service: {answer}").into());
        }
        // A timer takes a millisecond even when it is set to none.
        if !rest.is_zero() {
            leave_alone(rest).await;
        }
    }
    Ok(took)
}
