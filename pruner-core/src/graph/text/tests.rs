//! The text form: what it prints, what it parses, and where it says that a text is wrong.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::graph::Dtype;
use crate::ids::NodeId;

const EXAMPLE: &str = r#"input v0: f32[2, 3, 8, 8] "x"
param v1: f32[16, 3, 3, 3] "conv.weight"
buffer v2: f32[16] "bn.running_mean"
const v3: i64[4] "index"
v4: f32[2, 16, 8, 8] = aten::conv2d(input=v0, weight=v1, bias=none, stride=[1, 1], padding=[1, 1], groups=1)
v5: f32[2, 8, 8, 8], v6: f32[2, 8, 8, 8] = aten::split.Tensor(self=v4, split_size=8, dim=1)
v7: f32[] = my::op(a=[v5, none], b=values[], c=[], d=floats[], e=bools[], f=[1.0, -inf, 1e-5], g=[true, false], h="a\n\"é", i=dtype(bf16), j=device("cuda:0"), k=layout(0), l=memory_format(1), m=-3, n=0.5, o=false)
aten::_assert_async(self=v7)
return v5, v6
"#;

#[test]
fn the_text_of_every_kind_of_statement_and_argument_prints_as_it_was_written() {
    let graph: Graph = EXAMPLE.parse().expect("the example is well formed");
    assert_eq!(graph.to_string(), EXAMPLE);
    assert_eq!(graph.inputs().len(), 1);
    assert_eq!(graph.nodes().len(), 4);
    assert_eq!(graph.outputs(), [ValueId::new(5), ValueId::new(6)]);
    let (_, node) = graph.nodes().nth(1).expect("there are four nodes");
    assert_eq!((node.op.as_str(), node.overload.as_str()), ("aten::split", "Tensor"));
}

#[test]
fn ids_are_free_and_a_use_may_stand_above_its_declaration() {
    let free: Graph =
        "# ids in any order\n\n v9 : f32[2]=aten::relu( self = v4 ) # trailing\ninput v4:f32[2]\nreturn v9"
            .parse()
            .expect("spaces, comments and order are free");
    assert_eq!(free.to_string(), "v0: f32[2] = aten::relu(self=v1)\ninput v1: f32[2]\nreturn v0\n");
}

#[test]
fn a_value_that_was_added_after_a_node_keeps_its_id() {
    let mut graph = Graph::new();
    let x = graph.add_input("x", TensorMeta::f32([2]));
    let y = graph.call("aten::relu", vec![("self", x.into())], TensorMeta::f32([2]));
    let w = graph.add_parameter("w", TensorMeta::f32([2]));
    let z = graph.call("aten::mul.Tensor", vec![("self", y.into()), ("other", w.into())], TensorMeta::f32([2]));
    graph.set_outputs(vec![z]);
    let text = graph.to_string();
    assert!(text.lines().nth(2).is_some_and(|line| line.starts_with("param v2")), "{text}");
    assert_eq!(text.parse::<Graph>().as_ref(), Ok(&graph));
}

#[test]
fn a_graph_that_names_values_it_does_not_have_prints_without_a_panic() {
    let mut graph: Graph = EXAMPLE.parse().expect("the example is well formed");
    graph.node_mut(NodeId::new(0)).results[0] = ValueId::new(99);
    graph.node_mut(NodeId::new(0)).arguments[0].1 = ValueId::new(98).into();
    graph.set_outputs(vec![ValueId::new(97)]);
    let text = graph.to_string();
    assert!(text.contains("v99: missing = aten::conv2d(input=v98"), "{text}");
}

#[track_caller]
fn check_error(text: &str, expected: &str) {
    let error = text.parse::<Graph>().expect_err("the text is malformed");
    assert_eq!(error.to_string(), expected);
}

#[test]
#[rustfmt::skip]
fn an_error_names_its_line_its_column_and_what_was_expected() {
    check_error("input x: f32[1]", "line 1, column 7: expected a value such as `v0`, found `x`");
    check_error("input v0 f32[1]", "line 1, column 10: expected `:` and the type of the value, such as `: f32[2, 3]`, found `f32`");
    check_error("input v0: float[1]", "line 1, column 11: expected an element type such as `f32`, `f16`, `bf16`, `i64` or `bool`, found `float`");
    check_error("input v0: f32[1, x]", "line 1, column 18: expected an integer, found `x`");
    check_error("input v0: f32[1", "line 1, column 16: expected `,` or `]`, found the end of the line");
    check_error("input v0: f32[1] \"x", "line 1, column 20: expected `\"` at the end of the string, found the end of the line");
    check_error("input v0: f32[1]\ninput v0: f32[1]", "line 2, column 7: `v0` is declared a second time; the first is on line 1");
    check_error("input v0: f32[1]\n\nreturn v0, v1", "line 3, column 12: `v1` is not declared");
    check_error("input v0: f32[1]\nreturn v0\ninput v1: f32[1]", "line 3, column 1: nothing may follow `return`");
    check_error("input v4294967296: f32[1]", "line 1, column 7: `v4294967296` is out of range");
    check_error("input v0: f32[9223372036854775808]", "line 1, column 15: `9223372036854775808` is out of range");
    check_error("v0: f32[1] = relu()", "line 1, column 14: expected an operation with its namespace such as `aten::add`, found `relu`");
    check_error("relu()", "line 1, column 1: expected `input`, `param`, `buffer`, `const`, `return`, a result such as `v0: f32[1]`, or an operation such as `aten::add`, found `relu`");
    check_error("a::b(x=[1, 2.0])", "line 1, column 12: expected an integer, as the list is one of integers, found `2.0`");
    check_error("a::b(x=[v0, 1])", "line 1, column 13: expected a value or `none`, as the list is one of values, found `1`");
    check_error("a::b(x=1e)", "line 1, column 8: expected a number, found `1e`");
    check_error("a::b(x=1,)", "line 1, column 10: expected an argument such as `self=v0`, found `)`");
    check_error("a::b(x=\"\\q\")", "line 1, column 9: expected an escape: `\\\"`, `\\\\`, `\\n`, `\\r`, `\\t`, `\\0` or `\\u{1f}`, found `\\`");
    check_error("a::b() c", "line 1, column 8: expected the end of the line, found `c`");
}

fn meta() -> impl Strategy<Value = TensorMeta> {
    let dtype = prop::sample::select(vec![Dtype::F32, Dtype::BF16, Dtype::I64, Dtype::Bool, Dtype::C64]);
    (vec(-1..5_i64, 0..4), dtype).prop_map(|(shape, dtype)| TensorMeta { shape, dtype })
}

fn float() -> impl Strategy<Value = f64> {
    prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL | prop::num::f64::INFINITE
}

/// An argument whose values are places among those that exist when it is used.
fn argument() -> impl Strategy<Value = Argument> {
    let id = || any::<u16>().prop_map(|index| ValueId::new(index.into()));
    prop_oneof![
        Just(Argument::None),
        id().prop_map(Argument::Value),
        vec(prop::option::of(id()), 0..4).prop_map(Argument::Values),
        any::<bool>().prop_map(Argument::Bool),
        any::<i64>().prop_map(Argument::Int),
        float().prop_map(Argument::Float),
        any::<String>().prop_map(Argument::Str),
        vec(any::<bool>(), 0..3).prop_map(Argument::Bools),
        vec(any::<i64>(), 0..3).prop_map(Argument::Ints),
        vec(float(), 0..3).prop_map(Argument::Floats),
        Just(Argument::Dtype(Dtype::F16)),
        any::<String>().prop_map(Argument::Device),
        any::<i64>().prop_map(Argument::Layout),
        any::<i64>().prop_map(Argument::MemoryFormat),
    ]
}

#[derive(Clone, Debug)]
enum Statement {
    Value(usize, String, TensorMeta),
    Node(String, String, Vec<(String, Argument)>, Vec<TensorMeta>),
}

fn statement() -> impl Strategy<Value = Statement> {
    let name = || prop_oneof!["[a-z_]{1,4}", any::<String>()];
    let op = prop_oneof!["aten::[a-z0-9_]{1,6}", "input|v1|return|relu", any::<String>()];
    prop_oneof![
        (0..4_usize, any::<String>(), meta()).prop_map(|(kind, name, meta)| Statement::Value(kind, name, meta)),
        (op, prop_oneof!["[A-Za-z0-9_]{0,6}", any::<String>()], vec((name(), argument()), 0..4), vec(meta(), 0..3))
            .prop_map(|(op, overload, arguments, results)| Statement::Node(op, overload, arguments, results)),
    ]
}

fn graph() -> impl Strategy<Value = Graph> {
    (vec(statement(), 0..12), vec(any::<u16>(), 0..3)).prop_map(|(statements, outputs)| {
        let mut graph = Graph::new();
        for statement in statements {
            let count = graph.values().len();
            let wrap = |id: &mut ValueId| *id = ValueId::new(id.index() % count);
            match statement {
                Statement::Value(kind, name, meta) => {
                    let origin = [Origin::Input, Origin::Parameter, Origin::Buffer, Origin::Constant][kind];
                    graph.add_value(name, origin, meta);
                }
                Statement::Node(op, overload, mut arguments, results) => {
                    for (_, argument) in &mut arguments {
                        match argument {
                            Argument::Value(_) | Argument::Values(_) if count == 0 => *argument = Argument::None,
                            Argument::Value(id) => wrap(id),
                            Argument::Values(ids) => ids.iter_mut().flatten().for_each(wrap),
                            _ => {}
                        }
                    }
                    let no_grad = results.len() == 1;
                    let node = graph.add_node(op, overload, arguments, results);
                    graph.node_mut(node).no_grad = no_grad;
                }
            }
        }
        let count = graph.values().len();
        if count > 0 {
            graph.set_outputs(outputs.into_iter().map(|output| ValueId::new(usize::from(output) % count)).collect());
        }
        graph
    })
}

fn character() -> impl Strategy<Value = char> {
    let telling: Vec<char> = " \"=[](),.:#-+0v\\{}un".chars().collect();
    prop_oneof![any::<char>(), prop::sample::select(telling)]
}

proptest! {
    #[test]
    fn every_graph_reads_back_equal_to_what_was_printed(graph in graph()) {
        let text = graph.to_string();
        prop_assert_eq!(text.parse::<Graph>(), Ok(graph), "{}", text);
    }

    #[test]
    fn a_mutated_text_is_read_or_refused_and_never_panics(
        edits in vec((any::<prop::sample::Index>(), 0..3_u8, character()), 1..20)
    ) {
        let mut text: Vec<char> = EXAMPLE.chars().collect();
        for (at, edit, character) in edits {
            if text.is_empty() {
                break;
            }
            let at = at.index(text.len());
            match edit {
                0 => text[at] = character,
                1 => text.insert(at, character),
                _ => { text.remove(at); }
            }
        }
        let text: String = text.into_iter().collect();
        if let Ok(graph) = text.parse::<Graph>() {
            prop_assert!(graph.to_string().parse::<Graph>().is_ok(), "{}", text);
        }
    }

    #[test]
    fn any_text_is_read_or_refused_and_never_panics(text in any::<String>()) {
        let _ = text.parse::<Graph>();
    }
}
