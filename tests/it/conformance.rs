//! One suite per trait, run for every implementation.

mod queue;
mod store;

/// As the kernel counts this process (proc(5), status).
fn resident_kib(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
