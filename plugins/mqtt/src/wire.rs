//! One connection to a broker, in either version of the protocol. What broke is told; what follows from it is not
//! known here.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::{AsyncClient, EventLoop, MqttOptions, QoS, TlsConfiguration, Transport, v5};
use rustls::ClientConfig;
use v5::mqttbytes::Error as MqttError;
use v5::mqttbytes::v5::{ConnectReturnCode, PubAckReason, PublishProperties};
use watchpost_sink::Fail;

use crate::config::Version;

/// Messages under way at once.
const IN_FLIGHT: u16 = 1;

/// Silence after which the connection is tested.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Wait before the next try where a person has to do something first.
const PERSON_NEEDED: Duration = Duration::from_secs(30);

/// Largest packet that is taken from the broker, in bytes. It has nothing to say that is longer.
const MAX_INCOMING_BYTES: u32 = 64 << 10;

/// Largest packet that MQTT has, in bytes.
const MAX_OUTGOING_BYTES: usize = 268_435_455;

/// What stands at the status topic.
pub(crate) const ONLINE: &str = "online";
pub(crate) const OFFLINE: &str = "offline";

/// What is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Where.
    pub(crate) topic: String,
    /// What.
    pub(crate) payload: Bytes,
    /// Media type of the payload, which version 5 tells the subscriber.
    pub(crate) content_type: Option<String>,
    /// Whether the broker keeps it for who subscribes later.
    pub(crate) retain: bool,
}

/// Whom to connect to, and as whom.
#[derive(Clone, Debug)]
pub(crate) struct Dial {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) login: Option<(String, String)>,
    pub(crate) version: Version,
    pub(crate) client_id: String,
    /// Gets [`OFFLINE`] from the broker when the connection ends, however it ends.
    pub(crate) status_topic: String,
}

/// What a connection tells.
#[derive(Debug)]
pub(crate) enum Event {
    /// It is open.
    Open,
    /// The broker has the message, or does not want it.
    Answered(Result<(), Fail>),
    /// Nothing of interest.
    Other,
}

/// A connection. It is made by the first [`Wire::next`] and ends when it is dropped.
pub(crate) struct Wire {
    protocol: Protocol,
    /// Why it has ended, while there still are events from before.
    ended: Option<Fail>,
}

enum Protocol {
    V311(AsyncClient, Box<EventLoop>),
    V5(v5::AsyncClient, Box<v5::EventLoop>),
}

impl Wire {
    /// A connection that is not made yet.
    pub(crate) fn new(dial: &Dial) -> Self {
        let transport = match &dial.tls {
            Some(config) => Transport::tls_with_config(TlsConfiguration::Rustls(Arc::clone(config))),
            None => Transport::tcp(),
        };
        let protocol = match dial.version {
            Version::V311 => Protocol::v311(dial, transport),
            Version::V5 => Protocol::v5(dial, transport),
        };
        Self {
            protocol,
            ended: None,
        }
    }

    /// Puts a message on its way. The one before it has to be answered.
    pub(crate) fn send(&self, message: Message) -> Result<(), Fail> {
        let Message {
            topic,
            payload,
            content_type,
            retain,
        } = message;
        let sent = match &self.protocol {
            Protocol::V311(client, _) => client
                .try_publish(topic, QoS::AtLeastOnce, retain, payload)
                .map_err(|e| e.to_string()),
            Protocol::V5(client, _) => {
                let properties = PublishProperties {
                    content_type,
                    ..PublishProperties::default()
                };
                client
                    .try_publish_with_properties(
                        topic,
                        v5::mqttbytes::QoS::AtLeastOnce,
                        retain,
                        payload,
                        properties,
                    )
                    .map_err(|e| e.to_string())
            }
        };
        sent.map_err(|e| Fail::permanent(format_args!("the message cannot be sent: {e}")))
    }

    /// Waits for the next event. An error is the end of the connection.
    pub(crate) async fn next(&mut self) -> Result<Event, Fail> {
        if self.ended.is_none() {
            match self.protocol.poll().await {
                Ok(event) => return Ok(event),
                Err(fail) => self.ended = Some(fail),
            }
        }
        // An acknowledgement that came with the end counts.
        match (self.protocol.left_over(), &self.ended) {
            (Some(event), _) => Ok(event),
            (None, Some(fail)) => Err(fail.clone()),
            (None, None) => Ok(Event::Other),
        }
    }
}

impl Protocol {
    fn v311(dial: &Dial, transport: Transport) -> Self {
        let mut options = MqttOptions::new(&dial.client_id, &dial.host, dial.port);
        let will = rumqttc::LastWill::new(&dial.status_topic, OFFLINE, QoS::AtLeastOnce, true);
        options
            .set_transport(transport)
            .set_keep_alive(KEEP_ALIVE)
            .set_clean_session(true)
            .set_inflight(IN_FLIGHT)
            .set_max_packet_size(MAX_INCOMING_BYTES as usize, MAX_OUTGOING_BYTES)
            .set_last_will(will);
        if let Some((user, password)) = &dial.login {
            options.set_credentials(user, password);
        }
        let (client, mut events) = AsyncClient::new(options, usize::from(IN_FLIGHT));
        let mut network = events.network_options();
        network.set_tcp_nodelay(true);
        network.set_connection_timeout(CONNECT_TIMEOUT.as_secs());
        events.set_network_options(network);
        Self::V311(client, Box::new(events))
    }

    fn v5(dial: &Dial, transport: Transport) -> Self {
        let mut options = v5::MqttOptions::new(&dial.client_id, &dial.host, dial.port);
        let will = v5::mqttbytes::v5::LastWill::new(
            &dial.status_topic,
            OFFLINE,
            v5::mqttbytes::QoS::AtLeastOnce,
            true,
            None,
        );
        options
            .set_transport(transport)
            .set_keep_alive(KEEP_ALIVE)
            .set_clean_start(true)
            .set_outgoing_inflight_upper_limit(IN_FLIGHT)
            .set_max_packet_size(Some(MAX_INCOMING_BYTES))
            .set_connection_timeout(CONNECT_TIMEOUT.as_secs())
            .set_last_will(will);
        if let Some((user, password)) = &dial.login {
            options.set_credentials(user, password);
        }
        let mut network = options.network_options();
        network.set_tcp_nodelay(true);
        options.set_network_options(network);
        let (client, events) = v5::AsyncClient::new(options, usize::from(IN_FLIGHT));
        Self::V5(client, Box::new(events))
    }

    async fn poll(&mut self) -> Result<Event, Fail> {
        match self {
            Self::V311(_, events) => events
                .poll()
                .await
                .map(|event| read(&event))
                .map_err(|e| broken(&e)),
            Self::V5(_, events) => events
                .poll()
                .await
                .map(|event| read_v5(&event))
                .map_err(|e| broken_v5(&e)),
        }
    }

    /// What was read and not told when the connection ended.
    fn left_over(&mut self) -> Option<Event> {
        match self {
            Self::V311(_, events) => events.state.events.pop_front().map(|event| read(&event)),
            Self::V5(_, events) => events.state.events.pop_front().map(|event| read_v5(&event)),
        }
    }
}

fn read(event: &rumqttc::Event) -> Event {
    use rumqttc::{Event as E, Packet};
    match event {
        E::Incoming(Packet::ConnAck(_)) => Event::Open,
        E::Incoming(Packet::PubAck(_)) => Event::Answered(Ok(())),
        _ => Event::Other,
    }
}

fn read_v5(event: &v5::Event) -> Event {
    use v5::{Event as E, mqttbytes::v5::Packet};
    match event {
        E::Incoming(Packet::ConnAck(_)) => Event::Open,
        E::Incoming(Packet::PubAck(ack)) => Event::Answered(verdict(ack.reason)),
        _ => Event::Other,
    }
}

/// What the broker thinks of a message. Only version 5 can say no.
fn verdict(reason: PubAckReason) -> Result<(), Fail> {
    match reason {
        PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Ok(()),
        PubAckReason::NotAuthorized => {
            let why = "the broker does not let this user publish to the topic; change its access list";
            Err(Fail::retry(why).after(PERSON_NEEDED))
        }
        PubAckReason::QuotaExceeded => Err(Fail::retry("the broker's quota is used up").after(PERSON_NEEDED)),
        PubAckReason::TopicNameInvalid => Err(Fail::permanent("the broker does not take the topic's name")),
        PubAckReason::PayloadFormatInvalid => Err(Fail::permanent("the broker does not take the payload")),
        other => Err(Fail::retry(format_args!(
            "the broker refused the message: {other:?}"
        ))),
    }
}

fn broken(error: &rumqttc::ConnectionError) -> Fail {
    use rumqttc::{ConnectReturnCode as Code, ConnectionError as E, StateError};
    match error {
        E::ConnectionRefused(Code::BadUserNamePassword | Code::NotAuthorized) => not_admitted(),
        E::ConnectionRefused(Code::BadClientId) => bad_client_id(),
        E::ConnectionRefused(Code::RefusedProtocolVersion) => other_version("5"),
        E::ConnectionRefused(code) => {
            Fail::retry(format_args!("the broker refused the connection: {code:?}"))
        }
        E::NetworkTimeout | E::FlushTimeout => silent(),
        E::Tls(rumqttc::TlsError::Io(e)) => handshake_failed(e),
        E::Io(e) | E::MqttState(StateError::Io(e) | StateError::Deserialization(rumqttc::Error::Io(e))) => {
            io_failed(e)
        }
        E::MqttState(StateError::ConnectionAborted) => closed(),
        other => Fail::retry(format_args!("the connection to the broker broke: {other}")),
    }
}

fn broken_v5(error: &v5::ConnectionError) -> Fail {
    use v5::{ConnectionError as E, StateError};
    match error {
        E::ConnectionRefused(code) | E::MqttState(StateError::ConnFail { reason: code }) => match code {
            ConnectReturnCode::BadUserNamePassword
            | ConnectReturnCode::NotAuthorized
            | ConnectReturnCode::Banned
            | ConnectReturnCode::BadAuthenticationMethod => not_admitted(),
            ConnectReturnCode::ClientIdentifierNotValid | ConnectReturnCode::BadClientId => bad_client_id(),
            ConnectReturnCode::UnsupportedProtocolVersion | ConnectReturnCode::RefusedProtocolVersion => {
                other_version("3.1.1")
            }
            code => Fail::retry(format_args!("the broker refused the connection: {code:?}")),
        },
        E::Timeout(_) => silent(),
        E::Tls(rumqttc::TlsError::Io(e)) => handshake_failed(e),
        E::Io(e) | E::MqttState(StateError::Io(e) | StateError::Deserialization(MqttError::Io(e))) => {
            io_failed(e)
        }
        E::MqttState(StateError::ConnectionAborted) => closed(),
        E::MqttState(
            StateError::OutgoingPacketTooLarge { pkt_size, max }
            | StateError::Deserialization(MqttError::OutgoingPacketTooLarge { pkt_size, max }),
        ) => Fail::permanent(format_args!(
            "it has {pkt_size} bytes, and the broker takes {max}; raise the broker's limit"
        )),
        E::MqttState(StateError::ServerDisconnect { reason_code, .. }) => {
            Fail::retry(format_args!("the broker ended the connection: {reason_code:?}"))
        }
        other => Fail::retry(format_args!("the connection to the broker broke: {other}")),
    }
}

fn not_admitted() -> Fail {
    Fail::retry("the broker does not admit this user; set the right `user` and `password`")
        .after(PERSON_NEEDED)
}

fn bad_client_id() -> Fail {
    Fail::retry("the broker does not admit this client; set the `client_id` that it knows")
        .after(PERSON_NEEDED)
}

fn other_version(version: &str) -> Fail {
    Fail::retry(format_args!(
        "the broker does not speak this version; try `version = \"{version}\"`"
    ))
    .after(PERSON_NEEDED)
}

fn silent() -> Fail {
    Fail::retry("the broker does not answer")
}

fn closed() -> Fail {
    Fail::retry("the broker closed the connection")
}

fn handshake_failed(error: &io::Error) -> Fail {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            let why = "the broker closed the connection at its beginning; if it does not speak TLS at this port, \
                       set `tls = false` or another port";
            Fail::retry(why).after(PERSON_NEEDED)
        }
        _ => io_failed(error),
    }
}

fn io_failed(error: &io::Error) -> Fail {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (tls, error.kind()) {
        (Some(rustls::Error::InvalidCertificate(why)), _) => Fail::retry(format_args!(
            "the broker's certificate is not trusted ({why}); set `ca_file` to its authority, and `server` to its name"
        ))
        .after(PERSON_NEEDED),
        (Some(rustls::Error::AlertReceived(alert)), _) => Fail::retry(format_args!(
            "the broker refused the encryption ({alert:?}); it may want `cert_file` and `key_file`"
        ))
        .after(PERSON_NEEDED),
        (Some(rustls::Error::InvalidMessage(_)), _) => {
            Fail::retry("the broker does not speak TLS at this port; set `tls = false` or another port")
                .after(PERSON_NEEDED)
        }
        (_, io::ErrorKind::PermissionDenied) => {
            let why = "not allowed to connect; grant the sink the broker's port: `watchpost sink grant` prints it";
            Fail::retry(why).after(PERSON_NEEDED)
        }
        (_, io::ErrorKind::ConnectionRefused) => Fail::retry("nobody listens at the broker's port"),
        (_, io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted) => closed(),
        _ => Fail::retry(format_args!("the connection to the broker broke: {error}")),
    }
}
