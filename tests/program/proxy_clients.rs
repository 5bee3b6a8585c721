//! Real clients through the proxy, plain and by TLS of the local authority.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use crate::clients::{FOLDER, chromium, succeed, websockets};
use crate::support::{Program, have, node_modules, python, skip};

/// A server that speaks TLS and plain, and a proxy; their certificates come from one authority.
struct Chain {
    server: Program,
    proxy: Program,
    data: TempDir,
}

impl Chain {
    fn start() -> Self {
        let data = TempDir::new().unwrap();
        let environment = [("XDG_DATA_HOME", data.path().to_str().unwrap())];
        // clients look at what comes back; here it would only be printed
        let arguments = ["--tls", "--subprotocol", "chat", "--payload-limit", "0", "--deflate", "off"];
        let server = Program::start("0", &arguments, &environment, true);
        let ca = data.path().join("wsinspect/ca/ca.pem");
        let arguments = ["--tls", "--ca", ca.to_str().unwrap(), "--payload-limit", "0"];
        let proxy = Program::proxy("0", &arguments, &environment);
        Self { server, proxy, data }
    }

    fn ca(&self) -> PathBuf {
        self.data.path().join("wsinspect/ca/ca.pem")
    }

    fn target(&self) -> String {
        format!("localhost:{}", self.server.port())
    }

    fn proxy(&self) -> String {
        format!("http://{}", self.proxy.address())
    }

    /// Every one of so many connections was inspected on its way.
    #[track_caller]
    fn assert_inspected(self, count: usize) {
        let target = self.target();
        for (open, frames, close) in websockets(self.proxy, count) {
            assert_eq!((&open["tunnel"]["target"], &open["findings"]), (&json!(target), &json!([])), "{open}");
            assert!(frames.len() > 3 && frames.iter().all(|frame| frame["findings"] == json!([])), "{frames:?}");
            assert_eq!(close["clean"], true, "{close}");
        }
    }
}

#[test]
fn curl_fetches_through_it_plain_and_by_tls() {
    if !have("curl", "--version") {
        return skip("curl through a proxy", "curl");
    }
    let chain = Chain::start();
    let (ca, target) = (chain.ca(), chain.target());
    // in absolute form, by a tunnel, and by TLS in one
    for (url, more) in [("http://", &[][..]), ("http://", &["--proxytunnel"]), ("https://", &[])] {
        let url = format!("{url}{target}/");
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "60", "--noproxy", "", "-x", &chain.proxy(), &url]).args(more);
        let output = curl.arg("--cacert").arg(&ca).output().unwrap();
        assert!(output.stdout.starts_with(b"<!DOCTYPE html>"), "{url}: {output:?}");
    }
    for (n, in_tunnel, by_tls) in [(1, false, false), (2, true, false), (3, true, true)] {
        let http = chain.proxy.event("the exchange", |event| event["event"] == "http" && event["n"] == n);
        assert_eq!((&http["status"], &http["complete"]), (&json!(200), &json!(true)));
        assert_eq!(http["tunnel"].is_object(), in_tunnel, "{http}");
        assert_eq!(http["target"] == "/", in_tunnel || by_tls, "{http}");
    }
}

#[test]
fn curl_comes_to_it_by_tls_too() {
    if !have("curl", "--version") {
        return skip("curl to a proxy by TLS", "curl");
    }
    let chain = Chain::start();
    let (ca, target) = (chain.ca(), chain.target());
    let proxy = chain.proxy().replace("http:", "https:");
    for (n, url, more) in [(1, "http://", &[][..]), (2, "http://", &["--proxytunnel"]), (3, "https://", &[])] {
        let url = format!("{url}{target}/");
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "60", "--noproxy", "", "-x", &proxy, &url]).args(more);
        let output = curl.arg("--cacert").arg(&ca).arg("--proxy-cacert").arg(&ca).output().unwrap();
        assert!(output.stdout.starts_with(b"<!DOCTYPE html>"), "{url}: {output:?}");
        let http = chain.proxy.event("the exchange", |event| event["event"] == "http" && event["conn"] == n);
        let why = http["tunnel"]["why"].as_str();
        assert_eq!(why, (n == 3).then_some("It is not looked into: it is TLS once more."), "{http}");
    }
}

#[test]
fn pythons_websockets_goes_through_it_plain_and_by_tls() {
    let Some(python) = python() else {
        return skip("Python's websockets through a proxy", "a Python with the package websockets (WSINSPECT_PYTHON)");
    };
    let chain = Chain::start();
    for scheme in ["ws", "wss"] {
        let mut client = Command::new(&python);
        client.env("SSL_CERT_FILE", chain.ca()).arg(format!("{FOLDER}/client.py"));
        succeed(client.arg(format!("{scheme}://{}/", chain.target())).arg(chain.proxy()));
    }
    chain.assert_inspected(2);
}

#[test]
fn nodes_ws_goes_through_it_plain_and_by_tls() {
    let Some(modules) = node_modules() else {
        return skip("Node's ws through a proxy", "Node or a folder with ws (WSINSPECT_NODE_MODULES)");
    };
    let chain = Chain::start();
    for scheme in ["ws", "wss"] {
        let mut node = Command::new("node");
        node.env("NODE_PATH", &modules).env("NODE_EXTRA_CA_CERTS", chain.ca()).arg(format!("{FOLDER}/tunnel.cjs"));
        succeed(node.args([&chain.proxy(), &chain.target(), &format!("{scheme}://{}/", chain.target())]));
    }
    chain.assert_inspected(2);
}

#[test]
fn chromium_goes_through_it_plain() {
    let Some(chromium) = chromium("Chromium through a proxy") else { return };
    let chain = Chain::start();
    let home = tempfile::tempdir().unwrap();
    let mut node = Command::new("node");
    node.arg(format!("{FOLDER}/browser.cjs")).arg(chromium).arg(home.path().join("profile"));
    succeed(node.args([&format!("http://{}/", chain.target()), &chain.proxy()]));
    chain.assert_inspected(2);
}

#[test]
fn chromium_goes_through_it_by_tls_once_it_trusts_the_authority() {
    let Some(chromium) = chromium("Chromium through a proxy by TLS") else { return };
    if Command::new("certutil").stderr(Stdio::null()).status().is_err() {
        return skip("Chromium through a proxy by TLS", "certutil (libnss3-tools)");
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
    succeed(node.arg(home.path().join("profile")).args([&format!("https://{}/", chain.target()), &chain.proxy()]));
    chain.assert_inspected(2);
}
