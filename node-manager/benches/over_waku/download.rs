//! A large body that cannot be compressed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use getrandom::SysRng;
use getrandom::rand_core::{Rng as _, UnwrapErr};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use node_manager::Mode;
use node_manager::app::{Answers, Body, Server};

use crate::client::Client;
use crate::report::{Cell, Table, float, percentile};
use crate::scene::{Budget, REST, Said, Scene, leave_alone};
use crate::{Failure, MODES, Size};

/// A service of the host that answers everything with one body.
struct Files(Bytes);

impl Answers for Files {
    async fn call(self: Arc<Self>, _: Request<Incoming>) -> Response<Body> {
        Response::new(Full::new(self.0.clone()).map_err(|never| match never {}).boxed_unsync())
    }
}

pub(crate) async fn measure(size: &Size) -> Result<Table, Failure> {
    let mut body = vec![0; size.download_len];
    UnwrapErr(SysRng).fill_bytes(&mut body);
    let body = Bytes::from(body);
    let server = Server::start(0, |_| Files(body.clone())).await?;
    let gateway = format!(
        "profile = \"http\"\n[[service]]\nname = \"http\"\nurl = \"http://{}\"\n\
         [[service.rule]]\npaths = [\"/**\"]\nmax_response_bytes = {}\ntimeout_ms = 300000\n",
        server.address(),
        size.download_len
    );
    let mut rows = Vec::new();
    for (mode, name) in MODES {
        for budget in Budget::ALL {
            rows.push([vec![Cell::text(name)], row(size, mode, budget, &gateway, &body).await?].concat());
        }
    }
    let title = format!(
        "Downloads of {} MB, random bytes, {} each; messages for one.",
        size.download_len / 1_000_000,
        size.downloads
    );
    let columns = vec![
        "Both sides",
        "budget",
        "p50 s",
        "slowest s",
        "MB/s",
        "messages of the host",
        "messages of the app",
        "repeated",
    ];
    Ok(Table { title, columns, rows })
}

async fn row(
    size: &Size,
    mode: Mode,
    budget: Budget,
    gateway: &str,
    body: &Bytes,
) -> Result<Vec<Cell>, Failure> {
    let scene = Scene::start(mode, budget, gateway).await?;
    let mut client = Client::connect(scene.endpoint().await?).await?;
    let mut took = Vec::new();
    leave_alone(REST).await;
    let before = scene.sent().await;
    for number in 0..size.downloads {
        if number > 0 {
            scene.refill().await;
        }
        let started = Instant::now();
        let read = client.get("/").await?;
        took.push(started.elapsed());
        if read != *body {
            return Err("what was downloaded is not what was there".into());
        }
    }
    leave_alone(REST).await;
    let sent = scene.sent().await - before;
    scene.stop().await;
    took.sort_unstable();
    let each = |said: u64| Cell::Number(float(said) / float(size.downloads as u64), 1);
    let seconds = |took: Duration| Cell::Number(took.as_secs_f64(), 2);
    let median = percentile(&took, 50);
    let Said { repeated, .. } = sent.host + sent.app;
    Ok(vec![
        Cell::text(budget.name()),
        seconds(median),
        seconds(percentile(&took, 100)),
        Cell::Number(float(body.len() as u64) / 1e6 / median.as_secs_f64(), 2),
        each(sent.host.all),
        each(sent.app.all),
        each(repeated),
    ])
}
