//! The mail server's own certificate, and TLS on a connection. Whoever is to believe it is given the certificate as the only
//! authority there is.

use std::sync::{Arc, OnceLock};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

/// A connection, before TLS and behind it.
pub(super) type Stream = Box<dyn Wire>;

pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

struct Identity {
    pem: String,
    config: Arc<ServerConfig>,
}

/// Made once a process: what it says is the same for every twin.
fn identity() -> &'static Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(names).expect("two plain names make a certificate");
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows the default versions")
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key.into())
            .expect("the key was made for the certificate");
        Identity { pem: cert.pem(), config: Arc::new(config) }
    })
}

pub(crate) fn certificate_pem() -> &'static str {
    &identity().pem
}

/// `None` when the client hangs up over it.
pub(super) async fn seal(stream: Stream) -> Option<Stream> {
    let acceptor = TlsAcceptor::from(identity().config.clone());
    let sealed = acceptor.accept(stream).await.ok()?;
    Some(Box::new(sealed))
}
