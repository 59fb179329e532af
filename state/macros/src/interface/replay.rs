//! Making a recorded call again, from the bytes of its arguments.
//!
//! Only logic knows the types of a call's arguments, and the host, which keeps the bytes, calls without them. So a
//! function is exported for each method: it decodes what the proxy has encoded, calls the method, and encodes what
//! comes of it, in the one form of it that can be compared.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Ident;

use super::at;
use super::method::{Access, Argument, Method};

/// The function that makes a call of the method from the bytes of its arguments, which the proxy has written down.
pub(super) fn replay(logic: &Ident, method: &Method) -> TokenStream {
    let (name, names) = (&method.name, method.names());
    let decoded = method.arguments.iter().map(|Argument { inner, .. }| {
        quote_spanned! {at(inner)=>
            <<#inner as ::liveswap_state::Replayed>::Owned as ::liveswap_state::State>::decode(
                &mut __liveswap_decoder,
            )?
        }
    });
    let result = quote_spanned! {at(&method.result)=>
        ::liveswap_state::State::encode(&__liveswap_result, &mut __liveswap_encoder)
    };
    let state = quote!(__liveswap_state.cast::<<__LiveswapLogic as ::liveswap_state::Logic>::State>());
    let state = match method.access {
        Access::Stateless => quote!(),
        // SAFETY: for both: as in `export`, in the module above.
        Access::Shared => quote!(unsafe { &*#state },),
        Access::Exclusive => quote!(unsafe { &mut *#state },),
    };
    let lent = method.arguments.iter().map(|Argument { name, passing, inner, .. }| {
        if passing == "Borrowed" {
            quote_spanned!(at(inner)=> <#inner as ::liveswap_state::Replayed>::lend(&#name))
        } else if passing == "BorrowedMut" {
            quote_spanned!(at(inner)=> <#inner as ::liveswap_state::Replayed>::lend_mut(&mut #name))
        } else {
            quote!(#name)
        }
    });
    let changed = method.arguments.iter().filter(|argument| argument.passing == "BorrowedMut");
    let changed = changed.map(|argument| &argument.name);
    quote! {{
        // SAFETY: as `Replay`.
        #[allow(unused_variables, unused_mut, clippy::undocumented_unsafe_blocks, clippy::let_unit_value)]
        unsafe fn __liveswap_replay<__LiveswapLogic: #logic>(
            __liveswap_state: *mut (),
            __liveswap_context: &::liveswap_state::Context,
            __liveswap_arguments: &[::core::primitive::u8],
        ) -> ::liveswap_state::Fenced<
            ::core::result::Result<::std::vec::Vec<::core::primitive::u8>, ::liveswap_state::CodecError>
        > {
            ::liveswap_state::fence::fence(|| {
                let mut __liveswap_decoder = ::liveswap_state::Decoder::new(__liveswap_arguments);
                #(let mut #names = #decoded;)*
                ::liveswap_state::Decoder::finish(__liveswap_decoder)?;
                let __liveswap_result =
                    <__LiveswapLogic as #logic>::#name(#state __liveswap_context #(, #lent)*);
                let mut __liveswap_encoder = ::liveswap_state::Encoder::canonical();
                #result;
                #(::liveswap_state::State::encode(&#changed, &mut __liveswap_encoder);)*
                ::liveswap_state::Encoder::finish(__liveswap_encoder)
            })
        }
        __liveswap_replay::<__LiveswapLogic>
    }}
}
