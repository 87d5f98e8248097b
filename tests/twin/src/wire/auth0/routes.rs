//! The table of the Auth0 tenant's routes.

use super::super::route::{Route, route};
use super::super::scim;
use super::{
    access, connections, create, devices, grants, identities, members, organizations, patch,
    resource_servers, roles, scim_configuration, search, tickets, token, token_sets, users,
};

/// `needs` lists scopes of which one suffices, except where `needs_all` says otherwise.
pub(crate) const ROUTES: &[Route] = &[
    route!("POST", "/oauth/token", query: &[], needs: &[], token::issue),
    route!(
        "GET",
        "/api/v2/users",
        query: &[
            "page",
            "per_page",
            "include_totals",
            "sort",
            "connection",
            "fields",
            "include_fields",
            "q",
            "search_engine",
            "primary_order",
        ],
        needs: &["read:users"],
        search::list
    ),
    route!("POST", "/api/v2/users", query: &[], needs: &["create:users"], create::create),
    route!(
        "GET",
        "/api/v2/users-by-email",
        query: &["email", "fields", "include_fields"],
        needs: &["read:users"],
        search::by_email
    ),
    route!(
        "GET",
        "/api/v2/users/{id}",
        query: &["fields", "include_fields"],
        needs: &["read:users"],
        users::get
    ),
    route!(
        "PATCH",
        "/api/v2/users/{id}",
        query: &[],
        needs: &["update:users", "update:users_app_metadata"],
        patch::update
    ),
    route!("DELETE", "/api/v2/users/{id}", query: &[], needs: &["delete:users"], users::delete),
    route!(
        "POST",
        "/api/v2/users/{id}/revoke-access",
        query: &[],
        needs: &["delete:sessions", "delete:refresh_tokens"],
        access::revoke_access
    ),
    route!(
        "GET",
        "/api/v2/users/{id}/sessions",
        query: &["take", "from", "include_totals"],
        needs: &["read:sessions"],
        access::list_sessions
    ),
    route!(
        "DELETE",
        "/api/v2/users/{id}/sessions",
        query: &[],
        needs: &["delete:sessions"],
        access::delete_sessions
    ),
    // The SDK's page size rides along in the recorded exchanges and is taken without a word.
    route!(
        "GET",
        "/api/v2/users/{id}/refresh-tokens",
        query: &["take", "from", "include_totals", "per_page"],
        needs: &["read:refresh_tokens"],
        access::list_refresh_tokens
    ),
    route!(
        "DELETE",
        "/api/v2/users/{id}/refresh-tokens",
        query: &[],
        needs: &["delete:refresh_tokens"],
        access::delete_refresh_tokens
    ),
    route!(
        "GET",
        "/api/v2/users/{id}/federated-connections-tokensets",
        query: &[],
        needs: &["read:federated_connections_tokens"],
        token_sets::list
    ),
    route!(
        "DELETE",
        "/api/v2/users/{id}/federated-connections-tokensets/{tokenset_id}",
        query: &[],
        needs: &["delete:federated_connections_tokens"],
        token_sets::delete
    ),
    route!("GET", "/api/v2/sessions/{id}", query: &[], needs: &["read:sessions"], access::get_session),
    route!(
        "DELETE",
        "/api/v2/sessions/{id}",
        query: &[],
        needs: &["delete:sessions"],
        access::delete_session
    ),
    route!(
        "POST",
        "/api/v2/sessions/{id}/revoke",
        query: &[],
        needs: &["delete:sessions", "delete:refresh_tokens"],
        access::revoke_session
    ),
    route!(
        "GET",
        "/api/v2/refresh-tokens/{id}",
        query: &[],
        needs: &["read:refresh_tokens"],
        access::get_refresh_token
    ),
    route!(
        "DELETE",
        "/api/v2/refresh-tokens/{id}",
        query: &[],
        needs: &["delete:refresh_tokens"],
        access::delete_refresh_token
    ),
    route!(
        "GET",
        "/api/v2/grants",
        query: &["per_page", "page", "include_totals", "user_id", "client_id", "audience"],
        needs: &["read:grants"],
        grants::list
    ),
    route!("DELETE", "/api/v2/grants", query: &["user_id"], needs: &["delete:grants"], grants::delete),
    route!(
        "GET",
        "/api/v2/device-credentials",
        query: &[
            "page",
            "per_page",
            "include_totals",
            "fields",
            "include_fields",
            "user_id",
            "client_id",
            "type",
        ],
        needs: &["read:device_credentials"],
        devices::list
    ),
    route!(
        "DELETE",
        "/api/v2/device-credentials/{id}",
        query: &[],
        needs: &["delete:device_credentials"],
        devices::delete
    ),
    route!(
        "GET",
        "/api/v2/resource-servers",
        query: &["identifiers", "page", "per_page", "include_totals", "include_fields"],
        needs: &["read:resource_servers"],
        resource_servers::list
    ),
    route!(
        "POST",
        "/api/v2/users/{id}/identities",
        query: &[],
        needs: &["update:users"],
        identities::link
    ),
    route!(
        "DELETE",
        "/api/v2/users/{id}/identities/{provider}/{user_id}",
        query: &[],
        needs: &["update:users"],
        identities::unlink
    ),
    route!(
        "GET",
        "/api/v2/roles",
        query: &["per_page", "page", "include_totals", "name_filter"],
        needs: &["read:roles"],
        roles::list
    ),
    route!("POST", "/api/v2/roles", query: &[], needs: &["create:roles"], roles::create),
    route!("GET", "/api/v2/roles/{id}", query: &[], needs: &["read:roles"], roles::get),
    route!("PATCH", "/api/v2/roles/{id}", query: &[], needs: &["update:roles"], roles::update),
    route!("DELETE", "/api/v2/roles/{id}", query: &[], needs: &["delete:roles"], roles::delete),
    route!(
        "GET",
        "/api/v2/roles/{id}/users",
        query: &["per_page", "page", "include_totals", "from", "take"],
        needs: &["read:users", "read:roles", "read:role_members"],
        roles::users
    ),
    route!(
        "POST",
        "/api/v2/roles/{id}/users",
        query: &[],
        needs: &["update:roles", "create:role_members"],
        roles::add_users
    ),
    route!(
        "GET",
        "/api/v2/users/{id}/roles",
        query: &["per_page", "page", "include_totals"],
        needs: &["read:users", "read:roles", "read:role_members"],
        roles::of_user
    ),
    route!(
        "POST",
        "/api/v2/users/{id}/roles",
        query: &[],
        needs: &["update:users", "create:role_members"],
        roles::grant
    ),
    route!(
        "DELETE",
        "/api/v2/users/{id}/roles",
        query: &[],
        needs: &["update:users", "delete:role_members"],
        roles::revoke
    ),
    route!(
        "GET",
        "/api/v2/organizations",
        query: &["page", "per_page", "include_totals", "from", "take", "sort"],
        needs: &["read:organizations"],
        organizations::list
    ),
    route!(
        "GET",
        "/api/v2/organizations/{id}",
        query: &[],
        needs: &["read:organizations"],
        organizations::get
    ),
    route!(
        "GET",
        "/api/v2/organizations/name/{name}",
        query: &[],
        needs: &["read:organizations"],
        organizations::by_name
    ),
    route!(
        "GET",
        "/api/v2/organizations/{id}/enabled_connections",
        query: &["page", "per_page", "include_totals"],
        needs: &["read:organization_connections"],
        organizations::enabled_connections
    ),
    route!(
        "GET",
        "/api/v2/users/{id}/organizations",
        query: &["page", "per_page", "include_totals"],
        needs: &["read:users", "read:organizations"],
        organizations::of_user
    ),
    route!(
        "GET",
        "/api/v2/organizations/{id}/members",
        query: &["page", "per_page", "include_totals", "from", "take", "fields", "include_fields"],
        needs: &["read:organization_members"],
        members::list
    ),
    route!(
        "POST",
        "/api/v2/organizations/{id}/members",
        query: &[],
        needs: &["create:organization_members"],
        members::add
    ),
    route!(
        "DELETE",
        "/api/v2/organizations/{id}/members",
        query: &[],
        needs: &["delete:organization_members"],
        members::remove
    ),
    route!(
        "GET",
        "/api/v2/organizations/{id}/members/{user_id}/roles",
        query: &["page", "per_page", "include_totals"],
        needs: &["read:organization_member_roles"],
        members::list_roles
    ),
    route!(
        "POST",
        "/api/v2/organizations/{id}/members/{user_id}/roles",
        query: &[],
        needs: &["create:organization_member_roles"],
        members::grant_roles
    ),
    route!(
        "DELETE",
        "/api/v2/organizations/{id}/members/{user_id}/roles",
        query: &[],
        needs: &["delete:organization_member_roles"],
        members::revoke_roles
    ),
    route!("GET", "/api/v2/connections", query: &["per_page", "page", "include_totals", "from", "take", "strategy", "name", "fields", "include_fields"], needs: &["read:connections"], connections::list),
    route!("GET", "/api/v2/connections/{id}", query: &["fields", "include_fields"], needs: &["read:connections"], connections::get),
    route!("PATCH", "/api/v2/connections/{id}", query: &[], needs: &["update:connections"], connections::update),
    route!("GET", "/api/v2/connections-scim-configurations", query: &["from", "take"], needs: &["read:scim_config"], scim_configuration::list),
    route!("GET", "/api/v2/connections/{id}/scim-configuration", query: &[], needs: &["read:scim_config"], scim_configuration::get),
    route!("POST", "/api/v2/connections/{id}/scim-configuration", query: &[], needs: &["create:scim_config"], scim_configuration::create),
    route!("PATCH", "/api/v2/connections/{id}/scim-configuration", query: &[], needs: &["update:scim_config"], scim_configuration::update),
    route!("DELETE", "/api/v2/connections/{id}/scim-configuration", query: &[], needs: &["delete:scim_config"], scim_configuration::delete),
    route!("GET", "/api/v2/connections/{id}/scim-configuration/default-mapping", query: &[], needs: &["read:scim_config"], scim_configuration::default_mapping),
    route!("GET", "/api/v2/connections/{id}/scim-configuration/tokens", query: &[], needs: &["read:scim_token"], scim_configuration::list_tokens),
    route!("POST", "/api/v2/connections/{id}/scim-configuration/tokens", query: &[], needs: &["create:scim_token"], scim_configuration::create_token),
    route!("DELETE", "/api/v2/connections/{id}/scim-configuration/tokens/{tokenId}", query: &[], needs: &["delete:scim_token"], scim_configuration::delete_token),
    route!("POST", "/api/v2/tickets/password-change", query: &[], needs: &["create:user_tickets"], tickets::password_change),
    route!("POST", "/api/v2/tickets/email-verification", query: &[], needs: &["create:user_tickets"], tickets::email_verification),
    route!("POST", "/api/v2/guardian/enrollments/ticket", query: &[], needs: &["create:guardian_enrollment_tickets"], tickets::enrollment),
    route!("POST", "/api/v2/jobs/verification-email", query: &[], needs: &["update:users"], tickets::verification_mail),
    route!("POST", "/dbconnections/change_password", query: &[], needs: &[], tickets::mail_password_link),
    route!("GET", "/scim/v2/connections/{connection_id}/Users", query: &["filter", "startIndex", "count"], needs: &["get:users"], scim::list),
    route!("POST", "/scim/v2/connections/{connection_id}/Users", query: &[], needs: &["post:users"], scim::create),
    route!("GET", "/scim/v2/connections/{connection_id}/Users/{id}", query: &[], needs: &["get:users"], scim::get),
    route!("PUT", "/scim/v2/connections/{connection_id}/Users/{id}", query: &[], needs: &["put:users"], scim::replace),
    route!("PATCH", "/scim/v2/connections/{connection_id}/Users/{id}", query: &[], needs: &["patch:users"], scim::patch),
    route!("DELETE", "/scim/v2/connections/{connection_id}/Users/{id}", query: &[], needs: &["delete:users"], scim::delete),
];
