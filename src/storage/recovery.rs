//! Recovery.

use serde::Serialize;

use super::Lsn;

/// What a start found and did: the honest report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RecoveryReport {
    /// Whether the directory was made by this start.
    pub created: bool,
    /// Whether the last run ended with a clean shutdown.
    pub clean_shutdown: bool,
    /// The epoch this start opened.
    pub epoch: u32,
    /// Segments read.
    pub segments: u64,
    /// Operations replayed from the log.
    pub replayed_operations: u64,
    /// The last LSN that was recovered.
    pub last_lsn: Lsn,
    /// Where a torn tail was cut: from this LSN on nothing is provable. `None`: nothing was cut.
    pub cut_from: Option<Lsn>,
    /// Bytes that were cut and are kept in quarantine.
    pub cut_bytes: u64,
    /// Files that were moved to quarantine.
    pub quarantined: Vec<String>,
    /// What an operator should know besides, a sentence each.
    pub notes: Vec<String>,
}
