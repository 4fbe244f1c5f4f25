//! What `--help` and `--version` print.

use std::fmt::Write as _;

use super::table::{Flag, GROUPS, Group, Status};
use super::value::Kind;

/// The nwaku whose command line and API this is.
pub const NWAKU_VERSION: &str = "v0.38.1";

/// Columns of the text.
const WIDTH: usize = 100;

/// Where the explanations begin.
const MARGIN: usize = 40;

/// What `--version` prints, in the form of nwaku's: `own` is the program with its version, such as `waku-node 0.1.0`.
pub fn version(own: &str) -> String {
    format!("version / git commit hash: {NWAKU_VERSION} ({own})")
}

/// What `--help` prints.
pub fn help(program: &str) -> String {
    let mut text = format!("Usage: {program} [--name=value]...\n\n");
    text.push_str(&about());
    for group in &GROUPS {
        write_group(&mut text, group);
    }
    text.push('\n');
    text.push_str(&examples(program));
    text
}

fn about() -> String {
    let paragraphs = [
        "Runs a Waku node, a relay that may serve light clients, until SIGINT or SIGTERM. The flags are those \
         of nwaku's wakunode2.",
        "Write --name=value, --name:value or --name value, upper or lower case; a switch (BOOL) alone means \
         true. What is marked with * may be given several times.",
        "Each flag can also be a key of the TOML file that --config-file names (the name without --, lists in \
         brackets), or a variable of the environment: WAKUNODE2_TCP_PORT for --tcp-port, several values with \
         commas between, an empty one as good as none; WAKU_NODEKEY is WAKUNODE2_NODEKEY. The command line wins \
         over the environment, that over the file, and that over the preset.",
    ];
    let paragraphs = paragraphs.map(|paragraph| wrap(paragraph, 0));
    paragraphs.join("\n") + "\n--help prints this, --version the version.\n"
}

fn examples(program: &str) -> String {
    let examples = [
        ("A relay of The Waku Network, which does not check proofs:", "--preset=twn --rln-relay=false"),
        (
            "Two relays on one machine, on shard 0 of cluster 99:",
            "--cluster-id=99 --shard=0 --tcp-port=60000",
        ),
        ("", "--cluster-id=99 --shard=0 --tcp-port=60001 --staticnode=/ip4/127.0.0.1/tcp/60000"),
        (
            "A service node for light clients:",
            "--cluster-id=99 --num-shards-in-network=8 --filter --lightpush --store",
        ),
    ];
    let mut text = "Examples:\n".to_owned();
    for (title, flags) in examples {
        let title = if title.is_empty() { String::new() } else { format!("  {title}\n") };
        text = text + &title + &wrap(&format!("{program} {flags}"), 4);
    }
    text.push_str(
        "\nExit status: 0 after a signal, 1 when the command line is wrong or the node cannot start.\n",
    );
    text
}

fn write_group(text: &mut String, group: &Group) {
    let mut shown = group.flags.iter().filter(|flag| !flag.hidden).peekable();
    if shown.peek().is_some() {
        text.push('\n');
        text.push_str(group.title);
        text.push_str(":\n");
        shown.for_each(|flag| write_flag(text, flag));
    }
}

fn write_flag(text: &mut String, flag: &Flag) {
    let star = if flag.repeated { "*" } else { "" };
    let head = format!("  --{}={}{star}", flag.name, flag.placeholder);
    let explained = wrap(&explanation(flag), MARGIN);
    // One line for both where there is room for the head.
    if head.len() + 1 < MARGIN {
        let _ = write!(text, "{head:MARGIN$}{}", explained.trim_start());
    } else {
        let _ = write!(text, "{head}\n{explained}");
    }
}

fn explanation(flag: &Flag) -> String {
    let mut explanation = flag.help.to_owned();
    if let Kind::Choice(words) = flag.kind {
        explanation = explanation + ": " + &words.join(", ");
    }
    match flag.status {
        Status::NoEffect(why) => explanation = explanation + " (accepted; no effect: " + why + ")",
        Status::NotBuilt(_) => explanation += " (not built: may only be off)",
        Status::Works | Status::Removed(_) => {}
    }
    let default = flag.default.join(", ");
    if default.is_empty() { explanation } else { format!("{explanation} [{default}]") }
}

/// The text in lines of at most [`WIDTH`], each after `margin` spaces. A word that is longer stands alone.
fn wrap(text: &str, margin: usize) -> String {
    let mut wrapped = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        if column > 0 && column + 1 + word.len() > WIDTH {
            wrapped.push('\n');
            column = 0;
        }
        if column == 0 {
            wrapped.extend(std::iter::repeat_n(' ', margin));
            column = margin;
        } else {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += word.len();
    }
    wrapped.push('\n');
    wrapped
}

#[cfg(test)]
mod tests {
    use super::super::table::flags;
    use super::*;

    #[test]
    fn help_is_no_wider_than_a_hundred_columns() {
        for line in help("waku-node").lines() {
            assert!(line.len() <= WIDTH, "{line}");
        }
    }

    #[test]
    fn help_shows_every_flag_but_hidden_ones_with_its_default() {
        let help = help("waku-node");
        for flag in flags() {
            let head = help.find(&format!("  --{}=", flag.name));
            assert_eq!(head.is_some(), !flag.hidden, "{}", flag.name);
            let Some(head) = head else { continue };
            let block: String = help[head + 2..].split("  --").next().unwrap().split_whitespace().collect();
            for default in flag.default {
                assert!(block.contains(*default), "{}: {default}", flag.name);
            }
        }
    }

    #[test]
    fn version_begins_as_nwaku_s_does() {
        assert_eq!(version("waku-node 0.1.0"), "version / git commit hash: v0.38.1 (waku-node 0.1.0)");
    }
}
