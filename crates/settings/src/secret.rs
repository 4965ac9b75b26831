//! Values that must never reach a log, an error or a debugger's output.

use std::fmt;

/// What stands in the place of a secret wherever it would be printed.
pub const REDACTED: &str = "[redacted]";

/// A password or key. `Debug` and `Display` print `[redacted]`; only [`Secret::expose`] gives the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps the text as it is.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself. Call it only where the value leaves for the service that it opens.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// A URL that may hold a password. `Debug` and `Display` print it with the password as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// Wraps the text as it is, without checking that it is a URL.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The whole URL, password included. Call it only to connect.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact_url(&self.0))
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redact_url(&self.0))
    }
}

/// The URL without its password and without the values of query parameters that may be secret.
///
/// Text that has no scheme is hidden whole: it may be a password in the wrong place. A password may itself hold `@`
/// or `/` unescaped, so everything from the first `:` to the last `@` goes; too much hidden is better than too little.
pub fn redact_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return REDACTED.to_owned();
    };
    let without_password = match rest.rsplit_once('@') {
        Some((user_info, host)) => match user_info.split_once(':') {
            Some((user, _password)) => format!("{user}:***@{host}"),
            None => rest.to_owned(),
        },
        None => rest.to_owned(),
    };
    format!("{scheme}://{}", redact_query(&without_password))
}

fn redact_query(url: &str) -> String {
    let Some((path, query)) = url.split_once('?') else {
        return url.to_owned();
    };
    let parameters: Vec<_> = query.split('&').map(redact_parameter).collect();
    format!("{path}?{}", parameters.join("&"))
}

/// Keeps only what is known to be harmless, because secret parameters have too many names to list.
fn redact_parameter(parameter: &str) -> String {
    const HARMLESS: [&str; 6] = ["sslmode", "application_name", "host", "port", "region", "endpoint"];
    match parameter.split_once('=') {
        Some((name, _)) if !HARMLESS.contains(&name) => format!("{name}=***"),
        _ => parameter.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints_itself() {
        let secret = Secret::new("sk-live");
        assert_eq!(format!("{secret} {secret:?}"), "[redacted] [redacted]");
        assert_eq!(secret.expose(), "sk-live");
    }

    #[test]
    fn a_url_prints_without_its_password() {
        for (url, expected) in [
            ("postgres://user:pw@host/db", "postgres://user:***@host/db"),
            ("postgres://user:p@ss/w:rd@host/db", "postgres://user:***@host/db"),
            ("postgres://:pw@host/db", "postgres://:***@host/db"),
            ("postgres://user@host:5432/db", "postgres://user@host:5432/db"),
            ("postgres://host/db?password=pw&sslmode=require", "postgres://host/db?password=***&sslmode=require"),
            ("s3://bucket/path?secret_access_key=k", "s3://bucket/path?secret_access_key=***"),
            ("host=h password=pw", "[redacted]"),
            ("", "[redacted]"),
        ] {
            assert_eq!(redact_url(url), expected, "for {url}");
            assert_eq!(format!("{:?}", SecretUrl::new(url)), expected);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_password_survives_whatever_its_characters(password in "[!-~]{1,40}") {
            let marked = format!("QZ{password}QZ");
            let shown = redact_url(&format!("postgres://user:{marked}@host/db"));
            proptest::prop_assert_eq!(shown, "postgres://user:***@host/db");
        }
    }
}
