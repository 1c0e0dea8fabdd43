//! The page of results, and a line of it.

use std::fmt::Write as _;

use super::row::{Results, Row, Times};

/// What an analysis is to be faster by, on every model.
const ANALYSIS_TARGET: f64 = 100.0;
/// What a step is to be faster by at the geometric mean; on no model it is to be slower.
const STEP_TARGET: f64 = 10.0;
/// What a step may take beside a copy, on every model.
const COPY_TARGET: f64 = 2.0;

/// How many times as long Torch-Pruning takes from a model to its groups.
fn analysis(row: &Row) -> Option<f64> {
    row.peer.groups_ms.over(&row.own.groups_ms)
}

/// The same with the time in which we read the archive.
fn from_file(row: &Row) -> Option<f64> {
    let own = row.own.read_ms.0.iter().zip(&row.own.groups_ms.0).map(|(read, groups)| read + groups);
    row.peer.groups_ms.over(&Times(own.collect()))
}

/// How many times as long Torch-Pruning takes for a step.
fn step(row: &Row) -> Option<f64> {
    row.peer.step_ms.over(&row.own.step_ms)
}

/// How many times as long as a copy of bytes our step takes.
fn copy(row: &Row) -> Option<f64> {
    row.own.step_ms.over(&row.own.copy_ms)
}

/// How many times as long as a copy by libtorch our step takes.
fn tensor_copy(row: &Row) -> Option<f64> {
    row.own.step_ms.over(&row.own.tensor_copy_ms)
}

/// What a run tells of a model once it is done.
pub(super) fn line(row: &Row) -> String {
    format!(
        "{}: analysis {}, step {} as fast as Torch-Pruning's; step {} of a copy of bytes, {} of one by libtorch",
        row.model,
        times(analysis(row)),
        times(step(row)),
        times(copy(row)),
        times(tensor_copy(row))
    )
}

/// The page.
pub(super) fn page(results: &Results) -> String {
    let about = &results.about;
    let versions: Vec<String> = about.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let mut page = format!(
        "# Beside Torch-Pruning\n\n\
         Written by `cargo xtask compare`, from what it ran and nothing else: {}, built {} debug assertions; each on {} thread, of {} cores of an {}.\n\n",
        versions.join(", "),
        if about.debug_assertions { "with" } else { "without" },
        about.threads,
        about.cores,
        about.cpu
    );
    page.push_str(INTRODUCTION);
    write!(page, "\n## Targets\n\n{}", targets(&results.rows)).expect("a string takes all");
    write!(page, "\n## Ratios\n\n{RATIOS}").expect("a string takes all");
    for row in &results.rows {
        let ratios = [analysis(row), from_file(row), step(row), copy(row), tensor_copy(row)].map(times).join(" | ");
        let memory = row.peer.grown_bytes.map(|bytes| bytes as f64 / row.own.grown_bytes.max(1) as f64);
        let [own, peer] = [Some(row.own.macs_left), row.peer.macs_left]
            .map(|left| left.map_or("–".to_owned(), |left| format!("{:.1}", 100.0 * left as f64 / row.macs as f64)));
        let failures: Vec<String> = row.peer.failures.iter().map(|(at, why)| format!("{at}: {}", plain(why))).collect();
        let failures = failures.join("; ");
        writeln!(page, "| {} | {ratios} | {} | {own} | {peer} | {failures} |", row.model, times(memory))
            .expect("a string takes all");
    }
    write!(page, "\n## Times\n\n{TIMES}").expect("a string takes all");
    for row in &results.rows {
        let (own, peer) = (&row.own, &row.peer);
        let columns = [&own.read_ms, &own.groups_ms, &peer.groups_ms, &peer.forward_ms];
        let steps = [
            &own.score_ms,
            &own.plan_ms,
            &own.apply_ms,
            &own.step_ms,
            &own.copy_ms,
            &own.tensor_copy_ms,
            &peer.step_ms,
        ];
        let [columns, steps] = [columns.map(ms).join(" | "), steps.map(ms).join(" | ")];
        let memory = [Some(own.bytes), Some(own.bytes_kept), Some(own.grown_bytes), peer.grown_bytes];
        let groups = peer.groups.map_or("–".to_owned(), |groups| groups.to_string());
        let memory = memory.map(mib).join(" | ");
        writeln!(page, "| {} | {} / {groups} | {columns} | {steps} | {memory} |", row.model, own.groups)
            .expect("a string takes all");
    }
    page
}

const INTRODUCTION: &str = "\
The models are torchvision's, with random weights and one image as input. Each side is a process of its own, and they are asked by turns. A time is
the median of the rounds and a ratio the median of the ratios of each round, after a round that warms up; where Torch-Pruning gets through one round
only, that one counts. It is given a time limit for each model, the layer that makes the classes as ignored, and the numbers of heads of attention.

- *analysis*: Torch-Pruning takes `build_dependency` and `get_all_groups` from a model to its groups, which runs the model once (*forward*). We analyse the
  graph of an export, which has been run before, and was checked when it was read; *from file* counts reading the archive in, too.
- *step*: scores by magnitude (L2) and the cut of half of every group. What is analysed before it, and loading or copying the model, is not counted on either side.
- *copy of bytes*: all weights are read once, and as many bytes as are kept are written once, by plain loops, to memory of which as much is new as the system gave in the
  step. A step has to do more: it reads what stays once again, since no slice is made before all scores are known, makes tensors, and gives the old weights back.
- *copy by libtorch*: the same with its operators on the tensors themselves: a `sum` of each, and a new one with as many elements as are kept of it.
- *memory*: what the process held at most in a step, beside what it held before; the most of all rounds.
- *MACs left*: in percent, of both counted by our counts; what Torch-Pruning leaves is exported anew for it. Torch-Pruning does not cut all groups that we do.
";

const RATIOS: &str = "\
| model | analysis | from file | step | our step of a copy of bytes | of a copy by libtorch | memory of a step | MACs left, % | Torch-Pruning's | what failed there |
|---|--:|--:|--:|--:|--:|--:|--:|--:|---|
";

const TIMES: &str = "\
In milliseconds and MiB; groups are ours / Torch-Pruning's.

| model | groups | read | analysis | Torch-Pruning's | of it forward | scores | plan | apply | step | copy of bytes | by libtorch | Torch-Pruning's step | weights | kept | taken by our step | by Torch-Pruning's |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
";

/// Each target with what was reached.
fn targets(rows: &[Row]) -> String {
    let all = |ratio: fn(&Row) -> Option<f64>| rows.iter().filter_map(move |row| Some((row, ratio(row)?)));
    let met = |met: bool| if met { "met" } else { "**missed**" };
    let mut text = String::from("| target | reached | |\n|---|---|---|\n");
    let mut tell = |target: String, reached: String, is_met: bool| {
        writeln!(text, "| {target} | {reached} | {} |", met(is_met)).expect("a string takes all");
    };
    let analyses: Vec<_> = all(analysis).collect();
    let met_by = analyses.iter().filter(|(_, ratio)| *ratio >= ANALYSIS_TARGET).count();
    tell(
        format!("analysis {ANALYSIS_TARGET} × as fast on every model"),
        format!("on {met_by} of {}; {}", analyses.len(), spread(&analyses)),
        met_by == analyses.len(),
    );
    let steps: Vec<_> = all(step).collect();
    let mean = geometric_mean(&steps);
    tell(
        format!("step {STEP_TARGET} × as fast at the geometric mean"),
        spread(&steps),
        mean.is_some_and(|mean| mean >= STEP_TARGET),
    );
    let slower = steps.iter().filter(|(_, ratio)| *ratio < 1.0).count();
    tell("step slower on no model".to_owned(), format!("slower on {slower} of {}", steps.len()), slower == 0);
    let copies: Vec<_> = all(copy).collect();
    let within = copies.iter().filter(|(_, ratio)| *ratio <= COPY_TARGET).count();
    tell(
        format!("step at most {COPY_TARGET} × a copy of bytes on every model"),
        format!("on {within} of {}; {}", copies.len(), spread(&copies)),
        within == copies.len(),
    );
    text
}

fn geometric_mean(ratios: &[(&Row, f64)]) -> Option<f64> {
    let logarithms: f64 = ratios.iter().map(|(_, ratio)| ratio.ln()).sum();
    (!ratios.is_empty()).then(|| (logarithms / ratios.len() as f64).exp())
}

/// The geometric mean, and the models with the least and the largest ratio.
fn spread(ratios: &[(&Row, f64)]) -> String {
    let by = |a: &&(&Row, f64), b: &&(&Row, f64)| a.1.total_cmp(&b.1);
    let Some((least, most)) = ratios.iter().min_by(by).zip(ratios.iter().max_by(by)) else {
        return "nothing was measured".to_owned();
    };
    let of = |(row, ratio): &(&Row, f64)| format!("{} ({})", times(Some(*ratio)), row.model);
    format!("geometric mean {}, from {} to {}", times(geometric_mean(ratios)), of(least), of(most))
}

fn times(ratio: Option<f64>) -> String {
    match ratio {
        None => "–".to_owned(),
        Some(ratio) if ratio >= 100.0 => format!("{ratio:.0} ×"),
        Some(ratio) => format!("{ratio:.1} ×"),
    }
}

fn ms(times: &Times) -> String {
    times.median().map_or("–".to_owned(), |ms| if ms >= 100.0 { format!("{ms:.0}") } else { format!("{ms:.2}") })
}

fn mib(bytes: Option<u64>) -> String {
    bytes.map_or("–".to_owned(), |bytes| format!("{:.1}", bytes as f64 / f64::from(1 << 20)))
}

/// Text that does not end a cell of a table.
fn plain(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}
