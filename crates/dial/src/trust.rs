//! Whom to trust, and what is wrong with a certificate, in words.
//!
//! A certificate that the site itself names is trusted as it is. So a server with a certificate of its own making is
//! reached, also one of the usual `openssl req -x509`, which makes an authority's.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// Trusts what the authorities certify, and the certificates that are named themselves.
#[derive(Debug)]
pub struct Verifier {
    pinned: Vec<CertificateDer<'static>>,
    usual: Arc<WebPkiServerVerifier>,
}

/// What is wrong with the encryption of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFault {
    /// What kind of fault it is.
    pub kind: TlsFaultKind,
    /// In words.
    pub words: String,
}

/// See [`TlsFault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFaultKind {
    /// Something answers that does not speak TLS.
    NotTls,
    /// The server's certificate comes from an authority that is not trusted.
    Authority,
    /// The server's certificate is for other names.
    OtherName,
    /// The server's certificate is not valid today.
    Dates,
    /// The server's certificate cannot be used at all.
    Certificate,
    /// The server wants a certificate of this client.
    ClientCertificate,
}

impl Verifier {
    /// Trusts what `roots` certify, and each of `pinned`.
    ///
    /// # Errors
    /// When there is no authority at all.
    pub fn new(
        roots: RootCertStore,
        pinned: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, VerifierBuilderError> {
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        Ok(Self {
            pinned,
            usual: builder.build()?,
        })
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

/// What an error of TLS means.
pub fn explain(error: &Error, host: &str) -> TlsFault {
    match error {
        Error::InvalidCertificate(error) => distrust(error, host),
        Error::AlertReceived(alert) => fault(
            TlsFaultKind::ClientCertificate,
            format_args!(
                "{host} refused the encryption ({alert:?}); it may want a certificate of this client"
            ),
        ),
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => fault(
            TlsFaultKind::NotTls,
            format_args!("what answers at {host} does not speak TLS at this port"),
        ),
        error => fault(
            TlsFaultKind::NotTls,
            format_args!("{host} and this machine find no common encryption: {error}"),
        ),
    }
}

fn distrust(error: &CertificateError, host: &str) -> TlsFault {
    use CertificateError as E;
    match error {
        E::UnknownIssuer | E::BadSignature => fault(
            TlsFaultKind::Authority,
            format_args!(
                "the certificate of {host} comes from an authority that this machine does not trust"
            ),
        ),
        E::NotValidForNameContext { presented, .. } if !presented.is_empty() => fault(
            TlsFaultKind::OtherName,
            format_args!("the certificate of {host} is for {}", names(presented)),
        ),
        E::NotValidForName | E::NotValidForNameContext { .. } => fault(
            TlsFaultKind::OtherName,
            format_args!("the certificate of {host} names no server at all"),
        ),
        E::ExpiredContext { time, not_after } => fault(
            TlsFaultKind::Dates,
            format_args!(
                "the certificate of {host} ended at {}, and it is {} here; renew it, or set this machine's clock",
                date(*not_after),
                date(*time)
            ),
        ),
        E::NotValidYetContext { time, not_before } => fault(
            TlsFaultKind::Dates,
            format_args!(
                "the certificate of {host} begins at {}, and it is {} here; set this machine's clock",
                date(*not_before),
                date(*time)
            ),
        ),
        // The library has no kind of its own for it.
        error if error.to_string().contains("CaUsedAsEndEntity") => fault(
            TlsFaultKind::Authority,
            format_args!(
                "the certificate of {host} is an authority's (CA:TRUE), as `openssl req -x509` makes it; name this very \
                 certificate, or give the server one made with `-addext basicConstraints=critical,CA:FALSE`"
            ),
        ),
        error => fault(
            TlsFaultKind::Certificate,
            format_args!("the certificate of {host} cannot be used: {error}"),
        ),
    }
}

fn fault(kind: TlsFaultKind, words: impl std::fmt::Display) -> TlsFault {
    TlsFault {
        kind,
        words: words.to_string(),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn words(error: CertificateError) -> String {
        explain(&Error::InvalidCertificate(error), "mail.example").words
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
