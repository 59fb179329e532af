//! `#[interface]`: the logic's trait and its export, the host's proxy, what logic spawns through, and the tie
//! between them.
//!
//! All are written from the same [`Method`]s, so that the function type of the exported code and the one the
//! proxy casts it to are the same tokens. So are the tuples that the arguments of a spawned call are boxed and
//! unboxed as. [`method`] reads them; [`mod@replay`] writes what makes a recorded call again.
//!
//! Those tokens are the user's, and must mean in each place what they mean in the trait: a type there may be
//! called `Gate`, an argument `code`. So what is written around them names everything by its whole path, and
//! its own parameters and variables begin with `__liveswap`, which nothing of a user's does.

mod method;
mod replay;

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, ItemTrait, TraitItem, Type, parse_quote};

use method::{Access, Argument, Method};
use replay::replay;

pub(crate) fn expand(attributes: TokenStream, mut input: ItemTrait) -> syn::Result<TokenStream> {
    if !attributes.is_empty() {
        return Err(Error::new_spanned(attributes, "`#[interface]` takes no arguments"));
    }
    if let Some(parameter) = input.generics.params.first() {
        return Err(Error::new_spanned(
            parameter,
            "the two sides meet at run time, so an interface has no generics: name the types in its methods",
        ));
    }
    if let Some(supertrait) = input.supertraits.first() {
        return Err(Error::new_spanned(
            supertrait,
            "an interface stands alone: name all of its methods in it",
        ));
    }
    let mut methods = Vec::new();
    for item in &mut input.items {
        match item {
            TraitItem::Fn(function) => {
                if let Some(body) = &function.default {
                    return Err(Error::new_spanned(
                        body,
                        "an interface has no code, each version brings its own: end the method with `;`",
                    ));
                }
                methods.push(Method::read(&function.attrs, &function.sig)?);
                if function.sig.receiver().is_none() {
                    // Keeps the trait usable as `dyn`, which is the interface's name.
                    let sized = parse_quote!(Self: ::core::marker::Sized);
                    function.sig.generics.make_where_clause().predicates.push(sized);
                }
            }
            other => {
                return Err(Error::new_spanned(
                    other,
                    "an interface holds methods only: put types and constants beside it",
                ));
            }
        }
    }

    let logic_trait = logic_trait(&input, &methods);
    let export = export(&input, &methods);
    let proxy = proxy(&input, &methods);
    let spawn = spawn(&input, &methods);
    let interface = interface_impl(&input, &methods);
    Ok(quote! {
        #input
        #logic_trait
        #export
        #proxy
        #spawn
        #interface
    })
}

fn logic_trait(input: &ItemTrait, methods: &[Method]) -> TokenStream {
    let (interface, visibility) = (&input.ident, &input.vis);
    let logic = format_ident!("{interface}Logic");
    let documentation = format!(
        "What logic implements to offer [`{interface}`]: its methods, each with the state (unless it doesn't \
         touch it) and a context in front."
    );
    let declarations = methods.iter().map(|method| {
        let Method { documentation, name, result, .. } = method;
        let state = match method.access {
            Access::Stateless => quote!(),
            Access::Shared => quote!(state: &Self::State,),
            Access::Exclusive => quote!(state: &mut Self::State,),
        };
        let (names, types) = (method.names(), method.types());
        // The compiler shows this place when logic lacks the method.
        quote_spanned! {name.span()=>
            #(#documentation)*
            #[allow(clippy::too_many_arguments)]
            fn #name(#state context: &::liveswap_state::Context #(, #names: #types)*) -> #result;
        }
    });
    quote! {
        #[doc = #documentation]
        #visibility trait #logic: ::liveswap_state::Logic {
            #(#declarations)*

            #[doc(hidden)]
            const __LIVESWAP_EXPORT: ::liveswap_state::Export<Self, dyn #interface> =
                ::liveswap_state::Export::new();
        }
    }
}

fn export(input: &ItemTrait, methods: &[Method]) -> TokenStream {
    let interface = &input.ident;
    let logic = format_ident!("{interface}Logic");
    let code = methods.iter().map(|method| {
        let Method { name, result, .. } = method;
        let (names, types, code_type) = (method.names(), method.types(), method.code_type());
        let forwarded = method.names();
        let state = quote!(__liveswap_state.cast::<<__LiveswapLogic as ::liveswap_state::Logic>::State>());
        let state = match method.access {
            Access::Stateless => quote!(),
            // SAFETY: for both: the caller of the generated code vouches for the address and the borrow; see below.
            Access::Shared => quote!(unsafe { &*#state },),
            Access::Exclusive => quote!(unsafe { &mut *#state },),
        };
        quote! {{
            // SAFETY: for the caller: `__liveswap_state` is the address of the logic's state, borrowed as the
            // method's access says, or is not looked at.
            #[allow(unused_variables, clippy::undocumented_unsafe_blocks, clippy::too_many_arguments)]
            unsafe fn __liveswap_code<__LiveswapLogic: #logic>(
                __liveswap_state: *mut (),
                __liveswap_context: &::liveswap_state::Context
                #(, #names: #types)*
            ) -> ::liveswap_state::Fenced<#result> {
                ::liveswap_state::fence::fence(|| {
                    <__LiveswapLogic as #logic>::#name(#state __liveswap_context #(, #forwarded)*)
                })
            }
            let __liveswap_code: #code_type = __liveswap_code::<__LiveswapLogic>;
            ::liveswap_state::CodePointer(__liveswap_code as *const ())
        }}
    });
    let replay = methods.iter().map(|method| replay(&logic, method));
    quote! {
        // SAFETY: each code pointer is coerced to its method's function type where it is made, and is of this
        // very logic. What is written for replaying calls the same method.
        #[automatically_derived]
        unsafe impl<__LiveswapLogic: #logic> ::liveswap_state::OfferedBy<__LiveswapLogic> for dyn #interface {
            const CODE: &'static [::liveswap_state::CodePointer] = &[#(#code),*];
            const REPLAY: &'static [::liveswap_state::Replay] = &[#(#replay),*];
        }
    }
}

/// Where the compiler shows that a type isn't what it has to be, for what is written of it.
fn at(written: &Type) -> Span {
    written.span().resolved_at(Span::call_site())
}

fn proxy(input: &ItemTrait, methods: &[Method]) -> TokenStream {
    let (interface, visibility) = (&input.ident, &input.vis);
    let proxy = format_ident!("{interface}Proxy");
    let documentation =
        format!("What a host calls: the methods of [`{interface}`], on the version this proxy was made for.");
    let calls = methods.iter().enumerate().map(|(index, method)| {
        let Method { documentation, name, result, .. } = method;
        let (access, code_type) = (method.access(), method.code_type());
        let (names, types, forwarded) = (method.names(), method.types(), method.names());
        let recorded = method.arguments.iter().map(|Argument { name, passing, inner, .. }| {
            let value = if passing == "Owned" { quote!(&#name) } else { quote!(&*#name) };
            quote_spanned!(at(inner)=> ::liveswap_state::State::encode(#value, __liveswap_encoder);)
        });
        quote! {
            #(#documentation)*
            ///
            /// # Errors
            ///
            /// If logic panics, or if the call can't share the state with one this thread is already in.
            // What is rare is out of line already, and a good call's result is to stay in registers.
            #[inline(always)]
            #[allow(clippy::undocumented_unsafe_blocks, clippy::too_many_arguments)]
            pub fn #name(&self #(, #names: #types)*)
                -> ::core::result::Result<#result, ::liveswap_state::CallError>
            {
                if ::liveswap_state::Passage::is_recording(&self.passage, #index) {
                    ::liveswap_state::Passage::record(
                        &self.passage,
                        #index,
                        |__liveswap_encoder: &mut ::liveswap_state::Encoder| { #(#recorded)* },
                    );
                }
                let __liveswap_call = move |
                    __liveswap_code: ::liveswap_state::CodePointer,
                    __liveswap_state: *mut (),
                    __liveswap_context: &::liveswap_state::Context,
                | {
                    // SAFETY: the passage leads to the code of this interface and so gives that of this
                    // method, whose fingerprint says that it has this type, and the state, borrowed as
                    // its access says.
                    unsafe {
                        let __liveswap_code =
                            ::core::mem::transmute::<*const (), #code_type>(__liveswap_code.0);
                        __liveswap_code(__liveswap_state, __liveswap_context #(, #forwarded)*)
                    }
                };
                // SAFETY: this is the method's place in `METHODS`, and its access there; the exported code is fenced,
                // so that it doesn't unwind.
                unsafe {
                    ::liveswap_state::Passage::pass::<#result>(
                        &self.passage, #index, #access, __liveswap_call,
                    )
                }
            }
        }
    });
    quote! {
        #[doc = #documentation]
        #[derive(::core::fmt::Debug)]
        #visibility struct #proxy<__LiveswapGate> {
            passage: ::liveswap_state::Passage<dyn #interface, __LiveswapGate>,
        }

        impl<__LiveswapGate: ::liveswap_state::Gate> #proxy<__LiveswapGate> {
            #(#calls)*
        }
    }
}

fn spawn(input: &ItemTrait, methods: &[Method]) -> TokenStream {
    let (interface, visibility) = (&input.ident, &input.vis);
    let spawn = format_ident!("{interface}Spawn");
    let documentation = format!(
        "What logic has the host call later: the methods of [`{interface}`] whose arguments are all owned. \
         From `context.spawn::<dyn {interface}>()`, or from `spawn_in` or `after`."
    );
    let calls = methods.iter().enumerate().filter(|(_, method)| method.is_owned()).map(|(index, method)| {
        let Method { documentation, name, .. } = method;
        let (names, types, forwarded) = (method.names(), method.types(), method.names());
        let arguments_type = method.arguments_type();
        quote! {
            #(#documentation)*
            ///
            /// # Errors
            ///
            /// If the host won't make the call.
            #[allow(clippy::undocumented_unsafe_blocks, clippy::too_many_arguments)]
            pub fn #name(&self #(, #names: #types)*)
                -> ::core::result::Result<__LiveswapWhen::Receipt, ::liveswap_state::SpawnError>
            {
                let __liveswap_method = &<dyn #interface as ::liveswap_state::Interface>::METHODS[#index];
                // SAFETY: the tuple is that of this method's arguments, none of which is a reference.
                unsafe {
                    ::liveswap_state::hand_over::<#arguments_type, __LiveswapWhen>(
                        self.context,
                        self.when,
                        __liveswap_method,
                        (#(#forwarded,)*),
                    )
                }
            }
        }
    });
    quote! {
        #[doc = #documentation]
        #[derive(::core::fmt::Debug)]
        #visibility struct #spawn<'context, __LiveswapWhen = ::liveswap_state::Lane> {
            context: &'context ::liveswap_state::Context,
            when: __LiveswapWhen,
        }

        impl<__LiveswapWhen: ::liveswap_state::When> #spawn<'_, __LiveswapWhen> {
            #(#calls)*
        }
    }
}

fn interface_impl(input: &ItemTrait, methods: &[Method]) -> TokenStream {
    let interface = &input.ident;
    let proxy = format_ident!("{interface}Proxy");
    let spawn = format_ident!("{interface}Spawn");
    let interface_text = interface.to_string();
    let jobs = methods.iter().enumerate().filter(|(_, method)| method.is_owned()).map(|(index, method)| {
        let (name, names, forwarded) = (&method.name, method.names(), method.names());
        let arguments_type = method.arguments_type();
        quote! {
            #index => {
                // SAFETY: for the caller: from `Box::into_raw` of this method's arguments, used here alone.
                let __liveswap_arguments = unsafe {
                    ::std::boxed::Box::from_raw(__liveswap_arguments.cast::<#arguments_type>())
                };
                ::std::boxed::Box::new(move || {
                    let (#(#names,)*) = *__liveswap_arguments;
                    let __liveswap_proxy = ::liveswap_state::Enter::enter(&__liveswap_module)?;
                    let __liveswap_result = __liveswap_proxy.#name(#(#forwarded),*);
                    ::core::result::Result::map(__liveswap_result, ::core::mem::drop)
                })
            }
        }
    });
    let specs = methods.iter().map(|method| {
        let (name, access, result) = (method.name.to_string(), method.access(), &method.result);
        let arguments = method.arguments.iter().map(|Argument { passing, inner, .. }| {
            quote!(.argument::<#inner>(::liveswap_state::Passing::#passing))
        });
        quote!(::liveswap_state::Signature::new(#name, #access) #(#arguments)* .returns::<#result>())
    });
    quote! {
        // SAFETY: methods, casts in the proxy and tuples of arguments are written from the same list.
        #[automatically_derived]
        unsafe impl ::liveswap_state::Interface for dyn #interface {
            const NAME: &'static ::core::primitive::str = #interface_text;
            const METHODS: &'static [::liveswap_state::MethodSpec] = &[#(#specs),*];
            type Proxy<__LiveswapGate: ::liveswap_state::Gate> = #proxy<__LiveswapGate>;

            #[inline]
            fn proxy<__LiveswapGate: ::liveswap_state::Gate>(
                passage: ::liveswap_state::Passage<Self, __LiveswapGate>,
            ) -> #proxy<__LiveswapGate> {
                #proxy { passage }
            }

            type Spawn<'context, __LiveswapWhen: ::liveswap_state::When> = #spawn<'context, __LiveswapWhen>;

            fn spawn<__LiveswapWhen: ::liveswap_state::When>(
                context: &::liveswap_state::Context,
                when: __LiveswapWhen,
            ) -> #spawn<'_, __LiveswapWhen> {
                #spawn { context, when }
            }

            #[allow(clippy::undocumented_unsafe_blocks)]
            unsafe fn job<__LiveswapModule: ::liveswap_state::Enter<Self>>(
                __liveswap_method: ::core::primitive::usize,
                __liveswap_arguments: *mut (),
                __liveswap_module: __LiveswapModule,
            ) -> ::liveswap_state::Job {
                match __liveswap_method {
                    #(#jobs)*
                    _ => ::core::unreachable!("only a method with owned arguments is spawned"),
                }
            }
        }
    }
}
