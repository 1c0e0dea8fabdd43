//! `pruner diff`: two models, layer by layer.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use pruner::deps::{Analysis, Counts, Kept, layer_of};
use pruner::text::Column;
use serde::Serialize;

use super::model::Model;
use super::numbers::{bytes, change, human};
use super::output::{self, Output};

/// The arguments of `pruner diff`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Diff {
    /// The model before.
    before: PathBuf,

    /// The model after.
    after: PathBuf,

    /// Show layers that are the same too.
    #[arg(long)]
    all: bool,
}

const EXAMPLES: &str = "Examples:
  pruner diff model.pt2 small.pt2
      every layer that changed, with the shape of its weight before and after
  pruner diff model.pt2 small.pt2 | sort -k4 -n | head
      the layers that lost the largest share of their parameters";

#[derive(Serialize)]
struct Found {
    before: Counts,
    after: Counts,
    /// Every layer of either model, in the order of the first; those of the second alone come last.
    layers: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    layer: String,
    before: Option<Layer>,
    after: Option<Layer>,
}

/// What is known of a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Layer {
    /// The shapes of its parameters, by the last part of their names.
    shapes: BTreeMap<String, Vec<usize>>,
    params: u64,
    macs: u64,
}

impl Diff {
    pub(crate) fn run(self, output: Output) -> anyhow::Result<()> {
        let (before, after) = (Model::open(&self.before)?.analysis, Model::open(&self.after)?.analysis);
        let found = Found::new(&before, &after);
        if output == Output::Json {
            return output::print_json(&found);
        }
        let numbers = ["before", "after", "params", "MACs"].map(|heading| (heading, Column::Right));
        let mut table = output::table(&[&[("layer", Column::Name)], &numbers[..]].concat());
        for Row { layer, before, after } in found.layers.iter().filter(|row| self.all || row.before != row.after) {
            let empty = Layer::default();
            let (b, a) = (before.as_ref().unwrap_or(&empty), after.as_ref().unwrap_or(&empty));
            let shares = [(b.params, a.params), (b.macs, a.macs)];
            let [params, macs] = shares.map(|(b, a)| if b == 0 { "-".to_owned() } else { change(b, a) });
            table.push([layer.clone(), b.weight(), a.weight(), params, macs]);
        }
        if table.has_rows() {
            output::print_fitted(&table)?;
        } else {
            output::print("every layer is the same in both; --all shows them")?;
        }
        let (b, a) = (found.before, found.after);
        output::print(&format!(
            "\nfrom {} to {} parameters ({}), from {} to {} MACs ({}), from {} to {} ({})",
            human(b.params),
            human(a.params),
            change(b.params, a.params),
            human(b.macs),
            human(a.macs),
            change(b.macs, a.macs),
            bytes(b.bytes),
            bytes(a.bytes),
            change(b.bytes, a.bytes)
        ))?;
        Ok(())
    }
}

impl Layer {
    /// The shape of what is largest of it.
    fn weight(&self) -> String {
        let largest = self.shapes.values().max_by_key(|shape| shape.iter().product::<usize>());
        largest.map_or_else(|| "-".to_owned(), |sizes| output::shape(sizes))
    }
}

impl Found {
    fn new(before: &Analysis, after: &Analysis) -> Self {
        let (names, mut layers_before) = layers(before);
        let (more, mut layers_after) = layers(after);
        let more = more.into_iter().filter(|name| !layers_before.contains_key(name)).collect::<Vec<_>>();
        let row =
            |layer: String| Row { before: layers_before.remove(&layer), after: layers_after.remove(&layer), layer };
        let rows = names.into_iter().chain(more).map(row).collect();
        Self { before: before.counts(&Kept::all()), after: after.counts(&Kept::all()), layers: rows }
    }
}

/// The layers of a model in the order of their use, and what each costs. Products that read no parameter are of a layer
/// of their own, named for their operation.
fn layers(analysis: &Analysis) -> (Vec<String>, BTreeMap<String, Layer>) {
    let (kept, graph) = (Kept::all(), analysis.graph());
    let (mut names, mut layers) = (Vec::new(), BTreeMap::<String, Layer>::new());
    for cost in analysis.node_costs(&kept) {
        let name = if cost.layer.is_empty() { format!("({})", cost.op) } else { cost.layer };
        let layer = layers.entry(name.clone()).or_insert_with(|| {
            names.push(name);
            Layer::default()
        });
        layer.params += cost.params;
        layer.macs += cost.macs;
    }
    for (id, value) in graph.stored() {
        let (layer, parameter) = layer_of(&value.name);
        if let Some(layer) = layers.get_mut(layer) {
            layer.shapes.insert(parameter.to_owned(), analysis.sizes(&kept, id));
        }
    }
    (names, layers)
}
