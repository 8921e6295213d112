//! What the start found and did, told once: whole in the log, short in the status line.

use crate::logging::message;
use crate::storage::RecoveryReport;

/// Says it in the log: what was cut and what was set aside, each as a warning, then what was recovered.
pub(super) fn log(report: &RecoveryReport) {
    if let Some(lsn) = report.cut_from {
        let bytes = report.cut_bytes;
        log::warn!(
            message_id = message::TAIL_CUT, lsn:% = lsn, bytes;
            "from LSN {lsn} on nothing was provable: {bytes} bytes cut and kept in quarantine"
        );
    }
    if !report.quarantined.is_empty() {
        let files = report.quarantined.join(", ");
        log::warn!(message_id = message::QUARANTINED, files; "moved to quarantine: {files}");
    }
    for note in &report.notes {
        log::info!("{note}");
    }
    let (lsn, operations) = (report.last_lsn, report.replayed_operations);
    let found = match (report.created, report.clean_shutdown) {
        (true, _) => "made a new store",
        (false, true) => "recovered after a clean shutdown",
        (false, false) => "recovered after a crash",
    };
    log::info!(
        message_id = message::RECOVERED, lsn:% = lsn, operations;
        "{found}: operations replayed: {operations}, segments read: {}, last LSN {lsn}",
        report.segments
    );
}

/// What stays in the status line until the next start.
pub(super) fn short(report: &RecoveryReport) -> String {
    let mut line = match (report.created, report.clean_shutdown) {
        (true, _) => "last start: new store".to_owned(),
        (false, true) => "last start: clean".to_owned(),
        (false, false) => format!(
            "last start: after a crash, {} operations replayed",
            report.replayed_operations
        ),
    };
    if let Some(lsn) = report.cut_from {
        line.push_str(&format!(
            ", cut from LSN {lsn} ({} bytes)",
            report.cut_bytes
        ));
    }
    if !report.quarantined.is_empty() {
        line.push_str(&format!(", {} files quarantined", report.quarantined.len()));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_or_set_aside_is_in_the_status() {
        let lsn = crate::storage::Lsn::from_u64(7);
        let report = RecoveryReport {
            cut_from: Some(lsn),
            cut_bytes: 99,
            quarantined: vec!["a".to_owned(), "b".to_owned()],
            ..RecoveryReport::default()
        };
        assert_eq!(
            short(&report),
            format!(
                "last start: after a crash, 0 operations replayed, cut from LSN {lsn} (99 bytes), 2 files \
                 quarantined"
            )
        );
    }
}
