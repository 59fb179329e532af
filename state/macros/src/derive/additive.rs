//! Migrations that follow from what was added and taken away.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Data, DeriveInput, Error, Fields, Path, spanned::Spanned};

use super::attributes::{FieldAttributes, Removed, TypeAttributes, VariantAttributes};
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
    let name = &input.ident;
    let (upgrade, downgrade) = match &input.data {
        Data::Struct(data) => {
            let Conversion { pattern, value } = upgrade(&data.fields, &attributes.removed)?;
            let up = quote!(
                let #from #pattern = __liveswap_old;
                ::core::result::Result::Ok(#name #value)
            );
            let Conversion { pattern, value } = downgrade(&data.fields, &attributes.removed)?;
            let down = quote!(
                let #name #pattern = __liveswap_old;
                ::core::result::Result::Ok(#from #value)
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
            variants(name, from, data)?
        }
        Data::Union(_) => return Ok(TokenStream::new()),
    };
    let one = |old: TokenStream, new: TokenStream, body: TokenStream| {
        quote! {
            #[automatically_derived]
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

fn variants(name: &syn::Ident, from: &Path, data: &syn::DataEnum) -> syn::Result<(TokenStream, TokenStream)> {
    let (mut up, mut down) = (Vec::new(), Vec::new());
    for variant in &data.variants {
        let (marks, title) = (VariantAttributes::of(&variant.attrs)?, &variant.ident);
        if marks.new {
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
        let Conversion { pattern, value } = upgrade(&variant.fields, &[])?;
        up.push(quote!(#from::#title #pattern => ::core::result::Result::Ok(#name::#title #value),));
        let Conversion { pattern, value } = downgrade(&variant.fields, &[])?;
        down.push(quote!(#name::#title #pattern => ::core::result::Result::Ok(#from::#title #value),));
    }
    Ok((quote!(match __liveswap_old { #(#up)* }), quote!(match __liveswap_old { #(#down)* })))
}

fn upgrade(fields: &Fields, removed: &[Removed]) -> syn::Result<Conversion> {
    let (mut bound, mut values) = (Vec::new(), Vec::new());
    for (index, field) in fields.iter().enumerate() {
        let (marks, member) = (FieldAttributes::of(&field.attrs)?, member(field, index));
        match marks.new {
            Some(value) => values.push(quote!(#member: #value)),
            None => {
                let name = format_ident!("__liveswap_field_{index}");
                bound.push(quote!(#member: #name));
                let value = moved(&name, marks.migrate, &field_name(field, index));
                values.push(quote!(#member: #value));
            }
        }
    }
    bound.extend(removed.iter().map(|Removed { name, .. }| quote!(#name: _)));
    Ok(Conversion { pattern: quote!({ #(#bound),* }), value: quote!({ #(#values),* }) })
}

fn downgrade(fields: &Fields, removed: &[Removed]) -> syn::Result<Conversion> {
    let (mut bound, mut values) = (Vec::new(), Vec::new());
    for (index, field) in fields.iter().enumerate() {
        let (marks, member) = (FieldAttributes::of(&field.attrs)?, member(field, index));
        if marks.new.is_some() {
            bound.push(quote!(#member: _));
            continue;
        }
        let name = format_ident!("__liveswap_field_{index}");
        bound.push(quote!(#member: #name));
        let value = moved(&name, marks.migrate, &field_name(field, index));
        values.push(quote!(#member: #value));
    }
    values.extend(removed.iter().map(|Removed { name, value }| quote!(#name: #value)));
    Ok(Conversion { pattern: quote!({ #(#bound),* }), value: quote!({ #(#values),* }) })
}

/// A field's value, as it is or migrated.
fn moved(name: &syn::Ident, is_migrated: bool, title: &str) -> TokenStream {
    if !is_migrated {
        return quote!(#name);
    }
    quote!(::liveswap_state::Migrate::migrate(#name)
        .map_err(|error: ::liveswap_state::MigrateError| error.within(#title))?)
}

/// Marks that say how to migrate would be passed over in silence.
fn refuse_marks(data: &Data) -> syn::Result<()> {
    let fields = |fields: &Fields| {
        fields.iter().try_for_each(|field| FieldAttributes::of(&field.attrs)?.refuse_migration())
    };
    match data {
        Data::Struct(data) => fields(&data.fields),
        Data::Enum(data) => data.variants.iter().try_for_each(|variant| {
            VariantAttributes::of(&variant.attrs)?.refuse_migration(variant.span())?;
            fields(&variant.fields)
        }),
        Data::Union(_) => Ok(()),
    }
}
