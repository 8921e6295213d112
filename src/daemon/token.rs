//! The token that TCP clients must present: from a file, or from systemd.

use std::path::{Path, PathBuf};

use crate::config::ConfigError;
use crate::protocol::{MAX_TOKEN_SIZE, Token};
use crate::storage::{Disk, RealDisk, disk};

/// A shorter one could be guessed.
const MIN_TOKEN_SIZE: usize = 16;
/// What a file says that stands for no token: systemd cannot give an empty credential.
const NONE: &[u8] = b"none";
/// The credential's name.
const CREDENTIAL: &str = "token";

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// `None`: clients need no token.
    pub(super) token: Option<Token>,
    /// Where it was looked for.
    pub(super) origin: Origin,
    /// What an administrator should mend.
    pub(super) warning: Option<String>,
}

/// Where a token was looked for.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// Nothing names one.
    #[default]
    Nowhere,
    /// `token_file`.
    File(PathBuf),
    /// systemd's credential.
    Credential,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Nowhere => out.write_str("default"),
            Origin::File(path) => write!(out, "file {}", path.display()),
            Origin::Credential => write!(out, "credential {CREDENTIAL}"),
        }
    }
}

/// Reads the token from `token_file`, or when that is empty from the directory of credentials.
///
/// # Errors
/// A file that cannot be read or holds no token. The text never shows what it holds.
pub(super) fn find(token_file: &Path, credentials: Option<&Path>) -> Result<Found, ConfigError> {
    if token_file.as_os_str().is_empty() {
        let path = credentials.map(|dir| dir.join(CREDENTIAL));
        let Some(path) = path.filter(|path| rustix::fs::lstat(path).is_ok()) else {
            return Ok(Found::default());
        };
        return Ok(Found {
            token: read(&path)?,
            origin: Origin::Credential,
            warning: None,
        });
    }
    Ok(Found {
        token: read(token_file)?,
        origin: Origin::File(token_file.to_path_buf()),
        warning: exposure(token_file),
    })
}

fn read(path: &Path) -> Result<Option<Token>, ConfigError> {
    let wrong = |message: String| ConfigError::Invalid {
        place: "server.token_file".to_owned(),
        message: format!("{}: {message}", path.display()),
    };
    let failed = |error| wrong(format!("cannot read the token: {error}"));
    let file = RealDisk.open(path).map_err(failed)?;
    // Room for a line end, and one more byte to see that it is too long.
    let mut bytes = vec![0; MAX_TOKEN_SIZE + 3];
    let length = disk::read_full(&*file, &mut bytes, 0).map_err(failed)?;
    bytes.truncate(length);
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line == NONE {
        return Ok(None);
    }
    if line.contains(&b'\n') {
        return Err(wrong("a token is one line, and there are more".to_owned()));
    }
    if !(MIN_TOKEN_SIZE..=MAX_TOKEN_SIZE).contains(&line.len()) {
        let most = if length > MAX_TOKEN_SIZE { "over " } else { "" };
        return Err(wrong(format!(
            "a token has from {MIN_TOKEN_SIZE} to {MAX_TOKEN_SIZE} bytes, and it has {most}{}; make one \
             with: head -c 32 /dev/urandom | base64",
            line.len().min(MAX_TOKEN_SIZE)
        )));
    }
    Token::new(line)
        .map(Some)
        .map_err(|error| wrong(error.to_string()))
}

/// What is wrong with a file's mode.
fn exposure(path: &Path) -> Option<String> {
    let mode = rustix::fs::stat(path).ok()?.st_mode & 0o777;
    (mode & 0o007 != 0).then(|| {
        format!(
            "everybody on this machine can reach the token: {} has mode {mode:04o}; run chmod 0640 on it \
             and make a new token",
            path.display()
        )
    })
}

#[allow(
    clippy::disallowed_methods,
    reason = "tests make the files that are read"
)]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const SECRET: &str = "0123456789abcdef";

    fn file(dir: &tempfile::TempDir, text: &str) -> PathBuf {
        let path = dir.path().join("token");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        path
    }

    #[test]
    fn a_token_is_one_line_of_a_file_or_a_credential() {
        let dir = tempfile::tempdir().unwrap();
        let token = Token::new(SECRET.as_bytes()).unwrap();
        for end in ["", "\n", "\r\n"] {
            let path = file(&dir, &format!("{SECRET}{end}"));
            let found = find(&path, None).unwrap();
            assert_eq!(found.token.as_ref(), Some(&token));
            assert_eq!(found.origin.to_string(), format!("file {}", path.display()));
            assert_eq!(found.warning, None);
            let found = find(Path::new(""), Some(dir.path())).unwrap();
            assert_eq!(found.token.as_ref(), Some(&token));
            assert_eq!(found.origin.to_string(), "credential token");
        }
        // The file that the configuration names wins.
        let other = tempfile::tempdir().unwrap();
        let path = file(&other, "none\n");
        assert_eq!(find(&path, Some(dir.path())).unwrap().token, None);
    }

    #[test]
    fn no_token_is_none_and_not_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(find(Path::new(""), None).unwrap(), Found::default());
        let absent = find(Path::new(""), Some(dir.path())).unwrap();
        assert_eq!(absent, Found::default());
        file(&dir, "none");
        let none = find(Path::new(""), Some(dir.path())).unwrap();
        assert_eq!((none.token, none.origin), (None, Origin::Credential));
    }

    #[test]
    fn what_is_no_token_is_refused_and_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let long = "x".repeat(MAX_TOKEN_SIZE + 1);
        for (text, rule) in [
            ("", "has 0"),
            ("short-secret", "from 16 to 4096 bytes, and it has 12"),
            (&long, "over 4096"),
            ("0123456789abcdef\n0123456789abcdef\n", "one line"),
        ] {
            let refusal = find(&file(&dir, text), None).unwrap_err().to_string();
            assert!(refusal.starts_with("server.token_file: "), "{refusal}");
            assert!(refusal.contains(rule), "{refusal}");
            assert!(!refusal.contains("secret"), "{refusal}");
        }
        let missing = find(Path::new("/no/such/token"), None).unwrap_err();
        assert!(missing.to_string().contains("/no/such/token"), "{missing}");
    }

    #[test]
    fn a_token_that_everybody_can_read_is_warned_of() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(&dir, SECRET);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let warning = find(&path, None).unwrap().warning.unwrap();
        assert!(warning.contains("0644"), "{warning}");
    }
}
