//! Losses that a config can name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Reduction, TchError, Tensor};

/// A loss of the first output of a network by the first target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamedLoss {
    /// The mean cross-entropy of logits: targets are the numbers of classes, of the shape of the logits less their dimension of classes, which
    /// is the second or else the last. A target of -100 adds nothing to the sum, and counts in the mean.
    #[default]
    CrossEntropy,
    /// The mean squared error; targets have the shape of the output.
    Mse,
    /// The mean cross-entropy of the logits `[samples, tokens, vocabulary]` of each token for the token after it; targets are the
    /// tokens, `[samples, tokens]`. A token of -100, as of padding, adds nothing to the sum, and counts in the mean.
    NextToken,
}

impl NamedLoss {
    /// The number of a class or token that adds nothing, as PyTorch has it.
    pub const IGNORED: i64 = -100;

    /// The loss of outputs by targets.
    pub fn of(self, outputs: &[Tensor], targets: &[Tensor]) -> Result<Tensor, TchError> {
        let shapes =
            |what: &str| TchError::Shape(format!("{what}: outputs {}, targets {}", list(outputs), list(targets)));
        let (Some(output), Some(target)) = (outputs.first(), targets.first()) else {
            return Err(shapes("a loss needs an output and a target"));
        };
        let (own, wanted) = (output.size(), target.size());
        match self {
            Self::Mse if own == wanted => output.f_mse_loss(&target.f_to_kind(output.kind())?, Reduction::Mean),
            Self::Mse => Err(shapes("mse compares tensors of one shape")),
            Self::CrossEntropy => {
                let target = target.f_to_kind(Kind::Int64)?;
                if own.len() > 1 && [&own[..1], &own[2..]].concat() == wanted {
                    cross_entropy(output, &target)
                } else if own.len() > 1 && own[..own.len() - 1] == wanted {
                    cross_entropy(&output.f_movedim_int(-1, 1)?, &target)
                } else {
                    Err(shapes("cross-entropy compares logits with the numbers of classes"))
                }
            }
            Self::NextToken if own.len() == 3 && own[..2] == wanted && own[1] > 1 => {
                let logits = output.f_narrow(1, 0, own[1] - 1)?.f_movedim_int(-1, 1)?;
                cross_entropy(&logits, &target.f_narrow(1, 1, own[1] - 1)?.f_to_kind(Kind::Int64)?)
            }
            Self::NextToken => Err(shapes("next-token compares logits [samples, tokens, vocabulary] with tokens")),
        }
    }
}

/// The mean over all targets, those that are ignored among them, so that what batches add to a gradient does not depend on how many are.
fn cross_entropy(logits: &Tensor, target: &Tensor) -> Result<Tensor, TchError> {
    let sum = logits.f_cross_entropy_loss(target, None::<Tensor>, Reduction::Sum, NamedLoss::IGNORED, 0.0)?;
    sum.f_div_scalar(target.numel() as f64)
}

fn list(tensors: &[Tensor]) -> String {
    let shapes: Vec<_> = tensors.iter().map(|tensor| format!("{:?}", tensor.size())).collect();
    if shapes.is_empty() { "none".to_owned() } else { shapes.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(numbers: &[f32], shape: &[i64]) -> Tensor {
        Tensor::from_slice(numbers).reshape(shape)
    }

    fn loss(loss: NamedLoss, output: Tensor, target: Tensor) -> Result<f64, String> {
        loss.of(&[output], &[target]).map(|loss| loss.double_value(&[])).map_err(|error| error.to_string())
    }

    #[test]
    fn cross_entropy_takes_classes_second_or_last() {
        // Of two equal logits each class has half.
        let even = 2.0_f64.ln();
        let classes = |numbers: &[i64]| Tensor::from_slice(numbers);
        for (shape, targets) in [([3, 2, 1], vec![3, 1]), ([3, 1, 2], vec![3, 1])] {
            let found = loss(
                NamedLoss::CrossEntropy,
                Tensor::zeros(shape, (Kind::Float, tch::Device::Cpu)),
                classes(&[0, 1, 1]).reshape(targets),
            );
            assert!((found.expect("it is a loss") - even).abs() < 1e-6);
        }
        let sure = loss(NamedLoss::CrossEntropy, tensor(&[30.0, 0.0], &[1, 2]), classes(&[0]));
        assert!(sure.expect("it is a loss") < 1e-6);
    }

    #[test]
    fn batches_add_up_however_many_of_their_targets_are_ignored() {
        let logits = tensor(&[1.0, 0.0, 0.0, 3.0, 2.0, 0.0, 0.0, 1.0], &[4, 2]);
        let targets = Tensor::from_slice(&[0_i64, -100, -100, 0]);
        let of = |start, len| {
            let found = loss(NamedLoss::CrossEntropy, logits.narrow(0, start, len), targets.narrow(0, start, len));
            len as f64 * found.expect("it is a loss")
        };
        let alone = (1.0 + (-1.0_f64).exp()).ln() + (1.0 + 1.0_f64.exp()).ln();
        for parts in [of(0, 4), of(0, 1) + of(1, 3), of(0, 3) + of(3, 1)] {
            assert!((parts - alone).abs() < 1e-6, "{parts}, not {alone}");
        }
    }

    #[test]
    fn the_next_token_is_compared_with_the_logits_before_it() {
        let logits = tensor(&[30.0, 0.0, 0.0, 30.0, 5.0, 5.0], &[1, 3, 2]);
        let found = loss(NamedLoss::NextToken, logits, Tensor::from_slice(&[9_i64, 0, 1]).reshape([1, 3]));
        assert!(found.expect("it is a loss") < 1e-6, "the last logits and the first token do not count");
    }

    #[test]
    fn shapes_that_do_not_fit_are_named() {
        let error = loss(NamedLoss::Mse, tensor(&[1.0, 2.0], &[2]), tensor(&[1.0], &[1])).expect_err("they differ");
        assert!(error.contains("mse compares tensors of one shape: outputs [2], targets [1]"), "{error}");
        let error = NamedLoss::CrossEntropy.of(&[], &[]).expect_err("there are none").to_string();
        assert!(error.contains("outputs none, targets none"), "{error}");
    }
}
