//! Showing how far something is, on standard error: a bar on a terminal, a line for each stage elsewhere.

use std::io::{IsTerminal, stderr};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::printable::printable;
use crate::report::Migration;

/// What shows it.
pub(crate) enum Meter {
    Quiet,
    /// Writes a line when something else is being done than before.
    Lines {
        last: String,
    },
    /// Draws one, from when there is something to draw.
    Bar {
        bar: Option<ProgressBar>,
    },
}

impl Meter {
    pub(crate) fn new(is_quiet: bool) -> Self {
        if is_quiet {
            Self::Quiet
        } else if stderr().is_terminal() {
            Self::Bar { bar: None }
        } else {
            Self::Lines { last: String::new() }
        }
    }

    pub(crate) fn is_quiet(&self) -> bool {
        matches!(self, Self::Quiet)
    }

    /// Shows how far a migration is.
    pub(crate) fn show(&mut self, migration: &Migration) {
        let doing = printable(&migration.doing()).replace('\n', " ");
        let (from, to) = (migration.from_schema, migration.to_schema);
        match self {
            Self::Quiet => {}
            Self::Lines { last } => {
                // Those who are in the way change all the time.
                let stage = format!("{from} {to} {:?} {}", migration.stage, migration.waits());
                if *last != stage {
                    let percent = migration.percent().map(|percent| format!(" {percent} %"));
                    eprintln!("schema {from} -> {to}: {doing}{}", percent.unwrap_or_default());
                    *last = stage;
                }
            }
            Self::Bar { bar } => {
                let bar = bar.get_or_insert_with(|| {
                    ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
                        .with_prefix(format!("schema {from} -> {to}"))
                });
                if migration.percent().is_some() {
                    bar.set_style(style(
                        "{prefix}  {msg:<12} [{bar:30}] {percent:>3} %  {pos} of {len} shards",
                    ));
                    bar.set_length(migration.shards);
                    bar.set_position(migration.done);
                } else {
                    bar.set_style(style("{prefix}  {spinner} {wide_msg}"));
                }
                bar.set_message(doing);
                bar.tick();
            }
        }
    }

    /// Removes what was drawn.
    pub(crate) fn clear(&mut self) {
        if let Self::Bar { bar } = self
            && let Some(bar) = bar.take()
        {
            bar.finish_and_clear();
        }
    }

    /// Says something in a line of its own.
    pub(crate) fn say(&mut self, what: &str) {
        self.clear();
        if !self.is_quiet() {
            eprintln!("{}", printable(what).replace('\n', " "));
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is one of those above").progress_chars("=> ")
}
