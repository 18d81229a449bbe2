//! The `tamis` command: parse, call, turn the outcome into an exit code.

fn main() -> std::process::ExitCode {
    tamis::app::main()
}
