//! A listener beside those that serve clients.

use settings::{Address, Config};

use super::{Listener, bind};

/// Listens on `address`, with `mode` as the permissions of a Unix socket. It is of no generation, so no reload touches
/// it; it closes when it is dropped.
///
/// # Errors
///
/// A sentence on why the address cannot be listened on.
pub fn listen_on(address: &Address, mode: u32, config: &Config) -> Result<Listener, String> {
    let config = Config {
        reuse_port: false,
        socket_mode: Some(mode),
        ..config.clone()
    };
    bind(address, &config).map_err(|refusal| refusal.failure.sentence().to_owned())
}
