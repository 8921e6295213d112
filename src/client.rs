//! A blocking client, over TCP or the daemon's Unix socket.
//!
//! ```
//! use atlaskv::client::{Client, ClientError, ClientOptions};
//!
//! fn main() -> Result<(), ClientError> {
//!     let address = "127.0.0.1:7390";
//! #   let home = tempfile::tempdir().expect("a directory");
//! #   let server = atlaskv::example::serve(home.path()).expect("a server");
//! #   let address = &server.address().to_string();
//!     let mut client = Client::connect(address, ClientOptions::default())?;
//!     let lsn = client.put(b"apple", b"red")?;
//!     client.sync(Some(lsn))?;
//!     let found = client.get(b"apple")?;
//!     assert_eq!(found.map(|found| found.value), Some("red".into()));
//!     Ok(())
//! }
//! ```
//!
//! A client is one connection, for one thread at a time. After a timeout or anything else that leaves
//! requests and answers out of step it refuses to go on ([`ClientError::Broken`]): connect again. A
//! write whose answer did not come may or may not have been done.

mod connection;
mod error;
mod pipeline;
mod scan;

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;

pub use crate::protocol::{
    BatchOperation, CompactionReport, ConfigItem, Entry, ErrorCode, Expected, Limits, ReloadReport,
    ServerInfo, SlowRequest, StatValue, Token, VerificationStatus,
};
use crate::protocol::{Request, Response, VERSION};
use connection::Connection;
pub use error::{ClientError, Waiting};
pub use pipeline::Pipeline;
pub use scan::{Scan, ScanOptions};

/// A client's result.
pub type Result<T> = std::result::Result<T, ClientError>;

/// How a client connects, waits and pipelines.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// How long to wait for a TCP connection; each address of a name is given this long.
    pub connect_timeout: Duration,
    /// How long to wait for the next bytes of an answer; `None`: for ever. A `compact` or `flush` can
    /// take long.
    pub read_timeout: Option<Duration>,
    /// How long to wait until the server takes bytes of a request; `None`: for ever.
    pub write_timeout: Option<Duration>,
    /// Who this is, for the server's log.
    pub name: String,
    /// The secret that the server wants of TCP clients. It goes over the wire in the clear.
    pub token: Option<Token>,
    /// The largest answer accepted, in bytes, whatever the server says its limit is.
    pub max_answer_size: u32,
    /// Requests of a pipeline that may wait for their answers.
    pub pipeline_requests: usize,
    /// Bytes of requests of a pipeline that may wait for their answers; one request is always let in.
    pub pipeline_bytes: usize,
}

impl Default for ClientOptions {
    fn default() -> ClientOptions {
        ClientOptions {
            connect_timeout: Duration::from_secs(5),
            // Longer than the 60 s for which a server lets a write wait for its disk.
            read_timeout: Some(Duration::from_secs(90)),
            write_timeout: Some(Duration::from_secs(90)),
            name: concat!("atlaskv-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            token: None,
            max_answer_size: 512 * 1024 * 1024,
            pipeline_requests: 1024,
            pipeline_bytes: 8 * 1024 * 1024,
        }
    }
}

/// A value and the LSN of the write that set it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// The LSN, as its 64 bits.
    pub lsn: u64,
    /// The value.
    pub value: Bytes,
}

/// The outcome of a conditional write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conditional {
    /// The condition held: the write was done and has this LSN.
    Written(u64),
    /// The condition did not hold: what the key has instead; `None`: no value.
    Refused(Option<Versioned>),
}

/// A connection to a server.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    options: ClientOptions,
    server: ServerInfo,
}

impl Client {
    /// Connects over TCP to `HOST:PORT` and asks for the server's limits.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] and [`ClientError::Timeout`]; [`ClientError::Server`] when the
    /// server is full.
    pub fn connect(address: &str, options: ClientOptions) -> Result<Client> {
        let connection = Connection::tcp(address, &options)?;
        Client::start(connection, options)
    }

    /// Connects to the daemon's Unix socket, which takes administrative requests too.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub fn connect_unix(path: &Path, options: ClientOptions) -> Result<Client> {
        let connection = Connection::unix(path, &options)?;
        Client::start(connection, options)
    }

    fn start(mut connection: Connection, options: ClientOptions) -> Result<Client> {
        let server = match connection.ask(&Request::Hello {
            client: &options.name,
            max_version: VERSION,
            token: options.token.clone(),
        })? {
            Response::Hello(server) => server,
            other => return Err(connection.unexpected(&other)),
        };
        connection.adopt_limit(server.limits.max_frame_size, options.max_answer_size);
        Ok(Client {
            connection,
            options,
            server,
        })
    }

    /// What the server said of itself when the connection was made.
    #[must_use]
    pub fn server(&self) -> &ServerInfo {
        &self.server
    }

    /// How long to wait for the next bytes of an answer from now on; `None`: for ever.
    ///
    /// # Errors
    /// [`ClientError::Lost`] when the socket cannot be told.
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) -> Result<()> {
        self.connection.set_read_timeout(timeout)
    }

    /// Asks anything and waits for the answer. The methods below are this with types.
    ///
    /// # Errors
    /// [`ClientError::Server`] when the answer is an error; every other way a connection can fail.
    pub fn request(&mut self, request: &Request<'_>) -> Result<Response> {
        self.connection.ask(request)
    }

    /// Many requests on their way at once; see [`Pipeline`].
    pub fn pipeline(&mut self) -> Pipeline<'_> {
        Pipeline::new(
            &mut self.connection,
            self.options.pipeline_requests,
            self.options.pipeline_bytes,
        )
    }

    /// A scan of the present state; see [`Scan`].
    ///
    /// # Errors
    /// As [`Client::request`].
    pub fn scan(&mut self, options: &ScanOptions) -> Result<Scan<'_>> {
        Scan::open(&mut self.connection, options)
    }

    /// Asks whether the server is there.
    ///
    /// # Errors
    /// As [`Client::request`]; so for all methods below.
    pub fn ping(&mut self) -> Result<()> {
        match self.request(&Request::Ping)? {
            Response::Pong => Ok(()),
            other => Err(self.connection.unexpected(&other)),
        }
    }

    /// The key's value.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<Versioned>> {
        match self.request(&Request::Get { key })? {
            Response::Value { lsn, value } => Ok(Some(Versioned { lsn, value })),
            Response::NotFound => Ok(None),
            other => Err(self.connection.unexpected(&other)),
        }
    }

    /// Sets the key's value; returns the write's LSN.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<u64> {
        self.write(&Request::Put { key, value })
    }

    /// Removes the key's value; returns the write's LSN, also when there was none.
    pub fn delete(&mut self, key: &[u8]) -> Result<u64> {
        self.write(&Request::Delete { key })
    }

    /// Does all operations or none, as one write with one LSN.
    pub fn batch(&mut self, operations: Vec<BatchOperation<'_>>) -> Result<u64> {
        self.write(&Request::Batch { operations })
    }

    /// Whether the key has a value.
    pub fn exists(&mut self, key: &[u8]) -> Result<bool> {
        match self.request(&Request::Exists { key })? {
            Response::Exists { exists } => Ok(exists),
            other => Err(self.connection.unexpected(&other)),
        }
    }

    /// The values of several keys, all of one state, in the order asked.
    pub fn multi_get(&mut self, keys: &[&[u8]]) -> Result<Vec<Option<Versioned>>> {
        let keys = keys.to_vec();
        let asked = keys.len();
        match self.request(&Request::MultiGet { keys })? {
            Response::Values(values) if values.len() == asked => Ok(values
                .into_iter()
                .map(|value| value.map(Versioned::from))
                .collect()),
            other => Err(self.connection.unexpected(&other)),
        }
    }

    /// Sets the value only if the key has none.
    pub fn put_if_absent(&mut self, key: &[u8], value: &[u8]) -> Result<Conditional> {
        self.conditional(&Request::PutIfAbsent { key, value })
    }

    /// Sets (or with `None` removes) the value only if the key is as expected.
    pub fn compare_and_swap(
        &mut self,
        key: &[u8],
        expected: Expected<'_>,
        new: Option<&[u8]>,
    ) -> Result<Conditional> {
        self.conditional(&Request::CompareAndSwap { key, expected, new })
    }

    /// Waits until the write with this LSN (`None`: every write so far), and all before it, are
    /// durable; returns the LSN up to which everything is.
    pub fn sync(&mut self, lsn: Option<u64>) -> Result<u64> {
        match self.request(&Request::Sync { lsn })? {
            Response::Synced { lsn } => Ok(lsn),
            other => Err(self.connection.unexpected(&other)),
        }
    }

    /// The store's figures, each with its name.
    pub fn stats(&mut self) -> Result<Vec<(String, StatValue)>> {
        match self.request(&Request::Stats)? {
            Response::Stats(figures) => Ok(figures),
            other => Err(self.connection.unexpected(&other)),
        }
    }

    /// Administrative: writes what is in memory to tables, and waits for it.
    pub fn flush(&mut self) -> Result<()> {
        match self.request(&Request::Flush)? {
            Response::Done => Ok(()),
            other => Err(self.connection.unexpected(&other)),
        }
    }

    /// Administrative: merges all tables into one, and waits for it.
    pub fn compact(&mut self) -> Result<CompactionReport> {
        match self.request(&Request::Compact)? {
            Response::Compacted(report) => Ok(report),
            other => Err(self.connection.unexpected(&other)),
        }
    }

    /// Administrative: name and bytes of each file in quarantine.
    pub fn quarantine_list(&mut self) -> Result<Vec<(String, u64)>> {
        self.quarantine(&Request::QuarantineList)
    }

    /// Administrative: removes the files in quarantine; returns name and bytes of each.
    pub fn quarantine_purge(&mut self) -> Result<Vec<(String, u64)>> {
        self.quarantine(&Request::QuarantinePurge)
    }

    /// Administrative: the configuration in force.
    pub fn config(&mut self) -> Result<Vec<ConfigItem>> {
        match self.request(&Request::Config)? {
            Response::Config(items) => Ok(items),
            other => Err(self.connection.unexpected(&other)),
        }
    }

    /// Administrative: reads the configuration again, and waits until what can change has changed.
    /// [`ErrorCode::ReloadRefused`]: the old one stays in force, and the message says why.
    pub fn reload(&mut self) -> Result<ReloadReport> {
        match self.request(&Request::Reload)? {
            Response::Reloaded(report) => Ok(report),
            other => Err(self.connection.unexpected(&other)),
        }
    }

    /// Administrative: the latest requests that took long, at most `limit`; 0: all that are kept.
    pub fn slowlog(&mut self, limit: u32) -> Result<Vec<SlowRequest>> {
        match self.request(&Request::Slowlog { limit })? {
            Response::Slowlog(requests) => Ok(requests),
            other => Err(self.connection.unexpected(&other)),
        }
    }

    /// Administrative: begins to verify the store's files, unless that is under way, with at most `rate`
    /// bytes in a second; 0: the server's rate, which is the highest.
    pub fn verify_start(&mut self, rate: u64) -> Result<VerificationStatus> {
        self.verification(&Request::VerifyStart { rate })
    }

    /// Administrative: how far the latest verification is.
    pub fn verify_status(&mut self) -> Result<VerificationStatus> {
        self.verification(&Request::VerifyStatus)
    }

    fn verification(&mut self, request: &Request<'_>) -> Result<VerificationStatus> {
        match self.request(request)? {
            Response::Verification(status) => Ok(status),
            other => Err(self.connection.unexpected(&other)),
        }
    }

    fn write(&mut self, request: &Request<'_>) -> Result<u64> {
        match self.request(request)? {
            Response::Written { lsn } => Ok(lsn),
            other => Err(self.connection.unexpected(&other)),
        }
    }

    fn conditional(&mut self, request: &Request<'_>) -> Result<Conditional> {
        match self.request(request)? {
            Response::Written { lsn } => Ok(Conditional::Written(lsn)),
            Response::Refused { current } => Ok(Conditional::Refused(current.map(Versioned::from))),
            other => Err(self.connection.unexpected(&other)),
        }
    }

    fn quarantine(&mut self, request: &Request<'_>) -> Result<Vec<(String, u64)>> {
        match self.request(request)? {
            Response::Quarantine(files) => Ok(files),
            other => Err(self.connection.unexpected(&other)),
        }
    }
}

impl From<(u64, Bytes)> for Versioned {
    fn from((lsn, value): (u64, Bytes)) -> Versioned {
        Versioned { lsn, value }
    }
}
