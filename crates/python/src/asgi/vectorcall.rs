//! Calls of native functions by CPython's vectorcall protocol (PEP 590): without a tuple for the arguments of each
//! call, which pyo3 has for instances of its classes. A call with keywords, or with the wrong number of arguments,
//! takes pyo3's way, which knows the signature and words the errors.

use std::ffi::c_ulong;
use std::panic::{AssertUnwindSafe, catch_unwind};
#[cfg(target_pointer_width = "64")]
use std::sync::atomic::AtomicU64;
use std::{ptr, slice};

use pyo3::panic::PanicException;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{Borrowed, PyClass, ffi, intern};

/// A class whose instances are called by vectorcall.
pub(super) trait ByVector: PyClass<Frozen = True> + Sync {
    /// Where an instance has its [`entry`], which CPython reads there.
    fn place(&self) -> &ffi::vectorcallfunc;

    /// A call without keywords; `None` where the number of arguments is wrong.
    fn call(&self, py: Python<'_>, arguments: &[Py<PyAny>]) -> Option<PyResult<Py<PyAny>>>;
}

/// The flags of a class: an integer, which is atomic where CPython has no GIL.
trait Flags {
    fn add(&mut self, flags: c_ulong);
}

impl Flags for c_ulong {
    fn add(&mut self, flags: c_ulong) {
        *self |= flags;
    }
}

#[cfg(target_pointer_width = "64")]
impl Flags for AtomicU64 {
    fn add(&mut self, flags: c_ulong) {
        *self.get_mut() |= flags;
    }
}

/// Tells CPython of the entry that every instance of the class has.
pub(super) fn announce<T: ByVector>(instance: &Bound<'_, T>) {
    let place: *const ffi::vectorcallfunc = instance.get().place();
    let offset = place.addr() - instance.as_ptr().addr();
    // SAFETY: the class is alive, this thread is attached, and nothing else has a reference into the struct.
    let class = unsafe { &mut *T::type_object_raw(instance.py()) };
    // Every instance has its entry at the same distance from its beginning: it is a field of a struct behind a head of
    // one size.
    class.tp_vectorcall_offset = offset.cast_signed();
    class.tp_flags.add(ffi::Py_TPFLAGS_HAVE_VECTORCALL);
}

/// The entry of the instances of a class.
///
/// # Safety
/// As PEP 590 has it: the instance is one of the class, there are as many arguments as `count` and `names` say, and the
/// thread is attached.
pub(super) unsafe extern "C" fn entry<T: ByVector>(
    instance: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: usize,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // The highest bit says something of the memory before the arguments.
    let count = count & (usize::MAX >> 1);
    // `attach` would panic where the interpreter is at its end.
    let called = Python::try_attach(|py| {
        // SAFETY: the caller has a reference to it until this returns.
        let instance = unsafe { Borrowed::from_ptr(py, instance) };
        // SAFETY: as above; null says that there are no keywords.
        let names = unsafe { Borrowed::from_ptr_or_opt(py, names) };
        let called = catch_unwind(AssertUnwindSafe(|| {
            let typed = instance.cast::<T>()?;
            let names = names.map(|names| names.cast::<PyTuple>()).transpose()?;
            let values = names.map_or(0, |names| names.len());
            let all: &[Py<PyAny>] = match count + values {
                0 => &[],
                // SAFETY: the values of keywords follow the other arguments, and the caller has references to all of
                // them. A `Py` is a pointer to an object and nothing else.
                all => unsafe { slice::from_raw_parts(arguments.cast(), all) },
            };
            let (arguments, values) = all.split_at(count);
            match names {
                None => typed.get().call(py, arguments),
                Some(_) => None,
            }
            .unwrap_or_else(|| call_by_tuple(&instance, arguments, names.as_deref(), values))
        }));
        called
            .unwrap_or_else(|_| Err(PanicException::new_err("a native function has panicked")))
            .map_or_else(
                |error| {
                    error.restore(py);
                    ptr::null_mut()
                },
                Py::into_ptr,
            )
    });
    // CPython makes a SystemError of null without an exception.
    called.unwrap_or(ptr::null_mut())
}

/// The same call as pyo3 takes it: by the method, which does not look at the flags of the class.
fn call_by_tuple(
    instance: &Bound<'_, PyAny>,
    arguments: &[Py<PyAny>],
    names: Option<&Bound<'_, PyTuple>>,
    values: &[Py<PyAny>],
) -> PyResult<Py<PyAny>> {
    let py = instance.py();
    let keywords = PyDict::new(py);
    for (name, value) in names.into_iter().flatten().zip(values) {
        keywords.set_item(name, value)?;
    }
    instance
        .getattr(intern!(py, "__call__"))?
        .call(PyTuple::new(py, arguments)?, Some(&keywords))
        .map(Bound::unbind)
}
