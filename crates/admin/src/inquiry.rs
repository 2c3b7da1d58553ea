//! A question to workers, whose answers are awaited for a while: the arbiter goes on meanwhile, and a worker that does
//! not answer is named.

use std::time::Duration;

use arbiter::Status;
use serde_json::{Value, json};
use sys::reports::{Question, Ticket};

/// How long a worker may take to answer. Where its threads are stuck it takes some hundred milliseconds.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often it is looked whether the answers are there.
const PAUSE: Duration = Duration::from_millis(10);

/// What a command asks of workers.
#[derive(Debug)]
pub(crate) struct Inquiry {
    question: Question,
    asked: Vec<Asked>,
    until: Duration,
    next_look: Duration,
}

/// One worker.
#[derive(Debug)]
struct Asked {
    pid: i32,
    slot: usize,
    ticket: Option<Ticket>,
    answer: Option<Vec<u8>>,
}

impl Inquiry {
    /// The inquiry that a command is; nothing for any other command.
    ///
    /// # Errors
    ///
    /// A sentence on what is wrong with it.
    pub(crate) fn of(
        words: &[String],
        status: &Status<'_>,
        now: Duration,
    ) -> Option<Result<Inquiry, String>> {
        let lower: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
        let words: Vec<&str> = lower.iter().map(String::as_str).collect();
        let (question, pid) = match words.as_slice() {
            ["stacks"] => (Question::Stacks, None),
            ["stacks", pid] => (Question::Stacks, Some(*pid)),
            ["show", "requests"] => (Question::Requests, None),
            _ => return None,
        };
        Some(Inquiry::begin(question, pid, status, now))
    }

    fn begin(
        question: Question,
        pid: Option<&str>,
        status: &Status<'_>,
        now: Duration,
    ) -> Result<Inquiry, String> {
        let wanted = pid
            .map(|pid| {
                pid.parse::<i32>()
                    .map_err(|_| format!("{pid:?} is no process id"))
            })
            .transpose()?;
        let workers = status.workers.iter();
        let asked: Vec<Asked> = workers
            .filter(|worker| wanted.is_none_or(|pid| pid == worker.pid))
            .map(|worker| Asked {
                pid: worker.pid,
                slot: worker.slot,
                ticket: None,
                answer: None,
            })
            .collect();
        match (wanted, asked.as_slice()) {
            (Some(pid), []) => Err(format!("Worker {pid} not found")),
            _ => Ok(Inquiry {
                question,
                asked,
                until: now + PATIENCE,
                next_look: now,
            }),
        }
    }

    /// When it wants to look again.
    pub(crate) fn deadline(&self) -> Duration {
        self.next_look
    }

    /// Looks for answers. Returns what comes of it when all are there, or are awaited no longer.
    pub(crate) fn look(&mut self, status: &Status<'_>, now: Duration) -> Option<Value> {
        self.next_look = now + PAUSE;
        let mut is_waiting = false;
        for asked in self.asked.iter_mut().filter(|asked| asked.answer.is_none()) {
            let is_there = |pid| status.workers.iter().any(|worker| worker.pid == pid);
            if !is_there(asked.pid) {
                continue; // Its slot may be another worker's.
            }
            let slot = status.scoreboard.slot(asked.slot);
            // Another inquiry may have come in between; then it is asked again.
            asked.ticket = asked.ticket.filter(|ticket| slot.is_asked(*ticket));
            asked.ticket = asked.ticket.or_else(|| slot.ask(self.question));
            asked.answer = asked.ticket.and_then(|ticket| slot.answer(ticket));
            is_waiting |= asked.answer.is_none();
        }
        (!is_waiting || now >= self.until).then(|| match self.question {
            Question::Stacks => self.stacks(),
            Question::Requests => self.requests(),
        })
    }

    fn stacks(&self) -> Value {
        let stacks = self.asked.iter().map(|asked| match &asked.answer {
            Some(text) => json!({"pid": asked.pid, "text": String::from_utf8_lossy(text)}),
            None => json!({"pid": asked.pid, "error": "the worker does not answer"}),
        });
        json!({"stacks": stacks.collect::<Value>()})
    }

    /// The requests of all workers, the oldest first.
    fn requests(&self) -> Value {
        let mut requests = Vec::new();
        let mut total = 0;
        let mut silent = Vec::new();
        for asked in &self.asked {
            let answer = asked.answer.as_deref().unwrap_or_default();
            let Ok(answer) = serde_json::from_slice::<Value>(answer) else {
                silent.push(asked.pid);
                continue;
            };
            total += answer["total"].as_u64().unwrap_or(0);
            for request in answer["requests"].as_array().into_iter().flatten() {
                let mut request = request.clone();
                request["pid"] = json!(asked.pid);
                requests.push(request);
            }
        }
        let age = |request: &Value| request["age_s"].as_f64().unwrap_or(0.0);
        requests.sort_by(|one, other| age(other).total_cmp(&age(one)));
        json!({"requests": requests, "total": total, "unanswered": silent})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::tests::with_status;

    fn words(command: &str) -> Vec<String> {
        command.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_answers_of_all_workers_are_one() {
        with_status(|status| {
            let begun = Inquiry::of(&words("show requests"), status, Duration::ZERO);
            let mut inquiry = begun.expect("an inquiry").expect("workers");
            assert_eq!(inquiry.look(status, Duration::ZERO), None);
            for (index, answer) in [
                r#"{"total":1,"requests":[{"age_s":1.5}]}"#,
                r#"{"total":9,"requests":[{"age_s":2.5}]}"#,
            ]
            .into_iter()
            .enumerate()
            {
                let slot = status.scoreboard.slot(index);
                let ticket = slot.next_question(Ticket::default());
                slot.tell(ticket, answer.as_bytes());
            }
            let expected = json!({
                "requests": [{"age_s": 2.5, "pid": 12}, {"age_s": 1.5, "pid": 11}],
                "total": 10,
                "unanswered": [],
            });
            assert_eq!(inquiry.look(status, PAUSE), Some(expected));
        });
    }

    #[test]
    fn a_worker_that_does_not_answer_is_named() {
        with_status(|status| {
            let begun = Inquiry::of(&words("stacks 12"), status, Duration::ZERO);
            let mut inquiry = begun.expect("an inquiry").expect("a worker");
            assert_eq!(inquiry.look(status, PATIENCE - PAUSE), None);
            let error = json!({"stacks": [{"pid": 12, "error": "the worker does not answer"}]});
            assert_eq!(inquiry.look(status, PATIENCE), Some(error));
        });
    }

    #[test]
    fn only_a_worker_of_this_server_is_asked() {
        with_status(|status| {
            let refused = |command| match Inquiry::of(&words(command), status, Duration::ZERO) {
                Some(Err(reason)) => reason,
                _ => String::new(),
            };
            assert_eq!(refused("stacks 1"), "Worker 1 not found");
            assert_eq!(refused("stacks all"), "\"all\" is no process id");
            assert!(Inquiry::of(&words("stacks 1 2"), status, Duration::ZERO).is_none());
        });
    }
}
