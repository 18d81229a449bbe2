//! How a broker is reached, and what is said when it is not.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::{
    ConnectReturnCode, ConnectionError, LastWill, MqttOptions, NetworkOptions, QoS, StateError,
    TlsConfiguration, TlsError, Transport,
};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

use crate::app::daemon::read_token;
use crate::app::daemon::trust::read_certificates;
use crate::error::{Error, Result};
use crate::pipeline::config::{BrokerAddress, MqttConfig};

/// A broker that was not heard for so long is asked whether it is there; after as long again the connection is over.
const ALIVE: Duration = Duration::from_secs(15);
/// Seconds for a connection to be made, TLS and all, and for anything to be written.
const CONNECT: u64 = 15;
/// Bytes of what is said at most; the library ends the connection if a message is longer than it was told.
pub const LARGEST: usize = 512 << 10;
/// Bytes of a message that comes, and of one that goes with its topic, at most.
const MESSAGE: [usize; 2] = [16 << 10, LARGEST + (4 << 10)];
/// Messages handed over before the first of them is acknowledged: more than there are events and states.
const IN_FLIGHT: u16 = 250;

/// How a broker is reached.
pub struct Broker {
    config: MqttConfig,
    address: BrokerAddress,
    tls: Option<Arc<ClientConfig>>,
    /// Never shown.
    password: Option<String>,
}

impl Broker {
    /// The broker that a config names.
    ///
    /// # Errors
    /// `Config` or `Io` if password or certificates cannot be read.
    pub fn new(config: &MqttConfig) -> Result<Self> {
        let address = config.address()?;
        let tls = address.tls.then(|| tls(config)).transpose()?.map(Arc::new);
        let mut broker = Self { config: config.clone(), address, tls, password: None };
        broker.read_password()?;
        Ok(broker)
    }

    /// Reads the password again: it may have been changed.
    ///
    /// # Errors
    /// `Config` or `Io` if it cannot be read; then the old one stays.
    pub fn read_password(&mut self) -> Result<()> {
        if let Some(file) = &self.config.password_file {
            self.password = Some(read_token(file, "mqtt.password_file")?);
        }
        Ok(())
    }

    /// What a connection is told, and its network.
    pub fn options(&self) -> (MqttOptions, NetworkOptions) {
        let BrokerAddress { host, port, .. } = &self.address;
        let name = format!("tamis-{}", self.config.device());
        let mut options = MqttOptions::new(name, host, *port);
        // What is not acknowledged is kept here: a broker that begins anew knows nothing of it.
        options.set_clean_session(true).set_keep_alive(ALIVE).set_inflight(IN_FLIGHT);
        options.set_max_packet_size(MESSAGE[0], MESSAGE[1]);
        options.set_last_will(LastWill::new(self.topic("online"), "0", QoS::AtLeastOnce, true));
        if let Some(user) = &self.config.user {
            options.set_credentials(user, self.password.as_deref().unwrap_or_default());
        }
        if let Some(tls) = &self.tls {
            options
                .set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls.clone())));
        }
        let mut network = NetworkOptions::new();
        network.set_connection_timeout(CONNECT);
        network.set_tcp_nodelay(true);
        (options, network)
    }

    /// A topic of this sender.
    pub fn topic(&self, rest: &str) -> String {
        format!("{}/{rest}", self.config.prefix())
    }

    /// What went wrong.
    pub fn words(&self, e: &ConnectionError) -> String {
        match e {
            ConnectionError::ConnectionRefused(code) => match code {
                ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized => {
                    match self.config.user {
                        Some(_) => "the broker refuses user or password; see mqtt.user and mqtt.password_file",
                        None => "the broker wants user and password; set mqtt.user and mqtt.password_file",
                    }
                    .into()
                }
                ConnectReturnCode::BadClientId => {
                    format!("the broker refuses the name tamis-{}", self.config.device())
                }
                ConnectReturnCode::RefusedProtocolVersion => {
                    "the broker does not speak MQTT 3.1.1".into()
                }
                _ => "the broker says that it is not available".into(),
            },
            ConnectionError::NetworkTimeout => "it takes too long to connect".into(),
            ConnectionError::FlushTimeout => "it takes too long to send".into(),
            ConnectionError::Tls(TlsError::Io(e)) => format!("TLS: {e}"),
            ConnectionError::Tls(e) => format!("TLS: {e}"),
            ConnectionError::Io(e) => io(e),
            ConnectionError::MqttState(e) => match e {
                StateError::Io(e) | StateError::Deserialization(rumqttc::Error::Io(e)) => io(e),
                StateError::AwaitPingResp => "the broker no longer answers".into(),
                StateError::ConnectionAborted => "the broker closed the connection".into(),
                e => format!("what answers there is no MQTT broker, or a broken one: {e}"),
            },
            ConnectionError::NotConnAck(_) => "what answers there is no MQTT broker".into(),
            ConnectionError::RequestsDone => "the connection was given up".into(),
        }
    }
}

fn io(e: &std::io::Error) -> String {
    match e.kind() {
        ErrorKind::ConnectionRefused => "no broker listens there".into(),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            "the broker closed the connection".into()
        }
        ErrorKind::InvalidData => format!("TLS: {e}"),
        // The system's word for it has no kind of its own.
        _ if e.to_string().contains("lookup address") => {
            format!("its name is not found (DNS): {e}")
        }
        _ => format!("the connection failed: {e}"),
    }
}

/// TLS by the authorities that a config names, or by the public ones.
fn tls(config: &MqttConfig) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let wrong = |e: rustls::Error| Error::config("mqtt.ca_file", e);
    match &config.ca_file {
        Some(file) => {
            for certificate in read_certificates(file, "mqtt.ca_file")? {
                let der = CertificateDer::from(certificate.der().to_vec());
                roots.add(der).map_err(wrong)?;
            }
        }
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(wrong)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
