//! What a group of keys may do when one operation happens after another, and whether a history is so.
//!
//! The search for an order is `todc-utils`' (Wing and Gong, with Lowe's memory of states seen): find a
//! place for each operation between its invocation and its answer so that each answer is right.

use todc_utils::linearizability::WGLChecker;
use todc_utils::linearizability::history::{Action as Event, History};
use todc_utils::specifications::Specification;

/// Keys of a group. Batches and scans stay within one, so that groups can be judged apart.
pub const KEYS: usize = 3;

/// A value never written before.
pub type Value = u64;
/// A key's number within its group, and its value or that it has none.
pub type Cell = (usize, Option<Value>);

/// What was asked and what the answer said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A get, a multi-get or a scan: the cells it found, of one state.
    Read(Vec<Cell>),
    /// A put, a delete or a batch.
    Write(Vec<Cell>),
    /// A compare-and-swap, or a put if absent.
    Swap {
        key: usize,
        expected: Option<Value>,
        new: Option<Value>,
        outcome: Outcome,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// What the key had instead.
    Refused(Option<Value>),
    Unknown,
}

/// An operation of which it is known when it may have happened.
#[derive(Debug, Clone)]
pub struct Placed {
    pub invoked: u64,
    pub returned: u64,
    pub action: Action,
}

struct Group;

impl Specification for Group {
    type State = [Option<Value>; KEYS];
    type Operation = Action;

    fn init() -> Self::State {
        [None; KEYS]
    }

    fn apply(action: &Action, state: &Self::State) -> (bool, Self::State) {
        let mut next = *state;
        let holds = match action {
            Action::Read(cells) => cells.iter().all(|(key, value)| state[*key] == *value),
            Action::Write(cells) => {
                cells.iter().for_each(|(key, value)| next[*key] = *value);
                true
            }
            Action::Swap {
                key,
                expected,
                new,
                outcome,
            } => {
                let matches = state[*key] == *expected;
                if matches && !matches!(outcome, Outcome::Refused(_)) {
                    next[*key] = *new;
                }
                match outcome {
                    Outcome::Done => matches,
                    Outcome::Refused(current) => !matches && state[*key] == *current,
                    Outcome::Unknown => true,
                }
            }
        };
        (holds, if holds { next } else { *state })
    }
}

/// Whether some order explains these operations.
pub fn is_linearizable(operations: &[Placed]) -> bool {
    let mut events = Vec::new();
    for (number, operation) in operations.iter().enumerate() {
        // A process of its own for each, so that an operation without an answer holds up no other.
        events.push((operation.invoked, number, true));
        events.push((operation.returned, number, false));
    }
    events.sort_unstable();
    let events: Vec<_> = events
        .into_iter()
        .map(|(_, number, is_call)| {
            let action = operations[number].action.clone();
            (
                number,
                if is_call {
                    Event::Call(action)
                } else {
                    Event::Response(action)
                },
            )
        })
        .collect();
    events.is_empty() || WGLChecker::<Group>::is_linearizable(History::from_actions(events))
}

/// The shortest beginning of the history that no order explains, and the keys whose operations alone
/// suffice to show it; `None` when there is an order.
pub fn offence(operations: &[Placed]) -> Option<(Vec<Placed>, Vec<usize>)> {
    if is_linearizable(operations) {
        return None;
    }
    let mut operations = operations.to_vec();
    operations.sort_by_key(|operation| operation.returned);
    // What is no answer yet at the end of a beginning may have happened: it stays, its answer does not.
    let beginning = |length: usize| {
        let end = operations[length - 1].returned;
        let mut some = operations.clone();
        some.retain(|operation| operation.invoked < end);
        for operation in &mut some {
            if operation.returned > end {
                operation.returned = u64::MAX;
                forget_answer(&mut operation.action);
            }
        }
        some.retain(|operation| operation.action != Action::Read(Vec::new()));
        some
    };
    let (mut fine, mut bad) = (0, operations.len());
    while bad - fine > 1 {
        let middle = fine.midpoint(bad);
        if is_linearizable(&beginning(middle)) {
            fine = middle;
        } else {
            bad = middle;
        }
    }
    let shortest = beginning(bad);
    let keys: Vec<_> = (0..KEYS)
        .filter(|key| !is_linearizable(&of_key(&shortest, *key)))
        .collect();
    match keys.first() {
        Some(key) => Some((of_key(&shortest, *key), keys)),
        None => Some((shortest, (0..KEYS).collect())),
    }
}

fn forget_answer(action: &mut Action) {
    match action {
        Action::Read(cells) => cells.clear(),
        Action::Write(_) => {}
        Action::Swap { outcome, .. } => *outcome = Outcome::Unknown,
    }
}

/// What the operations do with one key.
fn of_key(operations: &[Placed], key: usize) -> Vec<Placed> {
    let mut some = operations.to_vec();
    for operation in &mut some {
        match &mut operation.action {
            Action::Read(cells) | Action::Write(cells) => cells.retain(|cell| cell.0 == key),
            Action::Swap { .. } => {}
        }
    }
    some.retain(|operation| match &operation.action {
        Action::Read(cells) | Action::Write(cells) => !cells.is_empty(),
        Action::Swap { key: swapped, .. } => *swapped == key,
    });
    some
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(invoked: u64, returned: u64, action: Action) -> Placed {
        Placed {
            invoked,
            returned,
            action,
        }
    }

    fn write(value: Value) -> Action {
        Action::Write(vec![(0, Some(value))])
    }

    fn read(value: Option<Value>) -> Action {
        Action::Read(vec![(0, value)])
    }

    fn swap(expected: Option<Value>, new: Value, outcome: Outcome) -> Action {
        Action::Swap {
            key: 0,
            expected,
            new: Some(new),
            outcome,
        }
    }

    #[test]
    fn what_overlaps_may_have_happened_in_either_order() {
        for found in [1, 2] {
            let history = [
                at(0, 9, write(1)),
                at(1, 8, write(2)),
                at(10, 11, read(Some(found))),
            ];
            assert!(is_linearizable(&history));
        }
        let in_between = [at(0, 9, write(1)), at(1, 2, read(None))];
        assert!(is_linearizable(&in_between));
    }

    #[test]
    fn a_stale_read_is_an_offence() {
        let history = [
            at(0, 1, write(1)),
            at(2, 3, write(2)),
            at(4, 5, read(Some(1))),
            at(6, 7, write(3)),
        ];
        let (shortest, keys) = offence(&history).unwrap();
        assert_eq!((shortest.len(), keys), (3, vec![0]));
    }

    #[test]
    fn a_lost_update_is_an_offence() {
        let lost = [
            at(0, 1, write(1)),
            at(2, 6, swap(Some(1), 2, Outcome::Done)),
            at(3, 5, swap(Some(1), 3, Outcome::Done)),
        ];
        assert!(offence(&lost).is_some());
        let refused = [
            lost[0].clone(),
            lost[1].clone(),
            at(3, 5, swap(Some(1), 3, Outcome::Refused(Some(2)))),
        ];
        assert!(offence(&refused).is_none());
        let wrong_reason = [
            lost[0].clone(),
            at(3, 5, swap(Some(1), 3, Outcome::Refused(Some(1)))),
        ];
        assert!(offence(&wrong_reason).is_some());
    }

    #[test]
    fn a_batch_seen_in_part_is_an_offence_of_more_than_one_key() {
        let batch = Action::Write(vec![(0, Some(1)), (1, Some(2))]);
        let torn = Action::Read(vec![(0, Some(1)), (1, None)]);
        let (shortest, keys) = offence(&[at(0, 9, batch), at(1, 2, torn)]).unwrap();
        assert_eq!((shortest.len(), keys.len()), (2, KEYS));
    }

    #[test]
    fn an_unknown_swap_may_have_happened_or_not() {
        for found in [1, 2] {
            let history = [
                at(0, 1, write(1)),
                at(2, u64::MAX, swap(Some(1), 2, Outcome::Unknown)),
                at(4, 5, read(Some(found))),
            ];
            assert!(is_linearizable(&history));
        }
    }
}
