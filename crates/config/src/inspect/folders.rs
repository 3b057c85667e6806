//! The folders that the configuration names: where data goes, and where plugins are.

use std::fs;
use std::path::Path;

use super::{Inspection, reader};

impl Inspection<'_> {
    pub(super) fn folders(&mut self) {
        self.data_dir();
        let dirs = &self.loaded.settings.hub.plugin_dirs;
        for (i, dir) in dirs.iter().enumerate() {
            let pointer = format!("/hub/plugin_dirs/{i}");
            if !self.is_given(&pointer) || dir.is_dir() {
                continue;
            }
            let shown = dir.display();
            let (problem, help) = if dir.exists() {
                (
                    format!("names {shown}, which is a file"),
                    "name the folder that the plugins are in".to_owned(),
                )
            } else {
                let near = Self::similar(dir).map(|near| format!("did you mean `{near}`, which is there?"));
                (
                    format!("names {shown}, which does not exist"),
                    near.unwrap_or_else(|| {
                        "correct the path; the package puts plugins into /usr/lib/watchpost/plugins"
                            .to_owned()
                    }),
                )
            };
            self.error(&pointer, problem, help);
        }
    }

    fn data_dir(&mut self) {
        let dir = &self.loaded.settings.hub.data_dir;
        let shown = dir.display();
        let pointer = "/hub/data_dir";
        // The first on the way up that is there decides whether the rest can be made.
        let Some(there) = dir
            .ancestors()
            .find(|folder| fs::symlink_metadata(folder).is_ok())
        else {
            return;
        };
        let metadata = match fs::metadata(there) {
            Ok(metadata) => metadata,
            Err(error) => {
                let problem = format!("is {shown}, which cannot be used: {}: {error}", there.display());
                self.error(pointer, problem, "correct the path, or the link");
                return;
            }
        };
        if !metadata.is_dir() {
            let problem = if there == dir {
                format!("is {shown}, which is a file")
            } else {
                format!("is {shown}, which cannot be made: {} is a file", there.display())
            };
            self.error(pointer, problem, "name a folder; it is made when it is missing");
        } else if !is_writable(there) {
            let user = reader::this_user();
            let problem = if there == dir {
                format!("is {shown}, which {user} cannot write")
            } else {
                format!("is {shown}, which {user} cannot make in {}", there.display())
            };
            let help = format!(
                "the hub's user must own it. If the hub runs as {user} too, make it and run `chown {user} {shown}`"
            );
            self.warning(pointer, problem, help);
        }
    }
}

/// Whether this process can make files there. A mode alone does not say so: a file system may be read-only.
fn is_writable(folder: &Path) -> bool {
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_ok()
}
