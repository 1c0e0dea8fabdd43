//! What the page of a run says, and that it needs nothing else.

use super::*;
use crate::events::{Cost, Event, Stage, TrainPolicy};
use crate::report::{Counts, StepReport};

/// The report of a step, as a log has it.
fn report(step: usize, outcome: &str, sizes: [usize; 2], macs: [u64; 2]) -> Event {
    let counts = |macs: u64| format!(r#"{{"channels":32,"params":{macs},"macs":{macs},"bytes":0}}"#);
    let [before, after] = macs.map(counts);
    let text = format!(
        r#"{{"outcome":{outcome},"step":{step},"steps":3,"progress":0.5,"seed":0,"target":0.25,"budget":[],"achieved":0.25,
        "gap_channels":0,"before":{before},"after":{after},"groups":[{{"group":"g0","name":"<b>conv</b>","members":["conv.weight:0"],
        "inexact":null,"initial_size":32,"size_before":{},"size_after":{},"reason":null,"kept":[],"scores":null,"threshold":null}}],
        "alarms":[],"seconds":{{"score":0.0,"plan":0.0,"apply":0.0}},"verification":null,"can_prune_further":true,"stop":null}}"#,
        sizes[0], sizes[1]
    );
    Event::Applied { report: Box::new(serde_json::from_str::<StepReport>(&text).expect("a report")) }
}

const NOTHING: &str = r#"{"kind":"nothing-to-prune","reason":{"code":"rounding","smallest_cut":8}}"#;
const PRUNED: &str = r#"{"kind":"pruned"}"#;

fn history() -> History {
    let counts = Counts { macs: 4_000_000, params: 4000, ..Counts::default() };
    let evaluated = |step, stage, quality| Event::Evaluated { step, stage, quality, seconds: 0.1 };
    let cost = Cost { seconds: 30.0, samples: 100, macs: 10, joules: Some(50.0) };
    let reason = match report(1, NOTHING, [32, 32], [1, 1]) {
        Event::Applied { report } => report.outcome,
        _ => unreachable!("a report is of a step"),
    };
    let trained = |step| Event::Trained { step, epoch: 1, epochs: 1, is_final: false, cost };
    History::new(vec![
        Event::Started {
            measure: "accuracy".to_owned(),
            steps: 3,
            train: TrainPolicy::WhenPruned,
            epochs_per_step: 1,
            final_epochs: 0,
            counts,
        },
        evaluated(0, Stage::Dense, 0.9),
        report(1, NOTHING, [32, 32], [4_000_000, 4_000_000]),
        Event::Skipped { step: 1, reason, epochs: 1 },
        Event::Planned { step: 2, coordinates: 8, seconds: 0.01 },
        report(2, PRUNED, [32, 24], [4_000_000, 3_000_000]),
        evaluated(2, Stage::AfterCut, 0.8),
        trained(2),
        evaluated(2, Stage::AfterTraining, 0.895),
        Event::Planned { step: 3, coordinates: 8, seconds: 0.01 },
        report(3, PRUNED, [24, 16], [3_000_000, 2_000_000]),
        evaluated(3, Stage::AfterCut, 0.5),
        trained(3),
        evaluated(3, Stage::AfterTraining, 0.6),
        Event::Reverted {
            step: 3,
            quality: 0.6,
            floor: 0.85,
            back_to: 2,
            counts: Counts { macs: 3_000_000, params: 3000, ..counts },
        },
        Event::Stopped {
            step: 2,
            reason: Stop::QualityFloor { quality: 0.6, floor: 0.85 },
            counts: Counts { macs: 3_000_000, params: 3000, ..counts },
        },
    ])
}

#[test]
fn the_page_says_what_happened() {
    let page = page("A run", &history());
    for expected in [
        "The run is over: the next step leaves a quality of 0.6000, and 0.8500 is the least that is allowed.",
        "25.0 % gone of 4.00 M",
        "2 of 3",
        "1 taken back",
        "1 of 3",
        "60.0 s were trained, 50 J",
        "pruned, taken back",
        "skipped 1",
        "&lt;b&gt;conv&lt;/b&gt;",
    ] {
        assert!(page.contains(expected), "{expected}");
    }
    // What was taken back is not how wide the layer is.
    assert!(page.contains("<td>32</td><td>24</td>"));
    assert_eq!(page.matches("<svg").count(), 2);
}

#[test]
fn the_page_needs_nothing_else_and_runs_nothing() {
    let page = page("</title><script>alert(1)</script>", &history());
    assert!(!page.contains("<script") && !page.contains("src=") && !page.contains("@import") && !page.contains("url("));
    let links = page.matches("http").count();
    assert_eq!(links, page.matches("http://www.w3.org/2000/svg").count(), "the names of SVG are no links");
}

#[test]
fn a_run_that_is_not_over_or_has_not_begun_has_a_page() {
    let events = history().events().to_vec();
    for len in 0..=events.len() {
        let page = page("A run", &History::new(events[..len].to_vec()));
        assert!(page.ends_with("</html>"));
        assert_eq!(page.contains("The run is not over."), len < events.len());
    }
}

#[test]
fn a_log_of_a_step_without_end_has_a_page() {
    let mut events = history().events().to_vec();
    events.push(report(usize::MAX, PRUNED, [32, 16], [4_000_000, 2_000_000]));
    assert!(page("A run", &History::new(events)).ends_with("</html>"));
}

#[test]
fn the_last_quality_of_a_run_whose_last_step_was_taken_back_is_that_before_it() {
    assert_eq!(history().summary().quality_after, Some(0.895));
}
