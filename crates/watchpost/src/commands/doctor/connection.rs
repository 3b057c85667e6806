//! From this machine to the backend and back: address, name, TCP, TLS, login, socket, list.

use std::collections::BTreeSet;
use std::net::ToSocketAddrs as _;
use std::time::Duration;

use tokio::time::timeout;
use watchpost_config::ConnectionSettings;
use watchpost_core::{ConnectFailure, FailureKind, Secret, UnixMillis};
use watchpost_hub::visionguard::{Api, Slot, diagnose};
use watchpost_hub::{AlertEntry, AlertPage, AlertQuery, ConnectionReport, ConnectionState, HubStatus, dial};
use watchpost_visionguard::calls::cannot_be_shown;
use watchpost_visionguard::{Backend, Claims};

use super::running_connection::of_the_running;
use super::{OLDER_CONFIGURATION, Report, Running};
use crate::client::HubClient;

/// Clocks that differ by more are worth a word, in milliseconds: times of alerts are compared by people.
const MAX_SKEW_MS: u64 = 5_000;

/// A socket that the backend says is younger or older than ours by more is another one.
const MAX_AGE_DIFFERENCE: Duration = Duration::from_secs(5);

/// By how much a clock is set when summer time begins or ends.
const SUMMER_TIME: Duration = Duration::from_secs(3_600);

/// The newest record must have come over by then: the hub looks for what is missing every quarter of a minute, or as is configured.
const MAX_RECORD_AGE_MS: i64 = 6 * 60 * 1_000;

/// Who the hub is.
struct Identity {
    user_id: String,
    token: Secret,
}

pub(super) async fn check(report: &mut Report, settings: &ConnectionSettings, hub: &HubClient) {
    let Some(url) = &settings.url else {
        return inbound(report, settings, hub).await;
    };
    let backend = match Backend::parse(url) {
        Ok(backend) => backend,
        Err(e) => return report.fail("address", e.to_string(), FailureKind::Address.hint()),
    };
    if !reachable(report, &backend, settings.connect_timeout.into()).await {
        return;
    }
    let api = Api::new(backend, settings);
    match api.health().await {
        Ok(()) => report.pass("health", "the backend answers"),
        Err(e) if matches!(e.kind, FailureKind::Http(404)) => report.warn(
            "health",
            "there is no /health at this address",
            FailureKind::WrongPath.hint(),
        ),
        Err(e) => return failed(report, "health", &e),
    }
    let Some(identity) = identity(report, settings, &api).await else {
        return;
    };
    if !accepted(report, &api, &identity).await {
        return;
    }
    // Asked as late as this: its figures are compared with those that the backend has now.
    let status: Option<HubStatus> = hub.get("/v1/status").await.ok();
    let running = running(status.as_ref(), settings);
    let known = match running {
        Running::Known(running) => {
            let connected = (running.state == ConnectionState::Connected).then_some(running);
            slot(report, &api, &identity, connected).await;
            of_the_running(report, running);
            Some(hub)
        }
        // Whoever is connected as this user may be the hub itself.
        Running::Unknown => {
            report.warn(
                "WebSocket",
                "the running hub has an older configuration, without this connection",
                OLDER_CONFIGURATION,
            );
            None
        }
        Running::NoHub => {
            if slot(report, &api, &identity, None).await {
                handshake(report, &api, &identity).await;
            } else {
                report.skip(
                    "WebSocket",
                    "not tried, because it would take the alerts from the client that has them",
                );
            }
            None
        }
    };
    list(report, settings, &api, &identity, known).await;
}

fn running<'a>(
    status: Option<&'a HubStatus>,
    settings: &ConnectionSettings,
) -> Running<'a, ConnectionReport> {
    Running::of(status, |status| {
        let mut connections = status.connections.iter();
        connections.find(|running| running.name == settings.name)
    })
}

/// A connection that others post alerts to.
async fn inbound(report: &mut Report, settings: &ConnectionSettings, hub: &HubClient) {
    let status: Option<HubStatus> = hub.get("/v1/status").await.ok();
    match running(status.as_ref(), settings) {
        Running::NoHub => report.skip("inbound", "the hub does not run, so nothing can be posted"),
        Running::Unknown => report.warn(
            "inbound",
            "the running hub has an older configuration, without this connection",
            OLDER_CONFIGURATION,
        ),
        Running::Known(running) => {
            let posted = running.counters.stored;
            report.pass(
                "inbound",
                format!("{posted} alerts were posted since the hub started"),
            );
        }
    }
}

fn failed(report: &mut Report, check: &str, failure: &ConnectFailure) {
    report.fail(check, failure.to_string(), failure.kind.hint());
}

async fn reachable(report: &mut Report, backend: &Backend, patience: Duration) -> bool {
    let (host, port) = backend.host_and_port();
    let addresses = match (host.as_str(), port).to_socket_addrs() {
        Ok(addresses) => addresses.collect::<Vec<_>>(),
        Err(e) => {
            report.fail("name", format!("{host}: {e}"), FailureKind::Dns.hint());
            return false;
        }
    };
    if addresses.is_empty() {
        report.fail("name", format!("{host} has no address"), FailureKind::Dns.hint());
        return false;
    }
    let listed: BTreeSet<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    let listed: Vec<String> = listed.into_iter().collect();
    report.pass("name", format!("{host} is {}", listed.join(" and ")));
    let (text, hint) = match timeout(patience, dial(addresses)).await {
        Ok(Ok(_)) => {
            report.pass("TCP", format!("port {port} is open"));
            return true;
        }
        Ok(Err(e)) if e.kind() == std::io::ErrorKind::ConnectionRefused => {
            (format!("port {port}: {e}"), FailureKind::Refused.hint())
        }
        Ok(Err(e)) => (format!("port {port}: {e}"), FailureKind::Network.hint()),
        Err(_) => (
            format!("port {port} does not answer"),
            FailureKind::Timeout.hint(),
        ),
    };
    report.fail("TCP", text, hint);
    false
}

async fn identity(report: &mut Report, settings: &ConnectionSettings, api: &Api) -> Option<Identity> {
    if let Some(login) = &settings.login {
        let outcome = match login.password.read() {
            Ok(password) => api.login(&login.email, &password).await,
            Err(e) => {
                report.fail("login", e.to_string(), FailureKind::Credentials.hint());
                return None;
            }
        };
        return match outcome {
            Ok(reply) => {
                report.pass("login", format!("{} is user {}", login.email, reply.user.id));
                Some(Identity {
                    user_id: settings.user_id.clone().unwrap_or(reply.user.id),
                    token: reply.access_token,
                })
            }
            Err(e) => {
                failed(report, "login", &e);
                None
            }
        };
    }
    let token = settings.token.as_ref()?;
    match token.read() {
        Ok(token) => {
            expiry(report, &token);
            Some(Identity {
                user_id: settings.user_id.clone().unwrap_or_default(),
                token,
            })
        }
        Err(e) => {
            report.fail("token", e.to_string(), FailureKind::Credentials.hint());
            None
        }
    }
}

fn expiry(report: &mut Report, token: &Secret) {
    match Claims::peek(token.expose()) {
        Err(e) => report.warn(
            "token",
            e.to_string(),
            "Copy the token from the login reply once more.",
        ),
        Ok(Claims { exp: None, .. }) => report.pass("token", "does not expire"),
        Ok(Claims {
            exp: Some(expiry), ..
        }) => report.warn(
            "token",
            format!(
                "expires at {}",
                report.time(UnixMillis(expiry.saturating_mul(1_000)))
            ),
            "The hub cannot connect with it after that: use `[connection.login]`.",
        ),
    }
}

/// Whether the backend knows the token, and as whose.
async fn accepted(report: &mut Report, api: &Api, identity: &Identity) -> bool {
    let asked = super::now();
    match api.me(&identity.token).await {
        Ok(me) if me.value.id == identity.user_id => {
            report.pass("user", format!("the token is {}'s", me.value.email));
            if let Some(there) = me.server_time {
                skew(report, asked, there);
            }
            true
        }
        Ok(_) | Err(_) => {
            let refusal = ConnectFailure {
                kind: FailureKind::Forbidden,
                detail: "the backend does not say whose the token is".to_owned(),
            };
            let why = diagnose(api, &identity.user_id, &identity.token, asked, refusal).await;
            failed(report, "user", &why);
            false
        }
    }
}

fn skew(report: &mut Report, here: UnixMillis, there: UnixMillis) {
    let skew = here.0.abs_diff(there.0);
    if skew <= MAX_SKEW_MS {
        return report.pass("clock", "agrees with the backend's");
    }
    report.warn(
        "clock",
        format!("differs from the backend's by {} s", skew / 1_000),
        "Let both machines set their clocks from the network (NTP): `timedatectl set-ntp true`.",
    );
}

/// Who gets the alerts of this user. Returns whether no client does.
async fn slot(
    report: &mut Report,
    api: &Api,
    identity: &Identity,
    running: Option<&ConnectionReport>,
) -> bool {
    let one_client = "The backend sends alerts to one client a user: close the other one, or give the hub a second account, which is fed from the backend's list every few seconds.";
    match (api.slot(&identity.user_id).await, running) {
        (Ok(Slot::Unknowable), _) => {
            report.skip("alerts go to", "this backend does not say");
            true
        }
        (Err(e), _) => {
            report.skip("alerts go to", format!("the backend does not say: {e}"));
            false
        }
        (Ok(Slot::Free), None) => {
            report.pass("alerts go to", "no client is connected as this user");
            true
        }
        (Ok(Slot::Free), Some(_)) => {
            report.fail(
                "alerts go to",
                "no client, although the hub is connected: it notices that within a minute and reconnects",
                one_client,
            );
            false
        }
        (Ok(Slot::Held(_)), None) => {
            report.warn(
                "alerts go to",
                "another client is connected as this user",
                one_client,
            );
            false
        }
        (Ok(Slot::Held(socket)), Some(running)) => {
            let age = socket.age();
            let open = Duration::from_millis(
                running
                    .link
                    .as_ref()
                    .and_then(|link| link.open_for_ms)
                    .unwrap_or(0),
            );
            if age.is_none_or(|age| is_age_of(age, open)) {
                report.pass("alerts go to", "the running hub");
            } else {
                report.fail("alerts go to", "another client of the same user", one_client);
            }
            false
        }
    }
}

/// Whether this may be the age of our socket, which has been open for so long. The backend reckons with its local time, which is
/// set by an hour twice a year.
fn is_age_of(age: Duration, open: Duration) -> bool {
    let difference = age.abs_diff(open);
    difference < MAX_AGE_DIFFERENCE || difference.abs_diff(SUMMER_TIME) < MAX_AGE_DIFFERENCE
}

async fn handshake(report: &mut Report, api: &Api, identity: &Identity) {
    match api.round_trip(&identity.user_id, &identity.token).await {
        Ok(time) => report.pass(
            "WebSocket",
            format!(
                "opens, and a ping is answered in {:.1} ms",
                time.as_secs_f64() * 1_000.0
            ),
        ),
        Err(e) if e.kind == FailureKind::Forbidden => {
            let now = super::now();
            let why = diagnose(api, &identity.user_id, &identity.token, now, e).await;
            failed(report, "WebSocket", &why);
        }
        Err(e) => failed(report, "WebSocket", &e),
    }
}

/// Whether what the backend records arrives.
async fn list(
    report: &mut Report,
    settings: &ConnectionSettings,
    api: &Api,
    identity: &Identity,
    hub: Option<&HubClient>,
) {
    let shops = if settings.backfill.shop_ids.is_empty() {
        match api.shops(&identity.token).await {
            Ok(shops) => shops.value.into_iter().map(|shop| shop.id).collect(),
            Err(e) => return report.skip("anomalies", format!("the backend does not list its shops: {e}")),
        }
    } else {
        settings.backfill.shop_ids.clone()
    };
    if shops.is_empty() {
        return report.warn(
            "anomalies",
            "this user has no shop",
            "Make one in the backend, or let the hub be the user who starts the cameras' streams: alerts go to that one only.",
        );
    }
    let known: Option<Vec<AlertEntry>> = match hub {
        Some(hub) => {
            let query = AlertQuery {
                limit: Some(1_000),
                all: true,
                ..AlertQuery::default()
            };
            let page = hub.get_with::<AlertPage>("/v1/alerts", &query).await;
            page.ok().map(|page| page.alerts)
        }
        None => None,
    };
    for shop in shops {
        match api.anomalies(&identity.token, &shop, 1, 0).await {
            Ok(page) => newest(
                report,
                &shop,
                page.value.anomalies.iter().flatten().next(),
                known.as_deref(),
            ),
            Err(e) if cannot_be_shown(&e) => report.warn(
                "anomalies",
                format!("shop {shop}: the backend cannot show the newest one, whose score is infinite"),
                "Nothing to do: the hub reads around it.",
            ),
            Err(e) => failed(report, "anomalies", &e),
        }
    }
}

fn newest(
    report: &mut Report,
    shop: &str,
    newest: Option<&watchpost_visionguard::rest::Anomaly>,
    known: Option<&[AlertEntry]>,
) {
    let Some(anomaly) = newest else {
        return report.pass("anomalies", format!("shop {shop} has none yet"));
    };
    let written = anomaly.happened().map(UnixMillis::from);
    let at = written.map_or_else(|| anomaly.timestamp.clone(), |at| report.time(at));
    let Some(known) = known else {
        return report.pass("anomalies", format!("shop {shop}: the newest is of {at}"));
    };
    if known
        .iter()
        .any(|entry| entry.alert.anomaly_id() == Some(&anomaly.id))
    {
        return report.pass(
            "anomalies",
            format!("shop {shop}: the newest, of {at}, is in the hub"),
        );
    }
    let old = written.is_some_and(|at| super::now().0 - at.0 > MAX_RECORD_AGE_MS);
    let before = written.is_some_and(|at| known.last().is_none_or(|oldest| at < oldest.alert.received_at));
    if old && !before {
        report.fail(
            "anomalies",
            format!("shop {shop}: the newest, of {at}, was not received"),
            "The hub reads the list by itself: look again in a moment. `watchpost status` says why it cannot.",
        );
    } else {
        report.pass("anomalies", format!("shop {shop}: the newest is of {at}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_a_socket_may_be_an_hour_off_for_summer_time() {
        let is_age = |age, open| is_age_of(Duration::from_secs(age), Duration::from_secs(open));
        assert!(is_age(7_200, 7_203) && is_age(3_600, 7_202) && is_age(10_801, 7_200));
        assert!(!is_age(100, 7_200) && !is_age(7_200, 100));
    }
}
