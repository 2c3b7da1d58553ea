//! The table of all settings: one row a setting, one file a section, in Gunicorn's order within each.

mod compression;
mod control;
mod custom;
mod debugging;
mod dirty_arbiters;
mod health;
mod http2;
mod logging;
mod proxies;
mod responses;
mod security;
mod server_hooks;
mod server_mechanics;
mod server_socket;
mod site;
mod ssl;
mod static_files;
mod strictness;
mod worker_processes;

use std::sync::LazyLock;

pub(crate) use custom::MOST_FIELDS;

use crate::setting::Setting;

/// Every setting, each once. The order is the one of the manual and of `--help`.
pub fn table() -> &'static [Setting] {
    static TABLE: LazyLock<Vec<Setting>> = LazyLock::new(|| {
        let sections = [
            server_socket::ROWS,
            worker_processes::ROWS,
            worker_processes::ASGI,
            security::ROWS,
            debugging::ROWS,
            server_mechanics::ROWS,
            proxies::ROWS,
            strictness::ROWS,
            responses::ROWS,
            compression::ROWS,
            static_files::ROWS,
            health::ROWS,
            site::ROWS,
            logging::ROWS,
            logging::PROCESS_NAMING,
            server_hooks::ROWS,
            ssl::ROWS,
            http2::ROWS,
            dirty_arbiters::ROWS,
            dirty_arbiters::HOOKS,
            control::ROWS,
        ];
        sections.concat()
    });
    &TABLE
}

#[cfg(test)]
mod tests;
