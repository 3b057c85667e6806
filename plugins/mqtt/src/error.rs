//! What it means when the broker refuses a message or a connection ends, and which key may be to blame.

use std::io;

use rumqttc_v5::mqttbytes::Error as V5Error;
use rumqttc_v5::mqttbytes::v5::{ConnectReturnCode, DisconnectReasonCode, PubAckReason};
use watchpost_sink::Fail;
use watchpost_sink::net::{Cause, Unreachable};

use crate::config::Version;
use crate::wire::Ended;

/// MQTT 5: "Packet too large". Not among the reasons that a PUBACK may have, and given in one all the same.
const PACKET_TOO_LARGE: u8 = 0x95;

/// Reasons of refusals that a PUBACK may not have begin here, as all refusals do.
const FIRST_REFUSAL: u8 = 0x80;

/// The broker does not want a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// It would take a smaller one.
    pub(crate) too_large: bool,
    /// What becomes of the alert.
    pub(crate) fail: Fail,
}

impl Refusal {
    fn new(fail: Fail) -> Self {
        Self {
            too_large: false,
            fail,
        }
    }

    fn too_large() -> Self {
        Self {
            too_large: true,
            fail: Fail::permanent("the message is larger than the broker takes; raise the broker's limit"),
        }
    }
}

/// What the broker thinks of a message. Only version 5 can say no.
pub(crate) fn verdict(reason: PubAckReason) -> Result<(), Refusal> {
    Err(Refusal::new(match reason {
        PubAckReason::Success | PubAckReason::NoMatchingSubscribers => return Ok(()),
        PubAckReason::NotAuthorized => Fail::misconfigured(
            "/topic",
            "the broker does not let this user publish to the topic; change its access list, or the topics",
        ),
        PubAckReason::TopicNameInvalid => Fail::misconfigured(
            "/topic",
            "the broker does not take the topic's name; set other topics",
        ),
        PubAckReason::QuotaExceeded => Fail::misconfigured("", "the broker's quota is used up"),
        PubAckReason::PayloadFormatInvalid => Fail::permanent("the broker does not take the payload"),
        other => Fail::retry(format_args!("the broker refused the message: {other:?}")),
    }))
}

/// A reason that the library does not know.
fn odd_reason(reason: u8) -> Ended {
    match reason {
        PACKET_TOO_LARGE => Ended::Refused(Refusal::too_large()),
        FIRST_REFUSAL.. => Ended::Refused(Refusal::new(Fail::retry(format_args!(
            "the broker refused the message for the reason {reason:#04x}"
        )))),
        _ => Ended::Broken(Fail::retry(format_args!(
            "the broker gave the reason {reason:#04x}, which means nothing"
        ))),
    }
}

/// How a connection of version 3.1.1 ended.
pub(crate) fn broken_v4(error: &rumqttc_v4::ConnectionError) -> Ended {
    use rumqttc_v4::mqttbytes::v4::ConnectReturnCode as Code;
    use rumqttc_v4::{ConnectionError as E, StateError, mqttbytes};
    Ended::Broken(match error {
        E::ConnectionRefused(Code::BadUserNamePassword | Code::NotAuthorized) => rejected_credentials(),
        E::ConnectionRefused(Code::BadClientId) => bad_client_id(),
        E::ConnectionRefused(Code::RefusedProtocolVersion) => other_version("5"),
        E::ConnectionRefused(code) => {
            Fail::retry(format_args!("the broker refused the connection: {code:?}"))
        }
        E::NetworkTimeout | E::FlushTimeout => silent(),
        E::Io(e) | E::MqttState(StateError::Io(e) | StateError::Deserialization(mqttbytes::Error::Io(e))) => {
            io_failed(e)
        }
        E::MqttState(StateError::ConnectionAborted) => closed(),
        other => Fail::retry(format_args!("the connection to the broker broke: {other}")),
    })
}

/// How a connection of version 5 ended.
pub(crate) fn broken_v5(error: &rumqttc_v5::ConnectionError) -> Ended {
    use rumqttc_v5::{ConnectionError as E, StateError};
    Ended::Broken(match error {
        E::ConnectionRefused(code) | E::MqttState(StateError::ConnFail { reason: code }) => refused_v5(*code),
        E::Timeout(_) => silent(),
        E::MqttState(StateError::Deserialization(
            V5Error::InvalidReason(reason) | V5Error::InvalidConnectReturnCode(reason),
        )) => return odd_reason(*reason),
        E::Io(e) | E::MqttState(StateError::Io(e) | StateError::Deserialization(V5Error::Io(e))) => {
            io_failed(e)
        }
        E::MqttState(StateError::ConnectionAborted) => closed(),
        E::MqttState(StateError::ServerDisconnect { reason_code, .. }) => match reason_code {
            DisconnectReasonCode::PacketTooLarge => return Ended::Refused(Refusal::too_large()),
            DisconnectReasonCode::RetainNotSupported => no_retain(),
            DisconnectReasonCode::QoSNotSupported => no_acknowledgements(),
            DisconnectReasonCode::NotAuthorized => rejected_credentials(),
            code => Fail::retry(format_args!("the broker ended the connection: {code:?}")),
        },
        other => Fail::retry(format_args!("the connection to the broker broke: {other}")),
    })
}

fn refused_v5(code: ConnectReturnCode) -> Fail {
    use ConnectReturnCode as Code;
    match code {
        Code::BadUserNamePassword | Code::NotAuthorized | Code::Banned | Code::BadAuthenticationMethod => {
            rejected_credentials()
        }
        Code::ClientIdentifierNotValid | Code::BadClientId => bad_client_id(),
        Code::UnsupportedProtocolVersion | Code::RefusedProtocolVersion => other_version("3.1.1"),
        Code::RetainNotSupported => no_retain(),
        Code::QoSNotSupported => no_acknowledgements(),
        Code::TopicNameInvalid => Fail::misconfigured(
            "/status_topic",
            "the broker does not take the name of the status topic",
        ),
        code => Fail::retry(format_args!("the broker refused the connection: {code:?}")),
    }
}

/// The broker keeps no messages.
pub(crate) fn no_retain() -> Fail {
    Fail::misconfigured(
        "/retain",
        "the broker keeps no messages for later subscribers; set `retain = false`",
    )
}

/// The broker acknowledges nothing.
pub(crate) fn no_acknowledgements() -> Fail {
    Fail::misconfigured("/qos", "the broker does not acknowledge messages; set `qos = 0`")
}

fn rejected_credentials() -> Fail {
    Fail::misconfigured(
        "/user",
        "the broker rejected the credentials; set the right `user` and `password`",
    )
}

fn bad_client_id() -> Fail {
    Fail::misconfigured(
        "/client_id",
        "the broker does not accept this client's name; set the `client_id` that it knows",
    )
}

fn other_version(version: &str) -> Fail {
    Fail::misconfigured(
        "/version",
        format_args!("the broker does not speak this version; try `version = \"{version}\"`"),
    )
}

fn silent() -> Fail {
    Fail::retry("the broker does not answer")
}

fn closed() -> Fail {
    Fail::retry("the broker closed the connection")
}

/// What it may mean that a connection ended before the broker had accepted it; other failures say what they mean.
pub(crate) fn hung_up(version: Version, fail: Fail) -> Fail {
    if fail != closed() {
        return fail;
    }
    let hint = match version {
        Version::V5 => "it may not speak version 5: try `version = \"3.1.1\"`",
        Version::V311 => "it may lack what it is asked for: try `retain = false`, then `qos = 0`",
    };
    Fail::retry(format_args!(
        "the broker closed the connection before it accepted it; {hint}"
    ))
}

fn io_failed(error: &io::Error) -> Fail {
    let known = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Unreachable>());
    if let Some(unreachable) = known {
        return unreachable.clone().into_fail(|cause| match cause {
            Cause::NotTls => Some("/tls"),
            Cause::Authority | Cause::Certificate => Some("/ca_file"),
            Cause::OtherName => Some("/server"),
            Cause::ClientCertificate => Some("/cert_file"),
            _ => None,
        });
    }
    // With TLS 1.3 a server refuses a client's certificate after the handshake.
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    if let Some(rustls::Error::AlertReceived(alert)) = tls {
        return Fail::misconfigured(
            "/cert_file",
            format_args!(
                "the broker refused the encryption ({alert:?}); it may want `cert_file` and `key_file`"
            ),
        );
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
            closed()
        }
        _ => Fail::retry(format_args!("the connection to the broker broke: {error}")),
    }
}
