//! Every message has the shape of one captured from the real backend: the same keys in the same
//! order, values of the same kind. The pictures of the captured ones were cut out.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use watchpost_simulator::{Command, Options};

use crate::client::{Socket, ask, get, quiet, run};

/// A message without its values.
struct Shape(String);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(self, _: &str) -> Result<Shape, E> {
        Ok(Shape("text".to_owned()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Shape, E> {
        Ok(Shape(value.to_string()))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shape, E> {
        Ok(Shape("int".to_owned()))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shape, E> {
        Ok(Shape("int".to_owned()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Shape, E> {
        Ok(Shape(if value < 0.0 { "negative" } else { "float" }.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Shape, E> {
        Ok(Shape("null".to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
        let mut parts = Vec::new();
        while let Some(Shape(part)) = seq.next_element()? {
            parts.push(part);
        }
        Ok(Shape(format!("[{}]", parts.join(","))))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        let mut parts = Vec::new();
        while let Some((key, Shape(value))) = map.next_entry::<String, Shape>()? {
            parts.push(format!("{key}:{value}"));
        }
        Ok(Shape(format!("{{{}}}", parts.join(","))))
    }
}

fn shape(text: &str) -> String {
    serde_json::from_str::<Shape>(text).unwrap().0
}

fn same_shape(captured: &str, simulated: &str) {
    assert_eq!(shape(captured), shape(simulated));
    let compact = |text: &str| !text.contains("\": ") && !text.contains(", \"");
    assert!(compact(simulated), "{}", &simulated[..simulated.len().min(300)]);
}

#[actix_rt::test]
async fn an_alert_with_a_box_and_its_notification() {
    let simulator = run(Options {
        pose: true,
        bbox: true,
        ..quiet()
    })
    .await;
    let mut socket = Socket::open(&simulator).await;
    simulator.send(1).await.unwrap();
    let alert = socket.next().await.unwrap();
    same_shape(include_str!("../fixtures/alert_bbox.json"), &alert);
    same_shape(
        include_str!("../fixtures/notification_camera.json"),
        &socket.next().await.unwrap(),
    );
    let envelope = alert.len()
        - serde_json::from_str::<serde_json::Value>(&alert).unwrap()["annotated_frame"]
            .as_str()
            .unwrap()
            .len();
    assert!(
        (27_000..34_000).contains(&envelope),
        "the real one has 30,267 bytes, this one {envelope}"
    );
    simulator.stop().await;
}

#[actix_rt::test]
async fn alerts_of_two_persons_share_a_picture_and_carry_both_poses() {
    let simulator = run(Options {
        pose: true,
        persons: 2,
        ..quiet()
    })
    .await;
    let mut socket = Socket::open(&simulator).await;
    simulator.send(2).await.unwrap();
    let captured = include_str!("../fixtures/alert_two_persons.json");
    let first = socket.next().await.unwrap();
    same_shape(captured, &first);
    assert!(socket.next().await.unwrap().contains("\"notification\""));
    let second = socket.next().await.unwrap();
    same_shape(captured, &second);
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let (first, second) = (read(&first), read(&second));
    assert_eq!(first["annotated_frame"], second["annotated_frame"]);
    assert_eq!(
        (&first["result"]["person_id"], &second["result"]["person_id"]),
        (&1.into(), &2.into())
    );
    simulator.stop().await;
}

#[actix_rt::test]
async fn an_infinite_score_is_no_json() {
    let faults = "infinity=1".parse().unwrap();
    let simulator = run(Options {
        pose: true,
        faults,
        ..quiet()
    })
    .await;
    let mut socket = Socket::open(&simulator).await;
    simulator.send(1).await.unwrap();
    let text = socket.next().await.unwrap();
    assert!(text.contains(r#""score":-Infinity,"is_abnormal":true"#));
    let finite = |text: &str| text.replace("-Infinity", "-1.5");
    let captured = include_str!("../fixtures/alert_negative_infinity.txt");
    same_shape(&finite(captured), &finite(&text));
    simulator.stop().await;
}

#[actix_rt::test]
async fn ping_pong_and_a_notification_of_the_rest_interface() {
    let simulator = run(quiet()).await;
    let mut socket = Socket::open(&simulator).await;
    simulator.order(Command::Ping).await.unwrap();
    same_shape(
        include_str!("../fixtures/ping.json"),
        &socket.next().await.unwrap(),
    );
    socket.text(r#"{"type":"ping","timestamp":"whatever"}"#).await;
    same_shape(
        include_str!("../fixtures/pong.json"),
        &socket.next().await.unwrap(),
    );
    let (title, message) = ("Hello".to_owned(), "héllo ☃".to_owned());
    simulator.order(Command::Notify { title, message }).await.unwrap();
    let notification = socket.next().await.unwrap();
    same_shape(include_str!("../fixtures/notification_rest.json"), &notification);
    assert!(notification.contains("héllo ☃"), "not escaped: {notification}");
    simulator.stop().await;
}

#[actix_rt::test]
async fn owl_eye_is_answered_or_met_with_silence() {
    let simulator = run(quiet()).await;
    let mut socket = Socket::open(&simulator).await;
    simulator.send(1).await.unwrap();
    let picture = base64_simd::STANDARD.encode_to_string(&socket.next_alert().await.picture);
    let report = |shop: &str, frame: &str| {
        format!(
            r#"{{"type":"owl_eye_detection","data":{{"timestamp":"t","frame_data":"data:image/jpeg;base64,{frame}","shop_id":"{shop}","stream_id":"sentry-1","location":"Back door","detections":[{{"bbox":{{"x":10,"y":60,"w":80,"h":200}},"confidence":0.91}}]}}}}"#
        )
    };
    let shop = simulator.shop_id().to_string();
    socket.next_of("notification").await;
    socket
        .text(&report("938d55f2-123f-4b7f-b14a-84514886360f", &picture))
        .await;
    socket.text(&report(&shop, "AAAA")).await;
    socket.text(&report(&shop, &picture)).await;
    let answer = socket.next().await.unwrap();
    // The captured detection has its box's keys in the order sent, which the fixture shares.
    assert_eq!(
        shape(include_str!("../fixtures/notification_owl_eye.json"))
            .replace("x:int,y:int,w:int,h:int", "BOX"),
        shape(&answer).replace("h:int,w:int,x:int,y:int", "BOX"),
    );
    simulator.stop().await;
}

#[actix_rt::test]
async fn answers_of_the_rest_interface() {
    let simulator = run(Options {
        bbox: true,
        ..quiet()
    })
    .await;
    let _socket = Socket::open(&simulator).await;
    simulator.send(1).await.unwrap();
    let captured: serde_json::Value =
        serde_json::from_str(include_str!("../fixtures/anomalies.json")).unwrap();
    assert_eq!(captured["total"], 4);
    // The last of the captured rows is the one with a box, as ours is.
    let list = include_str!("../fixtures/anomalies.json");
    let last_row = shape(&list[list.rfind("{\"id\"").unwrap()..list.len() - 2]);
    let answer = get(&simulator, "/api/anomalies").await.text();
    assert_eq!(shape(&answer), format!("{{total:int,anomalies:[{last_row}]}}"));

    let account = simulator.account();
    let login = serde_json::json!({ "email": account.email, "password": account.password });
    let answer = ask(&simulator, "POST", "/auth/login", None, Some(&login)).await;
    same_shape(include_str!("../fixtures/login.json"), &answer.text());
    let answer = get(&simulator, &format!("/ws/connections/{}", simulator.user_id())).await;
    same_shape(include_str!("../fixtures/connection.json"), &answer.text());
    let answer = get(&simulator, "/ws/connections/nobody").await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (404, include_str!("../fixtures/error_404.json").trim_end())
    );
    let answer = ask(
        &simulator,
        "POST",
        "/auth/login",
        None,
        Some(&serde_json::json!({ "email": "x" })),
    )
    .await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (422, include_str!("../fixtures/error_422.json").trim_end())
    );
    simulator.stop().await;
}
