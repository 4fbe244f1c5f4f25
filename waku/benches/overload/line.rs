//! A – B – C: three processes, and what is measured on them.

use std::error::Error;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use super::process::Process;

/// Time between two looks at B's memory.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Counters that must stay at zero: whatever a node did not pass on.
const DROPS: [&str; 7] = [
    "waku_relay_send_dropped_total",
    "waku_relay_validation_overflow_total",
    "waku_relay_ignored_total",
    "waku_relay_rejected_total",
    "waku_relay_reader_missed_total",
    "waku_archive_dropped_total",
    "waku_archive_refused_timestamp_total",
];

/// Microseconds in which a node took in nothing.
const WAITED: &str = "waku_relay_waited_micros_total";

pub(crate) struct Line {
    a: Process,
    b: Process,
    c: Process,
}

pub(crate) struct Outcome {
    /// Messages a second at C.
    pub(crate) rate: f64,
    pub(crate) lost: usize,
    /// How often A was told that it is too fast.
    pub(crate) busy: u64,
    /// Time in which B took in nothing, for C was behind, in milliseconds.
    pub(crate) waited_ms: u64,
    /// Counters of drops that are not zero, with the node before each.
    pub(crate) drops: Vec<(String, u64)>,
    /// Processor time of B for one message, in milliseconds.
    pub(crate) cpu_ms: f64,
    /// Resident memory of B before, at most during, and after the run, in bytes.
    pub(crate) rss_first: u64,
    pub(crate) rss_most: u64,
    pub(crate) rss_last: u64,
}

impl Line {
    /// Starts the three, B with these arguments, and waits until they know each other.
    pub(crate) fn start(arguments: &[&str]) -> Result<Self, Box<dyn Error>> {
        let arguments = [&["relay"], arguments].concat();
        let mut b = Process::spawn("MIDDLE", &arguments)?;
        let address = b.hear("address ")?;
        let mut c = Process::spawn("ENDS", &["receiver", &address])?;
        let mut a = Process::spawn("ENDS", &["publisher", &address])?;
        for end in [&mut a, &mut c] {
            end.hear("address ")?;
            end.hear("ready")?;
        }
        Ok(Self { a, b, c })
    }

    pub(crate) fn run(mut self, messages: usize) -> Result<Outcome, Box<dyn Error>> {
        let (cpu_before, rss_first) = (self.b.cpu_ms()?, self.b.rss()?);
        self.c.say(&messages.to_string())?;
        self.a.say(&messages.to_string())?;
        let Self { a, b, c } = &mut self;
        let watched = &*b;
        let (received, rss_most) = thread::scope(|scope| {
            let (done, is_done) = sync_channel::<()>(0);
            let most = scope.spawn(move || {
                let mut most = 0;
                while is_done.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                    most = watched.rss().unwrap_or_default().max(most);
                }
                most
            });
            let received = c.hear("received ").map_err(|error| error.to_string());
            drop(done);
            (received, most.join().unwrap_or_default())
        });
        let received = received?;
        let busy = a.hear("busy ")?.parse()?;
        let cpu = b.cpu_ms()? - cpu_before;
        let rss_last = b.rss()?;
        let (count, micros) = received.split_once(' ').ok_or("no time")?;
        let (count, micros): (usize, u64) = (count.parse()?, micros.parse()?);
        let (mut drops, mut waited_ms) = (Vec::new(), 0);
        for (name, process) in [("A", a), ("B", b), ("C", c)] {
            for (counter, count) in counted(process)? {
                if DROPS.contains(&counter.as_str()) && count > 0 {
                    drops.push((format!("{name} {counter}"), count));
                } else if name == "B" && counter == WAITED {
                    waited_ms = count / 1000;
                }
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "the counts are far below 2^52")]
        let (rate, cpu_ms) = (count as f64 * 1e6 / micros.max(1) as f64, cpu / count.max(1) as f64);
        Ok(Outcome {
            rate,
            lost: messages - count,
            busy,
            waited_ms,
            drops,
            cpu_ms,
            rss_first,
            rss_most,
            rss_last,
        })
    }
}

/// A node's counters.
fn counted(process: &mut Process) -> Result<Vec<(String, u64)>, Box<dyn Error>> {
    process.say("end")?;
    let mut counters = Vec::new();
    loop {
        let line = process.hear("")?;
        let Some((name, count)) = line.split_once(' ') else {
            return if line == "end" { Ok(counters) } else { Err(format!("a node said {line:?}").into()) };
        };
        counters.push((name.to_owned(), count.parse()?));
    }
}
