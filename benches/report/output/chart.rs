//! Charts, as SVG that stands inside the page.

use plotters::prelude::*;

/// Lines over a common axis.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) across: &'static str,
    pub(crate) up: &'static str,
    /// Each with its name and its points.
    pub(crate) lines: Vec<(String, Vec<(f64, f64)>)>,
}

const SIZE: (u32, u32) = (720, 360);

/// Both axes are logarithmic: what is compared spans orders of magnitude.
pub(crate) fn svg(chart: &Chart) -> String {
    let mut svg = String::new();
    draw(chart, &mut svg).expect("a string can be drawn to");
    svg
}

fn draw(chart: &Chart, svg: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let points = || chart.lines.iter().flat_map(|(_, points)| points);
    let across = bounds(points().map(|point| point.0));
    let up = bounds(points().map(|point| point.1));
    let mut plane = ChartBuilder::on(&area)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d(across.log_scale(), up.log_scale())?;
    plane.configure_mesh().x_desc(chart.across).y_desc(chart.up).light_line_style(TRANSPARENT).draw()?;
    for (number, (name, points)) in chart.lines.iter().enumerate() {
        let color = Palette99::pick(number).to_rgba();
        plane
            .draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)).point_size(3))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
    }
    plane.configure_series_labels().border_style(BLACK.mix(0.3)).background_style(WHITE.mix(0.8)).draw()?;
    area.present()?;
    Ok(())
}

/// The smallest and the largest, with room around them.
fn bounds(values: impl Iterator<Item = f64>) -> std::ops::Range<f64> {
    let (least, most) = values
        .fold((f64::MAX, f64::MIN_POSITIVE), |(least, most), value| (least.min(value), most.max(value)));
    least.min(most) * 0.7..most * 1.5
}
