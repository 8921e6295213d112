//! The token that TCP clients present in hello, and how often one may be guessed.
//!
//! Guesses are counted by address, so that who guesses is slow and others notice nothing. Nobody waits:
//! an address that has failed too often is refused before its token is looked at, the right one too,
//! and so refusals tell nothing. The table of addresses is bounded: when it is full the one that owes
//! the least time is forgotten, so that many addresses of few failures cannot push out the worst.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::stream::Plane;
use crate::logging::{Throttle, message};
use crate::protocol::{ErrorCode, Response, Token};

/// The largest frame before the token, by its length field: hello with the longest token and a name.
pub(super) const MAX_EARLY_FRAME: u32 = 8 * 1024;
/// From a connection's begin to its token.
pub(super) const AUTHENTICATION_TIME: Duration = Duration::from_secs(10);

/// Wrong tokens that an address may present at once.
const MAX_FAILURES: u32 = 10;
/// After so long one failure is forgiven.
const FORGIVEN_AFTER: Duration = Duration::from_secs(6);
/// Addresses remembered.
const MAX_ADDRESSES: usize = 1024;

/// What a connection may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Everything that its socket allows.
    Granted,
    /// Present the token.
    Needed,
    /// Nothing any more: it is to be closed.
    Lost,
}

impl Access {
    /// At a connection's begin; `token`: what the server wants.
    pub(super) fn new(plane: Plane, token: Option<&Token>) -> Access {
        match (plane, token) {
            (Plane::Data, Some(_)) => Access::Needed,
            _ => Access::Granted,
        }
    }
}

/// The answer to whoever has not presented the token.
pub(super) fn not_authenticated() -> Response {
    Response::error(
        ErrorCode::NotAuthenticated,
        "the server wants a token: present it in hello before anything else (--token-file)",
    )
}

/// What becomes of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Right,
    Wrong,
    /// It was not looked at.
    TooMany,
}

/// Judges tokens, and remembers who presented wrong ones.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// For each address, when all its failures are forgiven.
    debts: Mutex<HashMap<IpAddr, Instant>>,
    failures: AtomicU64,
    throttled: AtomicU64,
    unlogged: AtomicU64,
    throttle: Throttle,
}

impl Gate {
    /// Wrong tokens since the start.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Tokens that were not looked at since the start, their address having failed too often.
    pub(super) fn throttled(&self) -> u64 {
        self.throttled.load(Ordering::Relaxed)
    }

    /// Judges the token that `peer` presents; an error is the answer, behind which the connection is
    /// closed.
    pub(super) fn judge(
        &self,
        peer: Option<SocketAddr>,
        presented: &Token,
        wanted: &Token,
    ) -> Result<(), Response> {
        // A peer that has gone already has no address; those share one.
        let address = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
        let (counter, code, message) =
            match self.attempt(address, Instant::now(), || presented == wanted) {
                Verdict::Right => return Ok(()),
                Verdict::Wrong => (
                    &self.failures,
                    ErrorCode::WrongToken,
                    "the token is not the server's",
                ),
                Verdict::TooMany => (
                    &self.throttled,
                    ErrorCode::TooManyAttempts,
                    "too many wrong tokens came from this address: try again in a minute",
                ),
            };
        counter.fetch_add(1, Ordering::Relaxed);
        self.unlogged.fetch_add(1, Ordering::Relaxed);
        if self.throttle.is_due() {
            let count = self.unlogged.swap(0, Ordering::Relaxed);
            log::warn!(
                message_id = message::AUTH_FAILED, address:% = address, count;
                "authentication failed: {code} from {address}; failures since this was last said: {count}"
            );
        }
        Err(Response::error(code, message))
    }

    /// One attempt of an address. The lock is held throughout: attempts side by side count like those
    /// one after another.
    pub(super) fn attempt(
        &self,
        address: IpAddr,
        now: Instant,
        is_right: impl FnOnce() -> bool,
    ) -> Verdict {
        let mut debts = self.debts.lock().unwrap_or_else(PoisonError::into_inner);
        let source = source(address);
        let debt = debts.get(&source).map_or(Duration::ZERO, |forgiven| {
            forgiven.saturating_duration_since(now)
        });
        if debt > FORGIVEN_AFTER * (MAX_FAILURES - 1) {
            return Verdict::TooMany;
        }
        if is_right() {
            return Verdict::Right;
        }
        if debts.len() >= MAX_ADDRESSES && !debts.contains_key(&source) {
            let least = debts.iter().min_by_key(|(_, forgiven)| **forgiven);
            if let Some(least) = least.map(|(source, _)| *source) {
                debts.remove(&least);
            }
        }
        debts.insert(source, now + debt + FORGIVEN_AFTER);
        Verdict::Wrong
    }
}

/// What counts as one address: of IPv6 the network, since one host has as many addresses as it likes. A
/// socket for both (systemd makes such) tells IPv4 addresses as one network of IPv6, which they are not.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        address @ IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    fn wrong(gate: &Gate, address: IpAddr, now: Instant) -> Verdict {
        gate.attempt(address, now, || false)
    }

    fn right(gate: &Gate, address: IpAddr, now: Instant) -> Verdict {
        gate.attempt(address, now, || true)
    }

    /// Fails as often as an address may.
    fn use_up(gate: &Gate, address: IpAddr, now: Instant) {
        for _ in 0..MAX_FAILURES {
            assert_eq!(wrong(gate, address, now), Verdict::Wrong);
        }
    }

    #[test]
    fn after_ten_failures_nothing_is_looked_at_until_one_is_forgiven() {
        let (gate, start) = (Gate::default(), Instant::now());
        use_up(&gate, v4(1), start);
        for _ in 0..1000 {
            let unseen = gate.attempt(v4(1), start, || panic!("it is looked at"));
            assert_eq!(unseen, Verdict::TooMany);
        }
        let nearly = start + FORGIVEN_AFTER - Duration::from_millis(1);
        assert_eq!(right(&gate, v4(1), nearly), Verdict::TooMany);
        let later = start + FORGIVEN_AFTER;
        assert_eq!(wrong(&gate, v4(1), later), Verdict::Wrong);
        assert_eq!(right(&gate, v4(1), later), Verdict::TooMany);
        assert_eq!(right(&gate, v4(1), later + FORGIVEN_AFTER), Verdict::Right);
    }

    #[test]
    fn a_day_of_guessing_is_some_thousand_guesses() {
        let (gate, start) = (Gate::default(), Instant::now());
        let looked_at = (0..24 * 3600)
            .filter(|second| {
                let now = start + Duration::from_secs(*second);
                wrong(&gate, v4(1), now) == Verdict::Wrong
            })
            .count();
        assert!((14_400..=14_410).contains(&looked_at), "{looked_at}");
    }

    #[test]
    fn other_addresses_are_not_concerned_and_right_tokens_cost_nothing() {
        let (gate, now) = (Gate::default(), Instant::now());
        use_up(&gate, v4(1), now);
        for _ in 0..1000 {
            assert_eq!(right(&gate, v4(2), now), Verdict::Right);
        }
        assert_eq!(gate.debts.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let (gate, now) = (Gate::default(), Instant::now());
        let parse = |text: &str| text.parse::<IpAddr>().unwrap();
        use_up(&gate, parse("2001:db8::1"), now);
        let same = parse("2001:db8::ffff:0:0:1");
        assert_eq!(wrong(&gate, same, now), Verdict::TooMany);
        assert_eq!(wrong(&gate, parse("2001:db8:0:1::1"), now), Verdict::Wrong);
    }

    #[test]
    fn ipv4_through_a_socket_of_ipv6_is_ipv4() {
        let (gate, now) = (Gate::default(), Instant::now());
        let parse = |text: &str| text.parse::<IpAddr>().unwrap();
        use_up(&gate, parse("::ffff:192.0.2.1"), now);
        assert_eq!(right(&gate, parse("192.0.2.1"), now), Verdict::TooMany);
        assert_eq!(right(&gate, parse("::ffff:192.0.2.2"), now), Verdict::Right);
    }

    #[test]
    fn the_table_is_bounded_and_keeps_the_worst() {
        let (gate, now) = (Gate::default(), Instant::now());
        use_up(&gate, v4(0), now);
        for number in 1..10_000 {
            assert_eq!(wrong(&gate, v4(number), now), Verdict::Wrong);
        }
        assert_eq!(gate.debts.lock().unwrap().len(), MAX_ADDRESSES);
        assert_eq!(wrong(&gate, v4(0), now), Verdict::TooMany);
    }

    #[test]
    fn attempts_side_by_side_count_like_those_one_after_another() {
        let (gate, now) = (Gate::default(), Instant::now());
        let looked_at = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let seen = wrong(&gate, v4(1), now) == Verdict::Wrong;
                        looked_at.fetch_add(seen.into(), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(looked_at.into_inner(), u64::from(MAX_FAILURES));
    }

    #[test]
    fn a_refusal_has_its_code_and_is_counted() {
        let gate = Gate::default();
        let token = |text: &str| Token::new(text.as_bytes()).unwrap();
        let peer = Some(SocketAddr::from(([192, 0, 2, 1], 5000)));
        let judge = |presented: &str| gate.judge(peer, &token(presented), &token("secret"));
        assert_eq!(judge("secret"), Ok(()));
        let code = |judged: Result<(), Response>| match judged {
            Err(Response::Error { code, .. }) => code,
            other => panic!("{other:?}"),
        };
        for _ in 0..MAX_FAILURES {
            assert_eq!(code(judge("guess")), ErrorCode::WrongToken);
        }
        assert_eq!(code(judge("secret")), ErrorCode::TooManyAttempts);
        assert_eq!((gate.failures(), gate.throttled()), (10, 1));
    }
}
