//! That memory is bounded by the input.

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Runs `read` and checks that at no time it held more than `factor` times the input and `constant` bytes.
/// The count is the process's: nothing else may run meanwhile.
pub(super) fn bounded<T>(
    what: &str,
    input: &[u8],
    (factor, constant): (usize, usize),
    read: impl FnOnce() -> T,
) -> T {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let outcome = read();
    let taken = ALLOCATOR.peak_usage().saturating_sub(before);
    let allowed = factor * input.len() + constant;
    assert!(
        taken <= allowed,
        "{what} of {} bytes took {taken} bytes of memory, more than {allowed}",
        input.len()
    );
    outcome
}
