//! Limits and names to ignore.

use super::*;

#[track_caller]
fn check_error(limits: &Limits, expected: &str) {
    let groups = [
        TestGroup::new(0, "layer1.0.conv1", 4).with_member(
            "layer1.0.conv2.weight",
            1,
            crate::deps::Layout::Identity(4),
        ),
        TestGroup::new(1, "fc", 4),
    ];
    let error = select(&refs(&groups), &Scores::new(), limits, 1.0).expect_err("the limits make no sense");
    assert_eq!(error.to_string(), expected);
    assert!(can_prune_further(&refs(&groups), limits).is_err());
}

#[test]
#[rustfmt::skip]
fn limits_that_make_no_sense_are_refused() {
    let ratio = |ratio| format!("target_ratio is {ratio}; it is a share of the channels to remove, at least 0 and less than 1");
    check_error(&Limits::new(1.0), &ratio("1"));
    check_error(&Limits::new(-0.1), &ratio("-0.1"));
    check_error(&Limits::new(f64::NAN), &ratio("NaN"));
    let max_ratio = |ratio| format!("max_ratio is {ratio}; it is a share of the channels of a group, at least 0 and at most 1");
    check_error(&Limits::default().with_max_ratio(1.5), &max_ratio("1.5"));
    check_error(&Limits::default().with_max_ratio(f64::NAN), &max_ratio("NaN"));
    check_error(&Limits::default().with_min_channels(0), "min_channels is 0; a layer keeps at least 1");
    check_error(&Limits::default().with_round_to(0), "round_to is 0; use 1 for no rounding");
    let unmatched = |pattern, suggestion| format!("ignore: `{pattern}` matches no parameter that has an axis in a group{suggestion}");
    check_error(&Limits::default().with_ignored("layer1.0.conv3"), &unmatched("layer1.0.conv3", "; did you mean `layer1.0.conv1`?"));
    check_error(&Limits::default().with_ignored("fc.weight:1"), &unmatched("fc.weight:1", "; did you mean `fc.weight:0`?"));
    check_error(&Limits::default().with_ignored("transformer"), &unmatched("transformer", ""));
    check_error(&Limits::default().with_ignored("fc[.weight"), "ignore: `fc[.weight` is no name or glob: invalid range pattern");
}

#[test]
fn a_progress_that_is_no_part_of_a_whole_is_refused() {
    let groups = [TestGroup::new(0, "conv1", 4)];
    for progress in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let error = select(&refs(&groups), &scores(&groups, ascending), &Limits::default(), progress);
        assert!(matches!(error, Err(SelectError::Progress(_))), "{progress}");
    }
    // The rounding of a scheduler's arithmetic is none of its faults.
    let selection = select(&refs(&groups), &scores(&groups, ascending), &Limits::default(), 1.0 + f64::EPSILON);
    assert_eq!(selection.expect("it is 1 but for rounding").plan.coordinates_cut(), 2);
}

/// The groups that are left alone when `pattern` is ignored.
#[track_caller]
fn check_ignored(pattern: &str, expected: &[usize]) {
    // g0 is made by conv1 and read by conv2, which makes g1; fc reads g1 and makes g2.
    let groups = [
        TestGroup::new(0, "layer1.conv1", 4).with_member("layer1.conv2.weight", 1, crate::deps::Layout::Identity(4)),
        TestGroup::new(1, "layer1.conv2", 4).with_member("fc.weight", 1, crate::deps::Layout::Identity(4)),
        TestGroup::new(2, "fc", 4),
    ];
    let limits = Limits::default().with_ignored(pattern);
    let selection = select(&refs(&groups), &scores(&groups, ascending), &limits, 1.0).expect("the pattern matches");
    let ignored: Vec<usize> =
        (0..3).filter(|&index| matches!(reason(&selection, index), Some(Reason::Ignored { .. }))).collect();
    assert_eq!(ignored, expected, "{pattern}");
    assert!(ignored.iter().all(|&index| selection.plan.cut(g(index)).is_empty()));
    assert_eq!(selection.channels.initial, 4 * (3 - expected.len()));
}

#[test]
fn a_layer_a_parameter_or_one_side_of_it_is_left_alone() {
    check_ignored("layer1.conv1", &[0]);
    check_ignored("layer1.conv2", &[0, 1]);
    check_ignored("layer1.conv2.weight", &[0, 1]);
    check_ignored("layer1.conv2.weight:0", &[1]);
    check_ignored("layer1.conv2:1", &[0]);
    check_ignored("layer1", &[0, 1]);
    check_ignored("fc.weight:0", &[2]);
    check_ignored("*.conv?.weight:0", &[0, 1]);
    check_ignored("*", &[0, 1, 2]);
}

#[test]
fn limits_are_read_from_a_part_of_them_and_refuse_what_is_no_limit() {
    let limits: Limits = serde_json::from_str(r#"{"target_ratio": 0.25, "scope": "global"}"#).expect("it is JSON");
    assert_eq!(limits, Limits::new(0.25).with_scope(Scope::Global));
    assert!(serde_json::from_str::<Limits>(r#"{"ratio": 0.25}"#).is_err());
}
