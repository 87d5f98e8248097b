//! The one way to make an HTTP client: timeouts, request ids, body limits, redaction, budgets.
