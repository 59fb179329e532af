//! What can be seen to be wrong from a type's spelling alone, told in the user's words.
//!
//! The compiler refuses all of these anyway, because they aren't `State`. But it can only say so in one
//! way for all of them; here each gets the reason that is its own.

use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{Error, GenericArgument, Lifetime, PathArguments, Type, TypePath};

const STATIC: &str = "what is borrowed for `'static` lies in the library that made it, and dangles once that \
                      is unmapped: own the value instead (`String` for `&'static str`)";
const BORROWED: &str = "a borrowed value can't outlive the call that made it: own the value instead \
                        (`String` for `&str`, `Vec<T>` for `&[T]`)";

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
    fn refuse(&mut self, place: &impl ToTokens, why: &str) {
        let error = Error::new_spanned(place, why);
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
                self.refuse(written, reference.lifetime.as_ref().map_or(BORROWED, why_not_borrowed));
            }
            Type::FnPtr(_) => self.refuse(
                written,
                "a function pointer points into the library that made it, and dangles once that is \
                 unmapped: use an enum and match on it in logic",
            ),
            Type::TraitObject(_) => self.refuse(
                written,
                "a trait object points to a table in the library that made it, and dangles once that is \
                 unmapped: use an enum and match on it in logic",
            ),
            Type::ImplTrait(_) => {
                self.refuse(written, "both sides must know the type to agree on its layout: name it");
            }
            Type::Ptr(_) => self.refuse(
                written,
                "nothing is known of what a raw pointer points to: own the value, or keep a key to it",
            ),
            Type::Path(path) if shares_unsized(path) => self.refuse(
                written,
                "an empty one may point to a static of the library that made it, and dangles once that is \
                 unmapped: share a sized value (`Arc<String>` for `Arc<str>`, `Arc<Vec<T>>` for `Arc<[T]>`)",
            ),
            _ => visit::visit_type(self, written),
        }
    }

    fn visit_lifetime(&mut self, lifetime: &Lifetime) {
        self.refuse(lifetime, why_not_borrowed(lifetime));
    }
}

fn why_not_borrowed(lifetime: &Lifetime) -> &'static str {
    if lifetime.ident == "static" { STATIC } else { BORROWED }
}

/// Whether this is `Arc<str>` or `Arc<[T]>`, of which the compiler would only say that they have no size.
fn shares_unsized(path: &TypePath) -> bool {
    let Some(segment) = path.path.segments.last() else { return false };
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return false };
    segment.ident == "Arc"
        && arguments
            .args
            .iter()
            .any(|argument| matches!(argument, GenericArgument::Type(shared) if is_unsized(shared)))
}

fn is_unsized(written: &Type) -> bool {
    match written {
        Type::Slice(_) => true,
        Type::Path(path) => path.path.is_ident("str"),
        _ => false,
    }
}
