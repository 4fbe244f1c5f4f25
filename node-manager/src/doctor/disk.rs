//! Whether the disks have room.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use waku_gateway::watch::{Alert, Kind};

use super::report::Finding;

/// Less than so many MiB is too little, and little: for a node's database, and for what the manager keeps.
const NODE: (u64, u64) = (1024, 10 * 1024);
const OWN: (u64, u64) = (64, 512);

/// Looks at the disk that is watched and, if it is another, at the one of the data directory.
pub(super) fn check(disk_path: &Path, data_dir: &Path, raised: &[Alert]) -> Vec<Finding> {
    let filling = raised.iter().find(|alert| alert.kind == Kind::DiskFilling);
    let mut findings = vec![judge(disk_path, free(disk_path), NODE, filling)];
    if device(disk_path) != device(data_dir) && data_dir.exists() {
        findings.push(judge(data_dir, free(data_dir), OWN, None));
    }
    findings
}

fn device(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|metadata| metadata.dev())
}

/// Free and all space, in MiB.
fn free(path: &Path) -> Result<(u64, u64), String> {
    let disk = rustix::fs::statvfs(path).map_err(|error| error.to_string())?;
    let mib = |blocks: u64| (u128::from(blocks) * u128::from(disk.f_frsize)) >> 20;
    let fit = |mib: u128| u64::try_from(mib).unwrap_or(u64::MAX);
    Ok((fit(mib(disk.f_bavail)), fit(mib(disk.f_blocks))))
}

fn judge(
    path: &Path,
    free: Result<(u64, u64), String>,
    least: (u64, u64),
    filling: Option<&Alert>,
) -> Finding {
    let check = format!("disk of {}", path.display());
    let (free, all) = match free {
        Ok(figures) => figures,
        Err(error) => {
            return Finding::not_checked(
                check,
                error,
                "give a folder that the service's user can see as disk_path, below [watch]",
            );
        }
    };
    let seen = format!("{} of {} free", size(free), size(all));
    let prune = Kind::DiskFilling.runbook();
    match filling {
        _ if free < least.0 => Finding::failed(check, seen, prune),
        Some(alert) => Finding::warning(check, format!("{seen}; {}", alert.text), prune),
        None if free < least.1 => Finding::warning(check, seen, prune),
        None => Finding::ok(check, seen),
    }
}

/// So many MiB, as people say it.
fn size(mib: u64) -> String {
    match mib {
        0..=10_239 => format!("{mib} MiB"),
        mib => format!("{} GiB", mib >> 10),
    }
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    fn state(free: u64, filling: Option<&Alert>) -> State {
        judge(Path::new("/d"), Ok((free, 1 << 20)), NODE, filling).state
    }

    #[test]
    fn room_and_trend_decide() {
        let alert =
            Alert { kind: Kind::DiskFilling, text: "full in 3 days".to_owned(), runbook: "", since: 1 };
        assert_eq!(state(500_000, None), State::Ok);
        assert_eq!(state(500_000, Some(&alert)), State::Warning);
        assert_eq!(state(5000, None), State::Warning);
        assert_eq!(state(1000, Some(&alert)), State::Failed);
        let finding = judge(Path::new("/d"), Ok((500_000, 1 << 20)), NODE, Some(&alert));
        assert_eq!(finding.seen, "488 GiB of 1024 GiB free; full in 3 days");
    }

    #[test]
    fn a_folder_that_is_not_there_is_said_and_one_that_is_has_room() {
        let folder = tempfile::tempdir().unwrap();
        let findings = check(&folder.path().join("gone"), folder.path(), &[]);
        assert_eq!(findings[0].state, State::NotChecked);
        assert!(findings[1].seen.ends_with("free"), "{findings:?}");
        assert_eq!(check(folder.path(), folder.path(), &[]).len(), 1);
    }
}
