//! Puts this program's kernels into a SavedModel's graph, in place of functions that XLA would compile.

use std::fs;
use std::path::Path;

use prost::Message;
use prost::encoding::{
    DecodeContext, WireType, check_wire_type, decode_key, decode_varint, encode_key, encode_varint,
    skip_field,
};

use super::functions::{FLOAT, Function};
use super::kernel_ops::RamFolder;
use super::library::Library;
use super::proto::{AttrValue, NodeDef};
use super::session::Threads;
use crate::error::{Error, Result};
use crate::saved_model::{Description, EXPORT_ANEW, Encoder};

/// The file of a SavedModel's graphs.
const GRAPHS: &str = "saved_model.pb";

/// The fields that lead from a SavedModel to the nodes of its functions: `SavedModel.meta_graphs`,
/// `MetaGraphDef.graph_def`, `GraphDef.library`, `FunctionDefLibrary.function`, `FunctionDef.node_def`.
const FUNCTION_NODES: [u32; 5] = [2, 2, 2, 1, 3];

/// The graphs of a SavedModel with kernels of this program, in memory: a SavedModel without weights.
pub(super) struct WithKernels {
    folder: RamFolder,
}

impl WithKernels {
    /// Rewrites the graphs of the SavedModel in `path`, a training graph of an export. `None` where the kernels cannot be used: on a GPU, without AVX2, and for an export of an older version.
    pub(super) fn make(
        library: &Library,
        export: &Description,
        path: &Path,
        threads: Threads,
    ) -> Result<Option<Self>> {
        let encoder = &export.encoder;
        // Four elements of a row share a random word.
        let width = encoder.embedding_size.unwrap_or(encoder.hidden_size);
        let has_widths = width.is_multiple_of(4) && encoder.hidden_size.is_multiple_of(4);
        if !export.names_functions() || !has_widths || !library.register_kernels(threads) {
            return Ok(None);
        }
        Self::of(path, encoder)
    }

    fn of(path: &Path, encoder: &Encoder) -> Result<Option<Self>> {
        let graphs = path.join(GRAPHS);
        let bytes = fs::read(&graphs).map_err(|error| Error::io("read", &graphs, &error))?;
        let mut replaced = 0;
        let rewritten = map_fields(&bytes, &FUNCTION_NODES, &mut |node| {
            let node = NodeDef::decode(node).map_err(text)?;
            Ok(Function::called_by(&node).map(|function| {
                replaced += 1;
                let nodes = with_kernel(node, function, encoder);
                nodes.iter().map(Message::encode_to_vec).collect()
            }))
        })
        .map_err(|error| {
            Error::new(format!("the export's graphs cannot be read: the file is damaged ({error})"))
                .at(&graphs)
                .hint(EXPORT_ANEW)
        })?;
        if replaced == 0 {
            return Ok(None);
        }
        log::debug!("{}: {replaced} calls run as kernels of this program", path.display());
        Ok(Some(Self { folder: RamFolder::with_file(GRAPHS, &rewritten)? }))
    }

    /// The folder, for TensorFlow.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

fn text(error: prost::DecodeError) -> String {
    error.to_string()
}

/// The nodes that take the place of a call of a function: this program's operation, and where it takes variables, those
/// that read and assign them.
fn with_kernel(mut node: NodeDef, function: Function, encoder: &Encoder) -> Vec<NodeDef> {
    node.op = function.operation().into();
    node.attr.retain(|name, _| name == "Tin" || name == "Tout");
    node.attr.insert("function".into(), AttrValue::int(function.number() as i64));
    let heads = encoder.num_attention_heads;
    let head_size = encoder.hidden_size / heads.max(1);
    node.attr.insert("heads".into(), AttrValue::int(heads as i64));
    node.attr.insert("epsilon".into(), AttrValue::float(encoder.layer_norm_eps as f32));
    node.attr.insert("scale".into(), AttrValue::float((head_size as f32).sqrt().recip()));
    match function.variables() {
        0 => vec![node],
        count => with_values(node, count, function.changed_variables()),
    }
}

/// Gives an operation the values of its first arguments, which are variables: `count` of them, of which it changes the
/// first `changed`.
///
/// The C API has no access to variables. So a variable is read, and destroyed if the operation changes it: then the
/// operation is the only owner of the tensor and computes its result in the same memory. The result becomes the
/// variable's value. If something else still holds the tensor, TensorFlow gives the operation new memory, and the result
/// is the same.
fn with_values(node: NodeDef, count: usize, changed: usize) -> Vec<NodeDef> {
    let part = |name: &str, index: usize| format!("{}/{name}_{index}", node.name);
    let is_control = |input: &&String| input.starts_with('^');
    let before: Vec<String> = node.input.iter().filter(is_control).cloned().collect();
    let operation = |name: String, op: &str, input: Vec<String>| NodeDef {
        name,
        op: op.into(),
        input,
        device: node.device.clone(),
        attr: [].into(),
    };
    let of_variable = |name, op, input| {
        let mut node = operation(name, op, input);
        node.attr.insert("dtype".into(), AttrValue::number_format(FLOAT));
        node
    };
    let mut nodes = Vec::new();

    let variables = &node.input[..count];
    let reads = variables.iter().enumerate().map(|(index, variable)| {
        let input = [std::slice::from_ref(variable), &before].concat();
        of_variable(part("read", index), "ReadVariableOp", input)
    });
    nodes.extend(reads);
    let destroys = variables[..changed].iter().enumerate().map(|(index, variable)| {
        let input = vec![variable.clone(), format!("^{}", part("read", index))];
        let mut node = operation(part("destroy", index), "DestroyResourceOp", input);
        node.attr.insert("ignore_lookup_error".into(), AttrValue::bool(false));
        node
    });
    nodes.extend(destroys);

    let compute = format!("{}/compute", node.name);
    let values = (0..count).map(|index| format!("{}:value:0", part("read", index)));
    let destroyed = (0..changed).map(|index| format!("^{}", part("destroy", index)));
    let input = values.chain(node.input[count..].iter().cloned()).chain(destroyed).collect();
    let mut kernel = operation(compute.clone(), &node.op, input);
    kernel.attr = node.attr.clone();
    let mut inputs = node.types("Tin");
    inputs[..count].fill(FLOAT);
    kernel.attr.insert("Tin".into(), AttrValue::number_formats(inputs));
    kernel.attr.insert("Tout".into(), AttrValue::number_formats(vec![FLOAT; changed]));
    nodes.push(kernel);

    let assigns = variables[..changed].iter().enumerate().map(|(index, variable)| {
        let input = vec![variable.clone(), format!("{compute}:output:{index}")];
        let mut node = of_variable(part("assign", index), "AssignVariableOp", input);
        node.attr.insert("validate_shape".into(), AttrValue::bool(false));
        node
    });
    nodes.extend(assigns);
    // What waits for the call waits for this node, which has its name.
    let assigned = (0..changed).map(|index| format!("^{}", part("assign", index))).collect();
    nodes.push(operation(node.name.clone(), "NoOp", assigned));
    nodes
}

/// A copy of a protocol buffer message in which other messages take the place of those that `fields`, a path of field
/// numbers, leads to. `change` gets each of them and returns those that replace it, or `None` if it stays.
fn map_fields(
    message: &[u8],
    fields: &[u32],
    change: &mut impl FnMut(&[u8]) -> std::result::Result<Option<Vec<Vec<u8>>>, String>,
) -> std::result::Result<Vec<u8>, String> {
    let Some((&field, inner)) = fields.split_first() else {
        return Ok(message.to_vec());
    };
    let mut copy = Vec::with_capacity(message.len());
    let mut rest = message;
    while !rest.is_empty() {
        let whole = rest;
        let (tag, wire_type) = decode_key(&mut rest).map_err(text)?;
        if tag == field {
            check_wire_type(WireType::LengthDelimited, wire_type).map_err(text)?;
            let length =
                usize::try_from(decode_varint(&mut rest).map_err(text)?).unwrap_or(usize::MAX);
            let (value, after) =
                rest.split_at_checked(length).ok_or("a field goes beyond the end")?;
            let changed = if inner.is_empty() { change(value)? } else { None };
            let values = match changed {
                Some(values) => values,
                None => vec![map_fields(value, inner, change)?],
            };
            for value in values {
                encode_key(field, WireType::LengthDelimited, &mut copy);
                encode_varint(value.len() as u64, &mut copy);
                copy.extend_from_slice(&value);
            }
            rest = after;
        } else {
            skip_field(wire_type, tag, &mut rest, DecodeContext::default()).map_err(text)?;
            copy.extend_from_slice(&whole[..whole.len() - rest.len()]);
        }
    }
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::functions::{BFLOAT16, BOOL, FLOAT, RESOURCE, UINT32};
    use crate::runtime::proto::NameAttrList;

    /// A node that calls a function with these formats.
    fn call(function: &str, inputs: &[i32], outputs: &[i32]) -> NodeDef {
        let types = |types: &[i32]| AttrValue::number_formats(types.to_vec());
        let func = Some(NameAttrList { name: function.into() });
        let input = (0..inputs.len()).map(|index| format!("x:{index}"));
        NodeDef {
            name: "call".into(),
            op: "PartitionedCall".into(),
            input: input.chain(["^before".into()]).collect(),
            device: String::new(),
            attr: [
                ("Tin".to_owned(), types(inputs)),
                ("Tout".to_owned(), types(outputs)),
                ("f".to_owned(), AttrValue { func, ..AttrValue::default() }),
                ("config_proto".to_owned(), AttrValue::int(1)),
            ]
            .into(),
        }
    }

    /// A field of bytes.
    fn field(number: u32, value: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_key(number, WireType::LengthDelimited, &mut bytes);
        encode_varint(value.len() as u64, &mut bytes);
        bytes.extend_from_slice(value);
        bytes
    }

    /// A SavedModel whose one function has these nodes, with other fields at each level.
    fn saved_model(nodes: &[NodeDef]) -> Vec<u8> {
        let nodes: Vec<u8> =
            nodes.iter().flat_map(|node| field(3, &node.encode_to_vec())).collect();
        let levels = FUNCTION_NODES[..4].iter().rev();
        levels.fold(nodes, |inner, &number| {
            [vec![0x38, 0x05], field(number, &inner), field(15, b"other")].concat()
        })
    }

    fn replaced(bytes: &[u8]) -> std::result::Result<Vec<u8>, String> {
        map_fields(bytes, &FUNCTION_NODES, &mut |node| {
            let mut node = NodeDef::decode(node).map_err(text)?;
            Ok(Function::called_by(&node).map(|function| {
                node.op = function.operation().into();
                vec![node.encode_to_vec()]
            }))
        })
    }

    #[test]
    fn calls_of_known_functions_become_operations_and_all_else_stays() {
        let known = call("__inference__gelu_forward_12", &[FLOAT, FLOAT], &[FLOAT]);
        let unknown = call("__inference__other_3", &[FLOAT], &[FLOAT]);
        let operation = NodeDef { op: "TfbertGeluForward".into(), ..known.clone() };
        let found = replaced(&saved_model(&[unknown.clone(), known])).unwrap();
        assert_eq!(found, saved_model(&[unknown, operation]));
    }

    #[test]
    fn a_call_with_other_arguments_than_the_kernel_has_stays() {
        let called = |name: &str, inputs: &[i32], outputs: &[i32]| {
            Function::called_by(&call(name, inputs, outputs))
        };
        let gelu = "__inference__gelu_forward_12";
        assert_eq!(called(gelu, &[FLOAT, FLOAT], &[FLOAT]), Some(Function::GeluForward));
        assert_eq!(called(gelu, &[FLOAT, FLOAT], &[UINT32]), None);
        assert_eq!(called(gelu, &[FLOAT], &[FLOAT]), None);
        assert_eq!(called("gelu_forward_12", &[FLOAT, FLOAT], &[FLOAT]), None);
        assert_eq!(called("__inference__gelu_forward_x", &[FLOAT, FLOAT], &[FLOAT]), None);
        let split = "__inference__split_1";
        let inputs = [FLOAT; 3];
        assert_eq!(called(split, &inputs, &[FLOAT; 2]), Some(Function::Split));
        assert_eq!(called(split, &inputs, &[FLOAT; 4]), None);
        assert_eq!(called("__inference__merge_parts_1", &[FLOAT; 4], &[FLOAT]), None);
        let update = |terms: &[i32]| {
            let formats = [&[RESOURCE; 3][..], terms, &[FLOAT, BOOL], &[FLOAT; 5]].concat();
            called("__inference__update_1", &formats, &[])
        };
        assert_eq!(update(&[FLOAT]), Some(Function::Update));
        assert_eq!(update(&[BFLOAT16; 2]), Some(Function::Update));
        assert_eq!(update(&[BFLOAT16, FLOAT]), None);
        assert_eq!(update(&[]), None);
    }

    fn encoder() -> Encoder {
        serde_json::from_value(serde_json::json!({
            "name": "e", "hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4,
            "intermediate_size": 8, "vocab_size": 9, "max_position_embeddings": 8,
            "type_vocab_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
            "initializer_range": 0.02, "pad_token_id": 0,
        }))
        .unwrap()
    }

    #[test]
    fn an_operation_keeps_its_inputs_and_has_the_constants_of_the_encoder() {
        let node = call("__inference__merge_1", &[FLOAT], &[FLOAT]);
        let nodes = with_kernel(node.clone(), Function::Merge, &encoder());
        let [found] = &nodes[..] else { panic!("{nodes:?}") };
        assert_eq!((found.op.as_str(), &found.input), ("TfbertMerge", &node.input));
        let names: Vec<&str> = found.attr.keys().map(String::as_str).collect();
        assert_eq!(names, ["Tin", "Tout", "epsilon", "function", "heads", "scale"]);
        assert_eq!(found.attr["heads"].i, Some(4));
        assert_eq!((found.attr["epsilon"].f, found.attr["scale"].f), (Some(1e-12), Some(0.25)));
    }

    #[test]
    fn an_operation_gets_the_values_of_variables_and_its_results_become_their_values() {
        let floats = [FLOAT; 7];
        let formats = [&[RESOURCE, RESOURCE, RESOURCE][..], &floats].concat();
        let mut node = call("__inference__move_1", &formats, &[]);
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.into()).collect::<Vec<String>>();
        node.input =
            texts(&["w", "m", "v", "a:0", "a:1", "a:2", "a:3", "a:4", "a:5", "a:6", "^before"]);
        assert_eq!(Function::called_by(&node), Some(Function::Move));
        let nodes = with_kernel(node, Function::Move, &encoder());
        let found: Vec<(&str, &str, &[String])> =
            nodes.iter().map(|n| (&*n.name, &*n.op, &*n.input)).collect();
        let expected = [
            ("call/read_0", "ReadVariableOp", texts(&["w", "^before"])),
            ("call/read_1", "ReadVariableOp", texts(&["m", "^before"])),
            ("call/read_2", "ReadVariableOp", texts(&["v", "^before"])),
            ("call/destroy_0", "DestroyResourceOp", texts(&["w", "^call/read_0"])),
            (
                "call/compute",
                "TfbertAdamWMove",
                texts(&[
                    "call/read_0:value:0",
                    "call/read_1:value:0",
                    "call/read_2:value:0",
                    "a:0",
                    "a:1",
                    "a:2",
                    "a:3",
                    "a:4",
                    "a:5",
                    "a:6",
                    "^before",
                    "^call/destroy_0",
                ]),
            ),
            ("call/assign_0", "AssignVariableOp", texts(&["w", "call/compute:output:0"])),
            ("call", "NoOp", texts(&["^call/assign_0"])),
        ];
        let expected = expected.each_ref().map(|(name, op, input)| (*name, *op, &input[..]));
        assert_eq!(found, expected);
        let compute = &nodes[4];
        assert_eq!((compute.types("Tin"), compute.types("Tout")), (vec![FLOAT; 10], vec![FLOAT]));
    }

    #[test]
    fn a_damaged_file_is_an_error() {
        let bytes = saved_model(&[call("__inference__merge_1", &[FLOAT], &[FLOAT])]);
        for end in 1..bytes.len() {
            // A message may also end between two of its fields.
            let _ = replaced(&bytes[..end]);
        }
        assert!(replaced(&bytes[..bytes.len() - 1]).is_err());
        assert!(replaced(&[0x12, 0x05, 0x00]).unwrap_err().contains("beyond the end"));
    }
}
