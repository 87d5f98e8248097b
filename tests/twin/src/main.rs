//! The twin as a program, to poke at with curl.
fn main() {}
