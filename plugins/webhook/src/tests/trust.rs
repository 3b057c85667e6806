//! Encryption: whom the sink trusts, and the certificate it shows.

use serde_json::json;
use tempfile::TempDir;
use watchpost_sink::Outcome;
use watchpost_sink::testing::{Bench, alert};
use watchpost_testkit::{Authority, HttpServer};

use super::bench;
use crate::Webhook;

fn authority(dir: &TempDir) -> Authority {
    Authority::new(dir.path(), &["localhost"]).unwrap()
}

#[test]
fn only_the_named_authority_is_trusted() {
    let (ours, theirs) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (ours, theirs) = (authority(&ours), authority(&theirs));
    let server = HttpServer::start_tls(&ours, None).unwrap();
    bench(&json!({ "url": server.url(), "ca_file": ours.ca() }))
        .deliver(&alert("7"))
        .unwrap();
    assert_eq!(server.take().len(), 1);
    let fail = bench(&json!({ "url": server.url(), "ca_file": theirs.ca() }))
        .deliver(&alert("7"))
        .unwrap_err();
    assert_eq!(fail.outcome(), Outcome::Retry);
    assert!(
        fail.to_string()
            .contains("/ca_file: the certificate of localhost"),
        "{fail}"
    );
    // The right authority, but not for this name.
    let by_number = server.url().replace("localhost", "127.0.0.1");
    assert!(
        bench(&json!({ "url": by_number, "ca_file": ours.ca() }))
            .deliver(&alert("7"))
            .is_err()
    );
    assert!(server.requests().is_empty());
}

#[test]
fn a_certificate_of_the_usual_one_liner_is_trusted_where_it_is_named() {
    let dir = TempDir::new().unwrap();
    let own = Authority::self_signed(dir.path(), "localhost").unwrap();
    let server = HttpServer::start_tls(&own, None).unwrap();
    bench(&json!({ "url": server.url(), "ca_file": own.ca() }))
        .deliver(&alert("7"))
        .unwrap();
    let other = TempDir::new().unwrap();
    let other = authority(&other);
    let fail = bench(&json!({ "url": server.url(), "ca_file": other.ca() }))
        .deliver(&alert("7"))
        .unwrap_err();
    let fail = fail.to_string();
    assert!(
        fail.contains("name this very certificate") && !fail.contains("OtherError"),
        "{fail}"
    );
}

#[test]
fn the_server_sees_our_certificate() {
    let (ours, clients) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (ours, clients) = (authority(&ours), authority(&clients));
    let server = HttpServer::start_tls(&ours, Some(&clients)).unwrap();
    let mut config = json!({ "url": server.url(), "ca_file": ours.ca() });
    assert_eq!(
        bench(&config).deliver(&alert("7")).unwrap_err().outcome(),
        Outcome::Retry
    );
    assert!(server.requests().is_empty());
    config["cert_file"] = json!(clients.certificate());
    config["key_file"] = json!(clients.key());
    bench(&config).deliver(&alert("7")).unwrap();
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn files_that_hold_something_else_are_named() {
    let dir = TempDir::new().unwrap();
    let ours = authority(&dir);
    let url = "https://localhost";
    for (config, expected) in [
        (json!({ "url": url, "ca_file": ours.key() }), "/ca_file: "),
        (
            json!({ "url": url, "cert_file": ours.ca(), "key_file": ours.ca() }),
            "/key_file: ",
        ),
        (
            json!({ "url": url, "cert_file": "/nowhere", "key_file": ours.key() }),
            "/cert_file: /nowhere: No such file",
        ),
    ] {
        let error = Bench::<Webhook>::create(&config.to_string(), dir.path()).unwrap_err();
        assert_eq!(error.outcome(), Outcome::BadConfig);
        assert!(
            error.to_string().contains(expected),
            "{error} should say {expected}"
        );
    }
}
