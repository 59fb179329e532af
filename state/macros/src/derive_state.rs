//! `#[derive(State)]`: the fingerprint of a type from its fields.

use std::cell::Cell;

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{
    Attribute, Data, DeriveInput, Error, Field, Fields, Ident, Index, LitInt, Member, Meta, Token, Type,
    parse_quote, spanned::Spanned,
};

use crate::refused;

pub(crate) fn expand(input: DeriveInput) -> syn::Result<TokenStream> {
    let schema = schema_version(&input)?;
    let representation = representation(&input)?;
    let name = &input.ident;
    let owner = Owner::of(&input);
    let (kind, parts) = match &input.data {
        Data::Struct(data) => ("struct", struct_parts(&owner, &data.fields)?),
        Data::Enum(data) => {
            let number = discriminant_type(&representation);
            let mut parts = Vec::new();
            for variant in &data.variants {
                parts.push(variant_part(&owner, &number, variant)?);
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
    let hints = representation.iter().map(Ident::to_string);
    let constants = generics.const_params().map(|parameter| &parameter.ident);
    let recursive = owner.contains_itself.get().then(|| {
        let parameters = generics.type_params().map(|parameter| &parameter.ident);
        quote! {
            #[automatically_derived]
            impl #impl_generics ::liveswap_state::Recursive for #name #type_generics #where_clause {
                const PLACEHOLDER: ::liveswap_state::Fingerprint =
                    ::liveswap_state::Fingerprint::of("recursion")
                        .with_name(#name_text)
                        #(.with(<#parameters as ::liveswap_state::State>::FINGERPRINT))*;
            }
        }
    });
    let placeholder =
        recursive.as_ref().map(|_| quote!(.with(<Self as ::liveswap_state::Recursive>::PLACEHOLDER)));
    Ok(quote! {
        #recursive

        // SAFETY: every field is `State`, which is asserted, so no value of the type holds a pointer into
        // a library; and the fingerprint covers the layout and the fingerprint of every field.
        #[automatically_derived]
        unsafe impl #impl_generics ::liveswap_state::State for #name #type_generics #where_clause {
            const FINGERPRINT: ::liveswap_state::Fingerprint = {
                #(::liveswap_state::assert_state::<#types>();)*
                ::liveswap_state::Fingerprint::of(#title)
                    #placeholder
                    .with_number(#schema as ::core::primitive::usize)
                    .with_layout::<Self>()
                    #(.with_name(#hints))*
                    #(.with_value(#constants as ::core::primitive::u128))*
                    #(#parts)*
            };
            const NAME: &'static ::core::primitive::str = #name_text;
            const SCHEMA: ::core::primitive::u32 = #schema;
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
    refuse_misplaced(&input.data)?;
    Ok(version)
}

/// Refuses `#[state(...)]` on a field or a variant, where it would be passed over in silence.
fn refuse_misplaced(data: &Data) -> syn::Result<()> {
    struct Finder {
        found: Option<Error>,
    }

    impl Visit<'_> for Finder {
        fn visit_attribute(&mut self, attribute: &Attribute) {
            if attribute.path().is_ident("state") {
                self.found =
                    Some(Error::new_spanned(attribute, "put this before the type: it speaks of all of it"));
            }
        }
    }

    let mut finder = Finder { found: None };
    visit::visit_data(&mut finder, data);
    finder.found.map_or(Ok(()), Err)
}

/// What `#[repr(...)]` asks for: `C`, `u8`. It has a say beyond the places of a struct's fields: where the
/// tag of an enum lies, and how a value is passed to a function.
fn representation(input: &DeriveInput) -> syn::Result<Vec<Ident>> {
    let mut hints = Vec::new();
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("repr")) {
        let metas = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)?;
        hints.extend(metas.iter().filter_map(|hint| hint.path().get_ident().cloned()));
    }
    Ok(hints)
}

/// The type of an enum's discriminants: the integer that its `#[repr(...)]` names, or `isize`.
fn discriminant_type(representation: &[Ident]) -> Ident {
    representation
        .iter()
        .find(|hint| hint.to_string().starts_with(['u', 'i']))
        .cloned()
        .unwrap_or_else(|| format_ident!("isize"))
}

fn fields(data: &Data) -> Vec<&Field> {
    match data {
        Data::Struct(data) => data.fields.iter().collect(),
        Data::Enum(data) => data.variants.iter().flat_map(|variant| &variant.fields).collect(),
        Data::Union(_) => Vec::new(),
    }
}

/// Name, offset and fingerprint of each field of a struct.
fn struct_parts(owner: &Owner, fields: &Fields) -> syn::Result<Vec<TokenStream>> {
    let mut parts = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let member = field.ident.clone().map_or_else(|| Member::Unnamed(Index::from(index)), Member::Named);
        let name = field_name(field, index);
        let fingerprint = owner.field_fingerprint(&field.ty)?;
        parts.push(quote! {
            .with_name(#name)
            .with_number(::core::mem::offset_of!(Self, #member))
            .with(#fingerprint)
        });
    }
    Ok(parts)
}

/// Name, discriminant and fields of a variant. Where its fields lie can't be asked for, but follows from
/// what is hashed (all the variants in order, the size, `#[repr]`) and the compiler's identity.
fn variant_part(owner: &Owner, number: &Ident, variant: &syn::Variant) -> syn::Result<TokenStream> {
    let name = format!("variant {}", variant.ident);
    let discriminant = variant.discriminant.as_ref().map(|(_, value)| {
        quote! {
            .with_value({
                const __LIVESWAP_VALUE: ::core::primitive::#number = #value;
                __LIVESWAP_VALUE as ::core::primitive::u128
            })
        }
    });
    let mut fields = Vec::new();
    for (index, field) in variant.fields.iter().enumerate() {
        let (name, fingerprint) = (field_name(field, index), owner.field_fingerprint(&field.ty)?);
        fields.push(quote!(.with_name(#name).with(#fingerprint)));
    }
    Ok(quote!(.with_name(#name) #discriminant #(#fields)*))
}

fn field_name(field: &Field, index: usize) -> String {
    field.ident.as_ref().unwrap_or(&format_ident!("_{index}")).to_string()
}

/// The type being defined.
struct Owner<'input> {
    name: &'input Ident,
    /// As its own fields spell it: `Tree<T>`. With other parameters it would be another type.
    spelling: String,
    /// Whether it was found in one of its fields.
    contains_itself: Cell<bool>,
}

impl<'input> Owner<'input> {
    fn of(input: &'input DeriveInput) -> Self {
        let (name, (_, parameters, _)) = (&input.ident, input.generics.split_for_impl());
        let spelling = quote!(#name #parameters).to_string();
        Self { name, spelling, contains_itself: Cell::new(false) }
    }

    /// The fingerprint of a field's type. Where the owner itself occurs in it, a placeholder stands in: its
    /// own fingerprint is the one being computed.
    fn field_fingerprint(&self, written: &Type) -> syn::Result<TokenStream> {
        let mut written = written.clone();
        let mut replace = ReplaceOwner { owner: self, other: None };
        replace.visit_type_mut(&mut written);
        match replace.other {
            None => Ok(quote!(<#written as ::liveswap_state::State>::FINGERPRINT)),
            Some(other) => Err(Error::new_spanned(
                other,
                "a type may contain itself only with its own parameters, as `Self`: with others, its \
                 fingerprint would never end",
            )),
        }
    }
}

struct ReplaceOwner<'owner> {
    owner: &'owner Owner<'owner>,
    /// The owner with other parameters than its own.
    other: Option<Type>,
}

impl VisitMut for ReplaceOwner<'_> {
    fn visit_type_mut(&mut self, written: &mut Type) {
        let spelling = written.to_token_stream().to_string();
        if spelling == "Self" || spelling == self.owner.spelling {
            *written = parse_quote!(::liveswap_state::Recursion<Self>);
            self.owner.contains_itself.set(true);
        } else if let Type::Path(path) = &*written
            && path.path.segments.len() == 1
            && path.path.segments[0].ident == *self.owner.name
        {
            self.other = Some(written.clone());
        } else {
            visit_mut::visit_type_mut(self, written);
        }
    }
}
