//! Lines of a file or stream, each at most so long.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::files;
use crate::exit::Exit;

type Result<T> = std::result::Result<T, Failure>;

const BUFFER_SIZE: usize = 64 * 1024;

/// Reads lines with bounded memory, and counts them.
pub(super) struct Lines {
    input: BufReader<Box<dyn Read>>,
    path: PathBuf,
    line: Vec<u8>,
    number: u64,
    limit: usize,
}

impl Lines {
    /// Opens `path`, or standard input for `-`. `limit` is the longest line in bytes.
    pub(super) fn open(path: &Path, limit: usize) -> Result<Lines> {
        Ok(Lines::new(files::reader(path)?, path, limit))
    }

    fn new(input: Box<dyn Read>, path: &Path, limit: usize) -> Lines {
        Lines {
            input: BufReader::with_capacity(BUFFER_SIZE, input),
            path: path.to_path_buf(),
            line: Vec::new(),
            number: 0,
            limit,
        }
    }

    /// The next line without its end; `None` at the end. The last line may lack an end.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>> {
        self.line.clear();
        let most = u64::try_from(self.limit)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        let read = (&mut self.input)
            .take(most)
            .read_until(b'\n', &mut self.line);
        match read {
            Err(error) => return Err(Failure::io("read", &self.path, &error)),
            Ok(0) => return Ok(None),
            Ok(_) => self.number += 1,
        }
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        } else if self.line.len() > self.limit {
            return Err(self.bad(&format!("over {} bytes", self.limit)));
        }
        if self.line.last() == Some(&b'\r') {
            return Err(self.bad(r"it ends with a carriage return: write \r if it belongs there"));
        }
        Ok(Some(&self.line))
    }

    /// Whether the next line may have to be waited for.
    pub(super) fn may_wait(&self) -> bool {
        memchr::memchr(b'\n', self.input.buffer()).is_none()
    }

    /// The number of the line that `next` gave, from 1.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Where the lines come from, for people.
    pub(super) fn name(&self) -> String {
        if self.path == Path::new("-") {
            "standard input".to_owned()
        } else {
            self.path.display().to_string()
        }
    }

    /// The line that `next` gave is wrong.
    pub(super) fn bad(&self, why: &str) -> Failure {
        let message = format!("line {} of {}: {why}", self.number, self.name());
        Failure::new(Exit::Usage, "bad-line", message).with("line", self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &'static str, limit: usize) -> Lines {
        Lines::new(Box::new(text.as_bytes()), Path::new("file"), limit)
    }

    #[test]
    fn lines_come_without_their_ends_and_with_their_numbers() {
        let mut lines = lines("a\n\nlast", 4);
        assert_eq!(lines.next().unwrap(), Some(&b"a"[..]));
        assert_eq!(lines.next().unwrap(), Some(&b""[..]));
        assert_eq!(lines.next().unwrap(), Some(&b"last"[..]));
        assert_eq!(lines.number(), 3);
        assert_eq!(lines.next().unwrap(), None);
    }

    #[test]
    fn a_line_over_the_limit_is_refused_by_file_and_number() {
        let mut lines = lines("abcd\nabcde\n", 4);
        assert!(lines.next().unwrap().is_some());
        let failure = lines.next().unwrap_err();
        assert_eq!(failure.message, "line 2 of file: over 4 bytes");
        assert_eq!(failure.exit, Exit::Usage);
    }

    #[test]
    fn a_carriage_return_is_not_taken_for_a_part_of_the_value() {
        assert!(lines("a\tb\r\n", 10).next().is_err());
    }
}
