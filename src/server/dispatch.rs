//! Requests to the engine and its answers back: the one file that knows both worlds.
//!
//! Writes of a pipeline are submitted one after another and settled together, once, before their answers
//! are sent: under `every-write` a pipeline costs one sync. Before anything else is done they are settled
//! too, so that a read sees the writes that the same connection sent before it.
//!
//! In a worker nothing waits: a request that would have to is left as it was, and it is said what for.

mod words;

use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::admission::{Admission, Admit};
use super::aside::Lane;
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
    CompactionReport, ErrorCode, Frame, HEADER_SIZE, Request, Response, ServerInfo, Token, VERSION,
};
use crate::storage::disk::count;
use crate::storage::{
    self, AtlasError, Conditional, Engine, Lsn, Operation, Scan, ScanRange, Versioned,
};

use words::{
    capped, conditional, entry, error_code, expectation, operation, pair, quarantine, written,
};

pub(super) use words::{is_write, list_bytes};

/// The most entries, and about the most bytes, in one page of a scan.
const MAX_PAGE_ENTRIES: u32 = 4096;
const MAX_PAGE_BYTES: u32 = 1024 * 1024;

/// Writes that wait to be settled together: what they hold is not reserved, so it stays about as small
/// as the buffers that are not either.
const MAX_PENDING: usize = 1024;
/// Writes that a connection has room for while none waits.
const MIN_PENDING: usize = 4;

/// Whether the thread may wait for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// It serves others too.
    None,
    /// It is there for that.
    Some,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handled {
    /// Its answer is in the outbox, or will be when it is settled.
    Done,
    /// Nothing yet: the writes before it are to be settled first.
    Settle,
    /// Nothing yet: it has to wait.
    Aside(Lane),
}

/// What one connection asks of the engine, in order.
pub(super) struct Session {
    shared: Arc<Shared>,
    settings: Arc<Settings>,
    plane: Plane,
    peer: Option<SocketAddr>,
    access: Access,
    scans: Scans,
    /// Writes that were submitted, in order.
    pending: Vec<Pending>,
    handled: u64,
    latency: Recorder,
    /// When the request before was done, if this one was there already: a look at the clock less.
    clock: Option<Instant>,
    /// When the request at hand began, that has to wait.
    put_off: Option<Instant>,
}

/// A write that was submitted and not answered yet.
struct Pending {
    request_id: u32,
    submitted: Submitted,
    subject: Subject,
    since: Instant,
}

/// What is to be answered to a write.
enum Submitted {
    /// Its LSN, once it is settled.
    Written(Lsn),
    /// What a condition came to, once this LSN is settled.
    Decided(Conditional, Lsn),
    /// The error that it already is.
    Refused(Box<Response>),
}

impl Submitted {
    fn lsn(&self) -> Option<Lsn> {
        match self {
            Submitted::Written(lsn) | Submitted::Decided(_, lsn) => Some(*lsn),
            Submitted::Refused(_) => None,
        }
    }
}

impl Session {
    pub(super) fn new(
        shared: &Arc<Shared>,
        settings: &Arc<Settings>,
        plane: Plane,
        peer: Option<SocketAddr>,
    ) -> Session {
        Session {
            shared: Arc::clone(shared),
            settings: Arc::clone(settings),
            plane,
            peer,
            access: Access::new(plane, settings.token.as_ref()),
            scans: Scans::default(),
            pending: Vec::new(),
            handled: 0,
            latency: shared.latency.recorder(),
            clock: None,
            put_off: None,
        }
    }

    fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    /// What the connection may do, by the tokens it has presented.
    pub(super) fn access(&self) -> Access {
        self.access
    }

    /// The number of requests handled since the last call, whose durations are part of the figures
    /// from now on. The next request may be a while away.
    pub(super) fn take_handled(&mut self) -> u64 {
        self.latency.hand_over(&self.shared.latency);
        self.clock = None;
        mem::take(&mut self.handled)
    }

    /// Does one request, or says what it has to wait for. When it is done its answer is in `out`, or will
    /// be after [`Session::try_settle`].
    pub(super) fn handle(
        &mut self,
        frame: &Frame<'_>,
        out: &mut Outbox,
        patience: Patience,
    ) -> Handled {
        if self.access != Access::Granted && frame.code != opcode::HELLO {
            self.handled += 1;
            out.push(frame.request_id, &auth::not_authenticated());
            return Handled::Done;
        }
        let since = self.put_off.take().or_else(|| self.clock.take());
        let since = since.unwrap_or_else(Instant::now);
        let base = out.reservation.bytes();
        let handled = self.attempt(frame, out, (patience, since));
        match handled {
            Handled::Done => self.handled += 1,
            Handled::Settle | Handled::Aside(_) => {
                self.put_off = Some(since);
                // Who waits holds nothing, and asks again when it is its turn.
                out.reservation.lower(base);
            }
        }
        handled
    }

    fn attempt(
        &mut self,
        frame: &Frame<'_>,
        out: &mut Outbox,
        (patience, since): (Patience, Instant),
    ) -> Handled {
        let is_last = |last: &Pending| matches!(last.submitted, Submitted::Decided(..));
        let is_full = self.pending.len() >= MAX_PENDING || self.pending.last().is_some_and(is_last);
        if is_full || !(self.pending.is_empty() || is_write(frame.code)) {
            return Handled::Settle;
        }
        if let Some(lane) = Lane::of(frame, self.plane).filter(|_| patience == Patience::None) {
            return Handled::Aside(lane);
        }
        let id = frame.request_id;
        if let Err(busy) = self.reserve_lists(frame, out, patience) {
            if patience == Patience::None {
                // The answers to the writes before it hold memory too, which nobody should who waits.
                let waits = !self.pending.is_empty();
                let lane = Handled::Aside(Lane::Memory);
                return if waits { Handled::Settle } else { lane };
            }
            let refusal = Response::error(ErrorCode::Busy, busy.to_string());
            return self.refuse(id, &refusal, out);
        }
        let request = match Request::decode(frame, self.settings.limits.max_batch_operations) {
            Ok(request) => request,
            Err(error) => {
                let refusal = Response::error(error.code(), error.to_string());
                return self.refuse(id, &refusal, out);
            }
        };
        if !is_write(frame.code) {
            return self.read(id, &request, out, (patience, since));
        }
        let submitted = match self.submit(&request, patience) {
            Ok(None) => return Handled::Aside(Lane::Room),
            Ok(Some(submitted)) => submitted,
            Err(error) => Submitted::Refused(Box::new(self.failed(&error))),
        };
        let waits = submitted.lsn().is_some() && !self.engine().answers_at_once();
        self.pending.push(Pending {
            request_id: id,
            submitted,
            subject: Subject::of(&request),
            since,
        });
        if !waits {
            self.try_settle(out);
        }
        Handled::Done
    }

    /// Answers a request that was not done, behind the writes before it.
    fn refuse(&mut self, id: u32, response: &Response, out: &mut Outbox) -> Handled {
        if !self.try_settle(out) {
            return Handled::Settle;
        }
        out.push(id, response);
        Handled::Done
    }

    /// Does a request that is no write, and adds its answer.
    fn read(
        &mut self,
        id: u32,
        request: &Request<'_>,
        out: &mut Outbox,
        (patience, since): (Patience, Instant),
    ) -> Handled {
        let Some(response) = self.answer(request, out, patience) else {
            return Handled::Aside(Lane::Memory);
        };
        out.push(id, &response);
        let subject = || Subject::of(request).answered(&response);
        let now = Instant::now();
        self.clock = Some(now);
        self.took(request.opcode(), now - since, subject);
        Handled::Done
    }

    /// The LSN that the writes which wait are to be settled to; `None`: none waits.
    pub(super) fn waits_for(&self) -> Option<Lsn> {
        let submitted = self.pending.iter().rev().map(|write| &write.submitted);
        let last = submitted.into_iter().find_map(Submitted::lsn);
        // One that was refused waits for nothing but those before it.
        last.or_else(|| self.pending.first().map(|_| Lsn::from_u64(0)))
    }

    /// Whether the writes that wait cannot be answered yet.
    pub(super) fn is_settling(&self) -> bool {
        let last = self.waits_for();
        last.is_some_and(|last| self.engine().try_settle(last).is_none())
    }

    /// Answers the submitted writes, if the sync policy lets them be answered without waiting; whether
    /// none is left that waits.
    pub(super) fn try_settle(&mut self, out: &mut Outbox) -> bool {
        let Some(last) = self.waits_for() else {
            return true;
        };
        let Some(all) = self.engine().try_settle(last) else {
            return false;
        };
        let mut pending = mem::take(&mut self.pending);
        let now = Instant::now();
        for write in pending.drain(..) {
            let lsn = write.submitted.lsn();
            // The last one failing says nothing of those before it.
            let failed = lsn.filter(|_| all.is_err());
            let failed = failed.and_then(|lsn| self.engine().settle(lsn).err());
            let response = match (failed, write.submitted) {
                (Some(error), _) => self.failed(&error),
                (None, Submitted::Written(lsn)) => written(lsn),
                (None, Submitted::Decided(outcome, _)) => self.conditional(out, outcome),
                (None, Submitted::Refused(response)) => *response,
            };
            out.push(write.request_id, &response);
            let Pending { subject, since, .. } = write;
            self.took(subject.opcode, now - since, || subject);
        }
        // A connection that is idle keeps almost nothing.
        pending.shrink_to(MIN_PENDING);
        self.pending = pending;
        self.clock = Some(now);
        true
    }

    /// Takes in how long a request took whose answer is ready.
    fn took(&mut self, opcode: u8, took: Duration, subject: impl FnOnce() -> Subject) {
        self.latency.record(&self.shared.latency, opcode, took);
        let slowlog = &self.shared.slowlog;
        if slowlog.is_slow(took) {
            slowlog.add(&subject(), took, (self.plane, self.peer));
        }
    }

    /// Submits a write; `None`: it would have to wait for room.
    fn submit(
        &self,
        request: &Request<'_>,
        patience: Patience,
    ) -> storage::Result<Option<Submitted>> {
        let engine = self.engine();
        let write = |operations: &[Operation<'_>]| {
            let lsn = match patience {
                Patience::None => engine.try_submit(operations)?,
                Patience::Some => Some(engine.submit(operations)?),
            };
            Ok(lsn.map(Submitted::Written))
        };
        let write_if = |key, expected, new| {
            let decided = match patience {
                Patience::None => engine.try_submit_if(key, expected, new)?,
                Patience::Some => Some(engine.submit_if(key, expected, new)?),
            };
            Ok(decided.map(|(outcome, state)| Submitted::Decided(outcome, state)))
        };
        match request {
            Request::Put { key, value } => write(&[Operation::Put { key, value }]),
            Request::Delete { key } => write(&[Operation::Delete { key }]),
            Request::Batch { operations } => {
                write(&operations.iter().map(operation).collect::<Vec<_>>())
            }
            Request::PutIfAbsent { key, value } => {
                write_if(key, storage::Expected::Absent, Some(value))
            }
            Request::CompareAndSwap { key, expected, new } => {
                write_if(key, expectation(expected), *new)
            }
            _ => Err(AtlasError::Closed),
        }
    }

    /// Reserves the lists that a request makes, unless that was done together with its frame.
    fn reserve_lists(
        &self,
        frame: &Frame<'_>,
        out: &mut Outbox,
        patience: Patience,
    ) -> Result<(), Busy> {
        let lists = list_bytes(frame.code, frame.payload.len(), &self.settings.limits);
        let was_large = frame.payload.len() + HEADER_SIZE > FREE_BYTES;
        if was_large || lists <= count(FREE_BYTES) {
            return Ok(());
        }
        let needed = out.reservation.bytes().saturating_add(lists);
        match patience {
            Patience::None => out.reservation.try_raise(needed),
            Patience::Some => out.reservation.raise(needed, self.deadline(patience)),
        }
    }

    /// Until when a request may wait for memory.
    fn deadline(&self, patience: Patience) -> Instant {
        let now = Instant::now();
        match patience {
            Patience::None => now,
            Patience::Some => now + self.settings.read_timeout,
        }
    }

    /// The answer to a request that is no write; `None`: it would have to wait for memory.
    fn answer(
        &mut self,
        request: &Request<'_>,
        out: &mut Outbox,
        patience: Patience,
    ) -> Option<Response> {
        match self.try_answer(request, out, patience) {
            Err(AtlasError::OverBudget { .. }) if patience == Patience::None => None,
            answer => Some(answer.unwrap_or_else(|error| self.failed(&error))),
        }
    }

    fn try_answer(
        &mut self,
        request: &Request<'_>,
        out: &mut Outbox,
        patience: Patience,
    ) -> storage::Result<Response> {
        if request.is_administrative() && self.plane == Plane::Data {
            return Ok(Response::error(
                ErrorCode::NotPermitted,
                "administrative requests are for the Unix socket (admin_socket)",
            ));
        }
        match request {
            Request::Ping => Ok(Response::Pong),
            Request::Hello {
                client,
                max_version,
                token,
            } => Ok(self.hello(client, *max_version, token.as_ref())),
            Request::Stats => Ok(Response::Stats(status::figures(&self.shared))),
            Request::Sync { lsn } => self.sync(*lsn),
            Request::Get { key } => self.get(key, out, patience),
            Request::Exists { key } => {
                let exists = self.engine().exists(key);
                exists.map(|exists| Response::Exists { exists })
            }
            Request::MultiGet { keys } => self.multi_get(keys, out, patience),
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
        }
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

    fn get(&self, key: &[u8], out: &mut Outbox, patience: Patience) -> storage::Result<Response> {
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
        let response = self.admission(out).read(self.deadline(patience), read)?;
        Ok(response.unwrap_or_else(|| self.answer_too_large()))
    }

    fn multi_get(
        &self,
        keys: &[&[u8]],
        out: &mut Outbox,
        patience: Patience,
    ) -> storage::Result<Response> {
        let read = |admit: Admit<'_>| {
            let values = self.engine().multi_get(keys, admit)?.into_iter();
            Ok(Response::Values(
                values.map(|value| value.map(pair)).collect(),
            ))
        };
        let response = self.admission(out).read(self.deadline(patience), read)?;
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
    fn conditional(&self, out: &mut Outbox, outcome: Conditional) -> Response {
        let mut outcome = Some(conditional(outcome));
        let done = |_: Admit<'_>| outcome.take().ok_or(AtlasError::Closed);
        let response = self.admission(out).read_once(Instant::now(), done);
        let response = response.unwrap_or_else(|error| Some(self.failed(&error)));
        response.unwrap_or_else(|| {
            let message = "the condition is not met; for the value there is no memory, try again";
            Response::error(ErrorCode::Busy, message)
        })
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
        let deadline = self.deadline(Patience::Some);
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
