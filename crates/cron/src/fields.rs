//! The fields of a cron expression, held to their ranges before the parser reads them: it takes a step beyond its field,
//! a name in the place of another field's, and names run together for something that nobody meant.

/// What a field may hold.
struct Field {
    name: &'static str,
    least: u16,
    most: u16,
    /// Names of its values, from `least` on.
    names: &'static [&'static str],
    /// How many different values it has: Sunday is both 0 and 7.
    values: u16,
}

const fn field(name: &'static str, (least, most): (u16, u16), names: &'static [&'static str], values: u16) -> Field {
    Field { name, least, most, names, values }
}

const DAY_OF_MONTH: &str = "day of month";
const DAY_OF_WEEK: &str = "day of week";

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

const FIELDS: [Field; 6] = [
    field("second", (0, 59), &[], 60),
    field("minute", (0, 59), &[], 60),
    field("hour", (0, 23), &[], 24),
    field(DAY_OF_MONTH, (1, 31), &[], 31),
    field("month", (1, 12), &MONTHS, 12),
    field(DAY_OF_WEEK, (0, 7), &DAYS, 7),
];

const NICKNAMES: [&str; 6] = ["@HOURLY", "@DAILY", "@WEEKLY", "@MONTHLY", "@YEARLY", "@ANNUALLY"];

/// Longest part of an expression that a message repeats, in characters.
const SHOWN: usize = 20;

/// Checks the five fields of an expression, or six where the first is the second.
///
/// # Errors
/// What was expected, and what was there instead.
pub(super) fn check(expression: &str, with_seconds: bool) -> Result<(), String> {
    let expression = expression.to_uppercase();
    if NICKNAMES.contains(&expression.trim()) {
        return Ok(());
    }
    let fields = if with_seconds { &FIELDS[..] } else { &FIELDS[1..] };
    let parts: Vec<&str> = expression.split_whitespace().collect();
    if parts.len() != fields.len() {
        let names: Vec<_> = fields.iter().map(|field| field.name).collect();
        return Err(format!("{} fields ({}), not {}", fields.len(), names.join(", "), parts.len()));
    }
    fields.iter().zip(parts).try_for_each(|(field, part)| field.check(part))
}

impl Field {
    fn check(&self, part: &str) -> Result<(), String> {
        let part = if self.name == DAY_OF_WEEK { part.strip_prefix('+').unwrap_or(part) } else { part };
        part.split(',').try_for_each(|item| self.check_item(item))
    }

    fn check_item(&self, item: &str) -> Result<(), String> {
        if self.is_special(item)? {
            return Ok(());
        }
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (item, None),
        };
        let values = match range.split_once('-') {
            _ if range == "*" => self.values,
            Some((first, last)) => self.range(first, last)?,
            None if step.is_some() => return Err(format!("`*` or a range before a step in the {}", self.place(item))),
            None => self.value(range).map(|_| 1)?,
        };
        let Some(step) = step else { return Ok(()) };
        match number(step) {
            Some(step) if (1..=values).contains(&step) => Ok(()),
            _ => Err(format!("a step from 1 to {values} in the {}", self.place(item))),
        }
    }

    /// How many values a range has.
    fn range(&self, first: &str, last: &str) -> Result<u16, String> {
        let begin = self.value(first)?;
        // A week may end with its Sunday.
        let end = if last == DAYS[0] { self.most } else { self.value(last)? };
        if begin > end {
            return Err(format!("a range that rises in the {}", self.place(&format!("{first}-{last}"))));
        }
        Ok(end - begin + 1)
    }

    fn value(&self, text: &str) -> Result<u16, String> {
        let named = self.names.iter().position(|name| *name == text).and_then(|place| u16::try_from(place).ok());
        let value = named.map(|place| self.least + place).or_else(|| number(text));
        value.filter(|value| (self.least..=self.most).contains(value)).ok_or_else(|| {
            let names = self.names.first().map(|first| format!(" or a name such as {first}")).unwrap_or_default();
            format!("a number from {} to {}{names} in the {}", self.least, self.most, self.place(text))
        })
    }

    /// Whether an item is one of those that only days have: `?`, `L`, `LW`, `15W`; `FRIL`, `1#2`.
    fn is_special(&self, item: &str) -> Result<bool, String> {
        if self.name == DAY_OF_MONTH {
            let near = item.strip_suffix('W').filter(|day| *day != "L");
            return Ok(matches!(item, "?" | "L" | "LW") || near.map(|day| self.day(day, "15W")).transpose()?.is_some());
        }
        if self.name != DAY_OF_WEEK || item == "?" {
            return Ok(item == "?" && self.name == DAY_OF_WEEK);
        }
        if let Some((day, nth)) = item.split_once('#') {
            let is_nth = number(nth).is_some_and(|nth| (1..=5).contains(&nth));
            self.day(day, "1#2")?;
            return if is_nth { Ok(true) } else { Err(format!("1 to 5 behind `#` in the {}", self.place(item))) };
        }
        Ok(item.strip_suffix('L').map(|day| self.day(day, "5L")).transpose()?.is_some())
    }

    /// The day that `L`, `W` and `#` belong to, as in `example`.
    fn day(&self, text: &str, example: &str) -> Result<u16, String> {
        let mark = example.trim_matches(|c: char| c.is_ascii_digit());
        if text.is_empty() {
            return Err(format!("a day before `{mark}` in the {}, such as `{example}`", self.name));
        }
        self.value(text)
    }

    /// The field with what stands in it, for the end of a sentence.
    fn place(&self, text: &str) -> String {
        let shown: String = text.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
        if shown.is_empty() {
            return format!("{}, where one is missing", self.name);
        }
        format!("{}, not `{shown}`", self.name)
    }
}

/// Digits alone: no sign, no space.
fn number(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
