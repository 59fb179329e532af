//! Sets: modules that change together, as a host sees them.

use serde::Serialize;

use crate::candidate::VersionNumber;
use crate::engine::{Core, Engine, Push, PushOutcome};
use crate::error::SetPushError;

/// What became of a push of a set that wasn't refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SetPushed {
    /// The set.
    pub set: String,
    /// What became of each candidate, in the order in which they were pushed.
    pub members: Vec<PushOutcome>,
}

/// A set; or the instances of a [factory](crate::Builder::factory), under the factory's name.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct SetStatus {
    /// Its name.
    pub name: String,
    /// Its members, in the order in which they were declared.
    pub members: Vec<String>,
    /// Those members that were swapped as one, and still are: a rollback or a commit of one is one of all of these.
    pub together: Vec<String>,
    /// The version that a factory's next instance begins with; left out if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<VersionNumber>,
    /// How often it was swapped.
    pub swaps: SetSwaps,
}

/// How often several members of a set were swapped as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SetSwaps {
    /// By a push.
    pub published: u64,
    /// By a rollback.
    pub rolled_back: u64,
    /// How often a probation was ended for all.
    pub committed: u64,
    /// How often a push was refused.
    pub refused: u64,
}

impl Engine {
    /// Pushes candidates for several modules of a [set](crate::Builder::set), which become active as one: no unit of work
    /// sees some of them beside the predecessors of others. Returns when they serve.
    ///
    /// If the modules are on probation then, they are as one: the first verdict against one takes all back. And as long as
    /// none of them is pushed alone, a [`rollback`](Self::rollback) or a [`commit`](Self::commit) of one is one of all.
    ///
    /// ```no_run
    /// # fn example(engine: liveswap::Engine) -> Result<(), Box<dyn std::error::Error>> {
    /// engine.push_set("node", ["chain.v1002.so", "net.v1002.so"])?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Why one of them was refused. Then none of them serves, and each active version is as it was.
    pub fn push_set(
        &self,
        set: &str,
        pushes: impl IntoIterator<Item = impl Into<Push>>,
    ) -> Result<SetPushed, SetPushError> {
        self.core().push_set(set, pushes.into_iter().map(Into::into).collect())
    }
}

impl Core {
    pub(crate) fn push_set(&self, set: &str, pushes: Vec<Push>) -> Result<SetPushed, SetPushError> {
        self.mailbox.push_set(set.to_owned(), pushes.into_iter().map(Push::into_request).collect())
    }
}
