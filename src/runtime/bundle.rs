//! Checkpoints as files: the tensors that one has, and a new one put together of two.
//!
//! A checkpoint's `.index` is a table as LevelDB writes it: blocks of sorted keys, each key without what
//! it shares with the one before, and at the end the place of a block that lists the blocks.

use std::path::Path;

use prost::Message;
use tensorflow::{
    DataType, Graph, Operation, Output, Session, SessionOptions, SessionRunArgs, Tensor,
};

use super::library::Library;
use super::session::explain;
use crate::error::{Error, Result};

/// The last eight bytes of a table.
const MAGIC: u64 = 0xdb47_7524_8b80_fb57;

/// Bytes of a table's footer.
const FOOTER: usize = 48;

/// TensorFlow's `BundleEntryProto`, without what is not used.
#[derive(Clone, PartialEq, Message)]
struct BundleEntry {
    #[prost(int32, tag = "1")]
    dtype: i32,
}

/// The name of each tensor in the bytes of an `.index`, and TensorFlow's number of its type; `None` where
/// they are no such table.
pub(crate) fn entries(index: &[u8]) -> Option<Vec<(String, i32)>> {
    let footer = index.get(index.len().checked_sub(FOOTER)?..)?;
    if footer[FOOTER - 8..] != MAGIC.to_le_bytes() {
        return None;
    }
    let mut handles = footer;
    place(&mut handles)?;
    let blocks = block(index, place(&mut handles)?)?;
    let mut found = Vec::new();
    for (_, at) in blocks {
        for (key, value) in block(index, place(&mut &at[..])?)? {
            // The entry without a name is the header.
            if !key.is_empty() {
                let entry = BundleEntry::decode(value).ok()?;
                found.push((String::from_utf8(key).ok()?, entry.dtype));
            }
        }
    }
    Some(found)
}

/// The keys and values of a block.
fn block(index: &[u8], (start, size): (usize, usize)) -> Option<Vec<(Vec<u8>, &[u8])>> {
    let end = start.checked_add(size)?;
    let contents = index.get(start..end)?;
    // The byte behind it names the compression; TensorFlow writes none.
    if *index.get(end)? != 0 {
        return None;
    }
    // At the end stand the places of whole keys, and their number.
    let (rest, count) = contents.split_at_checked(contents.len().checked_sub(4)?)?;
    let count = u32::from_le_bytes(count.try_into().ok()?) as usize;
    let mut rest = rest.get(..rest.len().checked_sub(count.checked_mul(4)?)?)?;
    let mut found: Vec<(Vec<u8>, &[u8])> = Vec::new();
    while !rest.is_empty() {
        let [shared, own, length] = [varint(&mut rest)?, varint(&mut rest)?, varint(&mut rest)?];
        let mut key = match found.last() {
            Some((last, _)) => last.get(..shared)?.to_vec(),
            None => Vec::new(),
        };
        key.extend_from_slice(rest.get(..own)?);
        let value = rest.get(own..own.checked_add(length)?)?;
        rest = rest.get(own + length..)?;
        found.push((key, value));
    }
    Some(found)
}

/// The place of a block: its first byte and its size.
fn place(bytes: &mut &[u8]) -> Option<(usize, usize)> {
    Some((varint(bytes)?, varint(bytes)?))
}

fn varint(bytes: &mut &[u8]) -> Option<usize> {
    let value = prost::encoding::decode_varint(bytes).ok()?;
    usize::try_from(value).ok()
}

/// Writes the checkpoint `into` with the tensors of `base`. Those that `takes` names come from
/// `other`.
///
/// # Errors
///
/// One of the two cannot be read, `other` lacks such a tensor, or the disk is full.
pub(super) fn merge(
    _library: &Library,
    base: &Path,
    other: &Path,
    into: &Path,
    takes: impl Fn(&str) -> bool,
) -> Result<()> {
    let known = read_entries(other)?;
    let (mut from_base, mut from_other) = (Vec::new(), Vec::new());
    for entry in read_entries(base)? {
        if !takes(&entry.0) {
            from_base.push(entry);
        } else if known.contains(&entry) {
            from_other.push(entry);
        } else {
            return Err(Error::new(format!("it has no weight `{}`", entry.0))
                .at(other)
                .hint("name the export that the model was trained from with `--export DIR`"));
        }
    }
    let mut graph = Graph::new();
    let mut tensors = Vec::new();
    for (i, (prefix, entries)) in [(base, &from_base), (other, &from_other)].iter().enumerate() {
        if !entries.is_empty() {
            let restore = restore(&mut graph, &i.to_string(), prefix, entries)?;
            tensors.extend(
                (0..entries.len())
                    .map(|index| Output { operation: restore.clone(), index: index as i32 }),
            );
        }
    }
    let names = from_base.iter().chain(&from_other).map(|(name, _)| name.clone()).collect();
    let inputs = checkpoint_inputs(&mut graph, "save", into, names)?;
    let save = build(&mut graph, "SaveV2", "save", |operation| {
        inputs.iter().for_each(|input| operation.add_input(input.clone()));
        operation.add_input_list(&tensors);
        Ok(())
    })?;
    let session =
        Session::new(&SessionOptions::new(), &graph).map_err(|status| explain(&status))?;
    let mut args = SessionRunArgs::new();
    args.add_target(&save);
    session.run(&mut args).map_err(|status| explain(&status).at(into))
}

fn read_entries(prefix: &Path) -> Result<Vec<(String, i32)>> {
    let path = prefix.with_extension("index");
    let index = std::fs::read(&path).map_err(|error| Error::io("read", &path, &error))?;
    entries(&index).ok_or_else(|| Error::new("it is not a checkpoint, or it is damaged").at(&path))
}

/// The operation that reads these tensors of a checkpoint.
fn restore(
    graph: &mut Graph,
    name: &str,
    prefix: &Path,
    entries: &[(String, i32)],
) -> Result<Operation> {
    let names = entries.iter().map(|(name, _)| name.clone()).collect();
    let inputs = checkpoint_inputs(graph, &format!("restore{name}"), prefix, names)?;
    let types = entries.iter().map(|&(_, number)| data_type(number)).collect::<Result<Vec<_>>>()?;
    build(graph, "RestoreV2", &format!("restore{name}"), |operation| {
        inputs.iter().for_each(|input| operation.add_input(input.clone()));
        Ok(operation.set_attr_type_list("dtypes", &types)?)
    })
}

/// The type with this number in TensorFlow's `types.proto`.
fn data_type(number: i32) -> Result<DataType> {
    match number {
        1 => Ok(DataType::Float),
        3 => Ok(DataType::Int32),
        7 => Ok(DataType::String),
        9 => Ok(DataType::Int64),
        10 => Ok(DataType::Bool),
        14 => Ok(DataType::BFloat16),
        _ => Err(Error::new(format!("a tensor of the checkpoint has the unknown type {number}"))),
    }
}

/// The constants of a checkpoint's path, of tensors' names, and of their slices, which are empty.
fn checkpoint_inputs(
    graph: &mut Graph,
    name: &str,
    prefix: &Path,
    names: Vec<String>,
) -> Result<[Operation; 3]> {
    let prefix = prefix
        .to_str()
        .ok_or_else(|| Error::new("TensorFlow takes only paths that are UTF-8").at(prefix))?;
    let list = |texts: &[String]| {
        Tensor::<String>::new(&[texts.len() as u64])
            .with_values(texts)
            .map_err(|status| explain(&status))
    };
    let slices = vec![String::new(); names.len()];
    Ok([
        constant(graph, &format!("{name}/prefix"), Tensor::from(prefix.to_owned()))?,
        constant(graph, &format!("{name}/names"), list(&names)?)?,
        constant(graph, &format!("{name}/slices"), list(&slices)?)?,
    ])
}

fn constant(graph: &mut Graph, name: &str, value: Tensor<String>) -> Result<Operation> {
    build(graph, "Const", name, |operation| {
        operation.set_attr_type("dtype", DataType::String)?;
        Ok(operation.set_attr_tensor("value", value)?)
    })
}

fn build(
    graph: &mut Graph,
    kind: &str,
    name: &str,
    fill: impl FnOnce(
        &mut tensorflow::OperationDescription<'_>,
    ) -> std::result::Result<(), Box<dyn std::error::Error>>,
) -> Result<Operation> {
    let failed = |what: &dyn std::fmt::Display| {
        Error::new(format!("TensorFlow failed to make the operation `{kind}`: {what}"))
    };
    let mut operation = graph.new_operation(kind, name).map_err(|error| failed(&error))?;
    fill(&mut operation).map_err(|error| failed(&error))?;
    operation.finish().map_err(|status| failed(&status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_table_has_no_entries() {
        assert_eq!(entries(b""), None);
        assert_eq!(entries(&[0; 100]), None);
    }
}
