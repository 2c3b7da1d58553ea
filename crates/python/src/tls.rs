//! The certificates and keys of TLS, read before the rights of root are given up.

use std::sync::Arc;

use server::Tls;
use settings::Config;

use crate::failure::Failure;

/// What encrypted connections are made of; `None` where the settings ask for no TLS.
///
/// # Errors
///
/// A file cannot be read, or its content does not fit the rest.
pub(crate) fn load(config: &Config) -> Result<Option<Arc<Tls>>, Failure> {
    match Tls::load(config) {
        Ok(tls) => Ok(tls.map(Arc::new)),
        Err(misuse) => Err(Failure::from(
            config.unusable(misuse.setting, misuse.reason),
        )),
    }
}
