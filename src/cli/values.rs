//! Values of arguments: addresses, sizes, times, headers.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::capture::filter::{Filter, FilterError};

/// `[HOST:]PORT`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenAddress {
    /// A name or an address; an IPv6 address without its brackets.
    pub host: String,
    /// 0 takes a free one.
    pub port: u16,
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = text.rsplit_once(':').unwrap_or(("127.0.0.1", text));
        let port = port.parse().map_err(|_| format!("expected a port from 0 to 65535, found \"{port}\""))?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address,
            None if host.contains(':') => {
                return Err(format!("expected an IPv6 address in brackets, such as [::1]:9002, found \"{text}\""));
            }
            None => host,
        };
        if host.is_empty() {
            return Err(format!("expected a host before the colon, such as 0.0.0.0:{port}"));
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// `Name: value`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderArgument {
    /// The header's name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl FromStr for HeaderArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected 'Name: value', found \"{text}\"");
        let (name, value) = text.split_once(':').ok_or_else(expected)?;
        let is_name =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !is_name || value.chars().any(|character| character.is_control() && character != '\t') {
            return Err(expected());
        }
        Ok(Self { name: name.to_owned(), value: value.trim().to_owned() })
    }
}

/// A display filter, and how it was written.
#[derive(Clone, Debug)]
pub struct FilterArgument {
    /// As it was written.
    pub text: String,
    /// What it means.
    pub filter: Filter,
}

impl FromStr for FilterArgument {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        Ok(Self { text: text.to_owned(), filter: Filter::parse(text)? })
    }
}

/// `16MiB`, `64k`, `1000`: a `k`, `M` or `G` is a power of 1024, with or without `iB` or `B`.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let expected = || format!("expected a size such as 16MiB, 64k or 1000, found \"{text}\"");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return Err(expected()),
    };
    let number: u64 = number.parse().map_err(|_| expected())?;
    number.checked_mul(1 << shift).filter(|size| i64::try_from(*size).is_ok()).ok_or_else(expected)
}

/// The same, no smaller than what the recording is cut by makes sense with.
pub(super) fn parse_keep(text: &str) -> Result<u64, String> {
    let size = parse_size(text)?;
    if size < 16 << 20 { Err(format!("expected at least 16MiB, found \"{text}\"")) } else { Ok(size) }
}

/// `500ms`, `2s`, `1m`; a bare number is seconds. Not 0.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("expected a time such as 30, 500ms or 20s, found \"{text}\"");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok().filter(|number| (1..=1_000_000_000).contains(number)).ok_or_else(expected)?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "" | "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number * 60)),
        _ => Err(expected()),
    }
}

/// How far our own compression looks back, as a power of 2.
pub(super) fn parse_server_window(text: &str) -> Result<u8, String> {
    if text == "8" {
        let why =
            "8 is allowed by RFC 7692, but DEFLATE's usual compressor can't keep to it; expected a number from 9 to 15";
        return Err(why.to_owned());
    }
    parse_window(text, 9)
}

/// How far a client's compression looks back, as a power of 2.
pub(super) fn parse_client_window(text: &str) -> Result<u8, String> {
    parse_window(text, 8)
}

fn parse_window(text: &str, least: u8) -> Result<u8, String> {
    let expected = || format!("expected a number from {least} to 15, found \"{text}\"");
    text.parse().ok().filter(|bits| (least..=15).contains(bits)).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_optional_and_ipv6_stands_in_brackets() {
        for (text, shown) in [
            ("9002", "127.0.0.1:9002"),
            ("0.0.0.0:80", "0.0.0.0:80"),
            ("localhost:0", "localhost:0"),
            ("[::1]:9002", "[::1]:9002"),
        ] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), shown);
        }
        for text in ["", ":9002", "::1:9002", "host:", "9002:host"] {
            assert!(text.parse::<ListenAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_and_times_take_units() {
        assert_eq!(parse_size("16MiB"), Ok(16 << 20));
        assert_eq!(parse_size("64k"), Ok(64 << 10));
        assert_eq!(parse_size("1000"), Ok(1000));
        assert!(parse_size("99999999999G").is_err());
        assert!(parse_size("").is_err());
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(parse_duration("30"), Ok(Duration::from_secs(30)));
        assert!(parse_duration("0").is_err());
        assert!(parse_duration("5h").is_err());
    }

    #[test]
    fn a_header_can_smuggle_in_no_line_break() {
        assert!("X-A: b".parse::<HeaderArgument>().is_ok());
        for text in ["X-A", ": b", "X A: b", "X-A: b\r\nX-B: c"] {
            assert!(text.parse::<HeaderArgument>().is_err(), "{text:?}");
        }
    }
}
