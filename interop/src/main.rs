//! Runs the scenarios with foreign peers, and writes the matrix.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use tokio::time::timeout;
use waku_interop::matrix::{Matrix, Row, Verdict};
use waku_interop::peer::Implementation;
use waku_interop::scenario::{Role, SCENARIOS, Scenario, Scene, through_the_browser};
use waku_interop::{gowaku, install, jswaku, ours};

/// No scenario takes longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs our node against Waku implementations we did not write.
///
/// Foreign peers are installed from their registries into a cache folder: go-waku needs Go, js-waku needs Node.js and
/// Chromium. nwaku is run where NWAKU_BIN names its program. Everything stays on loopback.
#[derive(Debug, Parser)]
#[command(name = "waku-interop")]
struct Args {
    /// Which implementations: `all` are those we did not write.
    #[arg(default_value = "all")]
    sets: Vec<Set>,
    /// Only the scenarios whose name contains this.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Where foreign peers are installed, and logs are kept.
    #[arg(long, value_name = "FOLDER")]
    cache: Option<PathBuf>,
    /// Where the matrix is written; by default interop/MATRIX.md when all of `all` was run.
    #[arg(long, value_name = "FILE")]
    matrix: Option<PathBuf>,
    /// Lists the scenarios and ends.
    #[arg(long)]
    list: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Set {
    /// go-waku, js-waku in both its hosts, nwaku where there is one.
    All,
    /// go-waku, from Go modules.
    Gowaku,
    /// js-waku in Node.js and in Chromium, from npm, and a chain from a browser to go-waku.
    Jswaku,
    /// nwaku, if NWAKU_BIN names it.
    Nwaku,
    /// Our own node in the foreign peer's place: shows that the scenarios hold.
    Ours,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    if args.list {
        for Scenario { protocol, role, name, .. } in SCENARIOS {
            println!("{protocol:18} {role:8} {name}");
        }
        return ExitCode::SUCCESS;
    }
    match run(&args).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what was asked for; returns how many rows failed.
async fn run(args: &Args) -> Result<usize> {
    let runs = |set| args.sets.contains(&set) || (args.sets.contains(&Set::All) && set != Set::Ours);
    let mut run = Run {
        matrix: Matrix::default(),
        only: args.only.clone().unwrap_or_default(),
        cache: args.cache.clone().unwrap_or_else(install::default_cache),
    };
    fs::create_dir_all(&run.cache).with_context(|| format!("{} cannot be made", run.cache.display()))?;
    run.cache = run.cache.canonicalize()?;
    if runs(Set::Ours) {
        run.all_with("ours", &ours::Ours).await?;
    }
    let go_waku = if runs(Set::Gowaku) || runs(Set::Jswaku) {
        run.tell("go-waku: building");
        Some(gowaku::GoWaku::new(&install::go_waku(&run.cache).await?, &run.cache))
    } else {
        None
    };
    if let Some(go_waku) = go_waku.as_ref().filter(|_| runs(Set::Gowaku)) {
        run.all_with("gowaku", go_waku).await?;
    }
    if runs(Set::Jswaku) {
        run.tell("js-waku: installing");
        let folder = install::js_waku(&run.cache).await?;
        let chromium = install::chromium()?;
        run.all_with("jswaku", &jswaku::JsWaku::in_node(&folder, &run.cache)).await?;
        let browser = jswaku::JsWaku::in_chromium(&folder, &run.cache, &chromium);
        run.all_with("jswaku", &browser).await?;
        if let Some(go_waku) = &go_waku {
            run.chain(&browser, go_waku).await;
        }
    }
    run.conclude(args)
}

struct Run {
    matrix: Matrix,
    only: String,
    cache: PathBuf,
}

impl Run {
    fn tell(&self, line: &str) {
        eprintln!("{line}");
    }

    fn skip(&mut self, set: &'static str, why: &str) {
        eprintln!("!!! SKIPPED: {set}: {why}");
        self.matrix.skipped.push((set, why.to_owned()));
    }

    /// Plays every scenario with an implementation.
    async fn all_with(&mut self, set: &'static str, foreign: &dyn Implementation) -> Result<()> {
        for scenario in SCENARIOS {
            if !scenario.name.contains(&self.only) {
                continue;
            }
            let folder = self.cache.join("run").join(scenario.name);
            if folder.exists() {
                fs::remove_dir_all(&folder)?;
            }
            fs::create_dir_all(&folder)?;
            let scene = Scene { foreign, folder: &folder };
            let started = Instant::now();
            let outcome = timeout(PATIENCE, (scenario.run)(&scene)).await;
            let outcome = outcome.unwrap_or_else(|_| bail!("it did not end within {PATIENCE:?}"));
            self.record(scenario.protocol, scenario.role, set, foreign.name(), scenario.name, &outcome, started);
        }
        Ok(())
    }

    async fn chain(&mut self, browser: &dyn Implementation, go_waku: &dyn Implementation) {
        let name = "browser-to-go-waku-and-back";
        if !name.contains(&self.only) {
            return;
        }
        let started = Instant::now();
        let screenshot = install::sources().join("screenshot.png");
        let played = timeout(PATIENCE, through_the_browser(browser, go_waku, &screenshot)).await;
        let outcome = played.unwrap_or_else(|_| bail!("it did not end within {PATIENCE:?}"));
        let peer = format!("{} and {}", browser.name(), go_waku.name());
        self.record("chain", Role::Service, "jswaku", peer, name, &outcome, started);
    }

    #[expect(clippy::too_many_arguments, reason = "they are the columns of a row")]
    fn record(
        &mut self,
        protocol: &'static str,
        role: Role,
        set: &'static str,
        peer: String,
        scenario: &'static str,
        outcome: &Result<()>,
        started: Instant,
    ) {
        let verdict = Verdict::of(outcome);
        eprintln!("{peer:40} {scenario:32} {:6.1} s  {verdict}", started.elapsed().as_secs_f64());
        self.matrix.rows.push(Row { protocol, role, peer, set, scenario, verdict });
    }

    fn conclude(self, args: &Args) -> Result<usize> {
        if self.matrix.rows.is_empty() && self.matrix.skipped.is_empty() {
            bail!("no scenario has {:?} in its name; --list shows them", self.only);
        }
        let everything = args.sets.contains(&Set::All) && args.only.is_none();
        let default = everything.then(|| install::sources().join("MATRIX.md"));
        if let Some(file) = args.matrix.clone().or(default) {
            fs::write(&file, self.matrix.page()).with_context(|| format!("{} cannot be written", file.display()))?;
            eprintln!("\n{} written", file.display());
        }
        eprintln!("\n{}", self.matrix.summary());
        for (set, why) in &self.matrix.skipped {
            eprintln!("!!! SKIPPED: {set}: {why}");
        }
        Ok(self.matrix.failures())
    }
}
