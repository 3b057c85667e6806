//! What a site grants a sink, in the words of the process that it binds; and what a plugin says it needs, held
//! against it. Puts nothing in force, and grants nothing because a plugin says that it needs it.

mod dynamic;
mod needs;
mod user;

use std::path::{Path, PathBuf};

use watchpost_config::{Ports, SandboxSettings, SinkUser};
use watchpost_sinkhost_client::{MAX_TASKS, sandbox};

pub use needs::{Access, Need, needs};
pub(crate) use user::UserOfSink;

/// Bytes that a file of a sink may have at least: its longer messages to the hub travel in files of memory.
const LEAST_FILE_BYTES: u64 = 16 << 20;

/// The directory that a sink keeps its own files in.
pub fn own_dir(data_dir: &Path, sink: &str) -> PathBuf {
    data_dir.join("sinks").join(sink)
}

/// What the process of a sink may do: its plugin's file, its own directory, and what the site has written down. The hub's own
/// port is in no grant. `user` is whom `settings` say it runs as.
pub(crate) fn grants(
    settings: &SandboxSettings,
    plugin: &Path,
    state_dir: &Path,
    own_port: Option<u16>,
    user: Option<sandbox::RunAs>,
) -> sandbox::Grants {
    let SandboxSettings {
        read,
        write,
        connect,
        listen,
        unix_sockets,
        exec,
        acknowledge,
        arm,
        // Looked at by the hub, which believes no plugin.
        arm_without_code: _,
        disarm_without_code: _,
        memory,
        state_quota,
        open_files,
        user: named,
        groups: _,
        require,
    } = settings;
    let mut grants = sandbox::Grants::for_sink(plugin, state_dir);
    grants.read.extend_from_slice(read);
    grants.write.extend_from_slice(write);
    sandbox::Grants {
        connect_tcp: ports(connect),
        bind_tcp: ports(listen),
        closed_tcp: own_port.into_iter().collect(),
        unix_sockets: *unix_sockets,
        exec: *exec,
        acknowledge: *acknowledge,
        arm: *arm,
        memory_bytes: Some(memory.0),
        open_files: Some(*open_files),
        // All together is measured, for no limit of the kernel's counts it. What is granted besides is no part of it.
        file_bytes: write.is_empty().then_some(state_quota.0.max(LEAST_FILE_BYTES)),
        // The kernel counts those of a user, whoever has started them.
        processes: (*named == Some(SinkUser::Dynamic)).then_some(MAX_TASKS),
        user,
        require: *require,
        ..grants
    }
}

fn ports(ports: &Ports) -> sandbox::Ports {
    match ports {
        Ports::Only(ports) => sandbox::Ports::Only(ports.clone()),
        Ports::Any(_) => sandbox::Ports::Any,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The reference page tells the defaults of the one, the child keeps those of the other.
    #[test]
    fn without_settings_a_sink_gets_the_default_grants() {
        let (plugin, state) = (Path::new("/p.so"), Path::new("/state"));
        assert_eq!(
            grants(&SandboxSettings::default(), plugin, state, None, None),
            sandbox::Grants {
                file_bytes: Some(256 << 20),
                ..sandbox::Grants::for_sink(plugin, state)
            }
        );
    }

    #[test]
    fn what_is_written_down_comes_on_top() {
        let settings = SandboxSettings {
            write: vec!["/srv".into()],
            connect: Ports::ANY,
            ..SandboxSettings::default()
        };
        let granted = grants(
            &settings,
            Path::new("/p.so"),
            Path::new("/state"),
            Some(8787),
            None,
        );
        assert_eq!(granted.write, [Path::new("/state"), Path::new("/srv")]);
        assert_eq!(granted.connect_tcp, sandbox::Ports::Any);
        assert!(granted.bind_tcp.is_none());
        assert_eq!(granted.file_bytes, None, "elsewhere a file may be larger");
        assert_eq!(granted.closed_tcp, [8787]);
    }
}
