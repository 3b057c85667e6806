//! A configuration in a folder of its own.

use std::fs;
use std::path::PathBuf;

use miette::{Diagnostic as _, GraphicalReportHandler, GraphicalTheme};
use tempfile::TempDir;
use watchpost_config::{ConfigError, ConfigErrors, Loaded, Variables, load_with};

/// A connection that is right.
pub(crate) const CONNECTION: &str = r#"[[connection]]
name = "main"
url = "http://192.168.1.20:8000"
user_id = "550e8400-e29b-41d4-a716-446655440000"
token_file = "token"
"#;

fn brief(error: &ConfigError) -> String {
    let place = error
        .location()
        .map_or(String::new(), |place| format!("{place}: "));
    let mark = if error.is_warning() { "warning: " } else { "" };
    let mut text = format!("{place}{mark}{error}\n");
    for label in error.labels().into_iter().flatten() {
        let Some(source) = error.source_code() else {
            continue;
        };
        let underlined = source.read_span(label.inner(), 0, 0).unwrap();
        let underlined = String::from_utf8_lossy(underlined.data()).trim_end().to_owned();
        text += &format!("  | {underlined} | {}\n", label.label().unwrap_or_default());
    }
    if let Some(help) = error.help() {
        text += &format!("  {}\n", help.to_string().replace('\n', "\n  "));
    }
    text
}

/// A folder with configuration files.
pub(crate) struct Site {
    dir: TempDir,
    variables: Variables,
}

impl Site {
    /// With this main file.
    pub(crate) fn new(main: &str) -> Self {
        let site = Self {
            dir: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
        };
        site.file("watchpost.toml", main)
    }

    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A data directory that can be made.
    pub(crate) fn with_data(self) -> Self {
        let data = self.path("data").display().to_string();
        self.variable("WATCHPOST__HUB__DATA_DIR", &data)
    }

    pub(crate) fn raw(self, name: &str, bytes: &[u8]) -> Self {
        fs::write(self.path(name), bytes).unwrap();
        self
    }

    /// What the inspection of the machine finds.
    pub(crate) fn inspected(&self) -> Vec<ConfigError> {
        self.loaded().inspect()
    }

    /// Each error in a few lines: place, message, what is underlined, advice.
    pub(crate) fn brief(&self, errors: &[ConfigError]) -> String {
        let text: String = errors.iter().map(brief).collect();
        text.replace(&format!("{}/", self.dir.path().display()), "")
    }

    /// The same of what loading finds.
    pub(crate) fn brief_errors(&self) -> String {
        match self.load() {
            Ok(_) => "NO ERROR\n".to_owned(),
            Err(e) => self.brief(e.errors()),
        }
    }

    pub(crate) fn load(&self) -> Result<Loaded, ConfigErrors> {
        load_with(&self.path("watchpost.toml"), self.variables.clone())
    }

    pub(crate) fn loaded(&self) -> Loaded {
        self.load()
            .unwrap_or_else(|e| panic!("{}", self.show_all(e.errors())))
    }

    /// What the terminal shows of all errors.
    pub(crate) fn errors(&self) -> String {
        match self.load() {
            Ok(_) => "no error".to_owned(),
            Err(e) => self.show_all(e.errors()),
        }
    }

    pub(crate) fn show_all(&self, errors: &[ConfigError]) -> String {
        errors.iter().map(|error| self.show(error)).collect()
    }

    pub(crate) fn show(&self, error: &ConfigError) -> String {
        let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
            .with_width(100)
            .with_wrap_lines(false);
        let mut text = String::new();
        handler.render_report(&mut text, error).unwrap();
        // Beginning at the margin, so that the snapshots keep the indentation of what follows.
        let place = error.location().map_or("nowhere".to_owned(), ToString::to_string);
        let text = format!("{place}\n{text}").replace(&format!("{}/", self.dir.path().display()), "");
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        lines.join("\n") + "\n"
    }
}
