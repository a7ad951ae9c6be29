//! PEM files read at start, so that a wrong path is said before the first packet.

use std::path::{Path, PathBuf};

use super::settings::{SettingError, TlsFiles};

/// The contents of [`TlsFiles`].
#[derive(Clone, Default)]
pub(super) struct TlsMaterial {
    pub(super) ca: Option<Vec<u8>>,
    /// Certificate chain and key.
    pub(super) identity: Option<(Vec<u8>, Vec<u8>)>,
}

pub(super) fn load(files: &TlsFiles) -> Result<TlsMaterial, SettingError> {
    let ca = files.ca.as_ref().map(|path| read("tls.ca", path)).transpose()?;
    let identity = match (&files.client_certificate, &files.client_key) {
        (Some(certificate), Some(key)) => {
            Some((read("tls.client_certificate", certificate)?, read("tls.client_key", key)?))
        }
        _ => None,
    };
    Ok(TlsMaterial { ca, identity })
}

fn read(key: &str, path: &PathBuf) -> Result<Vec<u8>, SettingError> {
    let wrong = |expected: String| SettingError::new(key, Path::display(path).to_string(), expected);
    let bytes =
        std::fs::read(path).map_err(|error| wrong(format!("give a PEM file that can be read ({error})")))?;
    if !bytes.windows(11).any(|window| window == b"-----BEGIN ") {
        return Err(wrong("give a PEM file, one with -----BEGIN lines".into()));
    }
    Ok(bytes)
}

/// Chooses ring for every TLS connection of the process; a choice made before stands.
pub(super) fn install_provider() {
    drop(rustls::crypto::ring::default_provider().install_default());
}
