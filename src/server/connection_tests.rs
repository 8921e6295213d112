//! Deadlines that hold however busy the peer keeps its connection.

use std::io::Write;
use std::os::unix::net::UnixStream;

use super::*;
use crate::protocol::{Request, Token};
use crate::server::accept::Place;
use crate::server::dispatch_tests::shared;

/// A connection and its peer's end; with `token` one is wanted.
fn connected(shared: &Arc<Shared>, token: bool) -> (Connection, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let stream = Arc::new(Stream::new(ours.into(), Plane::Admin).unwrap());
    let registered = shared.registry.enter(&stream, Place::default());
    let mut connection = Connection::new(shared, &stream, registered);
    if token {
        let mut settings = Settings::clone(&shared.settings());
        settings.token = Some(Token::new(b"secret").unwrap());
        connection.session = Session::new(shared, &Arc::new(settings), Plane::Data, None);
    }
    connection.ready.readable = true;
    (connection, theirs)
}

#[test]
fn who_pings_without_the_token_is_ended_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let shared = shared(&dir);
    let (mut connection, mut peer) = connected(&shared, true);
    let mut pings = Vec::new();
    for id in 0..100 {
        Request::Ping.encode(id, u32::MAX, &mut pings).unwrap();
    }
    peer.write_all(&pings).unwrap();
    let late = connection.authenticate_by;
    connection.turn(late, &mut Lent::default());
    assert!(matches!(connection.stage, Stage::Lingering { .. }));
    assert_eq!(
        shared.registry.counters.timed_out.load(Ordering::Relaxed),
        1
    );
}

#[test]
fn the_time_to_read_the_last_answer_ends_though_the_peer_sends() {
    let dir = tempfile::tempdir().unwrap();
    let shared = shared(&dir);
    let (mut connection, mut peer) = connected(&shared, false);
    let until = Instant::now() + LINGER;
    connection.stage = Stage::Lingering { until };
    peer.write_all(&[0; 1000]).unwrap();
    let mut lent = Lent::default();
    assert_eq!(connection.turn(until - LINGER, &mut lent), Next::Wait);
    peer.write_all(&[0; 1000]).unwrap();
    assert_eq!(connection.turn(until, &mut lent), Next::End);
}
