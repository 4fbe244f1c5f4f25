//! What operators and their tools see of a Waku node, as nwaku's `wakunode2` has it: command line, metrics, log lines.
//! Text in, text out: no network and no runtime. The only files read are those that flags name, and the kernel's figures
//! of this process.

pub mod command_line;
pub mod log;
pub mod metrics;
