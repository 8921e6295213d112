//! `atlaskv-ctl` and a server that wants a token.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code"
)]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use atlaskv::client::Token;
use atlaskv::example;
use atlaskv::server::Server;
use serde_json::Value;
use tempfile::TempDir;

struct Home {
    server: Server,
    dir: TempDir,
}

fn serve(token: &[u8]) -> Home {
    let dir = tempfile::tempdir().unwrap();
    let server = example::serve_with_token(dir.path(), Some(Token::new(token).unwrap()));
    Home {
        server: server.unwrap(),
        dir,
    }
}

impl Home {
    fn file(&self, name: &str, contents: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, contents).unwrap();
        path
    }

    /// A command over TCP.
    fn ctl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atlaskv-ctl"));
        command
            .args(["--format", "json"])
            .args(arguments)
            .env("ATLASKV_ADDR", self.server.address().to_string())
            .env_remove("ATLASKV_SOCKET")
            .env_remove("ATLASKV_TOKEN_FILE")
            .stdin(Stdio::null());
        command
    }
}

/// Runs the command; gives its exit code, the code of its error and the error's words.
fn run(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |name: &str| document["error"][name].as_str().unwrap_or("").to_owned();
    (output.status.code().unwrap(), text("code"), text("message"))
}

fn exit_and_code(command: &mut Command) -> (i32, String) {
    let (exit, code, _) = run(command);
    (exit, code)
}

fn done() -> (i32, String) {
    (0, String::new())
}

#[test]
fn the_token_is_read_from_the_file_that_a_flag_or_the_environment_names() {
    let home = serve(b"secret");
    let right = home.file("right", b"secret\n");
    let wrong = home.file("wrong", b"secret2\n");
    let with = |command: &mut Command, file: &PathBuf| {
        exit_and_code(command.arg("--token-file").arg(file))
    };
    assert_eq!(with(&mut home.ctl(&["ping"]), &right), done());
    let mut environment = home.ctl(&["put", "k", "v"]);
    environment.env("ATLASKV_TOKEN_FILE", &right);
    assert_eq!(exit_and_code(&mut environment), done());
    let mut both = home.ctl(&["ping"]);
    both.env("ATLASKV_TOKEN_FILE", &wrong);
    assert_eq!(with(&mut both, &right), done());
    assert_eq!(
        with(&mut home.ctl(&["ping"]), &wrong),
        (8, "wrong-token".to_owned())
    );
}

#[test]
fn without_a_token_it_says_how_to_give_one() {
    let home = serve(b"secret");
    for environment in [None, Some("")] {
        let mut command = home.ctl(&["get", "k"]);
        command.envs(environment.map(|empty| ("ATLASKV_TOKEN_FILE", empty)));
        let (exit, code, message) = run(&mut command);
        assert_eq!((exit, code.as_str()), (8, "not-authenticated"));
        assert!(message.contains("wants a token"), "{message}");
        assert!(message.contains("--token-file"), "{message}");
    }
}

#[test]
fn over_the_unix_socket_no_token_is_read() {
    let home = serve(b"secret");
    let socket = home.dir.path().join("atlaskv.sock");
    let mut command = home.ctl(&["--token-file", "/no/such", "--socket"]);
    command.arg(socket).arg("stats");
    assert_eq!(exit_and_code(&mut command), done());
}

#[test]
fn a_file_that_holds_no_token_is_told_apart() {
    let home = serve(&[b'x'; 4096]);
    let file = |name: &str, size: usize, end: &[u8]| {
        let mut contents = vec![b'x'; size];
        contents.extend_from_slice(end);
        home.file(name, &contents).to_str().unwrap().to_owned()
    };
    let usage = || (2, "usage".to_owned());
    for (path, expected) in [
        (file("longest", 4096, b"\r\n"), done()),
        (file("too-long", 4097, b"\n"), usage()),
        (file("huge", 100_000, b""), usage()),
        (file("empty", 0, b"\n"), usage()),
        ("-".to_owned(), usage()),
        ("/no/such".to_owned(), (6, "io-error".to_owned())),
        ("/".to_owned(), (6, "io-error".to_owned())),
    ] {
        let (exit, code, message) = run(&mut home.ctl(&["ping", "--token-file", &path]));
        assert_eq!((exit, code), expected, "{path}: {message}");
        assert!(!message.contains("xx"), "{message}");
    }
}
