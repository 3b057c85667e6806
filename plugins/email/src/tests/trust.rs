//! Certificates of a server's own making, and files of passwords as editors write them.

use serde_json::json;
use tempfile::TempDir;
use watchpost_sink::Outcome;
use watchpost_sink::testing::{Bench, alert};
use watchpost_testkit::{SMTP_PASSWORD, SMTP_USER, SmtpServer};

use super::{bench, config};
use crate::Email;

const LOGIN: [&str; 4] = ["--user", SMTP_USER, "--password", SMTP_PASSWORD];

#[test]
fn a_certificate_of_the_usual_one_liner_is_trusted_where_it_is_named() {
    let server = SmtpServer::self_signed(&LOGIN).unwrap();
    bench(&server, json!({})).deliver(&alert("7")).unwrap();
    assert_eq!(server.mails().unwrap().len(), 1);
    let fail = bench(&server, json!({ "ca_file": null }))
        .deliver(&alert("7"))
        .unwrap_err();
    assert_eq!(fail.outcome(), Outcome::Retry);
    let (pointer, why) = fail.notes().next().unwrap();
    assert_eq!(pointer, "/ca_file");
    assert!(
        why.contains("name this very certificate") && !why.contains("OtherError"),
        "{why}"
    );
}

#[test]
fn a_password_file_is_read_as_editors_write_it() {
    let server = SmtpServer::start().unwrap();
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("password");
    let utf16: Vec<u8> = std::iter::once(0xfeff)
        .chain(format!("{SMTP_PASSWORD}\r\n").encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let with_mark = format!("\u{feff}{SMTP_PASSWORD}\r\n").into_bytes();
    let mut bench = bench(&server, json!({ "password": null, "password_file": file }));
    for (id, bytes) in [
        ("1", with_mark),
        ("2", utf16),
        ("3", format!("{SMTP_PASSWORD}\n\n").into_bytes()),
    ] {
        std::fs::write(&file, bytes).unwrap();
        // A probe begins with a login.
        bench.probe().unwrap();
        bench.deliver(&alert(id)).unwrap();
    }
    for (bytes, expected) in [(&b"\n"[..], "is empty"), (b"a\nb\n", "more than one line")] {
        std::fs::write(&file, bytes).unwrap();
        let fail = bench.probe().unwrap_err();
        assert_eq!(fail.outcome(), Outcome::BadConfig, "{fail}");
        let (pointer, why) = fail.notes().next().unwrap();
        assert!(pointer == "/password_file" && why.contains(expected), "{why}");
    }
    let config = config(&server, json!({ "password": null, "password_file": dir.path() }));
    let mut directory = Bench::<Email>::create(&config.to_string(), dir.path()).unwrap();
    let fail = directory.deliver(&alert("4")).unwrap_err();
    assert_eq!(fail.outcome(), Outcome::Retry, "the alert is kept");
    assert!(fail.to_string().contains("is a directory"), "{fail}");
}
