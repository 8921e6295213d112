//! Bytes as printable text and back: what `scan`, `export` and `batch` write and read.
//!
//! | bytes | text |
//! |---|---|
//! | tab, line feed, carriage return, backslash | `\t` `\n` `\r` `\\` |
//! | UTF-8 of a character that is no control character | themselves |
//! | anything else | `\xHH`, two hexadecimal digits, for each byte |
//!
//! Every byte string has one escaped form, and escaped text has neither tab nor line end, so a tab can
//! separate fields and a line end lines. Unescaping takes any byte but the backslash as itself.

use std::io::{self, Write};

use super::hex;

/// Writes `bytes` escaped.
///
/// # Errors
/// What `out` says.
pub fn write(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    for chunk in bytes.utf8_chunks() {
        write_text(out, chunk.valid())?;
        write_raw(out, chunk.invalid())?;
    }
    Ok(())
}

/// `bytes` escaped, as text.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len());
    // Writing to memory does not fail, and what was written is text.
    let _ = write(&mut out, bytes);
    String::from_utf8_lossy(&out).into_owned()
}

fn write_text(out: &mut impl Write, text: &str) -> io::Result<()> {
    let mut rest = text;
    while let Some(place) = rest.find(|c: char| c == '\\' || c.is_control()) {
        let (plain, special) = rest.split_at(place);
        out.write_all(plain.as_bytes())?;
        let mut characters = special.chars();
        if let Some(character) = characters.next() {
            write_special(out, character)?;
        }
        rest = characters.as_str();
    }
    out.write_all(rest.as_bytes())
}

fn write_special(out: &mut impl Write, character: char) -> io::Result<()> {
    match character {
        '\\' => out.write_all(br"\\"),
        '\t' => out.write_all(br"\t"),
        '\n' => out.write_all(br"\n"),
        '\r' => out.write_all(br"\r"),
        other => write_raw(out, other.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

fn write_raw(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    bytes
        .iter()
        .try_for_each(|byte| write!(out, "\\x{byte:02x}"))
}

/// The bytes that `text` stands for.
///
/// # Errors
/// In words, when a backslash does not begin one of the escapes.
pub fn unescape(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = memchr::memchr(b'\\', rest) {
        let (plain, special) = rest.split_at(place);
        bytes.extend_from_slice(plain);
        let (byte, behind) = match special {
            [_, b'\\', behind @ ..] => (b'\\', behind),
            [_, b't', behind @ ..] => (b'\t', behind),
            [_, b'n', behind @ ..] => (b'\n', behind),
            [_, b'r', behind @ ..] => (b'\r', behind),
            [_, b'x', high, low, behind @ ..] => (
                hex::byte(*high, *low).ok_or(r"\x wants two hexadecimal digits behind it")?,
                behind,
            ),
            [_, b'x', ..] => return Err(r"\x wants two hexadecimal digits behind it".into()),
            _ => return Err(r"a backslash must begin one of \t \n \r \\ \xHH".into()),
        };
        bytes.push(byte);
        rest = behind;
    }
    bytes.extend_from_slice(rest);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_and_every_pair_of_bytes_comes_back() {
        for first in 0..=u8::MAX {
            assert_eq!(unescape(escape(&[first]).as_bytes()), Ok(vec![first]));
            for second in 0..=u8::MAX {
                let pair = [first, second];
                let text = escape(&pair);
                assert_eq!(unescape(text.as_bytes()), Ok(pair.to_vec()), "{text}");
                assert!(!text.chars().any(char::is_control), "{text:?}");
            }
        }
    }

    #[test]
    fn every_character_comes_back() {
        for character in '\0'..=char::MAX {
            let text = character.to_string();
            let escaped = escape(text.as_bytes());
            assert_eq!(unescape(escaped.as_bytes()).as_deref(), Ok(text.as_bytes()));
            assert!(!escaped.chars().any(char::is_control));
        }
    }

    #[test]
    fn what_is_printable_stays_and_the_rest_is_named() {
        assert_eq!(escape("grün\tx\\y\n\r".as_bytes()), r"grün\tx\\y\n\r");
        assert_eq!(escape(b"a\x00\x7f\xff\xc3"), r"a\x00\x7f\xff\xc3");
        assert_eq!(escape("\u{85}".as_bytes()), r"\xc2\x85");
        assert_eq!(escape(b""), "");
    }

    #[test]
    fn both_cases_of_hexadecimal_are_read() {
        assert_eq!(unescape(br"\xfF\x0a"), Ok(vec![0xff, 0x0a]));
    }

    #[test]
    fn a_backslash_that_begins_nothing_is_refused() {
        for wrong in [r"\", r"a\", r"\q", r"\x", r"\x1", r"\xg0", r"\0"] {
            assert!(unescape(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
