//! PATCH operations on a resource (RFC 7644, section 3.5.2).

use super::super::call::{Call, Reply};
use super::errors::{error, invalid_value};
use super::path::{ENTERPRISE, Path};
use super::resource::{Row, unmapped};
use serde_json::{Map, Value};

const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// Applies every operation of the body to the resource, or none.
pub(super) fn apply(
    call: &Call<'_>,
    rows: &[Row],
    body: &Map<String, Value>,
    resource: &mut Value,
) -> Result<(), Reply> {
    let schemas = body.get("schemas").and_then(Value::as_array);
    if !schemas.is_some_and(|schemas| schemas.iter().any(|schema| schema == PATCH)) {
        return Err(error(400, Some("invalidSyntax"), "schemas must name the PatchOp message"));
    }
    let operations = body.get("Operations").and_then(Value::as_array).filter(|all| !all.is_empty());
    let operations = operations.ok_or_else(|| error(400, Some("invalidSyntax"), "Operations are missing"))?;
    for operation in operations {
        one(call, rows, operation, resource)?;
    }
    Ok(())
}

fn one(call: &Call<'_>, rows: &[Row], operation: &Value, resource: &mut Value) -> Result<(), Reply> {
    // Entra writes the words with capital letters.
    let word = operation["op"].as_str().unwrap_or_default().to_lowercase();
    let value = operation.get("value").cloned().unwrap_or_default();
    match (word.as_str(), operation.get("path").and_then(Value::as_str)) {
        ("add" | "replace", Some(path)) => set(call, rows, path, value, resource),
        ("remove", Some(path)) => set(call, rows, path, Value::Null, resource),
        ("add" | "replace", None) => match value {
            Value::Object(object) => all(call, rows, object, resource),
            _ => Err(invalid_value("Without a path the value must be an object")),
        },
        ("remove", None) => Err(error(400, Some("noTarget"), "remove needs a path")),
        _ => Err(error(400, Some("invalidSyntax"), "op must be add, replace or remove")),
    }
}

/// Without a path the value names the attributes itself, by their names or by whole paths as Entra does.
fn all(call: &Call<'_>, rows: &[Row], object: Map<String, Value>, resource: &mut Value) -> Result<(), Reply> {
    for (path, value) in object {
        match value {
            Value::Object(inner) if path == ENTERPRISE => {
                for (name, value) in inner {
                    set(call, rows, &format!("{ENTERPRISE}:{name}"), value, resource)?;
                }
            }
            value => set(call, rows, &path, value, resource)?,
        }
    }
    Ok(())
}

fn set(call: &Call<'_>, rows: &[Row], path: &str, value: Value, resource: &mut Value) -> Result<(), Reply> {
    let read =
        Path::read(path).ok_or_else(|| error(400, Some("invalidPath"), &format!("{path} is no path")))?;
    if read.attribute == "id" || read.attribute == "meta" {
        return Err(error(400, Some("mutability"), &format!("{path} is read-only")));
    }
    let sent: Map<String, Value> = [(path.to_owned(), Value::Null)].into_iter().collect();
    let mapped = rows.iter().any(|row| row.path.same_attribute(&read));
    if !mapped && !unmapped(&sent, rows).is_empty() {
        call.complain(format!("SCIM attribute {path} is mapped to nothing"));
    }
    read.set(resource, value);
    Ok(())
}
