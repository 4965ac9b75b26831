//! What holds of every chunker's chunks, for any text and settings; and the cases worth naming.

use proptest::prelude::*;
use proptest::strategy::Strategy;

use super::*;
use crate::load::{ContentType, load};

/// A tokenizer in the manner of `WordPiece`: words end at whitespace and punctuation, control
/// characters vanish, a word is cut into pieces, the first of 2 characters and the others of 5, and
/// one of more than 100 characters is one unknown token. So a word cut in two may make more tokens
/// than it did whole, as with the real one.
pub(super) struct WordPieces;

impl CountTokens for WordPieces {
    fn token_offsets(&self, text: &str) -> Vec<(usize, usize)> {
        let mut offsets = Vec::new();
        let mut word = Vec::new();
        for (at, c) in text.char_indices() {
            let range = (at, at + c.len_utf8());
            if c.is_whitespace() && (!c.is_control() || "\t\n\r".contains(c)) {
                end_word(&mut word, &mut offsets);
            } else if c.is_control() {
            } else if c.is_alphanumeric() && !('\u{4e00}'..='\u{9fff}').contains(&c) {
                word.push(range);
            } else {
                end_word(&mut word, &mut offsets);
                offsets.push(range);
            }
        }
        end_word(&mut word, &mut offsets);
        offsets
    }
}

/// The same before a model that reads so many tokens of a chunk.
pub(super) struct Reading(pub u32);

impl CountTokens for Reading {
    fn token_offsets(&self, text: &str) -> Vec<(usize, usize)> {
        WordPieces.token_offsets(text)
    }

    fn longest(&self) -> Option<u32> {
        Some(self.0)
    }
}

fn end_word(word: &mut Vec<(usize, usize)>, offsets: &mut Vec<(usize, usize)>) {
    let span = |chars: &[(usize, usize)]| Some((chars.first()?.0, chars.last()?.1));
    if word.len() > 100 {
        offsets.extend(span(word));
    } else {
        let (head, tail) = word.split_at(word.len().min(2));
        offsets.extend(span(head));
        offsets.extend(tail.chunks(5).filter_map(span));
    }
    word.clear();
}

fn settings(size: u32, overlap: u32, unit: Unit) -> ChunkSettings {
    ChunkSettings { size, overlap, unit, ..ChunkSettings::default() }
}

fn plain(text: &str) -> Loaded {
    Loaded { text: text.to_owned(), title: None, sections: Vec::new() }
}

fn texts_of(text: &str, size: u32, overlap: u32, unit: Unit) -> Vec<String> {
    let chunks = chunk(&plain(text), &settings(size, overlap, unit), &WordPieces, &Stop::default()).unwrap();
    chunks.into_iter().map(|chunk| chunk.text).collect()
}

/// Checks everything that is promised of chunks.
fn assert_sound(loaded: &Loaded, settings: &ChunkSettings) {
    assert_sound_before(loaded, settings, &WordPieces);
}

/// The same, before a model that may read less.
fn assert_sound_before(loaded: &Loaded, settings: &ChunkSettings, model: &dyn CountTokens) {
    let chunks = chunk(loaded, settings, model, &Stop::default()).unwrap();
    let longest = model.longest().map_or(usize::MAX, |tokens| tokens as usize);
    let source: Vec<char> = loaded.text.chars().collect();
    let mut covered = 0;
    let mut last_start = None;
    for chunk in &chunks {
        let slice: String = source[chunk.start_char..chunk.end_char].iter().collect();
        assert_eq!(slice, chunk.text, "the text is the slice of the source");
        assert!(!chunk.text.is_empty(), "no chunk is empty");
        assert_eq!(chunk.text.trim(), chunk.text, "no chunk has whitespace at its ends");
        assert!(last_start < Some(chunk.start_char), "starts rise");
        last_start = Some(chunk.start_char);
        let skipped = source.get(covered..chunk.start_char).unwrap_or_default();
        assert!(skipped.iter().all(|c| c.is_whitespace()), "only whitespace is left out: {skipped:?}");
        assert!(chunk.end_char > covered, "each chunk brings something new");
        let tokens = WordPieces.token_offsets(&chunk.text).len();
        let size = match settings.unit {
            Unit::Tokens => tokens,
            Unit::Characters => chunk.end_char - chunk.start_char,
        };
        assert!(size <= settings.size as usize, "{size} is more than {}: {:?}", settings.size, chunk.text);
        assert!(tokens <= longest || chunk.text.chars().count() == 1, "{tokens} tokens are not read: {:?}", chunk.text);
        let are_counted = settings.unit == Unit::Tokens || model.longest().is_some();
        assert_eq!(chunk.tokens, are_counted.then_some(u32::try_from(tokens).unwrap()));
        let overlap = covered.saturating_sub(chunk.start_char);
        assert!(settings.unit == Unit::Tokens || overlap <= settings.overlap as usize, "overlap is {overlap}");
        covered = chunk.end_char;
    }
    assert!(source[covered..].iter().all(|c| c.is_whitespace()), "the end is covered");
}

/// Text with more of what chunkers care about than arbitrary characters have.
fn any_text() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        4 => "[a-zà-ÿ]{1,12}",
        3 => one_of(&[" ", "\n", "\n\n", "\r\n", "\r\n\r\n", "\t", "\u{c}", "\u{85}", "\u{3000}"]),
        2 => one_of(&[". ", "? ", "。", "؟ ", ", ", "- ", "# ", "## "]),
        1 => one_of(&["👩‍👩‍👧‍👦", "e\u{301}\u{323}", "🇫🇷🇩🇪", "한국", "漢字", "שלום", "مرحبا"]),
        1 => "\\PC{0,8}",
        1 => "[x]{90,130}",
    ];
    prop::collection::vec(fragment, 0..60).prop_map(|fragments| fragments.concat())
}

fn one_of(fragments: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(fragments).prop_map(str::to_owned)
}

fn any_settings() -> impl Strategy<Value = ChunkSettings> {
    let unit = prop::sample::select(vec![Unit::Tokens, Unit::Characters]);
    let separators = prop::sample::select(vec![
        ChunkSettings::default().separators,
        vec![],
        vec!["a".to_owned(), "\n\n# ".to_owned(), " b".to_owned()],
    ]);
    (1..60_u32, 0..60_u32, unit, separators).prop_map(|(size, overlap, unit, separators)| ChunkSettings {
        overlap: overlap % (size / 2 + 1),
        separators,
        ..settings(size, 0, unit)
    })
}

/// Texts tried by each property: what the suite has time for; more were tried when the chunker was
/// written.
const CASES: u32 = 200;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) })]

    #[test]
    fn chunks_of_any_plain_text_are_sound(text in any_text(), settings in any_settings()) {
        assert_sound(&plain(&text), &settings);
    }

    #[test]
    fn chunks_of_any_text_are_read_whole_by_the_model(
        text in any_text(), settings in any_settings(), longest in 1..40_u32,
    ) {
        assert_sound_before(&plain(&text), &settings, &Reading(longest));
    }

    #[test]
    fn neighbours_share_as_much_as_told_up_to_the_next_joint(
        words in prop::collection::vec("[a-z]{1,5}", 1..80), size in 24..60_u32, overlap in 0..30_u32,
    ) {
        let text = words.join(" ");
        let settings = ChunkSettings {
            separators: vec![" ".to_owned()], ..settings(size, overlap.min(size / 2), Unit::Characters)
        };
        // The longest word and the space before it: how far the next joint may be.
        assert_shared(&text, &settings, 6);
    }

    #[test]
    fn chunks_of_any_markdown_are_sound(text in any_text(), settings in any_settings()) {
        if let Ok(loaded) = load(ContentType::Markdown, text.as_bytes(), &Stop::default()) {
            assert_sound(&loaded, &settings);
        }
    }

    #[test]
    fn chunks_of_any_html_are_sound(html in "(<(p|h1|h2|/h1|pre|li|td|tr|nav|/nav|br)>|[a-zé&;<> \n]{1,9}){0,40}") {
        if let Ok(loaded) = load(ContentType::Html, html.as_bytes(), &Stop::default()) {
            assert_sound(&loaded, &settings(10, 3, Unit::Tokens));
        }
    }
}

/// Checks that each chunk but the first repeats of the one before as much as told, less at most `joint` characters; or
/// else as much as leaves room for what comes next.
fn assert_shared(text: &str, settings: &ChunkSettings, joint: usize) {
    let chunks = chunk(&plain(text), settings, &WordPieces, &Stop::default()).unwrap();
    let (size, told) = (settings.size as usize, settings.overlap as usize);
    for pair in chunks.windows(2) {
        let shared = pair[0].end_char.saturating_sub(pair[1].start_char);
        assert!(shared <= told, "{shared} of {told} are shared: {pair:?}");
        let brought: String = text.chars().skip(pair[0].end_char).collect();
        let next_piece = brought.split_whitespace().next().map_or(0, |word| word.chars().count()) + 1;
        let room = told.min(size.saturating_sub(next_piece));
        assert!(shared + joint >= room, "{shared} of {told} are shared, {room} would fit: {pair:?}");
    }
}

#[test]
fn the_largest_overlap_that_may_be_told_is_applied() {
    let text = "abc ".repeat(200);
    let settings =
        |overlap| ChunkSettings { separators: vec![" ".to_owned()], ..settings(100, overlap, Unit::Characters) };
    for overlap in [0, 1, 10, 49, 50] {
        assert_shared(text.trim(), &settings(overlap), 4);
    }
    assert!(settings(51).check().is_err());
}

#[test]
fn a_chunk_in_characters_is_cut_smaller_where_the_model_would_not_read_it_whole() {
    let dense = "漢".repeat(1000);
    for (text, size, longest, most_chars) in [
        (&*dense, 32_768, 254, 254),
        ("one two three four five six seven eight", 32_768, 6, 16),
        (&*"ab ".repeat(500), 32_768, 100, 299),
    ] {
        let settings = settings(size, 0, Unit::Characters);
        assert_sound_before(&plain(text), &settings, &Reading(longest));
        let chunks = chunk(&plain(text), &settings, &Reading(longest), &Stop::default()).unwrap();
        let longest = chunks.iter().map(|chunk| chunk.text.chars().count()).max();
        assert!(chunks.len() > 1 && longest <= Some(most_chars), "{longest:?}");
    }
    let short =
        chunk(&plain("one two"), &settings(32_768, 0, Unit::Characters), &Reading(254), &Stop::default()).unwrap();
    assert_eq!(short.len(), 1, "what the model reads whole is not cut");
}

#[test]
fn edge_cases_are_sound_at_every_size() {
    let long_word = "x".repeat(5000);
    let zalgo = format!("a{}", "\u{301}".repeat(300));
    let texts = [
        "",
        " \r\n\u{a0}",
        "a",
        "a\r\n\r\nb\r\nc",
        "👩‍👩‍👧‍👦👩‍👩‍👧‍👦 👨‍👩‍👧",
        "e\u{301}e\u{301} \u{301}",
        "مرحبا بالعالم؟ نعم. שלום עולם",
        "我们在这里。你好！再见？好",
        "end\u{c}start of page",
        &long_word,
        &zalgo,
    ];
    for text in texts {
        for size in [1, 2, 3, 7, 8, 100] {
            for unit in [Unit::Tokens, Unit::Characters] {
                assert_sound(&plain(text), &settings(size, size / 3, unit));
            }
        }
    }
}

#[test]
fn text_is_cut_at_its_coarsest_joints() {
    for (text, size, expected) in [
        ("one two\n\nthree four\n\nfive", 20, vec!["one two\n\nthree four", "five"]),
        ("one two\r\n\r\nthree\r\n\r\nfour", 16, vec!["one two\r\n\r\nthree", "four"]),
        ("First one. Second one? Third", 12, vec!["First one.", "Second one?", "Third"]),
        ("我们在这里。你好！再见", 6, vec!["我们在这里。", "你好！再见"]),
        ("short abcdefghijkl end", 8, vec!["short ab", "cdefghij", "kl end"]),
    ] {
        assert_eq!(texts_of(text, size, 0, Unit::Characters), expected, "{text:?}");
    }
}

#[test]
fn overlap_begins_where_a_separator_ends_and_stays_within_its_limit() {
    for (text, size, overlap, expected) in [
        ("aa bb cc dd ee ff", 8, 3, vec!["aa bb cc", "cc dd ee", "ee ff"]),
        ("aa bb cc dd ee ff", 8, 1, vec!["aa bb cc", "dd ee ff"]),
        ("One two. Six a. Next one b", 18, 6, vec!["One two. Six a.", "Six a. Next one b"]),
        ("abcdefghijklmnopqrst", 8, 2, vec!["abcdefgh", "ghijklmn", "mnopqrst"]),
    ] {
        assert_eq!(texts_of(text, size, overlap, Unit::Characters), expected, "{text:?}");
    }
}

#[test]
fn graphemes_stay_whole_where_they_fit() {
    let family = "👩‍👩‍👧‍👦";
    assert_eq!(texts_of(&family.repeat(3), 8, 0, Unit::Characters), [family; 3]);
}

#[test]
fn a_separator_that_begins_with_whitespace_opens_what_follows() {
    let settings = ChunkSettings { separators: vec!["\n## ".to_owned()], ..settings(10, 0, Unit::Characters) };
    let chunks = chunk(&plain("intro\n## one\n## two"), &settings, &WordPieces, &Stop::default()).unwrap();
    assert_eq!(chunks.iter().map(|chunk| chunk.text.as_str()).collect::<Vec<_>>(), ["intro", "## one", "## two"]);
}

#[test]
fn chunks_do_not_cross_headings_and_carry_their_path() {
    let text = "# A\n\nx\n\n## B\n\ny\n\n# C\n\nz";
    let loaded = load(ContentType::Markdown, text.as_bytes(), &Stop::default()).unwrap();
    let chunks = chunk(&loaded, &ChunkSettings::default(), &WordPieces, &Stop::default()).unwrap();
    let found: Vec<_> = chunks.iter().map(|chunk| (chunk.text.as_str(), chunk.heading_path.join(" > "))).collect();
    let expected = [("# A\n\nx", "A"), ("## B\n\ny", "A > B"), ("# C\n\nz", "C")];
    assert_eq!(found, expected.map(|(text, path)| (text, path.to_owned())));
}

#[test]
fn a_megabyte_on_one_line_is_cut_with_little_repetition() {
    let texts = ["word ".repeat(200_000), "x".repeat(100_000), "漢".repeat(100_000), " \u{301}".repeat(50_000)];
    for text in texts {
        for unit in [Unit::Tokens, Unit::Characters] {
            let chunks = texts_of(&text, 240, 120, unit);
            let bytes: usize = chunks.iter().map(String::len).sum();
            assert!(bytes <= 3 * text.len(), "{bytes} bytes in chunks of {} bytes", text.len());
        }
    }
}

#[test]
fn settings_at_fault_are_refused() {
    let error = chunk(&plain("text"), &settings(0, 0, Unit::Tokens), &WordPieces, &Stop::default()).unwrap_err();
    assert_eq!(error.code(), "INVALID_CHUNK_SETTINGS");
    assert!(error.to_string().contains("size: got 0"), "{error}");
}
