//! Files of certificates and keys (PEM): whether there is one in them. Who signed what, TLS finds out.

use std::path::Path;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::unreadable;
use crate::bounded;

/// What is wrong, after the words for the key, and what to do.
type Problem = (String, String);

/// More than any bundle of authorities needs.
const MAX_BYTES: u64 = 8 << 20;

/// Whether the file has a certificate.
pub(super) fn certificates(path: &Path) -> Result<(), Problem> {
    let bytes = read(path)?;
    let shown = path.display();
    let mut found = 0;
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        if certificate.is_err() {
            let help = "copy the file again: lines of a certificate are missing or changed";
            return Err((
                format!("names {shown}, in which a certificate is damaged"),
                help.to_owned(),
            ));
        }
        found += 1;
    }
    if found > 0 {
        return Ok(());
    }
    let has = |text: &[u8]| bytes.windows(text.len()).any(|part| part == text);
    Err(if bytes.is_empty() {
        (
            format!("names {shown}, which is empty"),
            "put the certificate into it, as PEM".to_owned(),
        )
    } else if has(b"PRIVATE KEY-----") {
        (
            format!("names {shown}, which holds a private key and no certificate"),
            "name the file of the certificate".to_owned(),
        )
    } else if has(b"BEGIN CERTIFICATE REQUEST") {
        (
            format!("names {shown}, which holds a request and no certificate"),
            "name the certificate that was made of it".to_owned(),
        )
    } else if bytes.starts_with(&[0x30]) {
        (
            format!("names {shown}, which is not PEM: it seems to be DER"),
            format!("convert it: `openssl x509 -inform der -in {shown} -out NEW.pem`"),
        )
    } else {
        (
            format!("names {shown}, in which there is no certificate"),
            "expected PEM, which has a line `-----BEGIN CERTIFICATE-----`".to_owned(),
        )
    })
}

/// Whether the file has a private key that needs no password.
pub(super) fn private_key(path: &Path) -> Result<(), Problem> {
    let bytes = read(path)?;
    if PrivateKeyDer::from_pem_slice(&bytes).is_ok() {
        return Ok(());
    }
    let shown = path.display();
    let encrypted = bytes.windows(9).any(|part| part == b"ENCRYPTED");
    Err(if encrypted {
        (
            format!("names {shown}, a key that is locked with a password"),
            "remove the password: `openssl pkey -in KEY -out NEW`".to_owned(),
        )
    } else {
        (
            format!("names {shown}, in which there is no private key"),
            "expected PEM, which has a line `-----BEGIN PRIVATE KEY-----`".to_owned(),
        )
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    bounded::read(path, MAX_BYTES).map_err(|error| unreadable(path, &error))
}
