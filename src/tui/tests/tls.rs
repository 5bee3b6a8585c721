//! TLS in the handshake view.

use super::*;
use crate::capture::{Certificate, Tls};

fn tls(unverified: Option<&str>) -> EventKind {
    let certificate = Certificate {
        subject: "CN=chat.example, O=Example".to_owned(),
        issuer: "CN=Example Authority".to_owned(),
        names: vec!["chat.example".to_owned(), "127.0.0.1".to_owned()],
        not_before: 1_700_000_000,
        not_after: 1_707_000_000,
        fingerprint: "6210a6843fd4ac886125ea765d7f421381705f9401eacad614dd18766b25be5e".to_owned(),
    };
    let tls = Tls {
        version: "TLSv1.3".to_owned(),
        cipher: "TLS_AES_128_GCM_SHA256".to_owned(),
        alpn: Some("http/1.1".to_owned()),
        sni: unverified.is_none().then(|| "chat.example".to_owned()),
        chain: vec![certificate],
        unverified: unverified.map(str::to_owned),
    };
    let with = if unverified.is_some() { Side::Server } else { Side::Client };
    EventKind::Tls { with, tls: tls.into() }
}

#[test]
fn the_handshake_explains_tls_of_both_legs() {
    for (width, height) in [(80, 60), (160, 50)] {
        let mut traffic = Traffic::new();
        traffic.open(1);
        traffic.event(1, tls(None));
        traffic.event(1, tls(Some("the certificate of 127.0.0.1 is self-signed")));
        traffic.close(1);
        let (capture, _folder) = traffic.done();
        let mut tester = Tester::new(capture, width, height);
        tester.keys("3");
        assert!(tester.screen().contains("TLSv1.3 with the server, not verified: the certificate of"), "at the top");
        tester.keys("G");
        insta::assert_snapshot!(format!("tls {width}x{height}"), tester.screen());
    }
}

#[test]
fn a_connection_that_came_to_no_tls_says_why_in_the_handshake() {
    let mut traffic = Traffic::new();
    traffic.event(
        1,
        EventKind::Opened {
            client: SocketAddr::from(([127, 0, 0, 1], 50_000)),
            server: SocketAddr::from(([127, 0, 0, 1], 9002)),
            vantage: Vantage::End(Side::Server),
        },
    );
    traffic.event(1, EventKind::NoTls("The client does not trust \u{1b}[31m us.".into()));
    traffic.close(1);
    let (capture, _folder) = traffic.done();
    let mut tester = Tester::new(capture, 80, 24);
    tester.keys("23");
    assert!(tester.screen().contains("The client does not trust \\x1b[31m us."), "{}", tester.screen());
}
