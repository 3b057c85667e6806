//! Users of this machine, from `/etc/passwd` and `/etc/group`. Those of a directory service are not known here;
//! their numbers can be given.

use std::fs;

use watchpost_sinkhost_client::sandbox::RunAs;

/// The user of this name or number, with all its groups.
pub(super) fn look_up(user: &str) -> Result<RunAs, String> {
    let read = |path: &str| fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"));
    find(user, &read("/etc/passwd")?, &read("/etc/group")?).ok_or_else(|| {
        format!("there is no user `{user}`, which `user` in its [sink.sandbox] names; create it, or correct the name")
    })
}

/// See passwd(5) and group(5).
fn find(user: &str, passwd: &str, group: &str) -> Option<RunAs> {
    let of_user = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, uid, gid) = (fields.next()?, fields.nth(1)?, fields.next()?);
        (name == user || uid == user).then_some((name, uid.parse().ok()?, gid.parse().ok()?))
    });
    let Some((name, uid, gid)) = of_user else {
        // A number needs no entry; its group is taken to have the same.
        let number = user.parse().ok()?;
        return Some(RunAs {
            uid: number,
            gid: number,
            groups: Vec::new(),
        });
    };
    let group_of = |line: &str| -> Option<u32> {
        let mut fields = line.split(':');
        let (gid, members) = (fields.nth(2)?, fields.next()?);
        let is_member = members.split(',').any(|member| member.trim() == name);
        is_member.then(|| gid.parse().ok())?
    };
    Some(RunAs {
        uid,
        gid,
        groups: group.lines().filter_map(group_of).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nsiren:x:990:980::/:/bin/false\n";
    const GROUP: &str = "root:x:0:\ngpio:x:997:pi,siren\ndialout:x:20:siren\nsirens:x:5:sirena\n";

    #[test]
    fn users_are_found_by_name_and_by_number() {
        let siren = RunAs {
            uid: 990,
            gid: 980,
            groups: vec![997, 20],
        };
        assert_eq!(find("siren", PASSWD, GROUP), Some(siren.clone()));
        assert_eq!(find("990", PASSWD, GROUP), Some(siren));
        assert_eq!(find("nobody", PASSWD, GROUP), None);
        let unknown = find("4000", PASSWD, GROUP).map(|user| (user.uid, user.gid, user.groups));
        assert_eq!(unknown, Some((4000, 4000, Vec::new())));
    }
}
