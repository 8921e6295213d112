//! Bytes as hexadecimal digits.

/// The bytes as lowercase hexadecimal digits.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The bytes that the digits stand for; both cases are read.
///
/// # Errors
/// In words, when they are not pairs of hexadecimal digits.
pub fn decode(digits: &[u8]) -> Result<Vec<u8>, String> {
    let wrong = "not pairs of hexadecimal digits";
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(wrong.to_owned());
    }
    let bytes = pairs.iter().map(|&[high, low]| byte(high, low));
    bytes.collect::<Option<_>>().ok_or_else(|| wrong.to_owned())
}

/// The byte of two digits.
pub(crate) fn byte(high: u8, low: u8) -> Option<u8> {
    let digit = |digit| char::from(digit).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=u8::MAX).collect();
        assert_eq!(decode(encode(&all).as_bytes()), Ok(all.clone()));
        assert_eq!(decode(encode(&all).to_uppercase().as_bytes()), Ok(all));
        assert_eq!(decode(b""), Ok(Vec::new()));
    }

    #[test]
    fn what_is_not_hexadecimal_is_refused() {
        for wrong in ["0", "0g", "0x00", " 00", "00 ", "+1"] {
            assert!(decode(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
