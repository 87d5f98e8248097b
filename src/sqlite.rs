//! One SQLite file with one writer that groups waiting writes into one transaction and one fsync.
