//! The charts of the page, as SVG.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::numbers::short;
use crate::events::{Event, History, Row, Stage};

const SIZE: (u32, u32) = (860, 260);
const FONT: (&str, i32) = ("sans-serif", 13);

const INK: RGBColor = RGBColor(75, 85, 99);
const GRID: RGBColor = RGBColor(229, 231, 235);
const LINE: RGBColor = RGBColor(31, 119, 180);
const SKIPPED: RGBColor = RGBColor(245, 158, 11);
const REVERTED: RGBColor = RGBColor(220, 38, 38);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Failed = Box<dyn std::error::Error>;

/// What is drawn over the steps.
struct Series {
    title: String,
    /// Steps and values, one after the other.
    line: Vec<(f64, f64)>,
    /// Those that stand for what was soon made good.
    hollow: Vec<(f64, f64)>,
    /// Whether the axis begins at 0.
    from_zero: bool,
}

/// The quality after every cut and after its training.
pub(super) fn quality(history: &History, measure: &str) -> String {
    let (mut line, mut hollow) = (Vec::new(), Vec::new());
    let mut last = None;
    for event in history.events() {
        match event {
            Event::Evaluated { step, stage, quality, .. } => {
                let step = *step as f64;
                match stage {
                    Stage::AfterCut => hollow.push((step, *quality)),
                    // Beside the last step, whose training has a point of its own.
                    Stage::End => line.push((step + 0.5, *quality)),
                    _ => line.push((step, *quality)),
                }
                last = Some(*quality);
            }
            // A step that pruned nothing leaves the quality as it was.
            Event::Skipped { step, .. } => line.extend(last.map(|quality| (*step as f64, quality))),
            Event::Reverted { back_to, .. } => {
                let before = line.iter().rev().find(|(step, _)| *step <= *back_to as f64).copied();
                line.extend(before);
                last = before.map(|(_, quality)| quality);
            }
            _ => {}
        }
    }
    draw(history, &Series { title: measure.to_owned(), line, hollow, from_zero: false })
}

/// The multiply-accumulates that are left.
pub(super) fn macs(history: &History) -> String {
    let mut line = Vec::new();
    for event in history.events() {
        match event {
            Event::Started { counts, .. } => line.push((0.0, counts.macs as f64)),
            Event::Applied { report } => line.push((report.step as f64, report.after.macs as f64)),
            Event::Reverted { back_to, counts, .. } => line.push((*back_to as f64, counts.macs as f64)),
            _ => {}
        }
    }
    draw(history, &Series { title: "MACs".to_owned(), line, hollow: Vec::new(), from_zero: true })
}

fn draw(history: &History, series: &Series) -> String {
    let mut svg = String::new();
    let drawn = draw_on(&SVGBackend::with_string(&mut svg, SIZE).into_drawing_area(), history, series);
    match drawn {
        Ok(()) => svg,
        Err(error) => format!("<p>This chart cannot be drawn: {}</p>", html_text(&error.to_string())),
    }
}

fn html_text(text: &str) -> String {
    maud::html! { (text) }.into_string()
}

fn draw_on(area: &Area<'_>, history: &History, series: &Series) -> Result<(), Failed> {
    let rows = history.rows();
    let points = || series.line.iter().chain(&series.hollow);
    let last = points().map(|(step, _)| *step).fold(1.0, f64::max);
    let (low, high) = bounds(points().map(|(_, value)| *value), series.from_zero);
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .x_label_area_size(34)
        .y_label_area_size(62)
        .build_cartesian_2d(-0.3..last + 0.3, low..high)?;
    if !(high - low).is_finite() {
        return Err("the numbers are too large".into());
    }
    // As many that two lines of the mesh differ.
    let digits = (-((high - low) / 6.0).log10()).ceil().clamp(2.0, 9.0) as usize;
    let label = |value: &f64| if high > 1000.0 { short(*value) } else { format!("{value:.digits$}") };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .label_style(FONT.into_font().color(&INK))
        .x_desc("step")
        .y_desc(series.title.as_str())
        .x_labels(last.min(15.0) as usize + 1)
        .y_labels(6)
        .x_label_formatter(&|step| format!("{step:.0}"))
        .y_label_formatter(&label)
        .draw()?;
    // A band over every step that was not followed by training, or was taken back.
    let band = |row: &Row, colour: RGBColor| {
        let step = row.step as f64;
        Rectangle::new([(step - 0.3, low), (step + 0.3, high)], colour.mix(0.18).filled())
    };
    chart.draw_series(rows.iter().filter(|row| row.epochs_skipped > 0).map(|row| band(row, SKIPPED)))?;
    chart.draw_series(rows.iter().filter(|row| row.reverted).map(|row| band(row, REVERTED)))?;
    chart.draw_series(LineSeries::new(series.line.iter().copied(), LINE.stroke_width(2)))?;
    chart.draw_series(series.line.iter().map(|&point| Circle::new(point, 3, LINE.filled())))?;
    chart.draw_series(series.hollow.iter().map(|&point| Circle::new(point, 3, LINE.stroke_width(1))))?;
    area.present()?;
    Ok(())
}

/// The ends of an axis, with some room.
fn bounds(values: impl Iterator<Item = f64>, from_zero: bool) -> (f64, f64) {
    let finite = values.filter(|value| value.is_finite());
    let (low, high) =
        finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return (0.0, 1.0);
    }
    let room = (0.08 * (high - low)).max(1e-3 * high.abs()).max(1e-6);
    if from_zero { (0.0, high.max(0.0) + room.max(0.05 * high)) } else { (low - room, high + room) }
}
