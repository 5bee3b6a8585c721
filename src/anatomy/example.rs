//! For each rule the shortest bytes that break it.

use crate::lint::Rule;
use crate::wire::Side;

/// Bytes that break a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Example {
    /// Frames, in hex, and who sends them.
    Frames {
        /// Who sends them.
        from: Side,
        /// Whether permessage-deflate was agreed on.
        deflate: bool,
        /// The bytes: header first, one frame after the other.
        hex: &'static str,
    },
    /// A line of the request, in place of the one of RFC 6455 1.3.
    Request {
        /// The right line, or its beginning.
        instead_of: &'static str,
        /// What the hostile client sends; empty for nothing.
        line: &'static str,
    },
    /// A line of the response, in place of the one of RFC 6455 1.3.
    Response {
        /// The right line, or its beginning.
        instead_of: &'static str,
        /// What the hostile server sends; empty for nothing.
        line: &'static str,
    },
}

/// The shortest bytes that break `rule`.
pub const fn example(rule: Rule) -> Example {
    match rule {
        Rule::UnmaskedClientFrame => client("81 00"),
        Rule::MaskedServerFrame => server("81 80 37 fa 21 3d"),
        Rule::RsvWithoutExtension => server("c1 00"),
        Rule::ReservedOpcode => server("83 00"),
        Rule::FragmentedControl => server("09 00"),
        Rule::ControlTooLong => server("89 7e 00 7e"),
        Rule::LengthNotMinimal => server("82 7e 00 00"),
        Rule::LengthTopBit => server("82 7f 80 00 00 00 00 00 00 00"),
        Rule::MaskingKeyReused => client("81 80 37 fa 21 3d 81 80 37 fa 21 3d"),
        Rule::ContinuationWithoutStart => server("80 00"),
        Rule::DataInsideMessage => server("01 00 81 00"),
        Rule::FrameAfterClose => server("88 00 81 00"),
        Rule::InvalidUtf8 => server("81 01 ff"),
        Rule::CloseBodyOneByte => server("88 01 03"),
        Rule::CloseCodeForbidden => server("88 02 03 ee"),
        Rule::CloseCodeUnassigned => server("88 02 03 f8"),
        Rule::CloseReasonInvalidUtf8 => server("88 03 03 e8 ff"),
        Rule::PongUnsolicited => server("8a 00"),
        Rule::Rsv1OnContinuation => compressing_server("41 00 c0 01 00"),
        Rule::Rsv1OnControl => compressing_server("c9 00"),
        Rule::InflateFailed => compressing_server("c1 01 ff"),
        Rule::FrameTooBig => server("82 7f 00 00 00 00 01 00 00 01"),
        Rule::MessageTooBig => server("02 7f 00 00 00 00 04 00 00 01"),
        Rule::RequestNotGet => request("GET /chat HTTP/1.1", "POST /chat HTTP/1.1"),
        Rule::RequestHttpVersion => request("GET /chat HTTP/1.1", "GET /chat HTTP/1.0"),
        Rule::HostMissing => request("Host: ", ""),
        Rule::UpgradeMissing => request("Upgrade: ", ""),
        Rule::ConnectionMissing => request("Connection: ", "Connection: keep-alive"),
        Rule::KeyMissing => request("Sec-WebSocket-Key: ", ""),
        Rule::KeyNot16Bytes => request("Sec-WebSocket-Key: ", "Sec-WebSocket-Key: c2hvcnQ="),
        Rule::VersionNot13 => request("Sec-WebSocket-Version: ", "Sec-WebSocket-Version: 8"),
        Rule::HeaderMalformed => request("Host: ", "Host : server.example.com"),
        Rule::AcceptMissing => response("Sec-WebSocket-Accept: ", ""),
        Rule::AcceptWrong => response("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        Rule::StatusNot101 => response("HTTP/1.1 101", "HTTP/1.1 200 OK"),
        Rule::SubprotocolNotOffered => response("Sec-WebSocket-Protocol: ", "Sec-WebSocket-Protocol: soap"),
        Rule::ExtensionNotOffered => response("Sec-WebSocket-Protocol: ", "Sec-WebSocket-Extensions: x-foo"),
        Rule::ExtensionParameterInvalid => {
            request("Origin: ", "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=16")
        }
    }
}

const fn client(hex: &'static str) -> Example {
    Example::Frames { from: Side::Client, deflate: false, hex }
}

const fn server(hex: &'static str) -> Example {
    Example::Frames { from: Side::Server, deflate: false, hex }
}

const fn compressing_server(hex: &'static str) -> Example {
    Example::Frames { from: Side::Server, deflate: true, hex }
}

const fn request(instead_of: &'static str, line: &'static str) -> Example {
    Example::Request { instead_of, line }
}

const fn response(instead_of: &'static str, line: &'static str) -> Example {
    Example::Response { instead_of, line }
}
