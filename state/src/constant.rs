//! Constants: values that logic makes known by name, in its manifest.
//!
//! Whoever looks into a library, or asks a host what it has, reads them as text; nothing of the library runs for that. So
//! a constant is a name, the name of a type, and a value that can be written down while compiling.

/// A value that logic makes known. In [`Logic::CONSTANTS`](crate::Logic::CONSTANTS).
///
/// ```
/// use liveswap_state::Constant;
///
/// const CONSTANTS: &[Constant] = &[
///     Constant::text("GREETING", "hello"),
///     Constant::unsigned("PLAYERS_MAX", 64),
///     Constant::signed("COLDEST", -40),
///     Constant::truth("IS_RANKED", true),
/// ];
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constant {
    pub(crate) name: &'static str,
    pub(crate) value: ConstantValue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConstantValue {
    Text(&'static str),
    Unsigned(u64),
    Signed(i64),
    Truth(bool),
}

impl Constant {
    /// A text; its type is called `str`.
    pub const fn text(name: &'static str, value: &'static str) -> Self {
        Self { name, value: ConstantValue::Text(value) }
    }

    /// A number that isn't negative; its type is called `u64`.
    pub const fn unsigned(name: &'static str, value: u64) -> Self {
        Self { name, value: ConstantValue::Unsigned(value) }
    }

    /// A number; its type is called `i64`.
    pub const fn signed(name: &'static str, value: i64) -> Self {
        Self { name, value: ConstantValue::Signed(value) }
    }

    /// A truth value; its type is called `bool`.
    pub const fn truth(name: &'static str, value: bool) -> Self {
        Self { name, value: ConstantValue::Truth(value) }
    }

    /// What its type is called.
    pub const fn type_name(&self) -> &'static str {
        match self.value {
            ConstantValue::Text(_) => "str",
            ConstantValue::Unsigned(_) => "u64",
            ConstantValue::Signed(_) => "i64",
            ConstantValue::Truth(_) => "bool",
        }
    }
}
