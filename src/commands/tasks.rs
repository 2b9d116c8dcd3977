//! `tfbert tasks`.

use tfbert::cli::TasksArgs;
use tfbert::error::{Error, Result};
use tfbert::task::{self, Task};

use super::print_line;

pub fn run(args: &TasksArgs) -> Result<()> {
    if let Some(name) = &args.show {
        let task = task::find(name)?;
        let json =
            serde_json::to_string_pretty(&task).map_err(|error| Error::new(error.to_string()))?;
        return print_line(json);
    }
    let row = |cells: [&str; 4]| {
        print_line(format!("{:<10} {:<9} {:<34} {}", cells[0], cells[1], cells[2], cells[3]))
    };
    row(["task", "head", "metrics", "what it asks"])?;
    for task in task::tasks() {
        row([&task.name, task.head.name(), &metrics(task), &task.description])?;
    }
    Ok(())
}

fn metrics(task: &Task) -> String {
    task.metrics.iter().map(|metric| metric.name()).collect::<Vec<_>>().join(", ")
}
