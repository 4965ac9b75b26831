//! The kinds of values: how each is read from text, what it expects, and how it is shown.

use std::fmt::Display;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use cron::Cron;
use sqlx::postgres::PgConnectOptions;
use tracing_subscriber::EnvFilter;

use crate::choice::{Choice, by_name};
use crate::machine::Machine;
use crate::secret::{Secret, SecretUrl};
use crate::web::{HostRule, Origin};

/// Stands between the paths of a list.
const PATH_SEPARATOR: char = ':';

/// Stands between the hosts and origins of a list.
const NAME_SEPARATOR: char = ',';

/// How a value may be shown to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Privacy {
    Public,
    /// Shown without its password; may come from a `_FILE`.
    Url,
    /// Never shown; may come from a `_FILE`.
    Secret,
}

/// What the reader must know of a setting besides its type.
pub(super) struct Rule {
    /// What a right value looks like, after "expected".
    pub expected: String,
    /// The unit at the end of the key, such as `_ms`, that the Rust field does not carry.
    pub suffix: &'static str,
    pub privacy: Privacy,
    /// Variables of other programs' making that mean this setting, the preferred one first.
    pub aliases: &'static [&'static str],
}

type Parse<T> = Box<dyn Fn(&str) -> Option<T>>;

/// A kind of value: `R` is what is written, such as milliseconds; `T` is what the field holds, such as a `Duration`.
pub(super) struct Kind<R, T = R> {
    parse: Parse<R>,
    build: fn(R) -> T,
    rule: Rule,
}

/// A kind together with what applies where no value is given.
pub(super) struct Setting<T> {
    pub parse: Parse<T>,
    pub default: Box<dyn FnOnce(&Machine) -> T>,
    pub default_text: DefaultText,
    pub rule: Rule,
}

/// How the documentation tells a default.
#[derive(Clone)]
pub(super) enum DefaultText {
    /// The setting may be left out.
    None,
    /// A value that could be written as it stands.
    Value(String),
    /// A description of what is computed.
    Computed(&'static str),
}

impl<R: 'static, T: 'static> Kind<R, T> {
    fn new(expected: impl Into<String>, parse: impl Fn(&str) -> Option<R> + 'static, build: fn(R) -> T) -> Self {
        let rule = Rule { expected: expected.into(), suffix: "", privacy: Privacy::Public, aliases: &[] };
        Self { parse: Box::new(parse), build, rule }
    }

    /// Variables without the prefix that are understood too.
    pub fn alias(mut self, names: &'static [&'static str]) -> Self {
        self.rule.aliases = names;
        self
    }

    fn privacy(mut self, privacy: Privacy) -> Self {
        self.rule.privacy = privacy;
        self
    }

    fn suffix(mut self, suffix: &'static str) -> Self {
        self.rule.suffix = suffix;
        self
    }

    /// Uses this value where none is given.
    pub fn or(self, default: impl Into<R>) -> Setting<T>
    where
        R: Display,
    {
        let (default, build) = (default.into(), self.build);
        let default_text = DefaultText::Value(default.to_string());
        self.setting(default_text, Box::new(move |_| build(default)), build)
    }

    /// Computes the value from the machine where none is given; `told` describes it.
    pub fn or_computed(self, told: &'static str, compute: fn(&Machine) -> R) -> Setting<T> {
        let build = self.build;
        self.setting(DefaultText::Computed(told), Box::new(move |machine| build(compute(machine))), build)
    }

    /// May be left out.
    pub fn optional(self) -> Setting<Option<T>> {
        let build = self.build;
        self.setting(DefaultText::None, Box::new(|_| None), move |raw| Some(build(raw)))
    }

    /// May be left out, and is empty then.
    pub fn or_empty(self) -> Setting<T>
    where
        T: Default,
    {
        let build = self.build;
        self.setting(DefaultText::None, Box::new(|_| T::default()), build)
    }

    fn setting<U: 'static>(
        self,
        default_text: DefaultText,
        default: Box<dyn FnOnce(&Machine) -> U>,
        build: impl Fn(R) -> U + 'static,
    ) -> Setting<U> {
        let parse = self.parse;
        Setting { parse: Box::new(move |text| parse(text).map(&build)), default, default_text, rule: self.rule }
    }
}

fn same<T>(value: T) -> T {
    value
}

fn number<N>(range: RangeInclusive<N>, expected: &str) -> (String, impl Fn(&str) -> Option<N> + 'static)
where
    N: FromStr + PartialOrd + Display + 'static,
{
    let expected = format!("{expected} from {} to {}", range.start(), range.end());
    (expected, move |text: &str| text.parse().ok().filter(|value| range.contains(value)))
}

/// A count of `unit`s.
pub(super) fn whole<N>(unit: &str, range: RangeInclusive<N>) -> Kind<N>
where
    N: FromStr + PartialOrd + Display + 'static,
{
    let (expected, parse) = number(range, &format!("a whole number of {unit}"));
    Kind::new(expected, parse, same)
}

/// A number with a fraction; NaN is in no range.
pub(super) fn decimal(range: RangeInclusive<f64>) -> Kind<f64> {
    let (expected, parse) = number(range, "a number");
    Kind::new(expected, parse, same)
}

/// A TCP port to listen on.
pub(super) fn port() -> Kind<u16> {
    let (expected, parse) = number(1..=65_535, "a whole number");
    Kind::new(expected, parse, same)
}

/// A size in bytes.
pub(super) fn bytes(range: RangeInclusive<usize>) -> Kind<usize> {
    whole("bytes", range)
}

/// A time whose key ends in `_ms`.
pub(super) fn millis(range: RangeInclusive<u64>) -> Kind<u64, Duration> {
    let (expected, parse) = number(range, "a whole number of milliseconds");
    Kind::new(expected, parse, Duration::from_millis).suffix("_ms")
}

/// A time whose key ends in `_s`.
pub(super) fn seconds(range: RangeInclusive<u64>) -> Kind<u64, Duration> {
    let (expected, parse) = number(range, "a whole number of seconds");
    Kind::new(expected, parse, Duration::from_secs).suffix("_s")
}

/// Yes or no.
pub(super) fn flag() -> Kind<bool> {
    let parse = |text: &str| match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    };
    Kind::new("true or false", parse, same)
}

/// One name of a fixed list, in any case.
pub(super) fn choice<C: Choice>() -> Kind<C> {
    let names: Vec<_> = C::ALL.iter().map(|choice| choice.name()).collect();
    Kind::new(format!("one of {}", names.join(", ")), by_name::<C>, same)
}

/// A path of the file system; whether it exists is for its user to see.
pub(super) fn path() -> Kind<PathBuf> {
    let parse = |text: &str| (!text.is_empty() && !text.contains('\0')).then(|| PathBuf::from(text));
    Kind::new("a path", parse, same)
}

/// Words before a text; the empty text is a choice too.
pub(super) fn prompt() -> Kind<String> {
    const LIMIT: usize = 1_000;
    let parse = |text: &str| (text.len() <= LIMIT && !text.contains('\0')).then(|| text.to_owned());
    Kind::new("a text of at most 1000 bytes", parse, same)
}

/// Absolute paths, as the shell's `PATH` lists them: a relative one would mean another place in each process.
pub(super) fn paths() -> Kind<Vec<PathBuf>> {
    let path = |text: &str| (text.starts_with('/') && !text.contains('\0')).then(|| PathBuf::from(text));
    let parse = move |text: &str| text.split(PATH_SEPARATOR).map(path).collect();
    Kind::new("absolute paths, separated by colons", parse, same)
}

/// An address or name of an interface.
pub(super) fn host() -> Kind<String> {
    let is_name = |text: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        !text.is_empty() && text.chars().all(allowed)
    };
    let parse = move |text: &str| (text.parse::<IpAddr>().is_ok() || is_name(text)).then(|| text.to_owned());
    Kind::new("an IP address or a host name, without a port", parse, same)
}

/// Hosts by which a server is asked.
pub(super) fn hosts() -> Kind<Vec<HostRule>> {
    let expected = "hosts such as search.example.org or 10.0.0.7:8000, separated by commas; * for any";
    Kind::new(expected, |text| listed(text, HostRule::parse), same)
}

/// Origins of web pages.
pub(super) fn origins() -> Kind<Vec<Origin>> {
    let expected = "origins such as https://app.example.org, separated by commas";
    Kind::new(expected, |text| listed(text, Origin::parse), same)
}

fn listed<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    text.split(NAME_SEPARATOR).map(|name| parse(name.trim())).collect()
}

/// Filter directives as `RUST_LOG` has them.
pub(super) fn log_filter() -> Kind<String> {
    let is_filter = |text: &str| EnvFilter::builder().parse(text).is_ok();
    let parse = move |text: &str| is_filter(text).then(|| text.to_owned());
    Kind::new("filter directives such as info,vectorforge=debug", parse, same)
}

/// A cron expression with seconds, in UTC.
pub(super) fn cron() -> Kind<String> {
    let parse = |text: &str| Cron::with_seconds(text, "UTC").is_ok().then(|| text.to_owned());
    Kind::new("a cron expression of six fields, the first one seconds, such as */10 * * * * *", parse, same)
}

/// A password or key. Control characters would break the header that carries it.
pub(super) fn secret() -> Kind<Secret> {
    let is_secret = |text: &str| !text.trim().is_empty() && !text.chars().any(char::is_control);
    let parse = move |text: &str| is_secret(text).then(|| Secret::new(text));
    Kind::new("a text that is not blank and has no line breaks", parse, same).privacy(Privacy::Secret)
}

/// A URL of PostgreSQL that the driver understands, its port and `sslmode` included: what it cannot read it would only
/// refuse at each attempt to connect.
pub(super) fn database_url() -> Kind<SecretUrl> {
    const EXPECTED: &str = "a URL such as postgres://user:password@host:5432/database?sslmode=require";
    let Kind { parse, build, rule } = secret_url(&["postgres", "postgresql"], EXPECTED);
    let is_understood = |url: &SecretUrl| url.expose().parse::<PgConnectOptions>().is_ok_and(|it| it.get_port() != 0);
    Kind { parse: Box::new(move |text| parse(text).filter(is_understood)), build, rule }
}

/// A URL with one of these schemes and something after it.
pub(super) fn secret_url(schemes: &'static [&'static str], expected: &str) -> Kind<SecretUrl> {
    let parse = |text: &str| {
        let (scheme, rest) = text.split_once("://")?;
        let scheme_known = schemes.iter().any(|known| known.eq_ignore_ascii_case(scheme));
        let rest_sound = !rest.is_empty() && !rest.chars().any(|c| c.is_control() || c == ' ');
        (scheme_known && rest_sound).then(|| SecretUrl::new(text))
    };
    Kind::new(expected, parse, same).privacy(Privacy::Url)
}
