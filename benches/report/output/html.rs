//! The page: one file, with its style and its charts inside.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::chart;
use crate::figure::{Chapter, Figure, Report, Table, number};

const STYLE: &str = include_str!("style.css");

pub(crate) fn page(report: &Report) -> String {
    let machine = &report.machine;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { "liveswap: measured" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "liveswap, beside what one would pick instead" }
                p {
                    (machine.processor) ", " (machine.processors) " processors, " (machine.memory_mib) " MiB; Linux "
                    (machine.kernel) "; " (machine.compiler) "; load before: " (machine.load)
                    @if report.quick { "; the quick form, which is noisier" }
                }
                @for chapter in &report.chapters { (section(chapter)) }
            }
        }
    }
    .into_string()
}

fn section(chapter: &Chapter) -> Markup {
    html! {
        h2 { (chapter.title) }
        p { (chapter.text) }
        @if !chapter.figures.is_empty() { (figures(&chapter.figures)) }
        @for chart in &chapter.charts {
            figure { figcaption { (chart.title) } (PreEscaped(chart::svg(chart))) }
        }
        @for table in &chapter.tables { (rows(table)) }
        @for peer in &chapter.not_run {
            p.not-run { (peer.name) ": not run: " (peer.reason) }
        }
    }
}

fn figures(figures: &[Figure]) -> Markup {
    html! {
        table {
            tr { th { "" } th { "value" } th { "ratio" } th { "target" } }
            @for figure in figures {
                tr.missed[figure.pass == Some(false)].met[figure.pass == Some(true)] {
                    td { (figure.name) }
                    td.number { (number(figure.value)) " " (figure.unit) }
                    td.number {
                        @if let (Some(ratio), Some(to)) = (figure.ratio, &figure.ratio_to) {
                            (number(ratio)) "× " (to)
                        }
                    }
                    td { @if let Some(target) = figure.target { (target) @if figure.pass == Some(false) { ": missed" } } }
                }
            }
        }
    }
}

fn rows(table: &Table) -> Markup {
    html! {
        table {
            caption { (table.title) }
            tr { th { "" } @for column in &table.columns { th { (column) } } }
            @for (name, cells) in &table.rows {
                tr { td { (name) } @for cell in cells { td.number { (cell) } } }
            }
        }
    }
}
