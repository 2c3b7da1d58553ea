//! The greenlets of a worker. A request gets one that has served before where there is one: to switch to it costs a
//! twentieth of a new one. It finds it as a new one would be: no context variable is set in it, and a greenlet to which
//! anything still leads (a local of gevent's, a timer, a reference of the application's) is never used again.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use pyo3::{ffi, intern};
use server::ExchangeId;

use super::{HubTurner, switch};
use crate::lock::{Share, Shelf, Stack};
use crate::references::{is_weakly_referenced, references};

/// Greenlets that wait for a request are kept up to this; a burst beyond it pays for its own. A parked one holds some
/// kilobytes.
const SPARE: usize = 256;

/// A greenlet of the pool.
struct Member {
    greenlet: Py<PyAny>,
    /// How many references there were to it before it served any request; none for one that has not waited yet.
    references: Option<ffi::Py_ssize_t>,
    /// What it serves, where it serves a request.
    call: Option<ExchangeId>,
}

impl Share for Member {
    fn share(&self, py: Python<'_>) -> Member {
        Member {
            greenlet: self.greenlet.clone_ref(py),
            references: self.references,
            call: self.call,
        }
    }
}

impl Member {
    /// Whether nothing but the pool leads to it, while it waits for a request.
    fn is_unreachable(&mut self, py: Python<'_>) -> bool {
        let count = references(py, self.greenlet.as_ptr());
        let known = *self.references.get_or_insert(count);
        count == known && !is_weakly_referenced(py, self.greenlet.as_ptr())
    }

    /// Has it end as a greenlet does whose request is over. To be called from the hub.
    fn end(&self, py: Python<'_>) {
        end(self.greenlet.bind(py));
    }
}

/// Raises `GreenletExit` in a greenlet. To be called from the hub.
fn end(greenlet: &Bound<'_, PyAny>) {
    if let Err(error) = greenlet.call_method0(intern!(greenlet.py(), "throw")) {
        log::error!("A greenlet ended with {error}");
    }
}

/// The pool.
pub(super) struct Pool {
    /// Makes a greenlet that has not run yet.
    new: Py<PyAny>,
    gevent: Py<PyModule>,
    /// What `gevent.killall` raises where greenlets do not end in time.
    time_out: Py<PyAny>,
    /// Those that wait for a request. The last one serves the next.
    parked: Stack<Member>,
    /// So many of these, the first ones, have been looked at since they came back.
    swept: AtomicUsize,
    /// Those that serve one, by their addresses.
    running: Shelf<usize, Member>,
    /// The worker ends: no greenlet waits for another request.
    closed: AtomicBool,
}

impl Pool {
    pub(super) fn new(py: Python<'_>) -> PyResult<Pool> {
        let gevent = py.import("gevent")?;
        Ok(Pool {
            new: gevent.getattr("Greenlet")?.unbind(),
            time_out: gevent.getattr("Timeout")?.unbind(),
            gevent: gevent.unbind(),
            parked: Stack::default(),
            swept: AtomicUsize::new(0),
            running: Shelf::new(),
            closed: AtomicBool::new(false),
        })
    }

    /// Has a greenlet serve the next request. To be called from the hub, to which this returns when the greenlet waits
    /// or has served it.
    ///
    /// # Errors
    /// There is no greenlet, and no memory for another.
    pub(super) fn run(&self, turner: &Bound<'_, HubTurner>) -> PyResult<()> {
        let py = turner.py();
        let member = match self.unused(py) {
            Some(member) => member,
            None => self.grow(turner)?,
        };
        let greenlet = member.greenlet.clone_ref(py);
        let address = greenlet.as_ptr().addr();
        drop(self.running.insert(address, member));
        switch(greenlet.bind(py));
        Ok(())
    }

    /// Takes a parked greenlet that is as good as a new one.
    fn unused(&self, py: Python<'_>) -> Option<Member> {
        loop {
            let mut member = self.parked.pop()?;
            if member.is_unreachable(py) {
                return Some(member);
            }
            member.end(py);
        }
    }

    /// Ends the greenlets that have come back and that something leads to: it may wait for their end. To be called from
    /// the hub.
    pub(super) fn sweep(&self, py: Python<'_>) {
        // To look at them runs no Python code, so none comes or goes meanwhile.
        let mut parked = self.parked.take();
        let mut reachable = Vec::new();
        let mut place = self.swept.load(Ordering::Relaxed).min(parked.len());
        while let Some(member) = parked.get_mut(place) {
            match member.is_unreachable(py) {
                true => place += 1,
                false => reachable.push(parked.remove(place)),
            }
        }
        self.swept.store(place, Ordering::Relaxed);
        self.parked.append(parked);
        reachable.iter().for_each(|member| member.end(py));
    }

    /// Makes a greenlet, and has it wait for a request.
    fn grow(&self, turner: &Bound<'_, HubTurner>) -> PyResult<Member> {
        let py = turner.py();
        let serve = turner.getattr(intern!(py, "serve"))?;
        let greenlet = self.new.bind(py).call1((serve,))?;
        switch(&greenlet);
        drop(greenlet);
        self.unused(py).ok_or_else(|| {
            pyo3::exceptions::PyRuntimeError::new_err("a new greenlet does not wait for requests")
        })
    }

    /// Notes that the calling greenlet waits for a request.
    pub(super) fn park(&self, greenlet: &Bound<'_, PyAny>) {
        let address = greenlet.as_ptr().addr();
        let new = Member {
            greenlet: greenlet.clone().unbind(),
            references: None,
            call: None,
        };
        let member = self.running.remove(address).unwrap_or(new);
        self.parked.push(member);
    }

    /// Notes which request the calling greenlet serves.
    pub(super) fn note_call(&self, greenlet: &Bound<'_, PyAny>, call: Option<ExchangeId>) {
        let address = greenlet.as_ptr().addr();
        if let Some(member) = self.running.remove(address) {
            drop(self.running.insert(address, Member { call, ..member }));
        }
    }

    /// Ends the call of a request that is under way: its greenlet gets `GreenletExit`. To be called from the hub, so
    /// that the greenlet serves that request still.
    pub(super) fn end_call(&self, py: Python<'_>, id: ExchangeId) {
        let running = self.running.share_all(py);
        if let Some(member) = running.iter().find(|member| member.call == Some(id)) {
            end(member.greenlet.bind(py));
        }
    }

    /// How many serve a request.
    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// Whether the calling greenlet was given a request.
    pub(super) fn is_running(&self, greenlet: &Bound<'_, PyAny>) -> bool {
        let address = greenlet.as_ptr().addr();
        self.running.contains(address)
    }

    /// Whether the calling greenlet, whose request is over, may serve another. Nothing of the request stays in it.
    ///
    /// # Errors
    /// It is no greenlet of gevent's.
    pub(super) fn may_return(&self, greenlet: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = greenlet.py();
        if self.closed.load(Ordering::Relaxed) || self.parked.len() >= SPARE {
            return Ok(false);
        }
        // What is linked to a greenlet, such as its locals, goes when it ends.
        if greenlet
            .call_method0(intern!(py, "has_links"))?
            .is_truthy()?
        {
            return Ok(false);
        }
        greenlet.setattr(intern!(py, "gr_context"), py.None())?;
        Ok(true)
    }

    /// Notes that the calling greenlet ends.
    pub(super) fn forget(&self, greenlet: &Bound<'_, PyAny>) {
        let address = greenlet.as_ptr().addr();
        let is_it = |member: &Member| member.greenlet.as_ptr().addr() == address;
        drop((self.running.remove(address), self.parked.take_first(is_it)));
    }

    /// Runs a function in a greenlet of its own.
    ///
    /// # Errors
    /// There is no memory for one.
    pub(super) fn spawn_raw(&self, function: &Bound<'_, PyAny>) -> PyResult<()> {
        self.gevent
            .call_method1(function.py(), "spawn_raw", (function,))
            .map(drop)
    }

    /// Ends all greenlets, and waits for that for so long; in the hub, which must not wait, for no time.
    ///
    /// # Errors
    /// `SystemExit` from a signal.
    pub(super) fn kill_all(&self, py: Python<'_>, patience: Duration) -> PyResult<()> {
        self.closed.store(true, Ordering::Relaxed);
        let list = PyList::empty(py);
        let (running, parked) = (self.running.share_all(py), self.parked.share_all(py));
        for member in running.into_iter().chain(parked) {
            list.append(member.greenlet)?;
        }
        let options = PyDict::new(py);
        options.set_item("block", !patience.is_zero())?;
        options.set_item("timeout", patience.as_secs_f64())?;
        let killed = self
            .gevent
            .bind(py)
            .call_method("killall", (list,), Some(&options));
        match killed {
            Err(error) if error.value(py).is_instance(self.time_out.bind(py))? => {
                log::warn!("Greenlets do not end within {} s", patience.as_secs_f64());
                Ok(())
            }
            killed => killed.map(drop),
        }
    }
}
