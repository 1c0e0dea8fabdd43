//! Archives of `torch.export`: read, cut, written back, and broken in thousands of ways.

#[path = "pt2/breaker.rs"]
mod breaker;
#[path = "pt2/support.rs"]
mod support;

use pruner_core::deps::{Analysis, Group, Kept};
use pruner_core::graph::{Argument, Dtype, Graph, Origin};
use pruner_core::pt2::{Mode, Pt2};

use support::{ARCHIVES, Case, archive, entries, entry, halved, json, open, replaced};

fn stored<'g>(graph: &'g Graph, name: &str) -> &'g pruner_core::graph::Value {
    graph.stored().find(|(_, value)| value.name == name).unwrap_or_else(|| panic!("`{name}` is stored")).1
}

#[test]
fn a_program_is_read_as_its_operations() {
    let model = open("residual");
    let graph = model.graph();
    let ops: Vec<_> = graph.nodes().map(|(_, node)| node.op.as_str()).collect();
    assert_eq!(ops[..4], ["aten::conv2d", "aten::batch_norm", "aten::relu", "aten::conv2d"]);
    assert_eq!(graph.inputs().len(), 1);
    assert_eq!(graph.shape(graph.outputs()[0]), [2, 5]);
    assert_eq!(stored(graph, "stem.weight").origin, Origin::Parameter);
    assert_eq!(stored(graph, "bn.running_mean").origin, Origin::Buffer);
    let norm = graph.nodes().nth(1).expect("there are two nodes").1;
    assert_eq!(norm.argument("training"), Some(&Argument::Bool(false)));
}

#[test]
fn tensors_that_are_one_in_the_archive_are_one_in_the_graph() {
    let model = open("transformer");
    let tied = model.graph().stored().filter(|(_, value)| value.meta.shape == [11, 8]).count();
    assert_eq!(tied, 1);
    let scale = model.graph().stored().find(|(_, value)| value.name == "scale").expect("the buffer is read").0;
    let (tensor, bytes) = model.tensor(scale).expect("it is stored");
    assert_eq!((&*tensor.strides, bytes.len()), (&[0, 1][..], 32));
}

#[test]
fn modes_are_inlined_and_all_element_types_are_read() {
    let model = open("modes");
    let graph = model.graph();
    let ops: Vec<_> = graph.nodes().map(|(_, node)| node.op.as_str()).collect();
    for op in ["aten::sin", "aten::matmul", "aten::add_", "aten::copy_"] {
        assert!(ops.contains(&op), "{op} is missing from {ops:?}");
    }
    let without: Vec<_> = graph.nodes().filter(|(_, node)| node.no_grad).map(|(_, node)| node.op.as_str()).collect();
    assert!(without.contains(&"aten::sin") && !without.contains(&"aten::matmul"));
    assert_eq!(graph.outputs().len(), 2);
    assert_eq!(stored(graph, "tiny").meta.dtype, Dtype::F8E4M3);
    assert_eq!(stored(graph, "calls").meta.dtype, Dtype::I64);
    assert_eq!(stored(graph, "second.weight").meta.dtype, Dtype::BF16);
    let fill = graph.nodes().find(|(_, node)| node.op == "aten::masked_fill").expect("it is there").1;
    assert_eq!(fill.argument("value"), Some(&Argument::Float(f64::NEG_INFINITY)));
}

#[test]
fn autocast_that_is_on_is_a_warning_and_autocast_that_is_off_is_none() {
    let on = open("modes");
    let [warning] = on.warnings() else { panic!("{:?}", on.warnings()) };
    let node = "node `matmul` (torch.ops.higher_order.wrap_with_autocast): ";
    assert!(warning.starts_with(node) && warning.contains("to bf16 on cpu"), "{warning}");
    let is_on = r#"{"as_scalar_type": 13}, "kind": 1}, {"name": "", "arg": {"as_bool": true}"#;
    let off = replaced("modes", "models/model.json", is_on, &is_on.replace("true", "false"));
    assert!(support::read(&off).warnings().is_empty());
}

#[test]
fn what_the_end_of_a_program_changes_is_copied_to_its_variable() {
    let model = open("functional");
    let graph = model.graph();
    assert_eq!(graph.outputs().len(), 1);
    let copies: Vec<_> = graph.nodes().filter(|(_, node)| node.op == "aten::copy_").map(|(_, node)| node).collect();
    let variables = copies.iter().filter_map(|node| node.inputs().next()).map(|value| graph.value(value).name.as_str());
    assert_eq!(variables.collect::<Vec<_>>(), ["calls", "seen"]);
    assert!(copies.iter().all(|node| node.no_grad));
    let analysis = Analysis::new(graph).expect("the graph is sound");
    let hidden = analysis.groups().iter().find(|group| group.name() == "first.weight:0").expect("it is a group");
    assert!(hidden.pin().is_none() && hidden.members().iter().any(|member| &*member.name == "seen"));
}

#[test]
fn what_is_not_cut_is_written_byte_for_byte() {
    for name in ARCHIVES {
        let written = Case::of(name).written(&Kept::all(), Mode::AsExported);
        assert_eq!(entries(&written), entries(&archive(name)), "{name}");
    }
}

#[test]
fn what_is_left_is_what_the_analysis_says() {
    for name in ARCHIVES {
        let case = Case::of(name);
        let (Case { model, analysis, .. }, kept) = (&case, halved(&case.analysis));
        let small = case.rewritten(&kept, Mode::AsExported);
        Analysis::new(small.graph()).expect("the rules fit what is left");
        let left = analysis.rewrite(&kept);
        for ((id, value), (_, expected)) in small.graph().values().zip(left.values()) {
            assert_eq!(value.meta, expected.meta, "{name}: {id} {}", value.name);
        }
        for (id, value) in model.graph().stored() {
            let (was, bytes) = model.tensor(id).expect("it is stored");
            let (is, left) = small.tensor(id).expect("it is stored");
            let positions = |dim: usize, at: i64| {
                let stay = kept.positions(analysis, &analysis.dims(id)[dim]);
                stay.map_or(at, |stay| i64::from(stay[at as usize]))
            };
            support::each_index(&is.meta.shape, |index| {
                let from: Vec<_> = index.iter().enumerate().map(|(dim, &at)| positions(dim, at)).collect();
                let found = support::element(is, left, index);
                assert_eq!(found, support::element(was, bytes, &from), "{name}: {} at {index:?}", value.name);
            });
        }
    }
}

#[test]
fn sizes_with_a_symbol_lose_a_part_of_its_multiple() {
    let case = Case::of("transformer");
    let written = case.written(&halved(&case.analysis), Mode::AsExported);
    let was = String::from_utf8(entry(&archive("transformer"), "models/model.json")).expect("JSON is text");
    let is = String::from_utf8(entry(&written, "models/model.json"));
    let is = is.expect("JSON is text");
    // Of a batch of any size times four heads, two heads are left.
    assert!(was.contains("Mul(Integer(4), Symbol('") && !was.contains("_operator.floordiv"));
    assert!(is.contains("Mul(Integer(2), Symbol('") && is.contains("_operator.floordiv"));
    let [was, is] = [was, is].map(|text| serde_json::from_str::<serde_json::Value>(&text).expect("it is JSON"));
    assert_eq!(was["range_constraints"], is["range_constraints"]);
}

#[test]
fn a_mask_changes_parameters_and_no_size() {
    let Case { folder, model, analysis } = Case::of("residual");
    let path = folder.path().join("masked.pt2");
    model.write_masked(&analysis, &halved(&analysis), &path).expect("it can be written");
    let (was, is) = (entries(&archive("residual")), entries(&std::fs::read(&path).expect("it was written")));
    for ((name, was), (other, is)) in was.iter().zip(&is) {
        assert_eq!((name, was.len()), (other, is.len()));
        assert!(was == is || name.contains("data/weights/weight_"), "{name} has changed");
    }
    assert_ne!(was, is);
}

#[test]
fn weights_are_written_by_all_of_their_names_and_read_over_those_of_an_archive() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (weights, path) = (folder.path().join("small.safetensors"), folder.path().join("small.pt2"));
    for name in ARCHIVES {
        let mut model = open(name);
        let analysis = Analysis::new(model.graph()).expect("the graph is sound");
        let all = Kept::all();
        model.write_weights(&analysis, &all, &weights).expect("they can be written");
        let read = model.read_weights(&weights).expect("they fit");
        assert!(read > 0, "{name}");
        model.write(&analysis, &all, Mode::AsExported, &path).expect("it can be written");
        let written = std::fs::read(&path).expect("it was written");
        assert_eq!(entries(&written), entries(&archive(name)), "{name}");

        model.write(&analysis, &halved(&analysis), Mode::AsExported, &path).expect("it can be written");
        model.write_weights(&analysis, &halved(&analysis), &weights).expect("they can be written");
        let bytes = std::fs::read(&weights).expect("they were written");
        let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("they can be read");
        let small = Pt2::open(&path).expect("what is written can be read");
        for (id, value) in small.graph().stored().filter(|(_, value)| value.origin != Origin::Constant) {
            let (stored, bytes) = small.tensor(id).expect("it is stored");
            let tensor = tensors.tensor(&value.name).expect("it is there");
            assert_eq!(tensor.shape().iter().map(|&size| size as i64).collect::<Vec<_>>(), stored.meta.shape);
            let (size, mut at) = (stored.meta.dtype.bytes(), 0);
            support::each_index(&stored.meta.shape, |index| {
                assert_eq!(
                    &tensor.data()[at..at + size],
                    support::element(stored, bytes, index),
                    "{name}: {}",
                    value.name
                );
                at += size;
            });
        }
    }
    let names = safetensors_names(&weights);
    assert!(names.iter().any(|name| name == "first.weight"), "{names:?}");
}

#[test]
fn weights_of_another_model_are_refused_and_change_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (weights, path) = (folder.path().join("other.safetensors"), folder.path().join("same.pt2"));
    let (mut residual, other) = (open("residual"), open("functional"));
    let analysis = Analysis::new(other.graph()).expect("the graph is sound");
    other.write_weights(&analysis, &Kept::all(), &weights).expect("they can be written");
    let error = residual.read_weights(&weights).expect_err("the names are others").to_string();
    assert!(error.contains("other.safetensors: `") && error.contains("is no parameter or buffer"), "{error}");
    let analysis = Analysis::new(residual.graph()).expect("the graph is sound");
    residual.write_weights(&analysis, &halved(&analysis), &weights).expect("they can be written");
    let error = residual.read_weights(&weights).expect_err("the shapes are others").to_string();
    assert!(error.contains("and the archive has f32["), "{error}");
    std::fs::write(&weights, b"no safetensors").expect("it can be written");
    let error = residual.read_weights(&weights).expect_err("it is no such file").to_string();
    assert!(error.contains("other.safetensors: "), "{error}");
    residual.write(&analysis, &Kept::all(), Mode::AsExported, &path).expect("it can be written");
    assert_eq!(entries(&std::fs::read(&path).expect("it was written")), entries(&archive("residual")));
}

fn safetensors_names(path: &std::path::Path) -> Vec<String> {
    let bytes = std::fs::read(path).expect("they were written");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("they can be read");
    tensors.names().into_iter().map(str::to_owned).collect()
}

#[test]
fn a_program_can_be_written_so_that_it_trains() {
    let train = Case::of("residual").rewritten(&Kept::all(), Mode::Train);
    for (op, switch) in [("aten::batch_norm", "training"), ("aten::dropout", "train")] {
        let node = train.graph().nodes().find(|(_, node)| node.op == op).expect("it is there").1;
        assert_eq!(node.argument(switch), Some(&Argument::Bool(true)), "{op}");
    }
}

#[test]
fn an_analysis_of_another_graph_is_refused() {
    let analysis = Analysis::new(open("modes").graph()).expect("the graph is sound");
    let error = open("residual").write(&analysis, &Kept::all(), Mode::AsExported, "never.pt2".as_ref());
    assert!(error.expect_err("it is another").to_string().contains("another graph"));
    assert!(!std::path::Path::new("never.pt2").exists());
}

#[test]
fn heads_are_found_without_a_hint() {
    let model = open("transformer");
    let analysis = Analysis::new(model.graph()).expect("the graph is sound");
    let free: Vec<_> = analysis.groups().iter().filter(|group| group.pin().is_none()).map(Group::size).collect();
    assert_eq!(free, [2, 4, 16], "the size of a head, the heads, the hidden units");
}

#[test]
fn pickles_and_other_schemas_are_refused_by_name() {
    let config = "data/weights/model_weights_config.json";
    let pickled = replaced("residual", config, r#""use_pickle": false"#, r#""use_pickle": true"#);
    assert!(support::error(&pickled).contains("is stored as a pickle"), "{}", support::error(&pickled));
    let newer = replaced("residual", "models/model.json", r#""major": 8"#, r#""major": 9"#);
    let error = support::error(&newer);
    assert!(error.contains("schema version 9.") && error.contains("8.0 to 8."), "{error}");
}

#[test]
fn lies_are_named() {
    let model = "models/model.json";
    let dangling = replaced(
        "residual",
        model,
        r#"{"as_tensor": {"name": "conv2d"}}, "kind": 1}, {"name": "weight""#,
        r#"{"as_tensor": {"name": "later"}}, "kind": 1}, {"name": "weight""#,
    );
    let error = support::error(&dangling);
    assert!(error.contains("node `batch_norm`") && error.contains("`later`, which nothing before it makes"), "{error}");
    let config = "data/weights/model_weights_config.json";
    let long = replaced("residual", config, r#""sizes": [{"as_int": 8}"#, r#""sizes": [{"as_int": 9000}"#);
    let error = support::error(&long);
    assert!(error.contains("stem.weight") && error.contains("bytes of `data/weights/weight_0`"), "{error}");
    let deep = json("residual", model, &format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)));
    assert!(support::error(&deep).contains("nested deeper"));
}
