//! How many messages may be sent: so many in any window of time, with some left for what is more urgent.
//!
//! A network with rate limit proofs counts messages of a membership, whoever they are for. So one budget is shared by all
//! tunnels of a node, and what others send on the same membership is told to it.

use std::collections::VecDeque;
use std::time::Duration;

use waku_noise_session::time::Instant;

use crate::request::Priority;

/// A number of messages for any window of time, wherever it begins.
#[derive(Debug, Clone)]
pub struct Budget {
    messages: u32,
    window: Duration,
    /// When each was given, oldest first: those of a window, and at most as many as there may be.
    given: VecDeque<Instant>,
}

/// Whom a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Handshakes and acknowledgements: they may take the last one.
    Ack,
    /// Everything else.
    Of(Priority),
}

impl Class {
    /// Sixteenths of the budget that are left for more urgent classes.
    fn reserve(self) -> u32 {
        match self {
            Self::Ack => 0,
            Self::Of(Priority::Command) => 1,
            Self::Of(Priority::Alert) => 2,
            Self::Of(Priority::Telemetry) => 3,
            Self::Of(Priority::Bulk) => 4,
        }
    }
}

impl Budget {
    /// At most `messages`, at least one, in any `window`. They may all go at once, but what is bulk goes at once only in the
    /// first half of them, and evenly after that.
    pub fn new(messages: u32, window: Duration) -> Self {
        Self { messages: messages.max(1), window, given: VecDeque::new() }
    }

    /// For networks that count nothing: ten messages a second in the long run, to be polite, and 50 at once.
    pub fn polite() -> Self {
        Self::new(50, Duration::from_secs(5))
    }

    /// When a message of this class may go.
    pub fn ready_at(&self, class: Class) -> Instant {
        let share = self.messages - self.messages.saturating_mul(class.reserve()) / 16;
        let ready = self.fewer_at(share);
        if class != Class::Of(Priority::Bulk) {
            return ready;
        }
        let evenly = self.given.back().map_or(Instant::default(), |at| *at + self.window / share);
        ready.max(self.fewer_at(self.messages / 2).min(evenly))
    }

    /// From when on fewer than so many are in the window, as far as is known.
    fn fewer_at(&self, count: u32) -> Instant {
        let newest = self.given.len().checked_sub(to_usize(count)).and_then(|at| self.given.get(at));
        newest.map_or(Instant::default(), |at| *at + self.window)
    }

    /// Takes a message, if there is one for this class.
    pub fn take(&mut self, now: Instant, class: Class) -> bool {
        let ready = self.ready_at(class) <= now;
        if ready {
            self.spend(now, 1);
        }
        ready
    }

    /// Messages were sent, by somebody else on the same membership too, such as a handshake's. They count even where there
    /// was none left.
    pub fn spend(&mut self, now: Instant, messages: u32) {
        self.given.extend(std::iter::repeat_n(now, to_usize(messages.min(self.messages))));
        let surplus = self.given.len().saturating_sub(to_usize(self.messages));
        self.given.drain(..surplus);
        while self.given.front().is_some_and(|at| *at + self.window <= now) {
            self.given.pop_front();
        }
    }
}

fn to_usize(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::{Rng as _, SeedableRng as _};

    use super::*;

    const ACK: Class = Class::Ack;
    const BULK: Class = Class::Of(Priority::Bulk);
    const WINDOW: Duration = Duration::from_secs(600);

    fn at(secs: u64) -> Instant {
        Instant::from_origin(Duration::from_secs(secs))
    }

    fn take_all(budget: &mut Budget, now: Instant, class: Class) -> u32 {
        let mut taken = 0;
        while budget.take(now, class) {
            taken += 1;
        }
        taken
    }

    fn classes() -> Vec<Class> {
        std::iter::once(ACK).chain(Priority::ALL.map(Class::Of)).collect()
    }

    #[test]
    fn gives_all_at_once_and_more_when_a_window_has_passed() {
        let mut budget = Budget::new(100, WINDOW);
        assert_eq!(take_all(&mut budget, at(1000), ACK), 100);
        assert_eq!(budget.ready_at(ACK), at(1600));
        assert_eq!((1001..1600).map(|second| take_all(&mut budget, at(second), ACK)).sum::<u32>(), 0);
        assert_eq!(take_all(&mut budget, at(1600), ACK), 100);
    }

    #[test]
    fn never_gives_more_than_there_may_be_in_any_window() {
        for seed in 0..300 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut below = |limit: u32| rng.next_u32() % limit;
            let messages = 1 + below(40);
            let mut budget = Budget::new(messages, WINDOW);
            let (mut now, mut sent) = (Duration::ZERO, Vec::new());
            for _ in 0..2000 {
                let longest = 1 << below(17);
                now += Duration::from_millis(below(longest).into());
                let instant = Instant::from_origin(now);
                let class = classes()[below(5) as usize];
                if below(20) == 0 {
                    // Others may send more than there are.
                    let others = below(4);
                    budget.spend(instant, others);
                    sent.extend(std::iter::repeat_n(now, others as usize));
                } else if budget.take(instant, class) {
                    sent.push(now);
                    let in_window = sent.iter().filter(|at| **at + WINDOW > now).count();
                    assert!(in_window <= messages as usize, "seed {seed}: {in_window} of {messages}");
                } else {
                    assert!(budget.ready_at(class) > instant);
                }
                assert!(budget.given.len() <= messages as usize);
            }
        }
    }

    #[test]
    fn what_is_less_urgent_leaves_sixteenths_for_what_is_more() {
        let mut budget = Budget::new(160, Duration::from_secs(160));
        // Bulk comes first, and takes its time for the second half of what it may have.
        let bulk = (1000..1100).map(|second| take_all(&mut budget, at(second), BULK)).sum::<u32>();
        assert_eq!(bulk, 120);
        let more_urgent = [Priority::Telemetry, Priority::Alert, Priority::Command].map(Class::Of);
        assert_eq!(more_urgent.map(|class| take_all(&mut budget, at(1100), class)), [10, 10, 10]);
        assert_eq!(take_all(&mut budget, at(1100), ACK), 10);
    }

    #[test]
    fn a_small_budget_starves_nobody() {
        for messages in 1..40 {
            let mut budget = Budget::new(messages, WINDOW);
            assert!(take_all(&mut budget, at(1000), ACK) == messages);
            for class in classes() {
                let ready = budget.ready_at(class);
                assert!((at(1600)..=at(2200)).contains(&ready), "{messages} messages, {class:?}");
                assert!(budget.clone().take(ready, class));
            }
        }
    }

    #[test]
    fn bulk_goes_at_once_at_first_and_evenly_then() {
        let mut budget = Budget::new(100, WINDOW);
        assert_eq!(take_all(&mut budget, at(1000), BULK), 50);
        let (mut now, mut times) = (at(1000), Vec::new());
        while times.len() < 1000 {
            now = now.max(budget.ready_at(BULK));
            assert!(budget.take(now, BULK));
            times.push(now);
        }
        assert_eq!((times[0], times[24], times[25]), (at(1008), at(1200), at(1600)));
        // A sender that never stops comes to one each eight seconds.
        assert!(times[500..].windows(2).all(|two| two[1] == two[0] + Duration::from_secs(8)));
    }

    #[test]
    fn what_others_sent_counts() {
        let mut budget = Budget::new(10, Duration::from_secs(10));
        budget.spend(at(100), 9);
        assert_eq!(take_all(&mut budget, at(100), ACK), 1);
        budget.spend(at(105), 1000);
        assert_eq!(budget.ready_at(ACK), at(115));
    }

    #[test]
    fn polite_is_ten_a_second_and_fifty_at_once() {
        let mut budget = Budget::polite();
        let taken = (0..60).map(|second| take_all(&mut budget, at(second), ACK)).collect::<Vec<_>>();
        assert_eq!((taken[0], taken.iter().sum::<u32>()), (50, 600));
    }
}
