//! The admin's turn: what it is shown of the server, and what becomes of its orders.

use std::os::fd::{AsFd as _, AsRawFd as _};

use sys::accept_queue;
use sys::clock;
use sys::signals::{Received, Signal};

use super::{Driver, Flow};
use crate::listeners::Listener;
use crate::status::{ListenerStatus, Order, Status};
use crate::supervisor::Event;

impl Driver<'_> {
    pub(super) fn attend(&mut self) -> Flow {
        let Some(admin) = self.host.admin() else {
            return Flow::Continue(());
        };
        let generation = self.generations.get(&self.supervisor.generation());
        let Some(generation) = generation else {
            return Flow::Continue(());
        };
        let status = Status {
            pid: self.pid,
            since: self.since,
            target: self.supervisor.target(),
            is_stopping: self.supervisor.is_withdrawn(),
            workers: self.supervisor.workers().collect(),
            listeners: generation.listeners.iter().map(status_of).collect(),
            totals: self.supervisor.totals(),
            scoreboard: &self.scoreboard,
            config: &generation.config,
        };
        let orders = admin.turn(&status, clock::monotonic());
        orders.into_iter().try_for_each(|order| self.obey(order))
    }

    fn obey(&mut self, order: Order) -> Flow {
        let signal = match order {
            Order::Reload => Signal::HUP,
            Order::ReopenLogs => Signal::USR1,
            Order::Stop => Signal::TERM,
            Order::StopNow => Signal::INT,
            Order::SetWorkers(number) => return self.feed(Event::Resized(number)),
            Order::EndWorker(pid) => return self.feed(Event::Unwanted { pid }),
        };
        self.feed(Event::Signal(Received {
            signal,
            sender: None,
        }))
    }
}

fn status_of(listener: &Listener) -> ListenerStatus {
    ListenerStatus {
        address: listener.address().to_string(),
        descriptor: listener.as_fd().as_raw_fd(),
        queued: accept_queue::queued(listener.as_fd()),
    }
}
