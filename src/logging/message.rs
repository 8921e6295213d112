//! What the log's messages are called: an id each that never changes, so that `journalctl -x` explains
//! them (`systemd/atlaskv.catalog`), `journalctl MESSAGE_ID=…` finds them, and alerts need no text.

/// A message that has an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// Its constant's name.
    pub name: &'static str,
    /// 128 random bits in hexadecimal.
    pub id: &'static str,
    /// What it says, in a few words.
    pub subject: &'static str,
    /// The keys that it always carries; the journal has them in upper case.
    pub fields: &'static [&'static str],
}

/// Makes a constant of each id, and the table of all.
macro_rules! messages {
    ($($name:ident = $id:literal, $subject:literal, $fields:expr;)*) => {
        $(#[doc = concat!($subject, ".")] pub const $name: &str = $id;)*

        /// Every message that has an id.
        pub const ALL: &[Message] = &[$(Message {
            name: stringify!($name),
            id: $name,
            subject: $subject,
            fields: $fields,
        }),*];
    };
}

messages! {
    READY = "25dba9671df44b65ab7850a44972b6bc", "AtlasKV is ready", &[];
    STOPPING = "577c584168734147affab2a2eeb90fbb", "AtlasKV is stopping", &["signal"];
    STOPPED = "b0e81b15687f4f3faaaa4bc19f0489d0", "AtlasKV has stopped well", &[];
    RECOVERED = "5534f52f7d6e4a7aae174503fc81da53", "The data was recovered", &["lsn", "operations"];
    TAIL_CUT = "4b34ff1839004eadac484e5d40b954e0", "The end of the log was cut", &["lsn", "bytes"];
    QUARANTINED = "564b696cbe5c4a17a867bbaccdca75c0", "Files were set aside", &["files"];
    START_FAILED = "eb81fbd3d4524e0ba1e2ff5cfd150d9e", "AtlasKV has failed", &["exit_code"];
    RELOADED = "8aaf6dc2d2294154a4360ea525bd092a", "The configuration was read again", &["changed"];
    RELOAD_REFUSED = "ec7d5e55cd204b28a4434846d592599c", "The new configuration was refused", &["reason"];
    RESTART_NEEDED = "e05a0fec9b45458dabaaf07c2c6afa7c", "Some changes wait for a restart", &["keys"];
    CONNECTIONS_LIMITED = "6466dce53ddf4e3dae168c046566257e", "Fewer connections than configured", &["limit", "wanted"];
    WRITING_STOPPED = "594b1233fb4648bbac932bc3ec577ec7", "Writing has stopped", &["reason"];
    DISK_FULL = "40ae5f89adad4a4ba258c6a6dd438e43", "The disk is full", &["reason"];
    WRITING_RESUMED = "8fe86266cde04563ab77d8917cc341f2", "Writing goes on", &[];
    TASK_FAILED = "6a3e164eb8dc469ca2100727ff28c940", "A flush or compaction failed", &["task", "reason"];
    STALLED = "cb5b8b48ef864436a18f31cbdafdb2a7", "Writers have to wait", &["reason"];
    AUTH_FAILED = "da72df09bceb40a2a07df75864ae1759", "A client presented a wrong token", &["address", "count"];
    ENGINE_STUCK = "bd34d70f521f4340a9b8abbaf0122895", "The engine makes no progress", &["reason"];
    REQUEST_FAILED = "079821466d764634aa3f9f46b9394f3e", "A request failed by the server's fault", &["reason"];
    VERIFIED = "d4193fafadfbd4729fe841c167289291", "The data was verified", &["verdict", "bytes"];
    VERIFY_FOUND = "fb564abfe827667df85d0ea994368ec3", "Verifying found damage", &["verdict", "findings"];
    MEMORY_SCORE = "e4fdf0dc4f204d59a5a60562be69cbac", "The kernel may end the daemon early", &["score"];
}
