//! The plot: accuracy over the multiply-accumulates that are gone, a panel for every network.

use std::collections::BTreeMap;

use plotters::prelude::*;
use pruner_core::plan::Scope;

use super::QualityError;
use super::criteria::{Criterion, RANDOM};
use super::models::Model;
use super::row::{Accuracies, Tool};
use super::store::Results;

/// The criteria that have a colour; all others are thin and grey.
const COLOURED: [(&str, RGBColor); 7] = [
    (RANDOM, RGBColor(20, 20, 20)),
    ("magnitude", RGBColor(31, 119, 180)),
    ("taylor", RGBColor(214, 39, 40)),
    ("hessian", RGBColor(148, 103, 189)),
    ("group-fisher", RGBColor(44, 160, 44)),
    ("wanda", RGBColor(255, 127, 14)),
    ("flap", RGBColor(140, 86, 75)),
];
const GREY: RGBColor = RGBColor(200, 200, 200);

const PANEL: (u32, u32) = (480, 360);
const LEGEND_HEIGHT: u32 = 84;

/// A point: the multiply-accumulates that are gone and the accuracy, both in percent.
type Point = (f64, f64);

/// The plot as SVG. Points are means over seeds, ranked globally, without training.
pub(super) fn plot(results: &Results) -> Result<String, QualityError> {
    let models: Vec<Model> = Model::ALL.into_iter().filter(|&model| !results.dense(model).is_empty()).collect();
    let columns = models.len().clamp(1, 2);
    let rows = models.len().div_ceil(columns).max(1);
    let size = (columns as u32 * PANEL.0, rows as u32 * PANEL.1 + LEGEND_HEIGHT);
    let mut svg = String::new();
    let failed = |error: &dyn std::fmt::Display| QualityError::Plot(error.to_string());
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE).map_err(|error| failed(&error))?;
        let (panels, legend) = area.split_vertically(size.1 - LEGEND_HEIGHT);
        for (panel, &model) in panels.split_evenly((rows, columns)).iter().zip(&models) {
            draw(panel, results, model).map_err(|error| failed(&error))?;
        }
        draw_legend(&legend, size.0).map_err(|error| failed(&error))?;
        area.present().map_err(|error| failed(&error))?;
    }
    Ok(svg + "\n")
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn draw<'a>(area: &Area<'a>, results: &Results, model: Model) -> Drawn<'a> {
    let lines = lines(results, model);
    let points = || lines.values().flatten();
    let right = points().map(|point| point.0).fold(10.0, f64::max) + 3.0;
    let top = points().map(|point| point.1).fold(10.0, f64::max) + 3.0;
    let mut chart = ChartBuilder::on(area)
        .caption(model.title(), ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(38)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..right, 0.0..top.min(100.0))?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GREY.mix(0.5))
        .x_desc("multiply-accumulates gone, %")
        .y_desc("accuracy, %")
        .x_label_formatter(&|value| format!("{value:.0}"))
        .y_label_formatter(&|value| format!("{value:.0}"))
        .draw()?;
    // Coloured lines are drawn over grey ones.
    let mut order: Vec<(&(Tool, &str), &Vec<Point>)> = lines.iter().collect();
    order.sort_by_key(|((_, criterion), _)| colour(criterion).is_some());
    for ((tool, criterion), points) in order {
        let style = colour(criterion).unwrap_or(GREY).stroke_width(if colour(criterion).is_some() { 2 } else { 1 });
        match tool {
            Tool::Pruner => chart.draw_series(LineSeries::new(points.iter().copied(), style))?,
            Tool::TorchPruning => chart.draw_series(DashedLineSeries::new(points.iter().copied(), 5, 4, style))?,
        };
        if let Some(colour) = colour(criterion) {
            chart.draw_series(points.iter().map(|&point| Circle::new(point, 2, colour.filled())))?;
        }
    }
    Ok(())
}

fn draw_legend<'a>(area: &Area<'a>, width: u32) -> Drawn<'a> {
    let names = COLOURED.iter().map(|&(name, colour)| (name, colour));
    let entries: Vec<(&str, RGBColor)> = names.chain([("other criteria", GREY)]).collect();
    let per_row = (width / 120).max(1) as usize;
    for (index, (name, colour)) in entries.iter().enumerate() {
        let (x, y) = (20 + 120 * (index % per_row) as i32, 10 + 18 * (index / per_row) as i32);
        area.draw(&PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2)))?;
        area.draw(&Text::new((*name).to_owned(), (x + 23, y - 6), ("sans-serif", 13)))?;
    }
    let y = 10 + 18 * entries.len().div_ceil(per_row) as i32;
    let lines = ["Solid: pruner; dashed: Torch-Pruning.", "Means over seeds, ranked globally, without training."];
    for (line, y) in lines.into_iter().zip([y, y + 18]) {
        area.draw(&Text::new(line, (20, y - 6), ("sans-serif", 13)))?;
    }
    Ok(())
}

fn colour(criterion: &str) -> Option<RGBColor> {
    COLOURED.iter().find(|(name, _)| *name == criterion).map(|&(_, colour)| colour)
}

/// The points of every tool and criterion, from the dense network on.
fn lines(results: &Results, model: Model) -> BTreeMap<(Tool, &'static str), Vec<Point>> {
    let dense = results.dense(model);
    let start = mean(dense.iter().map(|dense| (0.0, 100.0 * dense.accuracy)).collect());
    let mut lines = BTreeMap::new();
    for tool in [Tool::Pruner, Tool::TorchPruning] {
        for criterion in Criterion::ALL {
            let rows = results.rows.iter().filter(|row| {
                let cell = &row.cell;
                cell.model == model
                    && cell.tool == tool
                    && cell.criterion == criterion.name
                    && cell.scope == Scope::Global
            });
            let mut points: BTreeMap<u32, BTreeMap<u64, Point>> = BTreeMap::new();
            for row in rows {
                if let Some(found) = row.accuracies() {
                    let point = |found: &Accuracies| (100.0 * found.macs_gone, 100.0 * found.untrained());
                    points.entry(row.cell.percent).or_default().insert(row.cell.seed, point(found));
                }
            }
            if !points.is_empty() {
                let means = points.into_values().map(|seeds| mean(seeds.into_values().collect()));
                lines.insert((tool, criterion.name), std::iter::once(start).chain(means).collect());
            }
        }
    }
    lines
}

fn mean(points: Vec<Point>) -> Point {
    let count = points.len().max(1) as f64;
    let sum = points.into_iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
    (sum.0 / count, sum.1 / count)
}
