//! What the doctor is told.

use std::path::PathBuf;

use clap::Args;

use super::NetworkArgs;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  node-manager doctor
  node-manager doctor --json
  node-manager doctor --staticnode=/ip4/203.0.113.7/tcp/60000      while the service does not run

Exit status 0 when nothing failed, warnings or not; 1 when something did.")]
pub(crate) struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// Look at this file with what apps may ask, in place of the service's
    #[arg(long, value_name = "FILE", env = "NODE_MANAGER_CONFIG", help_heading = "Services")]
    pub(crate) config: Option<PathBuf>,

    /// Look at this list of services, in place of the service's
    #[arg(long, value_name = "FILE", env = "NODE_MANAGER_SERVICES", help_heading = "Services")]
    pub(crate) services: Option<PathBuf>,

    /// Examine nothing: print the rule for polkit that lets a user start and stop the units of the list, and no others
    ///
    /// It belongs into a file below /etc/polkit-1/rules.d. USER is whom the service runs as.
    #[arg(long, value_name = "USER", help_heading = "Services", conflicts_with = "json")]
    pub(crate) polkit_rule: Option<String>,

    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}
