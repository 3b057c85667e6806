//! The plain requests: login, anomalies, pictures, and how each is refused.

use expect_test::{Expect, expect};
use serde_json::{Value, json};
use watchpost_simulator::{Options, Running};

use crate::client::{Answer, ask, ask_with, get, quiet, run};

fn check(answer: &Answer, expected: Expect) {
    expected.assert_eq(&format!("{} {}", answer.status, answer.text()));
}

async fn login(simulator: &Running, body: Value) -> Answer {
    ask(simulator, "POST", "/auth/login", None, Some(&body)).await
}

#[actix_rt::test]
async fn login_gives_a_token_that_works() {
    let simulator = run(quiet()).await;
    let account = simulator.account();
    let email = account.email.replace("example.com", "EXAMPLE.com");
    let answer = login(
        &simulator,
        json!({ "email": email, "password": account.password }),
    )
    .await
    .json();
    let me = ask(
        &simulator,
        "GET",
        "/auth/me",
        answer["access_token"].as_str(),
        None,
    )
    .await
    .json();
    assert_eq!(me["id"], answer["user"]["id"]);
    assert_eq!(me["id"], simulator.user_id().to_string());
    let me = ask(
        &simulator,
        "GET",
        "/auth/me",
        answer["refresh_token"].as_str(),
        None,
    )
    .await;
    assert_eq!(me.status, 200, "nothing looks at the kind of token");
    let token = answer["access_token"].as_str();
    check(
        &ask(&simulator, "POST", "/auth/logout", token, None).await,
        expect![[r#"200 {"message":"Successfully logged out"}"#]],
    );
    assert_eq!(
        ask(&simulator, "GET", "/auth/me", token, None).await.status,
        200,
        "it keeps working"
    );
    simulator.stop().await;
}

#[actix_rt::test]
async fn refused_logins() {
    let simulator = run(quiet()).await;
    let email = &simulator.account().email;
    let answer = login(&simulator, json!({ "email": email, "password": "wrong" })).await;
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    check(&answer, expect![[r#"401 {"detail":"Invalid credentials"}"#]]);
    let answer = login(
        &simulator,
        json!({ "email": "Nobody@example.com", "password": "x" }),
    )
    .await;
    check(&answer, expect![[r#"401 {"detail":"Invalid credentials"}"#]]);
    let answer = login(&simulator, json!({ "email": "a@shop.local", "password": "x" })).await;
    check(
        &answer,
        expect![[
            r#"422 {"error":"Validation Error","message":"Request validation failed","details":[{"field":"body -> email","message":"value is not a valid email address: The part after the @-sign is a special-use or reserved name that cannot be used with email.","type":"value_error"}],"body_received":{"email":"a@shop.local","password":"x"}}"#
        ]],
    );
    let form = [("content-type", "application/x-www-form-urlencoded".to_owned())];
    let answer = ask_with(&simulator, "POST", "/auth/login", &form, None).await;
    check(
        &answer,
        expect![[
            r#"500 {"error":"Internal Server Error","message":"An unexpected error occurred","suggestion":"Please try again later or contact support"}"#
        ]],
    );
    for path in ["/auth/register", "/auth/refresh"] {
        assert_eq!(
            ask(&simulator, "POST", path, None, Some(&json!({}))).await.status,
            404
        );
    }
    assert_eq!(
        ask(&simulator, "GET", "/auth/login", None, None).await.text(),
        r#"{"detail":"Method Not Allowed"}"#
    );
    simulator.stop().await;
}

#[actix_rt::test]
async fn bearer_refusals() {
    let simulator = run(quiet()).await;
    let user = simulator.user_id().to_string();
    let with = |value: String| vec![("authorization", value)];
    let cases = [
        (vec![], expect![[r#"403 {"detail":"Not authenticated"}"#]]),
        (
            with("Basic abc".to_owned()),
            expect![[r#"403 {"detail":"Invalid authentication credentials"}"#]],
        ),
        (
            with("Bearer nonsense".to_owned()),
            expect![[r#"401 {"detail":"Invalid or expired token"}"#]],
        ),
        (
            with(format!("Bearer {}", simulator.token_for(&user, -1).unwrap())),
            expect![[r#"401 {"detail":"Invalid or expired token"}"#]],
        ),
        (
            with(format!(
                "Bearer {}",
                simulator
                    .token_for("34598841-acab-401e-aea1-0dee13f318ec", 60)
                    .unwrap()
            )),
            expect![[r#"401 {"detail":"User not found"}"#]],
        ),
        (
            with(format!("Bearer {}", simulator.token_for("someone", 60).unwrap())),
            expect![[r#"401 {"detail":"Invalid user ID in token"}"#]],
        ),
    ];
    for (headers, expected) in cases {
        check(
            &ask_with(&simulator, "GET", "/api/anomalies", &headers, None).await,
            expected,
        );
    }
    simulator.stop().await;
}

#[actix_rt::test]
async fn anomalies_are_listed_newest_first_in_pages() {
    let simulator = run(quiet()).await;
    simulator.send(5).await.unwrap();
    let made: Vec<_> = simulator
        .alerts()
        .iter()
        .rev()
        .map(|alert| alert.anomaly_id.to_string())
        .collect();
    let page = get(&simulator, "/api/anomalies?limit=2&offset=1").await.json();
    assert_eq!(page["total"], 5);
    let listed: Vec<_> = page["anomalies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["id"].clone())
        .collect();
    assert_eq!(listed, made[1..3]);
    let count =
        async |query: &str| get(&simulator, &format!("/api/anomalies?{query}")).await.json()["total"].clone();
    assert_eq!(count("severity=LOW&status=Pending").await, 5);
    assert_eq!(count("severity=high").await, 0);
    assert_eq!(count(&format!("shop_id={}", simulator.shop_id())).await, 5);
    assert_eq!(count("shop_id=34598841-acab-401e-aea1-0dee13f318ec").await, 0);
    let answer = get(&simulator, "/api/anomalies/?limit=1").await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (307, "/api/anomalies?limit=1")
    );
    simulator.stop().await;
}

#[actix_rt::test]
async fn queries_out_of_their_limits() {
    let simulator = run(quiet()).await;
    for (query, kind) in [
        ("limit=0", "greater_than_equal"),
        ("limit=501", "less_than_equal"),
        ("limit=x", "int_parsing"),
        ("offset=-1", "greater_than_equal"),
        ("shop_id=x", "uuid_parsing"),
    ] {
        let answer = get(&simulator, &format!("/api/anomalies?{query}")).await;
        assert_eq!(
            (answer.status, &answer.json()["details"][0]["type"]),
            (422, &json!(kind)),
            "{query}"
        );
    }
    check(
        &get(&simulator, "/api/anomalies?status=new").await,
        expect![[r#"400 {"detail":"Invalid status: new"}"#]],
    );
    check(
        &get(&simulator, "/api/anomalies?severity=grave").await,
        expect![[r#"400 {"detail":"Invalid severity: grave"}"#]],
    );
    simulator.stop().await;
}

#[actix_rt::test]
async fn changes_follow_the_backends_rules() {
    let simulator = run(quiet()).await;
    simulator.send(1).await.unwrap();
    let token = simulator.token().unwrap();
    let path = format!("/api/anomalies/{}", simulator.alerts()[0].anomaly_id);
    let patch = async |body: Value| ask(&simulator, "PATCH", &path, Some(&token), Some(&body)).await;
    let row = patch(json!({ "status": "Acknowledged", "notes": "seen" }))
        .await
        .json();
    assert_eq!(
        (&row["status"], &row["resolved_by"], &row["notes"]),
        (&json!("acknowledged"), &Value::Null, &json!("seen"))
    );
    let row = patch(json!({ "status": "false_positive", "notes": "" }))
        .await
        .json();
    assert_eq!(
        (&row["resolved_by"], &row["notes"]),
        (&json!(simulator.user_id().to_string()), &json!("seen"))
    );
    let row = patch(json!({ "status": "pending", "notes": null })).await.json();
    assert!(row["resolved_at"].is_string(), "going back clears nothing");
    assert_eq!(patch(json!({})).await.status, 422);
    check(
        &patch(json!({ "status": "gone" })).await,
        expect![[r#"400 {"detail":"Invalid status: gone"}"#]],
    );
    check(
        &ask(&simulator, "PATCH", &path, Some(&token), None).await,
        expect![[r#"500 {"detail":"Internal server error"}"#]],
    );
    assert_eq!(
        ask(&simulator, "PUT", &path, Some(&token), None).await.status,
        405
    );
    assert_eq!(get(&simulator, &path).await.json()["status"], "pending");
    assert_eq!(
        get(&simulator, "/api/anomalies/34598841-acab-401e-aea1-0dee13f318ec")
            .await
            .status,
        404
    );
    assert_eq!(get(&simulator, "/api/anomalies/nothing").await.status, 422);
    simulator.stop().await;
}

#[actix_rt::test]
async fn pictures_need_the_header_and_serve_ranges() {
    let simulator = run(quiet()).await;
    simulator.send(1).await.unwrap();
    let alert = &simulator.alerts()[0];
    let row = get(&simulator, &format!("/api/anomalies/{}", alert.anomaly_id))
        .await
        .json();
    let url = row["image_url"].as_str().unwrap();
    let answer = get(&simulator, url).await;
    assert_eq!(answer.header("content-type"), "image/jpeg");
    assert_eq!(answer.header("cache-control"), "public, max-age=86400");
    image::load_from_memory(&answer.body).unwrap();
    assert_ne!(
        answer.body,
        simulator.picture(alert.anomaly_id).unwrap(),
        "another quality, other bytes"
    );
    let token = simulator.token().unwrap();
    let in_query = ask(&simulator, "GET", &format!("{url}?token={token}"), None, None).await;
    assert_eq!(in_query.status, 403);
    assert_eq!(ask(&simulator, "HEAD", url, Some(&token), None).await.status, 405);
    let bearer = ("authorization", format!("Bearer {token}"));
    let part = ask_with(
        &simulator,
        "GET",
        url,
        &[bearer.clone(), ("range", "bytes=2-5".to_owned())],
        None,
    )
    .await;
    assert_eq!((part.status, &part.body[..]), (206, &answer.body[2..6]));
    let etag = ("if-none-match", answer.header("etag").to_owned());
    assert_eq!(
        ask_with(&simulator, "GET", url, &[bearer, etag], None)
            .await
            .status,
        200
    );
    assert_eq!(get(&simulator, &url.replace(".jpg", "x.jpg")).await.status, 404);
    simulator.stop().await;
}

#[actix_rt::test]
async fn health_shops_and_local_time() {
    let local_offset = time::UtcOffset::from_hms(5, 0, 0).unwrap();
    let simulator = run(Options {
        local_offset,
        ..quiet()
    })
    .await;
    check(
        &ask(&simulator, "GET", "/health", None, None).await,
        expect![[r#"200 {"status":"degraded"}"#]],
    );
    check(
        &ask(&simulator, "GET", "/api/health", None, None).await,
        expect![[r#"200 {"status":"healthy","active_connections":0,"service":"WebRTC Signaling"}"#]],
    );
    let shops = get(&simulator, "/shops").await.json();
    assert_eq!(shops[0]["id"], simulator.shop_id().to_string());
    let _socket = crate::client::Socket::open(&simulator).await;
    let entry = get(&simulator, "/ws/connections").await.json()["connections"][0].clone();
    let format = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let connected = &entry["connected_at"].as_str().unwrap()[..19];
    let connected = time::PrimitiveDateTime::parse(connected, format)
        .unwrap()
        .assume_utc();
    let ahead = connected - time::OffsetDateTime::now_utc();
    assert!((ahead.whole_minutes() - 300).abs() <= 1, "{ahead}");
    simulator.stop().await;
}
