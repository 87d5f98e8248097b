//! Access tokens for Graph, by whichever credential there is. How long they are kept is [`crate::outbound::token`]'s.

mod endpoint;
pub(super) mod file;
pub(super) mod key;
mod machine;
mod refusal;

use std::sync::Arc;

use futures_util::FutureExt;

use self::endpoint::{Endpoint, Proof};
use self::machine::Machine;
use crate::entra::{Credential, Error, Settings};
use crate::outbound::token::Tokens;
use crate::outbound::{Deps, Trouble};

/// Sends nothing and reads no file yet.
pub(super) fn tokens(settings: &Settings, deps: &Deps) -> Result<Arc<Tokens<Error>>, Error> {
    let (client_id, proof) = match &settings.credential {
        Credential::ManagedIdentity { which, host } => {
            let machine = Arc::new(Machine::new(which, host, &settings.graph_url, deps)?);
            return Ok(Tokens::new(Arc::clone(&deps.clock), move || Arc::clone(&machine).fetch().boxed()));
        }
        Credential::Secret { client_id, secret } => (client_id, Proof::Secret(secret.clone())),
        Credential::Certificate { client_id, file } => (client_id, Proof::Certificate(file.clone())),
        Credential::Federated { client_id, file } => (client_id, Proof::Federated(file.clone())),
    };
    let endpoint = Arc::new(Endpoint::new(settings, client_id, proof, deps)?);
    Ok(Tokens::new(Arc::clone(&deps.clock), move || Arc::clone(&endpoint).fetch().boxed()))
}

const OPERATION: &str = "token";

fn trouble(trouble: Trouble) -> Error {
    Error::Trouble { operation: OPERATION, trouble }
}
