//! How much runs at a time, for a service and for a pairing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A service's places: some run, some wait, the rest is refused.
#[derive(Debug, Clone)]
pub(crate) struct ServiceSlots {
    running: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    max_waiting: usize,
}

/// A service has as many requests waiting as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// The right to call a service; dropped when the call is over.
pub(crate) type Place = OwnedSemaphorePermit;

impl ServiceSlots {
    pub(crate) fn new(max_running: usize, max_waiting: usize) -> Self {
        Self { running: Arc::new(Semaphore::new(max_running)), waiting: Arc::default(), max_waiting }
    }

    /// Waits for a place, in the order of asking.
    pub(crate) async fn place(&self) -> Result<Place, Full> {
        if let Ok(place) = Arc::clone(&self.running).try_acquire_owned() {
            return Ok(place);
        }
        let _waiting = Waiting::join(&self.waiting, self.max_waiting).ok_or(Full)?;
        let place = Arc::clone(&self.running).acquire_owned().await;
        Ok(place.expect("the semaphore is never closed"))
    }
}

/// One that waits; leaves when it is dropped, also when its request was given up.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn join(count: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let more = |waiting| (waiting < most).then_some(waiting + 1);
        count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self(Arc::clone(count)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The requests under way of every pairing that has any.
#[derive(Debug, Clone)]
pub(crate) struct PeerSlots {
    under_way: Arc<Mutex<HashMap<String, usize>>>,
    most: usize,
}

/// One request of a pairing; dropped when it is over.
#[derive(Debug)]
pub(crate) struct PeerPlace {
    slots: PeerSlots,
    pairing: String,
}

impl PeerSlots {
    pub(crate) fn new(most: usize) -> Self {
        Self { under_way: Arc::default(), most }
    }

    /// A place for one more request; nothing when the pairing has as many as it may.
    pub(crate) fn place(&self, pairing: &str) -> Option<PeerPlace> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let count = under_way.get(pairing).copied().unwrap_or_default();
        if count >= self.most {
            return None;
        }
        under_way.insert(pairing.to_owned(), count + 1);
        drop(under_way);
        Some(PeerPlace { slots: self.clone(), pairing: pairing.to_owned() })
    }
}

impl Drop for PeerPlace {
    fn drop(&mut self) {
        let mut under_way = self.slots.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        match under_way.get_mut(&self.pairing) {
            Some(count) if *count > 1 => *count -= 1,
            _ => _ = under_way.remove(&self.pairing),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn who_comes_when_all_places_are_taken_waits_and_who_comes_later_is_refused() {
        let slots = ServiceSlots::new(1, 1);
        let first = slots.place().await.unwrap();
        let second = tokio::spawn({
            let slots = slots.clone();
            async move { slots.place().await.map(|_| ()) }
        });
        yield_now().await;
        assert_eq!(slots.place().await.map(|_| ()), Err(Full));
        drop(first);
        assert_eq!(second.await.unwrap(), Ok(()));
        assert!(slots.place().await.is_ok());
    }

    #[tokio::test]
    async fn who_gives_up_waiting_makes_room_in_the_queue() {
        let slots = ServiceSlots::new(1, 1);
        let _first = slots.place().await.unwrap();
        let waiting = tokio::spawn({
            let slots = slots.clone();
            async move { slots.place().await.map(|_| ()) }
        });
        yield_now().await;
        waiting.abort();
        assert!(waiting.await.is_err());
        assert_eq!(slots.waiting.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn each_pairing_has_its_own_places_and_none_is_remembered_without_need() {
        let slots = PeerSlots::new(2);
        let (first, _second) = (slots.place("a").unwrap(), slots.place("a").unwrap());
        assert!(slots.place("a").is_none());
        let other = slots.place("b").unwrap();
        drop((first, other));
        assert!(slots.place("a").is_some());
        assert_eq!(slots.under_way.lock().unwrap().len(), 1);
    }
}
