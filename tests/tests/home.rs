//! The backend's ways: tokens that expire, sockets that look well and get no alerts, another client of the same user.

use std::fs;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use watchpost_testkit::{
    Authority, Backend, HttpAnswer, HttpServer, Hub, HubSetup, Need, Nginx, PATIENCE, Table, count,
    skip_without, toml,
};

/// A hub that logs in by itself, with this password.
fn logging_in(backend: &Backend, password: &str) -> Result<HubSetup> {
    reading(backend, password, Table::new())
}

/// A hub that logs in by itself and reads the list like this.
fn reading(backend: &Backend, password: &str, backfill: Table) -> Result<HubSetup> {
    let (url, email) = (backend.url(), backend.ready("email")?);
    let setup = HubSetup::new()?;
    let file = setup.dir().join("password");
    fs::write(&file, format!("{password}\n"))?;
    let file = file.display().to_string();
    Ok(setup.with(toml! {
        [[connection]]
        name = "shop"
        url = url
        login = { email = email, password_file = file }
        reconnect = { initial = "100ms", max = "800ms", jitter = 0.2, stable_after = "1s" }
        slot = { interval = "400ms" }
        backfill = backfill
    }))
}

fn connection(status: &Value) -> &Value {
    &status["connections"][0]
}

fn counter(status: &Value, name: &str) -> u64 {
    count(&connection(status)["counters"], name)
}

fn until_open(hub: &Hub, times: u64) -> Result<Value> {
    hub.until(&format!("connected for the {times}. time"), PATIENCE, |status| {
        connection(status)["state"] == "connected" && counter(status, "opened") >= times
    })
}

/// Sends one alert and waits for its acknowledgement.
fn one_comes_through(backend: &Backend) -> Result<()> {
    let before = backend.stats()?["acknowledged"].as_u64().context("a count")?;
    backend.order(&json!({"do": "send", "count": 1}))?;
    backend.until("an acknowledgement more", PATIENCE, |stats| {
        stats["acknowledged"].as_u64() > Some(before)
    })?;
    Ok(())
}

#[test]
fn it_logs_in_again_when_its_token_has_expired_and_no_sooner() -> Result<()> {
    let backend = Backend::start(&["--rate", "0", "--token-life", "2s"])?;
    let hub = logging_in(&backend, backend.ready("password")?)?.start()?;
    until_open(&hub, 1)?;
    one_comes_through(&backend)?;
    // The socket outlives the token; only the next connect needs another.
    let opened = |status: &Value| connection(status)["open_for_ms"].as_u64();
    hub.until("the token's end", PATIENCE, |status| opened(status) > Some(2_000))?;
    one_comes_through(&backend)?;
    backend.order(&json!({"do": "kill", "how": "eof"}))?;
    until_open(&hub, 2)?;
    one_comes_through(&backend)?;
    let refused = backend
        .attempts()?
        .iter()
        .filter(|attempt| attempt["outcome"] == "forbidden")
        .count();
    assert_eq!(refused, 0, "no attempt was made with an expired token");
    Ok(())
}

#[test]
fn a_wrong_password_is_reported_with_its_hint_and_never_shown() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    let mut hub = logging_in(&backend, "not-the-password")?.start()?;
    let status = hub.until("three attempts", PATIENCE, |status| {
        connection(status)["attempts"].as_u64() >= Some(3)
    })?;
    let failure = &connection(&status)["last_failure"];
    assert_eq!(failure["what"], "credentials rejected: Invalid credentials");
    assert!(
        failure["hint"]
            .as_str()
            .is_some_and(|hint| hint.contains("email"))
    );
    assert_eq!(hub.events("login_refused")?.len(), 1, "said once");
    let stats = backend.stats()?;
    assert_eq!(stats["attempts"], 0, "nothing is dialed without a token");
    assert!(
        stats["rest_requests"].as_u64() <= connection(&hub.status()?)["attempts"].as_u64(),
        "one login an attempt: {stats}"
    );
    let log = hub.process().log();
    assert!(!log.contains("not-the-password"), "{log}");
    Ok(())
}

#[test]
fn a_user_that_was_made_again_is_logged_in_in_the_same_attempt() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    let without_list = toml! { enabled = false };
    let hub = reading(&backend, backend.ready("password")?, without_list)?.start()?;
    until_open(&hub, 1)?;
    one_comes_through(&backend)?;
    backend.order(&json!({"do": "remake_user"}))?;
    backend.order(&json!({"do": "kill", "how": "eof"}))?;
    let status = until_open(&hub, 2)?;
    assert_eq!(counter(&status, "failed_attempts"), 0, "{status}");
    one_comes_through(&backend)?;
    assert_eq!(hub.events("login_refused")?.len(), 0);
    Ok(())
}

#[test]
fn a_user_that_is_made_again_while_the_socket_is_open_is_noticed_by_the_list() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    let often = toml! { interval = "1s" };
    let mut hub = reading(&backend, backend.ready("password")?, often)?.start()?;
    until_open(&hub, 1)?;
    one_comes_through(&backend)?;
    backend.order(&json!({"do": "remake_user"}))?;
    until_open(&hub, 2)?;
    one_comes_through(&backend)?;
    let log = hub.process().log();
    assert!(log.contains("it was made again"), "{log}");
    Ok(())
}

#[test]
fn a_403_is_explained() -> Result<()> {
    let lasting = Backend::start(&["--rate", "0"])?;
    let brief = Backend::start(&["--rate", "0", "--token-life", "1s"])?;
    let stranger = "550e8400-e29b-41d4-a716-446655440000";
    for (backend, path, user_id, expected) in [
        (&lasting, "", stranger, "the token is another user's"),
        (
            &lasting,
            "/elsewhere",
            lasting.ready("user_id")?,
            "not found at this path",
        ),
        // Sooner or later.
        (&brief, "", brief.ready("user_id")?, "the token has expired"),
    ] {
        let (url, token) = (format!("{}{path}", backend.url()), backend.ready("token")?);
        let setup = HubSetup::new()?.with(toml! {
            [[connection]]
            name = "shop"
            url = url
            user_id = user_id
            token = token
            reconnect = { initial = "100ms", max = "800ms" }
        });
        let hub = setup.start()?;
        hub.until(expected, PATIENCE, |status| {
            // While the token is good the hub is in.
            let _ = backend.order(&json!({"do": "kill", "how": "eof"}));
            let what = &connection(status)["last_failure"]["what"];
            what.as_str().is_some_and(|what| what.contains(expected))
        })?;
    }
    Ok(())
}

#[test]
fn a_socket_that_gets_no_alerts_is_reconnected() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    let hub = logging_in(&backend, backend.ready("password")?)?.start()?;
    until_open(&hub, 1)?;
    one_comes_through(&backend)?;
    backend.order(&json!({"do": "drop_registration"}))?;
    let status = until_open(&hub, 2)?;
    assert_eq!(counter(&status, "subscription_lost"), 1);
    let (shown, user_id) = (hub.ask("status", &[])?, backend.ready("user_id")?);
    assert!(
        shown.contains(&format!("/ws/alerts/{user_id}")) && shown.contains("went to another client 1 time"),
        "{shown}"
    );
    one_comes_through(&backend)?;
    let events = hub.events("subscription_lost")?;
    assert!(
        events[0]["text"]
            .as_str()
            .is_some_and(|text| text.contains("another client")),
        "{events:?}"
    );
    Ok(())
}

#[test]
fn two_clients_of_one_user_do_not_fight_for_ever() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    let hub = logging_in(&backend, backend.ready("password")?)?.start()?;
    until_open(&hub, 1)?;
    let rival = logging_in(&backend, backend.ready("password")?)?.start()?;
    // Each takes the alerts from the other until one of them yields.
    watchpost_testkit::eventually("one yields", PATIENCE, || {
        for (hub, other) in [(&hub, &rival), (&rival, &hub)] {
            let status = hub.status()?;
            let waiting = connection(&status)["next_attempt_ms"].as_u64() > Some(60_000);
            if waiting && connection(&other.status()?)["state"] == "connected" {
                // It says why it waits.
                let why = connection(&status)["last_failure"]["what"].as_str();
                return match why {
                    Some(why) if why.contains("again and again") => Ok(()),
                    other => Err(anyhow::anyhow!("it waits because of {other:?}")),
                };
            }
        }
        Err(anyhow::anyhow!("{:#} {:#}", hub.status()?, rival.status()?))
    })?;
    backend.until("the other has it to itself", PATIENCE, |stats| {
        stats["open"] == 1 && stats["registered"] == 1
    })?;
    one_comes_through(&backend)?;
    Ok(())
}

#[test]
fn a_reverse_proxy_with_tls_a_path_and_a_header_is_passed() -> Result<()> {
    if skip_without(&[Need::Nginx]) {
        return Ok(());
    }
    let backend = Backend::start(&["--rate", "0", "--frame", "320x240"])?;
    let proxy = Nginx::start(backend.address()?)?;
    let (url, ca) = (proxy.url(), proxy.ca().display().to_string());
    let (email, password) = (backend.ready("email")?, backend.ready("password")?);
    let with = |keys: &[(&str, watchpost_testkit::Toml)]| -> Result<Hub> {
        let mut connection = toml! {
            name = "shop"
            login = { email = email, password = password }
            reconnect = { initial = "100ms", max = "800ms" }
        };
        connection.insert("url".to_owned(), url.as_str().into());
        for (key, value) in keys {
            connection.insert((*key).to_owned(), value.clone());
        }
        HubSetup::new()?.with(toml! { connection = [connection] }).start()
    };
    let gate = toml! { header = [{ name = "X-Gate", secret = "open" }] };
    let (trusted, gate) = (("ca_file", ca.into()), ("header", gate["header"].clone()));
    let fails_with = |hub: &Hub, expected: &str| {
        hub.until(expected, PATIENCE, |status| {
            let what = &connection(status)["last_failure"]["what"];
            what.as_str().is_some_and(|what| what.contains(expected))
        })
    };
    let stranger = with(std::slice::from_ref(&gate))?;
    fails_with(&stranger, "TLS verification failed")?;
    let without_header = with(std::slice::from_ref(&trusted))?;
    fails_with(&without_header, "403")?;
    let hub = with(&[trusted, gate])?;
    until_open(&hub, 1)?;
    one_comes_through(&backend)?;
    // What is asked beside the socket goes the same way.
    backend.order(&json!({"do": "owl_eye", "persons": 1}))?;
    hub.until("a picture over REST", PATIENCE, |status| {
        counter(status, "fetched") == 1
    })?;
    Ok(())
}

#[test]
fn a_long_outage_is_reported_and_so_is_its_end() -> Result<()> {
    let mut backend = Backend::start(&["--rate", "0"])?;
    let (url, user_id, token) = (backend.url(), backend.ready("user_id")?, backend.ready("token")?);
    let setup = HubSetup::new()?.with(toml! {
        [hub]
        link_grace = "1s"
        [[connection]]
        name = "shop"
        url = url
        user_id = user_id
        token = token
        reconnect = { initial = "100ms", max = "300ms" }
    });
    let hub = setup.start()?;
    until_open(&hub, 1)?;
    backend.kill()?;
    watchpost_testkit::eventually("the outage is reported", PATIENCE, || {
        match hub.events("link_lost") {
            Ok(events) if events.len() == 1 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })?;
    assert_eq!(hub.events("link_back")?.len(), 0);
    backend.restart()?;
    watchpost_testkit::eventually("its end is reported", PATIENCE, || {
        match hub.events("link_back") {
            Ok(events) if events.len() == 1 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })?;
    Ok(())
}

#[test]
fn the_watchdog_is_called_only_while_all_is_well() -> Result<()> {
    let mut backend = Backend::start(&["--rate", "0"])?;
    let watchdog = HttpServer::start()?;
    let (url, user_id, token) = (backend.url(), backend.ready("user_id")?, backend.ready("token")?);
    let ping_url = format!("{}/ping/7d1f", watchdog.url());
    let setup = HubSetup::new()?.with(toml! {
        [watchdog]
        ping_url = ping_url
        interval = "1s"
        [[connection]]
        name = "shop"
        url = url
        user_id = user_id
        token = token
        reconnect = { initial = "100ms", max = "300ms" }
    });
    let mut hub = setup.start()?;
    let calls = |what: &str| {
        watchpost_testkit::eventually(what, PATIENCE, || match watchdog.requests().len() {
            0 | 1 => Err("none"),
            _ => Ok(()),
        })
    };
    calls("calls while all is well")?;
    backend.kill()?;
    hub.until("the connection is gone", PATIENCE, |status| {
        connection(status)["state"] != "connected"
    })?;
    // One may have been on its way. After it there is none, however often the hub looks.
    hub.until("some attempts", PATIENCE, |status| {
        connection(status)["failures"].as_u64() > Some(2)
    })?;
    let _ = watchdog.take();
    let failures = connection(&hub.status()?)["failures"].as_u64();
    hub.until("many attempts", PATIENCE, |status| {
        connection(status)["failures"].as_u64() > failures.map(|failures| failures + 10)
    })?;
    assert_eq!(watchdog.take().len(), 0, "a call although nothing is well");
    backend.restart()?;
    calls("calls again")?;
    let log = hub.process().log();
    assert!(!log.contains("7d1f"), "{log}");
    Ok(())
}

#[test]
fn a_watchdog_that_does_not_count_the_calls_is_said() -> Result<()> {
    let (backend, watchdog) = (Backend::start(&["--rate", "0"])?, HttpServer::start()?);
    let (url, user_id, token) = (backend.url(), backend.ready("user_id")?, backend.ready("token")?);
    let ping_url = format!("{}/ping/7d1f", watchdog.url());
    let mut hub = HubSetup::new()?
        .with(toml! {
            [watchdog]
            ping_url = ping_url
            interval = "1s"
            [[connection]]
            name = "shop"
            url = url
            user_id = user_id
            token = token
        })
        .start()?;
    let error = |wanted: Option<&str>| {
        hub.until(wanted.unwrap_or("all is well"), PATIENCE, |status| {
            match (status["watchdog_error"].as_str(), wanted) {
                (Some(error), Some(wanted)) => error.contains(wanted) && !error.contains("WebSocket"),
                (error, wanted) => error == wanted,
            }
        })
    };
    watchdog.script(|_| HttpAnswer::status(404));
    error(Some("HTTP 404: there is no such check"))?;
    watchdog.script(|_| HttpAnswer::status(200));
    error(None)?;
    watchdog.script(|_| HttpAnswer::raw("HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\nOK (not found)"));
    error(Some("does not count the call: not found"))?;
    let shown = hub.ask("status", &[])?;
    assert!(shown.contains("does not count the call"), "{shown}");
    let log = hub.process().log();
    assert!(!log.contains("7d1f"), "{log}");
    Ok(())
}

#[test]
fn a_redirection_is_not_followed_and_says_where_it_leads() -> Result<()> {
    let server = HttpServer::start()?;
    server.script(|_| HttpAnswer::status(301).header("location", "https://site.example/vision?token=secret"));
    for login in [true, false] {
        let url = server.url();
        let mut keys = toml! {
            name = "shop"
            url = url
            reconnect = { initial = "100ms", max = "300ms" }
        };
        if login {
            let login = toml! {
                email = "o@example.com"
                password = "a long one"
            };
            keys.insert("login".to_owned(), login.into());
        } else {
            keys.insert("user_id".to_owned(), "u".into());
            keys.insert("token".to_owned(), "a-long-token".into());
        }
        let hub = HubSetup::new()?.with(toml! { connection = [keys] }).start()?;
        let status = hub.until("a failure", PATIENCE, |status| {
            connection(status)["last_failure"].is_object()
        })?;
        let failure = &connection(&status)["last_failure"];
        assert_eq!(
            failure["what"],
            "redirected: HTTP 301 leads to https://site.example/vision"
        );
        let hint = failure["hint"].as_str().unwrap_or_default();
        assert!(hint.contains("`url`") && !hint.contains("WebSocket"), "{hint}");
    }
    Ok(())
}

#[test]
fn what_is_wrong_with_the_encryption_is_said_in_words() -> Result<()> {
    let dir = watchpost_testkit::TempDir::new()?;
    let own = Authority::self_signed(dir.path(), "localhost")?;
    let (tls, plain) = (
        HttpServer::start_tls(&own, None)?,
        Backend::start(&["--rate", "0"])?,
    );
    let ca_file = own.ca().display().to_string();
    let plain_url = plain.url().replace("ws:", "wss:");
    for (url, ca_file, expected) in [
        (tls.url(), None, "makes it; name this very certificate"),
        // The usual `openssl req -x509` makes an authority's; named itself it is trusted. What answers is no backend.
        (tls.url(), Some(ca_file), "HTTP 200"),
        (plain_url, None, "does not speak TLS at this port"),
    ] {
        let mut keys = toml! {
            name = "shop"
            url = url
            user_id = "u"
            token = "t"
            reconnect = { initial = "100ms", max = "300ms" }
        };
        if let Some(ca_file) = ca_file {
            keys.insert("ca_file".to_owned(), ca_file.into());
        }
        let hub = HubSetup::new()?.with(toml! { connection = [keys] }).start()?;
        hub.until(expected, PATIENCE, |status| {
            let what = connection(status)["last_failure"]["what"].as_str();
            what.is_some_and(|what| what.contains(expected))
        })?;
    }
    Ok(())
}

#[test]
fn control_frames_alone_are_no_sign_of_life() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    let (url, user_id, token) = (backend.url(), backend.ready("user_id")?, backend.ready("token")?);
    let setup = HubSetup::new()?.with(toml! {
        [[connection]]
        name = "shop"
        url = url
        user_id = user_id
        token = token
        reconnect = { initial = "100ms", max = "800ms" }
        heartbeat = { interval = "300ms", timeout = "1s" }
        slot = { watch = false }
    });
    let hub = setup.start()?;
    until_open(&hub, 1)?;
    // The backend drops the connection, and its web server keeps the socket open.
    backend.order(&json!({"do": "blackhole"}))?;
    let status = until_open(&hub, 2)?;
    assert_eq!(counter(&status, "closed_by_hub"), 1, "{status}");
    one_comes_through(&backend)?;
    Ok(())
}

#[test]
fn a_busy_server_is_given_time_for_its_pong() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    let (url, user_id, token) = (backend.url(), backend.ready("user_id")?, backend.ready("token")?);
    let setup = HubSetup::new()?.with(toml! {
        [[connection]]
        name = "shop"
        url = url
        user_id = user_id
        token = token
        heartbeat = { interval = "100ms" }
        slot = { interval = "400ms" }
    });
    let hub = setup.start()?;
    let before = counter(&until_open(&hub, 1)?, "pings_sent");
    backend.order(&json!({"do": "freeze"}))?;
    hub.until("pings without an answer", PATIENCE, |status| {
        counter(status, "pings_sent") > before + 5
    })?;
    backend.order(&json!({"do": "thaw"}))?;
    one_comes_through(&backend)?;
    assert_eq!(counter(&hub.status()?, "opened"), 1);
    Ok(())
}

#[test]
fn a_disk_that_fills_up_is_reported_once() -> Result<()> {
    let backend = Backend::start(&["--rate", "0"])?;
    let setup = HubSetup::new()?.connection("shop", &backend)?.with(toml! {
        [store]
        min_free = "1000000GiB"
    });
    let hub = setup.start()?;
    until_open(&hub, 1)?;
    watchpost_testkit::eventually("the low disk is reported", PATIENCE, || {
        match hub.events("disk_low") {
            Ok(events) if events.len() == 1 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })?;
    // It is looked at each second.
    hub.until("a few looks", PATIENCE, |status| {
        connection(status)["open_for_ms"].as_u64() > Some(3_500)
    })?;
    assert_eq!(hub.events("disk_low")?.len(), 1);
    Ok(())
}
