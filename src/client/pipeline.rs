//! Many requests on their way at once.

use super::connection::Connection;
use super::{ClientError, Result};
use crate::protocol::{Request, Response};

/// Sends requests without waiting for the answers before, and yields the answers in order.
///
/// It is bounded: when as many requests, or as many bytes of them, wait for their answers as the
/// options allow, it [`is_full`](Pipeline::is_full), and an answer must be taken before the next
/// request. It cannot deadlock with the server: sending never waits, and receiving sends and
/// receives whichever the socket allows.
///
/// ```
/// # use atlaskv::client::{Client, ClientError, ClientOptions};
/// use atlaskv::protocol::{Request, Response};
///
/// # fn main() -> Result<(), ClientError> {
/// # let home = tempfile::tempdir().expect("a directory");
/// # let server = atlaskv::example::serve(home.path()).expect("a server");
/// # let mut client = Client::connect(&server.address().to_string(), ClientOptions::default())?;
/// let mut pipeline = client.pipeline();
/// for key in [b"a", b"b", b"c"] {
///     pipeline.send(&Request::Put { key, value: b"1" })?;
/// }
/// while let Some(answer) = pipeline.receive()? {
///     assert!(matches!(answer, Response::Written { .. }));
/// }
/// # Ok(())
/// # }
/// ```
///
/// What was sent is asked: dropping a pipeline with answers due takes nothing back. The answers are
/// passed over when the client is used next.
#[derive(Debug)]
pub struct Pipeline<'c> {
    connection: &'c mut Connection,
    max_requests: usize,
    max_bytes: usize,
    pending: usize,
}

impl<'c> Pipeline<'c> {
    pub(super) fn new(
        connection: &'c mut Connection,
        max_requests: usize,
        max_bytes: usize,
    ) -> Pipeline<'c> {
        Pipeline {
            connection,
            max_requests: max_requests.max(1),
            max_bytes,
            pending: 0,
        }
    }

    /// Requests whose answers were not taken yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Whether an answer must be taken before the next request.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.pending >= self.max_requests
            || (self.pending > 0 && self.connection.pending_bytes() >= self.max_bytes)
    }

    /// Sends a request, now or with those that follow. Never waits.
    ///
    /// # Errors
    /// [`ClientError::PipelineFull`] and [`ClientError::TooLarge`], after which everything goes on;
    /// [`ClientError::Broken`].
    pub fn send(&mut self, request: &Request<'_>) -> Result<()> {
        if self.is_full() {
            return Err(ClientError::PipelineFull);
        }
        self.connection.submit(request)?;
        self.pending += 1;
        Ok(())
    }

    /// Hands the socket what it takes of the requests that were not sent yet. Never waits.
    pub fn flush(&mut self) {
        self.connection.send_now();
    }

    /// Waits for the next answer; `None` when none is due. An error answer is
    /// [`ClientError::Server`], and the answers behind it still come.
    ///
    /// # Errors
    /// As [`super::Client::request`].
    pub fn receive(&mut self) -> Result<Option<Response>> {
        if self.pending == 0 {
            return Ok(None);
        }
        let answer = self.connection.receive();
        self.pending -= 1;
        answer.map(Some)
    }
}

impl Drop for Pipeline<'_> {
    fn drop(&mut self) {
        self.connection.forget_pending();
    }
}
