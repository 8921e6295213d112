//! What the packages carry agrees with the code, the configuration and itself.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    reason = "test code"
)]

#[path = "../packaging/manual.rs"]
#[expect(dead_code, reason = "its main writes the files that are compared here")]
mod manual;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use atlaskv::config::Config;
use atlaskv::exit::{EXIT_CODES, Exit};

const CONFIGURATION: &str = "/etc/atlaskv/atlaskv.toml";

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The values that a unit file gives a key, in order.
fn settings<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    let lines = unit.lines().filter_map(|line| line.split_once('='));
    lines
        .filter_map(|(name, value)| (name == key).then_some(value))
        .collect()
}

/// The one value of a key.
fn setting<'a>(unit: &'a str, key: &str) -> &'a str {
    match settings(unit, key).as_slice() {
        [value] => value,
        other => panic!("{key} has the values {other:?}"),
    }
}

/// The first text between two others.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text
        .split_once(before)
        .unwrap_or_else(|| panic!("no {before:?}"));
    rest.split_once(after).unwrap().0
}

#[test]
fn manual_and_completions_are_what_the_code_says() {
    let generated = manual::files().unwrap();
    for (path, text) in &generated {
        assert!(read(path) == *text, "{path} is out of date: make manual");
    }
    for dir in ["packaging/man", "packaging/completions"] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(dir);
        for entry in fs::read_dir(root).unwrap() {
            let path = format!("{dir}/{}", entry.unwrap().file_name().to_str().unwrap());
            assert!(generated.contains_key(&path), "{path} is made from nothing");
        }
    }
}

#[test]
fn every_page_of_a_program_has_every_exit_code() {
    let pages = [
        "atlaskv-bench.1",
        "atlaskv-compact-offline.1",
        "atlaskv-ctl.1",
        "atlaskv-verify.1",
        "atlaskv.7",
        "atlaskvd.8",
    ];
    for page in pages {
        let text = read(&format!("packaging/man/{page}")).replace("\\-", "-");
        for (exit, meaning) in EXIT_CODES {
            let entry = format!(".TP\n.B {}\n{meaning}\n", exit.code());
            assert!(
                text.contains(&entry),
                "{page} lacks {}: {meaning}",
                exit.code()
            );
        }
    }
}

/// That the shipped configuration states the defaults, src/config/tests.rs proves.
#[test]
fn the_unit_and_the_configuration_agree() {
    let unit = read("systemd/atlaskv.service");
    let config = Config::default();
    let run_dir = format!("/run/{}", setting(&unit, "RuntimeDirectory"));
    let data_dir = format!("/var/lib/{}", setting(&unit, "StateDirectory"));
    assert_eq!(config.storage.data_dir, Path::new(&data_dir));
    assert_eq!(setting(&unit, "RequiresMountsFor"), data_dir);
    assert_eq!(
        config.server.admin_socket,
        Path::new(&run_dir).join("atlaskv.sock")
    );
    let socket = read("systemd/atlaskv.socket");
    assert_eq!(
        setting(&socket, "ListenStream"),
        config.server.listen.to_string()
    );
    let command = format!("/usr/bin/atlaskvd --config {CONFIGURATION}");
    assert_eq!(setting(&unit, "ExecStart"), command);
    let reload = format!("/usr/bin/atlaskv-ctl --socket {run_dir}/atlaskv.sock reload");
    assert_eq!(setting(&unit, "ExecReload"), reload);
    // A file for each connection, and as many again for tables, segments and the rest.
    let files: u64 = setting(&unit, "LimitNOFILE").parse().unwrap();
    assert!(files >= 2 * config.server.max_connections + config.storage.max_tables);
}

#[test]
fn starts_that_cannot_be_mended_by_another_are_not_repeated() {
    let unit = read("systemd/atlaskv.service");
    let stated: Vec<u8> = setting(&unit, "RestartPreventExitStatus")
        .split(' ')
        .map(|code| code.parse().unwrap())
        .collect();
    let final_ones = [
        Exit::Usage,
        Exit::Damaged,
        Exit::Locked,
        Exit::Io,
        Exit::NewerFormat,
        Exit::Refused,
    ];
    assert_eq!(stated, final_ones.map(Exit::code));
    // It looks at the main process alone: a check before it would fail in a loop.
    assert!(settings(&unit, "ExecStartPre").is_empty());
}

#[test]
fn an_instance_is_the_service_with_names_of_its_own() {
    let command = " --config /etc/atlaskv/%i.toml --data-dir /var/lib/atlaskv-%i \
                   --admin-socket /run/atlaskv-%i/atlaskv.sock";
    let expected = read("systemd/atlaskv.service")
        .replace("key-value store\n", "key-value store (%i)\n")
        .replace(&format!(" --config {CONFIGURATION}"), command)
        .replace("--socket /run/atlaskv/", "--socket /run/atlaskv-%i/")
        .replace("/etc/atlaskv/token", "/etc/atlaskv/%i.token")
        .replace("Directory=atlaskv\n", "Directory=atlaskv-%i\n")
        .replace(
            "ConfigurationDirectory=atlaskv-%i\n",
            "ConfigurationDirectory=atlaskv\n",
        )
        .replace("For=/var/lib/atlaskv\n", "For=/var/lib/atlaskv-%i\n");
    assert!(read("systemd/atlaskv@.service") == expected);
}

#[test]
fn the_weekly_verification_asks_the_service_over_its_own_socket() {
    let unit = read("systemd/atlaskv-verify.service");
    let socket = Config::default().server.admin_socket;
    let command = format!("/usr/bin/atlaskv-ctl --socket {} verify", socket.display());
    assert_eq!(setting(&unit, "ExecStart"), command);
    // It starts no daemon that is stopped, and each bad outcome is a failure; being stopped is none.
    assert_eq!(setting(&unit, "Requisite"), "atlaskv.service");
    assert_eq!(setting(&unit, "After"), "atlaskv.service");
    assert_eq!(setting(&unit, "SuccessExitStatus"), "SIGTERM");
    let service = read("systemd/atlaskv.service");
    for key in ["User", "Group"] {
        assert_eq!(setting(&unit, key), setting(&service, key));
    }
    let instance = unit
        .replace("AtlasKV reads", "AtlasKV (%i) reads")
        .replace("=atlaskv.service\n", "=atlaskv@%i.service\n")
        .replace("--socket /run/atlaskv/", "--socket /run/atlaskv-%i/");
    assert!(read("systemd/atlaskv-verify@.service") == instance);
    let timer = read("systemd/atlaskv-verify.timer");
    let timers = timer
        .replace("verify.timer", "verify@NAME.timer")
        .replace("AtlasKV's files", "The files of AtlasKV (%i)");
    assert!(read("systemd/atlaskv-verify@.timer") == timers);
}

/// Socket and timer: the administrator enables them, the packages only take them away again.
#[test]
fn what_is_shipped_and_not_enabled_is_treated_alike_by_all_scripts() {
    let scripts = [
        "packaging/debian/prerm",
        "packaging/debian/postinst",
        "packaging/debian/postrm",
        "packaging/atlaskv.spec",
    ];
    for path in scripts {
        let script = read(path);
        for unit in ["atlaskv.socket", "atlaskv-verify.timer"] {
            let lines: Vec<_> = script.lines().filter(|line| line.contains(unit)).collect();
            assert!(!lines.is_empty(), "{path} leaves {unit} behind");
            for line in lines {
                let enables = ["enable ", "preset ", "start ", "restart "];
                let words = line.replace("disable ", "");
                assert!(!enables.iter().any(|word| words.contains(word)), "{line}");
            }
        }
    }
    let makefile = read("packaging/packages.mk");
    assert!(makefile.contains("systemd/*.service systemd/*.socket systemd/*.timer"));
}

#[test]
fn the_user_is_the_same_everywhere() {
    let unit = read("systemd/atlaskv.service");
    let user = setting(&unit, "User");
    assert_eq!(setting(&unit, "Group"), user);
    let data_dir = format!("/var/lib/{}", setting(&unit, "StateDirectory"));
    let sysusers = read("systemd/atlaskv.sysusers");
    assert!(sysusers.contains(&format!("\nu {user} - \"")));
    assert!(sysusers.trim_end().ends_with(&data_dir));
    let tmpfiles = read("systemd/atlaskv.tmpfiles");
    assert!(tmpfiles.contains(&format!("z /etc/atlaskv 0750 root {user} -\n")));
    assert!(tmpfiles.contains(&format!("z /etc/atlaskv/*.toml 0640 root {user} -\n")));
    let token = between(setting(&unit, "LoadCredential"), "token:", "ken").to_owned() + "ken";
    assert!(tmpfiles.contains(&format!("z {token} 0600 root root -\n")));
    let spec = read("packaging/atlaskv.spec");
    assert!(spec.contains(&format!("%attr(0640,root,{user}) {CONFIGURATION}\n")));
}

#[test]
fn one_version_everywhere() {
    let version = env!("CARGO_PKG_VERSION");
    let changelog = read("packaging/debian/changelog");
    assert!(changelog.starts_with(&format!("atlaskv ({version}) ")));
    let spec = read("packaging/atlaskv.spec");
    let newest = between(&spec, "%changelog\n", "\n");
    assert!(newest.ends_with(&format!(" - {version}-1")), "{newest}");
    assert!(between(&read("CHANGELOG.md"), "\n## ", "\n").starts_with(version));
}

#[test]
fn the_packages_know_the_format_that_the_engine_reads() {
    let manifest = read("src/storage/manifest.rs");
    let engine = between(&manifest, "const VERSION: u32 = ", ";");
    let packages = between(&read("packaging/check-format.sh"), "\nreadable=", "\n").to_owned();
    assert_eq!(packages, engine);
}

#[test]
fn the_packages_carry_every_program() {
    let names: BTreeSet<String> = atlaskv::cli::commands()
        .iter()
        .map(|command| command.get_name().to_owned())
        .collect();
    let makefile = read("Makefile");
    let installed = between(&makefile, "BINARIES := ", "\n").split(' ');
    assert_eq!(installed.map(str::to_owned).collect::<BTreeSet<_>>(), names);
    let unit = read("systemd/atlaskv.service");
    for page in setting(&unit, "Documentation").split(' ') {
        let (name, section) = page.trim_end_matches(')').split_once('(').unwrap();
        let name = name.trim_start_matches("man:");
        read(&format!("packaging/man/{name}.{section}"));
    }
    let script = "/usr/libexec/atlaskv/restart-checked";
    for user in ["packaging/debian/postinst", "packaging/atlaskv.spec"] {
        assert!(read(user).contains(script), "{user}");
    }
}
