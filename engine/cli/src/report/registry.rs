//! The registry: each module, its versions, and what they export.

use std::fmt::{self, Display, Formatter};

use serde::Deserialize;

/// All modules of an engine, with what their versions export.
#[derive(Deserialize)]
pub(crate) struct Registry {
    modules: Vec<Module>,
}

#[derive(Deserialize)]
struct Module {
    name: String,
    /// The factory that it's an instance of.
    factory: Option<String>,
    interface: String,
    active: Option<Version>,
    standby: Option<Version>,
}

#[derive(Deserialize)]
struct Version {
    version: String,
    origin: String,
    functions: Vec<Function>,
    constants: Vec<Constant>,
    types: Vec<Type>,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    access: String,
}

#[derive(Deserialize)]
struct Constant {
    name: String,
    #[serde(rename = "type")]
    type_name: String,
    value: String,
}

#[derive(Deserialize)]
struct Type {
    name: String,
    schema: u32,
}

impl Display for Registry {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        for Module { name, factory, interface, active, standby } in &self.modules {
            let factory = factory.as_ref().map(|factory| format!(" of {factory}")).unwrap_or_default();
            writeln!(formatter, "{name}{factory}: {interface}")?;
            for (slot, version) in [("active", active), ("standby", standby)] {
                match version {
                    Some(version) => write!(formatter, "  {slot:<10} {version}")?,
                    None if slot == "active" => writeln!(formatter, "  active     none")?,
                    None => {}
                }
            }
        }
        Ok(())
    }
}

impl Display for Version {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { version, origin, functions, constants, types } = self;
        writeln!(formatter, "{version} {origin}")?;
        for Function { name, access } in functions {
            writeln!(formatter, "    function {name} {access}")?;
        }
        for Constant { name, type_name, value } in constants {
            // Anybody's text: a line break in it would make a line of its own.
            writeln!(formatter, "    constant {name}: {type_name} = {}", value.escape_debug())?;
        }
        for Type { name, schema } in types {
            writeln!(formatter, "    type     {name}, schema {schema}")?;
        }
        Ok(())
    }
}
