//! How much goes and by what: the settings of a run, from a file and from options, which take the place of the file's.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf, absolute};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use pruner::config::{Config, read_map};
use pruner::plan::Measure;
use serde_json::{Map, Value};

/// What `prune` cuts.
#[derive(Debug, Args)]
pub(crate) struct SettingsArgs {
    /// Settings in TOML or JSON; options given here take the place of the file's.
    #[arg(long, value_name = "FILE", help_heading = "What goes")]
    pub(crate) config: Option<PathBuf>,

    #[command(flatten)]
    target: Target,

    /// The criterion: a name of `pruner list`, or JSON such as '{"importance": "magnitude", "p": 1}' [default: magnitude].
    #[arg(long, value_name = "NAME", help_heading = "What goes")]
    importance: Option<String>,

    /// What the ratio is a share of: each group's channels, those of all together, or of all that are made alike [default: local]
    #[arg(long, value_name = "SCOPE", value_parser = ["local", "global", "isomorphic"], help_heading = "What goes")]
    scope: Option<String>,

    /// The data that criteria of gradients and activations are computed from: safetensors with the inputs of the model by their names, samples
    /// first, and `targets` for the loss.
    #[arg(long, value_name = "FILE", help_heading = "What goes")]
    pub(crate) data: Option<PathBuf>,

    /// The loss of the model's output by `targets`: cross-entropy, mse or next-token [default: cross-entropy].
    #[arg(long, value_name = "LOSS", value_parser = ["cross-entropy", "mse", "next-token"], hide_possible_values = true)]
    #[arg(help_heading = "What goes")]
    loss: Option<String>,

    /// Measure the statistics of batch norms anew on the data once the model is cut.
    #[arg(long, help_heading = "What is written")]
    recalibrate: bool,

    /// The seed of criteria that draw numbers [default: 0].
    #[arg(long, value_name = "N", help_heading = "What goes")]
    seed: Option<u64>,

    /// Cuts keep the sizes of layers multiples of this [default: 1].
    #[arg(long, value_name = "N", help_heading = "What stays")]
    round_to: Option<NonZeroUsize>,

    /// The channels that every group keeps [default: 1].
    #[arg(long, value_name = "N", help_heading = "What stays")]
    min_channels: Option<NonZeroUsize>,

    /// The largest share of a group that may go [default: 1].
    #[arg(long, value_name = "RATIO", value_parser = at_most_one, allow_negative_numbers = true)]
    #[arg(help_heading = "What stays")]
    max_ratio: Option<f64>,

    /// A parameter or layer to leave alone, such as `head` or `*.attn.*`, one side of it as `conv1:in` or `conv1:out`, or a role as
    /// `@heads`, `@head-dims` or `@channels`; may be given several times.
    #[arg(long, value_name = "NAME", help_heading = "What stays")]
    ignore: Vec<String>,
}

/// How much goes: a ratio of channels, or a budget.
#[derive(Debug, Args)]
#[group(id = "target", multiple = true)]
struct Target {
    /// The share of the channels that goes, in [0, 1) [default: 0.5].
    #[arg(long, value_name = "RATIO", value_parser = share, allow_negative_numbers = true)]
    #[arg(conflicts_with_all = ["params", "macs", "bytes", "latency"], help_heading = "What goes")]
    ratio: Option<f64>,

    /// The share of the parameters that goes at least; may stand beside the shares below.
    #[arg(long, value_name = "SHARE", value_parser = share, allow_negative_numbers = true)]
    #[arg(help_heading = "What goes")]
    params: Option<f64>,

    /// The share of the multiply-accumulates that goes at least.
    #[arg(long, value_name = "SHARE", value_parser = share, allow_negative_numbers = true)]
    #[arg(help_heading = "What goes")]
    macs: Option<f64>,

    /// The share of the bytes of parameters and buffers that goes at least.
    #[arg(long, value_name = "SHARE", value_parser = share, allow_negative_numbers = true)]
    #[arg(help_heading = "What goes")]
    bytes: Option<f64>,

    /// The share of the latency that goes at least, measured on the device; no two runs measure the same.
    #[arg(long, value_name = "SHARE", value_parser = share, allow_negative_numbers = true)]
    #[arg(help_heading = "What goes")]
    latency: Option<f64>,
}

impl Target {
    /// The shares of a budget, by their keys.
    fn shares(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let shares = [
            (Measure::Params, self.params),
            (Measure::Macs, self.macs),
            (Measure::Bytes, self.bytes),
            (Measure::Latency, self.latency),
        ];
        shares.into_iter().filter_map(|(measure, share)| Some((measure.name(), share?)))
    }

    /// Says in a config how much goes, in place of what it says of that.
    fn set(&self, config: &mut Map<String, Value>, limits: &mut Map<String, Value>) {
        if self.shares().next().is_some() {
            let file = config.get("budget").and_then(|budget| budget.get("cost_aware")).cloned();
            let mut budget: Map<String, Value> =
                self.shares().map(|(key, share)| (key.to_owned(), share.into())).collect();
            set(&mut budget, "cost_aware", file);
            config.insert("budget".to_owned(), budget.into());
            limits.remove("target_ratio");
        }
        if self.ratio.is_some() {
            config.remove("budget");
        }
        set(limits, "target_ratio", self.ratio);
    }
}

/// A share of what is there, which leaves something.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..1.0).contains(share));
    share.ok_or_else(|| "it is a share, at least 0 and less than 1".to_owned())
}

fn at_most_one(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "it is a share, at least 0 and at most 1".to_owned())
}

impl SettingsArgs {
    /// The file of settings.
    pub(crate) fn config(&self) -> Option<&PathBuf> {
        self.config.as_ref()
    }

    /// What the file says, but for what options say.
    pub(crate) fn read(&self) -> anyhow::Result<Config> {
        let source = self.config.as_ref().map_or_else(|| "the options".to_owned(), |path| path.display().to_string());
        let mut config = self.config.as_deref().map_or_else(|| Ok(Map::new()), read_map)?;
        if let Some(importance) = &self.importance {
            let json = importance.trim_start().starts_with('{');
            let value = if json { serde_json::from_str(importance) } else { Ok(importance.as_str().into()) };
            config.insert("importance".to_owned(), value.context("--importance")?);
        }
        set(&mut config, "seed", self.seed);
        let limits = config.remove("limits").unwrap_or_else(|| Map::new().into());
        let Value::Object(mut limits) = limits else { bail!("{source}: limits is no table") };
        self.target.set(&mut config, &mut limits);
        set(&mut limits, "scope", self.scope.as_deref());
        set(&mut limits, "round_to", self.round_to.map(NonZeroUsize::get));
        set(&mut limits, "min_channels", self.min_channels.map(NonZeroUsize::get));
        set(&mut limits, "max_ratio", self.max_ratio);
        set(&mut limits, "ignore", (!self.ignore.is_empty()).then_some(&*self.ignore));
        config.insert("limits".to_owned(), limits.into());
        let calibration = config.remove("calibration").filter(|value| !value.is_null());
        let is_given = calibration.is_some();
        let Value::Object(mut data) = calibration.unwrap_or_else(|| Map::new().into()) else {
            bail!("{source}: calibration is no table")
        };
        // A path of the file is relative to its folder, one of an option to where the command runs.
        let folder = self.config.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        let named = self.data.as_deref().map(absolute).transpose()?;
        set(&mut data, "data", named.as_deref().map(Path::to_string_lossy));
        set(&mut data, "loss", self.loss.as_deref());
        if self.recalibrate {
            data.insert("recalibrate".to_owned(), true.into());
        }
        if is_given || !data.is_empty() {
            ensure!(
                data.contains_key("data"),
                "{source}: [calibration], --loss and --recalibrate say what is done with data: give --data, or calibration.data in the config"
            );
            config.insert("calibration".to_owned(), data.into());
        }
        Ok(Config::from_map(config).context(source)?.below(folder))
    }
}

fn set(table: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        table.insert(key.to_owned(), value.into());
    }
}
