//! Taking over what the service manager has handed to this process.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::getxattr;
use rustix::process::geteuid;

use super::limits::Controller;
use super::place::{NoPlace, Ownership, directory};
use super::{Failed, failed, read, write};

/// The hub's own.
const HUB: &str = "hub";
/// That of all children.
const CHILDREN: &str = "sinks";
/// By these the service manager marks what it hands over; the second can be read by root only.
const MARKS: [&str; 2] = ["user.delegate", "trusted.delegate"];

/// What there is for children.
#[derive(Debug)]
pub(super) struct Claimed {
    /// The cgroup that theirs are made in.
    pub(super) children: PathBuf,
    /// What they can be limited by.
    pub(super) controllers: Vec<Controller>,
    /// What they cannot.
    pub(super) lacking: Vec<Lacking>,
}

/// A controller that is not in force.
#[derive(Debug)]
pub(super) struct Lacking {
    pub(super) controller: Controller,
    reason: String,
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.controller, self.reason)
    }
}

/// Takes it over, or says why there is nothing to take.
pub(super) fn claim() -> Result<Claimed, String> {
    let own = |file: &str| fs::read_to_string(Path::new("/proc/self").join(file)).unwrap_or_default();
    let place = directory(&own("cgroup"), &own("mountinfo")).map_err(|why| why.to_string())?;
    let delegated = ownership(&place).is_ok_and(Ownership::is_delegated);
    if !delegated {
        return Err(NoPlace::NotDelegated.to_string());
    }
    prepare(&place).map_err(|error| error.to_string())
}

fn ownership(place: &Path) -> io::Result<Ownership> {
    let marked = MARKS.iter().any(|mark| {
        let mut value = [0; 1];
        getxattr(place, *mark, &mut value) == Ok(1) && value == *b"1"
    });
    Ok(Ownership {
        marked,
        owner: fs::metadata(place)?.uid(),
        parent_owner: fs::metadata(place.join(".."))?.uid(),
        user: geteuid().as_raw(),
    })
}

fn prepare(place: &Path) -> Result<Claimed, Failed> {
    let (hub, children) = (place.join(HUB), place.join(CHILDREN));
    for directory in [&hub, &children] {
        match fs::create_dir(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed(directory, error));
            }
            _ => {}
        }
    }
    // Without it, which came with Linux 5.14, they are of little use.
    let kill = children.join("cgroup.kill");
    fs::metadata(&kill).map_err(|source| failed(&kill, source))?;
    write(&hub.join("cgroup.procs"), "0")?;
    let (mut controllers, mut lacking) = (Vec::new(), Vec::new());
    for controller in Controller::ALL {
        match enable(place, &children, controller) {
            Ok(()) => controllers.push(controller),
            Err(reason) => lacking.push(Lacking { controller, reason }),
        }
    }
    Ok(Claimed {
        children,
        controllers,
        lacking,
    })
}

/// Has a controller act on the children.
fn enable(place: &Path, children: &Path, controller: Controller) -> Result<(), String> {
    let name = controller.name();
    let available = read(&place.join("cgroup.controllers")).map_err(|error| error.to_string())?;
    if !available.split_whitespace().any(|available| available == name) {
        return Err(controller.absence());
    }
    let on = format!("+{name}");
    let set = || -> Result<(), Failed> {
        write(&place.join("cgroup.subtree_control"), &on)?;
        for (file, value) in controller.of_all() {
            write(&children.join(file), &value.to_string())?;
        }
        write(&children.join("cgroup.subtree_control"), &on)
    };
    set().map_err(|error| error.to_string())
}
