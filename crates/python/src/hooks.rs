//! The functions of a conf file that the server calls at certain moments.

use std::collections::HashMap;

use pyo3::call::PyCallArgs;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use settings::Kind;

use crate::failure::Failure;
use crate::forks;
use crate::values::type_name;

/// The settings whose values may be objects that only Python can hold.
const OBJECTS: [&str; 2] = ["logger_class", "logconfig_dict"];

/// The hooks that a conf file defines, by name, and what else of it stays Python's: objects, and the class of the
/// workers.
#[derive(Default)]
pub(crate) struct Hooks {
    functions: HashMap<&'static str, Py<PyAny>>,
    objects: Vec<(&'static str, Py<PyAny>)>,
    /// The workers' class, where it is one of the operator's own that extends ours.
    pub(crate) worker_class: Option<Py<PyAny>>,
}

impl Hooks {
    /// Picks the hooks out of a conf file's names and checks that they can be called as they will be. Those that cannot
    /// are left out, and returned as mistakes.
    pub(crate) fn from_conf(names: &Bound<'_, PyDict>, file: &str) -> (Self, Vec<Failure>) {
        let mut mistakes = Vec::new();
        let mut functions = HashMap::new();
        for setting in settings::hooks() {
            let Kind::Hook { parameters } = setting.kind else {
                continue;
            };
            let Ok(Some(value)) = names.get_item(setting.name) else {
                continue;
            };
            let function = resolve(&value)
                .and_then(|function| fits(&function, parameters).map(|()| function))
                .map_err(|reason| {
                    let expected = setting.kind.expectation();
                    Failure::configuration(format!(
                        "{}: {reason}: expected {expected} (from {file})",
                        setting.name
                    ))
                });
            match function {
                Ok(function) => drop(functions.insert(setting.name, function.unbind())),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        let objects = OBJECTS.into_iter().filter_map(|name| {
            let value = names.get_item(name).ok().flatten()?;
            Some((name, value.unbind()))
        });
        let hooks = Self {
            functions,
            objects: objects.collect(),
            worker_class: None,
        };
        (hooks, mistakes)
    }

    /// What the conf file holds for settings that only Python can read.
    pub(crate) fn objects(&self) -> impl Iterator<Item = (&'static str, &Py<PyAny>)> {
        self.objects.iter().map(|(name, object)| (*name, object))
    }

    /// The hook `name`, where the conf file defines it.
    pub(crate) fn get(&self, name: &str) -> Option<&Py<PyAny>> {
        self.functions.get(name)
    }

    /// Every hook that is defined.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &Py<PyAny>)> {
        self.functions
            .iter()
            .map(|(name, function)| (*name, function))
    }

    /// Calls the hook `name`, where there is one.
    ///
    /// # Errors
    ///
    /// What the hook raised.
    pub(crate) fn call<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        arguments: impl PyCallArgs<'py>,
    ) -> PyResult<()> {
        match self.get(name) {
            Some(function) => {
                let returned = function.call1(py, arguments);
                forks::leave_if_stray(py, &returned);
                returned.map(drop)
            }
            None => Ok(()),
        }
    }
}

/// The function itself, or what a dotted string names.
fn resolve<'py>(value: &Bound<'py, PyAny>) -> Result<Bound<'py, PyAny>, String> {
    let function = match value.cast::<PyString>() {
        Ok(path) => {
            let resolved = value
                .py()
                .import("pkgutil")
                .and_then(|pkgutil| pkgutil.call_method1("resolve_name", (path,)));
            resolved.map_err(|error| format!("'{path}' cannot be imported: {error}"))?
        }
        Err(_) => value.clone(),
    };
    match function.is_callable() {
        true => Ok(function),
        false => Err(format!(
            "a value of type {} is not valid",
            type_name(&function)
        )),
    }
}

/// Whether the function can be called with one of these numbers of arguments.
fn fits(function: &Bound<'_, PyAny>, parameters: &[u8]) -> Result<(), String> {
    // What has no signature, such as some built-in functions, shows at the call.
    let Ok(signature) = function
        .py()
        .import("inspect")
        .and_then(|inspect| inspect.call_method1("signature", (function,)))
    else {
        return Ok(());
    };
    for &count in parameters {
        let arguments = (0..count).map(|_| function.py().None()).collect::<Vec<_>>();
        let bound = PyTuple::new(function.py(), arguments)
            .and_then(|all| signature.call_method1("bind", all));
        match bound {
            Ok(_) => return Ok(()),
            Err(error) if error.is_instance_of::<PyTypeError>(function.py()) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Err(format!(
        "a function with the parameters {signature} is not valid"
    ))
}
