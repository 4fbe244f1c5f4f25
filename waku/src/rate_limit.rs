//! How often a protocol is served, in all and to one peer. No clock: time is an argument.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::PeerId;

/// Peers whose rates are remembered. Those who were silent longest are forgotten first.
const MAX_PEERS: usize = 10_000;

/// So many requests in so much time; a burst may use all of them at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rate {
    /// Requests.
    pub volume: u32,
    /// In how much time.
    pub period: Duration,
    /// How places come back.
    pub refill: Refill,
}

/// How the places for requests come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refill {
    /// One after the other, evenly over the period.
    Evenly,
    /// All when a period is over; the first request begins the next one.
    AtOnce,
}

impl Rate {
    /// So many requests in so much time, places coming back evenly.
    pub const fn new(volume: u32, period: Duration) -> Self {
        Self { volume, period, refill: Refill::Evenly }
    }

    /// So many requests in each period, and not one more.
    pub const fn each(volume: u32, period: Duration) -> Self {
        Self { volume, period, refill: Refill::AtOnce }
    }
}

/// How often a protocol is served; `None` is without a limit. What is refused is answered with status 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RateLimit {
    /// To all peers together.
    pub total: Option<Rate>,
    /// To each peer.
    pub per_peer: Option<Rate>,
}

/// A protocol's limit with what was used of it.
#[derive(Debug)]
pub(crate) struct Limiter {
    limit: RateLimit,
    total: Option<Bucket>,
    peers: HashMap<PeerId, Bucket>,
}

impl Limiter {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self { limit, total: None, peers: HashMap::new() }
    }

    /// Takes a place for one request; false when there is none.
    pub(crate) fn take(&mut self, peer: PeerId, now: Instant) -> bool {
        let fits = |bucket: &mut Bucket, rate| {
            bucket.refill(rate, now);
            bucket.tokens >= 1.0
        };
        if let Some(rate) = self.limit.per_peer {
            self.make_room(&peer, rate, now);
            if !fits(self.peers.entry(peer).or_insert_with(|| Bucket::full(rate, now)), rate) {
                return false;
            }
        }
        if let Some(rate) = self.limit.total
            && !fits(self.total.get_or_insert_with(|| Bucket::full(rate, now)), rate)
        {
            return false;
        }
        // Only what is served counts against anybody.
        for bucket in self.total.iter_mut().chain(self.peers.get_mut(&peer)) {
            bucket.tokens -= 1.0;
        }
        true
    }

    fn make_room(&mut self, peer: &PeerId, rate: Rate, now: Instant) {
        if self.peers.len() < MAX_PEERS || self.peers.contains_key(peer) {
            return;
        }
        // A full bucket is as good as none.
        self.peers.retain(|_, bucket| now.saturating_duration_since(bucket.since) < rate.period);
        if self.peers.len() >= MAX_PEERS
            && let Some(oldest) =
                self.peers.iter().min_by_key(|(_, bucket)| bucket.since).map(|(peer, _)| *peer)
        {
            self.peers.remove(&oldest);
        }
    }
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    since: Instant,
}

impl Bucket {
    fn full(rate: Rate, now: Instant) -> Self {
        Self { tokens: rate.volume.into(), since: now }
    }

    fn refill(&mut self, rate: Rate, now: Instant) {
        let volume = f64::from(rate.volume);
        let elapsed = now.saturating_duration_since(self.since);
        let gained = match rate.refill {
            _ if elapsed >= rate.period => volume,
            Refill::AtOnce => return,
            Refill::Evenly => elapsed.as_secs_f64() / rate.period.as_secs_f64() * volume,
        };
        self.tokens = (self.tokens + gained).min(volume);
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn limiter(total: Option<u32>, per_peer: Option<u32>) -> Limiter {
        let rate = |volume: Option<u32>| volume.map(|volume| Rate::new(volume, MINUTE));
        Limiter::new(RateLimit { total: rate(total), per_peer: rate(per_peer) })
    }

    fn taken(limiter: &mut Limiter, peer: PeerId, now: Instant, tries: u32) -> usize {
        (0..tries).filter(|_| limiter.take(peer, now)).count()
    }

    #[test]
    fn without_a_limit_everything_is_served() {
        assert_eq!(taken(&mut limiter(None, None), PeerId::random(), Instant::now(), 1000), 1000);
    }

    #[test]
    fn one_peer_gets_its_share_and_another_one_too() {
        let (mut limiter, now) = (limiter(None, Some(30)), Instant::now());
        let (a, b) = (PeerId::random(), PeerId::random());
        assert_eq!(taken(&mut limiter, a, now, 100), 30);
        assert_eq!(taken(&mut limiter, b, now, 100), 30);
    }

    #[test]
    fn all_peers_together_get_the_total() {
        let (mut limiter, now) = (limiter(Some(50), Some(30)), Instant::now());
        assert_eq!(taken(&mut limiter, PeerId::random(), now, 100), 30);
        assert_eq!(taken(&mut limiter, PeerId::random(), now, 100), 20);
    }

    #[test]
    fn what_is_refused_does_not_count() {
        let (mut limiter, now) = (limiter(Some(10), Some(5)), Instant::now());
        let flooder = PeerId::random();
        assert_eq!(taken(&mut limiter, flooder, now, 1000), 5);
        assert_eq!(taken(&mut limiter, PeerId::random(), now, 1000), 5);
    }

    #[test]
    fn places_come_back_with_time_but_never_more_than_the_volume() {
        let (mut limiter, now, peer) = (limiter(None, Some(30)), Instant::now(), PeerId::random());
        assert_eq!(taken(&mut limiter, peer, now, 100), 30);
        assert_eq!(taken(&mut limiter, peer, now + Duration::from_secs(2), 100), 1);
        assert_eq!(taken(&mut limiter, peer, now + 10 * MINUTE, 100), 30);
    }

    #[test]
    fn places_of_a_period_come_back_when_it_is_over() {
        let per_peer = Some(Rate::each(30, MINUTE));
        let mut limiter = Limiter::new(RateLimit { total: None, per_peer });
        let (now, peer) = (Instant::now(), PeerId::random());
        assert_eq!(taken(&mut limiter, peer, now, 20), 20);
        assert_eq!(taken(&mut limiter, peer, now + Duration::from_secs(59), 100), 10);
        assert_eq!(taken(&mut limiter, peer, now + MINUTE, 100), 30);
        assert_eq!(taken(&mut limiter, peer, now + MINUTE + Duration::from_secs(59), 100), 0);
        assert_eq!(taken(&mut limiter, peer, now + 10 * MINUTE, 100), 30);
    }

    #[test]
    fn a_clock_that_steps_back_gives_nothing_and_breaks_nothing() {
        let (mut limiter, now, peer) = (limiter(None, Some(1)), Instant::now() + MINUTE, PeerId::random());
        assert!(limiter.take(peer, now));
        assert!(!limiter.take(peer, now.checked_sub(MINUTE).unwrap()));
    }

    #[test]
    fn remembers_a_bounded_number_of_peers() {
        let (mut limiter, now) = (limiter(None, Some(1)), Instant::now());
        for number in 0..=MAX_PEERS as u64 {
            assert!(limiter.take(PeerId::random(), now + Duration::from_micros(number)));
        }
        assert_eq!(limiter.peers.len(), MAX_PEERS);
    }
}
