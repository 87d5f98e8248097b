//! The promises of `lockstep::store::Store`.
