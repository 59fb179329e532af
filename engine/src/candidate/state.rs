//! The state, as a manifest states it: what it is, what it was before, and how one differs from another.
//!
//! Two versions whose states have the same fingerprint share it as it is. Else one of the two must know a way: the
//! candidate, if its state came from the running one; or the running version, if its state came from the candidate's.

use serde::{Deserialize, Serialize};

use super::verify::VerifyError;
use crate::foreign::schema as foreign;

/// The state, as a manifest states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StateManifest {
    /// The name of the type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The version of its schema.
    pub schema: u32,
    /// The hash of its layout, in hexadecimal.
    pub fingerprint: String,
    /// The states that it can be made of, the latest first; each one step from the one before in the list.
    // Missing in manifests of contracts before: those are to be told that, and not that they are damaged.
    #[serde(default)]
    pub from: Vec<FormerState>,
    /// What it consists of, itself first.
    #[serde(default)]
    pub types: Vec<TypeManifest>,
}

/// A state that another one came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FormerState {
    /// The name of the type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The version of its schema.
    pub schema: u32,
    /// The hash of its layout, in hexadecimal.
    pub fingerprint: String,
    /// Whether there is no way back to it.
    pub one_way: bool,
}

/// A type that the state consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TypeManifest {
    /// Its name.
    pub name: String,
    /// The version of its schema.
    pub schema: u32,
    /// The hash of its layout, in hexadecimal.
    pub fingerprint: String,
    /// What a container holds: places in the list of types.
    pub parameters: Vec<Option<usize>>,
    /// Its fields, or its variants with theirs.
    pub fields: Vec<FieldManifest>,
}

/// A field of a type that the state consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FieldManifest {
    /// Its name; of a field within a variant, with the variant's before it.
    pub name: String,
    /// Its type, as a place in the list of types; none for a variant.
    #[serde(rename = "type")]
    pub type_place: Option<usize>,
}

/// How a candidate gets at the state that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It has the very same.
    InPlace,
    /// The candidate turns it into its own, in so many steps.
    Upgrade { steps: usize, is_one_way: bool },
    /// The running version turns it into the candidate's, in so many steps.
    Downgrade { steps: usize },
}

/// The way from what is `running` to the state of a candidate.
pub(crate) fn way(candidate: &StateManifest, running: &StateManifest) -> Result<Way, VerifyError> {
    if candidate.fingerprint == running.fingerprint {
        return Ok(Way::InPlace);
    }
    if let Some(place) = candidate.place_of(running) {
        let is_one_way = candidate.from[..=place].iter().any(|former| former.one_way);
        return Ok(Way::Upgrade { steps: place + 1, is_one_way });
    }
    if let Some(place) = running.place_of(candidate) {
        if running.from[..=place].iter().any(|former| former.one_way) {
            return Err(VerifyError::NoWayBack { found: candidate.describe(), expected: running.describe() });
        }
        return Ok(Way::Downgrade { steps: place + 1 });
    }
    Err(VerifyError::WrongState {
        found: candidate.describe(),
        expected: running.describe(),
        difference: candidate.difference(running),
        advice: candidate.advice(running),
    })
}

impl StateManifest {
    /// Where in the list of what this came from another state stands.
    fn place_of(&self, other: &Self) -> Option<usize> {
        self.from.iter().position(|former| former.fingerprint == other.fingerprint)
    }

    fn describe(&self) -> String {
        format!("`{}` (schema {}, fingerprint {})", self.type_name, self.schema, self.fingerprint)
    }

    /// What to write so that this state can be made of the other.
    fn advice(&self, running: &Self) -> String {
        let Self { type_name, schema, .. } = self;
        if type_name == foreign::STATE_NAME {
            return format!(
                "give `LIVESWAP_EXPORT_STATE` a schema above {}, that or an older one as the oldest, and a `migrate` that \
                 leads from it",
                running.schema
            );
        }
        if *schema <= running.schema {
            return format!(
                "count its version up, `#[state(version = {}, from = v{}::{})]`, keep the former types in `mod v{}`, \
                 and say how the one becomes the other with `additive` or `impl Migrate`",
                u64::from(running.schema) + 1,
                running.schema,
                running.type_name,
                running.schema,
            );
        }
        format!(
            "say `#[state(version = {schema}, from = v{}::{})]` for `{type_name}`, with the very types of schema {} in \
             `mod v{}`, and how the one becomes the other with `additive` or `impl Migrate`",
            running.schema, running.type_name, running.schema, running.schema,
        )
    }

    /// The first place in which the two differ.
    fn difference(&self, expected: &Self) -> String {
        let comparison = Comparison { found: &self.types, expected: &expected.types };
        comparison
            .of_types(0, 0, &self.type_name, 0)
            .unwrap_or_else(|| format!("`{}` is of another layout", self.type_name))
    }
}

/// Types within types, as deep as anybody looks.
const DEPTH_MAX: usize = 32;

/// So many bytes of a type's name are shown. A type whose parameters lead back to itself has a name without an end.
const SHOWN_MAX: usize = 256;

struct Comparison<'manifest> {
    found: &'manifest [TypeManifest],
    expected: &'manifest [TypeManifest],
}

impl Comparison<'_> {
    /// The first difference within two types, at `place`; none if there is none that can be told.
    fn of_types(&self, found: usize, expected: usize, place: &str, depth: usize) -> Option<String> {
        let (left, right) = (self.found.get(found)?, self.expected.get(expected)?);
        if left.fingerprint == right.fingerprint || depth == DEPTH_MAX {
            return None;
        }
        let name = |types, of: Option<usize>| of.map_or_else(|| "a variant".to_owned(), |of| name(types, of));
        if left.name != right.name {
            let (found, expected) = (name(self.found, Some(found)), name(self.expected, Some(expected)));
            return Some(format!("`{place}`: found `{found}`, expected `{expected}`"));
        }
        let of_both = |found: Option<usize>, expected: Option<usize>, place: &str| match (found, expected) {
            (Some(found), Some(expected)) => self.of_types(found, expected, place, depth + 1),
            _ => None,
        };
        for (left, right) in left.parameters.iter().zip(&right.parameters) {
            if let Some(difference) = of_both(*left, *right, place) {
                return Some(difference);
            }
        }
        for index in 0..left.fields.len().max(right.fields.len()) {
            let (left, right) = (left.fields.get(index), right.fields.get(index));
            let describe = |types, field: Option<&FieldManifest>| match field {
                Some(field) => format!("`{}: {}`", field.name, name(types, field.type_place)),
                None => "nothing".to_owned(),
            };
            match (left, right) {
                (Some(left), Some(right)) if left.name == right.name => {
                    let place = format!("{}.{}", name(self.found, Some(found)), left.name);
                    if let Some(difference) = of_both(left.type_place, right.type_place, &place) {
                        return Some(difference);
                    }
                }
                _ => {
                    let (found, expected) = (describe(self.found, left), describe(self.expected, right));
                    return Some(format!("in `{place}`: found {found}, expected {expected}"));
                }
            }
        }
        Some(format!("`{place}` has the same fields and another version, layout or `repr`"))
    }
}

/// A type's name as one writes it.
fn name(types: &[TypeManifest], place: usize) -> String {
    let mut shown = String::new();
    write_name(&mut shown, types, Some(place), 0);
    shown
}

fn write_name(shown: &mut String, types: &[TypeManifest], place: Option<usize>, depth: usize) {
    let known = place.and_then(|place| types.get(place));
    let Some(known) = known.filter(|_| depth < DEPTH_MAX && shown.len() < SHOWN_MAX) else {
        return shown.push('…');
    };
    shown.push_str(&known.name);
    for (index, parameter) in known.parameters.iter().enumerate() {
        shown.push_str(if index == 0 { "<" } else { ", " });
        // What is left out is as many parameters as it may be.
        if shown.len() >= SHOWN_MAX {
            shown.push('…');
            break;
        }
        write_name(shown, types, *parameter, depth + 1);
    }
    if !known.parameters.is_empty() {
        shown.push('>');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(name: &str, parameters: &[usize]) -> TypeManifest {
        let (name, parameters) = (name.to_owned(), parameters.iter().copied().map(Some).collect());
        TypeManifest { name, schema: 0, fingerprint: "f".to_owned(), parameters, fields: Vec::new() }
    }

    fn state(fingerprint: &str, types: Vec<TypeManifest>) -> StateManifest {
        let (type_name, fingerprint) = ("World".to_owned(), fingerprint.to_owned());
        StateManifest { type_name, schema: 1, fingerprint, from: Vec::new(), types }
    }

    #[test]
    fn a_type_is_named_with_what_it_holds() {
        let types = [holding("Map", &[1, 2]), holding("u8", &[]), holding("Vec", &[1])];
        assert_eq!(name(&types, 0), "Map<u8, Vec<u8>>");
        assert_eq!(name(&types, 3), "…");
    }

    /// All its parameters, and theirs, would be more than there are atoms to write them with.
    #[test]
    fn a_type_that_holds_itself_has_an_end_all_the_same() {
        let shown = name(&[holding("", &[0; 1000])], 0);
        assert!(shown.len() < 2 * SHOWN_MAX, "{} bytes", shown.len());
    }

    #[test]
    fn the_last_version_of_a_schema_there_can_be_is_compared_too() {
        let mut running = state("running", Vec::new());
        running.schema = u32::MAX;
        let refusal = way(&state("found", Vec::new()), &running).unwrap_err().to_string();
        assert!(refusal.contains("version = 4294967296, from = v4294967295"), "{refusal}");
    }
}
