//! The configuration against its documents and against bad input.

use std::collections::BTreeSet;

use super::*;

const SHIPPED: &str = include_str!("../../config/atlaskv.toml");

fn source(text: &str) -> Source {
    Source::new(Path::new("/etc/a.toml"), text)
}

fn refusal(text: &str) -> String {
    let source = source(text);
    let checked = Config::parse(&source).and_then(|config| config.check(&source, false));
    checked.unwrap_err().to_string()
}

/// The shipped file with every default taken out of its comment: `#key = value`, no space.
fn shipped_uncommented() -> String {
    let uncomment = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    SHIPPED.lines().map(uncomment).collect()
}

fn keys(table: &toml::Table) -> BTreeSet<String> {
    let sections = table
        .iter()
        .map(|(name, section)| (name, section.as_table().unwrap()));
    sections
        .flat_map(|(name, section)| section.keys().map(move |key| format!("{name}.{key}")))
        .collect()
}

#[test]
fn the_shipped_file_is_the_defaults() {
    for text in [SHIPPED, &shipped_uncommented()] {
        let source = source(text);
        let config = Config::parse(&source).unwrap();
        assert_eq!(config, Config::default());
        config.check(&source, false).unwrap();
    }
}

#[test]
fn the_shipped_file_lists_every_key() {
    let listed = shipped_uncommented().parse::<toml::Table>().unwrap();
    let known = toml::Table::try_from(Config::default()).unwrap();
    assert_eq!(keys(&listed), keys(&known));
}

#[test]
fn the_document_names_every_key() {
    let document = include_str!("../../docs/configuration.md");
    for key in keys(&toml::Table::try_from(Config::default()).unwrap()) {
        let (_, name) = key.split_once('.').unwrap();
        assert!(
            document.contains(&format!("| `{name}` |")),
            "{key} is not in docs/configuration.md"
        );
    }
}

#[test]
fn defaults_are_the_engines() {
    let (ours, engines) = (Config::default().options(), Options::default());
    assert_eq!(format!("{ours:?}"), format!("{engines:?}"));
    assert_eq!(ours.stall_timeout, engines.stall_timeout);
    assert_eq!(ours.scan_idle_timeout, engines.scan_idle_timeout);
    assert_eq!(ours.max_pinned_bytes, engines.max_pinned_bytes);
}

#[test]
fn entries_are_every_key_as_a_file_states_it() {
    let mut config = Config::default();
    config.storage.data_dir = PathBuf::from("/a \"b\"\n");
    let entries = config.entries();
    let names: BTreeSet<String> = entries.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(names, keys(&toml::Table::try_from(&config).unwrap()));
    assert_eq!(names.len(), entries.len());
    for (key, value) in [
        ("server.listen", "127.0.0.1:7390"),
        ("server.allow_unauthenticated", "false"),
        ("storage.data_dir", "/a \"b\"\n"),
        ("storage.memtable_size", "64 MiB"),
        ("storage.sync", "interval"),
        ("metrics.listen", ""),
        ("log.level", "info"),
    ] {
        let found = entries.iter().find(|(name, _)| name == key).unwrap();
        assert_eq!(found.1, value, "{key}");
    }
    let text = "[server]\n\nread_timeout_s = 1\n";
    assert_eq!(
        source(text).place_of("server.read_timeout_s").unwrap(),
        "/etc/a.toml:3"
    );
    assert_eq!(source(text).place_of("server.listen"), None);
}

#[test]
fn an_empty_file_is_the_defaults() {
    assert_eq!(Config::parse(&source("")).unwrap(), Config::default());
}

#[test]
fn refusals_name_line_column_and_key() {
    for (text, place, rule) in [
        (
            "[storage]\nmemtable_sise = 1\n",
            "/etc/a.toml:2:1: storage.memtable_sise",
            "`memtable_size`",
        ),
        ("[sotrage]\n", "/etc/a.toml:1:2: sotrage", "`storage`"),
        (
            "[storage]\nsync = \"always\"\n",
            "/etc/a.toml:2:8: storage.sync",
            "`every-write`",
        ),
        (
            "[storage]\nmemtable_size = \"64 MB\"\n",
            "/etc/a.toml:2:17: storage.memtable_size",
            "MiB",
        ),
        (
            "[storage]\nmemtable_size = -1\n",
            "/etc/a.toml:2:17: storage.memtable_size",
            "MiB",
        ),
        (
            "[server]\nlisten = 127.0.0.1:7390\n",
            "/etc/a.toml:2:",
            "listen",
        ),
        (
            "[server]\nlisten = \"example.org:1\"\n",
            "/etc/a.toml:2:10: server.listen",
            "127.0.0.1:7390",
        ),
        (
            "\n[server]\n max_connections = 0\n",
            "/etc/a.toml:3:2: server.max_connections",
            "from 1 to 65536",
        ),
        (
            "storage.max_tables = 2\n",
            "/etc/a.toml:1:9: storage.max_tables",
            "from 6 to 1024",
        ),
        (
            "[storage]\nsync_interval_ms = 0\n",
            "/etc/a.toml:2:1: storage.sync_interval_ms",
            "from 1",
        ),
        (
            "[log]\ntarget = \"file\"\n",
            "/etc/a.toml:2:10: log.target",
            "`journal`",
        ),
        (
            "[server]\nslowlog_entries = 0\n",
            "/etc/a.toml:2:1: server.slowlog_entries",
            "from 1",
        ),
        (
            "[log]\nlevel = 3\n",
            "/etc/a.toml:2:9: log.level",
            "expected a string",
        ),
    ] {
        let refusal = refusal(text);
        assert!(refusal.starts_with(place), "{refusal}");
        assert!(refusal.contains(rule), "{refusal}");
        assert_eq!(refusal.lines().count(), 1, "{refusal}");
    }
}

#[test]
fn strangers_are_kept_out_unless_allowed() {
    for address in ["0.0.0.0:7390", "[::]:7390", "192.0.2.1:1"] {
        let text = format!("[server]\nlisten = \"{address}\"\n");
        let refusal = refusal(&text);
        assert!(
            refusal.starts_with("/etc/a.toml:2:1: server.listen"),
            "{refusal}"
        );
        assert!(
            refusal.contains("allow_unauthenticated = true"),
            "{refusal}"
        );
        let source = source(&format!("{text}allow_unauthenticated = true\n"));
        Config::parse(&source)
            .unwrap()
            .check(&source, false)
            .unwrap();
    }
    let text = "[server]\nlisten = \"0.0.0.0:1\"\n";
    let config = Config::parse(&source(text)).unwrap();
    config.check(&source(text), true).unwrap();
    for address in ["127.0.0.1:0", "127.9.9.9:1", "[::1]:1", "localhost:1"] {
        let source = source(&format!("[server]\nlisten = \"{address}\"\n"));
        Config::parse(&source)
            .unwrap()
            .check(&source, false)
            .unwrap();
    }
}

#[test]
fn metrics_stay_here_unless_allowed() {
    let text = "[metrics]\nlisten = \"0.0.0.0:9739\"\n";
    let refusal = refusal(text);
    assert!(
        refusal.starts_with("/etc/a.toml:2:1: metrics.listen"),
        "{refusal}"
    );
    assert!(refusal.contains("allow_remote = true"), "{refusal}");
    let remote = format!("{text}allow_remote = true\n");
    for text in [
        &remote,
        "[metrics]\nlisten = \"127.0.0.1:9739\"\n",
        "[metrics]\nlisten = \"\"\n",
    ] {
        let source = source(text);
        let config = Config::parse(&source).unwrap();
        config.check(&source, false).unwrap();
        assert_eq!(config.metrics.listen.is_none(), text.contains("\"\""));
    }
}

#[test]
fn a_socket_path_must_fit_the_kernel() {
    let text =
        |length: usize| format!("[server]\nadmin_socket = \"/{}\"\n", "a".repeat(length - 1));
    let refusal = refusal(&text(108));
    assert!(
        refusal.contains("108 bytes") && refusal.contains("107"),
        "{refusal}"
    );
    let source = source(&text(107));
    Config::parse(&source)
        .unwrap()
        .check(&source, false)
        .unwrap();
}

#[test]
fn the_budget_holds_two_of_the_largest_request() {
    let refusal = refusal("[server]\nmax_inflight_bytes = \"64 MiB\"\n");
    assert!(
        refusal.starts_with("/etc/a.toml:2:1: server.max_inflight_bytes"),
        "{refusal}"
    );
    let source = source("[server]\nmax_inflight_bytes = \"66 MiB\"\n");
    Config::parse(&source)
        .unwrap()
        .check(&source, false)
        .unwrap();
}
