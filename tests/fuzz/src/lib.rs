//! Fuzz targets for all that reads bytes from outside.
//!
//! | target | what an input is | what looks at it |
//! |---|---|---|
//! | `candidate` | a library, or a manifest's text | all that runs before `dlopen` |
//! | `snapshot` | a snapshot's file, or its blocks | all that runs before a state is there, and the codec |
//! | `admin` | bytes on a connection | the HTTP server, its routes, and the engine behind them |
//!
//! The first two need the engine's inside, so what they do stands there (`engine/src/fuzzing.rs`). The third,
//! [`admin`], needs no more than a host has. `ci/fuzz` runs them with libFuzzer, which is linked in only with
//! `--cfg liveswap_fuzzing`. What they have found lies among their seeds, which plain tests go through.

pub mod admin;
pub mod answers;
pub mod mutation;
