//! What fuzzing needs of the formats besides the public engine. No part of the API.

use std::path::Path;

use super::codec::{self, Checksum};
use super::disk::count;
use super::error::{AtlasError, Result};
use super::manifest::Manifest;

/// Reads a manifest and writes it again.
///
/// # Errors
/// `Corrupt` and `NewerFormat`.
pub fn rewrite_manifest(bytes: &[u8]) -> Result<Vec<u8>> {
    Manifest::decode(Path::new("MANIFEST"), bytes).map(|manifest| manifest.encode())
}

/// A manifest whose newest table is described as the bytes of `table` are: with their number and checksum,
/// and with the entries that their footer, of `footer` bytes, begins with.
///
/// # Errors
/// As [`rewrite_manifest`]; `Corrupt` when it names no table.
pub fn describe_table(manifest: &[u8], table: &[u8], footer: usize) -> Result<Vec<u8>> {
    let path = Path::new("MANIFEST");
    let mut manifest = Manifest::decode(path, manifest)?;
    let none = || AtlasError::corrupt(path, 0, "it names no table");
    let info = manifest.tables.first_mut().ok_or_else(none)?;
    info.size = count(table.len());
    info.checksum = Checksum::new().add(table).finish();
    info.entries = codec::u64_at(table, table.len().saturating_sub(footer)).unwrap_or(info.entries);
    Ok(manifest.encode())
}
