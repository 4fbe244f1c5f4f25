//! Runs the scenarios with foreign peers, and writes the matrix.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use tokio::time::timeout;
use waku_interop::logs::Logs;
use waku_interop::matrix::{Matrix, Row, Verdict};
use waku_interop::peer::Implementation;
use waku_interop::scenario::{Role, SCENARIOS, Scenario, Scene, through_the_browser};
use waku_interop::{gowaku, install, jswaku, nwaku, ours};

/// No scenario takes longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs our node against Waku implementations we did not write.
///
/// Foreign peers are installed from their registries into a cache folder: go-waku needs Go, js-waku needs Node.js and
/// Chromium. nwaku is run where `NWAKU_BIN` names its program. Everything stays on loopback.
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
    /// nwaku, if `NWAKU_BIN` names it.
    Nwaku,
    /// Our own node in the foreign peer's place: shows that the scenarios hold.
    Ours,
    /// Our own `waku-node`, beside this program, in nwaku's place: shows that what drives nwaku drives it.
    DropIn,
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
    let is_foreign = |set| !matches!(set, Set::Ours | Set::DropIn);
    let runs = |set| args.sets.contains(&set) || (args.sets.contains(&Set::All) && is_foreign(set));
    let cache = args.cache.clone().unwrap_or_else(install::default_cache);
    fs::create_dir_all(&cache).with_context(|| format!("{} cannot be made", cache.display()))?;
    let cache = cache.canonicalize()?;
    let mut run = Run {
        matrix: Matrix::default(),
        only: args.only.clone().unwrap_or_default(),
        logs: Logs::below(&cache),
        again: Vec::new(),
        cache,
        everything: args.sets.contains(&Set::All) && args.only.is_none(),
    };
    if runs(Set::Ours) {
        run.all_with("ours", &ours::Ours).await?;
    }
    if runs(Set::DropIn) {
        let program = std::env::current_exe()?.with_file_name("waku-node");
        run.all_with("drop-in", &nwaku::Nwaku::ours(&program, &run.cache)?).await?;
    }
    let go_waku = if runs(Set::Gowaku) || runs(Set::Jswaku) {
        eprintln!("go-waku: building, which takes minutes the first time");
        Some(gowaku::GoWaku::new(&install::go_waku(&run.cache).await?, &run.cache))
    } else {
        None
    };
    if let Some(go_waku) = go_waku.as_ref().filter(|_| runs(Set::Gowaku)) {
        run.all_with("gowaku", go_waku).await?;
    }
    if runs(Set::Jswaku) {
        eprintln!("js-waku: installing");
        let folder = install::js_waku(&run.cache).await?;
        let chromium = install::chromium()?;
        run.all_with("jswaku", &jswaku::JsWaku::in_node(&folder, &run.cache)).await?;
        let browser = jswaku::JsWaku::in_chromium(&folder, &run.cache, &chromium);
        run.all_with("jswaku", &browser).await?;
        if let Some(go_waku) = &go_waku {
            run.chain(&browser, go_waku).await?;
        }
    }
    if runs(Set::Nwaku) {
        match nwaku::Nwaku::from_env(&run.cache).await? {
            Some(nwaku) => run.all_with("nwaku", &nwaku).await?,
            None => run.skip(
                "nwaku",
                "NWAKU_BIN names no program; interop/docker-compose.nwaku.yml runs it where there is Docker",
            ),
        }
    }
    run.conclude(args)
}

struct Run {
    matrix: Matrix,
    only: String,
    cache: PathBuf,
    logs: Logs,
    /// What failed at the first try.
    again: Vec<String>,
    /// All there is was asked for: what comes of it is kept beside the sources.
    everything: bool,
}

impl Run {
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
            let row = self.play(set, foreign, scenario).await?;
            // A page of a browser may be late for once. What fails fails twice, and what did not is said at the end.
            if matches!(row.verdict, Verdict::Fail(_)) {
                self.again.push(format!("{} with {}", scenario.name, row.peer));
                let second = self.play(set, foreign, scenario).await?;
                self.matrix.rows.push(second);
            } else {
                self.matrix.rows.push(row);
            }
        }
        Ok(())
    }

    /// Plays a scenario once.
    async fn play(
        &mut self,
        set: &'static str,
        foreign: &dyn Implementation,
        scenario: &Scenario,
    ) -> Result<Row> {
        let folder = self.cache.join("run").join(scenario.name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        self.logs.clear()?;
        let scene = Scene { foreign, folder: &folder };
        let started = Instant::now();
        let outcome = timeout(PATIENCE, (scenario.run)(&scene)).await;
        let outcome = outcome.unwrap_or_else(|_| bail!("it did not end within {PATIENCE:?}"));
        let Scenario { protocol, role, name, .. } = *scenario;
        let (peer, verdict) = (foreign.name(), Verdict::of(&outcome));
        let row = Row { protocol, role, peer, set, scenario: name, verdict };
        self.tell(&row, started)?;
        Ok(row)
    }

    async fn chain(&mut self, browser: &dyn Implementation, go_waku: &dyn Implementation) -> Result<()> {
        let name = "browser-to-go-waku-and-back";
        if !name.contains(&self.only) {
            return Ok(());
        }
        self.logs.clear()?;
        let started = Instant::now();
        let screenshot =
            if self.everything { install::sources() } else { &self.cache }.join("screenshot.png");
        let played = timeout(PATIENCE, through_the_browser(browser, go_waku, &screenshot)).await;
        let outcome = played.unwrap_or_else(|_| bail!("it did not end within {PATIENCE:?}"));
        let row = Row {
            protocol: "chain",
            role: Role::Service,
            peer: format!("{} and {}", browser.name(), go_waku.name()),
            set: "jswaku",
            scenario: name,
            verdict: Verdict::of(&outcome),
        };
        self.tell(&row, started)?;
        self.matrix.rows.push(row);
        Ok(())
    }

    fn tell(&self, row: &Row, started: Instant) -> Result<()> {
        let Row { peer, scenario, verdict, .. } = row;
        eprintln!("{peer:40} {scenario:32} {:6.1} s  {verdict}", started.elapsed().as_secs_f64());
        if matches!(row.verdict, Verdict::Fail(_)) {
            let kept = self.logs.keep(&format!("{}-{scenario}", row.set))?;
            eprintln!("    its logs: {}", kept.display());
        }
        Ok(())
    }

    fn conclude(self, args: &Args) -> Result<usize> {
        for again in &self.again {
            eprintln!("!!! PLAYED TWICE: {again} failed at the first try");
        }
        if self.matrix.rows.is_empty() && self.matrix.skipped.is_empty() {
            bail!("no scenario has {:?} in its name; --list shows them", self.only);
        }
        let default = self.everything.then(|| install::sources().join("MATRIX.md"));
        if let Some(file) = args.matrix.clone().or(default) {
            fs::write(&file, self.matrix.page())
                .with_context(|| format!("{} cannot be written", file.display()))?;
            eprintln!("\n{} written", file.display());
        }
        eprintln!("\n{}", self.matrix.summary());
        for (set, why) in &self.matrix.skipped {
            eprintln!("!!! SKIPPED: {set}: {why}");
        }
        Ok(self.matrix.failures())
    }
}
