//! What a page looks like as text.

use super::super::outline::paths;
use super::*;

fn loaded(html: &str) -> Option<Loaded> {
    load(html, &Stop::default()).expect("nobody stops it")
}

fn text_of(html: &str) -> String {
    loaded(html).unwrap_or_else(|| panic!("no text in {html:?}")).text
}

#[test]
fn markup_becomes_paragraphs_lines_lists_and_cells() {
    for (html, expected) in [
        ("<p>a\n  b</p><p>c", "a b\n\nc"),
        ("one <b>two</b><i>three</i> four", "one twothree four"),
        ("a<br>b<br/><br>c", "a\nb\n\nc"),
        ("<div>a<div>b</div></div>c", "a\n\nb\n\nc"),
        ("x<ul><li>a<li><p>b</p><ul><li>c</ul></ul>y", "x\n\n- a\n\n- b\n\n- c\n\ny"),
        ("<ol><li>a<ol><li>b</ol><li>c</ol>", "- a\n- b\n- c"),
        ("<dl><dt>t<dd>d</dl>", "t\nd"),
        ("a<hr>b", "a\n\nb"),
        ("<h1>T</h1>x", "T\n\nx"),
        ("caf&eacute; &lt;b&gt; &#x1F600; a&nbsp;b &unknown;", "café <b> 😀 a b &unknown;"),
        ("a<!-- hidden -->b", "ab"),
    ] {
        assert_eq!(text_of(html), expected, "{html:?}");
    }
}

#[test]
fn table_cells_keep_their_columns() {
    for (html, expected) in [
        ("<table><tr><th>a</th> <th>b</th></tr>\n<tr><td><p>1</p></td><td> 2</td></tr></table>x", "a | b\n1 | 2\n\nx"),
        ("<table><tr><td>a<td><td>c<tr><td><td>e</table>", "a |  | c\n| e"),
        ("<table><tr><td>a<td></table>after", "a\n\nafter"),
        ("<table><tr><td>side<td><p>one</p><p>two</p></table>", "side | one\n\ntwo"),
    ] {
        assert_eq!(text_of(html), expected, "{html:?}");
    }
}

#[test]
fn preformatted_text_keeps_its_whitespace() {
    let html = "x<pre>\n  fn a() {\r\n\t<b>b</b>();\n\n  }\n</pre>y  z";
    assert_eq!(text_of(html), "x\n\n  fn a() {\n\tb();\n\n  }\n\ny z");
}

#[test]
fn what_is_not_shown_is_dropped() {
    for html in [
        "<head><title>t</title><style>p { x }</style></head><body>shown",
        "<script>if (a < b) '<p>not</p>'</script>shown",
        "<script src=x />shown",
        "<nav><ul><li>menu <svg><text>s</text></svg></ul></nav>shown",
        "<div><nav>left open</div>shown",
        "<template><p>t</template><noscript>n</noscript><select><option>o</select>shown",
        "<textarea><p>t</textarea><iframe>i</iframe>shown</nav></template>",
    ] {
        assert_eq!(text_of(html), "shown", "{html:?}");
    }
}

#[test]
fn headings_open_sections_that_begin_where_their_line_does() {
    let html = "intro<h1>A <em>b</em></h1>text<ul><li><h2>C<br>d</h2>more</ul><h3></h3><h2>E<p>open";
    let loaded = loaded(html).unwrap();
    let text = loaded.text.as_str();
    assert_eq!(text, "intro\n\nA b\n\ntext\n\n- C\nd\n\nmore\n\nE\n\nopen");
    let headings = loaded.sections.iter().map(|section| &text[section.start..section.body_start]);
    let sections: Vec<_> = headings.zip(paths(&loaded.sections)).collect();
    let expected = [("A b", "A b"), ("- C\nd", "A b > C d"), ("E\n\nopen", "A b > E open")];
    assert_eq!(sections, expected.map(|(heading, path)| (heading, path.to_owned())));
}

#[test]
fn the_title_comes_from_the_title_element_else_from_the_first_top_heading() {
    for (html, expected) in [
        ("<title> A &amp;\n B </title><h1>H</h1>", Some("A & B")),
        ("<svg><title>icon</title></svg><title></title><h2>x</h2><h1>H</h1>", Some("H")),
        ("<title>left open", None),
        ("text", None),
    ] {
        let title = loaded(html).and_then(|loaded| loaded.title);
        assert_eq!(title.as_deref(), expected, "{html:?}");
    }
}

#[test]
fn hostile_nesting_neither_overflows_the_stack_nor_takes_quadratic_time() {
    const DEPTH: usize = 100_000;
    for (open, close) in [("<div>", "</div>"), ("<ul><li>", "</b>"), ("<b>", "</div>"), ("<table><tr><td>", "")] {
        let html = format!("{}x{}", open.repeat(DEPTH), close.repeat(DEPTH));
        assert!(text_of(&html).ends_with('x'), "{open}");
    }
    let html = format!("<pre>x{}{}", "\n".repeat(DEPTH), "<h1></h1>".repeat(DEPTH));
    assert_eq!(text_of(&html), "x");
}
