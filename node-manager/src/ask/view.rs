//! `app watch`: a host at a glance, drawn anew whenever something has changed.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};

use serde_json::Value;
use tokio::time::sleep;

use super::client::Asking;
use super::{AGAIN, list, text};
use crate::failure::Failure;
use crate::show;
use crate::terminal::print_line;

/// Characters for figures, small to large.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Samples in a line.
const WIDTH: usize = 60;

/// What is shown.
struct View {
    name: String,
    version: String,
    columns: Vec<String>,
    samples: Vec<Vec<Value>>,
    alerts: Vec<Value>,
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
                    let data: Value = serde_json::from_str(&data).unwrap_or_default();
                    match kind.as_str() {
                        "sample" => view.sample(&data),
                        "alert" => {
                            view.alerts =
                                list(&asking.json("/node-manager/v1/alerts").await?["raised"]).to_vec()
                        }
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
        let version = asking.json("/eth/v1/node/version").await;
        let history = asking.json("/node-manager/v1/history").await?;
        let alerts = asking.json("/node-manager/v1/alerts").await?;
        let columns = list(&history["columns"]).iter().map(text).collect();
        let samples = list(&history["samples"]).iter().map(|sample| list(sample).to_vec()).collect();
        Ok(Self {
            name: asking.name.clone(),
            version: version
                .map_or_else(|failure| failure.message, |version| text(&version["data"]["version"])),
            columns,
            samples,
            alerts: list(&alerts["raised"]).to_vec(),
        })
    }

    fn sample(&mut self, event: &Value) {
        let sample = [&event["minute"]].into_iter().chain(list(&event["values"])).cloned().collect();
        self.samples.push(sample);
    }

    fn figures(&self, column: &str) -> Vec<Option<i64>> {
        let at = self.columns.iter().position(|known| known == column);
        let figure = |sample: &Vec<Value>| at.and_then(|at| sample.get(at)).and_then(Value::as_i64);
        self.samples.iter().map(figure).collect()
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
            let figures = self.figures(column);
            let newest = figures.last().copied().flatten().map_or("-".to_owned(), |value| value.to_string());
            _ = writeln!(screen, "{name:<10} {newest:>9} {unit:<6} {}", bars(&figures));
        }
        if self.alerts.is_empty() {
            _ = writeln!(screen, "\nNothing is wrong.");
        }
        for alert in &self.alerts {
            let since = show::minute(&alert["since"]);
            _ = writeln!(screen, "\n! {since}  {}\n  {}", text(&alert["text"]), text(&alert["runbook"]));
        }
        print_line(screen);
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
