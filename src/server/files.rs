//! How many files, and so sockets, this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Enough for all connections of both listeners, the stores and what goes out.
const WANTED: u64 = 16 * 1024;

/// Raises the limit as far as it is wanted and allowed; what it is then. Shells and containers commonly start us with
/// 1024 of many more that are allowed, which strangers could use up before any limit of ours.
pub(super) fn allow_enough() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(WANTED, |most| most.min(WANTED));
    let now = limit.current.unwrap_or(u64::MAX);
    let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
    let files = if now < wanted && setrlimit(Resource::Nofile, raised).is_ok() { wanted } else { now };
    usize::try_from(files).unwrap_or(usize::MAX)
}
