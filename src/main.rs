//! The `lockstep` program: hand the arguments over to [`lockstep::cli`]; nothing else.

fn main() -> std::process::ExitCode {
    lockstep::cli::main()
}
