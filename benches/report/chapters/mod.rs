//! What is measured, a chapter each.

mod call;
mod migration;
mod peers;
mod snapshot;

use crate::figure::Chapter;
use crate::options::Options;

/// Each by the name that the command line has for it, in the report's order.
pub(crate) const ALL: [(&str, fn(&Options) -> Chapter); 4] = [
    ("call", call::measure),
    ("migration", migration::measure),
    ("snapshot", snapshot::measure),
    ("peers", peers::measure),
];
