//! `serve` and `healthcheck`: what is said at start, an orderly end, and how a probe sees it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use super::program::{Place, SECRET};

/// Far more than an honest request takes, less than a stranger is waited for.
const PROMPT: Duration = Duration::from_secs(4);

/// A running `serve`, ended by SIGTERM at the latest when dropped.
pub struct Served {
    child: Child,
    stderr: BufReader<ChildStderr>,
    pub said: Vec<String>,
}

impl Served {
    /// Starts it and reads what it says up to the line that holds `until`.
    pub fn start(place: &Place, until: &str) -> Served {
        Served::start_with(place.command(&["serve"]), until)
    }

    fn start_with(mut command: Command, until: &str) -> Served {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut served = Served { child, stderr, said: Vec::new() };
        served.hear(until);
        served
    }

    /// Reads on up to a line that holds `until`.
    pub fn hear(&mut self, until: &str) {
        loop {
            let mut line = String::new();
            assert_ne!(self.stderr.read_line(&mut line).unwrap(), 0, "ended after {:#?}", self.said);
            self.said.push(line);
            if self.said.last().is_some_and(|line| line.contains(until)) {
                return;
            }
        }
    }

    /// What was said after `name`.
    fn address(&self, name: &str) -> String {
        let rest = self.said.iter().rev().find_map(|line| Some(line.split_once(name)?.1));
        rest.unwrap_or_else(|| panic!("{:#?}", self.said)).split_whitespace().next().unwrap().to_owned()
    }

    /// The answer of the listener that was said after `name`, head and body.
    pub fn get(&self, name: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address(name)).unwrap();
        stream.set_read_timeout(Some(PROMPT)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn terminate(&self) {
        let id = libc::pid_t::try_from(self.child.id()).unwrap();
        // SAFETY: sends a signal to a process that we started and have not waited for.
        unsafe { libc::kill(id, libc::SIGTERM) };
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.terminate();
        let _ = self.child.wait();
    }
}

#[test]
fn serve_says_what_it_is_on_stderr_and_ends_with_0_on_sigterm() {
    let mut place = Place::complete();
    place.set("RUST_LOG", "lockstep=info");
    let mut served = Served::start(&place, "ready");
    let said = served.said.concat();
    for told in [
        concat!("lockstep ", env!("CARGO_PKG_VERSION")),
        "OBSERVE MODE",
        "embedded in",
        "SQLite",
        "/webhooks/graph",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    assert!(!said.contains(SECRET), "{said}");
    served.terminate();
    let mut out = String::new();
    served.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert_eq!((served.child.wait().unwrap().code(), out.as_str()), (Some(0), ""));
}

/// As the program's manual says: `ulimit -n`.
fn allow_files(command: &mut Command, most: libc::rlim_t) {
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    let set = move || match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    };
    // SAFETY: `setrlimit` only reads what it is given, and may be called between fork and exec.
    unsafe { command.pre_exec(set) };
}

#[test]
fn with_few_open_files_unfinished_bodies_keep_no_honest_sender_out() {
    const FILES: libc::rlim_t = 256;
    let mut place = Place::complete();
    place
        .set("RUST_LOG", "lockstep=info")
        .set("RISK_WEBHOOK_SECRET", "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=");
    let mut command = place.command(&["serve"]);
    allow_files(&mut command, FILES);
    let served = Served::start_with(command, "ready");
    let public = served.address("public=");
    // Far more than it holds: half of the files are for connections.
    let strangers: Vec<TcpStream> = (0..FILES).map(|_| begin(&public)).collect();
    let mut honest = TcpStream::connect(&public).unwrap();
    honest.set_read_timeout(Some(PROMPT)).unwrap();
    honest
        .write_all(
            b"POST /webhooks/graph?validationToken=abc HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n",
        )
        .unwrap();
    let mut answer = [0; 12];
    honest.read_exact(&mut answer).expect("it was not served promptly");
    assert_eq!(&answer, b"HTTP/1.1 200");
    drop(strangers);
}

/// A head that only the body could prove wrong, and the first byte of a body that never comes.
fn begin(public: &str) -> TcpStream {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let mut stream = TcpStream::connect(public).unwrap();
    let head = format!(
        "POST /webhooks/risk HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nwebhook-id: msg_x\r\n\
         webhook-timestamp: {now}\r\nwebhook-signature: v1,AAAA\r\ncontent-length: 1000\r\n\r\n "
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

#[test]
fn with_json_logs_the_first_line_is_json_too() {
    let mut place = Place::complete();
    place.set("LOCKSTEP_LOG_FORMAT", "json");
    let served = Served::start(&place, "lockstep starts");
    let line: serde_json::Value = serde_json::from_str(&served.said[0]).unwrap();
    assert_eq!(line["settings"]["mode"], "observe", "{line:#}");
}

#[test]
fn serve_refuses_a_bad_configuration_before_it_touches_anything() {
    let mut place = Place::complete();
    place.set("AUTH0_DOMAIN", "https://contoso.eu.auth0.com/");
    assert_eq!(place.run(&["serve"]).code, 78);
    assert!(!place.path("data").exists());
}

#[test]
fn healthcheck_is_1_where_nobody_answers() {
    let mut place = Place::new();
    place.set("LOCKSTEP_ADMIN_LISTEN", "127.0.0.1:9");
    let ran = place.run(&["healthcheck"]);
    assert_eq!((ran.code, ran.out.trim()), (1, "127.0.0.1:9 does not answer"));
    assert_eq!(place.run(&["healthcheck", "--json"]).json()["ready"], false);
}
