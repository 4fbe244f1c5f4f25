//! Requests that wait for their turn.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use waku_noise_session::time::Instant;

use crate::request::{Body, Priority, Request, StreamId};
use crate::stream::Handle;

/// Requests that wait at once.
pub const MAX_QUEUED: usize = 10_000;
/// Bytes of those that wait, and of bodies that are being sent.
pub const MAX_QUEUED_BYTES: usize = 16 * 1024 * 1024;

pub(crate) struct Queued {
    pub(crate) handle: Handle,
    pub(crate) request: Request,
    pub(crate) deadline: Option<Instant>,
}

#[derive(Default)]
pub(crate) struct Queue {
    waiting: BTreeMap<StreamId, Queued>,
    /// By priority, in the order they came; those that left are passed over.
    order: [VecDeque<StreamId>; Priority::ALL.len()],
    deadlines: BTreeSet<(Instant, StreamId)>,
    bytes: usize,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn push(&mut self, queued: Queued) {
        let id = queued.handle.id;
        self.bytes += size(&queued.request);
        self.deadlines.extend(queued.deadline.map(|at| (at, id)));
        if let Some(order) = self.order.get_mut(queued.request.priority as usize) {
            order.push_back(id);
        }
        self.waiting.insert(id, queued);
    }

    pub(crate) fn contains(&self, handle: Handle) -> bool {
        self.waiting.contains_key(&handle.id)
    }

    pub(crate) fn remove(&mut self, id: StreamId) -> Option<Queued> {
        let queued = self.waiting.remove(&id)?;
        self.bytes -= size(&queued.request);
        if let Some(at) = queued.deadline {
            self.deadlines.remove(&(at, id));
        }
        if self.waiting.is_empty() {
            self.order.iter_mut().for_each(VecDeque::clear);
        }
        Some(queued)
    }

    /// The next to have its turn.
    pub(crate) fn pop(&mut self) -> Option<Queued> {
        for priority in 0..self.order.len() {
            while let Some(id) = self.order.get_mut(priority).and_then(VecDeque::pop_front) {
                if let Some(queued) = self.remove(id) {
                    return Some(queued);
                }
            }
        }
        None
    }

    /// The next whose time is over.
    pub(crate) fn pop_expired(&mut self, now: Instant) -> Option<Queued> {
        let &(_, id) = self.deadlines.first().filter(|(at, _)| *at <= now)?;
        self.remove(id)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    pub(crate) fn drain(&mut self) -> Vec<Queued> {
        std::mem::take(self).waiting.into_values().collect()
    }
}

/// What a request takes in memory.
pub(crate) fn size(request: &Request) -> usize {
    let headers: usize = request.headers.iter().map(|header| header.name.len() + header.value.len()).sum();
    let body = if let Body::Whole(bytes) = &request.body { bytes.len() } else { 0 };
    request.method.len() + request.path.len() + headers + body
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn queued(id: u32, priority: Priority, deadline: u64) -> Queued {
        let request = Request { priority, ..Request::new("GET", "/") };
        let deadline = Some(Instant::from_origin(Duration::from_secs(deadline)));
        Queued { handle: Handle { generation: 0, id: StreamId::from(id) }, request, deadline }
    }

    #[test]
    fn what_is_urgent_goes_first_and_the_rest_in_order() {
        let mut queue = Queue::default();
        for (id, priority) in
            [(1, Priority::Bulk), (3, Priority::Alert), (5, Priority::Command), (7, Priority::Alert)]
        {
            queue.push(queued(id, priority, 9));
        }
        queue.remove(StreamId::from(3));
        let order: Vec<u32> = std::iter::from_fn(|| queue.pop()).map(|next| next.handle.id.into()).collect();
        assert_eq!((order, queue.len(), queue.bytes(), queue.deadline()), (vec![5, 7, 1], 0, 0, None));
    }

    #[test]
    fn what_waits_too_long_leaves() {
        let mut queue = Queue::default();
        queue.push(queued(1, Priority::Command, 9));
        queue.push(queued(3, Priority::Command, 5));
        let at = |secs| Instant::from_origin(Duration::from_secs(secs));
        assert!(queue.pop_expired(at(4)).is_none());
        assert_eq!(queue.pop_expired(at(5)).map(|gone| u32::from(gone.handle.id)), Some(3));
        assert_eq!(queue.deadline(), Some(at(9)));
    }
}
