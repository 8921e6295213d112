//! What a client's error means for the exit code: the one place that decides it.

use std::io;

use crate::cli::Failure;
use crate::client::ClientError;
use crate::exit::Exit;
use crate::protocol::ErrorCode;

/// The failure of a command whose request failed.
pub(super) fn failure(error: ClientError) -> Failure {
    let exit = exit_of(&error);
    let name = match &error {
        ClientError::Unreachable { source, .. } if is_forbidden(source) => {
            ErrorCode::NotPermitted.to_string()
        }
        ClientError::Unreachable { .. } => "unreachable".to_owned(),
        ClientError::Timeout(_) => "timeout".to_owned(),
        ClientError::Lost { .. } | ClientError::Broken { .. } => "connection-lost".to_owned(),
        ClientError::Server { code, .. } => code.to_string(),
        ClientError::TooLarge { .. } => ErrorCode::FrameTooLarge.to_string(),
        _ => "protocol-error".to_owned(),
    };
    let message = match error {
        ClientError::Server {
            code: ErrorCode::NotAuthenticated,
            ..
        } => "the daemon wants a token over TCP: name the file that holds it (--token-file, \
             ATLASKV_TOKEN_FILE), or its Unix socket, which wants none (--socket)"
            .to_owned(),
        ClientError::Server { message, .. } => message,
        ClientError::Unreachable { ref source, .. } => format!("{error}{}", advice(source)),
        other => other.to_string(),
    };
    Failure::new(exit, name, message)
}

/// Whether the socket's mode keeps the caller out.
fn is_forbidden(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// What to do about a daemon that cannot be reached.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
            "; is atlaskvd running, and there? (--addr, --socket)"
        }
        io::ErrorKind::PermissionDenied => {
            "; the socket is for its owner and group: run as one of them, for example with sudo"
        }
        _ => "",
    }
}

/// The exit code of a client's error.
fn exit_of(error: &ClientError) -> Exit {
    match error {
        ClientError::Server { code, .. } => exit_of_code(*code),
        ClientError::TooLarge { .. } => Exit::Refused,
        // It runs, as far as anybody can tell: a check must not take it for down.
        ClientError::Unreachable { source, .. } if is_forbidden(source) => Exit::Refused,
        _ => Exit::Unreachable,
    }
}

/// The exit code of a server's error code.
fn exit_of_code(code: ErrorCode) -> Exit {
    match code {
        ErrorCode::EmptyKey
        | ErrorCode::LsnNotAssigned
        | ErrorCode::OutOfRange
        | ErrorCode::ReloadRefused => Exit::Usage,
        ErrorCode::LsnLost | ErrorCode::Damaged => Exit::Damaged,
        ErrorCode::Timeout | ErrorCode::ShuttingDown | ErrorCode::Closed => Exit::Unreachable,
        ErrorCode::Io | ErrorCode::OutcomeUnknown | ErrorCode::Internal => Exit::Io,
        _ => Exit::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ERROR_CODES;

    fn server(code: ErrorCode) -> ClientError {
        ClientError::Server {
            code,
            message: "why".to_owned(),
        }
    }

    #[test]
    fn a_daemon_that_is_not_there_is_5() {
        let error = ClientError::Unreachable {
            address: "127.0.0.1:1".to_owned(),
            source: std::io::ErrorKind::ConnectionRefused.into(),
        };
        let failed = failure(error);
        assert_eq!(failed.exit, Exit::Unreachable);
        assert!(
            failed.message.contains("is atlaskvd running"),
            "{}",
            failed.message
        );
        let lost = ClientError::Lost {
            reason: String::new(),
        };
        assert_eq!(failure(lost).exit, Exit::Unreachable);
        assert_eq!(
            failure(server(ErrorCode::ShuttingDown)).exit,
            Exit::Unreachable
        );
    }

    #[test]
    fn a_socket_whose_mode_keeps_one_out_is_8() {
        let error = ClientError::Unreachable {
            address: "/run/a.sock".to_owned(),
            source: std::io::ErrorKind::PermissionDenied.into(),
        };
        let failure = failure(error);
        assert_eq!(failure.exit, Exit::Refused);
        assert_eq!(failure.code, "not-permitted");
        assert!(failure.message.contains("owner and group"));
    }

    #[test]
    fn refusals_are_8_and_carry_the_server_s_name_and_words() {
        for code in [
            ErrorCode::ReadOnly,
            ErrorCode::DiskFull,
            ErrorCode::ValueTooLarge,
            ErrorCode::NotPermitted,
            ErrorCode::ServerFull,
            ErrorCode::Busy,
            ErrorCode::Unknown(999),
        ] {
            let failure = failure(server(code));
            assert_eq!(failure.exit, Exit::Refused, "{code}");
            assert_eq!(
                (failure.code, failure.message),
                (code.to_string(), "why".into())
            );
        }
    }

    #[test]
    fn no_error_ends_well_or_looks_like_a_plain_no() {
        for info in ERROR_CODES {
            let exit = exit_of_code(info.code);
            assert!(!matches!(exit, Exit::Done | Exit::No), "{}", info.name);
        }
        assert_eq!(exit_of_code(ErrorCode::EmptyKey), Exit::Usage);
        assert_eq!(exit_of_code(ErrorCode::Damaged), Exit::Damaged);
        assert_eq!(exit_of_code(ErrorCode::OutcomeUnknown), Exit::Io);
    }
}
