//! Encryption: whom a sink trusts, the certificate that it shows, and what is wrong with one in words.
//!
//! A certificate that the site itself names in `ca_file` is trusted as it is. So a server with a certificate of its own
//! making is reached, also one of the usual `openssl req -x509`, which makes an authority's.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

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
        let verifier = Verifier::new(pinned, self.ca_file, &provider)?;
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

/// Trusts what the authorities certify, and the certificates that are named themselves.
#[derive(Debug)]
struct Verifier {
    pinned: Vec<CertificateDer<'static>>,
    usual: Arc<WebPkiServerVerifier>,
}

impl Verifier {
    fn new(
        pinned: Vec<CertificateDer<'static>>,
        ca_file: Option<&Path>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, Fail> {
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
        let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .build()
            .map_err(|error| {
                Fail::bad_config(
                    "/ca_file",
                    format_args!("the certificates are of no use: {error}"),
                )
            })?;
        Ok(Self { pinned, usual })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // Byte for byte the one that the site has named: nothing that it says of itself matters any more. That the server
        // has its key is checked with the signature.
        if self.pinned.iter().any(|pinned| pinned == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        self.usual
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}

/// The error of TLS behind one of a connection.
pub(super) fn of(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// What an error of TLS means, in words.
pub(super) fn explain(error: &Error, host: &str) -> Unreachable {
    match error {
        Error::InvalidCertificate(error) => distrust(error, host),
        Error::AlertReceived(alert) => Unreachable::new(
            Cause::ClientCertificate,
            format_args!(
                "{host} refused the encryption ({alert:?}); it may want a certificate of this client"
            ),
        ),
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => Unreachable::new(
            Cause::NotTls,
            format_args!("what answers at {host} does not speak TLS at this port"),
        ),
        error => Unreachable::new(
            Cause::NotTls,
            format_args!("{host} and this machine find no common encryption: {error}"),
        ),
    }
}

fn distrust(error: &CertificateError, host: &str) -> Unreachable {
    use CertificateError as E;
    match error {
        E::UnknownIssuer | E::BadSignature => Unreachable::new(
            Cause::Authority,
            format_args!(
                "the certificate of {host} comes from an authority that this machine does not trust"
            ),
        ),
        E::NotValidForNameContext { presented, .. } if !presented.is_empty() => Unreachable::new(
            Cause::OtherName,
            format_args!("the certificate of {host} is for {}", names(presented)),
        ),
        E::NotValidForName | E::NotValidForNameContext { .. } => Unreachable::new(
            Cause::OtherName,
            format_args!("the certificate of {host} names no server at all"),
        ),
        E::ExpiredContext { time, not_after } => Unreachable::new(
            Cause::Dates,
            format_args!(
                "the certificate of {host} ended at {}, and it is {} here; renew it, or set this machine's clock",
                date(*not_after),
                date(*time)
            ),
        ),
        E::NotValidYetContext { time, not_before } => Unreachable::new(
            Cause::Dates,
            format_args!(
                "the certificate of {host} begins at {}, and it is {} here; set this machine's clock",
                date(*not_before),
                date(*time)
            ),
        ),
        // The library has no kind of its own for it.
        error if error.to_string().contains("CaUsedAsEndEntity") => Unreachable::new(
            Cause::Authority,
            format_args!(
                "the certificate of {host} is an authority's (CA:TRUE), as `openssl req -x509` makes it; name this very \
                 certificate, or give the server one made with `-addext basicConstraints=critical,CA:FALSE`"
            ),
        ),
        error => Unreachable::new(
            Cause::Certificate,
            format_args!("the certificate of {host} cannot be used: {error}"),
        ),
    }
}

/// The names in a certificate, which the library gives as `DnsName("mail.example")`.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| match name.split('"').nth(1) {
        Some(inner) => inner.to_owned(),
        None => name.clone(),
    };
    presented.iter().map(bare).collect::<Vec<_>>().join(", ")
}

fn date(time: UnixTime) -> impl std::fmt::Display {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(time.as_secs()))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn words(error: CertificateError) -> String {
        explain(&Error::InvalidCertificate(error), "mail.example").to_string()
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_said_with_names_and_dates() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        assert_eq!(
            words(CertificateError::ExpiredContext {
                time: at(1_800_000_000),
                not_after: at(1_700_000_000),
            }),
            "the certificate of mail.example ended at 2023-11-14T22:13:20Z, and it is 2027-01-15T08:00:00Z here; renew \
             it, or set this machine's clock"
        );
        assert_eq!(
            words(CertificateError::NotValidForNameContext {
                expected: ServerName::try_from("mail.example").unwrap(),
                presented: vec!["DnsName(\"a.example\")".into(), "b.example".into()],
            }),
            "the certificate of mail.example is for a.example, b.example"
        );
    }
}
