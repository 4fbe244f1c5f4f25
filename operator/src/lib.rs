//! What operators and their tools see of a Waku node, as nwaku's `wakunode2` has it: command line, metrics, log lines.
//! Text in, text out: no network, no runtime, no files but the one that a flag names.

pub mod command_line;
