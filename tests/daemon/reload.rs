//! Reading the configuration again: by signal, and by request.

use std::path::Path;

use atlaskv::client::{Client, ClientError, ClientOptions};
use atlaskv::protocol::{ErrorCode, Token};
use rustix::process::Signal;

use crate::harness::{Daemon, Home, options, run, stats, wait_until};
use crate::manager::Manager;

/// Replaces the configuration, further lines of both sections.
fn rewrite(home: &Home, server: &str, storage: &str) {
    let other = Home::new(server, storage);
    let text = std::fs::read_to_string(other.config()).unwrap();
    let (from, to) = (other.socket(), home.socket());
    let text = text.replace(from.to_str().unwrap(), to.to_str().unwrap());
    let (from, to) = (other.data(), home.data());
    let text = text.replace(from.to_str().unwrap(), to.to_str().unwrap());
    std::fs::write(home.config(), text).unwrap();
}

fn item(client: &mut Client, key: &str) -> (String, String) {
    let items = client.config().unwrap();
    let item = items.into_iter().find(|item| item.key == key).unwrap();
    (item.value, item.origin)
}

#[test]
fn a_reload_changes_what_can_change_and_names_what_cannot() {
    let home = Home::new("", "");
    let mut manager = Manager::new();
    let mut daemon = manager.start(&home);
    manager.wait_for("READY=1");
    let mut before = daemon.client();
    before.put(b"key", &[7; 2000]).unwrap();

    let level = "[log]\nlevel = \"warn\"\ntarget = \"stderr\"";
    rewrite(
        &home,
        "max_connections = 77",
        &format!("sync = \"every-write\"\nmax_value_size = \"1 KiB\"\n{level}"),
    );
    daemon.signal(Signal::HUP);
    let reloading = manager.wait_for("RELOADING=1");
    assert!(reloading.contains("\nMONOTONIC_USEC="), "{reloading}");
    let ready = manager.wait_for("READY=1");
    assert!(ready.contains("sync every-write"), "{ready}");

    let mut admin = daemon.admin();
    assert_eq!(stats(&mut admin)["server.max_connections"], "77");
    assert_eq!(daemon.client().server().sync, "every-write");
    let refused = daemon.client().put(b"key", &[7; 2000]).unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::ValueTooLarge), "{refused}");
    // Its limits stay what its hello was told, but the engine's are the new ones.
    let refused = before.put(b"key", &[7; 2000]).unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::ValueTooLarge), "{refused}");
    assert_eq!(before.get(b"key").unwrap().unwrap().value.len(), 2000);
    let place = |line| format!("file {}:{line}", home.config().display());
    assert_eq!(
        item(&mut admin, "server.max_connections"),
        ("77".to_owned(), place(4))
    );
    assert_eq!(item(&mut admin, "log.target").0, "auto");
    assert_eq!(item(&mut admin, "log.level").0, "warn");

    // By request, and nothing but what needs a restart is left.
    let report = admin.reload().unwrap();
    assert!(report.changed.is_empty(), "{report:?}");
    assert_eq!(report.needs_restart, ["log.target"]);
    drop((before, admin));
    daemon.stop();
    let said = daemon.said();
    assert!(
        said.contains("the new value of log.target needs a restart"),
        "{said}"
    );
    assert!(
        !said.contains("stopping"),
        "the level is not in force: {said}"
    );
}

#[test]
fn a_bad_file_leaves_the_old_one_in_force() {
    let home = Home::new("max_connections = 50", "");
    let mut manager = Manager::new();
    let mut daemon = manager.start(&home);
    manager.wait_for("READY=1");
    for (server, storage, why) in [
        ("max_connections = 0", "", "server.max_connections: it is 0"),
        ("max_conections = 51", "", "server.max_conections"),
        (
            "max_connections = 51",
            "max_tables = 1",
            "storage.max_tables",
        ),
    ] {
        rewrite(&home, server, storage);
        daemon.signal(Signal::HUP);
        manager.wait_for("RELOADING=1");
        let ready = manager.wait_for("READY=1");
        assert!(
            ready.contains("; reload refused: ") && ready.contains(why),
            "{ready}"
        );
        let mut admin = daemon.admin();
        let refusal = admin.reload().unwrap_err();
        assert_eq!(refusal.code(), Some(ErrorCode::ReloadRefused));
        assert!(refusal.to_string().contains(why), "{refusal}");
        manager.wait_for("READY=1");
        assert_eq!(stats(&mut admin)["server.max_connections"], "50");
        daemon.client().put(b"key", b"value").unwrap();
    }
    rewrite(&home, "max_connections = 51", "");
    daemon.signal(Signal::HUP);
    let ready = loop {
        let message = manager.wait_for("READY=1");
        if !message.contains("refused") {
            break message;
        }
    };
    assert!(ready.contains("STATUS=serving"), "{ready}");
    assert_eq!(stats(&mut daemon.admin())["server.max_connections"], "51");
    daemon.stop();
    assert_eq!(daemon.said().matches("error reload refused").count(), 6);
}

#[test]
fn reloads_under_load_disturb_nobody() {
    let home = Home::new("", "sync_interval_ms = 1");
    let mut daemon = home.start();
    let address = daemon.address().to_string();
    let writers: Vec<_> = (0..4_u8)
        .map(|writer| {
            let address = address.clone();
            std::thread::spawn(move || {
                let mut client = Client::connect(&address, options()).unwrap();
                for number in 0..500_u32 {
                    let key = [&[writer], &number.to_le_bytes()[..]].concat();
                    client.put(&key, b"value").unwrap();
                }
            })
        })
        .collect();
    for round in 0..20 {
        let policy = ["every-write", "interval", "os-default"][round % 3];
        rewrite(&home, "", &format!("sync = {policy:?}"));
        daemon.signal(Signal::HUP);
        daemon.signal(Signal::HUP);
        wait_until("the policy is in force", || {
            daemon.client().server().sync == policy
        });
    }
    for writer in writers {
        writer.join().unwrap();
    }
    daemon.stop();
}

fn with_token(daemon: &Daemon, token: &str) -> Result<Client, ClientError> {
    let token = Some(Token::new(token.as_bytes()).unwrap());
    let options = ClientOptions { token, ..options() };
    Client::connect(&daemon.address().to_string(), options)
}

fn write_token(dir: &Path, token: &str) {
    std::fs::write(dir.join("token"), format!("{token}\n")).unwrap();
}

#[test]
fn a_credential_is_the_token_and_changes_with_a_reload() {
    let (first, second) = ("first-secret-0123", "second-secret-456");
    let home = Home::new("", "");
    let credentials = tempfile::tempdir().unwrap();
    write_token(credentials.path(), first);
    let mut command = Manager::new().command(&home);
    command.env_remove("NOTIFY_SOCKET");
    command.env("CREDENTIALS_DIRECTORY", credentials.path());
    let mut daemon = Daemon::run(command, home.socket());
    daemon.wait_until_ready();
    let mut admin = daemon.admin();
    let set = ("set".to_owned(), "credential token".to_owned());
    assert_eq!(item(&mut admin, "server.token"), set);
    let mut client = with_token(&daemon, first).unwrap();
    client.put(b"key", b"value").unwrap();
    assert!(with_token(&daemon, second).is_err());

    write_token(credentials.path(), second);
    let report = admin.reload().unwrap();
    assert_eq!(report.changed, ["server.token"]);
    with_token(&daemon, second).unwrap();
    assert!(with_token(&daemon, first).is_err());
    // Who has presented the old one stays.
    client.ping().unwrap();

    write_token(credentials.path(), "short");
    assert!(admin.reload().is_err());
    with_token(&daemon, second).unwrap();
    drop((admin, client));
    daemon.stop();
    let said = daemon.said();
    assert!(!said.contains("secret"), "{said}");
}

#[test]
fn with_a_token_addresses_beyond_loopback_are_allowed() {
    let home = Home::new("", "");
    let token = home.config().with_file_name("token");
    std::fs::write(&token, "first-secret-0123\n").unwrap();
    let config = home.config();
    let arguments = [
        "--config",
        config.to_str().unwrap(),
        "--listen",
        "0.0.0.0:0",
        "--check-config",
    ];
    assert_eq!(run(&arguments).status.code(), Some(2));
    rewrite(&home, &format!("token_file = {token:?}"), "");
    let checked = run(&arguments);
    assert_eq!(checked.status.code(), Some(0));
    // The file was made with the mode of any other.
    let said = String::from_utf8(checked.stderr).unwrap();
    assert!(said.contains("has mode 0644"), "{said}");
}
