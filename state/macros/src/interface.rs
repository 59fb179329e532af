//! `#[interface]`: the logic's trait and its export, the host's proxy, what logic spawns through, and the tie
//! between them.
//!
//! All are written from the same [`Method`]s, so that the function type of the exported code and the one the
//! proxy casts it to are the same tokens. So are the tuples that the arguments of a spawned call are boxed and
//! unboxed as.
//!
//! Those tokens are the user's, and must mean in each place what they mean in the trait: a type there may be
//! called `Gate`, an argument `code`. So what is written around them names everything by its whole path, and
//! its own parameters and variables begin with `__liveswap`, which nothing of a user's does.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{
    Attribute, Error, FnArg, Ident, ItemTrait, Pat, ReceiverKind, ReturnType, Safety, Signature, TraitItem,
    Type, parse_quote,
};

use crate::refused;

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

struct Method {
    documentation: Vec<Attribute>,
    name: Ident,
    access: Access,
    arguments: Vec<Argument>,
    result: Type,
}

#[derive(Clone, Copy)]
enum Access {
    Stateless,
    Shared,
    Exclusive,
}

struct Argument {
    name: Ident,
    /// As written: `&str`, `Vec<u8>`.
    written: Type,
    passing: Ident,
    /// Without the reference: `str`, `Vec<u8>`.
    inner: Type,
}

impl Method {
    fn read(attributes: &[Attribute], signature: &Signature) -> syn::Result<Self> {
        let is_conditional = |attribute: &&Attribute| {
            attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr")
        };
        if let Some(condition) = attributes.iter().find(is_conditional) {
            return Err(Error::new_spanned(
                condition,
                "both sides must see the same methods, and each is compiled with conditions of its own: declare \
                 the method always, and let logic answer an error where it has nothing to offer",
            ));
        }
        if let Some(keyword) = &signature.asyncness {
            return Err(Error::new_spanned(
                keyword,
                "a future holds code of the version that made it: return the answer, and let the host wait",
            ));
        }
        if let Safety::Unsafe(keyword) = &signature.safety {
            return Err(Error::new_spanned(
                keyword,
                "what the host may call must be safe to call: answer an error where a promise would be \
                 broken",
            ));
        }
        if let Some(parameter) = signature.generics.params.first() {
            return Err(Error::new_spanned(
                parameter,
                "the two sides meet at run time, so a method has no generics: name the types, and leave \
                 lifetimes out",
            ));
        }
        let access = match signature.receiver() {
            None => Access::Stateless,
            Some(receiver) => match &receiver.kind {
                ReceiverKind::Reference(_, None, None) => Access::Shared,
                ReceiverKind::Reference(_, None, Some(_)) => Access::Exclusive,
                _ => {
                    return Err(Error::new_spanned(
                        receiver,
                        "the state stays with the host: take `&self` (shared), `&mut self` (exclusive) or no \
                         receiver (doesn't touch the state)",
                    ));
                }
            },
        };
        let arguments = signature
            .inputs
            .iter()
            .filter_map(|input| match input {
                FnArg::Receiver(_) => None,
                FnArg::Typed(argument) => Some(Argument::read(argument)),
            })
            .collect::<syn::Result<_>>()?;
        let result = match &signature.output {
            ReturnType::Default => parse_quote!(()),
            ReturnType::Type(_, result) => (**result).clone(),
        };
        refused::check(&result)?;
        let documentation =
            attributes.iter().filter(|attribute| attribute.path().is_ident("doc")).cloned().collect();
        Ok(Self { documentation, name: signature.ident.clone(), access, arguments, result })
    }

    fn names(&self) -> impl Iterator<Item = &Ident> {
        self.arguments.iter().map(|argument| &argument.name)
    }

    fn types(&self) -> impl Iterator<Item = &Type> {
        self.arguments.iter().map(|argument| &argument.written)
    }

    /// The type of the exported code. Both the export and the proxy use these very tokens.
    fn code_type(&self) -> TokenStream {
        let (types, result) = (self.types(), &self.result);
        quote!(unsafe fn(*mut (), &::liveswap_state::Context #(, #types)*) -> ::liveswap_state::Fenced<#result>)
    }

    /// Whether the arguments can be kept for later.
    fn is_owned(&self) -> bool {
        self.arguments.iter().all(|argument| argument.passing == "Owned")
    }

    /// The type that a spawned call's arguments cross as. Both sides use these very tokens.
    fn arguments_type(&self) -> TokenStream {
        let types = self.types();
        quote!((#(#types,)*))
    }

    fn access(&self) -> TokenStream {
        match self.access {
            Access::Stateless => quote!(::liveswap_state::Access::Stateless),
            Access::Shared => quote!(::liveswap_state::Access::Shared),
            Access::Exclusive => quote!(::liveswap_state::Access::Exclusive),
        }
    }
}

impl Argument {
    fn read(argument: &syn::PatType) -> syn::Result<Self> {
        let Pat::Ident(pattern) = &*argument.pat else {
            return Err(Error::new_spanned(&argument.pat, "give the argument a plain name"));
        };
        if pattern.ident == "state" || pattern.ident == "context" {
            return Err(Error::new_spanned(
                pattern,
                "`state` and `context` name what logic is given with each call: choose another name",
            ));
        }
        let written = (*argument.ty).clone();
        let (passing, inner) = match &written {
            Type::Reference(reference) => {
                if let Some(lifetime) = &reference.lifetime {
                    return Err(Error::new_spanned(
                        lifetime,
                        "an argument is borrowed for the length of its call and no longer: leave the \
                         lifetime out",
                    ));
                }
                let passing = if reference.mutability.is_some() { "BorrowedMut" } else { "Borrowed" };
                (passing, (*reference.elem).clone())
            }
            other => ("Owned", other.clone()),
        };
        refused::check(&inner)?;
        Ok(Self { name: pattern.ident.clone(), passing: format_ident!("{passing}"), written, inner })
    }
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
    quote! {
        // SAFETY: each code pointer is coerced to its method's function type where it is made, and is of this
        // very logic.
        #[automatically_derived]
        unsafe impl<__LiveswapLogic: #logic> ::liveswap_state::OfferedBy<__LiveswapLogic> for dyn #interface {
            const CODE: &'static [::liveswap_state::CodePointer] = &[#(#code),*];
        }
    }
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
        quote! {
            #(#documentation)*
            ///
            /// # Errors
            ///
            /// If logic panics, or if the call can't share the state with one this thread is already in.
            #[inline]
            #[allow(clippy::undocumented_unsafe_blocks, clippy::too_many_arguments)]
            pub fn #name(&self #(, #names: #types)*)
                -> ::core::result::Result<#result, ::liveswap_state::CallError>
            {
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
         From `context.spawn::<dyn {interface}>()`."
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
                -> ::core::result::Result<(), ::liveswap_state::SpawnError>
            {
                let __liveswap_method = &<dyn #interface as ::liveswap_state::Interface>::METHODS[#index];
                // SAFETY: the tuple is that of this method's arguments, none of which is a reference.
                unsafe {
                    ::liveswap_state::hand_over::<#arguments_type>(
                        self.context,
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
        #visibility struct #spawn<'context> {
            context: &'context ::liveswap_state::Context,
        }

        impl #spawn<'_> {
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

            type Spawn<'context> = #spawn<'context>;

            fn spawn(context: &::liveswap_state::Context) -> #spawn<'_> {
                #spawn { context }
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
