//! Why each rule of the catalogue is there: what would go wrong without it.

use crate::lint::Rule;

/// Why there is such a rule, in a sentence or two.
pub const fn reason(rule: Rule) -> &'static str {
    match rule {
        Rule::UnmaskedClientFrame => {
            "Without a mask a page could choose the very bytes that cross a proxy, and make it take them for HTTP (10.3)."
        }
        Rule::MaskedServerFrame => {
            "A server's bytes are not chosen by a page, so that masking them would cost work and guard against nothing."
        }
        Rule::RsvWithoutExtension => {
            "A receiver that does not know what a bit changes about the payload would read it as something else."
        }
        Rule::ReservedOpcode => {
            "Room for later versions: whoever passed over what is not known could not tell what it has missed."
        }
        Rule::FragmentedControl => {
            "Control frames may stand between the fragments of a message; in fragments themselves they could not be told \
             apart from those."
        }
        Rule::ControlTooLong => "A control frame must be handled at once, also by whoever has little memory.",
        Rule::LengthNotMinimal => {
            "With one way to write a length nobody can hide one from a proxy or a filter that looks at the usual form."
        }
        Rule::LengthTopBit => {
            "Many languages have no unsigned 64-bit integers: the length would be a negative number there."
        }
        Rule::MaskingKeyReused => {
            "Who can foresee the key can choose the masked bytes, and the mask guards against nothing."
        }
        Rule::ContinuationWithoutStart => {
            "A continuation has no type of its own: without a beginning nobody knows whether it is text or binary."
        }
        Rule::DataInsideMessage => {
            "Frames have no number that says to which message they belong: their order alone tells."
        }
        Rule::FrameAfterClose => {
            "The close frame promises that nothing more comes, so that the other side may stop reading."
        }
        Rule::InvalidUtf8 => {
            "An application that is promised text must not be handed bytes that each language reads in another way."
        }
        Rule::CloseBodyOneByte => "A code has two bytes; of one byte nobody knows which half it is.",
        Rule::CloseCodeForbidden => {
            "Programs report by these codes what they saw themselves, such as 1006 for no close frame at all; on the wire \
             they would lie."
        }
        Rule::CloseCodeUnassigned => {
            "A code that the RFC gives a meaning one day must not mean something else already."
        }
        Rule::CloseReasonInvalidUtf8 => "The reason is handed to programs and logs as text.",
        Rule::PongUnsolicited => {
            "It shows that the sender is alive, and keeps proxies on the way from ending an idle connection."
        }
        Rule::Rsv1OnContinuation => {
            "A message is compressed as a whole: that a part of it is, or is not, has no meaning."
        }
        Rule::Rsv1OnControl => {
            "Control frames stand between the fragments of a compressed message and are no part of it."
        }
        Rule::InflateFailed => {
            "What can't be inflated can't be handed on, and with it all that refers back to it is lost."
        }
        Rule::RequestNotGet => {
            "It has no body and asks to change nothing, so that servers and proxies of any age know how to treat it."
        }
        Rule::RequestHttpVersion => "Older versions of HTTP know no Upgrade.",
        Rule::HostMissing => "One address may serve many names, and only the client knows which one it means.",
        Rule::UpgradeMissing => "It is how HTTP/1.1 names the protocol that the connection is to go on in.",
        Rule::ConnectionMissing => {
            "A proxy that does not know of it takes the Upgrade header away, and nobody is deceived about what it passes on."
        }
        Rule::KeyMissing => {
            "Without it nobody can tell a WebSocket server from one that just echoes, and no script can forge the header."
        }
        Rule::KeyNot16Bytes => {
            "Fresh and of this length it can't be guessed or kept by a cache, so that the answer is to this request."
        }
        Rule::VersionNot13 => "Drafts with other numbers framed their bytes in other ways.",
        Rule::AcceptMissing => "Without it the answer may come from a cache, or from a server that knows no WebSocket.",
        Rule::AcceptWrong => {
            "A wrong value shows that the server did not read this very key, or does not know WebSocket."
        }
        Rule::StatusNot101 => "The status is how HTTP says whether the protocol changes; all else is still HTTP.",
        Rule::SubprotocolNotOffered => "The client would be spoken to in a language that it never said it knows.",
        Rule::ExtensionNotOffered => "Extensions change what the bytes mean; the client could not read them.",
        Rule::ExtensionParameterInvalid => "Both sides must come to the same idea of what was agreed on.",
        Rule::HeaderMalformed => {
            "What two programs read in two ways can be used to smuggle a request past one of them (RFC 7230 9.5)."
        }
        Rule::FrameTooBig => "A peer could declare 2^63 bytes; whoever waits for them needs a limit.",
        Rule::MessageTooBig => {
            "Fragments, or a few bytes that inflate to millions, would fill the memory all the same."
        }
    }
}
