//! What a verification came to: its verdict in a word, its findings in sentences, a line in the log.

use crate::logging::message;
use crate::protocol::VerificationStatus;
use crate::storage;
use crate::storage::disk::count;
use crate::storage::verify::{FileReport, Finding, Severity, Verdict, VerifyReport};

/// Findings that are kept; all are in what `atlaskv-verify` prints.
const MOST_FINDINGS: usize = 20;
/// The verdict of a verification that could not be done.
const FAILED: &str = "failed";

/// Verdict, findings and how many there are; `None`: the server stopped it.
pub(super) fn of(
    verified: Option<storage::Result<VerifyReport>>,
) -> (&'static str, Vec<String>, u64) {
    let failed = |why: String| (FAILED, vec![why], 1);
    match verified {
        None => failed("the server stops".to_owned()),
        Some(Err(error)) => failed(error.to_string()),
        Some(Ok(report)) => {
            let bad: Vec<_> = bad(&report).collect();
            let told = bad.iter().take(MOST_FINDINGS);
            let told = told
                .map(|(file, finding)| sentence(file, finding))
                .collect();
            (verdict(&report), told, count(bad.len()))
        }
    }
}

fn verdict(report: &VerifyReport) -> &'static str {
    match report.verdict {
        Verdict::Sound => "sound",
        Verdict::TornTail => "torn-tail",
        Verdict::Repairable => "repairable",
        Verdict::Unreadable => "unreadable",
        Verdict::Damaged => "damaged",
    }
}

/// What is worse than a note.
fn bad(report: &VerifyReport) -> impl Iterator<Item = (&FileReport, &Finding)> {
    let files = report.files.iter();
    let all = files.flat_map(|file| file.findings.iter().map(move |finding| (file, finding)));
    all.filter(|(_, finding)| finding.severity > Severity::Note)
}

fn sentence(file: &FileReport, finding: &Finding) -> String {
    let place = finding.offset.map(|offset| format!(", offset {offset}"));
    let place = place.unwrap_or_default();
    format!(
        "{}{place}: {}; {}",
        file.name, finding.detail, finding.meaning
    )
}

/// The line in the log.
pub(super) fn tell(status: &VerificationStatus) {
    let (verdict, bytes) = (status.verdict.as_str(), status.bytes);
    let seconds = status.duration_ms / 1000;
    let findings = status.findings.join("; ");
    if matches!(verdict, "sound" | "torn-tail") {
        log::info!(
            message_id = message::VERIFIED, verdict, bytes;
            "verified the store's files: {verdict}, {bytes} bytes read in {seconds} s"
        );
    } else {
        log::error!(
            message_id = message::VERIFY_FOUND, verdict, findings = findings.as_str();
            "verifying the store's files found: {verdict}: {findings}"
        );
    }
}
