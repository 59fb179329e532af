//! The page: one file, with its style and its charts inside.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{bars, chart};
use crate::figure::{Chapter, Figure, Report, Table, Target, number};

const STYLE: &str = include_str!("style.css");

pub(crate) fn page(report: &Report) -> String {
    let machine = &report.machine;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { "liveswap: measured" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "liveswap, beside what one would pick instead" }
                p.machine {
                    (machine.processor) ", " (machine.processors) " processors, " (machine.memory_mib) " MiB; Linux "
                    (machine.kernel) "; " (machine.compiler) "; load before: " (machine.load)
                    @if report.quick { "; the quick form, which is noisier" }
                }
                (summary(&report.chapters))
                @for chapter in &report.chapters { (section(chapter)) }
            }
        }
    }
    .into_string()
}

/// All figures that have a target, those first that miss it.
fn summary(chapters: &[Chapter]) -> Markup {
    let figures = |chapter: &'_ Chapter, pass| {
        let figures = chapter.figures.iter().filter(move |figure| figure.pass == Some(pass));
        figures.cloned().collect::<Vec<_>>()
    };
    let all = |pass| chapters.iter().flat_map(move |chapter| figures(chapter, pass)).count();
    let (missed, met) = (all(false), all(true));
    html! {
        @if missed + met > 0 {
            p.verdict {
                (met) " of " (missed + met) " targets are met"
                @if missed > 0 { "; " span.bad { (missed) " missed" } }
                "."
            }
            table {
                tr { th { "what" } th { "" } th.number { "value" } th.number { "ratio" } th { "target" } }
                @for pass in [false, true] {
                    @for chapter in chapters {
                        @for figure in figures(chapter, pass) {
                            tr.(class(&figure)) {
                                td { a href={ "#" (name(chapter)) } { (chapter.title) } }
                                (cells(&figure))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What a link to a chapter calls it.
fn name(chapter: &Chapter) -> String {
    chapter.title.to_lowercase().replace(|letter: char| !letter.is_alphanumeric(), "-")
}

fn section(chapter: &Chapter) -> Markup {
    html! {
        h2 id=(name(chapter)) { (chapter.title) }
        p { (chapter.text) }
        @for bars in &chapter.bars {
            figure { figcaption { (bars.title) } (bars::svg(bars)) }
        }
        @for chart in &chapter.charts {
            figure { figcaption { (chart.title) } (chart::svg(chart)) }
        }
        @if !chapter.figures.is_empty() {
            table {
                tr { th { "" } th.number { "value" } th.number { "ratio" } th { "target" } }
                @for figure in &chapter.figures { tr.(class(figure)) { (cells(figure)) } }
            }
        }
        @for table in &chapter.tables { (rows(table)) }
        @for peer in &chapter.not_run {
            p.not-run { (peer.name) ": not run: " (peer.reason) }
        }
    }
}

fn class(figure: &Figure) -> &'static str {
    match figure.pass {
        Some(true) => "met",
        Some(false) => "missed",
        None => "free",
    }
}

fn cells(figure: &Figure) -> Markup {
    html! {
        td { (figure.name) }
        td.number { (number(figure.value)) " " (figure.unit) }
        td.number {
            @if let (Some(ratio), Some(to)) = (figure.ratio, &figure.ratio_to) {
                (number(ratio)) "×" span.to { "of " (to) }
            }
        }
        td.target {
            @if let (Some(target), Some(pass)) = (figure.target, figure.pass) {
                (target) @if let Target::ValueAtMost(_) = target { " " (figure.unit) }
                @if pass { " ✓" } @else { ": missed" }
            }
        }
    }
}

fn rows(table: &Table) -> Markup {
    html! {
        table {
            caption { (table.title) }
            tr { th { "" } @for column in &table.columns { th.number { (column) } } }
            @for (name, cells) in &table.rows {
                tr { td { (name) } @for cell in cells { td.number { (cell) } } }
            }
        }
    }
}
