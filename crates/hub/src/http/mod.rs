//! How the hub's HTTP clients reach a server: over a platform's connection, with TLS above it where the address says so, and
//! without interim answers, which the library takes for the last ones. That takes TLS of the hub's own: the library's
//! would stand above all that can be put between.

mod interim;

use std::io;
use std::sync::Arc;

use actix_service::{Service, fn_service};
use actix_tls::connect::rustls_0_23::TlsConnector;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use awc::error::SendRequestError;
use awc::http::Uri;
use awc::http::uri::{Authority, Scheme};
use awc::middleware::Transform;
use awc::{ConnectRequest, Connector};
use rustls::ClientConfig;

use crate::platform::Platform;
use interim::FinalAnswers;

/// What stands in an address instead of `https` below [`Secured`]. The library would look for TLS of its own.
const OVER_TLS: &str = "tls";

/// How clients connect on a platform. It has to be used together with [`Secured`].
pub(crate) fn connector(
    platform: &Arc<dyn Platform>,
    tls: Option<Arc<ClientConfig>>,
) -> Connector<
    impl Service<
        ConnectInfo<Uri>,
        Response = Connection<Uri, FinalAnswers>,
        Error = ConnectError,
        Future: 'static,
    > + Clone
    + 'static,
> {
    let platform = Arc::clone(platform);
    Connector::new().connector(fn_service(move |request: ConnectInfo<Uri>| {
        let uri = request.request().clone();
        let tls = tls.clone();
        let connecting = platform.connect(request);
        async move {
            if uri.scheme_str() != Some(OVER_TLS) {
                return Ok(Connection::new(uri, FinalAnswers::new(connecting.await?)));
            }
            // Where a plain address has led to a secure one.
            let tls = tls.ok_or(io::Error::from(io::ErrorKind::Unsupported));
            let tls = TlsConnector::service(tls.map_err(ConnectError::Io)?);
            let secured = tls.call(Connection::new(uri, connecting.await?));
            let (stream, uri) = secured.await.map_err(ConnectError::Io)?.into_parts();
            Ok(Connection::new(uri, FinalAnswers::new(stream)))
        }
    }))
}

/// Middleware that leaves TLS to [`connector`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Secured;

/// A client's service that does.
#[derive(Debug)]
pub(crate) struct Securing<S> {
    service: S,
}

impl<S> Transform<S, ConnectRequest> for Secured
where
    S: Service<ConnectRequest, Error = SendRequestError>,
{
    type Transform = Securing<S>;

    fn new_transform(self, service: S) -> Self::Transform {
        Securing { service }
    }
}

impl<S> Service<ConnectRequest> for Securing<S>
where
    S: Service<ConnectRequest, Error = SendRequestError>,
{
    type Response = S::Response;
    type Error = SendRequestError;
    type Future = S::Future;

    actix_service::forward_ready!(service);

    fn call(&self, mut request: ConnectRequest) -> Self::Future {
        match &mut request {
            ConnectRequest::Tunnel(head, _) => over_tls(&mut head.uri),
            ConnectRequest::Client(actix_http::RequestHeadType::Owned(head), ..) => over_tls(&mut head.uri),
            // Of a request that is sent more than once, as no part of the hub does.
            ConnectRequest::Client(actix_http::RequestHeadType::Rc(..), ..) => {}
        }
        self.service.call(request)
    }
}

/// The port is written out, for it follows from the scheme. The header `Host` leaves 443 away.
fn over_tls(uri: &mut Uri) {
    if !matches!(uri.scheme_str(), Some("https" | "wss")) {
        return;
    }
    let (hostname, port) = (uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(443));
    let authority = format!("{hostname}:{port}").parse::<Authority>();
    let mut parts = uri.clone().into_parts();
    parts.scheme = OVER_TLS.parse::<Scheme>().ok();
    parts.authority = authority.ok().or(parts.authority);
    if let Ok(secured) = Uri::from_parts(parts) {
        *uri = secured;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_how_it_is_reached_and_at_which_port() {
        for (given, expected) in [
            ("https://backend.example/a?b=c", "tls://backend.example:443/a?b=c"),
            ("wss://backend.example/ws", "tls://backend.example:443/ws"),
            ("https://[::1]:8443/", "tls://[::1]:8443/"),
            ("http://backend.example/", "http://backend.example/"),
            ("ws://backend.example:81/ws", "ws://backend.example:81/ws"),
        ] {
            let mut uri: Uri = given.parse().unwrap();
            over_tls(&mut uri);
            assert_eq!(uri.to_string(), expected);
        }
    }
}
