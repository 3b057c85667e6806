//! What would sound is written down by ALSA's `file` output, and looked at: through the hub, inside the sandbox.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::json;
use watchpost_testkit::{
    Backend, Hub, HubSetup, Need, PATIENCE, artefacts, deliveries, eventually, own_memory_kib, skip_without,
    toml, workspace_root,
};

/// Alerts of the long test, how many of them come before each absence, and how many during each.
const ALERTS: u64 = 1_000;
const PART: u64 = 350;
const ABSENT: u64 = 100;

/// Memory of its own that the plugin's process may hold, and by how much it may differ, in KiB.
const MAX_OWN_KIB: u64 = 15 << 10;
const FLAT_KIB: u64 = 2 << 10;

/// Bytes of a second: 48,000 frames of two samples of 16 bits.
const BYTES_PER_SECOND: u64 = 48_000 * 4;

/// A hub with a loudspeaker, and where what it sounds and what it is made of are.
struct Site {
    hub: Hub,
    /// What has sounded since the output was last opened.
    out: PathBuf,
    /// ALSA's configuration, without which there is no such output.
    card: PathBuf,
}

fn sounding(backend: &Backend, tone: &str, repeat: i64, cancel_on_acknowledge: bool) -> Result<Site> {
    let setup = HubSetup::new()?.connection("shop", backend)?;
    let home = setup.dir().join("home");
    fs::create_dir(&home)?;
    let (out, card) = (home.join("out.raw"), home.join(".asoundrc"));
    let output = "type file slave.pcm null format raw file";
    fs::write(&card, format!("pcm.shop {{ {output} \"{}\" }}", out.display()))?;
    let home = home.display().to_string();
    let setup = setup.environment(vec![("HOME".to_owned(), home.clone())]);
    let setup = setup.with(toml! {
        [store]
        recent = 1000
        [[sink]]
        name = "loudspeaker"
        plugin = "sound"
        timeout = "2m"
        cancel_on_acknowledge = cancel_on_acknowledge
        retry = { initial = "100ms", max = "500ms" }
        sandbox = { read = ["/usr/share/alsa"], write = [home] }
        [sink.config]
        device = "shop"
        tone = tone
        repeat = repeat
        max_duration = "1m"
    });
    let hub = setup.start()?;
    Ok(Site { hub, out, card })
}

/// How much has sounded since the output was last opened, in bytes.
fn sounded(out: &Path) -> u64 {
    fs::metadata(out).map_or(0, |file| file.len())
}

fn until_it_sounds(out: &Path) -> Result<()> {
    eventually("the siren sounds", PATIENCE, || match sounded(out) {
        bytes if bytes > BYTES_PER_SECOND / 2 => Ok(()),
        bytes => Err(format!("{bytes} bytes have sounded")),
    })
}

#[test]
fn an_alert_sounds() -> Result<()> {
    if skip_without(&[Need::Alsa]) {
        return Ok(());
    }
    let backend = Backend::start(&["--count", "1", "--rate", "inf", "--wait-for-client"])?;
    let Site { hub, out, .. } = sounding(&backend, "beep", 4, false)?;
    hub.until("the alert sounded", PATIENCE, |status| {
        deliveries(status, "delivered") == 1
    })?;
    // The last period is filled with silence.
    let sounded = sounded(&out);
    let expected = 2 * BYTES_PER_SECOND..3 * BYTES_PER_SECOND;
    assert!(
        expected.contains(&sounded),
        "{sounded} bytes, expected {expected:?}"
    );
    assert!(
        fs::read(&out)?
            .chunks(1920)
            .any(|piece| piece.iter().any(|byte| *byte != 0))
    );
    Ok(())
}

#[test]
fn a_thousand_alerts_sound_though_the_card_is_gone_twice() -> Result<()> {
    if skip_without(&[Need::Alsa]) {
        return Ok(());
    }
    let backend = Backend::start(&["--rate", "0", "--frame", "320x240"])?;
    let Site { hub, out, card } = sounding(&backend, "beep", 1, false)?;
    let pulled = card.with_file_name("pulled");
    let mut early_kib = 0;
    for absence in 1..=2 {
        // All of them, for what is received while something sounds does not find the card gone.
        backend.order(&json!({"do": "send", "count": PART}))?;
        let before = PART * absence + ABSENT * (absence - 1);
        let status = hub.until("this part sounded", PATIENCE, |status| {
            deliveries(status, "delivered") == before
        })?;
        if absence == 1 {
            early_kib = own_memory_kib(&status["sinks"][0])?;
        }
        fs::rename(&card, &pulled)?;
        backend.order(&json!({"do": "send", "count": ABSENT}))?;
        let status = hub.until("the absence noticed", PATIENCE, |status| {
            status["sinks"][0]["state"] == "down"
        })?;
        let error = status["sinks"][0]["last_error"].as_str().unwrap_or_default();
        assert!(error.contains("`shop` cannot be opened"), "{error}");
        fs::rename(&pulled, &card)?;
    }
    backend.order(&json!({"do": "send", "count": ALERTS - 2 * (PART + ABSENT)}))?;
    let status = hub.until("every alert sounded", PATIENCE * 2, |status| {
        deliveries(status, "delivered") == ALERTS
    })?;
    assert!(sounded(&out) > 0);
    let late_kib = own_memory_kib(&status["sinks"][0])?;
    assert!(
        late_kib < MAX_OWN_KIB && late_kib < early_kib + FLAT_KIB,
        "the plugin's process held {early_kib} KiB, later {late_kib} KiB"
    );
    Ok(())
}

#[test]
fn a_siren_falls_silent_when_its_alert_is_dismissed() -> Result<()> {
    if skip_without(&[Need::Alsa]) {
        return Ok(());
    }
    let backend = Backend::start(&["--rate", "0"])?;
    let Site { hub, out, .. } = sounding(&backend, "siren", 1000, true)?;
    for round in 1..=2 {
        backend.order(&json!({"do": "send", "count": 1}))?;
        hub.until("the alert is with the plugin", PATIENCE, |status| {
            status["sinks"][0]["in_flight"] == 1
        })?;
        until_it_sounds(&out)?;
        let newest = hub.alerts()?.first().context("an alert")?["id"].to_string();
        hub.ask("alerts", &["dismiss", &newest])?;
        hub.until("the siren is silent", PATIENCE, |status| {
            status["sinks"][0]["in_flight"] == 0 && deliveries(status, "dropped") == round
        })?;
        let sounded = sounded(&out);
        assert!(
            sounded < 55 * BYTES_PER_SECOND,
            "it sounded to its end: {sounded} bytes"
        );
        fs::remove_file(&out)?;
    }
    let status = hub.status()?;
    assert_eq!(deliveries(&status, "pending"), 0);
    assert_eq!(status["sinks"][0]["state"], "running");
    Ok(())
}

#[test]
fn a_check_decodes_every_file() -> Result<()> {
    if skip_without(&[Need::Alsa]) {
        return Ok(());
    }
    let setup = HubSetup::new()?;
    let file = setup.dir().join("alarm.flac");
    let path = file.display().to_string();
    let setup = setup.with(toml! {
        [[connection]]
        name = "shop"
        url = "ws://127.0.0.1:1"
        user_id = "u"
        token = "t"
        [[sink]]
        name = "loudspeaker"
        plugin = "sound"
        [sink.config]
        severity = { low = { file = path } }
    });
    setup.write()?;
    let check = || -> Result<(bool, String)> {
        let mut command = std::process::Command::new(artefacts()?.watchpost()?);
        let output = command
            .arg("check")
            .arg("--config")
            .arg(setup.config_path())
            .output()?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8(said)?))
    };
    let fixture = workspace_root().join("plugins/sound/fixtures/880hz.flac");
    let whole = fs::read(fixture)?;
    let no_sound = "is no WAV";
    let missing = "No such file";
    for (bytes, words) in [
        (Some(&whole[..]), None),
        (Some(&whole[..100]), Some(no_sound)),
        (None, Some(missing)),
    ] {
        match bytes {
            Some(bytes) => fs::write(&file, bytes)?,
            None => fs::remove_file(&file)?,
        }
        // It fails in any case: what the sink needs of this machine is not granted.
        let (fine, said) = check()?;
        let found = [no_sound, missing].into_iter().find(|words| said.contains(words));
        assert!(!fine && found == words, "{said}");
    }
    Ok(())
}
