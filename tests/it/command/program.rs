//! Runs the built program in a directory and environment of its own.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A secret that no test may find in what the program says.
pub const SECRET: &str = "hunter2hunter2hunter2";

/// A fresh working directory with an empty environment.
pub struct Place {
    pub dir: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Place {
    pub fn new() -> Place {
        Place { dir: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    /// A place where everything that `serve` needs is set, against nobody, on ports of the system's choice.
    pub fn complete() -> Place {
        let mut place = Place::new();
        for (name, value) in [
            ("LOCKSTEP_LISTEN", "127.0.0.1:0"),
            ("LOCKSTEP_ADMIN_LISTEN", "127.0.0.1:0"),
            ("ENTRA_TENANT_ID", "6b0a4c1e-52d7-4f38-9c61-7e2f90d3a815"),
            ("ENTRA_CLIENT_ID", "c2f61d0b-8a34-4be9-a7f5-1d0c93e6b472"),
            ("ENTRA_CLIENT_SECRET", SECRET),
            ("ENTRA_LOGIN_URL", "http://127.0.0.1:9"),
            ("ENTRA_GRAPH_URL", "http://127.0.0.1:9"),
            ("AUTH0_DOMAIN", "contoso.eu.auth0.com"),
            ("AUTH0_URL", "http://127.0.0.1:9"),
            ("AUTH0_CLIENT_ID", "client"),
            ("AUTH0_CLIENT_SECRET", SECRET),
            ("GRAPH_CLIENT_STATE", SECRET),
        ] {
            place.set(name, value);
        }
        place
    }

    pub fn set(&mut self, name: &str, value: &str) -> &mut Place {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn write(&self, file: &str, text: &str) -> &Place {
        let path = self.dir.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    pub fn path(&self, file: &str) -> std::path::PathBuf {
        self.dir.path().join(file)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockstep"));
        command.args(arguments).current_dir(self.dir.path()).env_clear();
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
        command
    }

    /// Runs to the end; nothing of what is said may hold [`SECRET`].
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let ran = Ran::from(self.command(arguments).output().unwrap());
        for text in [&ran.out, &ran.talk] {
            assert!(!text.contains(SECRET), "a secret is shown: {text}");
        }
        ran
    }
}

/// What a run left behind.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    /// stdout
    pub out: String,
    /// stderr
    pub talk: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran {
            code: output.status.code().expect("the program was killed"),
            out: text(output.stdout),
            talk: text(output.stderr),
        }
    }
}

impl Ran {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// The file of the repository.
pub fn of_repository(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}
