//! Questions of the arbiter to a worker, and the worker's answers: a page range of shared memory for each slot. The
//! worker waits for a question on a futex, so it costs nothing while there is none; and a worker that never answers,
//! or dies in the middle, keeps no other process waiting.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rustix::thread::futex;

use crate::shared_pages;

/// The most bytes of an answer; the rest is cut off. The stacks of some hundred threads and tasks.
pub const REPORT_BYTES: usize = 128 * 1024;

const WORDS: usize = REPORT_BYTES / 8;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Question {
    /// Where its threads, tasks and greenlets stand.
    Stacks = 1,
    /// Which requests are with the application.
    Requests = 2,
}

/// Names a question that was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticket(u32);

/// The bits of a ticket that say what is asked; the others count.
const KIND_BITS: u32 = 4;

impl Ticket {
    /// What is asked; `None` for nothing.
    #[must_use]
    pub fn question(self) -> Option<Question> {
        match self.0 & ((1 << KIND_BITS) - 1) {
            1 => Some(Question::Stacks),
            2 => Some(Question::Requests),
            _ => None,
        }
    }
}

/// The question and the answer of one slot. All bytes zero is no question.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct ReportCell {
    asked: AtomicU32,
    answered: AtomicU32,
    length: AtomicU64,
    text: [AtomicU64; WORDS],
}

// SAFETY: all fields are atomics, for which zeros are a valid value.
unsafe impl shared_pages::Cell for ReportCell {}

impl ReportCell {
    /// Forgets what was asked of the worker before.
    pub(crate) fn clear(&self) {
        self.asked.store(0, Ordering::Relaxed);
        self.answered.store(0, Ordering::Release);
    }

    /// Asks. Where the same question waits for its answer already, that is the one; `None` where another one does.
    pub(crate) fn ask(&self, question: Question) -> Option<Ticket> {
        let pending = Ticket(self.asked.load(Ordering::Relaxed));
        if pending.0 != self.answered.load(Ordering::Acquire) {
            return Some(pending).filter(|pending| pending.question() == Some(question));
        }
        let number = (pending.0 >> KIND_BITS).wrapping_add(1);
        let ticket = Ticket(number << KIND_BITS | question as u32);
        self.asked.store(ticket.0, Ordering::Release);
        // A worker that does not wait sees the word when it comes to it.
        let _ = futex::wake(&self.asked, futex::Flags::empty(), u32::MAX >> 1);
        Some(ticket)
    }

    /// Whether this is the question that was asked last.
    pub(crate) fn is_asked(&self, ticket: Ticket) -> bool {
        self.asked.load(Ordering::Relaxed) == ticket.0
    }

    /// The answer, once it is there. An answer to a later question is none.
    pub(crate) fn answer(&self, ticket: Ticket) -> Option<Vec<u8>> {
        // Where another question stands, the worker may be writing over the text.
        if !self.is_asked(ticket) || self.answered.load(Ordering::Acquire) != ticket.0 {
            return None;
        }
        let length = usize::try_from(self.length.load(Ordering::Relaxed)).unwrap_or(REPORT_BYTES);
        let words = self.text.iter().take(length.div_ceil(8));
        let mut text: Vec<u8> = words
            .flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes())
            .collect();
        text.truncate(length);
        Some(text)
    }

    /// Waits for another question than the last.
    pub(crate) fn wait(&self, last: Ticket) -> Ticket {
        loop {
            let asked = self.asked.load(Ordering::Acquire);
            if asked != last.0 && asked != 0 {
                return Ticket(asked);
            }
            // Interrupted or not, the word says what is asked.
            let _ = futex::wait(&self.asked, futex::Flags::empty(), asked, None);
        }
    }

    /// Answers.
    pub(crate) fn tell(&self, ticket: Ticket, text: &[u8]) {
        let text = &text[..text.len().min(REPORT_BYTES)];
        for (word, bytes) in self.text.iter().zip(text.chunks(8)) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(padded), Ordering::Relaxed);
        }
        self.length.store(text.len() as u64, Ordering::Relaxed);
        self.answered.store(ticket.0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoreboard::Scoreboard;

    #[test]
    fn a_question_is_answered() {
        let slot = Scoreboard::new(1).expect("mmap").slot(0);
        let ticket = slot.ask(Question::Stacks).expect("asked");
        assert_eq!(slot.ask(Question::Stacks), Some(ticket), "it waits already");
        assert_eq!(slot.ask(Question::Requests), None);
        assert_eq!(slot.answer(ticket), None);
        let seen = slot.next_question(Ticket::default());
        assert_eq!((seen, seen.question()), (ticket, Some(Question::Stacks)));
        slot.tell(seen, b"nine bytes");
        assert_eq!(slot.answer(ticket).as_deref(), Some(&b"nine bytes"[..]));
        let next = slot.ask(Question::Requests).expect("asked");
        assert_eq!(slot.answer(next), None);
        slot.tell(next, &[b'x'; REPORT_BYTES + 1]);
        assert_eq!(slot.answer(next).map(|text| text.len()), Some(REPORT_BYTES));
        assert_eq!(slot.answer(ticket), None);
    }

    #[test]
    fn a_thread_that_waits_is_woken() {
        let slot = Scoreboard::new(1).expect("mmap").slot(0);
        let other = slot.clone();
        let waiting = std::thread::spawn(move || other.next_question(Ticket::default()));
        let ticket = slot.ask(Question::Requests);
        assert_eq!(Some(waiting.join().expect("no panic")), ticket);
    }
}
