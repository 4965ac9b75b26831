//! Kinds of hostile documents. A kind's `Debug` form is its name.

/// How a document of a size is made.
#[derive(Debug)]
pub enum Attack {
    /// Again and again.
    All(&'static str),
    /// The first for a fiftieth of the size, then the second: a depth that each further line must look at.
    Deep(&'static str, &'static str),
    /// Half of each: what opens, what closes.
    Halves(&'static str, &'static str),
    /// The first a thousand times: as deep as a document may be before readers usually stop; then the second.
    Thousand(&'static str, &'static str),
    /// The first once, twice, three times …, and the second after each.
    Rising(&'static str, &'static str),
    /// The first with a number in place of `#`, for half of the size; then the second likewise.
    Numbered(&'static str, &'static str),
}

impl Attack {
    /// The document.
    pub fn text(&self, size: usize) -> String {
        match *self {
            Self::All(unit) => fill(unit, size),
            Self::Deep(first, then) => fill(first, size / 50) + &fill(then, size - size / 50),
            Self::Halves(first, then) => fill(first, size / 2) + &fill(then, size / 2),
            Self::Thousand(first, then) => first.repeat(1000) + &fill(then, size - 1000 * first.len()),
            Self::Rising(unit, after) => rising(unit, after, size),
            Self::Numbered(first, then) => numbered(first, size / 2) + "\n\n" + &numbered(then, size / 2),
        }
    }
}

fn fill(unit: &str, size: usize) -> String {
    let mut text = unit.repeat(size / unit.len() + 1);
    text.truncate(text.floor_char_boundary(size));
    text
}

fn rising(unit: &str, after: &str, size: usize) -> String {
    let mut text = String::new();
    for turn in 1.. {
        if text.len() >= size {
            break;
        }
        text.push_str(&unit.repeat(turn));
        text.push_str(after);
    }
    text
}

fn numbered(unit: &str, size: usize) -> String {
    let mut text = String::new();
    for turn in 0.. {
        if text.len() >= size {
            break;
        }
        text.push_str(&unit.replace('#', &turn.to_string()));
    }
    text
}
