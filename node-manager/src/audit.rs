//! `audit`: who asked for what.

use node_manager::host::audit_path;
use waku_gateway::audit::{Entry, Filter, Phase, read};
use waku_pairing::party::Part;

use crate::args::{AuditArgs, Global};
use crate::failure::{Failure, Kind};
use crate::settings;
use crate::show;
use crate::terminal::{print_line, tell_line};

/// Shows the audit log, whether or not the service runs.
pub(crate) fn audit(global: &Global, args: &AuditArgs) -> Result<(), Failure> {
    let path = audit_path(&settings::data_dir(global, Part::NodeManager)?);
    let filter = Filter { service: args.service.clone(), ..Filter::default() };
    let reading = read(&path, &filter)
        .map_err(|error| Failure::new(Kind::Vault, format!("cannot read {}: {error}", path.display())))?;
    let is_wanted = |entry: &&Entry| {
        args.peer.as_ref().is_none_or(|peer| entry.name == *peer || entry.pairing.starts_with(peer.as_str()))
    };
    let mut wanted: Vec<_> = reading.entries.iter().filter(is_wanted).collect();
    wanted.drain(..wanted.len().saturating_sub(args.last));
    for entry in &wanted {
        if args.json {
            print_line(serde_json::to_string(entry).expect("plain data can be written as JSON"));
        } else {
            print_line(line(entry));
        }
    }
    if wanted.is_empty() {
        tell_line("Nothing was asked yet.");
    }
    if reading.damaged > 0 {
        tell_line(format_args!(
            "Warning: {} line(s) cannot be read: a crash cut them short, or somebody changed them.",
            reading.damaged
        ));
    }
    Ok(())
}

fn line(entry: &Entry) -> String {
    let outcome = match entry.phase {
        Phase::Begun => "begun".to_owned(),
        Phase::Refused => format!("refused {}", entry.status),
        Phase::Done => format!("{}, {} bytes", entry.status, entry.bytes),
    };
    let path = if entry.path.is_empty() { "(not on the list)" } else { &entry.path };
    format!("{}  {}  {} {path}: {outcome}", show::time(entry.at / 1000), entry.name, entry.method)
}
