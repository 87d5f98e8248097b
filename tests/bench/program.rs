//! The program that is measured, in a process and a directory of its own.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use lockstep_twin::Twin;

pub const BINARY: &str = env!("CARGO_BIN_EXE_lockstep");
const READY_WAIT_MAX: Duration = Duration::from_secs(30);
/// Between two looks at whether it is ready; small against what is measured.
const LOOK_EVERY: Duration = Duration::from_micros(500);
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(2);

/// How a program is started: a fresh directory on the disk of the build, and the variables for this twin.
pub struct Place {
    dir: tempfile::TempDir,
    pub env: BTreeMap<String, String>,
    reach: Reach,
}

/// Whether the program knows an address at which Graph reaches it; with one it subscribes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Unknown,
    Told,
}

impl Place {
    pub fn new(twin: &Twin) -> anyhow::Result<Place> {
        // Not /tmp, which may be memory: durable writes are what is measured.
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let mut env = twin.env();
        let config = dir.path().join("lockstep.toml");
        // The brake would rightly stop so many lockouts; it is lifted by policy, as an operator would.
        fs::write(&config, "[contain.brake]\ncontainments = 100000\n")?;
        for (name, value) in [
            ("LOCKSTEP_DATA_DIR", dir.path().join("data").display().to_string()),
            ("LOCKSTEP_CONFIG", config.display().to_string()),
            ("LOCKSTEP_MODE", "enforce".to_owned()),
            ("RUST_LOG", "warn".to_owned()),
        ] {
            env.insert(name.to_owned(), value);
        }
        Ok(Place { dir, env, reach: Reach::Unknown })
    }

    /// The same with this policy beside the lifted brake.
    pub fn with_policy(twin: &Twin, policy: &str) -> anyhow::Result<Place> {
        let place = Place::new(twin)?;
        let mut file = File::options().append(true).open(place.path("lockstep.toml"))?;
        file.write_all(policy.as_bytes())?;
        Ok(place)
    }

    /// The program will be told its address, as soon as that is known.
    pub fn be_reached(&mut self) {
        self.reach = Reach::Told;
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    pub fn data(&self, file: &str) -> PathBuf {
        self.path("data").join(file)
    }

    /// Of Graph as much as can be set: its pace is not what is measured.
    pub fn ask_graph_freely(&mut self) {
        self.set("GRAPH_RESOURCE_UNITS_PER_SECOND", "10000");
    }

    /// Starts `serve` and returns when both listeners answer.
    pub fn serve(&self, arguments: &[&str]) -> anyhow::Result<Program> {
        let (public, admin) = (free_address()?, free_address()?);
        let said = self.path("stderr");
        let mut command = Command::new(BINARY);
        command.arg("serve").args(arguments).current_dir(self.dir.path());
        command.env_clear().envs(&self.env);
        command.env("LOCKSTEP_LISTEN", public.to_string()).env("LOCKSTEP_ADMIN_LISTEN", admin.to_string());
        if self.reach == Reach::Told {
            command.env("LOCKSTEP_PUBLIC_URL", format!("http://{public}/"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&said)?);
        let started = Instant::now();
        let mut program =
            Program { child: command.spawn()?, public, admin, ready_after: Duration::ZERO, said };
        program.until_ready(started)?;
        program.ready_after = started.elapsed();
        Ok(program)
    }
}

/// A running `serve`; ended by SIGTERM when dropped.
pub struct Program {
    child: Child,
    pub public: SocketAddr,
    pub admin: SocketAddr,
    /// From the start of the process to the first answer of both listeners.
    pub ready_after: Duration,
    said: PathBuf,
}

impl Program {
    fn until_ready(&mut self, started: Instant) -> anyhow::Result<()> {
        while !(get(self.admin, "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
            && get(self.public, "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 ")))
        {
            if self.child.try_wait()?.is_some() || started.elapsed() > READY_WAIT_MAX {
                bail!("the program is not ready; it said: {}", self.said());
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// What it wrote to stderr.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap_or_default()
    }

    /// `/metrics`, as text.
    pub fn metrics(&self) -> anyhow::Result<String> {
        get(self.admin, "/metrics").context("/metrics does not answer")
    }

    /// One metric by its name with labels; 0 when it is not there yet.
    pub fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let text = self.metrics()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.map_or(Ok(0.0), str::parse)?)
    }

    /// Processor time that it has used so far: unlike a rate, it does not depend on what else the machine does.
    pub fn processor_time(&self) -> anyhow::Result<Duration> {
        // USER_HZ; the kernel shows times to programs in this unit on every architecture that we run on (proc(5)).
        const TICKS_PER_SECOND: f64 = 100.0;
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields = stat.rsplit_once(')').context("no name in /proc/pid/stat")?.1;
        // After the name, fields 14 and 15 are user and system time.
        let ticks: Vec<f64> =
            fields.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
        Ok(Duration::from_secs_f64(ticks.iter().sum::<f64>() / TICKS_PER_SECOND))
    }

    /// Memory that is in use now, in MB (10^6 bytes).
    pub fn resident_mb(&self) -> anyhow::Result<f64> {
        self.memory_mb("VmRSS:")
    }

    /// The most that was ever in use.
    pub fn resident_peak_mb(&self) -> anyhow::Result<f64> {
        self.memory_mb("VmHWM:")
    }

    fn memory_mb(&self, field: &str) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let line = line.with_context(|| format!("no {field} in /proc/pid/status"))?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024.0 / 1e6)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Ok(id) = libc::pid_t::try_from(self.child.id()) {
            // SAFETY: sends a signal to a process that we started and have not waited for.
            unsafe { libc::kill(id, libc::SIGTERM) };
        }
        // It ends by itself within its grace time; there is nothing to do about one that does not.
        let _ = self.child.wait();
    }
}

/// The whole answer to one GET on a connection of its own.
fn get(from: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(from)?;
    stream.set_read_timeout(Some(ANSWER_WAIT_MAX))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {from}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// An address that was free a moment ago: the program says its ports in lines that are not logged here.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// How long the system takes to run the program without letting it do anything.
pub fn time_to_do_nothing() -> anyhow::Result<Duration> {
    let start = Instant::now();
    let ended = Command::new(BINARY).arg("--version").stdout(Stdio::null()).status()?;
    anyhow::ensure!(ended.success(), "{BINARY} --version failed");
    Ok(start.elapsed())
}

pub fn binary_mb() -> anyhow::Result<f64> {
    Ok(fs::metadata(Path::new(BINARY))?.len() as f64 / 1e6)
}
