//! Requests to the engine and its answers back: the one file that knows both worlds.
//!
//! Puts, deletes and batches of a pipeline are submitted one after another and settled together, once,
//! before their answers are sent: under `every-write` a pipeline costs one sync. Before anything else is
//! done they are settled too, so that a read sees the writes that the same connection sent before it.

use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::admission::{Admission, Admit};
use super::auth::{self, Access};
use super::budget::{Busy, FREE_BYTES};
use super::latency::Recorder;
use super::outbox::Outbox;
use super::scans::Scans;
use super::slowlog::Subject;
use super::stream::Plane;
use super::{Settings, Shared, status, verification};
use crate::logging::message;
use crate::protocol::opcode::request as opcode;
use crate::protocol::{
    BatchOperation, CompactionReport, Entry, ErrorCode, Expected, Frame, HEADER_SIZE, Limits,
    Request, Response, ServerInfo, Token, VERSION,
};
use crate::storage::disk::count;
use crate::storage::{
    self, AtlasError, Conditional, Engine, Lsn, Operation, Scan, ScanRange, Versioned,
};

/// The most entries, and about the most bytes, in one page of a scan.
const MAX_PAGE_ENTRIES: u32 = 4096;
const MAX_PAGE_BYTES: u32 = 1024 * 1024;

/// Writes that wait to be settled together: what they hold is not reserved, so it stays about as small
/// as the buffers that are not either.
const MAX_PENDING: usize = 1024;

/// What one connection asks of the engine, in order.
pub(super) struct Session<'a> {
    shared: &'a Shared,
    settings: Arc<Settings>,
    plane: Plane,
    peer: Option<SocketAddr>,
    access: Access,
    scans: Scans,
    /// Writes that were submitted, in order.
    pending: Vec<Pending>,
    handled: u64,
    latency: Recorder<'a>,
    /// When the request before was done, if this one was there already: a look at the clock less.
    clock: Option<Instant>,
}

/// A write that was submitted and not answered yet.
struct Pending {
    request_id: u32,
    /// What is to be answered: an LSN once it is settled, or the error that it already is.
    submitted: Result<Lsn, Box<Response>>,
    subject: Subject,
    since: Instant,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        settings: &Arc<Settings>,
        plane: Plane,
        peer: Option<SocketAddr>,
    ) -> Session<'a> {
        Session {
            shared,
            settings: Arc::clone(settings),
            plane,
            peer,
            access: Access::new(plane, settings.token.as_ref()),
            scans: Scans::default(),
            pending: Vec::new(),
            handled: 0,
            latency: shared.latency.recorder(),
            clock: None,
        }
    }

    fn engine(&self) -> &'a Engine {
        &self.shared.engine
    }

    /// What the connection may do, by the tokens it has presented.
    pub(super) fn access(&self) -> Access {
        self.access
    }

    /// The number of requests handled since the last call, whose durations are part of the figures
    /// from now on. The next request may be a while away.
    pub(super) fn take_handled(&mut self) -> u64 {
        self.latency.hand_over();
        self.clock = None;
        mem::take(&mut self.handled)
    }

    /// Does one request. Its answer is in `out`, at the latest after [`Session::settle`].
    pub(super) fn handle(&mut self, frame: &Frame<'_>, out: &mut Outbox) {
        self.handled += 1;
        let id = frame.request_id;
        if self.access != Access::Granted && frame.code != opcode::HELLO {
            return out.push(id, &auth::not_authenticated());
        }
        let since = self.clock.take().unwrap_or_else(Instant::now);
        let limits = &self.settings.limits;
        if let Err(busy) = self.reserve_lists(frame, out) {
            self.settle(out);
            return out.push_error(id, ErrorCode::Busy, &busy.to_string());
        }
        let request = match Request::decode(frame, limits.max_batch_operations) {
            Ok(request) => request,
            Err(error) => {
                self.settle(out);
                return out.push_error(id, error.code(), &error.to_string());
            }
        };
        let submitted = match &request {
            Request::Put { key, value } => self.submit(&[Operation::Put { key, value }]),
            Request::Delete { key } => self.submit(&[Operation::Delete { key }]),
            Request::Batch { operations } => self.batch(operations),
            _ => {
                self.settle(out);
                let response = self.answer(&request, out);
                out.push(id, &response);
                let subject = || Subject::of(&request).answered(&response);
                let now = Instant::now();
                self.clock = Some(now);
                return self.took(request.opcode(), now - since, subject);
            }
        };
        self.pending.push(Pending {
            request_id: id,
            submitted: submitted.map_err(Box::new),
            subject: Subject::of(&request),
            since,
        });
        if self.pending.len() >= MAX_PENDING {
            self.settle(out);
        }
    }

    /// Waits until the submitted writes may be answered, by the sync policy, and answers them.
    pub(super) fn settle(&mut self, out: &mut Outbox) {
        let pending = mem::take(&mut self.pending);
        let mut submitted = pending.iter().rev().map(|write| &write.submitted);
        let last = submitted.find_map(|submitted| submitted.as_ref().ok());
        let all = last.map_or(Ok(()), |last| self.engine().settle(*last));
        for write in &pending {
            let id = write.request_id;
            match &write.submitted {
                Ok(lsn) if all.is_ok() => out.push(id, &written(*lsn)),
                // The last one failing says nothing of those before it.
                Ok(lsn) => match self.engine().settle(*lsn) {
                    Ok(()) => out.push(id, &written(*lsn)),
                    Err(error) => out.push(id, &self.failed(&error)),
                },
                Err(response) => out.push(id, response),
            }
        }
        if !pending.is_empty() {
            let now = Instant::now();
            for Pending { subject, since, .. } in pending {
                self.took(subject.opcode, now - since, || subject);
            }
        }
    }

    /// Takes in how long a request took whose answer is ready.
    fn took(&mut self, opcode: u8, took: Duration, subject: impl FnOnce() -> Subject) {
        self.latency.record(opcode, took);
        let slowlog = &self.shared.slowlog;
        if slowlog.is_slow(took) {
            slowlog.add(&subject(), took, (self.plane, self.peer));
        }
    }

    fn submit(&self, operations: &[Operation<'_>]) -> Result<Lsn, Response> {
        self.engine()
            .submit(operations)
            .map_err(|error| self.failed(&error))
    }

    fn batch(&self, operations: &[BatchOperation<'_>]) -> Result<Lsn, Response> {
        let operations: Vec<_> = operations.iter().map(operation).collect();
        self.submit(&operations)
    }

    /// Reserves the lists that a request makes, unless that was done together with its frame.
    fn reserve_lists(&self, frame: &Frame<'_>, out: &mut Outbox) -> Result<(), Busy> {
        let lists = list_bytes(frame.code, frame.payload.len(), &self.settings.limits);
        let was_large = frame.payload.len() + HEADER_SIZE > FREE_BYTES;
        if was_large || lists <= count(FREE_BYTES) {
            return Ok(());
        }
        let needed = out.reservation.bytes().saturating_add(lists);
        out.reservation.raise(needed, self.deadline())
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.settings.read_timeout
    }

    fn answer(&mut self, request: &Request<'_>, out: &mut Outbox) -> Response {
        if request.is_administrative() && self.plane == Plane::Data {
            return Response::error(
                ErrorCode::NotPermitted,
                "administrative requests are for the Unix socket (admin_socket)",
            );
        }
        let answer = match request {
            Request::Ping => Ok(Response::Pong),
            Request::Hello {
                client,
                max_version,
                token,
            } => return self.hello(client, *max_version, token.as_ref()),
            Request::Stats => Ok(Response::Stats(status::figures(self.shared))),
            Request::Sync { lsn } => self.sync(*lsn),
            Request::Get { key } => self.get(key, out),
            Request::Exists { key } => {
                let exists = self.engine().exists(key);
                exists.map(|exists| Response::Exists { exists })
            }
            Request::MultiGet { keys } => self.multi_get(keys, out),
            Request::PutIfAbsent { key, value } => {
                let outcome = self.engine().put_if_absent(key, value);
                self.conditional(out, outcome)
            }
            Request::CompareAndSwap { key, expected, new } => {
                let outcome = self
                    .engine()
                    .compare_and_swap(key, expectation(expected), *new);
                self.conditional(out, outcome)
            }
            Request::ScanOpen { .. } => self.scan_open(request, out),
            Request::ScanNext {
                scan,
                max_entries,
                max_bytes,
            } => self.scan_next(*scan, (*max_entries, *max_bytes), out),
            Request::ScanClose { scan } => {
                self.scans.close(*scan);
                Ok(Response::Done)
            }
            administrative => self.administer(administrative),
        };
        answer.unwrap_or_else(|error| self.failed(&error))
    }

    fn hello(&mut self, client: &str, max_version: u8, token: Option<&Token>) -> Response {
        if let Err(refusal) = self.authenticate(token) {
            return refusal;
        }
        log::debug!("hello from {client:?}, which speaks up to version {max_version}");
        if max_version < VERSION {
            let message = format!("this server speaks version {VERSION} of the protocol");
            return Response::error(ErrorCode::UnsupportedVersion, message);
        }
        let settings = &self.settings;
        Response::Hello(ServerInfo {
            version: VERSION,
            server: super::SERVER_NAME.to_owned(),
            limits: settings.limits,
            sync: settings.sync.clone(),
            database_id: self.shared.database_id.clone(),
        })
    }

    /// Judges the token of a hello, where one is wanted: an error is the answer.
    fn authenticate(&mut self, presented: Option<&Token>) -> Result<(), Response> {
        // Not the connection's settings: a token that was changed is the token from now on.
        let in_force = self.shared.settings();
        let wanted = match (self.plane, &in_force.token) {
            (Plane::Data, Some(wanted)) => wanted,
            _ => {
                self.access = Access::Granted;
                return Ok(());
            }
        };
        let Some(presented) = presented else {
            let is_granted = self.access == Access::Granted;
            return is_granted.then_some(()).ok_or_else(auth::not_authenticated);
        };
        let judged = self.shared.gate.judge(self.peer, presented, wanted);
        self.access = match judged {
            Ok(()) => Access::Granted,
            Err(_) => Access::Lost,
        };
        judged
    }

    fn sync(&self, lsn: Option<u64>) -> storage::Result<Response> {
        let lsn = match lsn {
            Some(lsn) => self.engine().sync_to(Lsn::from_u64(lsn))?,
            None => self.engine().sync()?,
        };
        Ok(Response::Synced { lsn: lsn.as_u64() })
    }

    fn get(&self, key: &[u8], out: &mut Outbox) -> storage::Result<Response> {
        let read = |admit: Admit<'_>| {
            let found = self.engine().get_admitted(key, admit)?;
            Ok(
                found.map_or(Response::NotFound, |Versioned { value, lsn }| {
                    Response::Value {
                        lsn: lsn.as_u64(),
                        value,
                    }
                }),
            )
        };
        let response = self.admission(out).read(self.deadline(), read)?;
        Ok(response.unwrap_or_else(|| self.answer_too_large()))
    }

    fn multi_get(&self, keys: &[&[u8]], out: &mut Outbox) -> storage::Result<Response> {
        let read = |admit: Admit<'_>| {
            let values = self.engine().multi_get(keys, admit)?.into_iter();
            Ok(Response::Values(
                values.map(|value| value.map(pair)).collect(),
            ))
        };
        let response = self.admission(out).read(self.deadline(), read)?;
        Ok(response.unwrap_or_else(|| self.answer_too_large()))
    }

    fn admission<'b>(&self, out: &'b mut Outbox) -> Admission<'b> {
        let most = self.settings.limits.max_frame_size;
        Admission::new(&mut out.reservation, u64::from(most))
    }

    fn answer_too_large(&self) -> Response {
        let limit = self.settings.limits.max_frame_size;
        let message =
            format!("the answer is over the limit of {limit} bytes (max_frame_size): ask for less");
        Response::error(ErrorCode::AnswerTooLarge, message)
    }

    /// The answer to a conditional write. A refusal with a large value is not waited for: the value is
    /// in memory already.
    fn conditional(
        &self,
        out: &mut Outbox,
        outcome: storage::Result<Conditional>,
    ) -> storage::Result<Response> {
        let mut outcome = Some(outcome.map(conditional)?);
        let done = |_: Admit<'_>| outcome.take().ok_or(AtlasError::Closed);
        let response = self.admission(out).read_once(self.deadline(), done)?;
        Ok(response.unwrap_or_else(|| {
            let message = "the condition is not met; for the value there is no memory, try again";
            Response::error(ErrorCode::Busy, message)
        }))
    }

    fn scan_open(&mut self, request: &Request<'_>, out: &mut Outbox) -> storage::Result<Response> {
        let Request::ScanOpen {
            from,
            to,
            prefix,
            reverse,
            limit,
            max_entries,
            max_bytes,
        } = request
        else {
            return Ok(Response::error(ErrorCode::Internal, "not a scan"));
        };
        self.scans.check_room()?;
        let scan = self.engine().scan(&ScanRange {
            from: from.map(<[u8]>::to_vec),
            to: to.map(<[u8]>::to_vec),
            prefix: prefix.to_vec(),
            reverse: *reverse,
            limit: *limit,
        })?;
        let number = self.scans.keep(scan);
        let page = self.scan_next(number, (*max_entries, *max_bytes), out);
        if page.is_err() {
            // Busy leaves a scan open, but only its first page would have told its number.
            self.scans.close(number);
        }
        page
    }

    /// A scan that fails is closed; one that only found no memory is not.
    fn scan_next(
        &mut self,
        number: u64,
        (max_entries, max_bytes): (u32, u32),
        out: &mut Outbox,
    ) -> storage::Result<Response> {
        let mut scan = self.scans.take(number)?;
        let page = self.page((number, &mut scan), (max_entries, max_bytes), out);
        let goes_on = match &page {
            Ok(Response::ScanPage { done, .. }) => !done,
            Ok(_) => false,
            Err(error) => matches!(error, AtlasError::OverBudget { .. }),
        };
        if goes_on {
            self.scans.put_back(number, scan);
        }
        page
    }

    fn page(
        &self,
        (number, scan): (u64, &mut Scan),
        (max_entries, max_bytes): (u32, u32),
        out: &mut Outbox,
    ) -> storage::Result<Response> {
        let entries = capped(max_entries, MAX_PAGE_ENTRIES);
        let bytes = capped(max_bytes, MAX_PAGE_BYTES);
        let deadline = self.deadline();
        let mut admission = self.admission(out);
        // Small values are not asked for one by one: a page of them and its copy are reserved before.
        if bytes > FREE_BYTES {
            admission.expect(count(bytes.saturating_mul(2)), deadline)?;
        }
        let lsn = scan.lsn().as_u64();
        let read = |admit: Admit<'_>| {
            let page = scan.next_page(entries, bytes, admit)?;
            Ok(Response::ScanPage {
                scan: if page.done { 0 } else { number },
                lsn,
                done: page.done,
                entries: page.entries.into_iter().map(entry).collect(),
            })
        };
        let response = admission.read_once(deadline, read)?;
        response.ok_or(AtlasError::ScanEnded {
            reason: "no memory was free for a large value",
        })
    }

    fn administer(&self, request: &Request<'_>) -> storage::Result<Response> {
        let engine = self.engine();
        Ok(match request {
            Request::Flush => {
                engine.flush()?;
                Response::Done
            }
            Request::Compact => {
                let summary = engine.compact()?;
                Response::Compacted(CompactionReport {
                    tables_before: summary.tables_before,
                    tables_after: summary.tables_after,
                    bytes_before: summary.bytes_before,
                    bytes_after: summary.bytes_after,
                    entries_before: summary.entries_before,
                    entries_after: summary.entries_after,
                })
            }
            Request::QuarantineList => quarantine(engine.quarantine_list()?),
            Request::QuarantinePurge => quarantine(engine.quarantine_purge()?),
            Request::Config => Response::Config(self.shared.control.config()),
            Request::Reload => match self.shared.control.reload() {
                Ok(report) => Response::Reloaded(report),
                Err(why) => Response::error(ErrorCode::ReloadRefused, why),
            },
            Request::Slowlog { limit } => Response::Slowlog(self.shared.slowlog.latest(*limit)),
            Request::VerifyStart { rate } => {
                let started = self.shared.verification.start(&self.shared.engine, *rate);
                verification::answer(started)?
            }
            Request::VerifyStatus => Response::Verification(self.shared.verification.status()),
            _ => Response::error(
                ErrorCode::UnknownOpcode,
                "the server does not know this request",
            ),
        })
    }

    /// The answer to a request that failed. What an operator must see is logged, now and then.
    fn failed(&self, error: &AtlasError) -> Response {
        let code = error_code(error);
        let is_ours = matches!(
            code,
            ErrorCode::Damaged | ErrorCode::Io | ErrorCode::Internal
        );
        if is_ours && self.shared.failures.is_due() {
            log::error!(
                message_id = message::REQUEST_FAILED, reason:% = error;
                "a request failed: {error}"
            );
        }
        Response::error(code, error.to_string())
    }
}

/// Bytes that the lists of a request take besides its frame, at most: a short frame can name many keys.
pub(super) fn list_bytes(code: u8, payload: usize, limits: &Limits) -> u64 {
    /// Bytes of the shortest element of a batch or multi-get.
    const SHORTEST: u64 = 5;
    /// Bytes of memory for an element: decoded, translated, and with what was found.
    const IN_MEMORY: u64 = 160;
    if code != opcode::BATCH && code != opcode::MULTI_GET {
        return 0;
    }
    let elements = (count(payload) / SHORTEST).min(limits.max_batch_operations);
    // Together with its frame it must fit the budget, which holds two of the largest frame.
    elements
        .saturating_mul(IN_MEMORY)
        .min(u64::from(limits.max_frame_size))
}

/// The error code of a failure of the engine.
fn error_code(error: &AtlasError) -> ErrorCode {
    match error {
        AtlasError::EmptyKey => ErrorCode::EmptyKey,
        AtlasError::KeyTooLarge { .. } => ErrorCode::KeyTooLarge,
        AtlasError::ValueTooLarge { .. } => ErrorCode::ValueTooLarge,
        AtlasError::BatchTooLarge { .. } => ErrorCode::BatchTooLarge,
        AtlasError::TooManyOperations { .. } => ErrorCode::TooManyOperations,
        AtlasError::Io { .. } => ErrorCode::Io,
        AtlasError::Corrupt { .. }
        | AtlasError::SyncedDataDamaged { .. }
        | AtlasError::MissingFile { .. }
        | AtlasError::MissingManifest { .. } => ErrorCode::Damaged,
        AtlasError::ReadOnly { .. } => ErrorCode::ReadOnly,
        AtlasError::OutcomeUnknown { .. } => ErrorCode::OutcomeUnknown,
        AtlasError::DiskFull { .. } => ErrorCode::DiskFull,
        AtlasError::Stalled { .. } => ErrorCode::Stalled,
        AtlasError::Closed => ErrorCode::Closed,
        AtlasError::ScanEnded { .. } => ErrorCode::ScanEnded,
        AtlasError::TooManyScans { .. } => ErrorCode::TooManyScans,
        AtlasError::LsnLost { .. } => ErrorCode::LsnLost,
        AtlasError::LsnNotAssigned { .. } => ErrorCode::LsnNotAssigned,
        AtlasError::Exhausted { .. } => ErrorCode::Exhausted,
        AtlasError::OverBudget { .. } => ErrorCode::Busy,
        AtlasError::NewerFormat { .. }
        | AtlasError::Locked { .. }
        | AtlasError::OthersDirectory { .. }
        | AtlasError::NotAStore { .. }
        | AtlasError::InvalidOption { .. }
        | AtlasError::NoRoom { .. } => ErrorCode::Internal,
    }
}

fn written(lsn: Lsn) -> Response {
    Response::Written { lsn: lsn.as_u64() }
}

fn conditional(outcome: Conditional) -> Response {
    match outcome {
        Conditional::Done(lsn) => written(lsn),
        Conditional::Refused(current) => Response::Refused {
            current: current.map(pair),
        },
    }
}

fn pair(versioned: Versioned) -> (u64, bytes::Bytes) {
    (versioned.lsn.as_u64(), versioned.value)
}

fn entry((key, value, lsn): (bytes::Bytes, bytes::Bytes, Lsn)) -> Entry {
    Entry {
        key,
        value,
        lsn: lsn.as_u64(),
    }
}

fn operation<'a>(operation: &BatchOperation<'a>) -> Operation<'a> {
    match *operation {
        BatchOperation::Put { key, value } => Operation::Put { key, value },
        BatchOperation::Delete { key } => Operation::Delete { key },
    }
}

fn expectation<'a>(expected: &Expected<'a>) -> storage::Expected<'a> {
    match *expected {
        Expected::Absent => storage::Expected::Absent,
        Expected::Value(value) => storage::Expected::Value(value),
        Expected::Version(lsn) => storage::Expected::Version(Lsn::from_u64(lsn)),
    }
}

fn quarantine(files: Vec<storage::QuarantinedFile>) -> Response {
    let files = files.into_iter().map(|file| (file.name, file.bytes));
    Response::Quarantine(files.collect())
}

/// What a client asks for within what the server gives; 0: the server's choice.
fn capped(asked: u32, most: u32) -> usize {
    let granted = if asked == 0 { most } else { asked.min(most) };
    usize::try_from(granted).unwrap_or(usize::MAX)
}
