//! A day of an app that watches: the chain's head, and each hour what was measured.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use waku_tunnel::connection::{Event, Read};
use waku_tunnel::request::{Answer, Kind, Pace, Priority, Request};
use waku_tunnel::stream::Handle;

use crate::download::noise;
use crate::world::{APP, Carriage, Happening, MANAGER, Weather, World};

const HOUR: Duration = Duration::from_secs(3600);
const SLOT: Duration = Duration::from_secs(12);
/// The least time between two messages with events.
const PACE: Duration = Duration::from_secs(60);
/// An hour of figures, one each ten seconds, as they are kept.
const HISTORY: usize = 24_000;

/// What came of it, for an hour.
pub(crate) struct Outcome {
    /// Of the app, and of the manager.
    pub(crate) messages: [f64; 2],
    pub(crate) repeated: f64,
    pub(crate) wire: f64,
    pub(crate) events: f64,
    pub(crate) told: f64,
    pub(crate) most_in_an_epoch: usize,
}

const SLOT_DUE: u64 = 0;
const FETCH_DUE: u64 = 1;

/// Panics unless each event is told or counted as left out, and each fetch ran once.
pub(crate) fn play(seed: u64, weather: Weather, hours: u32) -> Outcome {
    let mut world = World::new(seed, weather, Carriage::Waku);
    let history = noise(HISTORY);
    let pace = Pace { min_interval_ms: u32::try_from(PACE.as_millis()).unwrap(), coalesce: true };
    world.nodes[APP].tunnel.open(world.now(), Request::subscribe("topics=head", pace)).unwrap();
    world.after(SLOT, SLOT_DUE);
    world.after(HOUR / 2, FETCH_DUE);
    let (mut subscription, mut ran) = (None::<Handle>, BTreeSet::new());
    let (mut slots, mut told, mut heard, mut asked, mut got, mut read) = (0_u64, 0_u64, 0, 0_u32, 0_u32, 0);
    let end = HOUR * hours;
    // An hour more for what is left to be said, in which nothing new happens.
    while let Some(happened) = world.run(end + HOUR) {
        for happening in happened {
            match happening {
                Happening::Due(SLOT_DUE) => {
                    if let Some(stream) = subscription {
                        slots += 1;
                        world.nodes[MANAGER].tunnel.notify(stream, 1, head(slots)).unwrap();
                    }
                    if world.now < end {
                        world.after(SLOT, SLOT_DUE);
                    }
                }
                Happening::Due(_) => {
                    let request = Request::new("GET", "/metrics/history?hours=1");
                    world.nodes[APP].tunnel.open(world.now(), request).unwrap();
                    asked += 1;
                    if world.now + HOUR < end {
                        world.after(HOUR, FETCH_DUE);
                    }
                }
                Happening::Event(MANAGER, Event::Requested { stream, request }) => {
                    assert!(ran.insert(stream), "it runs once");
                    let now = world.now().instant;
                    let manager = &mut world.nodes[MANAGER].tunnel;
                    if request.kind == Kind::Subscribe {
                        let answer = Answer { priority: Priority::Alert, ..Answer::new(200) };
                        manager.answer(now, stream, answer).unwrap();
                        subscription = Some(stream);
                    } else {
                        manager.answer_whole(now, stream, Answer::new(200), &history).unwrap();
                    }
                }
                Happening::Event(APP, Event::Readable(stream)) => {
                    while let Some(notice) = world.nodes[APP].tunnel.notice(stream) {
                        told += 1;
                        heard += 1 + notice.missed;
                        assert!(notice.bytes == head(heard), "the latest, and how many were left out");
                    }
                    while let Read::Bytes(bytes) = world.nodes[APP].tunnel.read(stream) {
                        read += bytes.len();
                    }
                }
                Happening::Event(APP, Event::Ended { outcome, .. }) => {
                    assert_eq!(outcome, Ok(()));
                    got += 1;
                }
                Happening::Event(..) => {}
            }
        }
    }
    assert_eq!(heard, slots, "every event is told, or counted as left out");
    assert!(asked == hours && got == hours && read == HISTORY * hours as usize, "every fetch is answered");
    let hourly = |count: u64| {
        #[expect(clippy::cast_precision_loss, reason = "the numbers are far below 2^52")]
        let count = count as f64;
        count / f64::from(hours)
    };
    Outcome {
        messages: [APP, MANAGER].map(|side| hourly(world.nodes[side].published.len() as u64)),
        repeated: hourly(world.repeated()),
        wire: hourly(world.wire()),
        events: hourly(slots),
        told: hourly(told),
        most_in_an_epoch: world.most_in_an_epoch(),
    }
}

fn head(slot: u64) -> Bytes {
    let text = format!(
        "{{\"slot\":\"{slot}\",\"block\":\"0x{slot:064x}\",\"state\":\"0x{slot:064x}\",\"epoch_transition\":false,\
         \"execution_optimistic\":false}}"
    );
    Bytes::from(text)
}
