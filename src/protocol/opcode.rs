//! The code byte of each request and each answer: the only home of these numbers.

/// Opcodes of requests, `0x01` to `0x7F`.
pub mod request {
    /// Is anybody there.
    pub const PING: u8 = 0x01;
    /// Version and limits.
    pub const HELLO: u8 = 0x02;
    /// Wait until a write is durable.
    pub const SYNC: u8 = 0x03;
    /// The store's figures.
    pub const STATS: u8 = 0x04;
    /// A key's value.
    pub const GET: u8 = 0x10;
    /// Set a key's value.
    pub const PUT: u8 = 0x11;
    /// Remove a key's value.
    pub const DELETE: u8 = 0x12;
    /// Whether a key has a value.
    pub const EXISTS: u8 = 0x13;
    /// The values of several keys.
    pub const MULTI_GET: u8 = 0x14;
    /// Several changes, all or none.
    pub const BATCH: u8 = 0x15;
    /// Set a value where there is none.
    pub const PUT_IF_ABSENT: u8 = 0x16;
    /// Set or remove a value if it is as expected.
    pub const COMPARE_AND_SWAP: u8 = 0x17;
    /// Open a scan.
    pub const SCAN_OPEN: u8 = 0x20;
    /// The scan's next page.
    pub const SCAN_NEXT: u8 = 0x21;
    /// Close a scan.
    pub const SCAN_CLOSE: u8 = 0x22;
    /// Write memory to tables.
    pub const FLUSH: u8 = 0x40;
    /// Merge all tables.
    pub const COMPACT: u8 = 0x41;
    /// Files in quarantine.
    pub const QUARANTINE_LIST: u8 = 0x42;
    /// Remove the files in quarantine.
    pub const QUARANTINE_PURGE: u8 = 0x43;
    /// The configuration in force.
    pub const CONFIG: u8 = 0x44;
    /// Read the configuration again.
    pub const RELOAD: u8 = 0x45;
    /// Requests that took long.
    pub const SLOWLOG: u8 = 0x46;
    /// Begin to verify the store's files.
    pub const VERIFY_START: u8 = 0x47;
    /// How far the latest verification is.
    pub const VERIFY_STATUS: u8 = 0x48;

    /// All opcodes.
    pub const ALL: [u8; 24] = [
        PING,
        HELLO,
        SYNC,
        STATS,
        GET,
        PUT,
        DELETE,
        EXISTS,
        MULTI_GET,
        BATCH,
        PUT_IF_ABSENT,
        COMPARE_AND_SWAP,
        SCAN_OPEN,
        SCAN_NEXT,
        SCAN_CLOSE,
        FLUSH,
        COMPACT,
        QUARANTINE_LIST,
        QUARANTINE_PURGE,
        CONFIG,
        RELOAD,
        SLOWLOG,
        VERIFY_START,
        VERIFY_STATUS,
    ];
}

/// Statuses of answers, `0x80` to `0xFF`.
pub mod status {
    /// To ping.
    pub const PONG: u8 = 0x80;
    /// To hello.
    pub const HELLO: u8 = 0x81;
    /// A value.
    pub const VALUE: u8 = 0x82;
    /// The key has no value.
    pub const NOT_FOUND: u8 = 0x83;
    /// A write was done.
    pub const WRITTEN: u8 = 0x84;
    /// Whether the key has a value.
    pub const EXISTS: u8 = 0x85;
    /// The values of several keys.
    pub const VALUES: u8 = 0x86;
    /// A condition was not met.
    pub const REFUSED: u8 = 0x87;
    /// A page of a scan.
    pub const SCAN_PAGE: u8 = 0x88;
    /// Durable up to an LSN.
    pub const SYNCED: u8 = 0x89;
    /// The store's figures.
    pub const STATS: u8 = 0x8A;
    /// Done, and nothing to say.
    pub const DONE: u8 = 0x8B;
    /// What a compaction did.
    pub const COMPACTED: u8 = 0x8C;
    /// Files of the quarantine.
    pub const QUARANTINE: u8 = 0x8D;
    /// The configuration in force.
    pub const CONFIG: u8 = 0x8E;
    /// What a reload did.
    pub const RELOADED: u8 = 0x8F;
    /// Requests that took long.
    pub const SLOWLOG: u8 = 0x90;
    /// How far the latest verification is.
    pub const VERIFICATION: u8 = 0x91;
    /// The request failed.
    pub const ERROR: u8 = 0xFF;

    /// All statuses.
    pub const ALL: [u8; 19] = [
        PONG,
        HELLO,
        VALUE,
        NOT_FOUND,
        WRITTEN,
        EXISTS,
        VALUES,
        REFUSED,
        SCAN_PAGE,
        SYNCED,
        STATS,
        DONE,
        COMPACTED,
        QUARANTINE,
        CONFIG,
        RELOADED,
        SLOWLOG,
        VERIFICATION,
        ERROR,
    ];
}
