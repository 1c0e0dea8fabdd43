//! The report of a run of iterative pruning: one HTML file that needs nothing else, to be sent to whoever asks how it went.

mod chart;
mod numbers;
#[cfg(test)]
mod tests;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::numbers::{change, four_digits, percent, seconds, short};
use crate::events::{History, Row, Stop, Summary, Width};
use crate::report::Outcome;
use crate::text::grouped;

/// The page of a run, finished or not, as HTML.
///
/// It shows the quality and the multiply-accumulates over the steps with those marked whose training was skipped, what that saved,
/// every step, and how wide every layer was and is. It holds its style and pictures, runs no script and asks for nothing on the network.
pub fn page(title: &str, history: &History) -> String {
    let (summary, rows) = (history.summary(), history.rows());
    let measure = if history.measure().is_empty() { "quality" } else { history.measure() };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body {
                main {
                    h1 { (title) }
                    p.end { (ending(summary.stop)) }
                    (cards(&summary, measure))
                    h2 { "Steps" }
                    (charts(history, &rows, measure))
                    (steps(&rows, measure))
                    h2 { "Layers" }
                    (layers(&history.widths()))
                    footer { "Made by pruner " (env!("CARGO_PKG_VERSION")) " from " (history.events().len()) " events." }
                }
            }
        }
    }
    .into_string()
}

/// Why the run is over, as a sentence.
fn ending(stop: Option<Stop>) -> String {
    match stop {
        None => "The run is not over.".to_owned(),
        Some(stop) => format!("The run is over: {stop}."),
    }
}

/// A number with what it is.
fn card(title: &str, value: &str, detail: &str) -> Markup {
    html! {
        div.card {
            div.title { (title) }
            div.value { (value) }
            div.detail { (detail) }
        }
    }
}

fn cards(summary: &Summary, measure: &str) -> Markup {
    let Summary { before, after, cost, saved, .. } = summary;
    let quality = |quality: Option<f64>| quality.map_or_else(|| "–".to_owned(), four_digits);
    let (epochs, skipped) = (summary.epochs, summary.epochs_skipped);
    let planned = epochs.saturating_add(skipped);
    let joules = saved.joules.map(|joules| format!(", {} J", short(joules))).unwrap_or_default();
    html! {
        section.cards {
            (card(measure, &quality(summary.quality_after), &format!("{} before", quality(summary.quality_before))))
            (card("MACs", &short(after.macs as f64), &change(before.macs, after.macs)))
            (card("parameters", &short(after.params as f64), &change(before.params, after.params)))
            (card(
                "steps that pruned",
                &format!("{} of {}", summary.steps_pruned, summary.steps),
                &match summary.steps_reverted {
                    0 => "none taken back".to_owned(),
                    reverted => format!("{reverted} taken back"),
                },
            ))
            (card("epochs skipped", &format!("{skipped} of {planned}"), "nothing was pruned before them"))
            (card(
                "training saved",
                &seconds(saved.seconds),
                &format!("{} were trained{joules}", seconds(cost.seconds)),
            ))
        }
    }
}

fn charts(history: &History, rows: &[Row], measure: &str) -> Markup {
    if rows.is_empty() {
        return html! { p { "No step was made." } };
    }
    html! {
        figure {
            (PreEscaped(chart::quality(history, measure)))
            figcaption { "The " (measure) " after every cut (hollow), and after its training or at the end (full)." }
        }
        figure {
            (PreEscaped(chart::macs(history)))
            figcaption { "The multiply-accumulates that are left." }
        }
        p.legend {
            @if rows.iter().any(|row| row.epochs_skipped > 0) {
                span.skipped {} " training skipped: the step pruned nothing "
            }
            @if rows.iter().any(|row| row.reverted) { span.reverted {} " step taken back" }
        }
    }
}

/// What happened in a step, in some words.
fn outcome(row: &Row) -> String {
    let what = match &row.outcome {
        Some(Outcome::Pruned) => "pruned".to_owned(),
        Some(Outcome::NothingToPrune { reason }) => format!("nothing: {reason}"),
        Some(Outcome::TargetReached) => "nothing: the target is reached".to_owned(),
        Some(Outcome::Finished { reason }) => format!("nothing: {reason}"),
        None => String::new(),
    };
    if row.reverted { format!("{what}, taken back") } else { what }
}

fn steps(rows: &[Row], measure: &str) -> Markup {
    let quality = |quality: Option<f64>| quality.map(four_digits).unwrap_or_default();
    html! {
        div.wide {
            table.steps {
                thead {
                    tr {
                        th { "step" }
                        th.text { "what happened" }
                        th { "channels gone" }
                        th { "MACs left" }
                        th { (measure) " after the cut" }
                        th { "after training" }
                        th { "epochs" }
                        th { "seconds" }
                    }
                }
                tbody {
                    @for row in rows {
                        tr class=(if row.reverted { "reverted" } else if row.epochs_skipped > 0 { "skipped" } else { "" }) {
                            td { (row.step) }
                            td.text { (outcome(row)) }
                            td { (percent(row.achieved)) }
                            td { (short(row.counts.macs as f64)) }
                            td { (quality(row.quality_after_cut)) }
                            td { (quality(row.quality_after_training)) }
                            td {
                                @if row.epochs_skipped > 0 { "skipped " (row.epochs_skipped) } @else { (row.epochs) }
                            }
                            td { @if row.epochs > 0 { (format!("{:.1}", row.cost.seconds)) } }
                        }
                    }
                }
            }
        }
    }
}

/// The coordinates of every group that got smaller, those that did not at the end.
fn layers(widths: &[Width]) -> Markup {
    let (cut, whole): (Vec<&Width>, Vec<&Width>) = widths.iter().partition(|width| width.after < width.before);
    let largest = widths.iter().map(|width| width.before).max().unwrap_or(1).max(1) as f64;
    let part = |size: usize| format!("width: {:.2}%", 100.0 * size as f64 / largest);
    html! {
        @if cut.is_empty() { p { "Every layer is as wide as it was." } } @else {
            div.wide {
                table.layers {
                    thead { tr { th.text { "layer" } th { "before" } th { "after" } th.bars { "of the widest" } } }
                    tbody {
                        @for width in &cut {
                            tr {
                                td.text title=(width.members.join(", ")) { (width.name) }
                                td { (grouped(width.before as u64)) }
                                td { (grouped(width.after as u64)) }
                                td.bars {
                                    div.before style=(part(width.before)) {
                                        div.after style=(format!("width: {:.2}%", 100.0 * width.after as f64 / width.before.max(1) as f64)) {}
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        @if !whole.is_empty() {
            details {
                summary { (whole.len()) " groups are as they were" }
                p { @for width in &whole { span.whole { (width.name) " " (grouped(width.before as u64)) } " " } }
            }
        }
    }
}
