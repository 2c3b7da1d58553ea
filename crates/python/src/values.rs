//! Between Python's objects and the values that a setting can hold.

use pyo3::IntoPyObjectExt as _;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString, PyTuple};
use settings::Value;

use crate::text;

/// How deep lists and dictionaries may be nested. No setting needs more than three; a list that holds itself has no
/// end.
const DEEPEST: u32 = 8;

/// What an object of a conf file is to the settings. What they cannot hold keeps its type's name, for the message.
pub(crate) fn from_python(object: &Bound<'_, PyAny>) -> Value {
    convert(object, DEEPEST).unwrap_or_else(|| Value::Other(type_name(object)))
}

fn convert(object: &Bound<'_, PyAny>, depth: u32) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    let value = if object.is_none() {
        Value::None
    } else if let Ok(flag) = object.cast::<PyBool>() {
        Value::Bool(flag.is_true())
    } else if object.is_instance_of::<PyInt>() {
        Value::Int(object.extract().ok()?)
    } else if let Ok(number) = object.cast::<PyFloat>() {
        Value::Float(number.value())
    } else if let Ok(string) = object.cast::<PyString>() {
        Value::Str(text::from_python(string))
    } else if let Ok(dictionary) = object.cast::<PyDict>() {
        let entries = dictionary
            .iter()
            .map(|(key, value)| Some((text::extract(&key).ok()?, entry(&value, depth))));
        Value::Map(entries.collect::<Option<_>>()?)
    } else if is_sequence(object) {
        let items = object
            .try_iter()
            .ok()?
            .map(|item| convert(&item.ok()?, depth));
        Value::List(items.collect::<Option<_>>()?)
    } else {
        return None;
    };
    Some(value)
}

/// A value of a dictionary: one that settings cannot hold does not make the dictionary another thing.
fn entry(object: &Bound<'_, PyAny>, depth: u32) -> Value {
    convert(object, depth).unwrap_or_else(|| Value::Other(type_name(object)))
}

fn is_sequence(object: &Bound<'_, PyAny>) -> bool {
    object.is_instance_of::<PyList>()
        || object.is_instance_of::<PyTuple>()
        || object.is_instance_of::<PySet>()
        || object.is_instance_of::<PyFrozenSet>()
}

/// The name of an object's type.
pub(crate) fn type_name(object: &Bound<'_, PyAny>) -> String {
    object
        .get_type()
        .name()
        .map_or_else(|_| "object".to_owned(), |name| name.to_string())
}

/// The object that a hook sees for a setting's value.
///
/// # Errors
///
/// When Python has no memory for it.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Value::None => Ok(py.None().into_bound(py)),
        Value::Bool(flag) => flag.into_bound_py_any(py),
        Value::Int(number) => number.into_bound_py_any(py),
        Value::Float(number) => number.into_bound_py_any(py),
        Value::Str(string) | Value::Other(string) => Ok(text::to_python(py, string)?.into_any()),
        Value::List(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(to_python(py, item)?)?;
            }
            Ok(list.into_any())
        }
        Value::Map(entries) => {
            let dictionary = PyDict::new(py);
            for (key, item) in entries {
                dictionary.set_item(text::to_python(py, key)?, to_python(py, item)?)?;
            }
            Ok(dictionary.into_any())
        }
    }
}
