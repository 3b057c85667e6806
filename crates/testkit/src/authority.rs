//! A certificate authority of the test's own, and certificates for servers on the loopback interface.
//!
//! It refuses to know who serves with them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// An authority and one certificate from it, as PEM files.
#[derive(Debug)]
pub struct Authority {
    ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Authority {
    /// Makes an authority and lets it certify a server called `names`, such as `localhost` and `127.0.0.1`. The files
    /// lie in `dir`.
    pub fn new(dir: &Path, names: &[&str]) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_key = KeyPair::generate()?;
        let ca_certificate = params.self_signed(&ca_key)?;
        let issuer = Issuer::new(params, ca_key);
        let names: Vec<String> = names.iter().map(|name| String::from(*name)).collect();
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
        Ok(Self {
            ca: write(dir, "ca.pem", &ca_certificate.pem())?,
            certificate: write(dir, "server.pem", &certificate.pem())?,
            key: write(dir, "server.key", &key.serialize_pem())?,
        })
    }

    /// Makes a certificate as `openssl req -x509` does: signed by itself, an authority's (CA:TRUE), and with a common name
    /// alone. It is its own authority.
    pub fn self_signed(dir: &Path, name: &str) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            ca: write(dir, "ca.pem", &certificate.pem())?,
            certificate: write(dir, "server.pem", &certificate.pem())?,
            key: write(dir, "server.key", &key.serialize_pem())?,
        })
    }

    /// The authority's own certificate, which a client has to trust.
    #[must_use]
    pub fn ca(&self) -> &Path {
        &self.ca
    }

    /// The server's certificate.
    #[must_use]
    pub fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// The server's private key.
    #[must_use]
    pub fn key(&self) -> &Path {
        &self.key
    }
}

fn write(dir: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = dir.join(name);
    std::fs::write(&path, text).with_context(|| format!("{} was not written", path.display()))?;
    Ok(path)
}
