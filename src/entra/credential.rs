//! How Lockstep proves to Entra who it is.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

/// One proof, and whose it is. Files are read anew for every token request, so that renewing them needs no restart.
#[derive(Debug, Clone)]
pub enum Credential {
    Secret {
        client_id: String,
        secret: SecretString,
    },
    /// A PEM file that holds an RSA private key and its certificate.
    Certificate {
        client_id: String,
        file: PathBuf,
    },
    /// Workload identity federation: the platform's own token, which it renews about every hour.
    Federated {
        client_id: String,
        file: PathBuf,
    },
    ManagedIdentity {
        which: Identity,
        host: IdentityHost,
    },
}

/// Which managed identity of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    SystemAssigned,
    UserAssigned { client_id: String },
}

/// Who on the machine gives out tokens.
#[derive(Debug, Clone)]
pub enum IdentityHost {
    /// The metadata service of a virtual machine; its address is [`IMDS_URL`] outside tests.
    Imds(reqwest::Url),
    /// App Service and Container Apps: `IDENTITY_ENDPOINT` and `IDENTITY_HEADER`.
    AppService { endpoint: reqwest::Url, header: SecretString },
}

/// Fixed for all of Azure (Managed identities, Use a token on a VM).
pub const IMDS_URL: &str = "http://169.254.169.254";

impl Credential {
    /// The file of a certificate.
    pub fn certificate(&self) -> Option<&Path> {
        match self {
            Credential::Certificate { file, .. } => Some(file),
            Credential::Secret { .. } | Credential::Federated { .. } | Credential::ManagedIdentity { .. } => {
                None
            }
        }
    }

    /// The application's client id; a system-assigned identity's is not known here.
    pub fn client_id(&self) -> Option<&str> {
        match self {
            Credential::Secret { client_id, .. }
            | Credential::Certificate { client_id, .. }
            | Credential::Federated { client_id, .. } => Some(client_id),
            Credential::ManagedIdentity { which, .. } => match which {
                Identity::SystemAssigned => None,
                Identity::UserAssigned { client_id } => Some(client_id),
            },
        }
    }
}
