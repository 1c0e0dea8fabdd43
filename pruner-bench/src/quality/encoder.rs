//! A real pretrained transformer: the sentence encoder `MiniLM` (6 layers, 12 heads), cut without training and judged by how near its
//! embeddings of `WordNet`'s glosses stay to the dense encoder's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use pruner_core::calibration::Batch;
use pruner_core::exec::{GraphModule, Mode};
use pruner_core::plan::{BudgetError, Limits, Scope};
use pruner_core::pruner::{PruneError, Settings};
use pruner_schedulers::OneShot;
use tch::{TchError, Tensor};

use super::QualityError;
use super::criteria::Criterion;
use super::cut::{Calibration, cut, gone};
use super::dense;
use super::options::{Options, Scale};
use super::peer::ask;
use super::row::{Cosine, Encoded, Part};
use crate::files;
use crate::fine_tuning::counts;

/// Sentences that are run at once.
const BATCH: i64 = 16;

/// The criteria that the encoder is cut by, the baseline first.
const CRITERIA: [&str; 7] = ["random", "magnitude", "taylor", "snip", "wanda", "flap", "activation"];

impl Part {
    /// Every part.
    pub const ALL: [Self; 4] = [Self::Mlp, Self::Heads, Self::Width, Self::All];

    /// The names to ignore so that this part alone is pruned.
    fn ignored(self) -> Vec<&'static str> {
        let of = [
            (Self::Mlp, "*.intermediate.dense.weight:0"),
            (Self::Heads, "*.attention.self.*.weight:0"),
            (Self::Width, "*.word_embeddings.weight:1"),
        ];
        of.into_iter().filter(|(part, _)| self != Self::All && *part != self).map(|(_, name)| name).collect()
    }
}

/// A cut of the encoder that is to be made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) criterion: Criterion,
    pub(super) part: Part,
    pub(super) percent: u32,
}

impl PartialEq<Encoded> for Wanted {
    fn eq(&self, other: &Encoded) -> bool {
        self.criterion.name == other.criterion && self.part == other.part && self.percent == other.percent
    }
}

/// The cuts that options ask for.
pub(super) fn wanted(options: &Options) -> Vec<Wanted> {
    let chosen = options.criteria();
    let criteria = CRITERIA.iter().filter_map(|name| chosen.iter().find(|each| each.name == *name));
    let percents: &[u32] = if options.quick { &[20] } else { &[10, 20, 30] };
    criteria
        .flat_map(|&criterion| {
            Part::ALL
                .into_iter()
                .flat_map(move |part| percents.iter().map(move |&percent| Wanted { criterion, part, percent }))
        })
        .collect()
}

/// The encoder, its sentences, and what the dense encoder makes of them.
pub(super) struct Encoder {
    archive: PathBuf,
    calibration: Vec<Batch>,
    judged: Vec<(Vec<Tensor>, Tensor)>,
}

impl Encoder {
    /// Has Python export the encoder and the sentences, unless they are in the folder already, and embeds them.
    pub(super) fn new(python: &Path, wordnet: &Path, dir: &Path, scale: &Scale) -> Result<Self, QualityError> {
        let count = scale.sentences + scale.calibration_sentences;
        let (archive, sentences) = (dir.join("encoder.pt2"), dir.join(format!("sentences-{count}.safetensors")));
        if !archive.is_file() || !sentences.is_file() {
            files::create_dir(dir)?;
            let paths = [wordnet, &archive, &sentences].map(|path| path.display().to_string());
            ask(python, &["encoder", &paths[0], &paths[1], &paths[2], &count.to_string()])?;
        }
        let tensors: BTreeMap<String, Tensor> = Tensor::read_safetensors(&sentences)?.into_iter().collect();
        let named = |name: &str| {
            tensors.get(name).map(Tensor::shallow_clone).ok_or_else(|| QualityError::Python {
                job: "quality encoder".to_owned(),
                why: format!("{} has no `{name}`", sentences.display()),
            })
        };
        let glosses = batches(&[named("glosses")?, named("glosses_mask")?]);
        let words = batches(&[named("words")?, named("words_mask")?]);
        let module = dense::load(&archive)?;
        let (mut calibration, mut judged) = (Vec::new(), Vec::new());
        let for_calibration = scale.calibration_sentences.div_ceil(BATCH as usize);
        for (number, (glosses, words)) in glosses.into_iter().zip(words).enumerate() {
            if number < for_calibration {
                let targets = vec![embed(&module, &words)?];
                calibration.push(Batch::new(glosses).with_targets(targets));
            } else {
                let embedded = embed(&module, &glosses)?;
                judged.push((glosses, embedded));
            }
        }
        Ok(Self { archive, calibration, judged })
    }

    /// Cuts the encoder and compares.
    pub(super) fn measure(&self, wanted: Wanted) -> Result<Encoded, QualityError> {
        let start = Instant::now();
        let mut module = dense::load(&self.archive)?;
        let before = counts(&module)?;
        let limits = Limits::default().with_scope(Scope::Isomorphic);
        let limits = wanted.part.ignored().into_iter().fold(limits, Limits::with_ignored);
        let settings = Settings::new(wanted.criterion.importance(), Box::new(OneShot::default())).with_limits(limits);
        let calibration = Calibration { loader: &self.calibration, loss: &distance };
        let cosine = match cut(&mut module, settings, f64::from(wanted.percent) / 100.0, &calibration) {
            Ok(_) => {
                let after = counts(&module)?;
                let (macs_gone, params_gone) = (gone(before.macs, after.macs), gone(before.params, after.params));
                Some(Cosine { mean: self.cosine(&module)?, macs_gone, params_gone })
            }
            Err(PruneError::Budget(BudgetError::Infeasible { .. })) => None,
            Err(error) => return Err(error.into()),
        };
        let (criterion, part, percent) = (wanted.criterion.name.to_owned(), wanted.part, wanted.percent);
        Ok(Encoded { criterion, part, percent, cosine, seconds: start.elapsed().as_secs_f64() })
    }

    fn cosine(&self, module: &GraphModule) -> Result<f64, QualityError> {
        let (mut sum, mut count) = (0.0, 0);
        for (inputs, expected) in &self.judged {
            let cosines = (embed(module, inputs)? * expected).sum_dim_intlist(-1, false, None::<tch::Kind>);
            sum += cosines.sum(None::<tch::Kind>).double_value(&[]);
            count += cosines.size()[0];
        }
        Ok(sum / f64::from(count as i32).max(1.0))
    }
}

/// Embeddings of length 1, of shape `[sentences, 384]`.
fn embed(module: &GraphModule, inputs: &[Tensor]) -> Result<Tensor, QualityError> {
    let outputs = tch::no_grad(|| module.forward(inputs, Mode::Eval))?;
    outputs.into_iter().next().ok_or(QualityError::NoEmbedding)
}

/// One less the cosine between the embedding of a gloss and the dense encoder's of the word that it explains. One to the dense encoder's
/// of the gloss itself has no gradient, since that is where the encoder is.
fn distance(outputs: &[Tensor], targets: &[Tensor]) -> Result<Tensor, TchError> {
    let cosines = outputs[0].f_mul(&targets[0])?.f_sum_dim_intlist(-1, false, None::<tch::Kind>)?;
    Ok(1.0 - cosines.f_mean(None::<tch::Kind>)?)
}

fn batches(tensors: &[Tensor]) -> Vec<Vec<Tensor>> {
    let len = tensors[0].size()[0];
    let starts = (0..len).step_by(BATCH as usize);
    starts.map(|start| tensors.iter().map(|each| each.narrow(0, start, BATCH.min(len - start))).collect()).collect()
}
