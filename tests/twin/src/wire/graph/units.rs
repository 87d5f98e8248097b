//! What a request costs in ResourceUnits (Microsoft Graph, Throttling limits: identity and access).

use super::super::call::Call;

/// Base cost by route; `$select` takes one off, `$expand` adds one, a small `$top` takes one off; at least 1. A batch
/// costs nothing itself, because every request in it pays for itself.
pub(super) fn resource_units(call: &Call<'_>) -> u32 {
    let label = call.label();
    if label == super::BATCH {
        return 0;
    }
    let select = call.query("$select").is_some();
    if label.ends_with("/getByIds") {
        return if select { 2 } else { 5 };
    }
    let expand = u32::from(call.query("$expand").is_some());
    let small = call.query("$top").and_then(|top| top.parse::<u32>().ok()).is_some_and(|top| top < 20);
    (base(label) + expand).saturating_sub(u32::from(select) + u32::from(small)).max(1)
}

fn base(label: &str) -> u32 {
    // A cast costs what the collection costs.
    let collection = label.split("/microsoft.graph.").next().unwrap_or_default();
    match collection {
        "GET /v1.0/users" | "GET /v1.0/users/{id}" | "GET /v1.0/users/delta" => 2,
        "GET /v1.0/groups/{id}/members" => 3,
        "GET /v1.0/groups/{id}/transitiveMembers" => 5,
        "GET /v1.0/users/{id}/memberOf" | "GET /v1.0/users/{id}/transitiveMemberOf" => 2,
        "POST /v1.0/users/{id}/getMemberGroups" => 2,
        "POST /v1.0/users/{id}/checkMemberGroups" => 4,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_those_of_the_table() {
        assert_eq!(base("GET /v1.0/groups/{id}/members/microsoft.graph.user"), 3);
        assert_eq!(base("GET /v1.0/users/{id}"), 2);
        assert_eq!(base("GET /v1.0/groups/{id}"), 1);
        let labels: Vec<&str> = super::super::ROUTES.iter().map(|route| route.label).collect();
        let priced = labels.iter().filter(|label| base(label) > 1).count();
        assert_eq!(priced, 13, "a route of the table was renamed");
    }
}
