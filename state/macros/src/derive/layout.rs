//! The layout of a type: its fingerprint, and its shape for people to read.

use std::cell::Cell;

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Data, DeriveInput, Error, Field, Fields, Ident, Index, Member, Meta, Token, Type, Variant, parse_quote,
};

use super::attributes::FieldAttributes;

/// What a type's layout adds to its implementation.
pub(super) struct Layout {
    /// What is hashed after the type's name: of each field, or of each variant.
    pub(super) parts: Vec<TokenStream>,
    /// The shape's fields.
    pub(super) shapes: Vec<TokenStream>,
    /// Whether the type contains itself.
    pub(super) is_recursive: bool,
}

impl Layout {
    pub(super) fn of(input: &DeriveInput, representation: &[Ident]) -> syn::Result<Self> {
        let owner = Owner::of(input);
        let (mut parts, mut shapes) = (Vec::new(), Vec::new());
        match &input.data {
            Data::Struct(data) => {
                parts = struct_parts(&owner, &data.fields)?;
                shapes = field_shapes(&owner, "", &data.fields)?;
            }
            Data::Enum(data) => {
                let number = discriminant_type(representation);
                for variant in &data.variants {
                    parts.push(variant_part(&owner, &number, variant)?);
                    let name = variant.ident.to_string();
                    shapes.push(quote!(::liveswap_state::FieldShape {
                        name: #name,
                        shape: ::core::option::Option::None,
                    }));
                    shapes.extend(field_shapes(&owner, &format!("{name}."), &variant.fields)?);
                }
            }
            Data::Union(_) => {}
        }
        Ok(Self { parts, shapes, is_recursive: owner.contains_itself.get() })
    }
}

/// What `#[repr(...)]` asks for: `C`, `u8`. It has a say beyond the places of a struct's fields: where the
/// tag of an enum lies, and how a value is passed to a function.
pub(super) fn representation(input: &DeriveInput) -> syn::Result<Vec<Ident>> {
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

pub(super) fn fields(data: &Data) -> Vec<&Field> {
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
        let member = member(field, index);
        let name = field_name(field, index);
        let fingerprint = owner.field_fingerprint(field)?;
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
fn variant_part(owner: &Owner, number: &Ident, variant: &Variant) -> syn::Result<TokenStream> {
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
        let (name, fingerprint) = (field_name(field, index), owner.field_fingerprint(field)?);
        fields.push(quote!(.with_name(#name).with(#fingerprint)));
    }
    Ok(quote!(.with_name(#name) #discriminant #(#fields)*))
}

fn field_shapes(owner: &Owner, prefix: &str, fields: &Fields) -> syn::Result<Vec<TokenStream>> {
    let mut shapes = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let (name, written) = (format!("{prefix}{}", field_name(field, index)), owner.within(&field.ty)?);
        shapes.push(quote!(::liveswap_state::FieldShape {
            name: #name,
            shape: ::core::option::Option::Some(<#written as ::liveswap_state::State>::SHAPE),
        }));
    }
    Ok(shapes)
}

/// How a field is named in patterns and expressions.
pub(super) fn member(field: &Field, index: usize) -> Member {
    field.ident.clone().map_or_else(|| Member::Unnamed(Index::from(index)), Member::Named)
}

pub(super) fn field_name(field: &Field, index: usize) -> String {
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

    fn field_fingerprint(&self, field: &Field) -> syn::Result<TokenStream> {
        let written = self.within(&field.ty)?;
        let skipped = FieldAttributes::of(&field.attrs)?.skip.then(|| quote!(.skipped()));
        Ok(quote!(<#written as ::liveswap_state::State>::FINGERPRINT #skipped))
    }

    /// A field's type. Where the owner itself occurs in it, a placeholder stands in: its own fingerprint is the one
    /// being computed.
    fn within(&self, written: &Type) -> syn::Result<Type> {
        let mut written = written.clone();
        let mut replace = ReplaceOwner { owner: self, other: None };
        replace.visit_type_mut(&mut written);
        match replace.other {
            None => Ok(written),
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
