//! Telling people: one message per case whatever is retried or killed, against the twin's Slack, mail server and ticket system, and the real store.

mod bot;
mod channels;
mod desk;
mod logs;
mod mail;
mod ticket;
mod trouble;
mod webhook;
mod words;
