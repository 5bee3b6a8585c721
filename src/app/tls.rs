//! TLS as the command line asks for it.

use std::sync::Arc;

use crate::cli::{ListenTls, ServerTrust};
use crate::net::{
    ClientTls, ClientTlsOptions, KeyLog, LocalAuthority, ProxyTls, ServerTls, ServerTlsOptions, TlsSetupError,
};

/// How clients are spoken to by TLS, if they are.
pub(super) fn listen(options: &ListenTls, key_log: &Arc<KeyLog>) -> Result<Option<ServerTls>, TlsSetupError> {
    if !options.tls {
        return Ok(None);
    }
    let certificate = match (&options.cert, &options.key) {
        (Some(certificate), Some(key)) => {
            ServerTlsOptions::Files { certificate: certificate.clone(), key: key.clone() }
        }
        _ => ServerTlsOptions::Local(Arc::new(LocalAuthority::of_user()?)),
    };
    ServerTls::new(&certificate, key_log.clone()).map(Some)
}

/// How a server is spoken to by TLS.
pub(super) fn trust(options: &ServerTrust, key_log: Arc<KeyLog>) -> Result<ClientTls, TlsSetupError> {
    let options = ClientTlsOptions { ca: options.ca.clone(), insecure: options.insecure };
    ClientTls::new(&options, key_log)
}

/// How a proxy opens tunnels of TLS. Where this machine has not got what that takes, they stay closed, and why is said of
/// each.
pub(super) fn open(options: &ServerTrust, key_log: Arc<KeyLog>) -> Result<ProxyTls, TlsSetupError> {
    let local = || LocalAuthority::of_user().map(|authority| ServerTlsOptions::Local(Arc::new(authority)));
    let clients = local().and_then(|certificate| ServerTls::new(&certificate, key_log.clone()));
    match (clients, trust(options, key_log)) {
        (Ok(clients), Ok(servers)) => Ok(ProxyTls::Opened { clients, servers }),
        (_, Err(error)) if options.ca.is_some() => Err(error),
        (Err(error), _) | (_, Err(error)) => Ok(ProxyTls::Closed(error.to_string().into())),
    }
}
