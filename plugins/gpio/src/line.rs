//! The line: found, requested, switched. Knows nothing of alerts.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use gpiocdev::Request;
use gpiocdev::chip::{self, Chip};
use gpiocdev::line::{Bias as LineBias, Offset, Value};
use watchpost_sink::{Fail, Grant};

use crate::config::{Bias, Config, LineId};

/// What the kernel shows as the user of the line.
pub(crate) const CONSUMER: &str = "watchpost";

/// Something that is on or off.
pub(crate) trait Switch: Send + Sync + 'static {
    /// Switches it.
    fn set(&self, on: bool) -> Result<(), Fail>;
}

/// An output line that is ours alone for as long as this lives. It is off at first, and when this is dropped.
#[derive(Debug)]
pub(crate) struct Line {
    request: Request,
    offset: Offset,
}

impl Line {
    pub(crate) fn request(chip: &Chip, config: &Config) -> Result<Self, Fail> {
        let offset = find_line(chip, &config.line)?;
        let mut builder = Request::builder();
        builder
            .on_chip(chip.path())
            .with_consumer(CONSUMER)
            .with_line(offset)
            .as_output(Value::Inactive)
            .with_bias(config.bias.as_line());
        if config.active_low {
            builder.as_active_low();
        }
        let request = builder
            .request()
            .map_err(|error| unusable(chip, offset, &error))?;
        Ok(Self { request, offset })
    }

    /// Whether it is on, as the kernel reads it.
    pub(crate) fn read(&self) -> Result<bool, Fail> {
        match self.request.value(self.offset) {
            Ok(value) => Ok(value == Value::Active),
            Err(error) => Err(Fail::fatal(format_args!("the line cannot be read: {error}"))),
        }
    }
}

impl Switch for Line {
    fn set(&self, on: bool) -> Result<(), Fail> {
        let value = if on { Value::Active } else { Value::Inactive };
        // A new instance may find the chip again, if it was unplugged.
        self.request
            .set_value(self.offset, value)
            .map_err(|error| Fail::fatal(format_args!("the line cannot be switched: {error}")))?;
        if self.read()? == on {
            Ok(())
        } else {
            let word = if on { "on" } else { "off" };
            Err(Fail::fatal(format_args!(
                "the line was switched {word} and does not follow; something else drives it"
            )))
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // The kernel gets the line back next, so there is nothing left to do if this fails.
        let _ = self.set(false);
    }
}

impl Bias {
    pub(crate) fn as_line(self) -> Option<LineBias> {
        match self {
            Self::AsIs => None,
            Self::Disabled => Some(LineBias::Disabled),
            Self::PullUp => Some(LineBias::PullUp),
            Self::PullDown => Some(LineBias::PullDown),
        }
    }
}

/// Finds a chip by its path, name or label.
pub(crate) fn find_chip(wanted: &str) -> Result<Chip, Fail> {
    let by_name = if wanted.starts_with('/') {
        PathBuf::from(wanted)
    } else {
        Path::new("/dev").join(wanted)
    };
    let error = match Chip::from_path(&by_name) {
        Ok(chip) => return Ok(chip),
        Err(error) => error,
    };
    let chips = || chip::chips().unwrap_or_default().into_iter();
    if !wanted.starts_with('/') {
        let mut labelled = chips().filter_map(|path| {
            let chip = Chip::from_path(path).ok()?;
            (chip.info().ok()?.label == wanted).then_some(chip)
        });
        if let Some(chip) = labelled.next() {
            return Ok(chip);
        }
    }
    let found: Vec<String> = chips().map(|path| described(&path)).collect();
    let found = if found.is_empty() {
        "no chip can be seen".to_owned()
    } else {
        format!("there are {}", found.join(", "))
    };
    let hint = match fs::File::options().read(true).write(true).open(&by_name) {
        Err(denied) if Grant::Write.is_missing(&by_name, &denied) => {
            return Err(Fail::misconfigured("", Grant::Write.explain(&by_name, &denied)));
        }
        Err(denied) if denied.kind() == ErrorKind::PermissionDenied => {
            "; the user that Watchpost runs as has to be in the group `gpio`"
        }
        _ => "",
    };
    Err(Fail::retry(format_args!(
        "the chip `{wanted}` cannot be opened: {error}{hint}; {found}"
    )))
}

/// A chip in an error.
fn described(path: &Path) -> String {
    let info = Chip::from_path(path).and_then(|chip| chip.info());
    info.map_or_else(
        |_| path.display().to_string(),
        |info| format!("{} ({}, {} lines)", path.display(), info.label, info.num_lines),
    )
}

pub(crate) fn find_line(chip: &Chip, wanted: &LineId) -> Result<Offset, Fail> {
    let lines = chip.info().map_or(0, |info| info.num_lines);
    match wanted {
        LineId::Offset(offset) if *offset < lines => Ok(*offset),
        LineId::Offset(offset) => Err(Fail::retry(format_args!(
            "{} has no line {offset}; it has {lines}, from 0",
            chip.path().display()
        ))),
        LineId::Name(name) => {
            if let Some(line) = chip.find_line_info(name) {
                return Ok(line.offset);
            }
            let infos = chip.line_info_iter().into_iter().flatten().flatten();
            let named: Vec<String> = infos
                .filter(|line| !line.name.is_empty())
                .map(|line| line.name)
                .collect();
            Err(Fail::retry(format_args!(
                "{} has no line of the name {name}; named are {}",
                chip.path().display(),
                if named.is_empty() {
                    "none".to_owned()
                } else {
                    named.join(", ")
                }
            )))
        }
    }
}

/// Why a line was not given to us, with who has it.
pub(crate) fn unusable(chip: &Chip, offset: Offset, error: &dyn fmt::Display) -> Fail {
    let user = chip.line_info(offset).ok().filter(|line| line.used);
    let user = user.map_or_else(String::new, |line| format!("; `{}` uses it", line.consumer));
    let path = chip.path().display();
    Fail::retry(format_args!(
        "line {offset} of {path} is not available: {error}{user}"
    ))
}
