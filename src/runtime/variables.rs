//! The variables of a SavedModel, read one at a time without its graph.

use std::path::Path;

use tensorflow::{
    DataType, Graph, Operation, Session, SessionOptions, SessionRunArgs, Tensor as TfTensor,
};

use super::library::Library;
use super::session::{explain, status_text};
use crate::error::{Error, Result};
use crate::model::Tensor;

/// What follows a variable's object path in a checkpoint.
const VALUE: &str = "/.ATTRIBUTES/VARIABLE_VALUE";

/// A SavedModel's variables.
pub struct Variables {
    prefix: String,
    session: Session,
    inputs: [Operation; 3],
    restore: Operation,
    /// The session uses the library.
    _library: Library,
}

impl Variables {
    /// Opens the variables of the SavedModel in `dir`: a graph of the one operation that reads them.
    ///
    /// # Errors
    ///
    /// The path is not UTF-8, or TensorFlow cannot make the graph.
    pub fn open(library: &Library, dir: &Path) -> Result<Self> {
        let prefix = dir.join("variables").join("variables");
        let prefix = prefix
            .to_str()
            .ok_or_else(|| Error::new("TensorFlow takes only paths that are UTF-8").at(dir))?
            .to_owned();
        let mut graph = Graph::new();
        let (inputs, restore) = restore_operation(&mut graph)?;
        let session =
            Session::new(&SessionOptions::new(), &graph).map_err(|status| explain(&status))?;
        Ok(Self { prefix, session, inputs, restore, _library: library.clone() })
    }

    /// The float32 variable with this object path (`encoder/pooler/kernel`).
    ///
    /// # Errors
    ///
    /// There is none, it has another type, or the file is damaged.
    pub fn read(&self, path: &str) -> Result<Tensor> {
        let prefix = TfTensor::<String>::from(self.prefix.clone());
        let list = |text: String| {
            TfTensor::<String>::new(&[1]).with_values(&[text]).map_err(|status| explain(&status))
        };
        let names = list(format!("{path}{VALUE}"))?;
        let slices = list(String::new())?;
        let mut args = SessionRunArgs::new();
        for (operation, tensor) in self.inputs.iter().zip([&prefix, &names, &slices]) {
            args.add_feed(operation, 0, tensor);
        }
        let token = args.request_fetch(&self.restore, 0);
        self.session.run(&mut args).map_err(|status| {
            Error::new(format!("the weight `{path}` could not be read: {}", status_text(&status)))
                .at(Path::new(&self.prefix))
        })?;
        let found: TfTensor<f32> = args.fetch(token).map_err(|status| explain(&status))?;
        let shape: Vec<usize> = found.dims().iter().map(|&dim| dim as usize).collect();
        Ok(Tensor::from_floats(&shape, found.to_vec()))
    }
}

/// `RestoreV2`, which reads tensors of a checkpoint: the placeholders of its three inputs, and itself.
fn restore_operation(graph: &mut Graph) -> Result<([Operation; 3], Operation)> {
    let failed = |error: &dyn std::fmt::Display| {
        Error::new(format!("TensorFlow failed to make the operation that reads weights: {error}"))
    };
    let mut placeholder = |name: &str| -> Result<Operation> {
        let mut operation =
            graph.new_operation("Placeholder", name).map_err(|error| failed(&error))?;
        operation.set_attr_type("dtype", DataType::String).map_err(|error| failed(&error))?;
        operation.finish().map_err(|status| failed(&status))
    };
    let inputs = [placeholder("prefix")?, placeholder("names")?, placeholder("slices")?];
    let mut restore =
        graph.new_operation("RestoreV2", "restore").map_err(|error| failed(&error))?;
    for input in &inputs {
        restore.add_input(input.clone());
    }
    restore.set_attr_type_list("dtypes", &[DataType::Float]).map_err(|error| failed(&error))?;
    let restore = restore.finish().map_err(|status| failed(&status))?;
    Ok((inputs, restore))
}
