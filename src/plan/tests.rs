//! Plans, built from a line or two of snapshot.
