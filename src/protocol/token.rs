//! The secret that a client presents in hello.

use std::fmt;

use subtle::ConstantTimeEq;

use super::ProtocolError;

/// The longest token, in bytes.
pub const MAX_TOKEN_SIZE: usize = 4096;

/// A token: from 1 to [`MAX_TOKEN_SIZE`] bytes, any bytes.
///
/// Comparing two takes the same time whatever they hold and however long they are: each is kept, and
/// compared, at the full size. It is never shown, and no error names a byte of it.
#[derive(Clone)]
pub struct Token {
    /// Zeros stand behind the token's own bytes.
    bytes: Box<[u8; MAX_TOKEN_SIZE]>,
    length: u32,
}

impl Token {
    /// The token of these bytes.
    ///
    /// # Errors
    /// [`ProtocolError::TokenSize`] when there are none, or too many.
    pub fn new(bytes: &[u8]) -> Result<Token, ProtocolError> {
        let wrong = || ProtocolError::TokenSize {
            length: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        };
        let mut padded = Box::new([0; MAX_TOKEN_SIZE]);
        let head = padded.get_mut(..bytes.len()).ok_or_else(wrong)?;
        if bytes.is_empty() {
            return Err(wrong());
        }
        head.copy_from_slice(bytes);
        Ok(Token {
            bytes: padded,
            length: u32::try_from(bytes.len()).map_err(|_| wrong())?,
        })
    }

    /// The token in a file: all of it but a line end at its end.
    ///
    /// # Errors
    /// As [`Token::new`].
    pub fn from_file(contents: &[u8]) -> Result<Token, ProtocolError> {
        let line = contents.strip_suffix(b"\n").unwrap_or(contents);
        Token::new(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// Its bytes, to be sent.
    pub(super) fn as_bytes(&self) -> &[u8] {
        let length = usize::try_from(self.length).unwrap_or(MAX_TOKEN_SIZE);
        self.bytes.get(..length).unwrap_or_default()
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Token) -> bool {
        let same = self.bytes.as_slice().ct_eq(other.bytes.as_slice());
        (same & self.length.ct_eq(&other.length)).into()
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(bytes: &[u8]) -> Token {
        Token::new(bytes).unwrap()
    }

    #[test]
    fn tokens_are_equal_when_every_byte_and_the_length_are() {
        let longest = [7; MAX_TOKEN_SIZE];
        for bytes in [&b"a"[..], b"secret", &longest] {
            assert_eq!(token(bytes), token(bytes));
            assert_eq!(token(bytes).as_bytes(), bytes);
            for place in 0..bytes.len() {
                let mut other = bytes.to_vec();
                other[place] ^= 0x80;
                assert_ne!(token(bytes), token(&other));
            }
        }
        assert_ne!(token(b"secret"), token(b"secre"));
        // The padding is no part of a token.
        assert_ne!(token(b"secret"), token(b"secret\0"));
    }

    #[test]
    fn a_token_has_from_1_to_4096_bytes() {
        for length in [0, MAX_TOKEN_SIZE + 1] {
            let error = Token::new(&vec![7; length]).unwrap_err();
            assert!(matches!(error, ProtocolError::TokenSize { .. }), "{error}");
        }
    }

    #[test]
    fn a_file_may_end_its_line() {
        for file in ["secret", "secret\n", "secret\r\n"] {
            assert_eq!(Token::from_file(file.as_bytes()), Ok(token(b"secret")));
        }
        assert_eq!(Token::from_file(b" a\n\n"), Ok(token(b" a\n")));
        for file in ["", "\n", "\r\n"] {
            assert!(Token::from_file(file.as_bytes()).is_err());
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        assert_eq!(format!("{:?}", token(b"secret")), "Token(..)");
    }
}
