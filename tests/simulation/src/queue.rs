//! What is still to happen, in the order in which it will: by time, then in the order in which it was arranged. What is
//! put off keeps its place among all else that is put off to the same time.

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
    place: Place,
    event: E,
}

/// Where an event stands among those of the same time: by when it was first to happen, then by when it was arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    since: Time,
    number: u64,
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
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
        (other.at, other.place).cmp(&(self.at, self.place))
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
        self.put_off(at, Place { since: at, number: self.arranged }, event);
    }

    /// Arranges an event that was taken for later, in its old place.
    pub(crate) fn put_off(&mut self, at: Time, place: Place, event: E) {
        self.heap.push(Entry { at, place, event });
    }

    pub(crate) fn pop(&mut self) -> Option<(Time, Place, E)> {
        self.heap.pop().map(|entry| (entry.at, entry.place, entry.event))
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
        let order: String = std::iter::from_fn(|| queue.pop()).map(|(_, _, event)| event).collect();
        assert_eq!(order, "abcd");
    }

    #[test]
    fn what_is_put_off_in_turns_stays_in_order() {
        let mut queue = Queue::new();
        for (at, event) in [(9, 'd'), (1, 'a'), (2, 'b'), (4, 'c')] {
            queue.at(at, event);
        }
        // Until 5, which is prolonged to 9 when the third comes.
        let mut order = String::new();
        while let Some((at, place, event)) = queue.pop() {
            match at {
                0..3 => queue.put_off(5, place, event),
                3..9 => queue.put_off(9, place, event),
                _ => order.push(event),
            }
        }
        assert_eq!(order, "abcd");
    }
}
