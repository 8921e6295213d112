//! As much of HTTP/1.1 as a monitoring system needs: GET and HEAD of two paths, one request a connection.

use std::fmt::Write;

use super::text;
use crate::server::Handle;

/// The longest head of a request, in bytes.
const MAX_HEAD: usize = 8 * 1024;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// The answer to a request, as soon as enough of its head is there.
pub(super) fn answer(head: &[u8], server: &Handle) -> Option<Vec<u8>> {
    let is_whole = head.windows(4).any(|end| end == b"\r\n\r\n");
    if head.len() > MAX_HEAD {
        return Some(plain("431 Request Header Fields Too Large", ""));
    }
    if !is_whole {
        return None;
    }
    let Some((method, path)) = request_line(head) else {
        return Some(plain("400 Bad Request", "not a request of HTTP/1\n"));
    };
    let mut answer = match (method, path) {
        ("GET" | "HEAD", "/metrics") => match server.report().map(text::encode) {
            Some(Ok(text)) => response("200 OK", OPEN_METRICS, &text),
            _ => plain("503 Service Unavailable", "stopped\n"),
        },
        ("GET" | "HEAD", "/health") => match server.health() {
            Ok(()) => plain("200 OK", "ok\n"),
            Err(why) => plain("503 Service Unavailable", &format!("{why}\n")),
        },
        ("GET" | "HEAD", _) => plain("404 Not Found", "there are /metrics and /health\n"),
        _ => plain("405 Method Not Allowed", "GET and HEAD are answered\n"),
    };
    if method == "HEAD" {
        let end = answer.windows(4).position(|end| end == b"\r\n\r\n");
        answer.truncate(end.map_or(answer.len(), |end| end + 4));
    }
    Some(answer)
}

/// Method and path of the first line, the path without its query.
fn request_line(head: &[u8]) -> Option<(&str, &str)> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let is_http = version.starts_with("HTTP/1.") && words.next().is_none();
    let path = target.split('?').next()?;
    is_http.then_some((method, path))
}

fn plain(status: &str, body: &str) -> Vec<u8> {
    response(status, PLAIN, body)
}

fn response(status: &str, content_type: &str, body: &str) -> Vec<u8> {
    let mut response = format!("HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n");
    if status.starts_with("405") {
        response.push_str("Allow: GET, HEAD\r\n");
    }
    // Writing to a text cannot fail.
    let _ = write!(
        response,
        "Content-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    response.into_bytes()
}
