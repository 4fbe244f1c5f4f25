//! The files a host is configured by, and what holds without them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The name of the configuration in the data directory.
const CONFIG: &str = "config.toml";
/// What is answered without a configuration.
const NIMBUS: &str = "profile = \"nimbus\"\n";
/// The name of the list of services in the data directory, and the longest that is read, in bytes.
const SERVICES: &str = "services.toml";
const MAX_SERVICES: u64 = 256 * 1024;

/// The files that were named; what was not named is looked for in the data directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// What apps may ask.
    pub config: Option<PathBuf>,
    /// Which services apps may start and stop.
    pub services: Option<PathBuf>,
}

/// Why a file cannot be used.
#[derive(Debug, Error)]
pub enum FileError {
    /// What apps may ask makes no sense.
    #[error(transparent)]
    Config(#[from] waku_gateway::ConfigError),
    /// The list of services cannot be read.
    #[error("cannot read {}: {error}", .path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The list of services makes no sense.
    #[error(transparent)]
    Services(#[from] waku_supervisor::ConfigError),
}

impl Files {
    /// The file that says what apps may ask; nothing when there is none.
    pub fn config_path(&self, data_dir: &Path) -> Option<PathBuf> {
        named_or_own(self.config.as_deref(), data_dir, CONFIG)
    }

    /// The file with the list of services; nothing when there is none.
    pub fn services_path(&self, data_dir: &Path) -> Option<PathBuf> {
        named_or_own(self.services.as_deref(), data_dir, SERVICES)
    }

    /// What apps may ask: by the file, or else what suits Nimbus.
    ///
    /// # Errors
    /// [`FileError::Config`].
    pub fn config(&self, data_dir: &Path) -> Result<waku_gateway::Config, FileError> {
        Ok(match self.config_path(data_dir) {
            Some(path) => waku_gateway::Config::load(&path)?,
            None => waku_gateway::Config::parse("the built-in configuration", NIMBUS)?,
        })
    }

    /// The services that are looked after, if any.
    ///
    /// # Errors
    /// [`FileError::Unreadable`], [`FileError::Services`].
    pub fn services(&self, data_dir: &Path) -> Result<Option<waku_supervisor::Config>, FileError> {
        let Some(path) = self.services_path(data_dir) else { return Ok(None) };
        let failed = |error: io::Error| FileError::Unreadable { path: path.clone(), error };
        if fs::metadata(&path).map_err(failed)?.len() > MAX_SERVICES {
            return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, "it is too long")));
        }
        let text = fs::read_to_string(&path).map_err(failed)?;
        Ok(Some(waku_supervisor::Config::parse(&path.display().to_string(), &text)?))
    }
}

fn named_or_own(named: Option<&Path>, data_dir: &Path, own: &str) -> Option<PathBuf> {
    match named {
        Some(path) => Some(path.to_owned()),
        None => Some(data_dir.join(own)).filter(|own| own.exists()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_comes_before_what_lies_in_the_directory_and_that_before_what_is_built_in() {
        let directory = tempfile::tempdir().unwrap();
        let names = |files: &Files| {
            let config = files.config(directory.path()).unwrap();
            config.policy.services().iter().map(|service| service.name.clone()).collect::<Vec<_>>()
        };
        let none = Files::default();
        assert_eq!(names(&none), ["beacon", "metrics", "execution"]);
        assert_eq!(none.services(directory.path()).unwrap(), None);
        let text = |name: &str| format!("[[service]]\nname = \"{name}\"\nurl = \"http://127.0.0.1:1\"\n");
        fs::write(directory.path().join(CONFIG), text("own")).unwrap();
        assert_eq!(names(&none), ["own"]);
        let other = directory.path().join("other.toml");
        fs::write(&other, text("named")).unwrap();
        assert_eq!(names(&Files { config: Some(other), services: None }), ["named"]);
    }

    #[test]
    fn a_list_of_services_that_cannot_be_used_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(SERVICES);
        for text in ["[[service]]\nname = \"X\"\n".to_owned(), "#".repeat(300_000)] {
            fs::write(&path, text).unwrap();
            let error = Files::default().services(directory.path()).unwrap_err().to_string();
            assert!(error.contains("services.toml"), "{error}");
        }
        let gone = Files { services: Some(directory.path().join("gone")), config: None };
        assert!(matches!(gone.services(directory.path()), Err(FileError::Unreadable { .. })));
    }
}
