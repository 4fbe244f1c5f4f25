//! Files with secrets: there, of the right form, and not for everybody to read. Their content is in no finding.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use waku_gateway::Config;
use zeroize::Zeroizing;

use super::report::Finding;

/// The longest file that may hold a JWT secret, in bytes: 64 digits, 0x, and a line's end.
const MAX_JWT: usize = 128;

/// Looks at the tokens of the services and, where it is configured, at the JWT secret.
pub(super) fn check(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for service in config.policy.services() {
        let check = format!("{} token", service.name);
        match service.token_path() {
            Ok(None) => {}
            Ok(Some(path)) => findings.push(token(check, &path, service.token_credential.is_some())),
            Err(error) => findings.push(Finding::not_checked(
                check,
                error,
                "examine while the service runs: it is the service that is given the credential",
            )),
        }
    }
    findings.extend(config.jwt_secret.as_deref().map(jwt));
    findings
}

/// Who may read a file, in the bits of its mode; systemd guards its credentials by other means too.
fn token(check: String, path: &Path, is_credential: bool) -> Finding {
    let shown = path.display();
    match mode(path).and_then(|mode| File::open(path).map(|_| mode)) {
        Err(error) => Finding::failed(
            check,
            format!("{shown}: {error}"),
            "name the file that the validator client wrote, and let the service's user read it",
        ),
        Ok(_) if is_credential => Finding::ok(check, "handed over by systemd"),
        Ok(mode) if mode & 0o077 != 0 => Finding::warning(
            check,
            format!("{shown} may be read by others than its owner (mode {mode:04o})"),
            format!("chmod 600 {shown}, or hand it over with LoadCredential and token_credential"),
        ),
        Ok(_) => Finding::ok(check, format!("{shown} is for its owner alone")),
    }
}

fn mode(path: &Path) -> io::Result<u32> {
    let metadata = fs::metadata(path)?;
    if metadata.is_file() {
        Ok(metadata.permissions().mode() & 0o7777)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"))
    }
}

fn jwt(path: &Path) -> Finding {
    let (check, shown) = ("JWT secret", path.display());
    let make =
        format!("make one for both clients, and restart them: openssl rand -hex 32 | sudo tee {shown}");
    let mode = match mode(path) {
        Ok(mode) => mode,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let fix = format!("see yourself: sudo grep -Ecx '(0x)?[0-9a-fA-F]{{64}}' {shown} says 1");
            return Finding::not_checked(
                check,
                format!("{shown} may not be seen by the service's user"),
                fix,
            );
        }
        Err(error) => return Finding::failed(check, format!("{shown}: {error}"), make),
    };
    match is_jwt(path) {
        Ok(false) => Finding::failed(check, format!("{shown} has no 64 hexadecimal digits"), make),
        _ if mode & 0o007 != 0 => Finding::warning(
            check,
            format!("{shown} may be read by everybody on this host (mode {mode:04o})"),
            format!("sudo chmod o-rwx {shown}"),
        ),
        Ok(true) => Finding::ok(check, format!("{shown} has 64 digits, and is not for everybody")),
        Err(_) => Finding::ok(
            check,
            format!("{shown} is there, and not for everybody; its digits are not looked at"),
        ),
    }
}

fn is_jwt(path: &Path) -> io::Result<bool> {
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_JWT + 1));
    File::open(path)?.take(MAX_JWT as u64 + 1).read_to_end(&mut text)?;
    let digits = text.trim_ascii();
    let digits = digits.strip_prefix(b"0x").unwrap_or(digits);
    Ok(digits.len() == 64 && digits.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::super::State;
    use super::*;

    fn file(content: &str, mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
        file
    }

    #[test]
    fn a_jwt_secret_is_64_digits_that_not_everybody_reads() {
        let state = |content: &str, mode| jwt(file(content, mode).path()).state;
        let digits = "0123456789abcdefABCDEF0123456789".repeat(2);
        assert_eq!(state(&digits, 0o640), State::Ok);
        assert_eq!(state(&format!("0x{digits}\n"), 0o600), State::Ok);
        assert_eq!(state(&digits, 0o644), State::Warning);
        for wrong in ["", "swordfish", &digits[1..], &format!("{digits}0"), &"0".repeat(10_000)] {
            assert_eq!(state(wrong, 0o600), State::Failed, "{wrong}");
        }
        assert_eq!(jwt(Path::new("/nowhere/jwt.hex")).state, State::Failed);
        assert_eq!(jwt(Path::new("/")).state, State::Failed);
    }

    #[test]
    fn a_token_is_there_and_its_owners_alone() {
        let state = |mode| token("t".to_owned(), file("s3cret", mode).path(), false).state;
        assert_eq!((state(0o600), state(0o400), state(0o640)), (State::Ok, State::Ok, State::Warning));
        assert_eq!(token("t".to_owned(), Path::new("/nowhere/token"), false).state, State::Failed);
        // systemd lets one user in by an access list, which shows as the group's right.
        assert_eq!(token("t".to_owned(), file("s3cret", 0o440).path(), true).state, State::Ok);
    }

    #[test]
    fn secrets_are_in_no_finding() {
        for finding in [
            jwt(file("swordfish", 0o644).path()),
            token("t".to_owned(), file("swordfish", 0o644).path(), false),
        ] {
            assert!(!format!("{finding:?}").contains("swordfish"));
        }
    }
}
