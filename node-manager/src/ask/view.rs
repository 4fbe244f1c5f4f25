//! `app watch`: a host at a glance, drawn anew whenever something has changed.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};

use serde::Deserialize;
use tokio::time::sleep;
use waku_gateway::watch::DAY;

use super::client::Asking;
use super::{AGAIN, Alert, Alerts, plain};
use crate::failure::Failure;
use crate::show;
use crate::terminal::print_line;

/// Characters for figures, small to large.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Samples in a line.
const WIDTH: usize = 60;

/// Where a host says what is wrong.
const ALERTS: &str = "/node-manager/v1/alerts";

/// What is shown.
struct View {
    name: String,
    version: String,
    day: Day,
    alerts: Vec<Alert>,
}

/// The figures of a day.
#[derive(Deserialize)]
struct Day {
    columns: Vec<String>,
    samples: Vec<Vec<Option<i64>>>,
}

/// A sample that is new.
#[derive(Deserialize)]
struct Sample {
    minute: i64,
    values: Vec<Option<i64>>,
}

/// What the Beacon API says a node is.
#[derive(Deserialize)]
struct Version {
    data: VersionData,
}

#[derive(Deserialize)]
struct VersionData {
    version: String,
}

/// Shows a host until it is interrupted.
pub(super) async fn watch(asking: &Asking) -> Result<(), Failure> {
    let mut view = View::load(asking).await?;
    view.draw();
    loop {
        let mut events = match asking.events("/node-manager/v1/events").await {
            Ok(events) => events,
            Err(failure) => {
                print_line(&failure);
                sleep(AGAIN).await;
                continue;
            }
        };
        loop {
            match events.next().await {
                Ok((kind, data)) => {
                    match kind.as_str() {
                        "sample" => view.day.take(&data),
                        "alert" => view.alerts = asking.json::<Alerts>(ALERTS).await?.raised,
                        _ => continue,
                    }
                    view.draw();
                }
                Err(failure) => {
                    print_line(&failure);
                    sleep(AGAIN).await;
                    break;
                }
            }
        }
    }
}

impl View {
    async fn load(asking: &Asking) -> Result<Self, Failure> {
        let version = asking.json::<Version>("/eth/v1/node/version").await;
        Ok(Self {
            name: asking.name.clone(),
            version: version.map_or_else(|failure| failure.message, |version| plain(&version.data.version)),
            day: asking.json("/node-manager/v1/history").await?,
            alerts: asking.json::<Alerts>(ALERTS).await?.raised,
        })
    }

    fn draw(&self) {
        let mut screen = String::new();
        if io::stdout().is_terminal() {
            // Home, and clear.
            screen.push_str("\x1b[H\x1b[2J");
        }
        // Writing to a string cannot fail.
        _ = writeln!(screen, "{}  {}", self.name, self.version);
        for (column, name, unit) in [
            ("sync_distance", "behind", "slots"),
            ("peers", "peers", ""),
            ("head_slot", "head", ""),
            ("cpu", "processor", "%"),
            ("memory", "memory", "%"),
            ("disk_free", "disk free", "MiB"),
            ("clock_offset", "clock off", "ms"),
        ] {
            let figures = self.day.figures(column);
            let newest = figures.last().copied().flatten().map_or("-".to_owned(), |value| value.to_string());
            _ = writeln!(screen, "{name:<10} {newest:>9} {unit:<6} {}", bars(&figures));
        }
        if self.alerts.is_empty() {
            _ = writeln!(screen, "\nNothing is wrong.");
        }
        for alert in &self.alerts {
            let since = show::minute(alert.since);
            _ = writeln!(screen, "\n! {since}  {}\n  {}", plain(&alert.text), plain(&alert.runbook));
        }
        print_line(screen);
    }
}

impl Day {
    fn take(&mut self, event: &str) {
        // What is no sample belongs to a later version.
        if let Ok(Sample { minute, values }) = serde_json::from_str(event) {
            self.samples.push([Some(minute)].into_iter().chain(values).collect());
            let surplus = self.samples.len().saturating_sub(DAY);
            self.samples.drain(..surplus);
        }
    }

    fn figures(&self, column: &str) -> Vec<Option<i64>> {
        let at = self.columns.iter().position(|known| known == column);
        self.samples.iter().map(|sample| *sample.get(at?)?).collect()
    }
}

/// The newest figures as bars.
fn bars(figures: &[Option<i64>]) -> String {
    let newest = figures.get(figures.len().saturating_sub(WIDTH)..).unwrap_or_default();
    let least = newest.iter().flatten().min().copied().unwrap_or(0);
    let span = newest.iter().flatten().max().map_or(0, |most| most.saturating_sub(least));
    let bar = |value: i64| {
        let height = value.saturating_sub(least).saturating_mul(7).checked_div(span).unwrap_or(0);
        usize::try_from(height).ok().and_then(|height| BARS.get(height)).copied().unwrap_or(' ')
    };
    newest.iter().map(|figure| figure.map_or(' ', bar)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_high_as_their_figures() {
        assert_eq!(bars(&[Some(0), None, Some(7), Some(3)]), "▁ █▄");
        assert_eq!(bars(&[Some(5), Some(5)]), "▁▁");
        assert_eq!(bars(&[]), "");
        assert_eq!(bars(&vec![Some(1); 100]).chars().count(), WIDTH);
        assert_eq!(bars(&[Some(i64::MIN), Some(i64::MAX)]).chars().count(), 2);
    }
}
