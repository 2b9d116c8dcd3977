//! `tfbert report`.

use tfbert::cli::ReportArgs;
use tfbert::error::Result;
use tfbert::report::html::write_run_page;
use tfbert::run::RunFiles;

use super::print_line;

/// Writes `report.html` into each run's folder and prints its path.
pub fn run(args: &ReportArgs) -> Result<()> {
    for dir in &args.runs {
        let path = write_run_page(&RunFiles::read(dir)?)?;
        print_line(path.display())?;
    }
    Ok(())
}
