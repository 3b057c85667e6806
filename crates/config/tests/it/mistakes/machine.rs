//! What is right in itself and not so on this machine: files, folders, users, secrets, routes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use expect_test::{Expect, expect};

use crate::site::{CONNECTION, Site};

/// A certificate that nothing checks.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";

/// A site whose files are for their owner only.
fn site(main: &str, files: &[(&str, &[u8])]) -> Site {
    let mut site = Site::new(main).with_data();
    for (name, bytes) in files {
        site = site.raw(name, bytes);
        fs::set_permissions(site.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    fs::set_permissions(site.path("watchpost.toml"), fs::Permissions::from_mode(0o600)).unwrap();
    site
}

/// A main file, and files beside it by name and content.
type Case<'a> = (&'a str, &'a [(&'a str, &'a [u8])]);

fn check(cases: &[Case<'_>], expected: Expect) {
    let mut shown = String::new();
    for (main, files) in cases {
        let site = site(main, files);
        let found = site.brief(&site.inspected());
        assert!(!found.contains("s3cret"), "a secret is shown:\n{found}");
        let files: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
        let main = main.replace(CONNECTION, "").trim_end().replace('\n', "\n> ");
        shown += &format!("> {main}\n> files: {}\n{found}", files.join(", "));
    }
    expected.assert_eq(&shown);
}

#[test]
fn secrets() {
    let wide: Vec<u8> = "\u{feff}s3cret\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let long = vec![b'x'; 70_000];
    let env = CONNECTION.replace("token_file = \"token\"", "token_env = \"WATCHPOST_TEST_UNSET\"");
    check(
        &[
            (CONNECTION, &[]),
            (CONNECTION, &[("tokne", b"s3cret")]),
            (CONNECTION, &[("token", b"")]),
            (CONNECTION, &[("token", b"\n\n")]),
            (CONNECTION, &[("token", b"s3cret\n")]),
            (CONNECTION, &[("token", b"\xEF\xBB\xBFs3cret\r\n")]),
            (CONNECTION, &[("token", &wide)]),
            (CONNECTION, &[("token", b"s3cret ")]),
            (CONNECTION, &[("token", b"s3cret\nmore\n")]),
            (CONNECTION, &[("token", b"s3cr\xe9t")]),
            (CONNECTION, &[("token", &long)]),
            (&env, &[]),
        ],
        expect![[r#"
            > 
            > files: 
            watchpost.toml:5:14: `token_file` in [[connection]] `main` names token, which does not exist
              | "token" | here
              create the file, or correct the path
            > 
            > files: tokne
            watchpost.toml:5:14: `token_file` in [[connection]] `main` names token, which does not exist
              | "token" | here
              did you mean `tokne`, which is there?
            > 
            > files: token
            watchpost.toml:5:14: `token_file` in [[connection]] `main` names token, which is empty
              | "token" | here
              write the secret into it, and nothing else
            > 
            > files: token
            watchpost.toml:5:14: `token_file` in [[connection]] `main` names token, which is empty
              | "token" | here
              write the secret into it, and nothing else
            > 
            > files: token
            > 
            > files: token
            > 
            > files: token
            > 
            > files: token
            watchpost.toml:5:14: warning: `token_file` in [[connection]] `main` leads to a secret that begins or ends with a space
              | "token" | here
              remove the space, unless it is part of the secret
            > 
            > files: token
            watchpost.toml:5:14: `token_file` in [[connection]] `main` names token: it has 2 lines, expected one
              | "token" | here
              the secret alone belongs there, as text in UTF-8
            > 
            > files: token
            watchpost.toml:5:14: `token_file` in [[connection]] `main` names token: it is not text in UTF-8
              | "token" | here
              the secret alone belongs there, as text in UTF-8
            > 
            > files: token
            watchpost.toml:5:14: `token_file` in [[connection]] `main` names token: it has 70000 bytes, expected at most 65536
              | "token" | here
              the secret alone belongs there, as text in UTF-8
            > [[connection]]
            > name = "main"
            > url = "http://192.168.1.20:8000"
            > user_id = "550e8400-e29b-41d4-a716-446655440000"
            > token_env = "WATCHPOST_TEST_UNSET"
            > files: 
            watchpost.toml:5:13: `token_env` in [[connection]] `main` names the variable WATCHPOST_TEST_UNSET, which is not set
              | "WATCHPOST_TEST_UNSET" | here
              set it in the environment of the hub (`Environment=` or `EnvironmentFile=` of its unit) and of this check
        "#]],
    );
    let folder = site(CONNECTION, &[]);
    fs::create_dir(folder.path("token")).unwrap();
    let exposed = site(CONNECTION, &[("token", b"s3cret")]);
    fs::set_permissions(exposed.path("token"), fs::Permissions::from_mode(0o644)).unwrap();
    let shown = folder.brief(&folder.inspected()) + &exposed.brief(&exposed.inspected());
    expect![[r#"
            watchpost.toml:5:14: `token_file` in [[connection]] `main` names token, which is a folder
              | "token" | here
              name a file
            watchpost.toml:5:14: warning: `token_file` in [[connection]] `main` names token, which every user of this machine can read
              | "token" | here
              run `chmod o-rwx token`
    "#]].assert_eq(&shown);
}

#[test]
fn watchdogs() {
    let main = format!("{CONNECTION}[watchdog]\nping_url_file = \"ping\"\n");
    check(
        &[
            (
                &main,
                &[("token", b"x"), ("ping", b"https://hc-ping.com/s3cret\n")],
            ),
            (&main, &[("token", b"x"), ("ping", b"hc-ping.com/s3cret\n")]),
            (&main, &[("token", b"x"), ("ping", b"")]),
        ],
        expect![[r#"
            > [watchdog]
            > ping_url_file = "ping"
            > files: token, ping
            > [watchdog]
            > ping_url_file = "ping"
            > files: token, ping
            watchpost.toml:7:17: `ping_url_file` in [watchdog] leads to an address that does not begin with http:// or the like
              | "ping" | here
              expected the whole address, such as `https://hc-ping.com/…`
            > [watchdog]
            > ping_url_file = "ping"
            > files: token, ping
            watchpost.toml:7:17: `ping_url_file` in [watchdog] names ping, which is empty
              | "ping" | here
              write the secret into it, and nothing else
        "#]],
    );
}

#[test]
fn certificates() {
    let secure = CONNECTION.replace("http://", "https://") + "ca_file = \"ca.pem\"\n";
    let plain = format!("{CONNECTION}ca_file = \"ca.pem\"\n");
    let token: (&str, &[u8]) = ("token", b"x");
    check(
        &[
            (&secure, &[token, ("ca.pem", CERTIFICATE.as_bytes())]),
            (&secure, &[token]),
            (&secure, &[token, ("ca.pme", b"")]),
            (&secure, &[token, ("ca.pem", b"")]),
            (&secure, &[token, ("ca.pem", b"hello")]),
            (&secure, &[token, ("ca.pem", KEY.as_bytes())]),
            (&secure, &[token, ("ca.pem", b"\x30\x82\x01\x0a")]),
            (
                &secure,
                &[
                    token,
                    (
                        "ca.pem",
                        b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
                    ),
                ],
            ),
            (&plain, &[token, ("ca.pem", CERTIFICATE.as_bytes())]),
        ],
        expect![[r#"
            > [[connection]]
            > name = "main"
            > url = "https://192.168.1.20:8000"
            > user_id = "550e8400-e29b-41d4-a716-446655440000"
            > token_file = "token"
            > ca_file = "ca.pem"
            > files: token, ca.pem
            > [[connection]]
            > name = "main"
            > url = "https://192.168.1.20:8000"
            > user_id = "550e8400-e29b-41d4-a716-446655440000"
            > token_file = "token"
            > ca_file = "ca.pem"
            > files: token
            watchpost.toml:6:11: `ca_file` in [[connection]] `main` names ca.pem, which does not exist
              | "ca.pem" | here
              create the file, or correct the path
            > [[connection]]
            > name = "main"
            > url = "https://192.168.1.20:8000"
            > user_id = "550e8400-e29b-41d4-a716-446655440000"
            > token_file = "token"
            > ca_file = "ca.pem"
            > files: token, ca.pme
            watchpost.toml:6:11: `ca_file` in [[connection]] `main` names ca.pem, which does not exist
              | "ca.pem" | here
              did you mean `ca.pme`, which is there?
            > [[connection]]
            > name = "main"
            > url = "https://192.168.1.20:8000"
            > user_id = "550e8400-e29b-41d4-a716-446655440000"
            > token_file = "token"
            > ca_file = "ca.pem"
            > files: token, ca.pem
            watchpost.toml:6:11: `ca_file` in [[connection]] `main` names ca.pem, which is empty
              | "ca.pem" | here
              put the certificate into it, as PEM
            > [[connection]]
            > name = "main"
            > url = "https://192.168.1.20:8000"
            > user_id = "550e8400-e29b-41d4-a716-446655440000"
            > token_file = "token"
            > ca_file = "ca.pem"
            > files: token, ca.pem
            watchpost.toml:6:11: `ca_file` in [[connection]] `main` names ca.pem, in which there is no certificate
              | "ca.pem" | here
              expected PEM, which has a line `-----BEGIN CERTIFICATE-----`
            > [[connection]]
            > name = "main"
            > url = "https://192.168.1.20:8000"
            > user_id = "550e8400-e29b-41d4-a716-446655440000"
            > token_file = "token"
            > ca_file = "ca.pem"
            > files: token, ca.pem
            watchpost.toml:6:11: `ca_file` in [[connection]] `main` names ca.pem, which holds a private key and no certificate
              | "ca.pem" | here
              name the file of the certificate
            > [[connection]]
            > name = "main"
            > url = "https://192.168.1.20:8000"
            > user_id = "550e8400-e29b-41d4-a716-446655440000"
            > token_file = "token"
            > ca_file = "ca.pem"
            > files: token, ca.pem
            watchpost.toml:6:11: `ca_file` in [[connection]] `main` names ca.pem, which is not PEM: it seems to be DER
              | "ca.pem" | here
              convert it: `openssl x509 -inform der -in ca.pem -out NEW.pem`
            > [[connection]]
            > name = "main"
            > url = "https://192.168.1.20:8000"
            > user_id = "550e8400-e29b-41d4-a716-446655440000"
            > token_file = "token"
            > ca_file = "ca.pem"
            > files: token, ca.pem
            watchpost.toml:6:11: `ca_file` in [[connection]] `main` names ca.pem, in which a certificate is damaged
              | "ca.pem" | here
              copy the file again: lines of a certificate are missing or changed
            > ca_file = "ca.pem"
            > files: token, ca.pem
            watchpost.toml:6:11: warning: `ca_file` in [[connection]] `main` is not used: `url` is not encrypted
              | "ca.pem" | here
              write https:// or wss:// in `url`, or remove `ca_file`
        "#]],
    );
}

#[test]
fn folders() {
    let cases = [
        ("data_dir = \"token\"\n", "a file"),
        ("data_dir = \"token/data\"\n", "below a file"),
        (
            "data_dir = \"data\"\nplugin_dirs = [\"nowhere\", \"token\"]\n",
            "plugins",
        ),
    ];
    let mut shown = String::new();
    for (hub, name) in cases {
        let site = Site::new(&format!("{CONNECTION}[hub]\n{hub}")).file("token", "x");
        fs::set_permissions(site.path("token"), fs::Permissions::from_mode(0o600)).unwrap();
        shown += &format!("{name}\n{}", site.brief(&site.inspected()));
    }
    expect![[r#"
        a file
        watchpost.toml:7:12: `data_dir` in [hub] is token, which is a file
          | "token" | here
          name a folder; it is made when it is missing
        below a file
        watchpost.toml:7:12: `data_dir` in [hub] is token/data, which cannot be made: token is a file
          | "token/data" | here
          name a folder; it is made when it is missing
        plugins
        watchpost.toml:8:16: `plugin_dirs` in [hub] names nowhere, which does not exist
          | "nowhere" | here
          correct the path; the package puts plugins into /usr/lib/watchpost/plugins
        watchpost.toml:8:27: `plugin_dirs` in [hub] names token, which is a file
          | "token" | here
          name the folder that the plugins are in
    "#]]
    .assert_eq(&shown);
}

#[test]
fn routes_and_users() {
    let sinks =
        "[[sink]]\nname = \"mail\"\nplugin = \"mail\"\n[[sink]]\nname = \"siren\"\nplugin = \"siren\"\n";
    let unreached = format!("{CONNECTION}{sinks}[[route]]\nsinks = \"mail\"\n");
    let notices = format!(
        "{CONNECTION}{sinks}[[route]]\nsinks = [\"mail\", \"siren\"]\nmatch = {{ kind = \"notice\" }}\n"
    );
    let both = "sinks = [\"mail\", \"siren\"]\n";
    let severe = format!("{CONNECTION}{sinks}[[route]]\n{both}match = {{ severity = \"high\" }}\n");
    let all =
        format!("{severe}[[route]]\nmatch = {{ kind = [\"owl_eye\", \"anomaly\"] }}\nsinks = \"mail\"\n");
    let shared = format!(
        "{CONNECTION}{sinks}[[route]]\n{both}match = {{ kind = \"anomaly\" }}\n\
         [[route]]\n{both}match = {{ kind = \"owl_eye\" }}\n[web]\nlisten = \"127.0.0.1:0\"\n"
    );
    let user = format!(
        "{CONNECTION}[[sink]]\nname = \"mail\"\nplugin = \"mail\"\nsandbox = {{ user = \"rooot\" }}\n"
    );
    let token: (&str, &[u8]) = ("token", b"x");
    check(
        &[
            (&unreached, &[token]),
            (&notices, &[token]),
            (&severe, &[token]),
            (&all, &[token]),
            (&shared, &[token]),
            (&user, &[token]),
        ],
        expect![[r#"
            > [[sink]]
            > name = "mail"
            > plugin = "mail"
            > [[sink]]
            > name = "siren"
            > plugin = "siren"
            > [[route]]
            > sinks = "mail"
            > files: token
            watchpost.toml:10:8: no route leads to sink `siren`: it gets no alert
              | "siren" | here
              name it in the `sinks` of a [[route]], or remove it: where there are routes, a sink gets what they send to it and nothing else
            > [[sink]]
            > name = "mail"
            > plugin = "mail"
            > [[sink]]
            > name = "siren"
            > plugin = "siren"
            > [[route]]
            > sinks = ["mail", "siren"]
            > match = { kind = "notice" }
            > files: token
            watchpost.toml:12:1: warning: the routes do not take every alert: what none of them matches goes to no sink
              | [[route]] | here
              end with a [[route]] without `match`, unless that is meant; `watchpost status` counts such alerts
            watchpost.toml:14:18: warning: `kind` in [route.match] is `notice`, and no connection accepts notices
              | "notice" | here
              set `accept_notices = true` in a [[connection]], or remove the route
            > [[sink]]
            > name = "mail"
            > plugin = "mail"
            > [[sink]]
            > name = "siren"
            > plugin = "siren"
            > [[route]]
            > sinks = ["mail", "siren"]
            > match = { severity = "high" }
            > files: token
            watchpost.toml:12:1: warning: the routes do not take every alert: what none of them matches goes to no sink
              | [[route]] | here
              end with a [[route]] without `match`, unless that is meant; `watchpost status` counts such alerts
            > [[sink]]
            > name = "mail"
            > plugin = "mail"
            > [[sink]]
            > name = "siren"
            > plugin = "siren"
            > [[route]]
            > sinks = ["mail", "siren"]
            > match = { severity = "high" }
            > [[route]]
            > match = { kind = ["owl_eye", "anomaly"] }
            > sinks = "mail"
            > files: token
            > [[sink]]
            > name = "mail"
            > plugin = "mail"
            > [[sink]]
            > name = "siren"
            > plugin = "siren"
            > [[route]]
            > sinks = ["mail", "siren"]
            > match = { kind = "anomaly" }
            > [[route]]
            > sinks = ["mail", "siren"]
            > match = { kind = "owl_eye" }
            > [web]
            > listen = "127.0.0.1:0"
            > files: token
            watchpost.toml:19:10: warning: `listen` in [web] has port 0, which is another port at each start
              | "127.0.0.1:0" | here
              give the port that programs post to; port 0 is for tests
            > [[sink]]
            > name = "mail"
            > plugin = "mail"
            > sandbox = { user = "rooot" }
            > files: token
            watchpost.toml:9:20: `user` in [sink.sandbox] of `mail` is `rooot`, and there is no such user
              | "rooot" | here
              did you mean "root"?
        "#]],
    );
}

/// What is found depends on who looks: only root learns more than that it takes root.
#[test]
fn sinks_with_a_user_of_their_own() {
    let found = |sandbox: &str| {
        let sink = "[[sink]]\nname = \"mail\"\nplugin = \"mail\"\n[sink.sandbox]\nuser = \"dynamic\"\n";
        let site = site(
            &format!("{CONNECTION}{sink}{sandbox}"),
            &[("token", b"x"), ("password", b"x")],
        );
        let secret = site.path("password").display().to_string();
        let text = fs::read_to_string(site.path("watchpost.toml")).unwrap();
        fs::write(site.path("watchpost.toml"), text.replace("PASSWORD", &secret)).unwrap();
        site.brief(&site.inspected())
    };
    let unknown = found("groups = [\"rooot\"]\n");
    let expected = "`groups` in [sink.sandbox] of `mail` names `rooot`, and there is no such group";
    assert!(
        unknown.contains(expected) && unknown.contains("did you mean \"root\"?"),
        "{unknown}"
    );
    for closed in ["read = [\"PASSWORD\"]\n", "write = [\"PASSWORD\"]\n"] {
        let found = found(closed);
        let expected = if rustix::process::geteuid().is_root() {
            "which a user of its own cannot "
        } else {
            "takes a hub that runs as root, and this user lacks CAP_CHOWN"
        };
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn files_of_plugins() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    for (name, bytes, mode) in [
        ("ca.pem", CERTIFICATE, 0o644),
        ("key.pem", KEY, 0o644),
        ("password", "s3cret", 0o644),
        ("empty", "", 0o600),
    ] {
        fs::write(at(name), bytes).unwrap();
        fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let config = |config: &str| {
        format!("{CONNECTION}[[sink]]\nname = \"mail\"\nplugin = \"mail\"\n[sink.config]\n{config}")
            .replace("DIR", &dir.path().display().to_string())
    };
    let mut shown = String::new();
    for (case, mode) in [
        ("ca_file = \"DIR/ca.pem\"\n", 0o600),
        ("ca_file = \"DIR/key.pem\"\n", 0o600),
        ("cert_file = \"DIR/none.pem\"\n", 0o600),
        ("key_file = \"DIR/key.pem\"\n", 0o600),
        ("key_file = \"DIR/ca.pem\"\n", 0o600),
        ("password_file = \"DIR/passwrod\"\n", 0o600),
        ("password_file = \"DIR/empty\"\n", 0o600),
        ("password_file = \"DIR\"\n", 0o600),
        ("password_file = \"DIR/password\"\n", 0o600),
        ("password = \"s3cret\"\n", 0o644),
        ("server = { signing_key_file = \"DIR/none\" }\n", 0o600),
    ] {
        let site = site(&config(case), &[("token", b"x")]);
        fs::set_permissions(site.path("watchpost.toml"), fs::Permissions::from_mode(mode)).unwrap();
        let found = site.brief(&site.inspected());
        assert!(!found.contains("s3cret"), "a secret is shown:\n{found}");
        shown += &format!("> {case}{found}");
    }
    let shown = shown.replace(&dir.path().display().to_string(), "DIR");
    expect![[r#"
        > ca_file = "DIR/ca.pem"
        > ca_file = "DIR/key.pem"
        watchpost.toml:10:11: `ca_file` in [sink.config] of `mail` names DIR/key.pem, which holds a private key and no certificate
          | "DIR/key.pem" | here
          name the file of the certificate
        > cert_file = "DIR/none.pem"
        watchpost.toml:10:13: `cert_file` in [sink.config] of `mail` names DIR/none.pem, which does not exist
          | "DIR/none.pem" | here
          create the file, or correct the path
        > key_file = "DIR/key.pem"
        watchpost.toml:10:12: warning: `key_file` in [sink.config] of `mail` names DIR/key.pem, a private key that every user of this machine can read
          | "DIR/key.pem" | here
          run `chmod o-rwx DIR/key.pem`
        > key_file = "DIR/ca.pem"
        watchpost.toml:10:12: `key_file` in [sink.config] of `mail` names DIR/ca.pem, in which there is no private key
          | "DIR/ca.pem" | here
          expected PEM, which has a line `-----BEGIN PRIVATE KEY-----`
        > password_file = "DIR/passwrod"
        watchpost.toml:10:17: `password_file` in [sink.config] of `mail` names DIR/passwrod, which does not exist
          | "DIR/passwrod" | here
          did you mean `password`, which is there?
        > password_file = "DIR/empty"
        watchpost.toml:10:17: `password_file` in [sink.config] of `mail` names DIR/empty, which is empty
          | "DIR/empty" | here
          write the secret into it, and nothing else
        > password_file = "DIR"
        watchpost.toml:10:17: `password_file` in [sink.config] of `mail` names DIR, which is a folder
          | "DIR" | here
          name a file
        > password_file = "DIR/password"
        watchpost.toml:10:17: warning: `password_file` in [sink.config] of `mail` names DIR/password, which every user of this machine can read
          | "DIR/password" | here
          run `chmod o-rwx DIR/password`
        > password = "s3cret"
        watchpost.toml:10:12: warning: `password` in [sink.config] of `mail` is a secret, and every user of this machine can read watchpost.toml
          | *** | here
          run `chmod o-rwx watchpost.toml`, or put the secret into a file of its own
        > server = { signing_key_file = "DIR/none" }
        watchpost.toml:10:31: `signing_key_file` in [sink.config.server] of `mail` names DIR/none, which does not exist
          | "DIR/none" | here
          create the file, or correct the path
    "#]].assert_eq(&shown);
}
