//! The twin as a program: a small company to poke at with curl and to point a Lockstep at.
//!
//! Prints the environment that Lockstep needs on stdout, talks on stderr, runs until Ctrl-C or SIGTERM.

use clap::Parser;
use lockstep_twin::{Hire, Latency, Plan, Ports, Setup, Twin, control};
use std::process::ExitCode;
use std::time::Duration;

/// Plays Entra ID, Microsoft Graph, Auth0 and Slack on loopback.
#[derive(Parser)]
#[command(name = "lockstep-twin", version)]
struct Arguments {
    /// First of six ports: Entra and Graph, Auth0, Slack, control plane, mail, tickets; 0 takes free ones.
    #[arg(long, default_value_t = 18_081, value_name = "PORT")]
    port_base: u16,
    /// People that work here from the start.
    #[arg(long, default_value_t = 5, value_name = "N")]
    people: usize,
    /// Auth0 plan; below Enterprise the session and refresh-token endpoints are refused.
    #[arg(long, value_enum, default_value_t = PlanName::Enterprise)]
    plan: PlanName,
    /// How long every vendor thinks before it answers.
    #[arg(long, default_value_t = 0, value_name = "MS")]
    latency_ms: u64,
    /// How long deleted sessions and refresh tokens linger.
    #[arg(long, default_value_t = 500, value_name = "MS")]
    deletion_delay_ms: u64,
    /// Lift Graph's own limits.
    #[arg(long)]
    unlimited: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum PlanName {
    Free,
    Essentials,
    Enterprise,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (Some(control_port), Some(_)) = (port(&arguments, 3), port(&arguments, 5)) else {
        eprintln!("--port-base must leave room for six ports");
        return ExitCode::from(64);
    };
    let listener = match tokio::net::TcpListener::bind(("127.0.0.1", control_port)).await {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("port {control_port}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let twin = Twin::start(setup(&arguments)).await;
    populate(&twin, arguments.people);
    for (name, value) in twin.env().into_iter().chain(twin.env_to_tell()) {
        println!("{name}={value}");
    }
    let address = listener.local_addr().expect("a bound listener has an address");
    let control_url = format!("http://{address}/twin");
    println!("# control plane: {control_url}");
    eprintln!("The twin plays. Put the lines above into .env, then try:");
    eprintln!("  curl -s {control_url}/state");
    eprintln!("  curl -s {control_url}/verbs");
    eprintln!("  curl -s {control_url}/raise-risk -d '{{\"person\":\"adele.vance@contoso.example\"}}'");
    eprintln!(
        "  curl -s {control_url}/send-alert -d '{{\"person\":\"adele.vance@contoso.example\",\"to\":\"http://127.0.0.1:8080\"}}'"
    );
    tokio::select! {
        () = control::serve(twin.clone(), listener) => {}
        () = stopped() => {}
    }
    ExitCode::SUCCESS
}

fn setup(arguments: &Arguments) -> Setup {
    let fixed = |nth| port(arguments, nth).unwrap_or(0);
    let latency = Duration::from_millis(arguments.latency_ms);
    let start = if arguments.unlimited { Setup::unlimited() } else { Setup::default() };
    Setup {
        ports: Some(Ports {
            entra: fixed(0),
            auth0: fixed(1),
            slack: fixed(2),
            smtp: fixed(4),
            ticket: fixed(5),
        }),
        plan: match arguments.plan {
            PlanName::Free => Plan::Free,
            PlanName::Essentials => Plan::Essentials,
            PlanName::Enterprise => Plan::Enterprise,
        },
        latency: Latency { entra: latency, auth0: latency, slack: latency },
        deletion_delay: Duration::from_millis(arguments.deletion_delay_ms),
        ..start
    }
}

/// The nth port from the base on; `None` beyond the last port there is.
fn port(arguments: &Arguments, nth: u16) -> Option<u16> {
    match arguments.port_base {
        0 => Some(0),
        base => base.checked_add(nth),
    }
}

/// Everybody has an enterprise account and has signed in; every second one has a database account too.
fn populate(twin: &Twin, people: usize) {
    const NAMES: [&str; 5] =
        ["Adele Vance", "Miriam Graham", "Alex Wilber", "Nestor Wilke", "Lidia Holloway"];
    let mut world = twin.world();
    for number in 0..people {
        let name = match NAMES.get(number) {
            Some(name) => (*name).to_owned(),
            None => format!("Person Number{number:06}"),
        };
        let person = world.hire(Hire::named(&name));
        if number % 2 == 0 {
            world.add_database_account(person);
        }
        for account in world.accounts_of(person) {
            world.sign_in(&account);
        }
    }
}

async fn stopped() {
    let terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    let mut terminate = terminate.expect("a signal handler can be installed once");
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
