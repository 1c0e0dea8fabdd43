//! The table of operations against the schemas of libtorch: operations and arguments have the names that they have there.
#![cfg(feature = "torch")]

use std::collections::BTreeSet;

use pruner_core::aten::Operator;
use pruner_core::graph::Graph;
use pruner_core::ops::{self, Rewrite};

/// Overloads under which operations of the table stand in libtorch; the first that is there tells that it exists.
const OVERLOADS: &[&str] = &[
    "",
    "Tensor",
    "Scalar",
    "self",
    "int",
    "dim",
    "default",
    "Tensor_Tensor",
    "input",
    "data",
    "intlist",
    "start",
    "using_ints",
    "memory_format",
    "int_Scalar",
    "src",
    "two",
    "dtype",
    "sizes",
    "sections",
    "vec",
    "Dimname",
];

#[test]
fn every_operation_of_the_table_is_one_of_libtorch() {
    let known = |op: &str| OVERLOADS.iter().any(|overload| Operator::find(op, overload).is_ok());
    let names = ops::names().expect("the table is sound");
    let unknown: Vec<_> = names.into_iter().filter(|op| !known(op) && !known(&format!("{op}_"))).collect();
    assert!(unknown.is_empty(), "libtorch has not: {unknown:?}");
}

/// A node of each operation whose arguments are rewritten, as it stands in a trace.
const REWRITTEN: &str = r#"
input v0: f32[2, 4, 6] "x"
input v1: f32[4] "four"
input v2: f32[6] "six"
input v3: f32[2, 1, 6] "row"
input v4: f32[8, 2, 3] "weight"
input v6: f32[2, 4, 6, 6] "image"
v10: f32[8, 6] = aten::view(self=v0, size=[8, 6])
v11: f32[8, 6] = aten::_unsafe_view(self=v0, size=[8, 6])
v12: f32[8, 6] = aten::reshape(self=v0, shape=[8, 6])
v13: f32[2, 4, 2, 3] = aten::unflatten.int(self=v0, dim=2, sizes=[2, 3])
v14: f32[2, 4, 6] = aten::expand(self=v3, size=[2, 4, 6])
v15: f32[2, 4, 6] = aten::broadcast_to(self=v3, size=[2, 4, 6])
v16: f32[4, 4, 6] = aten::repeat(self=v0, repeats=[2, 1, 1])
v17: f32[4, 4, 6] = aten::tile(self=v0, dims=[2, 1, 1])
v18: f32[2, 8, 6] = aten::repeat_interleave.self_int(self=v0, repeats=2, dim=1, output_size=8)
v19: f32[2, 4] = aten::squeeze.dim(self=v20, dim=1)
input v20: f32[2, 1, 4] "s"
v21: f32[2, 4, 6] = aten::squeeze(self=v0)
v22: f32[2, 2, 6], v23: f32[2, 2, 6] = aten::chunk(self=v0, chunks=2, dim=1)
v24: f32[2, 2, 6], v25: f32[2, 2, 6] = aten::split.Tensor(self=v0, split_size=2, dim=1)
v26: f32[2, 2, 6], v27: f32[2, 2, 6] = aten::split_with_sizes(self=v0, split_sizes=[2, 2], dim=1)
v28: f32[2, 2, 6], v29: f32[2, 2, 6] = aten::tensor_split.sections(self=v0, sections=2, dim=1)
v30: f32[2, 2, 6] = aten::slice.Tensor(self=v0, dim=1, start=1, end=-1, step=1)
v31: f32[2, 2, 6] = aten::narrow(self=v0, dim=1, start=-3, length=2)
v32: f32[2, 2, 6] = aten::slice.Tensor(self=v0, dim=1, start=-4, end=-1, step=2)
v33: f32[2, 4, 6] = aten::layer_norm(input=v0, normalized_shape=[6], weight=v2, bias=v2)
v34: f32[2, 4, 6], v35: f32[2, 4, 1], v36: f32[2, 4, 1] = aten::native_layer_norm(input=v0, normalized_shape=[6], weight=v2, bias=v2, eps=1e-5)
v37: f32[2, 4, 6] = aten::rms_norm(input=v0, normalized_shape=[6], weight=v2)
v38: f32[2, 4, 6], v39: f32[2, 4, 1] = aten::_fused_rms_norm(input=v0, normalized_shape=[6], weight=v2, eps=none)
v40: f32[2, 4, 6] = aten::group_norm(input=v0, num_groups=2, weight=v1, bias=v1)
v41: f32[2, 4, 6], v42: f32[2, 2], v43: f32[2, 2] = aten::native_group_norm(input=v0, weight=v1, bias=v1, N=2, C=4, HxW=6, group=2, eps=1e-5)
v44: f32[2, 8, 4] = aten::conv1d(input=v0, weight=v4, bias=none, groups=2)
v45: f32[2, 8, 4] = aten::convolution(input=v0, weight=v4, bias=none, stride=[1], padding=[0], dilation=[1], transposed=false, output_padding=[0], groups=2)
v46: f32[2, 4, 8] = aten::conv_transpose1d(input=v0, weight=v47, bias=none, groups=2)
input v47: f32[4, 2, 3] "transposed"
v48: f32[2, 4, 6] = aten::scaled_dot_product_attention(query=v0, key=v0, value=v0)
v49: f32[2, 3] = aten::zeros(size=[2, 3])
v50: f32[2, 3] = aten::ones(size=[2, 3])
v51: f32[2, 3] = aten::full(size=[2, 3], fill_value=0.0)
v52: f32[2, 3] = aten::empty.memory_format(size=[2, 3])
v53: f32[2, 3] = aten::rand(size=[2, 3])
v54: f32[2, 3] = aten::randn(size=[2, 3])
v55: f32[2, 3] = aten::randint(high=5, size=[2, 3])
v56: f32[2, 3] = aten::new_zeros(self=v0, size=[2, 3])
v57: f32[2, 3] = aten::new_ones(self=v0, size=[2, 3])
v58: f32[2, 3] = aten::new_full(self=v0, size=[2, 3], fill_value=0.0)
v59: f32[2, 3] = aten::new_empty(self=v0, size=[2, 3])
v60: f32[2, 3] = aten::normal.float_float(mean=0.0, std=1.0, size=[2, 3])
v61: f32[2, 5, 7] = aten::pad(self=v0, pad=[0, 1, 1, 0], mode="constant", value=none)
v62: f32[2, 5, 7] = aten::constant_pad_nd(self=v0, pad=[0, 1, 1, 0], value=0.0)
v63: f32[2, 4, 6, 6] = aten::channel_shuffle(self=v6, groups=2)
v64: f32[2, 4, 6, 6] = aten::native_channel_shuffle(self=v6, groups=2)
return v64
"#;

#[test]
fn arguments_that_are_rewritten_have_the_names_of_the_schema() {
    let graph: Graph = REWRITTEN.parse().unwrap_or_else(|error| panic!("{error}"));
    let names = |op: &str, overload: &str| -> BTreeSet<String> {
        let operator = Operator::find(op, overload).unwrap_or_else(|error| panic!("{op}.{overload}: {error}"));
        operator.arguments().iter().map(|argument| argument.name.clone()).collect()
    };
    for (id, node) in graph.nodes() {
        let (mut op, mut schema) = (node.op.clone(), names(&node.op, &node.overload));
        let check = |op: &str, schema: &BTreeSet<String>, name: &str| {
            assert!(schema.contains(name), "{op} has no argument `{name}`");
        };
        for (name, _) in &node.arguments {
            check(&op, &schema, name);
        }
        let rule = ops::rule(&graph, id).unwrap_or_else(|error| panic!("{error}")).expect("every node has a row");
        assert!(!rule.rewrites.is_empty() || op == "aten::squeeze", "{op} is rewritten");
        for rewrite in &rule.rewrites {
            match rewrite {
                Rewrite::Op { op: becomes, overload, arguments, .. } => {
                    (op, schema) = (becomes.clone(), names(becomes, overload));
                    for (name, _) in arguments {
                        check(&op, &schema, name);
                    }
                }
                Rewrite::Size { argument, .. } | Rewrite::Sizes { argument, .. } | Rewrite::Value { argument, .. } => {
                    check(&op, &schema, argument);
                }
            }
        }
    }
}
