//! Foreign peers from their registries, into a cache folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use anyhow::{Context, Result, bail, ensure};
use tokio::process::Command;

/// Where this crate's sources are.
pub fn sources() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where foreign peers are installed when nothing else is said.
#[must_use]
pub fn default_cache() -> PathBuf {
    sources().join("../target/interop")
}

/// Runs a command to its end; what it says is shown only when it fails.
///
/// # Errors
/// When it cannot be run, with what is missing, or fails.
pub async fn run(command: &mut Command, hint: &str) -> Result<()> {
    let shown = format!("{:?}", command.as_std());
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.with_context(|| format!("{shown} cannot be run. {hint}"))?;
    check(&shown, output.status, &output.stderr)
}

fn check(shown: &str, status: ExitStatus, errors: &[u8]) -> Result<()> {
    if !status.success() {
        bail!("{shown} ended with {status}:\n{}", String::from_utf8_lossy(errors));
    }
    Ok(())
}

/// Builds the go-waku peer, and returns its program.
///
/// # Errors
/// When there is no Go, or the build fails.
pub async fn go_waku(cache: &Path) -> Result<PathBuf> {
    let program = cache.join("gowaku");
    fs::create_dir_all(cache)?;
    let mut build = Command::new("go");
    build.args(["build", "-tags", "gowaku_no_rln", "-o"]).arg(&program).arg(".");
    run(build.current_dir(sources().join("gowaku")), "Install Go 1.23 or newer (Debian: golang-go).").await?;
    Ok(program)
}

/// Installs the js-waku peer, and returns the folder of its programs.
///
/// # Errors
/// When there is no npm, or the installation fails.
pub async fn js_waku(cache: &Path) -> Result<PathBuf> {
    let (from, to) = (sources().join("jswaku"), cache.join("jswaku"));
    fs::create_dir_all(&to)?;
    let lock = fs::read(from.join("package-lock.json"))?;
    let is_installed = fs::read(to.join("node_modules/.installed")).is_ok_and(|installed| installed == lock);
    copy(&from, &to)?;
    if !is_installed {
        let mut install = Command::new("npm");
        install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&to);
        run(&mut install, "Install Node.js 20 or newer with npm (Debian: nodejs npm).").await?;
        fs::write(to.join("node_modules/.installed"), lock)?;
    }
    let mut build = Command::new("npm");
    run(build.args(["run", "build"]).current_dir(&to), "It bundles the programs.").await?;
    Ok(to)
}

/// Copies the sources of a folder, and nothing that was made from them.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, copied) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_file() {
            fs::copy(source, copied)?;
        } else if !["node_modules", "dist"].contains(&&*entry.file_name().to_string_lossy()) {
            copy(&source, &copied)?;
        }
    }
    Ok(())
}

/// Finds Chromium.
///
/// # Errors
/// When there is none.
pub fn chromium() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("CHROMIUM") {
        let named = PathBuf::from(named);
        ensure!(named.is_file(), "CHROMIUM names {}, which is no file", named.display());
        return Ok(named);
    }
    let known =
        ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].map(PathBuf::from);
    let found = known.into_iter().find(|path| path.is_file());
    found.context("there is no Chromium. Install it (Debian: chromium), or name it with CHROMIUM")
}
