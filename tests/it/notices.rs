//! Telling people: one message per case whatever is retried or killed, against the twin's Slack and the real store.

mod bot;
mod desk;
mod logs;
mod trouble;
mod webhook;
mod words;
