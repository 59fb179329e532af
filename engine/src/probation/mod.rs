//! Probation: what is expected of a version that has just been published, and what comes of it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`policy`] | what a host expects |
//! | [`mod@judge`] | whether a version lives up to that, as a pure function |
//! | [`reason`] | why one was rolled back |
//! | [`view`] | what the status shows of it |
//! | [`record`] | what the next start must know if this process doesn't live to tell |
//!
//! What is measured is in [`meter`](crate::call::meter); who measures, judges and acts, in
//! `control/module/probation/`.

pub(crate) mod judge;
mod policy;
mod reason;
pub(crate) mod record;
pub(crate) mod view;

pub(crate) use policy::LONGEST;
pub use policy::{BadProbation, Probation};
pub use reason::Reason;
pub use record::RecordError;
