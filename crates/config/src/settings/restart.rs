//! What is different between two configurations, and which of it a running hub cannot take over.

use super::Settings;

impl Settings {
    /// The keys, as JSON pointers, that `new` has otherwise and that take effect only when the hub is started again.
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let differ = [
            ("/hub/data_dir", self.hub.data_dir != new.hub.data_dir),
            ("/hub/log_format", self.hub.log_format != new.hub.log_format),
            (
                "/store/segment_size",
                self.store.segment_size != new.store.segment_size,
            ),
        ];
        differ
            .into_iter()
            .filter_map(|(key, differs)| differs.then_some(key))
            .collect()
    }

    /// The tables that `new` has otherwise, as they are written.
    pub fn changed_tables(&self, new: &Self) -> Vec<&'static str> {
        let Self {
            hub,
            connection,
            camera,
            area,
            person,
            store,
            watchdog,
            web,
            sink,
            visionguard,
            schedule,
            expect,
            inhibit,
            policy,
            route,
        } = self;
        let differ = [
            ("[hub]", *hub != new.hub),
            ("[[connection]]", *connection != new.connection),
            ("[[camera]]", *camera != new.camera),
            ("[[area]]", *area != new.area),
            ("[[person]]", *person != new.person),
            ("[store]", *store != new.store),
            ("[watchdog]", *watchdog != new.watchdog),
            ("[web]", *web != new.web),
            ("[[sink]]", *sink != new.sink),
            ("[visionguard]", *visionguard != new.visionguard),
            ("[[schedule]]", *schedule != new.schedule),
            ("[[expect]]", *expect != new.expect),
            ("[[inhibit]]", *inhibit != new.inhibit),
            ("[[policy]]", *policy != new.policy),
            ("[[route]]", *route != new.route),
        ];
        let changed = differ.into_iter().filter(|(_, differs)| *differs);
        changed.map(|(table, _)| table).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ByteSize, LogFormat};

    #[test]
    fn only_what_the_hub_stands_on_takes_a_restart() {
        let old: Settings = toml::from_str("[[connection]]\nname = 'a'\nurl = 'http://a'").unwrap();
        let mut new = old.clone();
        new.hub.log = "debug".to_owned();
        new.store.keep_max = Some(1);
        new.connection.clear();
        assert_eq!(old.needs_restart(&new), [""; 0]);
        assert_eq!(old.changed_tables(&new), ["[hub]", "[[connection]]", "[store]"]);
        assert_eq!(old.changed_tables(&old), [""; 0]);
        new.hub.data_dir = "/elsewhere".into();
        assert_eq!(old.needs_restart(&new), ["/hub/data_dir"]);
        new.hub.log_format = LogFormat::Json;
        new.store.segment_size = ByteSize(1 << 20);
        assert_eq!(
            old.needs_restart(&new),
            ["/hub/data_dir", "/hub/log_format", "/store/segment_size"]
        );
    }
}
