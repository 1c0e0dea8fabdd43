//! Groups of small networks: each file in `groups/` is a graph, a line `---`, and its groups, one per line.
//!
//! A line is `name xSIZE [role] [pinned (why)] [inexact at NODE]: members`, a member `tensor:dimension`; the role of channels is not
//! written. Where positions of the
//! dimension are not the coordinates one for one, brackets say which coordinate each position belongs to: `0..4` four in
//! order, `2*3` three of the same, `_` none of this group, `(0..4)*2` all that twice.

use std::fmt::Write as _;
use std::path::Path;

use pruner_core::deps::{Analysis, AxisGroup, Group, Layout, Member, Role};
use pruner_core::graph::Graph;
use pruner_core::graph::verify::verify;

#[test]
fn every_graph_has_the_groups_that_are_written_below_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/groups");
    let mut files: Vec<_> = folder.read_dir().expect("the folder is there").flatten().map(|file| file.path()).collect();
    files.sort_unstable();
    let mut wrong = String::new();
    for file in &files {
        let text = std::fs::read_to_string(file).expect("the file is text");
        let (graph, expected) = text.split_once("\n---\n").expect("a line `---` stands between graph and groups");
        let graph: Graph = graph.parse().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        verify(&graph).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        match Analysis::new(&graph).map(|analysis| print(&analysis)) {
            Ok(found) if found == expected => {}
            Ok(found) => writeln!(wrong, "{}: expected\n{expected}found\n{found}", file.display()).expect("a string"),
            Err(error) => writeln!(wrong, "{}: {error}", file.display()).expect("a string"),
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(files.len() >= 38, "only {} graphs were found", files.len());
}

fn print(analysis: &Analysis) -> String {
    let mut lines: Vec<String> = analysis.groups().iter().map(line).collect();
    lines.extend(analysis.unknown_ops().iter().map(|(op, node)| format!("no rule: {op} at {node}")));
    lines.join("\n") + "\n"
}

fn line(group: &AxisGroup) -> String {
    let pin = group.pin().map(|pin| format!(" pinned ({pin})")).unwrap_or_default();
    let inexact = group.inexact().map(|node| format!(" inexact at {node}")).unwrap_or_default();
    let members: Vec<String> = group.members().iter().map(member).collect();
    let role =
        Some(group.role()).filter(|role| *role != Role::Channels).map(|role| format!(" {role}")).unwrap_or_default();
    format!("{} x{}{role}{pin}{inexact}: {}", group.name(), group.size(), members.join(" "))
}

fn member(member: &Member) -> String {
    let Member { name, dim, layout, .. } = member;
    match layout {
        Layout::Identity(_) => format!("{name}:{dim}"),
        _ => format!("{name}:{dim}[{}]", pattern(&layout.coordinates().collect::<Vec<_>>())),
    }
}

fn pattern(positions: &[Option<u32>]) -> String {
    let mut runs = Vec::new();
    let mut rest = positions;
    while let [first, ..] = rest {
        let name = first.map_or_else(|| "_".to_owned(), |at| at.to_string());
        let same = rest.iter().take_while(|at| *at == first).count();
        let rising = first.map_or(0, |from| (from..).zip(rest).take_while(|(at, found)| Some(*at) == **found).count());
        let (run, len) = match first {
            _ if same > 1 => (format!("{name}*{same}"), same),
            Some(from) if rising > 1 => (format!("{name}..{}", *from as usize + rising), rising),
            _ => (name, 1),
        };
        runs.push(run);
        rest = &rest[len..];
    }
    let period = (1..=runs.len()).find(|&period| runs.chunks(period).all(|chunk| *chunk == runs[..period]));
    match period {
        Some(period) if period < runs.len() => format!("({})*{}", runs[..period].join(" "), runs.len() / period),
        _ => runs.join(" "),
    }
}

#[test]
fn a_pattern_says_which_coordinate_each_position_has() {
    let of = |positions: &[i64]| pattern(&positions.iter().map(|&at| u32::try_from(at).ok()).collect::<Vec<_>>());
    assert_eq!(of(&[0, 1, 2, -1, -1, 5]), "0..3 _*2 5");
    assert_eq!(of(&[0, 0, 1, 1, 0, 0, 1, 1]), "(0*2 1*2)*2");
    assert_eq!(of(&[3, 2, -1, 0]), "3 2 _ 0");
}
