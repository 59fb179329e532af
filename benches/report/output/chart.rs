//! Charts, as SVG that stands inside the page.

use maud::{Markup, PreEscaped, html};
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use crate::figure::number;

/// Lines over a common axis.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) across: &'static str,
    pub(crate) up: &'static str,
    /// Each with its name and its points.
    pub(crate) lines: Vec<(String, Vec<(f64, f64)>)>,
}

const SIZE: (u32, u32) = (780, 380);

/// Told apart by those too who don't see all colors.
const COLORS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(110, 110, 110),
    RGBColor(230, 159, 0),
];

/// An axis is logarithmic if what is on it spans more than this: else the small would be on the line of 0.
const SPAN_MAX: f64 = 30.0;

fn color(line: usize) -> RGBColor {
    COLORS[line % COLORS.len()]
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

pub(crate) fn svg(chart: &Chart) -> Markup {
    let mut svg = String::new();
    draw(chart, &mut svg).expect("a string can be drawn to");
    html! {
        // Beside the drawing: who draws doesn't know how wide the page's letters are.
        @if chart.lines.len() > 1 {
            p.key {
                @for (number, (name, _)) in chart.lines.iter().enumerate() {
                    @let RGBColor(red, green, blue) = color(number);
                    span.swatch style={ "background: rgb(" (red) " " (green) " " (blue) ")" } {} (name) " "
                }
            }
        }
        (PreEscaped(svg))
    }
}

fn draw(chart: &Chart, svg: &mut String) -> Outcome {
    let points = || chart.lines.iter().flat_map(|(_, points)| points);
    let (left, right) = bounds(points().map(|point| point.0));
    let (low, high) = bounds(points().map(|point| point.1));
    let is_wide = |least: f64, most: f64| least > 0.0 && most / least > SPAN_MAX;
    // A line that hardly rises shall look so: what isn't logarithmic begins at 0.
    match (is_wide(left, right), is_wide(low, high)) {
        (true, true) => lines(chart, svg, (left..right).log_scale(), (low / 1.5..high * 2.0).log_scale()),
        (true, false) => lines(chart, svg, (left..right).log_scale(), low.min(0.0)..high * 1.3),
        (false, true) => lines(chart, svg, left..right, (low / 1.5..high * 2.0).log_scale()),
        (false, false) => lines(chart, svg, left..right, low.min(0.0)..high * 1.3),
    }
}

fn lines<X, Y>(chart: &Chart, svg: &mut String, across: X, up: Y) -> Outcome
where
    X: AsRangedCoord<Value = f64, CoordDescType: ValueFormatter<f64>>,
    Y: AsRangedCoord<Value = f64, CoordDescType: ValueFormatter<f64>>,
{
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let mut plane = ChartBuilder::on(&area)
        .margin(12)
        .margin_right(32)
        .x_label_area_size(46)
        .y_label_area_size(70)
        .build_cartesian_2d(across, up)?;
    plane
        .configure_mesh()
        .x_desc(chart.across)
        .y_desc(chart.up)
        .x_label_formatter(&|value| label(*value))
        .y_label_formatter(&|value| label(*value))
        .x_labels(8)
        .y_labels(8)
        .label_style(("sans-serif", 16))
        .axis_desc_style(("sans-serif", 17))
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .draw()?;
    for (number, (_, points)) in chart.lines.iter().enumerate() {
        let color = color(number);
        plane.draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)).point_size(3))?;
    }
    area.present()?;
    Ok(())
}

fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (least, most) = values
        .fold((f64::MAX, f64::MIN_POSITIVE), |(least, most), value| (least.min(value), most.max(value)));
    (least.min(most), most)
}

/// What stands at an axis: short, whatever the size.
fn label(value: f64) -> String {
    for (size, unit) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] {
        if value.abs() >= size {
            return format!("{}{unit}", trimmed(value / size));
        }
    }
    trimmed(value)
}

fn trimmed(value: f64) -> String {
    let text = number(value);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
