//! The watch with a node to look at.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use waku_gateway::stand_in::StandIn;
use waku_gateway::watch::{Change, Column, History, HistoryFile, Kind, Sample, Watch, WatchConfig};

use crate::house::House;

fn watch(house: &House, history: &Path) -> Watch {
    Watch::start(WatchConfig {
        policy: house.config.policy.clone(),
        thresholds: house.config.thresholds,
        disk_path: "/".into(),
        history: history.to_owned(),
        every: Duration::from_millis(20),
    })
    .unwrap()
}

/// The newest sample that fits.
async fn sample(watch: &mut Watch, fits: impl Fn(&Sample) -> bool) -> Sample {
    while watch.measured().await {
        let history = watch.history();
        if let Some(newest) = history.samples().last().filter(|sample| fits(sample)) {
            return newest.clone();
        }
    }
    panic!("the watch has ended")
}

#[tokio::test]
async fn the_nodes_figures_and_the_hosts_are_in_a_sample() {
    let house = House::nimbus("").await;
    let mut watch = watch(&house, &house.folder.path().join("day"));
    let found = sample(&mut watch, |sample| sample.get(Column::Cpu).is_some()).await;
    assert_eq!(found.get(Column::Peers), Some(150));
    assert_eq!(found.get(Column::SyncDistance), Some(0));
    assert!(found.get(Column::HeadSlot).is_some_and(|slot| slot >= 320));
    assert!(found.get(Column::FinalizedEpoch).is_some_and(|epoch| epoch >= 8));
    assert_eq!(found.get(Column::Missed), Some(0));
    assert_eq!(found.get(Column::Down), Some(0));
    assert!(found.get(Column::DiskFree).is_some_and(|free| free > 0));
    house.stand_in.set_peers(3);
    sample(&mut watch, |sample| sample.get(Column::Peers) == Some(3)).await;
    let history = watch.history();
    assert_eq!(History::decode(&history.encode()), Ok(history));
}

#[tokio::test]
async fn a_node_that_goes_away_is_seen_and_leaves_the_rest_measured() {
    let House { stand_in, config, folder, gateway } = House::nimbus("").await;
    let address = stand_in.address();
    let house = House {
        stand_in: StandIn::start(waku_gateway::stand_in::Options::default()).await.unwrap(),
        config,
        folder,
        gateway,
    };
    let mut watch = watch(&house, &house.folder.path().join("day"));
    sample(&mut watch, |sample| sample.get(Column::Down) == Some(0)).await;
    drop(stand_in);
    // All four services are at its address.
    let found = sample(&mut watch, |sample| sample.get(Column::Down) == Some(0b1111)).await;
    assert_eq!((found.get(Column::Peers), found.get(Column::Missed)), (None, None), "{address} is gone");
    assert!(found.get(Column::Memory).is_some());
}

#[tokio::test]
async fn what_has_been_wrong_for_a_while_is_told_across_a_restart() {
    let house = House::nimbus("").await;
    house.stand_in.set_behind(40);
    let path = house.folder.path().join("day");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 60;
    let mut history = History::default();
    for minute in now - 3..now {
        let mut sample = Sample::new(minute);
        sample.set(Column::SyncDistance, Some(40));
        history.push(sample);
    }
    HistoryFile::open(&path).unwrap().0.save(&history).unwrap();
    let mut watch = watch(&house, &path);
    let Some(Change::Raised(alert)) = watch.next().await else { panic!("nothing was raised") };
    assert_eq!((&alert.kind, alert.since), (&Kind::OutOfSync, now - 3));
    assert!(!alert.runbook.is_empty());
    assert_eq!(watch.raised(), [alert]);
}

#[tokio::test]
async fn the_hosts_clock_is_judged_by_the_blocks_that_come() {
    let house = House::with_slots(Duration::from_secs(1), "").await;
    let mut watch = watch(&house, &house.folder.path().join("day"));
    let found = sample(&mut watch, |sample| sample.get(Column::ClockOffset).is_some()).await;
    assert_eq!(found.get(Column::ClockOffset), Some(0), "both have the same clock");
}

#[tokio::test]
async fn what_was_measured_is_there_after_a_restart() {
    let house = House::nimbus("").await;
    let path = house.folder.path().join("day");
    let mut first = watch(&house, &path);
    sample(&mut first, |_| true).await;
    let history = first.history();
    first.stop().await.unwrap();
    let second = watch(&house, &path);
    assert!(second.history().samples().len() >= history.samples().len());
    assert_eq!(second.history().samples()[0].minute, history.samples()[0].minute);
    assert!(second.raised().is_empty());
}
