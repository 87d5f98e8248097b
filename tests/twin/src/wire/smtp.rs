//! A mail server that takes mail and sends none on (RFC 5321): EHLO, MAIL, RCPT, DATA, RSET, NOOP, QUIT; with TLS and
//! sign-in (RFC 3207, RFC 4954: PLAIN) where the setup wants them. Each command is a request in the journal, its verb the route; a fault on `DATA` strikes when the mail has
//! arrived. What no careful client sends is loud.

mod letter;
pub(crate) mod tls;

use super::State;
use crate::faults::{Fault, Request, Strike, Vendor};
use crate::journal::{Complaint, Entry, Outcome};
use crate::setup::MailDoor;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tls::Stream;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// RFC 5321, 4.5.3.1.4: 512 octets with CRLF; what extensions add is not offered.
const COMMAND_BYTES_MAX: usize = 512;
/// RFC 5321, 4.5.3.1.7 asks for 64 kB at least.
const MAIL_BYTES_MAX: usize = 1_048_576;
/// RFC 5321, 4.5.3.1.6, without CRLF.
const LINE_BYTES_MAX: usize = 998;
/// Who is not here: `nobody@` any domain.
const STRANGER: &str = "nobody@";

const VERBS: [&str; 10] =
    ["EHLO", "HELO", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "QUIT", "STARTTLS", "AUTH"];

/// Why a conversation is over.
struct Over;

struct Conversation {
    state: Arc<State>,
    stream: BufReader<Stream>,
    is_sealed: bool,
    has_greeted: bool,
    has_signed_in: bool,
    from: Option<String>,
    to: Vec<String>,
}

/// Talks to one client until either side hangs up.
pub(crate) async fn connection(state: Arc<State>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let door = state.setup.mail_door;
    let stream: Stream = Box::new(stream);
    let is_sealed = door == MailDoor::Implicit;
    let stream = if is_sealed { tls::seal(stream).await } else { Some(stream) };
    let Some(stream) = stream else { return };
    let mut talk = Conversation {
        state,
        stream: BufReader::new(stream),
        is_sealed,
        has_greeted: false,
        has_signed_in: door == MailDoor::Open,
        from: None,
        to: Vec::new(),
    };
    if talk.say("220 mail.contoso-twin.example ESMTP").await.is_ok() {
        while talk.command().await.is_ok() {}
    }
}

impl Conversation {
    async fn command(&mut self) -> Result<(), Over> {
        let line = self.line(COMMAND_BYTES_MAX).await?;
        let at = Instant::now();
        let (word, argument) = line.split_once(' ').unwrap_or((&line, ""));
        let verb = VERBS.into_iter().find(|verb| word.eq_ignore_ascii_case(verb));
        let Some(verb) = verb else {
            self.complain("unmatched", format!("unknown command {word}"));
            return self.answer(at, "unmatched", argument, "500 5.5.1 what?", None).await;
        };
        let strike = self.strike(verb, argument);
        if strike.refuse {
            self.write_down(at, verb, argument, 0, Outcome::Refused, Bytes::new());
            return Err(Over);
        }
        if verb == "DATA" {
            return self.data(at, strike).await;
        }
        let reply = match fault(&strike, argument) {
            Some(reply) => reply,
            None => self.perform(verb, argument),
        };
        self.answer(at, verb, shown(verb, argument), &reply, Some(strike)).await?;
        match verb {
            "QUIT" => Err(Over),
            "STARTTLS" if reply.starts_with("220") => self.seal().await,
            _ => Ok(()),
        }
    }

    /// Whatever was said before TLS is forgotten (RFC 3207, 4.2).
    async fn seal(&mut self) -> Result<(), Over> {
        (self.has_greeted, self.has_signed_in) = (false, false);
        self.forget();
        // What came with the command and before the handshake goes with the buffer.
        let bare = std::mem::replace(self.stream.get_mut(), Box::new(tokio::io::empty()));
        self.stream = BufReader::new(tls::seal(bare).await.ok_or(Over)?);
        self.is_sealed = true;
        Ok(())
    }

    /// What may be asked for now besides mail.
    fn offers(&self, verb: &str) -> bool {
        match verb {
            "STARTTLS" => self.state.setup.mail_door == MailDoor::StartTls && !self.is_sealed,
            "AUTH" => self.is_sealed,
            _ => false,
        }
    }

    fn strike(&self, verb: &'static str, path: &str) -> Strike {
        self.state.faults.take(&Request { vendor: Vendor::Mail, method: verb, route: verb, path })
    }

    fn perform(&mut self, verb: &'static str, argument: &str) -> String {
        let bad_order = "503 5.5.1 not now".to_owned();
        match verb {
            "EHLO" => {
                self.has_greeted = true;
                self.forget();
                let offers = ["STARTTLS", "AUTH"].into_iter().filter(|verb| self.offers(verb));
                let offers =
                    offers.map(|verb| if verb == "AUTH" { "250-AUTH PLAIN\r\n" } else { "250-STARTTLS\r\n" });
                let offers: String = offers.collect();
                format!(
                    "250-mail.contoso-twin.example\r\n{offers}250-ENHANCEDSTATUSCODES\r\n250 SIZE 1048576"
                )
            }
            "STARTTLS" if self.offers(verb) => "220 2.0.0 go on".to_owned(),
            "AUTH" if self.offers(verb) && self.has_greeted => {
                self.has_signed_in = is_plain(argument, &self.state.setup.mail_login);
                let reply = if self.has_signed_in { "235 2.7.0 welcome" } else { "535 5.7.8 who are you?" };
                reply.to_owned()
            }
            "MAIL" if !self.has_signed_in => "530 5.7.0 sign in first".to_owned(),
            "MAIL" if self.has_greeted && self.from.is_none() => match path(argument, "FROM:") {
                Some(from) => {
                    self.from = Some(from);
                    "250 2.1.0 ok".to_owned()
                }
                None => self.odd(verb, argument),
            },
            "RCPT" if self.from.is_some() => match path(argument, "TO:") {
                // Servers quote what they refuse; nobody may pass that on.
                Some(to) if to.starts_with(STRANGER) => format!("550 5.1.1 <{to}>: no such user here"),
                Some(to) => {
                    self.to.push(to);
                    "250 2.1.5 ok".to_owned()
                }
                None => self.odd(verb, argument),
            },
            "RSET" => {
                self.forget();
                "250 2.0.0 ok".to_owned()
            }
            "NOOP" => "250 2.0.0 ok".to_owned(),
            "QUIT" => "221 2.0.0 bye".to_owned(),
            "STARTTLS" | "AUTH" | "HELO" => {
                self.complain(verb, format!("{verb} was not offered"));
                "502 5.5.1 not offered".to_owned()
            }
            _ => {
                self.complain(verb, format!("{verb} out of order"));
                bad_order
            }
        }
    }

    fn odd(&self, verb: &'static str, argument: &str) -> String {
        self.complain(verb, format!("{verb} with {argument}"));
        "501 5.5.4 what?".to_owned()
    }

    fn forget(&mut self) {
        self.from = None;
        self.to.clear();
    }

    async fn data(&mut self, at: Instant, strike: Strike) -> Result<(), Over> {
        let Some(from) = self.from.clone().filter(|_| !self.to.is_empty()) else {
            let reply =
                if self.from.is_some() { "554 5.5.1 no valid recipients" } else { "503 5.5.1 not now" };
            self.complain("DATA", "DATA without anybody to get it".to_owned());
            return self.answer(at, "DATA", "", reply, Some(strike)).await;
        };
        self.say("354 go on").await?;
        let raw = self.mail().await?;
        let to = std::mem::take(&mut self.to);
        self.forget();
        let reply = fault(&strike, &to.join(">,<")).unwrap_or_else(|| {
            let (letter, oddities) = letter::read(from, to, &raw);
            oddities.into_iter().for_each(|odd| self.complain("DATA", odd));
            self.state.world().take_letter(letter);
            "250 2.0.0 taken".to_owned()
        });
        let outcome = if strike.lose_reply { Outcome::ReplyLost } else { Outcome::Answered };
        super::server::run_effects(&self.state, strike.after);
        self.write_down(at, "DATA", "", code(&reply), outcome, Bytes::from(raw));
        tokio::time::sleep(strike.stall.unwrap_or_default()).await;
        if strike.lose_reply { Err(Over) } else { self.say(&reply).await }
    }

    /// Until the line that holds a single dot, with the dots that were added taken away (RFC 5321, 4.5.2).
    async fn mail(&mut self) -> Result<String, Over> {
        let mut raw = String::new();
        loop {
            let line = self.line(MAIL_BYTES_MAX).await?;
            if line == "." {
                return Ok(raw);
            }
            if line.len() > LINE_BYTES_MAX {
                self.complain("DATA", "a line of more than 998 octets".to_owned());
            }
            raw.push_str(line.strip_prefix('.').unwrap_or(&line));
            raw.push_str("\r\n");
            if raw.len() > MAIL_BYTES_MAX {
                return Err(Over);
            }
        }
    }

    /// A line without its CRLF.
    async fn line(&mut self, bytes_max: usize) -> Result<String, Over> {
        let mut bytes = Vec::new();
        let limit = u64::try_from(bytes_max).expect("a small number");
        let read = (&mut self.stream).take(limit).read_until(b'\n', &mut bytes).await;
        match read {
            Ok(0) | Err(_) => return Err(Over),
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match text.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => {
                self.complain("unmatched", "a line that is too long or ends without CRLF".to_owned());
                Err(Over)
            }
        }
    }

    async fn answer(
        &mut self,
        at: Instant,
        verb: &'static str,
        argument: &str,
        reply: &str,
        strike: Option<Strike>,
    ) -> Result<(), Over> {
        let strike = strike.unwrap_or_default();
        let outcome = if strike.lose_reply { Outcome::ReplyLost } else { Outcome::Answered };
        super::server::run_effects(&self.state, strike.after);
        self.write_down(at, verb, argument, code(reply), outcome, Bytes::new());
        tokio::time::sleep(strike.stall.unwrap_or(Duration::ZERO)).await;
        if strike.lose_reply { Err(Over) } else { self.say(reply).await }
    }

    async fn say(&mut self, reply: &str) -> Result<(), Over> {
        self.stream.write_all(format!("{reply}\r\n").as_bytes()).await.map_err(|_| Over)
    }

    fn complain(&self, route: &'static str, text: String) {
        self.state.journal.complain(Complaint { vendor: Vendor::Mail, route, text });
    }

    fn write_down(
        &self,
        at: Instant,
        verb: &'static str,
        argument: &str,
        status: u16,
        outcome: Outcome,
        body: Bytes,
    ) {
        self.state.journal.write(Entry {
            seq: 0,
            at,
            vendor: Vendor::Mail,
            route: verb,
            method: verb.into(),
            path: argument.into(),
            status,
            outcome,
            correlation: None,
            user_agent: None,
            in_batch: false,
            body,
        });
    }
}

/// What is written down of a command: no password.
fn shown<'a>(verb: &str, argument: &'a str) -> &'a str {
    if verb == "AUTH" { argument.split(' ').next().unwrap_or_default() } else { argument }
}

/// `PLAIN` and what RFC 4616 wants, in base64.
fn is_plain(argument: &str, (user, password): &(String, String)) -> bool {
    let given = argument.strip_prefix("PLAIN ").and_then(|given| STANDARD.decode(given).ok());
    given.is_some_and(|given| given == format!("\0{user}\0{password}").into_bytes())
}

fn fault(strike: &Strike, argument: &str) -> Option<String> {
    match strike.instead {
        Some(Fault::Status(status)) => Some(format!("{status} 5.0.0 <{argument}>: the twin says so")),
        Some(Fault::Throttle { .. }) => Some(format!("451 4.7.1 <{argument}>: come again later")),
        _ => None,
    }
}

fn code(reply: &str) -> u16 {
    reply.get(..3).and_then(|code| code.parse().ok()).unwrap_or_default()
}

/// `FROM:<a@b>`; parameters are not offered.
fn path(argument: &str, word: &str) -> Option<String> {
    let (given, rest) = argument.split_at_checked(word.len())?;
    let address = rest.strip_prefix('<')?.strip_suffix('>')?;
    (given.eq_ignore_ascii_case(word) && address.contains('@')).then(|| address.to_owned())
}
