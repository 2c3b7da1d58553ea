//! Python's garbage collector: what is loaded before requests come is frozen, so that no collection looks at it again.

use pyo3::prelude::*;

/// How many new objects come together before a worker's collector looks at them. A request with a framework makes some
/// hundred that die with it, so of ten collections at Python's own threshold nine find only what requests under way
/// still use. A cycle of garbage waits for as long: with objects of some hundred bytes that is about a megabyte.
const THRESHOLD: u32 = 10_000;

/// The thresholds that CPython has had since 3.10: what differs from them the application has set.
const PYTHONS_OWN: [u32; 2] = [700, 2_000];

/// Has no collection look at what is there. What it never looks at it never writes to, so processes that are forked go
/// on sharing it.
///
/// # Errors
/// Python's own functions fail.
pub(crate) fn freeze(py: Python<'_>) -> PyResult<()> {
    let gc = py.import("gc")?;
    gc.call_method0("collect")?;
    gc.call_method0("freeze").map(drop)
}

/// Tunes the collector of a worker that has booted, unless the application has switched it off.
///
/// # Errors
/// As [`freeze`].
pub(crate) fn tune(py: Python<'_>) -> PyResult<()> {
    let gc = py.import("gc")?;
    if !gc.call_method0("isenabled")?.is_truthy()? {
        return Ok(());
    }
    freeze(py)?;
    let thresholds: (u32, u32, u32) = gc.call_method0("get_threshold")?.extract()?;
    if PYTHONS_OWN.contains(&thresholds.0) {
        gc.call_method1("set_threshold", (THRESHOLD, thresholds.1, thresholds.2))?;
    }
    Ok(())
}
