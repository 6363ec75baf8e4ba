//! What the endpoint accepts connections from: a plain socket or one that speaks TLS. Requests look the same behind both.

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use hearth_mtls::{MtlsListener, MtlsStream};
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};

/// Who sends a request, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    pub(super) address: SocketAddr,
    pub(super) is_tls: bool,
}

/// Serves what comes as it is.
pub(super) struct Plain(pub(super) TcpListener);

impl Listener for Plain {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Small answers must not wait for an acknowledgement of the one before; one that is gone has no use for it.
        drop(stream.set_nodelay(true));
        (stream, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Plain>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Plain>) -> Self {
        Self { address: *stream.remote_addr(), is_tls: false }
    }
}

/// Serves what comes within TLS.
pub(super) struct Tls(pub(super) MtlsListener);

impl Listener for Tls {
    type Io = MtlsStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (MtlsStream, SocketAddr) {
        let stream = self.0.accept().await;
        let address = stream.peer().address;
        (stream, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.0.local_addr())
    }
}

impl Connected<IncomingStream<'_, Tls>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Tls>) -> Self {
        Self { address: *stream.remote_addr(), is_tls: true }
    }
}
