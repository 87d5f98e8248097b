//! The `lockstep` program: parse arguments, hand over to [`lockstep::cli`]; nothing else.

fn main() {}
