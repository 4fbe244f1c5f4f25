//! Orders that come at the same time, and orders that change nothing.

use tokio::task::JoinSet;
use waku_supervisor::State;

use crate::bench::Bench;

const SLOW_TO_END: &str = "trap 'sleep 0.1; echo end; exit 0' TERM; echo begin; while :; do sleep 0.05; done";

#[tokio::test]
async fn a_start_of_what_runs_and_a_stop_of_what_does_not_change_nothing() {
    let bench = Bench::script(SLOW_TO_END, "");
    assert_eq!(bench.supervisor.stop("a").await.unwrap(), bench.supervisor.status("a").await.unwrap());
    let first = bench.supervisor.start("a").await.unwrap();
    assert_eq!(bench.supervisor.start("a").await.unwrap(), first);
    bench.line("begin").await;
    let stopped = bench.supervisor.stop("a").await.unwrap();
    assert_eq!(bench.supervisor.stop("a").await.unwrap(), stopped);
    let said = bench.said().await;
    let marks: Vec<_> = said.iter().filter(|line| ["begin", "end"].contains(&line.as_str())).collect();
    assert_eq!(marks, ["begin", "end"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_at_the_same_time_are_carried_out_one_after_the_other() {
    let bench = Bench::script(SLOW_TO_END, "restart = 'never'");
    let mut orders = JoinSet::new();
    for number in 0..12 {
        let supervisor = bench.supervisor.clone();
        orders.spawn(async move {
            match number % 3 {
                0 => supervisor.start("a").await,
                1 => supervisor.stop("a").await,
                _ => supervisor.restart("a").await,
            }
        });
    }
    while let Some(order) = orders.join_next().await {
        order.unwrap().unwrap();
    }
    assert_eq!(bench.supervisor.stop("a").await.unwrap().state, State::Stopped);
    // Who is stopped before it spoke says nothing; but nobody begins before the one before has ended.
    let lines: Vec<_> = bench.log().await.into_iter().map(|line| line.text).collect();
    let marks = lines.iter().filter(|line| line.starts_with("started") || line.starts_with("ended"));
    let marks: Vec<_> = marks.map(|line| line.starts_with("started")).collect();
    assert!(marks.len() >= 8 && marks.chunks(2).all(|pair| pair == [true, false]), "{lines:?}");
}

#[tokio::test]
async fn orders_beyond_what_may_wait_are_refused() {
    let bench = Bench::script("trap '' TERM; echo begin; while :; do sleep 1; done", "stop_seconds = 1");
    bench.supervisor.start("a").await.unwrap();
    bench.line("begin").await;
    let mut orders = JoinSet::new();
    for _ in 0..40 {
        let supervisor = bench.supervisor.clone();
        orders.spawn(async move { supervisor.stop("a").await.map_err(|error| error.code()) });
    }
    let results = orders.join_all().await;
    let refused = results.iter().filter(|result| matches!(result, Err("busy"))).count();
    let done = results.iter().filter(|result| result.is_ok()).count();
    assert!(refused >= 20 && done >= 16 && refused + done == 40, "{refused} and {done}");
}

#[tokio::test]
async fn an_order_whose_future_is_dropped_is_carried_out() {
    let bench = Bench::script(SLOW_TO_END, "");
    bench.supervisor.start("a").await.unwrap();
    bench.line("begin").await;
    tokio::select! {
        biased;
        _ = bench.supervisor.stop("a") => panic!("it takes a moment to end"),
        () = tokio::task::yield_now() => {}
    }
    bench.until_state(State::Stopped).await;
}
