//! The token a service asks for: read from its file for one call, and wiped afterwards. The copy in the request's header
//! and in the socket's buffer is the HTTP client's, and is freed without being wiped.

use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hyper::header::HeaderValue;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::policy::Service;

/// Where systemd tells a service where its credentials are.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
/// Longest token, in bytes.
const MAX_LEN: usize = 4096;

/// A bearer token. It has no `Debug`, and its header is marked as sensitive.
pub(crate) struct Token(Zeroizing<Vec<u8>>);

/// A token that cannot be had. The file's content is never part of it.
#[derive(Debug, Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("its token file cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// Empty, longer than 4 KiB, or with something other than printable ASCII.
    #[error("its token file has no token: one line of printable ASCII")]
    Odd,
    /// Nobody hands out credentials.
    #[error("its token is systemd's credential `{0}`, which only the unit with LoadCredential is given")]
    NoCredentials(String),
}

impl Service {
    /// Where its token is; nothing when it asks for none. A credential is in the folder that systemd made for this process.
    ///
    /// # Errors
    /// [`TokenError::NoCredentials`]: this process was not started by systemd, or by a unit without any.
    pub fn token_path(&self) -> Result<Option<PathBuf>, TokenError> {
        self.token_path_in(env::var_os(CREDENTIALS).as_deref())
    }

    fn token_path_in(&self, credentials: Option<&OsStr>) -> Result<Option<PathBuf>, TokenError> {
        match (&self.token_file, &self.token_credential) {
            (Some(path), _) => Ok(Some(path.clone())),
            (None, Some(name)) => match credentials {
                Some(folder) => Ok(Some(Path::new(folder).join(name))),
                None => Err(TokenError::NoCredentials(name.clone())),
            },
            (None, None) => Ok(None),
        }
    }
}

impl Token {
    /// Reads the file, and says whether others than its owner may read it too.
    ///
    /// # Errors
    /// When there is no token in it.
    pub(crate) fn read(path: &Path) -> Result<(Self, bool), TokenError> {
        let file = File::open(path)?;
        let shared = file.metadata()?.permissions().mode() & 0o077 != 0;
        // With its capacity from the start, for growing would leave copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_LEN + 1));
        file.take(MAX_LEN as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > MAX_LEN {
            return Err(TokenError::Odd);
        }
        let end = bytes.trim_ascii_end().len();
        bytes.truncate(end);
        if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_graphic) {
            return Err(TokenError::Odd);
        }
        Ok((Self(bytes), shared))
    }

    /// The value of the header `authorization`.
    pub(super) fn header(&self) -> HeaderValue {
        let mut text = Zeroizing::new(Vec::with_capacity(7 + self.0.len()));
        text.extend_from_slice(b"Bearer ");
        text.extend_from_slice(&self.0);
        let mut value = HeaderValue::from_bytes(&text).expect("a token is printable ASCII");
        value.set_sensitive(true);
        value
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    fn read(content: &[u8], mode: u32) -> Result<(Vec<u8>, bool), TokenError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
        Token::read(file.path()).map(|(token, shared)| (token.header().as_bytes().to_vec(), shared))
    }

    #[test]
    fn a_token_is_a_line_and_its_file_should_be_the_owners_alone() {
        assert_eq!(read(b"s3cret\n", 0o600).unwrap(), (b"Bearer s3cret".to_vec(), false));
        assert!(read(b"s3cret", 0o640).unwrap().1);
        assert!(read(b"s3cret", 0o604).unwrap().1);
    }

    #[test]
    fn what_is_no_token_is_not_sent() {
        for content in [b"".as_slice(), b"\n", b"a b", b"a\r\nhost: x", b"\xff", &[b'a'; MAX_LEN + 1]] {
            let error = read(content, 0o600).unwrap_err();
            assert!(matches!(error, TokenError::Odd));
            assert!(!error.to_string().contains('\u{ff}') && !format!("{error:?}").contains("host"));
        }
    }

    #[test]
    fn a_credential_is_in_the_folder_that_systemd_names() {
        let text = "profile = \"nimbus\"\n[[service]]\nname = \"keymanager\"\ntoken_credential = \"keymanager-token\"\n";
        let config = crate::Config::parse("c.toml", text).unwrap();
        let find = |name: &str| config.policy.services().iter().find(|service| service.name == name).unwrap();
        let folder = Some(OsStr::new("/run/credentials/node-manager.service"));
        let path = find("keymanager").token_path_in(folder).unwrap();
        assert_eq!(path, Some("/run/credentials/node-manager.service/keymanager-token".into()));
        assert_eq!(find("beacon").token_path_in(None).unwrap(), None);
        let error = find("keymanager").token_path_in(None).unwrap_err();
        assert!(error.to_string().contains("`keymanager-token`"), "{error}");
    }

    #[test]
    fn the_header_does_not_show_it() {
        let token = Token(Zeroizing::new(b"s3cret".to_vec()));
        assert!(!format!("{:?}", token.header()).contains("s3cret"));
    }
}
