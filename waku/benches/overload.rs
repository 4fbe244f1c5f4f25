//! Relay under overload: three node processes in a line on loopback, A – B – C.
//!
//! A publishes numbered messages as fast as it takes them, C counts what arrives, B relays. A publisher that is
//! too fast is told so ([`PublishError::Busy`]) and tries the message again, so whatever C misses is a loss of
//! the nodes. B only relays, or keeps an archive in a file too, or is a service node with all there is. What each node
//! counted as dropped, B's processor time and its memory are read besides.
//!
//! Run with `cargo bench -p waku --bench overload [-- MESSAGES]`. With `ENDS="taskset -c 0"` and
//! `MIDDLE="taskset -c 1"` in the environment B has a processor of its own, as on a machine of its own.

#[path = "overload/line.rs"]
mod line;
#[path = "overload/process.rs"]
mod process;
#[path = "overload/role.rs"]
mod role;

use std::error::Error;
use std::iter;

use self::line::Line;

/// Messages published unless another number is given.
const MESSAGES: usize = 100_000;
/// Runs of each kind.
const RUNS: usize = 3;
/// Bytes of payload of each.
const PAYLOAD_LEN: usize = 1400;

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo adds options of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|text| !text.starts_with("--")).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => measure(MESSAGES),
        [role, rest @ ..] if role::is_role(role) => role::play(role, rest),
        [messages] => measure(messages.parse()?),
        _ => Err("usage: overload [MESSAGES]".into()),
    }
}

fn measure(messages: usize) -> Result<(), Box<dyn Error>> {
    println!(
        "{messages} messages with {PAYLOAD_LEN} B of payload, published at A as fast as it takes them\n"
    );
    println!(
        "{:<14} {:>10} {:>6} {:>6} {:>6} {:>9} {:>13} {:>9} {:>9} {:>9}",
        "B",
        "messages/s",
        "lost",
        "drops",
        "busy",
        "waited",
        "CPU of B/msg",
        "RSS first",
        "RSS most",
        "RSS last"
    );
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("archive.redb");
    // In turns, so that what else the machine does touches all.
    let file_name = file.to_str().ok_or("a path that is no text")?;
    let kinds = [("relay only", &[][..]), ("archive", &[file_name]), ("all services", &[file_name, "serve"])];
    for (kind, arguments) in iter::repeat_n(kinds, RUNS).flatten() {
        let outcome = Line::start(arguments)?.run(messages)?;
        if !arguments.is_empty() {
            std::fs::remove_file(&file)?;
        }
        println!(
            "{:<14} {:>10.0} {:>6} {:>6} {:>6} {:>6} ms {:>10.3} ms {:>6} MiB {:>6} MiB {:>6} MiB",
            kind,
            outcome.rate,
            outcome.lost,
            outcome.drops.iter().map(|(_, count)| count).sum::<u64>(),
            outcome.busy,
            outcome.waited_ms,
            outcome.cpu_ms,
            outcome.rss_first >> 20,
            outcome.rss_most >> 20,
            outcome.rss_last >> 20,
        );
        for (name, count) in &outcome.drops {
            println!("    {name} {count}");
        }
    }
    Ok(())
}
