//! Stories, told as an operator would tell them, on every back end.

mod containment;
