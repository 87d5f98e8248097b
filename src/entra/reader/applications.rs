//! The client secrets of our own application, as far as Entra shows them.

use serde::Deserialize;

use super::{At, Operation, Reader, read};
use crate::clock::Timestamp;
use crate::entra::Error;

const LIST: Operation =
    Operation { word: "applications.list", needs: "Application.Read.All", ..Operation::READ };

/// A client secret: how it begins, and when it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSecret {
    /// Its first three characters (Microsoft Graph, passwordCredential resource: hint).
    pub hint: String,
    pub ends: Timestamp,
}

#[derive(Deserialize)]
struct Applications {
    value: Vec<Application>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Application {
    #[serde(default)]
    password_credentials: Vec<PasswordCredential>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PasswordCredential {
    #[serde(default)]
    hint: Option<String>,
    #[serde(default)]
    end_date_time: Option<Timestamp>,
}

impl Reader {
    /// The client secrets of the application `client_id`. Needs a permission that nothing else needs.
    pub async fn client_secrets(&self, client_id: &str) -> Result<Vec<ClientSecret>, Error> {
        let filter = crate::outbound::segment(client_id).unwrap_or_default();
        let path =
            format!("/applications?$filter=appId%20eq%20%27{filter}%27&$select=id,passwordCredentials");
        let answer = self.caller.get(LIST, At::Path(&path)).await?;
        let listed: Applications = read(LIST, &answer)?;
        let all = listed.value.into_iter().flat_map(|application| application.password_credentials);
        Ok(all.filter_map(PasswordCredential::into_secret).collect())
    }
}

impl PasswordCredential {
    fn into_secret(self) -> Option<ClientSecret> {
        Some(ClientSecret { hint: self.hint?, ends: self.end_date_time? })
    }
}
