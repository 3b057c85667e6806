//! What a hub consists of, as a value made from its settings: two of them can be compared. Nothing here starts anything.

use std::path::PathBuf;
use std::sync::Arc;

use watchpost_config::{ConnectionSettings, KnownFile, Ports, Settings, SinkSettings, TimeZone, router};
use watchpost_core::Part;
use watchpost_store::{Retention, StoreOptions, StorePolicy};
use watchpost_visionguard::{AddressError, Backend};

use crate::plugins::find_plugin;
use crate::sandbox::own_dir;
use crate::stamp::StampPolicy;
use crate::store::WriterPolicy;

/// Everything that is made from settings.
#[derive(Clone, Debug)]
pub(crate) struct Blueprint {
    pub(crate) settings: Arc<Settings>,
    pub(crate) connections: Vec<ConnectionPlan>,
    pub(crate) sinks: Vec<SinkPlan>,
}

/// A connection's address cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("connection {connection}: {source}")]
pub struct BadAddress {
    /// Name of the connection.
    connection: String,
    /// What is wrong with it.
    source: AddressError,
}

/// All that a source is made of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ConnectionPlan {
    pub(crate) settings: Arc<ConnectionSettings>,
    /// Where it connects to; `None` where others connect to the hub.
    pub(crate) backend: Option<Backend>,
}

/// All that a sink is made of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SinkPlan {
    /// Without what only the writer thread goes by, and with what is required of all sinks.
    pub(crate) settings: Arc<SinkSettings>,
    /// The time zone in which its messages show times.
    pub(crate) zone: TimeZone,
    /// Where it may keep what it likes.
    pub(crate) state_dir: PathBuf,
    /// The hub's own port, which it must not reach, where it may reach any.
    pub(crate) own_port: Option<u16>,
    /// Its plugin and the files that it may read, as they lie there now: its child has them open, loaded or granted, so
    /// another file by the same name is for a new child only.
    files: Vec<KnownFile>,
}

impl Part for ConnectionPlan {
    fn name(&self) -> &str {
        &self.settings.name
    }
}

impl Part for SinkPlan {
    fn name(&self) -> &str {
        &self.settings.name
    }
}

impl Blueprint {
    /// What these settings ask for, with the files that they name as those are now.
    ///
    /// # Errors
    /// When an address is wrong.
    pub(crate) fn new(settings: Settings) -> Result<Self, BadAddress> {
        let connections = settings.connection.iter();
        let connections = connections.map(ConnectionPlan::new).collect::<Result<_, _>>()?;
        let sinks = settings.sink.iter();
        let sinks = sinks.map(|sink| SinkPlan::new(sink, &settings)).collect();
        Ok(Self {
            settings: Arc::new(settings),
            connections,
            sinks,
        })
    }

    /// What the writer thread goes by.
    pub(crate) fn policy(&self) -> WriterPolicy {
        WriterPolicy {
            router: router(&self.settings),
            stamp: StampPolicy::new(&self.settings),
            batch_alerts: self.settings.store.group_commit,
            store: store_policy(&self.settings),
        }
    }

    /// How the store is opened.
    pub(crate) fn store_options(&self) -> StoreOptions {
        StoreOptions {
            dir: self.settings.hub.data_dir.clone(),
            segment_size: self.settings.store.segment_size.0,
            cancel_on_acknowledge: cancelling(&self.settings),
            policy: store_policy(&self.settings),
        }
    }
}

impl ConnectionPlan {
    fn new(settings: &ConnectionSettings) -> Result<Self, BadAddress> {
        let backend = settings.url.as_deref().map(Backend::parse).transpose();
        let backend = backend.map_err(|source| BadAddress {
            connection: settings.name.clone(),
            source,
        })?;
        Ok(Self {
            settings: Arc::new(settings.clone()),
            backend,
        })
    }
}

impl SinkPlan {
    fn new(settings: &SinkSettings, all: &Settings) -> Self {
        let (mut settings, hub) = (settings.clone(), &all.hub);
        settings.sandbox.require |= hub.require_sandbox;
        // The router's: a change of these restarts nothing.
        (settings.max_age, settings.cancel_on_acknowledge) = (None, None);
        (settings.events, settings.when_full) = (None, None);
        (settings.wait_picture, settings.late) = (None, None);
        (settings.only_armed, settings.remote) = (None, None);
        settings.rate_limit = None;
        let plugin = find_plugin(&settings.plugin, &hub.plugin_dirs).ok();
        let read = settings.sandbox.read.iter().filter(|path| !path.is_dir());
        let files = plugin.iter().chain(read).map(KnownFile::now).collect();
        let network = settings.sandbox.connect != Ports::default();
        Self {
            own_port: all.own_port().filter(|_| network),
            zone: hub.time_zone(),
            state_dir: own_dir(&hub.data_dir, &settings.name),
            settings: Arc::new(settings),
            files,
        }
    }
}

/// Names of the sinks whose deliveries an acknowledgement cancels.
fn cancelling(settings: &Settings) -> Vec<String> {
    let sinks = settings.sink.iter();
    let cancelling = sinks.filter(|sink| sink.cancels_on_acknowledge());
    cancelling.map(|sink| sink.name.clone()).collect()
}

fn store_policy(settings: &Settings) -> StorePolicy {
    let store = &settings.store;
    let connections = settings.connection.iter();
    let writing_back = connections.filter(|connection| connection.write_back);
    StorePolicy {
        retention: Retention {
            keep_for: store.keep_for.map(Into::into),
            keep_max: store.keep_max,
            max_size: store.max_size.map(|size| size.0),
        },
        write_back: writing_back.map(|connection| connection.name.clone()).collect(),
        sinks: Some(settings.sink.iter().map(|sink| sink.name.clone()).collect()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use watchpost_core::Changes;

    use super::*;

    /// Two connections, and two sinks with plugins of their own in the folder.
    fn base(dir: &Path) -> toml::Table {
        for file in ["mail.so", "siren.so", "password", "libwatchpost_log.so"] {
            fs::write(dir.join(file), file).unwrap();
        }
        let text = r#"
            [hub]
            plugin_dirs = ["DIR"]
            [[connection]]
            name = "shop"
            url = "http://127.0.0.1:9"
            [[connection]]
            name = "yard"
            kind = "inbound"
            token = { inline = "secret" }
            [[sink]]
            name = "mail"
            plugin = "DIR/mail.so"
            sandbox = { read = ["DIR/password"], connect = [25] }
            [[sink]]
            name = "siren"
            plugin = "DIR/siren.so"
        "#;
        text.replace("DIR", &dir.display().to_string()).parse().unwrap()
    }

    fn blueprint(config: &toml::Table) -> Blueprint {
        Blueprint::new(config.clone().try_into().unwrap()).unwrap()
    }

    /// What starts, restarts and stops: `+`, `*` and `-`.
    fn between(old: &Blueprint, new: &Blueprint) -> String {
        let connections = Changes::between(&old.connections, &new.connections);
        let sinks = Changes::between(&old.sinks, &new.sinks);
        let mut all = Vec::new();
        for changes in [connections, sinks] {
            for (mark, names) in [
                ("+", changes.added),
                ("*", changes.changed),
                ("-", changes.removed),
            ] {
                all.extend(names.into_iter().map(|name| format!("{mark}{name}")));
            }
        }
        all.join(" ")
    }

    #[test]
    fn only_what_a_setting_is_for_restarts() {
        type Change = fn(&mut toml::Table);
        let dir = tempfile::tempdir().unwrap();
        let base = base(dir.path());
        let changes: &[(Change, &str)] = &[
            (|_| (), ""),
            // What is looked at each time, or is the writer's.
            (|c| set(&mut c["hub"], "link_grace", "5s"), ""),
            (|c| set(&mut c["hub"], "log", "debug"), ""),
            (|c| set(&mut c["hub"], "site", "corner shop"), ""),
            (|c| set(&mut c["sink"][0], "max_age", "1h"), ""),
            (|c| set(&mut c["sink"][0], "events", false), ""),
            (|c| set(&mut c["sink"][0], "cancel_on_acknowledge", true), ""),
            (|c| set(&mut c["sink"][0], "when_full", "deliver"), ""),
            (|c| set(&mut c["sink"][0], "wait_picture", "1m"), ""),
            (|c| set(&mut c["sink"][0], "late", "each"), ""),
            (|c| set(&mut c["sink"][0], "only_armed", true), ""),
            (|c| set(&mut c["sink"][0], "remote", false), ""),
            (|c| set(&mut c["sink"][0], "rate_limit", "20 per 1h"), ""),
            (|c| drop(c.insert("route".into(), routes())), ""),
            (|c| c["sink"].as_array_mut().unwrap().reverse(), ""),
            // What one part is made of.
            (|c| set(&mut c["connection"][0], "keep_pose", true), "*shop"),
            (|c| set(&mut c["connection"][1], "max_message", "1MiB"), "*yard"),
            (|c| set(&mut c["sink"][1], "timeout", "5s"), "*siren"),
            (|c| set(&mut c["sink"][0], "plugin", "log"), "*mail"),
            (|c| drop(c["sink"].as_array_mut().unwrap().pop()), "-siren"),
            (|c| set(&mut c["sink"][1], "name", "horn"), "+horn -siren"),
            // What all sinks are made of, or those that may connect.
            (|c| set(&mut c["hub"], "timezone", "Asia/Karachi"), "*mail *siren"),
            (|c| set(&mut c["hub"], "require_sandbox", true), "*mail *siren"),
            (|c| drop(c.insert("web".into(), listening())), "*mail"),
        ];
        let old = blueprint(&base);
        for (number, (change, expected)) in changes.iter().enumerate() {
            let mut config = base.clone();
            change(&mut config);
            assert_eq!(between(&old, &blueprint(&config)), *expected, "change {number}");
        }
    }

    fn set(table: &mut toml::Value, key: &str, value: impl Into<toml::Value>) {
        table.as_table_mut().unwrap().insert(key.into(), value.into());
    }

    fn routes() -> toml::Value {
        let route = toml::Table::from_iter([("sinks".to_owned(), vec!["mail"].into())]);
        vec![route].into()
    }

    fn listening() -> toml::Value {
        toml::Table::from_iter([("listen".to_owned(), "127.0.0.1:1".into())]).into()
    }

    #[test]
    fn another_file_restarts_the_sink_that_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let base = base(dir.path());
        for (file, expected) in [
            ("siren.so", "*siren"),
            ("password", "*mail"),
            ("libwatchpost_log.so", ""),
        ] {
            let old = blueprint(&base);
            assert_eq!(between(&old, &blueprint(&base)), "");
            fs::write(dir.path().join("new"), file).unwrap();
            fs::rename(dir.path().join("new"), dir.path().join(file)).unwrap();
            assert_eq!(between(&old, &blueprint(&base)), expected, "{file}");
        }
    }
}
