//! What can be seen to be wrong from a type's spelling alone, told in the user's words.
//!
//! The compiler refuses all of these anyway, because they aren't `State`. But it can only say so in one
//! way for all of them; here each gets the reason that is its own.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Error, Lifetime, Type};

/// Refuses a type that holds a reference, a function or a trait object anywhere in it.
///
/// # Errors
///
/// One error for each place, combined.
pub(crate) fn check(written: &Type) -> syn::Result<()> {
    let mut finder = Finder { found: None };
    finder.visit_type(written);
    finder.found.map_or(Ok(()), Err)
}

struct Finder {
    found: Option<Error>,
}

impl Finder {
    fn refuse(&mut self, place: &impl Spanned, why: &str) {
        let error = Error::new(place.span(), why);
        match &mut self.found {
            Some(found) => found.combine(error),
            None => self.found = Some(error),
        }
    }
}

impl Visit<'_> for Finder {
    fn visit_type(&mut self, written: &Type) {
        match written {
            Type::Reference(reference) => {
                let why = match &reference.lifetime {
                    Some(lifetime) if lifetime.ident == "static" => {
                        "a `'static` reference points into the library that made it, and dangles once that \
                         is unmapped: own the value instead (`String` for `&'static str`)"
                    }
                    _ => {
                        "a reference can't outlive the call that made it: own the value instead (`String` \
                         for `&str`, `Vec<T>` for `&[T]`)"
                    }
                };
                self.refuse(written, why);
            }
            Type::FnPtr(_) => self.refuse(
                written,
                "a function pointer points into the library that made it, and dangles once that is \
                 unmapped: store an enum and match on it in logic",
            ),
            Type::TraitObject(_) => self.refuse(
                written,
                "a trait object points to a table in the library that made it, and dangles once that is \
                 unmapped: store an enum and match on it in logic",
            ),
            Type::ImplTrait(_) => {
                self.refuse(written, "both sides must know the type to agree on its layout: name it");
            }
            Type::Ptr(_) => self.refuse(
                written,
                "nothing is known of what a raw pointer points to: own the value, or keep a key to it",
            ),
            _ => visit::visit_type(self, written),
        }
    }

    fn visit_lifetime(&mut self, lifetime: &Lifetime) {
        self.refuse(lifetime, "a borrowed value can't outlive the call that made it: own the value instead");
    }
}
