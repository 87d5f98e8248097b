//! An OpenAPI description, as far as requests are held to it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, OnceLock};

use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// The descriptions of Graph and Auth0, read once; `None` where they are not.
pub fn vendors() -> Option<(&'static Description, &'static Description)> {
    static READ: OnceLock<Option<(Description, Description)>> = OnceLock::new();
    let read = READ.get_or_init(|| Some((Description::read("graph")?, Description::read("auth0")?)));
    read.as_ref().map(|(graph, auth0)| (graph, auth0))
}

/// One vendor's description.
pub struct Description {
    document: Value,
    /// Compiled schemas by their JSON text: compiling one takes longer than all requests of a story.
    compiled: Mutex<BTreeMap<String, &'static Validator>>,
}

impl Description {
    fn read(vendor: &str) -> Option<Description> {
        let samples = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/samples"));
        let text = std::fs::read_to_string(samples.join(vendor).join("openapi-subset.json")).ok()?;
        Some(Description { document: serde_json::from_str(&text).unwrap(), compiled: Mutex::default() })
    }

    /// What of this request is not as described. `path` comes without the version and with its query.
    pub fn misfits(&self, method: &str, path: &str, body: &[u8]) -> Vec<String> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let Some((item, operation)) = self.operation(method, path) else {
            return vec!["there is no such operation".into()];
        };
        let parameters = self.parameters(item, operation);
        let mut misfits = self.query_misfits(&parameters, query);
        misfits.extend(self.select_misfits(operation, query));
        misfits.extend(self.body_misfits(operation, body));
        misfits
    }

    /// The most literal template that matches wins: `/users/delta` before `/users/{id}`.
    fn operation(&self, method: &str, path: &str) -> Option<(&Value, &Value)> {
        let path = alike(path);
        let paths = self.document["paths"].as_object().unwrap().iter();
        let mut matching: Vec<_> = paths.filter(|(template, _)| matches(template, &path)).collect();
        matching.sort_by_key(|(template, _)| template.matches('{').count());
        let item = matching.first()?.1;
        Some((item, item.get(method.to_lowercase())?))
    }

    fn parameters(&self, item: &Value, operation: &Value) -> BTreeMap<String, Value> {
        let of = |value: &Value| value["parameters"].as_array().cloned().unwrap_or_default();
        let all = of(item).into_iter().chain(of(operation)).map(|parameter| self.resolved(parameter));
        let query = all.filter(|parameter| parameter["in"] == "query");
        query.map(|parameter| (parameter["name"].as_str().unwrap().to_owned(), parameter)).collect()
    }

    fn query_misfits(&self, parameters: &BTreeMap<String, Value>, query: &str) -> Vec<String> {
        let sent: Vec<(String, String)> = pairs(query);
        let mut misfits = Vec::new();
        for (name, value) in &sent {
            match parameters.get(name) {
                None => misfits.push(format!("no parameter {name}")),
                Some(parameter) => {
                    let typed = self.typed(&parameter["schema"], value);
                    let wrong = self.schema_misfits(&parameter["schema"], &typed);
                    misfits.extend(wrong.into_iter().map(|wrong| format!("parameter {name}: {wrong}")));
                }
            }
        }
        let required = parameters.iter().filter(|(_, parameter)| parameter["required"] == true);
        let missing = required.filter(|(name, _)| !sent.iter().any(|(sent, _)| sent == *name));
        misfits.extend(missing.map(|(name, _)| format!("parameter {name} is missing")));
        misfits
    }

    /// Graph's `$select` is a string to OpenAPI; its names are properties of the answer.
    fn select_misfits(&self, operation: &Value, query: &str) -> Vec<String> {
        let answer = &operation["responses"]["200"]["content"]["application/json"]["schema"];
        let known = self.selectable(answer);
        let selected = pairs(query).into_iter().filter(|(name, _)| name == "$select");
        let names = selected.flat_map(|(_, list)| list.split(',').map(str::to_owned).collect::<Vec<_>>());
        // Directory extensions are the tenant's own (Graph, Add custom data to resources).
        let unknown = names.filter(|name| !known.contains_key(name) && !name.starts_with("extension_"));
        unknown.map(|name| format!("$select of {name}, which the answer does not have")).collect()
    }

    fn properties(&self, schema: &Value) -> Map<String, Value> {
        let schema = self.resolved(schema.clone());
        let mut properties = schema["properties"].as_object().cloned().unwrap_or_default();
        for part in schema["allOf"].as_array().into_iter().flatten() {
            properties.extend(self.properties(part));
        }
        properties
    }

    /// What can be selected: a list's are the properties of its rows, and a directory object, which has no more than an
    /// id of its own, is a user or a group.
    fn selectable(&self, answer: &Value) -> Map<String, Value> {
        let properties = self.properties(answer);
        let rows = properties.get("value").filter(|value| value["type"] == "array");
        let row = rows.map_or(answer, |rows| &rows["items"]);
        let kinds = match row["$ref"].as_str().and_then(|at| at.strip_suffix(".directoryObject")) {
            Some(namespace) => ["user", "group"].map(|kind| format!("{namespace}.{kind}")).to_vec(),
            None => return self.properties(row),
        };
        kinds.into_iter().flat_map(|kind| self.properties(&json!({ "$ref": kind }))).collect()
    }

    fn body_misfits(&self, operation: &Value, body: &[u8]) -> Vec<String> {
        let described = operation.get("requestBody").map(|body| self.resolved(body.clone()));
        match (described, body.is_empty()) {
            (None, true) => Vec::new(),
            (None, false) => vec!["a body, where none is described".into()],
            // Auth0 marks no body as required, and every write of ours has one.
            (Some(_), true) => vec!["no body, where one is described".into()],
            (Some(described), false) => match serde_json::from_slice(body) {
                Ok(sent) => self.schema_misfits(&described["content"]["application/json"]["schema"], &sent),
                Err(error) => vec![format!("a body that is not JSON: {error}")],
            },
        }
    }

    fn schema_misfits(&self, schema: &Value, value: &Value) -> Vec<String> {
        let errors = self.validator(schema).iter_errors(value);
        errors.map(|error| format!("{error} at {}", error.instance_path())).collect()
    }

    fn validator(&self, schema: &Value) -> &'static Validator {
        let mut compiled = self.compiled.lock().unwrap();
        compiled.entry(schema.to_string()).or_insert_with(|| {
            let mut whole = schema.as_object().cloned().unwrap_or_default();
            // So that "#/components/schemas/…" means the same as in the description.
            whole.insert("components".into(), self.document["components"].clone());
            let built =
                jsonschema::options().should_ignore_unknown_formats(true).build(&Value::Object(whole));
            // A few dozen for the life of the test process.
            Box::leak(Box::new(built.unwrap()))
        })
    }

    /// A query value as the type that its schema wants, so that `page=first` is not a number.
    fn typed(&self, schema: &Value, text: &str) -> Value {
        match self.resolved(schema.clone())["type"].as_str() {
            Some("integer" | "number" | "boolean") => text.parse().unwrap_or_else(|_| json!(text)),
            Some("array") => json!([text]),
            _ => json!(text),
        }
    }

    fn resolved(&self, value: Value) -> Value {
        match value["$ref"].as_str().and_then(|at| at.strip_prefix('#')) {
            Some(pointer) => self.resolved(self.document.pointer(pointer).unwrap().clone()),
            None => value,
        }
    }
}

/// What a group is in is described by its own page ("List group memberOf", "List group transitive memberOf") and not in
/// this description; it has the same parameters and answers as what a user is in.
fn alike(path: &str) -> String {
    let is_above = path.ends_with("/memberOf") || path.ends_with("/transitiveMemberOf");
    match path.strip_prefix("/groups/") {
        Some(rest) if is_above => format!("/users/{rest}"),
        _ => path.to_owned(),
    }
}

fn matches(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    let fits = |(wanted, sent): (&&str, &&str)| wanted == sent || wanted.starts_with('{') && !sent.is_empty();
    template.len() == path.len() && template.iter().zip(&path).all(fits)
}

fn pairs(query: &str) -> Vec<(String, String)> {
    let url = reqwest::Url::parse(&format!("http://localhost/?{query}")).unwrap();
    url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}
