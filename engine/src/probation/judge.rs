//! The judge: whether a version lives up to what is expected of it, as a pure function.
//!
//! What would be found out by any further call is judged at once: a version that has had more panics than the fewest
//! calls that say what is usual may have, needn't have that many calls.
//!
//! Nothing is compared with what isn't known: errors and times are judged only against a predecessor that has had enough
//! calls itself.

use std::time::Duration;

use liveswap_state::MethodSpec;

use super::{Probation, Reason};
use crate::call::meter::{MethodSums, Sums};

/// What is known of a version on probation.
#[derive(Clone, Debug)]
pub(crate) struct Evidence<'evidence> {
    pub(crate) methods: &'static [MethodSpec],
    /// Its calls.
    pub(crate) sums: &'evidence Sums,
    /// Its predecessor's.
    pub(crate) usual: &'evidence Sums,
    /// For how long it has been active.
    pub(crate) elapsed: Duration,
    pub(crate) health: &'evidence Health,
    /// The call that has been stuck for longest.
    pub(crate) stuck: Option<Stuck>,
    /// The exclusive call whose panic keeps others out of the state.
    pub(crate) suspect: Option<String>,
}

/// What its own hook says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It has not been asked yet, or hasn't answered yet.
    Unknown,
    /// It's well.
    Good,
    /// It's not.
    Bad { reason: String },
    /// It didn't return.
    Hung { waited: Duration },
}

/// A call that doesn't get on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stuck {
    pub(crate) thread: String,
    pub(crate) thread_id: i32,
    pub(crate) method: &'static str,
    pub(crate) age: Duration,
}

/// What is to become of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// It stays.
    Commit,
    /// Its predecessor takes over again.
    RollBack(Reason),
    /// It isn't decided yet.
    Wait,
}

/// Judges.
pub(crate) fn judge(policy: &Probation, evidence: &Evidence<'_>) -> Verdict {
    let rules = [said_by_itself, stuck, panics, errors, slower];
    if let Some(reason) = rules.into_iter().find_map(|rule| rule(policy, evidence)) {
        return Verdict::RollBack(reason);
    }
    // One last answer is waited for; it has a deadline.
    if evidence.elapsed >= policy.window && *evidence.health != Health::Unknown {
        Verdict::Commit
    } else {
        Verdict::Wait
    }
}

fn said_by_itself(_: &Probation, evidence: &Evidence<'_>) -> Option<Reason> {
    match evidence.health {
        Health::Unknown | Health::Good => {
            evidence.suspect.as_ref().map(|method| Reason::Suspect { method: method.clone() })
        }
        Health::Bad { reason } => Some(Reason::Unhealthy { reason: reason.clone() }),
        Health::Hung { waited } => Some(Reason::HealthHookHung { waited_ms: millis(*waited) }),
    }
}

fn stuck(policy: &Probation, evidence: &Evidence<'_>) -> Option<Reason> {
    let Stuck { thread, thread_id, method, age } = evidence.stuck.as_ref()?;
    policy.stuck_after.filter(|after| age >= after)?;
    Some(Reason::Stuck {
        thread: thread.clone(),
        thread_id: *thread_id,
        method: (*method).to_owned(),
        age_ms: millis(*age),
    })
}

/// Whether there are more than so many of 1,000 among these calls, or will be among the fewest that say what is usual.
fn are_too_many(found: u64, calls: u64, allowed: f64, policy: &Probation) -> bool {
    let calls = calls.max(policy.calls_min.into());
    found as f64 * 1000.0 > allowed * calls as f64
}

fn panics(policy: &Probation, evidence: &Evidence<'_>) -> Option<Reason> {
    let (calls, panics, allowed) = (evidence.sums.calls(), evidence.sums.panics(), policy.panics_max);
    are_too_many(panics, calls, allowed.into(), policy).then_some(Reason::Panics { calls, panics, allowed })
}

fn errors(policy: &Probation, evidence: &Evidence<'_>) -> Option<Reason> {
    let (calls, errors) = (evidence.sums.calls(), evidence.sums.errors());
    let usual_calls = evidence.usual.calls();
    if usual_calls < policy.calls_min.into() {
        return None;
    }
    let usual = evidence.usual.errors() as f64 * 1000.0 / usual_calls as f64;
    let allowed = (usual + f64::from(policy.errors_max)).min(1000.0);
    are_too_many(errors, calls, allowed, policy).then_some(Reason::Errors { calls, errors, allowed, usual })
}

/// Of the methods that take too long, the one that does so most.
fn slower(policy: &Probation, evidence: &Evidence<'_>) -> Option<Reason> {
    let times = policy.slower_max?;
    // The first calls find caches cold, and processors busy with the push.
    if evidence.elapsed < policy.window / 10 {
        return None;
    }
    let median = |sums: &MethodSums| {
        let is_enough = sums.timed() >= policy.calls_min.into();
        sums.median().filter(|_| is_enough)
    };
    let methods = evidence.methods.iter().zip(&evidence.sums.methods).zip(&evidence.usual.methods);
    let slower = methods.filter_map(|((method, sums), usual)| {
        let (found, usual) = (median(sums)?, median(usual)?);
        // What is too long to be told is longer than any.
        let by_factor = Duration::try_from_secs_f64(usual.as_secs_f64() * times).unwrap_or(Duration::MAX);
        let allowed = by_factor.max(usual.saturating_add(policy.slower_by));
        (found > allowed).then_some((method.name, found, allowed, usual))
    });
    let by =
        |(_, found, allowed, _): &(_, Duration, Duration, _)| found.as_secs_f64() / allowed.as_secs_f64();
    let (method, found, allowed, usual) = slower.max_by(|one, other| by(one).total_cmp(&by(other)))?;
    let method = method.to_owned();
    Some(Reason::Slower { method, found_us: us(found), allowed_us: us(allowed), usual_us: us(usual) })
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use liveswap_state::{Access, Fingerprint};
    use proptest::prelude::*;

    use super::*;

    const METHODS: &[MethodSpec] = &[
        MethodSpec { name: "look", access: Access::Shared, fingerprint: Fingerprint::of("look") },
        MethodSpec { name: "hit", access: Access::Exclusive, fingerprint: Fingerprint::of("hit") },
    ];

    const MICRO: Duration = Duration::from_micros(1);

    fn sums(calls: u64, took: Duration) -> Sums {
        Sums::new(2).with(0, calls, took)
    }

    /// Half way through the window, in good health.
    fn evidence<'evidence>(sums: &'evidence Sums, usual: &'evidence Sums) -> Evidence<'evidence> {
        let (elapsed, health) = (Probation::default().window / 2, &Health::Good);
        Evidence { methods: METHODS, sums, usual, elapsed, health, stuck: None, suspect: None }
    }

    fn code(policy: &Probation, evidence: &Evidence<'_>) -> &'static str {
        match judge(policy, evidence) {
            Verdict::Commit => "commit",
            Verdict::Wait => "wait",
            Verdict::RollBack(reason) => reason.code(),
        }
    }

    #[test]
    fn rates_are_judged_as_soon_as_they_are_sure() {
        let (policy, usual) = (Probation::default(), sums(1000, MICRO).failed(0, 0, 100));
        for (calls, panics, errors, expected) in [
            (0, 0, 0, "wait"),
            (1, 1, 0, "wait"),
            (2, 2, 0, "panics"),
            (100, 1, 0, "wait"),
            (1000, 10, 0, "wait"),
            (1000, 11, 0, "panics"),
            (15, 0, 15, "wait"),
            (16, 0, 16, "errors"),
            (1000, 0, 150, "wait"),
            (1000, 0, 151, "errors"),
            // One reason: the first.
            (1000, 11, 151, "panics"),
        ] {
            let found = sums(calls, MICRO).failed(0, panics, errors);
            assert_eq!(code(&policy, &evidence(&found, &usual)), expected, "{calls} {panics} {errors}");
        }
    }

    #[test]
    fn nothing_is_compared_with_what_isnt_known() {
        let policy = Probation::default();
        let found = sums(1000, Duration::from_secs(1)).failed(0, 0, 1000);
        assert_eq!(code(&policy, &evidence(&found, &sums(99, MICRO))), "wait");
        assert_eq!(code(&policy, &evidence(&found, &sums(100, MICRO))), "errors");
    }

    #[test]
    fn a_method_is_slower_by_factor_and_by_time_and_not_at_first() {
        let policy = Probation::default();
        for (usual, found, expected) in [
            (1, 9, "wait"),
            (1, 15, "slower"),
            (100, 160, "wait"),
            (100, 240, "slower"),
            (100, 300, "slower"),
            (300, 100, "wait"),
        ] {
            let (usual, found) = (sums(500, MICRO * usual), sums(500, MICRO * found));
            let mut evidence = evidence(&found, &usual);
            assert_eq!(code(&policy, &evidence), expected, "{found:?}");
            assert_eq!(code(&policy.clone().slower_max(None), &evidence), "wait");
            evidence.elapsed = policy.window / 11;
            assert_eq!(code(&policy, &evidence), "wait", "too early");
        }
        let (one, other) = (sums(500, MICRO * 300), sums(500, MICRO));
        for never in [policy.clone().slower_by(Duration::MAX), policy.clone().slower_max(f64::MAX)] {
            assert_eq!(code(&never, &evidence(&one, &other)), "wait");
        }
        let few = sums(99, MICRO * 1000);
        assert_eq!(code(&policy, &evidence(&few, &sums(500, MICRO))), "wait", "too few calls");
        // A method that only one of them was called by isn't judged; of two, the one that's worse is named.
        let usual = Sums::new(2).with(0, 200, MICRO * 100).with(1, 200, MICRO * 100);
        let found = Sums::new(2).with(0, 200, MICRO * 300).with(1, 200, MICRO * 900);
        let Verdict::RollBack(Reason::Slower { method, .. }) = judge(&policy, &evidence(&found, &usual))
        else {
            panic!("both are slower");
        };
        assert_eq!(method, "hit");
        assert_eq!(code(&policy, &evidence(&found, &sums(200, MICRO * 200))), "wait");
    }

    #[test]
    fn what_it_says_of_itself_and_a_stuck_call_need_no_numbers() {
        let (policy, none) = (Probation::default(), Sums::new(2));
        let bad = Health::Bad { reason: "no".to_owned() };
        let hung = Health::Hung { waited: Duration::from_secs(5) };
        for (health, expected) in [(&bad, "unhealthy"), (&hung, "health-hook-hung"), (&Health::Good, "wait")]
        {
            assert_eq!(code(&policy, &Evidence { health, ..evidence(&none, &none) }), expected);
        }
        let suspect = Some("hit".to_owned());
        assert_eq!(code(&policy, &Evidence { suspect, ..evidence(&none, &none) }), "suspect");
        for (seconds, expected) in [(29, "wait"), (30, "stuck")] {
            let age = Duration::from_secs(seconds);
            let stuck = Some(Stuck { thread: "worker".into(), thread_id: 7, method: "hit", age });
            let evidence = Evidence { stuck, ..evidence(&none, &none) };
            assert_eq!(code(&policy, &evidence), expected);
            assert_eq!(code(&policy.clone().stuck_after(None), &evidence), "wait");
        }
    }

    #[test]
    fn it_is_committed_at_the_end_and_not_before_the_last_answer() {
        let (policy, none) = (Probation::default(), Sums::new(2));
        let at = |elapsed, health| code(&policy, &Evidence { elapsed, health, ..evidence(&none, &none) });
        assert_eq!(at(policy.window - MICRO, &Health::Good), "wait");
        assert_eq!(at(policy.window, &Health::Good), "commit");
        assert_eq!(at(policy.window, &Health::Unknown), "wait");
    }

    proptest! {
        /// A version that does what its predecessor did, as well and as fast, is never rolled back; and it's committed
        /// if and only if the window has passed.
        #[test]
        fn one_that_is_as_good_as_its_predecessor_stays(
            calls in 0_u64..100_000, more in 1_u64..50, errors in 0_u64..=1000, took in 1_u64..1_000_000,
            elapsed in 0_u64..120,
        ) {
            let policy = Probation::default();
            let errors = calls * errors / 1000;
            let of = |times: u64| {
                sums(calls * times, MICRO * took as u32).failed(0, 0, errors * times)
            };
            let (found, usual) = (of(1), of(more));
            let elapsed = Duration::from_secs(elapsed);
            let verdict = judge(&policy, &Evidence { elapsed, ..evidence(&found, &usual) });
            let expected = if elapsed >= policy.window { Verdict::Commit } else { Verdict::Wait };
            prop_assert_eq!(verdict, expected);
        }

        /// More panics never make it better.
        #[test]
        fn panics_only_make_it_worse(calls in 0_u64..10_000, panics in 0_u64..10_000) {
            let (policy, usual) = (Probation::default(), Sums::new(2));
            let judged = |panics| {
                let found = sums(calls, MICRO).failed(0, panics, 0);
                code(&policy, &evidence(&found, &usual)) == "panics"
            };
            let panics = panics.min(calls);
            prop_assert!(!judged(panics) || judged(panics + 1));
            prop_assert_eq!(judged(panics), panics * 1000 > 10 * calls.max(100));
        }
    }
}
