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
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Log lines on stderr: bare for people, with level and module under `-v`.
fn init_log(verbose: bool) {
    let mut builder = env_logger::Builder::new();
    builder.filter_level(log::LevelFilter::Warn);
    if verbose {
        builder.filter_module("tfbert", log::LevelFilter::Debug);
    } else {
        builder.filter_module("tfbert", log::LevelFilter::Info);
        builder.format(|buffer, record| match record.level() {
            log::Level::Info => writeln!(buffer, "{}", record.args()),
            level => writeln!(buffer, "{}: {}", level.as_str().to_lowercase(), record.args()),
        });
    }
    builder.parse_default_env().init();
}
