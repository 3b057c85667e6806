//! Whom to trust, and with which certificate to show up.

use std::path::Path;
use std::sync::Arc;

use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};
use watchpost_sink::Fail;

use crate::config::Config;

/// The encryption that the configuration asks for.
///
/// # Errors
/// A bad configuration: a file that cannot be read, or holds something else.
pub(crate) fn config(config: &Config) -> Result<TlsConfig, Fail> {
    let builder = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .client_cert(identity(config)?);
    if config.url.scheme() != "https" {
        return Ok(builder.root_certs(RootCerts::new_with_certs(&[])).build());
    }
    let trusted = match &config.ca_file {
        Some(path) => certificates("/ca_file", path)?,
        None => {
            let found = rustls_native_certs::load_native_certs();
            let owned = |der: &[u8]| Certificate::from_der(der).to_owned();
            found.certs.iter().map(|found| owned(found)).collect()
        }
    };
    if trusted.is_empty() {
        let why = "this system trusts no certificate authority; install ca-certificates, or name a file";
        return Err(Fail::bad_config("/ca_file", why));
    }
    Ok(builder.root_certs(RootCerts::new_with_certs(&trusted)).build())
}

fn identity(config: &Config) -> Result<Option<ClientCert>, Fail> {
    let (Some(certificate), Some(key)) = (&config.cert_file, &config.key_file) else {
        return Ok(None);
    };
    let chain = certificates("/cert_file", certificate)?;
    let text = read("/key_file", key)?;
    let key = PrivateKey::from_pem(&text).map_err(|e| {
        let shown = key.display();
        Fail::bad_config(
            "/key_file",
            format_args!("{shown} holds no private key in PEM ({e})"),
        )
    })?;
    Ok(Some(ClientCert::new_with_certs(&chain, key)))
}

fn certificates(pointer: &str, path: &Path) -> Result<Vec<Certificate<'static>>, Fail> {
    let text = read(pointer, path)?;
    let items: Vec<_> = parse_pem(&text)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if items.is_empty() {
        let shown = path.display();
        return Err(Fail::bad_config(
            pointer,
            format_args!("{shown} holds no certificate in PEM"),
        ));
    }
    Ok(items)
}

fn read(pointer: &str, path: &Path) -> Result<Vec<u8>, Fail> {
    std::fs::read(path)
        .map_err(|e| Fail::bad_config(pointer, format_args!("{} cannot be read: {e}", path.display())))
}
