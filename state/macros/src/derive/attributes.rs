//! What `#[state(...)]` may say, before a type, a field, or a variant.

use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Attribute, DeriveInput, Error, Expr, Ident, LitInt, Path, Token, parse_quote};

/// Before the type.
pub(super) struct TypeAttributes {
    /// `version = 2`
    pub(super) version: u32,
    /// `from = v1::World`
    pub(super) from: Option<Path>,
    /// `one_way`
    pub(super) one_way: bool,
    /// `additive`
    pub(super) additive: bool,
    /// `removed(mana = 0)`
    pub(super) removed: Vec<Removed>,
}

/// A field that the former type has, and this one hasn't.
pub(super) struct Removed {
    pub(super) name: Ident,
    /// What it is when one goes back.
    pub(super) value: Expr,
}

/// Before a field.
#[derive(Default)]
pub(super) struct FieldAttributes {
    /// `skip`
    pub(super) skip: bool,
    /// `migrate`
    pub(super) migrate: bool,
    /// `new`, with the value that it begins as
    pub(super) new: Option<Expr>,
    span: Option<Span>,
}

/// Before a variant.
#[derive(Default)]
pub(super) struct VariantAttributes {
    /// `new`
    pub(super) new: bool,
    /// `new = v1::Kind::Other`: what it becomes when one goes back.
    pub(super) before: Option<Expr>,
}

const MISPLACED: &str = "put this before the type: it speaks of all of it";
const OF_A_TYPE: [&str; 5] = ["version", "from", "one_way", "additive", "removed"];

fn parse(
    attributes: &[Attribute],
    mut known: impl FnMut(&ParseNestedMeta<'_>) -> syn::Result<bool>,
    expected: &str,
) -> syn::Result<()> {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("state")) {
        attribute.parse_nested_meta(|meta| {
            if known(&meta)? {
                return Ok(());
            }
            let misplaced =
                OF_A_TYPE.iter().any(|name| meta.path.is_ident(name)) && !expected.contains("version");
            Err(if misplaced { Error::new_spanned(attribute, MISPLACED) } else { meta.error(expected) })
        })?;
    }
    Ok(())
}

impl TypeAttributes {
    pub(super) fn of(input: &DeriveInput) -> syn::Result<Self> {
        let mut this = Self { version: 1, from: None, one_way: false, additive: false, removed: Vec::new() };
        let mut wants_from = None;
        let known = |meta: &ParseNestedMeta<'_>| {
            if meta.path.is_ident("version") {
                let number: LitInt = meta.value()?.parse()?;
                this.version = number.base10_parse()?;
                if this.version == 0 {
                    return Err(Error::new(number.span(), "schema versions are counted from 1"));
                }
                return Ok(true);
            }
            if meta.path.is_ident("from") {
                this.from = Some(meta.value()?.parse()?);
                return Ok(true);
            }
            if meta.path.is_ident("one_way") {
                this.one_way = true;
            } else if meta.path.is_ident("additive") {
                this.additive = true;
            } else if meta.path.is_ident("removed") {
                meta.parse_nested_meta(|field| {
                    let name = field.path.require_ident()?.clone();
                    let value = match field.input.peek(Token![=]) {
                        true => field.value()?.parse()?,
                        false => parse_quote!(::core::default::Default::default()),
                    };
                    this.removed.push(Removed { name, value });
                    Ok(())
                })?;
            } else {
                return Ok(false);
            }
            wants_from.get_or_insert_with(|| meta.path.span());
            Ok(true)
        };
        parse(
            &input.attrs,
            known,
            "known here: `version = N`, `from = TYPE`, `one_way`, `additive`, `removed(FIELD = VALUE)`",
        )?;
        match (&this.from, wants_from) {
            (None, Some(span)) => Err(Error::new(span, "of which type? say `from = v1::TYPE` too")),
            (Some(from), _) if !input.generics.params.is_empty() => Err(Error::new_spanned(
                from,
                "a type with parameters can't say what it came from: write `impl Migrate` for it by hand, and `from` \
                 for the state that it's in",
            )),
            (Some(_), _) if !this.additive && !this.removed.is_empty() => {
                let span = this.removed[0].name.span();
                Err(Error::new(span, "only with `additive`: else the migration is written by hand"))
            }
            _ => Ok(this),
        }
    }
}

impl FieldAttributes {
    pub(super) fn of(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut this = Self::default();
        let known = |meta: &ParseNestedMeta<'_>| {
            if meta.path.is_ident("skip") {
                this.skip = true;
                return Ok(true);
            }
            if meta.path.is_ident("migrate") {
                this.migrate = true;
            } else if meta.path.is_ident("new") {
                this.new = Some(match meta.input.peek(Token![=]) {
                    true => meta.value()?.parse()?,
                    false => parse_quote!(::core::default::Default::default()),
                });
            } else {
                return Ok(false);
            }
            this.span = Some(meta.path.span());
            Ok(true)
        };
        parse(attributes, known, "known here: `skip`, `new`, `new = VALUE`, `migrate`")?;
        match this.span {
            Some(span) if this.migrate && this.new.is_some() => {
                Err(Error::new(span, "`new` or `migrate`: what is new has nothing to be migrated from"))
            }
            _ => Ok(this),
        }
    }

    /// Refuses what only an additive migration looks at.
    pub(super) fn refuse_migration(&self, why: &str) -> syn::Result<()> {
        match self.span {
            Some(span) => Err(Error::new(span, why)),
            None => Ok(()),
        }
    }
}

pub(super) const ONLY_ADDITIVE: &str =
    "only in a type with `#[state(from = …, additive)]`: else the migration is written by hand";

impl VariantAttributes {
    pub(super) fn of(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut this = Self::default();
        let known = |meta: &ParseNestedMeta<'_>| {
            if !meta.path.is_ident("new") {
                return Ok(false);
            }
            this.new = true;
            if meta.input.peek(Token![=]) {
                this.before = Some(meta.value()?.parse()?);
            }
            Ok(true)
        };
        parse(attributes, known, "known here: `new`, `new = VALUE`")?;
        Ok(this)
    }

    pub(super) fn refuse_migration(&self, span: Span) -> syn::Result<()> {
        if self.new { Err(Error::new(span, ONLY_ADDITIVE)) } else { Ok(()) }
    }
}
