//! The files that a child has loaded or has access to, and whether others lie in their places by now.
//!
//! A grant goes with the file and not with its name. Editors, DHCP clients, `certbot` and whatever rotates secrets replace a
//! file by another of its name, and a child that was started before has no access to that.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use watchpost_config::KnownFile;
use watchpost_sinkhost_client::sandbox::{COMMON, Grants};

/// How often that is looked at.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Where the kernel shows its own state. What is there is never replaced, and yet may have another number at each look.
const OF_THE_KERNEL: [&str; 2] = ["/proc", "/sys"];

/// What lay at each path when the child was about to start. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct GrantedFiles(Arc<Files>);

#[derive(Debug, Default)]
struct Files {
    granted: Vec<KnownFile>,
    plugin: Option<KnownFile>,
}

impl GrantedFiles {
    /// What these grants are for, and the plugin's own file, as they are now.
    pub(super) fn now(grants: &Grants, plugin: &Path) -> Self {
        let named = grants.read.iter().chain(&grants.write);
        let named = named.map(AsRef::as_ref).filter(|path: &&Path| *path != plugin);
        let of_the_kernel = |path: &&Path| OF_THE_KERNEL.iter().any(|folder| path.starts_with(folder));
        let paths = named
            .chain(COMMON.iter().map(Path::new))
            .filter(|path| !of_the_kernel(path));
        Self(Arc::new(Files {
            granted: paths.map(KnownFile::now).collect(),
            plugin: Some(KnownFile::now(plugin)),
        }))
    }

    /// Whether the plugin's file is another by now, or has been written over. The child goes on with what it has loaded. It
    /// blocks.
    pub(super) fn plugin_replaced(&self) -> bool {
        self.0.plugin.as_ref().is_some_and(KnownFile::is_changed)
    }

    /// Whether both are of one child.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The first path at which another file lies than did then, or one where none did. It blocks.
    pub(super) fn replaced(&self) -> Option<&Path> {
        // What is gone cannot be granted to another child either.
        let mut granted = self.0.granted.iter();
        granted.find(|file| file.is_replaced()).map(KnownFile::path)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_the_kernel_shows_is_never_another() {
        let grants = Grants {
            read: vec!["/proc/self/status".into()],
            write: vec!["/sys/class/leds".into()],
            ..Grants::default()
        };
        let granted = GrantedFiles::now(&grants, Path::new("/plugin.so"));
        let paths: Vec<_> = granted.0.granted.iter().map(KnownFile::path).collect();
        assert!(paths.iter().any(|path| path.ends_with("etc/hosts")));
        let of_the_kernel = |path: &&&Path| path.starts_with("/proc") || path.starts_with("/sys");
        assert_eq!(paths.iter().find(of_the_kernel), None);
    }

    #[test]
    fn another_file_is_noticed_and_other_contents_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let [secret, later, plugin] = ["secret", "later", "plugin.so"].map(|name| dir.path().join(name));
        fs::write(&secret, "one").unwrap();
        fs::write(&plugin, "one").unwrap();
        let grants = Grants {
            read: vec![plugin.clone(), secret.clone(), later.clone()],
            ..Grants::default()
        };
        let granted = GrantedFiles::now(&grants, &plugin);
        let replace = |path: &Path| {
            fs::write(dir.path().join("new"), "two").unwrap();
            fs::rename(dir.path().join("new"), path).unwrap();
        };
        assert!(!granted.plugin_replaced());
        fs::write(&plugin, "other").unwrap();
        assert!(granted.plugin_replaced(), "written over");
        replace(&plugin);
        assert!(granted.plugin_replaced());
        fs::write(&secret, "other").unwrap();
        assert_eq!(granted.replaced(), None);
        fs::rename(&secret, dir.path().join("away")).unwrap();
        assert_eq!(granted.replaced(), None, "there is nothing to grant");
        replace(&secret);
        assert_eq!(granted.replaced(), Some(secret.as_path()));
        let granted = GrantedFiles::now(&grants, &plugin);
        assert_eq!(granted.replaced(), None);
        fs::write(&later, "one").unwrap();
        assert_eq!(granted.replaced(), Some(later.as_path()), "it has appeared");
    }
}
