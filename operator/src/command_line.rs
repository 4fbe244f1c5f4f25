//! The command line of nwaku's `wakunode2`: text in, typed options out.
//!
//! [`parse`] reads words, the environment and the file that `--config-file` names, in this order of strength, then
//! what `--preset` says, then defaults. [`table`] has every flag: parsing, help, file, environment and tests are
//! made from it.
//!
//! ```
//! use waku_operator::command_line::{Asked, Sources, parse};
//!
//! let words = ["--cluster-id=99", "--shard=0", "--rest"];
//! let sources = Sources::new("waku-node", words, [("WAKUNODE2_TCP_PORT", "30303")]);
//! let Ok(Asked::Run { options, warnings }) = parse(&sources, |_| unreachable!("no file is named")) else { panic!() };
//! assert_eq!(options.sharding.shards, [0]);
//! assert_eq!(options.addresses.tcp_port, 30303);
//! assert_eq!(options.rest.map(|rest| rest.port), Some(8645));
//! assert!(warnings.is_empty());
//! ```
//!
//! # Differences from nwaku
//! `--name value` is read too, where the next word does not begin with `--`. A cluster beyond 65535 is refused, not
//! wrapped. `--nat=none` does what nwaku documents. `postgresql://` is refused, not taken for memory. What crashes
//! nwaku is an error here: `--max-connections=0`, a ratio that is not 100, a bad `--mixkey`. Variables of the
//! environment are written as on the command line. A preset gives way to flags that are given, with a warning, and
//! cluster 2 is nobody's.

mod environment;
mod error;
mod file;
mod help;
mod nat;
mod near;
mod options;
mod preset;
mod problem;
mod quantity;
mod rate_limit;
mod resolve;
mod secret;
pub mod table;
mod value;
mod values;
mod words;

use std::io;
use std::path::Path;

use zeroize::Zeroizing;

pub use self::environment::variable;
pub use self::error::{EXIT_STATUS, Error, SourceError};
pub use self::help::{NWAKU_VERSION, help, version};
pub use self::nat::Nat;
pub use self::options::{
    Addresses, Certificate, Discovery, Discv5, Filter, Identity, Log, LogFormat, LogLevel, Metrics, Options,
    Peers, Relay, Rest, Services, Sharding, Store, WebSocket,
};
pub use self::preset::Preset;
pub use self::problem::Problem;
pub use self::rate_limit::{RateLimit, Service};
pub use self::secret::NodeKey;
pub use self::value::{Kind, ProtectedShard, ValueError};
pub use self::values::Origin;

use self::values::{Given, Values};

/// Where flags come from, but for the file. What is in it may be secret: it is wiped when dropped.
pub struct Sources {
    program: String,
    words: Vec<Zeroizing<String>>,
    variables: Vec<(String, Zeroizing<String>)>,
}

impl Sources {
    /// The program's name as messages use it, the words after it, and the environment.
    pub fn new<W: Into<String>, N: Into<String>, V: Into<String>>(
        program: &str,
        words: impl IntoIterator<Item = W>,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let secret = |text: String| Zeroizing::new(text);
        Self {
            program: program.to_owned(),
            words: words.into_iter().map(|word| secret(word.into())).collect(),
            variables: variables
                .into_iter()
                .map(|(name, value)| (name.into(), secret(value.into())))
                .collect(),
        }
    }

    /// Those of this process. What is not Unicode is read with replacement characters.
    pub fn of_process(default_program: &str) -> Self {
        let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
        let program = words.next();
        let name = program.as_deref().and_then(|path| Path::new(path).file_name()?.to_str());
        let name = name.unwrap_or(default_program).to_owned();
        let variables = std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()));
        Self::new(&name, words, variables)
    }

    /// The program's name.
    pub fn program(&self) -> &str {
        &self.program
    }
}

/// What a command line asks for.
#[derive(Debug)]
pub enum Asked {
    /// To print [`help`] and end with 0.
    Help,
    /// To print [`version`] and end with 0.
    Version,
    /// To run a node.
    Run {
        /// What it is to do.
        options: Box<Options>,
        /// What to log as warnings once there is a log. No secret is in them.
        warnings: Vec<String>,
    },
}

/// Reads everything that the flags can come from. `read_file` is called at most once, with the path that
/// `--config-file` gives; `std::fs::read_to_string` does.
///
/// # Errors
/// The first thing that is wrong: to be printed as [`Error::report`], and the process ends with [`EXIT_STATUS`].
pub fn parse(sources: &Sources, read_file: impl FnOnce(&Path) -> io::Result<String>) -> Result<Asked, Error> {
    let words = match words::read(&sources.program, &sources.words)? {
        words::Asked::Help => return Ok(Asked::Help),
        words::Asked::Version => return Ok(Asked::Version),
        words::Asked::Run(given) => given,
    };
    let environment = environment::read(&sources.variables)?;
    let file = match words.config_file().or_else(|| environment.config_file()) {
        Some(path) => file::read(path, &Zeroizing::new(text_of(path, read_file)?))?,
        None => Given::default(),
    };
    let mut warnings = Vec::new();
    let given = [(Origin::File, file), (Origin::Environment, environment), (Origin::CommandLine, words)];
    let values = Values::merge(given, &mut warnings);
    let options = resolve::options(values, &mut warnings)?;
    Ok(Asked::Run { options: Box::new(options), warnings })
}

fn text_of(path: &str, read: impl FnOnce(&Path) -> io::Result<String>) -> Result<String, Error> {
    read(Path::new(path)).map_err(|error| {
        let reason = match error.kind() {
            io::ErrorKind::NotFound => ValueError::NoFile,
            _ => ValueError::Unreadable(error.to_string()),
        };
        Error::Value { flag: "config-file", value: Some(path.to_owned()), reason }
    })
}
