//! Whether each sink can run: its plugin loads and takes its configuration, and what it needs is granted and there.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;
use watchpost_config::{Loaded, SinkSettings};
use watchpost_hub::{
    Access, Need, PluginError, PluginInfo, check_schema, find_plugin, inspect_plugin, needs, own_dir,
    validate_plugin,
};

use super::{Report, exclusive, lasting};

/// The bits of a mode that let a file be started.
const EXECUTABLE: u32 = 0o111;

pub(super) async fn check(loaded: &Loaded, host_binary: &Path, report: &mut Report) {
    let mut schemas: Vec<Option<Value>> = Vec::new();
    for (number, sink) in loaded.settings.sink.iter().enumerate() {
        let before = report.errors();
        let info = plugin(loaded, number, sink, host_binary, report).await;
        if let Some(info) = &info {
            grants(loaded, number, sink, info, report);
            if let Some(schema) = info.schema() {
                lasting::check(loaded, number, schema, report);
            }
            if report.errors() == before {
                let passed = format!("sink {}: {} {}, ok", sink.name, info.name, info.version);
                report.passed.push(passed);
            }
        }
        schemas.push(info.and_then(|info| info.schema().cloned()));
    }
    exclusive::check(loaded, &schemas, report);
}

/// Loads the plugin and has it and its schema check the configuration. `None` when it cannot be loaded.
async fn plugin(
    loaded: &Loaded,
    number: usize,
    sink: &SinkSettings,
    host_binary: &Path,
    report: &mut Report,
) -> Option<PluginInfo> {
    let unusable = |report: &mut Report, error: &PluginError| {
        let message = format!("sink {}: {error}", sink.name);
        let finding = loaded.error_at(
            &format!("/sink/{number}/plugin"),
            message,
            advice(&sink.plugin, error),
        );
        report.say(finding);
    };
    let file = match find_plugin(&sink.plugin, &loaded.settings.hub.plugin_dirs) {
        Ok(file) => file,
        Err(error) => {
            unusable(report, &error);
            return None;
        }
    };
    let info = match inspect_plugin(host_binary, &file).await {
        Ok(info) => info,
        Err(error) => {
            unusable(report, &error);
            return None;
        }
    };
    let mut violations = info
        .schema()
        .map(|schema| loaded.check_sink_config(number, schema))
        .unwrap_or_default();
    if let Some(schema) = info.schema().filter(|_| violations.is_empty()) {
        match check_schema(host_binary, &file, schema, &sink.config).await {
            Ok(()) => {}
            Err(PluginError::Config(faults)) => violations.extend(
                faults
                    .iter()
                    .map(|fault| loaded.schema_violation(number, schema, &fault.pointer, &fault.message)),
            ),
            Err(error) => {
                unusable(report, &error);
                return Some(info);
            }
        }
    }
    let fits = violations.is_empty();
    for violation in violations {
        report.say(violation);
    }
    if fits {
        match validate_plugin(host_binary, &file, &info, &sink.config).await {
            Ok(()) => {}
            Err(PluginError::Config(faults)) => {
                for fault in &faults {
                    report.say(loaded.sink_config_error(number, &fault.pointer, &fault.message));
                }
            }
            Err(error) => unusable(report, &error),
        }
    }
    Some(info)
}

/// What to write for a plugin that is not there.
fn advice(plugin: &str, error: &PluginError) -> Option<String> {
    let file = Path::new(plugin).file_name()?.to_str()?;
    let name = file
        .strip_prefix("libwatchpost_")
        .and_then(|name| name.strip_suffix(".so"));
    match (error, name) {
        (PluginError::NotFound { .. }, _) => Some(
            "a plugin is named as its file libwatchpost_NAME.so is, or by the path of its file".to_owned(),
        ),
        (PluginError::Load(_), Some(name)) if !Path::new(plugin).is_file() => Some(format!(
            "write `plugin = \"{name}\"` to have it looked for in `plugin_dirs`"
        )),
        _ => None,
    }
}

/// What keeps the sink from its work: what its plugin needs and is not granted or not there.
fn grants(loaded: &Loaded, number: usize, sink: &SinkSettings, info: &PluginInfo, report: &mut Report) {
    let needs = needs(info, &sink.config);
    let own_dir = own_dir(&loaded.settings.hub.data_dir, &sink.name);
    let missing: Vec<String> = needs
        .iter()
        .filter(|need| !need.is_granted(&sink.sandbox, &own_dir))
        .map(|need| need.access.to_string())
        .collect();
    let at = format!("/sink/{number}/sandbox");
    if !missing.is_empty() {
        let name = &sink.name;
        let message = format!(
            "sink {name}: its plugin says that it needs to {}, which is not granted",
            missing.join(" and to ")
        );
        let help = format!("`watchpost sink grant {name}` prints the lines that grant it");
        report.say(loaded.error_at(&at, message, Some(help)));
    }
    for (key, paths) in [("read", &sink.sandbox.read), ("write", &sink.sandbox.write)] {
        for (index, path) in paths.iter().enumerate() {
            if path.exists() || key == "write" && path.starts_with(&loaded.settings.hub.data_dir) {
                continue;
            }
            let message = format!("sink {}: {} is granted and not there", sink.name, path.display());
            let help = "create it or plug it in: without it the sink does not start";
            report.say(loaded.error_at(&format!("{at}/{key}/{index}"), message, Some(help.to_owned())));
        }
    }
    for need in &needs {
        if let Some((problem, help)) = program(need) {
            let pointer = match need.why.strip_prefix("config.") {
                Some(key) => format!("/sink/{number}/config/{}", key.replace('.', "/")),
                None => format!("/sink/{number}/plugin"),
            };
            report.say(loaded.error_at(&pointer, format!("sink {}: {problem}", sink.name), Some(help)));
        }
    }
}

/// What is wrong with a program that is to be started.
fn program(need: &Need) -> Option<(String, String)> {
    let Access::Exec(path) = &need.access else {
        return None;
    };
    // A path that is no path, the plugin has refused.
    path.is_absolute().then_some(())?;
    let shown = path.display();
    match fs::metadata(path) {
        Err(error) => Some((
            format!("the program {shown} cannot be started: {error}"),
            "create it, or correct its path".to_owned(),
        )),
        Ok(file) if file.is_dir() => Some((
            format!("{shown} is a folder and no program"),
            "name the program in it".to_owned(),
        )),
        Ok(file) if file.permissions().mode() & EXECUTABLE == 0 => Some((
            format!("{shown} is not executable"),
            format!("run `chmod +x {shown}`"),
        )),
        Ok(_) => None,
    }
}
