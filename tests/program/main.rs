//! The program as users and scripts meet it: its binary, over real sockets, pipes and signals.
#![cfg(feature = "program")]

mod support;

mod broken_rules;
mod clients;
mod clients_tls;
mod command_line;
mod compose;
mod connect;
mod connect_failures;
mod connect_screen;
mod deflate;
mod endings;
mod explain;
mod export;
mod files;
mod filter;
mod handshake;
mod har;
mod injection;
mod json;
mod keep;
mod lessons;
mod loss;
mod open;
mod opening;
mod proxy;
mod proxy_clients;
mod proxy_http;
mod reactions;
mod readme;
mod recording;
mod refusals;
mod relay;
mod relay_crowd;
mod relay_http;
mod relay_tls;
mod screen;
mod text;
mod tls;
mod traffic;
mod upstream_proxy;
