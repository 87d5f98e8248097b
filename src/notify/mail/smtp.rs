//! One conversation with a mail server: greeting, TLS, sign-in, a mail, farewell; and what its answers mean.
//!
//! Recipients are taken one by one: who is refused does not keep the others from being told. From the first byte of the
//! mail until the answer to its last one nobody knows whether it was taken. The server's words are never passed on, they
//! quote addresses.

use std::error::Error as _;
use std::time::Duration;

use lettre::transport::smtp;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use secrecy::ExposeSecret;

use super::super::{Error, Word};
use super::{Address, Server, Tls};
use crate::outbound::http::Cause;
use crate::outbound::{SetupError, Timeouts, Trouble};

pub(super) type Connection = AsyncSmtpConnection;

/// The answer to a mail that was taken (RFC 5321, 4.2.3).
pub(super) const TAKEN: u16 = 250;

/// What is needed for each connection, made once: TLS reads the system's certificates.
pub(super) struct Dialer {
    server: Server,
    tls: Option<TlsParameters>,
    hello: ClientId,
    connect_within: Duration,
}

/// A mail may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Admitted {
    /// Recipients that the server would not have.
    pub refused: usize,
}

/// How far the conversation was; it says what a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Greeting,
    StartTls,
    Login,
    From,
    To,
    Mail,
}

impl Dialer {
    pub fn new(server: &Server) -> Result<Dialer, SetupError> {
        crate::outbound::install_crypto();
        let tls = match server.tls {
            Tls::Implicit | Tls::StartTls => {
                let made = TlsParameters::new(server.host.clone());
                Some(made.map_err(|_| SetupError::Client("TLS for SMTP_URL".to_owned()))?)
            }
            Tls::Loopback => None,
        };
        Ok(Dialer {
            server: server.clone(),
            tls,
            hello: ClientId::default(),
            connect_within: Timeouts::default().connect,
        })
    }

    /// A connection on which a mail can be begun.
    pub async fn dial(&self) -> Result<Connection, Error> {
        let server = (self.server.host.as_str(), self.server.port);
        let at_once = self.tls.clone().filter(|_| self.server.tls == Tls::Implicit);
        let within = Some(self.connect_within);
        let dialed = Connection::connect_tokio1(server, within, &self.hello, at_once, None).await;
        let mut connection = dialed.map_err(|error| judge(Step::Greeting, &error))?;
        if let (Tls::StartTls, Some(tls)) = (self.server.tls, &self.tls) {
            let secured = connection.starttls(tls.clone(), &self.hello).await;
            secured.map_err(|error| judge(Step::StartTls, &error))?;
        }
        if let Some(login) = &self.server.login {
            let password = login.password.expose_secret().to_owned();
            let credentials = Credentials::new(login.user.clone(), password);
            let signed_in = connection.auth(DEFAULT_MECHANISMS, &credentials).await;
            signed_in.map_err(|error| judge(Step::Login, &error))?;
        }
        Ok(connection)
    }
}

/// Announces a mail for everybody whom the server takes. Nothing of it has left.
pub(super) async fn begin(
    connection: &mut Connection,
    from: &Address,
    to: &[Address],
) -> Result<Admitted, Error> {
    let begun = connection.command(Mail::new(Some(from.0.email.clone()), vec![])).await;
    begun.map_err(|error| judge(Step::From, &error))?;
    let mut refusals = Vec::new();
    for Address(mailbox) in to {
        if let Err(error) = connection.command(Rcpt::new(mailbox.email.clone(), vec![])).await {
            // Only an answer leaves the conversation where it was.
            error.status().ok_or_else(|| judge(Step::To, &error))?;
            refusals.push(judge(Step::To, &error));
        }
    }
    let refused = refusals.len();
    if refused == to.len() {
        // Whoever is only put off is tried again soon, with all the others.
        let put_off = refusals.iter().position(|error| matches!(error, Error::PutOff(_)));
        return Err(refusals.swap_remove(put_off.unwrap_or(0)));
    }
    let admitted = connection.command(Data).await;
    admitted.map_err(|error| judge(Step::To, &error))?;
    Ok(Admitted { refused })
}

/// Hands `mail` in. From here on it may be taken although no answer comes.
pub(super) async fn hand_in(connection: &mut Connection, mail: &[u8]) -> Result<(), Error> {
    let taken = connection.message(mail).await;
    taken.map(drop).map_err(|error| judge(Step::Mail, &error))
}

/// The code that the server answered with, for the metrics.
pub(super) fn code(error: &Error) -> Option<u16> {
    match error {
        Error::Refused { word, .. } | Error::PutOff(word) => {
            word.as_str().strip_prefix("smtp_")?.parse().ok()
        }
        _ => None,
    }
}

fn judge(step: Step, error: &smtp::Error) -> Error {
    if let Some(code) = error.status() {
        let word = Word::read(&format!("smtp_{}", u16::from(code)));
        return match error.is_transient() {
            true => Error::PutOff(word),
            false => Error::Refused { word, advice: advice(step) },
        };
    }
    if error.is_client() {
        let advice = match step {
            Step::StartTls => {
                "the server offers no STARTTLS: write smtps:// in SMTP_URL, or ask for its port with TLS"
            }
            _ => "the server offers no way to sign in that Lockstep knows (PLAIN, LOGIN)",
        };
        return Error::Refused { word: Word::read("not_offered"), advice };
    }
    if is_about_a_certificate(error) {
        let advice = "the certificate of the mail server is not trusted for the name in SMTP_URL";
        return Error::Refused { word: Word::read("certificate"), advice };
    }
    Error::Trouble(match step {
        Step::Mail => Trouble::NoReply(cause(error)),
        _ => Trouble::NotSent(cause(error)),
    })
}

fn advice(step: Step) -> &'static str {
    match step {
        Step::Greeting | Step::StartTls => "the mail server takes no mail from here: ask whoever runs it",
        Step::Login => "check user and password in SMTP_URL",
        Step::From => "check MAIL_FROM, and that the user in SMTP_URL may send from it",
        Step::To => "check the addresses in MAIL_TO, and that the server takes mail for them from here",
        Step::Mail => "the mail server will not have the mail: ask whoever runs it what it filters",
    }
}

fn is_about_a_certificate(error: &smtp::Error) -> bool {
    causes(error).any(|io| {
        let inner = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
    })
}

fn cause(error: &smtp::Error) -> Cause {
    use std::io::ErrorKind;
    match causes(error).next().map(std::io::Error::kind) {
        Some(ErrorKind::TimedOut) => Cause::TimedOut,
        Some(ErrorKind::ConnectionRefused) => Cause::Refused,
        Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof) => Cause::Reset,
        Some(_) => Cause::Other,
        // An answer that breaks off has no error of the system beneath it.
        None if error.is_response() => Cause::Reset,
        None => Cause::Other,
    }
}

fn causes(error: &smtp::Error) -> impl Iterator<Item = &std::io::Error> {
    let chain = std::iter::successors(error.source(), |inner| (*inner).source());
    chain.filter_map(|inner| inner.downcast_ref::<std::io::Error>())
}
