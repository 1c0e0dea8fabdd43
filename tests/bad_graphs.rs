//! Texts of graphs that were spoiled at random: each is read and analysed, or refused with an error; none panics.

mod common;

use std::panic::catch_unwind;

use common::Net;
use pruner::deps::{Analysis, AnalysisError, Group as _, Kept};
use pruner::graph::Graph;
use pruner::graph::verify::verify;
use pruner_bench::models::all;
use pruner_bench::rng::Rng;

/// The spoiled texts of each network.
const ROUNDS: usize = 300;
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "3",
    "-2",
    "4",
    "7",
    "8",
    "16",
    "1000003",
    "9223372036854775807",
    "-9223372036854775808",
    "4294967296",
];
const WORDS: &[&str] = &[
    "none",
    "true",
    "false",
    "1.5",
    "nan",
    "[]",
    "[1]",
    "[-1, 0]",
    "[v0]",
    "v0",
    "v1",
    "\"x\"",
    "dtype(i64)",
    "values[]",
];

/// The text with one to four of its numbers, arguments, operations or lines changed.
fn spoiled(text: &str, rng: &mut Rng) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let pick = |rng: &mut Rng, len: usize| rng.below(len.max(1) as u64) as usize;
    for _ in 0..=pick(rng, 4) {
        if lines.is_empty() {
            break;
        }
        let at = pick(rng, lines.len());
        let line = lines[at].clone();
        match pick(rng, 10) {
            0 => drop(lines.remove(at)),
            1 => {
                let to = pick(rng, lines.len());
                lines.swap(at, to);
            }
            2 => {
                // The operation of another line.
                let other = lines[pick(rng, lines.len())].clone();
                if let (Some(own), Some(others)) = (operation(&line), operation(&other)) {
                    lines[at] = line.replacen(own, others, 1);
                }
            }
            3 => {
                // An argument is something else.
                let starts: Vec<usize> = line.match_indices('=').map(|(place, _)| place + 1).skip(1).collect();
                if !starts.is_empty() {
                    let start = starts[pick(rng, starts.len())];
                    let end = line[start..].find([',', ')']).map_or(line.len(), |end| start + end);
                    lines[at] = format!("{}{}{}", &line[..start], WORDS[pick(rng, WORDS.len())], &line[end..]);
                }
            }
            4 => {
                // An argument is left out.
                if let (Some(start), Some(end)) = (line.find('('), line.rfind(", "))
                    && start < end
                {
                    lines[at] = format!("{})", &line[..end]);
                }
            }
            _ => {
                // A number is another.
                let numbers = numbers(&line);
                if !numbers.is_empty() {
                    let (start, end) = numbers[pick(rng, numbers.len())];
                    lines[at] = format!("{}{}{}", &line[..start], NUMBERS[pick(rng, NUMBERS.len())], &line[end..]);
                }
            }
        }
    }
    lines.join("\n")
}

fn operation(line: &str) -> Option<&str> {
    let start = line.find("aten::")?;
    Some(&line[start..start + line[start..].find('(')?])
}

fn numbers(line: &str) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (at, _) in line.char_indices().filter(|(_, c)| c.is_ascii_digit()) {
        match found.last_mut() {
            Some((_, end)) if *end == at => *end += 1,
            _ => found.push((at, at + 1)),
        }
    }
    found
}

/// What became of a text.
#[derive(Debug)]
enum End {
    Unread,
    Malformed,
    Refused,
    Analysed,
}

fn analyse(text: &str) -> End {
    let Ok(graph) = text.parse::<Graph>() else { return End::Unread };
    let sound = verify(&graph).is_ok();
    match Analysis::new(&graph) {
        Err(AnalysisError::Malformed(_) | AnalysisError::Empty) => {
            assert!(!sound);
            End::Malformed
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            End::Refused
        }
        Ok(analysis) => {
            assert!(sound);
            let mut kept = Kept::all();
            for group in analysis.groups().iter().filter(|group| group.pin().is_none() && group.size() > 1) {
                kept.remove(&analysis, group.id(), &[group.size() as u32 - 1]);
            }
            assert!(verify(&analysis.rewrite(&kept)).is_ok());
            assert!(
                analysis.rewrite(&Kept::all()).to_string() == graph.to_string(),
                "a cut of nothing changed the graph"
            );
            End::Analysed
        }
    }
}

#[test]
fn no_spoiled_text_of_a_graph_makes_the_analysis_panic() {
    let mut ends = [0; 4];
    let mut panics = Vec::new();
    for spec in all() {
        // The deepest networks have no operation that no other has.
        if ["resnet50", "resnext50", "shufflenet_v2", "densenet"].contains(&spec.name) {
            continue;
        }
        let text = Net::named(spec.name).module.graph().to_string();
        let mut rng = Rng::named(1, spec.name);
        for _ in 0..ROUNDS {
            let spoiled = spoiled(&text, &mut rng);
            if let Ok(end) = catch_unwind(|| analyse(&spoiled)) {
                ends[end as usize] += 1;
            } else {
                let changed = spoiled.lines().filter(|line| !text.contains(line));
                panics.push((spec.name, changed.map(str::to_owned).collect::<Vec<_>>()));
            }
        }
    }
    assert!(panics.is_empty(), "{panics:#?}");
    assert!(ends.iter().all(|&count| count > ROUNDS), "unread, malformed, refused and analysed: {ends:?}");
}

#[test]
fn no_text_at_all_makes_the_reader_panic() {
    let pieces = [
        "input",
        "param",
        "buffer",
        "const",
        "return",
        " ",
        "v0",
        "v1",
        "v99999999999",
        ":",
        "f32",
        "q8",
        "[",
        "]",
        "2",
        "-1",
        ",",
        "=",
        "aten::relu",
        "aten::",
        "(",
        ")",
        "self",
        "\n",
        "\"",
        "\\",
        "#",
        "é",
        "\u{0}",
        ".",
        "1e999",
        "none",
    ];
    let mut rng = Rng::new(8);
    for _ in 0..20_000 {
        let text: String = (0..rng.below(40)).map(|_| pieces[rng.below(pieces.len() as u64) as usize]).collect();
        assert!(catch_unwind(|| analyse(&text)).is_ok(), "{text:?}");
    }
}
