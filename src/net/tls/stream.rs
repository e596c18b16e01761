//! Streams around a handshake: what the peer said first, and later errors in words.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::explain;
use crate::net::dial::{Endpoint, Stream};

/// How much of what the peer says is kept: enough to tell HTTP from TLS.
const KEPT_BYTES: usize = 32;

/// Keeps the first bytes that are read, for the error of a handshake with a peer that does not speak TLS.
pub(super) struct FirstBytes<S> {
    inner: S,
    kept: Vec<u8>,
}

impl<S> FirstBytes<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, kept: Vec::with_capacity(KEPT_BYTES) }
    }

    pub(super) fn kept(&self) -> &[u8] {
        &self.kept
    }
}

impl<S: Stream> AsyncRead for FirstBytes<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.inner).poll_read(context, buffer);
        let room = KEPT_BYTES - self.kept.len();
        if room > 0 {
            let new = buffer.filled().iter().skip(before).take(room);
            self.kept.extend(new);
        }
        outcome
    }
}

impl<S: Stream> AsyncWrite for FirstBytes<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// Puts rustls's errors after the handshake into words: with TLS 1.3 a broker that misses or refuses a
/// client's certificate says so only in answer to the first bytes.
pub(super) struct Explained<S> {
    inner: S,
    endpoint: Endpoint,
    /// Whether the client has a certificate to show.
    shown: bool,
}

impl<S> Explained<S> {
    pub(super) fn new(inner: S, endpoint: Endpoint, shown: bool) -> Self {
        Self { inner, endpoint, shown }
    }

    fn explain<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        outcome.map_err(|error| explain::later(&self.endpoint, self.shown, error))
    }
}

impl<S: Stream> AsyncRead for Explained<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_read(context, buffer);
        self.explain(outcome)
    }
}

impl<S: Stream> AsyncWrite for Explained<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.explain(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        self.explain(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_flush(context);
        self.explain(outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_shutdown(context);
        self.explain(outcome)
    }
}
