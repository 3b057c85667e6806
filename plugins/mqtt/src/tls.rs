//! The encryption of the connection: whom the sink trusts, and what it shows of itself.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use watchpost_sink::Fail;

use crate::config::Config;

/// Reads the certificates that the configuration names. A missing or damaged file is a bad configuration.
pub(crate) fn client_config(config: &Config) -> Result<Arc<ClientConfig>, Fail> {
    // Named, not taken from the process: another library may have brought a second one.
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Fail::fatal(format_args!("no version of TLS: {e}")))?;
    let builder = builder.with_root_certificates(trusted(config.ca_file.as_deref())?);
    let (Some(cert_file), Some(key_file)) = (&config.cert_file, &config.key_file) else {
        return Ok(Arc::new(builder.with_no_client_auth()));
    };
    let chain = certificates("/cert_file", cert_file)?;
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|e| unreadable("/key_file", key_file, &e))?;
    let config = builder.with_client_auth_cert(chain, key);
    let config = config
        .map_err(|e| Fail::bad_config("/key_file", format_args!("it does not fit the certificate: {e}")))?;
    Ok(Arc::new(config))
}

fn trusted(ca_file: Option<&Path>) -> Result<RootCertStore, Fail> {
    let mut roots = RootCertStore::empty();
    let Some(ca_file) = ca_file else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let why = "the system has no trusted certificates; install ca-certificates, or set `ca_file`";
            return Err(Fail::bad_config("/ca_file", why));
        }
        return Ok(roots);
    };
    for certificate in certificates("/ca_file", ca_file)? {
        roots.add(certificate).map_err(|e| {
            Fail::bad_config(
                "/ca_file",
                format_args!("{} cannot be used: {e}", ca_file.display()),
            )
        })?;
    }
    Ok(roots)
}

fn certificates(pointer: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Fail> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|e| unreadable(pointer, path, &e))?;
    if found.is_empty() {
        let shown = path.display();
        return Err(Fail::bad_config(
            pointer,
            format_args!("{shown} holds no certificate in PEM form"),
        ));
    }
    Ok(found)
}

fn unreadable(pointer: &str, path: &Path, error: &pem::Error) -> Fail {
    Fail::bad_config(
        pointer,
        format_args!("{} cannot be read: {error}", path.display()),
    )
}
