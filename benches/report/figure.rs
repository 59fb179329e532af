//! What the report is made of: figures with their targets, tables and charts, in chapters.

use std::fmt;

use serde::Serialize;

use crate::machine::Machine;
use crate::output::bars::Bars;
use crate::output::chart::Chart;

/// All that one run has measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// Whether it's the quick form, which is noisier.
    pub(crate) quick: bool,
    pub(crate) chapters: Vec<Chapter>,
}

/// What belongs together.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Chapter {
    pub(crate) title: &'static str,
    /// What was measured, and how: a paragraph.
    pub(crate) text: String,
    pub(crate) figures: Vec<Figure>,
    #[serde(skip)]
    pub(crate) tables: Vec<Table>,
    #[serde(skip)]
    pub(crate) bars: Vec<Bars>,
    #[serde(skip)]
    pub(crate) charts: Vec<Chart>,
    /// What couldn't be measured here, and why.
    pub(crate) not_run: Vec<NotRun>,
}

/// One number, and what it should be.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    /// The name of the figure of the same run that `ratio` compares it with.
    pub(crate) ratio_to: Option<String>,
    pub(crate) ratio: Option<f64>,
    pub(crate) target: Option<Target>,
    /// None without a target.
    pub(crate) pass: Option<bool>,
}

/// What a figure must not exceed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
    ValueAtMost(f64),
    RatioAtMost(f64),
}

/// A peer that isn't here.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct NotRun {
    pub(crate) name: &'static str,
    pub(crate) reason: String,
}

/// Figures that have more than one number, such as percentiles.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<(String, Vec<String>)>,
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, ..Self::default() }
    }

    /// Compares it with another figure of the same run. `ratio` isn't always the quotient of the two: of rounds that
    /// took turns it's the median of the rounds' ratios, which noise disturbs less.
    pub(crate) fn compared(mut self, to: impl Into<String>, ratio: f64) -> Self {
        self.ratio_to = Some(to.into());
        self.ratio = Some(ratio);
        self
    }

    /// What it must not exceed.
    pub(crate) fn target(mut self, target: Target) -> Self {
        self.pass = Some(match target {
            Target::ValueAtMost(most) => self.value <= most,
            Target::RatioAtMost(most) => self.ratio.expect("it was compared") <= most,
        });
        self.target = Some(target);
        self
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ValueAtMost(most) => write!(formatter, "≤ {most}"),
            Self::RatioAtMost(most) => write!(formatter, "≤ {most}×"),
        }
    }
}

/// What a person reads while it runs.
impl fmt::Display for Chapter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "\n{}", self.title)?;
        for figure in &self.figures {
            write!(formatter, "  {:52} {:>12} {:6}", figure.name, number(figure.value), figure.unit)?;
            if let (Some(ratio), Some(to)) = (figure.ratio, &figure.ratio_to) {
                write!(formatter, " {}× {to}", number(ratio))?;
            }
            if let (Some(target), Some(pass)) = (figure.target, figure.pass) {
                write!(formatter, "  {} (target {target})", if pass { "met" } else { "MISSED" })?;
            }
            writeln!(formatter)?;
        }
        for Table { title, columns, rows } in &self.tables {
            writeln!(formatter, "  {title}: {}", columns.join(" | "))?;
            for (name, cells) in rows {
                writeln!(formatter, "    {name:50} {}", cells.join(" | "))?;
            }
        }
        for NotRun { name, reason } in &self.not_run {
            writeln!(formatter, "  {name}: not run: {reason}")?;
        }
        Ok(())
    }
}

/// To three digits, as far as a person wants to read them.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        least if least < 0.995 => format!("{value:.3}"),
        small if small < 9.95 => format!("{value:.2}"),
        middle if middle < 99.5 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
