//! Whose certificates are trusted: those of the system's authorities, of the site's own, and those that the site names
//! themselves. Files are read on a thread
//! that may block, once for each connect, and again when the site's file has changed.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::task::spawn_blocking;
use watchpost_core::{ConnectFailure, FailureKind};
use watchpost_dial::trust::Verifier;

use super::transport::failure;

/// The trust of one connection.
#[derive(Debug)]
pub(crate) struct Trust {
    ca_file: Option<PathBuf>,
    loaded: RefCell<Option<Loaded>>,
}

#[derive(Clone, Debug)]
struct Loaded {
    /// What the site's file was when it was read.
    stamp: Option<Stamp>,
    config: Arc<ClientConfig>,
}

/// Tells whether a file has changed: when it was written, and its size.
type Stamp = (SystemTime, u64);

impl Trust {
    /// The system's authorities and those of `ca_file`.
    pub(crate) fn new(ca_file: Option<PathBuf>) -> Self {
        Self {
            ca_file,
            loaded: RefCell::new(None),
        }
    }

    /// For a new connection: all files are read.
    pub(super) async fn reload(&self) -> Result<Arc<ClientConfig>, ConnectFailure> {
        self.loaded.take();
        self.config().await
    }

    /// For a request beside it: what was read last, unless the site's file has changed since.
    pub(crate) async fn config(&self) -> Result<Arc<ClientConfig>, ConnectFailure> {
        let (ca_file, loaded) = (self.ca_file.clone(), self.loaded.borrow().clone());
        let current = spawn_blocking(move || {
            let stamp = ca_file.as_deref().and_then(stamp);
            match loaded {
                Some(loaded) if loaded.stamp == stamp => Ok(loaded),
                _ => load(ca_file.as_deref()).map(|config| Loaded { stamp, config }),
            }
        });
        let current = current.await.map_err(|e| {
            failure(
                FailureKind::Tls,
                format_args!("the certificates were not read: {e}"),
            )
        })??;
        self.loaded.replace(Some(current.clone()));
        Ok(current.config)
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn load(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, ConnectFailure> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let named = match ca_file {
        Some(file) => add_authorities(&mut roots, file).map_err(|e| failure(FailureKind::Tls, e))?,
        None => Vec::new(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new(roots, named, &provider).map_err(|e| failure(FailureKind::Tls, e))?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| failure(FailureKind::Tls, e))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Returns what is in the file: the server's own certificate may be in it.
fn add_authorities(roots: &mut RootCertStore, file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let in_file = |e: &dyn std::fmt::Display| format!("`ca_file` {}: {e}", file.display());
    let certificates = CertificateDer::pem_file_iter(file).map_err(|e| in_file(&e))?;
    let named = certificates
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| in_file(&e))?;
    for certificate in &named {
        roots.add(certificate.clone()).map_err(|e| in_file(&e))?;
    }
    if named.is_empty() {
        return Err(in_file(&"there is no `BEGIN CERTIFICATE` in it, expected PEM"));
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// An authority that signs nothing, made for tests.
    const AUTHORITY: &str = include_str!("../../../tests/data/authority.pem");

    #[actix::test]
    async fn the_files_are_read_once_and_again_when_the_sites_own_has_changed() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(AUTHORITY.as_bytes()).unwrap();
        let trust = Trust::new(Some(file.path().to_owned()));
        let first = trust.reload().await.unwrap();
        let second = trust.config().await.unwrap();
        assert!(Arc::ptr_eq(&first, &second), "nothing was read a second time");
        file.write_all(AUTHORITY.as_bytes()).unwrap();
        let third = trust.config().await.unwrap();
        assert!(!Arc::ptr_eq(&second, &third), "the file is longer now");
        let fourth = trust.reload().await.unwrap();
        assert!(!Arc::ptr_eq(&third, &fourth), "a new connection reads all files");
    }

    #[actix::test]
    async fn a_file_without_a_certificate_is_refused_by_its_name() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let trust = Trust::new(Some(file.path().to_owned()));
        let error = trust.config().await.unwrap_err();
        let expected = format!(
            "`ca_file` {}: there is no `BEGIN CERTIFICATE`",
            file.path().display()
        );
        assert!(error.detail.starts_with(&expected), "{error}");
    }
}
