//! Parse, run, print the error, exit code.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use tfbert::cli::{Cli, Command};

mod commands;

fn main() -> ExitCode {
    let cli = Cli::parse();
    init_log(cli.verbose);
    let result = match &cli.command {
        Command::Train(args) => commands::train::run(args, &cli),
        Command::Eval(args) => commands::eval::run(args, &cli),
        Command::Predict(args) => commands::predict::run(args, &cli),
        Command::Bench(args) => commands::bench::run(args, &cli),
        Command::Tasks(args) => commands::tasks::run(args),
        Command::Doctor(args) => commands::doctor::run(args, &cli),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tfbert::run::log_line(&format!("error: {error}"));
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Log lines on stderr, and in a run's `log.txt`: bare for people, with level and module under
/// `-v`.
fn init_log(verbose: bool) {
    let mut builder = env_logger::Builder::new();
    // A module's level would win over a bare `RUST_LOG=debug`.
    if std::env::var_os(env_logger::DEFAULT_FILTER_ENV).is_none() {
        let own = if verbose { log::LevelFilter::Debug } else { log::LevelFilter::Info };
        builder.filter_level(log::LevelFilter::Warn).filter_module("tfbert", own);
    }
    builder.format(move |buffer, record| {
        let line = match (record.level(), verbose) {
            (log::Level::Info, false) => record.args().to_string(),
            (level, false) => format!("{}: {}", level.as_str().to_lowercase(), record.args()),
            (level, true) => format!("[{level} {}] {}", record.target(), record.args()),
        };
        tfbert::run::log_line(&line);
        writeln!(buffer, "{line}")
    });
    builder.parse_default_env().init();
}
