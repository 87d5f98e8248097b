//! What an answer of Graph means: go on, wait, or which failure it is.

use super::{Caller, Operation};
use crate::entra::{Error, Link, wire};
use crate::outbound::gate::Told;
use crate::outbound::http::{Answer, Cause, Unreadable};
use crate::outbound::{self, Trouble};

/// `x-ms-throttle-limit-percentage` appears from 0.8; throttling starts at 1.
const CLOSE_TO_LIMIT: f64 = 0.8;

impl Caller {
    /// The answer, if it is a good one. What it says of limits is remembered for all lanes.
    pub(in crate::entra) fn judge(&self, operation: Operation, answer: Answer) -> Result<Answer, Error> {
        let gate = self.shared.gate(operation.service);
        self.hear(&answer);
        if answer.status.is_success() {
            gate.passed();
            return Ok(answer);
        }
        let status = answer.status.as_u16();
        let until = wire::retry_after(&answer, self.now());
        match (status, until) {
            (429 | 503 | 504, Some(until)) => {
                gate.close(Told::Until(until));
                Err(trouble(operation, Trouble::Throttled { status, until: Some(until) }))
            }
            (429, None) => {
                gate.close(Told::Nothing);
                Err(trouble(operation, Trouble::Throttled { status, until: None }))
            }
            (500.., _) => Err(trouble(operation, Trouble::Failed { status })),
            _ => Err(self.refused(operation, &answer)),
        }
    }

    pub(super) fn hear(&self, answer: &Answer) {
        if is_close_to_limit(answer) {
            self.shared.budget.lower_to_reserve();
        }
    }

    fn refused(&self, operation: Operation, answer: &Answer) -> Error {
        let status = answer.status.as_u16();
        let code = wire::error_code(answer);
        if status == 404 && code.as_deref().is_some_and(wire::says_absent) {
            return Error::Gone { operation: operation.word };
        }
        if status == 410 || code.as_deref().is_some_and(wire::says_resync) {
            return Error::ResyncNeeded { operation: operation.word, restart_at: self.restart(answer) };
        }
        // A proxy's, or a maintenance page: whatever its status says, Graph has not said it.
        let Some(code) = code else {
            return match status {
                408 => trouble(operation, Trouble::NoReply(Cause::TimedOut)),
                _ => trouble(operation, Trouble::Unreadable { status, why: Unreadable::Shape }),
            };
        };
        let code = outbound::shown_code(&code);
        match status {
            401..=403 => Error::Forbidden { operation: operation.word, needs: operation.needs, status, code },
            408 => trouble(operation, Trouble::NoReply(Cause::TimedOut)),
            _ => Error::Refused { operation: operation.word, status, code },
        }
    }

    /// Where Graph wants us to begin again; an address elsewhere is as good as none.
    fn restart(&self, answer: &Answer) -> Option<Link> {
        let link = Link::new(answer.header("location")?);
        link.under(&self.shared.graph_url, "").is_ok().then_some(link)
    }
}

pub(in crate::entra) fn trouble(operation: Operation, trouble: Trouble) -> Error {
    Error::Trouble { operation: operation.word, trouble }
}

fn is_close_to_limit(answer: &Answer) -> bool {
    let used = answer.header("x-ms-throttle-limit-percentage").and_then(|text| text.parse::<f64>().ok());
    used.is_some_and(|used| used >= CLOSE_TO_LIMIT)
}
