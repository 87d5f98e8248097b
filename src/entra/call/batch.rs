//! Several reads in one request (Graph, JSON batching). It saves the way there and back, not quota: every part is
//! throttled, refused and counted by itself, and its answer is judged like any other.

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::{At, Caller, Operation, trouble};
use crate::entra::Error;
use crate::outbound::Trouble;
use crate::outbound::http::{Answer, Body, Unreadable};
use crate::outbound::token::Token;

/// One read of a batch.
#[derive(Debug)]
pub(in crate::entra) struct Part {
    pub(in crate::entra) operation: Operation,
    /// After `/v1.0`, encoded already.
    pub(in crate::entra) path: String,
}

/// What came of each part, in the order in which they were asked for.
#[derive(Debug)]
pub(in crate::entra) struct Both {
    pub(in crate::entra) answers: [Result<Answer, Error>; 2],
    /// What both were asked with.
    pub(in crate::entra) token: Token,
}

impl Caller {
    /// Asks for both at once. `whole` names the request; its cost is the sum.
    ///
    /// # Errors
    /// When the batch itself failed.
    pub(in crate::entra) async fn both(&self, whole: Operation, parts: &[Part; 2]) -> Result<Both, Error> {
        let body = request(parts);
        let whole = Operation { cost: parts.iter().map(|part| part.operation.cost).sum(), ..whole };
        let (answer, token) = self.exchange(whole, Method::POST, At::Path("/$batch"), Some(&body)).await?;
        if !answer.status.is_success() {
            self.judge(whole, answer)?;
            return Err(shape(whole));
        }
        self.hear(&answer);
        let mut answers = read(whole, &answer)?;
        let [first, second] = parts;
        let mut judged = |id: &str, part: &Part| {
            let answer = answers.take(id).ok_or_else(|| shape(part.operation))?;
            if answer.status == reqwest::StatusCode::FORBIDDEN {
                self.shared.tokens.doubt(&token);
            }
            self.judge(part.operation, answer)
        };
        let answers = [judged("1", first), judged("2", second)];
        Ok(Both { answers, token })
    }
}

fn request(parts: &[Part; 2]) -> Value {
    let requests = parts.iter().zip(["1", "2"]);
    let requests = requests.map(|(part, id)| json!({ "id": id, "method": "GET", "url": part.path }));
    json!({ "requests": requests.collect::<Vec<_>>() })
}

/// They come in any order.
#[derive(Deserialize)]
struct Answers {
    responses: Vec<PartAnswer>,
}

#[derive(Deserialize)]
struct PartAnswer {
    id: String,
    status: u16,
    #[serde(default)]
    headers: Map<String, Value>,
    body: Option<Box<RawValue>>,
}

impl Answers {
    fn take(&mut self, id: &str) -> Option<Answer> {
        let at = self.responses.iter().position(|answer| answer.id == id)?;
        self.responses.swap_remove(at).into_answer()
    }
}

impl PartAnswer {
    fn into_answer(self) -> Option<Answer> {
        let body = self.body.map(|body| body.get().to_owned()).unwrap_or_default();
        Some(Answer {
            status: reqwest::StatusCode::from_u16(self.status).ok()?,
            headers: self
                .headers
                .iter()
                .filter_map(|(name, value)| header(name, value))
                .collect::<HeaderMap>(),
            body: Body::Whole(body.into()),
        })
    }
}

/// Documented as strings; a bare number is understood too.
fn header(name: &str, value: &Value) -> Option<(HeaderName, HeaderValue)> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Some((name.parse().ok()?, HeaderValue::from_str(&text).ok()?))
}

fn read(whole: Operation, answer: &Answer) -> Result<Answers, Error> {
    let status = answer.status.as_u16();
    answer.json().map_err(|why| trouble(whole, Trouble::Unreadable { status, why }))
}

fn shape(operation: Operation) -> Error {
    trouble(operation, Trouble::Unreadable { status: 200, why: Unreadable::Shape })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_by_their_id_in_any_order_with_their_own_headers() {
        let text = r#"{"responses":[
            {"id":"2","status":429,"headers":{"Retry-After":"2.128","x-ms-resource-unit":1},
             "body":{"error":{"code":"TooManyRequests"}}},
            {"id":"1","status":200,"headers":{"Content-Type":"application/json"},"body":{"id":"x"}},
            {"id":"3","status":204}]}"#;
        let mut answers: Answers = serde_json::from_str(text).unwrap();
        let first = answers.take("1").unwrap();
        assert_eq!((first.status.as_u16(), first.json::<Value>().unwrap()), (200, json!({ "id": "x" })));
        let second = answers.take("2").unwrap();
        assert_eq!((second.status.as_u16(), second.header("retry-after")), (429, Some("2.128")));
        assert_eq!(second.header("x-ms-resource-unit"), Some("1"));
        assert!(answers.take("3").unwrap().json::<Value>().is_err());
        assert!(answers.take("1").is_none(), "an answer is used once");
    }

    #[test]
    fn an_impossible_status_is_no_answer() {
        let text = r#"{"responses":[{"id":"1","status":7}]}"#;
        assert!(serde_json::from_str::<Answers>(text).unwrap().take("1").is_none());
    }
}
