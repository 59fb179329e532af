//! What a host expects of versions on probation.

use super::Builder;
use crate::error::BuildError;
use crate::probation::Probation;

/// The policies, as they were given.
#[derive(Default)]
pub(super) struct Policies {
    all: Option<Probation>,
    by_module: Vec<(String, Option<Probation>)>,
}

impl Policies {
    /// The policy for a module, which may be an instance of a factory; if it has one.
    pub(super) fn of(&self, module: &str, factory: Option<&str>) -> Option<Probation> {
        let by_name = |wanted: &str| self.by_module.iter().rfind(|(name, _)| name == wanted);
        let own = by_name(module).or_else(|| by_name(factory?));
        own.map_or_else(|| self.all.clone(), |(_, policy)| policy.clone())
    }

    pub(super) fn check<'names>(
        &self,
        known: impl Iterator<Item = &'names str> + Clone,
    ) -> Result<(), BuildError> {
        for (name, _) in &self.by_module {
            if !known.clone().any(|known| known == name) {
                let known: Vec<_> = known.map(|known| format!("`{known}`")).collect();
                return Err(BuildError::PolicyOfNone { name: name.clone(), known: known.join(", ") });
            }
        }
        let own = self.by_module.iter().filter_map(|(_, policy)| policy.as_ref());
        self.all.iter().chain(own).try_for_each(Probation::check)?;
        Ok(())
    }
}

impl Builder {
    /// Puts each version that replaces another on probation: it's watched, and its predecessor takes over again by itself
    /// if it doesn't live up to the policy. For all modules that have no policy [of their own](Self::probation_of).
    ///
    /// Without a policy, the predecessor stays loaded until the next push, a [commit](crate::Engine::commit) or a
    /// [rollback](crate::Engine::rollback), and nothing is measured.
    ///
    /// If the process ends in the middle of a probation, and not in good order, the next start goes back to the
    /// predecessor. For that the host must give the engine a [private folder](Self::private_folder) that lasts: a
    /// temporary one is gone, and with it all that was known.
    pub fn probation(mut self, policy: Probation) -> Self {
        self.policies.all = Some(policy);
        self
    }

    /// The same for one module alone, or for all instances of a factory that have none of their own; `None` if its versions
    /// aren't to be watched.
    pub fn probation_of(mut self, module: impl Into<String>, policy: impl Into<Option<Probation>>) -> Self {
        self.policies.by_module.push((module.into(), policy.into()));
        self
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn policy(seconds: u64) -> Probation {
        Probation::default().window(Duration::from_secs(seconds))
    }

    #[test]
    fn a_modules_own_policy_goes_before_that_of_all() {
        let builder =
            Builder::new().probation_of("chat", None).probation(policy(1)).probation_of("logic", policy(2));
        assert_eq!(builder.policies.of("logic", None), Some(policy(2)));
        assert_eq!(builder.policies.of("chat", None), None);
        assert_eq!(builder.policies.of("other", None), Some(policy(1)));
        assert_eq!(builder.policies.of("logic", Some("chat")), Some(policy(2)));
        assert_eq!(builder.policies.of("lobby", Some("chat")), None);
        assert_eq!(builder.policies.of("lobby", Some("room")), Some(policy(1)));
        assert_eq!(Builder::new().policies.of("logic", None), None);
    }

    #[test]
    fn a_policy_of_no_module_and_one_that_cant_be_meant_are_refused() {
        let check = |builder: Builder| builder.policies.check(["logic"].into_iter());
        assert!(check(Builder::new().probation(policy(1)).probation_of("logic", policy(2))).is_ok());
        assert!(matches!(
            check(Builder::new().probation_of("chat", policy(1))),
            Err(BuildError::PolicyOfNone { name, .. }) if name == "chat"
        ));
        assert!(matches!(check(Builder::new().probation_of("logic", policy(0))), Err(BuildError::Policy(_))));
    }
}
