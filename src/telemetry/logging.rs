//! Logs: JSON for machines or text for people, on stderr, filtered by `RUST_LOG`.

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    Text,
}
