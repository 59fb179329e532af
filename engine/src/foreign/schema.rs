//! Which state of a library in C can be made of which: its schemas are numbers, each one step from the one before.
//!
//! The engine knows a type of state by a table of functions, and by those of the types that it came from. For a library in
//! C all of them are the engine's own, the same for each library; only the steps ask the library, and find it by the hook
//! that their thread is in. So the tables are there from the start, [`SCHEMAS_MAX`] of them, and nothing is kept for a
//! library that is gone. How far back a library's own steps reach, its manifest says, and that is looked at first.

use liveswap_state::sharded::Flips;
use liveswap_state::table::{Origin, StateTable};
use liveswap_state::{Fenced, Fingerprint, MigrateError, State, fence};

use super::abi::Logic;
use super::blocks::Blocks;
use super::call::{self, Access, Loaded};
use super::logic;

/// The highest number of a schema; the lowest is 1.
pub(crate) const SCHEMAS_MAX: u32 = 256;

/// What the state is called. No type of Rust's has such a name.
pub(crate) const STATE_NAME: &str = "blocks of a C library";

/// What tells a state of this schema from others.
pub(crate) const fn fingerprint(schema: u32) -> Fingerprint {
    Fingerprint::of(STATE_NAME).with(Blocks::FINGERPRINT).with_number(schema as usize)
}

/// The functions for a state of this schema. There is such a schema.
pub(super) fn table(schema: u32) -> StateTable {
    let former = schema.checked_sub(2).map(|place| &ORIGINS[place as usize]);
    describe(schema, former)
}

/// The step to each schema from the one before: the first leads from 1 to 2.
static ORIGINS: [Origin; SCHEMAS_MAX as usize - 1] = {
    let mut origins = [origin(1, None); SCHEMAS_MAX as usize - 1];
    let mut place = 1;
    while place < origins.len() {
        origins[place] = origin(place as u32 + 1, Some(&ORIGINS[place - 1]));
        place += 1;
    }
    origins
};

const fn origin(schema: u32, former: Option<&'static Origin>) -> Origin {
    let table = describe(schema, former);
    Origin { table, upgrade, downgrade: Some(downgrade), alignment: table.fingerprint.alignment() }
}

const fn describe(schema: u32, origin: Option<&'static Origin>) -> StateTable {
    StateTable {
        name: STATE_NAME,
        schema,
        fingerprint: fingerprint(schema),
        origin,
        ..StateTable::of::<Blocks>()
    }
}

/// # Safety
///
/// As [`Step`](liveswap_state::table::Step).
unsafe fn upgrade(state: *mut (), _: &Flips) -> Fenced<Result<*mut (), MigrateError>> {
    // SAFETY: as the caller vouches.
    unsafe { step(state, "migrate", |logic| logic.migrate, |schema| (schema, schema + 1)) }
}

/// # Safety
///
/// As [`Step`](liveswap_state::table::Step).
unsafe fn downgrade(state: *mut (), _: &Flips) -> Fenced<Result<*mut (), MigrateError>> {
    // SAFETY: as the caller vouches.
    unsafe { step(state, "migrate_back", |logic| logic.migrate_back, |schema| (schema - 1, schema - 1)) }
}

/// Has the library take one step. `schemas` says, for the schema that is there, what the library is told and what will be.
///
/// # Safety
///
/// The address is of a `Box` of blocks that nobody else uses.
unsafe fn step(
    state: *mut (),
    name: &str,
    function: impl Fn(&Logic) -> Option<super::abi::Step>,
    schemas: impl Fn(u32) -> (u32, u32),
) -> Fenced<Result<*mut (), MigrateError>> {
    fence::fence(|| {
        // SAFETY: as the caller vouches.
        let mut blocks = unsafe { Box::from_raw(state.cast::<Blocks>()) };
        let context = logic::in_hook().ok_or("the library that knows how isn't loaded any more")?;
        let function = function(&Loaded::of(&context).logic);
        let function = function.ok_or_else(|| format!("the library has no `{name}`"))?;
        let (told, next) = schemas(blocks.schema);
        // SAFETY: the library is mapped, since this thread is in a hook of it.
        call::make(&context, Access::Alone(&mut blocks), |call| unsafe { function(call, told) })?;
        blocks.schema = next;
        Ok(Box::into_raw(blocks).cast())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_schema_came_from_the_one_before() {
        for schema in [1, 2, 3, SCHEMAS_MAX] {
            let tables = std::iter::successors(Some(table(schema)), |table| Some(table.origin?.table));
            let known: Vec<_> = tables.map(|table| (table.schema, table.fingerprint)).collect();
            let expected: Vec<_> = (1..=schema).rev().map(|schema| (schema, fingerprint(schema))).collect();
            assert_eq!(known, expected);
        }
        assert_ne!(fingerprint(1), fingerprint(2));
    }
}
