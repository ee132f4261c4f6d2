//! The tokens of an installation, as files in the data folder that only their owner reads.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::replace::replace;

/// The file with the bearer token of the administrator.
pub const ADMIN_TOKEN: &str = "admin.token";
/// The file with the token that agents prove to know when they join.
pub const JOIN_TOKEN: &str = "join.token";
/// The file with the secret that notices are signed with.
pub const NOTICE_SECRET: &str = "notice.secret";

/// Random bytes of a token; it is written in hex, two characters to each.
const TOKEN_BYTES: usize = 32;
/// Only the owner reads and writes.
const OWNER_ONLY: u32 = 0o600;

/// A token: 64 hex digits. Its text does not show in logs.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `presented` is this token, in a time that does not tell how much of it is right.
    pub fn is(&self, presented: &[u8]) -> bool {
        let own = self.0.as_bytes();
        let differences = own.iter().zip(presented).fold(0, |all, (a, b)| all | (a ^ b));
        own.len() == presented.len() && std::hint::black_box(differences) == 0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Why a token file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file system refused something.
    #[error("cannot {action} the token file `{path}`; check its owner and its rights")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was refused.
        action: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No random bytes are to be had.
    #[error("the system gave no random bytes for the token file `{path}`")]
    Entropy {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: getrandom::Error,
    },
    /// Others may read or write it.
    #[error(
        "the token file `{path}` has mode {mode:03o}, so others may know it; remove it and start \
         again for a new token, or run `chmod 600` on it if nobody has read it"
    )]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It holds something else.
    #[error("the token file `{path}` holds no token; remove it and start again for a new one")]
    NoToken {
        /// The file.
        path: PathBuf,
    },
}

/// The token in the file `name` of `folder`, which is made with a new one if it is not there.
pub fn open_token(folder: &Path, name: &str) -> Result<Token, TokenError> {
    let path = folder.join(name);
    match File::open(&path) {
        Ok(file) => read(file, &path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(&path),
        Err(source) => Err(TokenError::Io { path, action: "open", source }),
    }
}

fn read(mut file: File, path: &Path) -> Result<Token, TokenError> {
    let failed = |source| TokenError::Io { path: path.to_owned(), action: "read", source };
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & !OWNER_ONLY != 0 {
        return Err(TokenError::TooOpen { path: path.to_owned(), mode });
    }
    let mut text = Vec::new();
    file.read_to_end(&mut text).map_err(failed)?;
    let text = text.trim_ascii();
    let is_token = text.len() == 2 * TOKEN_BYTES && text.iter().all(u8::is_ascii_hexdigit);
    match String::from_utf8(text.to_vec()) {
        Ok(text) if is_token => Ok(Token(text)),
        _ => Err(TokenError::NoToken { path: path.to_owned() }),
    }
}

fn create(path: &Path) -> Result<Token, TokenError> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|source| TokenError::Entropy { path: path.to_owned(), source })?;
    let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    replace(path, format!("{token}\n").as_bytes(), OWNER_ONLY)
        .map_err(|source| TokenError::Io { path: path.to_owned(), action: "write", source })?;
    Ok(Token(token))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn a_token_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let token = open_token(folder.path(), ADMIN_TOKEN).unwrap();
        assert_eq!(token.as_str().len(), 64);
        assert_eq!(open_token(folder.path(), ADMIN_TOKEN).unwrap().as_str(), token.as_str());
        assert_ne!(open_token(folder.path(), JOIN_TOKEN).unwrap().as_str(), token.as_str());
        let mode = fs::metadata(folder.path().join(ADMIN_TOKEN)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(format!("{token:?}"), "Token(..)");
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        let folder = tempfile::tempdir().unwrap();
        let token = open_token(folder.path(), ADMIN_TOKEN).unwrap();
        let text = token.as_str().as_bytes();
        assert!(token.is(text));
        for wrong in [&text[..63], b"", &[text, b"0"].concat(), &[b"x", &text[1..]].concat()] {
            assert!(!token.is(wrong));
        }
    }

    #[test]
    fn a_file_that_others_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        open_token(folder.path(), ADMIN_TOKEN).unwrap();
        let path = folder.path().join(ADMIN_TOKEN);
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let refused = open_token(folder.path(), ADMIN_TOKEN);
            assert!(matches!(refused, Err(TokenError::TooOpen { .. })), "{mode:o}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        open_token(folder.path(), ADMIN_TOKEN).unwrap();
    }

    #[test]
    fn a_file_without_a_token_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "secret", &"g".repeat(64)] {
            replace(&folder.path().join(ADMIN_TOKEN), text.as_bytes(), OWNER_ONLY).unwrap();
            let refused = open_token(folder.path(), ADMIN_TOKEN);
            assert!(matches!(refused, Err(TokenError::NoToken { .. })), "{text}");
        }
    }
}
