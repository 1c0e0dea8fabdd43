//! The page: what was measured on GPUs, and nothing else.

use std::fmt::Write as _;

use super::clock::Millis;
use super::{Forward, Report};

const INTRODUCTION: &str = "\
# On a GPU

Two commands, the first where there is Rust, the second on a machine that has a GPU and a Python with torch 2.11.0:

```sh
cargo xtask bundle                                  # writes target/pruner-bench.tar.gz
tar xzf pruner-bench.tar.gz && pruner-bench/run.sh  # writes pruner-bench/results
```

The files under `results` belong into `pruner-bench/results`; `cargo xtask gpu --page` then writes this page of them.
";

/// The page of all reports that were made on a GPU in full.
pub(super) fn page(reports: &[Report]) -> String {
    let mut text = String::from(INTRODUCTION);
    let measured: Vec<&Report> =
        reports.iter().filter(|report| report.machine.device != "cpu" && !report.quick).collect();
    if measured.is_empty() {
        text.push_str("\nNothing was measured on a GPU so far.\n");
    }
    for report in measured {
        section(&mut text, report);
    }
    text
}

fn section(text: &mut String, report: &Report) {
    let machine = &report.machine;
    let driver = machine.driver.as_ref().map(|driver| format!(", driver {driver}")).unwrap_or_default();
    let _ = writeln!(
        text,
        "\n## {}\n\nlibtorch {}{driver}; {:.0} s in all.",
        machine.words(),
        machine.libtorch,
        report.seconds
    );
    equivalence(text, report);
    let spread = |millis: &Millis| format!("{:.3}", millis.p50);
    if !report.scoring.is_empty() {
        text.push_str("\n### Scoring\n\nFrom the weights to the scores on the host, beside a copy of as many bytes on the device.\n\n");
        text.push_str("| network | criterion | MB | ms | GB/s | of a copy's rate |\n|---|---|--:|--:|--:|--:|\n");
        for row in &report.scoring {
            let (score, copy) = (row.score.p50, row.copy.p50);
            let _ = writeln!(
                text,
                "| {} | {} | {:.1} | {} | {:.0} | {:.2} |",
                row.network,
                row.criterion,
                row.bytes as f64 / 1e6,
                spread(&row.score),
                row.bytes as f64 / score / 1e6,
                copy / score
            );
        }
    }
    if !report.steps.is_empty() {
        text.push_str("\n### A step that cuts half of every group\n\n");
        text.push_str("| network | MB before | left | analysis, ms | score and plan, ms | apply, ms | copy of what is left, ms |\n|---|--:|--:|--:|--:|--:|--:|\n");
        for row in &report.steps {
            let _ = writeln!(
                text,
                "| {} | {:.1} | {:.1} | {} | {} | {} | {} |",
                row.network,
                row.bytes_before as f64 / 1e6,
                row.bytes_after as f64 / 1e6,
                spread(&row.analysis),
                spread(&row.plan),
                spread(&row.apply),
                spread(&row.copy)
            );
        }
    }
    forward(text, report);
}

fn equivalence(text: &mut String, report: &Report) {
    let rows = &report.equivalence;
    if rows.is_empty() {
        return;
    }
    let equal = rows.iter().filter(|row| row.is_equal()).count();
    let worst = rows.iter().filter_map(|row| row.relative).fold(0.0, f64::max);
    let _ = writeln!(
        text,
        "\n### Masked equals sliced\n\nOn {equal} of {} networks, with half of every exact group gone and TF32 off; the largest difference is {worst:.0e} of the \
         largest output.",
        rows.len()
    );
    for row in rows.iter().filter(|row| !row.is_equal()) {
        let why = row.error.clone().unwrap_or_else(|| format!("{:?}", row.relative));
        let _ = writeln!(text, "- {}: {why}", row.network);
    }
}

fn forward(text: &mut String, report: &Report) {
    if report.forward.is_empty() {
        return;
    }
    text.push_str("\n### Forward passes\n\nThe median of the rounds with its quartiles; the cuts are timed by turns. Sizes are multiples of 8.\n\n");
    text.push_str("| network | batch | precision | layout | gone, % | GMACs | ms | images/s | faster |\n|---|--:|---|---|--:|--:|--:|--:|--:|\n");
    let is_same = |a: &Forward, b: &Forward| {
        (&a.network, a.batch, &a.dtype, a.channels_last) == (&b.network, b.batch, &b.dtype, b.channels_last)
    };
    for row in &report.forward {
        let dense = report.forward.iter().find(|other| is_same(row, other) && other.percent == 0);
        let faster = dense.map(|dense| format!("{:.2} ×", dense.millis.p50 / row.millis.p50)).unwrap_or_default();
        let Millis { p50, p25, p75 } = row.millis;
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {:.2} | {p50:.2} ({p25:.2} to {p75:.2}) | {:.0} | {faster} |",
            row.network,
            row.batch,
            row.dtype,
            if row.channels_last { "channels last" } else { "contiguous" },
            row.percent,
            row.macs as f64 / 1e9,
            1e3 * row.batch as f64 / p50,
        );
    }
}
