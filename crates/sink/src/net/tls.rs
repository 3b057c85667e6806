//! Encryption: whom a sink trusts, the certificate that it shows, and what is wrong with one in words.
//!
//! A certificate that the site itself names in `ca_file` is trusted as it is. So a server with a certificate of its own
//! making is reached, also one of the usual `openssl req -x509`, which makes an authority's.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, Error, RootCertStore};
use watchpost_dial::trust::{self, TlsFaultKind, Verifier};

use super::{Cause, Unreachable};
use crate::{Fail, Grant};

/// The files of a configuration that say whom to trust and who we are. Their keys are `ca_file`, `cert_file` and
/// `key_file`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Files<'a> {
    /// Authorities to trust instead of those of the system, or the server's very certificate, in PEM.
    pub ca_file: Option<&'a Path>,
    /// The certificate to show, with those in between, in PEM.
    pub cert_file: Option<&'a Path>,
    /// The key of that certificate, in PEM.
    pub key_file: Option<&'a Path>,
}

impl Files<'_> {
    /// Reads the files.
    ///
    /// # Errors
    /// A bad configuration: a file cannot be read or holds something else, or the system trusts no authority.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, Fail> {
        // Named, not taken from the process: another library may have brought a second one.
        let provider = Arc::new(ring::default_provider());
        let pinned = match self.ca_file {
            Some(path) => certificates("/ca_file", path)?,
            None => Vec::new(),
        };
        let verifier = verifier(pinned, self.ca_file, &provider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Fail::fatal(format_args!("no version of TLS: {error}")))?;
        let builder = builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let (Some(cert_file), Some(key_file)) = (self.cert_file, self.key_file) else {
            return Ok(Arc::new(builder.with_no_client_auth()));
        };
        let chain = certificates("/cert_file", cert_file)?;
        let key = PrivateKeyDer::from_pem_file(key_file)
            .map_err(|error| unreadable("/key_file", key_file, "private key", &error))?;
        let config = builder.with_client_auth_cert(chain, key).map_err(|error| {
            Fail::bad_config(
                "/key_file",
                format_args!("it does not fit the certificate: {error}"),
            )
        })?;
        Ok(Arc::new(config))
    }
}

/// Trusts the authorities and the very certificates in `pinned`, or those of the system where no file is named.
fn verifier(
    pinned: Vec<CertificateDer<'static>>,
    ca_file: Option<&Path>,
    provider: &Arc<CryptoProvider>,
) -> Result<Verifier, Fail> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca_file {
        for certificate in &pinned {
            roots.add(certificate.clone()).map_err(|error| {
                let shown = path.display();
                Fail::bad_config(
                    "/ca_file",
                    format_args!("{shown} holds a certificate that cannot be used: {error}"),
                )
            })?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if roots.is_empty() {
        let why = "this system trusts no certificate authority; install ca-certificates, or name a file";
        return Err(Fail::bad_config("/ca_file", why));
    }
    Verifier::new(roots, pinned, provider).map_err(|error| {
        Fail::bad_config(
            "/ca_file",
            format_args!("the certificates are of no use: {error}"),
        )
    })
}

/// The error of TLS behind one of a connection.
pub(super) fn of(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// What an error of TLS means, in words.
pub(super) fn explain(error: &Error, host: &str) -> Unreachable {
    let fault = trust::explain(error, host);
    let cause = match fault.kind {
        TlsFaultKind::NotTls => Cause::NotTls,
        TlsFaultKind::Authority => Cause::Authority,
        TlsFaultKind::OtherName => Cause::OtherName,
        TlsFaultKind::Dates => Cause::Dates,
        TlsFaultKind::Certificate => Cause::Certificate,
        TlsFaultKind::ClientCertificate => Cause::ClientCertificate,
    };
    Unreachable::new(cause, fault.words)
}

fn certificates(pointer: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Fail> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| unreadable(pointer, path, "certificate", &error))?;
    if found.is_empty() {
        return Err(unreadable(
            pointer,
            path,
            "certificate",
            &pem::Error::NoItemsFound,
        ));
    }
    Ok(found)
}

fn unreadable(pointer: &str, path: &Path, what: &str, error: &pem::Error) -> Fail {
    let why = match error {
        pem::Error::Io(error) => Grant::Read.explain(path, error),
        pem::Error::NoItemsFound => format!("{} holds no {what} in PEM", path.display()),
        error => format!(
            "{} holds no {what} in PEM that can be read: {error}",
            path.display()
        ),
    };
    Fail::bad_config(pointer, why)
}
