//! What is still to happen, in the order in which it will: by time, then in the order in which it was arranged.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Simulated time since the beginning, in microseconds.
pub(crate) type Time = u64;
/// A millisecond.
pub(crate) const MS: Time = 1_000;
/// A second.
pub(crate) const S: Time = 1_000_000;

struct Entry<E> {
    at: Time,
    number: u64,
    event: E,
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    /// The earliest is the greatest, as the heap yields the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

/// The queue of events.
pub(crate) struct Queue<E> {
    heap: BinaryHeap<Entry<E>>,
    arranged: u64,
}

impl<E> Queue<E> {
    pub(crate) const fn new() -> Self {
        Self { heap: BinaryHeap::new(), arranged: 0 }
    }

    pub(crate) fn at(&mut self, at: Time, event: E) {
        self.arranged += 1;
        self.heap.push(Entry { at, number: self.arranged, event });
    }

    pub(crate) fn pop(&mut self) -> Option<(Time, E)> {
        self.heap.pop().map(|entry| (entry.at, entry.event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_equals_in_order() {
        let mut queue = Queue::new();
        for (at, event) in [(5, 'c'), (1, 'a'), (5, 'd'), (1, 'b')] {
            queue.at(at, event);
        }
        let order: String = std::iter::from_fn(|| queue.pop()).map(|(_, event)| event).collect();
        assert_eq!(order, "abcd");
    }
}
