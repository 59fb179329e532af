//! `#[derive(State)]`: the fingerprint of a type from its fields.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::visit_mut::{self, VisitMut};
use syn::{
    Data, DeriveInput, Error, Field, Fields, Ident, Index, LitInt, Member, Type, parse_quote,
    spanned::Spanned,
};

use crate::refused;

pub(crate) fn expand(input: DeriveInput) -> syn::Result<TokenStream> {
    let schema = schema_version(&input)?;
    let name = &input.ident;
    let (kind, parts) = match &input.data {
        Data::Struct(data) => ("struct", struct_parts(name, &data.fields)?),
        Data::Enum(data) => {
            let mut parts = Vec::new();
            for variant in &data.variants {
                parts.push(variant_part(name, variant)?);
            }
            ("enum", parts)
        }
        Data::Union(data) => {
            return Err(Error::new(
                data.union_token.span,
                "nothing in a union says which of its fields is the real one: use an enum",
            ));
        }
    };
    let fields = fields(&input.data);
    for field in &fields {
        refused::check(&field.ty)?;
    }

    let mut generics = input.generics.clone();
    for parameter in generics.type_params_mut() {
        parameter.bounds.push(parse_quote!(::liveswap_state::State));
    }
    if let Some(lifetime) = generics.lifetimes().next() {
        return Err(Error::new(
            lifetime.span(),
            "state owns its values, so it has no lifetimes: own what this one borrows",
        ));
    }
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    let types = fields.iter().map(|field| &field.ty);
    let (name_text, title) = (name.to_string(), format!("{kind} {name}"));
    Ok(quote! {
        // SAFETY: every field is `State`, which is asserted, so no value of the type holds a pointer into
        // a library; and the fingerprint covers the layout and the fingerprint of every field.
        #[automatically_derived]
        unsafe impl #impl_generics ::liveswap_state::State for #name #type_generics #where_clause {
            const FINGERPRINT: ::liveswap_state::Fingerprint = {
                #(::liveswap_state::assert_state::<#types>();)*
                ::liveswap_state::Fingerprint::of(#title)
                    .with_number(#schema as usize)
                    .with_layout::<Self>()
                    #(#parts)*
            };
            const NAME: &'static str = #name_text;
            const SCHEMA: u32 = #schema;
        }
    })
}

/// `#[state(version = N)]`, or 1.
fn schema_version(input: &DeriveInput) -> syn::Result<u32> {
    let mut version = 1;
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("state")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("version") {
                return Err(meta.error("known here: `version = N`"));
            }
            let number: LitInt = meta.value()?.parse()?;
            version = number.base10_parse()?;
            if version == 0 {
                return Err(Error::new(number.span(), "schema versions are counted from 1"));
            }
            Ok(())
        })?;
    }
    Ok(version)
}

fn fields(data: &Data) -> Vec<&Field> {
    match data {
        Data::Struct(data) => data.fields.iter().collect(),
        Data::Enum(data) => data.variants.iter().flat_map(|variant| &variant.fields).collect(),
        Data::Union(_) => Vec::new(),
    }
}

/// Name, offset and fingerprint of each field of a struct.
fn struct_parts(owner: &Ident, fields: &Fields) -> syn::Result<Vec<TokenStream>> {
    let mut parts = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let member = field.ident.clone().map_or_else(|| Member::Unnamed(Index::from(index)), Member::Named);
        let name = field_name(field, index);
        let fingerprint = field_fingerprint(owner, &field.ty);
        parts.push(quote! {
            .with_name(#name)
            .with_number(::core::mem::offset_of!(Self, #member))
            .with(#fingerprint)
        });
    }
    Ok(parts)
}

/// Name, discriminant and fields of a variant. Where its fields lie can't be asked for, but follows from
/// what is hashed (all the variants in order, the size) and the compiler's identity.
fn variant_part(owner: &Ident, variant: &syn::Variant) -> syn::Result<TokenStream> {
    let name = format!("variant {}", variant.ident);
    let discriminant = variant
        .discriminant
        .as_ref()
        .map(|(_, value)| quote!(.with_number({ const VALUE: i128 = (#value) as i128; VALUE as usize })));
    let fields = variant.fields.iter().enumerate().map(|(index, field)| {
        let (name, fingerprint) = (field_name(field, index), field_fingerprint(owner, &field.ty));
        quote!(.with_name(#name).with(#fingerprint))
    });
    Ok(quote!(.with_name(#name) #discriminant #(#fields)*))
}

fn field_name(field: &Field, index: usize) -> String {
    field.ident.as_ref().unwrap_or(&format_ident!("_{index}")).to_string()
}

/// The fingerprint of a field's type. Where the owner itself occurs in it, a placeholder stands in: its
/// own fingerprint is the one being computed.
fn field_fingerprint(owner: &Ident, written: &Type) -> TokenStream {
    let mut written = written.clone();
    ReplaceOwner { owner }.visit_type_mut(&mut written);
    quote!(<#written as ::liveswap_state::State>::FINGERPRINT)
}

struct ReplaceOwner<'owner> {
    owner: &'owner Ident,
}

impl VisitMut for ReplaceOwner<'_> {
    fn visit_type_mut(&mut self, written: &mut Type) {
        if let Type::Path(path) = written
            && path.qself.is_none()
            && path.path.segments.len() == 1
            && (path.path.is_ident("Self") || path.path.segments[0].ident == *self.owner)
        {
            *written = parse_quote!(::liveswap_state::Recursion);
        } else {
            visit_mut::visit_type_mut(self, written);
        }
    }
}
