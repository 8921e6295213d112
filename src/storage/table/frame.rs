//! What a table begins and ends with: reading and writing header and footer.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::sections::Locator;
use super::{
    END_MAGIC, FIRST_WITH_SECTIONS, FOOTER_CHECKSUM, FOOTER_LENGTH, FOOTER_MAGIC, HEADER_FILE_ID,
    HEADER_FLAGS, HEADER_LENGTH, HEADER_VERSION, LOCATOR_LENGTH, MAGIC, MUST_UNDERSTAND, TableInfo,
    VERSION,
};
use crate::storage::codec::{Checksum, u32_at, u64_at};
use crate::storage::counted;
use crate::storage::disk::{Disk, DiskFile, count, read_full};
use crate::storage::error::{AtlasError, Result};

/// An open table file whose header and footer have been checked.
#[derive(Debug)]
pub(super) struct TableFile {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) path: PathBuf,
    pub(super) file_id: u64,
    pub(super) header: [u8; HEADER_LENGTH],
    /// Bytes of the file.
    pub(super) size: u64,
    /// Entries, as the footer says.
    pub(super) entries: u64,
    /// Whether something that nobody knows may stand between the entries and the footer.
    pub(super) has_unknown_section: bool,
    pub(super) sections: Sections,
}

/// What stands behind the entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sections {
    /// Nothing: a table of version 1.
    None,
    /// What the locator says.
    At(Locator),
    /// Something, but the locator is damaged.
    Lost,
}

/// The header of a table of this version.
pub(super) fn header(file_id: u64) -> [u8; HEADER_LENGTH] {
    let flags: u16 = 0;
    let mut bytes = [0; HEADER_LENGTH];
    let fields = MAGIC
        .into_iter()
        .chain(VERSION.to_le_bytes())
        .chain(flags.to_le_bytes())
        .chain(file_id.to_le_bytes());
    for (byte, value) in bytes.iter_mut().zip(fields) {
        *byte = value;
    }
    bytes
}

/// The footer of a table with this header, to stand at `offset`.
pub(super) fn footer(
    header: &[u8],
    file_id: u64,
    entries: u64,
    offset: u64,
) -> [u8; FOOTER_LENGTH] {
    let mut bytes = [0; FOOTER_LENGTH];
    let fields = entries
        .to_le_bytes()
        .into_iter()
        .chain(footer_checksum(header, file_id, entries, offset).to_le_bytes())
        .chain(END_MAGIC);
    for (byte, value) in bytes.iter_mut().zip(fields) {
        *byte = value;
    }
    bytes
}

fn footer_checksum(header: &[u8], file_id: u64, entries: u64, offset: u64) -> u32 {
    Checksum::seeded(file_id, offset)
        .add(header)
        .add_u64(entries)
        .finish()
}

impl TableFile {
    /// Opens a table file, reading header and footer only, and checks that it is the one described.
    ///
    /// # Errors
    /// `MissingFile` when it is not there or another table, `Corrupt` when header, footer or size are
    /// damaged, `NewerFormat`, `Io`.
    pub(super) fn open(disk: &dyn Disk, path: &Path, info: &TableInfo) -> Result<TableFile> {
        let file = open_file(disk, path)?;
        let file = TableFile::read(file, path, Some(info.size))?;
        if file.file_id != info.file_id {
            let detail = format!(
                "its file id is {:016x}, the manifest says {:016x}",
                file.file_id, info.file_id
            );
            return Err(missing(path, detail));
        }
        if (file.size, file.entries) != (info.size, info.entries) {
            let (bytes, entries) = (counted(file.size, "byte"), counted(file.entries, "entry"));
            let (size, stated) = (info.size, info.entries);
            let detail =
                format!("it has {bytes} and {entries}, the manifest says {size} and {stated}");
            return Err(missing(path, detail));
        }
        Ok(file)
    }

    /// Opens the table file at `path` by what stands in it alone. Where header and footer do not check, says
    /// where and how, and believes the file id; without a footer, entries may go to the file's end.
    ///
    /// # Errors
    /// `MissingFile` when there is no such file, `NewerFormat`, `Io`.
    pub(super) fn find(disk: &dyn Disk, path: &Path) -> Result<(TableFile, Option<(u64, String)>)> {
        let file = open_file(disk, path)?;
        let damage = match TableFile::read(Arc::clone(&file), path, None) {
            Ok(found) => return Ok((found, None)),
            Err(AtlasError::Corrupt { offset, detail, .. }) => (offset, detail),
            Err(error) => return Err(error),
        };
        let io = |error| AtlasError::io("read", path, error);
        let size = file.length().map_err(io)?;
        let (mut header, mut footer) = ([0; HEADER_LENGTH], [0; FOOTER_LENGTH]);
        read_full(&*file, &mut header, 0).map_err(io)?;
        let footer_at = size.saturating_sub(count(FOOTER_LENGTH));
        read_full(&*file, &mut footer, footer_at).map_err(io)?;
        let has_footer = footer_magic(&footer) == END_MAGIC;
        let missing = if has_footer { 0 } else { count(FOOTER_LENGTH) };
        let file_id = u64_at(&header, HEADER_FILE_ID).unwrap_or_default();
        let size = size.saturating_add(missing);
        let found = TableFile {
            sections: guess_sections(&*file, path, file_id, size)?,
            file,
            path: path.to_path_buf(),
            file_id,
            header,
            size,
            entries: u64_at(&footer, 0).unwrap_or_default(),
            has_unknown_section: false,
        };
        Ok((found, Some(damage)))
    }

    /// The format version that the header states.
    pub(super) fn version(&self) -> u32 {
        u16_at(&self.header, HEADER_VERSION).map_or(0, u32::from)
    }

    /// Opens a table file as if its header and footer were what they should be, to inspect damage.
    pub(super) fn assume(disk: &dyn Disk, path: &Path, info: &TableInfo) -> Result<TableFile> {
        let file = open_file(disk, path)?;
        let size = file
            .length()
            .map_err(|error| AtlasError::io("read", path, error))?;
        // Entries end where the footer was; a file that was cut off has no footer.
        let size = info.size.min(size.saturating_add(count(FOOTER_LENGTH)));
        Ok(TableFile {
            sections: guess_sections(&*file, path, info.file_id, size)?,
            file,
            path: path.to_path_buf(),
            file_id: info.file_id,
            header: header(info.file_id),
            size,
            entries: info.entries,
            has_unknown_section: false,
        })
    }

    /// Reads and checks header and footer, whichever table it is.
    fn read(file: Arc<dyn DiskFile>, path: &Path, expected: Option<u64>) -> Result<TableFile> {
        let io = |error| AtlasError::io("read", path, error);
        let size = file.length().map_err(io)?;
        let wrong_size = |detail: &str| {
            let expected = expected.map_or_else(String::new, |size| {
                format!("; the manifest says {size} bytes")
            });
            AtlasError::corrupt(path, size, format!("{detail}{expected}"))
        };
        let Some(footer_at) = size
            .checked_sub(count(FOOTER_LENGTH))
            .filter(|offset| *offset >= count(HEADER_LENGTH))
        else {
            return Err(wrong_size("the file ends before header and footer"));
        };
        let mut header = [0; HEADER_LENGTH];
        let mut footer = [0; FOOTER_LENGTH];
        let read = read_full(&*file, &mut header, 0).map_err(io)?
            + read_full(&*file, &mut footer, footer_at).map_err(io)?;
        if read != HEADER_LENGTH + FOOTER_LENGTH {
            return Err(wrong_size("the file became shorter while it was read"));
        }
        if expected.is_some_and(|expected| expected != size) && footer_magic(&footer) != END_MAGIC {
            return Err(wrong_size("the file does not end with a footer"));
        }
        let Frame {
            version,
            file_id,
            entries,
            flags,
        } = frame(path, &header, &footer, footer_at)?;
        let sections = match version {
            0..FIRST_WITH_SECTIONS => Sections::None,
            _ => match read_locator(&*file, path, file_id, footer_at)? {
                Some(locator) => Sections::At(locator),
                None => Sections::Lost,
            },
        };
        Ok(TableFile {
            file,
            path: path.to_path_buf(),
            file_id,
            header,
            size,
            entries,
            has_unknown_section: flags != 0 || sections == Sections::Lost,
            sections,
        })
    }

    /// Whether the file ends where its footer does: nothing is cut off.
    pub(super) fn is_as_long_as_stated(&self) -> Result<bool> {
        let length = self.file.length();
        let length = length.map_err(|error| AtlasError::io("read", &self.path, error))?;
        Ok(length == self.size)
    }

    /// Where the first entry begins.
    pub(super) fn entries_at(&self) -> u64 {
        count(HEADER_LENGTH)
    }

    /// Where the entries end at the latest: where they do, unless something unknown stands behind them.
    pub(super) fn entries_end(&self) -> u64 {
        match self.sections {
            Sections::None => self.footer_at(),
            Sections::At(locator) => locator.entries_end,
            Sections::Lost => self.locator_at(),
        }
    }

    /// What the locator says; `None`: the table has no partitions.
    ///
    /// # Errors
    /// `Corrupt` when the locator is damaged.
    pub(super) fn locator(&self) -> Result<Option<Locator>> {
        match self.sections {
            Sections::None => Ok(None),
            Sections::At(locator) => Ok(Some(locator).filter(|locator| locator.partitions > 0)),
            Sections::Lost => {
                let detail = "the locator of the table's sections: its checksum differs";
                Err(self.corrupt(self.locator_at(), detail))
            }
        }
    }

    fn locator_at(&self) -> u64 {
        self.footer_at().saturating_sub(count(LOCATOR_LENGTH))
    }

    /// Where the footer begins.
    fn footer_at(&self) -> u64 {
        self.size.saturating_sub(count(FOOTER_LENGTH))
    }

    /// Damage of this file.
    pub(super) fn corrupt(&self, offset: u64, detail: impl Into<String>) -> AtlasError {
        AtlasError::corrupt(&self.path, offset, detail)
    }

    /// Reads up to a whole `buffer` from `offset`; returns the bytes read, fewer at the file's end.
    pub(super) fn read_some(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        read_full(&*self.file, buffer, offset)
            .map_err(|error| AtlasError::io("read", &self.path, error))
    }

    /// Fills `buffer` from `offset`; a file that ends before is damaged.
    pub(super) fn read_exact(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        let read = self.read_some(buffer, offset)?;
        if read == buffer.len() {
            return Ok(());
        }
        let end = offset.saturating_add(count(read));
        Err(self.corrupt(
            end,
            format!("the file ends here, not at {} bytes", self.size),
        ))
    }
}

fn open_file(disk: &dyn Disk, path: &Path) -> Result<Arc<dyn DiskFile>> {
    disk.open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => missing(path, "it is not there".to_owned()),
        _ => AtlasError::io("open", path, error),
    })
}

/// Reads the locator before a footer; `None` where there is none that checks.
fn read_locator(
    file: &dyn DiskFile,
    path: &Path,
    file_id: u64,
    footer_at: u64,
) -> Result<Option<Locator>> {
    let Some(at) = footer_at.checked_sub(count(LOCATOR_LENGTH)) else {
        return Ok(None);
    };
    let mut bytes = [0; LOCATOR_LENGTH];
    read_full(file, &mut bytes, at).map_err(|error| AtlasError::io("read", path, error))?;
    Ok(Locator::read(&bytes, file_id, at))
}

/// The sections of a damaged table of so many bytes, as far as a locator tells that it has some.
fn guess_sections(file: &dyn DiskFile, path: &Path, file_id: u64, size: u64) -> Result<Sections> {
    let footer_at = size.saturating_sub(count(FOOTER_LENGTH));
    let locator = read_locator(file, path, file_id, footer_at)?;
    Ok(locator.map_or(Sections::None, Sections::At))
}

/// What header and footer say.
struct Frame {
    version: u16,
    file_id: u64,
    entries: u64,
    flags: u16,
}

/// Checks header and footer against each other.
fn frame(path: &Path, header: &[u8], footer: &[u8], footer_at: u64) -> Result<Frame> {
    if !header.starts_with(&MAGIC) {
        return Err(AtlasError::corrupt(
            path,
            0,
            "this is no table: the magic is missing",
        ));
    }
    let fields = (
        u16_at(header, HEADER_VERSION),
        u16_at(header, HEADER_FLAGS),
        u64_at(header, HEADER_FILE_ID),
        u64_at(footer, 0),
        u32_at(footer, FOOTER_CHECKSUM),
    );
    let (Some(version), Some(flags), Some(file_id), Some(entries), Some(checksum)) = fields else {
        return Err(AtlasError::corrupt(
            path,
            0,
            "header or footer are too short",
        ));
    };
    if footer_magic(footer) != END_MAGIC {
        return Err(AtlasError::corrupt(
            path,
            footer_at,
            "no footer at the file's end",
        ));
    }
    // Before the version is believed: a damaged header must not pass for a newer format.
    if footer_checksum(header, file_id, entries, footer_at) != checksum {
        let detail = "header, footer and size do not fit together: the footer's checksum differs";
        return Err(AtlasError::corrupt(path, footer_at, detail));
    }
    if version > VERSION || flags & MUST_UNDERSTAND != 0 {
        return Err(AtlasError::NewerFormat {
            path: path.to_path_buf(),
            // An unknown flag is a later format too, whatever version stands beside it.
            found: u32::from(version.max(VERSION + 1)),
            supported: u32::from(VERSION),
        });
    }
    if version == 0 || entries == 0 {
        let detail = format!("version {version} with {entries} entries: no such table is written");
        return Err(AtlasError::corrupt(path, 0, detail));
    }
    Ok(Frame {
        version,
        file_id,
        entries,
        flags,
    })
}

fn footer_magic(footer: &[u8]) -> &[u8] {
    footer.get(FOOTER_MAGIC..).unwrap_or_default()
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    let field = bytes.get(offset..)?.first_chunk::<2>()?;
    Some(u16::from_le_bytes(*field))
}

fn missing(path: &Path, detail: String) -> AtlasError {
    AtlasError::MissingFile {
        path: path.to_path_buf(),
        detail,
    }
}
