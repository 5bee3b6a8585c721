//! The command line: arguments in, typed values out.

mod connect;
mod explain;
mod listeners;
mod manual;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use connect::{ClientReply, Connect};
pub use explain::{FINDINGS, run_explain, run_rules};
pub use listeners::{ListenTls, Proxy, Relay, Reply, Serve};
pub use manual::{Completions, run_completions, run_man};
pub use values::{FilterArgument, HeaderArgument, ListenAddress};
use values::{parse_keep, parse_size};

use crate::formats::export::Kind;
use crate::net::Upstream;
use crate::wire::Side;

/// What is on my WebSocket? An interactive terminal inspector that shows every frame live, byte-exact and explained.
#[derive(Debug, Parser)]
#[command(name = "wsinspect", version, max_term_width = 100, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Be the server: accept connections, answer them, show every frame
    Serve(Serve),
    /// Stand in the middle: pass every byte on to a server and back as it came, show every frame, put in your own
    Relay(Relay),
    /// Be the client: connect to a server, send and receive messages, show every frame
    Connect(Connect),
    /// Be a proxy for browsers and programs (HTTP_PROXY): pass everything on, show every frame of the WebSockets in it
    Proxy(Proxy),
    /// Show a recording, or any capture of plain WebSocket traffic
    Open(Open),
    /// Say where the local certificate authority is, which --tls makes certificates with, and how to trust it
    Ca,
    /// Take frames or an opening handshake apart and print every field
    Explain(Explain),
    /// Print the catalogue of rules: what RFC 6455 and RFC 7692 forbid and how a strict peer answers
    Rules(Rules),
    /// Learn how WebSockets work, down to the bytes, by lessons with tasks; no network is needed
    Learn(Learn),
    /// Print completions for a shell
    Completions(Completions),
    /// Print the man page
    Man,
}

/// Whom we trust where we are the client of TLS.
#[derive(Debug, Args)]
pub struct ServerTrust {
    /// Trust the certificates in FILE (PEM) beside the system's
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,

    /// Accept any certificate of the server, and say what is wrong with it
    #[arg(short = 'k', long, conflicts_with = "ca")]
    pub insecure: bool,
}

/// `--deflate`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Agree to it.
    On,
    /// Agree to none.
    Off,
}

/// Options of every command that shows live traffic.
#[derive(Debug, Args)]
pub struct Common {
    /// Keep the recording in FILE (pcapng, which Wireshark opens); - writes it to standard output, and nothing else
    /// there; without this it goes with the program
    #[arg(short = 'w', long, value_name = "FILE")]
    pub record: Option<PathBuf>,

    /// Replace FILE if it exists
    #[arg(long, requires = "record")]
    pub force: bool,

    /// Keep a recording without a name within SIZE on the disk, and its index within a quarter of that in memory: the
    /// oldest frames go first
    #[arg(long, value_name = "SIZE", value_parser = parse_keep, default_value = "4GiB", conflicts_with = "record")]
    pub keep: u64,

    /// Keep the secrets of TLS sessions in the recording too, so that a capture of the wire, made beside it by tcpdump,
    /// can be decrypted; SSLKEYLOGFILE is honoured in any case
    #[arg(long)]
    pub record_secrets: bool,

    /// The most connections at once; whoever comes then is answered with 503
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), default_value_t = 10_000)]
    pub max_connections: u32,

    /// How it is shown.
    #[command(flatten)]
    pub show: Show,
}

/// How every command that shows traffic does so.
#[derive(Debug, Args)]
pub struct Show {
    /// Show only frames that match, such as 'opcode == text and payload contains "price"'
    #[arg(short = 'Y', long, value_name = "EXPR")]
    pub filter: Option<FilterArgument>,

    /// No screen: print what happens to standard output, as when that is no terminal
    #[arg(long)]
    pub headless: bool,

    /// How to print it: a line a frame for people, or JSON Lines; text unless given
    #[arg(long, value_enum)]
    pub format: Option<Format>,

    /// JSON: print whole messages too, each after its last frame; inflated if they are compressed
    #[arg(long)]
    pub messages: bool,

    /// Print at most this much of each payload
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    pub payload_limit: Option<u64>,

    /// The largest payload of a frame: 16MiB, 64k, 1000
    #[arg(long, value_name = "BYTES", value_parser = parse_size, default_value = "16MiB")]
    pub max_frame: u64,

    /// The largest message
    #[arg(long, value_name = "BYTES", value_parser = parse_size, default_value = "64MiB")]
    pub max_message: u64,

    /// How it looks.
    #[command(flatten)]
    pub look: Look,
}

/// How output looks.
#[derive(Debug, Args)]
pub struct Look {
    /// When to use colours; NO_COLOR and CLICOLOR_FORCE are honoured
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,

    /// Draw with ASCII characters only
    #[arg(long)]
    pub ascii: bool,
}

/// `--format`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A line a frame.
    Text,
    /// An object a line.
    Json,
}

/// `--color`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// `wsinspect open`
#[derive(Debug, Args)]
pub struct Open {
    /// A recording, a pcap or pcapng capture, or a HAR, also compressed by gzip; - reads standard input
    pub file: PathBuf,

    /// Go on with what is still being written to FILE
    #[arg(long)]
    pub follow: bool,

    /// Headless: exit with code 3 if a rule of this level or above is broken
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub fail_on: Option<FailOn>,

    /// Show nothing, but write it all to OUT, as its suffix says: .pcapng, .har, .jsonl, .txt; - is standard output
    #[arg(long, value_name = "OUT", conflicts_with_all = ["follow", "fail_on"])]
    pub export: Option<PathBuf>,

    /// What to export as: pcapng, har, jsonl, text, or the payload of the one message there is
    #[arg(long = "as", value_name = "KIND", requires = "export")]
    pub kind: Option<Kind>,

    /// Replace OUT if it exists
    #[arg(long, requires = "export")]
    pub force: bool,

    /// How it is shown.
    #[command(flatten)]
    pub show: Show,
}

/// `wsinspect learn`
#[derive(Debug, Args)]
pub struct Learn {
    /// The lesson to open, such as masking; without it, and without a terminal in any case, the lessons are listed
    pub lesson: Option<String>,

    /// Lessons of your own: the files of DIR that end in .lesson are added; one of the same name is replaced
    #[arg(long, value_name = "DIR")]
    pub lessons: Option<PathBuf>,

    /// How it looks.
    #[command(flatten)]
    pub look: Look,
}

/// `wsinspect explain`
#[derive(Debug, Args)]
pub struct Explain {
    /// Bytes in hex, with or without spaces, or one close code such as 1006; standard input is read if there are none
    #[arg(value_name = "HEX", conflicts_with_all = ["rule", "accept"])]
    pub input: Vec<String>,

    /// Explain a rule of the catalogue
    #[arg(long, value_name = "ID", conflicts_with = "accept")]
    pub rule: Option<String>,

    /// Derive Sec-WebSocket-Accept from a Sec-WebSocket-Key, step by step
    #[arg(long, value_name = "KEY")]
    pub accept: Option<String>,

    /// Who sent the frames; unless given, masked frames are taken for the client's
    #[arg(long, value_name = "SIDE")]
    pub from: Option<SideArgument>,

    /// Take RSV1 for the mark of a compressed message, as if permessage-deflate had been agreed on, and inflate it
    #[arg(long)]
    pub deflate: bool,

    /// Exit with code 3 if a rule of this level or above is broken
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub fail_on: Option<FailOn>,

    /// How it looks.
    #[command(flatten)]
    pub look: Look,
}

/// `--from`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SideArgument {
    /// The client.
    Client,
    /// The server.
    Server,
}

impl From<SideArgument> for Side {
    fn from(side: SideArgument) -> Self {
        match side {
            SideArgument::Client => Self::Client,
            SideArgument::Server => Self::Server,
        }
    }
}

/// `--fail-on`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// MUST.
    Must,
    /// SHOULD, and MUST.
    Should,
    /// Anything.
    Advice,
}

/// `wsinspect rules`
#[derive(Debug, Args)]
pub struct Rules {
    /// How it looks.
    #[command(flatten)]
    pub look: Look,
}

/// A command that can't be carried out as it was given: one line that says how.
#[derive(Debug)]
pub struct UsageError(pub String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// What reading the command line came to, where it is no command.
#[derive(Debug)]
pub enum Usage {
    /// Help or the version was asked for: to be printed on standard output.
    Asked(String),
    /// The command line is wrong: one line that says how.
    Wrong(String),
}

impl Cli {
    /// Reads the command line.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, Usage> {
        let cli = Self::try_parse_from(arguments).map_err(|error| {
            if error.use_stderr() { Usage::Wrong(one_line(&error)) } else { Usage::Asked(error.render().to_string()) }
        })?;
        match &cli.command {
            Command::Serve(serve) => serve.check_deflate()?,
            Command::Relay(relay) => check_trust(&relay.trust, &relay.upstream, "relay")?,
            Command::Connect(connect) => connect.check()?,
            _ => {}
        }
        Ok(cli)
    }
}

/// Which of the four parameters of compression were given.
fn check_deflate(deflate: Switch, given: [bool; 4]) -> Result<(), Usage> {
    let options = [
        "--server-no-context-takeover",
        "--client-no-context-takeover",
        "--server-max-window-bits",
        "--client-max-window-bits",
    ];
    match options.into_iter().zip(given).find(|(_, is_given)| *is_given) {
        Some((option, _)) if deflate == Switch::Off => Err(Usage::Wrong(format!(
            "{option} is about compression, which --deflate off turns off: leave out one of the two; see wsinspect --help"
        ))),
        _ => Ok(()),
    }
}

/// Whom to trust makes no sense without TLS; `verb` says what is done with the server.
fn check_trust(trust: &ServerTrust, server: &Upstream, verb: &str) -> Result<(), Usage> {
    let given = [("--insecure", trust.insecure), ("--ca", trust.ca.is_some())];
    match given.into_iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) if !server.tls => Err(Usage::Wrong(format!(
            "{option} is about the server's certificate, and {server} has none: leave it out, or {verb} to wss://{}; see \
             wsinspect --help",
            server.authority
        ))),
        _ => Ok(()),
    }
}

/// clap's message, which has a paragraph for what is wrong and others for help, as one line.
fn one_line(error: &clap::Error) -> String {
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "a command is missing, such as serve; see wsinspect --help".to_owned();
    }
    let text = error.render().to_string();
    let mut paragraphs = text.split("\n\n");
    let words = |paragraph: &str| paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut line = words(paragraphs.next().unwrap_or_default());
    for tip in paragraphs.filter(|paragraph| paragraph.trim_start().starts_with("tip:")) {
        line.push_str("; ");
        line.push_str(words(tip).trim_start_matches("tip: "));
    }
    format!("{}; see wsinspect --help", line.trim_start_matches("error: "))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn read(line: &str) -> Result<Cli, Usage> {
        Cli::read(line.split(' ').map(OsString::from))
    }

    #[test]
    fn the_definition_of_the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_wrong_command_line_is_one_line_that_says_what_was_expected() {
        for (line, says) in [
            ("wsinspect", "a command is missing"),
            ("wsinspect open", "required arguments were not provided: <FILE>"),
            ("wsinspect open chat.pcapng --record other.pcapng", "unexpected argument '--record'"),
            ("wsinspect serve", "required arguments were not provided: <[HOST:]PORT>"),
            ("wsinspect serve http", "expected a port from 0 to 65535, found \"http\""),
            ("wsinspect serve 70000", "expected a port from 0 to 65535, found \"70000\""),
            ("wsinspect serve 9002 --max-frame 1X", "expected a size such as 16MiB, 64k or 1000"),
            ("wsinspect serve 9002 --ping-interval soon", "expected a time such as 30, 500ms or 20s"),
            ("wsinspect serve 9002 --deflate maybe", "possible values: on, off"),
            (
                "wsinspect serve 9002 --server-max-window-bits 8",
                "8 is allowed by RFC 7692, but DEFLATE's usual compressor",
            ),
            ("wsinspect serve 9002 --server-max-window-bits 16", "expected a number from 9 to 15, found \"16\""),
            ("wsinspect serve 9002 --client-max-window-bits 7", "expected a number from 8 to 15, found \"7\""),
            (
                "wsinspect serve 9002 --deflate off --client-max-window-bits 8",
                "--client-max-window-bits is about compression, which --deflate off turns off",
            ),
            (
                "wsinspect serve 9002 --server-no-context-takeover --deflate off",
                "--server-no-context-takeover is about compression, which --deflate off turns off",
            ),
            ("wsinspect serve 9002 --reply ecko", "possible values: echo, broadcast, none"),
            ("wsinspect serv 9002", "unrecognized subcommand 'serv'; a similar subcommand exists: 'serve'"),
            ("wsinspect serve 9002 -H nocolon", "expected 'Name: value'"),
            ("wsinspect serve 9002 --force", "--record <FILE>"),
            (
                "wsinspect serve 9002 --keep 1GiB --record a.pcapng",
                "'--keep <SIZE>' cannot be used with '--record <FILE>'",
            ),
            ("wsinspect serve 9002 --keep 15MiB", "expected at least 16MiB"),
            ("wsinspect serve 9002 --keep much", "expected a size such as 16MiB, 64k or 1000"),
            ("wsinspect serve 9002 -Y opcode==", "--filter <EXPR>': column 9: expected a value after \"==\""),
            ("wsinspect connect", "required arguments were not provided: <URL>"),
            ("wsinspect connect localhost:9002", "expected a URL such as ws://localhost:9002/chat"),
            ("wsinspect connect ws://a -k", "--insecure is about the server's certificate, and ws://a has none"),
            ("wsinspect connect ws://a --max-connections 5", "cannot be used with '--max-connections <N>'"),
            ("wsinspect connect ws://a --reply broadcast", "possible values: echo, none"),
            ("wsinspect connect ws://a --client-max-window-bits 8", "8 is allowed by RFC 7692, but"),
            (
                "wsinspect connect ws://a --deflate off --server-max-window-bits 8",
                "--server-max-window-bits is about compression, which --deflate off turns off",
            ),
            ("wsinspect proxy 8080 --only *a.com", "expected a host such as example.com"),
            ("wsinspect proxy 8080 --upstream-proxy a:1", "expected a proxy such as http://localhost:3128"),
            ("wsinspect relay 9002 a:1 --upstream-proxy ftp://a", "found the scheme \"ftp\""),
            ("wsinspect relay 9002", "required arguments were not provided: <UPSTREAM>"),
            ("wsinspect relay 9002 localhost", "expected a server such as localhost:9003"),
            (
                "wsinspect relay 9002 localhost:1 -k",
                "--insecure is about the server's certificate, and ws://localhost:1 has",
            ),
            ("wsinspect relay 9002 localhost:1 --ca a.pem", "relay to wss://localhost:1"),
            ("wsinspect relay 9002 wss://localhost -k --ca a.pem", "cannot be used with"),
            ("wsinspect serve 9002 --tls --cert a.pem", "--key <FILE>"),
            ("wsinspect serve 9002 --tls --key a.pem", "--cert <FILE>"),
            ("wsinspect serve 9002 --cert a.pem --key a.pem", "--tls"),
        ] {
            match read(line) {
                Err(Usage::Wrong(error)) => {
                    assert!(error.contains(says), "{line}: {error}");
                    assert_eq!(error.lines().count(), 1, "{error}");
                }
                other => panic!("{line}: {other:?}"),
            }
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_manual() {
        let Command::Serve(serve) = read("wsinspect serve 9002").unwrap().command else { panic!("no serve") };
        assert_eq!(serve.listen, ListenAddress { host: "127.0.0.1".to_owned(), port: 9002 });
        assert_eq!((serve.common.show.max_frame, serve.common.show.max_message), (16 << 20, 64 << 20));
        assert_eq!(serve.reply, Reply::Echo);
        assert_eq!(serve.common.keep, 4 << 30);
        assert_eq!((serve.deflate, serve.server_max_window_bits), (Switch::On, None));
    }
}
