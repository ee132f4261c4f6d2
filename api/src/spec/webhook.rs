//! What may be the URI of a webhook.

use crate::limits;

/// Says what is wrong with a text as the URI of a webhook: `http://host[:port][/path]`, or `https`.
///
/// Names and passwords before the host are refused, for URIs show in logs and answers by their
/// origin; a secret belongs into the path.
pub fn check(uri: &str) -> Result<(), String> {
    if uri.len() > limits::WEBHOOK_BYTES {
        let (bytes, most) = (uri.len(), limits::WEBHOOK_BYTES);
        return Err(format!("it has {bytes} bytes, and {most} is the most"));
    }
    if let Some(odd) = uri.chars().find(|c| !is_of_a_uri(*c)) {
        return Err(format!("`{uri}` holds `{}`; write it with %", odd.escape_default()));
    }
    let rest = uri.strip_prefix("http://").or_else(|| uri.strip_prefix("https://"));
    let Some(rest) = rest else {
        return Err(format!("`{uri}` is neither http://host/path nor https://host/path"));
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(
            "it holds a name or password before its host; put a secret into the path".into()
        );
    }
    match split_port(authority) {
        Some((host, port)) if is_host(host) && port.is_none_or(is_port) => Ok(()),
        _ => Err(format!("`{authority}` is no host with an optional port")),
    }
}

/// Scheme, host and port of the URI of a webhook: what may be shown of it.
pub fn origin(uri: &str) -> &str {
    let scheme = uri.find("://").map_or(0, |at| at + "://".len());
    let end = uri[scheme..].find(['/', '?']).map_or(uri.len(), |at| scheme + at);
    &uri[..end]
}

/// What may stand in a URI (RFC 3986), but for a fragment, which is never sent.
fn is_of_a_uri(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~:/?[]@!$&'()*+,;=%".contains(c)
}

/// The host of an authority, and the port behind it.
fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let end = rest.find(']')?;
        let behind = &rest[end + 1..];
        return match behind.strip_prefix(':') {
            None if behind.is_empty() => Some((&authority[..end + 2], None)),
            port => Some((&authority[..end + 2], Some(port?))),
        };
    }
    match authority.split_once(':') {
        Some((host, port)) => Some((host, Some(port))),
        None => Some((authority, None)),
    }
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !host.is_empty() && host.bytes().all(allowed)
}

fn is_port(port: &str) -> bool {
    port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_sent_to_is_a_webhook() {
        for good in [
            "http://h",
            "http://h/",
            "https://hooks.example.com:8443/a/b?c=d&e=%20",
            "http://127.0.0.1:1",
            "http://[::1]:80/x",
            "http://[::1]",
            "http://a_b?x",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let long = format!("http://h/{}", "x".repeat(limits::WEBHOOK_BYTES));
        for bad in [
            "",
            "h",
            "ftp://h/",
            "HTTP://h/",
            "http://",
            "http:///x",
            "http://h:0/",
            "http://h:65536/",
            "http://h:/",
            "http://u:p@h/",
            "http://h/a b",
            "http://h/\n",
            "http://h/#x",
            "http://hä/",
            "http://[::1",
            "http://[::1]x",
            "http://[zz]/",
            "http://h:80:80/",
            &long,
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_origin_has_nothing_of_the_path() {
        let table = [
            ("http://h", "http://h"),
            ("https://h:1/secret?a", "https://h:1"),
            ("http://h?secret", "http://h"),
            ("http://[::1]:2/x", "http://[::1]:2"),
        ];
        for (uri, shown) in table {
            assert_eq!(origin(uri), shown);
        }
    }
}
