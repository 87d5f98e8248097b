//! A RabbitMQ node of a test's own, that may be killed, frozen and starved. Goes, with its data, when it is dropped.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A RabbitMQ of one test, made by tests/servers/rabbitmq.
pub struct Node {
    dir: tempfile::TempDir,
    url: String,
}

impl Node {
    pub fn start() -> Node {
        let dir = tempfile::tempdir().unwrap();
        let said = script(dir.path(), &["start"]);
        let url = said
            .lines()
            .find_map(|line| line.strip_prefix("export LOCKSTEP_TEST_AMQP_URL="))
            .unwrap_or_else(|| panic!("no URL in: {said}"));
        Node { url: url.to_owned(), dir }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// SIGKILL; the data stays.
    pub fn kill(&self) {
        script(self.dir.path(), &["kill"]);
    }

    /// On the same data and the same port.
    pub fn restart(&self) {
        script(self.dir.path(), &["restart"]);
    }

    pub fn freeze(&self) {
        script(self.dir.path(), &["pause"]);
    }

    pub fn thaw(&self) {
        script(self.dir.path(), &["resume"]);
    }

    /// The memory alarm of the broker, on and off.
    pub fn memory_limit(&self, limit: &str) {
        script(self.dir.path(), &["ctl", "set_vm_memory_high_watermark", "absolute", limit]);
    }

    /// Adds the user `user` with password `password` and these permissions.
    pub fn add_user(&self, configure: &str, write: &str, read: &str) {
        script(self.dir.path(), &["ctl", "add_user", "user", "password"]);
        script(self.dir.path(), &["ctl", "set_permissions", "user", configure, write, read]);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        script(self.dir.path(), &["stop"]);
    }
}

/// Runs `tests/servers/rabbitmq COMMAND DIR …` and answers what it said.
fn script(dir: &Path, command: &[&str]) -> String {
    let script: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "servers", "rabbitmq"].iter().collect();
    let done =
        Command::new("bash").arg(script).arg(command[0]).arg(dir).args(&command[1..]).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{command:?}: {said}{}", String::from_utf8_lossy(&done.stderr));
    said
}
