//! Bloom filters: which keys a partition certainly does not have.
//!
//! A key's hash is XXH3-64 of its bytes with the file id as seed. Of the hash, `a` are the low 32 bits and `b`
//! the high ones, with the lowest bit of `b` set. For `i` from 0 to 6 the key has the bit
//! `(a + i * b) mod 2^32 * bits / 2^32` of the filter, `bits` being 8 times its bytes; bit `n` stands in byte
//! `n / 8` and has the value `1 << n % 8`.

use twox_hash::XxHash3_64;

use crate::storage::disk::count;

/// Bits of a filter for each key: about one key in a hundred that is not there passes.
const BITS_PER_KEY: usize = 10;
/// Bits that each key sets.
const PROBES: u32 = 7;
/// So that the arithmetic of 32 bits reaches every bit; a partition's filter is far smaller.
const MOST_BYTES: usize = 1 << 28;

/// What a filter knows of a key.
pub(super) fn hash(file_id: u64, key: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(file_id, key)
}

/// The filter of the keys with these hashes.
pub(super) fn filter(hashes: &[u64]) -> Vec<u8> {
    let bits = hashes.len().saturating_mul(BITS_PER_KEY);
    let mut filter = vec![0; bits.div_ceil(8).clamp(8, MOST_BYTES)];
    let length = filter.len();
    for hash in hashes {
        for (byte, bit) in places(*hash, length) {
            if let Some(byte) = filter.get_mut(byte) {
                *byte |= bit;
            }
        }
    }
    filter
}

/// Whether a key with this hash may be among those of the filter; `false` is certain.
pub(super) fn may_have(filter: &[u8], hash: u64) -> bool {
    places(hash, filter.len())
        .all(|(byte, bit)| filter.get(byte).is_none_or(|held| held & bit != 0))
}

/// The places of a hash in a filter of so many bytes: which byte, and its bit.
fn places(hash: u64, length: usize) -> impl Iterator<Item = (usize, u8)> {
    let bits = count(length).saturating_mul(8);
    let (low, high) = (hash & 0xFFFF_FFFF, (hash >> 32) | 1);
    (0..u64::from(PROBES)).map(move |probe| {
        let mixed = low.wrapping_add(probe.wrapping_mul(high)) & 0xFFFF_FFFF;
        let place = mixed.wrapping_mul(bits) >> 32;
        let byte = usize::try_from(place / 8).unwrap_or(usize::MAX);
        (byte, 1 << (place % 8))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(from: u32, to: u32) -> Vec<u64> {
        (from..to).map(|key| hash(7, &key.to_le_bytes())).collect()
    }

    #[test]
    fn a_filter_has_all_its_keys_and_few_others() {
        let filter = filter(&hashes(0, 10_000));
        assert_eq!(filter.len(), 12_500);
        assert!(
            hashes(0, 10_000)
                .iter()
                .all(|hash| may_have(&filter, *hash))
        );
        let others = hashes(10_000, 110_000);
        let passed = others.iter().filter(|hash| may_have(&filter, **hash));
        let passed = passed.count();
        assert!(passed < 1_500, "{passed} of 100000 others passed");
    }

    #[test]
    fn the_hash_and_the_bits_never_change() {
        assert_eq!(hash(0, b""), 0x2D06_8005_38D3_94C2, "XXH3-64 of nothing");
        let one = filter(&[hash(1, b"key")]);
        assert_eq!(one.len(), 8);
        assert!(may_have(&one, hash(1, b"key")));
        assert!(!may_have(&one, hash(1, b"other")) && !may_have(&one, hash(2, b"key")));
    }

    #[test]
    fn an_empty_filter_keeps_nothing_away() {
        assert!(may_have(&[], 5));
    }
}
