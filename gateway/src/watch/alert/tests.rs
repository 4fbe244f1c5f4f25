use super::super::{Column, History};
use super::*;

/// A watch over time: each minute a value, and what was told.
struct Story {
    history: History,
    alerts: Alerts,
    minute: u64,
    told: Vec<(u64, String)>,
}

impl Story {
    fn new() -> Self {
        let alerts = Alerts::new(Thresholds::default(), ["beacon", "metrics"].map(str::to_owned));
        Self { history: History::default(), alerts, minute: 1000, told: Vec::new() }
    }

    fn minutes(&mut self, column: Column, values: impl IntoIterator<Item = Option<i64>>) -> &mut Self {
        for value in values {
            self.minute += 1;
            let mut sample = Sample::new(self.minute);
            sample.set(column, value);
            self.history.push(sample);
            for change in self.alerts.observe(self.history.samples()) {
                let text = match change {
                    Change::Raised(alert) => alert.text,
                    Change::Cleared(alert) => format!("cleared: {}", alert.text),
                };
                self.told.push((self.minute - 1000, text));
            }
        }
        self
    }

    fn told(&self) -> Vec<(u64, &str)> {
        self.told.iter().map(|(minute, text)| (*minute, text.as_str())).collect()
    }
}

fn steady(value: i64, minutes: usize) -> impl Iterator<Item = Option<i64>> {
    std::iter::repeat_n(Some(value), minutes)
}

#[test]
fn what_is_wrong_for_a_while_is_told_once_and_again_when_it_is_right() {
    let mut story = Story::new();
    story.minutes(Column::SyncDistance, steady(0, 10).chain(steady(40, 60)).chain(steady(0, 60)));
    let expected = [(14, "the node is 40 slots behind"), (74, "cleared: the node is 40 slots behind")];
    assert_eq!(story.told(), expected);
    assert_eq!(story.alerts.raised().count(), 0);
}

#[test]
fn what_goes_back_and_forth_around_a_limit_is_told_once() {
    let mut story = Story::new();
    story.minutes(Column::SyncDistance, steady(9, 5));
    for _ in 0..100 {
        story.minutes(Column::SyncDistance, [Some(9), Some(8), Some(0), Some(0), Some(6)]);
    }
    assert_eq!(story.told(), [(4, "the node is 9 slots behind")]);
    assert_eq!(story.alerts.raised().count(), 1);
}

#[test]
fn a_short_slip_is_not_told() {
    let mut story = Story::new();
    for _ in 0..20 {
        story.minutes(Column::Peers, steady(3, 5).chain(steady(50, 5)));
    }
    assert_eq!(story.told(), []);
}

#[test]
fn what_is_not_known_is_neither_wrong_nor_right() {
    let mut story = Story::new();
    story.minutes(Column::Peers, steady(3, 10));
    story.minutes(Column::Peers, std::iter::repeat_n(None, 100));
    assert_eq!(story.told(), [(6, "the node has 3 peers")]);
    story.minutes(Column::Peers, steady(11, 100));
    assert_eq!(story.told().len(), 1, "11 of 10 peers are between low and enough");
    story.minutes(Column::Peers, steady(13, 6));
    assert_eq!(story.told().last(), Some(&(216, "cleared: the node has 3 peers")));
}

#[test]
fn one_missed_attestation_is_ordinary_and_two_are_told() {
    let mut story = Story::new();
    story.minutes(Column::Missed, steady(5, 30).chain(steady(6, 60)));
    assert_eq!(story.told(), []);
    story.minutes(Column::Missed, steady(7, 5).chain(steady(8, 60)));
    let told = story.told();
    assert_eq!(told[0], (96, "2 attestations were missed within 20 minutes"));
    assert!(told.len() == 2 && told[1].1.starts_with("cleared"), "{told:?}");
}

#[test]
fn a_restart_of_the_node_is_no_missed_attestation() {
    let mut story = Story::new();
    story.minutes(Column::Missed, steady(900, 30).chain(steady(0, 30)));
    assert_eq!(story.told(), []);
}

#[test]
fn a_disk_that_fills_is_told_days_before_it_is_full() {
    let mut story = Story::new();
    // 1 MiB a minute of 7000: 4.9 days.
    story.minutes(Column::DiskFree, (0..120).map(|minute| Some(7000 - minute)));
    assert_eq!(story.told(), [(91, "the disk will be full in 4.8 days")]);
    // Somebody makes room: the trend turns when what was before is forgotten.
    story.minutes(Column::DiskFree, steady(500_000, 12 * 60));
    assert_eq!(story.told().len(), 2);
}

#[test]
fn a_disk_that_breathes_is_not_told() {
    let mut story = Story::new();
    story.minutes(Column::DiskFree, (0..1440).map(|minute| Some(50_000 + (minute % 60) * 20)));
    assert_eq!(story.told(), []);
}

#[test]
fn a_disk_that_is_all_but_full_is_told_without_a_trend() {
    let mut story = Story::new();
    story.minutes(Column::DiskFree, steady(100, 31));
    assert_eq!(story.told(), [(31, "the disk has 100 MiB left")]);
}

#[test]
fn a_clock_that_is_behind_is_told_as_one_that_is_ahead() {
    for (offset, text) in [(-2500, "at least 2500 ms behind"), (1001, "at least 1001 ms ahead")] {
        let mut story = Story::new();
        story.minutes(Column::ClockOffset, steady(offset, 10));
        assert!(story.told().len() == 1 && story.told()[0].1.ends_with(text), "{:?}", story.told());
    }
}

#[test]
fn each_service_that_is_down_is_told_by_its_name() {
    let mut story = Story::new();
    story.minutes(Column::Down, steady(0b10, 5).chain(steady(0b11, 5)).chain(steady(0, 5)));
    let told = story.told();
    assert_eq!(told[0], (3, "the service `metrics` does not answer"));
    assert_eq!(told[1], (8, "the service `beacon` does not answer"));
    assert_eq!(told.len(), 4);
}

#[test]
fn after_a_restart_nothing_is_told_twice() {
    let mut story = Story::new();
    story.minutes(Column::SyncDistance, steady(40, 60));
    assert_eq!(story.told().len(), 1);
    story.alerts = Alerts::new(Thresholds::default(), []);
    story.alerts.replay(story.history.samples());
    story.minutes(Column::SyncDistance, steady(40, 60));
    assert_eq!(story.told().len(), 1);
    story.minutes(Column::SyncDistance, steady(0, 5));
    assert_eq!(story.told().len(), 2);
}
