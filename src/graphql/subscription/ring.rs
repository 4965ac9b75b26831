//! The newest events of a log, kept for all who follow it. Reads nothing.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::error::Error;

/// Every event of a log after `start` that its reader has seen, at most `limit` of them.
#[derive(Debug)]
pub struct Ring<E> {
    start: i64,
    /// By their numbers, in order.
    events: VecDeque<(i64, Arc<E>)>,
    limit: usize,
    end: Option<End>,
}

/// Why its reader reads no more.
#[derive(Debug)]
pub enum End {
    /// The last event was the last one, or what the log is of was removed.
    Over,
    /// It could not read.
    Failed(Arc<Error>),
}

/// What a follower who has seen everything up to a number does next.
#[derive(Debug)]
pub enum Next<E> {
    /// This event follows.
    Event(i64, Arc<E>),
    /// What follows is not kept any more: read it from the database.
    Past,
    /// Nothing follows yet: wait for a change.
    Later,
    /// Nothing more comes.
    Over,
    /// The log went on after its reader had come to the end: join again.
    Again,
    /// Nothing more can be read.
    Failed(Arc<Error>),
}

impl<E> Ring<E> {
    /// An empty one whose reader starts after a number.
    pub fn new(start: i64, limit: usize) -> Self {
        Self { start, events: VecDeque::new(), limit, end: None }
    }

    /// The number of the last event read.
    pub fn at(&self) -> i64 {
        self.events.back().map_or(self.start, |(number, _)| *number)
    }

    /// Takes in what was read; the oldest ones make room.
    pub fn extend(&mut self, events: impl IntoIterator<Item = (i64, Arc<E>)>) {
        self.events.extend(events);
        let surplus = self.events.len().saturating_sub(self.limit);
        if let Some((number, _)) = self.events.drain(..surplus).next_back() {
            self.start = number;
        }
    }

    /// Its reader stops.
    pub fn end(&mut self, end: End) {
        self.end = Some(end);
    }

    /// What follows a number.
    pub fn after(&self, number: i64) -> Next<E> {
        if number < self.start {
            return Next::Past;
        }
        let place = self.events.partition_point(|(other, _)| *other <= number);
        match (self.events.get(place), &self.end) {
            (Some((number, event)), _) => Next::Event(*number, event.clone()),
            (None, None) => Next::Later,
            (None, Some(End::Failed(error))) => Next::Failed(error.clone()),
            (None, Some(End::Over)) if number <= self.at() => Next::Over,
            (None, Some(End::Over)) => Next::Again,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(ring: &Ring<i64>, number: i64) -> String {
        match ring.after(number) {
            Next::Event(number, event) => {
                assert_eq!(number, *event);
                number.to_string()
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_follower_is_given_the_next_event_or_told_where_to_look() {
        let mut ring = Ring::new(4, 3);
        ring.extend((5..=9).map(|number| (number, Arc::new(number))));
        let expected = [(5, "Past"), (6, "7"), (7, "8"), (8, "9"), (9, "Later"), (12, "Later")];
        for (number, next) in expected {
            assert_eq!(told(&ring, number), next, "after {number}");
        }
        ring.end(End::Over);
        for (number, next) in [(5, "Past"), (8, "9"), (9, "Over"), (10, "Again")] {
            assert_eq!(told(&ring, number), next, "after {number}, when it is over");
        }
    }

    #[test]
    fn a_ring_that_never_held_an_event_knows_where_it_stands() {
        let mut ring = Ring::new(4, 3);
        assert_eq!([told(&ring, 3), told(&ring, 4)], ["Past", "Later"]);
        ring.end(End::Failed(Arc::new(Error::not_found("runId", "run", "x"))));
        assert_eq!(told(&ring, 3), "Past");
        assert!(told(&ring, 4).starts_with("Failed"));
    }
}
