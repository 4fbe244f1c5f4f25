//! What a manager takes that has nothing to do.

use std::fs;
use std::path::PathBuf;

use getrandom::SysRng;
use getrandom::rand_core::UnwrapErr;
use node_manager::{Mode, Service};
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use waku::Node;
use waku_gateway::stand_in::{Options, StandIn};
use waku_pairing::code::Code;
use waku_pairing::kdf::CodeKeys;
use waku_pairing::party::{Event, Part};

use crate::network::{in_time, middle};
use crate::process::{Manager, run};
use crate::report::{Cell, Table, float};
use crate::scene::{TERMS, config, leave_alone, session, take_up};
use crate::{Failure, MODES, Size};

/// A host's place, and the network.
struct Stage {
    mode: Mode,
    middle: Node,
    directory: TempDir,
    gateway: PathBuf,
}

/// An app in this process, and the session that it is in.
struct App {
    service: Service,
    session: [u8; 32],
}

pub(crate) async fn measure(size: &Size) -> Result<Table, Failure> {
    let beacon = StandIn::start(Options::default()).await?;
    let mut rows = Vec::new();
    for (mode, name) in MODES {
        let stage = Stage::new(mode, &beacon).await?;
        let mut take = |apps: String, measured: Vec<Cell>| {
            rows.push([vec![Cell::text(name), Cell::Text(apps)], measured].concat());
        };
        let manager = stage.manager().await?;
        take("0".to_owned(), left_alone(size, &manager).await?);
        let mut apps = Vec::new();
        for number in 0..size.apps {
            apps.push(stage.pair(number).await?);
        }
        take(format!("{}, just paired", size.apps), left_alone(size, &manager).await?);
        manager.stop().await?;
        let manager = stage.manager().await?;
        for app in &mut apps {
            app.until_another_session().await?;
        }
        take(format!("{}, started anew", size.apps), left_alone(size, &manager).await?);
        for app in apps {
            app.service.stop().await;
        }
        manager.stop().await?;
        stage.middle.shutdown().await;
    }
    let title = format!(
        "A manager in a process of its own, each app in a session with it, left alone for {} s.",
        size.idle.as_secs()
    );
    let columns =
        vec!["Both sides", "apps", "resident MiB", "of it its own MiB", "processor ms in that time"];
    Ok(Table { title, columns, rows })
}

/// What it takes at the end of a time in which nothing is asked.
async fn left_alone(size: &Size, manager: &Manager) -> Result<Vec<Cell>, Failure> {
    let before = manager.usage()?;
    leave_alone(size.idle).await;
    let after = manager.usage()?;
    let mebibytes = |bytes: u64| Cell::Number(float(bytes) / float(1 << 20), 1);
    let busy = after.processor.saturating_sub(before.processor).as_secs_f64() * 1e3;
    Ok(vec![mebibytes(after.resident), mebibytes(after.own), Cell::Number(busy, 0)])
}

impl Stage {
    async fn new(mode: Mode, beacon: &StandIn) -> Result<Self, Failure> {
        let (middle, directory) = (middle(mode).await?, tempfile::tempdir()?);
        let gateway = directory.path().join("gateway.toml");
        let url = format!("http://{}", beacon.address());
        let services = ["beacon", "metrics", "execution"]
            .map(|name| format!("[[service]]\nname = \"{name}\"\nurl = \"{url}\"\n"));
        fs::write(&gateway, format!("profile = \"nimbus\"\n{}", services.concat()))?;
        Ok(Self { mode, middle, directory, gateway })
    }

    fn host(&self) -> PathBuf {
        self.directory.path().join("host")
    }

    async fn manager(&self) -> Result<Manager, Failure> {
        let address = self.middle.listen_addresses().first().ok_or("a node without an address")?.to_string();
        let gateway = self.gateway.to_str().ok_or("a path that is no text")?;
        let mut words = vec!["run", "--staticnode", &address, "--config", gateway];
        if self.mode == Mode::Light {
            words.push("--light");
        }
        Manager::start(&self.host(), &words).await
    }

    async fn pair(&self, number: usize) -> Result<App, Failure> {
        let name = format!("app-{number}");
        let config = config(Part::App, &name, &self.directory.path().join(&name))?;
        let service = take_up(&config, &self.middle, self.mode).await?;
        let code = Code::generate(&mut UnwrapErr(SysRng));
        let digits = code.digits();
        let keys = spawn_blocking(move || CodeKeys::derive(&code)).await?;
        service.party().offer(keys, TERMS).await?;
        run(&self.host(), &["pair", digits.as_str(), "--no-confirm"]).await?;
        let mut app = App { service, session: [0; 32] };
        app.until_another_session().await?;
        Ok(app)
    }
}

impl App {
    /// Waits for a session that is not the one before.
    async fn until_another_session(&mut self) -> Result<(), Failure> {
        let party = self.service.party();
        let mut events = party.events();
        self.session = in_time("a session", async {
            loop {
                match session(party).await? {
                    Some((_, session)) if session != self.session => return Ok(session),
                    _ => {}
                }
                if let Event::PairingFailed { failure, .. } = events.recv().await? {
                    return Err(failure.into());
                }
            }
        })
        .await?;
        Ok(())
    }
}
