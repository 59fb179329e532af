//! `#[derive(State)]`: a type's fingerprint and shape, its bytes, and where it came from.
//!
//! | module | what it holds |
//! |---|---|
//! | this one | the implementation as a whole |
//! | [`attributes`] | what `#[state(...)]` may say |
//! | [`layout`] | the fingerprint and the shape |
//! | [`codec`] | the bytes |
//! | [`additive`] | migrations that follow from what was added and taken away |

mod additive;
mod attributes;
mod codec;
mod layout;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Ident, parse_quote, spanned::Spanned};

use crate::refused;
use attributes::TypeAttributes;
use layout::Layout;

pub(crate) fn expand(input: DeriveInput) -> syn::Result<TokenStream> {
    let kind = match &input.data {
        Data::Struct(_) => "struct",
        Data::Enum(_) => "enum",
        Data::Union(data) => {
            return Err(Error::new(
                data.union_token.span,
                "nothing in a union says which of its fields is the real one: use an enum",
            ));
        }
    };
    let attributes = TypeAttributes::of(&input)?;
    let representation = layout::representation(&input)?;
    let layout = Layout::of(&input, &representation)?;
    let fields = layout::fields(&input.data);
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
    let name = &input.ident;
    let types: Vec<_> = fields.iter().map(|field| &field.ty).collect();
    let (name_text, title) = (name.to_string(), format!("{kind} {name}"));
    let hints = representation.iter().map(Ident::to_string);
    let constants = generics.const_params().map(|parameter| &parameter.ident);
    let parameters: Vec<_> = generics.type_params().map(|parameter| &parameter.ident).collect();
    let recursive = layout.is_recursive.then(|| {
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
    let (schema, Layout { parts, shapes, .. }) = (attributes.version, &layout);
    let origin = origin(name, &attributes);
    let codec = codec::functions(&input.data, layout.is_recursive)?;
    let migrations = additive::implementations(&input, &attributes)?;
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
            const SHAPE: &'static ::liveswap_state::Shape = {
                // Here too, so that a type that isn't `State` is told once.
                #(::liveswap_state::assert_state::<#types>();)*
                &::liveswap_state::Shape {
                    name: #name_text,
                    schema: #schema,
                    fingerprint: <Self as ::liveswap_state::State>::FINGERPRINT,
                    parameters: &[#(<#parameters as ::liveswap_state::State>::SHAPE),*],
                    fields: &[#(#shapes),*],
                }
            };
            #origin
            #codec
        }

        #migrations
    })
}

fn origin(name: &Ident, attributes: &TypeAttributes) -> Option<TokenStream> {
    let from = attributes.from.as_ref()?;
    let ways = if attributes.one_way { quote!(one_way) } else { quote!(two_way) };
    Some(quote! {
        const ORIGIN: ::core::option::Option<&'static ::liveswap_state::Origin> = {
            const __LIVESWAP_ORIGIN: &::liveswap_state::Origin =
                &::liveswap_state::Origin::#ways::<#from, #name>();
            ::core::option::Option::Some(__LIVESWAP_ORIGIN)
        };
    })
}
