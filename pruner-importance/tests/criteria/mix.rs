//! `mix` by hand.

use pruner_core::importance::{Importance, Signal, importance_from_config, score};
use pruner_importance::{BnScale, Flap, Magnitude, Mix, Norm, Normalizer, Taylor};
use serde_json::json;

use crate::support::{Case, close, conv_bn_conv, tensor};

#[test]
fn criteria_count_by_their_parts_once_they_are_normalised() {
    // Magnitude by the 1-norm: 103 and 9; batch norm 12 and 2.
    let magnitude = || Magnitude::default().with_p(Norm::One).with_normalizer(Normalizer::None);
    let mix = Mix::new().with(magnitude(), 1.0).with(BnScale::default(), 3.0).with_normalizer(Normalizer::Max);
    close(&conv_bn_conv().scores(&mix), &[1.0, (9.0 / 103.0 + 3.0 * 2.0 / 12.0) / 4.0]);
    let alone = Mix::new().with(magnitude(), 0.1).with_normalizer(Normalizer::None);
    close(&conv_bn_conv().scores(&alone), &[103.0, 9.0]);
}

#[test]
fn what_has_nothing_to_say_is_left_out() {
    let case = Case::new(2).plain(tensor(&[3.0, 1.0], &[2, 1]), 0);
    let mix = Mix::new().with(BnScale::default(), 5.0).with(Magnitude::default(), 1.0);
    close(&case.scores(&mix), &[1.5, 0.5]);
    let nothing = Mix::new().with(BnScale::default(), 1.0);
    assert!(score(&nothing, &case.group, &case.weights()).expect("that is no error").is_none());
}

#[test]
fn it_needs_what_its_criteria_need_and_refuses_a_part_of_nothing() {
    assert!(Mix::default().needs().is_empty() && !Mix::default().compensates());
    let mix = Mix::default().with(Taylor::default(), 1.0).with(Flap::default(), 1.0);
    assert_eq!(mix.needs(), Signal::Gradients | Signal::Variance);
    assert!(mix.compensates(), "one of its criteria does");
    let case = Case::new(2).plain(tensor(&[3.0, 1.0], &[2, 1]), 0);
    for part in [0.0, -1.0, f64::NAN] {
        let error = case.error(&Mix::new().with(Magnitude::default(), part));
        assert!(error.ends_with(&format!("parts[0].part is {part}; give a number above 0")), "{error}");
    }
}

#[test]
fn a_config_names_the_criteria() {
    let config = json!({ "importance": "mix", "parts": [{ "of": "lamp" }, { "of": { "importance": "magnitude", "p": 1 }, "part": 2 }] });
    let mix = importance_from_config(config).expect("it is read");
    let expected =
        Mix::new().with(pruner_importance::Lamp::default(), 1.0).with(Magnitude::default().with_p(Norm::One), 2.0);
    assert_eq!(conv_bn_conv().scores(&*mix), conv_bn_conv().scores(&expected));
}

#[test]
fn a_mix_of_nothing_is_refused() {
    let message = "parts is empty; name at least one criterion with its part";
    let error = importance_from_config(json!({ "importance": "mix", "parts": [] })).expect_err("it names none");
    assert!(error.to_string().contains(message), "{error}");
    let error = conv_bn_conv().error(&Mix::new());
    assert!(error.ends_with(message), "{error}");
}
