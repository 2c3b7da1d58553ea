//! The static files of a Django project, as its settings name them: `--static-root`.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use server::Server;
use settings::Mount;

/// Serves what Django's `collectstatic` has collected. Where that cannot be, the application still can: the log says
/// what is missing.
pub(crate) fn serve(py: Python<'_>, server: &Server) {
    let mounted = mount(py).and_then(|mount| {
        let result = server.add_mount(&mount).map_err(|error| error.to_string());
        result.map(|()| mount)
    });
    match mounted {
        Ok(mount) => log::debug!(
            "{} is served from {}",
            mount.prefix,
            mount.directory.display()
        ),
        Err(reason) => log::warn!("static_root has no effect: {reason}"),
    }
}

fn mount(py: Python<'_>) -> Result<Mount, String> {
    let read = |error: PyErr| format!("Django's settings cannot be read: {error}");
    let settings = settings(py)
        .map_err(read)?
        .ok_or("the application has not imported Django")?;
    let root = settings.getattr("STATIC_ROOT").map_err(read)?;
    if root.is_none() {
        return Err("Django's STATIC_ROOT is not set".to_owned());
    }
    // It may be a Path.
    let directory: PathBuf = root.extract().map_err(read)?;
    let url = settings.getattr("STATIC_URL").map_err(read)?;
    let url: Option<String> = url.extract().map_err(read)?;
    let url = url.ok_or("Django's STATIC_URL is not set")?;
    let prefix = path_of(&url).to_owned();
    Mount::new(&prefix, directory).ok_or_else(|| format!("Django's STATIC_URL is {url}"))
}

/// `django.conf.settings` of an application that has imported it.
fn settings(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let modules = py
        .import("sys")?
        .getattr("modules")?
        .cast_into::<PyDict>()?;
    match modules.get_item("django.conf")? {
        Some(conf) => Ok(Some(conf.getattr("settings")?)),
        None => Ok(None),
    }
}

/// The path of a URL that may name a host.
fn path_of(url: &str) -> &str {
    let Some((_, behind)) = url.split_once("//") else {
        return url;
    };
    behind.find('/').map_or("/", |slash| &behind[slash..])
}
