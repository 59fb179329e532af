//! Migrations that follow from what was added and taken away.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{
    Data, DeriveInput, Error, Field, Fields, Ident, Path, PathArguments, parse_quote, spanned::Spanned,
};

use super::attributes::{FieldAttributes, ONLY_ADDITIVE, Removed, TypeAttributes, VariantAttributes};
use super::layout::{field_name, member};

/// Takes a value of one type apart and puts one of the other together, field by field.
struct Conversion {
    pattern: TokenStream,
    value: TokenStream,
}

/// Both migrations between the type and the one it came from; only the first if there is no way back.
pub(super) fn implementations(input: &DeriveInput, attributes: &TypeAttributes) -> syn::Result<TokenStream> {
    let Some(from) = attributes.from.as_ref().filter(|_| attributes.additive) else {
        refuse_marks(&input.data)?;
        return Ok(TokenStream::new());
    };
    let (name, former) = (&input.ident, &within_expression(from));
    let (upgrade, downgrade) = match &input.data {
        Data::Struct(data) => {
            let Conversion { pattern, value } = upgrade(&data.fields)?;
            let complete = complete(former, &data.fields, &attributes.removed)?;
            let complete = attributes.one_way.then(|| never(&[complete]));
            let up = quote!(
                #complete
                let #former #pattern = __liveswap_old;
                ::core::result::Result::Ok(#name #value)
            );
            let Conversion { pattern, value } = downgrade(from.span(), &data.fields, &attributes.removed)?;
            let down = quote!(
                let #name #pattern = __liveswap_old;
                ::core::result::Result::Ok(#former #value)
            );
            (up, down)
        }
        Data::Enum(data) => {
            if let Some(removed) = attributes.removed.first() {
                return Err(Error::new(
                    removed.name.span(),
                    "to take something away from an enum, write its migration by hand",
                ));
            }
            variants(name, former, data, attributes.one_way)?
        }
        Data::Union(_) => return Ok(TokenStream::new()),
    };
    let one = |old: TokenStream, new: TokenStream, body: TokenStream| {
        quote! {
            #[automatically_derived]
            #[allow(clippy::init_numbered_fields, reason = "whatever kind of struct it is")]
            impl ::liveswap_state::Migrate<#old> for #new {
                fn migrate(
                    __liveswap_old: #old,
                ) -> ::core::result::Result<Self, ::liveswap_state::MigrateError> {
                    #body
                }
            }
        }
    };
    let upgrade = one(quote!(#from), quote!(#name), upgrade);
    let downgrade = (!attributes.one_way).then(|| one(quote!(#name), quote!(#from), downgrade));
    Ok(quote!(#upgrade #downgrade))
}

fn variants(
    name: &Ident,
    from: &Path,
    data: &syn::DataEnum,
    one_way: bool,
) -> syn::Result<(TokenStream, TokenStream)> {
    let (mut up, mut down, mut completes) = (Vec::new(), Vec::new(), Vec::new());
    for variant in &data.variants {
        let (marks, title) = (VariantAttributes::of(&variant.attrs)?, &variant.ident);
        if marks.new {
            refuse_marks_within(&variant.fields, "the variant is new, and so is all that is in it")?;
            down.push(match marks.before {
                Some(before) => quote!(#name::#title { .. } => ::core::result::Result::Ok(#before),),
                None => {
                    let why = format!("`{title}` wasn't there before");
                    quote!(#name::#title { .. } => ::core::result::Result::Err(
                        ::core::convert::From::from(#why),
                    ),)
                }
            });
            continue;
        }
        completes.push(complete(&parse_quote!(#from::#title), &variant.fields, &[])?);
        let Conversion { pattern, value } = upgrade(&variant.fields)?;
        up.push(quote!(#from::#title #pattern => ::core::result::Result::Ok(#name::#title #value),));
        let Conversion { pattern, value } = downgrade(from.span(), &variant.fields, &[])?;
        down.push(quote!(#name::#title #pattern => ::core::result::Result::Ok(#from::#title #value),));
    }
    // What is missing is told at the former type.
    let up = quote_spanned!(from.span()=> match __liveswap_old { #(#up)* });
    let complete = one_way.then(|| never(&completes));
    Ok((quote!(#complete #up), quote!(match __liveswap_old { #(#down)* })))
}

fn upgrade(fields: &Fields) -> syn::Result<Conversion> {
    let (mut bound, mut values) = (Vec::new(), Vec::new());
    for (index, field) in fields.iter().enumerate() {
        let (marks, member) = (FieldAttributes::of(&field.attrs)?, member(field, index));
        match marks.new {
            Some(value) => values.push(quote!(#member: #value)),
            None => {
                let name = bound_as(field, index);
                bound.push(quote!(#member: #name));
                let written = &field.ty;
                let value = match marks.migrate {
                    true => migrated(&name, &field_name(field, index)),
                    false => quote!(<#written as ::liveswap_state::Unchanged<_>>::there(#name)),
                };
                values.push(quote!(#member: #value));
            }
        }
    }
    // Whether a field was forgotten, the way back tells better.
    Ok(Conversion { pattern: quote!({ #(#bound,)* .. }), value: quote!({ #(#values),* }) })
}

/// `former` is where what is missing is told.
fn downgrade(former: Span, fields: &Fields, removed: &[Removed]) -> syn::Result<Conversion> {
    let (mut bound, mut values) = (Vec::new(), Vec::new());
    for (index, field) in fields.iter().enumerate() {
        let (marks, member) = (FieldAttributes::of(&field.attrs)?, member(field, index));
        if marks.new.is_some() {
            bound.push(quote!(#member: _));
            continue;
        }
        let name = bound_as(field, index);
        bound.push(quote!(#member: #name));
        let written = &field.ty;
        let value = match marks.migrate {
            true => migrated(&name, &field_name(field, index)),
            false => quote!(<#written as ::liveswap_state::Unchanged<_>>::back(#name)),
        };
        values.push(quote!(#member: #value));
    }
    values.extend(removed.iter().map(|Removed { name, value }| quote!(#name: #value)));
    let value = quote_spanned!(former=> { #(#values),* });
    Ok(Conversion { pattern: quote!({ #(#bound),* }), value })
}

/// The name that a field is bound to.
fn bound_as(field: &Field, index: usize) -> Ident {
    format_ident!("__liveswap_field_{index}", span = field.ty.span())
}

/// A type's path as patterns and expressions spell it: `Pair::<u32>`.
fn within_expression(path: &Path) -> Path {
    let mut path = path.clone();
    for segment in &mut path.segments {
        if let PathArguments::AngleBracketed(arguments) = &mut segment.arguments {
            arguments.colon2_token.get_or_insert_default();
        }
    }
    path
}

/// A field's value, by its own migration.
fn migrated(name: &Ident, title: &str) -> TokenStream {
    quote!(::liveswap_state::Migrate::migrate(#name)
        .map_err(|error: ::liveswap_state::MigrateError| error.within(#title))?)
}

/// A former value with all of its fields, for the compiler to find one that was forgotten, if there is no way back
/// where it would.
fn complete(former: &Path, fields: &Fields, removed: &[Removed]) -> syn::Result<TokenStream> {
    let mut values = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        if FieldAttributes::of(&field.attrs)?.new.is_none() {
            let member = member(field, index);
            values.push(quote!(#member: ::core::unreachable!()));
        }
    }
    values.extend(removed.iter().map(|Removed { name, value }| quote!(#name: #value)));
    let value = quote_spanned!(former.span()=> { #(#values),* });
    Ok(quote!(#former #value))
}

/// Compiled, and never run.
fn never(values: &[TokenStream]) -> TokenStream {
    quote! {
        #[allow(unreachable_code, clippy::diverging_sub_expression, reason = "it's never run")]
        let _ = || {
            #(let _ = #values;)*
        };
    }
}

/// Marks that say how to migrate would be passed over in silence.
fn refuse_marks(data: &Data) -> syn::Result<()> {
    let fields = |fields: &Fields| refuse_marks_within(fields, ONLY_ADDITIVE);
    match data {
        Data::Struct(data) => fields(&data.fields),
        Data::Enum(data) => data.variants.iter().try_for_each(|variant| {
            VariantAttributes::of(&variant.attrs)?.refuse_migration(variant.span())?;
            fields(&variant.fields)
        }),
        Data::Union(_) => Ok(()),
    }
}

fn refuse_marks_within(fields: &Fields, why: &str) -> syn::Result<()> {
    fields.iter().try_for_each(|field| FieldAttributes::of(&field.attrs)?.refuse_migration(why))
}
