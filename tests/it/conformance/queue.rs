//! The promises of `lockstep::queue::Queue`.
