//! Numbers of things in sentences.

/// A number of things: "1 file", "2 files", "3 entries".
pub(crate) fn counted(number: u64, thing: &str) -> String {
    match (number, thing) {
        (1, _) => format!("1 {thing}"),
        (_, "entry") => format!("{number} entries"),
        _ => format!("{number} {thing}s"),
    }
}
