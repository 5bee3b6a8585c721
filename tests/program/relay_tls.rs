//! The relay with TLS on either leg, and on both: what goes in comes out, and so do the ends.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use crate::proxy::converse;
use crate::relay::Random;
use crate::support::{Authority, Certified, Duplex, Program, client_config, server_config};
use rustls::ServerConfig;

/// Conversations for each way to have TLS.
const CONVERSATIONS: u64 = 200;
/// The same where there is time.
const CONVERSATIONS_IN_CI: u64 = 500;

/// A relay with TLS or without on either leg, and the server behind it.
struct Relay {
    program: Program,
    listener: TcpListener,
    authority: Authority,
    /// How the server speaks TLS, if it does.
    server: Option<Arc<ServerConfig>>,
    has_tls_clients: bool,
}

impl Relay {
    fn start(clients: bool, server: bool, arguments: &[&str]) -> Self {
        let authority = Authority::new();
        let certified = authority.certify(&["localhost", "127.0.0.1"], 1, 30);
        Self::start_with(authority, clients, server.then_some(&certified), arguments)
    }

    /// With that certificate of the server's, if it is to speak TLS.
    fn start_with(authority: Authority, clients: bool, server: Option<&Certified>, arguments: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if server.is_some() { "wss" } else { "ws" };
        let upstream = format!("{scheme}://localhost:{}", listener.local_addr().unwrap().port());
        let ca = authority.file();
        let mine = authority.certify(&["localhost"], 1, 30);
        let (certificate, key) = (mine.certificate_file, mine.key_file);
        let (ca, certificate, key) = (ca.to_str().unwrap(), certificate.to_str().unwrap(), key.to_str().unwrap());
        let mut all = vec![upstream.as_str(), "--format", "json"];
        if server.is_some() && !arguments.contains(&"-k") && !arguments.contains(&"--ca") {
            all.extend(["--ca", ca]);
        }
        if clients {
            all.extend(["--tls", "--cert", certificate, "--key", key]);
        }
        all.extend(arguments);
        let program = Program::relay("0", &all);
        Self { program, listener, authority, server: server.map(server_config), has_tls_clients: clients }
    }

    fn connect(&self) -> Duplex {
        if self.has_tls_clients {
            let config = client_config(&self.authority.file());
            Duplex::connect(self.program.address(), config, "localhost").unwrap()
        } else {
            Duplex::plain(TcpStream::connect(self.program.address()).unwrap())
        }
    }

    /// The server's end of the next connection.
    fn accept(&self) -> Duplex {
        let tcp = self.listener.accept().unwrap().0;
        match &self.server {
            Some(config) => Duplex::accept(tcp, config.clone()).unwrap(),
            None => Duplex::plain(tcp),
        }
    }
}

fn conversations(clients: bool, server: bool) {
    let relay = Relay::start(clients, server, &["--payload-limit", "0"]);
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let in_ci = std::env::var_os("WSINSPECT_CI").is_some();
    for n in 0..if in_ci { CONVERSATIONS_IN_CI } else { CONVERSATIONS } {
        // a request that can be found, half of the time; Host stands in none, so that nothing changes
        let found: &[u8] = if random.below(2) == 0 { b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n" } else { b"" };
        // nothing at all would be no connection to the server while the client is there
        let (up, down) = ([b"x", found, &random.bytes()].concat(), random.bytes());
        let up = if found.is_empty() { up } else { up[1..].to_vec() };
        converse(n, &mut random, (relay.connect(), || relay.accept()), &up, &down);
    }
}

#[test]
fn with_tls_to_the_client_the_bytes_that_come_out_are_those_that_went_in() {
    conversations(true, false);
}

#[test]
fn with_tls_to_the_server_the_bytes_that_come_out_are_those_that_went_in() {
    conversations(false, true);
}

#[test]
fn with_tls_on_both_legs_the_bytes_that_come_out_are_those_that_went_in() {
    conversations(true, true);
}
