//! The bytes of a type: its fields in order; of an enum, the variant's number before them.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Data, Fields, Ident};

use super::attributes::FieldAttributes;
use super::layout::{fields, member};

/// `encode` and `decode`.
pub(super) fn functions(data: &Data, is_recursive: bool) -> syn::Result<TokenStream> {
    let (encode, decode) = match data {
        Data::Struct(data) => {
            let (pattern, encode, decode) =
                (bind(&data.fields), encode(&data.fields)?, decode(&data.fields)?);
            (quote!(let Self #pattern = self; #(#encode)*), quote!(Ok(Self #decode)))
        }
        Data::Enum(data) => {
            let (mut encodes, mut decodes) = (Vec::new(), Vec::new());
            for (number, variant) in (0_u32..).zip(&data.variants) {
                let name = &variant.ident;
                let (pattern, encode, decode) =
                    (bind(&variant.fields), encode(&variant.fields)?, decode(&variant.fields)?);
                encodes.push(quote!(Self::#name #pattern => {
                    __liveswap_encoder.variant(#number);
                    #(#encode)*
                }));
                decodes.push(quote!(#number => ::core::result::Result::Ok(Self::#name #decode),));
            }
            // An enum without variants has no value to match by reference.
            let this = if encodes.is_empty() { quote!(*self) } else { quote!(self) };
            (
                quote!(match #this { #(#encodes)* }),
                quote!(match __liveswap_decoder.variant()? {
                    #(#decodes)*
                    _ => ::core::result::Result::Err(::liveswap_state::CodecError::Bad {
                        expected: <Self as ::liveswap_state::State>::NAME,
                    }),
                }),
            )
        }
        Data::Union(_) => return Ok(TokenStream::new()),
    };
    let decode = match data {
        Data::Struct(_) => quote!(::core::result::Result::#decode),
        _ => decode,
    };
    // How deep it goes is counted only where it can go deep.
    let (encode, decode) = match is_recursive {
        true => (
            quote!(__liveswap_encoder.nested(|__liveswap_encoder| { #encode });),
            quote!(__liveswap_decoder.nested(|__liveswap_decoder| { #decode })),
        ),
        false => (encode, decode),
    };
    // As for the fingerprint, so that a type that isn't `State` is told once.
    let types: Vec<_> = fields(data).iter().map(|field| &field.ty).collect();
    Ok(quote! {
        #[allow(unused_variables, reason = "there may be no field to write")]
        fn encode(&self, __liveswap_encoder: &mut ::liveswap_state::Encoder) {
            #(::liveswap_state::assert_state::<#types>();)*
            #encode
        }

        #[allow(unused_variables, reason = "there may be no field to read")]
        fn decode(
            __liveswap_decoder: &mut ::liveswap_state::Decoder<'_>,
        ) -> ::core::result::Result<Self, ::liveswap_state::CodecError> {
            #(::liveswap_state::assert_state::<#types>();)*
            #decode
        }
    })
}

/// The name under which a field is bound.
fn bound(index: usize) -> Ident {
    format_ident!("__liveswap_field_{index}")
}

fn bind(fields: &Fields) -> TokenStream {
    let members = fields.iter().enumerate().map(|(index, field)| member(field, index));
    let names = (0..fields.len()).map(bound);
    quote!({ #(#members: #names),* })
}

fn encode(fields: &Fields) -> syn::Result<Vec<TokenStream>> {
    let mut encodes = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        if !FieldAttributes::of(&field.attrs)?.skip {
            let name = bound(index);
            // By the type's name, which is where an error belongs.
            let written = &field.ty;
            encodes.push(quote!(<#written as ::liveswap_state::State>::encode(#name, __liveswap_encoder);));
        }
    }
    Ok(encodes)
}

fn decode(fields: &Fields) -> syn::Result<TokenStream> {
    let mut values = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        let (member, written) = (member(field, index), &field.ty);
        let value = match FieldAttributes::of(&field.attrs)?.skip {
            true => quote!(<#written as ::core::default::Default>::default()),
            false => quote!(<#written as ::liveswap_state::State>::decode(__liveswap_decoder)?),
        };
        values.push(quote!(#member: #value));
    }
    Ok(quote!({ #(#values),* }))
}
