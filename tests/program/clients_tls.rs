//! Real clients that trust the local authority, through a relay with TLS on both legs.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::clients::{FOLDER, LIMIT, assert_session, chromium, succeed, websockets};
use crate::support::{Program, have, node_modules, python, run_with, skip};

/// A server, a relay before it, both by TLS with certificates of the same authority.
struct Chain {
    server: Program,
    relay: Program,
    data: TempDir,
}

impl Chain {
    fn start() -> Self {
        let data = TempDir::new().unwrap();
        let environment = [("XDG_DATA_HOME", data.path().to_str().unwrap())];
        let limit = LIMIT.to_string();
        let arguments = ["--tls", "--format", "json", "--subprotocol", "chat", "--payload-limit", &limit];
        let server = Program::start("0", &[&arguments[..], &["--deflate", "off"]].concat(), &environment, true);
        let upstream = format!("wss://localhost:{}", server.port());
        let ca = authority(&data);
        let arguments = [&upstream, "--tls", "--ca", ca.to_str().unwrap(), "--format", "json", "--payload-limit", "0"];
        let relay = Program::relay_in("0", &arguments, &environment);
        Self { server, relay, data }
    }

    fn ca(&self) -> PathBuf {
        authority(&self.data)
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://localhost:{}/", self.relay.port())
    }

    /// The client's session, as the server saw it, and TLS, as the relay did.
    #[track_caller]
    fn assert_session(self, has_frames: bool) {
        assert_session(&websockets(self.server, 1)[0], Some("chat"), has_frames);
        assert_tls(&websockets(self.relay, 1)[0].0);
    }
}

fn authority(data: &TempDir) -> PathBuf {
    data.path().join("wsinspect/ca/ca.pem")
}

#[track_caller]
fn assert_tls(open: &Value) {
    assert_eq!(open["findings"], json!([]));
    for (leg, alpn) in [("client", false), ("server", true)] {
        let tls = &open["tls"][leg];
        assert_eq!((&tls["version"], &tls["sni"]), (&json!("TLSv1.3"), &json!("localhost")), "{open}");
        assert_eq!(tls["chain"][0]["names"], json!(["localhost", "127.0.0.1", "::1"]), "{open}");
        assert_eq!(tls["unverified"], Value::Null);
        if alpn {
            assert_eq!(tls["alpn"], "http/1.1");
        }
    }
}

#[test]
fn pythons_websockets_comes_by_tls() {
    let Some(python) = python() else {
        return skip("Python's websockets by TLS", "a Python with the package websockets (WSINSPECT_PYTHON)");
    };
    let chain = Chain::start();
    let script = format!("{FOLDER}/client.py");
    succeed(Command::new(python).env("SSL_CERT_FILE", chain.ca()).arg(script).arg(chain.url("wss")));
    chain.assert_session(true);
}

#[test]
fn nodes_ws_comes_by_tls() {
    let Some(modules) = node_modules() else {
        return skip("Node's ws by TLS", "Node or a folder with ws (WSINSPECT_NODE_MODULES)");
    };
    let chain = Chain::start();
    let mut node = Command::new("node");
    node.env("NODE_PATH", modules).env("NODE_EXTRA_CA_CERTS", chain.ca());
    succeed(node.arg(format!("{FOLDER}/client.cjs")).arg(chain.url("wss")));
    chain.assert_session(true);
}

#[test]
fn curl_reads_the_test_page_by_tls_and_refuses_where_it_does_not_trust() {
    if !have("curl", "--version") {
        return skip("curl by TLS", "curl");
    }
    let chain = Chain::start();
    let curl = |arguments: &[&str]| {
        let url = format!("https://127.0.0.1:{}/", chain.relay.port());
        Command::new("curl").args(["-sS", "--max-time", "60", "--noproxy", "*", &url]).args(arguments).output().unwrap()
    };
    let ca = chain.ca();
    let trusted = curl(&["--cacert", ca.to_str().unwrap()]);
    assert!(trusted.stdout.starts_with(b"<!DOCTYPE html>"), "{trusted:?}");
    assert_eq!(curl(&[]).status.code(), Some(60), "the certificate is not trusted");
    let refused = chain.relay.event("the refusal", |event| event["event"] == "refused");
    assert_eq!(
        refused["reason"],
        "The client does not trust the certificate that it was shown (alert unknown_ca); if the local \
         authority made it, wsinspect ca says how to trust that."
    );
}

#[test]
fn chromium_comes_by_tls_once_it_trusts_the_authority() {
    let Some(chromium) = chromium("Chromium by TLS") else { return };
    // it has no option that does nothing well
    if Command::new("certutil").stderr(Stdio::null()).status().is_err() {
        return skip("Chromium by TLS", "certutil (libnss3-tools)");
    }
    let chain = Chain::start();
    let home = tempfile::tempdir().unwrap();
    let database = home.path().join(".pki/nssdb");
    std::fs::create_dir_all(&database).unwrap();
    let certutil = |arguments: &[&str]| {
        let database = format!("sql:{}", database.display());
        succeed(Command::new("certutil").args(["-d", &database]).args(arguments));
    };
    certutil(&["-N", "--empty-password"]);
    certutil(&["-A", "-t", "C,,", "-n", "wsinspect", "-i", chain.ca().to_str().unwrap()]);
    let mut node = Command::new("node");
    node.env("HOME", home.path()).arg(format!("{FOLDER}/browser.cjs")).arg(chromium);
    succeed(node.arg(home.path().join("profile")).arg(chain.url("https")));
    let sockets = websockets(chain.server, 2);
    assert_session(&sockets[1], Some("chat"), false);
    for (open, ..) in websockets(chain.relay, 2) {
        assert_tls(&open);
    }
}

#[test]
fn ca_prints_where_the_authority_is_and_makes_it_once() {
    let data = TempDir::new().unwrap();
    let environment = [("XDG_DATA_HOME", data.path().to_str().unwrap())];
    let first = run_with(&["ca"], b"", &environment);
    assert_eq!((first.code, first.stderr.as_str()), (Some(0), ""));
    let path = authority(&data);
    for program in ["curl", "Python", "Node", "Firefox", "Chromium"] {
        let line = first.stdout.lines().position(|line| line.trim_start().starts_with(program));
        assert!(line.is_some(), "{program}: {}", first.stdout);
    }
    assert!(first.stdout.contains(path.to_str().unwrap()));
    assert_eq!(run_with(&["ca"], b"", &environment).stdout, first.stdout);
}
