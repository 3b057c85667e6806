//! One connection to a broker, in either version of the protocol. What it takes of messages, and what broke, is reported;
//! what follows from it is not known here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rumqttc_v4::mqttbytes::v4 as v4_packets;
use rumqttc_v5::mqttbytes::v5 as v5_packets;
use rustls::ClientConfig;
use tokio::time::timeout;
use watchpost_sink::Fail;

use crate::config::Version;
use crate::error::{self, Refusal};
use crate::transport;

/// Messages in flight at once.
const IN_FLIGHT: u16 = 1;

/// Silence after which the connection is tested, in seconds.
const KEEP_ALIVE_SECS: u16 = 30;

/// How long a connection may take to be made, until the broker has accepted it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// Largest packet that is taken from the broker, in bytes. It has nothing to say that is longer.
const MAX_INCOMING_BYTES: u32 = 64 << 10;

/// Largest packet that MQTT has, in bytes.
const MAX_OUTGOING_BYTES: usize = 268_435_455;

/// What a packet holds besides topic, media type and payload, in bytes, at most.
const PACKET_OVERHEAD_BYTES: usize = 32;

/// Messages of the broker that are kept while something else is waited for.
const MAX_KEPT: usize = 64;

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
    /// Media type of the payload, which version 5 gives to the subscriber.
    pub(crate) content_type: Option<String>,
    /// Whether the broker keeps it for who subscribes later.
    pub(crate) retain: bool,
    /// Whether it is a picture, without which the alert is still worth something.
    pub(crate) picture: bool,
}

/// What the broker has sent on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) topic: String,
    pub(crate) payload: Bytes,
    /// Whether it is not new: the broker had kept it.
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
    /// What the broker takes.
    pub(crate) abilities: Abilities,
}

/// What a broker can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Abilities {
    /// It keeps the last message of a topic.
    pub(crate) retain: bool,
    /// It acknowledges messages: QoS 1.
    pub(crate) acknowledges: bool,
    /// The largest packet that it takes, in bytes.
    pub(crate) max_packet: usize,
}

/// What a connection reports.
#[derive(Debug)]
pub(crate) enum Event {
    /// It is open.
    Open,
    /// The broker has the message, or does not want it. With QoS 0: the message has been sent.
    Answered(Result<(), Refusal>),
    /// Whether the broker passes on what was asked for.
    Subscribed(bool),
    /// It passes this on.
    Received(Received),
    /// Nothing of interest.
    Other,
}

/// A connection. It is made by the first [`Wire::next`] and ends when it is dropped.
pub(crate) struct Wire {
    protocol: Protocol,
    abilities: Abilities,
    /// The message that was sent last.
    in_flight: Option<Notice>,
    /// What has come while something else was waited for.
    kept: VecDeque<Received>,
    /// Why it has ended.
    ended: Option<Fail>,
}

/// Where the library puts the answer to a message.
enum Notice {
    V311(rumqttc_v4::PublishNotice),
    V5(rumqttc_v5::PublishNotice),
}

enum Protocol {
    V311(rumqttc_v4::AsyncClient, Box<rumqttc_v4::EventLoop>),
    V5(rumqttc_v5::AsyncClient, Box<rumqttc_v5::EventLoop>),
}

impl Wire {
    /// A connection that is not made yet.
    ///
    /// # Errors
    /// What is set cannot be said in the protocol.
    pub(crate) fn new(dial: &Dial) -> Result<Self, Fail> {
        let protocol = match dial.version {
            Version::V311 => v311(dial)?,
            Version::V5 => v5(dial)?,
        };
        Ok(Self {
            protocol,
            abilities: dial.abilities,
            in_flight: None,
            kept: VecDeque::new(),
            ended: None,
        })
    }

    /// Why the broker would not take a message of that size.
    pub(crate) fn too_large(&self, message: &Message) -> Option<Fail> {
        let kind = message.content_type.as_ref().map_or(0, String::len);
        let bytes = PACKET_OVERHEAD_BYTES + message.topic.len() + kind + message.payload.len();
        let max = self.abilities.max_packet;
        (bytes > max).then(|| {
            Fail::permanent(format_args!(
                "the message for `{}` has {bytes} bytes, and the broker takes {max}; raise the broker's limit",
                message.topic
            ))
        })
    }

    /// Puts a message on its way. The one before it has to be answered.
    pub(crate) fn send(&mut self, message: Message) -> Result<(), Fail> {
        let Message {
            topic,
            payload,
            content_type,
            retain,
            ..
        } = message;
        let retain = retain && self.abilities.retain;
        let acknowledged = self.abilities.acknowledges;
        let sent = match &self.protocol {
            Protocol::V311(client, _) => {
                use rumqttc_v4::{PublishOptions, mqttbytes::QoS};
                let qos = if acknowledged {
                    QoS::AtLeastOnce
                } else {
                    QoS::AtMostOnce
                };
                let options = PublishOptions::new(qos).retain(retain);
                client
                    .try_publish_tracked(topic, payload, options)
                    .map(Notice::V311)
                    .map_err(|e| e.to_string())
            }
            Protocol::V5(client, _) => {
                use rumqttc_v5::{PublishOptions, mqttbytes::QoS};
                let qos = if acknowledged {
                    QoS::AtLeastOnce
                } else {
                    QoS::AtMostOnce
                };
                let properties = v5_packets::PublishProperties {
                    content_type,
                    ..v5_packets::PublishProperties::default()
                };
                let options = PublishOptions::new(qos).retain(retain).properties(properties);
                client
                    .try_publish_tracked(topic, payload, options)
                    .map(Notice::V5)
                    .map_err(|e| e.to_string())
            }
        };
        let notice = sent.map_err(|e| Fail::permanent(format_args!("the message cannot be sent: {e}")))?;
        self.in_flight = Some(notice);
        Ok(())
    }

    /// Keeps what has come at the wrong time, for [`Self::take_kept`]. A flood is not kept.
    pub(crate) fn keep(&mut self, received: Received) {
        if self.kept.len() < MAX_KEPT {
            self.kept.push_back(received);
        }
    }

    /// The oldest that is kept.
    pub(crate) fn take_kept(&mut self) -> Option<Received> {
        self.kept.pop_front()
    }

    /// Asks for what is published to these topics.
    pub(crate) fn subscribe(&self, filter: &str) -> Result<(), Fail> {
        let asked = match &self.protocol {
            Protocol::V311(client, _) => client
                .try_subscribe(filter, rumqttc_v4::mqttbytes::QoS::AtLeastOnce)
                .map_err(|e| e.to_string()),
            Protocol::V5(client, _) => client
                .try_subscribe(filter, rumqttc_v5::mqttbytes::QoS::AtLeastOnce)
                .map_err(|e| e.to_string()),
        };
        asked.map_err(|e| Fail::retry(format_args!("commands cannot be subscribed to: {e}")))
    }

    /// Waits for the next event. An error is the end of the connection.
    pub(crate) async fn next(&mut self) -> Result<Event, Fail> {
        if self.ended.is_none() {
            match self.poll().await {
                Ok(event) => return Ok(event),
                Err(Ended::Refused(refusal)) => {
                    self.ended = Some(Fail::retry("the broker's answer was not of the standard"));
                    return Ok(Event::Answered(Err(refusal)));
                }
                Err(Ended::Broken(fail)) => {
                    self.ended = Some(fail);
                    if let Some(answer) = self.last_answer().await {
                        return Ok(Event::Answered(answer));
                    }
                }
            }
        }
        match &self.ended {
            Some(fail) => Err(fail.clone()),
            None => Ok(Event::Other),
        }
    }

    async fn poll(&mut self) -> Result<Event, Ended> {
        match &mut self.protocol {
            Protocol::V311(_, events) => match events.poll().await {
                Ok(event) => Ok(self.read_v4(&event)),
                Err(error) => Err(error::broken_v4(&error)),
            },
            Protocol::V5(_, events) => match events.poll().await {
                Ok(event) => Ok(self.read_v5(&event)),
                Err(error) => Err(error::broken_v5(&error)),
            },
        }
    }

    /// What the broker has answered to the message in flight, if that came together with the end of the connection: the
    /// library forgets the events of a connection that has ended, but not who waits for an answer.
    async fn last_answer(&mut self) -> Option<Result<(), Refusal>> {
        match self.in_flight.take()? {
            Notice::V311(notice) => {
                let result = timeout(Duration::ZERO, notice.wait_async()).await.ok()?;
                result.is_ok().then_some(Ok(()))
            }
            Notice::V5(notice) => match timeout(Duration::ZERO, notice.wait_async()).await.ok()? {
                Ok(rumqttc_v5::PublishResult::Qos1(ack)) => Some(error::verdict(ack.reason)),
                Ok(_) => Some(Ok(())),
                Err(_) => None,
            },
        }
    }

    fn read_v4(&self, event: &rumqttc_v4::Event) -> Event {
        use rumqttc_v4::{Event as E, Outgoing};
        use v4_packets::Packet;
        match event {
            E::Incoming(Packet::ConnAck(_)) => Event::Open,
            E::Incoming(Packet::PubAck(_)) => Event::Answered(Ok(())),
            E::Incoming(Packet::SubAck(ack)) => {
                let mut codes = ack.return_codes.iter();
                Event::Subscribed(
                    codes.all(|code| matches!(code, v4_packets::SubscribeReasonCode::Success(_))),
                )
            }
            E::Incoming(Packet::Publish(publish)) => {
                received(&publish.topic, &publish.payload, publish.retain)
            }
            E::Outgoing(Outgoing::Publish(_)) if !self.abilities.acknowledges => Event::Answered(Ok(())),
            _ => Event::Other,
        }
    }

    fn read_v5(&mut self, event: &rumqttc_v5::Event) -> Event {
        use rumqttc_v5::{Event as E, Outgoing};
        use v5_packets::Packet;
        match event {
            E::Incoming(Packet::ConnAck(accepted)) => {
                self.abilities.narrow(accepted);
                Event::Open
            }
            E::Incoming(Packet::PubAck(ack)) => Event::Answered(error::verdict(ack.reason)),
            E::Incoming(Packet::SubAck(ack)) => {
                let mut codes = ack.return_codes.iter();
                Event::Subscribed(
                    codes.all(|code| matches!(code, v5_packets::SubscribeReasonCode::Success(_))),
                )
            }
            E::Incoming(Packet::Publish(publish)) => {
                received(&publish.topic, &publish.payload, publish.retain)
            }
            E::Outgoing(Outgoing::Publish(_)) if !self.abilities.acknowledges => Event::Answered(Ok(())),
            _ => Event::Other,
        }
    }
}

fn received(topic: &Bytes, payload: &Bytes, retain: bool) -> Event {
    Event::Received(Received {
        topic: String::from_utf8_lossy(topic).into_owned(),
        payload: payload.clone(),
        retain,
    })
}

/// How a connection ended.
pub(crate) enum Ended {
    /// The broker refused the message in flight in a way that the library does not know.
    Refused(Refusal),
    /// Everything else.
    Broken(Fail),
}

impl Abilities {
    /// What the site expects of its broker.
    pub(crate) fn of(retain: bool, qos: u8) -> Self {
        Self {
            retain,
            acknowledges: qos > 0,
            max_packet: MAX_OUTGOING_BYTES,
        }
    }

    /// Takes away what the broker says that it cannot do.
    fn narrow(&mut self, accepted: &v5_packets::ConnAck) {
        let Some(properties) = &accepted.properties else {
            return;
        };
        self.retain &= properties.retain_available != Some(0);
        self.acknowledges &= properties.max_qos != Some(0);
        if let Some(max) = properties.max_packet_size {
            self.max_packet = self.max_packet.min(usize::try_from(max).unwrap_or(usize::MAX));
        }
    }
}

fn v311(dial: &Dial) -> Result<Protocol, Fail> {
    use rumqttc_v4::{AsyncClient, Broker, MqttOptions, NetworkOptions, mqttbytes::QoS};
    let qos = if dial.abilities.acknowledges {
        QoS::AtLeastOnce
    } else {
        QoS::AtMostOnce
    };
    let will = v4_packets::LastWill::new(&dial.status_topic, OFFLINE, qos, dial.abilities.retain);
    let mut options = MqttOptions::new(&dial.client_id, Broker::tcp(&dial.host, dial.port));
    options
        .set_keep_alive(KEEP_ALIVE_SECS)
        .set_clean_session(true)
        .set_inflight(IN_FLIGHT)
        .set_max_packet_size(MAX_INCOMING_BYTES as usize, MAX_OUTGOING_BYTES)
        .set_last_will(will);
    if let Some((user, password)) = &dial.login {
        options.set_credentials(user, password.clone());
    }
    let connect = transport::connector(dial);
    options.set_socket_connector(move |_, _| connect());
    let built = AsyncClient::builder(options)
        .capacity(usize::from(IN_FLIGHT))
        .try_build();
    let (client, mut events) = built.map_err(|e| Fail::misconfigured("", e))?;
    let mut network = NetworkOptions::new();
    network.set_connection_timeout(CONNECT_TIMEOUT.as_secs());
    events.set_network_options(network);
    Ok(Protocol::V311(client, Box::new(events)))
}

fn v5(dial: &Dial) -> Result<Protocol, Fail> {
    use rumqttc_v5::{AsyncClient, Broker, MqttOptions, NetworkOptions, mqttbytes::QoS};
    let qos = if dial.abilities.acknowledges {
        QoS::AtLeastOnce
    } else {
        QoS::AtMostOnce
    };
    let will = v5_packets::LastWill::new(&dial.status_topic, OFFLINE, qos, dial.abilities.retain, None);
    let mut options = MqttOptions::new(&dial.client_id, Broker::tcp(&dial.host, dial.port));
    let mut network = NetworkOptions::new();
    network.set_connection_timeout(CONNECT_TIMEOUT.as_secs());
    options
        .set_keep_alive(KEEP_ALIVE_SECS)
        .set_clean_start(true)
        .set_outgoing_inflight_upper_limit(IN_FLIGHT)
        .set_max_packet_size(Some(MAX_INCOMING_BYTES))
        .set_network_options(network)
        .set_last_will(will);
    if let Some((user, password)) = &dial.login {
        options.set_credentials(user, password.clone());
    }
    let connect = transport::connector(dial);
    options.set_socket_connector(move |_, _| connect());
    let built = AsyncClient::builder(options)
        .capacity(usize::from(IN_FLIGHT))
        .try_build();
    let (client, events) = built.map_err(|e| Fail::misconfigured("", e))?;
    Ok(Protocol::V5(client, Box::new(events)))
}
