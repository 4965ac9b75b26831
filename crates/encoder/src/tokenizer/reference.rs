//! Compares the tokenizer with the `tokenizers` library, whose ids the models were trained with.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};
use tokenizers::normalizer::Range;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{NormalizedString, Normalizer as _, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};
use unicode_normalization::char::{canonical_combining_class, decompose_canonical};

use super::Tokenizer;
use super::characters::is_nonspacing_mark;
use super::normalize::Normalizer;
use super::words::WordSplitter;
use crate::config::ModelConfig;
use crate::testing::{TinyModel, model_dir};

/// Precomposed characters that only we decompose: the library's decompositions are those of Unicode 9.
const YOUNG_COMPOSITIONS: [char; 21] = [
    '\u{105c9}',
    '\u{105e4}',
    '\u{11383}',
    '\u{11385}',
    '\u{1138e}',
    '\u{11391}',
    '\u{113c5}',
    '\u{113c7}',
    '\u{113c8}',
    '\u{11938}',
    '\u{16121}',
    '\u{16122}',
    '\u{16123}',
    '\u{16124}',
    '\u{16125}',
    '\u{16126}',
    '\u{16127}',
    '\u{16128}',
    '\u{16d68}',
    '\u{16d69}',
    '\u{16d6a}',
];

/// Whether it is, or holds, a mark whose place can be seen: the library sorts it, and it stays when accents go.
fn has_sorted_mark(c: char) -> bool {
    let mut found = false;
    decompose_canonical(c, |part| found |= canonical_combining_class(part) != 0 && !is_nonspacing_mark(part));
    found
}

const UNCASED: Normalizer =
    Normalizer { clean_text: true, handle_chinese_chars: true, strip_accents: true, lowercase: true };
const CASED: Normalizer = Normalizer { strip_accents: false, lowercase: false, ..UNCASED };

/// All 16 sets of options.
fn normalizers() -> impl Iterator<Item = Normalizer> {
    (0..16).map(|bits| Normalizer {
        clean_text: bits & 1 == 0,
        handle_chinese_chars: bits & 2 == 0,
        strip_accents: bits & 4 == 0,
        lowercase: bits & 8 == 0,
    })
}

/// The words of a text with the bytes that each comes from, and the source of every byte of every word.
type Words = (Vec<(String, (usize, usize))>, Vec<(usize, usize)>);

fn our_words(splitter: &WordSplitter, text: &str) -> Words {
    let (mut words, mut sources) = Words::default();
    let _ = splitter.split(text, |word| {
        let length = word.text().len();
        words.push((word.text().to_owned(), word.source(0..length)));
        sources.extend((0..length).map(|byte| word.source(byte..byte + 1)));
        ControlFlow::Continue(())
    });
    (words, sources)
}

fn their_words(options: Normalizer, text: &str) -> Words {
    let Normalizer { clean_text, handle_chinese_chars, strip_accents, lowercase } = options;
    let normalizer = BertNormalizer::new(clean_text, handle_chinese_chars, Some(strip_accents), lowercase);
    let mut normalized = NormalizedString::from(text);
    normalizer.normalize(&mut normalized).expect("the library takes any text");

    let is_in_word = |(_, c): &(usize, char)| !c.is_whitespace();
    let bytes = normalized.get().char_indices().filter(is_in_word).flat_map(|(start, c)| start..start + c.len_utf8());
    let source = |byte| normalized.convert_offsets(Range::Normalized(byte..byte + 1)).expect("every byte has a source");
    let sources = bytes.map(source).map(|source| (source.start, source.end)).collect();

    let mut words = PreTokenizedString::from(normalized);
    BertPreTokenizer.pre_tokenize(&mut words).expect("the library takes any text");
    let words = words.get_splits(OffsetReferential::Original, OffsetType::Byte);
    (words.into_iter().map(|(word, source, _)| (word.to_owned(), source)).collect(), sources)
}

/// The real model's vocabulary with other options, as our tokenizer and as theirs.
struct Pair {
    ours: Tokenizer,
    theirs: tokenizers::Tokenizer,
}

impl Pair {
    fn new(options: Normalizer) -> Self {
        Self::edited(|file| {
            file["normalizer"] = json!({
                "type": "BertNormalizer",
                "clean_text": options.clean_text,
                "handle_chinese_chars": options.handle_chinese_chars,
                "strip_accents": options.strip_accents,
                "lowercase": options.lowercase,
            });
            // Those are what the library finds in texts, and we do not.
            file["added_tokens"] = json!([]);
        })
    }

    fn edited(edit: impl Fn(&mut Value)) -> Self {
        let json = std::fs::read(model_dir().join("tokenizer.json")).expect("the model has a tokenizer");
        let mut file: Value = serde_json::from_slice(&json).expect("the tokenizer is JSON");
        file["padding"] = Value::Null;
        file["truncation"] = Value::Null;
        edit(&mut file);
        let json = file.to_string();
        let dir = TinyModel::new();
        dir.write("tokenizer.json", &json);
        let mut config = ModelConfig::read(&model_dir()).expect("the model has a configuration");
        // Its options are not the model's any more.
        config.tokenizer_lower_case = None;
        Self {
            ours: Tokenizer::for_model(dir.dir(), &config).expect("we read the file"),
            theirs: json.parse().expect("the library reads the file"),
        }
    }

    /// The ids and byte ranges of all tokens, ours and theirs.
    fn tokens(&self, text: &str) -> [Vec<(u32, (usize, usize))>; 2] {
        let mut ours = Vec::new();
        self.ours.tokenize(text, |id, range| {
            ours.push((id, range));
            ControlFlow::Continue(())
        });
        let theirs = self.theirs.encode(text, false).expect("the library takes any text");
        [ours, theirs.get_ids().iter().copied().zip(theirs.get_offsets().iter().copied()).collect()]
    }
}

static PAIRS: LazyLock<[Pair; 4]> = LazyLock::new(|| {
    let accented = Normalizer { strip_accents: false, ..UNCASED };
    let raw = Normalizer { clean_text: false, handle_chinese_chars: false, ..UNCASED };
    [UNCASED, CASED, accented, raw].map(Pair::new)
});

#[test]
fn every_character_alone_and_inside_a_word_becomes_what_it_becomes_in_the_library() {
    let all: Vec<char> = ('\0'..=char::MAX).filter(|c| !YOUNG_COMPOSITIONS.contains(c)).collect();
    for options in [UNCASED, CASED, Normalizer { clean_text: false, ..UNCASED }] {
        let splitter = WordSplitter::new(options, 100);
        for batch in all.chunks(4096) {
            let text: String = batch.iter().map(|c| format!("{c} a{c}b ")).collect();
            let (ours, theirs) = (our_words(&splitter, &text), their_words(options, &text));
            let differing = ours.0.iter().zip(&theirs.0).find(|(ours, theirs)| ours != theirs);
            assert_eq!(differing, None, "{options:?}");
            assert!(ours == theirs, "{options:?}, among {:?}", &batch[0]..&batch[batch.len() - 1]);
        }
    }
}

/// Where a model wants small letters of a tokenizer that keeps capitals, the library takes them first of all.
#[test]
fn small_letters_before_a_cased_tokenizer_are_those_of_an_uncased_one() {
    let all: Vec<char> = ('\0'..=char::MAX).filter(|c| !YOUNG_COMPOSITIONS.contains(c)).collect();
    for cased in [CASED, Normalizer { strip_accents: true, ..CASED }] {
        let uncased = Normalizer { lowercase: true, ..cased };
        let theirs = BertNormalizer::new(true, true, Some(cased.strip_accents), false);
        for batch in all.chunks(4096) {
            let text: String = batch.iter().map(|c| format!("{c} a{c}b ")).collect();
            let mut normalized = NormalizedString::from(text.as_str());
            theirs.normalize(normalized.lowercase()).expect("the library takes any text");
            let mut ours = String::new();
            text.chars().for_each(|c| uncased.normalize(c, |part| ours.push(part)));
            let theirs = normalized.get().split_whitespace();
            assert!(ours.split_whitespace().eq(theirs), "{cased:?}, among {:?}", &batch[0]..&batch[batch.len() - 1]);
        }
    }
}

#[test]
fn young_compositions_are_decomposed_here_only_and_unknown_all_the_same() {
    let splitter = WordSplitter::new(UNCASED, 100);
    for c in YOUNG_COMPOSITIONS.map(String::from) {
        let (ours, theirs) = (our_words(&splitter, &c).0, their_words(UNCASED, &c).0);
        assert_eq!(theirs, [(c.clone(), (0, 4))]);
        assert!(ours[0].0 != c && ours[0].1 == (0, 4), "{ours:?}");
        let [ours, theirs] = PAIRS[0].tokens(&format!("{c} a{c}b"));
        assert_eq!(ours, theirs);
    }
}

#[test]
fn marks_keep_their_order_so_that_a_word_ends_with_the_last_one_kept() {
    // A tone mark of old Korean, which is kept, and a dot below, which is not and is sorted before it.
    let [ours, theirs] = PAIRS[0].tokens("a\u{302e}\u{323} b");
    assert_eq!((ours[0].1, theirs[0].1), ((0, 4), (0, 6)));
    assert_eq!(
        ours.iter().map(|token| token.0).collect::<Vec<_>>(),
        theirs.iter().map(|token| token.0).collect::<Vec<_>>()
    );
    assert_eq!(ours[1..], theirs[1..]);
}

#[test]
fn the_name_of_a_special_token_in_a_text_is_text() {
    let with_special_tokens = Pair::edited(|_| {});
    for (name, id) in [("[PAD]", 0), ("[UNK]", 100), ("[CLS]", 101), ("[SEP]", 102), ("[MASK]", 103)] {
        for text in [name.to_owned(), format!("before {name} after"), format!("a{name}{name}")] {
            let [ours, theirs] = with_special_tokens.tokens(&text);
            assert!(theirs.iter().any(|token| token.0 == id), "the library finds {name}");
            assert!(ours.iter().all(|token| token.0 != id), "{ours:?}");
            let [ours, theirs] = PAIRS[0].tokens(&text);
            assert_eq!(ours, theirs, "without its special tokens, the library reads {text:?} as we do");
        }
    }
}

#[test]
fn texts_of_many_scripts_have_the_tokens_of_the_library() {
    for text in SAMPLES {
        for (pair, number) in PAIRS.iter().zip(0..) {
            let [ours, theirs] = pair.tokens(text);
            assert_eq!(ours, theirs, "{text:?} with pair {number}");
        }
    }
}

const SAMPLES: [&str; 22] = [
    "The quick brown fox jumps over the lazy dog; 3.14 ≈ π, e-mail: a.b@c.example — “quoted” (or not?)…",
    "Tokenization's unhappiness: pneumonoultramicroscopicsilicovolcanoconiosis, antidisestablishmentarianism!",
    "Ünïcödé àccents, cafés and naïve façades; Straße, Łódź, Đặng Thị Bích Ngọc, İstanbul'da ılık çığ",
    "e\u{301}cole a\u{323}\u{302} o\u{328}\u{304} \u{301}alone n\u{303}\u{303}\u{303}",
    "Быстрая коричневая лиса, ещё йод; Київ їжак ґанок",
    "Η γρήγορη καφέ αλεπού: Ὀδυσσεύς, ΣΊΣΥΦΟΣ; τί ᾖ;",
    "敏捷的棕色狐狸跳过了懒狗。𠀀𠮷野家 𫠠 豈 﨎",
    "素早い茶色の狐がのろまな犬を飛び越える、ガギグ ｶﾞｷﾞ 〜ー",
    "다람쥐 헌 쳇바퀴에 타고파 \u{1100}\u{1161}\u{11a8}ㄱㅏ",
    "الثعلب البني السريع يقفز فوق الكلب الكسول؛ بِسْمِ ٱللَّهِ ٱلرَّحْمَٰنِ",
    "שועל חום מהיר: בְּרֵאשִׁית בָּרָא אֱלֹהִים",
    "तेज़ भूरी लोमड़ी आलसी कुत्ते के ऊपर कूदती है। क़ख़",
    "দ্রুত বাদামী শিয়াল কো কৌ; விரைவான பழுப்பு நரி கொ",
    "สุนัขจิ้งจอกสีน้ำตาลกระโดดข้ามสุนัขขี้เกียจ",
    "სწრაფი ყავისფერი მელა ᲡᲬᲠᲐᲤᲘ; արագ շագանակագույն աղվես",
    "ፈጣኑ ቡናማ ቀበሮ፡ ዘለለ። ᚠᛇᚻ ꮳꮃꭹ ᏣᎳᎩ",
    "🦀 Rust 🚀🚀 👩‍👩‍👧‍👦 👍🏽 🇩🇪 ❤️ 😀. 🏴\u{e0067}\u{e0062}\u{e007f}",
    "fn main() {\n    let x: Vec<f32> = vec![1.0; 384];\n    println!(\"{:?}\", x.len());\r\n}\t// 100%",
    "a\0b\u{1}c\u{7f}d\u{85}e\u{a0}f\u{ad}g\u{200b}h\u{200d}i\u{2028}j\u{3000}k\u{feff}l\u{fffd}m\u{b}n\u{c}o",
    "\u{d7ff}\u{e000}\u{f8ff}\u{fffe}\u{ffff}\u{10000}\u{10ffff} x\u{378}y x\u{f0b7}y",
    "ﬁﬂ Ａｂｃ １２３ ™ ℃ Å K Ω \u{37e} \u{387} \u{1fef} \u{2000}x\u{2001}",
    "[SEP] [CLS] [MASK] [unused1] ##ing #hash ## https://example.org/a_b?c=d&e=%20f",
];

/// Pieces of text that are apt to be treated in ways of their own, or to meet others that are.
fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ -~]{1,12}",
        4 => "[a-z]{1,8}",
        2 => "[a-zA-ZÀ-ɏ]{1,8}",
        2 => "[a-zé][\u{300}-\u{36f}]{1,3}[a-z]?",
        1 => "[Ͱ-Ͽἀ-῾]{1,6}",
        1 => "[Ѐ-ԯ]{1,6}",
        1 => "[İıSsßẞǅKÅſﬁ]{1,4}",
        1 => "[؀-ۿݐ-ݿﭐ-﷿ﹰ-\u{feff}]{1,6}",
        1 => "[\u{591}-\u{5f4}]{1,6}",
        1 => "[\u{900}-\u{dff}]{1,6}",
        1 => "[\u{e00}-\u{109f}]{1,6}",
        1 => "[가-힣]{1,3}|[\u{1100}-\u{11ff}\u{3130}-\u{318f}\u{a960}-\u{a97f}\u{d7b0}-\u{d7ff}]{1,4}",
        1 => "[一-鿿㐀-䶿]{1,3}|[\u{20000}-\u{323af}]{1,2}|[\u{f900}-\u{faff}\u{2f800}-\u{2fa1f}]{1,2}",
        1 => "[ぁ-ヿㇰ-ㇿ｡-ﾟ]{1,4}",
        1 => "[\u{1f300}-\u{1faff}\u{200d}\u{fe0f}\u{1f3fb}-\u{1f3ff}\u{1f1e6}-\u{1f1ff}]{1,4}",
        1 => "[\0-\u{20}\u{7f}-\u{a0}\u{ad}\u{2000}-\u{206f}\u{3000}]{1,3}",
        1 => "[\u{2010}-\u{2bff}\u{3001}-\u{303f}]{1,3}",
        1 => "[\u{d7fb}-\u{d7ff}\u{e000}-\u{e002}\u{f8ff}\u{fff0}-\u{ffff}]{1,3}",
        1 => any::<char>().prop_map(String::from),
        1 => "[\u{1ab0}-\u{1aff}\u{1dc0}-\u{1dff}\u{20d0}-\u{20ff}\u{1d000}-\u{1d2ff}\u{1e000}-\u{1e95f}]{1,4}",
        1 => "[a-z]{95,105}|é{95,105}|[xyz가]{45,55}",
        1 => "##[a-z]{1,3}|\\[(SEP|CLS|MASK|PAD|UNK)\\]",
    ]
}

fn text() -> impl Strategy<Value = String> {
    let text = prop::collection::vec((fragment(), prop::sample::select(vec!["", "", " ", "\n"])), 0..12);
    text.prop_map(|parts| {
        let chars = parts.iter().flat_map(|(fragment, space)| fragment.chars().chain(space.chars()));
        chars.filter(|c| !YOUNG_COMPOSITIONS.contains(c) && !has_sorted_mark(*c)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_text_has_the_tokens_of_the_library(text in text(), pair in 0..4_usize) {
        let [ours, theirs] = PAIRS[pair].tokens(&text);
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn any_text_has_the_words_of_the_library_whatever_the_options(text in text()) {
        for options in normalizers() {
            let splitter = WordSplitter::new(options, usize::MAX);
            prop_assert_eq!(our_words(&splitter, &text), their_words(options, &text), "{:?}", options);
        }
    }
}
