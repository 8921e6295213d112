//! The keys and values of all engines: those of `peers` measurements elsewhere, so that figures compare.

/// Bytes of a key.
pub(crate) const KEY: usize = 16;
/// Bytes of a value.
pub(crate) const VALUE: usize = 100;
/// Bytes of a key and its value.
pub(crate) const PAIR: u64 = 116;

/// The numbers below `count`, each once, in an order that looks random; the same for the same seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    count: u64,
    bits: u32,
    odd: u64,
}

impl Order {
    pub(crate) fn new(count: u64, seed: u64) -> Order {
        let bits = (u64::BITS - count.max(4).leading_zeros()).max(4);
        let odd = fastrand::Rng::with_seed(seed).u64(..) | 1;
        Order { count, bits, odd }
    }

    /// The number at `place`, which is below `count`.
    pub(crate) fn at(&self, place: u64) -> u64 {
        let mask = (1_u64 << self.bits) - 1;
        let mut number = place;
        // Each round maps the numbers of so many bits onto themselves; what falls out is sent round again.
        loop {
            for _ in 0..3 {
                number = number.wrapping_mul(self.odd) & mask;
                number ^= number >> (self.bits / 2);
            }
            if number < self.count {
                return number;
            }
        }
    }
}

/// A key that a fill puts: sixteen digits of an even number.
pub(crate) fn present(number: u64) -> [u8; KEY] {
    digits(2 * number)
}

/// A key that no fill puts, between those that it does.
pub(crate) fn missing(number: u64) -> [u8; KEY] {
    digits(2 * number + 1)
}

fn digits(mut number: u64) -> [u8; KEY] {
    let mut key = [b'0'; KEY];
    for digit in key.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    key
}

/// Values that begin with their key's number, so that each read can be verified; half random, half zeros.
#[derive(Debug)]
pub(crate) struct Values {
    random: Vec<u8>,
}

const RANDOM: usize = 1 << 16;

impl Values {
    pub(crate) fn new(seed: u64) -> Values {
        let mut random = vec![0; RANDOM + VALUE];
        fastrand::Rng::with_seed(seed).fill(&mut random);
        Values { random }
    }

    pub(crate) fn of(&self, number: u64) -> [u8; VALUE] {
        let mut value = [0; VALUE];
        let start = (number.wrapping_mul(0x9E37_79B9) % RANDOM as u64) as usize;
        value[..8].copy_from_slice(&number.to_le_bytes());
        value[8..VALUE / 2].copy_from_slice(&self.random[start..start + VALUE / 2 - 8]);
        value
    }
}

/// Whether a value is that of this key.
pub(crate) fn belongs(value: &[u8], number: u64) -> bool {
    value.len() == VALUE && value.starts_with(&number.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_has_every_number_once() {
        for count in [1, 2, 5, 16, 17, 1000, 4096] {
            let order = Order::new(count, 7);
            let mut numbers: Vec<u64> = (0..count).map(|place| order.at(place)).collect();
            numbers.sort_unstable();
            assert!(numbers.into_iter().eq(0..count), "{count}");
        }
    }

    #[test]
    fn keys_sort_as_their_numbers_do() {
        assert_eq!(&present(21), b"0000000000000042");
        assert!(present(21) < missing(21) && missing(21) < present(22));
    }

    #[test]
    fn a_value_tells_its_key() {
        let values = Values::new(1);
        assert!(belongs(&values.of(7), 7) && !belongs(&values.of(7), 8));
    }
}
