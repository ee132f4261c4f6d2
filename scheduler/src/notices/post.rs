//! One try to deliver a notice.

use std::{
    io,
    net::{Ipv6Addr, SocketAddr},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode, Uri,
    body::Incoming,
    client::conn::http1,
    header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use muster_api::{clock, limits, notices::NoticeBody};
use muster_engine::{event::Tried, records::NoticeRecord};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::{signature::sign, tls::Tls};
use crate::secrets::Token;

/// Who sends this.
const AGENT: &str = concat!("muster/", env!("CARGO_PKG_VERSION"));

/// Sends notices in the name of an installation.
pub(super) struct Poster {
    pub(super) secret: Token,
    pub(super) installation: String,
    pub(super) tls: Tls,
}

/// A connection of either kind.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Poster {
    /// Sends a notice, and says what its webhook made of it. Ends within [`limits::NOTICE_POST`].
    pub(super) async fn deliver(&self, record: &NoticeRecord) -> Tried {
        let failed = |why| Tried::Failed { why };
        match timeout(limits::NOTICE_POST, self.post(record)).await {
            Ok(Ok(status)) => verdict(status),
            Ok(Err(why)) => failed(why),
            Err(_) => failed(format!("no answer within {} s", limits::NOTICE_POST.as_secs())),
        }
    }

    async fn post(&self, record: &NoticeRecord) -> Result<StatusCode, String> {
        let uri: Uri = record.webhook.parse().map_err(|_| "its URI cannot be read".to_owned())?;
        let request = self.request(&uri, record)?;
        let stream = self.connect(&uri).await?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(limits::NOTICE_ANSWER_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| format!("no HTTP: {error}"))?;
        // What stands behind the status is nobody's business, so that it is not read.
        let exchange = sender.send_request(request);
        let mut exchange = std::pin::pin!(exchange);
        let response = tokio::select! {
            response = &mut exchange => response,
            // It ends with the answer at hand, or without one: the exchange knows which.
            _ = connection => exchange.await,
        };
        let response: Response<Incoming> =
            response.map_err(|error| format!("no answer: {error}"))?;
        Ok(response.status())
    }

    async fn connect(&self, uri: &Uri) -> Result<Box<dyn Stream>, String> {
        let secure = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let cannot = |error| format!("cannot connect to {}: {error}", shown(host, port));
        let addresses = lookup_host((host, port)).await.map_err(cannot)?;
        let stream = first_of(addresses, TcpStream::connect).await.map_err(cannot)?;
        if !secure {
            return Ok(Box::new(stream));
        }
        Ok(Box::new(self.tls.connect(host, stream).await?))
    }

    fn request(&self, uri: &Uri, record: &NoticeRecord) -> Result<Request<Full<Bytes>>, String> {
        let notice = record.notice.clone();
        let body = NoticeBody { installation: self.installation.clone(), notice };
        let body = serde_json::to_vec(&body).expect("a notice always becomes JSON");
        let timestamp = clock::wall().as_millis() / 1000;
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        Request::post(target(uri))
            .header(HOST, authority)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, AGENT)
            .header(CONNECTION, "close")
            .header("Muster-Notice", record.notice.id.to_string())
            .header("Muster-Timestamp", timestamp)
            .header("Muster-Signature", sign(self.secret.as_str(), timestamp, &body))
            .body(Full::new(body.into()))
            .map_err(|error| format!("its URI cannot be posted to: {error}"))
    }
}

/// What is asked for of the host: the path, which is `/` where the URI has none, and the query.
fn target(uri: &Uri) -> String {
    let path = Some(uri.path()).filter(|path| !path.is_empty()).unwrap_or("/");
    match uri.query() {
        None => path.to_owned(),
        Some(query) => format!("{path}?{query}"),
    }
}

/// Connects to the first address that answers. One that is silent leaves time for the others.
async fn first_of<T>(
    addresses: impl Iterator<Item = SocketAddr>,
    connect: impl AsyncFn(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "it has no address");
    for address in addresses {
        match timeout(limits::NOTICE_CONNECT, connect(address)).await {
            Ok(Ok(connected)) => return Ok(connected),
            Ok(Err(error)) => last = error,
            Err(_) => {
                let most = limits::NOTICE_CONNECT.as_secs();
                let silent = format!("{address} has not answered within {most} s");
                last = io::Error::new(io::ErrorKind::TimedOut, silent);
            }
        }
    }
    Err(last)
}

fn shown(host: &str, port: u16) -> String {
    match host.parse::<Ipv6Addr>() {
        Ok(address) => format!("[{address}]:{port}"),
        Err(_) => format!("{host}:{port}"),
    }
}

/// What an answer means: 2xx is delivered, 410 never again, and anything else not this time.
fn verdict(status: StatusCode) -> Tried {
    if status.is_success() {
        return Tried::Delivered;
    }
    let answered = format!("it answered {status}");
    match status {
        StatusCode::GONE => Tried::Gone { why: answered },
        status if status.is_redirection() => {
            Tried::Refused { why: format!("{answered}, and redirects are not followed") }
        }
        _ => Tried::Refused { why: answered },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{notices::tls, secrets};

    #[test]
    fn only_success_is_delivered_and_only_gone_is_final() {
        let of = |code| verdict(StatusCode::from_u16(code).unwrap());
        for code in [200, 202, 204, 299] {
            assert_eq!(of(code), Tried::Delivered);
        }
        assert!(matches!(of(410), Tried::Gone { .. }));
        for code in [300, 301, 304, 308, 400, 401, 404, 408, 429, 500, 503] {
            assert!(matches!(of(code), Tried::Refused { .. }), "{code}");
        }
    }

    #[test]
    fn a_request_is_for_a_path_though_the_uri_has_none() {
        for (uri, asked) in [
            ("https://h", "/"),
            ("https://h/", "/"),
            ("https://h?token=1", "/?token=1"),
            ("https://h/?token=1", "/?token=1"),
            ("https://h:1/a/b?c=d&e", "/a/b?c=d&e"),
            ("https://h/a?", "/a?"),
        ] {
            let notice = record(uri.to_owned());
            let uri: Uri = uri.parse().unwrap();
            let request = poster(Tls::default()).request(&uri, &notice).unwrap();
            assert_eq!(request.uri().to_string(), asked, "{uri}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_is_silent_leaves_time_for_the_next_one() {
        let (silent, live) = (SocketAddr::from(([127, 0, 0, 1], 1)), [127, 0, 0, 1]);
        let live = SocketAddr::from((live, 2));
        let connect = async |address| {
            if address == silent {
                std::future::pending::<()>().await;
            }
            Ok(address)
        };
        let connected = timeout(limits::NOTICE_POST, first_of([silent, live].into_iter(), connect));
        assert_eq!(connected.await.unwrap().unwrap(), live);
        let none = timeout(limits::NOTICE_POST, first_of([silent].into_iter(), connect)).await;
        assert_eq!(none.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    /// A server that speaks TLS with the certificate of the tests, and answers 204.
    async fn secure_webhook() -> std::net::SocketAddr {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        use tokio_rustls::{
            TlsAcceptor,
            rustls::{
                ServerConfig,
                crypto::ring,
                pki_types::{PrivateKeyDer, pem::PemObject as _},
            },
        };
        let key = include_bytes!("../../tests/samples/webhook.key");
        let key = PrivateKeyDer::from_pem_slice(key).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![tls::tests::certificate()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Whoever does not trust it goes away.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut seen = Vec::new();
                while !seen.ends_with(b"}") {
                    stream.read_buf(&mut seen).await.unwrap();
                }
                assert!(seen.starts_with(b"POST /x HTTP/1.1\r\n"));
                stream.write_all(b"HTTP/1.1 204 X\r\n\r\n").await.unwrap();
            }
        });
        address
    }

    fn record(webhook: String) -> NoticeRecord {
        let notice = serde_json::json!({"id": "018cc251-f400-7000-8000-000000000001",
            "kind": "failed", "at": "2026-01-31T02:00:00Z", "state": "failed", "reason": "r",
            "link": "/v1/runs/x"});
        NoticeRecord { webhook, notice: serde_json::from_value(notice).unwrap() }
    }

    fn poster(tls: Tls) -> Poster {
        let folder = tempfile::tempdir().unwrap();
        let secret = secrets::open_token(folder.path(), secrets::NOTICE_SECRET).unwrap();
        Poster { secret, installation: String::new(), tls }
    }

    #[tokio::test]
    async fn https_is_for_whom_the_machine_trusts() {
        let address = secure_webhook().await;
        let notice = record(format!("https://{address}/x"));
        let trusting = poster(Tls::trusting(tls::tests::certificate()));
        assert_eq!(trusting.deliver(&notice).await, Tried::Delivered);
        // Of another name, though at the same place.
        let other = record(format!("https://[::ffff:127.0.0.1]:{}/x", address.port()));
        assert!(matches!(trusting.deliver(&other).await, Tried::Failed { .. }));
        let nobody = poster(Tls::default()).deliver(&notice).await;
        assert!(
            matches!(nobody, Tried::Failed { ref why } if why.contains("TLS")
            || why.contains("ca-certificates")),
            "{nobody:?}"
        );
        // No TLS at all there.
        let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = plain.local_addr().unwrap();
        tokio::spawn(async move { while plain.accept().await.is_ok() {} });
        let refused = trusting.deliver(&record(format!("https://{address}/x"))).await;
        assert!(matches!(refused, Tried::Failed { ref why } if why.contains("TLS")), "{refused:?}");
    }
}
