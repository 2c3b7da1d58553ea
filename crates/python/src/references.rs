//! Whether anything leads to an object that the server would use again for another request.

use pyo3::ffi;
use pyo3::prelude::*;

/// How many references there are to an object that the caller holds.
pub(crate) fn references(_attached: Python<'_>, object: *mut ffi::PyObject) -> ffi::Py_ssize_t {
    // SAFETY: the pointer comes from a `Py` of the caller's, or from an object that such a one holds; it is alive, and
    // we are attached.
    unsafe { ffi::Py_REFCNT(object) }
}

/// Whether there are weak references to an object that the caller holds.
pub(crate) fn is_weakly_referenced(_attached: Python<'_>, object: *mut ffi::PyObject) -> bool {
    // SAFETY: as in `references`.
    let kind = unsafe { ffi::Py_TYPE(object) };
    // SAFETY: the type of a live object is alive.
    let offset = unsafe { (*kind).tp_weaklistoffset };
    if offset <= 0 {
        // The methods of extension types have a list at a fixed place. What does not is treated as reachable.
        return true;
    }
    // SAFETY: CPython keeps the head of the list at that offset within the object.
    let list = unsafe { object.byte_offset(offset) }.cast::<*mut ffi::PyObject>();
    // SAFETY: as above; the GIL guards the list.
    !unsafe { *list }.is_null()
}
