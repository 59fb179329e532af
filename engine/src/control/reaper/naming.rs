//! Naming who holds a version, in a line of the log or of an error: each name once, and not more than a line of them.

use std::collections::HashMap;

use crate::call::{Hold, Holding};

/// How many holders are named in a line.
const NAMED_MAX: usize = 16;

/// The holders' names: what the host calls a holder, or else the thread's name.
pub(super) fn names<'holding>(holders: impl IntoIterator<Item = &'holding Holding>) -> String {
    let name = |holder: &Holding| holder.label.as_deref().unwrap_or(&holder.thread).to_owned();
    told(holders.into_iter().map(name))
}

/// Who keeps a module from something, by name and by what they do; `otherwise`, if they are gone by now. Threads that only
/// owe something don't.
pub(in super::super) fn described(holders: &[Holding], otherwise: &str) -> String {
    let of = |is_it: fn(&Hold) -> bool| names(holders.iter().filter(|holder| is_it(&holder.hold)));
    let (calls, leases) = (of(|hold| matches!(hold, Hold::Call(_))), of(|hold| *hold == Hold::Lease));
    let hook = |holder: &Holding| match holder.hold {
        Hold::Hook(hook) | Hold::Awaited(hook) => Some(format!("`{hook}` hasn't returned")),
        _ => None,
    };
    let calls = (!calls.is_empty()).then(|| format!("calls are still inside: {calls}"));
    let leases = (!leases.is_empty()).then(|| format!("it's leased: {leases}"));
    let all: Vec<_> = calls.into_iter().chain(leases).chain(holders.iter().filter_map(hook)).collect();
    if all.is_empty() { otherwise.to_owned() } else { all.join("; ") }
}

/// Names, each once, with their count; and how many there are beside those that are named.
fn told(names: impl Iterator<Item = String>) -> String {
    let mut places: HashMap<String, usize> = HashMap::new();
    let (mut counts, mut others): (Vec<usize>, usize) = (Vec::new(), 0);
    for name in names {
        if let Some(place) = places.get(&name) {
            counts[*place] += 1;
        } else if counts.len() < NAMED_MAX {
            places.insert(name, counts.len());
            counts.push(1);
        } else {
            others += 1;
        }
    }
    let mut named: Vec<_> = places.into_iter().collect();
    named.sort_unstable_by_key(|(_, place)| *place);
    let tell = |(name, place): (String, usize)| match counts[place] {
        1 => name,
        count => format!("{name} ({count} times)"),
    };
    let mut told: Vec<_> = named.into_iter().map(tell).collect();
    if others > 0 {
        told.push(format!("and {others} others"));
    }
    told.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_once_in_their_order_and_not_more_than_a_line_of_them() {
        let names = |names: &[&str]| told(names.iter().map(|name| (*name).to_owned()));
        assert_eq!(names(&[]), "");
        assert_eq!(names(&["feed", "report", "feed"]), "feed (2 times), report");
        // One that is named already is counted with its name, however late it comes.
        let many = (0..NAMED_MAX + 100_000).map(|number| format!("request {number}"));
        let expected: Vec<_> = (1..NAMED_MAX).map(|number| format!("request {number}")).collect();
        let expected = format!("request 0 (2 times), {}, and 100000 others", expected.join(", "));
        assert_eq!(told(many.chain(["request 0".to_owned()])), expected);
    }
}
