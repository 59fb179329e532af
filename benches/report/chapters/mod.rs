//! What is measured, a chapter each.

mod call;
mod migration;
mod peers;

use crate::figure::Chapter;
use crate::options::Options;

/// Each by the name that the command line has for it, in the report's order.
pub(crate) const ALL: [(&str, fn(&Options) -> Chapter); 3] =
    [("call", call::measure), ("migration", migration::measure), ("peers", peers::measure)];
