//! Shapes: what a type consists of, by name, for people to read.
//!
//! A [`Fingerprint`] tells that two types differ. To tell in what, each type also has its shape: a tree of names,
//! known while compiling, that a library's manifest spells out. Nothing is decided by it.

use crate::Fingerprint;

/// What a type consists of.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The type's own name.
    pub name: &'static str,
    /// The version of its schema.
    pub schema: u32,
    /// The hash of its layout.
    pub fingerprint: Fingerprint,
    /// What a container holds: the `u64` of `Vec<u64>`.
    pub parameters: &'static [&'static Shape],
    /// The fields of a struct, and the variants of an enum with theirs.
    pub fields: &'static [FieldShape],
}

/// A field of a struct, a variant of an enum, or a field of such a variant (`Variant.field`).
#[derive(Clone, Copy, Debug)]
pub struct FieldShape {
    /// Its name.
    pub name: &'static str,
    /// Its type; none for a variant.
    pub shape: Option<&'static Shape>,
}

impl Shape {
    /// The shape of a type of which no more is known.
    pub const fn opaque(name: &'static str, schema: u32, fingerprint: Fingerprint) -> Self {
        Self { name, schema, fingerprint, parameters: &[], fields: &[] }
    }

    /// The shape of a container.
    pub const fn container(
        name: &'static str,
        fingerprint: Fingerprint,
        parameters: &'static [&'static Shape],
    ) -> Self {
        Self { name, schema: 1, fingerprint, parameters, fields: &[] }
    }
}

/// The shapes within a shape, each once, itself first.
pub(crate) struct Shapes {
    pub(crate) shapes: [Option<&'static Shape>; Shapes::MOST],
    pub(crate) count: usize,
}

impl Shapes {
    /// More types than anybody's state has. What is beyond goes without a description.
    pub(crate) const MOST: usize = 256;

    pub(crate) const fn within(shape: &'static Shape) -> Self {
        let mut shapes = Self { shapes: [None; Self::MOST], count: 0 };
        shapes.add(shape);
        shapes
    }

    const fn add(&mut self, shape: &'static Shape) {
        if self.count == Self::MOST || self.place(shape).is_some() {
            return;
        }
        self.shapes[self.count] = Some(shape);
        self.count += 1;
        let mut index = 0;
        while index < shape.parameters.len() {
            self.add(shape.parameters[index]);
            index += 1;
        }
        index = 0;
        while index < shape.fields.len() {
            if let Some(shape) = shape.fields[index].shape {
                self.add(shape);
            }
            index += 1;
        }
    }

    /// Where in the list a type stands.
    pub(crate) const fn place(&self, shape: &Shape) -> Option<usize> {
        let mut index = 0;
        while index < self.count {
            if let Some(known) = self.shapes[index]
                && known.fingerprint.is(shape.fingerprint)
            {
                return Some(index);
            }
            index += 1;
        }
        None
    }
}
