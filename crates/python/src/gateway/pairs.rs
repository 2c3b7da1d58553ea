//! Field lists as applications give them. PEP 3333 asks for a list of tuples; Gunicorn takes every iterable of
//! iterables of two, and applications pass it `dict.items()`, generators and lists of lists.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyIterator, PyList, PyString, PyTuple};

use super::arguments::wrong_type;

/// Calls `visit` with the name and the value of each pair. Anything but a list or tuple of tuples may run code of the
/// application's while it is read.
///
/// # Errors
/// `TypeError`: `fields` or one of its items is of another shape. What the application's iterators and `visit` raise.
pub(crate) fn visit(
    fields: &Bound<'_, PyAny>,
    mut visit: impl FnMut(&Bound<'_, PyAny>, &Bound<'_, PyAny>) -> PyResult<()>,
) -> PyResult<()> {
    if let Ok(list) = fields.cast::<PyList>() {
        return list.iter().try_for_each(|item| pair(&item, &mut visit));
    }
    if let Ok(tuple) = fields.cast::<PyTuple>() {
        return tuple.iter().try_for_each(|item| pair(&item, &mut visit));
    }
    if is_string(fields) {
        return Err(wrong_type("the headers", "a list", fields));
    }
    let items = iterator(fields, || wrong_type("the headers", "a list", fields))?;
    for item in items {
        pair(&item?, &mut visit)?;
    }
    Ok(())
}

fn pair(
    item: &Bound<'_, PyAny>,
    visit: &mut impl FnMut(&Bound<'_, PyAny>, &Bound<'_, PyAny>) -> PyResult<()>,
) -> PyResult<()> {
    let unfit = || wrong_type("a header", "a tuple (name, value)", item);
    if let Ok(tuple) = item.cast::<PyTuple>() {
        if tuple.len() != 2 {
            return Err(wrong_length(tuple.len()));
        }
        return visit(&*tuple.get_borrowed_item(0)?, &*tuple.get_borrowed_item(1)?);
    }
    // Gunicorn unpacks a string of two characters. That is never meant.
    if is_string(item) {
        return Err(unfit());
    }
    let mut parts = iterator(item, unfit)?;
    let (name, value) = (parts.next().transpose()?, parts.next().transpose()?);
    match (name, value, parts.next().transpose()?) {
        (Some(name), Some(value), None) => visit(&name, &value),
        (None, ..) => Err(wrong_length(0)),
        (_, None, _) => Err(wrong_length(1)),
        (.., Some(_)) => Err(PyTypeError::new_err(
            "a header must be a tuple (name, value), not one with more than two items",
        )),
    }
}

/// What iterates an object; `unfit` is the error of one that is no iterable. An exception that the object's own code
/// raises is not hidden behind it.
fn iterator<'py>(
    object: &Bound<'py, PyAny>,
    unfit: impl FnOnce() -> PyErr,
) -> PyResult<Bound<'py, PyIterator>> {
    object.try_iter().map_err(
        |error| match error.is_instance_of::<PyTypeError>(object.py()) {
            true => unfit(),
            false => error,
        },
    )
}

fn wrong_length(length: usize) -> PyErr {
    PyTypeError::new_err(format!(
        "a header must be a tuple (name, value), not one of length {length}"
    ))
}

fn is_string(object: &Bound<'_, PyAny>) -> bool {
    object.is_instance_of::<PyString>() || object.is_instance_of::<PyBytes>()
}
