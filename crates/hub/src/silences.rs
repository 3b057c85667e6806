//! Whether a silence is about something that there is. What it does is decided by the routing step.

use watchpost_config::{Settings, not_there};
use watchpost_core::{SilenceMatch, name_matches};

/// Looks whether there is what a silence names: one that is about nothing would surprise whoever wanted it.
///
/// # Errors
/// What there is instead, in a sentence.
pub(crate) fn check(matches: &SilenceMatch, settings: &Settings) -> Result<(), String> {
    let connections: Vec<&str> = settings.connection.iter().map(|one| one.name.as_str()).collect();
    let cameras: Vec<&str> = settings.camera.iter().map(|one| one.name.as_str()).collect();
    let watched = settings.camera.iter().filter_map(|one| one.area.as_deref());
    let areas: Vec<&str> = watched
        .chain(settings.area.iter().map(|one| one.name.as_str()))
        .collect();
    let sinks: Vec<&str> = settings.sink.iter().map(|one| one.name.as_str()).collect();
    // Other programs may post alerts of cameras that no `[[camera]]` names.
    let open = settings.listen().is_some();
    for (key, names, known, checked) in [
        ("connection", &matches.connection, &connections, true),
        ("camera", &matches.camera, &cameras, !open),
        ("area", &matches.area, &areas, !open),
        ("sink", &matches.sink, &sinks, true),
    ] {
        for name in names.iter().filter(|_| checked) {
            if known.iter().any(|known| name_matches(name, known)) {
                continue;
            }
            return Err(not_there(key, name, known.iter().copied()));
        }
    }
    Ok(())
}
