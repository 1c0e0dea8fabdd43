//! The numbers by which the schema names element types, layouts and memory formats.

use crate::graph::Dtype;

/// Element types by the numbering of the schema.
const DTYPES: &[(u32, Dtype)] = &[
    (1, Dtype::U8),
    (2, Dtype::I8),
    (3, Dtype::I16),
    (4, Dtype::I32),
    (5, Dtype::I64),
    (6, Dtype::F16),
    (7, Dtype::F32),
    (8, Dtype::F64),
    (9, Dtype::C32),
    (10, Dtype::C64),
    (11, Dtype::C128),
    (12, Dtype::Bool),
    (13, Dtype::BF16),
    (28, Dtype::U16),
    (29, Dtype::F8E4M3),
    (30, Dtype::F8E5M2),
    (31, Dtype::F8E4M3Fnuz),
    (32, Dtype::F8E5M2Fnuz),
];

/// Memory formats: the schema's numbering, and libtorch's.
const MEMORY_FORMATS: &[(u32, i64)] = &[(1, 0), (2, 2), (3, 3), (4, 1)];

/// The schema's number of a dense tensor's layout, which is 0 in libtorch.
pub(super) const STRIDED: u32 = 7;

/// The kinds of arguments in the schema.
pub(super) const POSITIONAL: u32 = 1;
pub(super) const KEYWORD: u32 = 2;

/// The element type of a number of the schema.
pub(super) fn dtype(code: u32) -> Option<Dtype> {
    DTYPES.iter().find(|(number, _)| *number == code).map(|(_, dtype)| *dtype)
}

/// The number of an element type in the schema.
pub(super) fn dtype_code(dtype: Dtype) -> u32 {
    DTYPES.iter().find(|(_, other)| *other == dtype).map_or(0, |(number, _)| *number)
}

/// The memory format of a number of the schema, in libtorch's numbering.
pub(super) fn memory_format(code: u32) -> Option<i64> {
    MEMORY_FORMATS.iter().find(|(number, _)| *number == code).map(|(_, format)| *format)
}

/// The number in the schema of a memory format in libtorch's numbering.
pub(super) fn memory_format_code(format: i64) -> u32 {
    MEMORY_FORMATS.iter().find(|(_, other)| *other == format).map_or(0, |(number, _)| *number)
}
