//! Parses the arguments, runs the command, prints its error, and ends with its exit code.

use std::io::Write;
use std::process::ExitCode;

use tfbert::cli::{self, Command, DataCommand};
use tfbert::error::ErrorKind;

mod commands;

fn main() -> ExitCode {
    let arguments = match commands::recall::arguments(std::env::args_os().collect(), false) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(error.exit_code());
        }
    };
    let cli = cli::parse(arguments);
    init_log(cli.verbose);
    let result = match &cli.command {
        Command::Train(args) => commands::train::run(args, &cli),
        Command::Sweep(args) => commands::train::sweep(args, &cli),
        Command::Launch(args) => commands::launch::run(args, &cli),
        Command::Eval(args) => commands::eval::run(args, &cli),
        Command::Predict(args) => commands::predict::run(args, &cli),
        Command::Export(args) => commands::export::run(args, &cli),
        Command::Data(DataCommand::Check(args)) => commands::train::check(args, &cli),
        Command::Data(DataCommand::Fetch(args)) => commands::fetch::run(args),
        Command::Compare(args) => commands::compare::run(args),
        Command::Report(args) => commands::report::run(args),
        Command::Bench(args) => commands::bench::run(args, &cli),
        Command::Tasks(args) => commands::tasks::run(args),
        Command::Completions(args) => commands::shell::completions(args),
        Command::Man(args) => commands::shell::man(args),
        Command::Setup(args) => commands::setup::run(args),
        Command::Doctor(args) => commands::doctor::run(args, &cli),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == ErrorKind::OutputClosed => ExitCode::from(error.exit_code()),
        Err(error) => {
            tfbert::run::log_line(&format!("error: {error}"));
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Writes log lines to stderr and to the run's `log.txt`: the message alone (warnings with their
/// level), and with `-v` level and module too.
fn init_log(verbose: bool) {
    let mut builder = env_logger::Builder::new();
    // `RUST_LOG=debug` sets every module's level, so no level is set for this module then.
    let filter = std::env::var_os(env_logger::DEFAULT_FILTER_ENV);
    if filter.is_none_or(|filter| filter.is_empty()) {
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
