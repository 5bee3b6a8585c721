//! Which hosts a proxy looks at.

use std::str::FromStr;

use super::absolute::Destination;

/// `example.com`, `*.example.com`, `example.com:8443`, `*:8443`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    host: Host,
    /// Any port without it.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Any,
    /// Those that end in this, which begins with a dot, and not what stands after the dot by itself.
    Below(String),
    This(String),
}

impl FromStr for HostPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || {
            format!(
                "expected a host such as example.com, *.example.com, example.com:8443 or [::1]:9003, found \"{text}\""
            )
        };
        let has_port = text.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        // whatever the port, a pattern is read as a destination is
        let with_port = if has_port { text.to_owned() } else { format!("{text}:1") };
        let Destination { host, port } = Destination::parse(&with_port, None).ok_or_else(expected)?;
        let host = match host.strip_prefix('*') {
            None => Host::This(host),
            Some("") => Host::Any,
            Some(below) if below.len() > 1 && below.starts_with('.') => Host::Below(below.to_owned()),
            Some(_) => return Err(expected()),
        };
        if matches!(&host, Host::This(text) | Host::Below(text) if text.contains('*')) {
            return Err(expected());
        }
        Ok(Self { host, port: has_port.then_some(port) })
    }
}

impl HostPattern {
    pub(super) fn matches(&self, destination: &Destination) -> bool {
        // a dot at the end only says that nothing is to be put after the name
        let asked = destination.host.strip_suffix('.').unwrap_or(&destination.host);
        let is_host = match &self.host {
            Host::Any => true,
            Host::Below(end) => asked.len() > end.len() && asked.ends_with(end.as_str()),
            Host::This(host) => asked == host,
        };
        is_host && self.port.is_none_or(|port| port == destination.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_hosts_below_or_one_and_any_port_or_one() {
        for (pattern, yes, no) in [
            ("Example.com", &["example.com:1", "EXAMPLE.com.:2"][..], &["a.example.com:1", "example.org:1"][..]),
            ("*.example.com", &["a.example.com:1", "a.b.example.com:443"], &["example.com:1", "aexample.com:1"]),
            ("*.example.com:443", &["a.example.com:443"], &["a.example.com:444"]),
            ("*:9003", &["a:9003", "[::1]:9003"], &["a:9004"]),
            ("*", &["a:1"], &[]),
            ("[::1]", &["[::1]:5"], &["[::2]:5"]),
            ("[::1]:5", &["[::1]:5"], &["[::1]:6"]),
            ("127.0.0.1", &["127.0.0.1:80"], &["127.0.0.2:80"]),
        ] {
            let pattern: HostPattern = pattern.parse().unwrap();
            for (hosts, expected) in [(yes, true), (no, false)] {
                for host in hosts {
                    let destination = Destination::parse(host, None).unwrap();
                    assert_eq!(pattern.matches(&destination), expected, "{pattern:?} {host}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "*example.com", "a.*.com", "*.", "**", "a:b", "::1", "http://a", "a/b", "a:0"] {
            assert!(text.parse::<HostPattern>().unwrap_err().starts_with("expected a host"), "{text}");
        }
    }
}
