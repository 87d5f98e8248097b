//! RabbitMQ through lapin.

use secrecy::SecretString;

/// How to reach the broker.
#[derive(Debug, Clone)]
pub struct Settings {
    /// One or more `amqp(s)://` URLs with credentials, tried in turn.
    pub urls: Vec<SecretString>,
    /// Prefix of every queue and exchange name; `lockstep` unless several installations share a virtual host.
    pub prefix: String,
}
