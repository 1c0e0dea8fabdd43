//! The sample inputs of an archive, as `torch.save` writes them: a zip with a pickle of `(inputs, {})`.

use std::io::{self, Cursor};

use zip::ZipWriter;

use super::super::error::Pt2Error;
use super::super::strides;
use super::super::write::{Contents, write_entry};
use super::{Source, bytes};
use crate::graph::{Dtype, Graph};
use crate::ids::ValueId;

/// The sample inputs of a graph.
pub(super) struct Samples {
    inputs: Vec<(ValueId, u64)>,
    pickle: Vec<u8>,
}

impl Samples {
    pub(super) fn new(graph: &Graph) -> Result<Self, Pt2Error> {
        let inputs = graph.inputs().iter().map(|&input| Ok((input, bytes(graph, input)?)));
        Ok(Self { inputs: inputs.collect::<Result<_, Pt2Error>>()?, pickle: pickle(graph)? })
    }

    /// The whole file.
    pub(super) fn archive(&self, source: &dyn Source) -> io::Result<Vec<u8>> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let mut entry = |name: &str, contents| write_entry(&mut zip, &format!("archive/{name}"), &contents);
        entry("data.pkl", self.pickle.as_slice().into())?;
        entry("byteorder", b"little".as_slice().into())?;
        for (index, &(input, bytes)) in self.inputs.iter().enumerate() {
            let stream = Contents::Stream(bytes, Box::new(move |out| source.write(input, out)));
            entry(&format!("data/{index}"), stream)?;
        }
        entry("version", b"3\n".as_slice().into())?;
        Ok(zip.finish()?.into_inner())
    }
}

/// The opcodes of pickles that are written here.
mod op {
    pub(super) const PROTOCOL_2: &[u8] = &[0x80, 2];
    pub(super) const MARK: u8 = b'(';
    pub(super) const TUPLE: u8 = b't';
    pub(super) const EMPTY_TUPLE: u8 = b')';
    pub(super) const TUPLE2: u8 = 0x86;
    pub(super) const EMPTY_DICT: u8 = b'}';
    pub(super) const GLOBAL: u8 = b'c';
    pub(super) const UNICODE: u8 = b'X';
    pub(super) const LONG1: u8 = 0x8a;
    pub(super) const FALSE: u8 = 0x89;
    pub(super) const PERSISTENT: u8 = b'Q';
    pub(super) const REDUCE: u8 = b'R';
    pub(super) const STOP: u8 = b'.';
}

/// The pickle of the inputs, whose elements are the storages `0`, `1` and so on.
fn pickle(graph: &Graph) -> Result<Vec<u8>, Pt2Error> {
    let mut pickle = op::PROTOCOL_2.to_vec();
    pickle.push(op::MARK);
    for (index, &input) in graph.inputs().iter().enumerate() {
        let value = graph.value(input);
        let (shape, dtype) = (&value.meta.shape, value.meta.dtype);
        let unknown = || Pt2Error::tensor(&value.name, format!("a sample input of type {dtype} cannot be written"));
        let storage = storage(dtype).ok_or_else(unknown)?;
        global(&mut pickle, "torch._utils", "_rebuild_tensor_v2");
        pickle.push(op::MARK);
        pickle.push(op::MARK);
        unicode(&mut pickle, "storage");
        global(&mut pickle, "torch", storage);
        unicode(&mut pickle, &index.to_string());
        unicode(&mut pickle, "cpu");
        integer(&mut pickle, shape.iter().product());
        pickle.extend([op::TUPLE, op::PERSISTENT]);
        integer(&mut pickle, 0);
        integers(&mut pickle, shape);
        integers(&mut pickle, &strides::dense(shape, &vec![1; shape.len()]));
        pickle.push(op::FALSE);
        global(&mut pickle, "collections", "OrderedDict");
        pickle.extend([op::EMPTY_TUPLE, op::REDUCE, op::TUPLE, op::REDUCE]);
    }
    pickle.extend([op::TUPLE, op::EMPTY_DICT, op::TUPLE2, op::STOP]);
    Ok(pickle)
}

/// The class of PyTorch's that holds elements of a type.
fn storage(dtype: Dtype) -> Option<&'static str> {
    Some(match dtype {
        Dtype::U8 => "ByteStorage",
        Dtype::I8 => "CharStorage",
        Dtype::I16 => "ShortStorage",
        Dtype::I32 => "IntStorage",
        Dtype::I64 => "LongStorage",
        Dtype::F16 => "HalfStorage",
        Dtype::BF16 => "BFloat16Storage",
        Dtype::F32 => "FloatStorage",
        Dtype::F64 => "DoubleStorage",
        Dtype::C64 => "ComplexFloatStorage",
        Dtype::C128 => "ComplexDoubleStorage",
        Dtype::Bool => "BoolStorage",
        _ => return None,
    })
}

fn global(pickle: &mut Vec<u8>, module: &str, name: &str) {
    pickle.push(op::GLOBAL);
    pickle.extend(format!("{module}\n{name}\n").bytes());
}

fn unicode(pickle: &mut Vec<u8>, text: &str) {
    pickle.push(op::UNICODE);
    pickle.extend((text.len() as u32).to_le_bytes());
    pickle.extend(text.bytes());
}

fn integer(pickle: &mut Vec<u8>, number: i64) {
    pickle.extend([op::LONG1, 8]);
    pickle.extend(number.to_le_bytes());
}

fn integers(pickle: &mut Vec<u8>, numbers: &[i64]) {
    pickle.push(op::MARK);
    for &number in numbers {
        integer(pickle, number);
    }
    pickle.push(op::TUPLE);
}
