//! Certificates for secure WebSocket (WSS).

use std::fmt;

use libp2p::websocket::tls;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

/// What secure WebSocket needs, read from PEM.
///
/// Nodes that dial check the certificate's name and issuer, unlike nwaku: a browser does too. Listening on an
/// address that ends in `/tls/ws` or `/wss` needs a certificate, dialling does not.
#[derive(Clone, Default)]
pub struct Tls {
    server: Option<(tls::PrivateKey, Vec<tls::Certificate>)>,
    trusted: Vec<tls::Certificate>,
}

impl Tls {
    /// Shows this certificate where the node listens: a chain, the node's own certificate first, and its
    /// private key (PKCS#8, PKCS#1 or SEC1), both in PEM.
    ///
    /// # Errors
    /// When either cannot be read, or they do not belong together.
    pub fn with_certificate(mut self, chain_pem: &[u8], key_pem: &[u8]) -> Result<Self, TlsError> {
        let chain = certificates(chain_pem)?;
        let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|error| TlsError::Key(error.to_string()))?;
        let key = tls::PrivateKey::new(key.secret_der().to_vec());
        tls::Config::new(key.clone(), chain.clone()).map_err(|error| TlsError::Pair(error.to_string()))?;
        self.server = Some((key, chain));
        Ok(self)
    }

    /// Trusts the issuers in this PEM too, besides those every browser trusts.
    ///
    /// # Errors
    /// When it holds no certificate.
    pub fn with_trusted(mut self, pem: &[u8]) -> Result<Self, TlsError> {
        for certificate in certificates(pem)? {
            tls::Config::builder()
                .add_trust(&certificate)
                .map_err(|error| TlsError::Certificate(error.to_string()))?;
            self.trusted.push(certificate);
        }
        Ok(self)
    }

    /// True when the node can listen with it.
    pub(crate) fn has_certificate(&self) -> bool {
        self.server.is_some()
    }

    pub(super) fn config(&self) -> Result<tls::Config, TlsError> {
        let mut builder = tls::Config::builder();
        for certificate in &self.trusted {
            builder.add_trust(certificate).map_err(|error| TlsError::Certificate(error.to_string()))?;
        }
        if let Some((key, chain)) = &self.server {
            builder.server(key.clone(), chain.clone()).map_err(|error| TlsError::Pair(error.to_string()))?;
        }
        Ok(builder.finish())
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<tls::Certificate>, TlsError> {
    let certificate = |der: CertificateDer<'_>| tls::Certificate::new(der.to_vec());
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(pem).map(|read| read.map(certificate)).collect();
    match found {
        Ok(found) if found.is_empty() => Err(TlsError::Certificate("there is none in the PEM".to_owned())),
        Ok(found) => Ok(found),
        Err(error) => Err(TlsError::Certificate(error.to_string())),
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("has_certificate", &self.has_certificate())
            .field("trusted", &self.trusted.len())
            .finish_non_exhaustive()
    }
}

/// Certificates that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TlsError {
    /// A certificate cannot be read.
    #[error("the certificate cannot be read: {0}")]
    Certificate(String),
    /// The private key cannot be read.
    #[error("the private key cannot be read: {0}")]
    Key(String),
    /// Certificate and key do not belong together, or the key is of an unknown kind.
    #[error("certificate and private key cannot be used together: {0}")]
    Pair(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem() -> (String, String) {
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (certified.cert.pem(), certified.signing_key.serialize_pem())
    }

    #[test]
    fn takes_a_certificate_and_its_key() {
        let (chain, key) = pem();
        let tls = Tls::default().with_certificate(chain.as_bytes(), key.as_bytes()).unwrap();
        assert!(tls.has_certificate());
        assert!(tls.with_trusted(chain.as_bytes()).unwrap().config().is_ok());
    }

    #[test]
    fn refuses_what_is_no_pem_and_a_key_of_another_certificate() {
        let ((chain, key), (_, other_key)) = (pem(), pem());
        let load = |chain: &str, key: &str| {
            Tls::default().with_certificate(chain.as_bytes(), key.as_bytes()).unwrap_err()
        };
        assert!(matches!(load("", &key), TlsError::Certificate(_)));
        assert!(matches!(load(&chain, "-----BEGIN"), TlsError::Key(_)));
        assert!(matches!(load(&key, &key), TlsError::Certificate(_)));
        assert!(matches!(load(&chain, &other_key), TlsError::Pair(_)));
        assert!(matches!(Tls::default().with_trusted(b"x").unwrap_err(), TlsError::Certificate(_)));
    }

    #[test]
    fn its_debug_shows_no_key() {
        let (chain, key) = pem();
        let tls = Tls::default().with_certificate(chain.as_bytes(), key.as_bytes()).unwrap();
        assert_eq!(format!("{tls:?}"), "Tls { has_certificate: true, trusted: 0, .. }");
    }
}
