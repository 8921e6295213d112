//! Keys, values and LSNs in JSON.
//!
//! JSON has no bytes. A key or value that is UTF-8 stands under its name, any other as hexadecimal
//! digits under the name with `_hex` behind it. An LSN is the text `epoch/counter`: as a number it
//! would not survive a reader that keeps numbers as floating point.

use serde_json::{Map, Value};

use super::hex;
use crate::storage::Lsn;

/// A JSON object.
pub(super) type Object = Map<String, Value>;

/// Sets `name`, or `name_hex` when the bytes are not UTF-8 or hexadecimal is asked for.
pub(super) fn set_bytes(object: &mut Object, name: &str, bytes: &[u8], as_hex: bool) {
    match std::str::from_utf8(bytes) {
        Ok(text) if !as_hex => object.insert(name.to_owned(), text.into()),
        _ => object.insert(format!("{name}_hex"), hex::encode(bytes).into()),
    };
}

/// An LSN as text.
pub(super) fn lsn(bits: u64) -> String {
    Lsn::from_u64(bits).to_string()
}

/// An object with these fields.
pub(super) fn object<const N: usize>(fields: [(&str, Value); N]) -> Object {
    fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// A key and its value; with `lsn` also the LSN of the write that set it.
pub(super) fn entry(key: &[u8], value: &[u8], lsn_bits: Option<u64>, as_hex: bool) -> Object {
    let mut object = Object::new();
    set_bytes(&mut object, "key", key, as_hex);
    set_bytes(&mut object, "value", value, as_hex);
    if let Some(bits) = lsn_bits {
        object.insert("lsn".to_owned(), lsn(bits).into());
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stands_as_text_and_bytes_as_hexadecimal() {
        let object = entry(b"k", b"\xff\x00", Some((3 << 44) + 7), false);
        let expected = r#"{"key":"k","lsn":"3/7","value_hex":"ff00"}"#;
        assert_eq!(Value::from(object).to_string(), expected);
        let object = entry(b"k", b"", None, true);
        let expected = r#"{"key_hex":"6b","value_hex":""}"#;
        assert_eq!(Value::from(object).to_string(), expected);
    }
}
