//! The configuration of a site on this machine: its sinks are plugins that write down what they get, under the names of those that
//! the site has, and beside what its scenario says it has a backend and a way in.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};
use watchpost_testkit::{Backend, Table, Toml, hostile_plugin, toml};

use super::clock::clock_file;

/// What posted alerts are let in with.
pub(crate) const TOKEN: &str = "a token that no one guesses";

pub(crate) fn data_dir(dir: &Path) -> PathBuf {
    dir.join("data")
}

/// The file in which a sink writes down what it got.
pub(crate) fn record(dir: &Path, sink: &str) -> PathBuf {
    dir.join("sinks").join(sink)
}

/// The directory with a file for each sink that refuses what it gets.
fn refusals(dir: &Path) -> PathBuf {
    dir.join("refusals")
}

/// Has a sink refuse all deliveries, or take them again.
pub(crate) fn set_refusal(dir: &Path, sink: &str, refuses: bool) -> Result<()> {
    let file = refusals(dir).join(sink);
    if refuses {
        fs::write(file, "")
    } else {
        fs::remove_file(file)
    }
    .with_context(|| format!("sink {sink}"))
}

/// An address for posted alerts that no other program on this machine has: the loopback network is large.
pub(crate) fn free_address() -> SocketAddr {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let number = TAKEN.fetch_add(1, Ordering::SeqCst);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let [.., own] = number.to_be_bytes();
    SocketAddr::from((Ipv4Addr::new(127, 100 + (high & 63), low, own), 4_700))
}

/// The configuration of a site, `toml`, in that directory. Its plugins are put there.
pub(crate) fn configuration(toml: &str, dir: &Path, backend: &Backend, posts: SocketAddr) -> Result<Table> {
    let mut site: Table = toml.parse().context("the configuration of the site")?;
    let plugins = dir.join("plugins");
    for made in [&plugins, &dir.join("sinks"), &refusals(dir)] {
        fs::create_dir_all(made)?;
    }
    let hub = site
        .entry("hub")
        .or_insert_with(|| Toml::Table(toml! { timezone = "UTC" }));
    let hub = hub.as_table_mut().context("[hub]")?;
    hub.insert("data_dir".to_owned(), path(&data_dir(dir)));
    hub.insert("plugin_dirs".to_owned(), Toml::Array(vec![path(&plugins)]));
    let sinks = site.get_mut("sink").and_then(Toml::as_array_mut);
    for sink in sinks.into_iter().flatten() {
        record_by(sink.as_table_mut().context("[[sink]]")?, dir, &plugins)?;
    }
    let connections = site
        .entry("connection")
        .or_insert_with(|| Toml::Array(Vec::new()));
    connections
        .as_array_mut()
        .context("[[connection]]")?
        .extend(beside(backend)?);
    let listen = posts.to_string();
    site.extend(toml! {
        web = { listen = listen }
        store = { segment_size = "1MiB" }
    });
    Ok(site)
}

/// The backend, which is asked as rarely as it can be, and a way in for what is seen while that is away.
fn beside(backend: &Backend) -> Result<Vec<Toml>> {
    let (url, email, password) = (backend.url(), backend.ready("email")?, backend.ready("password")?);
    let beside = toml! {
        [[connection]]
        name = "main"
        url = url
        login = { email = email, password = password }
        accept_notices = true
        backfill = { interval = "1h" }
        slot = { interval = "1h" }
        reconnect = { max = "1s", jitter = 0 }

        [[connection]]
        name = "posts"
        kind = "inbound"
        token = TOKEN
    };
    let connections = beside.get("connection").and_then(Toml::as_array);
    Ok(connections.context("the connections")?.clone())
}

/// The plugin of this sink is one that writes down what it gets, under the name that the site gives it.
fn record_by(sink: &mut Table, dir: &Path, plugins: &Path) -> Result<()> {
    let text = |key: &str| sink.get(key).and_then(Toml::as_str).map(str::to_owned);
    let (name, plugin) = (
        text("name").context("a name")?,
        text("plugin").context("a plugin")?,
    );
    let library = plugins.join(format!("libwatchpost_{plugin}.so"));
    if !library.exists() {
        fs::copy(hostile_plugin("recorder")?, library)?;
    }
    let config = sink.entry("config").or_insert_with(|| Toml::Table(Table::new()));
    let config = config.as_table_mut().context("[sink.config]")?;
    config.insert("file".to_owned(), path(&record(dir, &name)));
    config.insert("clock".to_owned(), path(&clock_file(dir)));
    config.insert("refusal".to_owned(), path(&refusals(dir).join(&name)));
    let sandbox = sink.entry("sandbox").or_insert_with(|| Toml::Table(Table::new()));
    let sandbox = sandbox.as_table_mut().context("[sink.sandbox]")?;
    let readable = [clock_file(dir), refusals(dir)];
    sandbox.insert(
        "read".to_owned(),
        Toml::Array(readable.iter().map(|at| path(at)).collect()),
    );
    sandbox.insert("write".to_owned(), Toml::Array(vec![path(&dir.join("sinks"))]));
    Ok(())
}

fn path(path: &Path) -> Toml {
    Toml::String(path.display().to_string())
}
