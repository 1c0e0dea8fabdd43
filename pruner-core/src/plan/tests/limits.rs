//! Limits that make no sense, and limits as data.

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
    let unmatched = |pattern, suggestion| format!("ignore: `{pattern}` matches no parameter that has an axis in a group; {suggestion}");
    let place = |pattern, there_are| format!("ignore: `{pattern}` matches no side or dimension of what is before its colon; there are {there_are}");
    check_error(&Limits::default().with_ignored("layer1.0.conv3"), &unmatched("layer1.0.conv3", "did you mean `layer1.0.conv1`?"));
    check_error(&Limits::default().with_ignored("fc.weight:1"), &place("fc.weight:1", "`fc.weight:out`, `fc.weight:0`"));
    check_error(&Limits::default().with_ignored("transformer"), &unmatched("transformer", "there are `layer1.0.conv1.weight:0`, `fc.weight:0`"));
    check_error(&Limits::default().with_ignored("fc.weight:in"), &place("fc.weight:in", "`fc.weight:out`, `fc.weight:0`"));
    check_error(&Limits::default().with_ignored("layer1.0.conv1:in"), &place("layer1.0.conv1:in", "`layer1.0.conv1:out`, `layer1.0.conv1:0`"));
    check_error(&Limits::default().with_ignored("layer1.*:sideways"), &place("layer1.*:sideways", "`layer1.*:in`, `layer1.*:out`, `layer1.*:0`, `layer1.*:1`"));
    check_error(&Limits::default().with_ignored("layer1.0.conv3:in"), &unmatched("layer1.0.conv3:in", "did you mean `layer1.0.conv2:in`?"));
    check_error(&Limits::default().with_ignored("g2"), &unmatched("g2", "there are `layer1.0.conv1.weight:0`, `fc.weight:0`"));
    check_error(&Limits::default().with_ignored("fc[.weight"), "ignore: `fc[.weight` is no name or glob: invalid range pattern");
    let role = |pattern, suggestion| format!("ignore: `{pattern}` matches no group by its role; {suggestion}");
    check_error(&Limits::default().with_ignored("@heads"), &role("@heads", "there are `@channels`"));
    check_error(&Limits::default().with_ignored("@channel"), &role("@channel", "did you mean `@channels`?"));
    check_error(&Limits::default().with_ignored("@CHANNELS"), &role("@CHANNELS", "did you mean `@channels`?"));
}

#[test]
fn an_override_that_makes_no_sense_is_refused_with_its_number() {
    let check = |of: Override, expected: &str| {
        check_error(&Limits::default().with_override(Override::new(["fc"])).with_override(of), expected);
    };
    let fc = || Override::new(["fc"]);
    check(
        Override::default(),
        "overrides[1]: groups is empty; name the groups that it holds for, such as `conv1` or `@heads`",
    );
    check(
        fc().with_target_ratio(1.0),
        "overrides[1]: target_ratio is 1; it is a share of the channels to remove, at least 0 and less than 1",
    );
    check(
        fc().with_max_ratio(f64::NAN),
        "overrides[1]: max_ratio is NaN; it is a share of the channels of a group, at least 0 and at most 1",
    );
    check(fc().with_min_channels(0), "overrides[1]: min_channels is 0; a layer keeps at least 1");
    check(fc().with_round_to(0), "overrides[1]: round_to is 0; use 1 for no rounding");
    check(
        Override::new(["fc", "fd"]),
        "overrides[1]: groups: `fd` matches no parameter that has an axis in a group; there are `layer1.0.conv1.weight:0`, `fc.weight:0`",
    );
    check(
        Override::new(["layer1.0.conv4"]),
        "overrides[1]: groups: `layer1.0.conv4` matches no parameter that has an axis in a group; did you mean `layer1.0.conv1`?",
    );
    check(
        Override::new(["@head-dims"]),
        "overrides[1]: groups: `@head-dims` matches no group by its role; there are `@channels`",
    );
    check(Override::new(["fc["]), "overrides[1]: groups: `fc[` is no name or glob: invalid range pattern");
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

#[test]
fn limits_are_read_from_a_part_of_them_and_refuse_what_is_no_limit() {
    let limits: Limits = serde_json::from_str(r#"{"target_ratio": 0.25, "scope": "global"}"#).expect("it is JSON");
    assert_eq!(limits, Limits::new(0.25).with_scope(Scope::Global));
    assert!(serde_json::from_str::<Limits>(r#"{"ratio": 0.25}"#).is_err());
}

#[test]
fn overrides_are_read_and_refuse_what_is_no_limit() {
    let read = |text: &str| serde_json::from_str::<Limits>(text);
    let limits = read(r#"{"overrides": [{"groups": ["@heads", "conv1"], "scope": "global", "min_channels": 2}]}"#);
    let of = Override::new(["@heads", "conv1"]).with_scope(Scope::Global).with_min_channels(2);
    let expected = Limits::default().with_override(of);
    assert_eq!(limits.expect("it is JSON"), expected);
    let again = serde_json::to_string(&expected).expect("limits serialise");
    assert_eq!(read(&again).expect("it was just written"), expected);
    let error = read(r#"{"overrides": [{"groups": ["a"], "ratio": 0.5}]}"#).expect_err("it is called target_ratio");
    assert!(error.to_string().starts_with("unknown field `ratio`, expected one of"), "{error}");
    let error = read(r#"{"overrides": [{"target_ratio": 0.5}]}"#).expect_err("it is of no groups");
    assert!(error.to_string().starts_with("missing field `groups`"), "{error}");
}
