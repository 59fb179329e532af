//! Bars: what many contenders take for the same thing, as SVG that stands inside the page.

use maud::{Markup, html};

use crate::figure::number;

/// A group of bars for each contender.
#[derive(Clone, Debug)]
pub(crate) struct Bars {
    pub(crate) title: String,
    pub(crate) unit: &'static str,
    /// What each bar of a group is.
    pub(crate) of: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

/// A contender's bars.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// It's liveswap's own, and stands out.
    pub(crate) is_own: bool,
    pub(crate) values: Vec<f64>,
}

/// Where the names end and the bars begin, how long the longest one is, and how wide it all is.
const LEFT: f64 = 310.0;
const LENGTH: f64 = 390.0;
const WIDTH: f64 = 780.0;
/// A bar that is longer than this many times the shortest is cut off, or one could see nothing of the short ones.
const SPAN_MAX: f64 = 20.0;
const BAR: f64 = 13.0;
const GAP: f64 = 9.0;

pub(crate) fn svg(bars: &Bars) -> Markup {
    let values = || bars.rows.iter().flat_map(|row| &row.values).copied();
    let most = values().fold(f64::MIN_POSITIVE, f64::max).min(values().fold(f64::MAX, f64::min) * SPAN_MAX);
    let group = BAR * bars.of.len() as f64 + GAP;
    let height = group * bars.rows.len() as f64 + GAP;
    html! {
        p.key {
            @for (number, of) in bars.of.iter().enumerate() { span.{ "swatch shade-" (number) } {} (of) " " }
        }
        svg.bars viewBox={ "0 0 " (WIDTH) " " (height) } width=(WIDTH) role="img" aria-label=(bars.title) {
            @for (place, row) in bars.rows.iter().enumerate() {
                @let top = GAP / 2.0 + group * place as f64;
                g.own[row.is_own] {
                    text x=(LEFT - 8.0) y=(top + (group - GAP) / 2.0 + 4.5) text-anchor="end" { (row.name) }
                    @for (number_of, &value) in row.values.iter().enumerate() {
                        @let (y, length) = (top + BAR * number_of as f64, (LENGTH * value / most).clamp(1.0, LENGTH));
                        rect.{ "shade-" (number_of) } x=(LEFT) y=(y + 0.5) width=(length) height=(BAR - 1.0) {}
                        text.value x=(LEFT + length + 5.0) y=(y + BAR - 2.5) { @if value > most { "… " } (number(value)) " " (bars.unit) }
                    }
                }
            }
        }
    }
}
