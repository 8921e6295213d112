//! Inputs made of kept ones: bits and bytes changed, numbers at their ends, pieces cut, doubled and joined.

use fastrand::Rng;

/// Mutations of a target in a usual run; the stores' take longest.
const USUAL: u64 = 30_000;
const USUAL_OF_A_STORE: u64 = 3_000;
/// No input grows beyond.
const MOST_BYTES: usize = 64 * 1024;
/// Numbers that are ends of something.
const ENDS: [u64; 12] = [
    0,
    1,
    0x7F,
    0xFA,
    0xFB,
    0xFFFF,
    0x7FFF_FFFF,
    0xFFFF_FFFF,
    0xFFF_FFFF_FFFF,
    0x7FFF_FFFF_FFFF_FFFF,
    0xFFFF_FFFF_FFFF_FFFE,
    u64::MAX,
];

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is {text}: a number is wanted")),
    )
}

pub(crate) fn seed() -> u64 {
    variable("ATLASKV_TEST_SEED").unwrap_or_else(|| fastrand::u64(..) >> 16)
}

pub(crate) fn budget(target: &str) -> u64 {
    let is_store = matches!(target, "segment" | "table" | "manifest");
    let usual = if is_store { USUAL_OF_A_STORE } else { USUAL };
    (usual * variable("ATLASKV_TEST_RUNS").unwrap_or(100) / 100).max(1)
}

/// One of these inputs, changed in one to six places.
pub(crate) fn mutate(random: &mut Rng, inputs: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = inputs[random.usize(..inputs.len())].clone();
    for _ in 0..random.usize(1..=6) {
        change(random, &mut bytes, inputs);
    }
    bytes.truncate(MOST_BYTES);
    bytes
}

fn change(random: &mut Rng, bytes: &mut Vec<u8>, inputs: &[Vec<u8>]) {
    let at = random.usize(..=bytes.len());
    let length = random.usize(..=32).min(bytes.len() - at);
    match random.u8(..7) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.u8(..8),
        1 if at < bytes.len() => bytes[at] = random.u8(..),
        2 => drop(bytes.drain(at..at + length)),
        3 => {
            let piece = bytes[at..at + length].to_vec();
            let to = random.usize(..=bytes.len());
            bytes.splice(to..to, piece);
        }
        4 => {
            let end = ENDS[random.usize(..ENDS.len())].to_le_bytes();
            let width = [1, 2, 4, 8][random.usize(..4)].min(bytes.len() - at);
            bytes[at..at + width].copy_from_slice(&end[..width]);
        }
        5 => {
            // A number as the encoder writes a long one: its width, then the bytes.
            let end = ENDS[random.usize(..ENDS.len())].to_le_bytes();
            let replaced = 1.min(bytes.len() - at);
            bytes.splice(at..at + replaced, [253].into_iter().chain(end));
        }
        _ => {
            let other = &inputs[random.usize(..inputs.len())];
            let from = random.usize(..=other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
    }
}
