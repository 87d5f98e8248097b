//! Logs: JSON for machines or text for people, on stderr, filtered by `RUST_LOG`.
//!
//! The names of id fields are the same everywhere: `event.id`, `subject.id`, `case.id`. In JSON they stand at the top
//! level of the line, beside `timestamp`, `level`, `target` and `message`. Tokens, bodies and personal data are never
//! logged; that is the duty of whoever logs.

use anyhow::Context;
use tracing::Subscriber;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// What is logged unless set otherwise: our own decisions, and of the libraries only what is wrong. The RabbitMQ library
/// says twice what our own lines say, and calls a queue that does not exist yet an error.
pub const FILTER: &str = "info,hyper=warn,hyper_util=warn,lapin=off,reqwest=warn,rustls=warn,h2=warn";

/// Whatever `RUST_LOG` says: here the RabbitMQ library prints messages that it got back, with their bodies.
const NEVER: &str = "lapin::returned_messages=off";

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    Text,
}

/// Starts logging for the whole process. `filter` has the form of `RUST_LOG`; a second call is an error, and so is a
/// filter that cannot be read.
pub fn start(format: Format, filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).context("RUST_LOG cannot be read")?;
    tracing::subscriber::set_global_default(subscriber(format, filter, std::io::stderr))
        .context("logging was started before")
}

/// What [`start`] installs, with a writer of one's own.
pub fn subscriber<W>(format: Format, filter: EnvFilter, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = filter.add_directive(NEVER.parse().expect("a directive written by us"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    match format {
        Format::Json => {
            Box::new(lines.json().flatten_event(true).with_current_span(false).with_span_list(false).finish())
        }
        Format::Text => {
            Box::new(lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).finish())
        }
    }
}
