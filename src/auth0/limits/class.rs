//! Kinds of requests to the Management API that Auth0 limits by themselves, and what it documents of their limits
//! (Auth0, Rate Limit Configurations, the pages of the plans).
//!
//! Where several rows could be one bucket of Auth0's, each has a class here: each learns from its own answers, so that
//! taking one bucket for two costs a refused request, and taking two for one would stop what need not stop.

use reqwest::Method;

/// One row of Auth0's tables that we make requests of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::auth0) enum Class {
    ReadUsers,
    WriteUsers,
    DeleteUsers,
    ReadConnections,
    WriteDevices,
    OrganizationsOfUser,
    OrganizationById,
    OrganizationByName,
    OrganizationConnections,
    WriteMembers,
    ReadMemberRoles,
    WriteMemberRoles,
    /// Roles, sessions, refresh tokens, grants, tickets: all other endpoints share one limit below Enterprise.
    Others,
}

/// A documented limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Documented {
    pub(super) burst: u32,
    pub(super) per_minute: u32,
}

const fn limit(burst: u32, per_minute: u32) -> Documented {
    Documented { burst, per_minute }
}

/// For a bucket of a size that is documented nowhere: what Enterprise's tenants get by the size of theirs, 16 a second
/// for 50. Should it be half of that, a single token of containment's share is lost before the answers tell.
const MINUTE_PER_BURST: u32 = 20;

impl Class {
    pub(super) const ALL: [Class; 13] = [
        Class::ReadUsers,
        Class::WriteUsers,
        Class::DeleteUsers,
        Class::ReadConnections,
        Class::WriteDevices,
        Class::OrganizationsOfUser,
        Class::OrganizationById,
        Class::OrganizationByName,
        Class::OrganizationConnections,
        Class::WriteMembers,
        Class::ReadMemberRoles,
        Class::WriteMemberRoles,
        Class::Others,
    ];

    /// By the method and the path after `/api/v2`, whose parts are encoded.
    pub(in crate::auth0) fn of(method: &Method, path: &str) -> Class {
        let reads = *method == Method::GET;
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match parts.as_slice() {
            ["users"] | ["users", _] | ["users-by-email"] if reads => Class::ReadUsers,
            ["users", _] if *method == Method::DELETE => Class::DeleteUsers,
            ["users"] | ["users", _] => Class::WriteUsers,
            ["users", _, "organizations"] => Class::OrganizationsOfUser,
            ["connections"] if reads => Class::ReadConnections,
            ["device-credentials", _] => Class::WriteDevices,
            ["organizations", "name", _] => Class::OrganizationByName,
            ["organizations", _] if reads => Class::OrganizationById,
            ["organizations", _, "enabled_connections"] if reads => Class::OrganizationConnections,
            ["organizations", _, "members"] if !reads => Class::WriteMembers,
            ["organizations", _, "members", _, "roles"] if reads => Class::ReadMemberRoles,
            ["organizations", _, "members", _, "roles"] => Class::WriteMemberRoles,
            _ => Class::Others,
        }
    }

    /// As `vendor` of the metrics and in the log, beside the tenant's `auth0`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Class::ReadUsers => "auth0_users_read",
            Class::WriteUsers => "auth0_users_write",
            Class::DeleteUsers => "auth0_users_delete",
            Class::ReadConnections => "auth0_connections_read",
            Class::WriteDevices => "auth0_devices_write",
            Class::OrganizationsOfUser => "auth0_user_organizations_read",
            Class::OrganizationById => "auth0_organization_read",
            Class::OrganizationByName => "auth0_organization_by_name_read",
            Class::OrganizationConnections => "auth0_organization_connections_read",
            Class::WriteMembers => "auth0_members_write",
            Class::ReadMemberRoles => "auth0_member_roles_read",
            Class::WriteMemberRoles => "auth0_member_roles_write",
            Class::Others => "auth0_others",
        }
    }

    /// On Essentials and Professional, where every endpoint has a limit and the tenant has none.
    pub(super) fn small_plan(self) -> Documented {
        match self {
            Class::ReadUsers | Class::OrganizationsOfUser => limit(40, 500),
            Class::WriteUsers
            | Class::DeleteUsers
            | Class::OrganizationById
            | Class::WriteMembers
            | Class::ReadMemberRoles
            | Class::WriteMemberRoles => limit(20, 200),
            Class::ReadConnections | Class::OrganizationConnections => limit(5, 50),
            Class::WriteDevices => limit(5, 100),
            Class::OrganizationByName => limit(10, 100),
            Class::Others => limit(10, 150),
        }
    }

    /// On Enterprise, where most endpoints have none of their own under the tenant's.
    pub(super) fn enterprise(self) -> Option<Documented> {
        match self {
            Class::OrganizationsOfUser => Some(limit(40, 500)),
            Class::OrganizationById | Class::OrganizationConnections => Some(limit(10, 100)),
            Class::OrganizationByName
            | Class::WriteMembers
            | Class::ReadMemberRoles
            | Class::WriteMemberRoles => Some(limit(20, 200)),
            Class::ReadUsers
            | Class::WriteUsers
            | Class::DeleteUsers
            | Class::ReadConnections
            | Class::WriteDevices
            | Class::Others => None,
        }
    }

    /// Whether this number is documented as the size of this class's own bucket.
    pub(super) fn documents(self, burst: u32) -> bool {
        self.rows().any(|row| row.burst == burst)
    }

    /// What a bucket of this size is refilled with; a first guess, because every answer tells what is left in it.
    pub(super) fn per_second(self, burst: u32) -> f64 {
        let documented = self.rows().find(|row| row.burst == burst);
        let per_minute = documented.map_or(burst.saturating_mul(MINUTE_PER_BURST), |row| row.per_minute);
        f64::from(per_minute) / 60.0
    }

    fn rows(self) -> impl Iterator<Item = Documented> {
        let shared = (self == Class::OrganizationsOfUser).then(|| Class::Others.small_plan());
        [self.small_plan()].into_iter().chain(self.enterprise()).chain(shared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_of_one_class() {
        for (method, path, class) in [
            (Method::GET, "/users", Class::ReadUsers),
            (Method::GET, "/users-by-email", Class::ReadUsers),
            (Method::GET, "/users/waad%7C1", Class::ReadUsers),
            (Method::POST, "/users", Class::WriteUsers),
            (Method::PATCH, "/users/waad%7C1", Class::WriteUsers),
            (Method::DELETE, "/users/waad%7C1", Class::DeleteUsers),
            (Method::GET, "/users/waad%7C1/organizations", Class::OrganizationsOfUser),
            (Method::GET, "/users/waad%7C1/roles", Class::Others),
            (Method::POST, "/users/waad%7C1/roles", Class::Others),
            (Method::POST, "/users/waad%7C1/revoke-access", Class::Others),
            (Method::POST, "/users/waad%7C1/identities", Class::Others),
            (Method::DELETE, "/users/waad%7C1/sessions", Class::Others),
            (Method::DELETE, "/grants", Class::Others),
            (Method::GET, "/device-credentials", Class::Others),
            (Method::DELETE, "/device-credentials/dcr_1", Class::WriteDevices),
            (Method::GET, "/connections", Class::ReadConnections),
            (Method::GET, "/organizations/org_1", Class::OrganizationById),
            (Method::GET, "/organizations/name/acme", Class::OrganizationByName),
            (Method::GET, "/organizations/org_1/enabled_connections", Class::OrganizationConnections),
            (Method::POST, "/organizations/org_1/members", Class::WriteMembers),
            (Method::GET, "/organizations/org_1/members/a/roles", Class::ReadMemberRoles),
            (Method::DELETE, "/organizations/org_1/members/a/roles", Class::WriteMemberRoles),
            (Method::GET, "/roles", Class::Others),
            (Method::POST, "/guardian/enrollments/ticket", Class::Others),
        ] {
            assert_eq!(Class::of(&method, path), class, "{method} {path}");
        }
    }

    #[test]
    fn names_are_told_apart() {
        let names: std::collections::BTreeSet<_> = Class::ALL.map(Class::name).into();
        assert_eq!(names.len(), Class::ALL.len());
    }

    #[test]
    fn a_bucket_of_an_undocumented_size_has_a_pace_too() {
        assert_eq!(Class::WriteUsers.per_second(20) * 60.0, 200.0);
        assert_eq!(Class::WriteUsers.per_second(30) * 60.0, 600.0);
        assert_eq!(Class::OrganizationById.per_second(10) * 60.0, 100.0);
    }
}
