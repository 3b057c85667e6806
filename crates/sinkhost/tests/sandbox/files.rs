//! Which files can be reached.

use std::fs;
use std::path::PathBuf;

use libtest_mimic::Trial;
use watchpost_sinkhost_protocol::sandbox::Grants;

use crate::support::{child, deed, grants, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "files::a_link_the_plugin_could_place_is_not_followed",
            a_link_the_plugin_could_place_is_not_followed,
        ),
        trial(
            "files::the_state_dir_is_the_plugin's",
            the_state_dir_is_the_plugins,
        ),
        trial(
            "files::everything_else_is_out_of_reach",
            everything_else_is_out_of_reach,
        ),
        trial("files::a_read_grant_reads_only", a_read_grant_reads_only),
        trial(
            "files::a_write_grant_on_a_file_is_for_that_file",
            a_write_grant_on_a_file_is_for_that_file,
        ),
        trial(
            "files::a_device_is_controlled_only_with_a_write_grant",
            a_device_is_controlled_only_with_a_write_grant,
        ),
        trial(
            "files::what_every_library_needs_is_there",
            what_every_library_needs_is_there,
        ),
        trial("files::a_grant_of_nothing_says_so", a_grant_of_nothing_says_so),
        trial(
            "files::symbolic_links_do_not_lead_out",
            symbolic_links_do_not_lead_out,
        ),
    ]
}

/// A directory to own and a directory that belongs to another sink, with a file in each.
struct Place {
    _root: tempfile::TempDir,
    own: PathBuf,
    other: PathBuf,
}

fn place() -> Place {
    let root = tempfile::tempdir().unwrap();
    let (own, other) = (root.path().join("own"), root.path().join("other"));
    for dir in [&own, &other] {
        fs::create_dir(dir).unwrap();
        fs::write(dir.join("file"), "content").unwrap();
    }
    Place {
        _root: root,
        own,
        other,
    }
}

fn the_state_dir_is_the_plugins() {
    let Place { own, _root, .. } = place();
    let own_grants = grants(&own);
    let own = own.display();
    fs::create_dir(format!("{own}/sub")).unwrap();
    for act in [
        format!("read {own}/file"),
        format!("write {own}/new"),
        format!("mkdir {own}/dir"),
        format!("truncate {own}/file"),
        format!("rename {own}/file {own}/sub/moved"),
        format!("delete {own}/sub/moved"),
    ] {
        assert_eq!(deed(&own_grants, &act), "ok", "{act}");
    }
}

fn everything_else_is_out_of_reach() {
    let Place { own, other, _root } = place();
    let own_grants = grants(&own);
    let (own, other) = (own.display(), other.display());
    for (act, error) in [
        (format!("read {other}/file"), "EACCES"),
        (format!("list {other}"), "EACCES"),
        (format!("write {other}/file"), "EACCES"),
        (format!("write {other}/new"), "EACCES"),
        (format!("truncate {other}/file"), "EACCES"),
        (format!("delete {other}/file"), "EACCES"),
        (format!("mkdir {other}/dir"), "EACCES"),
        (format!("rename {other}/file {own}/stolen"), "EACCES"),
        ("read /etc/passwd".into(), "EACCES"),
        ("list /".into(), "EACCES"),
        ("read /proc/1/environ".into(), "EACCES"),
        ("write /dev/shm/watchpost-sandbox-test".into(), "EACCES"),
    ] {
        assert_eq!(deed(&own_grants, &act), error, "{act}");
    }
    assert_eq!(fs::read_to_string(format!("{other}/file")).unwrap(), "content");
}

fn a_read_grant_reads_only() {
    let Place { own, other, _root } = place();
    let granted = Grants {
        read: vec![other.clone()],
        ..grants(own)
    };
    let other = other.display();
    assert_eq!(deed(&granted, &format!("read {other}/file")), "ok");
    assert_eq!(deed(&granted, &format!("list {other}")), "ok");
    for act in ["write", "truncate", "delete"] {
        assert_eq!(deed(&granted, &format!("{act} {other}/file")), "EACCES", "{act}");
    }
}

fn a_write_grant_on_a_file_is_for_that_file() {
    let Place { own, other, _root } = place();
    fs::write(other.join("neighbour"), "content").unwrap();
    let granted = Grants {
        write: vec![other.join("file")],
        ..grants(own)
    };
    let other = other.display();
    assert_eq!(child(&granted, "nothing").report, "the sandbox holds");
    assert_eq!(deed(&granted, &format!("write {other}/file")), "ok");
    assert_eq!(deed(&granted, &format!("write {other}/neighbour")), "EACCES");
}

fn a_device_is_controlled_only_with_a_write_grant() {
    let Place { own, _root, .. } = place();
    let reading = Grants {
        read: vec!["/dev/full".into()],
        ..grants(&own)
    };
    let writing = Grants {
        write: vec!["/dev/full".into()],
        ..grants(&own)
    };
    assert_eq!(deed(&reading, "device /dev/full"), "EACCES");
    // It is no terminal, but that is for the device to say.
    assert_eq!(deed(&writing, "device /dev/full"), "ENOTTY");
}

fn what_every_library_needs_is_there() {
    let Place { own, _root, .. } = place();
    for act in [
        "null",
        "list /usr/lib",
        "read /proc/self/maps",
        "list /sys/devices/system/cpu",
        "read /etc/hosts",
    ] {
        assert_eq!(deed(&grants(&own), act), "ok", "{act}");
    }
}

fn a_grant_of_nothing_says_so() {
    let Place { own, _root, .. } = place();
    let missing = own.join("missing");
    let granted = Grants {
        read: vec![missing.clone()],
        ..grants(&own)
    };
    let report = child(&granted, "nothing").report;
    assert_eq!(
        report,
        format!(
            "the sandbox grants `{}` under `read`, which cannot be reached: No such file or directory (os error 2); \
             create it, plug it in, or take it out of `read`",
            missing.display()
        )
    );
}

fn symbolic_links_do_not_lead_out() {
    let Place { own, other, _root } = place();
    std::os::unix::fs::symlink(other.join("file"), own.join("link")).unwrap();
    assert_eq!(
        deed(&grants(&own), &format!("read {}/link", own.display())),
        "EACCES"
    );
}

/// The plugin replaces a file that it is granted by a link, and is started again.
fn a_link_the_plugin_could_place_is_not_followed() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (key, secret) = (dir.path().join("key"), outside.path().join("secret"));
    std::fs::write(&secret, "x").unwrap();
    std::fs::write(&key, "x").unwrap();
    let granted = Grants {
        read: vec![key.clone()],
        ..grants(dir.path())
    };
    let read = format!("read {}", secret.display());
    assert_eq!(deed(&granted, &read), "EACCES");

    std::fs::remove_file(&key).unwrap();
    std::os::unix::fs::symlink(&secret, &key).unwrap();
    let said = child(&granted, &read);
    assert!(
        said.report.contains("a link within a directory") && said.deed.is_empty(),
        "{said:?}"
    );

    // A directory on the way to it may be a link too.
    std::fs::remove_file(&key).unwrap();
    std::os::unix::fs::symlink(outside.path(), dir.path().join("sub")).unwrap();
    let granted = Grants {
        read: vec![dir.path().join("sub/secret")],
        ..grants(dir.path())
    };
    assert_eq!(child(&granted, &read).deed, "");
    // One that only the site can have placed is followed.
    let granted = Grants {
        read: vec![dir.path().join("sub/secret")],
        ..grants(outside.path().join("other"))
    };
    std::fs::create_dir(outside.path().join("other")).unwrap();
    assert_eq!(deed(&granted, &read), "ok");
}
