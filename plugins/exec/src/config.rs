//! What a site can set.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use watchpost_sink::Fail;
use watchpost_sink::units::{TimeSpan, duration};

/// Variables that the plugin sets itself begin like this.
pub(crate) const OWN_VARIABLES: &str = "WATCHPOST_";

/// Runs a program for every alert: its JSON on the standard input, its picture as a file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The program, by its absolute path, and its arguments. No shell reads them. `{picture}` in an argument becomes
    /// the path of the picture, or nothing when there is none, `{id}` the alert's id.
    #[schemars(length(min = 1))]
    pub(crate) command: Vec<String>,
    /// Further variables of the program's environment, which holds nothing else of the hub's.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// The directory that the program starts in. Without it, one of the sink's own, in which it may write.
    #[serde(default)]
    pub(crate) directory: Option<PathBuf>,
    /// How long the program may run, for instance `"5s"`. Without it, as long as the sink's own `timeout` allows.
    #[serde(default, deserialize_with = "duration::read_optional")]
    #[schemars(with = "Option<TimeSpan>")]
    pub(crate) timeout: Option<Duration>,
    /// Exit codes that mean: done.
    #[serde(default = "done")]
    pub(crate) done: Vec<u8>,
    /// Exit codes that mean: not now, try again later. All others mean: never, for this alert.
    #[serde(default = "retry")]
    pub(crate) retry: Vec<u8>,
}

impl Config {
    /// What the types cannot say.
    pub(crate) fn check(&self) -> Result<(), Fail> {
        let Some(program) = self.command.first() else {
            return Err(Fail::bad_config(
                "/command",
                "is empty; name the program to run by its absolute path",
            ));
        };
        if !Path::new(program).is_absolute() {
            let why = format_args!("`{program}` is no absolute path; programs are not searched for");
            return Err(Fail::bad_config("/command/0", why));
        }
        for (index, word) in self.command.iter().enumerate() {
            if word.contains('\0') {
                let at = format!("/command/{index}");
                return Err(Fail::bad_config(&at, "a NUL character cannot be passed on"));
            }
        }
        for (name, value) in &self.env {
            let at = format!("/env/{}", name.replace('~', "~0").replace('/', "~1"));
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(Fail::bad_config(
                    &at,
                    "a variable has a name, without `=`, and no NUL character",
                ));
            }
            if name.starts_with(OWN_VARIABLES) {
                let why = format_args!("the variables {OWN_VARIABLES}… are set by this plugin");
                return Err(Fail::bad_config(&at, why));
            }
        }
        if let Some(directory) = self.directory.as_deref()
            && !directory.is_absolute()
        {
            return Err(Fail::bad_config("/directory", "has to be an absolute path"));
        }
        if let Some(index) = self.retry.iter().position(|code| self.done.contains(code)) {
            let why = format_args!("{} stands in `done` too", self.retry[index]);
            return Err(Fail::bad_config(&format!("/retry/{index}"), why));
        }
        Ok(())
    }
}

fn done() -> Vec<u8> {
    vec![0]
}

/// `EX_TEMPFAIL` of `sysexits.h`.
fn retry() -> Vec<u8> {
    vec![75]
}
