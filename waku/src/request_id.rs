//! The id a request bears and its response repeats.

use getrandom::SysRng;
use rand_core::{Rng as _, UnwrapErr};

/// A new one, of 128 random bits: nothing but its being asked can be told from it.
pub(crate) fn request_id() -> String {
    let mut rng = UnwrapErr(SysRng);
    format!("{:016x}{:016x}", rng.next_u64(), rng.next_u64())
}
