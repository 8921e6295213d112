//! One entry in a line: what export writes and import reads.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;

use clap::ValueEnum;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::cli::{escape, hex, json};

/// How entries stand in lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LineFormat {
    /// Key, tab, value, both escaped.
    Tsv,
    /// A JSON object with `key` or `key_hex`, and `value` or `value_hex`.
    Jsonl,
}

/// An entry read from a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LineEntry {
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
}

/// The object of a JSON line. The LSN, which `scan` writes, is another store's affair.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonLine<'a> {
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    key_hex: Option<Cow<'a, str>>,
    #[serde(borrow)]
    value: Option<Cow<'a, str>>,
    #[serde(borrow)]
    value_hex: Option<Cow<'a, str>>,
    #[serde(rename = "lsn")]
    _lsn: Option<IgnoredAny>,
}

impl LineFormat {
    /// What was asked for, or what the file's name says.
    pub(super) fn choose(asked: Option<LineFormat>, path: &Path) -> LineFormat {
        let named_json = path.extension() == Some(OsStr::new("jsonl"));
        asked.unwrap_or(if named_json {
            LineFormat::Jsonl
        } else {
            LineFormat::Tsv
        })
    }

    /// The longest line that holds `bytes` of keys and values: each byte takes at most six, as `\u0000`.
    pub(super) fn longest_line(bytes: u64) -> usize {
        usize::try_from(bytes.saturating_mul(6).saturating_add(1024)).unwrap_or(usize::MAX)
    }

    pub(super) fn write(self, out: &mut impl Write, key: &[u8], value: &[u8]) -> io::Result<()> {
        match self {
            LineFormat::Tsv => {
                escape::write(out, key)?;
                out.write_all(b"\t")?;
                escape::write(out, value)?;
            }
            LineFormat::Jsonl => {
                let object = json::entry(key, value, None, false);
                serde_json::to_writer(&mut *out, &object)?;
            }
        }
        out.write_all(b"\n")
    }

    /// Reads a line.
    ///
    /// # Errors
    /// In words, when the line is no entry.
    pub(super) fn read(self, line: &[u8]) -> Result<LineEntry, String> {
        let entry = match self {
            LineFormat::Tsv => read_tsv(line)?,
            LineFormat::Jsonl => read_json(line)?,
        };
        if entry.key.is_empty() {
            return Err("the key is empty".to_owned());
        }
        Ok(entry)
    }
}

/// Reads a line of an import and writes it again, for fuzzing: with its line feed.
///
/// # Errors
/// In words, when the line is no entry.
#[doc(hidden)]
pub fn rewrite_line(is_json: bool, line: &[u8]) -> Result<Vec<u8>, String> {
    let format = if is_json {
        LineFormat::Jsonl
    } else {
        LineFormat::Tsv
    };
    let LineEntry { key, value } = format.read(line)?;
    let mut written = Vec::new();
    let outcome = format.write(&mut written, &key, &value);
    outcome.map_err(|error| error.to_string())?;
    Ok(written)
}

fn read_tsv(line: &[u8]) -> Result<LineEntry, String> {
    let fields = fields(line)?;
    let [key, value] = <[Vec<u8>; 2]>::try_from(fields).map_err(|fields| match fields.len() {
        1 => "no tab between key and value".to_owned(),
        _ => r"more than one tab: a tab within a key or value is written \t".to_owned(),
    })?;
    Ok(LineEntry { key, value })
}

/// The unescaped fields of a line, which tabs separate.
///
/// # Errors
/// In words, when a field is not escaped well.
pub(super) fn fields(line: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    line.split(|byte| *byte == b'\t')
        .map(escape::unescape)
        .collect()
}

fn read_json(line: &[u8]) -> Result<LineEntry, String> {
    let line: JsonLine<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    Ok(LineEntry {
        key: either("key", line.key, line.key_hex)?,
        value: either("value", line.value, line.value_hex)?,
    })
}

fn either(
    name: &str,
    text: Option<Cow<'_, str>>,
    digits: Option<Cow<'_, str>>,
) -> Result<Vec<u8>, String> {
    match (text, digits) {
        (Some(text), None) => Ok(text.into_owned().into_bytes()),
        (None, Some(digits)) => {
            hex::decode(digits.as_bytes()).map_err(|why| format!("{name}_hex is {why}"))
        }
        _ => Err(format!("it must have either {name} or {name}_hex")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &[u8], value: &[u8]) -> LineEntry {
        LineEntry {
            key: key.to_vec(),
            value: value.to_vec(),
        }
    }

    #[test]
    fn every_entry_comes_back_in_both_formats() {
        let all: Vec<u8> = (0..=u8::MAX).collect();
        for format in [LineFormat::Tsv, LineFormat::Jsonl] {
            for (key, value) in [
                (&b"key"[..], &b"value"[..]),
                (b"k", b""),
                (&all, &all),
                (b"\t", b"\n"),
                ("grün".as_bytes(), "\"\u{2028}\\".as_bytes()),
            ] {
                let mut line = Vec::new();
                format.write(&mut line, key, value).unwrap();
                assert_eq!(line.pop(), Some(b'\n'));
                assert!(!line.contains(&b'\n'));
                let bytes = u64::try_from(key.len() + value.len()).unwrap();
                let limit = LineFormat::longest_line(bytes);
                assert!(line.len() <= limit);
                assert_eq!(format.read(&line), Ok(entry(key, value)));
            }
        }
    }

    #[test]
    fn lines_are_what_they_are_documented_to_be() {
        let mut line = Vec::new();
        LineFormat::Tsv.write(&mut line, b"a\tb", b"\xff").unwrap();
        LineFormat::Jsonl.write(&mut line, b"a", b"\xff").unwrap();
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "a\\tb\t\\xff\n{\"key\":\"a\",\"value_hex\":\"ff\"}\n"
        );
    }

    #[test]
    fn what_scan_writes_in_json_can_be_imported() {
        let line = br#"{"key":"a","lsn":"3/4","value_hex":"00"}"#;
        assert_eq!(LineFormat::Jsonl.read(line), Ok(entry(b"a", b"\x00")));
    }

    #[test]
    fn lines_that_are_no_entry_are_refused() {
        for wrong in ["", "key", "a\tb\tc", "\tvalue", r"a	\q"] {
            assert!(LineFormat::Tsv.read(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
        for wrong in [
            "",
            "{}",
            "[]",
            r#"{"key":"a"}"#,
            r#"{"key":"","value":"v"}"#,
            r#"{"key":"a","key_hex":"61","value":""}"#,
            r#"{"key_hex":"6","value":""}"#,
            r#"{"key":"a","value":"b","other":1}"#,
            r#"{"key":"a","value":"b"} {}"#,
            r#"{"key":1,"value":"b"}"#,
        ] {
            assert!(LineFormat::Jsonl.read(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_file_s_name_chooses_unless_told_otherwise() {
        let choose = |asked, path| LineFormat::choose(asked, Path::new(path));
        assert_eq!(choose(None, "a.jsonl"), LineFormat::Jsonl);
        assert_eq!(choose(None, "-"), LineFormat::Tsv);
        assert_eq!(choose(Some(LineFormat::Tsv), "a.jsonl"), LineFormat::Tsv);
    }
}
