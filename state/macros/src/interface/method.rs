//! A method as it's written in the interface: what is read of it, and what is refused.
//!
//! The two sides are compiled apart and meet at run time. So what one of them alone could know is refused here, where
//! the compiler can show the place: generics, conditions, futures, what would have to be trusted.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{
    Attribute, Error, FnArg, Ident, Pat, ReceiverKind, ReturnType, Safety, Signature, Type, parse_quote,
};

use crate::refused;

pub(super) struct Method {
    pub(super) documentation: Vec<Attribute>,
    pub(super) name: Ident,
    pub(super) access: Access,
    pub(super) arguments: Vec<Argument>,
    pub(super) result: Type,
}

#[derive(Clone, Copy)]
pub(super) enum Access {
    Stateless,
    Shared,
    Exclusive,
}

pub(super) struct Argument {
    pub(super) name: Ident,
    /// As written: `&str`, `Vec<u8>`.
    pub(super) written: Type,
    pub(super) passing: Ident,
    /// Without the reference: `str`, `Vec<u8>`.
    pub(super) inner: Type,
}

impl Method {
    pub(super) fn read(attributes: &[Attribute], signature: &Signature) -> syn::Result<Self> {
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

    pub(super) fn names(&self) -> impl Iterator<Item = &Ident> {
        self.arguments.iter().map(|argument| &argument.name)
    }

    pub(super) fn types(&self) -> impl Iterator<Item = &Type> {
        self.arguments.iter().map(|argument| &argument.written)
    }

    /// The type of the exported code. Both the export and the proxy use these very tokens.
    pub(super) fn code_type(&self) -> TokenStream {
        let (types, result) = (self.types(), &self.result);
        quote!(unsafe fn(*mut (), &::liveswap_state::Context #(, #types)*) -> ::liveswap_state::Fenced<#result>)
    }

    /// Whether the arguments can be kept for later.
    pub(super) fn is_owned(&self) -> bool {
        self.arguments.iter().all(|argument| argument.passing == "Owned")
    }

    /// The type that a spawned call's arguments cross as. Both sides use these very tokens.
    pub(super) fn arguments_type(&self) -> TokenStream {
        let types = self.types();
        quote!((#(#types,)*))
    }

    pub(super) fn access(&self) -> TokenStream {
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
