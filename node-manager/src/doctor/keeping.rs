//! What the manager keeps, and the files it is configured by.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use super::Vault;
use super::report::Finding;
use crate::host::{FileError, Files};

/// Files of the data directory that are for its owner alone.
const KEPT: [&str; 6] =
    ["vault.redb", "requests.redb", "grants.json", "audit.log", "alerts.json", "history.bin"];

/// Looks at the data directory.
pub(super) fn directory(data_dir: &Path) -> Finding {
    let (check, shown) = ("data directory", data_dir.display());
    let Ok(metadata) = fs::metadata(data_dir) else {
        return match data_dir.try_exists() {
            Ok(false) => Finding::not_checked(
                check,
                format!("{shown} is not there yet"),
                "start `node-manager run`, or give the right --data-dir",
            ),
            _ => Finding::failed(
                check,
                format!("{shown} may not be looked at"),
                "examine as the user that the service runs as",
            ),
        };
    };
    let kept = KEPT.iter().filter_map(|name| Some((*name, fs::metadata(data_dir.join(name)).ok()?)));
    let kept: Vec<_> = kept.collect();
    let names = |is_wrong: &dyn Fn(&fs::Metadata) -> bool| {
        let wrong = kept.iter().filter(|(_, metadata)| is_wrong(metadata));
        wrong.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    };
    let strange = names(&|file| file.uid() != metadata.uid());
    if !strange.is_empty() {
        let seen =
            format!("{shown} belongs to one user and {strange} to another, so the service may not use it");
        let fix =
            format!("sudo chown -R --reference={shown} {shown}, and use commands as the service's user");
        return Finding::failed(check, seen, fix);
    }
    let is_open = |metadata: &fs::Metadata| metadata.permissions().mode() & 0o077 != 0;
    let open = names(&is_open);
    if is_open(&metadata) {
        let seen = format!(
            "{shown} may be looked into by others (mode {:04o})",
            metadata.permissions().mode() & 0o7777
        );
        return Finding::warning(check, seen, format!("chmod 700 {shown}"));
    }
    if !open.is_empty() {
        let seen = format!("in {shown}, others than the owner may read {open}");
        return Finding::warning(check, seen, format!("chmod 600 in {shown}: {open}"));
    }
    Finding::ok(check, format!("{shown} is for its owner alone"))
}

/// Says how the vault is.
pub(super) fn vault(vault: &Vault) -> Finding {
    let check = "vault";
    match vault {
        Vault::InService => Finding::ok(check, "open, in use by the service"),
        Vault::Opens => Finding::ok(check, "opens, and all of it can be read"),
        Vault::Missing => Finding::not_checked(check, "there is none yet", "pair an app: node-manager pair"),
        Vault::InUse => Finding::not_checked(
            check,
            "another node-manager has it open, and does not answer",
            "wait until it has started, or finished pairing, and examine again",
        ),
        Vault::Fails(error) => Finding::failed(
            check,
            error,
            "nothing was changed: restore a backup of the data directory, or move it away and pair again",
        ),
    }
}

/// Says how the file with what apps may ask is, and whether the service goes by what is in it.
pub(super) fn config(
    files: &Files,
    data_dir: &Path,
    read: &Result<waku_gateway::Config, FileError>,
    running: Option<&waku_gateway::Config>,
) -> Finding {
    let name = files.config_path(data_dir);
    let seen = |config: &waku_gateway::Config| {
        let services: Vec<_> = config.policy.services().iter().map(|service| service.name.as_str()).collect();
        let services = services.join(", ");
        match &name {
            Some(path) => format!("{} is read: {services}", path.display()),
            None => format!("no file, so what suits Nimbus: {services}"),
        }
    };
    file("what apps may ask", read, running, seen)
}

/// Says how the list of services is.
pub(super) fn services(
    files: &Files,
    data_dir: &Path,
    read: &Result<Option<waku_supervisor::Config>, FileError>,
    running: Option<&Option<waku_supervisor::Config>>,
) -> Finding {
    let name = files.services_path(data_dir);
    let seen = |config: &Option<waku_supervisor::Config>| match (&name, config) {
        (Some(path), Some(config)) => {
            format!("{} is read: {}", path.display(), config.names().collect::<Vec<_>>().join(", "))
        }
        _ => "no file, so apps can start and stop nothing".to_owned(),
    };
    file("services to start and stop", read, running, seen)
}

fn file<T: PartialEq>(
    check: &str,
    read: &Result<T, FileError>,
    running: Option<&T>,
    seen: impl Fn(&T) -> String,
) -> Finding {
    match read {
        Err(error) => {
            Finding::failed(check, error, "mend it; a running service goes on with what it read at its start")
        }
        Ok(read) if running.is_some_and(|running| running != read) => Finding::warning(
            check,
            format!("{}, but was otherwise when the service started", seen(read)),
            "restart the service: sudo systemctl restart node-manager",
        ),
        Ok(read) => Finding::ok(check, seen(read)),
    }
}

/// Whether an error of the vault says that another process has it.
pub(super) fn of_vault(error: crate::VaultError) -> Vault {
    match error {
        crate::VaultError::InUse { .. } => Vault::InUse,
        crate::VaultError::Directory { error, .. } if error.kind() == io::ErrorKind::NotFound => {
            Vault::Missing
        }
        error => Vault::Fails(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::super::State;
    use super::*;

    #[test]
    fn a_directory_and_its_files_are_for_their_owner_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("host");
        assert_eq!(directory(&path).state, State::NotChecked);
        fs::create_dir(&path).unwrap();
        let set = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        set(&path, 0o750);
        assert_eq!(directory(&path).fix.unwrap(), format!("chmod 700 {}", path.display()));
        set(&path, 0o700);
        assert_eq!(directory(&path).state, State::Ok);
        fs::write(path.join("grants.json"), "{}").unwrap();
        set(&path.join("grants.json"), 0o640);
        let finding = directory(&path);
        assert_eq!(finding.state, State::Warning);
        assert!(finding.seen.contains("grants.json"), "{finding:?}");
    }

    #[test]
    fn what_the_vault_is_said_to_be_decides() {
        let state = |known: Vault| vault(&known).state;
        assert_eq!((state(Vault::InService), state(Vault::Opens)), (State::Ok, State::Ok));
        assert_eq!((state(Vault::Missing), state(Vault::InUse)), (State::NotChecked, State::NotChecked));
        assert_eq!(state(Vault::Fails("damaged".to_owned())), State::Failed);
    }

    #[test]
    fn a_file_that_changed_since_the_start_or_is_wrong_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::default();
        let finding = |running: Option<&waku_gateway::Config>| {
            config(&files, directory.path(), &files.config(directory.path()), running)
        };
        let built_in = files.config(directory.path()).unwrap();
        assert_eq!((finding(None).state, finding(Some(&built_in)).state), (State::Ok, State::Ok));
        fs::write(directory.path().join("config.toml"), "profile = \"nimbus\"\n[watch]\nmin_peers = 3\n")
            .unwrap();
        assert_eq!(finding(Some(&built_in)).state, State::Warning);
        fs::write(directory.path().join("config.toml"), "profile = \"nimbo\"\n").unwrap();
        let wrong = finding(Some(&built_in));
        assert!(wrong.state == State::Failed && wrong.seen.contains("config.toml:1"), "{wrong:?}");
        let list = services(&files, directory.path(), &files.services(directory.path()), Some(&None));
        assert_eq!(list.state, State::Ok);
    }
}
