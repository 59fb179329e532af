//! Who must sign what they push: the owner needn't, unless the host demands it; everybody else must.
//!
//! A push comes over a road, and the road says whose it is ([`Asker`]): the host's own program is the owner's; so is a
//! watched folder, as long as nobody else may change what lies there. Any other road needs a signature by a trusted
//! key. A signature that is given though none is needed must hold too, if there are keys to check it with: somebody
//! meant it to count.
//!
//! What a push brings forward for itself is its [`Proof`]. It's gathered before the candidate's bytes are taken, and
//! checked against them before anything else of them is read.

use std::path::PathBuf;

use xxhash_rust::xxh3::Xxh3Default;

use super::Asker;
use super::mailbox::{Candidate, PushRequest};
use crate::candidate::accept::AcceptError;
use crate::candidate::folder;
use crate::candidate::signature::{self, Demand, SignatureError, TrustedKeys};
use crate::error::PushError;
use crate::tell::tell;

/// What a host demands of pushes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Authority {
    /// The folder with the keys that are trusted.
    pub(crate) keys: Option<PathBuf>,
    /// Whether the owner's own pushes must be signed too.
    pub(crate) demands_always: bool,
}

/// What a push brings forward for itself, and what is demanded of it.
pub(super) struct Proof {
    demand: Option<Demand>,
    signature: Option<Vec<u8>>,
    /// None if there are none, or nothing to check with them.
    keys: Option<TrustedKeys>,
    /// Whether the host trusts anybody.
    has_keys: bool,
}

/// What a proof was judged by. With another signature, other keys or another demand, the judgement may be another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Evidence(u128);

impl Authority {
    /// Whether this can be meant, told before anybody pushes.
    pub(crate) fn check(&self) -> Result<(), SignatureError> {
        match &self.keys {
            Some(folder) => TrustedKeys::read(folder).map(|keys| tell_faults(&keys)),
            None if self.demands_always => Err(SignatureError::NoKeys { demand: Demand::Always }),
            None => Ok(()),
        }
    }

    /// Gathers what there is to check a push by.
    pub(super) fn proof(&self, request: &PushRequest) -> Result<Proof, PushError> {
        let demand = self.demand(request)?;
        let has_keys = self.keys.is_some();
        if !has_keys {
            // Nobody could say whether a signature holds.
            return Ok(Proof { demand, signature: None, keys: None, has_keys });
        }
        let signature = match (&request.signature, &request.candidate) {
            (Some(signature), _) => Some(signature.clone().into_bytes()),
            (None, Candidate::File(path)) => signature::beside(path)?,
            (None, Candidate::Memory { .. }) => None,
        };
        let keys = match (&self.keys, &signature) {
            (Some(folder), Some(_)) => Some(TrustedKeys::read(folder)?),
            _ => None,
        };
        Ok(Proof { demand, signature, keys, has_keys })
    }

    /// Why a push must be signed. None if it needn't be.
    fn demand(&self, request: &PushRequest) -> Result<Option<Demand>, AcceptError> {
        if self.demands_always {
            return Ok(Some(Demand::Always));
        }
        match (&request.asker, &request.candidate) {
            // Only the owner and root get in by the socket.
            (Asker::Host | Asker::Socket { .. } | Asker::Engine { .. }, _)
            | (Asker::Folder(_), Candidate::Memory { .. }) => Ok(None),
            (Asker::Network { .. }, _) => Ok(Some(Demand::Network)),
            (Asker::Folder(_), Candidate::File(path)) => {
                let unreadable = |source| AcceptError::Unreadable { path: path.clone(), source };
                Ok(folder::of_file(path).map_err(unreadable)?.map(Demand::Exposed))
            }
        }
    }
}

impl Proof {
    pub(super) fn evidence(&self) -> Evidence {
        let mut evidence = Xxh3Default::new();
        evidence.update(&[self.demand.is_some().into(), self.has_keys.into()]);
        evidence.update(&self.keys.as_ref().map_or(0, TrustedKeys::digest).to_le_bytes());
        evidence.update(&[self.signature.is_some().into()]);
        evidence.update(self.signature.as_deref().unwrap_or_default());
        Evidence(evidence.digest128())
    }

    /// Whether the push may go on with these bytes.
    pub(super) fn check(&self, candidate: &str, content: &[u8]) -> Result<(), SignatureError> {
        let (Some(signature), Some(keys)) = (&self.signature, &self.keys) else {
            return match self.demand.clone() {
                None => Ok(()),
                Some(demand) if self.has_keys => Err(SignatureError::Missing { demand }),
                Some(demand) => Err(SignatureError::NoKeys { demand }),
            };
        };
        tell_faults(keys);
        let signed = signature::verify(content, signature, keys)?;
        let comment = signed.comment.escape_debug();
        tell(|| tracing::info!(candidate, key = %signed.key, %comment, "its signature holds"));
        Ok(())
    }
}

/// Says which files are no keys though they are named like some.
fn tell_faults(keys: &TrustedKeys) {
    for fault in keys.faults() {
        tell(|| tracing::warn!(code = fault.code(), "passed over a key: {fault}"));
    }
}
