//! A group that nobody else is in.
//!
//! Many systems give each user a group of the same name, and a umask that lets it write. What such a group may write to
//! is the user's own all the same. That nobody else is in it is read from the two files that say so. A user or a group
//! that isn't in them (of a directory service, say) counts as one that others share; and so does root's, which
//! daemons are put into.
//!
//! What isn't seen: a user of a directory service who begins in a group that the files call somebody's own. No file says
//! so. Where a service gives out numbers that local users have, no such group may write.

use std::fs;

/// Whether the group with this number is the user's own.
pub(super) fn is_private(user: u32, group: u32) -> bool {
    let text = |path| fs::read_to_string(path).unwrap_or_default();
    user != 0 && group != 0 && is_private_in(user, group, &text("/etc/passwd"), &text("/etc/group"))
}

fn is_private_in(user: u32, group: u32, users: &str, groups: &str) -> bool {
    let is = |field: &str, number: u32| field.parse() == Ok(number);
    let mut owner = None;
    for line in users.lines() {
        let fields: Vec<_> = line.split(':').collect();
        if let [name, _, its_user, its_group, ..] = fields[..]
            && is(its_group, group)
        {
            if !is(its_user, user) {
                return false;
            }
            owner = Some(name);
        }
    }
    let Some(owner) = owner else { return false };
    let mut known = groups.lines().filter_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        let [name, _, its_group, members] = fields[..] else { return None };
        is(its_group, group).then_some((name, members))
    });
    let is_own = |(name, members): (&str, &str)| {
        name == owner && members.split(',').all(|member| member.is_empty() || member == owner)
    };
    known.next().is_some_and(is_own) && known.all(is_own)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n\
                         bob:x:1001:100::/home/bob:/bin/sh\ncho:x:1002:1000::/:\nnonsense\n";

    #[test]
    fn a_group_is_ones_own_if_nobody_else_is_in_it() {
        let alone = USERS.replace("cho:x:1002:1000", "cho:x:1002:1002");
        let is_own = |groups: &str| is_private_in(1000, 1000, &alone, groups);
        assert!(is_own("root:x:0:\nada:x:1000:\n"));
        assert!(is_own("ada:x:1000:ada\n"));
        assert!(!is_own("ada:x:1000:bob\n"), "somebody else is a member");
        assert!(!is_own("staff:x:1000:\n"), "it has another name");
        assert!(!is_own("ada:x:1000:\nstaff:x:1000:bob\n"), "it has a second name");
        assert!(!is_own("bob:x:100:\n") && !is_own(""), "it isn't known");
        assert!(!is_private_in(1000, 1000, USERS, "ada:x:1000:\n"), "somebody else begins in it");
        assert!(!is_private_in(1000, 100, &alone, "users:x:100:\n"), "it's another user's");
        assert!(!is_private_in(7, 7, &alone, "seven:x:7:\n"), "the user isn't known");
    }

    #[test]
    fn roots_own_group_isnt_one() {
        assert!(!is_private(0, 0) && !is_private(1000, 0));
    }
}
