//! The plot: of what training after every step costs, how much is left where steps that pruned nothing are skipped.

use plotters::prelude::*;

use super::SkipError;
use super::page::{Cell, cells};
use super::store::Results;

const WIDTH: u32 = 900;
const LINE: i32 = 20;
const HEAD: i32 = 44;
/// Where bars begin and how long the longest is.
const LEFT: i32 = 300;
const LONGEST: f64 = 360.0;

const ALL: RGBColor = RGBColor(214, 219, 226);
const DONE: RGBColor = RGBColor(31, 119, 180);
const INK: RGBColor = RGBColor(40, 40, 40);

/// The plot as SVG: a bar for every network and setting, of the first machine that has results.
pub(super) fn plot(all: &[Results]) -> Result<String, SkipError> {
    let results = all.iter().find(|results| !results.rows.is_empty());
    let cells = results.map(cells).unwrap_or_default();
    let height = (HEAD + LINE * cells.len() as i32 + LINE) as u32;
    let mut svg = String::new();
    draw(&mut svg, (WIDTH, height), &cells).map_err(|error| SkipError::Plot(error.to_string()))?;
    Ok(svg + "\n")
}

fn draw(svg: &mut String, size: (u32, u32), cells: &[Cell<'_>]) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, size).into_drawing_area();
    area.fill(&WHITE)?;
    let text =
        |text: &str, x: i32, y: i32| Text::new(text.to_owned(), (x, y), ("sans-serif", 13).into_font().color(&INK));
    area.draw(&text("MACs of training: after cuts only (blue), of those after every step (grey)", LEFT, 10))?;
    area.draw(&text("accuracy, points", LEFT + LONGEST as i32 + 60, 10))?;
    for (index, cell) in cells.iter().enumerate() {
        let y = HEAD + LINE * index as i32;
        let setting = cell.setting;
        let label = format!("{}, {}, round_to {}", cell.network.title(), setting.scheduler, setting.round_to);
        area.draw(&text(&label, 10, y))?;
        let share = cell.share(|run| run.cost.macs as f64);
        let bar = |length: f64, colour: RGBColor| {
            Rectangle::new([(LEFT, y - 1), (LEFT + length as i32, y + 12)], colour.filled())
        };
        area.draw(&bar(LONGEST, ALL))?;
        area.draw(&bar(LONGEST * share.min(1.0), DONE))?;
        area.draw(&text(&format!("{:.0} %", 100.0 * share), LEFT + LONGEST as i32 + 8, y))?;
        area.draw(&text(&cell.difference().percent(true), LEFT + LONGEST as i32 + 60, y))?;
    }
    area.present()?;
    Ok(())
}
