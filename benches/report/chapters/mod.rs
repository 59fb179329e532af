//! What is measured, a chapter each.

mod call;
mod migration;
mod peers;
mod snapshot;

use crate::figure::Chapter;
use crate::options::Options;

type Measure = fn(&Options) -> Chapter;

/// Each by the name that the command line has for it, in the report's order.
pub(crate) const ALL: [(&str, Measure); 4] = [
    ("call", call::measure),
    ("migration", migration::measure),
    ("snapshot", snapshot::measure),
    ("peers", peers::measure),
];
