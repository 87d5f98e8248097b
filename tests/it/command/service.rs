//! `serve` and `healthcheck`: what is said at start, an orderly end, and how a probe sees it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use super::program::{Place, SECRET};

/// A running `serve`, ended by SIGTERM at the latest when dropped.
struct Served {
    child: Child,
    said: Vec<String>,
}

impl Served {
    /// Starts it and reads what it says up to the line that holds `until`.
    fn start(place: &Place, until: &str) -> Served {
        let mut child =
            place.command(&["serve"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = Vec::new();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        loop {
            let mut line = String::new();
            assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "ended after {said:#?}");
            said.push(line.clone());
            if line.contains(until) {
                break;
            }
        }
        child.stderr = Some(stderr.into_inner());
        Served { child, said }
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
