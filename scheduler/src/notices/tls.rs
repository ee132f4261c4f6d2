//! TLS to webhooks: the certificate of the receiver must be of an authority that this machine
//! trusts.

use std::sync::Arc;

use tokio::{net::TcpStream, sync::OnceCell, task::spawn_blocking};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName},
};

/// Opens TLS connections. What the machine trusts is read when one is wanted, until that succeeds:
/// whoever installs the certificates that were missing need not start the scheduler again.
#[derive(Default)]
pub(super) struct Tls {
    connector: OnceCell<TlsConnector>,
}

impl Tls {
    /// TLS over a connection to `host`.
    pub(super) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, String> {
        let connector = self.connector.get_or_try_init(read).await?;
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| format!("`{host}` is no name that a certificate can have"))?;
        connector.connect(name, stream).await.map_err(|error| format!("no TLS: {error}"))
    }
}

/// Reads many files, for which nobody else should wait.
async fn read() -> Result<TlsConnector, String> {
    let read = spawn_blocking(connector).await;
    read.unwrap_or_else(|error| Err(format!("the certificates cannot be read: {error}")))
}

/// Trusts whom the machine trusts, or whom `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
fn connector() -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (good, _) = roots.add_parsable_certificates(found.certs);
    if good == 0 {
        return Err("this machine knows no certificate authorities; install them (the package is \
             often called ca-certificates), or name a file of them in SSL_CERT_FILE"
            .to_owned());
    }
    trusting(roots)
}

fn trusting(roots: RootCertStore) -> Result<TlsConnector, String> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("no TLS: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
pub(super) mod tests {
    use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject as _};

    use super::*;

    /// The certificate of webhooks in tests, for `localhost` and 127.0.0.1 only.
    pub(in crate::notices) fn certificate() -> CertificateDer<'static> {
        let text = include_bytes!("../../tests/samples/webhook.crt");
        CertificateDer::from_pem_slice(text).unwrap()
    }

    impl Tls {
        /// Trusts one certificate.
        pub(in crate::notices) fn trusting(certificate: CertificateDer<'static>) -> Self {
            let mut roots = RootCertStore::empty();
            roots.add(certificate).unwrap();
            Self { connector: OnceCell::from(trusting(roots).unwrap()) }
        }
    }
}
