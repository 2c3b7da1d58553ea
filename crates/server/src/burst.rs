//! How the parts of a response leave that come one behind the other within one turn of an event loop: the first at
//! once, those that follow together at the end of the turn. However small an application makes them, a turn then costs
//! few system calls, and it ends: a task that never has to wait for its client would otherwise keep the loop from all
//! others.

use crate::backlog::LOOP_HIGH_WATER;

/// When something is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timing {
    /// At once, as far as the socket takes it.
    AtOnce,
    /// By the reactor, in its next turn, with all that comes until then.
    EndOfTurn,
}

/// Parts after which a task waits for the next turn: they take it some milliseconds.
const PARTS: u32 = 1024;

/// The parts of one turn.
#[derive(Debug, Default)]
pub(crate) struct Burst {
    turn: u64,
    parts: u32,
}

impl Burst {
    /// When the next part is to be sent, if `first` parts of a turn leave at once.
    pub(crate) fn next(&mut self, turn: u64, first: u32) -> Timing {
        if self.turn != turn {
            *self = Burst { turn, parts: 0 };
        }
        self.parts = self.parts.saturating_add(1);
        match self.parts <= first {
            true => Timing::AtOnce,
            false => Timing::EndOfTurn,
        }
    }

    /// Whether the loop should get to do something else before the next part.
    fn is_long(&self) -> bool {
        self.parts >= PARTS
    }

    /// How much may wait for the client, in bytes of memory, before the task does.
    pub(crate) fn limit(&self) -> usize {
        match self.is_long() {
            true => 0,
            false => LOOP_HIGH_WATER,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_parts_of_each_turn_leave_at_once() {
        let mut burst = Burst::default();
        let timings = |burst: &mut Burst, turn| [(); 3].map(|()| burst.next(turn, 2));
        let expected = [Timing::AtOnce, Timing::AtOnce, Timing::EndOfTurn];
        assert_eq!(timings(&mut burst, 7), expected);
        assert_eq!(timings(&mut burst, 8), expected);
        assert_eq!(burst.next(8, 2), Timing::EndOfTurn);
    }

    #[test]
    fn a_turn_has_a_bounded_number_of_parts() {
        let mut burst = Burst::default();
        let count = (0..).take_while(|_| {
            burst.next(1, 1);
            !burst.is_long()
        });
        assert_eq!(count.count(), PARTS as usize - 1);
        burst.next(2, 1);
        assert!(!burst.is_long());
    }
}
